/*
 * test_budget.c - memory that somebody else holds for the programs' pages: it
 * is inside the budget, and asked back when nothing else is to be had.
 */
#include "fixture.h"

static uint64_t pages;  /* that are held */
static unsigned shrunk; /* how often less was asked for */

static uint64_t held_pages(void *arg)
{
	(void)arg;
	return pages;
}

static void shrink(void *arg, uint64_t nr)
{
	(void)arg;
	assert_in_range(nr, 1, pages);
	pages -= nr;
	shrunk++;
}

static const struct sw_mm_held held = { held_pages, shrink, NULL };

static void open_held(struct fx *f, uint64_t budget)
{
	fx_open_sized(f, budget, FX_SLOTS);
	f->mm->budget.held = &held;
	pages = shrunk = 0;
}

static void what_is_held_is_inside_the_budget(void **state)
{
	struct sw_mm_usage u;
	struct fx f;

	open_held(&f, 960);
	fx_fill(f.sim, 0, 500);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 500);
	pages = 300;
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 800);
	assert_int_equal(u.managed_pages, 500);
	fx_close(&f);
}

static void more_of_it_takes_more_out_of_programs(void **state)
{
	struct fx f;

	open_held(&f, 960);
	fx_fill(f.sim, 0, 500);
	sw_reclaim_balance(f.mm);
	assert_int_equal(sw_space_resident(f.space), 500);
	pages = 455;
	sw_reclaim_balance(f.mm);
	assert_in_range(sw_space_resident(f.space), 200, 490);
	assert_int_equal(shrunk, 0);
	fx_close(&f);
}

static void less_is_asked_for_when_programs_have_nothing(void **state)
{
	struct fx f;

	open_held(&f, 960);
	pages = 960;
	sw_reclaim_balance(f.mm);
	assert_true(shrunk > 0);
	/* So that reclaim's own buffers fit in as well. */
	assert_in_range(pages, 960 - SW_PREPARED - 40, 940);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(what_is_held_is_inside_the_budget),
		fx_test(more_of_it_takes_more_out_of_programs),
		fx_test(less_is_asked_for_when_programs_have_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
