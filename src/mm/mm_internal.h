/*
 * mm_internal.h - the structs and the calls between the files of this room;
 * those of pages on their way out are in evict.h and staging.h. The files, from
 * the fault down: client.c (what the MMU calls), space.c (words, windows,
 * regions), layout.c (layout events), owed.c (unmaps that come late), forget.c
 * (and those that never come), fork.c, share.c (frames of several words),
 * fault.c and write_fault.c (into the program), lost.c (or not: nobody has the
 * bytes), stream.c (how many at once), batch.c (which ones), advise.c (what the
 * program says), swapin.c (from slot to bytes), handover.c (once for two),
 * huge_in.c (huge pages back in), clean.c (does the slot stay), reclaim.c (when
 * pages go), clock.c (which), prepare.c (where to), evict.c (out of the
 * program), huge_out.c (huge pages out), staging.c (second chance), writeout.c
 * (then into a store), store_io.c (how stores are called), budget.c (how much),
 * write_error.c and late.c (devices that fail, or do not answer), unuse.c (off a
 * device that goes), freeze.c (all of it, to stay out) and image.c; steer.c (less
 * memory now, or another budget), quiet.c and dump.c (for who looks for
 * defects); stall.c (how long faults take); inside.c (for programs in the same
 * process).
 *
 * Lock order: folio > space > (the swap layer's own) > pools. A folio is
 * locked before the space; under the space lock only trylock is allowed, on
 * folios whose holder cannot be waiting for this space.
 */
#ifndef SW_MM_INTERNAL_H
#define SW_MM_INTERNAL_H

#include <pthread.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/lock.h"
#include "mm/evict.h"
#include "mm/freeze.h"
#include "mm/mm.h"
#include "mm/pagetable.h"
#include "mm/staging.h"
#include "mm/stall.h"
#include "mm/steer.h"
#include "mm/stream.h"

/* ---- budget.c: pages, all fields atomic ---- */
struct sw_budget {
	int64_t limit;
	int64_t low, high; /* free pages: wake reclaim, stop it */
	int64_t resident;  /* PRESENT words of all spaces */
	int64_t shared;    /* of these: counted too often (share.c) */
	int64_t staged;    /* pages in our buffers */
	int64_t unmanaged; /* the rest, by measurement; may be negative */
	int64_t peak;
	const struct sw_mm_held *held; /* [const] or NULL */
};

/* ---- owed.c ---- */
#define SW_OWED_MAX 64

struct sw_region {
	uint64_t start, end;
};

struct sw_owed {                             /* space lock */
	struct sw_region due[SW_OWED_MAX];   /* unmaps that hit nobody */
	struct sw_region left[SW_OWED_MAX];  /* moved away, not yet unmapped */
	struct sw_region doubt[SW_OWED_MAX]; /* an unmap was taken for due */
	unsigned nr_due, nr_left, nr_doubt;
	bool asks; /* [thread: events] nr_doubt may be above 0 */
};

/* A remap left the range; a remap came to it; a region was replaced by it;
 * the range is unmapped. */
void sw_owed_left(struct sw_owed *o, uint64_t start, uint64_t end);
void sw_owed_moved_in(struct sw_owed *o, uint64_t start, uint64_t end);
void sw_owed_replaced(struct sw_owed *o, uint64_t start, uint64_t end);
void sw_owed_settle(struct sw_owed *o, uint64_t start, uint64_t end);
/* A debt, or a part of one, that an unmap of the range pays: *hit is not to be
 * touched. What is left of the debt is still to come. */
bool sw_owed_take(struct sw_owed *o, uint64_t start, uint64_t end,
		  struct sw_region *hit);
/* Nothing of the range is to come any more. */
void sw_owed_none(struct sw_owed *o, uint64_t start, uint64_t end);
/* Is anything of the range to come, or in doubt? Or the latter alone? */
bool sw_owed_has(const struct sw_owed *o, uint64_t start, uint64_t end);
bool sw_owed_doubts(const struct sw_owed *o, uint64_t start, uint64_t end);
void sw_owed_undoubt(struct sw_owed *o, uint64_t start, uint64_t end);
/* Where the next range after `addr` begins that has a debt; UINT64_MAX: none. */
uint64_t sw_owed_next(const struct sw_owed *o, uint64_t addr);
/* A child is in doubt about what its parent is. */
void sw_owed_inherit(struct sw_owed *child, const struct sw_owed *parent);

