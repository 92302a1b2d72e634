/*
 * test_swap_cache.c - folios on slots: orders that do not fit, zero marks,
 * parts of a folio, and who comes in between two looks.
 */
#include "base/counters.h"
#include "intruder.h"

static bool refuse_folio_once(void *arg, const char *what)
{
	unsigned *left = arg;

	if (strcmp(what, "folio") || !*left)
		return true;
	--*left;
	return false;
}

static void orders_fall_back_one_by_one_and_end(void **state)
{
	static const struct {
		uint32_t orders;
		unsigned fail;
		int err;
		unsigned order;
		unsigned fallbacks;
	} cases[] = {
		{ 1, 0, 0, 0, 0 },         { 1, 1, -ENOMEM, 0, 0 },
		{ 8, 0, 0, 3, 0 },         { 8, 1, -ENOMEM, 0, 1 },
		{ 8 | 2, 1, 0, 1, 1 },     { 8 | 2, 2, -ENOMEM, 0, 2 },
		{ 8 | 2 | 1, 2, 0, 0, 2 }, { 8 | 2 | 1, 3, -ENOMEM, 0, 2 },
		{ 8 | 1, 1, 0, 0, 1 },
	};

	swp_entry_t e;
	int err = 0;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(3, 0);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(cases); i++) {
		uint64_t before = sw_counter_read(SW_CTR_swpin_fallback);
		unsigned left = cases[i].fail;
		struct folio *folio;

		swap_set_alloc_hook(refuse_folio_once, &left);
		folio = swap_cache_alloc_folio(
			fx_entry_add(e, 5), cases[i].orders, NULL, NULL, &err);
		swap_set_alloc_hook(NULL, NULL);
		assert_int_equal(!folio, !!cases[i].err);
		assert_int_equal(sw_counter_read(SW_CTR_swpin_fallback) -
					 before,
				 cases[i].fallbacks);
		if (folio) {
			assert_int_equal(folio->order, cases[i].order);
			swap_cache_del_folio(folio, 0);
			fx_drop(folio);
		} else {
			assert_int_equal(err, cases[i].err);
		}
	}
	swap_put_entries_direct(e, 8);
}

static void mixed_zero_marks_fall_back_and_end(void **state)
{
	struct folio *folio;
	swp_entry_t e;
	bool zero;
	int err;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(3, 0);
	/* Slots 0 to 3 zero, the others not. */
	folio = swap_cache_alloc_folio(e, 1u << 2, NULL, NULL, &err);
	swap_zeromap_folio_set(folio);
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	for (unsigned i = 0; i < 8; i++) {
		folio = swap_cache_alloc_folio(fx_entry_add(e, i), 0xf, NULL,
					       &zero, &err);
		assert_non_null(folio);
		assert_int_equal(folio->order, 2);
		assert_int_equal(zero, i < 4);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
	}
	assert_null(swap_cache_alloc_folio(e, 1u << 3, NULL, NULL, &err));
	assert_int_equal(err, -EBUSY);
	swap_put_entries_direct(e, 8);
}

static void slot_written_again_is_no_longer_zero(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	folio = fx_cached(0);
	e = folio->swap;
	for (unsigned i = 0; i < 6; i++) {
		if (i & 1)
			swap_zeromap_folio_clear(folio);
		else
			swap_zeromap_folio_set(folio);
		assert_int_equal(swap_zeromap_test(e), !(i & 1));
	}
	swap_zeromap_folio_set(folio);
	assert_true(folio_free_swap(folio));
	/* Whoever gets the slot next does not inherit the mark. */
	for (unsigned i = 0; i < CL; i++) {
		assert_int_equal(folio_alloc_swap(folio, 0), 0);
		assert_false(swap_zeromap_test(folio->swap));
		assert_true(folio_free_swap(folio));
	}
	fx_drop(folio);
}

static void parts_of_a_split_folio_take_over_slots_and_counts(void **state)
{
	struct folio *old, *parts[3], *found;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	old = fx_cached(2);
	e = old->swap;
	assert_int_equal(folio_dup_swap(old, -1), 0);
	assert_int_equal(folio_dup_swap(old, 3), 0);
	swap_zeromap_folio_set(old);
	parts[0] = fx_folio(1);
	parts[1] = fx_folio(0);
	parts[2] = fx_folio(0);
	swap_cache_split_folio(old, parts, 3);
	assert_false(folio_test(old, SW_FOLIO_SWAPCACHE));
	assert_int_equal(old->refcount, 1);
	fx_drop(old);
	assert_int_equal(parts[0]->refcount, 3);
	assert_int_equal(parts[2]->swap.val, e.val + 3);
	assert_int_equal(swp_swapcount(parts[2]->swap), 2);
	assert_true(swap_zeromap_test(fx_entry_add(e, 1)));
	found = swap_cache_get_folio(fx_entry_add(e, 1));
	assert_ptr_equal(found, parts[0]);
	folio_put(found);
	fx_check();

	found = fx_folio(1);
	swap_cache_replace_folio(parts[0], found);
	assert_true(folio_matches_swap_entry(found, fx_entry_add(e, 1)));
	assert_false(folio_matches_swap_entry(parts[0], e));
	fx_drop(parts[0]);
	parts[0] = found;
	folio_put_swap(parts[2], 0);
	for (unsigned i = 0; i < 3; i++) {
		folio_put_swap(parts[i], -1);
		assert_true(folio_free_swap(parts[i]));
		fx_drop(parts[i]);
	}
}

