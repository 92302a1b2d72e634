/*
 * explore_world.c - what the scenarios of the explorer share: a device, folios
 * and slots in each state, and the end at which everything has to be back.
 */
#include "explore.h"

#ifdef SW_CHECKS
#include "swap/swap_mem.h"
#include "swap/swap_work.h"

int type;

void (*explore_on_discard)(uint64_t offset, uint64_t nr);
void (*explore_on_slot_free)(uint64_t offset, unsigned nr);

static int on_discard(void *store, uint64_t offset, uint64_t nr)
{
	if (explore_on_discard)
		explore_on_discard(offset, nr);
	return 0;
}

static void on_slot_free(void *store, uint64_t offset, unsigned nr)
{
	if (explore_on_slot_free)
		explore_on_slot_free(offset, nr);
}

static const struct swap_ops ops = { .slot_free = on_slot_free,
				     .discard = on_discard };

int explore_swapon(uint64_t max, unsigned flags, int prio)
{
	const struct swapon_spec spec = {
		.name = "explore",
		.ops = &ops,
		.max = max,
		.prio = prio,
		.flags = SWP_SOLIDSTATE | flags,
	};
	int t = swapon(&spec);

	EXPECT(t >= 0);
	return t;
}

void explore_world_begins(void)
{
	explore_on_discard = NULL;
	explore_on_slot_free = NULL;
	type = explore_swapon(2 * CL, 0, -1);
}

void explore_world_ends(void)
{
	swap_set_alloc_hook(NULL, NULL);
	swap_work_run_pending();
	EXPECT(swap_check(NULL, NULL) == 0);
	for (unsigned t = 0; t < MAX_SWAPFILES; t++) {
		struct sw_swap_device_info info;

		if (!swap_device_info(t, &info))
			continue;
		EXPECT(info.used == 0);
		EXPECT(swapoff(t, NULL, NULL) == 0);
	}
	EXPECT(folio_pool_in_use() == 0);
}

struct folio *new_folio(unsigned order)
{
	struct folio *folio = folio_alloc(order);

	EXPECT(folio);
	/* Nobody else knows it; and the caller may hold another. */
	EXPECT(folio_trylock(folio));
	folio_set(folio, SW_FOLIO_UPTODATE);
	return folio;
}

struct folio *cached_folio(unsigned order)
{
	struct folio *folio = new_folio(order);

	EXPECT(folio_alloc_swap(folio, 0) == 0);
	return folio;
}

swp_entry_t swapped_out(unsigned order, uint16_t group)
{
	struct folio *folio = new_folio(order);
	swp_entry_t e;

	EXPECT(folio_alloc_swap(folio, group) == 0);
	e = folio->swap;
	EXPECT(folio_dup_swap(folio, -1) == 0);
	swap_cache_del_folio(folio, 1);
	drop(folio);
	return e;
}

void drop(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

uint64_t used(void)
{
	return swap_usage_in_pages(&swap_info[type]);
}

void fill_up(unsigned left)
{
	while (used() + left < swap_info[type].pages)
		swapped_out(0, 0);
}

void put_all(void)
{
	for (uint64_t o = 1; o < swap_info[type].max; o++)
		while (swp_swapcount(swp_entry(type, o)))
			swap_put_entries_direct(swp_entry(type, o), 1);
}

void nothing(void)
{
}
#endif
