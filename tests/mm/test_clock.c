/* test_clock.c - which pages go when somebody knows what was touched. */
#include "fixture.h"

/* A source that says what it is told to, and remembers what it was asked. */
struct source {
	struct sw_heat heat;
	uint64_t touched; /* of each window */
	int err;
	unsigned asked[FX_PAGES]; /* how often, by page */
};

static int source_touched(void *arg, struct sw_space *space,
			  struct sw_heat_window *win, unsigned nr)
{
	struct source *s = arg;

	assert_true(nr <= SW_HEAT_WINDOWS);
	for (unsigned w = 0; w < nr; w++) {
		assert_int_equal(win[w].addr % SW_WINDOW_BYTES, 0);
		assert_int_equal(win[w].touched, 0);
		for (unsigned i = 0; i < SW_WINDOW_PAGES; i++)
			s->asked[(win[w].addr - FX_BASE) / PG + i] +=
				win[w].asked >> i & 1;
		win[w].touched = s->touched & win[w].asked;
	}
	return s->err;
}

static void open_with(struct fx *f, struct source *s)
{
	*s = (struct source){ .heat = { source_touched, s } };
	fx_open(f);
	f->mm->heat = &s->heat;
}

static void heat_up(struct fx *f, unsigned n)
{
	struct sw_leaf *leaf = sw_pt_lookup(&f->space->pt, fx_at(n));

	leaf->word[sw_leaf_index(fx_at(n))] |= SW_WORD_HOT_1;
}

static unsigned nr_present(struct fx *f, unsigned first, unsigned nr)
{
	unsigned present = 0;

	for (unsigned n = first; n < first + nr; n++)
		present += fx_kind(f->sim, n) == SW_WORD_PRESENT;
	return present;
}

static void hot_page_that_was_touched_stays_hot(void **state)
{
	struct source s;
	struct fx f;

	open_with(&f, &s);
	fx_fill(f.sim, 0, 64);
	heat_up(&f, 3);
	heat_up(&f, 4);
	s.touched = 1ull << 3;
	for (unsigned sweep = 0; sweep < 2; sweep++)
		sw_reclaim_evict(f.mm);
	assert_int_equal(fx_kind(f.sim, 3), SW_WORD_PRESENT);
	assert_int_equal(nr_present(&f, 0, 64), 1);
	fx_close(&f);
}

/* What was only mapped looks touched; half of it is believed. */
static void first_touch_saves_every_other_window(void **state)
{
	struct source s;
	struct fx f;

	open_with(&f, &s);
	fx_fill(f.sim, 0, 256);
	s.touched = ~0ull;
	sw_reclaim_evict(f.mm);
	assert_int_equal(nr_present(&f, 0, 256), 128);
	fx_close(&f);
}

static void source_is_asked_once_a_sweep_for_what_may_go(void **state)
{
	static struct source s;
	struct fx f;

	open_with(&f, &s);
	fx_fill(f.sim, 0, 2000);
	for (unsigned n = 0; n < 2000; n += 3)
		heat_up(&f, n);
	while (!f.mm->sweep)
		sw_reclaim_evict(f.mm);
	for (unsigned n = 0; n < 2048; n++)
		assert_int_equal(s.asked[n], n < 2000);
	while (f.mm->sweep < 2)
		sw_reclaim_evict(f.mm);
	for (unsigned n = 0; n < 2000; n++)
		assert_int_equal(s.asked[n], 1 + (n % 3 == 0));
	fx_close(&f);
}

static void source_that_does_not_know_changes_nothing(void **state)
{
	struct source s;
	struct fx f;

	open_with(&f, &s);
	fx_fill(f.sim, 0, 64);
	s.touched = ~0ull;
	s.err = -EOPNOTSUPP;
	sw_reclaim_evict(f.mm);
	assert_false(sw_heat_is_known(f.mm));
	assert_int_equal(nr_present(&f, 0, 64), 0);
	fx_close(&f);
}

static void memory_that_is_touched_all_the_time_is_still_taken(void **state)
{
	struct source s;
	struct fx f;

	open_with(&f, &s);
	fx_fill(f.sim, 0, 256);
	for (unsigned n = 0; n < 256; n++)
		heat_up(&f, n);
	s.touched = ~0ull;
	fx_evict(&f);
	assert_int_equal(nr_present(&f, 0, 256), 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(hot_page_that_was_touched_stays_hot),
		fx_test(first_touch_saves_every_other_window),
		fx_test(source_is_asked_once_a_sweep_for_what_may_go),
		fx_test(source_that_does_not_know_changes_nothing),
		fx_test(memory_that_is_touched_all_the_time_is_still_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
