/* test_fork.c - what parent and child share, and how it comes apart. */
#include "fixture.h"

static void swapped_pages_get_a_second_owner(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open_out(&f, 10);
	child = sw_sim_fork(f.sim);
	assert_int_equal(fx_counted(&f, fork_spaces), 1);
	for (unsigned n = 0; n < 10; n++)
		assert_int_equal(fx_count_of(child, n), 2);
	assert_int_equal(fx_slots_used(&f), 10);
	fx_expect(child, 3, 103);
	assert_int_equal(fx_count_of(f.sim, 3), 1);
	fx_expect(f.sim, 3, 103);
	sw_sim_munmap(child, fx_at(0), fx_at(10));
	for (unsigned n = 4; n < 10; n++)
		assert_int_equal(fx_count_of(f.sim, n), 1);
	fx_end(child);
	fx_expect_filled(f.sim, 0, 10);
	fx_close(&f);
}

static void present_pages_are_counted_once(void **state)
{
	struct sw_mm_usage u;
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	child = sw_sim_fork(f.sim);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(f.mm->budget.resident, 20);
	assert_int_equal(u.used_pages, 10);
	fx_write(child, 5, 7); /* now there are two of it */
	fx_write(f.sim, 3, 8);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 12);
	fx_expect(f.sim, 5, 105);
	fx_expect(child, 3, 103);
	fx_write(f.sim, 5, 9); /* its own by now: no further copy */
	fx_write(child, 3, 10);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 12);
	fx_end(child);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 10);
	assert_int_equal(f.mm->budget.shared, 0);
	fx_close(&f);
}

/* The child is gone, and with it the reason to hear of writes: the first one
 * says so, and lifts the protection of all around it. */
static void protection_goes_with_the_other_side(void **state)
{
	struct sw_mm_usage u;
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 70);
	child = sw_sim_fork(f.sim);
	fx_write(f.sim, 30, 8);
	assert_true(fx_word(f.sim, 29) & SW_WORD_WP); /* still shared */
	fx_end(child);
	fx_write(f.sim, 20, 9);
	for (unsigned n = 0; n < 64; n++)
		assert_false(fx_word(f.sim, n) & SW_WORD_WP);
	for (unsigned n = 0; n < 64; n++)
		fx_write(f.sim, n, 12 + n);
	assert_int_equal(fx_counted(&f, pgfault_wp), 2);
	assert_true(fx_word(f.sim, 65) & SW_WORD_WP); /* another window */
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 70);
	fx_close(&f);
}

static void announced_fork_finds_its_pages_armed(void **state)
{
	struct sw_mm_usage u;
	struct sw_sim *child;
	uint64_t protects;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	fx_fill(f.sim, 200, 10);
	sw_sim_announce_fork(f.sim);
	protects = sw_sim_calls(f.machine, SW_SIM_PROTECT);
	assert_true(protects > 0);
	fx_counted(&f, pgfault_wp);
	fx_write(f.sim, 3, 8); /* by another thread: armed again after it */
	assert_int_equal(fx_counted(&f, pgfault_wp), 1);
	protects = sw_sim_calls(f.machine, SW_SIM_PROTECT);
	child = sw_sim_fork(f.sim);
	/* One window on both sides; the other one still is. */
	assert_int_equal(sw_sim_calls(f.machine, SW_SIM_PROTECT), protects + 2);
	fx_write(f.sim, 3, 9);
	fx_write(child, 205, 7);
	assert_int_equal(fx_counted(&f, pgfault_wp), 2);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 22);
	fx_expect(child, 3, 8);
	fx_expect(f.sim, 205, 305);
	fx_end(child);
	fx_close(&f);
}

