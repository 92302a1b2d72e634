/*
 * compact.c - see compact.h. Above: zram_compact.c, zswap/. Below: objpool.c,
 * which knows the spans that are sparse.
 */
#include "store/compact.h"

#define STEP_LOOKS  2048 /* handles a step looks at */
#define STEP_MOVES  128  /* objects it moves */
#define ROUND_MOVES 64   /* fewer in a whole round: enough */

/* The cursor is whose it is; acquire and release hand it on. */
static bool begin(struct sw_compact *c)
{
	return !__atomic_exchange_n(&c->running, true, __ATOMIC_ACQUIRE);
}

static void end(struct sw_compact *c)
{
	__atomic_store_n(&c->running, false, __ATOMIC_RELEASE);
}

static unsigned sweep(struct sw_compact *c, const struct sw_compact_how *how,
		      void *owner, uint64_t max_looks, unsigned max_moves)
{
	unsigned moved = how->sweep(owner, max_looks, max_moves);

	if (moved)
		(void)__atomic_fetch_add(&c->moved, moved, __ATOMIC_RELAXED);
	return moved;
}

void sw_compact_step(struct sw_compact *c, struct sw_objpool *pool,
		     const struct sw_compact_how *how, void *owner)
{
	if (!begin(c))
		return;
	if (sw_objpool_plan(pool, how->step_part))
		(void)sweep(c, how, owner, STEP_LOOKS, STEP_MOVES);
	end(c);
}

uint64_t sw_compact_all(struct sw_compact *c, struct sw_objpool *pool,
			const struct sw_compact_how *how, void *owner)
{
	uint64_t moved = 0;
	unsigned round = 0;

	if (!begin(c))
		return 0;
	/* One round empties what the plan marked but for objects in use; the
	 * next plan knows the rest. Rounds that move little are not worth
	 * their search. */
	do {
		moved += round;
		round = sw_objpool_plan(pool, how->round_part)
				? sweep(c, how, owner, UINT64_MAX, UINT32_MAX)
				: 0;
	} while (round > ROUND_MOVES);
	sw_objpool_trim(pool);
	end(c);
	return moved + round;
}
