/*
 * test_drain.c - a device that failed is emptied: what can be read moves
 * elsewhere, what cannot stays where it is, and the device does as well.
 */
#include "fixture.h"

#define ENOUGH 16  /* errors until a device is given up */
#define HELD   300 /* pages that it holds then, beside these */

static bool go_on(void *arg, uint64_t left, uint64_t total)
{
	assert_true(left <= total);
	return !arg;
}

static int drain(struct fx *f)
{
	return sw_mm_drain(f->mm, f->type, &(struct sw_off){ go_on, NULL });
}

static bool is_to_be_drained(struct fx *f)
{
	return sw_mm_to_drain(f->mm) >> f->type & 1;
}

static uint64_t used(int type)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(type, &info));
	return info.used;
}

/* The device holds pages [0, HELD), and as many more as it takes for it to fail
 * are to be written. */
static void open_before(struct fx *f, uint64_t budget)
{
	fx_open_sized(f, budget, FX_SLOTS);
	fx_keep_small(f);
	fx_fill(f->sim, 0, HELD);
	while (fx_evict(f) || f->mm->staging.nr)
		sw_staging_write(f->mm, 1 << 20);
	assert_int_equal(used(f->type), HELD);
	fx_fill(f->sim, HELD, ENOUGH);
	fx_evict(f);
}

/* They are refused, and kept in memory. */
static void let_it_fail(struct fx *f, int err)
{
	f->store.write_err = err;
	f->store.fail_writes = true;
	sw_staging_write(f->mm, 1 << 20);
	f->store.fail_writes = false;
	assert_int_equal(fx_counted(f, swap_device_failed), 1);
}

static void open_failed(struct fx *f, uint64_t budget)
{
	open_before(f, budget);
	let_it_fail(f, -EIO);
}

static void other_on(struct fx *f, uint64_t slots)
{
	f->other_type = fx_store_on(&f->other, slots, -1);
}

static void expect_still_failed(struct fx *f)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(f->type, &info));
	assert_true(info.flags & SWP_FAILED);
	assert_false(info.flags & SWP_WRITEOK);
	assert_int_equal(swap_check(NULL, NULL), 0);
}

static int type_of(struct fx *f, unsigned n)
{
	return swp_type(sw_word_entry(fx_word(f->sim, n)));
}

static void what_a_failed_device_holds_moves_and_the_device_stays(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	assert_true(is_to_be_drained(&f));
	other_on(&f, 1000);
	assert_int_equal(drain(&f), 0);
	assert_false(is_to_be_drained(&f));
	assert_int_equal(used(f.type), 0);
	expect_still_failed(&f);
	/* Those that could not be written are in memory no longer. */
	assert_int_equal(used(f.other_type), HELD + ENOUGH);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(sw_sim_resident(f.sim), 0);
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_close(&f);
}

static void without_another_device_it_comes_back(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	assert_int_equal(drain(&f), 0);
	assert_int_equal(used(f.type), 0);
	assert_int_equal(sw_sim_resident(f.sim), HELD + ENOUGH);
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_close(&f);
}

/* A page that is in memory, with a copy on the device that it would go out to
 * without being written. */
static void clean_copies_are_forgotten(void **state)
{
	struct fx f;

	open_before(&f, 1 << 20);
	fx_expect_filled(f.sim, 0, 100);
	assert_true(fx_word(f.sim, 7) & SW_WORD_CLEAN);
	let_it_fail(&f, -EIO);
	assert_int_equal(used(f.type), HELD + ENOUGH);
	other_on(&f, 1000);
	assert_int_equal(drain(&f), 0);
	assert_int_equal(used(f.type), 0);
	fx_swap_out(&f);
	assert_int_equal(type_of(&f, 7), f.other_type);
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_close(&f);
}

static void who_does_not_answer_is_not_drained(void **state)
{
	struct fx f;

	open_before(&f, 1 << 20);
	let_it_fail(&f, -ETIMEDOUT);
	assert_false(is_to_be_drained(&f));
	fx_close(&f);
}

static void who_stops_answering_is_not_drained_either(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	sw_device_judge(f.mm, f.type, -ETIMEDOUT);
	assert_false(is_to_be_drained(&f));
	fx_close(&f);
}

/* ---- what cannot be read ---- */

