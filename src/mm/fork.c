/*
 * fork.c - a space becomes two. Slots get a second owner; present pages are
 * one frame for both until somebody writes, so both sides are write-protected
 * (armed): the write comes to us first, and the copy it makes is accounted
 * and may have to wait for room.
 *
 * The program says when it is about to fork (forking()), and waits until
 * all is armed; the child inherits that. What it could not tell, or wrote since,
 * each space's own event thread arms after the fork, step by step, between
 * other events (struct sw_mmu_client: settle): for as long as the layout counts
 * as changing the kernel refuses with -EAGAIN. Copies made before that are
 * found by the next measurement.
 *
 * Above: mmu/remote_events.c. Beside: space.c, share.c.
 */
#include <errno.h>

#include "base/log.h"
#include "mm/mm_internal.h"

#define ARM_LEAVES 64 /* in one step */

/* ---- words ---- */

static int dup_run(swp_entry_t first, unsigned nr)
{
	int err;

	while ((err = swap_dup_entries_direct(first, nr)) == -ENOMEM) {
		err = swap_retry_table_alloc(first);
		if (err)
			break;
	}
	return err;
}

/* One owner more for the slots of a window, run by run: pages that went out
 * together mostly have slots that follow each other. */
static int dup_slots(const uint64_t *word)
{
	int err = 0;

	for (unsigned i = 0, run; i < SW_WINDOW_PAGES && !err;
	     i += sw_max(run, 1u)) {
		run = sw_words_swap_run(&word[i], SW_WINDOW_PAGES - i);
		if (run)
			err = dup_run(sw_word_entry(word[i]), run);
	}
	return err;
}

/* One window for the child; what is present is shared from now on. */
static int fork_window(struct sw_space *child, struct sw_space *parent,
		       struct sw_leaf *to, struct sw_leaf *from, unsigned w)
{
	unsigned first = w * SW_WINDOW_PAGES;
	uint64_t *word = &from->word[first], copy[SW_WINDOW_PAGES];
	int err;

	if (sw_words_are_none(word, SW_WINDOW_PAGES))
		return 0;
	/* A clean copy has one owner, and two spaces now. */
	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++)
		if (word[i] & SW_WORD_CLEAN)
			sw_clean_forget(parent, from, first + i);
	err = dup_slots(word);
	if (err)
		return err;
	sw_share(parent->mm, word, SW_WINDOW_PAGES);
	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++) {
		bool present = sw_word_kind(word[i]) == SW_WORD_PRESENT;

		if (present)
			word[i] |= SW_WORD_WP;
		copy[i] = present ? word[i] & ~SW_WORD_HOT : word[i];
	}
	sw_words_fill(child, to, first, copy, SW_WINDOW_PAGES);
	/* What was armed for an earlier fork still is, on both sides. */
	to->win[w].all_wp = from->win[w].all_wp;
	return 0;
}

static int fork_leaf(struct sw_space *child, struct sw_space *parent,
		     struct sw_leaf *from)
{
	struct sw_leaf *to = sw_pt_get(&child->pt, from->base);
	int err = to ? 0 : -ENOMEM;

	for (unsigned w = 0; w < SW_LEAF_WINDOWS && !err; w++)
		err = fork_window(child, parent, to, from, w);
	if (!err)
		to->was_huge = from->was_huge;
	return err;
}

static int fork_tables(struct sw_space *child, struct sw_space *parent)
{
	struct sw_leaf *leaf = sw_pt_next(&parent->pt, 0);
	int err = 0;

	for (unsigned i = 0; i < parent->nr_regions && !err; i++)
		err = sw_region_insert(child, parent->region[i].start,
				       parent->region[i].end);
	for (; leaf && !err;
	     leaf = sw_pt_next(&parent->pt, leaf->base + SW_LEAF_BYTES))
		err = fork_leaf(child, parent, leaf);
	return err;
}

/* ---- arming ---- */

static int protect(struct sw_mmu *mmu, struct sw_leaf *leaf, unsigned i,
		   unsigned end)
{
	return mmu->ops->protect(mmu, sw_leaf_addr(leaf, i), end - i, true);
}

/* The present pages of [i, end), run by run: what lies between them may be no
 * memory of ours. */