/* ---- forget.c ---- */

/* Asks the kernel about what is in doubt; true: not now, ask again. For the
 * thread that reads the space's events. Space lock held. */
bool sw_space_resolve(struct sw_space *space);

/* ---- advise.c ---- */
#define SW_ADVISED_MAX 32

struct sw_advised {
	uint64_t start, end; /* what is left of it */
	enum sw_advice advice;
};

/* Oldest first; when it is full the oldest is forgotten. */
struct sw_advised_list {
	struct sw_advised at[SW_ADVISED_MAX];
	unsigned nr;
};

struct sw_advice_book {
	struct sw_advised_list todo;    /* [thread: events] */
	struct sw_advised_list out;     /* space lock: what shall go */
	unsigned waiting[SW_NR_ADVICE]; /* [atomic] of these, by kind */
};

/* ---- space.c ---- */

struct sw_space {
	struct sw_mm *mm;    /* [const] */
	struct sw_mmu *mmu;  /* [const] after sw_space_set_mmu() */
	struct sw_list node; /* mm->spaces_lock */
	uint64_t born;       /* [const] once attached: ascends along the list */
	unsigned users;      /* mm->spaces_lock: somebody is at work on it */
	uint64_t hand;       /* [atomic] reclaim goes on below this address */
	uint64_t asked; /* [thread: reclaim] the hand may go down to here */

	struct sw_mutex lock; /* SW_RANK_SPACE: all below */
	pthread_cond_t idle;  /* a window's busy bit was cleared */
	struct sw_pagetable pt;
	struct sw_region *region; /* ascending, disjoint, not touching */
	unsigned nr_regions, max_regions;
	uint64_t resident;   /* [atomic] PRESENT words */
	uint64_t swapped;    /* [atomic] SWAP words */
	uint64_t faults;     /* [atomic] handed to us; same thread as late_ns */
	struct sw_owed owed; /* unmaps that come out of order */
	struct sw_advice_book advice;
	uint64_t again_addr; /* page that faults although present, */
	int again_tid;       /* for this thread, */
	unsigned again;      /* and how often since it was mapped */
	bool event_waits;    /* an event waits for busy windows */
	uint64_t arm_next;   /* [thread: events] fork.c; SW_ARMED: done */

	struct sw_streams streams; /* [thread: events of the space] */
	struct sw_streams wp_streams;
	uint64_t late_ns; /* when late.c tries again; 0: nobody waits */
	char *fault_buf;  /* SW_WINDOW_PAGES pages, same thread */
	struct sw_stall stall;
};

static inline struct sw_window *sw_window_of(struct sw_leaf *leaf, unsigned i)
{
	return &leaf->win[i / SW_WINDOW_PAGES];
}

/* Every change of a word goes through here or, many at once, sw_words_fill()
 * and sw_words_zap(), so that the counts of present pages stay true. Space lock
 * held. */
void sw_word_set(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		 uint64_t word);

/* Space lock held: takes the window for exclusive work, gives it back and
 * wakes whoever met it. */
void sw_window_take(struct sw_leaf *leaf, unsigned i);
void sw_window_give(struct sw_space *space, struct sw_leaf *leaf, unsigned i);
/* A fault is left unanswered until the window is given back, or thawed. Space
 * lock held. */
void sw_window_await(struct sw_space *space, struct sw_window *win);

/* For `nr` words of one window that are NONE and come to be all at once, with
 * what they own. Space lock held. */
void sw_words_fill(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		   const uint64_t *word, unsigned nr);

/* Forgets what `nr` words of one window own (counts of slots, clean copies)
 * and makes them NONE. Space lock held; the window is idle or the caller's. */
void sw_words_zap(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		  unsigned nr);

/* How many words from the first on, `nr` at most, are SWAP and name slots that
 * follow each other; 0: the first is not SWAP. */
unsigned sw_words_swap_run(const uint64_t *word, unsigned nr);

/* The clean copy of a PRESENT page is no longer one: lets go of its slot.
 * Space lock held. */
