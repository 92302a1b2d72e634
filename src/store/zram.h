/*
 * zram.h - the inside of a compressed store: the word that stands for a slot,
 * its accessors, and what zram.c, zram_compact.c, tests and dumps share.
 *
 *             63      53 52            14 13       2 1    0
 *   EMPTY     0
 *   OBJECT    readers    pool location    size - 1  1
 *   SAME      upper half of the word (63..32), check (31..2)  2
 *
 * Beside it each slot has a sum of 32 bits. An object's sum is taken over its
 * bytes and its slot number: a handle that leads to a good object of another
 * slot is found out as well. A same-filled page keeps the lower half of its
 * word there. An object of a whole page is the page itself (raw).
 *
 * `readers` counts those who look at the object's bytes just now. Only the
 * move of an object to another location asks for it: it replaces a handle
 * that has none, in one compare-and-exchange. Writing and freeing never meet
 * a reader, by the contract of store.h.
 */
#ifndef SW_STORE_ZRAM_H
#define SW_STORE_ZRAM_H

#include "store/objpool.h"
#include "store/store.h"

enum handle_kind {
	HANDLE_EMPTY = 0,
	HANDLE_OBJECT = 1,
	HANDLE_SAME = 2,
};

#define HANDLE_KIND_BITS    2
#define HANDLE_SIZE_BITS    SW_PAGE_SHIFT
#define HANDLE_LOC_SHIFT    (HANDLE_KIND_BITS + HANDLE_SIZE_BITS)
#define HANDLE_READER_SHIFT (HANDLE_LOC_SHIFT + SW_OBJPOOL_LOC_BITS)
#define HANDLE_READER       (1ULL << HANDLE_READER_SHIFT)
#define HANDLE_CHECK_BITS   30
#define HANDLE_WORD_SHIFT   32

_Static_assert(HANDLE_READER_SHIFT <= 56, "256 readers of one slot at least");
_Static_assert(HANDLE_KIND_BITS + HANDLE_CHECK_BITS == HANDLE_WORD_SHIFT,
	       "check and word meet");

struct sw_codec;

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
	uint64_t moved_objects;       /* [atomic] */
	uint64_t cursor;              /* [thread that set compacting] */
	bool compacting;              /* [atomic] */
};

static inline enum handle_kind handle_kind(uint64_t h)
{
	return h & ((1u << HANDLE_KIND_BITS) - 1);
}

static inline uint64_t handle_make_object(uint64_t loc, size_t size)
{
	return HANDLE_OBJECT | (size - 1) << HANDLE_KIND_BITS |
	       loc << HANDLE_LOC_SHIFT;
}

static inline size_t handle_to_size(uint64_t h)
{
	return (h >> HANDLE_KIND_BITS & (SW_PAGE_SIZE - 1)) + 1;
}

static inline uint64_t handle_to_loc(uint64_t h)
{
	return (h & (HANDLE_READER - 1)) >> HANDLE_LOC_SHIFT;
}

static inline bool handle_is_raw(uint64_t h)
{
	return handle_kind(h) == HANDLE_OBJECT &&
	       handle_to_size(h) == SW_PAGE_SIZE;
}

/* Being read just now? */
static inline bool handle_is_busy(uint64_t h)
{
	return handle_kind(h) == HANDLE_OBJECT && h >= HANDLE_READER;
}

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
