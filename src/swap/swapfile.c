/*
 * swapfile.c - swap devices: on, off, found, kept alive, summed up.
 *
 * A device is a slot of swap_info[] that is never freed, so a stale type still
 * finds a lock to take. Who uses a device without owning a slot of it takes a
 * reference: a counter a CPU, and a flag that swapoff clears. swapoff goes
 *
 *      WRITEOK off, off the lists            no new allocation begins
 *      through every cluster lock            those under way are over
 *      unuse until no slot is in use         (or everything back as it was)
 *      no new references, wait for the old   nobody looks at clusters
 *      every CPU's hint forgotten            nor finds them by it
 *      one grace period                      nor is still on the way
 *      through every cluster lock            nor frees the last slot of one
 *      tear down
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "swap/cluster.h"
#include "swap/swap_mem.h"

#define PRIO_MAX_USER 32767
#define CLUSTER_COLS  4

/* What swapon() may be told; the other flags are states of a device. */
#define FLAGS_OF_CALLERS                                                    \
	(SWP_DISCARDABLE | SWP_SOLIDSTATE | SWP_BLKDEV | SWP_AREA_DISCARD | \
	 SWP_PAGE_DISCARD | SWP_STABLE_WRITES | SWP_SYNCHRONOUS_IO |        \
	 SWP_CLUSTERED)

static struct sw_mutex swapon_mutex =
	SW_MUTEX_INIT("swapon_mutex", SW_RANK_SWAPON);
struct sw_mutex swap_lock = SW_MUTEX_INIT("swap_lock", SW_RANK_SWAP);
static struct sw_list swap_active_head = SW_LIST_INIT(swap_active_head);
static bool ready;

int swap_init(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	SW_BUG_ON(ready);
	swap_nr_cpus = cpus > 0 ? cpus : 1;
	percpu_swap_cluster = swap_zalloc_aligned(
		swap_nr_cpus * sizeof(*percpu_swap_cluster), "percpu");
	if (!percpu_swap_cluster)
		return -ENOMEM;
	if (swap_mem_init()) {
		swap_free_mem(percpu_swap_cluster);
		percpu_swap_cluster = NULL;
		return -ENOMEM;
	}
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si = &swap_info[type];

		si->type = type;
		sw_list_init(&si->avail_list);
		sw_list_init(&si->active_list);
		swap_work_init(&si->discard_work, swap_discard_work);
		swap_work_init(&si->reclaim_work, swap_reclaim_work);
		sw_mutex_init(&si->global_cluster_lock, "global_cluster_lock",
			      SW_RANK_GLOBAL_CLUSTER);
	}
	ready = true;
	return 0;
}

void swap_exit(void)
{
	SW_BUG_ON(!ready || !sw_list_empty(&swap_active_head));
	swap_work_stop();
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		swap_free_mem(swap_info[type].shards);
		swap_info[type].shards = NULL;
	}
	swap_mem_exit();
	swap_free_mem(percpu_swap_cluster);
	percpu_swap_cluster = NULL;
	nr_swapfiles = 0;
	ready = false;
}

/* ---- swapon ---- */

/* NULL, or what is wrong with it. */
static const char *why_not_this_spec(const struct swapon_spec *spec)
{
	if (!spec->ops)
		return "no operations";
	if (spec->max < 2)
		return "no slot behind the header";
	if (spec->max > SWAP_MAX_SLOTS)
		return "more than 2^32 slots";
	if (spec->prio < -1 || spec->prio > PRIO_MAX_USER)
		return "a priority that is neither -1 nor 0 to 32767";
	if (spec->flags & ~FLAGS_OF_CALLERS)
		return "flags that are not a caller's to set";
	if (spec->nr_bad && !spec->bad)
		return "no list of bad slots, though there are some";
	for (unsigned i = 0; i < spec->nr_bad; i++) {
		if (!spec->bad[i] || spec->bad[i] >= spec->max)
			return "a bad slot that is the header or beyond the end";
		if (i && spec->bad[i] <= spec->bad[i - 1])
			return "bad slots that are not in order, or twice";
	}
	return spec->nr_bad < spec->max - 1 ? NULL : "all slots bad";
}

/* Before anybody else can see the device. */
static int mark_bad(struct swap_info_struct *si, uint64_t offset) SW_NO_TSA
{
	struct swap_cluster_info *ci = __swap_offset_to_cluster(si, offset);
	int err = 0;

	swap_cluster_lock(ci);
	if (!ci->table) {
		struct swap_table *table;

		swap_cluster_unlock(ci);
		table = swap_table_alloc();
		swap_cluster_lock(ci);
		if (!table) {
			err = -ENOMEM;
			goto out;
		}
		cluster_set_table(ci, table);
	}
	SW_BUG_ON(!swp_tb_is_null(
		__swap_table_get(ci, swap_cluster_offset(offset))));
	__swap_table_set(ci, swap_cluster_offset(offset), bad_to_swp_tb());
	ci->count++;
out:
	swap_cluster_unlock(ci);
	return err;
}

