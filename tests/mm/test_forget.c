/* test_forget.c - words of memory that ended unseen, and of memory that only
 * seems to have ended. */
#include "fixture.h"

static void expect_range(struct fx *f, unsigned at, unsigned was, unsigned nr)
{
	for (unsigned n = 0; n < nr; n++)
		fx_expect(f->sim, at + n, 100 + was + n);
}

static int forget(struct fx *f, unsigned first, unsigned nr)
{
	return sw_space_forget(f->space, fx_at(first), fx_at(first + nr));
}

/* Pages [first, first + nr), a half of them out. */
static void half_out(struct fx *f, unsigned first, unsigned nr)
{
	fx_fill(f->sim, first, nr);
	fx_swap_out(f);
	for (unsigned n = first; n < first + nr; n += 2)
		fx_expect(f->sim, n, 100 + n);
}

static void what_was_replaced_unseen_is_forgotten(void **state)
{
	struct fx f;

	fx_open(&f);
	half_out(&f, 120, 20); /* over the border of two leaves */
	sw_sim_replace_unseen(f.sim, fx_at(120), fx_at(140));
	assert_true(fx_slots_used(&f) > 0);
	assert_int_equal(forget(&f, 120, 20), 0);
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(f.mm->budget.resident, 0);
	assert_int_equal(f.space->nr_regions, 0);
	sw_sim_munmap(f.sim, fx_at(120), fx_at(140));
	fx_map(f.sim, 100, 60); /* private memory again */
	for (unsigned n = 100; n < 160; n++)
		fx_expect(f.sim, n, 0);
	fx_close(&f);
}

static void what_is_there_is_not_forgotten(void **state)
{
	struct fx f;

	fx_open(&f);
	half_out(&f, 0, 20);
	assert_int_equal(forget(&f, 0, 20), 0);
	assert_int_equal(forget(&f, 7, 1000), 0);
	assert_true(sw_space_has_region(f.space, fx_at(0), fx_at(20)));
	expect_range(&f, 0, 0, 20);
	fx_close(&f);
}

/* The list said one mapping where there are two by now. */
static void only_the_part_that_is_gone_is_forgotten(void **state)
{
	struct fx f;

	fx_open(&f);
	half_out(&f, 0, 20);
	sw_sim_replace_unseen(f.sim, fx_at(0), fx_at(8));
	assert_int_equal(forget(&f, 0, 20), 0);
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(fx_kind(f.sim, n), SW_WORD_NONE);
	assert_false(sw_space_has_region(f.space, fx_at(7), fx_at(8)));
	assert_true(sw_space_has_region(f.space, fx_at(8), fx_at(20)));
	expect_range(&f, 8, 8, 12);
	fx_close(&f);
}

/* ---- what moved, and nobody knows yet ---- */

static void a_move_that_was_not_read_keeps_its_words(void **state)
{
	uint64_t epoch;
	struct fx f;

	fx_open(&f);
	half_out(&f, 0, 20);
	epoch = sw_space_epoch(f.space);
	sw_sim_mremap_quiet(f.sim, fx_at(0), fx_at(200), 20 * PG);
	assert_int_equal(sw_space_epoch(f.space), epoch);
	assert_int_equal(forget(&f, 0, 20), -EAGAIN);
	sw_sim_say_remap(f.sim, fx_at(0), fx_at(200), 20 * PG);
	sw_sim_say_unmap(f.sim, fx_at(0), fx_at(20));
	assert_int_equal(forget(&f, 0, 20), 0);
	expect_range(&f, 200, 0, 20);
	fx_close(&f);
}

static struct fx *moving;
static const struct sw_mmu_ops *plain_ops;
static unsigned lookups;

/* The program moves its memory between the look for an event and that for the
 * mapping. */
static int lookup_beside_a_move(struct sw_mmu *mmu, uint64_t addr)
{
	if (lookups++)
		return plain_ops->lookup(mmu, addr);
	sw_sim_mremap_quiet(moving->sim, fx_at(0), fx_at(200), 20 * PG);
	return -ENOENT;
}

static void a_move_beside_the_question_keeps_its_words(void **state)
{
	struct sw_mmu_ops ops;
	struct fx f;

	fx_open(&f);
	half_out(&f, 0, 20);
	moving = &f;
	plain_ops = f.space->mmu->ops;
	ops = *plain_ops;
	ops.lookup = lookup_beside_a_move;
	f.space->mmu->ops = &ops;
	assert_int_equal(forget(&f, 0, 20), -EAGAIN);
	f.space->mmu->ops = plain_ops;
	assert_int_equal(lookups, 2);
	sw_sim_say_remap(f.sim, fx_at(0), fx_at(200), 20 * PG);
	sw_sim_say_unmap(f.sim, fx_at(0), fx_at(20));
	expect_range(&f, 200, 0, 20);
	fx_close(&f);
}

/* It was read, with others, and waits behind them for pages in flight. */
static void a_move_that_waits_keeps_its_words(void **state)
{
	struct fx f;

	fx_open(&f);
	half_out(&f, 0, 20);
	sw_sim_replace_unseen(f.sim, fx_at(0), fx_at(20));
	f.space->event_waits = true;
	assert_int_equal(forget(&f, 0, 20), -EAGAIN);
	assert_int_equal(fx_kind(f.sim, 1), SW_WORD_SWAP);
	f.space->event_waits = false;
	assert_int_equal(forget(&f, 0, 20), 0);
	assert_int_equal(fx_kind(f.sim, 1), SW_WORD_NONE);
	fx_close(&f);
}

static void pages_in_flight_are_not_forgotten(void **state)
{
	struct sw_leaf *leaf;
	struct fx f;

	fx_open(&f);
	half_out(&f, 128, 20);
	sw_sim_replace_unseen(f.sim, fx_at(128), fx_at(148));
	leaf = sw_pt_lookup(&f.space->pt, fx_at(130));
	sw_window_take(leaf, sw_leaf_index(fx_at(130)));
	assert_int_equal(forget(&f, 128, 20), -EAGAIN);
	assert_int_equal(fx_kind(f.sim, 129), SW_WORD_SWAP);
	sw_space_lock(f.space);
	sw_window_give(f.space, leaf, sw_leaf_index(fx_at(130)));
	sw_space_unlock(f.space);
	assert_int_equal(forget(&f, 128, 20), 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(what_was_replaced_unseen_is_forgotten),
		fx_test(what_is_there_is_not_forgotten),
		fx_test(only_the_part_that_is_gone_is_forgotten),
		fx_test(a_move_that_was_not_read_keeps_its_words),
		fx_test(a_move_beside_the_question_keeps_its_words),
		fx_test(a_move_that_waits_keeps_its_words),
		fx_test(pages_in_flight_are_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
