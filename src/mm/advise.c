/*
 * advise.c - what a program says of its memory with madvise(), where the kernel
 * tells nobody:
 *
 *   MADV_PAGEOUT   is not hot, and goes at once, be there room or not
 *   MADV_COLD      is not hot, and goes before all others when room is needed
 *   MADV_WILLNEED  comes in, window by window, while more is free than reclaim
 *                  would keep
 *
 * A range may be anything, memory that is not ours and terabytes of nothing
 * among it: only leaves that exist are walked, a few in one step, and between
 * two steps the thread that reads events looks for events and faults. What is
 * newer wins, and what the layout does to a range ends the advice for it. All of
 * it may be lost: pages that stay, or stay out, are what the program would have
 * had without us.
 *
 * Above: mmu/remote_events.c hears it, reclaim.c takes what shall go. Below:
 * fault.c brings pages in, clock.c picks them.
 */
#include <time.h>

#include "base/time.h"
#include "mm/mm_internal.h"

#define STEP_LEAVES 64
#define LOOK_NS     2000000    /* how far paging out is, */
#define IDLE_NS     1000000000 /* and when it is given up */

/* ---- lists ---- */

static void list_del(struct sw_advised_list *l, unsigned k)
{
	l->nr--;
	for (; k < l->nr; k++)
		l->at[k] = l->at[k + 1];
}

static void list_add(struct sw_advised_list *l, uint64_t start, uint64_t end,
		     enum sw_advice advice)
{
	struct sw_advised *last = l->nr ? &l->at[l->nr - 1] : NULL;

	if (start >= end)
		return;
	if (last && last->end == start && last->advice == advice) {
		last->end = end;
		return;
	}
	if (l->nr == SW_ADVISED_MAX)
		list_del(l, 0);
	l->at[l->nr++] = (struct sw_advised){ start, end, advice };
}

/* What is left of an entry on either side of the range is its youngest then. */
static void list_cut(struct sw_advised_list *l, uint64_t start, uint64_t end)
{
	for (unsigned k = l->nr; k-- > 0;) {
		struct sw_advised a = l->at[k];

		if (a.start >= end || a.end <= start)
			continue;
		list_del(l, k);
		list_add(l, a.start, sw_min(a.end, start), a.advice);
		list_add(l, sw_max(a.start, end), a.end, a.advice);
	}
}

/* After a change of what shall go. */
static void recount(struct sw_space *space)
{
	struct sw_advice_book *book = &space->advice;
	unsigned nr[SW_NR_ADVICE] = { 0 };

	sw_assert_held(&space->lock);
	for (unsigned k = 0; k < book->out.nr; k++)
		nr[book->out.at[k].advice]++;
	for (unsigned a = 0; a < SW_NR_ADVICE; a++)
		__atomic_store_n(&book->waiting[a], nr[a], __ATOMIC_RELAXED);
}

void sw_advice_forget(struct sw_space *space, uint64_t start, uint64_t end)
{
	list_cut(&space->advice.todo, start, end);
	list_cut(&space->advice.out, start, end);
	recount(space);
}

/* ---- hearing it ---- */

void sw_space_advise(void *arg, uint64_t start, uint64_t end,
		     enum sw_advice advice)
{
	struct sw_space *space = arg;

	sw_space_lock(space);
	sw_advice_forget(space, start, end);
	list_add(&space->advice.todo, start, end, advice);
	sw_space_unlock(space);
	sw_count(advice, 1);
}

/* ---- what shall go ---- */

static void cool_leaf(struct sw_leaf *leaf, uint64_t start, uint64_t end)
{
	unsigned i = start > leaf->base ? sw_leaf_index(start) : 0;

	for (; i < SW_LEAF_PAGES && sw_leaf_addr(leaf, i) < end; i++)
		if (sw_word_kind(leaf->word[i]) == SW_WORD_PRESENT)
			leaf->word[i] &= ~SW_WORD_HOT;
}

