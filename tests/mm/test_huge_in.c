/* test_huge_in.c - huge pages of the program come back as huge pages. */
#include "huge.h"

/* Huge pages in leaves [0, nr), all of them in the store. */
static void open_swapped_out(struct fx *f, unsigned nr)
{
	fx_open(f);
	fill(f, 0, nr);
	fx_swap_out(f);
	assert_int_equal(sw_space_resident(f->space), 0);
	assert_int_equal(fx_counted(f, thp_swpout), nr);
	f->store.reads = f->store.read_calls = 0;
}

static void stream_brings_it_whole(void **state)
{
	struct fx f;

	open_swapped_out(&f, 3);
	expect_leaf(&f, 0);
	assert_int_equal(nr_present(f.sim, 1), 0);
	f.store.read_calls = 0;
	fx_expect(f.sim, LEAF(1), 100 + LEAF(1));
	assert_int_equal(f.store.read_calls, 1);
	assert_int_equal(nr_present(f.sim, 1), HUGE);
	assert_true(is_huge(f.sim, 1));
	expect_leaf(&f, 1);
	expect_leaf(&f, 2);
	assert_int_equal(f.store.read_calls, 2);
	assert_int_equal(fx_counted(&f, thp_restored), 2);
	assert_int_equal(fx_counted(&f, swpin_2048kB), 2);
	assert_int_equal(fx_counted(&f, swpin_fallback_2048kB), 0);
	assert_true(fx_counted(&f, swap_ra_hit) >= 511);
	/* They are the program's to write, and nobody's copies. */
	for (unsigned n = LEAF(1); n < LEAF(3); n++)
		fx_write(f.sim, n, 100 + n);
	assert_int_equal(fx_check_space(f.space), 0);
	fx_swap_out(&f);
	assert_int_equal(fx_counted(&f, thp_swpout), 2);
	expect_leaf(&f, 1);
	fx_close(&f);
}

static void backward_stream_brings_it_whole(void **state)
{
	struct fx f;

	open_swapped_out(&f, 3);
	for (unsigned n = LEAF(3); n-- > LEAF(0);)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(fx_counted(&f, thp_restored), 2);
	assert_true(is_huge(f.sim, 0));
	fx_close(&f);
}

static void it_comes_whole_out_of_the_buffer(void **state)
{
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 2);
	fx_evict(&f);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	assert_true(is_huge(f.sim, 1));
	assert_int_equal(fx_counted(&f, thp_restored), 1);
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void single_fault_brings_one_page(void **state)
{
	struct fx f;

	open_swapped_out(&f, 2);
	fx_expect(f.sim, LEAF(1), 100 + LEAF(1));
	fx_expect(f.sim, LEAF(1) + 300, 100 + LEAF(1) + 300);
	assert_int_equal(nr_present(f.sim, 1), 2);
	/* And what was wanted by the page comes back small for good. */
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	assert_int_equal(fx_counted(&f, thp_restored), 0);
	assert_false(leaf_of(&f, 1)->was_huge);
	fx_close(&f);
}

/* Whoever leaves what it brought is lent no more. */
static void waste_of_huge_pages_has_a_limit(void **state)
{
	struct fx f;

	open_swapped_out(&f, 6);
	for (unsigned n = 0; n < 6; n += 2) {
		expect_pages(f.sim, LEAF(n) + 256, 256);
		fx_expect(f.sim, LEAF(n + 1), 100 + LEAF(n + 1));
	}
	assert_int_equal(nr_present(f.sim, 1), HUGE);
	assert_int_equal(nr_present(f.sim, 3), HUGE);
	assert_in_range(nr_present(f.sim, 5), 1, 64);
	assert_int_equal(fx_counted(&f, thp_restored), 2);
	fx_close(&f);
}

