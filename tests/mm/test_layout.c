/* test_layout.c - munmap, mremap, MADV_DONTNEED and fork over pages in every
 * state, and events that come in another order than the calls were made. */
#include "fixture.h"

/* Pages [first, +nr) in four states: present, staged, written, clean. */
static void four_states(struct fx *f, unsigned first)
{
	fx_fill(f->sim, first, 16);
	fx_swap_out(f);
	for (unsigned n = first; n < first + 12; n++)
		fx_write(f->sim, n, 100 + n);
	fx_evict(f);
	for (unsigned n = first; n < first + 4; n++)
		fx_write(f->sim, n, 100 + n);
	/* 0..3 present, 4..11 staged, 12..15 in the store */
	sw_staging_write(f->mm, 4);
	fx_expect(f->sim, first + 15, 115 + first);
}

static void expect_range(struct sw_sim *sim, unsigned at, unsigned was,
			 unsigned nr)
{
	for (unsigned n = 0; n < nr; n++)
		fx_expect(sim, at + n, 100 + was + n);
}

/* ---- the plain cases ---- */

static void munmap_gives_every_slot_back(void **state)
{
	struct fx f;

	fx_open(&f);
	four_states(&f, 120); /* over the border of two leaves */
	assert_true(fx_slots_used(&f) > 0);
	sw_sim_munmap(f.sim, fx_at(120), fx_at(136));
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(f.mm->budget.resident, 0);
	assert_int_equal(f.space->nr_regions, 0);
	fx_map(f.sim, 120, 16); /* and a new mapping is empty */
	for (unsigned n = 120; n < 136; n++)
		fx_expect(f.sim, n, 0);
	fx_close(&f);
}

static void dontneed_reads_zeros_and_stays_mapped(void **state)
{
	struct fx f;

	fx_open(&f);
	four_states(&f, 120);
	sw_sim_dontneed(f.sim, fx_at(122), fx_at(134));
	expect_range(f.sim, 120, 120, 2);
	for (unsigned n = 122; n < 134; n++)
		fx_expect(f.sim, n, 0);
	expect_range(f.sim, 134, 134, 2);
	assert_int_equal(f.space->nr_regions, 1);
	fx_close(&f);
}

static void mremap_moves_every_kind_of_page(void **state)
{
	struct fx f;

	fx_open(&f);
	four_states(&f, 120);
	sw_sim_mremap(f.sim, fx_at(120), fx_at(700), 16 * PG);
	expect_range(f.sim, 700, 120, 16);
	assert_true(sw_space_has_region(f.space, fx_at(700), fx_at(716)));
	assert_false(sw_space_has_region(f.space, fx_at(120), fx_at(121)));
	fx_map(f.sim, 120, 16);
	for (unsigned n = 120; n < 136; n++)
		fx_expect(f.sim, n, 0);
	fx_close(&f);
}

static void mremap_over_a_mapping_replaces_it(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 700, 16);
	four_states(&f, 120);
	sw_sim_mremap(f.sim, fx_at(120), fx_at(700), 16 * PG);
	expect_range(f.sim, 700, 120, 16);
	sw_sim_munmap(f.sim, fx_at(700), fx_at(716));
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

static void clean_copy_does_not_follow_its_page_to_another_address(void **state)
{
	struct fx f;

	fx_open_clean(&f);
	sw_sim_mremap(f.sim, fx_at(0), fx_at(50), PG);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_write(f.sim, 50, 8); /* still write-protected: reported */
	fx_swap_out(&f);
	fx_expect(f.sim, 50, 8);
	fx_close(&f);
}

static void event_in_a_batch_makes_it_stale(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	sw_sim_change(f.sim, 1); /* some call is under way */
	assert_false(sw_reclaim_evict(f.mm));
	assert_int_equal(sw_space_resident(f.space), 10);
	sw_sim_change(f.sim, -1);
	fx_evict(&f);
	assert_int_equal(sw_space_resident(f.space), 0);
	expect_range(f.sim, 0, 0, 10);
	fx_close(&f);
}

