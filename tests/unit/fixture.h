/*
 * fixture.h - what the tests of the swap layer share: a pool, one or more
 * devices on a store that only remembers what was freed, folios in every
 * state, and an end that checks all invariants.
 */
#ifndef SW_TEST_FIXTURE_H
#define SW_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "swap/cluster.h"
#include "swap/swap.h"
#include "swap/swap_mem.h"

#define CL SWAPFILE_CLUSTER

static uint64_t fx_slots_freed; /* by slot_free of any device */

static inline void fx_slot_free(void *store, uint64_t offset, unsigned nr)
{
	(void)store, (void)offset;
	__atomic_fetch_add(&fx_slots_freed, nr, __ATOMIC_RELAXED);
}

static const struct swap_ops fx_ops = { .slot_free = fx_slot_free };

static inline int fx_swapon(uint64_t max, int prio)
{
	struct swapon_spec spec = {
		.name = "test",
		.ops = &fx_ops,
		.max = max,
		.prio = prio,
		.flags = SWP_SOLIDSTATE,
	};

	return swapon(&spec);
}

/* setup of a group: nothing but the pool and the layer */
static inline int fx_open(void **state)
{
	(void)state;
	fx_slots_freed = 0;
	swap_set_alloc_hook(NULL, NULL);
	swap_set_reclaim_hook(NULL);
	swap_pretend_cpu(0);
	assert_int_equal(folio_pool_init(1 << 16, NULL), 0);
	assert_int_equal(swap_init(), 0);
	swap_work_set_manual(true);
	return 0;
}

/* Every slot back, every invariant, every device off, nothing leaked. */
static inline int fx_close(void **state)
{
	(void)state;
	swap_set_alloc_hook(NULL, NULL);
	assert_int_equal(swap_check(NULL, NULL), 0);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct sw_swap_device_info info;

		if (!swap_device_info(type, &info))
			continue;
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
	swap_exit();
	assert_int_equal(folio_pool_in_use(), 0);
	folio_pool_release();
	swap_pretend_cpu(-1);
	return 0;
}

static inline struct folio *fx_folio(unsigned order)
{
	struct folio *folio = folio_alloc(order);

	assert_non_null(folio);
	/* Nobody else knows it; and the caller may hold another. */
	assert_true(folio_trylock(folio));
	folio_set(folio, SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	return folio;
}

/* A locked folio in the cache with count 0. */
static inline struct folio *fx_cached(unsigned order)
{
	struct folio *folio = fx_folio(order);

	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	return folio;
}

/* Slots with one owner each and no folio: swapped out. */
static inline swp_entry_t fx_swapped(unsigned order, uint64_t shadow)
{
	struct folio *folio = fx_cached(order);
	swp_entry_t entry = folio->swap;

	assert_int_equal(folio_dup_swap(folio, -1), 0);
	swap_cache_del_folio(folio, shadow);
	folio_unlock(folio);
	folio_put(folio);
	return entry;
}

static inline void fx_drop(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

static inline swp_entry_t fx_entry_add(swp_entry_t e, unsigned n)
{
	return (swp_entry_t){ e.val + n };
}

static inline uint64_t fx_word(swp_entry_t e)
{
	struct swap_info_struct *si = &swap_info[swp_type(e)];

	return swap_table_get(__swap_offset_to_cluster(si, swp_offset(e)),
			      swap_cluster_offset(swp_offset(e)));
}

static inline uint64_t fx_used(unsigned type)
{
	return swap_usage_in_pages(&swap_info[type]);
}

#define fx_check() assert_int_equal(swap_check(NULL, NULL), 0)

/* The last statement of main(argc, argv), whose argument may name one test. */
#define FX_RUN(tests)                                       \
	(cmocka_set_test_filter(argc > 1 ? argv[1] : NULL), \
	 cmocka_run_group_tests(tests, NULL, NULL))

#define FX_TEST(name) cmocka_unit_test_setup_teardown(name, fx_open, fx_close)

#endif
