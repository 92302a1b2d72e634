/*
 * compact.h - when the objects of a pool are moved together, and how many at a
 * time. Costs are spread: whoever brings disorder does a step of it now and
 * then, and a whole compaction is for moments when nothing is written. One
 * thread at a time does either. Whose the pool is says what pays, and goes
 * through its handles.
 */
#ifndef SW_STORE_COMPACT_H
#define SW_STORE_COMPACT_H

#include "store/objpool.h"

struct sw_compact {
	uint64_t cursor; /* [thread that set running] where a sweep goes on */
	uint64_t moved;  /* [atomic] objects so far */
	bool running;    /* [atomic] */
};

struct sw_compact_how {
	/* What is lost to holes, as a part of all, that is worth a step, and a
	 * round of a whole compaction. */
	unsigned step_part, round_part;
	/* Goes on from the cursor, once around at most, with sw_packed_move();
	 * returns how many objects were moved. */
	unsigned (*sweep)(void *owner, uint64_t max_looks, unsigned max_moves);
};

/* A little, if it pays and nobody else is at it. No lock held. */
void sw_compact_step(struct sw_compact *c, struct sw_objpool *pool,
		     const struct sw_compact_how *how, void *owner);
/* As long as it pays; returns how many objects were moved, 0 at once when
 * another thread is at it. No lock held. */
uint64_t sw_compact_all(struct sw_compact *c, struct sw_objpool *pool,
			const struct sw_compact_how *how, void *owner);

#endif
