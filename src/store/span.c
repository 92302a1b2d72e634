/*
 * span.c - see span.h. Every span has a stride of address space of its own,
 * of which it uses the front, so that location and address follow from each
 * other without a lookup; the price is address space, which is free, and a
 * page of page tables for each 32 spans.
 *
 * A span given back loses its pages at once but for STOCK_SPANS of them, kept
 * against programs that free and write in turns. When the last one taken
 * comes back, the stock goes too: an empty store holds nothing.
 *
 * The lock is taken once a span, not once an object, and not held over calls
 * to the system: a span in between is known to its caller alone.
 */
#include "store/span.h"

#include <errno.h>

#include "base/log.h"
#include "store/sysmem.h"

#define STOCK_SPANS 8
#define SPARE_SPANS 256 /* taken by classes that hold one object each */

static uint32_t chain_pop(struct spans *sp, uint32_t *head)
	SW_REQUIRES(&sp->lock)
{
	uint32_t index = *head;

	if (index)
		*head = sp->array[index].next;
	return index;
}

static void chain_push(struct spans *sp, uint32_t *head, uint32_t index)
	SW_REQUIRES(&sp->lock)
{
	sp->array[index].next = *head;
	*head = index;
}

static void set_mem_pages(struct spans *sp, uint64_t pages)
	SW_REQUIRES(&sp->lock)
{
	__atomic_store_n(&sp->mem_pages, pages, __ATOMIC_RELAXED);
}

/* A span that nobody has, or 0 when the reserved range is used up. */
static uint32_t pick_locked(struct spans *sp) SW_REQUIRES(&sp->lock)
{
	uint32_t index;

	sw_assert_held(&sp->lock);
	index = chain_pop(sp, &sp->stock_head);
	if (index) {
		sp->nr_stock--;
		return index;
	}
	index = chain_pop(sp, &sp->free_head);
	if (!index && sp->fresh < sp->nr)
		index = sp->fresh++;
	return index;
}

/* Takes the pages of a chain of spans, known to the caller alone. They count
 * as ours until they are gone. */
static void drop_chain(struct spans *sp, uint32_t chain)
{
	while (chain) {
		struct span *s = &sp->array[chain];
		uint32_t next = s->next;

		sw_sysmem_drop(span_addr(sp, chain), s->pages * SW_PAGE_SIZE);
		sw_mutex_lock(&sp->lock);
		set_mem_pages(sp, sp->mem_pages - s->pages);
		s->pages = 0;
		chain_push(sp, &sp->free_head, chain);
		sw_mutex_unlock(&sp->lock);
		chain = next;
	}
}

void sw_span_give(struct spans *sp, struct span *s)
{
	uint32_t drop = 0;

	sw_mutex_lock(&sp->lock);
	sp->nr_live--;
	chain_push(sp, &sp->stock_head, span_index(sp, s));
	sp->nr_stock++;
	if (sp->nr_live == 0) {
		drop = sp->stock_head;
		sp->stock_head = sp->nr_stock = 0;
	} else if (sp->nr_stock > STOCK_SPANS) {
		drop = chain_pop(sp, &sp->stock_head);
		sp->array[drop].next = 0;
		sp->nr_stock--;
	}
	sw_mutex_unlock(&sp->lock);
	drop_chain(sp, drop);
}

bool sw_spans_trim(struct spans *sp)
{
	uint32_t drop;

	sw_mutex_lock(&sp->lock);
	drop = sp->stock_head;
	sp->stock_head = sp->nr_stock = 0;
	sw_mutex_unlock(&sp->lock);
	drop_chain(sp, drop);
	return drop != 0;
}

/*
 * Picks a span and sets its `pages` to what is wanted, in the books only:
 * *had says how many are really backed. NULL: out of range or limit.
 */
static struct span *book(struct spans *sp, unsigned pages, unsigned *had)
{
	struct span *s = NULL;
	uint64_t total;
	uint32_t index;

