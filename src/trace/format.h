/*
 * format.h - what is in a trace file: docs/trace-format.md in C. encode.c
 * writes it, reader.c reads it.
 */
#ifndef SW_TRACE_FORMAT_H
#define SW_TRACE_FORMAT_H

#include "base/trace.h"

#define SW_TRACE_MAGIC        "SWTRACE\n"
#define SW_TRACE_VERSION      1u
#define SW_TRACE_HEAD_BYTES   40u /* and the command, and a checksum */
#define SW_TRACE_COMMAND_MAX  4096u
#define SW_TRACE_BLOCK        0x4b4c4253u /* "SBLK" */
#define SW_TRACE_BLOCK_HEAD   24u
#define SW_TRACE_PAYLOAD_MAX  65536u
#define SW_TRACE_NAME_MAX     63u
#define SW_TRACE_CONTEXTS     64u /* a power of two */
#define SW_TRACE_NR_MAX       65535u
#define SW_TRACE_PAGE_END     (1ull << 52)
#define SW_TRACE_SAMPLE_WORDS 11u

/* Items that are no event; the numbers between stay free for these. */
enum {
	SW_TRACE_SAMPLE = 29,
	SW_TRACE_DROPPED,
	SW_TRACE_END,
};

/* The first byte of an item. */
#define SW_TRACE_KIND 0x1f /* of these or of enum sw_trace_kind */
#define SW_TRACE_SAME 0x20 /* the address space of the event before */
#define SW_TRACE_ONE  0x40 /* nr is 1 */

/* As the memory manager sees it; pages unless it says otherwise. Its order is
 * that in the file. */
struct sw_trace_sample {
	uint64_t budget;
	uint64_t used;        /* of the budget */
	uint64_t staged;      /* of these: in buffers of ours */
	uint64_t out;         /* in swap and nowhere else */
	uint64_t store_bytes; /* memory of the devices */
	uint64_t peak;        /* of `used`, so far */
	/* Counters, so far. */
	uint64_t pgfault, pswpin, pswpout, pgsteal, allocstall;
};

/* What is remembered of an address space within a block: its last pages. */
struct sw_trace_context {
	uint32_t space;
	uint64_t fault, out;
};

static inline struct sw_trace_context *sw_trace_context(
	struct sw_trace_context *table, uint32_t space)
{
	struct sw_trace_context *c = &table[space % SW_TRACE_CONTEXTS];

	if (c->space != space)
		*c = (struct sw_trace_context){ .space = space };
	return c;
}

static inline uint64_t *sw_trace_last(struct sw_trace_context *table,
				      uint32_t space, unsigned kind)
{
	struct sw_trace_context *c = sw_trace_context(table, space);

	return sw_trace_is_out(kind) ? &c->out : &c->fault;
}

#endif
