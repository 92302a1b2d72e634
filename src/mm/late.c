/*
 * late.c - faults on pages whose device does not answer.
 *
 * A store gives up waiting after a while (-EINPROGRESS) and goes on with the
 * read behind our backs. Nothing is lost, so nothing is poisoned: the fault is
 * left unanswered, its thread sleeps on, and the thread that reads the space's
 * events goes on to faults on other pages and devices. Now and then everybody
 * who waits in the space is woken and faults again, which finds the bytes, or
 * is told in no time that they are still on the way.
 *
 * It is a try of the same thread and not a helper's, since only that one may
 * map pages; and it wakes the whole space, since there is nothing to remember
 * then, and whoever is woken too early faults again.
 *
 * Above: fault.c, space.c. Below: the mmu.
 */
#include "base/time.h"
#include "mm/mm_internal.h"

#define RETRY_NS 10000000

void sw_late_add(struct sw_space *space)
{
	sw_count(swap_read_late, 1);
	if (space->late_ns)
		return;
	space->late_ns = sw_now_ns() + RETRY_NS;
	sw_space_lock(space);
	sw_stall_hold(&space->stall);
	sw_space_unlock(space);
}

uint64_t sw_late_retry(struct sw_space *space)
{
	uint64_t now;

	if (!space->late_ns)
		return 0;
	now = sw_now_ns();
	if (now < space->late_ns)
		return space->late_ns - now;
	space->late_ns = 0;
	sw_space_lock(space);
	sw_stall_release(&space->stall);
	for (unsigned i = 0; i < space->nr_regions; i++) {
		const struct sw_region *r = &space->region[i];

		space->mmu->ops->wake(space->mmu, r->start,
				      (r->end - r->start) / SW_PAGE_SIZE);
	}
	sw_space_unlock(space);
	return 0;
}
