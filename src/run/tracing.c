/*
 * tracing.c - `run --trace`: what a session adds to what the memory manager
 * tells, which is how much memory there is.
 *
 * Above: session.c. Below: trace/recorder.c, devices.c, mm/.
 */
#include <string.h>

#include "base/counters.h"
#include "base/log.h"
#include "run/session_internal.h"

/* Pages that are in the swap cache as well are staged, or clean copies. */
static uint64_t in_swap_alone(void)
{
	struct sw_swap_totals t;

	si_swapinfo(&t);
	return t.total_pages - sw_min(t.total_pages, t.free_pages + t.cached);
}

static void sample(void *arg, struct sw_trace_sample *sample)
{
	struct session *s = arg;
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	*sample = (struct sw_trace_sample){
		.budget = u.budget_pages,
		.used = u.used_pages,
		.staged = u.staged_pages,
		.out = in_swap_alone(),
		.store_bytes = sw_devices_memory(&s->devices),
		.peak = u.peak_pages,
		.pgfault = sw_counter_read(SW_CTR_pgfault),
		.pswpin = sw_counter_read(SW_CTR_pswpin),
		.pswpout = sw_counter_read(SW_CTR_pswpout),
		.pgsteal = sw_counter_read(SW_CTR_pgsteal),
		.allocstall = sw_counter_read(SW_CTR_allocstall),
	};
}

static int say(struct session *s, int err)
{
	if (err)
		sw_error("--trace %s: cannot be written: %s",
			 s->opt->trace_path, strerror(-err));
	return err;
}

int sw_session_trace(struct session *s)
{
	const struct sw_recorder_config config = {
		.path = s->opt->trace_path,
		.argv = s->opt->argv,
		.budget_bytes = s->opt->budget_bytes,
		.sample = sample,
		.arg = s,
	};

	if (!config.path)
		return 0;
	return say(s, sw_recorder_start(&s->recorder, &config));
}

int sw_session_trace_end(struct session *s, int exit_status)
{
	if (!s->recorder)
		return 0;
	return say(s, sw_recorder_stop(s->recorder, exit_status));
}
