/* test_errors.c - devices that cannot write, read too late or not at all, and
 * what is left of them. What a single lost page means is in test_fault.c. */
#include "fixture.h"

#define ENOUGH 16 /* errors until a device is given up */

static uint64_t condemned(struct fx *f)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(f->type, &info));
	return info.condemned;
}

static uint64_t device_pages(struct fx *f)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(f->type, &info));
	return info.pages;
}

/* ---- writing ---- */

static void page_that_cannot_be_written_stays_until_it_is_touched(void **state)
{
	swp_entry_t slot;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 10);
	fx_evict(&f);
	slot = sw_word_entry(fx_word(f.sim, 0));
	f.store.fail_write = 1;
	assert_int_equal(sw_staging_write(f.mm, 100), 9);
	assert_int_equal(fx_counted(&f, swap_write_error), 1);
	assert_int_equal(fx_counted(&f, swap_condemned), 1);
	/* It is in memory and counted there, and not tried again. */
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.mm->budget.staged, 1);
	assert_int_equal(sw_staging_write(f.mm, 100), 0);
	assert_int_equal(f.store.writes, 9);
	assert_int_equal(swap_check(NULL, NULL), 0);

	fx_expect_filled(f.sim, 0, 10);
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(device_pages(&f), FX_SLOTS - 1);
	/* Whatever goes out now goes elsewhere. */
	fx_write(f.sim, 0, 7);
	fx_swap_out(&f);
	assert_int_equal(f.mm->budget.staged, 0);
	for (unsigned n = 0; n < 10; n++)
		assert_int_not_equal(sw_word_entry(fx_word(f.sim, n)).val,
				     slot.val);
	fx_expect(f.sim, 0, 7);
	fx_expect_filled(f.sim, 1, 9);
	fx_close(&f);
}

static void program_that_ends_leaves_its_bad_slots_behind(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 10);
	fx_evict(&f);
	f.store.fail_writes = true;
	assert_int_equal(sw_staging_write(f.mm, 100), 0);
	assert_int_equal(condemned(&f), 10);
	fx_end(f.sim);
	f.sim = NULL;
	assert_int_equal(device_pages(&f), FX_SLOTS - 10);
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(f.mm->budget.staged, 0);
	fx_close(&f);
}

static void forked_children_share_a_page_that_cannot_be_written(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 4);
	fx_evict(&f);
	f.store.fail_writes = true;
	sw_staging_write(f.mm, 100);
	child = sw_sim_fork(f.sim);
	assert_int_equal(fx_count_of(f.sim, 2), 2);
	fx_expect(child, 2, 102);
	assert_int_equal(device_pages(&f), FX_SLOTS);
	fx_expect(f.sim, 2, 102);
	assert_int_equal(device_pages(&f), FX_SLOTS - 1);
	fx_end(child);
	fx_expect_filled(f.sim, 0, 4);
	fx_close(&f);
}

static void bad_sector_in_a_large_folio_costs_one_slot(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	assert_int_equal(fx_folio(&f, 0)->order, 6);
	f.store.bad_slot = fx_slot(f.sim, 37);
	while (f.mm->staging.nr)
		sw_staging_write(f.mm, 64);
	assert_int_equal(f.store.writes, 63);
	assert_int_equal(condemned(&f), 1);
	assert_int_equal(fx_folio(&f, 37)->order, 0);
	assert_null(fx_folio(&f, 36));
	fx_expect_filled(f.sim, 0, 64);
	assert_int_equal(device_pages(&f), FX_SLOTS - 1);
	/* The slot is passed over, whatever the size of what goes out. */
	fx_swap_out(&f);
	assert_int_equal(condemned(&f), 1);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

/* Its lock is somebody's when its last owner leaves. */
static void page_that_cannot_be_written_is_not_left_behind(void **state)
{
	struct folio *folio;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 2);
	fx_evict(&f);
	f.store.fail_writes = true;
	sw_staging_write(f.mm, 100);
	assert_int_equal(f.mm->staging.nr_kept, 2);
	folio = fx_folio(&f, 0);
	folio_get(folio);
	folio_lock(folio);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(1));
	folio_unlock(folio);
	folio_put(folio);
	assert_int_equal(fx_slots_used(&f), 2);
	sw_staging_write(f.mm, 100);
	assert_int_equal(fx_slots_used(&f), 1);
	assert_int_equal(f.mm->staging.nr_kept, 1);
	fx_expect(f.sim, 1, 101);
	fx_close(&f);
}

/* ---- devices ---- */

static void device_with_many_errors_takes_no_more_pages(void **state)
{
	struct sw_swap_device_info info;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	f.store.fail_writes = true;
	sw_staging_write(f.mm, ENOUGH - 1);
	assert_int_equal(fx_counted(&f, swap_device_failed), 0);
	sw_staging_write(f.mm, 1);
	assert_int_equal(fx_counted(&f, swap_device_failed), 1);
	assert_true(swap_device_info(f.type, &info));
	assert_true(info.flags & SWP_FAILED);
	/* What is staged already may still be written, or not. */
	f.store.fail_writes = false;
	assert_int_equal(sw_staging_write(f.mm, 100), 64 - ENOUGH);
	assert_int_equal(f.mm->budget.staged, ENOUGH);
	assert_int_equal(swap_check(NULL, NULL), 0);

	fx_expect_filled(f.sim, 0, 64);
	fx_swap_out(&f);
	assert_int_equal(fx_slots_used(&f), 0);
	assert_int_equal(sw_space_resident(f.space), 64);
	assert_int_equal(fx_counted(&f, swap_device_failed), 0);
	fx_close(&f);
}

