/*
 * swap_discard.c - telling a store that slots are free: the whole area once
 * at swapon, and clusters as they fall empty.
 *
 * An empty cluster of a device with SWP_PAGE_DISCARD waits on the discard
 * list with its table. Taken off it keeps CLUSTER_FLAG_DISCARD, because a CPU
 * may still have a hint into it, and because relocate_cluster() must leave it
 * alone while nobody holds its lock.
 */
#include <string.h>

#include "base/log.h"
#include "swap/cluster.h"

/* The first waiting cluster, off the list, unlocked. */
static struct swap_cluster_info *take_waiting(struct swap_info_struct *si)
{
	struct swap_cluster_info *ci = NULL;

	swap_device_lock(si);
	if (!sw_list_empty(&si->discard_clusters)) {
		ci = sw_list_first(&si->discard_clusters,
				   struct swap_cluster_info, list);
		sw_list_del(&ci->list);
	}
	swap_device_unlock(si);
	return ci;
}

/* A failure costs only the hint to the store. */
static void discard_slots(struct swap_info_struct *si, uint64_t offset,
			  uint64_t nr)
{
	int err = si->ops->discard(si->store, offset, nr);

	if (err)
		sw_warn_once("%s: discard failed, going on: %s", si->name,
			     strerror(-err));
}

/* Discards every waiting cluster and frees it; true if there was one. Under
 * no lock: the store may take its time. */
bool swap_do_scheduled_discard(struct swap_info_struct *si) SW_NO_TSA
{
	struct swap_cluster_info *ci;
	bool some = false;

	while ((ci = take_waiting(si))) {
		sw_sched_point("discard");
		discard_slots(si, cluster_offset(si, ci), SWAPFILE_CLUSTER);
		swap_cluster_lock(ci);
		SW_BUG_ON(ci->flags != CLUSTER_FLAG_DISCARD);
		ci->flags = CLUSTER_FLAG_NONE;
		__free_cluster(si, ci);
		swap_cluster_unlock(ci);
		some = true;
	}
	return some;
}

void swap_discard_work(struct swap_work *work)
{
	swap_do_scheduled_discard(
		sw_container_of(work, struct swap_info_struct, discard_work));
}

/* All slots behind the header, before any is used. */
void discard_swap(struct swap_info_struct *si)
{
	discard_slots(si, 1, si->max - 1);
}
