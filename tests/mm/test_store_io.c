/*
 * test_store_io.c - many slots by one call of a store: what goes out together,
 * what is read for one fault, and what happens to the rest when one fails or
 * is wanted meanwhile.
 */
#include "fixture.h"

/* Every page has a folio of its own. */
static void open_small(struct fx *f)
{
	fx_batches = true;
	fx_open(f);
	fx_keep_small(f);
}

/* The same, and no two slots that are free are neighbours. */
static void open_scattered(struct fx *f)
{
	fx_batches = true;
	fx_open_sized(f, 1 << 20, 192);
	fx_keep_small(f);
	fx_fill(f->sim, 1024, 192);
	fx_swap_out(f);
	for (unsigned n = 1024; n < 1024 + 192; n += 2)
		sw_sim_munmap(f->sim, fx_at(n), fx_at(n + 1));
}

/* ---- out ---- */

static void staged_pages_go_out_in_one_call(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 0, 100);
	fx_evict(&f);
	assert_int_equal(sw_staging_write(f.mm, 100), 100);
	assert_int_equal(f.store.batches, 1);
	assert_int_equal(f.store.longest_batch, 100);
	assert_int_equal(f.store.writes, 100);
	assert_false(f.store.disorder);
	assert_int_equal(fx_counted(&f, pswpout), 100);
	assert_int_equal(f.mm->budget.staged, 0);
	fx_expect_filled(f.sim, 0, 100);
	fx_close(&f);
}

static void batches_have_a_largest_size(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 0, 1000);
	fx_evict(&f);
	assert_int_equal(sw_staging_write(f.mm, 1 << 20), 1000);
	assert_int_equal(f.store.batches, 4);
	assert_int_equal(f.store.longest_batch, 256);
	fx_expect_filled(f.sim, 0, 1000);
	fx_close(&f);
}

/* Whoever asks for one page's room gets more where a disk has to work for it,
 * but not everything that waits for its second chance. */
static void a_batch_takes_a_part_of_what_is_staged(void **state)
{
	struct fx f;

	fx_batches = true;
	fx_open_sized(&f, 3200, FX_SLOTS);
	assert_int_equal(f.mm->staging.target, 100);
	fx_fill(f.sim, 0, 100);
	fx_evict(&f);
	assert_int_equal(f.mm->staging.nr, 100);
	assert_in_range(sw_staging_write(f.mm, 1), 25, 32);
	assert_in_range(sw_staging_write(f.mm, 40), 40, 48);
	fx_expect_filled(f.sim, 0, 100);
	fx_close(&f);
}

static void a_store_without_batches_writes_folio_by_folio(void **state)
{
	struct fx f;

	fx_batches = false;
	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 40);
	fx_evict(&f);
	assert_int_equal(sw_staging_write(f.mm, 1), 1);
	assert_int_equal(sw_staging_write(f.mm, 10), 10);
	assert_int_equal(f.store.write_calls, 11);
	fx_expect_filled(f.sim, 0, 40);
	fx_close(&f);
}

static void zeros_are_no_part_of_a_batch(void **state)
{
	struct fx f;

	open_small(&f);
	fx_map(f.sim, 0, 40);
	for (unsigned n = 0; n < 40; n++)
		fx_write(f.sim, n, n % 2 ? 100 + n : 0);
	fx_evict(&f);
	assert_int_equal(sw_staging_write(f.mm, 40), 40);
	assert_int_equal(f.store.longest_batch, 20);
	assert_int_equal(fx_counted(&f, swpout_zero), 20);
	for (unsigned n = 0; n < 40; n++)
		fx_expect(f.sim, n, n % 2 ? 100 + n : 0);
	fx_close(&f);
}

