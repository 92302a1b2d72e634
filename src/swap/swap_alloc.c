/*
 * swap_alloc.c - finding free slots for a folio: the current cluster of this
 * CPU first, then the devices in order of priority, on each one its lists.
 *
 * The fast path holds the CPU's lock for its whole length. That pins the
 * cached device without a reference: swapoff walks every CPU's cache under
 * that lock before it tears a device down. The slow path, which may sleep,
 * holds a device reference instead and no lock but the cluster's.
 *
 * The last word is always spoken under the cluster lock: the range is NULL
 * and the device says SWP_WRITEOK. swapoff clears the flag and then passes
 * through every cluster lock, after which nobody allocates from it.
 */
#include "base/counters.h"
#include "base/log.h"
#include "swap/cluster.h"
#include "swap/swap_mem.h"

#define LAST_RESORT_CLUSTERS 64

struct percpu_swap_cluster *percpu_swap_cluster;

/* One attempt to allocate; lives on the stack. */
struct alloc_ctx {
	struct swap_info_struct *si; /* tried now */
	struct folio *folio;         /* NULL: a slot without one (an image) */
	unsigned order;
	uint16_t group;
	bool done;
	swp_entry_t entry;               /* what was found */
	struct percpu_swap_cluster *pcp; /* its lock is held, or NULL */
	bool global;                     /* global_cluster_lock is held */
	bool pinned; /* we took a reference to leave pcp->lock */
};

/* ---- locks around the cluster's: left to sleep or to call out ---- */

/*
 * Leaves the locks outside the cluster's (already left). The device stays
 * pinned: by the slow path's reference or by one taken here. False: the
 * device is going away; nothing may be touched after.
 */
static bool ctx_relax(struct alloc_ctx *ctx) SW_NO_TSA
{
	if (ctx->pcp) {
		ctx->pinned = get_swap_device_info(ctx->si);
		sw_spin_unlock(&ctx->pcp->lock);
		ctx->pcp = NULL;
		return ctx->pinned;
	}
	if (ctx->global)
		sw_mutex_unlock(&ctx->si->global_cluster_lock);
	return true;
}

static void ctx_resume(struct alloc_ctx *ctx) SW_NO_TSA
{
	/* The CPU's lock is not taken again: we may run elsewhere by now, and
	 * the reference does its work. */
	if (ctx->global)
		sw_mutex_lock(&ctx->si->global_cluster_lock);
}

/* Where this CPU goes on; 0: nowhere. The device is pinned. */
static void remember_next(struct alloc_ctx *ctx, uint64_t next) SW_NO_TSA
{
	struct percpu_swap_cluster *pcp = ctx->pcp;

	if (!(swap_flags(ctx->si) & SWP_SOLIDSTATE)) {
		ctx->si->global_next[ctx->order] = next;
		return;
	}
	if (!pcp) {
		pcp = &percpu_swap_cluster[swap_this_cpu()];
		sw_spin_lock(&pcp->lock, "percpu_swap_cluster", SW_RANK_PERCPU);
	}
	pcp->si[ctx->order] = ctx->si;
	pcp->offset[ctx->order] = next;
	if (pcp != ctx->pcp)
		sw_spin_unlock(&pcp->lock);
}

/* ---- one cluster ---- */

/* Could [off, off + nr) be ours? `need_reclaim`: only after folios nobody
 * owns slots of are taken out of it. */
static bool cluster_scan_range(struct swap_cluster_info *ci, unsigned off,
			       unsigned nr, bool *need_reclaim)
{
	*need_reclaim = false;
	for (unsigned i = off; i < off + nr; i++) {
		uint64_t swp_tb = __swap_table_get(ci, i);

		if (swp_tb_is_null(swp_tb))
			continue;
		if (swp_tb_get_count(swp_tb))
			return false; /* owned, or bad */
		/* In use, no owner and no folio: a free was forgotten. */
		SW_BUG_ON(!swp_tb_is_folio(swp_tb));
		if (!vm_swap_full())
			return false;
		*need_reclaim = true;
	}
	return true;
}

static bool range_is_null(struct swap_cluster_info *ci, unsigned off,
			  unsigned nr)
{
	for (unsigned i = off; i < off + nr; i++)
		if (!swp_tb_is_null(__swap_table_get(ci, i)))
			return false;
	return true;
}

/*
 * Takes the unowned folios out of a range. The cluster lock is dropped, so
 * everything is looked at again: the cluster may have been freed, given to
 * another order or to discard meanwhile, and slots refilled. Returns with the
 * lock held; `*usable` false: give the cluster up. `*off` moves when the
 * cluster fell empty, where a fresh start is better.
 */
