/*
 * hist.h - how often a quantity had which size: a histogram whose buckets grow
 * with what they hold, eight to each power of two, so that a bucket is an eighth
 * of its size wide at most. Of times in nanoseconds it tells 128 ns from less,
 * and 68 s from more.
 *
 * One thread adds. Anyone may read meanwhile, and sees each number as it was at
 * some moment.
 */
#ifndef SW_HIST_H
#define SW_HIST_H

#include "base/base.h"

#define SW_HIST_SUB_BITS 3
#define SW_HIST_MIN_BITS 7  /* the first bucket: up to 2^7 */
#define SW_HIST_MAX_BITS 36 /* the last one: above 2^36 */
#define SW_HIST_BUCKETS \
	(((SW_HIST_MAX_BITS - SW_HIST_MIN_BITS) << SW_HIST_SUB_BITS) + 2)

struct sw_hist {
	uint64_t sum, max;                /* [atomic] of what was added */
	uint64_t bucket[SW_HIST_BUCKETS]; /* [atomic] how often */
};

/* Adds to what only the calling thread changes. */
#define sw_own_add(what, n)                                               \
	__atomic_store_n((what),                                          \
			 __atomic_load_n((what), __ATOMIC_RELAXED) + (n), \
			 __ATOMIC_RELAXED)

/* A bucket holds what is above the one before it, up to its own bound. */
static inline unsigned sw_hist_index(uint64_t value)
{
	uint64_t below = value ? value - 1 : 0;
	unsigned top;

	if (below < 1ull << SW_HIST_MIN_BITS)
		return 0;
	top = 63 - __builtin_clzll(below);
	if (top >= SW_HIST_MAX_BITS)
		return SW_HIST_BUCKETS - 1;
	return 1 + ((top - SW_HIST_MIN_BITS) << SW_HIST_SUB_BITS) +
	       ((below >> (top - SW_HIST_SUB_BITS)) &
		((1u << SW_HIST_SUB_BITS) - 1));
}

static inline void sw_hist_add(struct sw_hist *h, uint64_t value)
{
	sw_own_add(&h->bucket[sw_hist_index(value)], 1);
	sw_own_add(&h->sum, value);
	if (value > __atomic_load_n(&h->max, __ATOMIC_RELAXED))
		__atomic_store_n(&h->max, value, __ATOMIC_RELAXED);
}

/* The largest value a bucket holds; UINT64_MAX: any. */
uint64_t sw_hist_bound(unsigned bucket);
/* Adds all of `from`, which may be growing, to what is the caller's alone. */
void sw_hist_merge(struct sw_hist *into, const struct sw_hist *from);

/* Of a histogram that nobody changes: how many values it has, */
uint64_t sw_hist_count(const struct sw_hist *h);
/* how many of them are at most `value`, which is the bound of a bucket, */
uint64_t sw_hist_count_to(const struct sw_hist *h, uint64_t value);
/* and what `per_mille` of them do not exceed: never less than the truth, and an
 * eighth more at most. 0: it is empty. */
uint64_t sw_hist_quantile(const struct sw_hist *h, unsigned per_mille);

#endif
