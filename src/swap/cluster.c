/*
 * cluster.c - clusters on their device's lists, and how full a device is.
 *
 * Owns list membership (every change of list and flag goes through
 * move_cluster() or isolate_lock_cluster()), the end of a table's life, the
 * usage word of a device and with it the list of devices that may still have
 * room. Choosing a cluster is swap_scan.c's, counts are swap_slots.c's.
 *
 * Lists are worked first in, first out: insertion at the tail, isolation from
 * the head, skipping clusters somebody has locked.
 */
#include "swap/cluster.h"

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

void __free_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci)
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
	/* Not on the way out: swapoff would have to wait for the store. */
	if ((swap_flags(si) & (SWP_WRITEOK | SWP_PAGE_DISCARD)) ==
	    (SWP_WRITEOK | SWP_PAGE_DISCARD)) {
		swap_cluster_assert_empty(ci);
		ci->order = 0;
		move_cluster(si, ci, &si->discard_clusters,
			     CLUSTER_FLAG_DISCARD);
		swap_work_queue(&si->discard_work);
		return;
	}
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

void relocate_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci,
		      bool keep)
{
	sw_assert_spin_held(&ci->lock);
	/* On its way through discard: its list is the worker's business. */
	if (ci->flags == CLUSTER_FLAG_DISCARD)
		return;
	if (ci->count == 0) {
		if (ci->flags != CLUSTER_FLAG_FREE)
			free_cluster(si, ci);
	} else if (ci->count < SWAPFILE_CLUSTER) {
		if (ci->flags == CLUSTER_FLAG_FRAG ||
		    (keep && ci->flags == CLUSTER_FLAG_NONFULL))
			return;
		move_cluster(si, ci, &si->frag_clusters[ci->order],
			     CLUSTER_FLAG_FRAG);
	} else if (ci->flags != CLUSTER_FLAG_FULL) {
		move_cluster(si, ci, &si->full_clusters, CLUSTER_FLAG_FULL);
	}
}

/* Does some CPU go on allocating in this cluster? */
static bool cluster_is_hinted(const struct swap_info_struct *si,
			      const struct swap_cluster_info *ci,
			      unsigned order)
{
	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		swp_entry_t hint;

		sw_sched_point("hint");
		hint.val =
			__atomic_load_n(&percpu_swap_cluster[cpu].hint[order],
					__ATOMIC_RELAXED);
		if (hint.val && swp_type(hint) == si->type &&
		    swp_offset(hint) / SWAPFILE_CLUSTER ==
			    cluster_index(si, ci))
			return true;
	}
	return false;
}

