/*
 * fault.c - what a fault becomes. One function a case, after one look at the
 * page's word under the space lock:
 *
 *   missing, NONE     first touch: zeros              fault_zero()
 *   missing, SWAP     bytes from the cache or store   fault_swapin()
 *   missing, PRESENT  somebody was faster, or a zap   fault_present()
 *   missing, POISON   SIGBUS again                    fault_poison()
 *   write-protect     clean copy, fork-shared page,   fault_wp()
 *                     or one that was only read
 *
 * The window is taken (busy) and the lock dropped for the system calls. Only
 * the thread that reads the space's events runs this, because only it may map
 * pages: a program that saw its MADV_DONTNEED acknowledged must not find the
 * old bytes mapped after its zap. A fault that meets a busy window is not
 * queued: its thread is woken when the window is given back, faults again,
 * and comes here anew.
 *
 * Above: mmu/remote_events.c. Below: swapin.c, budget.c, the mmu.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mm/mm_internal.h"

#define LOST_AFTER 1000 /* faults in a row on a page we call present */

/* Zeros to copy from. */
static const char zeros[SW_WINDOW_BYTES] __attribute__((aligned(4096)));

/* One fault on its way; the window is taken from take() to give(). */
struct fault {
	struct sw_space *space;
	struct sw_leaf *leaf;
	uint64_t addr;
	unsigned i;     /* page in the leaf */
	unsigned flags; /* enum sw_mmu_fault_flags */
};

static void fault_wake(struct fault *f)
{
	f->space->mmu->ops->wake(f->space->mmu, f->addr, 1);
}

/* Pages from f->i to the end of the window or region. */
static unsigned room_in_window(struct fault *f)
{
	unsigned in_window = SW_WINDOW_PAGES - f->i % SW_WINDOW_PAGES;
	uint64_t in_region =
		(sw_space_region_end(f->space, f->addr) - f->addr) /
		SW_PAGE_SIZE;

	return sw_min((uint64_t)in_window, in_region);
}

/* How many of at most `max` pages from f->i on have a word like the first:
 * same bits under `mask`. */
static unsigned run_of(struct fault *f, uint64_t mask, unsigned max)
{
	uint64_t want = f->leaf->word[f->i] & mask;
	unsigned n = 1;

	while (n < max && (f->leaf->word[f->i + n] & mask) == want)
		n++;
	return n;
}

/* Maps nr pages; what could not be mapped for a reason that will pass is left
 * to the next fault. Returns pages mapped or -errno. */
static int map_pages(struct fault *f, const void *pages, unsigned nr,
		     bool protect)
{
	return f->space->mmu->ops->copy(f->space->mmu, f->addr, pages, nr,
					protect);
}

/* ---- lost pages ---- */

static void fault_poison(struct fault *f)
{
	struct sw_mmu *mmu = f->space->mmu;

	sw_count(poisoned, 1);
	if (mmu->ops->poison(mmu, f->addr))
		fault_wake(f);
	sw_space_unlock(f->space);
}

/* Nobody has the page's bytes: its reader shall know. Space lock held, which
 * is given up; the window is idle. */
static void page_is_lost(struct fault *f)
{
	sw_error("page at %#llx of the program is lost: its reader gets SIGBUS",
		 (unsigned long long)f->addr);
	sw_word_zap(f->space, f->leaf, f->i);
	sw_word_set(f->space, f->leaf, f->i, SW_WORD_POISON);
	fault_poison(f);
}

/* ---- first touch ---- */

static void fault_zero(struct fault *f)
{
	struct sw_space *space = f->space;
	unsigned slot;
	unsigned nr = sw_stream_window(&space->streams, f->addr / SW_PAGE_SIZE,
				       &slot);
	int mapped;

	nr = run_of(f, ~0ull, sw_min(nr, room_in_window(f)));
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);

	nr = sw_budget_reserve(space->mm, nr);
	mapped = map_pages(f, zeros, nr, false);

	sw_space_lock(space);
	/* -EEXIST: the page is there, whatever we believed (lazily freed
         * memory that was never reclaimed): it counts from now on. */
	nr = mapped > 0 ? mapped : mapped == -EEXIST;
	for (unsigned k = 0; k < nr; k++)
		sw_word_set(space, f->leaf, f->i + k,
			    SW_WORD_PRESENT | SW_WORD_ZEROED);
	sw_stream_continue(&space->streams, slot, f->addr / SW_PAGE_SIZE + nr);
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (mapped <= 0)
		fault_wake(f);
	sw_count(pgfault_zero, 1);
}

