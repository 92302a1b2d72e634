/*
 * evict.c - a batch of pages out of a program.
 *
 *   prepare   folios with a buffer and slots, before anything is unmapped:
 *             prepare.c
 *   add       runs of pages of taken windows
 *   run       pin clean copies, unmap into staging, read what is dirty,
 *             commit, drop
 *   commit    each page that was really taken gets its entry: a clean one the
 *             slot it came from, a dirty one the next prepared folio's; dirty
 *             ones that fill an aligned range share a large one
 *
 * What the kernel reports outranks our books: a page found where the word
 * said NONE or SWAP is newer than the word and is taken like a dirty one, and
 * a hole where the word said PRESENT is a page the program gave away.
 *
 * A pinned folio carries SW_FOLIO_WRITEBACK, as a prepared one does, which
 * keeps the allocator from taking its unowned slot away.
 *
 * Above: reclaim.c. Below: prepare.c; the agent, through the mmu.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/probe.h"
#include "base/time.h"
#include "base/trace.h"
#include "mm/mm_internal.h"

#define LOCKED_PAGES 16 /* worked on under one hold of the space lock */
#define REST_MS      4  /* of a window that the kernel would not move, */
#define MAX_DOUBLED  10 /* and twice as long after each try, so often */

/* ---- the batch ---- */

/* A clean page needs no buffer and no writing, if its slot is still its own. */
static void pin_clean(struct sw_space *space, struct sw_evictor *ev,
		      struct sw_leaf *leaf, unsigned i, unsigned at)
{
	struct folio *folio;

	ev->plain[at] = (leaf->word[i] & (SW_WORD_KIND | SW_WORD_CLEAN)) ==
			SW_WORD_PRESENT;
	ev->page[at] = SW_PAGE_HOLE;
	if (!(leaf->word[i] & SW_WORD_CLEAN))
		return;
	folio = sw_clean_folio(space, sw_leaf_addr(leaf, i), leaf->word[i]);
	if (!folio) {
		leaf->word[i] &=
			SW_WORD_KIND | SW_WORD_WP | SW_WORD_HOT | SW_WORD_PIN;
		return;
	}
	folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	ev->clean[at] = folio;
	ev->page[at] = SW_PAGE_KEPT;
}

void sw_evict_add(struct sw_space *space, struct sw_evictor *ev,
		  struct sw_leaf *leaf, unsigned i, unsigned nr)
{
	unsigned r = ev->nr_runs++;

	sw_assert_held(&space->lock);
	SW_ASSERT(i / SW_WINDOW_PAGES == (i + nr - 1) / SW_WINDOW_PAGES);
	if (!sw_window_of(leaf, i)->busy) {
		sw_window_take(leaf, i);
		ev->window[ev->nr_windows].leaf = leaf;
		ev->window[ev->nr_windows++].i = i;
	}
	ev->at[r].leaf = leaf;
	ev->at[r].i = i;
	ev->run[r] = (struct sw_agent_run){ .addr = sw_leaf_addr(leaf, i),
					    .nr = nr,
					    .at = ev->nr_pages };
	ev->nr_pages += nr;
}

/* Calls `step` for every page of the batch, a few under each hold of the space
 * lock: the windows are ours, but others' faults need the lock. */
static void for_each_page(struct sw_space *space, struct sw_evictor *ev,
			  void (*step)(struct sw_space *space,
				       struct sw_evictor *ev,
				       struct sw_leaf *leaf, unsigned i,
				       unsigned page))
{
	for (unsigned r = 0; r < ev->nr_runs; r++) {
		for (unsigned k = 0; k < ev->run[r].nr;) {
			unsigned end = sw_min(k + LOCKED_PAGES, ev->run[r].nr);

			sw_space_lock(space);
			for (; k < end; k++)
				step(space, ev, ev->at[r].leaf, ev->at[r].i + k,
				     ev->run[r].at + k);
			sw_space_unlock(space);
		}
	}
}

/* ---- commit: the space lock is held ---- */

/* Nobody who holds this folio's lock now can be waiting for our space. */
static void lock_folio_inside(struct folio *folio)
{
	while (!folio_trylock(folio))
		sched_yield();
}