static void pages_go_to_another_device_when_one_is_given_up(void **state)
{
	struct swapon_spec spec = { .name = "other",
				    .ops = &fx_store_ops,
				    .max = FX_SLOTS + 1,
				    .prio = -1,
				    .flags = SWP_SOLIDSTATE };
	struct fx f, other = { .store.slots = FX_SLOTS + 1 };
	int type;

	fx_open(&f);
	other.store.page = calloc(FX_SLOTS + 1, PG);
	other.store.used = calloc(FX_SLOTS + 1, 1);
	pthread_mutex_init(&other.store.lock, NULL);
	fx_fill(f.sim, 0, 512);
	f.store.fail_writes = true;
	/* Prepared, but without a page yet: they go as well. */
	assert_true(sw_evict_prepare(f.mm, &f.mm->ev));
	spec.store = &other.store;
	type = swapon(&spec);
	assert_true(type >= 0);
	assert_true(sw_reclaim_evict(f.mm));
	assert_true(sw_evict_prepare(f.mm, &f.mm->ev));
	while (f.mm->staging.nr)
		sw_staging_write(f.mm, 64);
	assert_int_equal(f.mm->ev.nr_ready, 0);
	fx_swap_out(&f);
	assert_int_equal(f.mm->budget.staged, condemned(&f));
	assert_int_equal(fx_slots_used(&f), condemned(&f));
	assert_int_equal(sw_space_resident(f.space), 0);
	fx_expect_filled(f.sim, 0, 512);
	fx_end(f.sim);
	f.sim = NULL;
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	free(other.store.page);
	free(other.store.used);
	pthread_mutex_destroy(&other.store.lock);
	fx_close(&f);
}

static void device_that_does_not_answer_a_write_is_given_up_at_once(
	void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	f.store.write_err = -ETIMEDOUT;
	f.store.fail_write = 1;
	assert_int_equal(sw_staging_write(f.mm, 100), 0);
	assert_int_equal(fx_counted(&f, swap_device_failed), 1);
	/* The bytes may come late: none of the slots is anybody's again. */
	assert_int_equal(condemned(&f), 64);
	assert_int_equal(f.mm->staging.nr, 0);
	fx_expect_filled(f.sim, 0, 64);
	assert_int_equal(device_pages(&f), FX_SLOTS - 64);
	fx_close(&f);
}

/* ---- reading ---- */

static void any_error_of_a_store_is_a_lost_page(void **state)
{
	struct fx f;
	uint64_t v;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	fx_swap_out(&f);
	f.store.read_err = -ENODATA;
	f.store.fail_read = 1;
	assert_int_equal(sw_sim_read(f.sim, fx_at(3), &v), -EIO);
	fx_expect(f.sim, 5, 105);
	fx_close(&f);
}

struct reader {
	struct sw_sim *sim;
	unsigned page;
	uint64_t value;
	int err;
	bool done; /* [atomic] */
};

static void *read_page(void *arg)
{
	struct reader *r = arg;

	r->err = sw_sim_read(r->sim, fx_at(r->page), &r->value);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void set_late(struct fx *f, bool late)
{
	pthread_mutex_lock(&f->store.lock);
	f->store.fail_reads = late;
	pthread_mutex_unlock(&f->store.lock);
}

static void who_waits_for_a_late_page_keeps_nobody_else_waiting(void **state)
{
	struct reader late = { 0 };
	pthread_t thread;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 10);
	fx_swap_out(&f);
	fx_fill(f.sim, 64, 10);
	fx_evict(&f);
	assert_int_equal(fx_kind(f.sim, 3), SW_WORD_SWAP);
	assert_null(fx_folio(&f, 3));
	f.store.read_err = -EINPROGRESS;
	set_late(&f, true);
	f.threaded = true;
	assert_int_equal(sw_sim_start(f.sim), 0);
	late = (struct reader){ .sim = f.sim, .page = 3 };
	assert_int_equal(pthread_create(&thread, NULL, read_page, &late), 0);
	/* Tried more than once, and others are served in between. */
	while (sw_counter_read(SW_CTR_swap_read_late) < 3)
		sched_yield();
	fx_expect_filled(f.sim, 64, 10);
	assert_false(__atomic_load_n(&late.done, __ATOMIC_ACQUIRE));
	set_late(&f, false);
	pthread_join(thread, NULL);
	assert_int_equal(late.err, 0);
	assert_int_equal(late.value, 103);
	fx_expect_filled(f.sim, 0, 10);
	assert_int_equal(fx_counted(&f, poisoned), 0);
	assert_int_equal(fx_counted(&f, swap_read_error), 0);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(page_that_cannot_be_written_stays_until_it_is_touched),
		fx_test(program_that_ends_leaves_its_bad_slots_behind),
		fx_test(forked_children_share_a_page_that_cannot_be_written),
		fx_test(bad_sector_in_a_large_folio_costs_one_slot),
		fx_test(page_that_cannot_be_written_is_not_left_behind),
		fx_test(device_with_many_errors_takes_no_more_pages),
		fx_test(pages_go_to_another_device_when_one_is_given_up),
		fx_test(device_that_does_not_answer_a_write_is_given_up_at_once),
		fx_test(any_error_of_a_store_is_a_lost_page),
		fx_test(who_waits_for_a_late_page_keeps_nobody_else_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
