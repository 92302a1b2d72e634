/* test_stall.c - how long faults take, by what they waited for, and for how much
 * of the time some thread did. */
#include <time.h>

#include "base/time.h"
#include "fixture.h"

#define MS 1000000ull

/* ---- histograms ---- */

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t rnd(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng;
}

static void every_value_has_its_bucket(void **state)
{
	for (unsigned i = 0; i < SW_HIST_BUCKETS - 1; i++) {
		uint64_t bound = sw_hist_bound(i);

		assert_int_equal(sw_hist_index(bound), i);
		assert_int_equal(sw_hist_index(bound + 1), i + 1);
	}
	assert_int_equal(sw_hist_index(0), 0);
	assert_int_equal(sw_hist_index(UINT64_MAX), SW_HIST_BUCKETS - 1);
	assert_int_equal(sw_hist_bound(SW_HIST_BUCKETS - 1), UINT64_MAX);
}

static void quantiles_are_those_of_sorted_samples(void **state)
{
	static const unsigned asked[] = { 1, 10, 500, 900, 990, 999, 1000 };

	enum {
		NR = 5000
	};

	static uint64_t sample[NR];
	uint64_t rng = 88172645463325252ull, sum = 0;
	struct sw_hist h = { 0 }, twice = { 0 };

	for (unsigned i = 0; i < NR; i++) {
		sample[i] = rnd(&rng) >> (64 - 1 - rnd(&rng) % 36);
		sum += sample[i];
		sw_hist_add(&h, sample[i]);
	}
	qsort(sample, NR, sizeof(sample[0]), ascending);
	assert_int_equal(sw_hist_count(&h), NR);
	assert_int_equal(h.sum, sum);
	for (unsigned q = 0; q < SW_ARRAY_SIZE(asked); q++) {
		uint64_t want = sample[(NR * asked[q] + 999) / 1000 - 1];
		uint64_t got = sw_hist_quantile(&h, asked[q]);

		assert_in_range(got, want,
				sw_max(want + want / 8 + 1, (uint64_t)128));
	}
	assert_int_equal(sw_hist_quantile(&h, 1000), sample[NR - 1]);
	for (unsigned bits = SW_HIST_MIN_BITS; bits < SW_HIST_MAX_BITS;
	     bits++) {
		uint64_t nr = 0;

		while (nr < NR && sample[nr] <= 1ull << bits)
			nr++;
		assert_int_equal(sw_hist_count_to(&h, 1ull << bits), nr);
	}
	sw_hist_merge(&twice, &h);
	sw_hist_merge(&twice, &h);
	assert_int_equal(sw_hist_count(&twice), 2 * NR);
	assert_int_equal(twice.sum, 2 * sum);
	assert_int_equal(sw_hist_quantile(&twice, 500),
			 sw_hist_quantile(&h, 500));
}

static void an_empty_histogram_has_no_quantiles(void **state)
{
	struct sw_hist h = { 0 };

	assert_int_equal(sw_hist_quantile(&h, 500), 0);
	assert_int_equal(sw_hist_quantile(&h, 1000), 0);
}

/* ---- tiers ---- */

static uint64_t count_of(struct fx *f, enum sw_tier tier)
{
	static struct sw_stall_sums sums;

	sw_mm_stall_sums(f->mm, &sums);
	return sw_hist_count(&sums.tier[tier]);
}

static void counts_are(struct fx *f, uint64_t first_touch, uint64_t staged,
		       uint64_t compressed, uint64_t disk, uint64_t write)
{
	assert_int_equal(count_of(f, SW_TIER_FIRST_TOUCH), first_touch);
	assert_int_equal(count_of(f, SW_TIER_STAGED), staged);
	assert_int_equal(count_of(f, SW_TIER_COMPRESSED), compressed);
	assert_int_equal(count_of(f, SW_TIER_DISK), disk);
	assert_int_equal(count_of(f, SW_TIER_WRITE), write);
	assert_int_equal(count_of(f, SW_TIER_OTHER), 0);
}

static void on_disk(struct fx_store *st, uint64_t offset)
{
	sw_disk_reads++;
}

static void a_fault_counts_by_what_it_waited_for(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	counts_are(&f, 1, 0, 0, 0, 0);
	fx_evict(&f);
	fx_expect(f.sim, 0, 100);
	counts_are(&f, 1, 1, 0, 0, 0);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 100);
	counts_are(&f, 1, 1, 1, 0, 0);
	fx_write(f.sim, 0, 7); /* its slot had a clean copy */
	counts_are(&f, 1, 1, 1, 0, 1);
	fx_swap_out(&f);
	f.store.before_read = on_disk;
	fx_expect(f.sim, 0, 7);
	counts_are(&f, 1, 1, 1, 1, 1);
	/* A space that is gone is not forgotten, nor counted twice on its way. */
	sw_stalls_bury(&f.mm->stalls, &f.space->stall);
	counts_are(&f, 1, 1, 1, 1, 1);
	fx_end(f.sim);
	f.sim = NULL;
	counts_are(&f, 1, 1, 1, 1, 1);
	fx_close(&f);
}

static void the_longest_refault_is_known(void **state)
{
	struct sw_stall_sums *sums = malloc(sizeof(*sums));
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 64);
	fx_swap_out(&f);
	sw_mm_stall_sums(f.mm, sums);
	assert_int_equal(sums->refault_max, 0);
	fx_fill(f.sim, 64, 64);
	fx_swap_out(&f);
	fx_expect(f.sim, 127, 227);
	sw_mm_stall_sums(f.mm, sums);
	assert_in_range(sums->refault_max, 0, 63);
	fx_expect(f.sim, 0, 100);
	sw_mm_stall_sums(f.mm, sums);
	assert_in_range(sums->refault_max, 64, 128);
	free(sums);
	fx_close(&f);
}

