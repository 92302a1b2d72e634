/*
 * evict.h - what mm_internal.h needs of those that take pages out of programs:
 * prepare.c (where to), evict.c (a batch) and huge_out.c (a huge page).
 */
#ifndef SW_MM_EVICT_H
#define SW_MM_EVICT_H

#include "mm/pagetable.h"
#include "mmu/mmu.h"

struct sw_mm;
struct sw_space;

/* ---- prepare.c, evict.c ---- */

/* Pages of prepared folios, but for those of a huge page. */
#define SW_PREPARED SW_STAGE_PAGES
#define SW_READY    (SW_PREPARED + SW_HUGE_PAGES)

/* A folio has 1, 4, 8, ... or all pages of a window; or of a huge page, down to
 * what is a window again. */
#define SW_ORDER_MIN   2
#define SW_ORDER_BLOCK 6u
#define SW_ORDER_HUGE  9u
#define SW_ORDERS      10

/* Of what gets a second chance it must be so many at a time, or such pieces are
 * too large a unit for the budget. */
#define SW_MIN_PIECES 4u

struct sw_evict_place {
	struct sw_leaf *leaf;
	unsigned i; /* page in the leaf */
};

struct sw_evictor { /* [thread: reclaim] */
	/* Prepared folios by their order, from next[] on: prepare.c. */
	struct folio *ready[SW_ORDERS][SW_READY];
	unsigned nr_folios[SW_ORDERS], next[SW_ORDERS];
	unsigned nr_ready; /* pages of all, */
	unsigned single;   /* of which so many should be alone */
	struct folio *spare[2 * SW_READY]; /* descriptors for splitting */
	unsigned nr_spare;
	unsigned deferred, order; /* blocks that begin with this order */

	/* The batch being built or run. */
	unsigned nr_runs, nr_windows, nr_pages;
	struct sw_agent_run run[SW_MMU_MAX_RUNS];
	struct sw_evict_place at[SW_MMU_MAX_RUNS];     /* start of each run */
	struct sw_evict_place window[SW_MMU_MAX_RUNS]; /* taken for it */
	struct folio *clean[SW_MMU_BATCH]; /* by staging page, or NULL */
	struct folio *dirty[SW_MMU_BATCH]; /* same: of the prepared ones */
	uint16_t part[SW_MMU_BATCH];       /* which page of that */
	bool plain[SW_MMU_BATCH];   /* present by its word, and not clean */
	uint8_t page[SW_MMU_BATCH]; /* enum sw_agent_page */
	unsigned taken;             /* pages that are out */
	bool lost; /* what is dirty among them could not be read */
	struct sw_agent_run busy[SW_MMU_MAX_RUNS]; /* shared by fork */
	unsigned nr_busy;

	/* huge_out.c: a leaf that all of may go, 0: none; whether it is known
	 * what it is; and that it is a huge page and prepared for. */
	uint64_t leaf;
	bool leaf_known, leaf_is_huge;
};

/* A folio in slots of its own, prepared as those of ev->ready are; its data may
 * come later. NULL: there are no slots, or no memory. */
struct folio *sw_folio_prepare(struct sw_mm *mm, unsigned order, void *data);
/* Fills ev->ready; false when there are not slots and buffers enough for one
 * window. */
bool sw_evict_prepare(struct sw_mm *mm, struct sw_evictor *ev);
void sw_evict_unprepare(struct sw_evictor *ev);
/* The same for a huge page besides; false when it had better go in pieces. */
bool sw_evict_prepare_huge(struct sw_mm *mm, struct sw_evictor *ev);
/* The next prepared folio of an order, or NULL: take smaller ones. There is
 * one of order 0 for each page in ev->nr_ready. */
struct folio *sw_ready_next(struct sw_evictor *ev, unsigned order);
/* Those that were given since the last call are used, or are as before. */
void sw_ready_consume(struct sw_evictor *ev, bool used);
/* Puts `nr` new folios, all of one order, in the place of one that is locked
 * and cached; they come locked and have its data. */
void sw_folio_split(struct folio *old, struct folio *const *part, unsigned nr);
/* Space lock held: adds pages [i, i + nr) of a leaf, inside one taken window,
 * to the batch. */
void sw_evict_add(struct sw_space *space, struct sw_evictor *ev,
		  struct sw_leaf *leaf, unsigned i, unsigned nr);
/* Is the window left alone for a time, since the kernel would not move it?
 * Space lock held. */
bool sw_window_rests(struct sw_window *win, uint32_t now_ms);
/* Takes the batch out of the program; returns the pages taken. */
unsigned sw_evict_run(struct sw_space *space, struct sw_evictor *ev,
		      uint64_t epoch);

/* ---- huge_out.c ---- */

/* What the clock is to do with a leaf that lies ahead as a whole. */
enum sw_leaf_way {
	SW_LEAF_APART, /* its windows one by one */
	SW_LEAF_LATER, /* nothing: it goes with the next batch, or is to be
			* asked about */
	SW_LEAF_WHOLE, /* nothing: it is the batch */
};

/* Space lock held. */
enum sw_leaf_way sw_huge_pick(struct sw_space *space, struct sw_evictor *ev,
			      struct sw_leaf *leaf);
/* Finds out what the leaf is that the clock came to, if it did. True: the clock
 * may go on with this batch. No lock held. */
bool sw_huge_ask(struct sw_space *space, struct sw_evictor *ev);
/* The batch is committed, its windows are still ours. */
void sw_huge_out(struct sw_space *space, struct sw_evictor *ev);

#endif
