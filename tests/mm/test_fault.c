/* test_fault.c - what becomes of a fault for each kind of word, of a page on
 * its way out and back, and of every way in which a page can be lost. */
#include <unistd.h>

#include "base/time.h"
#include "fixture.h"

/* ---- first touch ---- */

static void first_touch_reads_zeros(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 8);
	fx_expect(f.sim, 3, 0);
	assert_int_equal(fx_kind(f.sim, 3), SW_WORD_PRESENT);
	assert_int_equal(fx_kind(f.sim, 2), SW_WORD_NONE);
	assert_int_equal(sw_space_resident(f.space), 1);
	assert_int_equal(f.mm->budget.resident, 1);
	fx_close(&f);
}

static void sequential_touch_maps_many_but_not_beyond_its_mapping(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 30);
	fx_map(f.sim, 30, 30); /* its neighbour: one region, two mappings */
	assert_int_equal(f.space->nr_regions, 1);
	for (unsigned n = 0; n < 30; n++)
		fx_expect(f.sim, n, 0);
	assert_true(fx_counted(&f, pgfault) < 30);
	for (unsigned n = 30; n < 60; n++)
		fx_expect(f.sim, n, 0);
	assert_int_equal(sw_space_resident(f.space), 60);
	fx_close(&f);
}

static void touch_of_unmapped_memory_is_a_segmentation_fault(void **state)
{
	struct fx f;
	uint64_t v;

	fx_open(&f);
	assert_int_equal(sw_sim_read(f.sim, fx_at(5), &v), -EFAULT);
	fx_close(&f);
}

static void page_present_before_its_first_fault_is_counted(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 1);
	/* Seen by a scan, then gone by a zap that passed us by. */
	assert_int_equal(sw_space_note_present(f.space, sw_space_epoch(f.space),
					       fx_at(0), fx_at(1)),
			 0);
	fx_expect(f.sim, 0, 0);
	assert_int_equal(sw_space_resident(f.space), 1);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	fx_close(&f);
}

/* The kernel's page of zeros, made to tell us of the first write. */
static void page_that_was_only_read_counts_from_its_first_write_on(void **state)
{
	static const char zeros[PG];
	struct sw_mmu *mmu;
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 2);
	mmu = sw_space_mmu(f.space);
	assert_int_equal(mmu->ops->copy(mmu, fx_at(0), zeros, 1, true), 1);
	fx_expect(f.sim, 0, 0);
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_write(f.sim, 0, 7);
	assert_int_equal(sw_space_resident(f.space), 1);
	fx_swap_out(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_expect(f.sim, 0, 7);
	fx_close(&f);
}

/* ---- out and back ---- */

static void staged_page_comes_back_without_io(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 100);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	assert_int_equal(f.mm->staging.nr, 100);
	assert_int_equal(f.mm->budget.staged, 128); /* two blocks */
	assert_int_equal(fx_slots_used(&f), 100);
	for (unsigned n = 0; n < 100; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(f.store.reads, 0);
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(fx_counted(&f, pgmajfault), 0);
	assert_true(fx_counted(&f, pgfault_staged) > 0);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void written_page_comes_back_through_the_store(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 100);
	fx_swap_out(&f);
	assert_int_equal(f.store.writes, 100);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(folio_pool_in_use(), 0);
	for (unsigned n = 0; n < 100; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(f.store.reads, 100);
	assert_true(fx_counted(&f, pgmajfault) < 100); /* a stream */
	fx_close(&f);
}

static void zero_page_needs_no_store(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 10);
	for (unsigned n = 0; n < 10; n++)
		fx_write(f.sim, n, 0);
	f.store.fail_reads = f.store.fail_writes = true;
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, swpout_zero), 10);
	assert_int_equal(f.mm->staging.nr, 0);
	fx_expect(f.sim, 4, 0);
	assert_int_equal(fx_counted(&f, swpin_zero), 1);
	fx_close(&f);
}

static void random_swapins_bring_one_page_each(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 400);
	fx_swap_out(&f);
	for (unsigned i = 0; i < 20; i++)
		fx_expect(f.sim, i * 157 % 400, 100 + i * 157 % 400);
	assert_int_equal(f.store.reads, 20);
	fx_close(&f);
}