/* One step: what is not hot any more is reclaim's. Space lock held. */
static void cool(struct sw_space *space, struct sw_advised *a)
{
	uint64_t from = a->start;

	for (unsigned n = 0; n < STEP_LEAVES && a->start < a->end; n++) {
		struct sw_leaf *leaf = sw_pt_next(&space->pt, a->start);

		if (!leaf || leaf->base >= a->end) {
			a->start = a->end;
			break;
		}
		cool_leaf(leaf, a->start, a->end);
		a->start = sw_min(a->end, leaf->base + SW_LEAF_BYTES);
	}
	list_add(&space->advice.out, from, a->start, a->advice);
	recount(space);
	if (a->advice == SW_ADVICE_PAGEOUT)
		sw_reclaim_wake(space->mm);
}

bool sw_advice_waits(struct sw_space *space, bool now)
{
	unsigned *nr = space->advice.waiting;

	return __atomic_load_n(&nr[SW_ADVICE_PAGEOUT], __ATOMIC_RELAXED) ||
	       (!now && __atomic_load_n(&nr[SW_ADVICE_COLD], __ATOMIC_RELAXED));
}

void sw_advice_pick(struct sw_space *space, struct sw_evictor *ev, bool now)
{
	struct sw_advised_list *out = &space->advice.out;
	unsigned k = 0;

	while (k < out->nr) {
		struct sw_advised *a = &out->at[k];

		if (now && a->advice != SW_ADVICE_PAGEOUT) {
			k++;
			continue;
		}
		a->end = sw_clock_pick_range(space, ev, a->start, a->end);
		if (a->end > a->start)
			break; /* the batch is full, or this took long enough */
		list_del(out, k);
	}
	recount(space);
}

void sw_advice_again(struct sw_space *space, const struct sw_evictor *ev)
{
	for (unsigned r = 0; r < ev->nr_busy; r++) {
		uint64_t start = ev->busy[r].addr;
		uint64_t end = start + ev->busy[r].nr * SW_PAGE_SIZE;

		list_cut(&space->advice.out, start, end);
		list_add(&space->advice.out, start, end, SW_ADVICE_PAGEOUT);
	}
	recount(space);
}

/* ---- what shall come ---- */

/* The next page of the leaf that is out and can be had now; or SW_LEAF_PAGES. */
static unsigned next_out(struct sw_leaf *leaf, const struct sw_advised *a)
{
	unsigned i = a->start > leaf->base ? sw_leaf_index(a->start) : 0;

	for (; i < SW_LEAF_PAGES && sw_leaf_addr(leaf, i) < a->end; i++)
		if (sw_word_kind(leaf->word[i]) == SW_WORD_SWAP &&
		    !sw_window_of(leaf, i)->busy)
			return i;
	return SW_LEAF_PAGES;
}

/* Brings page i and what follows it in its window. What could not be had now is
 * left to faults. Space lock held, given up meanwhile. */
static void bring_window(struct sw_space *space, struct sw_advised *a,
			 struct sw_leaf *leaf, unsigned i)
{
	uint64_t addr = sw_leaf_addr(leaf, i);
	uint64_t max = (a->end - addr) / SW_PAGE_SIZE;
	unsigned nr = sw_swapin_ahead(space, leaf, i,
				      sw_min(max, (uint64_t)SW_WINDOW_PAGES));

	sw_count(advice_in, nr);
	a->start = nr ? addr + nr * SW_PAGE_SIZE
		      : (addr | (SW_WINDOW_BYTES - 1)) + 1;
}

/* The same of a leaf that all is wanted of. False: it comes by windows. */
static bool bring_huge(struct sw_space *space, struct sw_advised *a,
		       struct sw_leaf *leaf)
{
	struct sw_budget *b = &space->mm->budget;
	uint64_t end = leaf->base + SW_LEAF_BYTES;
	enum sw_source source;