void sw_clean_forget(struct sw_space *space, struct sw_leaf *leaf, unsigned i);

/* Makes the folio the clean copy of the page at `addr`, or (NULL, 0) nobody's.
 * Folio lock and the lock of the space that gets or had it held. */
void sw_clean_own(struct folio *folio, struct sw_space *space, uint64_t addr);

/* The folio of a CLEAN word, locked and with a reference, or NULL when the
 * slot was taken away since. Space lock held. */
struct folio *sw_clean_folio(struct sw_space *space, uint64_t addr,
			     uint64_t word);

/* The region that holds `addr`, or that page alone when none does. Space lock
 * held. */
struct sw_region sw_space_region(const struct sw_space *space, uint64_t addr);

/* The first region that ends after `addr`. Space lock held for these. */
unsigned sw_region_at(const struct sw_space *space, uint64_t addr);
int sw_region_insert(struct sw_space *space, uint64_t start, uint64_t end);
void sw_region_remove(struct sw_space *space, uint64_t start, uint64_t end);

/* Is any window of the range busy? Waits until none is, while reclaim starts
 * nothing new on the space; gives the space lock up meanwhile. */
bool sw_space_is_busy(struct sw_space *space, uint64_t start, uint64_t end);
void sw_space_wait_idle(struct sw_space *space, uint64_t start, uint64_t end);

/*
 * Goes through all spaces, those that are born meanwhile too: NULL is the
 * beginning and the end. The space is used by the caller until the next call,
 * or until it is put. Several may do so at once.
 */
struct sw_space *sw_spaces_next(struct sw_mm *mm, struct sw_space *last);

/* ---- layout.c, fork.c ---- */

/* Zaps every word of the range, whose windows are idle; with `drop_leaves`
 * frees leaves that lie in it. Space lock held. */
void sw_space_zap(struct sw_space *space, uint64_t start, uint64_t end,
		  bool drop_leaves);

/* Up-calls; see struct sw_mmu_client. */
#define SW_ARMED UINT64_MAX
bool sw_space_settle(void *space);
void sw_space_forking(void *space);
void sw_space_fork(void *space, int fd);
void sw_space_remap(void *space, uint64_t from, uint64_t to, uint64_t len);
void sw_space_remove(void *space, uint64_t start, uint64_t end);
void sw_space_unmap(void *space, uint64_t start, uint64_t end);

/* ---- share.c: all atomic ---- */
struct sw_shares {
	struct sw_mutex lock; /* SW_RANK_POOL */
	uint32_t *count;      /* [const] words that name a frame; 0 is none */
	uint32_t free;        /* lock: first free counter */
	uint32_t touched;     /* lock: highest counter ever used */
};

int sw_shares_init(struct sw_mm *mm);
void sw_shares_release(struct sw_mm *mm);
/* One word more for the frame of each PRESENT word of `nr`, none of which has a
 * clean copy: each is SHARED then, unless counters ran out. Others stay. */
void sw_share(struct sw_mm *mm, uint64_t *word, unsigned nr);
/* The SHARED ones of `nr` words are no more: a frame has one word less. */
void sw_unshare(struct sw_mm *mm, const uint64_t *word, unsigned nr);
/* Would a write to the page make a copy? */
bool sw_is_shared(struct sw_mm *mm, uint64_t word);

/* ---- fault.c, swapin.c ---- */
void sw_fault(void *space, uint64_t addr, unsigned flags, int tid);
/* Brings page i of a leaf, which is out and whose window is idle, and what is
 * out behind it in the window, `max` pages at most; or fewer. For the thread
 * that reads the space's events. Space lock held, given up meanwhile. */
unsigned sw_swapin_ahead(struct sw_space *space, struct sw_leaf *leaf,
			 unsigned i, unsigned max);

enum sw_source {
	SW_FROM_STAGED = 1, /* its bytes were still in our buffers */
	SW_FROM_STORE,
	SW_FROM_ZERO, /* the slot is marked zero */
};

struct sw_swapin {
	struct folio *folio; /* locked, in the cache, with a reference */
	enum sw_source source;
	uint64_t shadow; /* what its slot remembered, or 0 */
	uint16_t page;   /* of the folio */
	bool more;       /* the next one has the same folio, and settles it */
};

