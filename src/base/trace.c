/* trace.c - see trace.h. Above: mm/, zswap/. Below: whoever listens. */
#include "base/trace.h"

void (*sw_trace_hook)(const struct sw_trace_event *event);

void sw_trace_end(uint64_t begin, struct sw_trace_event *event)
{
	event->time_ns = sw_now_ns();
	event->latency_ns = event->time_ns - begin;
	__atomic_load_n(&sw_trace_hook, __ATOMIC_RELAXED)(event);
}

void sw_trace_io(uint64_t begin, enum sw_trace_kind kind, unsigned nr)
{
	struct sw_trace_event event = { .kind = kind, .nr = nr };

	if (!begin)
		return;
	sw_trace_end(begin, &event);
}