/*
 * A missing page that our word calls present. Nearly always another thread's
 * fault brought it meanwhile, and waking is all there is to do. It may really
 * be gone if the program gave it away between the acknowledgement of its
 * MADV_DONTNEED and the zap itself; that can only be a page that began with
 * zeros or was seen by a scan (a swapped-in one became NONE with the event),
 * and then zeros are what it holds; mapping them changes nothing if the page
 * is there after all. Any other page that stays missing was lost by us.
 */
static void fault_present(struct fault *f)
{
	struct sw_space *space = f->space;
	uint64_t word = f->leaf->word[f->i];
	int mapped = 0;

	if (word & SW_WORD_CLEAN || !(word & SW_WORD_ZEROED)) {
		if (space->again_addr != f->addr)
			space->again = 0;
		space->again_addr = f->addr;
		if (++space->again == LOST_AFTER) {
			page_is_lost(f);
			return;
		}
		sw_space_unlock(space);
		fault_wake(f);
		return;
	}
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);
	mapped = map_pages(f, zeros, 1, false);
	sw_space_lock(space);
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (mapped <= 0)
		fault_wake(f);
}

/* ---- swap-in ---- */

/* Are more clean copies evicted again untouched than written to? */
static bool clean_pays(struct sw_mm *mm)
{
	uint64_t kept = __atomic_load_n(&mm->clean_kept, __ATOMIC_RELAXED);
	uint64_t lost = __atomic_load_n(&mm->clean_lost, __ATOMIC_RELAXED);

	if (kept + lost > 4096) {
		__atomic_store_n(&mm->clean_kept, kept / 2, __ATOMIC_RELAXED);
		__atomic_store_n(&mm->clean_lost, lost / 2, __ATOMIC_RELAXED);
	}
	return kept * 10 + 64 >= lost * 13;
}

/* Clean copies are kept only while they pay, with a sample of pages to notice
 * a change; and never when slots are scarce. */
static bool keep_clean(struct sw_mm *mm)
{
	static __thread unsigned sample;

	/* A kept slot is unowned: when slots get scarce the allocator takes it
	 * back by itself, so the line is drawn late. */
	if (sw_slots_are_scarce())
		return false;
	return clean_pays(mm) || ++sample % 16 == 0;
}

/* The word of a page just mapped from its slot. */
static void swapin_word(struct fault *f, unsigned k, struct sw_swapin *in,
			bool protect, bool keep, bool hot)
{
	struct sw_space *space = f->space;
	uint64_t old = f->leaf->word[f->i + k];
	uint64_t word = SW_WORD_PRESENT | (old & SW_WORD_PIN);

	if (hot)
		word |= 2 * SW_WORD_HOT_1;
	if (protect)
		word |= SW_WORD_WP;
	if (keep)
		word |= SW_WORD_CLEAN | sw_entry_bits(in->folio->swap);
	sw_word_set(space, f->leaf, f->i + k, word);
	if (keep)
		sw_swapin_keep(space, sw_leaf_addr(f->leaf, f->i + k), in);
	else
		sw_swapin_done(space->mm, in);
}

/* The program has the page although its word says it is out (it came from a
 * fork that raced with its eviction): what the program has is newer. */
static void swapin_exists(struct fault *f)
{
	sw_space_lock(f->space);
	sw_word_zap(f->space, f->leaf, f->i);
	sw_word_set(f->space, f->leaf, f->i, SW_WORD_PRESENT);
	sw_window_give(f->space, f->leaf, f->i);
	sw_space_unlock(f->space);
	f->space->mmu->ops->protect(f->space->mmu, f->addr, 1, false);
	fault_wake(f);
}

static void count_swapin(struct sw_swapin *first, unsigned mapped)
{
	if (first->source == SW_FROM_STAGED)
		sw_count(pgfault_staged, 1);
	else if (first->source == SW_FROM_STORE)
		sw_count(pgmajfault, 1);
	sw_count(swap_ra, mapped - 1);
}

