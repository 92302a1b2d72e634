/*
 * swap_device.c - finding a device, keeping it while it is used without a
 * slot of it, and what all devices are together. Switching them on and off is
 * swapfile.c's.
 */
#include <sched.h>
#include <string.h>

#include "swap/cluster.h"

struct swap_info_struct swap_info[MAX_SWAPFILES];
unsigned swap_nr_cpus;
unsigned nr_swapfiles;     /* [atomic] types ever used */
uint64_t total_swap_pages; /* [atomic] */

static __thread int pretended_cpu = -1;

unsigned swap_this_cpu_slow(void)
{
	int cpu = pretended_cpu >= 0 ? pretended_cpu : sched_getcpu();

	return sw_likely((unsigned)cpu < swap_nr_cpus) ? (unsigned)cpu : 0;
}

void swap_pretend_cpu(int cpu)
{
	pretended_cpu = cpu;
}

/* ---- finding a device and keeping it ---- */

bool get_swap_device_info(struct swap_info_struct *si)
{
	struct swap_shard *shards =
		__atomic_load_n(&si->shards, __ATOMIC_ACQUIRE);
	unsigned cpu = swap_this_cpu();

	if (!shards)
		return false;
	/*
	 * Against kill_users():
	 *      users++                         live = 0
	 *      live?                           sum of users?
	 * both sides in one total order, so one of us sees the other.
	 */
	sw_sched_point("device users");
	__atomic_fetch_add(&shards[cpu].users, 1, __ATOMIC_SEQ_CST);
	sw_sched_point("device live");
	if (sw_likely(__atomic_load_n(&si->users_live, __ATOMIC_SEQ_CST)))
		return true;
	sw_sched_point("device users");
	__atomic_fetch_sub(&shards[cpu].users, 1, __ATOMIC_SEQ_CST);
	return false;
}

struct swap_info_struct *get_swap_device(swp_entry_t entry)
{
	struct swap_info_struct *si;

	if (!entry.val || swp_type(entry) >= MAX_SWAPFILES)
		return NULL;
	si = &swap_info[swp_type(entry)];
	if (!get_swap_device_info(si))
		return NULL;
	if (swp_offset(entry) >= si->max) {
		put_swap_device(si);
		return NULL;
	}
	return si;
}

void put_swap_device(struct swap_info_struct *si)
{
	sw_sched_point("device users");
	/* Another CPU's shard than get's is as good: only the sum counts. */
	__atomic_fetch_sub(&si->shards[swap_this_cpu()].users, 1,
			   __ATOMIC_RELEASE);
}

int64_t swap_device_users(const struct swap_info_struct *si)
{
	int64_t sum = 0;

	for (unsigned cpu = 0; si->shards && cpu < swap_nr_cpus; cpu++) {
		sw_sched_point("device users");
		sum += __atomic_load_n(&si->shards[cpu].users,
				       __ATOMIC_SEQ_CST);
	}
	return sum;
}

const struct swap_ops *swap_device_ops(const struct swap_info_struct *si,
				       void **store)
{
	*store = si->store;
	return si->ops;
}

unsigned swap_device_flags(const struct swap_info_struct *si)
{
	return swap_flags(si);
}

/* ---- sums ---- */

/* What nr_swap_pages is in the kernel, added up instead of kept: one shared
 * word less on every path, and it cannot drift. `total` gets all pages on top. */
static uint64_t nr_free_pages(uint32_t devices, uint64_t *total)
{
	unsigned n = __atomic_load_n(&nr_swapfiles, __ATOMIC_RELAXED);
	uint64_t sum = 0;

	for (unsigned type = 0; type < n; type++) {
		struct swap_info_struct *si = &swap_info[type];
		uint64_t used = swap_usage_in_pages(si), pages;

		sw_sched_point("total");
		pages = __atomic_load_n(&si->pages, __ATOMIC_RELAXED);

		if (!(devices >> type & 1) || !(swap_flags(si) & SWP_WRITEOK))
			continue;
		*total += pages;
		if (used < pages)
			sum += pages - used;
	}
	return sum;
}

uint64_t swap_nr_free_pages(void)
{
	uint64_t total = 0;

	return nr_free_pages(SWAP_ALL_DEVICES, &total);
}

bool swap_devices_full(uint32_t devices)
{
	uint64_t total = 0, free_pages = nr_free_pages(devices, &total);

	sw_sched_point("total");
	if (devices == SWAP_ALL_DEVICES)
		total = __atomic_load_n(&total_swap_pages, __ATOMIC_RELAXED);
	return free_pages * 2 < total;
}

void swap_devices_room(uint32_t devices, struct sw_swap_totals *t)
{
	memset(t, 0, sizeof(*t));
	t->free_pages = nr_free_pages(devices, &t->total_pages);
	if (devices == SWAP_ALL_DEVICES)
		t->total_pages =
			__atomic_load_n(&total_swap_pages, __ATOMIC_RELAXED);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si = &swap_info[type];
		uint32_t flags = swap_flags(si);

		if (!(devices >> type & 1) || !(flags & SWP_USED) ||
		    flags & SWP_WRITEOK)
			continue;
		/* What a device on its way out still holds counts in both, so
		 * that it looks no fuller than before; of one that failed
		 * nothing is free. */
		t->total_pages += swap_usage_in_pages(si);
		if (!(flags & SWP_FAILED))
			t->free_pages += swap_usage_in_pages(si);
	}
}

void si_swapinfo(struct sw_swap_totals *t)
{
	swap_devices_room(SWAP_ALL_DEVICES, t);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si = &swap_info[type];

		if (swap_flags(si) & SWP_USED)
			t->cached += swap_usage_cached(si);
	}
}

bool swap_device_info(unsigned type, struct sw_swap_device_info *info)
{
	struct swap_info_struct *si;

	if (type >= MAX_SWAPFILES)
		return false;
	si = &swap_info[type];
	if (!get_swap_device_info(si))
		return false;
	*info = (struct sw_swap_device_info){
		.type = type,
		.prio = si->prio,
		.flags = swap_flags(si),
		.pages = __atomic_load_n(&si->pages, __ATOMIC_RELAXED),
		.max = si->max,
		.used = swap_usage_in_pages(si),
		.condemned = __atomic_load_n(&si->condemned, __ATOMIC_RELAXED),
	};
	memcpy(info->name, si->name, strnlen(si->name, SWAP_NAME_MAX - 1));
	put_swap_device(si);
	return true;
}

/* ---- an image's hold on its device ---- */

int swap_pin_hibernation(unsigned type)
{
	uint32_t flags;
	int err = 0;

	if (type >= MAX_SWAPFILES) {
		swap_refuse(swap_bad_device, "there is no device %u", type);
		return -EINVAL;
	}
	sw_mutex_lock(&swap_lock);
	flags = swap_flags(&swap_info[type]);
	if (!(flags & SWP_WRITEOK))
		err = -EINVAL;
	else if (flags & SWP_HIBERNATION)
		err = -EBUSY;
	else
		swap_flags_set(&swap_info[type], SWP_HIBERNATION);
	sw_mutex_unlock(&swap_lock);
	if (err == -EINVAL)
		swap_refuse(swap_bad_device, "device %u is not on", type);
	return err;
}

void swap_unpin_hibernation(unsigned type)
{
	if (type >= MAX_SWAPFILES ||
	    !(swap_flags(&swap_info[type]) & SWP_HIBERNATION)) {
		swap_misuse(swap_bad_call, "device %u holds no image", type);
		return;
	}
	swap_flags_clear(&swap_info[type], SWP_HIBERNATION);
}
