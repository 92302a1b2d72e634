/*
 * space.c - one managed address space: its words, windows and regions, and
 * its life.
 *
 * Above: run/attach.c. Beside: layout.c, fork.c, fault.c, evict.c, which
 * change words.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "mm/mm_internal.h"

#define REMOVED_MS 1000 /* a zap follows its event sooner than this */

/* ---- words ---- */

static void add_present(struct sw_space *space, struct sw_window *win, int nr)
{
	if (!nr)
		return;
	win->present += nr;
	sw_budget_add((int64_t *)&space->resident, nr);
	sw_budget_add(&space->mm->budget.resident, nr);
}

/* Space lock held. */
static void add_swapped(struct sw_space *space, int nr)
{
	if (nr)
		__atomic_store_n(&space->swapped, space->swapped + nr,
				 __ATOMIC_RELAXED);
}

void sw_word_set(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		 uint64_t word)
{
	struct sw_window *win = sw_window_of(leaf, i);
	uint64_t old = leaf->word[i];
	int was = sw_word_kind(old) == SW_WORD_PRESENT;
	int is = sw_word_kind(word) == SW_WORD_PRESENT;
	int was_out = sw_word_kind(old) == SW_WORD_SWAP;
	int is_out = sw_word_kind(word) == SW_WORD_SWAP;

	sw_assert_held(&space->lock);
	leaf->word[i] = word;
	if (old & SW_WORD_SHARED && !(word & SW_WORD_SHARED))
		sw_unshare(space->mm, &old, 1);
	if (is && !(word & SW_WORD_WP))
		win->all_wp = false;
	leaf->was_huge &= was || !is;
	if (is && !was && sw_leaf_addr(leaf, i) == space->again_addr)
		space->again = 0;
	add_present(space, win, is - was);
	add_swapped(space, is_out - was_out);
}

void sw_clean_own(struct folio *folio, struct sw_space *space, uint64_t addr)
{
	__atomic_store_n(&folio->index, addr, __ATOMIC_RELAXED);
	__atomic_store_n(&folio->mapping, space, __ATOMIC_RELAXED);
}

static bool is_clean_copy(struct folio *folio, struct sw_space *space,
			  uint64_t addr)
{
	return folio_test(folio, SW_FOLIO_MAPPED) &&
	       __atomic_load_n(&folio->mapping, __ATOMIC_RELAXED) == space &&
	       __atomic_load_n(&folio->index, __ATOMIC_RELAXED) == addr;
}

struct folio *sw_clean_folio(struct sw_space *space, uint64_t addr,
			     uint64_t word)
{
	swp_entry_t entry = sw_word_entry(word);
	struct swap_info_struct *si = get_swap_device(entry);
	struct folio *folio;

	/* The allocator may have taken the slot back, and then nothing of ours
	 * keeps its device from being turned off. */
	if (!si)
		return NULL;
	folio = swap_cache_get_folio(entry);
	put_swap_device(si);
	if (!folio)
		return NULL;
	/* The slot may have been taken back and be another page's by now, whose
	 * folio a fault holds locked until it gets our lock: so that lock may
	 * be waited for only once the folio is known to be this page's, which
	 * it becomes under our lock alone. Who holds the lock of ours reads
	 * the slot for another space, or is the allocator having a look:
	 * neither waits for us. */
	if (!is_clean_copy(folio, space, addr)) {
		folio_put(folio);
		return NULL;
	}
	while (!folio_trylock(folio))
		sched_yield();
	if (folio_matches_swap_entry(folio, entry) &&
	    is_clean_copy(folio, space, addr))
		return folio;
	folio_unlock(folio);
	folio_put(folio);
	return NULL;
}

void sw_clean_forget(struct sw_space *space, struct sw_leaf *leaf, unsigned i)
{
	uint64_t word = leaf->word[i];
	struct folio *folio =
		sw_clean_folio(space, sw_leaf_addr(leaf, i), word);

	if (folio) {
		folio_clear(folio, SW_FOLIO_MAPPED);
		sw_clean_own(folio, NULL, 0);
		if (!folio_free_swap(folio))
			swap_cache_del_folio(folio, 0);
		folio_unlock(folio);
		folio_put(folio);
	}
	word &= SW_WORD_KIND | SW_WORD_WP | SW_WORD_HOT | SW_WORD_PIN;
	sw_word_set(space, leaf, i, word);
}

