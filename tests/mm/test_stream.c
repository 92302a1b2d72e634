/* test_stream.c - the stream detector by itself: how many pages it asks for,
 * and what it makes of what came. */
#include "fixture.h"

#define TID 1

/* A fault of thread `tid`, after which all that was asked for came. */
static struct sw_plan fault_of(struct sw_streams *st, int tid, uint64_t vpn)
{
	struct sw_plan p;

	sw_stream_fault(st, vpn, tid, &p);
	p.swap = true;
	sw_stream_brought(st, &p, p.nr, vpn + (p.nr - 1) * p.step);
	sw_stream_expect(st, &p);
	return p;
}

static unsigned fault_at(struct sw_streams *st, uint64_t vpn)
{
	return fault_of(st, TID, vpn).nr;
}

static uint64_t hits(void)
{
	return sw_counter_read(SW_CTR_swap_ra_hit);
}

static uint64_t random_below(uint64_t *rng, uint64_t below)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (*rng >> 11) % below;
}

/* ---- directions ---- */

static void sequential_faults_open_the_window(void **state)
{
	static const unsigned want[] = { 1, 4, 16, 64, 64 };
	static const int step[] = { 1, -1 };

	for (unsigned d = 0; d < SW_ARRAY_SIZE(step); d++) {
		struct sw_streams st = { 0 };
		uint64_t vpn = 1000;

		for (unsigned i = 0; i < SW_ARRAY_SIZE(want); i++) {
			struct sw_plan p = fault_of(&st, TID, vpn);

			assert_int_equal(p.nr, want[i]);
			assert_true(p.nr == 1 || p.step == step[d]);
			vpn += (int64_t)p.nr * step[d];
		}
	}
}

static void stride_is_known_at_its_fourth_fault(void **state)
{
	static const unsigned want[] = { 1, 1, 1, 4, 16, 16 };
	static const int step[] = { 2, 7, 100, 512, -2, -3, -512 };

	for (unsigned d = 0; d < SW_ARRAY_SIZE(step); d++) {
		struct sw_streams st = { 0 };
		uint64_t vpn = 100000;

		for (unsigned i = 0; i < SW_ARRAY_SIZE(want); i++) {
			struct sw_plan p = fault_of(&st, TID, vpn);

			assert_int_equal(p.nr, want[i]);
			assert_true(p.nr == 1 || p.step == step[d]);
			vpn += (int64_t)p.nr * step[d];
		}
	}
}

static void stride_is_a_matter_of_one_thread(void **state)
{
	struct sw_streams st = { 0 };

	for (unsigned i = 0; i < 8; i++) {
		struct sw_plan p = fault_of(&st, TID + i % 2, 1000 + i * 9);

		assert_int_equal(p.nr, i < 6 ? 1 : 4);
		assert_true(p.nr == 1 || p.step == 18);
	}
}

static void wide_strides_are_random_access(void **state)
{
	struct sw_streams st = { 0 };

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fault_at(&st, 1000 + i * 513), 1);
	for (unsigned i = 10; i > 0; i--)
		assert_int_equal(fault_at(&st, 90000 + i * 513), 1);
}

/* ---- several ---- */

static void random_faults_bring_one_page(void **state)
{
	struct sw_streams st = { 0 };

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(fault_at(&st, 5000 + i * 7919), 1);
}

static void interleaved_streams_are_kept_apart(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t next[4];

	for (unsigned s = 0; s < SW_ARRAY_SIZE(next); s++)
		next[s] = (s + 1) * 100000;
	for (unsigned want = 1; want <= 64; want *= 4)
		for (unsigned s = 0; s < SW_ARRAY_SIZE(next); s++) {
			assert_int_equal(fault_at(&st, next[s]), want);
			next[s] += want;
		}
}

static void many_streams_grow_one_after_the_other(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t next[SW_BEGUN];
	unsigned nr = 0;

	for (unsigned s = 0; s < SW_ARRAY_SIZE(next); s++)
		next[s] = (s + 1) * 100000;
	for (unsigned i = 0; i < 40; i++)
		for (unsigned s = 0; s < SW_ARRAY_SIZE(next); s++) {
			nr = fault_at(&st, next[s]);
			assert_true(i < 39 || nr == 64);
			next[s] += nr;
		}
}

static void streams_side_by_side_are_kept_apart(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t up = 1000, down = 1300;

	for (unsigned want = 1; want <= 16; want *= 4) {
		assert_int_equal(fault_at(&st, up), want);
		assert_int_equal(fault_at(&st, down), want);
		up += want;
		down -= want;
	}
}