/* ---- time ---- */

static void slow(struct fx_store *st, uint64_t offset)
{
	const struct timespec t = { .tv_nsec = 20 * MS };

	nanosleep(&t, NULL);
}

static void some_thread_waits_while_a_device_reads(void **state)
{
	struct sw_stall_sums *sums = malloc(sizeof(*sums));
	uint64_t begin, end, some;
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	fx_swap_out(&f);
	begin = sw_now_ns();
	sw_mm_stall_step(f.mm, begin);
	f.store.before_read = slow;
	fx_expect(f.sim, 0, 100);
	end = sw_now_ns();
	some = sw_mm_stall_step(f.mm, end);
	assert_in_range(some, 20 * MS, end - begin);
	assert_int_equal(sw_mm_stall_step(f.mm, sw_now_ns()), 0);
	sw_mm_stall_sums(f.mm, sums);
	assert_in_range(sums->tier[SW_TIER_COMPRESSED].max, 20 * MS,
			end - begin);
	free(sums);
	fx_close(&f);
}

/* To the microsecond: shares are floating-point numbers. */
#define near_us(got, want) assert_in_range(got, (want)-1000, (want) + 1000)

static void spaces_are_put_together_as_if_independent(void **state)
{
	struct sw_space *other;
	uint64_t now = 1ull << 50;
	struct fx f;

	fx_open(&f);
	other = sw_space_new(f.mm);
	sw_space_set_mmu(other, sw_space_mmu(f.space));
	sw_space_attach(other);
	sw_mm_stall_step(f.mm, now);
	f.space->stall.serving_ns += 500 * MS;
	near_us(sw_mm_stall_step(f.mm, now += 1000 * MS), 500 * MS);
	f.space->stall.serving_ns += 500 * MS;
	other->stall.serving_ns += 500 * MS;
	near_us(sw_mm_stall_step(f.mm, now += 1000 * MS), 750 * MS);
	/* Both kinds of waiting. */
	other->stall.held_ns += 250 * MS;
	near_us(sw_mm_stall_step(f.mm, now += 1000 * MS), 250 * MS);
	/* Never more than the step. */
	other->stall.held_ns += 5000 * MS;
	near_us(sw_mm_stall_step(f.mm, now += 1000 * MS), 1000 * MS);
	sw_space_free(other);
	fx_close(&f);
}

static void a_space_that_ends_counts_in_its_last_step(void **state)
{
	struct sw_space *other;
	uint64_t begin, end;
	struct fx f;

	fx_open(&f);
	other = sw_space_new(f.mm);
	sw_space_set_mmu(other, sw_space_mmu(f.space));
	sw_space_attach(other);
	begin = sw_now_ns();
	sw_mm_stall_step(f.mm, begin);
	other->stall.serving_ns += 3600ull * 1000 * MS; /* all of it */
	sw_space_free(other);
	end = sw_now_ns();
	near_us(sw_mm_stall_step(f.mm, end), end - begin);
	assert_int_equal(sw_mm_stall_step(f.mm, sw_now_ns()), 0);
	fx_close(&f);
}

static struct sw_window *window(struct fx *f)
{
	return sw_window_of(sw_pt_lookup(&f->space->pt, fx_at(0)),
			    sw_leaf_index(fx_at(0)));
}

static void who_meets_a_busy_window_waits_until_it_is_given(void **state)
{
	const struct timespec t = { .tv_nsec = 5 * MS };
	struct sw_leaf *leaf;
	struct fx f;
	uint64_t now;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	leaf = sw_pt_lookup(&f.space->pt, fx_at(0));
	now = sw_now_ns();
	sw_mm_stall_step(f.mm, now);
	sw_space_lock(f.space);
	sw_window_take(leaf, sw_leaf_index(fx_at(0)));
	sw_window_await(f.space, window(&f));
	sw_window_await(f.space, window(&f)); /* two, who are woken at once */
	sw_space_unlock(f.space);
	nanosleep(&t, NULL);
	/* It counts while it lasts, and not again when it is over. */
	assert_true(sw_mm_stall_step(f.mm, sw_now_ns()) >= 5 * MS);
	sw_space_lock(f.space);
	sw_window_give(f.space, leaf, sw_leaf_index(fx_at(0)));
	sw_space_unlock(f.space);
	assert_int_equal(f.space->stall.nr_held, 0);
	sw_mm_stall_step(f.mm, sw_now_ns());
	assert_int_equal(sw_mm_stall_step(f.mm, sw_now_ns()), 0);
	fx_close(&f);
}

static void nobody_waits_for_a_window_that_is_gone(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 1);
	sw_space_lock(f.space);
	sw_window_await(f.space, window(&f));
	assert_int_equal(f.space->stall.nr_held, 1);
	sw_space_zap(f.space, 0, ~0ull, true);
	assert_int_equal(f.space->stall.nr_held, 0);
	sw_space_unlock(f.space);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(every_value_has_its_bucket),
		fx_test(quantiles_are_those_of_sorted_samples),
		fx_test(an_empty_histogram_has_no_quantiles),
		fx_test(a_fault_counts_by_what_it_waited_for),
		fx_test(the_longest_refault_is_known),
		fx_test(some_thread_waits_while_a_device_reads),
		fx_test(spaces_are_put_together_as_if_independent),
		fx_test(a_space_that_ends_counts_in_its_last_step),
		fx_test(who_meets_a_busy_window_waits_until_it_is_given),
		fx_test(nobody_waits_for_a_window_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
