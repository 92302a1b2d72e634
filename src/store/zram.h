/*
 * zram.h - what tests and dumps may see of a compressed store beyond its
 * operations.
 */
#ifndef SW_STORE_ZRAM_H
#define SW_STORE_ZRAM_H

#include "store/store.h"

/* The bytes kept for a slot, or NULL when it is empty or same-filled. They
 * stay the store's: whoever changes one asks for -EIO. */
unsigned char *sw_zram_object(struct sw_zram *zram, uint64_t slot, size_t *len);

/* Walks every handle and the pool at a quiescent moment; returns how many
 * invariants are broken and prints each. */
unsigned sw_zram_check(struct sw_zram *zram);

#endif
