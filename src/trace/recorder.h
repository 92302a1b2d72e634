/*
 * recorder.h - `run --trace`: listens to base/trace.h and writes a file.
 *
 * Each thread that tells has a ring of its own and never waits: where the ring
 * is full because the disk is too slow, the event is dropped and counted. A
 * thread of the recorder's empties the rings, 50 times a second or when one is
 * half full, and writes what is in them in the order of time. Who is killed
 * loses what came after the last time.
 */
#ifndef SW_TRACE_RECORDER_H
#define SW_TRACE_RECORDER_H

#include "trace/format.h"

struct sw_recorder;

struct sw_recorder_config {
	const char *path;  /* made, or emptied */
	char *const *argv; /* the command */
	uint64_t budget_bytes;
	/* Looks at memory and counters; by the recorder's thread, now and then,
	 * and once at the end. */
	void (*sample)(void *arg, struct sw_trace_sample *sample);
	void *arg;
};

/* One at a time. 0 or -errno. */
SW_MUST_CHECK int sw_recorder_start(struct sw_recorder **recorder,
				    const struct sw_recorder_config *config);
/* No thread tells any more. 0, or -errno of the first write that failed. */
SW_MUST_CHECK int sw_recorder_stop(struct sw_recorder *r, int exit_status);

#endif