/* ---- events out of order ---- */

/* Pages 0 to 7 and 100 to 107 are in the store. */
static void open_two(struct fx *f)
{
	fx_open(f);
	fx_fill(f->sim, 0, 8);
	fx_fill(f->sim, 100, 8);
	fx_swap_out(f);
}

/* mremap() of eight pages, of which nothing is heard before it is said, */
static void move(struct fx *f, unsigned from, unsigned to)
{
	sw_sim_mremap_quiet(f->sim, fx_at(from), fx_at(to), 8 * PG);
}

/* in two events. */
static void say_moved(struct fx *f, unsigned from, unsigned to)
{
	sw_sim_say_remap(f->sim, fx_at(from), fx_at(to), 8 * PG);
}

static void say_gone(struct fx *f, unsigned first, unsigned nr)
{
	sw_sim_say_unmap(f->sim, fx_at(first), fx_at(first + nr));
}

/* munmap(A) by one thread; mremap(C to A) by another is read first. */
static void late_unmap_does_not_hit_who_moved_in(void **state)
{
	struct fx f;

	open_two(&f);
	sw_sim_munmap_quiet(f.sim, fx_at(0), fx_at(8));
	move(&f, 100, 0);
	say_moved(&f, 100, 0);
	say_gone(&f, 100, 8);
	say_gone(&f, 0, 8);
	expect_range(f.sim, 0, 100, 8);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(8)); /* this one counts */
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(f.space->nr_regions, 0);
	fx_close(&f);
}

/* The same in three unmaps: each pays for its own part, be it the middle, the
 * end or the beginning of what is owed. */
static void late_unmap_of_a_part_pays_for_that_part(void **state)
{
	static const unsigned order[][3] = {
		{ 0, 2, 6 }, { 6, 2, 0 }, { 2, 0, 6 }, { 2, 6, 0 }
	};

	for (unsigned k = 0; k < SW_ARRAY_SIZE(order); k++) {
		struct fx f;

		open_two(&f);
		for (unsigned i = 0; i < 3; i++) {
			unsigned n = order[k][i];

			sw_sim_munmap_quiet(f.sim, fx_at(n),
					    fx_at(n == 2 ? 6 : n + 2));
		}
		move(&f, 100, 0);
		say_moved(&f, 100, 0);
		say_gone(&f, 100, 8);
		for (unsigned i = 0; i < 3; i++)
			say_gone(&f, order[k][i], order[k][i] == 2 ? 4 : 2);
		assert_int_equal(f.space->owed.nr_due, 0);
		expect_range(f.sim, 0, 100, 8);
		sw_sim_munmap(f.sim, fx_at(0), fx_at(8)); /* this one counts */
		assert_int_equal(fx_slots_used(&f), 0);
		assert_int_equal(f.space->nr_regions, 0);
		fx_close(&f);
	}
}

/* The same, with a late unmap that is wider than what moved in. */
static void late_unmap_hits_the_rest_of_its_range(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 24);
	fx_fill(f.sim, 100, 8);
	fx_swap_out(&f);
	sw_sim_munmap_quiet(f.sim, fx_at(0), fx_at(24));
	move(&f, 100, 8);
	say_moved(&f, 100, 8);
	say_gone(&f, 100, 8);
	say_gone(&f, 0, 24);
	expect_range(f.sim, 8, 100, 8);
	for (unsigned n = 0; n < 24; n++)
		if (n < 8 || n >= 16)
			assert_int_equal(fx_word(f.sim, n), 0);
	fx_close(&f);
}

/* mremap(A to B), then mremap(C to A) by another thread; a remap is followed
 * by the unmap of its old range, and that of A comes after C moved in. */
