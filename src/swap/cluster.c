/*
 * cluster.c - clusters on their device's lists, and how full a device is.
 *
 * Owns list membership (every change of list and flag goes through
 * move_cluster() or isolate_lock_cluster()), the end of a table's life, the
 * usage word of a device and with it the list of devices that may still have
 * room. Choosing a cluster is swap_alloc.c's, counts are swap_slots.c's.
 *
 * Lists are worked first in, first out: insertion at the tail, isolation from
 * the head, skipping clusters somebody has locked.
 */
#include "swap/cluster.h"

#include "base/log.h"
#include "swap/swap_mem.h"

struct sw_spinlock swap_avail_lock; /* SW_RANK_AVAIL */
struct sw_list swap_avail_head = SW_LIST_INIT(swap_avail_head);

bool cluster_is_usable(const struct swap_cluster_info *ci, unsigned order)
{
	sw_assert_spin_held(&ci->lock);
	if (ci->flags > CLUSTER_FLAG_USABLE || !ci->table)
		return false;
	return order == 0 || ci->count == 0 || ci->order == order;
}

void move_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci,
		  struct sw_list *list, enum swap_cluster_flags flags)
{
	sw_assert_spin_held(&ci->lock);
	SW_ASSERT(ci->flags != flags);

	swap_device_lock(si);
	if (ci->flags != CLUSTER_FLAG_NONE)
		sw_list_del(&ci->list);
	sw_list_add_tail(list, &ci->list);
	swap_device_unlock(si);
	ci->flags = flags;
}

void swap_cluster_assert_empty(const struct swap_cluster_info *ci)
{
	SW_BUG_ON(ci->count);
	/* A table of counts left behind would be taken over by strangers. */
	SW_BUG_ON(ci->extend_table);
#ifdef SW_CHECKS
	for (unsigned off = 0; ci->table && off < SWAPFILE_CLUSTER; off++) {
		SW_ASSERT(swp_tb_is_null(__swap_table_get(ci, off)));
		SW_ASSERT(!ci->table->ids[off]);
		SW_ASSERT(!__swap_cluster_zero_test(ci, off));
	}
#endif
}

static void __free_cluster(struct swap_info_struct *si,
			   struct swap_cluster_info *ci)
{
	struct swap_table *table = ci->table;

	swap_cluster_assert_empty(ci);
	cluster_set_table(ci, NULL);
	if (table)
		swap_table_free(table);
	ci->order = 0;
	move_cluster(si, ci, &si->free_clusters, CLUSTER_FLAG_FREE);
}

void free_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci)
{
	sw_assert_spin_held(&ci->lock);
	SW_ASSERT(ci->count == 0 && ci->flags != CLUSTER_FLAG_FREE);
	__free_cluster(si, ci);
}

void partial_free_cluster(struct swap_info_struct *si,
			  struct swap_cluster_info *ci)
{
	SW_ASSERT(ci->count && ci->count < SWAPFILE_CLUSTER);
	if (ci->flags != CLUSTER_FLAG_NONFULL)
		move_cluster(si, ci, &si->nonfull_clusters[ci->order],
			     CLUSTER_FLAG_NONFULL);
}

void relocate_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci)
{
	sw_assert_spin_held(&ci->lock);
	/* On its way through discard: its list is the worker's business. */
	if (ci->flags == CLUSTER_FLAG_DISCARD)
		return;
	if (ci->count == 0) {
		if (ci->flags != CLUSTER_FLAG_FREE)
			free_cluster(si, ci);
	} else if (ci->count < SWAPFILE_CLUSTER) {
		if (ci->flags != CLUSTER_FLAG_FRAG)
			move_cluster(si, ci, &si->frag_clusters[ci->order],
				     CLUSTER_FLAG_FRAG);
	} else if (ci->flags != CLUSTER_FLAG_FULL) {
		move_cluster(si, ci, &si->full_clusters, CLUSTER_FLAG_FULL);
	}
}

