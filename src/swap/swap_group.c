/*
 * swap_group.c - whose slots they are: usage, limit and refusals of each
 * budget group. A group is a number from 1 up; 0 is nobody's and free of
 * charge. Plain atomics; a limit may be overshot by nobody, since a charge is
 * taken back before it is seen to succeed.
 */
#include "base/counters.h"
#include "swap/cluster.h"

static struct {
	uint64_t usage;   /* [atomic] slots */
	uint64_t max;     /* [atomic] 0: no limit, else limit + 1 */
	uint64_t nr_max;  /* [atomic] refused by the limit */
	uint64_t nr_fail; /* [atomic] refused at all */
} groups[UINT16_MAX + 1]; /* untouched pages of it cost nothing */

int swap_group_charge(uint16_t group, unsigned nr)
{
	uint64_t usage, max;

	SW_ASSERT(group);
	sw_sched_point("group");
	usage = __atomic_add_fetch(&groups[group].usage, nr, __ATOMIC_RELAXED);
	max = __atomic_load_n(&groups[group].max, __ATOMIC_RELAXED);
	if (sw_likely(!max || usage < max))
		return 0;
	sw_sched_point("group");
	__atomic_fetch_sub(&groups[group].usage, nr, __ATOMIC_RELAXED);
	__atomic_fetch_add(&groups[group].nr_max, 1, __ATOMIC_RELAXED);
	sw_count(swap_group_max, 1);
	swap_group_fail(group);
	return -ENOMEM;
}

void swap_group_uncharge(uint16_t group, unsigned nr)
{
	uint64_t old;

	if (!group)
		return;
	sw_sched_point("group");
	old = __atomic_fetch_sub(&groups[group].usage, nr, __ATOMIC_RELAXED);
	SW_BUG_ON(old < nr);
}

void swap_group_fail(uint16_t group)
{
	if (!group)
		return;
	__atomic_fetch_add(&groups[group].nr_fail, 1, __ATOMIC_RELAXED);
	sw_count(swap_group_fail, 1);
}

void swap_group_set_max(uint16_t group, uint64_t max)
{
	if (!group) {
		swap_misuse(swap_bad_group, "group 0 is nobody's");
		return;
	}
	__atomic_store_n(&groups[group].max, max == UINT64_MAX ? 0 : max + 1,
			 __ATOMIC_RELAXED);
}

void swap_group_info(uint16_t group, struct sw_swap_group_info *info)
{
	uint64_t max = __atomic_load_n(&groups[group].max, __ATOMIC_RELAXED);

	*info = (struct sw_swap_group_info){
		.usage =
			__atomic_load_n(&groups[group].usage, __ATOMIC_RELAXED),
		.max = max ? max - 1 : UINT64_MAX,
		.nr_max = __atomic_load_n(&groups[group].nr_max,
					  __ATOMIC_RELAXED),
		.nr_fail = __atomic_load_n(&groups[group].nr_fail,
					   __ATOMIC_RELAXED),
	};
}

uint16_t swap_entry_group(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	struct swap_cluster_info *ci;
	uint16_t group = 0;

	if (!si)
		return 0;
	ci = __swap_offset_to_cluster(si, swp_offset(entry));
	swap_cluster_lock(ci);
	if (ci->table)
		group = ci->table->ids[swap_cluster_offset(swp_offset(entry))];
	swap_cluster_unlock(ci);
	put_swap_device(si);
	return group;
}
