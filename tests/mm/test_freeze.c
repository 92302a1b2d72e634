/*
 * test_freeze.c - a session that is put aside and comes back: nothing of it
 * stays or comes in between, nothing is lost, and every slot of its image is
 * given back, however it ends.
 */
#include "base/log.h"
#include "fixture.h"

/* ---- a session whose pages go to memory first, and to a disk ---- */

#define MEM_SLOTS 1024u

struct frozen {
	struct fx f; /* its device is the disk */
	struct fx_store mem;
	int mem_type;
};

static bool mem_is_full;

static int mem_write(void *arg, uint64_t offset, unsigned nr, const void *pages)
{
	return mem_is_full ? -ENOMEM : fx_store_write(arg, offset, nr, pages);
}

static const struct swap_ops mem_ops = {
	.write = mem_write,
	.read = fx_store_read,
	.slot_free = fx_store_free,
};

static void open_frozen(struct frozen *z)
{
	struct swapon_spec spec = {
		.name = "memory",
		.ops = &mem_ops,
		.store = &z->mem,
		.max = MEM_SLOTS + 1,
		.prio = 5,
		.flags = SWP_SOLIDSTATE | SWP_SYNCHRONOUS_IO,
	};

	fx_open(&z->f);
	mem_is_full = false;
	z->mem = (struct fx_store){ .slots = MEM_SLOTS + 1 };
	z->mem.page = calloc(MEM_SLOTS + 1, PG);
	z->mem.used = calloc(MEM_SLOTS + 1, 1);
	pthread_mutex_init(&z->mem.lock, NULL);
	z->mem_type = swapon(&spec);
	assert_true(z->mem_type >= 0);
}

static void close_frozen(struct frozen *z)
{
	fx_end(z->f.sim);
	z->f.sim = NULL;
	sw_mm_stop(z->f.mm);
	assert_int_equal(swap_check(NULL, NULL), 0);
	assert_int_equal(swapoff(z->mem_type, NULL, NULL), 0);
	fx_close(&z->f);
	pthread_mutex_destroy(&z->mem.lock);
	free(z->mem.page);
	free(z->mem.used);
}

static unsigned nr_used(const struct fx_store *st)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < st->slots; i++)
		nr += st->used[i];
	return nr;
}

static int freeze(struct frozen *z, bool image, bool thaw_on_fault)
{
	const struct sw_freeze_spec spec = {
		.image_type = image ? z->f.type : -1,
		.thaw_on_fault = thaw_on_fault,
	};

	return sw_mm_freeze(z->f.mm, &spec);
}

static struct sw_freeze_info info_of(struct frozen *z)
{
	struct sw_freeze_info info;

	sw_mm_freeze_info(z->f.mm, &info);
	return info;
}

/* Nobody answers: the inline machine calls that a deadlock. */
static void expect_held(struct frozen *z, unsigned n)
{
	uint64_t value;

	assert_int_equal(sw_sim_read(z->f.sim, fx_at(n), &value), -EDEADLK);
	assert_false(sw_sim_is_present(z->f.sim, fx_at(n)));
}

static void expect_all(struct frozen *z, unsigned nr)
{
	for (unsigned n = 0; n < nr; n++)
		fx_expect(z->f.sim, n, 100 + n);
}

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
	expect_all(&z, 300);
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
	expect_all(&z, 128);
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
	expect_all(&z, 64);
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
	expect_all(&z, 100);
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
	expect_all(&z, 10);
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
	expect_all(&z, 300);
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
	expect_all(&z, 10);
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
	expect_all(&z, 100);
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
	expect_all(&z, 200);
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
	expect_all(&z, 20);
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

/* ---- what fails ---- */

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
	expect_all(&z, 300);
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
	expect_all(&z, 300);
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
	expect_all(&z, 300);
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
	expect_all(&z, 300);
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
	mem_is_full = true;
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(z.f.mm->staging.nr, 200);
	assert_int_equal(fx_slots_used(&z.f), 0);
	expect_all(&z, 200);
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
	mem_is_full = true;
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
	expect_all(&z, 200);
	close_frozen(&z);
}

static int loud(void **state)
{
	sw_log_set_level(SW_LOG_WARN);
	return 0;
}

#define freeze_test(name) cmocka_unit_test_teardown(name, loud)

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
