/*
 * drive.h - a trace through the real memory manager: mm/ over a simulated
 * space, on a store that keeps only what proves a page to be the right one.
 * No threads: reclaim runs between two accesses, whenever its thread would
 * have been woken, until it would have gone back to sleep.
 */
#ifndef SW_REPLAY_DRIVE_H
#define SW_REPLAY_DRIVE_H

#include "trace.h"

struct drive_config {
	uint32_t budget; /* pages */
	bool heat;       /* exact accessed bits; else nothing is known */
};

/* Of the accesses that are counted. */
struct drive_result {
	uint64_t faults;    /* all kinds */
	uint64_t wp_faults; /* of these: only to write */
	uint64_t kept;      /* pages that kept their slot when they came, */
	uint64_t lost;      /* and lost it to a write, */
	uint64_t paid;      /* or went out again without being written */
	uint64_t staged;    /* pages that came back from staging, */
	uint64_t stored;    /* from the store, or as marked zeros */
	uint64_t written;   /* pages to the store */
	uint64_t taken;     /* pages out of the program */
	uint64_t room;      /* pages it had, on average; we keep the rest */
};

void drive(const struct trace *t, const struct drive_config *config,
	   struct drive_result *result);

static inline uint64_t drive_swapins(const struct drive_result *r)
{
	return r->staged + r->stored;
}

#endif
