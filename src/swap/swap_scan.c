/*
 * swap_scan.c - finding free slots on one device: in a cluster, then in the
 * lists of clusters, from the best kind to the last.
 *
 * The last word is always spoken under the cluster lock: the range is NULL
 * and the device says SWP_WRITEOK. swapoff clears the flag and then passes
 * through every cluster lock, after which nobody allocates from it.
 *
 * Above: swap_alloc.c, which chooses the device.
 */
#include "swap/swap_alloc.h"

#include "swap/swap_mem.h"
#include "swap/swap_work.h"

static bool ctx_swap_full(struct alloc_ctx *ctx)
{
	if (ctx->full < 0)
		ctx->full = swap_devices_full(ctx->devices);
	return ctx->full;
}

/* ---- what is held around the cluster lock: left to sleep or call out ---- */

/*
 * The device stays pinned: by the slow path's reference or by one taken here.
 * False: the device is going away; nothing of it may be touched after.
 */
static bool ctx_relax(struct alloc_ctx *ctx) SW_NO_TSA
{
	if (ctx->rcu) {
		ctx->pinned = get_swap_device_info(ctx->si);
		swap_rcu_read_unlock();
		ctx->rcu = false;
		return ctx->pinned;
	}
	if (ctx->global)
		sw_mutex_unlock(&ctx->si->global_cluster_lock);
	return true;
}

static void ctx_resume(struct alloc_ctx *ctx) SW_NO_TSA
{
	if (ctx->global)
		sw_mutex_lock(&ctx->si->global_cluster_lock);
}

/*
 * Where this CPU (on rotating media: everybody) goes on; 0: nowhere. Cluster
 * locked, and the device says SWP_WRITEOK unless `next` is 0: swapoff counts
 * on no hint to it being stored later.
 */
static void remember_next(struct alloc_ctx *ctx, uint64_t next)
{
	struct swap_info_struct *si = ctx->si;

	if (sw_unlikely(!(swap_flags(si) & SWP_SOLIDSTATE))) {
		si->global_next[ctx->order] = next;
		return;
	}
	sw_sched_point("hint");
	__atomic_store_n(&percpu_swap_cluster[swap_this_cpu()].hint[ctx->order],
			 next ? swp_entry(si->type, next).val : 0,
			 __ATOMIC_RELEASE);
}

/* ---- one cluster ---- */

/* The first range from `off` on whose first slot has no owner and is not bad:
 * in a cluster that is nearly full most have one, and all else can wait. */
static unsigned skip_owned(struct swap_cluster_info *ci, unsigned off,
			   unsigned nr)
{
	const uint64_t *words = __swap_table_words(ci, 0, SWAPFILE_CLUSTER);

	while (off + nr <= SWAPFILE_CLUSTER &&
	       word_get(&words[off]) & SWP_TB_COUNT_MASK)
		off += nr;
	return off;
}

/* Could [off, off + nr) be ours? `need_reclaim`: only after folios that
 * nobody owns slots of are taken out of it. */
static bool cluster_scan_range(struct alloc_ctx *ctx,
			       struct swap_cluster_info *ci, unsigned off,
			       unsigned nr, bool *need_reclaim)
{
	const uint64_t *words = __swap_table_words(ci, off, nr);

	*need_reclaim = false;
	if (ci->count == 0)
		return true;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);

		if (swp_tb_is_null(swp_tb))
			continue;
		if (swp_tb_get_count(swp_tb))
			return false; /* owned, or bad */
		/* In use, no owner and no folio: a free was forgotten. */
		SW_BUG_ON(!swp_tb_is_folio(swp_tb));
		if (!ctx_swap_full(ctx))
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

/* Takes folios out of [from, end) of an unlocked cluster, until one stays. */
static void reclaim_range(struct swap_info_struct *si,
			  struct swap_cluster_info *ci, unsigned from,
			  unsigned end)
{
	while (from < end) {
		uint64_t swp_tb = swap_table_get(ci, from);
		int ret;

		if (swp_tb_get_count(swp_tb))
			return;
		if (!swp_tb_is_folio(swp_tb)) {
			from++;
			continue;
		}
		ret = __try_to_reclaim_swap(si, cluster_offset(si, ci) + from,
					    TTRS_ANYWAY);
		if (ret < 0)
			return;
		from = ret ? (from | (ret - 1)) + 1 : from + 1;
	}
}

