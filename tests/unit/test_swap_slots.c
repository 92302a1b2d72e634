/* test_swap_slots.c - the life of a slot: alloc, dup, put, free. */
#include "fixture.h"

static bool refuse(void *arg, const char *what)
{
	return strcmp(what, arg) != 0;
}

static void slot_makes_the_round_trip(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = fx_cached(0);
	swp_entry_t e = folio->swap;
	uint64_t shadow = 0;
	bool zero;
	int err;

	assert_int_equal(swp_type(e), type);
	assert_int_not_equal(swp_offset(e), 0);
	assert_int_equal(folio->refcount, 2);
	assert_int_equal(swp_swapcount(e), 0);
	assert_int_equal(folio_dup_swap(folio, -1), 0);
	assert_int_equal(swp_swapcount(e), 1);
	swap_cache_del_folio(folio, 77);
	assert_int_equal(folio->refcount, 1);
	fx_drop(folio);
	assert_int_equal(swap_cache_get_shadow(e), 77);
	assert_int_equal(fx_used(type), 1);
	fx_check();

	folio = swap_cache_alloc_folio(e, 1, &shadow, &zero, &err);
	assert_non_null(folio);
	assert_int_equal(shadow, 77);
	assert_false(zero);
	assert_true(folio_is_locked(folio));
	assert_true(folio_matches_swap_entry(folio, e));
	assert_false(folio_free_swap(folio)); /* still owned */
	folio_put_swap(folio, 0);
	assert_int_equal(fx_used(type), 1);
	assert_true(folio_free_swap(folio));
	assert_true(folio_test(folio, SW_FOLIO_DIRTY));
	assert_int_equal(fx_used(type), 0);
	assert_int_equal(fx_word(e), 0);
	assert_int_equal(fx_slots_freed, 1);
	fx_drop(folio);
}

static void fork_and_zap_at_count_one(void **state)
{
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), 2);
	swap_put_entries_direct(e, 1);
	assert_int_equal(swp_swapcount(e), 1);
	swap_put_entries_direct(e, 1);
	assert_int_equal(fx_word(e), 0);
}

static void count_overflows_into_the_extend_table_and_back(void **state)
{
	unsigned n = SWP_TB_COUNT_MAX + 5;
	struct swap_cluster_info *ci;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	ci = __swap_offset_to_cluster(&swap_info[swp_type(e)], swp_offset(e));
	for (unsigned i = 2; i < SWP_TB_COUNT_MAX; i++)
		assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_null(ci->extend_table);

	swap_set_alloc_hook(refuse, "extend table");
	assert_int_equal(swap_dup_entry_direct(e), -ENOMEM);
	assert_int_equal(swap_retry_table_alloc(e), -ENOMEM);
	assert_int_equal(swp_swapcount(e), SWP_TB_COUNT_MAX - 1);
	swap_set_alloc_hook(NULL, NULL);
	assert_int_equal(swap_retry_table_alloc(e), 0);
	fx_check();

	for (unsigned i = SWP_TB_COUNT_MAX; i <= n; i++) {
		assert_int_equal(swap_dup_entry_direct(e), 0);
		assert_int_equal(swp_swapcount(e), i);
		fx_check();
	}
	assert_non_null(ci->extend_table);
	for (unsigned i = n; i-- > SWP_TB_COUNT_MAX - 1;) {
		swap_put_entries_direct(e, 1);
		assert_int_equal(swp_swapcount(e), i);
		fx_check();
	}
	assert_null(ci->extend_table);
	for (unsigned i = SWP_TB_COUNT_MAX - 1; i > 0; i--)
		swap_put_entries_direct(e, 1);
	assert_int_equal(fx_word(e), 0);
}