static void dup_swap(struct folio *folio)
{
	while (folio_dup_swap(folio, -1) == -ENOMEM)
		if (swap_retry_table_alloc(folio->swap))
			sched_yield(); /* out of memory: nothing to undo to */
}

static void commit_clean(struct sw_space *space, struct sw_leaf *leaf,
			 unsigned i, struct folio *folio)
{
	uint64_t pin = leaf->word[i] & SW_WORD_PIN;

	lock_folio_inside(folio);
	dup_swap(folio);
	folio_clear(folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK);
	sw_clean_own(folio, NULL, 0);
	sw_word_set(space, leaf, i, sw_word_swap(folio->swap) | pin);
	swap_cache_del_folio(folio, sw_make_shadow(space->mm));
	folio_unlock(folio);
	folio_put(folio);
	sw_clean_paid(space->mm);
	sw_count(pgsteal_clean, 1);
}

static void unpin_clean(struct folio *folio)
{
	lock_folio_inside(folio);
	folio_clear(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * Does the page hold a thread's control block? The kernel writes to it while
 * the thread exits (its tid, for pthread_join()) and resolves no missing page
 * at that point: the write would be lost and the joiner would wait for ever.
 * On x86-64 the block is 64-byte aligned and holds its own address at offsets
 * 0 and 16. Returns its offset, or -1.
 */
static int thread_block_in(const void *page, uint64_t addr)
{
	const uint64_t *w = page;

	for (unsigned off = 0; off < SW_PAGE_SIZE; off += 64)
		if (w[off / 8] == addr + off && w[off / 8 + 2] == addr + off)
			return off;
	return -1;
}

#define THREAD_BLOCK_BYTES 0x900 /* struct pthread, tid and robust list */

/* Pins the page of a thread block once it is back, and the next one when the
 * block reaches into it. */
static uint64_t pin_of(struct sw_leaf *leaf, unsigned i, const void *page)
{
	int off = thread_block_in(page, sw_leaf_addr(leaf, i));

	if (off < 0)
		return leaf->word[i] & SW_WORD_PIN;
	if (off + THREAD_BLOCK_BYTES > (int)SW_PAGE_SIZE &&
	    i + 1 < SW_LEAF_PAGES)
		leaf->word[i + 1] |= leaf->word[i + 1] ? SW_WORD_PIN : 0;
	return SW_WORD_PIN;
}

/* Folio locked, which is given up as is the reference: the cache's keep it from
 * now on. It may be written and gone at once. */
static void stage(struct sw_space *space, struct folio *folio)
{
	folio_clear(folio, SW_FOLIO_WRITEBACK);
	sw_staging_add(space->mm, folio);
	folio_unlock(folio);
	folio_put(folio);
}

static void commit_dirty(struct sw_space *space, struct sw_leaf *leaf,
			 unsigned i, struct folio *folio)
{
	uint64_t pin = pin_of(leaf, i, folio->data);
	uint64_t old = leaf->word[i];

	lock_folio_inside(folio);
	if (sw_word_kind(old) == SW_WORD_SWAP && sw_page_is_zero(folio->data)) {
		/* Zeros beside bytes that are safely out were not the
		 * program's: a debugger looked at the staging area. */
		folio_clear(folio, SW_FOLIO_WRITEBACK);
		folio_free_swap(folio);
		folio_unlock(folio);
		folio_put(folio);
		return;
	}
	dup_swap(folio);
	if (sw_word_kind(old) == SW_WORD_SWAP)
		swap_put_entries_direct(sw_word_entry(old), 1);
	sw_word_set(space, leaf, i, sw_word_swap(folio->swap) | pin);
	stage(space, folio);
}

/*
 * One page of a large folio, whose words are all PRESENT. The first one gives
 * every slot its owner, although the words follow one by one: while the window
 * is ours nobody looks for them. The last one stages it.
 */
static void commit_part(struct sw_space *space, struct sw_leaf *leaf,
			unsigned i, struct folio *folio, unsigned part)
{
	swp_entry_t entry;
	uint64_t pin;

	if (!part) {
		lock_folio_inside(folio);
		dup_swap(folio);
		folio_unlock(folio);
	}
	entry.val = folio->swap.val + part;
	pin = pin_of(leaf, i, (char *)folio->data + part * SW_PAGE_SIZE);
	sw_word_set(space, leaf, i, sw_word_swap(entry) | pin);
	if (part == folio_nr(folio) - 1) {
		lock_folio_inside(folio);
		stage(space, folio);
	}
}

/* ---- pages that stay ---- */

/*
 * Locked pages and those pinned by I/O stay for as long as the program likes. To
 * ask the kernel again costs a system call a page, and reclaim that finds
 * nothing else would ask all the time.
 */
static void let_rest(struct sw_window *win)
{
	win->refused = false;
	win->rest_ms = (sw_now_ms() + (REST_MS << win->refusals)) | 1;
	if (win->refusals < MAX_DOUBLED)
		win->refusals++;
}

bool sw_window_rests(struct sw_window *win, uint32_t now_ms)
{
	if (win->rest_ms && (int32_t)(win->rest_ms - now_ms) > 0)
		return true;
	win->rest_ms = 0;
	return false;
}

/* ---- running a batch ---- */

/* What is to be read of the staging area, and where to. */
struct reading {
	uint16_t at[SW_MMU_BATCH];
	void *buf[SW_MMU_BATCH];
	unsigned nr;
};

static bool is_dirty(const struct sw_evictor *ev, unsigned p)
{
	return ev->page[p] == SW_PAGE_TAKEN && !ev->clean[p];
}

/* The order of the largest folio that may begin with page p of the batch, page
 * i of its leaf; `nr` pages of the run are left. */
static unsigned largest_order(const struct sw_evictor *ev, unsigned p,
			      unsigned i, unsigned nr)
{
	unsigned order = __builtin_ctz(i | SW_LEAF_PAGES), n = 0;

	if (order < SW_ORDER_MIN)
		return 0;
	while (n < sw_min(nr, 1u << order) && ev->plain[p + n] &&
	       is_dirty(ev, p + n))
		n++;
	return n < 1u << SW_ORDER_MIN ? 0 : 31 - __builtin_clz(n);
}

static void count_fallback(unsigned order)
{
	sw_count(swpout_fallback, 1);
	sw_count_order(swpout_fallback, order);
}

/* Gives pages from p on the next prepared folio; returns how many pages. */
static unsigned assign_folio(struct sw_evictor *ev, struct reading *rd,
			     unsigned p, unsigned order)
{
	struct folio *folio;

	while (!(folio = sw_ready_next(ev, order))) {
		SW_BUG_ON(!order);
		count_fallback(order);
		sw_count(thp_swpout_fallback, order == SW_ORDER_HUGE);
		order = order > SW_ORDER_MIN ? order - 1 : 0;
	}
	for (unsigned k = 0; k < 1u << order; k++) {
		ev->dirty[p + k] = folio;
		ev->part[p + k] = k;
		rd->at[rd->nr] = p + k;
		rd->buf[rd->nr++] = (char *)folio->data + k * SW_PAGE_SIZE;
	}
	return 1u << order;
}

/* Gives the taken pages without a clean copy prepared folios. */
static void assign_folios(struct sw_evictor *ev, struct reading *rd)
{
	unsigned single = 0;

	rd->nr = 0;
	for (unsigned r = 0; r < ev->nr_runs; r++) {
		unsigned first = ev->run[r].at, nr = ev->run[r].nr, n;

		for (unsigned k = 0; k < nr; k += n) {
			unsigned p = first + k, order;

			n = 1;
			if (!is_dirty(ev, p))
				continue;
			order = largest_order(ev, p, ev->at[r].i + k, nr - k);
			single += !order;
			n = assign_folio(ev, rd, p, order);
		}
	}
	/* Of the last SW_PREPARED pages, about. */
	ev->single += single - ev->single * rd->nr / SW_PREPARED;
}

/* Pages that fork left shared can be taken once they were write-touched, also
 * those whose write was expected and never came, and those of a fork that was
 * over before we came. One that is still busy after that (pinned by I/O) is
 * left alone, and so are all while a touch could not be answered. A run stays
 * inside its leaf. */
static void note_busy(struct sw_mm *mm, struct sw_evictor *ev,
		      struct sw_leaf *leaf, unsigned i)
{
	struct sw_agent_run *last =
		ev->nr_busy ? &ev->busy[ev->nr_busy - 1] : NULL;
	uint64_t addr = sw_leaf_addr(leaf, i);

	if (sw_window_of(leaf, i)->touched || sw_freeze_keeps_out(mm)) {
		sw_window_of(leaf, i)->refused = true;
		sw_count(move_busy, 1);
		return;
	}
	if (last && i && last->addr + last->nr * SW_PAGE_SIZE == addr) {
		last->nr++;
		return;
	}
	if (ev->nr_busy < SW_MMU_MAX_RUNS)
		ev->busy[ev->nr_busy++] =
			(struct sw_agent_run){ .addr = addr, .nr = 1 };
}

static void commit_page(struct sw_space *space, struct sw_evictor *ev,
			struct sw_leaf *leaf, unsigned i, unsigned p)
{
	struct folio *clean = ev->clean[p];

	if (ev->page[p] == SW_PAGE_TAKEN) {
		ev->taken++;
		sw_window_of(leaf, i)->refusals = 0;
		if (clean)
			commit_clean(space, leaf, i, clean);
		else if (ev->lost)
			/* Moved out and not to be read: agent and process died
			 * in between, and perhaps somebody still lives there. */
			sw_word_lost(space, leaf, i);
		else if (ev->dirty[p]->order)
			commit_part(space, leaf, i, ev->dirty[p], ev->part[p]);
		else
			commit_dirty(space, leaf, i, ev->dirty[p]);
		SW_PROBE4(evict, space, sw_leaf_addr(leaf, i),
			  sw_word_entry(leaf->word[i]).val,
			  (unsigned)(clean != NULL));
		return;
	}
	if (clean)
		unpin_clean(clean);
	switch (ev->page[p]) {
	case SW_PAGE_HOLE:
		if (sw_word_kind(leaf->word[i]) == SW_WORD_PRESENT)
			sw_words_zap(space, leaf, i, 1);
		return;
	case SW_PAGE_BUSY:
		note_busy(space->mm, ev, leaf, i);
		return;
	case SW_PAGE_REFUSED:
		sw_window_of(leaf, i)->refused = true;
		sw_count(move_refused, 1);
		return;
	}
}

static bool is_idle_and_present(struct sw_leaf *leaf, unsigned i, unsigned nr)
{
	for (unsigned k = i; k < i + nr; k++)
		if (sw_window_of(leaf, k)->busy ||
		    sw_word_kind(leaf->word[k]) != SW_WORD_PRESENT)
			return false;
	return true;
}

/* Lifts the protection of a run that is to be unshared. False: not now. */
static bool begin_unshare(struct sw_space *space, struct sw_agent_run *run)
{
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, run->addr);
	struct sw_mmu *mmu = space->mmu;
	unsigned i = sw_leaf_index(run->addr);

	if (!leaf || !is_idle_and_present(leaf, i, run->nr))
		return false;
	for (unsigned k = i; k < i + run->nr; k++) {
		if (leaf->word[k] & SW_WORD_CLEAN)
			sw_clean_forget(space, leaf, k);
		sw_word_set(space, leaf, k, sw_word_unshared(leaf->word[k]));
		sw_window_of(leaf, k)->unsharing = true;
		sw_window_of(leaf, k)->touched = true;
	}
	return !mmu->ops->protect(mmu, run->addr, run->nr, false);
}

static void end_unshare(struct sw_space *space, struct sw_agent_run *run)
{
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, run->addr);
	unsigned i = sw_leaf_index(run->addr);

	for (unsigned k = i; leaf && k < i + run->nr; k++)
		sw_window_of(leaf, k)->unsharing = false;
}

