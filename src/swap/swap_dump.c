/*
 * swap_dump.c - what a device and its clusters are like, as text for people who
 * look for a defect. At any time: each cluster is looked at under its lock, so
 * the sums are of one moment a cluster, not of one moment in all.
 *
 * Above: mm/dump.c, tests, gdb. Below: cluster.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "swap/cluster.h"

static const char *const list_names[] = {
	[CLUSTER_FLAG_NONE] = "none",       [CLUSTER_FLAG_FREE] = "free",
	[CLUSTER_FLAG_NONFULL] = "nonfull", [CLUSTER_FLAG_FRAG] = "frag",
	[CLUSTER_FLAG_FULL] = "full",       [CLUSTER_FLAG_DISCARD] = "discard",
};

#define NR_LISTS SW_ARRAY_SIZE(list_names)

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{ SWP_WRITEOK, "writeok" },
	{ SWP_DISCARDABLE, "discardable" },
	{ SWP_DISCARDING, "discarding" },
	{ SWP_SOLIDSTATE, "solidstate" },
	{ SWP_BLKDEV, "blkdev" },
	{ SWP_AREA_DISCARD, "area-discard" },
	{ SWP_PAGE_DISCARD, "page-discard" },
	{ SWP_STABLE_WRITES, "stable-writes" },
	{ SWP_SYNCHRONOUS_IO, "synchronous-io" },
	{ SWP_HIBERNATION, "hibernation" },
	{ SWP_FAILED, "failed" },
	{ SWP_OFFLIST, "offlist" },
};

struct look {
	uint8_t flags, order;
	uint16_t count;
	bool extended;
};

/* What is broken may be anything, and is to be shown. */
static struct look look_at(struct swap_cluster_info *ci)
{
	struct look look;

	swap_cluster_lock(ci);
	look = (struct look){ sw_min(ci->flags, (uint8_t)(NR_LISTS - 1)),
			      sw_min(ci->order, (uint8_t)(SWAP_NR_ORDERS - 1)),
			      ci->count, ci->extend_table };
	swap_cluster_unlock(ci);
	return look;
}

static void dump_device(FILE *out, const struct swap_info_struct *si)
{
	uint32_t flags = swap_flags(si);

	fprintf(out,
		"device %u %s prio %d: %" PRIu64 " of %" PRIu64
		" slots used, %" PRIu64 " cached, %" PRIu64
		" condemned, %" PRId64 " users\n  flags",
		si->type, si->name, si->prio, swap_usage_in_pages(si),
		__atomic_load_n(&si->pages, __ATOMIC_RELAXED),
		swap_usage_cached(si),
		__atomic_load_n(&si->condemned, __ATOMIC_RELAXED),
		swap_device_users(si) - 1);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(flag_names); i++)
		if (flags & flag_names[i].flag)
			fprintf(out, " %s", flag_names[i].name);
	fputc('\n', out);
}

/* How many clusters are on each list, by the order they serve. */
static void dump_lists(FILE *out, struct swap_info_struct *si)
{
	uint64_t on[NR_LISTS][SWAP_NR_ORDERS] = { 0 };

	for (uint64_t i = 0; i < si->nr_clusters; i++) {
		struct look look = look_at(&si->cluster_info[i]);

		on[look.flags][look.order]++;
	}
	fprintf(out, "  %" PRIu64 " clusters of %u slots\n", si->nr_clusters,
		SWAPFILE_CLUSTER);
	for (unsigned l = 0; l < NR_LISTS; l++)
		for (unsigned o = 0; o < SWAP_NR_ORDERS; o++)
			if (on[l][o])
				fprintf(out, "  %s order %u: %" PRIu64 "\n",
					list_names[l], o, on[l][o]);
}

static void dump_clusters(FILE *out, struct swap_info_struct *si, unsigned max)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < si->nr_clusters; i++) {
		struct look look = look_at(&si->cluster_info[i]);

		if (!look.count || nr++ >= max)
			continue;
		fprintf(out, "  cluster %" PRIu64 ": %s order %u, %u used%s\n",
			i, list_names[look.flags], look.order, look.count,
			look.extended ? ", extended" : "");
	}
	if (nr > max)
		fprintf(out, "  and %" PRIu64 " clusters more in use\n",
			nr - max);
}

void swap_dump(FILE *out, unsigned type, unsigned max_clusters)
{
	struct swap_info_struct *si;

	if (type >= MAX_SWAPFILES || !get_swap_device_info(&swap_info[type]))
		return;
	si = &swap_info[type];
	dump_device(out, si);
	dump_lists(out, si);
	dump_clusters(out, si, max_clusters);
	put_swap_device(si);
}
