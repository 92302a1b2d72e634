/*
 * test_swap_counts.c - how many owners a slot has: to a million and back, and
 * none where there can be none.
 */
#include "base/counters.h"
#include "intruder.h"

static void private_copy_of_a_page_has_no_count(void **state)
{
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_folio);
	struct folio *copy, *orig;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	orig = fx_cached(0);
	e = orig->swap;
	assert_int_equal(folio_dup_swap(orig, 0), 0);
	assert_int_equal(folio_dup_swap(orig, 0), 0);
	copy = fx_folio(0);
	swap_bad_entry_aborts = false;
	folio_put_swap(copy, 0);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_folio), refused + 1);
	assert_int_equal(swp_swapcount(e), 2);
	assert_false(folio_free_swap(copy));
	/* What swapoff has to do instead. */
	folio_put_swap(orig, e.val - orig->swap.val);
	assert_int_equal(swp_swapcount(e), 1);
	folio_put_swap(orig, 0);
	assert_true(folio_free_swap(orig));
	fx_drop(copy);
	fx_drop(orig);
}

static void dup_direct(void *arg)
{
	int err = swap_dup_entry_direct(*(swp_entry_t *)arg);

	(void)err;
}

static void counts_go_to_a_million_and_never_wrap(void **state)
{
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	for (unsigned i = 1; i < 1000000; i++)
		assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), 1000000);
	ci_of(e)->extend_table[swap_cluster_offset(swp_offset(e))] = UINT32_MAX;
	assert_true(aborts(dup_direct, &e));
	ci_of(e)->extend_table[swap_cluster_offset(swp_offset(e))] = 1000000;
	for (unsigned i = 0; i < 1000000; i++)
		swap_put_entries_direct(e, 1);
	assert_int_equal(fx_word(e), 0);
}

#ifdef SW_CHECKS
static void put_one(void *arg)
{
	swap_put_entries_direct(*(swp_entry_t *)arg, 1);
}

static void extend_table_nobody_needs_any_more_does_not_stay(void **state)
{
	struct swap_cluster_info *ci;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	ci = ci_of(e);
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX - 1; i++)
		assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), SWP_TB_COUNT_MAX - 1);
	assert_null(ci->extend_table);
	/* One more leaves the lock for a table, and an owner goes meanwhile. */
	at("extend table", 1, put_one, &e);
	assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), SWP_TB_COUNT_MAX - 1);
	assert_null(ci->extend_table);
	fx_check();
	/* Attached first, then unneeded. */
	assert_int_equal(swap_retry_table_alloc(e), 0);
	assert_non_null(ci->extend_table);
	fx_check();
	swap_put_entries_direct(e, 1);
	assert_null(ci->extend_table);
	for (unsigned i = SWP_TB_COUNT_MAX - 2; i; i--)
		swap_put_entries_direct(e, 1);
	assert_null(ci->extend_table);
}
#endif

static void bad_slot_has_no_owner_and_gets_none(void **state)
{
	const uint64_t bad[] = { 1, CL + 3 };
	struct swapon_spec spec = {
		.name = "x",
		.ops = &fx_ops,
		.max = 4 * CL,
		.prio = -1,
		.bad = bad,
		.nr_bad = 2,
	};
	swp_entry_t e = swp_entry(swapon(&spec), CL + 3);
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_entry);
	int err;

	assert_int_equal(swp_swapcount(e), 0);
	assert_false(swap_entry_swapped(si_of(e), e));
	assert_false(swap_cache_has_folio(e));
	assert_int_equal(swap_cache_get_shadow(e), 0);
	assert_false(swap_zeromap_test(e));
	/* Readahead comes across it. */
	assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
	assert_int_equal(err, -ENOENT);
	swap_bad_entry_aborts = false;
	assert_int_equal(swap_dup_entry_direct(e), -EINVAL);
	swap_put_entries_direct(e, 1);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_entry), refused + 2);
	assert_true(swp_tb_is_bad(fx_word(e)));
}

static void entries_not_in_use_are_refused_and_counted(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e[] = { swp_entry(type, 9),
			    swp_entry(type, 4 * CL + 1),
			    swp_entry(7, 5),
			    { 0 } };
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_entry);

	swap_bad_entry_aborts = false;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(swap_dup_entry_direct(e[i]), -EINVAL);
		swap_put_entries_direct(e[i], 1);
		fx_check();
	}
	swap_put_entries_direct(swp_entry(type, 4 * CL - 1), 2);
	swap_free_hibernation_slot(e[0]);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_entry), refused + 10);
#ifdef SW_CHECKS
	assert_true(aborts(dup_direct, &e[0]));
#endif
}

static void put_skips_what_is_not_in_use_and_frees_the_rest(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(2, 0);

	swap_put_entries_direct(fx_entry_add(e, 1), 1);
	swap_bad_entry_aborts = false;
	swap_put_entries_direct(e, 4);
	swap_bad_entry_aborts = true;
	assert_int_equal(fx_used(type), 0);
	assert_int_equal(fx_slots_freed, 4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(private_copy_of_a_page_has_no_count),
		FX_TEST(counts_go_to_a_million_and_never_wrap),
#ifdef SW_CHECKS
		FX_TEST(extend_table_nobody_needs_any_more_does_not_stay),
#endif
		FX_TEST(bad_slot_has_no_owner_and_gets_none),
		FX_TEST(entries_not_in_use_are_refused_and_counted),
		FX_TEST(put_skips_what_is_not_in_use_and_frees_the_rest),
	};

	return FX_RUN(tests);
}