/*
 * Makes the pages noted as busy ours alone, so that the next batch can take
 * them. Nothing is held while the agent touches them, and the windows are not
 * ours any more: once the layout has changed, another page may be at the
 * address, and protection lifted beside its swap-in would make a clean page
 * writable. But nobody arms them in that time: each touch would be a fault,
 * behind those of the program that wait for the room we are to make.
 */
static void unshare_busy(struct sw_space *space, struct sw_evictor *ev,
			 uint64_t epoch)
{
	struct sw_mmu *mmu = space->mmu;
	struct sw_agent_run run[SW_MMU_MAX_RUNS];
	unsigned pages = 0, nr_runs = 0;

	sw_space_lock(space);
	for (unsigned r = 0; r < ev->nr_busy && mmu->epoch == epoch; r++) {
		if (!begin_unshare(space, &ev->busy[r]))
			continue; /* it has changed meanwhile */
		pages += ev->busy[r].nr;
		run[nr_runs++] = ev->busy[r];
	}
	sw_space_unlock(space);
	if (nr_runs)
		mmu->ops->unshare(mmu, run, nr_runs);
	sw_space_lock(space);
	for (unsigned r = 0; r < ev->nr_busy; r++)
		end_unshare(space, &ev->busy[r]);
	sw_space_unlock(space);
	ev->nr_busy = nr_runs;
	sw_count(unshared, pages);
}

