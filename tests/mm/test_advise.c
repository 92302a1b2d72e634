/* test_advise.c - what a program says of its memory, and what comes of it. */
#include "fixture.h"

static void advise(struct fx *f, unsigned first, unsigned nr,
		   enum sw_advice advice)
{
	sw_sim_advise(f->sim, fx_at(first), fx_at(first + nr), advice);
}

/* What reclaim does of itself, though there is room. Returns the batches. */
static unsigned take_advised(struct fx *f)
{
	unsigned batches = 0;

	while (sw_reclaim_advised(f->mm)) {
		batches++;
		assert_in_range(batches, 1, 1000);
	}
	return batches;
}

static void expect_kind(struct fx *f, unsigned first, unsigned nr,
			enum sw_word_kind kind)
{
	for (unsigned n = first; n < first + nr; n++)
		if (fx_kind(f->sim, n) != kind)
			fail_msg("page %u: kind %d, not %d", n,
				 fx_kind(f->sim, n), kind);
}

static void expect_content(struct fx *f, unsigned first, unsigned nr)
{
	for (unsigned n = first; n < first + nr; n++)
		fx_expect(f->sim, n, 100 + n);
}

/* As if it had come back soon, three times. */
static void heat_up(struct fx *f, unsigned first, unsigned nr)
{
	for (unsigned n = first; n < first + nr; n++) {
		struct sw_leaf *leaf = sw_pt_lookup(&f->space->pt, fx_at(n));

		leaf->word[sw_leaf_index(fx_at(n))] |= SW_WORD_HOT;
	}
}

/* ---- what shall go ---- */

static void pageout_goes_although_there_is_room(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 400); /* over the border of two leaves */
	heat_up(&f, 0, 400);
	advise(&f, 10, 340, SW_ADVICE_PAGEOUT);
	take_advised(&f);
	expect_kind(&f, 0, 10, SW_WORD_PRESENT);
	expect_kind(&f, 10, 340, SW_WORD_SWAP);
	expect_kind(&f, 350, 50, SW_WORD_PRESENT);
	assert_int_equal(fx_counted(&f, advice_out), 340);
	expect_content(&f, 0, 400);
	fx_close(&f);
}

/* One piece a window would be one batch a window. */
static void small_pieces_go_together(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 256);
	for (unsigned n = 0; n < 256; n += 8)
		advise(&f, n, 4, SW_ADVICE_PAGEOUT);
	assert_in_range(take_advised(&f), 1, 2);
	for (unsigned n = 0; n < 256; n += 8) {
		expect_kind(&f, n, 4, SW_WORD_SWAP);
		expect_kind(&f, n + 4, 4, SW_WORD_PRESENT);
	}
	fx_close(&f);
}

/* The hand comes from above; what is cold lies below. */
static void cold_goes_before_others_when_room_is_needed(void **state)
{
	struct fx f;

	fx_open_sized(&f, 960, FX_SLOTS);
	fx_fill(f.sim, 0, 955);
	heat_up(&f, 0, 256);
	advise(&f, 0, 256, SW_ADVICE_COLD);
	assert_int_equal(take_advised(&f), 0);
	expect_kind(&f, 0, 955, SW_WORD_PRESENT);
	sw_reclaim_balance(f.mm);
	assert_in_range(sw_space_resident(f.space), 955 - 256, 955 - 15);
	expect_kind(&f, 256, 955 - 256, SW_WORD_PRESENT);
	expect_content(&f, 0, 955);
	fx_close(&f);
}

static void pages_that_others_have_too_stay(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	child = sw_sim_fork(f.sim);
	fx_write(f.sim, 3, 7);
	advise(&f, 0, 64, SW_ADVICE_PAGEOUT);
	take_advised(&f);
	for (unsigned n = 0; n < 64; n++)
		assert_int_equal(fx_kind(f.sim, n),
				 n == 3 ? SW_WORD_SWAP : SW_WORD_PRESENT);
	fx_expect(f.sim, 3, 7);
	fx_expect(child, 3, 103);
	fx_end(child);
	fx_close(&f);
}