static void fault_swapin(struct fault *f)
{
	struct sw_space *space = f->space;
	struct sw_swapin in[SW_WINDOW_PAGES];
	swp_entry_t entry[SW_WINDOW_PAGES];
	unsigned slot, nr, got;
	bool keep, protect;
	int mapped, err = 0;

	nr = sw_stream_window(&space->streams, f->addr / SW_PAGE_SIZE, &slot);
	nr = run_of(f, SW_WORD_KIND, sw_min(nr, room_in_window(f)));
	for (unsigned k = 0; k < nr; k++)
		entry[k] = sw_word_entry(f->leaf->word[f->i + k]);
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);

	nr = sw_budget_reserve(space->mm, nr);
	for (got = 0; got < nr && !err; got += !err)
		err = sw_swapin_get(entry[got], got ? in[0].source : 0, !got,
				    space->fault_buf + got * SW_PAGE_SIZE,
				    &in[got]);
	if (!got) {
		if (err == -EIO) {
			sw_space_lock(space);
			sw_window_give(space, f->leaf, f->i);
			page_is_lost(f);
			return;
		}
		sw_space_lock(space);
		sw_window_give(space, f->leaf, f->i);
		sw_space_unlock(space);
		fault_wake(f);
		return;
	}
	keep = in[0].source == SW_FROM_STORE && !(f->flags & SW_FAULT_WRITE) &&
	       keep_clean(space->mm);
	protect = keep;
	for (unsigned k = 0; k < got && keep; k++)
		if (folio_test(in[k].folio, SW_FOLIO_MAPPED))
			keep = false; /* another space keeps it already */
	mapped = map_pages(f, space->fault_buf, got, protect);
	nr = mapped > 0 ? mapped : 0;
	if (nr)
		count_swapin(&in[0], nr);

	sw_space_lock(space);
	for (unsigned k = 0; k < nr; k++)
		swapin_word(f, k, &in[k], protect, keep,
			    got == 1 &&
				    sw_refault_is_hot(space->mm, in[k].shadow));
	for (unsigned k = nr; k < got; k++)
		sw_swapin_undo(&in[k]);
	sw_stream_continue(&space->streams, slot, f->addr / SW_PAGE_SIZE + nr);
	if (mapped == -EEXIST) {
		sw_space_unlock(space);
		swapin_exists(f);
		return;
	}
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (!nr)
		fault_wake(f);
}

/* ---- writes to protected pages ---- */

/* Lifts the protection of one page's word; the books follow. */
static void unprotect_word(struct sw_space *space, struct sw_leaf *leaf,
			   unsigned i)
{
	if (leaf->word[i] & SW_WORD_CLEAN)
		sw_clean_forget(space, leaf, i);
	/* A frame that was shared is left to the others: a write copies it. */
	sw_word_set(space, leaf, i, sw_word_unshared(leaf->word[i]));
}

/* The books say that nr pages may be written to: now they really may. Gives
 * window and space lock back. After the words: a page that is clean in our
 * books must never be writable. */
static void unprotect_pages(struct fault *f, unsigned nr)
{
	struct sw_space *space = f->space;
	int err;

	sw_window_of(f->leaf, f->i)->all_wp = false;
	err = space->mmu->ops->protect(space->mmu, f->addr, nr, false);
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (err)
		fault_wake(f);
}

/* How many of `nr` pages a write would copy. */
static unsigned nr_shared(struct fault *f, unsigned nr)
{
	unsigned shared = 0;

	for (unsigned k = 0; k < nr; k++)
		shared += sw_is_shared(f->space->mm, f->leaf->word[f->i + k]);
	return shared;
}

/* How many of `nr` pages have a clean copy. */
static unsigned nr_clean(struct fault *f, unsigned nr)
{
	unsigned clean = 0;

	for (unsigned k = 0; k < nr; k++)
		clean += !!(f->leaf->word[f->i + k] & SW_WORD_CLEAN);
	return clean;
}

/* Is the page's protection worth nothing: a fork whose other side has left the
 * frame, or a clean copy while those are written to more often than not? */
static bool is_vain(struct fault *f, unsigned i, bool clean_too)
{
	uint64_t word = f->leaf->word[i];

	return sw_word_kind(word) == SW_WORD_PRESENT && word & SW_WORD_WP &&
	       (clean_too || !(word & SW_WORD_CLEAN)) &&
	       !sw_is_shared(f->space->mm, word);
}