static void page_that_returns_too_soon_is_spared(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_swap_out(&f);
	fx_expect(f.sim, 7, 107);
	assert_int_equal(fx_counted(&f, workingset_activate_anon), 1);
	sw_reclaim_evict(f.mm);
	sw_reclaim_evict(f.mm);
	assert_int_equal(fx_kind(f.sim, 7), SW_WORD_PRESENT);
	fx_evict(&f);
	assert_int_equal(fx_kind(f.sim, 7), SW_WORD_SWAP);
	fx_close(&f);
}

static void page_that_returns_from_staging_is_spared(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 256);
	fx_evict(&f);
	fx_expect(f.sim, 7, 107);
	assert_int_equal(fx_counted(&f, pgfault_staged), 1);
	for (unsigned i = 0; i < 3; i++) {
		sw_reclaim_evict(f.mm);
		assert_int_equal(fx_kind(f.sim, 7), SW_WORD_PRESENT);
	}
	fx_evict(&f);
	assert_int_equal(fx_kind(f.sim, 7), SW_WORD_SWAP);
	fx_close(&f);
}

static uint64_t *word_of(struct fx *f, unsigned n)
{
	struct sw_leaf *leaf = sw_pt_lookup(&f->space->pt, fx_at(n));

	return &leaf->word[sw_leaf_index(fx_at(n))];
}

/* A window so torn up that a batch has no room for the runs of two. */
static void window_that_does_not_fit_a_batch_stays_as_hot_as_it_was(
	void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 2 * SW_WINDOW_PAGES);
	for (unsigned n = 0; n < 2 * SW_WINDOW_PAGES; n++)
		*word_of(&f, n) |= n % 3 ? 2 * SW_WORD_HOT_1 : 0;
	f.mm->impatient = true;
	sw_reclaim_evict(f.mm);
	assert_int_equal(fx_kind(f.sim, SW_WINDOW_PAGES + 2), SW_WORD_SWAP);
	for (unsigned n = 0; n < SW_WINDOW_PAGES; n++)
		assert_int_equal(*word_of(&f, n) & SW_WORD_HOT,
				 n % 3 ? 2 * SW_WORD_HOT_1 : 0);
	fx_close(&f);
}

/* ---- pages that cannot go ---- */

static struct sw_window *window_of(struct fx *f, unsigned n)
{
	return sw_window_of(sw_pt_lookup(&f->space->pt, fx_at(n)),
			    sw_leaf_index(fx_at(n)));
}

static void pinned_page_stays_and_goes_later(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	sw_sim_pin(f.sim, fx_at(4), true);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 1);
	assert_int_equal(fx_kind(f.sim, 4), SW_WORD_PRESENT);
	assert_true(fx_counted(&f, move_busy) > 0);
	sw_sim_pin(f.sim, fx_at(4), false);
	fx_end_rests(&f);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_expect(f.sim, 4, 104);
	fx_close(&f);
}

static void refused_window_is_left_alone_for_some_time(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	sw_sim_refuse(f.sim, fx_at(4), true);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 1);
	assert_true(fx_counted(&f, move_refused) > 0);
	assert_true(sw_sim_calls(f.machine, SW_SIM_TAKE) < 6);
	fx_close(&f);
}

/* Pinned and refused alike: a try costs a system call a page. */
static void window_that_never_moves_is_tried_ever_less(void **state)
{
	struct fx f;
	int32_t rest = 0;

	fx_open(&f);
	fx_fill(f.sim, 0, 200);
	for (unsigned n = 0; n < 200; n++) {
		sw_sim_refuse(f.sim, fx_at(n), n < 100);
		sw_sim_pin(f.sim, fx_at(n), n >= 100);
	}
	for (unsigned tries = 0; tries < 12; tries++) {
		int32_t last = rest;

		fx_end_rests(&f);
		fx_evict(&f);
		for (unsigned n = 0; n < 200; n += 64)
			assert_true(window_of(&f, n)->rest_ms);
		rest = window_of(&f, 0)->rest_ms - sw_now_ms();
		assert_in_range(rest, last > 4000 ? 1000 : last, 5000);
	}
	assert_true(rest > 3000);
	/* One that does move is nothing special any more. */
	sw_sim_refuse(f.sim, fx_at(4), false);
	fx_end_rests(&f);
	fx_evict(&f);
	assert_in_range(window_of(&f, 4)->refusals, 1, 4);
	fx_close(&f);
}