static bool cluster_reclaim_range(struct alloc_ctx *ctx,
				  struct swap_cluster_info *ci, unsigned *off,
				  bool *usable) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	unsigned nr = 1u << ctx->order, i = *off, end = *off + nr;

	swap_cluster_unlock(ci);
	if (!ctx_relax(ctx)) {
		ctx->si = NULL;
		*usable = false;
		return false;
	}
	while (i < end) {
		uint64_t swp_tb = swap_table_get(ci, i);
		int ret;

		if (swp_tb_get_count(swp_tb))
			break;
		if (!swp_tb_is_folio(swp_tb)) {
			i++;
			continue;
		}
		ret = __try_to_reclaim_swap(si, cluster_offset(si, ci) + i,
					    TTRS_ANYWAY);
		if (ret < 0)
			break;
		i = ret ? (i | (ret - 1)) + 1 : i + 1;
	}
	ctx_resume(ctx);
	__swap_cluster_lock(ci);

	*usable = cluster_is_usable(ci, ctx->order);
	if (!*usable)
		return false;
	if (ci->count == 0) {
		*off = 0;
		return true;
	}
	return range_is_null(ci, *off, nr);
}

/* Writes the words of a range that is all NULL. False: the device is being
 * switched off. */
static bool __swap_cluster_alloc_entries(struct alloc_ctx *ctx,
					 struct swap_cluster_info *ci,
					 unsigned off)
{
	struct swap_info_struct *si = ctx->si;
	unsigned nr = 1u << ctx->order;

	sw_assert_spin_held(&ci->lock);
	if (!(swap_flags(si) & SWP_WRITEOK))
		return false;
	if (ci->count == 0)
		ci->order = ctx->order;
	ctx->entry = swp_entry(si->type, cluster_offset(si, ci) + off);
	if (ctx->folio) {
		__swap_cache_add_folio(ci, ctx->folio, ctx->entry);
		if (ctx->group)
			for (unsigned i = off; i < off + nr; i++)
				ci->table->ids[i] = ctx->group;
	} else {
		SW_ASSERT(ctx->order == 0);
		__swap_table_set(ci, off,
				 shadow_to_swp_tb(0, __count_to_flags(1)));
	}
	ci->count += nr;
	swap_usage_add(si, nr, ctx->folio ? nr : 0);
	ctx->done = true;
	return true;
}

/*
 * Looks for room in a locked cluster from `offset` on; leaves it unlocked and
 * on the list it belongs to. ctx->si is NULL afterwards when the device had
 * to be let go.
 */
static void alloc_swap_scan_cluster(struct alloc_ctx *ctx,
				    struct swap_cluster_info *ci,
				    uint64_t offset) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	unsigned nr = 1u << ctx->order, off = swap_cluster_offset(offset);
	uint64_t next = SWAP_NO_SLOT;
	bool need_reclaim, usable;

	SW_ASSERT(!(off & (nr - 1)));
	if (ci->count + nr > SWAPFILE_CLUSTER)
		goto out;
	for (; off + nr <= SWAPFILE_CLUSTER; off += nr) {
		if (!cluster_scan_range(ci, off, nr, &need_reclaim))
			continue;
		if (need_reclaim) {
			bool ok = cluster_reclaim_range(ctx, ci, &off, &usable);

			if (!ctx->si)
				return;
			if (!usable)
				goto unusable;
			if (!ok)
				continue;
		}
		if (!__swap_cluster_alloc_entries(ctx, ci, off))
			break;
		off += nr;
		if (ci->count < SWAPFILE_CLUSTER && off < SWAPFILE_CLUSTER)
			next = cluster_offset(si, ci) + off;
		break;
	}
out:
	relocate_cluster(si, ci);
unlock:
	swap_cluster_unlock(ci);
	remember_next(ctx, next);
	return;
unusable:
	/* Somebody else put it where it is now, unless it is still ours. One
	 * without a table was freed meanwhile and is being populated. */
	if (ci->flags == CLUSTER_FLAG_NONE && ci->table)
		goto out;
	goto unlock;
}

/* ---- one device ---- */

/*
 * Gives a cluster from the free list its table. It is on no list, so nobody
 * else allocates from it while the lock is dropped to sleep; and it is kept
 * whatever CPU we wake up on.
 */
