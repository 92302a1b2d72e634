/*
 * write_fault.c - first writes to pages that we protected: a clean copy in a
 * store is no longer one, a frame shared by fork is about to be copied, or a
 * page that was only read gets a frame. The books change before the protection
 * is lifted.
 *
 * Above: fault.c. Below: stream.c and batch.c (what else is written to next),
 * budget.c, the mmu.
 */
#include "mm/fault.h"

/* Lifts the protection of one page's word; the books follow. */
static void unprotect_word(struct sw_space *space, struct sw_leaf *leaf,
			   unsigned i)
{
	if (leaf->word[i] & SW_WORD_CLEAN) {
		sw_clean_forget(space, leaf, i);
		sw_count(clean_lost, 1);
	}
	/* A frame that was shared is left to the others: a write copies it. */
	sw_word_set(space, leaf, i, sw_word_unshared(leaf->word[i]));
}

/* How many of the pages a write would copy. */
static unsigned nr_shared(struct sw_fault *f)
{
	const struct sw_batch *b = &f->batch;
	unsigned shared = 0;

	for (unsigned k = 0; k < b->nr; k++)
		shared += sw_is_shared(f->space->mm, f->leaf->word[b->page[k]]);
	return shared;
}

/* Does any of them have a clean copy? */
static bool has_clean(struct sw_fault *f)
{
	const struct sw_batch *b = &f->batch;

	for (unsigned k = 0; k < b->nr; k++)
		if (f->leaf->word[b->page[k]] & SW_WORD_CLEAN)
			return true;
	return false;
}

/* May a lift of protection go over the page? Over one that is out, and over one
 * whose protection is worth nothing: a fork whose other side has left the frame,
 * or a clean copy while those are written to more often than not. */
static bool may_lift(struct sw_fault *f, unsigned i, bool clean_too)
{
	uint64_t word = f->leaf->word[i];

	if (sw_word_kind(word) == SW_WORD_SWAP)
		return true;
	return sw_word_kind(word) == SW_WORD_PRESENT &&
	       (!(word & SW_WORD_WP) ||
		((clean_too || !(word & SW_WORD_CLEAN)) &&
		 !sw_is_shared(f->space->mm, word)));
}

/* A random writer would come back for each page of the window: what lies around
 * [*i, *i + nr) and is protected for nothing joins it. Returns the pages. */
static unsigned widen(struct sw_fault *f, unsigned *i, unsigned nr)
{
	unsigned first = *i / SW_WINDOW_PAGES * SW_WINDOW_PAGES;
	unsigned last = first + SW_WINDOW_PAGES - 1, end = *i + nr - 1;
	bool clean_too = !sw_clean_pays(f->space->mm);

	while (end < last && may_lift(f, end + 1, clean_too))
		end++;
	while (*i > first && may_lift(f, *i - 1, clean_too))
		--*i;
	return end + 1 - *i;
}

/* Lifts the protection of pages [i, i + nr). After their words: a page that is
 * clean in our books must never be writable. */
static int unprotect(struct sw_fault *f, unsigned i, unsigned nr)
{
	struct sw_mmu *mmu = f->space->mmu;

	for (unsigned k = i; k < i + nr; k++)
		if (sw_word_kind(f->leaf->word[k]) == SW_WORD_PRESENT)
			unprotect_word(f->space, f->leaf, k);
	return mmu->ops->protect(mmu, sw_leaf_addr(f->leaf, i), nr, false);
}

/* The same of the batch, run by run, and of what joins it. */
static int unprotect_batch(struct sw_fault *f)
{
	const struct sw_batch *b = &f->batch;
	unsigned nr;
	int err = 0;

	for (unsigned k = 0; k < b->nr && !err; k += nr) {
		unsigned i, all;

		all = nr = sw_batch_run(b, k);
		i = sw_leaf_index(sw_batch_addr(b, k, nr));
		if (nr == b->nr)
			all = widen(f, &i, nr);
		err = unprotect(f, i, all);
	}
	return err;
}

/* A first write to pages that we protected. */
static int fault_wp_ours(struct sw_fault *f)
{
	struct sw_space *space = f->space;
	struct sw_batch *b = &f->batch;
	unsigned copies;

	sw_fault_begin(f, &space->wp_streams, SW_WORD_KIND | SW_WORD_WP);
	copies = nr_shared(f);
	sw_space_unlock(space);
	if (copies)
		b->nr = sw_min(b->nr, sw_budget_reserve(space->mm, copies));
	sw_space_lock(space);
	if (has_clean(f))
		sw_clean_met(space->mm);
	sw_fault_end(f, &space->wp_streams, b->nr);
	return unprotect_batch(f);
}

/* A first write to a page that was only read, and maps the kernel's zeros
 * (run/maps.c). */
static int fault_wp_read(struct sw_fault *f)
{
	struct sw_space *space = f->space;

	sw_space_unlock(space);
	sw_budget_reserve(space->mm, 1);
	sw_space_lock(space);
	sw_word_set(space, f->leaf, f->i, SW_WORD_PRESENT | SW_WORD_ZEROED);
	return unprotect(f, f->i, 1);
}

void sw_fault_wp(struct sw_fault *f)
{
	uint64_t word = f->leaf->word[f->i];
	int err;

	sw_window_take(f->leaf, f->i);
	if (sw_word_kind(word) == SW_WORD_NONE)
		err = fault_wp_read(f);
	else if (sw_word_kind(word) == SW_WORD_PRESENT && word & SW_WORD_WP)
		err = fault_wp_ours(f);
	else /* nothing that we know of: a fork that raced with it */
		err = unprotect(f, f->i, 1);
	sw_window_of(f->leaf, f->i)->all_wp = false;
	sw_window_give(f->space, f->leaf, f->i);
	sw_space_unlock(f->space);
	if (err)
		sw_fault_wake(f);
	f->kind = SW_TRACE_WRITE;
	sw_count(pgfault_wp, 1);
}