static void page_that_cannot_go_keeps_no_other(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 128);
	sw_sim_pin(f.sim, fx_at(5), true);
	sw_sim_refuse(f.sim, fx_at(70), true);
	advise(&f, 0, 128, SW_ADVICE_PAGEOUT);
	take_advised(&f);
	for (unsigned n = 0; n < 128; n++)
		assert_int_equal(fx_kind(f.sim, n), n == 5 || n == 70
							    ? SW_WORD_PRESENT
							    : SW_WORD_SWAP);
	assert_false(sw_advice_waits(f.space, false));
	fx_close(&f);
}

static void full_device_takes_no_advice(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 20, 100);
	fx_fill(f.sim, 0, 300);
	advise(&f, 0, 300, SW_ADVICE_PAGEOUT);
	take_advised(&f);
	sw_staging_write(f.mm, 1000);
	take_advised(&f);
	assert_in_range(sw_space_resident(f.space), 200, 300);
	expect_content(&f, 0, 300);
	fx_close(&f);
}

/* ---- what shall come ---- */

static void willneed_comes_without_a_fault(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 400);
	fx_swap_out(&f);
	fx_counted(&f, pgfault);
	advise(&f, 10, 340, SW_ADVICE_WILLNEED);
	expect_kind(&f, 0, 10, SW_WORD_SWAP);
	expect_kind(&f, 10, 340, SW_WORD_PRESENT);
	expect_kind(&f, 350, 50, SW_WORD_SWAP);
	expect_content(&f, 10, 340);
	assert_int_equal(fx_counted(&f, pgfault), 0);
	assert_int_equal(fx_counted(&f, advice_in), 340);
	assert_in_range(sw_sim_calls(f.machine, SW_SIM_COPY), 1, 400 + 7);
	expect_content(&f, 0, 400);
	fx_close(&f);
}

static void willneed_steps_over_what_is_there(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 60);
	fx_swap_out(&f);
	fx_write(f.sim, 20, 7);
	fx_write(f.sim, 40, 8);
	sw_sim_dontneed(f.sim, fx_at(30), fx_at(32));
	advise(&f, 0, 128, SW_ADVICE_WILLNEED);
	expect_kind(&f, 0, 30, SW_WORD_PRESENT);
	expect_kind(&f, 30, 2, SW_WORD_NONE);
	expect_kind(&f, 32, 28, SW_WORD_PRESENT);
	fx_expect(f.sim, 20, 7);
	fx_expect(f.sim, 40, 8);
	fx_expect(f.sim, 30, 0);
	expect_content(&f, 41, 19);
	fx_close(&f);
}

/* 106 pages are free of 256, and reclaim would keep 5. */
static void willneed_takes_nobodys_room(void **state)
{
	struct fx f;

	fx_open_sized(&f, 256, FX_SLOTS);
	fx_fill(f.sim, 0, 200);
	fx_swap_out(&f);
	fx_fill(f.sim, 1000, 150);
	advise(&f, 0, 200, SW_ADVICE_WILLNEED);
	expect_kind(&f, 0, 64, SW_WORD_PRESENT);
	expect_kind(&f, 64, 136, SW_WORD_SWAP);
	expect_kind(&f, 1000, 150, SW_WORD_PRESENT);
	expect_content(&f, 0, 64);
	fx_close(&f);
}

static void willneed_leaves_what_cannot_be_had_to_faults(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 128);
	fx_swap_out(&f);
	sw_sim_fail(f.machine, SW_SIM_COPY, 1, -EAGAIN);
	advise(&f, 0, 128, SW_ADVICE_WILLNEED);
	expect_kind(&f, 0, 64, SW_WORD_SWAP);
	expect_kind(&f, 64, 64, SW_WORD_PRESENT);
	f.store.fail_reads = true;
	advise(&f, 0, 128, SW_ADVICE_WILLNEED);
	expect_kind(&f, 0, 64, SW_WORD_SWAP);
	f.store.fail_reads = false;
	expect_content(&f, 0, 128);
	fx_close(&f);
}

/* ---- one after the other ---- */

static void newer_advice_wins(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 192);
	advise(&f, 0, 192, SW_ADVICE_PAGEOUT);
	advise(&f, 64, 64, SW_ADVICE_WILLNEED);
	take_advised(&f);
	expect_kind(&f, 0, 64, SW_WORD_SWAP);
	expect_kind(&f, 64, 64, SW_WORD_PRESENT);
	expect_kind(&f, 128, 64, SW_WORD_SWAP);
	fx_close(&f);
}

