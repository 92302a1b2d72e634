/*
 * shared.c - how much shared memory the tree has: mapped with MAP_SHARED, a
 * memfd, System V. It is outside of the budget and nobody takes it out
 * (docs/shared-memory.md); it is measured so that the report can say how much
 * there was, and so that whoever gives a budget to a program which has nearly
 * all of its memory there gets to know.
 *
 * Above: watch.c. Below: measure.c.
 */
#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"

#define COST_RATIO 100 /* looking may take 1 % of a CPU */

/* What is mapped, but for the agents' control pages; a page that has several
 * mappings is counted in each. */
static uint64_t mapped(struct session *s)
{
	uint64_t pages = s->strangers_shmem;
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node) {
		uint64_t own = sw_measure_shmem(p->at.pid);

		pages += own - sw_min(own, (uint64_t)p->ready);
	}
	return pages;
}

/* The same, each page counted once. */
static uint64_t mapped_once(struct session *s)
{
	uint64_t pages = s->strangers_shmem;
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		pages += sw_measure_pss(p->at.pid).shmem;
	return pages;
}

static void warn(const struct session *s)
{
	char shared[24], budget[24];

	sw_size_format(s->shared_peak * SW_PAGE_SIZE, shared);
	sw_size_format(sw_session_budget(s), budget);
	sw_warn_once(
		"the command has %s of shared memory, more than its budget of %s: shared memory is not in the budget and is never taken out; configure the command to use less of it, or private memory",
		shared, budget);
}

/* A peak needs the exact number only where the cheap one, which is never
 * smaller, is higher. */
void sw_session_look_at_shared(struct session *s)
{
	uint64_t now = sw_now_ns();

	if (now < s->shared_ns)
		return;
	if (mapped(s) > s->shared_peak)
		s->shared_peak = sw_max(s->shared_peak, mapped_once(s));
	if (s->shared_peak * SW_PAGE_SIZE > sw_session_budget(s))
		warn(s);
	s->shared_ns = now + (sw_now_ns() - now) * COST_RATIO;
}
