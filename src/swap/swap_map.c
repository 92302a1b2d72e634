/*
 * swap_map.c - how the clusters of a device are, for people to look at: which
 * list each is on, and how much of it is in use.
 *
 * Clusters are locked one at a time, for a few loads, so nobody who allocates or
 * frees notices; what is told of one may be over when the next is looked at. The
 * words of a cluster are read only where the device has bad slots at all, and
 * without its lock.
 *
 * Above: run/cluster_map.c.
 */
#include <errno.h>

#include "swap/cluster.h"

/* Of the slots of a cluster: the header's, and those behind the device's end,
 * which are no pages of it. */
static unsigned nr_outside(const struct swap_info_struct *si, uint64_t i)
{
	uint64_t end = (i + 1) * SWAPFILE_CLUSTER;

	return (i == 0) + (end > si->max ? end - si->max : 0);
}

static unsigned nr_bad(const struct swap_info_struct *si,
		       const struct swap_cluster_info *ci)
{
	uint64_t first = cluster_offset(si, ci);
	unsigned nr = 0;

	for (unsigned off = 0; off < SWAPFILE_CLUSTER; off++)
		if (first + off && first + off < si->max)
			nr += swp_tb_is_bad(swap_table_get(ci, off));
	return nr;
}

static enum swap_cluster_list list_of(const struct swap_cluster_info *ci)
{
	switch (ci->flags) {
	case CLUSTER_FLAG_FREE:
		return SWAP_CLUSTER_FREE;
	case CLUSTER_FLAG_NONFULL:
		return SWAP_CLUSTER_NONFULL;
	case CLUSTER_FLAG_FRAG:
		return SWAP_CLUSTER_FRAG;
	case CLUSTER_FLAG_FULL:
		return SWAP_CLUSTER_FULL;
	case CLUSTER_FLAG_DISCARD:
		return SWAP_CLUSTER_DISCARD;
	default: /* off its list for a moment, to be worked on */
		return SWAP_CLUSTER_TAKEN;
	}
}

static void look(struct swap_info_struct *si, uint64_t i, bool any_bad,
		 struct swap_cluster_state *st)
{
	struct swap_cluster_info *ci = &si->cluster_info[i];
	unsigned count;

	swap_cluster_lock(ci);
	st->list = list_of(ci);
	st->order = ci->order;
	count = ci->count;
	swap_cluster_unlock(ci);
	st->bad = any_bad && count ? nr_bad(si, ci) : 0;
	count -= sw_min(count, nr_outside(si, i) + st->bad);
	st->used = count;
}

int swap_for_each_cluster(unsigned type,
			  bool (*fn)(void *arg,
				     const struct swap_cluster_state *st),
			  void *arg)
{
	struct swap_cluster_state st;
	struct swap_info_struct *si;
	bool any_bad, more = true;

	if (type >= MAX_SWAPFILES || !get_swap_device_info(&swap_info[type]))
		return -ENODEV;
	si = &swap_info[type];
	any_bad = __atomic_load_n(&si->pages, __ATOMIC_RELAXED) < si->max - 1;
	for (uint64_t i = 0; i < si->nr_clusters && more; i++) {
		look(si, i, any_bad, &st);
		more = fn(arg, &st);
	}
	put_swap_device(si);
	return 0;
}
