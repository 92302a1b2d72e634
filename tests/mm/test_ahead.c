/* test_ahead.c - readahead in a whole memory manager: what a program touches
 * is compared, page by page, with what was brought for it. */
#include "fixture.h"

#define PAGES  3000u
#define BUDGET 1000u
#define ROOM   128 /* pages free before each touch, as reclaim would have it */

static struct {
	struct fx f;
	const struct sw_mmu_ops *plain;
	struct sw_mmu_ops ops;
	bool untouched[FX_PAGES]; /* it was brought, and not touched since */
	uint64_t in, wasted;      /* pages brought; of these: never touched */
	uint64_t faults;
	uint64_t rng;
} p;

/* ---- exact accounts ---- */

static int counting_copy(struct sw_mmu *mmu, uint64_t addr, const void *pages,
			 unsigned nr, bool protect)
{
	int n = p.plain->copy(mmu, addr, pages, nr, protect);

	for (int i = 0; i < n; i++)
		p.untouched[(addr - FX_BASE) / PG + i] = true;
	p.in += n > 0 ? n : 0;
	return n;
}

static int counting_take(struct sw_mmu *mmu, const struct sw_agent_run *run,
			 unsigned nr_runs, uint64_t epoch,
			 uint8_t page[SW_MMU_BATCH])
{
	int err = p.plain->take(mmu, run, nr_runs, epoch, page);

	for (unsigned r = 0; !err && r < nr_runs; r++)
		for (unsigned k = 0; k < run[r].nr; k++) {
			unsigned n = (run[r].addr - FX_BASE) / PG + k;

			if (page[run[r].at + k] != SW_PAGE_TAKEN)
				continue;
			p.wasted += p.untouched[n];
			p.untouched[n] = false;
		}
	return err;
}

static void make_room(void)
{
	struct sw_mm *mm = p.f.mm;

	while (sw_budget_free(&mm->budget) < ROOM) {
		sw_reclaim_evict(mm);
		if (mm->staging.nr > mm->staging.target)
			sw_staging_write(mm,
					 mm->staging.nr - mm->staging.target);
	}
}

/* A program that has written to all its pages, most of which are out. */
static void open_with_budget(uint64_t budget)
{
	memset(&p, 0, sizeof(p));
	p.rng = 88172645463325252ull;
	fx_open_sized(&p.f, budget, FX_SLOTS);
	fx_map(p.f.sim, 0, PAGES);
	for (unsigned n = 0; n < PAGES; n++) {
		make_room();
		fx_write(p.f.sim, n, 100 + n);
	}
	if (budget > PAGES)
		fx_swap_out(&p.f);
	p.plain = p.f.space->mmu->ops;
	p.ops = *p.plain;
	p.ops.copy = counting_copy;
	p.ops.take = counting_take;
	p.f.space->mmu->ops = &p.ops;
	fx_counted(&p.f, pgfault);
	fx_counted(&p.f, swap_ra);
	fx_counted(&p.f, swap_ra_hit);
}

static void open_program(void)
{
	open_with_budget(BUDGET);
}

/* Returns how many faults it took. */
static unsigned touch(unsigned n)
{
	unsigned faults;

	make_room();
	fx_expect(p.f.sim, n, 100 + n);
	p.untouched[n] = false;
	faults = fx_counted(&p.f, pgfault);
	p.faults += faults;
	return faults;
}

static uint64_t random_below(uint64_t below)
{
	p.rng ^= p.rng << 13;
	p.rng ^= p.rng >> 7;
	p.rng ^= p.rng << 17;
	return (p.rng >> 11) % below;
}

/* Some pages much more often than others, all over the place. */
static unsigned skewed(void)
{
	uint64_t u = random_below(1 << 20);

	return ((u * u >> 20) * u >> 20) * PAGES / (1 << 20) * 1009 % PAGES;
}

/* The end. Fails when more than `percent` of what came was never touched, or
 * more faults were needed than one for `per_fault` pages that came. */
