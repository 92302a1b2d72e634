/*
 * pagetable.h - one word per page of an address space: what we know of it. A
 * radix tree of four levels whose leaves cover 2 MiB and exist only where a
 * page was ever touched, so a reservation of terabytes costs nothing.
 *
 * A word, low bits first:
 *
 *   NONE     0                                    never touched: reads as zeros
 *   PRESENT  [entry if CLEAN][pin hot:2 shared clean wp][01]  the program has it
 *   PRESENT  [share   zeroed][pin hot:2 shared ..... wp][01]
 *   SWAP     [entry         ][pin ................... ][10]  its slot has it
 *   POISON   [0             ][ ...................... ][11]  lost
 *
 * The entry is a swp_entry_t squeezed into bits 8..63: type in the top five,
 * offset in the 51 below. A SWAP word owns one count of its slot; a CLEAN
 * word owns none: the slot is cached and unowned, and the owner of its folio
 * (folio->mapping, folio->index) must be compared before it is believed in. A
 * SHARED word holds the number of its counter (share.c) and is never CLEAN.
 *
 * Windows of 64 pages are the unit of exclusive work: whoever sets `busy`
 * under the space lock may drop the lock and do system calls on the window;
 * everybody else who needs it sets `waiters` and goes away.
 */
#ifndef SW_PAGETABLE_H
#define SW_PAGETABLE_H

#include "base/base.h"
#include "swap/swap.h"

#define SW_LEAF_PAGES   512u
#define SW_LEAF_BYTES   (SW_LEAF_PAGES * SW_PAGE_SIZE)
#define SW_WINDOW_PAGES 64u
#define SW_WINDOW_BYTES (SW_WINDOW_PAGES * SW_PAGE_SIZE)
#define SW_LEAF_WINDOWS (SW_LEAF_PAGES / SW_WINDOW_PAGES)
#define SW_ADDR_END     (1ull << 47) /* no page is at or above it */

enum sw_word_kind {
	SW_WORD_NONE = 0,
	SW_WORD_PRESENT = 1,
	SW_WORD_SWAP = 2,
	SW_WORD_POISON = 3,
};

#define SW_WORD_KIND   3ull
#define SW_WORD_WP     (1ull << 2) /* a first write will be reported */
#define SW_WORD_CLEAN  (1ull << 3) /* the slot in the payload has a copy */
#define SW_WORD_SHARED (1ull << 4) /* fork left the frame shared: share.c */
#define SW_WORD_HOT    (3ull << 5) /* how hot, 0..3: clock.c */
#define SW_WORD_HOT_1  (1ull << 5)
#define SW_WORD_PIN    (1ull << 7) /* never take it out */
/* Of a PRESENT word without CLEAN: its history here began with zeros, or with
 * a look at the page table. Should the program's own zap of the page pass us
 * by, then zeros are what it reads. */
#define SW_WORD_ZEROED      (1ull << 8)
#define SW_WORD_SHARE_SHIFT 9
#define SW_WORD_NEXT_SLOT   (1ull << 8) /* what a SWAP word has more then */

static inline enum sw_word_kind sw_word_kind(uint64_t w)
{
	return w & SW_WORD_KIND;
}

static inline swp_entry_t sw_word_entry(uint64_t w)
{
	return swp_entry(w >> 59, (w >> 8) & ((1ull << 51) - 1));
}

static inline uint64_t sw_entry_bits(swp_entry_t e)
{
	return ((uint64_t)swp_type(e) << 59) | (swp_offset(e) << 8);
}

static inline bool sw_words_are_none(const uint64_t *word, unsigned nr)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < nr; i++)
		any |= word[i];
	return !any;
}

static inline uint64_t sw_word_swap(swp_entry_t e)
{
	return sw_entry_bits(e) | SW_WORD_SWAP;
}

/* A PRESENT word whose page is the program's alone, to be written freely. */
static inline uint64_t sw_word_unshared(uint64_t w)
{
	if (w & SW_WORD_SHARED)
		w &= (1ull << SW_WORD_SHARE_SHIFT) - 1;
	return w & ~(SW_WORD_WP | SW_WORD_SHARED);
}

struct sw_window {
	uint8_t present;     /* PRESENT words, 0..64 */
	uint32_t removed_ms; /* when the program last gave pages of it away */
	uint32_t rest_ms;    /* sweeps skip it until then; 0: they do not */
	uint8_t refusals;    /* tries in a row in which nothing of it moved */
	bool refused;        /* the batch in flight met a page that stays */
	bool busy;
	bool waiters;   /* a fault met `busy`: wake the range afterwards */
	bool all_wp;    /* every present page was armed and still is: fork.c */
	bool unsharing; /* the agent writes to its pages: evict.c, */
	bool touched;   /* has done so, and nothing of it was tried since */
};

struct sw_leaf {
	uint64_t word[SW_LEAF_PAGES];
	struct sw_window win[SW_LEAF_WINDOWS];
	uint64_t base; /* [const] address of page 0 */
	/* It went out as a huge page, and nothing has been mapped here since:
	 * it could come back as one. */
	bool was_huge;
};

struct sw_pagetable {
	void **top; /* NULL until something is touched */
	uint64_t nr_leaves;
};

static inline unsigned sw_leaf_index(uint64_t addr)
{
	return (addr / SW_PAGE_SIZE) % SW_LEAF_PAGES;
}

static inline uint64_t sw_leaf_addr(const struct sw_leaf *leaf, unsigned i)
{
	return leaf->base + i * SW_PAGE_SIZE;
}

/* The leaf that covers `addr`, or NULL. */
struct sw_leaf *sw_pt_lookup(const struct sw_pagetable *pt, uint64_t addr);
/* The same, made when it is missing; NULL: out of memory. */
struct sw_leaf *sw_pt_get(struct sw_pagetable *pt, uint64_t addr);
/* The first leaf at or after `addr`, or NULL. */
struct sw_leaf *sw_pt_next(const struct sw_pagetable *pt, uint64_t addr);
/* The last leaf that begins at or before `addr`, or NULL. */
struct sw_leaf *sw_pt_prev(const struct sw_pagetable *pt, uint64_t addr);
/* Frees the leaf of `addr`, whose words are all NONE and windows idle. */
void sw_pt_drop(struct sw_pagetable *pt, uint64_t addr);
void sw_pt_release(struct sw_pagetable *pt);

#endif