static void page_given_away_unseen_is_a_hole(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 4);
	fx_write(f.sim, 0, 5);
	assert_int_equal(sw_space_note_present(f.space, sw_space_epoch(f.space),
					       fx_at(0), fx_at(4)),
			 0);
	fx_evict(&f);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_SWAP);
	for (unsigned n = 1; n < 4; n++)
		assert_int_equal(fx_kind(f.sim, n), SW_WORD_NONE);
	fx_expect(f.sim, 0, 5);
	fx_close(&f);
}

static void thread_block_is_pinned_once_it_is_back(void **state)
{
	struct fx f;
	uint64_t at = fx_at(2) + 128;

	fx_open(&f);
	fx_fill(f.sim, 0, 4);
	assert_int_equal(sw_sim_write(f.sim, at, at), 0);
	assert_int_equal(sw_sim_write(f.sim, at + 16, at), 0);
	fx_swap_out(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_expect(f.sim, 2, 102);
	fx_swap_out(&f);
	assert_int_equal(sw_space_resident(f.space), 1);
	assert_true(fx_word(f.sim, 2) & SW_WORD_PIN);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(4)); /* a new life begins */
	assert_int_equal(fx_word(f.sim, 2), 0);
	fx_close(&f);
}

static void dead_agent_ends_eviction_and_loses_nothing(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 200);
	sw_sim_kill_agent(f.sim, 100); /* in the middle of a batch */
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 100);
	fx_fill(f.sim, 300, 10);
	assert_int_equal(fx_evict(&f), 0);
	for (unsigned n = 0; n < 200; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

/* ---- trouble ---- */

static void read_error_is_sigbus_and_never_zeros(void **state)
{
	struct fx f;
	uint64_t v;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	fx_swap_out(&f);
	f.store.fail_read = 1;
	assert_int_equal(sw_sim_read(f.sim, fx_at(3), &v), -EIO);
	assert_int_equal(sw_sim_read(f.sim, fx_at(3), &v), -EIO);
	assert_int_equal(sw_sim_write(f.sim, fx_at(3), 1), -EIO);
	assert_int_equal(fx_counted(&f, poisoned), 1);
	assert_int_equal(fx_kind(f.sim, 3), SW_WORD_POISON);
	assert_int_equal(fx_slots_used(&f), 9); /* its slot went */
	fx_expect(f.sim, 4, 104);
	/* The program gives the page away and gets a new one. */
	sw_sim_dontneed(f.sim, fx_at(3), fx_at(4));
	fx_expect(f.sim, 3, 0);
	fx_close(&f);
}

static void read_error_ahead_of_the_fault_costs_nothing(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 30);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 100);
	f.store.fail_read = 3; /* page 3, brought along with page 1 */
	fx_expect(f.sim, 1, 101);
	for (unsigned n = 0; n < 30; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	fx_close(&f);
}