static void close_program(const char *what, unsigned percent,
			  unsigned per_fault)
{
	uint64_t ra = fx_counted(&p.f, swap_ra);
	uint64_t hit = fx_counted(&p.f, swap_ra_hit);
	bool good;

	for (unsigned n = 0; n < PAGES; n++)
		p.wasted += p.untouched[n];
	good = p.wasted * 100 <= p.in * percent && p.faults * per_fault <= p.in;
	print_message(
		"%-24s %llu pages, %llu wasted; %llu faults; ahead %llu, hits %llu\n",
		what, (unsigned long long)p.in, (unsigned long long)p.wasted,
		(unsigned long long)p.faults, (unsigned long long)ra,
		(unsigned long long)hit);
	assert_true(good);
	assert_int_equal(ra, p.in - p.faults);
	assert_true(hit <= ra);
	sw_sim_be(1);
	fx_close(&p.f);
}

/* ---- access without order ---- */

static void random_access_wastes_nothing(void **state)
{
	open_program();
	for (unsigned i = 0; i < 20000; i++)
		touch(random_below(PAGES));
	close_program("random", 5, 1);
}

static void skewed_access_wastes_nothing(void **state)
{
	open_program();
	for (unsigned i = 0; i < 20000; i++)
		touch(skewed());
	close_program("skewed", 5, 1);
}

static void short_runs_waste_little(void **state)
{
	for (unsigned most = 2; most <= 8; most *= 2) {
		open_program();
		for (unsigned i = 0; i < 6000; i++) {
			unsigned n = random_below(PAGES - most);
			unsigned len = 1 + random_below(most);

			while (len--)
				touch(n++);
		}
		close_program("short runs", 5, 1);
	}
}

/* Lists of neighbours, some of them much more often than others. */
static void skewed_short_runs_waste_little(void **state)
{
	open_program();
	for (unsigned i = 0; i < 10000; i++) {
		unsigned n = skewed(), len = 1 + n % 4;

		while (len-- && n < PAGES)
			touch(n++);
	}
	close_program("skewed short runs", 5, 1);
}

/* Every page that follows is touched with the same probability; when it is high
 * enough, to bring some for nothing is cheaper than a fault for each. */
/* At nine pages in ten, windows come whole, and a tenth of them is gaps. */
static void scans_that_leave_pages_out_waste_little(void **state)
{
	for (unsigned tenths = 3; tenths < 10; tenths += 3) {
		open_program();
		for (unsigned pass = 0; pass < 10; pass++)
			for (unsigned n = 0; n < PAGES; n++)
				if (random_below(10) < tenths)
					touch(n);
		close_program("scan with gaps", tenths < 6 ? 5 : 11, 1);
	}
}

/*
 * ---- order ----
 *
 * Waste is what reclaim makes here: once a round it sweeps over the pages just
 * brought for a stream that it does not chase, and in a budget this small a
 * round is a few hundred pages.
 */

static void forward_access_comes_in_whole_windows(void **state)
{
	open_program();
	for (unsigned i = 0; i < 5 * PAGES; i++)
		touch(i % PAGES);
	close_program("forward", 10, 45);
}

static void backward_access_comes_in_whole_windows(void **state)
{
	open_program();
	for (unsigned i = 0; i < 5 * PAGES; i++)
		touch(PAGES - 1 - i % PAGES);
	close_program("backward", 10, 40);
}

static void strided_access_comes_in_batches(void **state)
{
	static const struct {
		unsigned stride, per_fault;
	} want[] = { { 2, 12 }, { 5, 10 }, { 30, 3 } };

	for (unsigned s = 0; s < SW_ARRAY_SIZE(want); s++) {
		unsigned stride = want[s].stride;

		open_program();
		for (unsigned i = 0; i < 4 * stride; i++)
			for (unsigned n = i % stride; n < PAGES; n += stride)
				touch(n);
		close_program("strided", 5, want[s].per_fault);
	}
}