static void free_clusters(struct swap_info_struct *si)
{
	for (uint64_t i = 0; si->cluster_info && i < si->nr_clusters; i++) {
		struct swap_cluster_info *ci = &si->cluster_info[i];
		struct swap_table *table = ci->table;
		unsigned bad = 0;

		if (!table)
			continue;
		SW_BUG_ON(ci->extend_table);
		for (unsigned off = 0; off < SWAPFILE_CLUSTER; off++) {
			uint64_t swp_tb = __atomic_load_n(&table->words[off],
							  __ATOMIC_RELAXED);

			SW_BUG_ON(!swp_tb_is_null(swp_tb) &&
				  !swp_tb_is_bad(swp_tb));
			bad += swp_tb_is_bad(swp_tb);
			/* All NULL again before it goes to the next user. */
			__atomic_store_n(&table->words[off], null_to_swp_tb(),
					 __ATOMIC_RELAXED);
		}
		SW_BUG_ON(bad != ci->count);
		cluster_set_table(ci, NULL);
		swap_table_free(table);
	}
	swap_free_mem(si->cluster_info);
	si->cluster_info = NULL;
	si->nr_clusters = 0;
}

static void list_new_cluster(struct swap_info_struct *si,
			     struct swap_cluster_info *ci) SW_NO_TSA
{
	swap_cluster_lock(ci);
	if (ci->count)
		move_cluster(si, ci, &si->nonfull_clusters[0],
			     CLUSTER_FLAG_NONFULL);
	else
		move_cluster(si, ci, &si->free_clusters, CLUSTER_FLAG_FREE);
	swap_cluster_unlock(ci);
}

static int setup_clusters(struct swap_info_struct *si,
			  const struct swapon_spec *spec) SW_NO_TSA
{
	int err = -ENOMEM;

	si->nr_clusters = (spec->max + SWAPFILE_CLUSTER - 1) / SWAPFILE_CLUSTER;
	si->cluster_info = swap_zalloc(
		si->nr_clusters * sizeof(*si->cluster_info), "clusters");
	if (!si->cluster_info)
		return -ENOMEM;
	err = mark_bad(si, 0);
	for (unsigned i = 0; !err && i < spec->nr_bad; i++)
		err = mark_bad(si, spec->bad[i]);
	for (uint64_t o = spec->max;
	     !err && o < si->nr_clusters * SWAPFILE_CLUSTER; o++)
		err = mark_bad(si, o);
	if (err) {
		free_clusters(si);
		return err;
	}
	/* Neighbours in the array share cache lines: give them to different
	 * CPUs as late as possible. */
	for (uint64_t col = 0; col < CLUSTER_COLS; col++)
		for (uint64_t i = col; i < si->nr_clusters; i += CLUSTER_COLS)
			list_new_cluster(si, &si->cluster_info[i]);
	return 0;
}

static void init_lists(struct swap_info_struct *si)
{
	sw_spin_init(&si->lock);
	sw_list_init(&si->free_clusters);
	sw_list_init(&si->full_clusters);
	sw_list_init(&si->discard_clusters);
	for (unsigned o = 0; o < SWAP_NR_ORDERS; o++) {
		sw_list_init(&si->nonfull_clusters[o]);
		sw_list_init(&si->frag_clusters[o]);
		si->global_next[o] = SWAP_NO_SLOT;
	}
}

static void active_insert(struct swap_info_struct *si)
{
	struct swap_info_struct *pos;

	sw_list_for_each(pos, &swap_active_head, active_list)
		if (pos->prio < si->prio)
			break;
	sw_list_add_tail(sw_list_node(pos, active_list), &si->active_list);
}

/* Everything goes live: also the way back from a swapoff that gave up. */
static void enable_swap_info(struct swap_info_struct *si)
{
	sw_mutex_lock(&swap_lock);
	active_insert(si);
	add_to_avail_list(si, true);
	sw_mutex_unlock(&swap_lock);
}

