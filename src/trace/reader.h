/*
 * reader.h - a trace file is read, item by item, from the beginning. Nothing in
 * it is believed: whatever the bytes are, items come out, or the end does.
 */
#ifndef SW_TRACE_READER_H
#define SW_TRACE_READER_H

#include "trace/format.h"

struct sw_trace_reader;

struct sw_trace_head {
	uint64_t start_ns; /* since 1970 */
	uint64_t budget_bytes;
	const char *command; /* arguments, a 0 behind each; the reader's */
	size_t command_bytes;
};

struct sw_trace_item {
	unsigned kind;    /* of enum sw_trace_kind, or SW_TRACE_SAMPLE ... */
	uint64_t time_ns; /* since the start; never less than before */

	union {
		struct sw_trace_event event; /* but for its time_ns */
		struct sw_trace_sample sample;
		uint64_t dropped; /* DROPPED: since the last one. END: all */
	};

	int exit_status;                  /* END */
	char name[SW_TRACE_NAME_MAX + 1]; /* SPACE */
};

/* How a trace ends. */
enum sw_trace_ending {
	SW_TRACE_COMPLETE,
	SW_TRACE_CUT,    /* between two items that might follow each other */
	SW_TRACE_DAMAGED /* in bytes that nobody wrote so */
};

/* Reads the head. 0; -EINVAL: it is no trace; -ENOTSUP: of another version, or
 * of other pages; or -errno. */
SW_MUST_CHECK int sw_trace_open(const char *path,
				struct sw_trace_reader **reader);
const struct sw_trace_head *sw_trace_head(const struct sw_trace_reader *r);
/* 1: an item; 0: there are no more; or -errno. */
SW_MUST_CHECK int sw_trace_next(struct sw_trace_reader *r,
				struct sw_trace_item *item);
/* After the last item: how it ends, and how many bytes are good. */
enum sw_trace_ending sw_trace_ending(const struct sw_trace_reader *r,
				     uint64_t *bytes);
/* Begins anew, and ends where it ended; 0 or -errno (it is no regular file). */
SW_MUST_CHECK int sw_trace_rewind(struct sw_trace_reader *r);
void sw_trace_close(struct sw_trace_reader *r);

#endif