/* The control of the above: all is out, and nothing goes while it comes. */
static void order_wastes_nothing_where_reclaim_takes_nothing(void **state)
{
	open_with_budget(1 << 20);
	for (unsigned i = 0; i < PAGES; i++)
		touch(PAGES - 1 - i);
	close_program("backward, no reclaim", 0, 40);

	open_with_budget(1 << 20);
	for (unsigned i = 0; i < 600; i++) {
		touch(i);
		touch(1199 - i);
		touch(1200 + i);
		touch(1800 + i / 3 * 3);
	}
	close_program("interleaved, no reclaim", 5, 15);

	open_with_budget(1 << 20);
	for (unsigned i = 0; i < 1500; i++)
		for (unsigned t = 0; t < 2; t++) {
			sw_sim_be(10 + t);
			touch(t ? 2999 - i : i);
		}
	close_program("two threads, no reclaim", 0, 40);

	open_with_budget(1 << 20);
	for (unsigned i = 0; i < 2000; i++) {
		touch(i);
		if (i % 2)
			touch(2000 + random_below(1000));
	}
	close_program("probes, no reclaim", 5, 2);
}

/* One page of each window, or of every other window, comes along. */
static void wide_strides_come_in_batches_too(void **state)
{
	static const int stride[] = { 64, 100, -64, -130 };

	for (unsigned s = 0; s < SW_ARRAY_SIZE(stride); s++) {
		int n = stride[s] < 0 ? 3999 : 0;
		struct fx f;

		fx_open(&f);
		fx_fill(f.sim, 0, 4000);
		fx_swap_out(&f);
		fx_counted(&f, pgfault);
		for (unsigned i = 0; i < 30; i++, n += stride[s])
			fx_expect(f.sim, n, 100 + n);
		/* 1, 1, 1, 4, 16, and the rest with those behind it */
		assert_int_equal(fx_counted(&f, pgfault), 6);
		fx_close(&f);
	}
}

static void interleaved_streams_come_in_batches(void **state)
{
	open_program();
	for (unsigned pass = 0; pass < 4; pass++)
		for (unsigned i = 0; i < 600; i++) {
			touch(i);
			touch(1199 - i);
			touch(1200 + i);
			touch(1800 + i / 3 * 3);
		}
	close_program("interleaved", 12, 15);
}

static void scan_between_random_probes_comes_in_batches(void **state)
{
	open_program();
	for (unsigned i = 0; i < 30000; i++) {
		touch(i / 2 % 2000);
		if (i % 2)
			touch(2000 + random_below(1000));
	}
	close_program("scan and probes", 10, 2);
}

/* ---- threads ---- */

static void threads_keep_their_streams(void **state)
{
	open_program();
	for (unsigned i = 0; i < 4 * 1500; i++)
		for (unsigned t = 0; t < 2; t++) {
			sw_sim_be(10 + t);
			touch(t ? 2999 - i % 1500 : i % 1500);
		}
	close_program("two threads", 10, 15);
}

static void thread_without_order_costs_the_other_nothing(void **state)
{
	uint64_t faults = 0;

	open_program();
	for (unsigned i = 0; i < 15000; i++) {
		unsigned n = 1500 + random_below(1490);

		sw_sim_be(10);
		faults += touch(i % 1500);
		if (i % 16)
			continue;
		sw_sim_be(11);
		touch(n);
		touch(n + 1);
	}
	assert_in_range(faults, 1, 15000 / 20);
	close_program("a thread and a mess", 8, 7);
}

/* ---- what a batch is made of ---- */