#ifdef SW_CHECKS
static struct folio *split_parts[2];

static void split_it(void *arg)
{
	struct folio *old = arg;

	folio_lock(old);
	split_parts[0] = fx_folio(0);
	split_parts[1] = fx_folio(0);
	swap_cache_split_folio(old, split_parts, 2);
	folio_unlock(old);
	folio_unlock(split_parts[0]);
	folio_unlock(split_parts[1]);
}

static void reclaim_retries_with_the_slot_it_was_asked_for(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *old = fx_cached(1);
	swp_entry_t e = old->swap;

	folio_unlock(old);
	/* Between finding the large folio and locking it, it becomes two. */
	at("folio lock", 1, split_it, old);
	assert_int_equal(__try_to_reclaim_swap(&swap_info[type],
					       swp_offset(e) + 1, TTRS_ANYWAY),
			 1);
	assert_true(swap_cache_has_folio(e));
	assert_false(swap_cache_has_folio(fx_entry_add(e, 1)));
	folio_lock(split_parts[0]);
	assert_true(folio_free_swap(split_parts[0]));
	fx_drop(split_parts[0]);
	folio_put(split_parts[1]);
	folio_put(old);
}

static swp_entry_t first_slot_of_folio;

static void free_and_reuse(void *arg)
{
	struct folio *folio = fx_folio(0);

	swap_put_entries_direct(first_slot_of_folio, 1);
	/* The same slot, another owner, another group. */
	assert_int_equal(folio_alloc_swap(folio, 9), 0);
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	*(struct folio **)arg = folio;
}

static void slot_reused_before_insertion_is_found_or_paid_by_its_owner(
	void **state)
{
	struct sw_swap_group_info a, b;
	struct folio *thief = NULL, *folio;
	int type = fx_swapon(2, -1), err; /* one slot */

	assert_true(type >= 0);
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 8), 0);
	first_slot_of_folio = folio->swap;
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	/* After the first check, before the insertion. */
	at("folio pool", 1, free_and_reuse, &thief);
	folio = swap_cache_alloc_folio(first_slot_of_folio, 1, NULL, NULL,
				       &err);
	assert_null(folio);
	assert_int_equal(err, -EEXIST);
	assert_non_null(thief);
	swap_group_info(8, &a);
	swap_group_info(9, &b);
	assert_int_equal(a.usage, 0);
	assert_int_equal(b.usage, 1);
	folio_put_swap(thief, 0);
	assert_true(folio_free_swap(thief));
	fx_drop(thief);
}
#endif

static void a_slot_says_whom_it_is_charged_to(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(2 * CL, -1);
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 8), 0);
	e = folio->swap;
	assert_int_equal(swap_entry_group(e), 8);
	assert_int_equal(swap_entry_group(fx_entry_add(e, 1)), 0);
	assert_true(folio_free_swap(folio));
	assert_int_equal(swap_entry_group(e), 0);
	assert_int_equal(swap_entry_group(swp_entry(7, 1)), 0);
	fx_drop(folio);
}

static void a_folio_without_owners_can_be_asked_to_go(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(2 * CL, -1);
	folio = fx_cached(1);
	e = folio->swap;
	assert_int_equal(folio_dup_swap(folio, 1), 0);
	folio_set(folio, SW_FOLIO_MAPPED);
	assert_false(swap_reclaim_entry(e)); /* locked */
	folio_unlock(folio);
	assert_false(swap_reclaim_entry(e)); /* owned */
	swap_put_entries_direct(fx_entry_add(e, 1), 1);
	assert_true(swap_cache_has_folio(e)); /* mapped: a put leaves it */
	assert_true(swap_reclaim_entry(e));
	assert_false(swap_cache_has_folio(e));
	assert_int_equal(fx_word(e), 0);
	assert_true(folio_test(folio, SW_FOLIO_DIRTY));
	assert_false(swap_reclaim_entry(e)); /* nothing is there */
	folio_put(folio);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(orders_fall_back_one_by_one_and_end),
		FX_TEST(mixed_zero_marks_fall_back_and_end),
		FX_TEST(slot_written_again_is_no_longer_zero),
		FX_TEST(parts_of_a_split_folio_take_over_slots_and_counts),
		FX_TEST(a_slot_says_whom_it_is_charged_to),
		FX_TEST(a_folio_without_owners_can_be_asked_to_go),
#ifdef SW_CHECKS
		FX_TEST(reclaim_retries_with_the_slot_it_was_asked_for),
		FX_TEST(slot_reused_before_insertion_is_found_or_paid_by_its_owner),
#endif
	};

	return FX_RUN(tests);
}
