/* test_large.c - runs of pages that go out and come back as one folio. */
#include "fixture.h"

/* ---- out ---- */

static void window_goes_out_as_one_folio(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	assert_non_null(fx_folio(&f, 0));
	assert_int_equal(fx_folio(&f, 0)->order, 6);
	for (unsigned n = 0; n < 64; n++) {
		assert_int_equal(fx_slot(f.sim, n), fx_slot(f.sim, 0) + n);
		assert_int_equal(fx_count_of(f.sim, n), 1);
		assert_ptr_equal(fx_folio(&f, n), fx_folio(&f, 0));
	}
	assert_int_equal(f.mm->staging.nr, 64);
	assert_int_equal(sw_staging_write(f.mm, 1), 64);
	assert_int_equal(f.store.write_calls, 1);
	assert_int_equal(f.store.writes, 64);
	assert_int_equal(fx_counted(&f, swpout_256kB), 1);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

static void runs_go_out_as_large_as_they_are_aligned(void **state)
{
	static const struct {
		unsigned first, order;
	} want[] = { { 3, 0 },  { 4, 2 },  { 8, 3 },  { 16, 4 }, { 32, 3 },
		     { 40, 0 }, { 41, 0 }, { 64, 5 }, { 96, 2 }, { 100, 0 } };
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 3, 39);
	fx_fill(f.sim, 64, 37);
	fx_evict(&f);
	for (unsigned k = 0; k < SW_ARRAY_SIZE(want); k++)
		assert_int_equal(fx_folio(&f, want[k].first)->order,
				 want[k].order);
	assert_int_equal(f.mm->staging.nr, 39 + 37);
	sw_staging_write(f.mm, 1000);
	fx_expect_filled(f.sim, 3, 39);
	fx_expect_filled(f.sim, 64, 37);
	fx_close(&f);
}

/* A page with a good copy in its slot keeps that, and those beside it are no
 * full range. */
static void clean_page_is_no_part_of_a_folio(void **state)
{
	uint64_t slot;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 5, 1);
	fx_swap_out(&f);
	fx_expect(f.sim, 5, 105);
	slot = fx_slot(f.sim, 5);
	fx_fill(f.sim, 0, 5);
	fx_fill(f.sim, 6, 10);
	fx_evict(&f);
	assert_int_equal(fx_slot(f.sim, 5), slot);
	assert_int_equal(fx_folio(&f, 0)->order, 2);
	assert_int_equal(fx_folio(&f, 4)->order, 0);
	assert_int_equal(fx_folio(&f, 8)->order, 3);
	fx_expect_filled(f.sim, 0, 16);
	fx_close(&f);
}

static void smaller_folios_serve_where_slots_are_scattered(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 20, 600);
	fx_fill(f.sim, 0, 512);
	fx_swap_out(&f);
	for (unsigned n = 0; n < 512; n += 8) /* seven of eight come free */
		sw_sim_munmap(f.sim, fx_at(n), fx_at(n + 7));
	fx_fill(f.sim, 1024, 128);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	assert_true(fx_counted(&f, swpout_fallback_256kB) > 0);
	for (unsigned n = 1024; n < 1152; n++)
		assert_true(fx_folio(&f, n)->order < 4);
	for (unsigned n = 7; n < 512; n += 8)
		fx_expect(f.sim, n, 100 + n);
	fx_expect_filled(f.sim, 1024, 128);
	fx_close(&f);
}

static void small_budget_has_single_pages(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1000, FX_SLOTS);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	assert_int_equal(fx_folio(&f, 0)->order, 0);
	fx_close(&f);
}

/* What is never taken out whole is not prepared whole. */
static void scattered_pages_prepare_single_folios(void **state)
{
	struct fx f;

	fx_open(&f);
	for (unsigned n = 0; n < 2048; n += 2)
		fx_fill(f.sim, n, 1);
	while (sw_reclaim_evict(f.mm))
		;
	assert_int_equal(f.mm->staging.nr, 1024);
	assert_in_range(f.mm->staging.block.used, 4, 12); /* the first ones */
	for (unsigned n = 0; n < 2048; n += 2)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void lost_bytes_leave_the_prepared_folios(void **state)
{
	uint64_t v;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 80);
	sw_sim_fail(f.machine, SW_SIM_READ_STAGED, 1, -EIO);
	while (sw_reclaim_evict(f.mm))
		;
	assert_int_equal(f.mm->ev.nr_ready, SW_PREPARED);
	for (unsigned n = 0; n < 80; n++)
		assert_int_equal(sw_sim_read(f.sim, fx_at(n), &v), -EIO);
	fx_fill(f.sim, 128, 64);
	fx_swap_out(&f);
	fx_expect_filled(f.sim, 128, 64);
	fx_close(&f);
}

/* ---- parts of what is staged ---- */