/*
 * Brings the pages of the batch behind their entries to `buf`. `wait`: may
 * sleep on the folio lock of the first. Returns how many came, which are done,
 * undone or kept in their order; *err says why there are not more: 0, -EAGAIN,
 * -EIO (lost), -EINPROGRESS (the device does not answer yet), -ENOMEM. No lock
 * held but folios'.
 */
unsigned sw_swapin_get(const struct sw_batch *b, const swp_entry_t *entry,
		       bool wait, char *buf, struct sw_swapin *in, int *err);

/* True for a folio that is in the cache only because somebody reads it. */
static inline bool sw_folio_is_passing(const struct folio *folio)
{
	return !folio->data &&
	       !folio_test(folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK);
}

/* Splits what was read as large folios, to be kept page by page. Returns a mask
 * of the pages for which there is no memory. */
uint64_t sw_swapin_split(struct sw_swapin *in, unsigned nr);
/* Reads the slots of a folio that the caller has put into the cache. 0 or
 * -errno. */
int sw_swapin_read(struct folio *folio, bool zero, void *buf);
/* The page was not mapped after all. */
void sw_swapin_undo(struct sw_swapin *in);
/* The page is mapped and its word no longer names the slot: one count less,
 * and the slot goes unless somebody else needs it. */
void sw_swapin_done(struct sw_mm *mm, struct sw_swapin *in);
/* The page is mapped write-protected and its slot stays as a clean copy. */
void sw_swapin_keep(struct sw_space *space, uint64_t addr,
		    struct sw_swapin *in);

/* ---- clean.c ---- */

void sw_clean_init(struct sw_mm *mm);
/* A page went out that had a clean copy. */
void sw_clean_paid(struct sw_mm *mm);

/* ---- handover.c ---- */

/* Does another space wait for a page that was read here? */
bool sw_swapin_is_awaited(const struct sw_swapin *in, unsigned nr);
/* The pages of the batch, from the store to `buf`, stay in the cache with their
 * bytes if somebody waits for one of them and there is room. Not settled yet.
 * No lock held but folios'. */
void sw_swapin_leave(struct sw_mm *mm, const struct sw_batch *b,
		     struct sw_swapin *in, const char *buf);

/* ---- lost.c ---- */

/* Nobody has the page's bytes: whoever touches it shall know. Space lock held; its
 * window is idle, or the caller's. */
void sw_word_lost(struct sw_space *space, struct sw_leaf *leaf, unsigned i);

/* ---- late.c: [thread: events] ---- */

/* A fault was left unanswered. */
void sw_late_add(struct sw_space *space);
/* Has those tried again whose time has come; returns the time until then, or 0:
 * there are none. Without the lock. */
uint64_t sw_late_retry(struct sw_space *space);

/* ---- huge_in.c ---- */

/* Brings a leaf as one huge page, as far as it can be had; false: not even page
 * i came. For the thread that reads events. Space lock held, given up
 * meanwhile. */
bool sw_huge_in(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		enum sw_source *source);
/* Did all of it go out as a huge page, and is it as it was then? Space lock
 * held. */
bool sw_leaf_was_huge(struct sw_space *space, const struct sw_leaf *leaf);

/* ---- advise.c ---- */

/* See struct sw_mmu_client. */
void sw_space_advise(void *space, uint64_t start, uint64_t end,
		     enum sw_advice advice);

/* Goes on with what the program advised; true: there is more. For the thread
 * that reads the space's events, without the lock. */
bool sw_advice_heed(struct sw_space *space);
/* The range is no longer what the advice was for. Same thread, space lock
 * held. */
void sw_advice_forget(struct sw_space *space, uint64_t start, uint64_t end);
/* For reclaim: is there a range that shall go, even though there is room?
 * Or else that may go before others. */
bool sw_advice_waits(struct sw_space *space, bool now);
/* Builds a batch from the next such range. Space lock held. */
void sw_advice_pick(struct sw_space *space, struct sw_evictor *ev, bool now);
/* Once more with what the batch could take only after it was unshared. Same. */
void sw_advice_again(struct sw_space *space, const struct sw_evictor *ev);

