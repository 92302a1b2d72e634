/*
 * batch.c - the pages that one fault takes along: those of its window that lie
 * on the way of its stream and fault like it. Pages in between that would not
 * fault are stepped over, since a further call for what lies behind them costs
 * a fifth of a further fault.
 *
 * Above: fault.c. Below: the mmu, which maps a run of neighbours at a time.
 */
#include <errno.h>

#include "mm/mm_internal.h"

_Static_assert(SW_WINDOW_PAGES <= 64, "a batch has a bit for each page");

/* Pages [*first, *end) of the leaf: the window of page i, as far as the region
 * of that page goes. */
static void bounds(const struct sw_space *space, const struct sw_leaf *leaf,
		   unsigned i, int *first, int *end)
{
	unsigned start = i / SW_WINDOW_PAGES * SW_WINDOW_PAGES;
	uint64_t lo = sw_leaf_addr(leaf, start), hi = lo + SW_WINDOW_BYTES;
	struct sw_region r = sw_space_region(space, sw_leaf_addr(leaf, i));

	*first = (sw_max(lo, r.start) - leaf->base) / SW_PAGE_SIZE;
	*end = (sw_min(hi, r.end) - leaf->base) / SW_PAGE_SIZE;
}

void sw_batch_collect(const struct sw_space *space, struct sw_batch *b,
		      struct sw_leaf *leaf, unsigned i, int64_t step,
		      unsigned max, uint64_t mask)
{
	uint64_t want = leaf->word[i] & mask;
	int first, end;

	sw_assert_held(&space->lock);
	bounds(space, leaf, i, &first, &end);
	b->leaf = leaf;
	b->step = step;
	b->mask = mask;
	b->nr = 0;
	b->mapped = 0;
	for (int64_t k = i; k >= first && k < end && b->nr < max; k += step) {
		uint64_t word = leaf->word[k] & mask;

		if (word == want)
			b->page[b->nr++] = k;
		else if (word != SW_WORD_PRESENT)
			break;
	}
}

unsigned sw_batch_run(const struct sw_batch *b, unsigned k)
{
	unsigned n = 1;

	if (b->step != 1 && b->step != -1)
		return 1;
	while (k + n < b->nr && b->page[k + n] == b->page[k] + b->step * n)
		n++;
	return n;
}

uint64_t sw_batch_addr(const struct sw_batch *b, unsigned k, unsigned nr)
{
	return sw_leaf_addr(b->leaf, b->page[b->step < 0 ? k + nr - 1 : k]);
}

unsigned sw_batch_done(const struct sw_batch *b)
{
	unsigned n = 0;

	while (n < b->nr && b->mapped >> n & 1)
		n++;
	return n;
}

/* The part of run [k, k + nr) that wants the same protection as its first. */
static unsigned same_protection(uint64_t protect, unsigned k, unsigned nr)
{
	unsigned n = 1;

	while (n < nr && (protect >> (k + n) & 1) == (protect >> k & 1))
		n++;
	return n;
}

/* Maps pages [k, k + nr), which are neighbours. Returns what copy() does. */
static int map_run(struct sw_space *space, struct sw_batch *b, unsigned k,
		   unsigned nr, const char *buf, bool protect)
{
	unsigned lowest = b->step < 0 ? k + nr - 1 : k;
	int n = space->mmu->ops->copy(space->mmu, sw_batch_addr(b, k, nr),
				      buf + sw_batch_offset(b, lowest), nr,
				      protect);

	for (int i = 0; i < n; i++)
		b->mapped |= 1ull << (b->step < 0 ? lowest - i : k + i);
	return n;
}

int sw_batch_map(struct sw_space *space, struct sw_batch *b, const char *buf,
		 uint64_t protect)
{
	unsigned nr = 0;
	int n = 0;

	for (unsigned k = 0; k < b->nr; k += nr) {
		nr = same_protection(protect, k, sw_batch_run(b, k));
		n = map_run(space, b, k, nr, buf, protect >> k & 1);
		if (n < (int)nr)
			break;
	}
	if (b->mapped & 1)
		return 1;
	/* Backward, the pages far ahead come first, and what stops there must
	 * not stop the fault. */
	if (b->step < 0 && nr > 1)
		n = map_run(space, b, 0, 1, buf, protect & 1);
	return n;
}

void sw_batch_skip(const struct sw_batch *b, struct sw_way *way)
{
	uint64_t base = b->leaf->base / SW_PAGE_SIZE;

	for (unsigned n = 0; n < SW_WINDOW_PAGES; n++) {
		uint64_t i = way->next - base;

		if (i >= SW_LEAF_PAGES ||
		    (b->leaf->word[i] & b->mask) != SW_WORD_PRESENT)
			return;
		way->next += way->step;
	}
}
