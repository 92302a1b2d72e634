/* test_swap_bad.c - slots that turn bad while their device is on, and devices
 * that give no slot any more. */
#include <errno.h>

#include "base/counters.h"
#include "fixture.h"

/* A locked cached folio with one owner, whose slot is condemned. */
static struct folio *condemned(void)
{
	struct folio *folio = fx_cached(0);

	assert_int_equal(folio_dup_swap(folio, -1), 0);
	folio_condemn_slot(folio);
	return folio;
}

static uint64_t pages(unsigned type)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(type, &info));
	return info.pages;
}

static void condemned_slot_turns_bad_with_its_last_owner(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = condemned();
	swp_entry_t e = folio->swap;
	uint64_t freed = fx_slots_freed;

	assert_int_equal(swp_swapcount(e), 1);
	assert_false(folio_free_swap(folio));
	fx_drop(folio);
	fx_check();
	assert_int_equal(pages(type), 4 * CL - 1);

	swap_put_entries_direct(e, 1);
	assert_true(swp_tb_is_bad(fx_word(e)));
	assert_int_equal(swp_swapcount(e), 0);
	assert_int_equal(fx_used(type), 0);
	assert_int_equal(pages(type), 4 * CL - 2);
	/* The store may forget what it knows of it. */
	assert_int_equal(fx_slots_freed, freed + 1);
	fx_check();
}

static void page_of_a_condemned_slot_goes_to_another(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = condemned();
	swp_entry_t e = folio->swap;

	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	assert_true(swp_tb_is_bad(fx_word(e)));
	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	assert_int_not_equal(folio->swap.val, e.val);
	assert_true(folio_free_swap(folio));
	assert_int_equal(fx_used(type), 0);
	assert_int_equal(pages(type), 4 * CL - 2);
	fx_drop(folio);
}

/* Fills a device of one cluster with folios, unlocked, each slot owned. */
static void fill(struct folio **folio)
{
	for (unsigned i = 0; i < CL - 1; i++) {
		folio[i] = fx_cached(0);
		assert_int_equal(folio_dup_swap(folio[i], -1), 0);
		folio_unlock(folio[i]);
	}
}

/* Takes the owner of a slot away, and the folio off it. */
static void empty(struct folio *folio)
{
	assert_true(folio_trylock(folio));
	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

static void condemn(struct folio *folio)
{
	assert_true(folio_trylock(folio));
	folio_condemn_slot(folio);
	folio_unlock(folio);
}

static void full_device_stays_full_when_a_slot_turns_bad(void **state)
{
	int type = fx_swapon(CL, -1);
	struct folio *folio[CL], *one;

	fill(folio);
	one = fx_folio(0);
	assert_int_equal(folio_alloc_swap(one, 0), -ENOMEM);
	assert_true(swap_info[type].flags & SWP_OFFLIST);
	condemn(folio[0]);
	empty(folio[0]);
	assert_true(swap_info[type].flags & SWP_OFFLIST);
	fx_check();
	assert_int_equal(folio_alloc_swap(one, 0), -ENOMEM);
	/* A slot that falls free is given as ever. */
	empty(folio[1]);
	assert_int_equal(folio_alloc_swap(one, 0), 0);
	assert_true(folio_free_swap(one));
	fx_drop(one);
	for (unsigned i = 2; i < CL - 1; i++)
		empty(folio[i]);
}

static void allocator_gets_no_condemned_slot_by_taking_its_folio(void **state)
{
	int type = fx_swapon(CL, -1);
	struct folio *folio[CL], *one;
	swp_entry_t e;

	fill(folio);
	one = fx_folio(0);
	condemn(folio[0]);
	e = folio[0]->swap;
	assert_true(folio_trylock(folio[0]));
	folio_put_swap(folio[0], -1);
	fx_drop(folio[0]); /* in the cache, and nobody's */
	assert_int_equal(folio_alloc_swap(one, 0), -ENOMEM);
	assert_true(swp_tb_is_bad(fx_word(e)));
	assert_int_equal(pages(type), CL - 2);
	fx_drop(one);
	for (unsigned i = 1; i < CL - 1; i++)
		empty(folio[i]);
}

static void device_may_lose_all_its_slots(void **state)
{
	int type = fx_swapon(CL + 1, -1);
	struct sw_swap_totals t;
	struct folio *folio;

	folio = fx_folio(0);
	for (unsigned i = 0; i < CL; i++) {
		assert_int_equal(folio_alloc_swap(folio, 0), 0);
		assert_int_equal(folio_condemn_slot(folio), i + 1);
		swap_cache_del_folio(folio, 0);
	}
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	assert_int_equal(pages(type), 0);
	si_swapinfo(&t);
	assert_int_equal(t.total_pages, 0);
	fx_check();
	fx_drop(folio);
}

static void group_does_not_pay_for_a_bad_slot(void **state)
{
	struct sw_swap_group_info info;
	struct folio *folio;

	fx_swapon(CL, -1);
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 3), 0);
	folio_condemn_slot(folio);
	assert_true(folio_free_swap(folio));
	swap_group_info(3, &info);
	assert_int_equal(info.usage, 0);
	fx_drop(folio);
}