static void dup_of_a_run_is_all_or_nothing(void **state)
{
	unsigned nr = CL + CL / 2;
	swp_entry_t e, full;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(SWAP_MAX_ORDER, 0);
	full = fx_swapped(SWAP_MAX_ORDER, 0);
	assert_int_equal(full.val, e.val + CL);
	full = fx_entry_add(full, CL / 2 - 1);
	assert_int_equal(swap_dup_entries_direct(e, nr), 0);
	for (unsigned i = 2; i < SWP_TB_COUNT_MAX - 1; i++)
		assert_int_equal(swap_dup_entry_direct(full), 0);

	swap_set_alloc_hook(refuse, "extend table");
	assert_int_equal(swap_dup_entries_direct(e, nr), -ENOMEM);
	swap_set_alloc_hook(NULL, NULL);
	for (unsigned i = 0; i < nr - 1; i++)
		assert_int_equal(swp_swapcount(fx_entry_add(e, i)), 2);
	assert_int_equal(swp_swapcount(full), SWP_TB_COUNT_MAX - 1);
	assert_int_equal(swp_swapcount(fx_entry_add(e, nr)), 1);
	fx_check();
	assert_int_equal(swap_dup_entries_direct(e, nr), 0);
	assert_int_equal(swp_swapcount(full), SWP_TB_COUNT_MAX);
	assert_int_equal(swp_swapcount(e), 3);
	for (unsigned i = 3; i < SWP_TB_COUNT_MAX; i++)
		swap_put_entries_direct(full, 1);
	for (unsigned i = 0; i < 2; i++)
		swap_put_entries_direct(e, nr);
	swap_put_entries_direct(e, 2 * CL);
	assert_int_equal(fx_used(swp_type(e)), 0);
}

static void dup_of_a_folio_is_all_or_nothing(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	folio = fx_cached(2);
	e = folio->swap;
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX; i++)
		assert_int_equal(folio_dup_swap(folio, 2), 0);
	swap_set_alloc_hook(refuse, "extend table");
	assert_int_equal(folio_dup_swap(folio, -1), -ENOMEM);
	assert_int_equal(swp_swapcount(e), 0);
	assert_int_equal(swp_swapcount(fx_entry_add(e, 1)), 0);
	assert_int_equal(swp_swapcount(fx_entry_add(e, 2)),
			 SWP_TB_COUNT_MAX - 1);
	swap_set_alloc_hook(NULL, NULL);
	assert_int_equal(folio_dup_swap(folio, -1), 0);
	assert_int_equal(swp_swapcount(e), 1);
	assert_int_equal(swp_swapcount(fx_entry_add(e, 2)), SWP_TB_COUNT_MAX);
	folio_put_swap(folio, -1);
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX; i++)
		folio_put_swap(folio, 2);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

static void partly_zapped_large_folio_frees_what_nobody_owns(void **state)
{
	int type = fx_swapon(4 * CL, -1), err;
	struct folio *folio = fx_cached(3);
	swp_entry_t e = folio->swap;

	assert_int_equal(folio_dup_swap(folio, -1), 0);
	swap_put_entries_direct(fx_entry_add(e, 1), 3);
	assert_int_equal(fx_used(type), 8);
	swap_cache_del_folio(folio, 5);
	fx_drop(folio);
	assert_int_equal(fx_used(type), 5);
	assert_int_equal(fx_word(fx_entry_add(e, 2)), 0);
	fx_check();

	/* A hole in the range: only smaller orders can come in. */
	assert_null(swap_cache_alloc_folio(e, 1u << 3, NULL, NULL, &err));
	assert_int_equal(err, -EBUSY);
	assert_null(swap_cache_alloc_folio(fx_entry_add(e, 2), 1u << 3 | 1,
					   NULL, NULL, &err));
	assert_int_equal(err, -ENOENT);
	folio = swap_cache_alloc_folio(fx_entry_add(e, 5), 1u << 3 | 1u << 2,
				       NULL, NULL, &err);
	assert_non_null(folio);
	assert_int_equal(folio->order, 2);
	assert_int_equal(folio->swap.val, e.val + 4);
	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(e, 1);
	assert_int_equal(fx_used(type), 0);
}

static void put_of_a_cached_slot_reclaims_it_unless_locked(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = fx_cached(0);
	swp_entry_t e = folio->swap;

	assert_int_equal(folio_dup_swap(folio, 0), 0);
	swap_put_entries_direct(e, 1); /* locked: stays */
	assert_int_equal(fx_used(type), 1);
	assert_true(swap_cache_has_folio(e));
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	folio_unlock(folio);
	swap_put_entries_direct(e, 1);
	assert_int_equal(fx_used(type), 0);
	assert_false(folio_test(folio, SW_FOLIO_SWAPCACHE));
	assert_true(folio_test(folio, SW_FOLIO_DIRTY));
	folio_put(folio);
}

static void second_insertion_finds_the_first(void **state)
{
	struct folio *a, *b;
	swp_entry_t e;
	int err;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	a = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	assert_non_null(a);
	assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
	assert_int_equal(err, -EEXIST);
	b = swap_cache_get_folio(e);
	assert_ptr_equal(a, b);
	folio_put(b);
	folio_put_swap(a, 0);
	assert_true(folio_free_swap(a));
	assert_null(swap_cache_get_folio(e));
	fx_drop(a);
}

