/*
 * zram.h - the inside of a compressed store: what zram.c, zram_compact.c, tests
 * and dumps share. A slot has a handle and a sum, as packed.h has them; its
 * number is the key.
 */
#ifndef SW_STORE_ZRAM_H
#define SW_STORE_ZRAM_H

#include "store/compact.h"
#include "store/packed.h"
#include "store/store.h"

struct sw_zram {
	const struct sw_codec *codec; /* [const] */
	uint64_t nr_slots;            /* [const] */
	uint64_t *handles;            /* [atomic] */
	uint32_t *sums;               /* written by the slot's one writer */
	uint8_t *touched;             /* [atomic] per cluster: has handles */
	struct sw_objpool *pool;      /* [const] */
	uint64_t same_pages;          /* [atomic] */
	uint64_t raw_pages;           /* [atomic] */
	uint64_t touched_clusters;    /* [atomic] */
	uint64_t read_errors;         /* [atomic] */
	uint64_t write_nomem;         /* [atomic] */
	struct sw_compact compact;
};

static inline uint64_t handle_load(const struct sw_zram *z, uint64_t slot)
{
	/* Pairs with the releases that put a handle there: who sees one sees
	 * the object behind it. */
	return __atomic_load_n(&z->handles[slot], __ATOMIC_ACQUIRE);
}

/*
 * A little compaction, if it pays and nobody else is at it: called now and
 * then by writers, who brought the disorder, with no lock held.
 */
void sw_zram_compact_step(struct sw_zram *zram);

/* The bytes kept for a slot, or NULL when it is empty or same-filled. They
 * stay the store's: whoever changes one asks for -EIO. */
unsigned char *sw_zram_object(struct sw_zram *zram, uint64_t slot, size_t *len);

/* Walks every handle and the pool at a quiescent moment; returns how many
 * invariants are broken and prints each. */
unsigned sw_zram_check(struct sw_zram *zram);

#endif
