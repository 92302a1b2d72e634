/* trace.c - see trace.h. Above: mm/, zswap/. Below: whoever listens. */
#include "base/trace.h"

void (*sw_trace_hook)(const struct sw_trace_event *event);

static __thread bool read_disk; /* for the fault that this thread serves */

uint64_t sw_trace_fault_begin(void)
{
	read_disk = false;
	return sw_now_ns();
}

bool sw_trace_read_disk(void)
{
	return read_disk;
}

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
	read_disk |= kind == SW_TRACE_READ_DISK;
	sw_trace_end(begin, &event);
}