/* A random writer would come back for each page of the window: all around
 * [f->i, f->i + nr) whose protection is worth nothing is lifted with it. The
 * fault begins further down then. Returns the pages. */
static unsigned widen(struct fault *f, unsigned nr)
{
	unsigned first = f->i / SW_WINDOW_PAGES * SW_WINDOW_PAGES;
	unsigned last = first + SW_WINDOW_PAGES - 1, end = f->i + nr - 1;
	bool clean_too = !clean_pays(f->space->mm);

	while (end < last && is_vain(f, end + 1, clean_too))
		end++;
	while (f->i > first && is_vain(f, f->i - 1, clean_too))
		f->i--;
	f->addr = sw_leaf_addr(f->leaf, f->i);
	return end + 1 - f->i;
}

/* A first write to pages that we protected. */
static void fault_wp_ours(struct fault *f)
{
	struct sw_space *space = f->space;
	struct sw_streams *st = &space->wp_streams;
	unsigned slot, copies;
	unsigned nr = sw_stream_window(st, f->addr / SW_PAGE_SIZE, &slot);
	uint64_t next;

	nr = run_of(f, SW_WORD_KIND | SW_WORD_WP,
		    sw_min(nr, room_in_window(f)));
	copies = nr_shared(f, nr);
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);
	if (copies)
		nr = sw_min(nr, sw_budget_reserve(space->mm, copies));
	sw_space_lock(space);
	next = f->addr / SW_PAGE_SIZE + nr;
	sw_stream_continue(st, slot, next);
	__atomic_fetch_add(&space->mm->clean_lost, nr_clean(f, nr),
			   __ATOMIC_RELAXED);
	nr = widen(f, nr);
	for (unsigned k = 0; k < nr; k++)
		unprotect_word(space, f->leaf, f->i + k);
	unprotect_pages(f, nr);
}

/* A first write to a page that was only read, and maps the kernel's zeros
 * (run/maps.c). */
static void fault_wp_read(struct fault *f)
{
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(f->space);
	sw_budget_reserve(f->space->mm, 1);
	sw_space_lock(f->space);
	sw_word_set(f->space, f->leaf, f->i, SW_WORD_PRESENT | SW_WORD_ZEROED);
	unprotect_pages(f, 1);
}

/* Protection that is not in our books: a fork that is being undone, or the
 * page is on its way. */
static void fault_wp_stray(struct fault *f)
{
	sw_window_take(f->leaf, f->i);
	unprotect_pages(f, 1);
}

static void fault_wp(struct fault *f)
{
	uint64_t word = f->leaf->word[f->i];

	if (sw_word_kind(word) == SW_WORD_NONE)
		fault_wp_read(f);
	else if (sw_word_kind(word) == SW_WORD_PRESENT && word & SW_WORD_WP)
		fault_wp_ours(f);
	else
		fault_wp_stray(f);
	sw_count(pgfault_wp, 1);
}

/* ---- the door ---- */

void sw_fault(void *arg, uint64_t addr, unsigned flags, int tid)
{
	struct fault f = { .space = arg,
			   .addr = addr,
			   .flags = flags,
			   .i = sw_leaf_index(addr) };

	(void)tid;
	sw_count(pgfault, 1);
	sw_space_lock(f.space);
	f.leaf = sw_pt_get(&f.space->pt, addr);
	if (!f.leaf) { /* out of memory: try again */
		sw_space_unlock(f.space);
		fault_wake(&f);
		return;
	}
	if (sw_window_of(f.leaf, f.i)->busy) {
		sw_window_of(f.leaf, f.i)->waiters = true;
		sw_count(pgfault_retry, 1);
		sw_space_unlock(f.space);
		return;
	}
	if (flags & SW_FAULT_WP) {
		fault_wp(&f);
		return;
	}
	switch (sw_word_kind(f.leaf->word[f.i])) {
	case SW_WORD_NONE:
		fault_zero(&f);
		return;
	case SW_WORD_SWAP:
		fault_swapin(&f);
		return;
	case SW_WORD_POISON:
		fault_poison(&f);
		return;
	case SW_WORD_PRESENT:
		fault_present(&f);
		return;
	}
}