struct swap_cluster_info *isolate_lock_cluster(struct swap_info_struct *si,
					       struct sw_list *list,
					       int skip_order,
					       bool *was_free) SW_NO_TSA
{
	struct swap_cluster_info *ci, *found = NULL;

	swap_device_lock(si);
	sw_list_for_each(ci, list, list) {
		if (skip_order >= 0 && cluster_is_hinted(si, ci, skip_order))
			continue;
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

/* A slot may be taken on one CPU and freed on another, so a share may be
 * "negative"; the carries cancel in the sum. */
static uint64_t usage_sum(const struct swap_info_struct *si)
{
	/* Pairs with the release in swapon(), which may be about it. */
	const struct swap_shard *shards =
		__atomic_load_n(&si->shards, __ATOMIC_ACQUIRE);
	uint64_t sum = 0;

	for (unsigned cpu = 0; shards && cpu < swap_nr_cpus; cpu++) {
		sw_sched_point("usage");
		sum += __atomic_load_n(&shards[cpu].usage, __ATOMIC_SEQ_CST);
	}
	return sum;
}

static int64_t used_of(uint64_t sum)
{
	return (int64_t)(sum << (64 - SWAP_USAGE_SHIFT)) >>
	       (64 - SWAP_USAGE_SHIFT);
}

uint64_t swap_usage_in_pages(const struct swap_info_struct *si)
{
	int64_t used = used_of(usage_sum(si));

	return sw_max(used, 0);
}

uint64_t swap_usage_cached(const struct swap_info_struct *si)
{
	uint64_t sum = usage_sum(si);
	int64_t cached =
		(int64_t)(sum - (uint64_t)used_of(sum)) >> SWAP_USAGE_SHIFT;

	return sw_max(cached, 0);
}

/* Behind its equals: the plist order, highest priority first. */
static void avail_insert(struct swap_info_struct *si)
{
	struct swap_info_struct *pos;

	sw_list_for_each(pos, &swap_avail_head, avail_list)
		if (pos->prio < si->prio)
			break;
	sw_list_add_tail(sw_list_node(pos, avail_list), &si->avail_list);
}

/* swap_avail_lock held. */
void avail_requeue(struct swap_info_struct *si)
{
	sw_list_del(&si->avail_list);
	avail_insert(si);
}

static void avail_lock(void) SW_ACQUIRES(&swap_avail_lock) SW_NO_TSA
{
	sw_spin_lock(&swap_avail_lock, "swap_avail_lock", SW_RANK_AVAIL);
}

static uint64_t pages_of(const struct swap_info_struct *si)
{
	return __atomic_load_n(&si->pages, __ATOMIC_RELAXED);
}

/* Pairs with swap_usage_sub(), see there. */
static bool mark_offlist_if_full(struct swap_info_struct *si)
{
	if (swap_usage_in_pages(si) != pages_of(si))
		return false;
	swap_flags_set(si, SWP_OFFLIST);
	if (swap_usage_in_pages(si) == pages_of(si))
		return true;
	swap_flags_clear(si, SWP_OFFLIST);
	return false;
}

/* swap_avail_lock held, which makes the total that of all devices that say
 * SWP_WRITEOK. */
static void total_add(uint64_t pages)
{
	sw_sched_point("total");
	__atomic_fetch_add(&total_swap_pages, pages, __ATOMIC_RELAXED);
}

void swap_device_shrink(struct swap_info_struct *si)
{
	avail_lock();
	__atomic_store_n(&si->pages, pages_of(si) - 1, __ATOMIC_RELAXED);
	if (swap_flags(si) & SWP_WRITEOK)
		total_add(-1ULL);
	sw_spin_unlock(&swap_avail_lock);
}

bool del_from_avail_list(struct swap_info_struct *si, bool swapoff)
{
	bool gone = swapoff;

	avail_lock();
	if (swapoff) {
		if (swap_flags(si) & SWP_WRITEOK)
			total_add(-pages_of(si));
		swap_flags_clear(si, SWP_WRITEOK);
		swap_flags_set(si, SWP_OFFLIST);
		sw_list_del(&si->avail_list);
	} else if ((swap_flags(si) & (SWP_WRITEOK | SWP_OFFLIST)) ==
			   SWP_WRITEOK &&
		   mark_offlist_if_full(si)) {
		sw_list_del(&si->avail_list);
		gone = true;
	}
	sw_spin_unlock(&swap_avail_lock);
	return gone;
}

void add_to_avail_list(struct swap_info_struct *si, bool swapon)
{
	avail_lock();
	/* One that failed comes back from a swapoff as it was. */
	if (swapon && !(swap_flags(si) & SWP_FAILED)) {
		swap_flags_set(si, SWP_WRITEOK);
		total_add(pages_of(si));
	}
	/* A device on its way out stays off the list; one that somebody else
	 * put back meanwhile is on it already. */
	if ((swap_flags(si) & (SWP_WRITEOK | SWP_OFFLIST)) ==
	    (SWP_WRITEOK | SWP_OFFLIST)) {
		swap_flags_clear(si, SWP_OFFLIST);
		if (!mark_offlist_if_full(si))
			avail_insert(si);
	}
	sw_spin_unlock(&swap_avail_lock);
}
