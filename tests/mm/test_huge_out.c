/* test_huge_out.c - huge pages of the program go out as one folio. */
#include "huge.h"

static void huge_page_goes_out_as_one_folio(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	fx_evict(&f);
	assert_int_equal(sw_sim_calls(f.machine, SW_SIM_TAKE), 1);
	assert_int_equal(nr_present(f.sim, 0), 0);
	assert_non_null(folio_of(&f, LEAF(0)));
	assert_int_equal(folio_of(&f, LEAF(0))->order, 9);
	assert_ptr_equal(folio_of(&f, LEAF(0) + 511), folio_of(&f, LEAF(0)));
	for (unsigned n = LEAF(0); n < LEAF(1); n++)
		assert_int_equal(fx_count_of(f.sim, n), 1);
	assert_int_equal(f.mm->staging.nr, HUGE);
	assert_int_equal(sw_staging_write(f.mm, 1), HUGE);
	assert_int_equal(f.store.write_calls, 1);
	assert_int_equal(f.store.writes, HUGE);
	assert_int_equal(fx_counted(&f, swpout_2048kB), 1);
	assert_int_equal(fx_counted(&f, thp_swpout), 1);
	assert_int_equal(fx_counted(&f, thp_swpout_fallback), 0);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void other_pages_go_by_windows(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, LEAF(0), HUGE);
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, swpout_256kB), 8);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	assert_int_equal(fx_counted(&f, thp_swpout_fallback), 0);
	assert_false(leaf_of(&f, 0)->was_huge);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void one_hot_page_keeps_it_from_going_whole(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	leaf_of(&f, 0)->word[300] |= SW_WORD_HOT;
	assert_true(sw_reclaim_evict(f.mm));
	assert_int_equal(nr_present(f.sim, 0), HUGE - SW_PREPARED + 1);
	assert_true(sw_sim_is_present(f.sim, fx_at(LEAF(0) + 300)));
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void small_budget_takes_it_by_windows(void **state)
{
	struct fx f;

	fx_open_sized(&f, 4 * HUGE * 32 - 32, FX_SLOTS);
	fill(&f, 0, 1);
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	assert_int_equal(fx_counted(&f, swpout_256kB), 8);
	expect_leaf(&f, 0);
	fx_close(&f);
}

/* Each cluster has some of its slots in use, by pieces of a window. */
static void larger_pieces_serve_where_no_cluster_is_empty(void **state)
{
	struct fx f;
	uint64_t takes;

	fx_open_sized(&f, 1 << 20, 3500);
	fx_fill(f.sim, LEAF(1), 6 * HUGE);
	fx_swap_out(&f);
	for (unsigned n = LEAF(1); n < LEAF(7); n += 128)
		sw_sim_munmap(f.sim, fx_at(n), fx_at(n + 64));
	fill(&f, 0, 1);
	takes = sw_sim_calls(f.machine, SW_SIM_TAKE);
	fx_evict(&f);
	assert_int_equal(sw_sim_calls(f.machine, SW_SIM_TAKE), takes + 1);
	for (unsigned n = LEAF(0); n < LEAF(1); n++)
		assert_in_range(folio_of(&f, n)->order, 6, 8);
	assert_int_equal(fx_counted(&f, swpout_fallback_2048kB), 1);
	assert_int_equal(fx_counted(&f, thp_swpout_fallback), 1);
	f.store.writes = 0;
	sw_staging_write(f.mm, 1 << 20);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	assert_int_equal(f.store.writes, HUGE);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void full_device_takes_what_fits_by_windows(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 20, 500);
	fill(&f, 0, 1);
	fx_swap_out(&f);
	assert_in_range(nr_present(f.sim, 0), 1, HUGE - SW_PREPARED);
	assert_int_equal(fx_counted(&f, thp_swpout_fallback), 1);
	assert_int_equal(fx_counted(&f, swpout_fallback_2048kB), 1);
	assert_int_equal(fx_counted(&f, swpout_fallback_1024kB), 2);
	assert_int_equal(fx_counted(&f, swpout_fallback_512kB), 4);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	expect_leaf(&f, 0);
	fx_close(&f);
}

/* A batch that has begun is run first. */
static void pages_above_it_go_before_it(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 2);
	fx_fill(f.sim, LEAF(2), 64);
	assert_true(sw_reclaim_evict(f.mm));
	assert_int_equal(nr_present(f.sim, 1), HUGE);
	assert_false(sw_sim_is_present(f.sim, fx_at(LEAF(2))));
	assert_true(sw_reclaim_evict(f.mm));
	assert_int_equal(nr_present(f.sim, 1), 0);
	assert_int_equal(nr_present(f.sim, 0), HUGE);
	assert_true(sw_reclaim_evict(f.mm));
	assert_int_equal(nr_present(f.sim, 0), 0);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	fx_close(&f);
}