static bool cluster_populate(struct alloc_ctx *ctx,
			     struct swap_cluster_info *ci) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	struct swap_table *table = swap_table_alloc_atomic();

	if (!table) {
		swap_cluster_unlock(ci);
		ctx_relax(ctx);
		table = swap_table_alloc();
		ctx_resume(ctx);
		__swap_cluster_lock(ci);
	}
	SW_BUG_ON(ci->table || ci->count || ci->flags != CLUSTER_FLAG_NONE);
	if (!table) {
		move_cluster(si, ci, &si->free_clusters, CLUSTER_FLAG_FREE);
		return false;
	}
	cluster_set_table(ci, table);
	return true;
}

/* The first cluster of `list` that can be had; every one of them if `all`. */
static bool alloc_swap_scan_list(struct alloc_ctx *ctx, struct sw_list *list,
				 bool all) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	struct swap_cluster_info *ci;
	/* Clusters scanned in vain go to frag[order], which may be this very
	 * list: do not go round. */
	uint64_t budget = all ? si->nr_clusters : 1;
	bool was_free;

	while (budget-- && (ci = isolate_lock_cluster(si, list, &was_free))) {
		if (was_free && !cluster_populate(ctx, ci)) {
			swap_cluster_unlock(ci);
			return false;
		}
		alloc_swap_scan_cluster(ctx, ci, cluster_offset(si, ci));
		if (ctx->done)
			return true;
	}
	return false;
}

/* Order 0 takes what larger orders left over, oldest leftovers first. */
static bool alloc_swap_steal(struct alloc_ctx *ctx)
{
	struct swap_info_struct *si = ctx->si;

	for (unsigned o = 1; o <= SWAP_MAX_ORDER; o++)
		if (alloc_swap_scan_list(ctx, &si->frag_clusters[o], true) ||
		    alloc_swap_scan_list(ctx, &si->nonfull_clusters[o], true))
			return true;
	return false;
}

/*
 * Free slots for ctx on ctx->si, which is pinned. Unlike the kernel, devices
 * that are files serve large orders as well: a store's offsets are its own
 * and always contiguous, there are no extents to respect.
 */
static bool alloc_swap_scan_device(struct alloc_ctx *ctx)
{
	struct swap_info_struct *si = ctx->si;
	unsigned order = ctx->order;
	bool whole = order == SWAP_MAX_ORDER; /* nothing partial can serve */

	if (!whole &&
	    alloc_swap_scan_list(ctx, &si->nonfull_clusters[order], true))
		return true;
	if (alloc_swap_scan_list(ctx, &si->free_clusters, false))
		return true;
	/* One fragment is enough: order 0 must find something in it, and a
	 * large order may fail. The list turns, so each is tried in time. */
	if (!whole &&
	    alloc_swap_scan_list(ctx, &si->frag_clusters[order], false))
		return true;
	return order == 0 && alloc_swap_steal(ctx);
}

/* What a full cluster still has cached and unowned, when swap is scarce. */
static bool reclaim_a_full_cluster(struct alloc_ctx *ctx)
{
	uint64_t freed = 0;

	if (!vm_swap_full())
		return false;
	if (ctx_relax(ctx))
		freed = swap_reclaim_full_clusters(ctx->si, 1);
	ctx_resume(ctx);
	return freed;
}

static bool __cluster_alloc_swap_entry(struct alloc_ctx *ctx)
{
	if (alloc_swap_scan_device(ctx))
		return true;
	/* Slots that nobody holds come first, then those only the cache does.
	 * What was freed may be gone again: order 0 tries until nothing more
	 * comes, larger ones once. */
	while (reclaim_a_full_cluster(ctx)) {
		if (alloc_swap_scan_device(ctx))
			return true;
		if (ctx->order)
			break;
	}
	return false;
}

/* The shared cursor of a rotating device. */
static bool alloc_swap_global_next(struct alloc_ctx *ctx) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	uint64_t offset = si->global_next[ctx->order];
	struct swap_cluster_info *ci;

	if (offset == SWAP_NO_SLOT)
		return false;
	ci = swap_cluster_lock(si, offset);
	if (!cluster_is_usable(ci, ctx->order)) {
		swap_cluster_unlock(ci);
		return false;
	}
	if (ci->count == 0)
		offset = cluster_offset(si, ci);
	alloc_swap_scan_cluster(ctx, ci, offset);
	return ctx->done;
}

static bool cluster_alloc_swap_entry(struct alloc_ctx *ctx) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;

	if (swap_flags(si) & SWP_SOLIDSTATE)
		return __cluster_alloc_swap_entry(ctx);

	sw_mutex_lock(&si->global_cluster_lock);
	ctx->global = true;
	if (!alloc_swap_global_next(ctx))
		__cluster_alloc_swap_entry(ctx);
	ctx->global = false;
	sw_mutex_unlock(&si->global_cluster_lock);
	return ctx->done;
}

