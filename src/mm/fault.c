/*
 * fault.c - what a fault becomes. One function a case, after one look at the
 * page's word under the space lock:
 *
 *   missing, NONE     first touch: zeros              fault_zero()
 *   missing, SWAP     bytes from the cache or store   fault_swapin()
 *   missing, PRESENT  somebody was faster, or a zap   fault_present()
 *   missing, POISON   SIGBUS again                    lost.c
 *   write-protect     clean copy, fork-shared page,   write_fault.c
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

#include "base/probe.h"
#include "mm/fault.h"

/* Zeros to copy from. */
static const char zeros[SW_WINDOW_BYTES] __attribute__((aligned(4096)));

void sw_fault_wake(struct sw_fault *f)
{
	f->space->mmu->ops->wake(f->space->mmu, f->addr, 1);
}

/* ---- what comes along ---- */

/* What somebody said of the surroundings outweighs what was seen of them. */
static void heed_pattern(struct sw_fault *f)
{
	const struct sw_mm_host *host = f->space->mm->host;
	struct sw_plan *plan = &f->plan;

	if (!host || !host->pattern)
		return;
	switch (host->pattern(host->arg, f->addr)) {
	case SW_MM_UNKNOWN:
		return;
	case SW_MM_RANDOM:
		plan->nr = 1;
		f->alone = true;
		return;
	case SW_MM_SEQUENTIAL:
		if (plan->step == 1 || plan->step == -1)
			plan->nr = SW_WINDOW_PAGES;
		return;
	}
}

/* Plans for the fault and collects its pages. */
void sw_fault_begin(struct sw_fault *f, struct sw_streams *st, uint64_t mask)
{
	sw_stream_fault(st, f->addr / SW_PAGE_SIZE, f->tid, &f->plan);
	heed_pattern(f);
	sw_batch_collect(f->space, &f->batch, f->leaf, f->i, f->plan.step,
			 f->plan.nr, mask);
}

/* Tells the stream what came: `nr` pages in all, the last ones by f->batch. */
void sw_fault_end(struct sw_fault *f, struct sw_streams *st, unsigned nr)
{
	const struct sw_batch *b = &f->batch;

	if (b->nr)
		f->last = sw_batch_addr(b, b->nr - 1, 1);
	f->came = nr;
	sw_stream_brought(st, &f->plan, nr, f->last / SW_PAGE_SIZE);
	for (unsigned w = 0; w < f->plan.nr_ways; w++)
		sw_batch_skip(b, &f->plan.way[w]);
	sw_stream_expect(st, &f->plan);
}

/* ---- first touch ---- */

static void fault_zero(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	struct sw_batch *b = &f->batch;
	int mapped;

	f->tier = SW_TIER_FIRST_TOUCH;
	sw_fault_begin(f, &space->streams, SW_WORD_KIND);
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);

	b->nr = sw_budget_reserve(space->mm, b->nr);
	mapped = sw_batch_map(space, b, zeros, 0);

	sw_space_lock(space);
	/* The page is there, whatever we believed (lazily freed memory that
	 * was never reclaimed): it counts from now on. */
	if (mapped == -EEXIST)
		b->mapped |= 1;
	for (unsigned k = 0; k < b->nr; k++)
		if (b->mapped >> k & 1)
			sw_word_set(space, f->leaf, b->page[k],
				    SW_WORD_PRESENT | SW_WORD_ZEROED);
	b->nr = sw_batch_done(b);
	sw_fault_end(f, &space->streams, b->nr);
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (mapped <= 0)
		sw_fault_wake(f);
	f->kind = SW_TRACE_ZERO;
	sw_count(pgfault_zero, 1);
}

/* Who cannot tell reports a write to a page whose protection could not be lifted,
 * though our word has none any more, as it would a missing page. True: it still
 * cannot be. */
