/*
 * counting.c - the request for what a session counts:
 *
 *      stat    { "seconds", "memory": { ... }, "counters": { ... }, "stall":
 *              as the request for that has it }: since the start of the
 *              session, memory as it is now. With "interval_ms",
 *              the same as progress, at once and after each interval, until the
 *              session ends or nobody waits: { "ended" }.
 *
 * Above: requests.c. Below: mm/budget.c, base/counters.h.
 */
#include "base/counters.h"
#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define LEAST_MS 100
#define MOST_MS  86400000

static json_t *memory_json(struct session *s)
{
	struct sw_freeze_info freeze;
	struct sw_swap_totals t;
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	sw_mm_freeze_info(s->mm, &freeze);
	si_swapinfo(&t);
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", /**/
		"budget_bytes", u.budget_pages * SW_PAGE_SIZE,        /**/
		"used_bytes", u.used_pages * SW_PAGE_SIZE,            /**/
		"peak_bytes", u.peak_pages * SW_PAGE_SIZE,            /**/
		"resident_bytes", u.managed_pages * SW_PAGE_SIZE,     /**/
		"staged_bytes", u.staged_pages * SW_PAGE_SIZE,        /**/
		"zswap_bytes", u.held_pages * SW_PAGE_SIZE,           /**/
		"swap_bytes", t.total_pages * SW_PAGE_SIZE,           /**/
		"swapped_bytes",
		(t.total_pages - t.free_pages) * SW_PAGE_SIZE, /**/
		"full", u.full, "frozen", freeze.frozen);
}

static json_t *counters_json(void)
{
	json_t *counters = json_object();

	for (unsigned i = 0; i < SW_NR_COUNTERS; i++)
		json_object_set_new(counters, sw_counter_names[i],
				    json_integer(sw_counter_read(i)));
	return counters;
}

static json_t *sample(struct session *s)
{
	double seconds = (sw_now_ns() - s->start_ns) / 1e9;

	return json_pack("{s:f, s:o, s:o, s:o}", "seconds", seconds, "memory",
			 memory_json(s), "counters", counters_json(), "stall",
			 sw_session_stall_json(s));
}

json_t *sw_answer_stat(struct sw_call *call, const json_t *request, void *arg)
{
	const json_t *interval = json_object_get(request, "interval_ms");
	json_int_t ms = json_integer_value(interval);
	uint64_t next = sw_now_ns(), now;
	struct session *s = arg;

	if (!interval)
		return sample(s);
	if (!json_is_integer(interval) || ms < LEAST_MS || ms > MOST_MS) {
		sw_error("\"interval_ms\" is a number from %d to %d", LEAST_MS,
			 MOST_MS);
		return NULL;
	}
	do {
		sw_call_progress(call, sample(s));
		now = sw_now_ns();
		next = sw_max(next + ms * 1000000, now);
	} while (sw_call_wait(call, (next - now + 999999) / 1000000));
	return json_pack("{s:b}", "ended", true);
}
