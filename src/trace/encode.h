/*
 * encode.h - a trace file is written: head, then blocks of items. Errors stick:
 * after the first nothing more is written, and what comes is dropped.
 */
#ifndef SW_TRACE_ENCODE_H
#define SW_TRACE_ENCODE_H

#include "trace/format.h"

struct sw_encoder {
	int fd;
	int err;           /* of the first write that failed, or 0 */
	uint64_t start_ns; /* sw_now_ns() that is 0 in the file */
	uint64_t last_ns;  /* of the last item, since then */
	uint64_t dropped;  /* events of blocks that could not be written */
	uint32_t space;    /* of the last event */
	uint32_t nr;       /* items in the block, */
	uint32_t events;   /* of these: events, */
	uint32_t len;      /* and their bytes */
	struct sw_trace_context context[SW_TRACE_CONTEXTS];
	unsigned char buf[SW_TRACE_BLOCK_HEAD + SW_TRACE_PAYLOAD_MAX];
};

/* Writes the head. `fd` stays the caller's. 0 or -errno, which sticks. */
int sw_encode_head(struct sw_encoder *e, int fd, uint64_t start_ns,
		   char *const *argv, uint64_t budget_bytes);
/* An event whose time is not before that of the last item, or is taken for the
 * same. `name` is that of a SW_TRACE_SPACE. */
void sw_encode_event(struct sw_encoder *e, const struct sw_trace_event *event,
		     const char *name);
void sw_encode_sample(struct sw_encoder *e, uint64_t now_ns,
		      const struct sw_trace_sample *sample);
/* `nr` events were dropped since the last one of these. */
void sw_encode_dropped(struct sw_encoder *e, uint64_t now_ns, uint64_t nr);
void sw_encode_end(struct sw_encoder *e, uint64_t now_ns, int exit_status,
		   uint64_t dropped);
/* Writes what is there as a block. */
void sw_encode_flush(struct sw_encoder *e);

#endif