/* A free type; it is ours from now on. */
static struct swap_info_struct *alloc_swap_info(const struct swapon_spec *spec,
						int *err)
{
	struct swap_info_struct *si, *found = NULL;
	unsigned type;

	*err = -EPERM;
	sw_mutex_lock(&swap_lock);
	for (type = 0; type < MAX_SWAPFILES; type++) {
		si = &swap_info[type];
		if (!(swap_flags(si) & SWP_USED)) {
			if (!found)
				found = si;
		} else if (spec->store && si->store == spec->store) {
			*err = -EBUSY;
			found = NULL;
			break;
		}
	}
	if (found) {
		found->store = spec->store;
		sw_sched_point("device flags");
		__atomic_store_n(&found->flags, SWP_USED, __ATOMIC_RELAXED);
		if (found->type >= nr_swapfiles)
			__atomic_store_n(&nr_swapfiles, found->type + 1,
					 __ATOMIC_RELAXED);
	}
	sw_mutex_unlock(&swap_lock);
	return found;
}

static void release_swap_info(struct swap_info_struct *si)
{
	sw_mutex_lock(&swap_lock);
	si->store = NULL;
	si->ops = NULL;
	swap_free_mem(si->name);
	si->name = NULL;
	__atomic_store_n(&si->pages, 0, __ATOMIC_RELAXED);
	sw_sched_point("device flags");
	/* Last: the type may be taken from here on. */
	__atomic_store_n(&si->flags, 0, __ATOMIC_RELEASE);
	sw_mutex_unlock(&swap_lock);
}

static char *copy_name(const char *name)
{
	size_t len = strlen(name);
	char *copy = swap_zalloc(len + 1, "name");

	return copy ? memcpy(copy, name, len) : NULL;
}

int swapon(const struct swapon_spec *spec)
{
	const char *name = spec->name ? spec->name : "swap";
	const char *why = why_not_this_spec(spec);
	struct swap_info_struct *si;
	int err;

	if (why) {
		swap_refuse(swap_bad_device, "%s has %s", name, why);
		return -EINVAL;
	}
	sw_mutex_lock(&swapon_mutex);
	si = alloc_swap_info(spec, &err);
	if (!si) {
		swap_refuse(swap_bad_device, "%s %s", name,
			    err == -EBUSY ? "is a device already"
					  : "is one device too many");
		goto out;
	}

	err = -ENOMEM;
	si->prio = spec->prio;
	si->ops = spec->ops;
	si->name = copy_name(name);
	/* Stays till the end: a stale entry may still ask for a reference. */
	if (!si->shards) {
		struct swap_shard *shards = swap_zalloc_aligned(
			swap_nr_cpus * sizeof(*shards), "shards");

		__atomic_store_n(&si->shards, shards, __ATOMIC_RELEASE);
	}
	if (!si->name || !si->shards)
		goto err_release;
	init_lists(si);
	err = swap_work_start();
	if (err)
		goto err_release;
	err = setup_clusters(si, spec);
	if (err)
		goto err_release;
	__atomic_store_n(&si->pages, spec->max - 1 - spec->nr_bad,
			 __ATOMIC_RELAXED);
	si->condemned = 0;
	swap_flags_set(si, spec->flags | SWP_OFFLIST);
	if (!si->ops->discard)
		swap_flags_clear(si, SWP_DISCARDABLE | SWP_AREA_DISCARD |
					     SWP_PAGE_DISCARD);
	sw_sched_point("device max");
	/* Pairs with the acquire in __swap_entry_to_info(). */
	__atomic_store_n(&si->max, spec->max, __ATOMIC_RELEASE);
	if (swap_flags(si) & SWP_AREA_DISCARD)
		discard_swap(si);
	sw_sched_point("device live");
	__atomic_store_n(&si->users_live, 1, __ATOMIC_SEQ_CST);
	enable_swap_info(si);
	err = si->type;
	goto out;

err_release:
	release_swap_info(si);
out:
	sw_mutex_unlock(&swapon_mutex);
	return err;
}

/* ---- swapoff ---- */

static void nap_ns(long ns)
{
	const struct timespec t = { .tv_nsec = ns };

	if (!sw_sched_wait())
		nanosleep(&t, NULL);
}

static void kill_users(struct swap_info_struct *si)
{
	sw_sched_point("device live");
	__atomic_store_n(&si->users_live, 0, __ATOMIC_SEQ_CST);
	while (swap_device_users(si))
		nap_ns(100000);
}

/* Whoever is in a cluster's lock now is out of it after this. */
static void pass_cluster_locks(struct swap_info_struct *si) SW_NO_TSA
{
	for (uint64_t i = 0; i < si->nr_clusters; i++) {
		struct swap_cluster_info *ci = &si->cluster_info[i];

		swap_cluster_lock(ci);
		swap_cluster_unlock(ci);
	}
}