static void give_windows(struct sw_space *space, struct sw_evictor *ev)
{
	sw_space_lock(space);
	for (unsigned w = 0; w < ev->nr_windows; w++) {
		struct sw_evict_place *at = &ev->window[w];
		struct sw_window *win = sw_window_of(at->leaf, at->i);

		win->touched = false;
		if (win->refused)
			let_rest(win);
		sw_window_give(space, at->leaf, at->i);
	}
	sw_space_unlock(space);
}

/* ---- what a trace is told ---- */

/* How many pages from p on went in the same way, `max` at most. */
static unsigned taken_run(const struct sw_evictor *ev, unsigned p, unsigned max)
{
	unsigned n = 0;

	while (n < max && ev->page[p + n] == SW_PAGE_TAKEN &&
	       !ev->clean[p + n] == !ev->clean[p])
		n++;
	return n;
}

static void trace_taken(const struct sw_space *space,
			const struct sw_evictor *ev, uint64_t begin)
{
	for (unsigned r = 0; r < ev->nr_runs; r++) {
		const struct sw_agent_run *run = &ev->run[r];

		for (unsigned k = 0, n; k < run->nr; k += sw_max(n, 1u)) {
			struct sw_trace_event event = {
				.kind = ev->clean[run->at + k]
						? SW_TRACE_OUT_CLEAN
						: SW_TRACE_OUT,
				.space = sw_space_id(space),
				.page = run->addr / SW_PAGE_SIZE + k,
			};

			event.nr = n = taken_run(ev, run->at + k, run->nr - k);
			if (n)
				sw_trace_end(begin, &event);
		}
	}
}