static void a_frame_of_three_is_counted_once(void **state)
{
	struct sw_sim *child, *grandchild;
	struct sw_mm_usage u;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	child = sw_sim_fork(f.sim);
	grandchild = sw_sim_fork(child);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 10);
	fx_write(child, 0, 1);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 11);
	fx_write(f.sim, 0, 2);
	fx_write(grandchild, 0, 3); /* the last one has the old frame */
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 12);
	fx_end(child);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 11);
	sw_sim_munmap(grandchild, fx_at(0), fx_at(5));
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 10);
	fx_end(grandchild);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 10);
	assert_int_equal(f.mm->budget.shared, 0);
	fx_close(&f);
}

static void both_sides_write_after_a_fork(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open_out(&f, 20);
	fx_expect_filled(f.sim, 0, 10); /* half present, half out */
	child = sw_sim_fork(f.sim);
	for (unsigned n = 0; n < 20; n++) {
		fx_write(f.sim, n, 1000 + n);
		fx_write(child, n, 2000 + n);
	}
	fx_swap_out(&f);
	for (unsigned n = 0; n < 20; n++) {
		fx_expect(f.sim, n, 1000 + n);
		fx_expect(child, n, 2000 + n);
	}
	fx_end(child);
	fx_close(&f);
}

static void shared_pages_are_unshared_to_be_taken(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 100);
	child = sw_sim_fork(f.sim);
	fx_swap_out(&f);
	assert_int_equal(f.mm->budget.resident, 0);
	assert_true(fx_counted(&f, unshared) >= 100);
	fx_expect_filled(f.sim, 0, 100);
	fx_expect_filled(child, 0, 100);
	fx_end(child);
	fx_close(&f);
}

static void clean_copy_is_let_go(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open_clean(&f);
	child = sw_sim_fork(f.sim);
	assert_false(fx_word(f.sim, 0) & SW_WORD_CLEAN);
	assert_false(fx_word(child, 0) & SW_WORD_CLEAN);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_write(child, 0, 9);
	fx_expect(f.sim, 0, 100);
	fx_write(f.sim, 0, 10);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 10);
	fx_expect(child, 0, 9);
	fx_end(child);
	fx_close(&f);
}

static void second_space_keeps_no_clean_copy_of_the_same_slot(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open_out(&f, 1);
	child = sw_sim_fork(f.sim);
	fx_expect(f.sim, 0, 100);
	fx_expect(child, 0, 100);
	fx_write(child, 0, 9);
	fx_write(f.sim, 0, 10);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 10);
	fx_expect(child, 0, 9);
	fx_end(child);
	fx_close(&f);
}

static void poison_is_inherited(void **state)
{
	struct sw_sim *child;
	struct fx f;
	uint64_t v;

	fx_open_out(&f, 2);
	f.store.fail_read = 1;
	assert_int_equal(sw_sim_read(f.sim, fx_at(0), &v), -EIO);
	child = sw_sim_fork(f.sim);
	assert_int_equal(sw_sim_read(child, fx_at(0), &v), -EIO);
	fx_expect(child, 1, 101);
	fx_end(child);
	fx_close(&f);
}

static void many_generations_count_beyond_the_word(void **state)
{
	struct sw_sim *child[30];
	struct fx f;

	fx_open_out(&f, 3);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(child); i++)
		child[i] = sw_sim_fork(i ? child[i - 1] : f.sim);
	assert_int_equal(fx_count_of(f.sim, 1), 31);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(child); i++) {
		fx_write(child[i], 1, i);
		fx_expect(child[i], 2, 102);
	}
	assert_int_equal(fx_count_of(f.sim, 1), 1);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(child); i++) {
		fx_expect(child[i], 1, i);
		fx_end(child[i]);
	}
	fx_expect(f.sim, 1, 101);
	fx_close(&f);
}

static void staged_page_serves_both_sides(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 10);
	fx_evict(&f);
	child = sw_sim_fork(f.sim);
	fx_expect(child, 5, 105);
	assert_int_equal(f.mm->staging.nr, 10); /* the parent's still */
	fx_write(child, 5, 6);
	fx_expect(f.sim, 5, 105);
	assert_int_equal(f.mm->staging.nr, 9);
	assert_int_equal(f.store.reads, 0);
	fx_end(child);
	fx_close(&f);
}

