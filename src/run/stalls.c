/*
 * stalls.c - what a session loses to faults: the pressure of it, how much would
 * have been enough, and the request that tells:
 *
 *      stall   { "some": { "avg10", "avg60", "avg300", "total_us" }, "full": ...,
 *                "latency": as in the report }, averages in percent
 *
 * "some" comes from mm/stall.c. "full" is the part of it in which no thread of the
 * session ran, and that cannot be known without a look at the scheduler at each
 * fault. It is taken to be what the CPU time of the session leaves of the step:
 * where one thread works at a time that is exact; threads that run at the same time
 * make it too small, and one that ran while another waited, in a session that
 * slept for the rest of the step, too large.
 *
 * What would have been enough is the least of two things. With all that was in
 * memory and out of it at one time nothing has to go. With a budget larger by as
 * many pages as ever went between a page's leaving and its coming back (its
 * refault distance), that page would not have left. Neither is less than what is
 * needed, as long as the program does the same; both may be more.
 *
 * Above: watch.c, session.c, requests.c. Below: pressure.c, mm/stall.c.
 */
#include <time.h>

#include "base/time.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define STEP_MIN_NS 1000000

/* ---- steps ---- */

/* CPU time that a process has had; 0: it is gone. */
static uint64_t cpu_of(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What the session had since the last call, but for processes that came and
 * went in between. */
static uint64_t cpu_step(struct session *s)
{
	uint64_t sum = 0;
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node) {
		uint64_t ns = cpu_of(p->at.pid);

		if (ns > p->cpu_ns)
			sum += ns - p->cpu_ns;
		p->cpu_ns = sw_max(p->cpu_ns, ns);
	}
	return sum;
}

static void take_step(struct session *s)
{
	uint64_t now = sw_now_ns(), elapsed = now - s->stalls.step_ns, cpu;
	uint64_t stalled[SW_NR_PRESSURE];

	if (elapsed < STEP_MIN_NS)
		return;
	cpu = cpu_step(s);
	s->stalls.step_ns = now;
	stalled[SW_PRESSURE_SOME] = sw_mm_stall_step(s->mm, now);
	stalled[SW_PRESSURE_FULL] = sw_min(stalled[SW_PRESSURE_SOME],
					   elapsed - sw_min(elapsed, cpu));
	sw_mutex_lock(&s->stalls.lock);
	sw_pressure_add(&s->stalls.pressure, elapsed, stalled);
	sw_mutex_unlock(&s->stalls.lock);
}

/* ---- what the tree would have in memory ---- */

/* Pages that are in the store alone. */
static uint64_t pages_out(void)
{
	struct sw_swap_totals t;
	uint64_t used;

	si_swapinfo(&t);
	used = t.total_pages - t.free_pages;
	return used - sw_min(used, t.cached);
}

static void note_demand(struct session *s)
{
	uint64_t held = s->devices.zswap ? sw_zswap_pages(s->devices.zswap) : 0;
	uint64_t out = pages_out();
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	s->stalls.out_peak = sw_max(s->stalls.out_peak, out);
	s->stalls.demand_peak =
		sw_max(s->stalls.demand_peak,
		       u.used_pages - sw_min(u.used_pages, held) + out);
}

/* The part that reclaim keeps free comes on top (mm/budget.c). */
static uint64_t with_free_part(uint64_t pages)
{
	return pages + pages / 47 + 1;
}

uint64_t sw_session_enough(struct session *s, const struct sw_stall_sums *sums)
{
	struct sw_mm_usage u;
	uint64_t demand, reach;

	sw_mm_usage(s->mm, &u);
	demand = with_free_part(sw_max(s->stalls.demand_peak, u.peak_pages));
	reach = u.budget_pages + with_free_part(sums->refault_max);
	/* What came back from staging has no distance, but less than that. */
	if (sums->tier[SW_TIER_STAGED].max)
		reach += u.budget_pages / 32;
	return u.taken_pages ? sw_min(demand, reach) : demand;
}

/* ---- of the session ---- */

void sw_session_stalls_init(struct session *s)
{
	sw_mutex_init(&s->stalls.lock, "pressure", SW_RANK_LEAF);
	sw_pressure_init(&s->stalls.pressure);
	s->stalls.step_ns = sw_now_ns();
}

void sw_session_look_at_stalls(struct session *s)
{
	take_step(s);
	note_demand(s);
}

void sw_session_pressure(struct session *s, struct sw_pressure *p)
{
	sw_mutex_lock(&s->stalls.lock);
	*p = s->stalls.pressure;
	sw_mutex_unlock(&s->stalls.lock);
}

/* ---- the request ---- */

static json_t *line_json(const struct sw_pressure_line *line)
{
	json_t *o = json_object();
	char name[16];

	for (unsigned i = 0; i < SW_NR_AVERAGES; i++) {
		snprintf(name, sizeof(name), "avg%u", sw_average_seconds[i]);
		json_object_set_new(o, name, json_real(line->average[i] * 100));
	}
	json_object_set_new(o, "total_us", json_integer(line->total_ns / 1000));
	return o;
}

json_t *sw_session_stall_json(struct session *s)
{
	struct sw_stall_sums sums;
	struct sw_pressure p;
	json_t *o = json_object();

	sw_session_pressure(s, &p);
	sw_mm_stall_sums(s->mm, &sums);
	for (unsigned k = 0; k < SW_NR_PRESSURE; k++)
		json_object_set_new(o, sw_pressure_names[k],
				    line_json(&p.line[k]));
	json_object_set_new(o, "latency", sw_latency_json(&sums));
	return o;
}

json_t *sw_answer_stall(struct sw_call *call, const json_t *request, void *arg)
{
	(void)call;
	(void)request;
	return sw_session_stall_json(arg);
}