/*
 * Frees a range of unowned folios. The cluster lock is dropped, so everything
 * is looked at again: the cluster may have been freed, given to another order
 * or to discard meanwhile, and slots refilled. Returns with the lock held;
 * `*usable` false: give the cluster up; ctx->si NULL: and the device, and the
 * lock is not held.
 */
static bool cluster_reclaim_range(struct alloc_ctx *ctx,
				  struct swap_cluster_info *ci, unsigned *off,
				  bool *usable) SW_NO_TSA
{
	unsigned nr = 1u << ctx->order;

	*usable = false;
	swap_cluster_unlock(ci);
	if (!ctx_relax(ctx)) {
		ctx->si = NULL;
		return false;
	}
	reclaim_range(ctx->si, ci, *off, *off + nr);
	ctx_resume(ctx);
	swap_cluster_lock(ci);

	*usable = cluster_is_usable(ci, ctx->order);
	if (!*usable) {
		ctx->emptied |= ci->flags == CLUSTER_FLAG_FREE;
		return false;
	}
	if (ci->count == 0)
		*off = 0;
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
	sw_sched_point("commit");
	if (ci->count == 0)
		ci->order = ctx->order;
	ctx->entry = swp_entry(si->type, cluster_offset(si, ci) + off);
	if (sw_likely(ctx->folio)) {
		__swap_cache_add_folio(ci, ctx->folio, ctx->entry, true);
		for (unsigned i = off; ctx->group && i < off + nr; i++)
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

void alloc_swap_scan_cluster(struct alloc_ctx *ctx,
			     struct swap_cluster_info *ci,
			     unsigned off) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	unsigned nr = 1u << ctx->order;
	uint64_t next = SWAP_NO_SLOT;
	bool need_reclaim, usable = true;

	SW_ASSERT(!(off & (nr - 1)));
	if (ci->count + nr > SWAPFILE_CLUSTER)
		goto out;
	for (off = skip_owned(ci, off, nr); off + nr <= SWAPFILE_CLUSTER;
	     off = skip_owned(ci, off + nr, nr)) {
		if (!cluster_scan_range(ctx, ci, off, nr, &need_reclaim))
			continue;
		if (sw_unlikely(need_reclaim) &&
		    !cluster_reclaim_range(ctx, ci, &off, &usable)) {
			if (!ctx->si)
				return;
			if (!usable)
				break;
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
	/* A cluster given up is where somebody else put it, unless it is
	 * still ours. One of nobody's without a table was freed meanwhile and
	 * is being populated. The fast path leaves a cluster with room on its
	 * list, so that slots freed and taken in turn do not move it. */
	if (usable || (ci->flags == CLUSTER_FLAG_NONE && ci->table))
		relocate_cluster(si, ci, ctx->rcu);
	remember_next(ctx, next);
	swap_cluster_unlock(ci);
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
		swap_cluster_lock(ci);
	}
	/* One by one: as one condition gcc reads them together with the lock. */
	SW_BUG_ON(ci->table);
	SW_BUG_ON(ci->count);
	SW_BUG_ON(ci->flags != CLUSTER_FLAG_NONE);
	if (!table) {
		move_cluster(si, ci, &si->free_clusters, CLUSTER_FLAG_FREE);
		return false;
	}
	cluster_set_table(ci, table);
	return true;
}

enum {
	SCAN_ONE = 0,
	SCAN_ALL = 1,
	SCAN_POLITE = 2
};

/* The first cluster of `list` that can be had, or every one of them; politely,
 * none that another CPU is busy filling. */
static bool alloc_swap_scan_list(struct alloc_ctx *ctx, struct sw_list *list,
				 unsigned how) SW_NO_TSA
{
	struct swap_info_struct *si = ctx->si;
	struct swap_cluster_info *ci;
	/* Clusters scanned in vain go to frag[order], which may be this very
	 * list: do not go round. */
	uint64_t budget = how & SCAN_ALL ? si->nr_clusters : 1;
	int skip = how & SCAN_POLITE ? (int)ctx->order : -1;
	bool was_free;

	while (budget-- &&
	       (ci = isolate_lock_cluster(si, list, skip, &was_free))) {
		if (was_free && !cluster_populate(ctx, ci)) {
			swap_cluster_unlock(ci);
			return false;
		}
		alloc_swap_scan_cluster(ctx, ci, 0);
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
		if (alloc_swap_scan_list(ctx, &si->frag_clusters[o],
					 SCAN_ALL) ||
		    alloc_swap_scan_list(ctx, &si->nonfull_clusters[o],
					 SCAN_ALL))
			return true;
	return false;
}

/*
 * Free clusters before those that have holes?
 *
 * Trimmed ones, yes, where trimming was paid for: it spreads writes. And where
 * one request takes many slots, so what goes out together is to lie together. Holes that are
 * filled as soon as they come are single ones after a while, and stay so even
 * while most of the device is free. If every cluster has its turn, oldest
 * first, most of what it had is gone by then: of a device a third full, used at
 * random, the holes have twenty slots in the mean instead of one
 * (tests/mm/locality_mm.c). The price is that large folios find fewer empty
 * clusters; but neighbours need not be one folio to be one request.
 */
static bool wants_free_clusters(uint32_t flags)
{
	return flags & (SWP_PAGE_DISCARD | SWP_CLUSTERED);
}

/*
 * The lists of ctx->si, which is pinned. Unlike in the kernel, a device that
 * is a file serves large orders as well: the offsets of a store are its own
 * and always contiguous, there are no extents to respect.
 */
static bool alloc_swap_scan_lists(struct alloc_ctx *ctx)
{
	struct swap_info_struct *si = ctx->si;
	struct sw_list *nonfull = &si->nonfull_clusters[ctx->order];
	struct sw_list *frag = &si->frag_clusters[ctx->order];
	bool partial = ctx->order < SWAP_MAX_ORDER; /* may share a cluster */
	bool fresh = wants_free_clusters(swap_flags(si));

	if (fresh && alloc_swap_scan_list(ctx, &si->free_clusters, SCAN_ONE))
		return true;
	if (partial &&
	    alloc_swap_scan_list(ctx, nonfull, SCAN_ALL | SCAN_POLITE))
		return true;
	if (!fresh && alloc_swap_scan_list(ctx, &si->free_clusters, SCAN_ONE))
		return true;
	/* One fragment is enough: order 0 must find something in it, and a
	 * large order may fail. The list turns, so each is tried in time. */
	if (partial && (alloc_swap_scan_list(ctx, frag, SCAN_ONE) ||
			alloc_swap_scan_list(ctx, nonfull, SCAN_ALL)))
		return true;
	return ctx->order == 0 && alloc_swap_steal(ctx);
}

/* Once more when a cluster was emptied: the free list, where it is now, was
 * looked at before. It costs a folio each time, so it ends. */
static bool alloc_swap_scan_device(struct alloc_ctx *ctx)
{
	do {
		ctx->emptied = false;
		if (alloc_swap_scan_lists(ctx))
			return true;
	} while (ctx->emptied);
	return false;
}

/* What a full cluster still has cached and unowned, when swap is scarce. */
static bool reclaim_a_full_cluster(struct alloc_ctx *ctx)
{
	uint64_t freed = 0;

	if (!ctx_swap_full(ctx))
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
	ci = __swap_offset_to_cluster(si, offset);
	swap_cluster_lock(ci);
	if (!cluster_is_usable(ci, ctx->order)) {
		swap_cluster_unlock(ci);
		return false;
	}
	alloc_swap_scan_cluster(ctx, ci,
				ci->count ? swap_cluster_offset(offset) : 0);
	return ctx->done;
}

bool cluster_alloc_swap_entry(struct alloc_ctx *ctx) SW_NO_TSA
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
