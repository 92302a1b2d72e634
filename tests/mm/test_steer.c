/*
 * test_steer.c - memory that somebody wants back goes, as much as was wanted and
 * not for want of room; and swap stands still for who wants to look at it.
 */
#include "fixture.h"

static unsigned asked; /* how often */

static bool goes_on(void *arg, uint64_t done)
{
	(void)done;
	asked++;
	return !arg;
}

static const struct sw_goes_on always = { goes_on, NULL };
static const struct sw_goes_on never = { goes_on, "no" };

static uint64_t in_memory(struct fx *f)
{
	return sw_space_resident(f->space) + sw_staging_nr(f->mm);
}

static void as_much_goes_as_was_wanted(void **state)
{
	uint64_t freed;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 2000);
	assert_int_equal(sw_mm_reclaim(f.mm, 700, &always, &freed), 0);
	assert_in_range(freed, 700, 700 + SW_MMU_BATCH);
	assert_int_equal(in_memory(&f), 2000 - freed);
	assert_true(f.store.writes >= 700 - 64); /* and not to our buffers */
	for (unsigned n = 0; n < 2000; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void what_is_clean_counts_at_once(void **state)
{
	uint64_t freed;
	struct fx f;

	fx_open(&f);
	f.mm->clean_worth = 1 << 20;
	fx_fill(f.sim, 0, 512);
	fx_swap_out(&f);
	for (unsigned n = 0; n < 512; n++)
		fx_expect(f.sim, n, 100 + n);
	(void)fx_counted(&f, pgsteal_clean);
	f.store.writes = 0;
	assert_int_equal(sw_mm_reclaim(f.mm, 256, &always, &freed), 0);
	assert_true(fx_counted(&f, pgsteal_clean) > 0);
	assert_int_equal(in_memory(&f), 512 - freed);
	fx_close(&f);
}

static void when_there_is_no_more_it_says_so(void **state)
{
	uint64_t freed;
	struct fx f;

	fx_open(&f);
	assert_int_equal(sw_mm_reclaim(f.mm, 1, &always, &freed), -EAGAIN);
	assert_int_equal(freed, 0);
	fx_fill(f.sim, 0, 300);
	assert_int_equal(sw_mm_reclaim(f.mm, 400, &always, &freed), -EAGAIN);
	assert_int_equal(freed, 300);
	assert_int_equal(in_memory(&f), 0);
	fx_close(&f);
}

static void a_full_device_ends_it(void **state)
{
	uint64_t freed;
	struct fx f;

	fx_open_sized(&f, 1 << 20, 1024);
	fx_fill(f.sim, 0, 2000);
	assert_int_equal(sw_mm_reclaim(f.mm, 2000, &always, &freed), -EAGAIN);
	assert_in_range(freed, 512, 1024);
	assert_int_equal(
		sw_space_resident(f.space) + freed + sw_staging_nr(f.mm), 2000);
	for (unsigned n = 0; n < 2000; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void it_can_be_called_off(void **state)
{
	uint64_t freed;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 2000);
	asked = 0;
	assert_int_equal(sw_mm_reclaim(f.mm, 2000, &never, &freed), -EINTR);
	assert_int_equal(asked, 1);
	assert_true(freed < 2000);
	/* And begun again. */
	assert_int_equal(sw_mm_reclaim(f.mm, 100, &always, &freed), 0);
	fx_close(&f);
}

static void one_at_a_time(void **state)
{
	uint64_t freed = 7;
	struct fx f;

	fx_open(&f);
	f.mm->wanted.on = true;
	assert_int_equal(sw_mm_reclaim(f.mm, 1, &always, &freed), -EBUSY);
	assert_int_equal(freed, 0);
	f.mm->wanted.on = false;
	fx_close(&f);
}

static void a_larger_budget_stages_no_more_than_there_are_buffers(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1024, FX_SLOTS);
	assert_int_equal(sw_staging_target(f.mm), 32);
	sw_mm_set_budget(f.mm, 1 << 20);
	assert_int_equal(sw_staging_target(f.mm), f.mm->staging.single.nr / 2);
	sw_mm_set_budget(f.mm, 2048);
	assert_int_equal(sw_staging_target(f.mm), 64);
	fx_close(&f);
}

/* ---- quiet ---- */

static struct fx *quiet_one;
static unsigned looks;

static void look(void *arg)
{
	struct sw_mm *mm = quiet_one->mm;

	(void)arg;
	looks++;
	assert_true(sw_freeze_is_on(mm));
	assert_true(sw_freeze_parks(mm));
	assert_true(mm->quiet);
	assert_int_equal(swap_check_to(stderr), 0);
	/* One at a time, and nobody freezes. */
	assert_int_equal(sw_mm_quiet(mm, look, NULL), -EBUSY);
	assert_int_equal(
		sw_mm_freeze(mm, &(struct sw_freeze_spec){ .image_type = -1 }),
		-EBUSY);
}

static void swap_stands_still_and_goes_on(void **state)
{
	struct fx f;

	fx_open(&f);
	quiet_one = &f;
	looks = 0;
	fx_fill(f.sim, 0, 300);
	fx_swap_out(&f);
	assert_int_equal(sw_mm_quiet(f.mm, look, NULL), 0);
	assert_int_equal(looks, 1);
	assert_false(sw_freeze_is_on(f.mm));
	for (unsigned n = 0; n < 300; n++)
		fx_expect(f.sim, n, 100 + n);
	fx_close(&f);
}

static void what_is_frozen_stays_frozen(void **state)
{
	struct sw_freeze_info info;
	struct fx f;

	fx_open(&f);
	quiet_one = &f;
	looks = 0;
	fx_fill(f.sim, 0, 300);
	assert_int_equal(
		sw_mm_freeze(f.mm,
			     &(struct sw_freeze_spec){ .image_type = -1 }),
		0);
	assert_int_equal(sw_mm_quiet(f.mm, look, NULL), 0);
	assert_int_equal(looks, 1);
	sw_mm_freeze_info(f.mm, &info);
	assert_true(info.frozen);
	assert_int_equal(sw_mm_thaw(f.mm), 0);
	fx_expect(f.sim, 7, 107);
	fx_close(&f);
}

static void dump_has_a_line_for_each_space(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 300);
	sw_mm_dump(f.mm, out);
	fclose(out);
	assert_non_null(strstr(text, "budget 1048576 pages, used 300,"));
	assert_non_null(strstr(text, "space 1: 300 pages resident, 1 regions"));
	assert_non_null(strstr(text, "state: thawed\n"));
	free(text);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(as_much_goes_as_was_wanted),
		fx_test(what_is_clean_counts_at_once),
		fx_test(when_there_is_no_more_it_says_so),
		fx_test(a_full_device_ends_it),
		fx_test(it_can_be_called_off),
		fx_test(one_at_a_time),
		fx_test(a_larger_budget_stages_no_more_than_there_are_buffers),
		fx_test(swap_stands_still_and_goes_on),
		fx_test(what_is_frozen_stays_frozen),
		fx_test(dump_has_a_line_for_each_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