unsigned sw_words_swap_run(const uint64_t *word, unsigned nr)
{
	unsigned n = 1;

	if (sw_word_kind(*word) != SW_WORD_SWAP)
		return 0;
	while (n < nr &&
	       !((word[n] ^ (*word + n * SW_WORD_NEXT_SLOT)) & ~SW_WORD_PIN))
		n++;
	return n;
}

void sw_words_fill(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		   const uint64_t *word, unsigned nr)
{
	int present = 0, swapped = 0;

	sw_assert_held(&space->lock);
	SW_ASSERT(i / SW_WINDOW_PAGES == (i + nr - 1) / SW_WINDOW_PAGES);
	for (unsigned k = 0; k < nr; k++) {
		present += sw_word_kind(word[k]) == SW_WORD_PRESENT;
		swapped += sw_word_kind(word[k]) == SW_WORD_SWAP;
	}
	memcpy(&leaf->word[i], word, nr * sizeof(*word));
	add_present(space, sw_window_of(leaf, i), present);
	add_swapped(space, swapped);
}

void sw_words_zap(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		  unsigned nr)
{
	uint64_t *word = &leaf->word[i];
	int present = 0, swapped = 0;

	sw_assert_held(&space->lock);
	SW_ASSERT(i / SW_WINDOW_PAGES == (i + nr - 1) / SW_WINDOW_PAGES);
	for (unsigned k = 0, run; k < nr; k += sw_max(run, 1u)) {
		run = sw_words_swap_run(&word[k], nr - k);
		if (run)
			swap_put_entries_direct(sw_word_entry(word[k]), run);
		else if (word[k] & SW_WORD_CLEAN)
			sw_clean_forget(space, leaf, i + k);
		swapped += run;
		present += sw_word_kind(word[k]) == SW_WORD_PRESENT;
	}
	sw_unshare(space->mm, word, nr);
	memset(word, 0, nr * sizeof(*word));
	add_present(space, sw_window_of(leaf, i), -present);
	add_swapped(space, -swapped);
}

/* ---- windows ---- */

void sw_window_take(struct sw_leaf *leaf, unsigned i)
{
	struct sw_window *win = sw_window_of(leaf, i);

	SW_BUG_ON(win->busy);
	win->busy = true;
}

void sw_window_give(struct sw_space *space, struct sw_leaf *leaf, unsigned i)
{
	struct sw_window *win = sw_window_of(leaf, i);
	unsigned first = i / SW_WINDOW_PAGES * SW_WINDOW_PAGES;

	sw_assert_held(&space->lock);
	SW_BUG_ON(!win->busy);
	win->busy = false;
	if (win->waiters) {
		win->waiters = false;
		sw_stall_release(&space->stall);
		space->mmu->ops->wake(space->mmu, sw_leaf_addr(leaf, first),
				      SW_WINDOW_PAGES);
	}
	pthread_cond_broadcast(&space->idle);
}

void sw_window_await(struct sw_space *space, struct sw_window *win)
{
	sw_assert_held(&space->lock);
	if (!win->waiters)
		sw_stall_hold(&space->stall);
	win->waiters = true;
}

bool sw_space_is_busy(struct sw_space *space, uint64_t start, uint64_t end)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, start);

	for (; leaf && leaf->base < end;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES)) {
		for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++) {
			uint64_t at = leaf->base + w * SW_WINDOW_BYTES;

			if (leaf->win[w].busy && at < end &&
			    at + SW_WINDOW_BYTES > start)
				return true;
		}
	}
	return false;
}

/* Reclaim starts nothing new on the space while an event waits here. */
void sw_space_wait_idle(struct sw_space *space, uint64_t start, uint64_t end)
{
	space->event_waits = true;
	while (sw_space_is_busy(space, start, end))
		sw_mutex_wait(&space->lock, &space->idle, 1000000);
	space->event_waits = false;
}

/* ---- regions ---- */