/* ---- reclaim.c ---- */
struct sw_mm {
	const struct sw_mm_host *host; /* [const] */
	const struct sw_heat *heat;    /* [const] or NULL */
	uint32_t devices;              /* [const] its own, by type */
	uint32_t to_drain;             /* [atomic] failed ones, by type */
	bool said_budget; /* [atomic] SW_MM_BUDGET_REACHED was told */
	struct sw_budget budget;
	struct sw_staging staging;
	struct sw_shares shares;
	uint64_t evictions;    /* [atomic] clock of the shadows */
	int64_t clean_worth;   /* [atomic] of clean copies: clean.c */
	unsigned clean_sample; /* [atomic] same */

	struct sw_mutex lock; /* SW_RANK_SESSION */
	pthread_cond_t wake;  /* reclaim: there is work */
	pthread_cond_t room;  /* faults: pages came free */
	bool stop;            /* lock */
	unsigned nr_waiting;  /* [atomic] faults that wait for room */
	bool stuck;           /* [atomic] reclaim can free nothing right now */
	bool full;            /* [atomic] no slot left */
	bool unprepare; /* [atomic] reclaim is to give up what it prepared */
	bool started;
	pthread_t thread;

	struct sw_mutex spaces_lock; /* SW_RANK_SPACES */
	pthread_cond_t unused;       /* a space's users fell to 0 */
	struct sw_list spaces;       /* spaces_lock: in order of birth */
	uint64_t births;             /* spaces_lock: so far */
	uint64_t generation;         /* [atomic] of that list */
	uint64_t took;        /* [thread: reclaim] pages, in this round */
	unsigned take_shared; /* same: batches that may take them */
	uint64_t sweep;       /* same: rounds so far */
	bool impatient;       /* same: the last one took nothing */
	bool heat_known;      /* [atomic] mm->heat had an answer lately */
	uint64_t met, spared; /* [atomic] pages under the hands, and the hot */
	struct sw_evictor ev;
	struct sw_freeze freeze;
	struct sw_wanted wanted;
	bool quiet; /* [atomic] nobody begins with a space: quiet.c */
	struct sw_stalls stalls;
};

/* ---- quiet.c ---- */

/* With the space lock held: gives it up until nobody wants it to be quiet. */
void sw_quiet_wait(struct sw_space *space) SW_REQUIRES(&space->lock);

static inline void sw_space_lock(struct sw_space *s) SW_ACQUIRES(&s->lock)
{
	sw_mutex_lock(&s->lock);
	if (sw_unlikely(__atomic_load_n(&s->mm->quiet, __ATOMIC_RELAXED)))
		sw_quiet_wait(s);
}

static inline void sw_space_unlock(struct sw_space *s) SW_RELEASES(&s->lock)
{
	sw_mutex_unlock(&s->lock);
}

/* Faults are held: freeze.c. */
static inline bool sw_freeze_is_on(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->freeze.state, __ATOMIC_RELAXED) !=
	       SW_THAWED;
}

/* Reclaim is to rest. */
static inline bool sw_freeze_parks(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->freeze.park, __ATOMIC_RELAXED);
}

void sw_reclaim_wake(struct sw_mm *mm);

static inline void sw_happened(struct sw_mm *mm, enum sw_mm_event event)
{
	if (mm->host && mm->host->happened)
		mm->host->happened(mm->host->arg, event);
}

/* Pages worth a second chance. */
static inline uint64_t sw_staging_target(const struct sw_mm *mm)
{
	return __atomic_load_n(&mm->staging.target, __ATOMIC_RELAXED);
}

static inline bool sw_heat_is_known(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->heat_known, __ATOMIC_RELAXED);
}

/* ---- clock.c ---- */
#define SW_HAND_TOP UINT64_MAX /* a space's hand where it begins, */
#define SW_SWEPT    0ull       /* and at its end */

static inline uint64_t sw_hand(const struct sw_space *space)
{
	return __atomic_load_n(&space->hand, __ATOMIC_RELAXED);
}

static inline void sw_hand_set(struct sw_space *space, uint64_t addr)
{
	__atomic_store_n(&space->hand, addr, __ATOMIC_RELAXED);
}

/* A new space joins the sweep where it is. mm->spaces_lock held. */
void sw_hand_join(struct sw_space *space);
/* The space to go on with, used by the caller until it is put. NULL: there is
 * none. */
