/*
 * quiet.c - a session stands still for a moment, so that somebody may look at
 * all of its swap at once. In this order, since each waits for what follows:
 * faults that come are held, as freezing does it; reclaim comes to the end of
 * its step and rests; faults that were under way end; and then whoever wants a
 * space's lock, for an event or to free it, waits as well. Programs that touch
 * what they have run on.
 *
 * Above: run/debugging.c. Below: freeze.c.
 */
#include <errno.h>
#include <time.h>

#include "mm/mm_internal.h"

#define NAP_NS 50000

/* No condition to wait for: who comes here may hold locks of any rank. */
void sw_quiet_wait(struct sw_space *space) SW_NO_TSA
{
	static const struct timespec nap = { .tv_nsec = NAP_NS };

	while (__atomic_load_n(&space->mm->quiet, __ATOMIC_RELAXED)) {
		sw_mutex_unlock(&space->lock);
		nanosleep(&nap, NULL);
		sw_mutex_lock(&space->lock);
	}
}

/* Who has a space's lock now has given it up after this. */
static void pass_space_locks(struct sw_mm *mm)
{
	struct sw_space *space = NULL;

	while ((space = sw_spaces_next(mm, space))) {
		sw_mutex_lock(&space->lock);
		sw_mutex_unlock(&space->lock);
	}
}

int sw_mm_quiet(struct sw_mm *mm, void (*fn)(void *arg), void *arg)
{
	enum sw_freeze_state was = SW_THAWED;

	if (!sw_freeze_go(mm, was, SW_QUIET)) {
		was = SW_FROZEN;
		if (!sw_freeze_go(mm, was, SW_QUIET))
			return -EBUSY;
	}
	sw_freeze_park(mm, true);
	sw_freeze_wait_idle(mm);
	__atomic_store_n(&mm->quiet, true, __ATOMIC_RELAXED);
	pass_space_locks(mm);
	fn(arg);
	__atomic_store_n(&mm->quiet, false, __ATOMIC_RELAXED);
	(void)sw_freeze_go(mm, SW_QUIET, was);
	sw_freeze_park(mm, false);
	if (was == SW_THAWED)
		sw_freeze_wake(mm);
	return 0;
}