static struct fx *hooked;

/* What the program does between a batch and the unsharing of its rest. */
static void drop_and_move(struct sw_mmu *mmu)
{
	static bool moved;

	if (!moved)
		sw_sim_mremap(hooked->sim, fx_at(200), fx_at(0), 4 * PG);
	moved = true;
	(void)mmu;
}

/* A program may have forked before it was managed: nobody told us, and what
 * both sides still have cannot be moved. (Here something else holds it.) */
static void pages_shared_by_an_unseen_fork_are_unshared_too(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	for (unsigned n = 0; n < 10; n++)
		sw_sim_pin(f.sim, fx_at(n), true);
	fx_evict(&f);
	assert_true(fx_counted(&f, unshared) >= 10);
	for (unsigned n = 0; n < 10; n++)
		sw_sim_pin(f.sim, fx_at(n), false);
	fx_end_rests(&f);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_close(&f);
}

static void nothing_is_unshared_once_the_layout_has_changed(void **state)
{
	const struct sw_mmu_ops *ops;
	struct sw_mmu_ops with_hook;
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 200, 4);
	fx_swap_out(&f);
	fx_fill(f.sim, 0, 8);
	child = sw_sim_fork(f.sim);
	fx_write(f.sim, 4, 9); /* one page that can be taken */
	hooked = &f;
	ops = sw_sim_mmu(f.sim)->ops;
	with_hook = *ops;
	with_hook.drop_staged = drop_and_move;
	sw_sim_mmu(f.sim)->ops = &with_hook;
	assert_true(sw_reclaim_evict(f.mm));
	sw_sim_mmu(f.sim)->ops = ops;
	ops->drop_staged(sw_sim_mmu(f.sim));
	assert_int_equal(sw_sim_calls(f.machine, SW_SIM_UNSHARE), 0);
	for (unsigned n = 0; n < 4; n++)
		fx_expect(f.sim, n, 300 + n);
	fx_expect(f.sim, 4, 9);
	fx_end(child);
	fx_close(&f);
}

/* Mapped by another thread after the child was born, and found before the fork is
 * read: the child has nothing there, and what it moves there and unmaps is gone. */
static void child_has_no_region_that_is_younger(void **state)
{
	uint64_t start = fx_at(200), end = fx_at(208), epoch;
	struct sw_sim *child;
	struct fx f;
	int fd;

	fx_open_out(&f, 8);
	epoch = sw_space_epoch(f.space);
	fd = sw_sim_fork_quiet(f.sim);
	sw_sim_map(f.sim, start, end, false);
	assert_int_equal(sw_space_add_region(f.space, epoch, start, end),
			 -EAGAIN);
	child = sw_sim_say_fork(f.sim, fd);
	epoch = sw_space_epoch(f.space);
	assert_int_equal(sw_space_add_region(f.space, epoch, start, end), 0);
	sw_sim_mremap(child, fx_at(0), start, 8 * PG);
	sw_sim_munmap(child, start, end);
	fx_map(child, 200, 8);
	for (unsigned n = 200; n < 208; n++)
		fx_expect(child, n, 0);
	fx_end(child);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(child_has_no_region_that_is_younger),
		fx_test(swapped_pages_get_a_second_owner),
		fx_test(present_pages_are_counted_once),
		fx_test(protection_goes_with_the_other_side),
		fx_test(announced_fork_finds_its_pages_armed),
		fx_test(a_frame_of_three_is_counted_once),
		fx_test(both_sides_write_after_a_fork),
		fx_test(shared_pages_are_unshared_to_be_taken),
		fx_test(clean_copy_is_let_go),
		fx_test(second_space_keeps_no_clean_copy_of_the_same_slot),
		fx_test(poison_is_inherited),
		fx_test(many_generations_count_beyond_the_word),
		fx_test(staged_page_serves_both_sides),
		fx_test(pages_shared_by_an_unseen_fork_are_unshared_too),
		fx_test(nothing_is_unshared_once_the_layout_has_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