/* ---- all devices ---- */

/* The cached cluster of this CPU, whatever its device's priority. */
static bool swap_alloc_fast(struct alloc_ctx *ctx) SW_NO_TSA
{
	struct percpu_swap_cluster *pcp = &percpu_swap_cluster[swap_this_cpu()];
	struct swap_info_struct *si;
	struct swap_cluster_info *ci;
	uint64_t offset;

	sw_spin_lock(&pcp->lock, "percpu_swap_cluster", SW_RANK_PERCPU);
	si = pcp->si[ctx->order];
	offset = pcp->offset[ctx->order];
	ctx->pcp = pcp;
	if (si && offset != SWAP_NO_SLOT) {
		ctx->si = si;
		ci = swap_cluster_lock(si, offset);
		if (cluster_is_usable(ci, ctx->order)) {
			if (ci->count == 0)
				offset = cluster_offset(si, ci);
			alloc_swap_scan_cluster(ctx, ci, offset);
		} else {
			swap_cluster_unlock(ci);
		}
	}
	if (ctx->pcp)
		sw_spin_unlock(&pcp->lock);
	ctx->pcp = NULL;
	if (ctx->pinned)
		put_swap_device(si);
	ctx->pinned = false;
	return ctx->done;
}

/*
 * The best device not in `*tried`, with a reference, and behind its equals
 * from now on: they take turns, once a visit.
 */
static struct swap_info_struct *next_avail_device(uint32_t *tried)
{
	struct swap_info_struct *si, *pos;

	for (;;) {
		bool found = false;

		sw_spin_lock(&swap_avail_lock, "swap_avail_lock",
			     SW_RANK_AVAIL);
		sw_list_for_each(si, &swap_avail_head, avail_list) {
			if (*tried & 1u << si->type)
				continue;
			found = true;
			break;
		}
		if (found) {
			*tried |= 1u << si->type;
			sw_list_del(&si->avail_list);
			sw_list_for_each(pos, &swap_avail_head, avail_list)
				if (pos->prio < si->prio)
					break;
			sw_list_add_tail(&pos->avail_list, &si->avail_list);
		}
		sw_spin_unlock(&swap_avail_lock);
		if (!found)
			return NULL;
		if (get_swap_device_info(si))
			return si;
	}
}

static bool swap_alloc_slow(struct alloc_ctx *ctx)
{
	uint32_t tried = 0;

	while ((ctx->si = next_avail_device(&tried))) {
		struct swap_info_struct *si = ctx->si;

		cluster_alloc_swap_entry(ctx);
		put_swap_device(si);
		/* A large folio is better split than spread over a slower
		 * device. */
		if (ctx->done || ctx->order)
			break;
	}
	return ctx->done;
}

/*
 * A full device is on no list, so the slow path does not see what its cache
 * still holds. Before giving up we look, a bounded number of clusters at a
 * time; they take turns.
 */
static bool reclaim_full_devices(void)
{
	uint64_t freed = 0;

	for (unsigned type = 0; type < MAX_SWAPFILES && !freed; type++) {
		struct swap_info_struct *si = &swap_info[type];

		if (!vm_swap_full() || !swap_usage_cached(si) ||
		    !(swap_flags(si) & SWP_WRITEOK) ||
		    !get_swap_device_info(si))
			continue;
		freed = swap_reclaim_full_clusters(si, LAST_RESORT_CLUSTERS);
		put_swap_device(si);
	}
	return freed;
}

int folio_alloc_swap(struct folio *folio, uint16_t group)
{
	struct alloc_ctx ctx = {
		.folio = folio,
		.order = folio->order,
		.group = group,
	};

	SW_ASSERT(folio_is_locked(folio));
	SW_ASSERT(folio_test(folio, SW_FOLIO_UPTODATE));
	SW_BUG_ON(folio_test(folio, SW_FOLIO_SWAPCACHE));
	if (ctx.order > SWAP_MAX_ORDER)
		return -EINVAL;
	/* Charged before the slot is looked for, so that its id is written in
	 * the critical section that takes it. */
	if (swap_group_charge(group, folio_nr(folio)))
		return -ENOMEM;
	if (sw_likely(swap_alloc_fast(&ctx)) || swap_alloc_slow(&ctx))
		return 0;
	while (ctx.order == 0 && reclaim_full_devices())
		if (swap_alloc_slow(&ctx))
			return 0;
	swap_group_uncharge(group, folio_nr(folio));
	swap_group_fail(group);
	sw_count(swap_full, 1);
	return -ENOMEM;
}
