/*
 * zram_compact.c - moves objects out of sparse spans, so that memory follows
 * the contents down when programs free, or when the sizes they write change.
 * zram.c calls it; the object pool knows which spans are sparse.
 *
 * The search goes by slots, round and round, because a slot knows its object
 * and no object needs to know its slot. Costs are spread: each step looks at
 * a few clusters of handles, and only while the plan says that at least a
 * sixteenth of the memory can be had back.
 */
#include "store/zram.h"

#define STEP_LOOKS  2048 /* handles a step looks at */
#define STEP_MOVES  128  /* objects a step moves */
#define ROUND_MOVES 64   /* fewer in a whole round: enough */

/* Goes on from the cursor, once around at most; returns how many objects were
 * moved. */
static unsigned sweep(struct sw_zram *z, uint64_t max_looks, unsigned max_moves)
{
	uint64_t passed = 0;
	unsigned moved = 0;

	while (passed < z->nr_slots && max_looks-- > 0 && moved < max_moves) {
		const uint64_t slot = z->cursor;
		uint64_t skip = 1;

		/* A cluster that was never written costs one look. */
		if (slot % SWAPFILE_CLUSTER == 0 &&
		    !__atomic_load_n(&z->touched[slot / SWAPFILE_CLUSTER],
				     __ATOMIC_RELAXED))
			skip = SWAPFILE_CLUSTER;
		else
			moved += sw_packed_move(z->pool, &z->handles[slot]);
		passed += skip;
		z->cursor = slot + skip < z->nr_slots ? slot + skip : 0;
	}
	if (moved)
		(void)__atomic_fetch_add(&z->moved_objects, moved,
					 __ATOMIC_RELAXED);
	return moved;
}

/* The cursor is whose it is; acquire and release hand it on. */
static bool compact_begin(struct sw_zram *z)
{
	return !__atomic_exchange_n(&z->compacting, true, __ATOMIC_ACQUIRE);
}

static void compact_end(struct sw_zram *z)
{
	__atomic_store_n(&z->compacting, false, __ATOMIC_RELEASE);
}

void sw_zram_compact_step(struct sw_zram *z)
{
	if (!compact_begin(z))
		return;
	if (sw_objpool_plan(z->pool))
		(void)sweep(z, STEP_LOOKS, STEP_MOVES);
	compact_end(z);
}

uint64_t sw_zram_compact(struct sw_zram *z)
{
	uint64_t moved = 0;
	unsigned round = 0;

	if (!compact_begin(z))
		return 0;
	/* One round empties what the plan marked but for objects in use; the
	 * next plan knows the rest. Rounds that move little are not worth
	 * their search. */
	do {
		moved += round;
		round = sw_objpool_plan(z->pool)
				? sweep(z, UINT64_MAX, UINT32_MAX)
				: 0;
	} while (round > ROUND_MOVES);
	sw_objpool_trim(z->pool);
	compact_end(z);
	return moved + round;
}