static void advice_takes_it_whole(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 2);
	sw_sim_advise(f.sim, fx_at(LEAF(0)), fx_at(LEAF(1) + 100),
		      SW_ADVICE_PAGEOUT);
	while (sw_reclaim_advised(f.mm))
		;
	assert_int_equal(folio_of(&f, LEAF(0))->order, 9);
	assert_int_equal(nr_present(f.sim, 0), 0);
	assert_int_equal(nr_present(f.sim, 1), HUGE - 100);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	fx_close(&f);
}

static uint64_t lowest_asked;

static int nothing_touched(void *arg, struct sw_space *space,
			   struct sw_heat_window *win, unsigned nr)
{
	(void)arg, (void)space;
	lowest_asked = win[nr - 1].addr;
	return 0;
}

/* Not even where the windows that are asked about at once end inside it. */
static void it_goes_whole_only_when_all_was_asked_about(void **state)
{
	static const struct sw_heat heat = { .touched = nothing_touched };
	struct fx f;

	fx_open(&f);
	f.mm->heat = &heat;
	fx_fill(f.sim, LEAF(1), 12 * 64);
	fill(&f, 0, 1);
	while (nr_present(f.sim, 0) == HUGE)
		sw_reclaim_evict(f.mm);
	assert_int_equal(nr_present(f.sim, 0), 0);
	assert_int_equal(lowest_asked, fx_at(LEAF(0)));
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void pinned_page_keeps_all_of_it(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	sw_sim_pin(f.sim, fx_at(LEAF(0) + 5), true);
	fx_evict(&f);
	assert_int_equal(nr_present(f.sim, 0), HUGE);
	assert_true(is_huge(f.sim, 0));
	assert_true(fx_counted(&f, move_busy) > 0);
	sw_sim_pin(f.sim, fx_at(LEAF(0) + 5), false);
	fx_end_rests(&f);
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, thp_swpout), 1);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void refused_one_stays_and_rests(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	sw_sim_refuse(f.sim, fx_at(LEAF(0) + 5), true);
	fx_evict(&f);
	assert_int_equal(nr_present(f.sim, 0), HUGE);
	assert_int_equal(fx_counted(&f, move_refused), HUGE);
	assert_int_equal(sw_sim_calls(f.machine, SW_SIM_TAKE), 1);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void lost_bytes_leave_the_prepared_folio(void **state)
{
	uint64_t v;
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	sw_sim_fail(f.machine, SW_SIM_READ_STAGED, 1, -EIO);
	while (sw_reclaim_evict(f.mm))
		;
	assert_int_equal(sw_sim_read(f.sim, fx_at(LEAF(0)), &v), -EIO);
	assert_int_equal(sw_sim_read(f.sim, fx_at(LEAF(0) + 511), &v), -EIO);
	assert_int_equal(f.mm->ev.nr_folios[SW_ORDER_HUGE], 1);
	/* It serves other pages in pieces, single ones in the end. */
	for (unsigned n = LEAF(1); n < LEAF(4); n += 2)
		fx_fill(f.sim, n, 1);
	fx_swap_out(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	for (unsigned n = LEAF(1); n < LEAF(4); n += 2)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void dying_agent_takes_none_of_it(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	sw_sim_kill_agent(f.sim, 0);
	fx_evict(&f);
	assert_int_equal(nr_present(f.sim, 0), HUGE);
	expect_leaf(&f, 0);
	fx_close(&f);
}

/* ---- while it is staged or written ---- */

static void one_page_comes_back_out_of_the_buffer(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	fx_evict(&f);
	fx_write(f.sim, LEAF(0) + 300, 7);
	assert_int_equal(nr_present(f.sim, 0), 1);
	sw_staging_write(f.mm, 1);
	assert_int_equal(f.store.writes, HUGE - 1);
	assert_int_equal(fx_counted(&f, thp_swpout), 0);
	fx_expect(f.sim, LEAF(0) + 300, 7);
	fx_write(f.sim, LEAF(0) + 300, 100 + LEAF(0) + 300);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void touch_the_middle(struct fx_store *st, uint64_t offset)
{
	struct fx *f = sw_container_of(st, struct fx, store);

	(void)offset;
	st->before_write = NULL;
	fx_expect(f->sim, LEAF(0) + 256, 100 + LEAF(0) + 256);
	fx_write(f->sim, LEAF(0) + 257, 7);
}

static void fault_in_the_middle_while_it_is_written(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	fx_evict(&f);
	f.store.before_write = touch_the_middle;
	assert_int_equal(sw_staging_write(f.mm, 1), HUGE);
	assert_null(f.store.before_write);
	assert_true(nr_present(f.sim, 0) >= 2);
	fx_expect(f.sim, LEAF(0) + 257, 7);
	fx_write(f.sim, LEAF(0) + 257, 100 + LEAF(0) + 257);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void refused_folio_is_written_in_smaller_ones(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	fx_evict(&f);
	f.store.fail_write = 1;
	assert_int_equal(sw_staging_write(f.mm, HUGE), 0);
	assert_int_equal(folio_of(&f, LEAF(0))->order, 6);
	assert_int_equal(f.mm->staging.nr, HUGE);
	f.store.fail_write = 2;
	assert_int_equal(sw_staging_write(f.mm, HUGE), HUGE - 64);
	assert_int_equal(folio_of(&f, LEAF(0) + 64)->order, 0);
	assert_null(folio_of(&f, LEAF(0) + 128));
	assert_int_equal(f.mm->staging.nr, 64);
	assert_int_equal(sw_staging_write(f.mm, 64), 64);
	expect_leaf(&f, 0);
	fx_close(&f);
}

static void zapped_parts_free_the_folio_with_the_last(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	fx_evict(&f);
	sw_sim_munmap(f.sim, fx_at(LEAF(0)), fx_at(LEAF(0) + 511));
	assert_int_equal(f.mm->staging.nr, HUGE);
	fx_expect(f.sim, LEAF(0) + 511, 100 + LEAF(0) + 511);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(huge_page_goes_out_as_one_folio),
		fx_test(other_pages_go_by_windows),
		fx_test(one_hot_page_keeps_it_from_going_whole),
		fx_test(small_budget_takes_it_by_windows),
		fx_test(larger_pieces_serve_where_no_cluster_is_empty),
		fx_test(full_device_takes_what_fits_by_windows),
		fx_test(pages_above_it_go_before_it),
		fx_test(it_goes_whole_only_when_all_was_asked_about),
		fx_test(pinned_page_keeps_all_of_it),
		fx_test(refused_one_stays_and_rests),
		fx_test(lost_bytes_leave_the_prepared_folio),
		fx_test(dying_agent_takes_none_of_it),
		fx_test(one_page_comes_back_out_of_the_buffer),
		fx_test(fault_in_the_middle_while_it_is_written),
		fx_test(refused_folio_is_written_in_smaller_ones),
		fx_test(zapped_parts_free_the_folio_with_the_last),
		fx_test(advice_takes_it_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
