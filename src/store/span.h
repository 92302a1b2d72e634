/*
 * span.h - runs of pages for the object pool, taken from the system and given
 * back whole. What is inside a span is the pool's business; whether pages are
 * behind it is decided here. Private to objpool.c and span.c.
 */
#ifndef SW_STORE_SPAN_H
#define SW_STORE_SPAN_H

#include "base/base.h"
#include "base/list.h"
#include "base/lock.h"

#define SPAN_STRIDE (64UL << 10) /* address space of a span */
#define SPAN_PAGES  (SPAN_STRIDE / SW_PAGE_SIZE)
#define SPAN_OBJS   256u /* 8 bits of a location */

/* Index 0 is never used: it ends the chains, and location 0 names nothing. */
struct span {
	struct sw_list node;          /* class lock: in one of its bins */
	uint64_t map[SPAN_OBJS / 64]; /* class lock: taken; beyond the end, 1 */
	uint32_t next;                /* spans lock: chain of free or stock */
	uint16_t used; /* [atomic] written under class lock, a hint without */
	uint8_t class_nr; /* [atomic] const while an object is in it */
	uint8_t pages;    /* spans lock; [const] as above: backed */
};

struct spans {
	unsigned char *base; /* [const] */
	struct span *array;  /* [const] */
	uint64_t nr;         /* [const] reserved */

	struct sw_mutex lock;                     /* SW_RANK_POOL */
	uint32_t fresh SW_GUARDED_BY(&lock);      /* from here on untouched */
	uint32_t free_head SW_GUARDED_BY(&lock);  /* no page backed */
	uint32_t stock_head SW_GUARDED_BY(&lock); /* backed, no object */
	uint32_t nr_stock SW_GUARDED_BY(&lock);
	uint64_t nr_live SW_GUARDED_BY(&lock); /* taken and not given back */
	uint64_t mem_pages; /* [atomic] backed; written under lock */
	uint64_t peak_pages SW_GUARDED_BY(&lock);
	uint64_t limit_bytes SW_GUARDED_BY(&lock);
};

static inline uint32_t span_index(const struct spans *sp, const struct span *s)
{
	return s - sp->array;
}

static inline unsigned char *span_addr(const struct spans *sp, uint32_t index)
{
	return sp->base + index * SPAN_STRIDE;
}

/* Room for one span an object, less where address space is short. */
SW_MUST_CHECK int sw_spans_init(struct spans *sp, uint64_t max_objs);
void sw_spans_release(struct spans *sp);

/* A span with `pages` pages behind it, whose other fields are the caller's;
 * NULL: no memory, or the limit. Called with no lock held. */
struct span *sw_span_take(struct spans *sp, unsigned pages);
void sw_span_give(struct spans *sp, struct span *s);

/* Bytes of pages taken from the system, without a lock. */
static inline uint64_t sw_spans_bytes(const struct spans *sp)
{
	return __atomic_load_n(&sp->mem_pages, __ATOMIC_RELAXED) * SW_PAGE_SIZE;
}

/* Empties the stock; false when there was none. */
bool sw_spans_trim(struct spans *sp);

/* True when the books agree with the chains and with `live` spans of
 * `live_pages` that the caller has found. Prints what disagrees. */
bool sw_spans_check(struct spans *sp, uint64_t live, uint64_t live_pages);

#endif