/* Frees what only the cache holds. */
static void sweep_cached(struct swap_info_struct *si)
{
	for (uint64_t o = 1; o < si->max; o++) {
		struct swap_cluster_info *ci = __swap_offset_to_cluster(si, o);
		uint64_t swp_tb;

		sw_sched_point("table");
		if (!__atomic_load_n(&ci->table, __ATOMIC_RELAXED)) {
			o |= SWAPFILE_CLUSTER - 1;
			continue;
		}
		swp_tb = swap_table_get(ci, swap_cluster_offset(o));
		if (swp_tb_is_folio(swp_tb) && !swp_tb_get_count(swp_tb))
			__try_to_reclaim_swap(si, o, TTRS_ANYWAY | TTRS_WAIT);
	}
}

static int try_to_unuse(struct swap_info_struct *si,
			int (*unuse)(void *arg, unsigned type), void *arg)
{
	for (unsigned round = 0;; round++) {
		int err;

		sweep_cached(si);
		/* Pairs with swap_usage_sub(): what freed the slots is over.
		 * Nothing is allocated any more, so the sum only falls. */
		if (!swap_usage_in_pages(si))
			return 0;
		if (!unuse)
			return -EBUSY;
		err = unuse(arg, si->type);
		if (err)
			return err;
		/* A slot may hide for a moment, between allocation and its
		 * first owner or behind a write: no bound, but no spinning. */
		if (round)
			nap_ns(1000000);
	}
}

/* No CPU stores a hint to this device any more. */
static void flush_percpu_swap_cluster(struct swap_info_struct *si)
{
	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		for (unsigned o = 0; o < SWAP_NR_ORDERS; o++) {
			uint64_t *hint = &percpu_swap_cluster[cpu].hint[o];
			swp_entry_t e;

			sw_sched_point("hint");
			e.val = __atomic_load_n(hint, __ATOMIC_RELAXED);
			if (!e.val || swp_type(e) != si->type)
				continue;
			sw_sched_point("hint");
			/* Whoever overwrites it meanwhile has another device
			 * in mind. */
			__atomic_compare_exchange_n(hint, &e.val, 0, false,
						    __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		}
	}
}

/* Takes the device out of allocation, and everything off it. Not 0: everything
 * is back as it was; 0: the device is on no list. */
static int empty_device(unsigned type, int (*unuse)(void *arg, unsigned type),
			void *arg)
{
	struct swap_info_struct *si;
	int err;

	if (type >= MAX_SWAPFILES) {
		swap_refuse(swap_bad_device, "there is no device %u", type);
		return -EINVAL;
	}
	si = &swap_info[type];
	sw_mutex_lock(&swap_lock);
	if (sw_list_empty(&si->active_list)) {
		sw_mutex_unlock(&swap_lock);
		swap_refuse(swap_bad_device,
			    "device %u is not on, or going off", type);
		return -EINVAL;
	}
	if (swap_flags(si) & SWP_HIBERNATION) {
		sw_mutex_unlock(&swap_lock);
		return -EBUSY;
	}
	del_from_avail_list(si, true);
	sw_list_del(&si->active_list);
	sw_mutex_unlock(&swap_lock);

	/* Every allocation that saw WRITEOK is over after this. */
	pass_cluster_locks(si);
	err = try_to_unuse(si, unuse, arg);
	if (err)
		enable_swap_info(si);
	return err;
}

int swap_empty(unsigned type, int (*unuse)(void *arg, unsigned type), void *arg)
{
	int err = empty_device(type, unuse, arg);

	if (!err)
		enable_swap_info(&swap_info[type]);
	return err;
}

int swapoff(unsigned type, int (*unuse)(void *arg, unsigned type), void *arg)
{
	int err = empty_device(type, unuse, arg);
	struct swap_info_struct *si;

	if (err)
		return err;
	si = &swap_info[type];
	kill_users(si);
	flush_percpu_swap_cluster(si);
	swap_work_flush(&si->discard_work);
	swap_work_flush(&si->reclaim_work);
	/* Who found the device by a hint, or looks at its tables, is done. */
	swap_rcu_synchronize();
	/* Who takes the last folio off a slot has only that slot to hold the
	 * device by, and still moves the cluster when the slot is gone. */
	pass_cluster_locks(si);

	sw_mutex_lock(&swapon_mutex);
	SW_BUG_ON(swap_usage_in_pages(si) || swap_usage_cached(si));
	sw_sched_point("device max");
	__atomic_store_n(&si->max, 0, __ATOMIC_RELAXED);
	free_clusters(si);
	release_swap_info(si);
	sw_mutex_unlock(&swapon_mutex);
	return 0;
}