struct sw_space *sw_hand_get(struct sw_mm *mm);
/* The next space with advice of its program (sw_advice_waits()), used by the
 * caller until it is put. NULL: there is none. */
struct sw_space *sw_advised_get(struct sw_mm *mm, bool now);
/* Gives the space back. Returns true when all are swept: all begin again. */
bool sw_hand_put(struct sw_mm *mm, struct sw_space *space);
/* Makes hot what was touched of the pages that the hand meets next. No lock
 * held. */
void sw_clock_ask(struct sw_space *space);
/* Builds a batch from below `hand`; returns where the hand is then. Space lock
 * held. */
uint64_t sw_clock_pick(struct sw_space *space, struct sw_evictor *ev,
		       uint64_t hand);

/* The same from [start, end) downwards, whatever the hand does: returns the end
 * of what is left of it. */
uint64_t sw_clock_pick_range(struct sw_space *space, struct sw_evictor *ev,
			     uint64_t start, uint64_t end);

/* Pages that went out since one did that has come back by the store. 0: nobody
 * knows. */
uint64_t sw_refault_distance(struct sw_mm *mm, uint64_t shadow);
/* How hot a page is that came back alone: its SW_WORD_HOT. */
unsigned sw_clock_heat(struct sw_mm *mm, const struct sw_swapin *in);
uint64_t sw_make_shadow(struct sw_mm *mm);

/* ---- reclaim.c ---- */

/* Makes reclaim give back slots in which nothing is yet, and tells when it has. */
void sw_reclaim_unprepare(struct sw_mm *mm);
bool sw_reclaim_is_unprepared(struct sw_mm *mm);
/* Less than an eighth of its swap is free. */
bool sw_slots_are_scarce(struct sw_mm *mm);
/* Takes one batch out of the space that is next; true when pages went. For
 * tests, whose reclaim thread was never started. */
bool sw_reclaim_evict(struct sw_mm *mm);
/* Likewise: one batch of what programs want to be gone. */
bool sw_reclaim_advised(struct sw_mm *mm);
/* Likewise: what that thread does when it is woken. */
void sw_reclaim_balance(struct sw_mm *mm);
/* For whoever reclaim rests for (freeze.c): a step towards all being out, and
 * written; `rounds` begins with 0. False: nothing more can be done. */
bool sw_reclaim_progress(struct sw_mm *mm, unsigned *rounds);

/* Pages came free (or never will): faults that wait have a look. */
static inline void sw_room_wake(struct sw_mm *mm)
{
	if (__atomic_load_n(&mm->nr_waiting, __ATOMIC_ACQUIRE))
		pthread_cond_broadcast(&mm->room);
}

/* ---- budget.c ---- */
void sw_budget_init(struct sw_budget *b, const struct sw_mm_config *config);
void sw_budget_set(struct sw_budget *b, uint64_t limit);
/* Asks those who hold memory to free what reclaim cannot. */
void sw_budget_shrink(struct sw_budget *b);
int64_t sw_budget_used(struct sw_budget *b);

static inline int64_t sw_budget_limit(const struct sw_budget *b)
{
	return __atomic_load_n(&b->limit, __ATOMIC_RELAXED);
}

static inline int64_t sw_budget_low(const struct sw_budget *b)
{
	return __atomic_load_n(&b->low, __ATOMIC_RELAXED);
}

static inline int64_t sw_budget_high(const struct sw_budget *b)
{
	return __atomic_load_n(&b->high, __ATOMIC_RELAXED);
}

static inline int64_t sw_budget_free(struct sw_budget *b)
{
	return sw_budget_limit(b) - sw_budget_used(b);
}

/*
 * Room for `nr` more pages, or fewer: at least 1. Wakes reclaim when free
 * pages are low and waits, for a bounded time, when there are none. No lock
 * held.
 */
unsigned sw_budget_reserve(struct sw_mm *mm, unsigned nr);
/* The same for all of them or none. */
bool sw_budget_reserve_all(struct sw_mm *mm, unsigned nr);

static inline void sw_budget_add(int64_t *what, int64_t nr)
{
	__atomic_fetch_add(what, nr, __ATOMIC_RELAXED);
}

#endif