static bool stays_protected(struct sw_fault *f)
{
	struct sw_mmu *mmu = f->space->mmu;

	return f->flags & SW_FAULT_EITHER && f->flags & SW_FAULT_WRITE &&
	       mmu->ops->protect(mmu, f->addr, 1, false);
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
static void fault_present(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	uint64_t word = f->leaf->word[f->i];
	int mapped = 0;

	if (stays_protected(f)) {
		sw_space_unlock(space);
		sw_fault_wake(f);
		return;
	}
	if (word & SW_WORD_CLEAN || !(word & SW_WORD_ZEROED)) {
		if (sw_fault_comes_again(f)) {
			sw_fault_lost(f);
			return;
		}
		sw_space_unlock(space);
		sw_fault_wake(f);
		return;
	}
	sw_window_take(f->leaf, f->i);
	sw_space_unlock(space);
	mapped = space->mmu->ops->copy(space->mmu, f->addr, zeros, 1, false);
	sw_space_lock(space);
	sw_window_give(space, f->leaf, f->i);
	sw_space_unlock(space);
	if (mapped <= 0)
		sw_fault_wake(f);
}

/* ---- swap-in ---- */

/* Pages on their way in: those of a fault, or further ones of its stream. */
struct swapin {
	struct sw_batch *batch;
	swp_entry_t entry[SW_WINDOW_PAGES];
	struct sw_swapin in[SW_WINDOW_PAGES];
	uint64_t keep; /* bit k: the slot of page k stays as a clean copy */
	unsigned hot;  /* sweeps that the page is to be spared */
};

/* The word of a page just mapped from its slot. */
static void swapin_word(struct sw_fault *f, struct swapin *s, unsigned k)
{
	struct sw_leaf *leaf = s->batch->leaf;
	unsigned i = s->batch->page[k];
	struct sw_swapin *in = &s->in[k];
	bool keep = s->keep >> k & 1;
	uint64_t word = SW_WORD_PRESENT | (leaf->word[i] & SW_WORD_PIN) |
			s->hot * SW_WORD_HOT_1;

	if (keep)
		word |= SW_WORD_WP | SW_WORD_CLEAN |
			sw_entry_bits(in->folio->swap);
	sw_word_set(f->space, leaf, i, word);
	if (keep)
		sw_swapin_keep(f->space, sw_leaf_addr(leaf, i), in);
	else
		sw_swapin_done(f->space->mm, in);
}

/* The program has the page although its word says it is out (it came from a
 * fork that raced with its eviction): what the program has is newer. */
static void swapin_exists(struct sw_fault *f)
{
	sw_space_lock(f->space);
	sw_words_zap(f->space, f->leaf, f->i, 1);
	sw_word_set(f->space, f->leaf, f->i, SW_WORD_PRESENT);
	sw_window_give(f->space, f->leaf, f->i);
	sw_space_unlock(f->space);
	f->space->mmu->ops->protect(f->space->mmu, f->addr, 1, false);
	sw_fault_wake(f);
}

/* Takes the window of the batch, which is f->batch. Space lock held. */
static void swapin_begin(struct sw_fault *f, struct swapin *s)
{
	struct sw_batch *b = &f->batch;

	s->batch = b;
	for (unsigned k = 0; k < b->nr; k++)
		s->entry[k] = sw_word_entry(b->leaf->word[b->page[k]]);
	sw_window_take(b->leaf, b->page[0]);
}

/* Brings the bytes of the batch, whose window is taken, or of as many pages as
 * can be had; says in s->keep whose slots stay. Returns 0, or why there are not
 * more. `wait` for the first one. */
static int swapin_read(struct sw_fault *f, struct swapin *s, bool wait)
{
	struct sw_batch *b = s->batch;
	unsigned got;
	int err;

	b->nr = got = sw_swapin_get(b, s->entry, wait, f->space->fault_buf,
				    s->in, &err);
	s->keep = 0;
	s->hot = 0;
	/* What was staged has no copy in a store, and another space may keep
	 * the copy already. */
	for (unsigned k = 0; k < got; k++)
		if (s->in[k].source == SW_FROM_STORE &&
		    !folio_test(s->in[k].folio, SW_FOLIO_MAPPED))
			s->keep |= 1ull << k;
	/* What is kept leaves no bytes to who waits. */
	if (s->keep &&
	    (f->flags & SW_FAULT_WRITE || !sw_clean_keep(f->space->mm) ||
	     sw_swapin_is_awaited(s->in, got)))
		s->keep = 0;
	if (s->keep)
		s->keep &= ~sw_swapin_split(s->in, got);
	return err;
}

/* Maps what was read; whoever waits for it finds it, too. Returns what
 * sw_batch_map() does. */
static int swapin_map(struct sw_fault *f, struct swapin *s)
{
	struct sw_space *space = f->space;
	int mapped = sw_batch_map(space, s->batch, space->fault_buf, s->keep);

	if (!s->keep)
		sw_swapin_leave(space->mm, s->batch, s->in, space->fault_buf);
	return mapped;
}

/* The words of what was mapped; the rest stays out. Space lock held. Returns
 * how many pages are in, from the first one on. */
static unsigned swapin_commit(struct sw_fault *f, struct swapin *s)
{
	struct sw_batch *b = s->batch;

	for (unsigned k = 0; k < b->nr; k++) {
		if (b->mapped >> k & 1)
			swapin_word(f, s, k);
		else
			sw_swapin_undo(&s->in[k]);
	}
	return b->nr = sw_batch_done(b);
}

/* Brings pages of the way that begins at page i of a leaf, as many of `max` as
 * can be had without waiting for anything. Nobody waits for them. Space lock
 * held, given up meanwhile. Returns how many came, from the first one on. */
static unsigned swapin_further(struct sw_fault *f, struct swapin *s,
			       struct sw_leaf *leaf, unsigned i, unsigned max)
{
	struct sw_space *space = f->space;
	struct sw_batch *b = &f->batch;
	unsigned nr;

	sw_batch_collect(space, b, leaf, i, f->plan.step, max, SW_WORD_KIND);
	swapin_begin(f, s);
	sw_space_unlock(space);
	b->nr = sw_budget_reserve(space->mm, b->nr);
	swapin_read(f, s, false);
	swapin_map(f, s);
	sw_space_lock(space);
	nr = swapin_commit(f, s);
	sw_window_give(space, leaf, i);
	return nr;
}

unsigned sw_swapin_ahead(struct sw_space *space, struct sw_leaf *leaf,
			 unsigned i, unsigned max)
{
	struct sw_fault f = { .space = space, .plan = { .step = 1 } };
	struct swapin s;

	sw_assert_held(&space->lock);
	return swapin_further(&f, &s, leaf, i, max);
}

/* The page whose turn would be next, if it is out and can be had without
 * waiting for anything. Space lock held. */
static struct sw_leaf *next_out(struct sw_fault *f, uint64_t addr, unsigned i)
{
	struct sw_space *space = f->space;
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, addr);

	if (!leaf || sw_window_of(leaf, i)->busy ||
	    sw_word_kind(leaf->word[i]) != SW_WORD_SWAP ||
	    sw_budget_free(&space->mm->budget) < SW_WINDOW_PAGES)
		return NULL;
	return leaf;
}