/* The first region that ends after `addr`. */
unsigned sw_region_at(const struct sw_space *space, uint64_t addr)
{
	unsigned lo = 0, hi = space->nr_regions;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (space->region[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int make_gap(struct sw_space *space, unsigned at)
{
	if (space->nr_regions == space->max_regions) {
		unsigned max = sw_max(16u, space->max_regions * 2);
		struct sw_region *r = sw_mem_zalloc(max * sizeof(*r));

		if (!r)
			return -ENOMEM;
		if (space->nr_regions)
			memcpy(r, space->region,
			       space->nr_regions * sizeof(*r));
		sw_mem_free(space->region);
		space->region = r;
		space->max_regions = max;
	}
	memmove(&space->region[at + 1], &space->region[at],
		(space->nr_regions - at) * sizeof(space->region[0]));
	space->nr_regions++;
	return 0;
}

static void close_gap(struct sw_space *space, unsigned at, unsigned nr)
{
	memmove(&space->region[at], &space->region[at + nr],
		(space->nr_regions - at - nr) * sizeof(space->region[0]));
	space->nr_regions -= nr;
}

int sw_region_insert(struct sw_space *space, uint64_t start, uint64_t end)
{
	unsigned at = sw_region_at(space, start ? start - 1 : 0), last = at;
	int err;

	while (last < space->nr_regions && space->region[last].start <= end) {
		start = sw_min(start, space->region[last].start);
		end = sw_max(end, space->region[last].end);
		last++;
	}
	if (last > at) {
		close_gap(space, at + 1, last - at - 1);
	} else {
		err = make_gap(space, at);
		if (err)
			return err;
	}
	space->region[at] = (struct sw_region){ start, end };
	return 0;
}

void sw_region_remove(struct sw_space *space, uint64_t start, uint64_t end)
{
	unsigned at = sw_region_at(space, start);

	while (at < space->nr_regions && space->region[at].start < end) {
		struct sw_region r = space->region[at];

		close_gap(space, at, 1);
		/* What is left of it on either side goes back; the second
                 * insertion needs no memory unless both sides are left. */
		if (r.start < start && !sw_region_insert(space, r.start, start))
			at++;
		if (r.end > end && !sw_region_insert(space, end, r.end))
			at++;
	}
}

struct sw_region sw_space_region(const struct sw_space *space, uint64_t addr)
{
	unsigned at = sw_region_at(space, addr);

	if (at < space->nr_regions && space->region[at].start <= addr)
		return space->region[at];
	return (struct sw_region){ addr, addr + SW_PAGE_SIZE };
}

/*
 * An event that waits to be read, or is half handled, is older than the region:
 *
 *        thread 1             thread 2           we
 *        fork
 *                             mmap(A)
 *                                                A is registered, and a region
 *                                                FORK is read: the child has
 *                                                the region, but nothing at A
 *
 * What it remaps to A would then be owed an unmap that never comes (owed.c).
 */
int sw_space_add_region(struct sw_space *space, uint64_t epoch, uint64_t start,
			uint64_t end)
{
	struct sw_mmu *mmu = space->mmu;
	int err = -EAGAIN;

	sw_space_lock(space);
	if (mmu->epoch == epoch && !space->event_waits &&
	    !mmu->ops->lookup(mmu, start))
		err = sw_region_insert(space, start, end);
	sw_space_unlock(space);
	return err;
}

bool sw_space_has_region(struct sw_space *space, uint64_t start, uint64_t end)
{
	unsigned at;
	bool has;

	sw_space_lock(space);
	at = sw_region_at(space, start);
	has = at < space->nr_regions && space->region[at].start <= start &&
	      space->region[at].end >= end &&
	      !sw_owed_doubts(&space->owed, start, end);
	sw_space_unlock(space);
	return has;
}

void sw_space_for_each_region(struct sw_space *space,
			      void (*fn)(void *arg, uint64_t start,
					 uint64_t end),
			      void *arg)
{
	uint64_t at = 0;

	for (;;) {
		struct sw_region r = { 0 };
		unsigned i;

		sw_space_lock(space);
		i = sw_region_at(space, at);
		if (i < space->nr_regions)
			r = space->region[i];
		sw_space_unlock(space);
		if (!r.end)
			return;
		fn(arg, sw_max(r.start, at), r.end);
		at = r.end;
	}
}

/*
 * A program whose MADV_DONTNEED was acknowledged zaps the pages a moment
 * later. A scan in between still sees them; noted as present they could be
 * taken out before the zap and come back with their old bytes after it.
 */
static bool was_removed_lately(const struct sw_window *win)
{
	return win->removed_ms && sw_now_ms() - win->removed_ms < REMOVED_MS;
}

uint64_t sw_space_epoch(struct sw_space *space)
{
	uint64_t epoch;

	sw_space_lock(space);
	epoch = space->mmu->epoch;
	sw_space_unlock(space);
	return epoch;
}

int sw_space_note_present(struct sw_space *space, uint64_t epoch,
			  uint64_t start, uint64_t end)
{
	int64_t nr = 0;
	int err = 0;

	sw_space_lock(space);
	if (space->mmu->epoch != epoch)
		err = -EAGAIN;
	for (uint64_t a = start; !err && a < end; a += SW_PAGE_SIZE) {
		struct sw_leaf *leaf = sw_pt_get(&space->pt, a);
		unsigned i = sw_leaf_index(a);

		/* A busy window's owner will find out by itself. */
		if (!leaf || leaf->word[i] != SW_WORD_NONE ||
		    sw_window_of(leaf, i)->busy ||
		    was_removed_lately(sw_window_of(leaf, i)))
			continue;
		sw_word_set(space, leaf, i, SW_WORD_PRESENT | SW_WORD_ZEROED);
		nr++;
	}
	/* Until now they were measured from outside. */
	sw_budget_add(&space->mm->budget.unmanaged, -nr);
	sw_space_unlock(space);
	sw_reclaim_wake(space->mm);
	return err;
}

/* ---- life ---- */

struct sw_space *sw_space_new(struct sw_mm *mm)
{
	struct sw_space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	space->mm = mm;
	space->arm_next = SW_ARMED;
	sw_mutex_init(&space->lock, "space", SW_RANK_SPACE);
	pthread_cond_init(&space->idle, NULL);
	sw_list_init(&space->node);
	space->fault_buf = mmap(NULL, SW_WINDOW_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (space->fault_buf == MAP_FAILED) {
		free(space);
		return NULL;
	}
	return space;
}

void sw_space_set_mmu(struct sw_space *space, struct sw_mmu *mmu)
{
	space->mmu = mmu;
}

struct sw_mmu *sw_space_mmu(struct sw_space *space)
{
	return space->mmu;
}

uint64_t sw_space_resident(struct sw_space *space)
{
	return __atomic_load_n(&space->resident, __ATOMIC_RELAXED);
}

void sw_space_stats(struct sw_space *space, struct sw_space_stats *st)
{
	*st = (struct sw_space_stats){
		.resident_pages = sw_space_resident(space),
		.swapped_pages =
			__atomic_load_n(&space->swapped, __ATOMIC_RELAXED),
		.faults = __atomic_load_n(&space->faults, __ATOMIC_RELAXED),
		.stall_ns = sw_stall_served_ns(&space->stall),
	};
}

uint64_t sw_space_id(const struct sw_space *space)
{
	return space->born;
}

void sw_space_attach(struct sw_space *space)
{
	struct sw_mm *mm = space->mm;

	/* Called by a parent's event thread too, under the parent's lock:
         * the list is the only thing this lock covers there. */
	sw_mutex_lock(&mm->spaces_lock);
	sw_hand_join(space);
	space->born = ++mm->births;
	sw_list_add_tail(&mm->spaces, &space->node);
	__atomic_fetch_add(&mm->generation, 1, __ATOMIC_RELAXED);
	sw_mutex_unlock(&mm->spaces_lock);
}

struct sw_space *sw_spaces_next(struct sw_mm *mm, struct sw_space *last)
{
	uint64_t born = last ? last->born : 0;
	struct sw_space *space, *next = NULL;

	sw_mutex_lock(&mm->spaces_lock);
	sw_list_for_each(space, &mm->spaces, node) {
		if (space->born <= born)
			continue;
		next = space;
		next->users++;
		break;
	}
	sw_mutex_unlock(&mm->spaces_lock);
	if (last)
		sw_space_put(mm, last);
	return next;
}

void sw_space_get(struct sw_mm *mm, struct sw_space *space)
{
	sw_mutex_lock(&mm->spaces_lock);
	space->users++;
	sw_mutex_unlock(&mm->spaces_lock);
}

void sw_space_free(struct sw_space *space)
{
	struct sw_mm *mm = space->mm;

	sw_stalls_bury(&mm->stalls, &space->stall);
	sw_mutex_lock(&mm->spaces_lock);
	sw_list_del(&space->node);
	__atomic_fetch_add(&mm->generation, 1, __ATOMIC_RELAXED);
	while (space->users)
		sw_mutex_wait(&mm->spaces_lock, &mm->unused, 1000000);
	sw_mutex_unlock(&mm->spaces_lock);
	sw_space_lock(space);
	sw_space_zap(space, 0, ~0ull, true);
	sw_space_unlock(space);
	SW_BUG_ON(space->resident || space->swapped);
	sw_pt_release(&space->pt);
	sw_mem_free(space->region);
	munmap(space->fault_buf, SW_WINDOW_BYTES);
	pthread_cond_destroy(&space->idle);
	sw_mutex_destroy(&space->lock);
	free(space);
	sw_room_wake(mm);
}
