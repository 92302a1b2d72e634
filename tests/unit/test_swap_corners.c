/*
 * test_swap_corners.c - ways through the swap layer that little else takes:
 * a store that will not discard, memory that runs out in the middle, a pool of
 * nothing.
 */
#include "fixture.h"

static unsigned discards;

static int no_discard(void *store, uint64_t offset, uint64_t nr)
{
	(void)store, (void)offset, (void)nr;
	discards++;
	return -EIO;
}

/* Only the hint to the store is lost: the slots are used again. */
static void store_that_will_not_discard_is_used_without(void **state)
{
	static const struct swap_ops ops = { .slot_free = fx_slot_free,
					     .discard = no_discard };
	const struct swapon_spec spec = {
		.name = "stubborn",
		.ops = &ops,
		.max = 3 * CL,
		.prio = -1,
		.flags = SWP_SOLIDSTATE | SWP_DISCARDABLE | SWP_AREA_DISCARD |
			 SWP_PAGE_DISCARD,
	};
	swp_entry_t e, again;
	int type;

	discards = 0;
	type = swapon(&spec);
	assert_int_equal(type, 0);
	assert_int_equal(discards, 1);
	e = fx_swapped(SWAP_MAX_ORDER, 0);
	swap_put_entries_direct(e, CL);
	assert_int_equal(swap_work_run_pending(), 1);
	assert_int_equal(discards, 2);
	fx_check();
	again = fx_swapped(SWAP_MAX_ORDER, 0);
	swap_put_entries_direct(again, CL);
	assert_int_equal(swap_work_run_pending(), 1);
	assert_int_equal(fx_used(type), 0);
}

/* Without the operation the flags mean nothing, and are not shown. */
static void store_that_cannot_discard_is_never_asked(void **state)
{
	const struct swapon_spec spec = {
		.ops = &fx_ops,
		.max = 3 * CL,
		.prio = -1,
		.flags = SWP_SOLIDSTATE | SWP_DISCARDABLE | SWP_AREA_DISCARD |
			 SWP_PAGE_DISCARD,
	};
	struct sw_swap_device_info info;
	int type = swapon(&spec);

	assert_int_equal(type, 0);
	assert_true(swap_device_info(type, &info));
	assert_int_equal(info.flags & (SWP_DISCARDABLE | SWP_AREA_DISCARD |
				       SWP_PAGE_DISCARD),
			 0);
	swap_put_entries_direct(fx_swapped(SWAP_MAX_ORDER, 0), CL);
	assert_int_equal(swap_work_run_pending(), 0);
	assert_int_equal(fx_used(type), 0);
}

static bool refuse(void *arg, const char *what)
{
	return strcmp(what, arg);
}

/* A slot that cannot be remembered is given back. */
static void image_without_memory_for_its_list_keeps_nothing(void **state)
{
	struct swsusp_extents x = { .type = fx_swapon(4 * CL, -1) };

	swap_set_alloc_hook(refuse, "extents");
	assert_int_equal(alloc_swapdev_block(&x).val, 0);
	swap_set_alloc_hook(NULL, NULL);
	assert_int_equal(x.nr, 0);
	assert_int_equal(fx_used(x.type), 0);
	fx_check();
	assert_int_not_equal(alloc_swapdev_block(&x).val, 0);
	assert_int_equal(fx_used(x.type), 1);
	free_all_swap_pages(&x);
	assert_int_equal(fx_used(x.type), 0);
}

/* A name of no device and one that is off draw nothing. */
static void dump_of_no_device_prints_nothing(void **state)
{
	char *said = NULL;
	size_t len;
	FILE *out = open_memstream(&said, &len);

	swap_dump(out, 0, 8);
	swap_dump(out, MAX_SWAPFILES, 8);
	fclose(out);
	assert_int_equal(len, 0);
	free(said);
}

static void folio_lives_as_long_as_its_last_reference(void **state)
{
	struct folio *folio = folio_alloc(0);

	folio_get(folio);
	folio_put(folio);
	assert_int_equal(folio_pool_in_use(), 1);
	assert_true(folio_try_get(folio));
	folio_put_refs(folio, 2);
	assert_int_equal(folio_pool_in_use(), 0);
	assert_false(folio_try_get(folio));
}

static void pool_of_nothing_is_refused(void **state)
{
	assert_int_equal(folio_pool_init(0, NULL), -EINVAL);
	/* And leaves room for a real one. */
	assert_int_equal(folio_pool_init(1, NULL), 0);
	assert_int_equal(folio_pool_in_use(), 0);
	folio_pool_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(store_that_will_not_discard_is_used_without),
		FX_TEST(store_that_cannot_discard_is_never_asked),
		FX_TEST(image_without_memory_for_its_list_keeps_nothing),
		FX_TEST(dump_of_no_device_prints_nothing),
		FX_TEST(folio_lives_as_long_as_its_last_reference),
		cmocka_unit_test(pool_of_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
