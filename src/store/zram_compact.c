/*
 * zram_compact.c - moves objects out of sparse spans, so that memory follows
 * the contents down when programs free, or when the sizes they write change.
 * zram.c calls it; compact.c says when, and how much at a time.
 *
 * The search goes by slots, round and round, because a slot knows its object
 * and no object needs to know its slot.
 */
#include "store/zram.h"

static unsigned sweep(void *zram, uint64_t max_looks, unsigned max_moves)
{
	struct sw_zram *z = zram;
	uint64_t passed = 0;
	unsigned moved = 0;

	while (passed < z->nr_slots && max_looks-- > 0 && moved < max_moves) {
		const uint64_t slot = z->compact.cursor;
		uint64_t skip = 1;

		/* A cluster that was never written costs one look. */
		if (slot % SWAPFILE_CLUSTER == 0 &&
		    !__atomic_load_n(&z->touched[slot / SWAPFILE_CLUSTER],
				     __ATOMIC_RELAXED))
			skip = SWAPFILE_CLUSTER;
		else
			moved += sw_packed_move(z->pool, &z->handles[slot]);
		passed += skip;
		z->compact.cursor = slot + skip < z->nr_slots ? slot + skip : 0;
	}
	return moved;
}

static const struct sw_compact_how how = {
	.step_part = 16,
	.round_part = 16,
	.sweep = sweep,
};

void sw_zram_compact_step(struct sw_zram *z)
{
	sw_compact_step(&z->compact, z->pool, &how, z);
}

uint64_t sw_zram_compact(struct sw_zram *z)
{
	return sw_compact_all(&z->compact, z->pool, &how, z);
}
