/*
 * swap_alloc.c - finding free slots for a folio: where this CPU left off,
 * then the devices in order of priority.
 *
 * The fast path follows the CPU's hint inside an RCU section. That pins the
 * device without a reference: swapoff forgets every hint and then waits for a
 * grace period before it tears a device down. The slow path, which may sleep,
 * holds a device reference instead, and no lock but the cluster's.
 *
 * Below: swap_scan.c.
 */
#include "swap/swap_alloc.h"

#include "base/counters.h"
#include "base/probe.h"
#include "swap/swap_mem.h"
#include "swap/swap_work.h"

#define LAST_RESORT_CLUSTERS 64

struct percpu_swap_cluster *percpu_swap_cluster;

/* ---- all devices ---- */

/* Where this CPU left off, whatever that device's priority, if it is one of
 * those that may be used. */
static bool swap_alloc_fast(struct alloc_ctx *ctx) SW_NO_TSA
{
	uint64_t *word = &percpu_swap_cluster[swap_this_cpu()].hint[ctx->order];
	struct swap_info_struct *si;
	struct swap_cluster_info *ci;
	swp_entry_t hint;

	swap_rcu_read_lock();
	sw_sched_point("hint");
	/* Pairs with the release in remember_next(), whose device was up. */
	hint.val = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	if (!hint.val || !(ctx->devices >> swp_type(hint) & 1)) {
		swap_rcu_read_unlock();
		return false;
	}
	ctx->rcu = true;
	ctx->si = si = &swap_info[swp_type(hint)];
	ci = __swap_offset_to_cluster(si, swp_offset(hint));
	swap_cluster_lock(ci);
	if (sw_likely(cluster_is_usable(ci, ctx->order)))
		alloc_swap_scan_cluster(
			ctx, ci,
			ci->count ? swap_cluster_offset(swp_offset(hint)) : 0);
	else
		swap_cluster_unlock(ci);
	if (ctx->rcu)
		swap_rcu_read_unlock();
	if (ctx->pinned)
		put_swap_device(si);
	ctx->rcu = ctx->pinned = false;
	return ctx->done;
}

/*
 * The best device not in `*tried`, with a reference, and behind its equals
 * from now on: they take turns, once a visit.
 */
static struct swap_info_struct *next_avail_device(uint32_t *tried)
{
	struct swap_info_struct *si;

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
			avail_requeue(si);
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
	uint32_t tried = ~ctx->devices;

	while ((ctx->si = next_avail_device(&tried))) {
		struct swap_info_struct *si = ctx->si;

		cluster_alloc_swap_entry(ctx);
		/* Off the list when nothing is left, so that the next one
		 * does not look here in vain; what the cache still holds is
		 * looked for behind our back. */
		if (!ctx->done && !ctx->order &&
		    del_from_avail_list(si, false) &&
		    swap_devices_full(ctx->devices))
			swap_work_queue(&si->reclaim_work);
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
static bool reclaim_full_devices(uint32_t devices)
{
	uint64_t freed = 0;

	if (!swap_devices_full(devices))
		return false;
	for (unsigned type = 0; type < MAX_SWAPFILES && !freed; type++) {
		struct swap_info_struct *si = &swap_info[type];

		if (!(devices >> type & 1) || !(swap_flags(si) & SWP_WRITEOK) ||
		    !swap_usage_cached(si) || !get_swap_device_info(si))
			continue;
		freed = swap_reclaim_full_clusters(si, LAST_RESORT_CLUSTERS);
		put_swap_device(si);
	}
	return freed;
}

/* Clusters that wait for discard are free slots too, if one can wait: under
 * no lock here, and never for a large order, which has a way out. */
static bool sync_discard(uint32_t devices)
{
	bool some = false;

	for (unsigned type = 0; type < MAX_SWAPFILES && !some; type++) {
		struct swap_info_struct *si = &swap_info[type];

		if (!(devices >> type & 1) ||
		    !(swap_flags(si) & SWP_PAGE_DISCARD) ||
		    !get_swap_device_info(si))
			continue;
		some = swap_do_scheduled_discard(si);
		put_swap_device(si);
	}
	return some;
}

static int alloc_swap(struct folio *folio, uint16_t group, uint32_t devices)
{
	struct alloc_ctx ctx = {
		.folio = folio,
		.order = folio->order,
		.group = group,
		.devices = devices,
		.full = -1,
	};

	/* Charged before the slot is looked for, so that its id is written in
	 * the critical section that takes it. */
	if (group && swap_group_charge(group, folio_nr(folio)))
		return -ENOMEM;
	if (sw_likely(swap_alloc_fast(&ctx)) || swap_alloc_slow(&ctx))
		return 0;
	while (ctx.order == 0 &&
	       (sync_discard(devices) || reclaim_full_devices(devices))) {
		ctx.full = -1;
		if (swap_alloc_slow(&ctx))
			return 0;
	}
	swap_group_uncharge(group, folio_nr(folio));
	swap_group_fail(group);
	sw_count(swap_full, 1);
	return -ENOMEM;
}

int folio_alloc_swap_on(struct folio *folio, uint16_t group, uint32_t devices)
{
	int err;

	SW_ASSERT(folio_is_locked(folio));
	SW_ASSERT(folio_test(folio, SW_FOLIO_UPTODATE));
	if (sw_unlikely(folio_test(folio, SW_FOLIO_SWAPCACHE))) {
		swap_misuse(swap_bad_folio, "the folio has slots already");
		return -EINVAL;
	}
	if (sw_unlikely(folio->order > SWAP_MAX_ORDER)) {
		swap_refuse(swap_bad_order, "order %u does not fit a cluster",
			    folio->order);
		return -EINVAL;
	}
	err = alloc_swap(folio, group, devices);
	SW_PROBE3(allocate, folio->swap.val, (unsigned)folio->order, err);
	return err;
}

/* One slot of one device, without folio or group: count 1 from the start. The
 * CPU's own cluster serves when it lies on that device, so that an image is
 * written in sequence; slots that wait for discard serve when nothing else.
 * Whether slots of the cache are taken back is asked of all swap, as ever: that
 * one device is full is no reason. */
swp_entry_t swap_alloc_hibernation_slot(unsigned type)
{
	struct alloc_ctx ctx = { .full = vm_swap_full() };

	if (type >= MAX_SWAPFILES || !get_swap_device_info(&swap_info[type])) {
		swap_refuse(swap_bad_device, "device %u is not on", type);
		return (swp_entry_t){ 0 };
	}
	ctx.devices = 1u << type;
	if (!swap_alloc_fast(&ctx)) {
		ctx.si = &swap_info[type];
		do {
			ctx.full = vm_swap_full();
		} while (!cluster_alloc_swap_entry(&ctx) &&
			 swap_do_scheduled_discard(ctx.si));
	}
	put_swap_device(&swap_info[type]);
	SW_PROBE3(allocate, ctx.entry.val, 0u, ctx.done ? 0 : -ENOMEM);
	return ctx.done ? ctx.entry : (swp_entry_t){ 0 };
}
