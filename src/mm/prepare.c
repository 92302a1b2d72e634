/*
 * prepare.c - folios that wait for a page to be taken out: each has a buffer
 * and slots and is in the swap cache. Because they are there before anything
 * is unmapped, a full device is found out while every page is in place.
 *
 * Large folios are prepared for as much of a batch as the last one had use
 * for, one block of buffers at a time. What is then not needed in that size is
 * split, which cannot fail either: the descriptors for it are there, too.
 *
 * A prepared folio carries SW_FOLIO_WRITEBACK, which keeps the allocator from
 * taking its unowned slots away.
 *
 * Above: evict.c. Below: staging.c for buffers, the swap layer for slots.
 */
#include <string.h>

#include "mm/mm_internal.h"

#define DEFERRED 64 /* blocks that do without an order that had no slots */

/* ---- splitting ---- */

void sw_folio_split(struct folio *old, struct folio *const *part, unsigned nr)
{
	uint32_t has = __atomic_load_n(&old->flags, __ATOMIC_RELAXED) &
		       (SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	uint64_t size = folio_nr(old) / nr * SW_PAGE_SIZE;

	for (unsigned i = 0; i < nr; i++) {
		SW_BUG_ON(!folio_trylock(part[i])); /* nobody else knows it */
		folio_set(part[i], has);
		part[i]->mapping = old->mapping;
		if (old->data)
			part[i]->data = (char *)old->data + i * size;
	}
	swap_cache_split_folio(old, part, nr);
	old->data = NULL;
}

/* Halving every folio down to single pages takes less than twice as many
 * descriptors as there are pages. */
static bool prepare_spares(struct sw_evictor *ev, unsigned pages)
{
	while (ev->nr_spare < 2 * pages) {
		struct folio *folio = folio_alloc(0);

		if (!folio)
			return false;
		ev->spare[ev->nr_spare++] = folio;
	}
	return true;
}

/* Pages of large folios. */
static unsigned nr_large(const struct sw_evictor *ev)
{
	return ev->nr_ready - (ev->nr_folios[0] - ev->next[0]);
}

static struct folio *spare_of(struct sw_evictor *ev, unsigned order)
{
	struct folio *folio = ev->spare[--ev->nr_spare];

	__atomic_store_n(&folio->order, order, __ATOMIC_RELAXED);
	return folio;
}

/* Splits one that is larger than wanted; one that is larger than a window into
 * windows first. False: there is none. */
static bool split_larger(struct sw_evictor *ev, unsigned wanted)
{
	unsigned from = wanted + 1, order = wanted, nr;
	struct folio *old, **part;

	while (from < SW_ORDERS && ev->next[from] == ev->nr_folios[from])
		from++;
	if (from == SW_ORDERS)
		return false;
	if (from > SW_ORDER_BLOCK)
		order = sw_max(wanted, SW_ORDER_BLOCK);
	part = &ev->ready[order][ev->nr_folios[order]];
	old = ev->ready[from][--ev->nr_folios[from]];
	nr = 1u << (from - order);
	SW_BUG_ON(ev->nr_spare < nr);
	for (unsigned i = 0; i < nr; i++)
		part[i] = spare_of(ev, order);
	folio_lock(old);
	folio_clear(old, SW_FOLIO_WRITEBACK);
	sw_folio_split(old, part, nr);
	for (unsigned i = 0; i < nr; i++) {
		folio_set(part[i], SW_FOLIO_WRITEBACK);
		folio_unlock(part[i]);
	}
	folio_unlock(old);
	folio_put(old);
	ev->nr_folios[order] += nr;
	return order == wanted || split_larger(ev, wanted);
}

/* ---- preparing ---- */

/* `data`, pages of one buffer, is the folio's from now on; NULL: it is not. */
struct folio *sw_folio_prepare(struct sw_mm *mm, unsigned order, void *data)
{
	struct folio *folio = folio_alloc(order);
	int err;

	if (!folio)
		return NULL;
	folio->mapping = mm;
	folio->data = data;
	folio_lock(folio);
	folio_set(folio, SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	err = folio_alloc_swap_on(folio, 0, mm->devices);
	if (!err)
		folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	if (err) {
		folio->data = NULL;
		folio_put(folio);
		return NULL;
	}
	return folio;
}

static void push_ready(struct sw_evictor *ev, struct folio *folio)
{
	ev->ready[folio->order][ev->nr_folios[folio->order]++] = folio;
	ev->nr_ready += folio_nr(folio);
}

static bool prepare_single(struct sw_mm *mm, struct sw_evictor *ev)
{
	void *data = sw_buf_get(mm);
	struct folio *folio;

	if (!data)
		return false;
	folio = sw_folio_prepare(mm, 0, data);
	if (!folio) {
		sw_count(swap_full, 1);
		sw_buf_put(mm, data, 1);
		return false;
	}
	push_ready(ev, folio);
	return true;
}

/* The order to begin with: to look for slots where there were none costs more
 * than single pages do. */
static unsigned first_order(struct sw_evictor *ev)
{
	if (!ev->deferred)
		return SW_ORDER_BLOCK;
	ev->deferred--;
	return ev->order;
}

/* Puts folios as large as there are slots for on the pages of one block.
 * False: not even one that is large. */
static bool prepare_block(struct sw_mm *mm, struct sw_evictor *ev)
{
	unsigned order = first_order(ev), at = 0;
	char *data;

	if (!order || !prepare_spares(ev, nr_large(ev) + SW_BLOCK_PAGES))
		return false;
	data = sw_buf_get_block(mm);
	if (!data)
		return false;
	while (at < SW_BLOCK_PAGES && order) {
		struct folio *folio =
			sw_folio_prepare(mm, order, data + at * SW_PAGE_SIZE);

		if (folio) {
			push_ready(ev, folio);
			at += 1u << order;
			continue;
		}
		order = order > SW_ORDER_MIN ? order - 1 : 0;
		ev->order = order;
		ev->deferred = DEFERRED;
	}
	if (at < SW_BLOCK_PAGES)
		sw_buf_put(mm, data + at * SW_PAGE_SIZE, SW_BLOCK_PAGES - at);
	return at;
}

static void unprepare(struct folio *folio)
{
	folio_lock(folio);
	folio_clear(folio, SW_FOLIO_WRITEBACK);
	folio_free_swap(folio);
	folio_unlock(folio);
	folio_put(folio);
}

static bool prepare_some(struct sw_mm *mm, struct sw_evictor *ev)
{
	if (sw_staging_target(mm) >= SW_MIN_PIECES * SW_BLOCK_PAGES &&
	    nr_large(ev) + ev->single < SW_PREPARED &&
	    ev->nr_ready + SW_BLOCK_PAGES <= SW_PREPARED &&
	    prepare_block(mm, ev))
		return true;
	return prepare_single(mm, ev);
}

bool sw_evict_prepare(struct sw_mm *mm, struct sw_evictor *ev)
{
	while (ev->nr_ready < SW_PREPARED && prepare_some(mm, ev))
		;
	ev->nr_runs = ev->nr_windows = ev->nr_pages = 0;
	ev->leaf = 0;
	memset(ev->clean, 0, sizeof(ev->clean));
	return ev->nr_ready >= SW_WINDOW_PAGES;
}

/* Puts folios as large as there are slots for, none smaller than a block, on the
 * pages of a buffer; returns how many pages have got one. */
static unsigned fill_huge(struct sw_mm *mm, char *data, struct folio **part,
			  unsigned *nr)
{
	unsigned order = SW_ORDER_HUGE, at = 0;

	*nr = 0;
	while (at < SW_HUGE_PAGES && order >= SW_ORDER_BLOCK) {
		struct folio *folio =
			sw_folio_prepare(mm, order, data + at * SW_PAGE_SIZE);

		if (!folio) {
			order--;
			continue;
		}
		part[(*nr)++] = folio;
		at += 1u << order;
	}
	return at;
}

bool sw_evict_prepare_huge(struct sw_mm *mm, struct sw_evictor *ev)
{
	struct folio *part[SW_HUGE_PAGES / SW_BLOCK_PAGES];
	unsigned nr, pages;
	char *data;

	if (ev->nr_folios[SW_ORDER_HUGE])
		return true;
	if (ev->nr_ready > SW_PREPARED ||
	    !prepare_spares(ev, nr_large(ev) + SW_HUGE_PAGES))
		return false;
	data = sw_buf_get_huge(mm);
	if (!data)
		return false;
	pages = fill_huge(mm, data, part, &nr);
	if (pages == SW_HUGE_PAGES) {
		for (unsigned k = 0; k < nr; k++)
			push_ready(ev, part[k]);
		return true;
	}
	while (nr)
		unprepare(part[--nr]);
	sw_buf_put(mm, data + pages * SW_PAGE_SIZE, SW_HUGE_PAGES - pages);
	return false;
}

void sw_evict_unprepare(struct sw_evictor *ev)
{
	for (unsigned order = 0; order < SW_ORDERS; order++)
		while (ev->nr_folios[order])
			unprepare(ev->ready[order][--ev->nr_folios[order]]);
	while (ev->nr_spare)
		folio_put(ev->spare[--ev->nr_spare]);
	ev->nr_ready = 0;
}

/* ---- using them ---- */

struct folio *sw_ready_next(struct sw_evictor *ev, unsigned order)
{
	if (ev->next[order] == ev->nr_folios[order] && !split_larger(ev, order))
		return NULL;
	return ev->ready[order][ev->next[order]++];
}

static void consume(struct sw_evictor *ev, unsigned order)
{
	struct folio **ready = ev->ready[order];
	unsigned used = ev->next[order];

	ev->nr_folios[order] -= used;
	ev->nr_ready -= used << order;
	memmove(ready, ready + used, ev->nr_folios[order] * sizeof(*ready));
}

void sw_ready_consume(struct sw_evictor *ev, bool used)
{
	for (unsigned order = 0; order < SW_ORDERS; order++) {
		if (used && ev->next[order])
			consume(ev, order);
		ev->next[order] = 0;
	}
}