	if (a->start > leaf->base || a->end < end ||
	    sw_budget_free(b) < sw_budget_high(b) + SW_HUGE_PAGES ||
	    !sw_leaf_was_huge(space, leaf) ||
	    !sw_huge_in(space, leaf, 0, &source))
		return false;
	sw_count(advice_in, SW_HUGE_PAGES);
	a->start = end;
	return true;
}

/* One step. Space lock held, given up meanwhile. */
static void bring(struct sw_space *space, struct sw_advised *a)
{
	struct sw_budget *b = &space->mm->budget;

	/* Else reclaim would take out something else for it. */
	if (sw_budget_free(b) < sw_budget_high(b) + SW_WINDOW_PAGES) {
		a->start = a->end;
		return;
	}
	for (unsigned n = 0; n < STEP_LEAVES && a->start < a->end; n++) {
		struct sw_leaf *leaf = sw_pt_next(&space->pt, a->start);
		unsigned i;

		if (!leaf || leaf->base >= a->end) {
			a->start = a->end;
			return;
		}
		i = next_out(leaf, a);
		if (i < SW_LEAF_PAGES) {
			if (!bring_huge(space, a, leaf))
				bring_window(space, a, leaf, i);
			return;
		}
		a->start = leaf->base + SW_LEAF_BYTES;
	}
}

/* ---- step by step ---- */

/* One step of the oldest. Space lock held, given up meanwhile. */
static void heed_first(struct sw_space *space)
{
	struct sw_advised_list *todo = &space->advice.todo;
	struct sw_advised *a = &todo->at[0];

	if (a->advice == SW_ADVICE_WILLNEED)
		bring(space, a);
	else
		cool(space, a);
	if (a->start >= a->end)
		list_del(todo, 0);
}

bool sw_advice_heed(struct sw_space *space)
{
	struct sw_advised_list *todo = &space->advice.todo;
	bool goes_on;

	if (!todo->nr)
		return false;
	sw_space_lock(space);
	/* Frozen, nothing comes in: it is heeded later. Whoever freezes waits
	 * for those who have seen, with the lock, that nobody does. */
	goes_on = !sw_freeze_is_on(space->mm);
	if (goes_on)
		heed_first(space);
	sw_space_unlock(space);
	return goes_on && todo->nr;
}

/* ---- all of it, for somebody else ---- */

/* Space lock held. */
static uint64_t bytes_to_go(const struct sw_advised_list *out)
{
	uint64_t bytes = 0;

	for (unsigned k = 0; k < out->nr; k++)
		if (out->at[k].advice == SW_ADVICE_PAGEOUT)
			bytes += out->at[k].end - out->at[k].start;
	return bytes;
}

/* Until all is gone that can; else what is left is not waited for. */
static void wait_until_out(struct sw_space *space, bool (*goes_on)(void *arg),
			   void *arg)
{
	static const struct timespec nap = { .tv_nsec = LOOK_NS };
	uint64_t left, least = UINT64_MAX, moved_ns = sw_now_ns();

	for (;;) {
		sw_space_lock(space);
		left = bytes_to_go(&space->advice.out);
		sw_space_unlock(space);
		if (left < least)
			moved_ns = sw_now_ns();
		least = sw_min(least, left);
		if (!left || !goes_on(arg) || sw_now_ns() - moved_ns > IDLE_NS)
			return;
		nanosleep(&nap, NULL);
	}
}

void sw_space_page_out(struct sw_space *space, bool (*goes_on)(void *arg),
		       void *arg)
{
	struct sw_advised all = { 0, SW_ADDR_END, SW_ADVICE_PAGEOUT };

	while (all.start < all.end) {
		sw_space_lock(space);
		if (!all.start)
			list_cut(&space->advice.out, 0, SW_ADDR_END);
		cool(space, &all);
		sw_space_unlock(space);
	}
	wait_until_out(space, goes_on, arg);
	sw_space_lock(space);
	list_cut(&space->advice.out, 0, SW_ADDR_END);
	recount(space);
	sw_space_unlock(space);
}