struct swap_cluster_info *isolate_lock_cluster(struct swap_info_struct *si,
					       struct sw_list *list,
					       bool *was_free) SW_NO_TSA
{
	struct swap_cluster_info *ci, *found = NULL;

	swap_device_lock(si);
	sw_list_for_each(ci, list, list) {
		if (!sw_spin_trylock(&ci->lock, "cluster", SW_RANK_CLUSTER))
			continue;
		sw_list_del(&ci->list);
		*was_free = ci->flags == CLUSTER_FLAG_FREE;
		ci->flags = CLUSTER_FLAG_NONE;
		found = ci;
		break;
	}
	swap_device_unlock(si);
	return found;
}

/* ---- how full a device is, and the list of those that are not ---- */

uint64_t swap_usage_in_pages(const struct swap_info_struct *si)
{
	uint32_t low = __atomic_load_n(&si->usage, __ATOMIC_RELAXED);

	return low & ~SWAP_USAGE_OFFLIST;
}

uint64_t swap_usage_cached(const struct swap_info_struct *si)
{
	return __atomic_load_n(&si->usage, __ATOMIC_RELAXED) >> 32;
}

bool swap_usage_offlist(const struct swap_info_struct *si)
{
	return __atomic_load_n(&si->usage, __ATOMIC_RELAXED) &
	       SWAP_USAGE_OFFLIST;
}

/* Behind its equals: the plist order, highest priority first. */
static void avail_insert(struct swap_info_struct *si)
{
	struct swap_info_struct *pos;

	sw_list_for_each(pos, &swap_avail_head, avail_list)
		if (pos->prio < si->prio)
			break;
	sw_list_add_tail(&pos->avail_list, &si->avail_list);
}

/* Sets the off-list bit if every slot is taken at this very moment. A free
 * in between changes the word and wins: the device stays. */
static bool usage_mark_full(struct swap_info_struct *si)
{
	uint64_t val = __atomic_load_n(&si->usage, __ATOMIC_RELAXED);

	while ((uint32_t)val == si->pages)
		if (__atomic_compare_exchange_n(
			    &si->usage, &val, val | SWAP_USAGE_OFFLIST, true,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

void del_from_avail_list(struct swap_info_struct *si, bool swapoff)
{
	sw_spin_lock(&swap_avail_lock, "swap_avail_lock", SW_RANK_AVAIL);
	if (swapoff) {
		__atomic_fetch_and(&si->flags, ~(uint32_t)SWP_WRITEOK,
				   __ATOMIC_RELAXED);
		__atomic_fetch_or(&si->usage, SWAP_USAGE_OFFLIST,
				  __ATOMIC_RELAXED);
		sw_list_del(&si->avail_list);
	} else if (usage_mark_full(si)) {
		sw_list_del(&si->avail_list);
	}
	sw_spin_unlock(&swap_avail_lock);
}

void add_to_avail_list(struct swap_info_struct *si, bool swapon)
{
	sw_spin_lock(&swap_avail_lock, "swap_avail_lock", SW_RANK_AVAIL);
	if (swapon)
		__atomic_fetch_or(&si->flags, SWP_WRITEOK, __ATOMIC_RELAXED);
	/* A device on its way out stays off the list; one that somebody else
	 * put back meanwhile is on it already. */
	if (!(swap_flags(si) & SWP_WRITEOK) || !swap_usage_offlist(si))
		goto out;
	__atomic_fetch_and(&si->usage, ~(uint64_t)SWAP_USAGE_OFFLIST,
			   __ATOMIC_RELAXED);
	if (!usage_mark_full(si))
		avail_insert(si);
out:
	sw_spin_unlock(&swap_avail_lock);
}

void swap_usage_add(struct swap_info_struct *si, unsigned used, unsigned cached)
{
	uint64_t val = __atomic_add_fetch(&si->usage,
					  used + cached * SWAP_USAGE_CACHED,
					  __ATOMIC_RELAXED);

	if (sw_unlikely(used && (uint32_t)val == si->pages))
		del_from_avail_list(si, false);
}

/* Release: what freed the slots (the store let go of them) is done before
 * swapoff may see the usage drop. Pairs with the acquire in swapoff(). */
void swap_usage_sub(struct swap_info_struct *si, unsigned used, unsigned cached)
{
	uint64_t val = __atomic_sub_fetch(&si->usage,
					  used + cached * SWAP_USAGE_CACHED,
					  __ATOMIC_RELEASE);

	if (sw_unlikely(used && (val & SWAP_USAGE_OFFLIST)))
		add_to_avail_list(si, false);
}