/* Eight pages in one call, of which the store does not take one. */
static void open_refused(struct fx *f, unsigned bad, int err)
{
	open_small(f);
	fx_fill(f->sim, 0, 8);
	fx_evict(f);
	f->store.fail_write = bad;
	f->store.write_err = err;
	assert_int_equal(sw_staging_write(f->mm, 100), 7);
	assert_int_equal(f->mm->budget.staged, 1);
	assert_int_equal(fx_counted(f, swap_write_error), 1);
	assert_int_equal(fx_counted(f, pswpout), 7);
}

/* What becomes of it: test_errors.c. */
static void a_refused_page_is_kept_and_no_other(void **state)
{
	for (unsigned bad = 1; bad <= 8; bad++) {
		struct fx f;

		open_refused(&f, bad, -EIO);
		assert_int_equal(f.mm->staging.nr, 0);
		assert_int_equal(f.mm->staging.nr_kept, 1);
		assert_int_equal(fx_counted(&f, swap_condemned), 1);
		assert_int_equal(sw_staging_write(f.mm, 100), 0);
		fx_expect_filled(f.sim, 0, 8);
		fx_close(&f);
	}
}

static void without_memory_a_page_stays_staged_and_no_other(void **state)
{
	for (unsigned bad = 1; bad <= 8; bad++) {
		struct fx f;

		open_refused(&f, bad, -ENOMEM);
		assert_int_equal(f.mm->staging.nr, 1);
		assert_int_equal(sw_staging_write(f.mm, 100), 1);
		fx_expect_filled(f.sim, 0, 8);
		fx_close(&f);
	}
}

/* Large folios, of which one is refused. */
static void a_refused_folio_is_staged_page_by_page(void **state)
{
	struct fx f;

	fx_batches = true;
	fx_open(&f);
	fx_fill(f.sim, 0, 192);
	fx_evict(&f);
	f.store.fail_write = 2;
	assert_int_equal(sw_staging_write(f.mm, 192), 128);
	assert_int_equal(f.mm->staging.nr, 64);
	assert_int_equal(fx_counted(&f, swpout_256kB), 2);
	assert_int_equal(sw_staging_write(f.mm, 100), 64);
	assert_int_equal(fx_counted(&f, swpout_256kB), 0);
	fx_expect_filled(f.sim, 0, 192);
	fx_close(&f);
}

/* All that was in the batch, and what went out before is still there. */
static void device_that_is_late_with_a_batch_is_given_up(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 0, 40);
	fx_evict(&f);
	f.store.fail_write = 5;
	f.store.write_err = -ETIMEDOUT;
	f.store.stays = true;
	assert_int_equal(sw_staging_write(f.mm, 100), 4);
	assert_int_equal(f.store.batches, 1);
	assert_int_equal(fx_counted(&f, swap_condemned), 36);
	assert_int_equal(fx_counted(&f, swap_device_failed), 1);
	assert_int_equal(f.mm->staging.nr_kept, 36);
	fx_expect_filled(f.sim, 0, 40);
	assert_int_equal(f.mm->budget.staged, 0);
	fx_close(&f);
}

/* The first piece is late, the next one is refused. */
static void be_late_then_refuse(struct fx_store *st, uint64_t offset)
{
	(void)offset;
	st->write_err = st->write_calls ? -EIO : -ETIMEDOUT;
}

/* A folio of which a page was given up goes in two pieces. */
static void that_one_piece_is_late_counts_most(void **state)
{
	struct fx f;

	fx_batches = true;
	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	fx_evict(&f);
	sw_sim_munmap(f.sim, fx_at(30), fx_at(31));
	f.store.fail_writes = true;
	f.store.before_write = be_late_then_refuse;
	assert_int_equal(sw_staging_write(f.mm, 64), 0);
	assert_int_equal(f.store.write_calls, 2);
	f.store.before_write = NULL;
	f.store.fail_writes = false;
	assert_int_equal(fx_counted(&f, swap_device_failed), 1);
	fx_expect_filled(f.sim, 0, 30);
	fx_expect_filled(f.sim, 31, 33);
	fx_close(&f);
}

/* ---- meanwhile ---- */