static void new_memory_has_no_old_advice(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 192);
	advise(&f, 0, 192, SW_ADVICE_PAGEOUT);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(64));
	fx_fill(f.sim, 0, 64);
	sw_sim_dontneed(f.sim, fx_at(64), fx_at(128));
	for (unsigned n = 64; n < 128; n++)
		fx_write(f.sim, n, 100 + n);
	sw_sim_mremap(f.sim, fx_at(128), fx_at(600), 64 * PG);
	assert_int_equal(take_advised(&f), 0);
	assert_int_equal(sw_space_resident(f.space), 192);
	expect_content(&f, 0, 128);
	fx_close(&f);
}

static void any_range_is_borne(void **state)
{
	static const struct {
		uint64_t start, end;
	} range[] = {
		{ 0, PG },
		{ 0, SW_ADVICE_MAX_ADDR },
		{ SW_ADVICE_MAX_ADDR - PG,
		  SW_ADVICE_MAX_ADDR + SW_ADVICE_MAX_PAGES * PG },
		{ FX_BASE, FX_BASE },
		{ FX_BASE + 2 * PG, FX_BASE + PG },
	};
	struct sw_advice_book *book;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 300);
	book = &f.space->advice;
	for (unsigned r = 0; r < SW_ARRAY_SIZE(range); r++)
		for (unsigned a = 1; a < SW_NR_ADVICE; a++) {
			sw_space_advise(f.space, range[r].start, range[r].end,
					a);
			while (sw_mm_client.settle(f.space))
				;
			take_advised(&f);
		}
	for (unsigned n = 0; n < 3000; n++) {
		sw_space_advise(f.space, fx_at(n * 7 % 300),
				fx_at(n * 7 % 300 + 1 + n % 9),
				1 + n % (SW_NR_ADVICE - 1));
		assert_in_range(book->todo.nr, 1, SW_ADVISED_MAX);
	}
	while (sw_mm_client.settle(f.space))
		assert_in_range(book->out.nr, 0, SW_ADVISED_MAX);
	take_advised(&f);
	expect_content(&f, 0, 300);
	fx_close(&f);
}

/* ---- all of it goes, for somebody else ---- */

/* What reclaim's thread does meanwhile. */
static bool reclaim_goes_on(void *arg)
{
	struct fx *f = arg;

	while (sw_reclaim_advised(f->mm))
		;
	return true;
}

static bool gives_up(void *arg)
{
	(void)arg;
	return false;
}

static void a_space_goes_out_as_a_whole(void **state)
{
	struct sw_space_stats before, after;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 700);
	heat_up(&f, 0, 700);
	sw_space_stats(f.space, &before);
	assert_int_equal(before.resident_pages, 700);
	assert_int_equal(before.swapped_pages, 0);
	sw_space_page_out(f.space, reclaim_goes_on, &f);
	sw_space_stats(f.space, &after);
	expect_kind(&f, 0, 700, SW_WORD_SWAP);
	assert_int_equal(after.resident_pages, 0);
	assert_int_equal(after.swapped_pages, 700);
	assert_int_equal(after.faults, before.faults);
	expect_content(&f, 0, 700);
	sw_space_stats(f.space, &after);
	assert_true(after.faults > before.faults);
	assert_true(after.stall_ns > before.stall_ns);
	fx_close(&f);
}

/* Called off, nothing is left that would go by itself some day. */
static void who_gives_up_leaves_nothing_to_go(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 300);
	sw_space_page_out(f.space, gives_up, NULL);
	assert_int_equal(f.space->advice.out.nr, 0);
	assert_int_equal(take_advised(&f), 0);
	expect_kind(&f, 0, 300, SW_WORD_PRESENT);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(pageout_goes_although_there_is_room),
		fx_test(small_pieces_go_together),
		fx_test(cold_goes_before_others_when_room_is_needed),
		fx_test(pages_that_others_have_too_stay),
		fx_test(page_that_cannot_go_keeps_no_other),
		fx_test(full_device_takes_no_advice),
		fx_test(willneed_comes_without_a_fault),
		fx_test(willneed_steps_over_what_is_there),
		fx_test(willneed_takes_nobodys_room),
		fx_test(willneed_leaves_what_cannot_be_had_to_faults),
		fx_test(newer_advice_wins),
		fx_test(new_memory_has_no_old_advice),
		fx_test(any_range_is_borne),
		fx_test(a_space_goes_out_as_a_whole),
		fx_test(who_gives_up_leaves_nothing_to_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
