/*
 * trace.h - faults, and pages that go, told one by one while they happen, to
 * whoever records them. Nobody does as a rule, and then it costs the one branch
 * in sw_trace_begin().
 *
 * The numbers of the kinds are those in files (docs/trace-format.md), and a
 * promise.
 */
#ifndef SW_TRACE_H
#define SW_TRACE_H

#include "base/base.h"
#include "base/time.h"

enum sw_trace_kind {
	/* Faults: one of these for each that `pgfault` counts. */
	SW_TRACE_ZERO = 1,   /* pgfault_zero */
	SW_TRACE_STAGED,     /* pgfault_staged */
	SW_TRACE_MARKED,     /* zeros that were out as a mark */
	SW_TRACE_COMPRESSED, /* pgmajfault: the slowest it read was this, */
	SW_TRACE_DISK,       /* or this */
	SW_TRACE_WRITE,      /* pgfault_wp */
	SW_TRACE_OTHER,      /* it came again: busy, held, served, lost */
	/* Pages out of a program: pgsteal. */
	SW_TRACE_OUT,
	SW_TRACE_OUT_CLEAN, /* pgsteal_clean */
	/* Pages read and written: pswpin, zswpin, pswpin, and so on. */
	SW_TRACE_READ_ZRAM,
	SW_TRACE_READ_ZSWAP,
	SW_TRACE_READ_DISK,
	SW_TRACE_WRITE_ZRAM,
	SW_TRACE_WRITE_ZSWAP,
	SW_TRACE_WRITE_DISK,
	SW_TRACE_SPACE, /* who an address space is: `page` is its pid */
	SW_NR_TRACE_KINDS,
};

struct sw_trace_event {
	uint64_t time_ns;    /* of its end: sw_now_ns() */
	uint64_t page;       /* the first one's address, in pages */
	uint64_t latency_ns; /* of faults, reads and writes */
	uint32_t space;      /* sw_space_id() */
	uint16_t nr;         /* pages that came or went; of a fault perhaps 0 */
	uint8_t kind;
};

/*
 * [atomic] Who listens, or NULL. It is called by any thread, with any lock held,
 * and does not wait. It may be taken away when no thread is left that tells.
 */
extern void (*sw_trace_hook)(const struct sw_trace_event *event);

static inline bool sw_trace_is_on(void)
{
	return sw_unlikely(__atomic_load_n(&sw_trace_hook, __ATOMIC_RELAXED) !=
			   NULL);
}

/* When something begins that will be told, or 0: nobody listens. */
static inline uint64_t sw_trace_begin(void)
{
	return sw_trace_is_on() ? sw_now_ns() : 0;
}

/* Tells `event`, but for its times; `begin` is not 0. */
void sw_trace_end(uint64_t begin, struct sw_trace_event *event);
/* The same of pages read or written; nothing if `begin` is 0. */
void sw_trace_io(uint64_t begin, enum sw_trace_kind kind, unsigned nr);

static inline bool sw_trace_is_fault(unsigned kind)
{
	return kind >= SW_TRACE_ZERO && kind <= SW_TRACE_OTHER;
}

/* A fault that brought what had been out. */
static inline bool sw_trace_is_swapin(unsigned kind)
{
	return kind >= SW_TRACE_STAGED && kind <= SW_TRACE_DISK;
}

static inline bool sw_trace_is_out(unsigned kind)
{
	return kind == SW_TRACE_OUT || kind == SW_TRACE_OUT_CLEAN;
}

static inline bool sw_trace_is_io(unsigned kind)
{
	return kind >= SW_TRACE_READ_ZRAM && kind <= SW_TRACE_WRITE_DISK;
}

#endif