static void want_pages(void *arg, bool write)
{
	struct fx *f = arg;

	if (!write)
		return;
	fx_expect(f->sim, 3, 103);
	fx_write(f->sim, 3, 7);
	sw_sim_munmap(f->sim, fx_at(5), fx_at(6));
}

static void pages_may_be_wanted_while_they_are_written(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 0, 8);
	fx_evict(&f);
	f.store.in_batch = want_pages;
	f.store.arg = &f;
	assert_int_equal(sw_staging_write(f.mm, 8), 8);
	f.store.in_batch = NULL;
	assert_int_equal(f.mm->budget.staged, 0);
	assert_int_equal(fx_slots_used(&f), 6);
	fx_expect(f.sim, 3, 7);
	fx_write(f.sim, 3, 103);
	fx_expect_filled(f.sim, 0, 5);
	fx_expect_filled(f.sim, 6, 2);
	fx_close(&f);
}

/* ---- in ---- */

static void pages_of_a_stream_are_read_by_one_call(void **state)
{
	struct fx f;

	open_scattered(&f);
	fx_fill(f.sim, 0, 64);
	fx_swap_out(&f);
	f.store.batches = f.store.longest_batch = f.store.reads = 0;
	fx_counted(&f, pswpin);
	fx_counted(&f, pgfault);
	fx_expect_filled(f.sim, 0, 64);
	assert_int_equal(fx_counted(&f, pgfault), 4); /* 1, 4, 16, 43 */
	assert_int_equal(f.store.reads, 64);
	assert_int_equal(f.store.batches, 3);
	assert_int_equal(f.store.longest_batch, 43);
	assert_false(f.store.disorder);
	assert_int_equal(fx_counted(&f, pswpin), 64);
	fx_close(&f);
}

/* The second half of the pages has the slots in front. */
static void slots_are_read_in_their_order(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 32, 32);
	fx_swap_out(&f);
	fx_fill(f.sim, 0, 32);
	fx_swap_out(&f);
	assert_true(fx_slot(f.sim, 31) > fx_slot(f.sim, 32));
	f.store.batches = f.store.longest_batch = 0;
	fx_expect_filled(f.sim, 0, 64);
	assert_true(f.store.longest_batch > 1);
	assert_false(f.store.disorder);
	fx_close(&f);
}

static void a_single_fault_is_one_plain_read(void **state)
{
	struct fx f;

	open_small(&f);
	fx_fill(f.sim, 0, 64);
	fx_swap_out(&f);
	f.store.batches = 0;
	fx_expect(f.sim, 40, 140);
	fx_expect(f.sim, 7, 107);
	assert_int_equal(f.store.read_calls, 2);
	assert_int_equal(f.store.batches, 0);
	fx_close(&f);
}

/* Of 1 + 4 + 16 + 43 pages the nth read fails, once: only a page that somebody
 * waits for, alone or as the first of its batch, is lost by that. */
static void a_failed_read_costs_no_other_page(void **state)
{
	for (unsigned bad = 1; bad <= 64; bad++) {
		struct fx f;

		open_scattered(&f);
		fx_fill(f.sim, 0, 64);
		fx_swap_out(&f);
		f.store.fail_read = bad;
		assert_in_range(fx_read_lost(f.sim, 64), 0, 1);
		fx_close(&f);
	}
}

/* Asked for alone it is found when its bytes have come, and it is that one
 * somebody waits for. */
static void page_of_a_late_batch_is_asked_for_alone(void **state)
{
	struct fx f;

	open_scattered(&f);
	fx_fill(f.sim, 0, 64);
	fx_swap_out(&f);
	for (unsigned n = 0; n < 5; n++)
		fx_expect(f.sim, n, 100 + n);
	/* Now 16 are read at a time: once all of them late, then the rest. */
	f.store.batches = 0;
	f.store.late_batches = 1;
	fx_counted(&f, pswpin);
	fx_expect(f.sim, 5, 105);
	assert_int_equal(f.store.batches, 1);
	assert_int_equal(fx_counted(&f, pswpin), 1);
	assert_int_equal(fx_counted(&f, swap_read_error), 0);
	fx_expect_filled(f.sim, 0, 64);
	fx_close(&f);
}

