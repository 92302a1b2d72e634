/* test_direct.c - who finds no room writes staged pages itself, where that takes
 * no longer than to wait for reclaim. */
#include "fixture.h"

#define BUDGET 480

/* The budget is used up, and so much of it by staged pages. */
static void open_full(struct fx *f, bool in_memory, unsigned staged)
{
	fx_in_memory = in_memory;
	fx_open_sized(f, BUDGET, FX_SLOTS);
	fx_in_memory = false;
	if (staged)
		fx_fill(f->sim, 0, staged);
	fx_evict(f);
	assert_int_equal(f->mm->budget.staged, staged);
	f->mm->budget.unmanaged = BUDGET - staged;
	fx_counted(f, allocstall);
}

static void fault_without_room_writes_the_oldest(void **state)
{
	struct fx f;

	open_full(&f, true, 3);
	assert_int_equal(sw_budget_reserve(f.mm, 64), 1);
	assert_int_equal(fx_counted(&f, allocstall), 1);
	assert_int_equal(fx_counted(&f, pswpout_direct), 1);
	assert_int_equal(fx_counted(&f, oom_unmanaged), 0);
	assert_int_equal(f.store.writes, 1);
	assert_int_equal(f.mm->budget.staged, 2);
	assert_int_equal(f.mm->staging.nr, 2);
	f.mm->budget.unmanaged = 0;
	for (unsigned n = 0; n < 3; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(f.store.reads, 1);
	fx_close(&f);
}

static void room_for_many_is_made_page_by_page(void **state)
{
	struct fx f;

	open_full(&f, true, 6);
	assert_true(sw_budget_reserve_all(f.mm, 4));
	assert_int_equal(fx_counted(&f, pswpout_direct), 4);
	assert_int_equal(f.mm->budget.staged, 2);
	fx_close(&f);
}

/* It may take that any time. */
static void device_is_left_to_reclaim(void **state)
{
	struct folio *first;
	struct fx f;

	open_full(&f, false, 3);
	first = sw_list_first(&f.mm->staging.lru, struct folio, lru);
	assert_int_equal(sw_staging_write_direct(f.mm), 0);
	assert_int_equal(f.store.writes, 0);
	assert_int_equal(f.mm->staging.nr, 3);
	assert_ptr_equal(first,
			 sw_list_first(&f.mm->staging.lru, struct folio, lru));
	assert_int_equal(sw_budget_reserve(f.mm, 1), 1);
	assert_int_equal(fx_counted(&f, oom_unmanaged), 1);
	assert_int_equal(fx_counted(&f, pswpout_direct), 0);
	fx_close(&f);
}

static void nothing_staged_is_a_wait(void **state)
{
	struct fx f;

	open_full(&f, true, 0);
	assert_int_equal(sw_staging_write_direct(f.mm), 0);
	assert_int_equal(sw_budget_reserve(f.mm, 1), 1);
	assert_int_equal(fx_counted(&f, oom_unmanaged), 1);
	fx_close(&f);
}

static void refused_page_stays_and_ends_the_try(void **state)
{
	struct fx f;

	open_full(&f, true, 1);
	f.store.fail_writes = true;
	f.store.write_err = -ENOMEM;
	assert_int_equal(sw_staging_write_direct(f.mm), 0);
	assert_int_equal(f.mm->staging.nr, 1);
	f.store.fail_writes = false;
	assert_int_equal(sw_staging_write_direct(f.mm), 1);
	f.mm->budget.unmanaged = 0;
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

/* ---- beside reclaim ---- */

struct writer {
	struct sw_mm *mm;
	bool stop;        /* [atomic] */
	uint64_t written; /* [atomic] pages */
};

static void *write_all(void *arg)
{
	struct writer *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED))
		__atomic_fetch_add(&w->written, sw_staging_write_direct(w->mm),
				   __ATOMIC_RELAXED);
	return NULL;
}

/* Folios are staged while their words are being set: nobody may write one and
 * let it go before the last of them. */
static void folio_is_written_the_moment_it_is_staged(void **state)
{
	struct writer w = { 0 };
	pthread_t thread;
	struct fx f;

	fx_in_memory = true;
	fx_open(&f);
	fx_in_memory = false;
	w.mm = f.mm;
	fx_map(f.sim, 0, 256);
	assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
	for (unsigned turn = 0; turn < 200; turn++) {
		for (unsigned n = 0; n < 256; n++)
			fx_write(f.sim, n, turn * 1000 + n);
		fx_evict(&f);
		for (unsigned n = 0; n < 256; n++)
			fx_expect(f.sim, n, turn * 1000 + n);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(w.written > 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(fault_without_room_writes_the_oldest),
		fx_test(room_for_many_is_made_page_by_page),
		fx_test(device_is_left_to_reclaim),
		fx_test(nothing_staged_is_a_wait),
		fx_test(refused_page_stays_and_ends_the_try),
		fx_test(folio_is_written_the_moment_it_is_staged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