static void oldest_that_has_only_begun_gives_way(void **state)
{
	struct sw_streams st = { 0 };

	for (unsigned s = 0; s < SW_BEGUN; s++)
		fault_at(&st, (s + 1) * 100000);
	fault_at(&st, 77); /* replaces the first */
	assert_int_equal(fault_at(&st, 100001), 1);
	assert_int_equal(fault_at(&st, 300001), 4);
}

static void random_faults_do_not_end_a_stream(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t vpn = 1000;

	for (unsigned want = 1; want <= 64; want *= 4) {
		assert_int_equal(fault_at(&st, vpn), want);
		vpn += want;
		if (want > 1)
			for (unsigned i = 0; i < 200; i++)
				fault_at(&st, 1000000 + (vpn + i) * 7919);
	}
}

static void stream_begins_anew_after_a_long_silence(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t before;

	fault_at(&st, 1000);
	fault_at(&st, 1001);
	fault_at(&st, 1005);
	before = hits();
	for (unsigned i = 0; i < 256; i++)
		fault_at(&st, 1000000 + i * 7919);
	assert_int_equal(fault_at(&st, 1021), 4); /* by chance, perhaps */
	assert_int_equal(hits() - before, 0);
	assert_int_equal(fault_at(&st, 1025), 16);
}

static void stream_goes_on_in_another_thread(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t vpn = 1000;
	int tid = TID;

	for (unsigned want = 1; want <= 64; want *= 4) {
		assert_int_equal(fault_of(&st, tid++, vpn).nr, want);
		vpn += want;
	}
}

/* ---- what came ---- */

static void stream_goes_on_behind_what_came(void **state)
{
	struct sw_streams st = { 0 };
	struct sw_plan p;

	fault_at(&st, 1000);
	fault_at(&st, 1001);
	sw_stream_fault(&st, 1005, TID, &p);
	assert_int_equal(p.nr, 16);
	sw_stream_brought(&st, &p, 3, 1007); /* the window's end, say */
	sw_stream_expect(&st, &p);
	assert_int_equal(fault_at(&st, 1008), 16);
}

static void fault_that_failed_comes_again(void **state)
{
	struct sw_streams st = { 0 };
	struct sw_plan p;

	sw_stream_fault(&st, 1000, TID, &p);
	sw_stream_brought(&st, &p, 0, 0);
	sw_stream_expect(&st, &p);
	assert_int_equal(fault_at(&st, 1000), 1);
	sw_stream_fault(&st, 1001, TID, &p);
	sw_stream_brought(&st, &p, 0, 0);
	sw_stream_expect(&st, &p);
	assert_int_equal(fault_at(&st, 1001), 4);
	assert_int_equal(fault_at(&st, 1005), 16);
}

static void hits_are_batches_whose_stream_went_on(void **state)
{
	uint64_t ra = sw_counter_read(SW_CTR_swap_ra);
	uint64_t hit = hits();
	struct sw_streams st = { 0 };
	struct sw_plan p;

	fault_at(&st, 1000);
	fault_at(&st, 1001);
	fault_at(&st, 1005);
	assert_int_equal(sw_counter_read(SW_CTR_swap_ra) - ra, 3 + 15);
	assert_int_equal(hits() - hit, 3);
	sw_stream_fault(&st, 1021, TID, &p); /* a first touch: no swap-in */
	sw_stream_brought(&st, &p, 64, 1084);
	sw_stream_expect(&st, &p);
	assert_int_equal(hits() - hit, 3 + 15);
	fault_at(&st, 1085);
	assert_int_equal(sw_counter_read(SW_CTR_swap_ra) - ra, 3 + 15 + 63);
	assert_int_equal(hits() - hit, 3 + 15);
}

/* ---- debt ---- */

/* Runs of `len` pages each, far from each other; returns what was brought and
 * not wanted. */
static unsigned waste_of_runs(struct sw_streams *st, int tid, unsigned runs,
			      unsigned len, unsigned *brought)
{
	static uint64_t far = 1 << 20;
	unsigned wasted = 0;

	for (unsigned r = 0; r < runs; r++) {
		unsigned n = 0;

		far += 10007;
		while (n < len) {
			unsigned nr = fault_of(st, tid, far + n).nr;

			n += nr;
			*brought += nr;
		}
		wasted += n - len;
	}
	return wasted;
}

/* What may be wasted in the long run, of what was brought. */
static unsigned forgiven(unsigned brought, uint64_t wanted)
{
	return brought * 3 / 200 + wanted / 8 + 1;
}