unsigned sw_evict_run(struct sw_space *space, struct sw_evictor *ev,
		      uint64_t epoch)
{
	struct sw_mmu *mmu = space->mmu;
	uint64_t begin = sw_trace_begin();
	struct reading rd;

	ev->nr_busy = ev->taken = 0;
	for_each_page(space, ev, pin_clean);
	if (mmu->ops->take(mmu, ev->run, ev->nr_runs, epoch, ev->page))
		memset(ev->page, SW_PAGE_STALE, sizeof(ev->page));
	assign_folios(ev, &rd);
	ev->lost = rd.nr && mmu->ops->read_staged(mmu, rd.at, rd.buf, rd.nr);
	for_each_page(space, ev, commit_page);
	if (begin)
		trace_taken(space, ev, begin);
	if (ev->run[0].nr == SW_HUGE_PAGES)
		sw_huge_out(space, ev);
	give_windows(space, ev);

	sw_ready_consume(ev, !ev->lost);
	if (ev->taken)
		mmu->ops->drop_staged(mmu);
	if (ev->nr_busy)
		unshare_busy(space, ev, epoch);
	sw_count(pgsteal, ev->taken);
	__atomic_fetch_add(&space->mm->evictions, ev->taken, __ATOMIC_RELAXED);
	return ev->taken;
}
