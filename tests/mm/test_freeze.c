/*
 * test_freeze.c - a session that is put aside and comes back: nothing of it
 * stays or comes in between, nothing is lost, and every slot of its image is
 * given back, however it ends. What fails: test_freeze_fails.c.
 */
#include "frozen.h"

/* ---- out, and kept out ---- */

static void all_pages_go_and_stay_out_until_the_thaw(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	fx_map(z.f.sim, 300, 10);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_true(info_of(&z).frozen);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);
	assert_int_equal(z.f.mm->staging.nr, 0);
	assert_int_equal(z.f.mm->budget.staged, 0);
	assert_int_equal(nr_used(&z.mem), 300);

	expect_held(&z, 7);
	expect_held(&z, 305); /* nor does what was never touched */
	assert_int_equal(fx_counted(&z.f, pgfault_held), 2);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);

	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_false(info_of(&z).frozen);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static void hot_pages_and_those_of_forks_go_too(void **state)
{
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 128);
	fx_swap_out(&z.f);
	fx_expect(z.f.sim, 5, 105); /* too soon: it is hot now */
	child = sw_sim_fork(z.f.sim);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);
	assert_int_equal(sw_sim_resident(child), 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 128);
	for (unsigned n = 0; n < 128; n++)
		fx_expect(child, n, 100 + n);
	fx_end(child);
	close_frozen(&z);
}

static void what_is_pinned_stays_and_is_counted(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 64);
	sw_sim_pin(z.f.sim, fx_at(9), true);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_int_equal(info_of(&z).resident_pages, 1);
	assert_int_equal(sw_sim_resident(z.f.sim), 1);
	fx_expect(z.f.sim, 9, 109);
	sw_sim_pin(z.f.sim, fx_at(9), false);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 64);
	close_frozen(&z);
}

static void programs_may_unmap_and_end_meanwhile(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	sw_sim_munmap(z.f.sim, fx_at(50), fx_at(150));
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(nr_used(&z.mem), 100);
	fx_expect(z.f.sim, 49, 149);
	fx_expect(z.f.sim, 150, 250);
	close_frozen(&z);
}

static void first_fault_thaws_if_it_shall(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	assert_int_equal(freeze(&z, true, true), 0);
	sw_freeze_heed(z.f.mm);
	assert_true(info_of(&z).frozen);
	expect_held(&z, 3);
	sw_freeze_heed(z.f.mm); /* as reclaim does, which was woken */
	assert_false(info_of(&z).frozen);
	fx_expect_filled(z.f.sim, 0, 100);
	close_frozen(&z);
}

static void to_freeze_or_thaw_twice_is_refused(void **state)
{
	struct frozen z;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	assert_int_equal(sw_mm_thaw(z.f.mm), -EINVAL);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_int_equal(freeze(&z, true, false), -EBUSY);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), -EINVAL);
	fx_expect_filled(z.f.sim, 0, 10);
	close_frozen(&z);
}

/* ---- the image ---- */

static void image_has_what_memory_held_and_gives_it_back(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(nr_used(&z.mem), 0);
	assert_int_equal(nr_used(&z.f.store), 300);
	assert_int_equal(info_of(&z).image_pages, 300);
	assert_int_equal(fx_slots_used(&z.f), 300);
	assert_true(z.f.store.write_calls <= 6); /* side by side */
	assert_int_equal(swap_check(NULL, NULL), 0);

	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(nr_used(&z.mem), 300);
	assert_int_equal(fx_slots_used(&z.f), 0);
	assert_int_equal(info_of(&z).image_pages, 0);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static void neither_device_can_be_switched_off_meanwhile(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(swapoff(z.f.type, NULL, NULL), -EBUSY);
	assert_int_equal(swapoff(z.mem_type, NULL, NULL), -EBUSY);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 10);
	close_frozen(&z);
}

static void slots_shared_by_forks_are_saved_once(void **state)
{
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	fx_swap_out(&z.f);
	child = sw_sim_fork(z.f.sim);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 100);
	fx_end(child);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 100);
	close_frozen(&z);
}

static void zeros_need_no_image(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_map(z.f.sim, 0, 20);
	for (unsigned n = 0; n < 20; n++)
		fx_write(z.f.sim, n, 0);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect(z.f.sim, 11, 0);
	close_frozen(&z);
}

static void session_that_ends_frozen_leaves_nothing(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	assert_int_equal(freeze(&z, true, false), 0);
	close_frozen(&z);
}

static void what_has_no_room_in_the_image_stays_in_memory(void **state)
{
	struct frozen z;
	struct swsusp_extents other;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	other = (struct swsusp_extents){ .type = z.f.type };
	for (unsigned n = 0; n < FX_SLOTS - 50; n++)
		assert_true(alloc_swapdev_block(&other).val);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 50);
	assert_int_equal(nr_used(&z.mem), 150);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 200);
	free_all_swap_pages(&other);
	close_frozen(&z);
}

/* ---- compressed pages inside the budget ---- */

struct kept {
	uint64_t pages, stuck; /* so many do not go */
	unsigned asked;
};

static uint64_t kept_pages(void *arg)
{
	return ((struct kept *)arg)->pages;
}

/* Slowly. */
static void shrink_kept(void *arg, uint64_t nr)
{
	struct kept *k = arg;

	assert_int_equal(nr, k->pages);
	k->asked++;
	k->pages -= sw_min(k->pages - k->stuck, 3);
}

static void what_is_kept_in_the_budget_goes(void **state)
{
	struct kept kept = { .pages = 10 };
	const struct sw_mm_held held = { kept_pages, shrink_kept, &kept };
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 20);
	z.f.mm->budget.held = &held;
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(kept.pages, 0);
	assert_int_equal(kept.asked, 4);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 20);
	z.f.mm->budget.held = NULL;
	close_frozen(&z);
}

static void what_will_not_go_is_not_waited_for(void **state)
{
	struct kept kept = { .pages = 10, .stuck = 5 };
	const struct sw_mm_held held = { kept_pages, shrink_kept, &kept };
	struct frozen z;

	open_frozen(&z);
	z.f.mm->budget.held = &held;
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(kept.pages, 5);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	z.f.mm->budget.held = NULL;
	close_frozen(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		freeze_test(all_pages_go_and_stay_out_until_the_thaw),
		freeze_test(hot_pages_and_those_of_forks_go_too),
		freeze_test(what_is_pinned_stays_and_is_counted),
		freeze_test(programs_may_unmap_and_end_meanwhile),
		freeze_test(first_fault_thaws_if_it_shall),
		freeze_test(to_freeze_or_thaw_twice_is_refused),
		freeze_test(image_has_what_memory_held_and_gives_it_back),
		freeze_test(neither_device_can_be_switched_off_meanwhile),
		freeze_test(slots_shared_by_forks_are_saved_once),
		freeze_test(zeros_need_no_image),
		freeze_test(session_that_ends_frozen_leaves_nothing),
		freeze_test(what_has_no_room_in_the_image_stays_in_memory),
		freeze_test(what_is_kept_in_the_budget_goes),
		freeze_test(what_will_not_go_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