static void runs_that_end_soon_waste_little(void **state)
{
	static const unsigned len[] = { 2, 3, 4, 6, 20, 22, 80 };

	for (unsigned i = 0; i < SW_ARRAY_SIZE(len); i++) {
		struct sw_streams st = { 0 };
		unsigned brought = 0, wasted, once;
		uint64_t before = hits();

		once = len[i] < 6 ? 24 : len[i] < 22 ? 24 + 60 : 24 + 60 + 252;
		wasted = waste_of_runs(&st, TID, 100, len[i], &brought);
		assert_in_range(wasted, 1,
				once + forgiven(brought, hits() - before));
		waste_of_runs(&st, TID, 2000, len[i], &brought);
		brought = 0;
		before = hits();
		wasted = waste_of_runs(&st, TID, 2000, len[i], &brought);
		assert_in_range(wasted, 0, forgiven(brought, hits() - before));
	}
}

static void batches_that_are_wanted_nearly_always_go_on(void **state)
{
	struct sw_streams st = { 0 };
	unsigned brought = 0, wasted;

	waste_of_runs(&st, TID, 100, 1000, &brought);
	brought = 0;
	wasted = waste_of_runs(&st, TID, 100, 1000, &brought);
	assert_int_equal(wasted, 100 * 45); /* no window was smaller */
}

static void thread_pays_for_itself_only(void **state)
{
	struct sw_streams st = { 0 };
	unsigned brought = 0;

	waste_of_runs(&st, TID, 100, 2, &brought);
	fault_of(&st, TID, 1000);
	assert_int_equal(fault_of(&st, TID, 1001).nr, 1);
	fault_of(&st, TID + 1, 2000);
	assert_int_equal(fault_of(&st, TID + 1, 2001).nr, 4);
}

static void short_runs_cost_long_ones_their_beginning_only(void **state)
{
	struct sw_streams st = { 0 };
	unsigned brought = 0, n = 0, faults = 0;

	waste_of_runs(&st, TID, 1000, 3, &brought);
	while (n < 6400) {
		n += fault_of(&st, TID, 1000 + n).nr;
		faults++;
	}
	assert_in_range(faults, 100, 110);
}

static void debtor_who_mends_his_ways_is_believed_again(void **state)
{
	struct sw_streams st = { 0 };
	unsigned brought = 0, n = 0, faults = 0;

	waste_of_runs(&st, TID, 100, 2, &brought);
	waste_of_runs(&st, TID, 100, 6, &brought);
	waste_of_runs(&st, TID, 100, 22, &brought);
	while (n < 64000) {
		n += fault_of(&st, TID, 1000 + n).nr;
		faults++;
	}
	assert_in_range(faults, 1000, 1300);
	assert_int_equal(fault_of(&st, TID, 1000 + n).nr, 64);
}

static void page_0_is_a_page(void **state)
{
	struct sw_streams st = { 0 };

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fault_at(&st, 0), 1);
	assert_int_equal(fault_at(&st, 1), 4);
	assert_int_equal(fault_at(&st, 0), 1);
	assert_int_equal(fault_at(&st, 5), 16);
}

static void random_faults_in_few_pages_owe_little(void **state)
{
	struct sw_streams st = { 0 };
	uint64_t rng = 88172645463325252ull;
	unsigned ahead = 0, faults = 20000;
	uint64_t before = hits();

	for (unsigned i = 0; i < faults; i++)
		ahead += fault_at(&st, 1000 + random_below(&rng, 2000)) - 1;
	assert_in_range(ahead - (hits() - before), 0, faults / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(sequential_faults_open_the_window),
		fx_test(stride_is_known_at_its_fourth_fault),
		fx_test(stride_is_a_matter_of_one_thread),
		fx_test(wide_strides_are_random_access),
		fx_test(random_faults_bring_one_page),
		fx_test(interleaved_streams_are_kept_apart),
		fx_test(many_streams_grow_one_after_the_other),
		fx_test(streams_side_by_side_are_kept_apart),
		fx_test(oldest_that_has_only_begun_gives_way),
		fx_test(random_faults_do_not_end_a_stream),
		fx_test(stream_begins_anew_after_a_long_silence),
		fx_test(stream_goes_on_in_another_thread),
		fx_test(stream_goes_on_behind_what_came),
		fx_test(fault_that_failed_comes_again),
		fx_test(hits_are_batches_whose_stream_went_on),
		fx_test(runs_that_end_soon_waste_little),
		fx_test(batches_that_are_wanted_nearly_always_go_on),
		fx_test(thread_pays_for_itself_only),
		fx_test(short_runs_cost_long_ones_their_beginning_only),
		fx_test(debtor_who_mends_his_ways_is_believed_again),
		fx_test(page_0_is_a_page),
		fx_test(random_faults_in_few_pages_owe_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
