/*
 * store.h - where the bytes of slots live. A store is made by its kind's
 * open call, handed to swapon() as ops + store, and closed when the device is
 * off. Compressed memory here; files and block devices beside it.
 */
#ifndef SW_STORE_H
#define SW_STORE_H

#include "swap/swap.h"

struct sw_store_stats {
        uint64_t pages;          /* pages held, zero and same-filled included */
        uint64_t same_pages;     /* of these: one word each */
        uint64_t raw_pages;      /* of these: incompressible */
        uint64_t compr_bytes;    /* sum of compressed sizes */
        uint64_t mem_bytes;      /* memory taken from the system for them */
        uint64_t mem_bytes_peak;
};

/* Compressed memory (zram): room for `nr_slots` pages, slot 0 included.
 * NULL on -ENOMEM. The ops are thread-safe; two calls on one slot are not
 * concurrent except read with read. */
struct sw_zram;
struct sw_zram *sw_zram_open(uint64_t nr_slots, const char *codec);
void sw_zram_close(struct sw_zram *zram);
void sw_zram_stats(struct sw_zram *zram, struct sw_store_stats *stats);
extern const struct swap_ops sw_zram_ops;

#endif
