/*
 * staging.h - what mm_internal.h needs of the pages that are out and still in
 * our memory: staging.c (their buffers, and the second chance), writeout.c and
 * store_io.c (how they come to their stores), and write_error.c (those a store
 * refuses).
 */
#ifndef SW_MM_STAGING_H
#define SW_MM_STAGING_H

#include "base/list.h"
#include "base/lock.h"
#include "mm/pagetable.h"

struct sw_mm;

/* ---- staging.c ---- */
#define SW_BLOCK_PAGES SW_WINDOW_PAGES

/* Buffers of `pages` pages each. */
struct sw_bufs {
	char *arena;       /* [const] reserved address space */
	uint64_t nr;       /* [const] */
	unsigned pages;    /* [const] */
	unsigned warm_max; /* [const] free buffers that keep their memory */
	uint64_t used;     /* lock: buffers ever handed out */
	uint64_t nr_warm;  /* lock: free ones with memory behind them, */
	uint64_t nr_cold;  /* lock: and without */
	uint32_t *free;    /* lock: from the front the warm, from the back the
			    * cold ones */
	uint16_t *in_use;  /* lock: pages of each that are in use */
};

struct sw_staging {
	struct sw_mutex lock; /* SW_RANK_POOL */
	struct sw_list lru;   /* lock: staged folios, oldest first */
	uint64_t nr;          /* lock: their pages */
	struct sw_list kept;  /* lock: SW_FOLIO_KEPT, write_error.c */
	uint64_t nr_kept;     /* lock: their pages */
	struct sw_bufs single;
	struct sw_bufs block; /* of SW_BLOCK_PAGES, for large folios */
	struct sw_bufs huge;  /* of SW_HUGE_PAGES */
	uint64_t target;      /* [atomic] pages worth a second chance */
};

int sw_staging_init(struct sw_mm *mm);
void sw_staging_release(struct sw_mm *mm);
/* Follows the budget. */
void sw_staging_retarget(struct sw_mm *mm);
/* A buffer of one page, of SW_BLOCK_PAGES, or of SW_HUGE_PAGES; or NULL. */
void *sw_buf_get(struct sw_mm *mm);
void *sw_buf_get_block(struct sw_mm *mm);
void *sw_buf_get_huge(struct sw_mm *mm);
/* Pages of one buffer are given back, not all of them at once perhaps. */
void sw_buf_put(struct sw_mm *mm, void *buf, unsigned pages);
void sw_staging_add(struct sw_mm *mm, struct folio *folio);
uint64_t sw_staging_nr(struct sw_mm *mm);
/* The oldest staged folio, off the list, with a reference; or NULL. */
struct folio *sw_staging_take(struct sw_mm *mm);
/* The same, if it is soon written: no larger than a block, to memory. */
struct folio *sw_staging_take_direct(struct sw_mm *mm);

/* ---- store_io.c ---- */

/* Writes or reads all of `io`, which comes back in the order of entries with an
 * error for each. */
void sw_store_io(bool write, struct swap_io *io, unsigned nr);
/* Does it take the store of the entry less time to do many at once? */
bool sw_store_batches(swp_entry_t entry);
/* Are its bytes kept in memory, so that nobody waits for a device? */
bool sw_store_is_memory(swp_entry_t entry);
/* Writes to slots that nobody else writes to; 0 or what the store says. No lock
 * held. */
int sw_slots_write(swp_entry_t entry, unsigned nr, const void *data);

/* ---- writeout.c ---- */
bool sw_page_is_zero(const void *page);
/* Writes the oldest `nr` staged pages, and what is in a folio or goes well in a
 * batch with them, to their stores; returns how many buffers came free. No lock
 * held. */
unsigned sw_staging_write(struct sw_mm *mm, unsigned nr);
/* Writes the oldest staged folio, if that takes no longer than to wait for
 * reclaim to do so; returns how many pages it had. No lock held. */
unsigned sw_staging_write_direct(struct sw_mm *mm);

/* ---- write_error.c ---- */

/* Is it no fault of the device's, and worth another try? */
bool sw_write_works_later(int err);
/* The store refused a staged folio, which is locked and cached. */
void sw_write_refused(struct sw_mm *mm, struct folio *folio, int err);
/* Looks at `nr` kept folios, in turns, and lets go of those without owners. */
void sw_kept_sweep(struct sw_mm *mm, uint64_t nr);
/*
 * After this error of a write to the device: it takes no new pages any more, if
 * the error or the number of them says so, and is to be drained if it answers.
 * For the thread that writes staged pages, between two batches; no lock held.
 */
void sw_device_judge(struct sw_mm *mm, unsigned type, int err);
/* It is not to be drained any more: it is empty, or as empty as it gets. */
void sw_device_drained(struct sw_mm *mm, unsigned type);

#endif