static void advice_brings_it_whole(void **state)
{
	struct fx f;

	open_swapped_out(&f, 2);
	sw_sim_advise(f.sim, fx_at(LEAF(0)), fx_at(LEAF(1) + 100),
		      SW_ADVICE_WILLNEED);
	assert_true(is_huge(f.sim, 0));
	assert_int_equal(nr_present(f.sim, 1), 100);
	assert_int_equal(fx_counted(&f, thp_restored), 1);
	assert_int_equal(fx_counted(&f, advice_in), HUGE + 100);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	fx_close(&f);
}

static void partly_zapped_one_comes_back_by_pages(void **state)
{
	struct fx f;

	open_swapped_out(&f, 2);
	sw_sim_dontneed(f.sim, fx_at(LEAF(1) + 10), fx_at(LEAF(1) + 20));
	expect_leaf(&f, 0);
	expect_pages(f.sim, LEAF(1), 10);
	for (unsigned n = LEAF(1) + 10; n < LEAF(1) + 20; n++)
		fx_expect(f.sim, n, 0);
	expect_pages(f.sim, LEAF(1) + 20, HUGE - 20);
	assert_int_equal(fx_counted(&f, thp_restored), 0);
	fx_close(&f);
}

static void both_sides_of_a_fork_have_it_whole(void **state)
{
	struct sw_sim *child;
	struct fx f;

	open_swapped_out(&f, 2);
	child = sw_sim_fork(f.sim);
	for (unsigned n = LEAF(0); n < LEAF(1); n++)
		assert_int_equal(fx_count_of(f.sim, n), 2);
	expect_pages(child, LEAF(0), 2 * HUGE);
	assert_true(is_huge(child, 1));
	for (unsigned n = LEAF(1); n < LEAF(2); n++)
		fx_write(child, n, 7);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	assert_true(is_huge(f.sim, 1));
	assert_int_equal(fx_counted(&f, thp_restored), 2);
	fx_end(child);
	fx_close(&f);
}

/* The folio stays for the side that has not come yet. */
static void staged_one_serves_both_sides_of_a_fork(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 2);
	fx_evict(&f);
	child = sw_sim_fork(f.sim);
	expect_pages(child, LEAF(0), 2 * HUGE);
	assert_true(is_huge(child, 1));
	assert_int_equal(f.mm->staging.nr, 2 * HUGE);
	sw_staging_write(f.mm, 1 << 20);
	expect_leaf(&f, 0);
	expect_leaf(&f, 1);
	assert_true(is_huge(f.sim, 1));
	fx_end(child);
	fx_close(&f);
}

/* The kernel moves nothing that is shared: the copy it makes first is small. */
static void fork_of_a_present_one_loses_nothing(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fill(&f, 0, 1);
	sw_sim_announce_fork(f.sim);
	child = sw_sim_fork(f.sim);
	fx_write(f.sim, LEAF(0) + 9, 7);
	f.mm->take_shared = 1 << 20;
	fx_swap_out(&f);
	fx_expect(f.sim, LEAF(0) + 9, 7);
	fx_write(f.sim, LEAF(0) + 9, 100 + LEAF(0) + 9);
	expect_leaf(&f, 0);
	expect_pages(child, LEAF(0), HUGE);
	fx_end(child);
	fx_close(&f);
}

static void busy_agent_leaves_it_to_come_by_pages(void **state)
{
	struct fx f;

	open_swapped_out(&f, 2);
	expect_leaf(&f, 0);
	sw_sim_fail(f.machine, SW_SIM_BRING, 1, -EBUSY);
	expect_leaf(&f, 1);
	assert_int_equal(fx_counted(&f, thp_restored), 0);
	assert_int_equal(f.store.reads, 3 * HUGE);
	fx_close(&f);
}

/* A page that the program has although it is out by our books is newer, and
 * what lies behind it does not come with the others. */
