/*
 * steer.h - what mm_internal.h needs of steer.c: somebody wants pages to be
 * reclaimed.
 */
#ifndef SW_MM_STEER_H
#define SW_MM_STEER_H

#include <pthread.h>

#include "base/base.h"

struct sw_mm;

struct sw_wanted {
	bool on;             /* mm->lock */
	bool over;           /* mm->lock: no more is done about it */
	bool at_work;        /* mm->lock: a step is being made */
	uint64_t pages;      /* [const] while on */
	uint64_t freed;      /* [atomic] of these */
	pthread_cond_t turn; /* a step is over */

	/* [thread: reclaim] */
	uint64_t taken;  /* out of programs */
	uint64_t staged; /* in our buffers when it began */
	unsigned rounds; /* as sw_reclaim_progress() has them */
	bool begun;
};

/* Does somebody? Then a step is made; for reclaim, when there is room. */
bool sw_wanted_step(struct sw_mm *mm);

#endif