static void batch_mixes_sources(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 64, 40);
	fx_evict(&f);
	assert_int_equal(sw_staging_write(f.mm, 20), 20);
	fx_counted(&f, pgfault);
	for (unsigned n = 64; n < 104; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(fx_counted(&f, pgfault), 4); /* 1, 4, 16, 19 */
	assert_int_equal(f.store.reads, 20);
	assert_true(fx_word(f.sim, 64 + 19) & SW_WORD_CLEAN);
	assert_false(fx_word(f.sim, 64 + 20) & (SW_WORD_CLEAN | SW_WORD_WP));
	fx_write(f.sim, 64 + 20, 7);
	assert_int_equal(fx_counted(&f, pgfault), 0);
	fx_write(f.sim, 64 + 19, 8);
	assert_int_equal(fx_counted(&f, pgfault_wp), 1);
	fx_close(&f);
}

static void batch_steps_over_pages_that_are_there(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 64, 64);
	fx_swap_out(&f);
	fx_expect(f.sim, 74, 174);
	fx_expect(f.sim, 85, 185);
	fx_counted(&f, pgfault);
	for (unsigned n = 64; n < 64 + 23; n++)
		fx_expect(f.sim, n, 100 + n);
	assert_int_equal(fx_counted(&f, pgfault), 3); /* 1, 4, 16 and those */
	fx_expect(f.sim, 87, 187);
	assert_int_equal(sw_space_resident(f.space), 64);
	fx_close(&f);
}

/* What stops a batch far from its fault does not stop the fault. */
static void page_in_the_way_backward_stops_nothing(void **state)
{
	static const char zeros[PG];
	struct sw_mmu *mmu;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 64, 10);
	fx_swap_out(&f);
	mmu = sw_space_mmu(f.space);
	assert_int_equal(mmu->ops->copy(mmu, fx_at(70), zeros, 1, false), 1);
	for (unsigned n = 73; n > 70; n--)
		fx_expect(f.sim, n, 100 + n);
	for (unsigned n = 69; n >= 64; n--)
		fx_expect(f.sim, n, 100 + n);
	fx_expect(f.sim, 70, 0); /* newer than what is out */
	fx_close(&f);
}

static void batches_end_with_their_region(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 256);
	fx_map(f.sim, 300, 10);
	for (unsigned n = 309; n >= 300; n--)
		fx_expect(f.sim, n, 0);
	for (unsigned n = 256; n < 300; n++)
		assert_int_equal(fx_kind(f.sim, n), SW_WORD_NONE);
	fx_expect(f.sim, 309, 0);
	assert_int_equal(sw_space_resident(f.space), 10);
	fx_close(&f);
}

static void protection_is_lifted_in_batches(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 64, 128);
	fx_swap_out(&f);
	for (unsigned n = 64; n < 192; n++)
		fx_expect(f.sim, n, 100 + n);
	for (unsigned n = 191; n >= 64; n--)
		fx_write(f.sim, n, 200 + n);
	/* 1 4 16 43 64, and less once so many were written to */
	assert_in_range(fx_counted(&f, pgfault_wp), 2, 5);
	fx_swap_out(&f);
	for (unsigned n = 64; n < 192; n++)
		fx_expect(f.sim, n, 200 + n);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(random_access_wastes_nothing),
		fx_test(skewed_access_wastes_nothing),
		fx_test(short_runs_waste_little),
		fx_test(skewed_short_runs_waste_little),
		fx_test(scans_that_leave_pages_out_waste_little),
		fx_test(forward_access_comes_in_whole_windows),
		fx_test(backward_access_comes_in_whole_windows),
		fx_test(strided_access_comes_in_batches),
		fx_test(order_wastes_nothing_where_reclaim_takes_nothing),
		fx_test(wide_strides_come_in_batches_too),
		fx_test(interleaved_streams_come_in_batches),
		fx_test(scan_between_random_probes_comes_in_batches),
		fx_test(threads_keep_their_streams),
		fx_test(thread_without_order_costs_the_other_nothing),
		fx_test(batch_mixes_sources),
		fx_test(batch_steps_over_pages_that_are_there),
		fx_test(page_in_the_way_backward_stops_nothing),
		fx_test(batches_end_with_their_region),
		fx_test(protection_is_lifted_in_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