static void page_in_the_way_is_kept(void **state)
{
	uint64_t page[SW_PAGE_SIZE / 8] = { 7 };
	struct sw_mmu *mmu;
	struct fx f;

	open_swapped_out(&f, 2);
	mmu = sw_sim_mmu(f.sim);
	assert_int_equal(mmu->ops->copy(mmu, fx_at(LEAF(1) + 70), page, 1, 0),
			 1);
	expect_leaf(&f, 0);
	fx_expect(f.sim, LEAF(1), 100 + LEAF(1));
	assert_int_equal(nr_present(f.sim, 1), 71);
	fx_expect(f.sim, LEAF(1) + 70, 7);
	expect_pages(f.sim, LEAF(1), 70);
	expect_pages(f.sim, LEAF(1) + 71, HUGE - 71);
	assert_int_equal(fx_counted(&f, thp_restored), 0);
	fx_close(&f);
}

static void one_unreadable_slot_costs_one_page(void **state)
{
	unsigned lost = 0;
	uint64_t v, slot;
	struct fx f;

	open_swapped_out(&f, 2);
	slot = swp_offset(sw_word_entry(fx_word(f.sim, LEAF(1) + 77)));
	f.store.used[slot] = false;
	expect_leaf(&f, 0);
	for (unsigned n = LEAF(1); n < LEAF(2); n++) {
		if (sw_sim_read(f.sim, fx_at(n), &v))
			lost++;
		else
			assert_int_equal(v, 100 + n);
	}
	assert_int_equal(lost, 1);
	assert_int_equal(fx_counted(&f, swpin_fallback_2048kB), 1);
	fx_close(&f);
}

static void without_room_it_comes_by_pages(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 17, FX_SLOTS);
	fill(&f, 0, 2);
	fx_swap_out(&f);
	expect_leaf(&f, 0);
	sw_mm_set_unmanaged(f.mm, (1 << 17) - HUGE - 300);
	fx_expect(f.sim, LEAF(1), 100 + LEAF(1));
	assert_in_range(nr_present(f.sim, 1), 1, 64);
	sw_mm_set_unmanaged(f.mm, 0);
	expect_leaf(&f, 1);
	assert_int_equal(fx_counted(&f, thp_restored), 0);
	fx_close(&f);
}

static void moved_one_is_found(void **state)
{
	struct fx f;

	open_swapped_out(&f, 2);
	sw_sim_mremap(f.sim, fx_at(LEAF(0)), fx_at(LEAF(4) + 3), HUGE * PG);
	expect_leaf(&f, 1);
	for (unsigned n = 0; n < HUGE; n++)
		fx_expect(f.sim, LEAF(4) + 3 + n, 100 + LEAF(0) + n);
	fx_close(&f);
}

static void huge_page_of_zeros_is_one_mark(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, LEAF(0), 2 * HUGE);
	for (unsigned n = LEAF(0); n < LEAF(2); n++)
		fx_write(f.sim, n, 0);
	assert_true(sw_sim_collapse(f.sim, fx_at(LEAF(0))));
	assert_true(sw_sim_collapse(f.sim, fx_at(LEAF(1))));
	fx_swap_out(&f);
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(fx_counted(&f, swpout_zero), 2 * HUGE);
	for (unsigned n = LEAF(0); n < LEAF(2); n++)
		fx_expect(f.sim, n, 0);
	assert_int_equal(f.store.reads, 0);
	assert_true(is_huge(f.sim, 1));
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(stream_brings_it_whole),
		fx_test(backward_stream_brings_it_whole),
		fx_test(it_comes_whole_out_of_the_buffer),
		fx_test(single_fault_brings_one_page),
		fx_test(waste_of_huge_pages_has_a_limit),
		fx_test(advice_brings_it_whole),
		fx_test(partly_zapped_one_comes_back_by_pages),
		fx_test(both_sides_of_a_fork_have_it_whole),
		fx_test(staged_one_serves_both_sides_of_a_fork),
		fx_test(fork_of_a_present_one_loses_nothing),
		fx_test(busy_agent_leaves_it_to_come_by_pages),
		fx_test(page_in_the_way_is_kept),
		fx_test(one_unreadable_slot_costs_one_page),
		fx_test(without_room_it_comes_by_pages),
		fx_test(moved_one_is_found),
		fx_test(huge_page_of_zeros_is_one_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
