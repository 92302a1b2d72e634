/*
 * own.c - the memory that a session takes for itself: words, folios, swap
 * tables, the stores' handles, buffers that nobody uses right now, stacks.
 * Not in it: what the stores keep, which each device reports, and pages that
 * wait in buffers of ours, which count in the budget.
 *
 * The supervisor's memory is what the kernel says it is, so whatever else we
 * take is found, too. Its code is file pages, which are everybody's. Of an
 * agent it is the block that the agent told us of (an upper bound, for it may
 * not have touched all of it): the rest of its memory is the program's.
 *
 * Above: watch.c. Below: measure.c, devices.c.
 */
#include <unistd.h>

#include "run/session_internal.h"

/* Memory of the supervisor that is pages of the program. */
static uint64_t held_for_others(struct session *s)
{
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	return u.staged_pages * SW_PAGE_SIZE + sw_devices_memory(&s->devices);
}

void sw_session_measure_own(struct session *s)
{
	uint64_t before = held_for_others(s);
	uint64_t own = sw_measure_memory(getpid());
	/* What came or went during the look is not to be taken for ours. */
	uint64_t held = sw_max(before, held_for_others(s));
	struct sw_proc *p;

	own -= sw_min(own, held);
	own += sw_measure_pss(s->keeper.pid).anon * SW_PAGE_SIZE;
	sw_list_for_each(p, &s->procs, node)
		own += p->at.own_end - p->at.own_start;
	s->own_peak_bytes = sw_max(s->own_peak_bytes, own);
}
