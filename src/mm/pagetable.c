/*
 * pagetable.c - the radix tree of pagetable.h: 47 address bits as 8 + 9 + 9
 * bits of tables over leaves of 512 pages. No locks: the space lock covers it.
 */
#include "mm/pagetable.h"

#include "base/mem.h"

#define LEVELS    3
#define FAN_BITS  9
#define FAN       (1u << FAN_BITS)
#define LEAF_BITS 21 /* 2 MiB */
#define ADDR_BITS (LEAF_BITS + LEVELS * FAN_BITS)

static unsigned slot_of(uint64_t addr, unsigned level)
{
	return (addr >> (LEAF_BITS + level * FAN_BITS)) % FAN;
}

struct sw_leaf *sw_pt_lookup(const struct sw_pagetable *pt, uint64_t addr)
{
	void **table = pt->top;

	if (addr >> ADDR_BITS)
		return NULL;
	for (unsigned level = LEVELS; table && level-- > 0;)
		table = table[slot_of(addr, level)];
	return (struct sw_leaf *)table;
}

static struct sw_leaf *new_leaf(uint64_t addr)
{
	struct sw_leaf *leaf = sw_mem_zalloc(sizeof(*leaf));

	if (leaf)
		leaf->base = addr & ~(SW_LEAF_BYTES - 1);
	return leaf;
}

struct sw_leaf *sw_pt_get(struct sw_pagetable *pt, uint64_t addr)
{
	void **at = (void **)&pt->top;

	if (addr >> ADDR_BITS)
		return NULL;
	for (unsigned level = LEVELS; level-- > 0;) {
		if (!*at)
			*at = sw_mem_zalloc(FAN * sizeof(void *));
		if (!*at)
			return NULL;
		at = (void **)*at + slot_of(addr, level);
	}
	if (!*at) {
		*at = new_leaf(addr);
		if (*at)
			pt->nr_leaves++;
	}
	return *at;
}

/* First leaf at or after `addr` below `table`, which spans `level` + 1 levels
 * from `base`. */
static struct sw_leaf *next_below(void **table, unsigned level, uint64_t base,
				  uint64_t addr)
{
	uint64_t span = 1ull << (LEAF_BITS + level * FAN_BITS);
	unsigned i = addr > base ? (addr - base) / span : 0;

	for (; i < FAN; i++) {
		struct sw_leaf *leaf = table[i];

		if (leaf && level)
			leaf = next_below(table[i], level - 1, base + i * span,
					  addr);
		if (leaf)
			return leaf;
	}
	return NULL;
}

struct sw_leaf *sw_pt_next(const struct sw_pagetable *pt, uint64_t addr)
{
	if (!pt->top || addr >> ADDR_BITS)
		return NULL;
	return next_below(pt->top, LEVELS - 1, 0, addr);
}

/* The mirror image: the last leaf that begins at or before `addr`. */
static struct sw_leaf *prev_below(void **table, unsigned level, uint64_t base,
				  uint64_t addr)
{
	uint64_t span = 1ull << (LEAF_BITS + level * FAN_BITS);
	unsigned i = sw_min((addr - base) / span + 1, (uint64_t)FAN);

	while (i-- > 0) {
		struct sw_leaf *leaf = table[i];

		if (leaf && level)
			leaf = prev_below(table[i], level - 1, base + i * span,
					  addr);
		if (leaf)
			return leaf;
	}
	return NULL;
}

struct sw_leaf *sw_pt_prev(const struct sw_pagetable *pt, uint64_t addr)
{
	if (!pt->top)
		return NULL;
	return prev_below(pt->top, LEVELS - 1, 0, addr);
}

void sw_pt_drop(struct sw_pagetable *pt, uint64_t addr)
{
	void **table = pt->top;

	for (unsigned level = LEVELS - 1; table && level > 0; level--)
		table = table[slot_of(addr, level)];
	if (!table || !table[slot_of(addr, 0)])
		return;
	sw_mem_free(table[slot_of(addr, 0)]);
	table[slot_of(addr, 0)] = NULL;
	pt->nr_leaves--;
}

static void release_below(void **table, unsigned level)
{
	for (unsigned i = 0; table && i < FAN; i++) {
		if (level)
			release_below(table[i], level - 1);
		else
			sw_mem_free(table[i]);
	}
	sw_mem_free(table);
}

void sw_pt_release(struct sw_pagetable *pt)
{
	release_below(pt->top, LEVELS - 1);
	pt->top = NULL;
	pt->nr_leaves = 0;
}