/*
 * The pages of a stride lie in many windows, which are taken one by one. The
 * program goes on meanwhile: the page it wants is mapped. Space lock held,
 * given up meanwhile. Returns how many of `max` more pages came.
 */
static unsigned swapin_stride(struct sw_fault *f, struct swapin *s,
			      unsigned max)
{
	struct sw_batch *b = s->batch;
	unsigned nr = 0;

	while (nr < max) {
		uint64_t addr = sw_batch_addr(b, b->nr - 1, 1) +
				f->plan.step * (int64_t)SW_PAGE_SIZE;
		unsigned i = sw_leaf_index(addr);
		struct sw_leaf *leaf = next_out(f, addr, i);

		if (!leaf)
			break;
		f->last = sw_batch_addr(b, b->nr - 1, 1);
		nr += swapin_further(f, s, leaf, i, max - nr);
		if (!b->nr)
			break;
	}
	return nr;
}

/* `disk_reads`: of this thread, before the bytes were asked for. */
static void count_swapin(struct sw_fault *f, enum sw_source source,
			 uint64_t disk_reads)
{
	bool disk = sw_disk_reads != disk_reads;

	switch (source) {
	case SW_FROM_STAGED:
		sw_count(pgfault_staged, 1);
		f->kind = SW_TRACE_STAGED;
		f->tier = SW_TIER_STAGED;
		break;
	case SW_FROM_STORE:
		sw_count(pgmajfault, 1);
		f->kind = disk ? SW_TRACE_DISK : SW_TRACE_COMPRESSED;
		f->tier = SW_TIER_COMPRESSED;
		break;
	case SW_FROM_ZERO:
		f->kind = SW_TRACE_MARKED;
		f->tier = SW_TIER_COMPRESSED;
		break;
	}
	if (disk)
		f->tier = SW_TIER_DISK;
}