static void unmap_after_a_remap_does_not_hit_who_moved_in(void **state)
{
	struct fx f;

	open_two(&f);
	move(&f, 0, 200);
	move(&f, 100, 0);
	say_moved(&f, 0, 200);
	say_moved(&f, 100, 0);
	say_gone(&f, 0, 8);
	say_gone(&f, 100, 8);
	expect_range(f.sim, 200, 0, 8);
	expect_range(f.sim, 0, 100, 8);
	assert_int_equal(f.space->owed.nr_due + f.space->owed.nr_left, 0);
	assert_int_equal(f.space->owed.nr_doubt, 0); /* the kernel was asked */
	assert_int_equal(f.space->nr_regions, 2);
	fx_close(&f);
}

/* The same, but before the unmap of A is read new memory is mapped there, moved
 * away, and C comes: what is not registered is owed nothing. */
static void late_unmap_does_not_hit_the_next_but_one(void **state)
{
	struct fx f;

	open_two(&f);
	move(&f, 0, 200);
	say_moved(&f, 0, 200);
	sw_sim_map(f.sim, fx_at(0), fx_at(8), true);
	assert_int_equal(sw_space_forget(f.space, fx_at(0), fx_at(8)), -EAGAIN);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(8)); /* and says nothing */
	move(&f, 100, 0);
	say_moved(&f, 100, 0);
	say_gone(&f, 100, 8);
	say_gone(&f, 0, 8);
	expect_range(f.sim, 0, 100, 8);
	fx_close(&f);
}

/* Our books had something where nothing was: who moved in is owed an unmap that
 * never comes, and its own is taken for it. */
static void debt_that_was_none_keeps_nothing(void **state)
{
	struct fx f;

	open_two(&f);
	sw_sim_replace_unseen(f.sim, fx_at(0), fx_at(8));
	sw_sim_mremap(f.sim, fx_at(100), fx_at(0), 8 * PG);
	assert_int_equal(f.space->owed.nr_due, 1);
	expect_range(f.sim, 0, 100, 8);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(8));
	assert_int_equal(f.space->owed.nr_due, 0);
	assert_int_equal(f.space->owed.nr_doubt, 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_map(f.sim, 0, 8);
	for (unsigned n = 0; n < 8; n++)
		fx_expect(f.sim, n, 0);
	fx_close(&f);
}

/* Once its unmap was read nothing is in the way of new memory. */
static void new_memory_where_a_remap_left_is_added(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 8);
	move(&f, 0, 200);
	say_moved(&f, 0, 200);
	sw_sim_map(f.sim, fx_at(0), fx_at(8), true);
	assert_int_equal(sw_space_forget(f.space, fx_at(0), fx_at(8)), -EAGAIN);
	say_gone(&f, 0, 8);
	assert_int_equal(f.space->owed.nr_left, 0);
	assert_int_equal(sw_space_forget(f.space, fx_at(0), fx_at(8)), 0);
	fx_close(&f);
}

/* mremap(A to B), then mremap(C to A) by another thread, which unmaps A before
 * the first one says so: taken for the first one's, it leaves words behind. */
static void open_come_and_gone(struct fx *f)
{
	open_two(f);
	move(f, 0, 200);
	say_moved(f, 0, 200);
	move(f, 100, 0);
	say_moved(f, 100, 0);
	say_gone(f, 100, 8);
	sw_sim_munmap_quiet(f->sim, fx_at(0), fx_at(8));
	say_gone(f, 0, 8);
	assert_int_equal(f->space->owed.nr_doubt, 1);
}

static void child_does_not_inherit_what_came_and_went(void **state)
{
	struct sw_space *space;
	struct sw_sim *child;
	struct fx f;

	open_come_and_gone(&f);
	child = sw_sim_fork(f.sim);
	space = sw_sim_mmu(child)->space;
	assert_int_equal(space->nr_regions, 1);
	assert_int_equal(space->owed.nr_doubt, 0);
	fx_map(child, 0, 8);
	for (unsigned n = 0; n < 8; n++)
		fx_expect(child, n, 0);
	expect_range(child, 200, 0, 8);
	assert_false(sw_space_has_region(f.space, fx_at(0), fx_at(8)));
	say_gone(&f, 0, 8);
	assert_int_equal(f.space->owed.nr_doubt, 0);
	assert_int_equal(f.space->nr_regions, 1);
	expect_range(f.sim, 200, 0, 8);
	fx_end(child);
	fx_close(&f);
}