static void what_cannot_be_read_stays_on_the_device(void **state)
{
	struct sw_sim *child;
	struct fx f;

	open_failed(&f, 1 << 20);
	child = sw_sim_fork(f.sim);
	f.store.lost_slot = swp_offset(sw_word_entry(fx_word(f.sim, 37)));
	other_on(&f, 1000);
	assert_int_equal(drain(&f), -ENODATA);
	assert_false(is_to_be_drained(&f));
	assert_int_equal(used(f.type), 1);
	assert_int_equal(used(f.other_type), HELD + ENOUGH - 1);
	assert_int_equal(type_of(&f, 37), f.type);
	assert_int_equal(fx_count_of(f.sim, 37), 2);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	expect_still_failed(&f);
	/* Perhaps the device can do it later. */
	f.store.lost_slot = 0;
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_expect_filled(child, 0, HELD + ENOUGH);
	fx_end(child);
	fx_close(&f);
}

static void whoever_wants_what_cannot_be_read_is_told(void **state)
{
	uint64_t value;
	struct fx f;

	open_failed(&f, 1 << 20);
	f.store.lost_slot = swp_offset(sw_word_entry(fx_word(f.sim, 37)));
	other_on(&f, 1000);
	assert_int_equal(drain(&f), -ENODATA);
	assert_int_equal(sw_sim_read(f.sim, fx_at(37), &value), -EIO);
	assert_int_equal(used(f.type), 0);
	fx_close(&f);
}

static void who_can_read_nothing_is_soon_left_alone(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	other_on(&f, 1000);
	f.store.fail_reads = true;
	assert_int_equal(drain(&f), -EIO);
	f.store.fail_reads = false;
	assert_false(is_to_be_drained(&f));
	assert_true(used(f.type) >= HELD);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_close(&f);
}

/* ---- not now ---- */

static void without_room_nothing_is_begun(void **state)
{
	unsigned ready;
	struct fx f;

	open_failed(&f, HELD);
	fx_fill(f.sim, HELD + ENOUGH, HELD - ENOUGH);
	other_on(&f, 100);
	sw_evict_prepare(f.mm, &f.mm->ev);
	ready = f.mm->ev.nr_ready;
	assert_true(ready > 0);
	assert_int_equal(drain(&f), -ENOSPC);
	assert_true(is_to_be_drained(&f));
	assert_int_equal(used(f.type), HELD + ENOUGH);
	/* Reclaim goes on with what it has. */
	assert_int_equal(f.mm->ev.nr_ready, ready);
	/* There is room when others need less. */
	sw_sim_munmap(f.sim, fx_at(HELD + ENOUGH), fx_at(2 * HELD));
	sw_evict_unprepare(&f.mm->ev);
	assert_int_equal(drain(&f), 0);
	assert_int_equal(used(f.type), 0);
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	fx_close(&f);
}

static void called_off_it_is_begun_again(void **state)
{
	struct sw_off stop = { go_on, "now" };
	struct fx f;

	open_failed(&f, 1 << 20);
	other_on(&f, 1000);
	assert_int_equal(sw_mm_drain(f.mm, f.type, &stop), -EINTR);
	assert_true(is_to_be_drained(&f));
	assert_true(used(f.type) > 0);
	expect_still_failed(&f);
	assert_int_equal(drain(&f), 0);
	assert_int_equal(used(f.type), 0);
	fx_close(&f);
}

static void a_frozen_session_is_left_alone(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	assert_true(sw_freeze_go(f.mm, SW_THAWED, SW_FROZEN));
	assert_int_equal(drain(&f), -EINTR);
	assert_int_equal(used(f.type), HELD + ENOUGH);
	assert_true(sw_freeze_go(f.mm, SW_FROZEN, SW_THAWED));
	assert_int_equal(drain(&f), 0);
	fx_close(&f);
}

static void who_goes_off_is_not_drained_any_more(void **state)
{
	struct fx f;

	open_failed(&f, 1 << 20);
	assert_int_equal(
		sw_mm_swapoff(f.mm, f.type, &(struct sw_off){ go_on, NULL }),
		0);
	assert_false(is_to_be_drained(&f));
	fx_expect_filled(f.sim, 0, HELD + ENOUGH);
	f.type = -1;
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(what_a_failed_device_holds_moves_and_the_device_stays),
		fx_test(without_another_device_it_comes_back),
		fx_test(clean_copies_are_forgotten),
		fx_test(who_does_not_answer_is_not_drained),
		fx_test(who_stops_answering_is_not_drained_either),
		fx_test(what_cannot_be_read_stays_on_the_device),
		fx_test(whoever_wants_what_cannot_be_read_is_told),
		fx_test(who_can_read_nothing_is_soon_left_alone),
		fx_test(without_room_nothing_is_begun),
		fx_test(called_off_it_is_begun_again),
		fx_test(a_frozen_session_is_left_alone),
		fx_test(who_goes_off_is_not_drained_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