static void one_unreadable_slot_costs_one_page(void **state)
{
	uint64_t v;
	struct fx f;

	fx_batches = true;
	fx_open(&f);
	fx_fill(f.sim, 0, 192);
	fx_swap_out(&f);
	f.store.used[fx_slot(f.sim, 100)] = false;
	assert_int_equal(fx_read_lost(f.sim, 192), 1);
	assert_int_equal(sw_sim_read(f.sim, fx_at(100), &v), -EIO);
	fx_close(&f);
}

/* Some of the batch are staged, some zeros, some to be read. */
static void pages_of_every_source_come_in_one_batch(void **state)
{
	struct fx f;

	open_scattered(&f);
	fx_fill(f.sim, 0, 64);
	fx_write(f.sim, 9, 0);
	fx_evict(&f);
	sw_staging_write(f.mm, 40);
	f.store.batches = f.store.reads = 0;
	for (unsigned n = 0; n < 64; n++)
		fx_expect(f.sim, n, n == 9 ? 0 : 100 + n);
	assert_int_equal(f.store.reads, 39);
	assert_in_range(f.store.batches, 2, 3);
	fx_close(&f);
}

/* ---- two stores ---- */

static void a_batch_may_lie_on_two_devices(void **state)
{
	struct fx_store second = { .slots = 513 };
	struct swapon_spec spec = { .name = "second",
				    .ops = &fx_batch_ops,
				    .store = &second,
				    .max = 513,
				    .prio = 1,
				    .flags = SWP_SOLIDSTATE };
	struct fx f;
	int type;

	fx_batches = true;
	fx_open(&f);
	fx_keep_small(&f);
	second.page = calloc(513, PG);
	second.used = calloc(513, 1);
	pthread_mutex_init(&second.lock, NULL);
	type = swapon(&spec);
	assert_true(type >= 0);
	/* The better one is full first, the rest goes to the other. */
	fx_fill(f.sim, 0, 640);
	fx_evict(&f);
	sw_staging_write(f.mm, 512 - 100);
	f.store.batches = second.batches = 0;
	assert_int_equal(sw_staging_write(f.mm, 200), 200);
	assert_int_equal(f.store.batches, 1);
	assert_int_equal(second.batches, 1);
	sw_staging_write(f.mm, 1 << 20);
	assert_int_equal(second.writes, 512);
	assert_int_equal(f.store.writes, 128);
	fx_expect_filled(f.sim, 0, 640);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(640));
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	pthread_mutex_destroy(&second.lock);
	free(second.page);
	free(second.used);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(staged_pages_go_out_in_one_call),
		fx_test(batches_have_a_largest_size),
		fx_test(a_batch_takes_a_part_of_what_is_staged),
		fx_test(a_store_without_batches_writes_folio_by_folio),
		fx_test(zeros_are_no_part_of_a_batch),
		fx_test(a_refused_page_is_kept_and_no_other),
		fx_test(without_memory_a_page_stays_staged_and_no_other),
		fx_test(device_that_is_late_with_a_batch_is_given_up),
		fx_test(that_one_piece_is_late_counts_most),
		fx_test(a_refused_folio_is_staged_page_by_page),
		fx_test(pages_may_be_wanted_while_they_are_written),
		fx_test(pages_of_a_stream_are_read_by_one_call),
		fx_test(slots_are_read_in_their_order),
		fx_test(a_single_fault_is_one_plain_read),
		fx_test(a_failed_read_costs_no_other_page),
		fx_test(page_of_a_late_batch_is_asked_for_alone),
		fx_test(one_unreadable_slot_costs_one_page),
		fx_test(pages_of_every_source_come_in_one_batch),
		fx_test(a_batch_may_lie_on_two_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