static int arm_runs(struct sw_mmu *mmu, struct sw_leaf *leaf, unsigned i,
		    unsigned end)
{
	int err = 0;

	while (i < end && err != -EAGAIN) {
		unsigned k = i;

		while (k < end &&
		       sw_word_kind(leaf->word[k]) == SW_WORD_PRESENT)
			k++;
		if (k > i)
			err = protect(mmu, leaf, i, k);
		i = k + 1;
	}
	return err;
}

/* Arms windows [first, last] of a leaf; pages are present in both. */
static int arm_windows(struct sw_mmu *mmu, struct sw_leaf *leaf, unsigned first,
		       unsigned last)
{
	unsigned i = first * SW_WINDOW_PAGES;
	unsigned end = (last + 1) * SW_WINDOW_PAGES;
	int err;

	while (sw_word_kind(leaf->word[i]) != SW_WORD_PRESENT)
		i++;
	while (sw_word_kind(leaf->word[end - 1]) != SW_WORD_PRESENT)
		end--;
	err = protect(mmu, leaf, i, end);
	if (err == -ENOENT)
		err = arm_runs(mmu, leaf, i, end);
	for (unsigned w = first; w <= last && !err; w++)
		leaf->win[w].all_wp = true;
	return err;
}

/* Arms what is present of a leaf, with few calls; but for what the agent is
 * writing to right now. */
static int arm_leaf(struct sw_space *space, struct sw_leaf *leaf)
{
	unsigned first = SW_LEAF_WINDOWS, last = 0;
	int err = 0;

	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++) {
		struct sw_window *win = &leaf->win[w];

		if (win->unsharing && first < w && err != -EAGAIN)
			err = arm_windows(space->mmu, leaf, first, last);
		if (win->unsharing)
			first = SW_LEAF_WINDOWS;
		if (win->unsharing || !win->present || win->all_wp)
			continue;
		first = sw_min(first, w);
		last = w;
	}
	if (first < SW_LEAF_WINDOWS && err != -EAGAIN)
		err = arm_windows(space->mmu, leaf, first, last);
	return err;
}

bool sw_space_settle(void *arg)
{
	struct sw_space *space = arg;
	struct sw_leaf *leaf = NULL;

	/* Set by this thread, or before it was started. */
	if (space->arm_next == SW_ARMED)
		return false;
	sw_space_lock(space);
	for (unsigned n = 0; n < ARM_LEAVES; n++) {
		leaf = sw_pt_next(&space->pt, space->arm_next);
		if (!leaf || arm_leaf(space, leaf) == -EAGAIN)
			break;
		space->arm_next = leaf->base + SW_LEAF_BYTES;
	}
	if (!leaf)
		space->arm_next = SW_ARMED;
	sw_space_unlock(space);
	return leaf;
}

/* What is written between this and the fork is a fault each, and is armed
 * again after it. */
void sw_space_forking(void *arg)
{
	struct sw_space *space = arg;
	const struct sw_mm_host *host = space->mm->host;
	struct sw_leaf *leaf;
	int err = 0;

	if (host->forking)
		host->forking(host->arg, space);
	sw_space_lock(space);
	leaf = sw_pt_next(&space->pt, 0);
	for (; leaf && err != -EAGAIN;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES)) {
		err = arm_leaf(space, leaf);
	}
	sw_space_unlock(space);
	sw_count(fork_announced, 1);
}

/* ---- the event ---- */

void sw_space_fork(void *arg, int fd)
{
	struct sw_space *parent = arg;
	struct sw_mm *mm = parent->mm;
	struct sw_space *child = sw_space_new(mm);
	struct sw_mmu *mmu;

	SW_BUG_ON(!child);
	mmu = mm->host->forked(mm->host->arg, parent, child, fd);
	SW_BUG_ON(!mmu); /* the child would read zeros */
	sw_space_wait_idle(parent, 0, ~0ull);
	child->mmu = mmu;
	/* Nobody else knows the child yet, so this does not wait. */
	SW_BUG_ON(!sw_mutex_trylock(&child->lock));
	SW_BUG_ON(fork_tables(child, parent));
	/* Before it gets to change anything, if we are quick. */
	sw_owed_inherit(&child->owed, &parent->owed);
	sw_space_resolve(child);
	parent->arm_next = child->arm_next = 0;
	sw_space_unlock(child);
	sw_count(fork_spaces, 1);
	sw_space_attach(child);
	mm->host->forked_ready(mm->host->arg, child);
}