static void one_page_comes_back_out_of_the_buffer(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	fx_expect(f.sim, 40, 140);
	assert_int_equal(fx_kind(f.sim, 40), SW_WORD_PRESENT);
	assert_int_equal(f.mm->staging.nr, 64);
	fx_write(f.sim, 40, 7);
	sw_staging_write(f.mm, 64);
	assert_int_equal(f.store.writes, 63); /* not the one that is back */
	assert_int_equal(f.store.write_calls, 2);
	assert_int_equal(fx_slots_used(&f), 63);
	fx_expect(f.sim, 40, 7);
	fx_write(f.sim, 40, 140);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

static void batch_takes_many_pages_of_one_staged_folio(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	fx_counted(&f, pgfault);
	fx_expect_filled(f.sim, 0, 64);
	assert_int_equal(fx_counted(&f, pgfault), 4); /* 1, 4, 16, 43 */
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void zapped_parts_free_the_folio_with_the_last(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	sw_sim_dontneed(f.sim, fx_at(0), fx_at(63));
	assert_int_equal(f.mm->staging.nr, 64);
	fx_expect(f.sim, 0, 0);
	fx_expect(f.sim, 63, 163);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void forked_and_moved_parts_are_found(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	child = sw_sim_fork(f.sim);
	sw_sim_mremap(child, fx_at(10), fx_at(1000), 20 * PG);
	fx_write(f.sim, 12, 7);
	for (unsigned n = 10; n < 30; n++)
		fx_expect(child, 990 + n, 100 + n);
	fx_swap_out(&f);
	fx_expect(f.sim, 12, 7);
	fx_expect(child, 1002, 112);
	fx_expect(child, 63, 163);
	fx_end(child);
	fx_write(f.sim, 12, 112);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

static void refused_folio_is_written_page_by_page(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	fx_expect(f.sim, 9, 109);
	f.store.fail_write = 1;
	assert_int_equal(sw_staging_write(f.mm, 64), 0);
	assert_int_equal(f.mm->staging.nr, 63);
	assert_int_equal(fx_folio(&f, 0)->order, 0);
	assert_int_equal(sw_staging_write(f.mm, 30), 30);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

/* ---- in ---- */

static void stream_reads_a_folio_by_one_call(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 256);
	fx_swap_out(&f);
	fx_expect_filled(f.sim, 0, 256);
	assert_int_equal(f.store.reads, 256);
	assert_int_equal(fx_counted(&f, swpin_256kB), 3);
	assert_in_range(f.store.read_calls, 4, 20);
	fx_close(&f);
}

static void backward_stream_reads_a_folio_by_one_call(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 256);
	fx_swap_out(&f);
	for (unsigned n = 256; n-- > 0;)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(f.store.reads, 256);
	assert_int_equal(fx_counted(&f, swpin_256kB), 3);
	fx_close(&f);
}

/* Each page of it that is written to loses its copy alone. */
static void clean_copies_of_a_folio_are_kept_page_by_page(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 128);
	fx_swap_out(&f);
	fx_expect_filled(f.sim, 0, 128);
	assert_int_equal(fx_slots_used(&f), 128);
	for (unsigned n = 64; n < 128; n++)
		assert_true(fx_word(f.sim, n) & SW_WORD_CLEAN);
	fx_write(f.sim, 100, 7);
	assert_int_equal(fx_slots_used(&f), 127);
	f.store.writes = 0;
	fx_swap_out(&f);
	assert_int_equal(f.store.writes, 1);
	fx_expect(f.sim, 100, 7);
	fx_write(f.sim, 100, 200);
	fx_expect_filled(f.sim, 0, 128);
	fx_close(&f);
}

/* The other space has some of the slots still, and reads them for itself. */
static void slots_of_two_owners_stay_behind_a_large_read(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 128);
	fx_swap_out(&f);
	child = sw_sim_fork(f.sim);
	fx_expect_filled(f.sim, 0, 128);
	for (unsigned n = 0; n < 128; n++)
		fx_write(f.sim, n, n);
	for (unsigned n = 0; n < 128; n++)
		fx_expect(child, n, 100 + n);
	fx_end(child);
	fx_close(&f);
}

static void one_unreadable_slot_costs_one_page(void **state)
{
	uint64_t v;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 192);
	fx_swap_out(&f);
	f.store.used[fx_slot(f.sim, 100)] = false;
	assert_int_equal(fx_read_lost(f.sim, 192), 1);
	assert_int_equal(sw_sim_read(f.sim, fx_at(100), &v), -EIO);
	fx_close(&f);
}

static void window_of_zeros_is_one_mark(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 256);
	for (unsigned n = 0; n < 256; n++)
		fx_write(f.sim, n, 0);
	fx_swap_out(&f);
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(fx_counted(&f, swpout_zero), 256);
	for (unsigned n = 0; n < 256; n++)
		fx_expect(f.sim, n, 0);
	assert_int_equal(fx_counted(&f, swpin_zero), 256);
	assert_int_equal(f.store.reads, 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(window_goes_out_as_one_folio),
		fx_test(runs_go_out_as_large_as_they_are_aligned),
		fx_test(clean_page_is_no_part_of_a_folio),
		fx_test(smaller_folios_serve_where_slots_are_scattered),
		fx_test(small_budget_has_single_pages),
		fx_test(scattered_pages_prepare_single_folios),
		fx_test(lost_bytes_leave_the_prepared_folios),
		fx_test(one_page_comes_back_out_of_the_buffer),
		fx_test(batch_takes_many_pages_of_one_staged_folio),
		fx_test(zapped_parts_free_the_folio_with_the_last),
		fx_test(forked_and_moved_parts_are_found),
		fx_test(refused_folio_is_written_page_by_page),
		fx_test(stream_reads_a_folio_by_one_call),
		fx_test(backward_stream_reads_a_folio_by_one_call),
		fx_test(clean_copies_of_a_folio_are_kept_page_by_page),
		fx_test(slots_of_two_owners_stay_behind_a_large_read),
		fx_test(one_unreadable_slot_costs_one_page),
		fx_test(window_of_zeros_is_one_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
