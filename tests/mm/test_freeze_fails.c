/*
 * test_freeze_fails.c - disks that fail or are late, calls that are taken back,
 * and no memory, while a session is put aside or comes back: it goes on as it
 * was or stays frozen, and what is lost is told.
 */
#include "frozen.h"

/* The nth write to the disk. */
static bool fails_at(unsigned nth)
{
	struct frozen z;
	bool failed;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	z.f.store.fail_write = nth;
	failed = freeze(&z, true, false) == -EIO;
	z.f.store.fail_write = 0;
	if (failed) {
		assert_false(info_of(&z).frozen);
		assert_int_equal(fx_slots_used(&z.f), 0);
		assert_int_equal(nr_used(&z.mem), 300);
		assert_int_equal(z.f.store.reads, 0);
	} else {
		assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	}
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
	return failed;
}

static void failed_write_leaves_the_session_as_it_was(void **state)
{
	unsigned nth = 1;

	sw_log_set_level(SW_LOG_ERROR);
	while (fails_at(nth))
		nth++;
	assert_true(nth > 3);
}

/* What was not answered in time may reach the slots whenever it likes. */
static void slots_of_a_late_write_are_never_used_again(void **state)
{
	struct sw_swap_device_info info;
	struct frozen z;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	z.f.store.fail_write = 2;
	z.f.store.write_err = -ETIMEDOUT;
	assert_int_equal(freeze(&z, true, false), -ETIMEDOUT);
	assert_false(info_of(&z).frozen);
	assert_int_equal(fx_slots_used(&z.f), 0);
	assert_true(swap_device_info(z.f.type, &info));
	assert_int_equal(info.condemned, 64);
	assert_int_equal(info.pages, FX_SLOTS - 64);
	assert_true(info.flags & SWP_FAILED);
	assert_int_equal(swap_check(NULL, NULL), 0);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static void late_read_is_not_a_lost_page(void **state)
{
	struct frozen z;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	assert_int_equal(freeze(&z, true, false), 0);
	z.f.store.fail_read = 2;
	z.f.store.read_err = -EINPROGRESS;
	assert_int_equal(sw_mm_thaw(z.f.mm), -EINPROGRESS);
	assert_true(info_of(&z).frozen);
	expect_held(&z, 299);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(fx_counted(&z.f, swap_read_error), 0);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static bool goes_on(void *arg)
{
	return (*(unsigned *)arg)--;
}

static bool is_called_off_after(unsigned steps)
{
	struct frozen z;
	int err;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	{
		const struct sw_freeze_spec spec = {
			.image_type = z.f.type,
			.goes_on = goes_on,
			.arg = &steps,
		};

		err = sw_mm_freeze(z.f.mm, &spec);
	}
	if (err) {
		assert_int_equal(err, -ECANCELED);
		assert_int_equal(fx_slots_used(&z.f), 0);
	} else {
		assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	}
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
	return err;
}

static void called_off_at_any_time_it_goes_on(void **state)
{
	unsigned steps = 0;

	while (is_called_off_after(steps))
		steps++;
	assert_true(steps > 10);
}

/* The nth read of the image fails, and the one of that page alone as well. */
static bool loses_at(unsigned nth)
{
	struct frozen z;
	unsigned lost = 0;
	bool came;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	z.f.store.used[1 + nth] = false; /* the first slot is 1 */
	came = nth < 200;
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(fx_slots_used(&z.f), 0);
	for (unsigned n = 0; n < 200; n++) {
		uint64_t value = 0;
		int err = sw_sim_read(z.f.sim, fx_at(n), &value);

		assert_true(err == -EIO || (!err && value == 100 + n));
		lost += !!err;
	}
	assert_int_equal(lost, came);
	close_frozen(&z);
	return came;
}

static void page_that_cannot_be_read_back_is_told_and_no_other_lost(
	void **state)
{
	sw_log_set_level(SW_LOG_ERROR);
	assert_true(loses_at(0));
	assert_true(loses_at(63));
	assert_true(loses_at(100));
	assert_false(loses_at(201));
}

static void thaw_with_memory_full_leaves_pages_staged(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	z.mem.fail_writes = true;
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(z.f.mm->staging.nr, 200);
	assert_int_equal(fx_slots_used(&z.f), 0);
	fx_expect_filled(z.f.sim, 0, 200);
	close_frozen(&z);
}

/* Neither the store nor our buffers: frozen still, until there is room. */
static void thaw_without_any_memory_can_be_tried_again(void **state)
{
	struct frozen z;
	void **buf;
	uint64_t nr = 0;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	z.mem.fail_writes = true;
	buf = calloc(z.f.mm->staging.single.nr + 1, sizeof(*buf));
	while ((buf[nr] = sw_buf_get(z.f.mm)))
		nr++;
	for (unsigned n = 0; n < 70; n++)
		sw_buf_put(z.f.mm, buf[--nr], 1);
	assert_int_equal(sw_mm_thaw(z.f.mm), -ENOMEM);
	assert_true(info_of(&z).frozen);
	assert_int_equal(z.f.mm->staging.nr, 70);
	expect_held(&z, 4);
	while (nr)
		sw_buf_put(z.f.mm, buf[--nr], 1);
	free(buf);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(fx_slots_used(&z.f), 0);
	fx_expect_filled(z.f.sim, 0, 200);
	close_frozen(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		freeze_test(failed_write_leaves_the_session_as_it_was),
		freeze_test(slots_of_a_late_write_are_never_used_again),
		freeze_test(late_read_is_not_a_lost_page),
		freeze_test(called_off_at_any_time_it_goes_on),
		freeze_test(
			page_that_cannot_be_read_back_is_told_and_no_other_lost),
		freeze_test(thaw_with_memory_full_leaves_pages_staged),
		freeze_test(thaw_without_any_memory_can_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