static void zero_mark_goes_with_the_slot(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(CL, -1);
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	e = folio->swap;
	swap_zeromap_folio_set(folio);
	folio_condemn_slot(folio);
	assert_true(folio_free_swap(folio));
	assert_false(swap_zeromap_test(e));
	fx_check();
	fx_drop(folio);
}

static void only_dirty_single_pages_are_condemned(void **state)
{
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_folio);
	struct folio *large, *clean, *none;

	fx_swapon(4 * CL, -1);
	none = fx_folio(0);
	large = fx_cached(1);
	clean = fx_cached(0);
	folio_clear(clean, SW_FOLIO_DIRTY);
	swap_bad_entry_aborts = false;
	assert_int_equal(folio_condemn_slot(large), 0);
	assert_int_equal(folio_condemn_slot(clean), 0);
	assert_int_equal(folio_condemn_slot(none), 0);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_folio), refused + 3);
	assert_true(folio_free_swap(large));
	assert_true(folio_free_swap(clean));
	fx_drop(large);
	fx_drop(clean);
	fx_drop(none);
}

/* ---- devices ---- */

static void failed_device_keeps_what_it_has_and_gives_nothing(void **state)
{
	int bad = fx_swapon(4 * CL, 5), good = fx_swapon(4 * CL, 1);
	swp_entry_t e = fx_swapped(0, 7);
	struct sw_swap_totals t;
	struct folio *folio;
	int err;

	assert_int_equal(swp_type(e), bad);
	assert_true(swap_device_fail(bad));
	assert_false(swap_device_fail(bad));
	assert_false(swap_device_fail(MAX_SWAPFILES));
	fx_check();
	si_swapinfo(&t);
	assert_int_equal(t.total_pages, 4 * CL - 1 + 1);
	assert_int_equal(t.free_pages, 4 * CL - 1);

	/* Not even where this CPU would go on. */
	folio = fx_cached(0);
	assert_int_equal(swp_type(folio->swap), good);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);

	folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	assert_non_null(folio);
	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	assert_int_equal(fx_used(bad), 0);
	assert_true(swap_info[bad].flags & SWP_OFFLIST);
	fx_check();
}

static int give_up(void *arg, unsigned type)
{
	(void)arg, (void)type;
	return -EINTR;
}

static void swapoff_that_gives_up_leaves_the_device_failed(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(0, 7);
	struct folio *folio;

	assert_true(swap_device_fail(type));
	assert_int_equal(swapoff(type, give_up, NULL), -EINTR);
	fx_check();
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	fx_drop(folio);
	swap_put_entries_direct(e, 1);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swapoff(type, NULL, NULL), -EINVAL);
	/* The next device of this type begins anew. */
	assert_int_equal(fx_swapon(CL, -1), type);
	folio = fx_cached(0);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

static int take_off(void *arg, unsigned type)
{
	(void)type;
	swap_put_entries_direct(*(swp_entry_t *)arg, 1);
	return 0;
}

static void failed_device_that_is_empty_stays_failed(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(0, 7);
	struct folio *folio;

	assert_true(swap_device_fail(type));
	assert_int_equal(swap_empty(type, give_up, NULL), -EINTR);
	assert_int_equal(fx_used(type), 1);
	assert_int_equal(swap_empty(type, take_off, &e), 0);
	assert_int_equal(fx_used(type), 0);
	fx_check();
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	fx_drop(folio);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swap_empty(type, NULL, NULL), -EINVAL);
}

/* Nothing is wrong with this one. */
static void device_that_is_empty_is_used_again(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(0, 7);
	struct folio *folio;

	assert_int_equal(swap_empty(type, take_off, &e), 0);
	fx_check();
	folio = fx_cached(0);
	assert_int_equal(swp_type(folio->swap), type);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(condemned_slot_turns_bad_with_its_last_owner),
		FX_TEST(page_of_a_condemned_slot_goes_to_another),
		FX_TEST(full_device_stays_full_when_a_slot_turns_bad),
		FX_TEST(allocator_gets_no_condemned_slot_by_taking_its_folio),
		FX_TEST(device_may_lose_all_its_slots),
		FX_TEST(group_does_not_pay_for_a_bad_slot),
		FX_TEST(zero_mark_goes_with_the_slot),
		FX_TEST(only_dirty_single_pages_are_condemned),
		FX_TEST(failed_device_keeps_what_it_has_and_gives_nothing),
		FX_TEST(swapoff_that_gives_up_leaves_the_device_failed),
		FX_TEST(failed_device_that_is_empty_stays_failed),
		FX_TEST(device_that_is_empty_is_used_again),
	};

	return FX_RUN(tests);
}
