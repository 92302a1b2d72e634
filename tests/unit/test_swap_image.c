/*
 * test_swap_image.c - slots for images: taken one by one, given back together,
 * and nobody's to touch in between.
 */
#include "intruder.h"

static void image_extents_free_their_last_slot_too(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3 * CL + 1 };
	int type = fx_swapon(8 * CL, -1);

	for (unsigned s = 0; s < 3; s++) {
		struct swsusp_extents x = { .type = type };
		swp_entry_t other = { 0 };

		for (unsigned i = 0; i < sizes[s]; i++) {
			swp_entry_t e = alloc_swapdev_block(&x);

			assert_true(e.val);
			assert_int_equal(swp_swapcount(e), 1);
			/* Leave a hole, so that there are several extents. */
			if (i == sizes[s] / 2)
				other = fx_swapped(0, 0);
		}
		assert_int_equal(fx_used(type), sizes[s] + 1);
		fx_check();
		free_all_swap_pages(&x);
		assert_int_equal(fx_used(type), 1);
		swap_put_entries_direct(other, 1);
		assert_int_equal(fx_used(type), 0);
	}
}

static void extents_merge_and_refuse_doubles(void **state)
{
	struct swsusp_extents x = { 0 };

	assert_int_equal(swsusp_extents_insert(&x, 5), 0);
	assert_int_equal(swsusp_extents_insert(&x, 7), 0);
	assert_int_equal(x.nr, 2);
	assert_int_equal(swsusp_extents_insert(&x, 6), 0);
	assert_int_equal(x.nr, 1);
	assert_int_equal(swsusp_extents_insert(&x, 4), 0);
	assert_int_equal(swsusp_extents_insert(&x, 8), 0);
	assert_int_equal(x.v[0].start, 4);
	assert_int_equal(x.v[0].end, 8);
	for (uint64_t o = 4; o <= 8; o++)
		assert_int_equal(swsusp_extents_insert(&x, o), -EINVAL);
	for (uint64_t o = 100; o < 200; o += 2)
		assert_int_equal(swsusp_extents_insert(&x, 298 - o), 0);
	assert_int_equal(x.nr, 51);
	for (size_t i = 1; i < x.nr; i++)
		assert_true(x.v[i - 1].end < x.v[i].start);
	swap_free_mem(x.v);
}

static void image_closed_unused_takes_no_lock_twice(void **state)
{
	struct swsusp_extents x = { .type = fx_swapon(4 * CL, -1) };

	assert_int_equal(swap_pin_hibernation(x.type), 0);
	assert_true(alloc_swapdev_block(&x).val);
	free_all_swap_pages(&x);
	swap_unpin_hibernation(x.type);
}

static void image_slot_that_readahead_cached_goes_with_the_folio(void **state)
{
	int type = fx_swapon(4 * CL, -1), err;
	swp_entry_t e = swap_alloc_hibernation_slot(type);
	struct folio *folio;

	folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	assert_non_null(folio);
	swap_free_hibernation_slot(e); /* locked: the slot stays with it */
	assert_int_equal(fx_used(type), 1);
	assert_true(swap_cache_has_folio(e));
	assert_int_equal(swp_swapcount(e), 0);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	assert_int_equal(fx_used(type), 0);

	e = swap_alloc_hibernation_slot(type);
	folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	folio_unlock(folio);
	swap_free_hibernation_slot(e); /* can be had: goes at once */
	assert_int_equal(fx_used(type), 0);
	assert_false(folio_test(folio, SW_FOLIO_SWAPCACHE));
	folio_put(folio);
}

static void image_slots_follow_each_other(void **state)
{
	int type = fx_swapon(8 * CL, -1);
	swp_entry_t e[CL];

	for (unsigned i = 0; i < CL; i++) {
		e[i] = swap_alloc_hibernation_slot(type);
		if (i && swap_cluster_offset(swp_offset(e[i])))
			assert_int_equal(e[i].val, e[i - 1].val + 1);
	}
	for (unsigned i = 0; i < CL; i++)
		swap_free_hibernation_slot(e[i]);
}

static void swapoff_of_a_device_with_an_image_is_refused(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e;

	assert_int_equal(swap_pin_hibernation(type), 0);
	assert_int_equal(swapoff(type, NULL, NULL), -EBUSY);
	assert_int_equal(swap_pin_hibernation(type), -EBUSY);
	e = swap_alloc_hibernation_slot(type);
	assert_true(e.val);
	swap_free_hibernation_slot(e);
	swap_unpin_hibernation(type);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swap_pin_hibernation(type), -EINVAL);
	assert_int_equal(swap_pin_hibernation(99), -EINVAL);
	assert_int_equal(swap_alloc_hibernation_slot(type).val, 0);
}

static void cached_folios_keep_their_slots_while_an_image_is_written(
	void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = fx_cached(0);
	swp_entry_t e = folio->swap;

	folio_clear(folio, SW_FOLIO_DIRTY);
	swap_suspend_storage();
	assert_false(folio_free_swap(folio));
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	folio_unlock(folio);
	swap_put_entries_direct(e, 1);
	assert_int_equal(__try_to_reclaim_swap(&swap_info[type], swp_offset(e),
					       TTRS_ANYWAY),
			 -1);
	assert_true(swap_cache_has_folio(e));
	swap_resume_storage();
	folio_lock(folio);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(image_extents_free_their_last_slot_too),
		FX_TEST(extents_merge_and_refuse_doubles),
		FX_TEST(image_closed_unused_takes_no_lock_twice),
		FX_TEST(image_slot_that_readahead_cached_goes_with_the_folio),
		FX_TEST(image_slots_follow_each_other),
		FX_TEST(swapoff_of_a_device_with_an_image_is_refused),
		FX_TEST(cached_folios_keep_their_slots_while_an_image_is_written),
	};

	return FX_RUN(tests);
}