/* How far beyond the budget they were, of pages that came. */
static void note_refaults(struct sw_fault *f, const struct swapin *s)
{
	for (unsigned k = 0; k < f->batch.nr; k++)
		if (s->in[k].shadow)
			sw_stall_refault(&f->space->stall,
					 sw_refault_distance(f->space->mm,
							     s->in[k].shadow));
}

/* How many pages are there from the first one of a leaf on its stream's way. */
static unsigned nr_in_leaf(const struct sw_fault *f)
{
	unsigned n = 0, i = f->i;

	for (; n < SW_LEAF_PAGES; n++, i += f->plan.step)
		if (sw_word_kind(f->leaf->word[i]) != SW_WORD_PRESENT)
			break;
	return n;
}

/*
 * A stream that comes to a leaf which left as a huge page brings it as one. False:
 * the leaf comes page by page. Space lock held; given up when true, and
 * meanwhile.
 */
static bool fault_huge(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	struct sw_streams *st = &space->streams;
	unsigned first = f->plan.step < 0 ? SW_LEAF_PAGES - 1 : 0, nr;
	uint64_t disk_reads = sw_disk_reads;
	enum sw_source source;

	if (f->alone || f->i != first || !sw_leaf_was_huge(space, f->leaf) ||
	    !sw_stream_may_bring_huge(st, &f->plan))
		return false;
	if (!sw_huge_in(space, f->leaf, f->i, &source)) {
		/* Some of what was to come along may be here. */
		sw_batch_collect(space, &f->batch, f->leaf, f->i, f->plan.step,
				 f->plan.nr, SW_WORD_KIND);
		return false;
	}
	count_swapin(f, source, disk_reads);
	f->came = nr = nr_in_leaf(f);
	sw_stream_brought_huge(st, &f->plan, nr,
			       f->addr / SW_PAGE_SIZE +
				       f->plan.step * (int64_t)(nr - 1));
	sw_space_unlock(space);
	return true;
}

