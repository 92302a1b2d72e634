/*
 * scene.h - two devices with a slot and a folio in every state, for tests that
 * ask for what should not be asked for and want to see nothing change.
 */
#ifndef SW_TEST_SCENE_H
#define SW_TEST_SCENE_H

#include "fixture.h"

#include "base/counters.h"

#define SLOTS     (4 * CL)
#define NR_GROUPS 4

/* Two devices, a slot in every state, and a folio in every state. */
struct scene {
	swp_entry_t owned;      /* no folio, one owner */
	swp_entry_t twice;      /* no folio, two owners */
	struct folio *cached;   /* two pages: one owned, one not; group 2 */
	struct folio *written;  /* in the cache, under writeback */
	struct folio *uncached; /* two pages */
	struct folio *half;     /* one page, not in the cache */
	swp_entry_t entry;      /* what the case is about */
	int page;
};

static const struct scene_entry {
	const char *what;
	unsigned type;
	uint64_t offset;
} wrong_entries[] = {
	{ "no entry", 0, 0 },
	{ "a header", 1, 0 },
	{ "a bad slot", 1, 3 },
	{ "a free slot", 1, SLOTS - 1 },
	{ "a slot of a free cluster", 0, SLOTS - CL },
	{ "the first slot beyond the end", 1, SLOTS },
	{ "the last slot of all", 1, (1ULL << SWAP_TYPE_SHIFT) - 1 },
	{ "a device that never was", 7, 5 },
	{ "a type beyond the table", MAX_SWAPFILES, 5 },
	{ "the last type of all", 63, 5 },
};

static inline void open_scene(struct scene *s)
{
	const uint64_t bad[] = { 3 };
	struct swapon_spec spec = {
		.name = "second",
		.ops = &fx_ops,
		.max = SLOTS,
		.prio = 1,
		.flags = SWP_SOLIDSTATE,
		.bad = bad,
		.nr_bad = 1,
	};

	memset(s, 0, sizeof(*s));
	assert_int_equal(fx_swapon(SLOTS, 5), 0);
	assert_int_equal(swapon(&spec), 1);
	s->owned = fx_swapped(0, 7);
	s->twice = fx_swapped(0, 0);
	assert_int_equal(swap_dup_entry_direct(s->twice), 0);
	s->cached = fx_folio(1);
	assert_int_equal(folio_alloc_swap(s->cached, 2), 0);
	assert_int_equal(folio_dup_swap(s->cached, 0), 0);
	s->written = fx_cached(0);
	folio_set(s->written, SW_FOLIO_WRITEBACK);
	s->uncached = fx_folio(1);
	s->half = fx_folio(0);
}

static inline void close_scene(struct scene *s)
{
	swap_put_entries_direct(s->owned, 1);
	swap_put_entries_direct(s->twice, 1);
	swap_put_entries_direct(s->twice, 1);
	folio_put_swap(s->cached, 0);
	assert_true(folio_free_swap(s->cached));
	folio_clear(s->written, SW_FOLIO_WRITEBACK);
	assert_true(folio_free_swap(s->written));
	fx_drop(s->cached);
	fx_drop(s->written);
	fx_drop(s->uncached);
	fx_drop(s->half);
}

static inline void lock_scene(struct scene *s, bool lock)
{
	struct folio *folios[] = { s->cached, s->written, s->uncached,
				   s->half };

	for (unsigned i = 0; i < SW_ARRAY_SIZE(folios); i++)
		if (lock)
			assert_true(folio_trylock(folios[i]));
		else
			folio_unlock(folios[i]);
}

/* All that a call could change. */
struct state {
	uint64_t words[2][SLOTS];
	struct sw_swap_totals totals;
	struct sw_swap_device_info devices[MAX_SWAPFILES];
	struct sw_swap_group_info groups[NR_GROUPS];
	struct folio folios[4];
	uint64_t slots_freed;
};

static inline void take_state(struct state *st, const struct scene *s)
{
	memset(st, 0, sizeof(*st));
	fx_check();
	for (unsigned type = 0; type < 2; type++)
		for (uint64_t o = 0; o < SLOTS; o++)
			st->words[type][o] = fx_word(swp_entry(type, o));
	si_swapinfo(&st->totals);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct sw_swap_device_info *to = &st->devices[type], info;

		if (!swap_device_info(type, &info))
			continue;
		/* One by one: what lies between them may be anything. */
		to->type = info.type;
		memcpy(to->name, info.name, sizeof(info.name));
		to->prio = info.prio;
		to->flags = info.flags;
		to->pages = info.pages;
		to->used = info.used;
	}
	for (unsigned group = 0; group < NR_GROUPS; group++)
		swap_group_info(group, &st->groups[group]);
	st->folios[0] = *s->cached;
	st->folios[1] = *s->written;
	st->folios[2] = *s->uncached;
	st->folios[3] = *s->half;
	st->slots_freed = fx_slots_freed;
}

#endif