static void store_without_memory_leaves_the_page_staged(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	fx_evict(&f);
	f.store.fail_writes = true;
	f.store.write_err = -ENOMEM;
	assert_int_equal(sw_staging_write(f.mm, 100), 0);
	assert_int_equal(f.mm->staging.nr, 10);
	assert_int_equal(fx_counted(&f, swap_write_error), 1);
	fx_expect(f.sim, 2, 102);
	f.store.fail_writes = false;
	assert_int_equal(sw_staging_write(f.mm, 100), 9);
	for (unsigned n = 0; n < 10; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void bytes_lost_in_staging_are_sigbus(void **state)
{
	struct fx f;
	uint64_t v;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	sw_sim_fail(f.machine, SW_SIM_READ_STAGED, 1, -EIO);
	fx_evict(&f);
	for (unsigned n = 0; n < 10; n++)
		assert_int_equal(sw_sim_read(f.sim, fx_at(n), &v), -EIO);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void page_missing_behind_our_back_is_sigbus(void **state)
{
	struct fx f;
	uint64_t v;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	fx_swap_out(&f);
	fx_write(f.sim, 0, 5);
	/* The kernel says missing, our books say present: not with zeros. */
	sw_sim_change(f.sim, 1);
	sw_sim_munmap_quiet(f.sim, fx_at(0), fx_at(1));
	sw_sim_change(f.sim, -2);
	sw_sim_map(f.sim, fx_at(0), fx_at(1), false);
	assert_int_equal(sw_sim_read(f.sim, fx_at(0), &v), -EIO);
	assert_int_equal(fx_counted(&f, poisoned), 1);
	fx_close(&f);
}

/* Two threads wait for it each time, and the second one's fault was read with the
 * first one's. */
static void page_that_two_want_often_is_not_lost(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	for (unsigned n = 0; n < 1100; n++) {
		while (fx_kind(f.sim, 0) == SW_WORD_PRESENT)
			fx_evict(&f);
		sw_fault(f.space, fx_at(0), 0, 1);
		sw_fault(f.space, fx_at(0), 0, 2);
	}
	assert_int_equal(fx_counted(&f, poisoned), 0);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_PRESENT);
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

static void page_that_many_want_at_once_is_not_lost(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	fx_evict(&f);
	for (unsigned n = 1; n <= 1100; n++)
		sw_fault(f.space, fx_at(0), 0, n);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_PRESENT);
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

/* By a signal, which does not say what a write has met. */
static void write_by_signal(struct fx *f, unsigned n)
{
	sw_fault(f->space, fx_at(n), SW_FAULT_EITHER | SW_FAULT_WRITE, 1);
}

static void protection_that_could_not_be_lifted_is_tried_again(void **state)
{
	struct fx f;

	fx_open_clean(&f);
	for (unsigned n = 0; n < 1100; n++) {
		sw_sim_fail(f.machine, SW_SIM_PROTECT, 1, -ENOMEM);
		write_by_signal(&f, 0);
	}
	assert_int_equal(fx_counted(&f, poisoned), 0);
	write_by_signal(&f, 0);
	(void)fx_counted(&f, pgfault);
	fx_write(f.sim, 0, 7);
	assert_int_equal(fx_counted(&f, pgfault), 0);
	fx_expect(f.sim, 0, 7);
	fx_close(&f);
}

static void full_device_stops_eviction_and_starts_again(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 20, 300);
	fx_fill(f.sim, 0, 600);
	fx_swap_out(&f);
	assert_true(f.mm->full);
	assert_true(sw_space_resident(f.space) >= 300);
	assert_true(fx_slots_used(&f) > 200);
	for (unsigned n = 0; n < 600; n++)
		fx_expect(f.sim, n, 100 + n);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(400));
	fx_swap_out(&f);
	for (unsigned n = 400; n < 600; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(first_touch_reads_zeros),
		fx_test(sequential_touch_maps_many_but_not_beyond_its_mapping),
		fx_test(touch_of_unmapped_memory_is_a_segmentation_fault),
		fx_test(page_present_before_its_first_fault_is_counted),
		fx_test(page_that_was_only_read_counts_from_its_first_write_on),
		fx_test(staged_page_comes_back_without_io),
		fx_test(written_page_comes_back_through_the_store),
		fx_test(zero_page_needs_no_store),
		fx_test(random_swapins_bring_one_page_each),
		fx_test(page_that_returns_too_soon_is_spared),
		fx_test(page_that_returns_from_staging_is_spared),
		fx_test(window_that_does_not_fit_a_batch_stays_as_hot_as_it_was),
		fx_test(pinned_page_stays_and_goes_later),
		fx_test(refused_window_is_left_alone_for_some_time),
		fx_test(window_that_never_moves_is_tried_ever_less),
		fx_test(page_given_away_unseen_is_a_hole),
		fx_test(thread_block_is_pinned_once_it_is_back),
		fx_test(dead_agent_ends_eviction_and_loses_nothing),
		fx_test(read_error_is_sigbus_and_never_zeros),
		fx_test(read_error_ahead_of_the_fault_costs_nothing),
		fx_test(store_without_memory_leaves_the_page_staged),
		fx_test(bytes_lost_in_staging_are_sigbus),
		fx_test(page_missing_behind_our_back_is_sigbus),
		fx_test(page_that_two_want_often_is_not_lost),
		fx_test(page_that_many_want_at_once_is_not_lost),
		fx_test(protection_that_could_not_be_lifted_is_tried_again),
		fx_test(full_device_stops_eviction_and_starts_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
