/* hist.c - reading what hist.h counts. */
#include "base/hist.h"

uint64_t sw_hist_bound(unsigned bucket)
{
	unsigned top, sub;

	if (!bucket)
		return 1ull << SW_HIST_MIN_BITS;
	if (bucket >= SW_HIST_BUCKETS - 1)
		return UINT64_MAX;
	top = SW_HIST_MIN_BITS + ((bucket - 1) >> SW_HIST_SUB_BITS);
	sub = (bucket - 1) & ((1u << SW_HIST_SUB_BITS) - 1);
	return (1ull << top) + ((sub + 1ull) << (top - SW_HIST_SUB_BITS));
}

void sw_hist_merge(struct sw_hist *into, const struct sw_hist *from)
{
	uint64_t max = __atomic_load_n(&from->max, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < SW_HIST_BUCKETS; i++)
		into->bucket[i] +=
			__atomic_load_n(&from->bucket[i], __ATOMIC_RELAXED);
	into->sum += __atomic_load_n(&from->sum, __ATOMIC_RELAXED);
	into->max = sw_max(into->max, max);
}

uint64_t sw_hist_count(const struct sw_hist *h)
{
	return sw_hist_count_to(h, UINT64_MAX);
}

uint64_t sw_hist_count_to(const struct sw_hist *h, uint64_t value)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < SW_HIST_BUCKETS && sw_hist_bound(i) <= value;
	     i++)
		nr += h->bucket[i];
	return nr;
}

uint64_t sw_hist_quantile(const struct sw_hist *h, unsigned per_mille)
{
	uint64_t nr = sw_hist_count(h);
	uint64_t rank = (nr * per_mille + 999) / 1000;

	for (unsigned i = 0; nr && i < SW_HIST_BUCKETS; i++) {
		if (h->bucket[i] >= sw_max(rank, (uint64_t)1))
			return sw_min(sw_hist_bound(i), h->max);
		rank -= h->bucket[i];
	}
	return 0;
}