static void fault_swapin(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	struct sw_batch *b = &f->batch;
	uint64_t disk_reads = sw_disk_reads;
	struct swapin s;
	unsigned nr;
	int mapped, err;

	sw_fault_begin(f, &space->streams, SW_WORD_KIND);
	f->plan.swap = true;
	if (fault_huge(f))
		return;
	swapin_begin(f, &s);
	sw_space_unlock(space);

	b->nr = sw_budget_reserve(space->mm, b->nr);
	err = swapin_read(f, &s, true);
	if (!b->nr) {
		sw_space_lock(space);
		sw_fault_end(f, &space->streams, 0);
		sw_window_give(space, f->leaf, f->i);
		if (err == -EIO) {
			sw_fault_lost(f);
			return;
		}
		sw_space_unlock(space);
		if (err == -EINPROGRESS) {
			f->tier = SW_TIER_NONE;
			sw_late_add(space);
		} else {
			sw_fault_wake(f);
		}
		return;
	}
	s.hot = b->nr == 1 ? sw_clock_heat(space->mm, &s.in[0]) : 0;
	mapped = swapin_map(f, &s);
	if (mapped > 0)
		count_swapin(f, s.in[0].source, disk_reads);
	note_refaults(f, &s);

	sw_space_lock(space);
	nr = swapin_commit(f, &s);
	if (mapped == -EEXIST) {
		sw_fault_end(f, &space->streams, 1);
		sw_space_unlock(space);
		swapin_exists(f);
		return;
	}
	sw_window_give(space, f->leaf, f->i);
	if (nr && f->plan.step != 1 && f->plan.step != -1)
		nr += swapin_stride(f, &s, f->plan.nr - nr);
	sw_fault_end(f, &space->streams, nr);
	sw_space_unlock(space);
	if (!nr)
		sw_fault_wake(f);
}

/* ---- the door ---- */

/* Is it a write to a page that is there, and that we protected? */
static bool is_protected(const struct sw_fault *f)
{
	uint64_t word = f->leaf->word[f->i];

	return f->flags & SW_FAULT_WRITE &&
	       sw_word_kind(word) == SW_WORD_PRESENT && word & SW_WORD_WP;
}

/* What becomes of it, when nobody is at work on its window. Space lock held,
 * which is given up. */
static void answer(struct sw_fault *f)
{
	if (f->flags & SW_FAULT_EITHER && is_protected(f))
		f->flags |= SW_FAULT_WP;
	SW_PROBE5(fault, f->space, f->addr, f->flags, f->tid,
		  (unsigned)sw_word_kind(f->leaf->word[f->i]));
	f->tier = SW_TIER_OTHER;
	if (f->flags & SW_FAULT_WP) {
		f->tier = SW_TIER_WRITE;
		sw_fault_wp(f);
		return;
	}
	switch (sw_word_kind(f->leaf->word[f->i])) {
	case SW_WORD_NONE:
		fault_zero(f);
		return;
	case SW_WORD_SWAP:
		fault_swapin(f);
		return;
	case SW_WORD_POISON:
		sw_fault_poison(f);
		return;
	case SW_WORD_PRESENT:
		fault_present(f);
		return;
	}
}

/* Space lock held, which is given up. */
static void meet(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	struct sw_window *win;

	f->leaf = sw_pt_get(&space->pt, f->addr);
	if (!f->leaf) { /* out of memory: try again */
		sw_space_unlock(space);
		sw_fault_wake(f);
		return;
	}
	win = sw_window_of(f->leaf, f->i);
	if (win->busy) {
		sw_window_await(space, win);
		sw_count(pgfault_retry, 1);
		sw_space_unlock(space);
		return;
	}
	if (sw_freeze_is_on(space->mm) && sw_freeze_holds(space, win)) {
		sw_space_unlock(space);
		return;
	}
	answer(f);
}

static void trace(const struct sw_fault *f, uint64_t begin)
{
	struct sw_trace_event event = { .kind = f->kind,
					.space = sw_space_id(f->space),
					.page = f->addr / SW_PAGE_SIZE,
					.nr = f->came };

	sw_trace_end(begin, &event);
}

void sw_fault(void *arg, uint64_t addr, unsigned flags, int tid)
{
	uint64_t begin = sw_trace_begin();
	struct sw_fault f = { .space = arg,
			      .addr = addr,
			      .flags = flags,
			      .tid = tid,
			      .tier = SW_TIER_NONE,
			      .last = addr,
			      .kind = SW_TRACE_OTHER,
			      .i = sw_leaf_index(addr) };

	sw_count(pgfault, 1);
	sw_own_add(&f.space->faults, 1);
	sw_space_lock(f.space);
	meet(&f);
	sw_stall_answered(&f.space->stall, f.tier);
	if (begin)
		trace(&f, begin);
}