static void zero_mark_survives_the_cache_and_dies_with_the_slot(void **state)
{
	struct folio *folio;
	swp_entry_t e;
	bool zero;
	int err;

	fx_swapon(4 * CL, -1);
	folio = fx_cached(1);
	e = folio->swap;
	assert_int_equal(folio_dup_swap(folio, -1), 0);
	swap_zeromap_folio_set(folio);
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	assert_true(swap_zeromap_test(e));
	assert_true(swap_zeromap_test(fx_entry_add(e, 1)));
	folio = swap_cache_alloc_folio(e, 1, NULL, &zero, &err);
	assert_non_null(folio);
	assert_true(zero);
	swap_zeromap_folio_clear(folio);
	assert_false(swap_zeromap_test(e));
	/* Now the two slots differ. */
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	assert_null(swap_cache_alloc_folio(e, 2, NULL, &zero, &err));
	assert_int_equal(err, -EBUSY);
	swap_put_entries_direct(e, 2);
	assert_false(swap_zeromap_test(fx_entry_add(e, 1)));
}

static void order_sets_are_tried_from_the_top(void **state)
{
	struct folio *folio;
	swp_entry_t e;
	int err;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(3, 0);
	assert_null(swap_cache_alloc_folio(e, 0, NULL, NULL, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(swap_cache_alloc_folio(e, 1u << (SWAP_MAX_ORDER + 1), NULL,
					   NULL, &err));
	assert_int_equal(err, -EINVAL);
	folio = swap_cache_alloc_folio(fx_entry_add(e, 6), 0xb, NULL, NULL,
				       &err);
	assert_non_null(folio);
	assert_int_equal(folio->order, 3);
	assert_int_equal(folio->swap.val, e.val);
	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

static void absent_entries_have_no_folio_count_or_shadow(void **state)
{
	swp_entry_t gone = swp_entry(7, 3), none = { 0 };
	swp_entry_t beyond = swp_entry(0, 100 * CL);

	fx_swapon(4 * CL, -1);
	for (int i = 0; i < 3; i++) {
		swp_entry_t e = i == 0 ? gone : i == 1 ? none : beyond;
		int err;

		assert_null(get_swap_device(e));
		assert_null(swap_cache_get_folio(e));
		assert_false(swap_cache_has_folio(e));
		assert_int_equal(swap_cache_get_shadow(e), 0);
		assert_int_equal(swp_swapcount(e), 0);
		assert_int_equal(swap_retry_table_alloc(e), 0);
		assert_false(swap_zeromap_test(e));
		assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
		assert_int_equal(err, -ENOENT);
	}
}

static void entry_of_a_device_that_is_off_is_nobodys(void **state)
{
	int type = fx_swapon(4 * CL, -1), err;
	swp_entry_t e = fx_swapped(0, 5);

	swap_put_entries_direct(e, 1);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_null(get_swap_device(e));
	assert_null(swap_cache_get_folio(e));
	assert_int_equal(swap_cache_get_shadow(e), 0);
	assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
	assert_int_equal(err, -ENOENT);
	/* The number comes back with a smaller device, the entry does not. */
	assert_int_equal(fx_swapon(2, -1), type);
	e = swp_entry(type, 3);
	assert_null(get_swap_device(e));
	assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
	assert_int_equal(err, -ENOENT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(slot_makes_the_round_trip),
		FX_TEST(fork_and_zap_at_count_one),
		FX_TEST(count_overflows_into_the_extend_table_and_back),
		FX_TEST(dup_of_a_run_is_all_or_nothing),
		FX_TEST(dup_of_a_folio_is_all_or_nothing),
		FX_TEST(partly_zapped_large_folio_frees_what_nobody_owns),
		FX_TEST(put_of_a_cached_slot_reclaims_it_unless_locked),
		FX_TEST(second_insertion_finds_the_first),
		FX_TEST(zero_mark_survives_the_cache_and_dies_with_the_slot),
		FX_TEST(order_sets_are_tried_from_the_top),
		FX_TEST(absent_entries_have_no_folio_count_or_shadow),
		FX_TEST(entry_of_a_device_that_is_off_is_nobodys),
	};

	return FX_RUN(tests);
}