/* Nor when it changes its layout before it can be asked. */
static void child_in_doubt_asks_again(void **state)
{
	struct sw_space *space;
	struct sw_sim *child;
	struct fx f;

	open_come_and_gone(&f);
	sw_sim_fail(f.machine, SW_SIM_LOOKUP, 1, -EAGAIN);
	child = sw_sim_fork(f.sim);
	space = sw_sim_mmu(child)->space;
	assert_int_equal(space->owed.nr_doubt, 0);
	assert_int_equal(space->nr_regions, 1);
	say_gone(&f, 0, 8);
	fx_end(child);
	fx_close(&f);
}

/* Who is still there stays, in the child too. */
static void doubt_does_not_hit_who_stayed(void **state)
{
	struct sw_sim *child;
	struct fx f;

	open_two(&f);
	sw_sim_change(f.sim, 1); /* nobody can be asked */
	move(&f, 0, 200);
	move(&f, 100, 0);
	say_moved(&f, 0, 200);
	say_moved(&f, 100, 0);
	say_gone(&f, 0, 8);
	say_gone(&f, 100, 8);
	assert_int_equal(f.space->owed.nr_doubt, 1);
	child = sw_sim_fork(f.sim);
	expect_range(child, 0, 100, 8);
	sw_sim_change(f.sim, -1);
	expect_range(f.sim, 0, 100, 8);
	assert_int_equal(f.space->owed.nr_doubt, 0);
	assert_true(sw_space_has_region(f.space, fx_at(0), fx_at(8)));
	fx_end(child);
	fx_close(&f);
}

/* What a remap left is no region: not ours, and not a child's. */
static void range_that_a_remap_left_is_no_region(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 8);
	move(&f, 0, 200);
	say_moved(&f, 0, 200);
	child = sw_sim_fork(f.sim); /* before the unmap is read */
	assert_int_equal(f.space->nr_regions, 1);
	assert_int_equal(
		((struct sw_space *)sw_sim_mmu(child)->space)->nr_regions, 1);
	say_gone(&f, 0, 8);
	expect_range(child, 200, 0, 8);
	fx_end(child);
	fx_close(&f);
}

/* Swap of two ranges through a third, by one thread: all in order. */
static void ranges_change_places(void **state)
{
	struct fx f;

	open_two(&f);
	sw_sim_mremap(f.sim, fx_at(0), fx_at(200), 8 * PG);
	sw_sim_mremap(f.sim, fx_at(100), fx_at(0), 8 * PG);
	sw_sim_mremap(f.sim, fx_at(200), fx_at(100), 8 * PG);
	expect_range(f.sim, 100, 0, 8);
	expect_range(f.sim, 0, 100, 8);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(108));
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(f.space->owed.nr_due, 0);
	assert_int_equal(f.space->owed.nr_left, 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(munmap_gives_every_slot_back),
		fx_test(dontneed_reads_zeros_and_stays_mapped),
		fx_test(mremap_moves_every_kind_of_page),
		fx_test(mremap_over_a_mapping_replaces_it),
		fx_test(clean_copy_does_not_follow_its_page_to_another_address),
		fx_test(event_in_a_batch_makes_it_stale),
		fx_test(late_unmap_does_not_hit_who_moved_in),
		fx_test(late_unmap_of_a_part_pays_for_that_part),
		fx_test(late_unmap_hits_the_rest_of_its_range),
		fx_test(unmap_after_a_remap_does_not_hit_who_moved_in),
		fx_test(late_unmap_does_not_hit_the_next_but_one),
		fx_test(debt_that_was_none_keeps_nothing),
		fx_test(new_memory_where_a_remap_left_is_added),
		fx_test(child_does_not_inherit_what_came_and_went),
		fx_test(child_in_doubt_asks_again),
		fx_test(doubt_does_not_hit_who_stayed),
		fx_test(range_that_a_remap_left_is_no_region),
		fx_test(ranges_change_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
