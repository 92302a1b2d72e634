/*
 * scene.h - one device behind one pool for each test, and an end at which
 * every slot is free and nothing is left. For files with tests in cmocka.
 */
#ifndef SW_ZSWAP_SCENE_H
#define SW_ZSWAP_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../store/quiet.h"
#include "fixture.h"

#define SLOTS 1025u
#define POOL  (8u << 20)

static struct sw_zswap *pool;
static struct device dev;

static inline int setup_sized(uint64_t bytes)
{
	layer_open();
	pool = pool_open(bytes);
	device_on(&dev, pool, SLOTS);
	return 0;
}

static inline int setup(void **state)
{
	return setup_sized(POOL);
}

/* The device takes many slots at once. */
static inline int setup_batches(void **state)
{
	disk_batches = true;
	setup_sized(POOL);
	disk_batches = false;
	return 0;
}

/* Little room, for what happens when there is none. */
static inline int setup_small(void **state)
{
	return setup_sized(1 << 20);
}

static inline void free_all(void)
{
	for (uint64_t o = 1; o < SLOTS; o++)
		while (swp_swapcount(swp_entry(dev.type, o)))
			page_free(swp_entry(dev.type, o));
}

static inline int teardown(void **state)
{
	free_all();
	assert_int_equal(swap_check(NULL, NULL), 0);
	assert_int_equal(sw_zswap_check(pool), 0);
	assert_int_equal(pool->live, 0);
	assert_int_equal(sw_zswap_pages(pool), 0);
	device_off(&dev, NULL, NULL);
	sw_zswap_close(pool);
	layer_close();
	return 0;
}

static inline uint64_t text(uint64_t i)
{
	return page_number(PAGE_TEXT, i);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BATCH(name) \
	cmocka_unit_test_setup_teardown(name, setup_batches, teardown)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

/* The last statement of main(argc, argv), whose argument may name one test. */
#define RUN(what, tests)                                    \
	(cmocka_set_test_filter(argc > 1 ? argv[1] : NULL), \
	 cmocka_run_group_tests_name(what, tests, NULL, NULL))

#endif