	sw_mutex_lock(&sp->lock);
	index = pick_locked(sp);
	if (!index)
		goto out;
	s = &sp->array[index];
	*had = s->pages;
	total = sp->mem_pages - s->pages + pages;
	if (pages > s->pages && sp->limit_bytes &&
	    total * SW_PAGE_SIZE > sp->limit_bytes) {
		if (s->pages)
			sp->nr_stock++;
		chain_push(sp, s->pages ? &sp->stock_head : &sp->free_head,
			   index);
		s = NULL;
		goto out;
	}
	set_mem_pages(sp, total);
	sp->peak_pages = sw_max(sp->peak_pages, total);
	sp->nr_live++;
	s->pages = pages;
out:
	sw_mutex_unlock(&sp->lock);
	return s;
}

struct span *sw_span_take(struct spans *sp, unsigned pages)
{
	struct span *s;
	unsigned char *at;
	unsigned had = 0;

	/* The stock may be all that stands between the limit and us. */
	do {
		s = book(sp, pages, &had);
	} while (!s && sw_spans_trim(sp));
	if (!s)
		return NULL;
	at = span_addr(sp, span_index(sp, s));
	if (had > pages)
		sw_sysmem_drop(at + pages * SW_PAGE_SIZE,
			       (had - pages) * SW_PAGE_SIZE);
	if (had < pages && sw_sysmem_populate(at + had * SW_PAGE_SIZE,
					      (pages - had) * SW_PAGE_SIZE)) {
		sw_span_give(sp, s);
		(void)sw_spans_trim(sp);
		return NULL;
	}
	return s;
}

bool sw_spans_check(struct spans *sp, uint64_t live, uint64_t live_pages)
{
	uint64_t pages = live_pages, unbacked = 0, stock = 0;
	bool ok;

	sw_mutex_lock(&sp->lock);
	for (uint32_t i = sp->stock_head; i; i = sp->array[i].next, stock++)
		pages += sp->array[i].pages;
	for (uint32_t i = sp->free_head; i; i = sp->array[i].next, unbacked++)
		pages += sp->array[i].pages;
	ok = live == sp->nr_live && stock == sp->nr_stock &&
	     pages == sp->mem_pages && 1 + live + stock + unbacked == sp->fresh;
	if (!ok)
		sw_error(
			"spans: %lu in use (books: %lu), %lu in stock (%u), %lu free, of %u; %lu pages (%lu)",
			live, sp->nr_live, stock, sp->nr_stock, unbacked,
			sp->fresh, pages, sp->mem_pages);
	sw_mutex_unlock(&sp->lock);
	return ok;
}

/*
 * A span in use holds one object at least, so one span an object is enough
 * at any fragmentation. Where address space is limited (ulimit -v,
 * sanitizers) less will do: full spans need a quarter of it at most.
 */
int sw_spans_init(struct spans *sp, uint64_t max_objs)
{
	for (unsigned shift = 0; shift <= 3 && !sp->base; shift++) {
		sp->nr = (max_objs >> shift) + SPARE_SPANS;
		sp->base = sw_sysmem_reserve(sp->nr * SPAN_STRIDE);
	}
	if (!sp->base)
		return -ENOMEM;
	sp->array = sw_sysmem_reserve(sp->nr * sizeof(*sp->array));
	if (!sp->array) {
		sw_sysmem_release(sp->base, sp->nr * SPAN_STRIDE);
		return -ENOMEM;
	}
	sw_mutex_init(&sp->lock, "spans", SW_RANK_POOL);
	sp->fresh = 1;
	return 0;
}

void sw_spans_release(struct spans *sp)
{
	sw_mutex_destroy(&sp->lock);
	sw_sysmem_release(sp->array, sp->nr * sizeof(*sp->array));
	sw_sysmem_release(sp->base, sp->nr * SPAN_STRIDE);
}
