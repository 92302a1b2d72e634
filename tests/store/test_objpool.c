/* test_objpool.c - the object pool, one behaviour a test. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pages.h"
#include "quiet.h"
#include "store/objpool.h"

static uint64_t alloc_filled(struct sw_objpool *p, size_t size, int byte)
{
	uint64_t loc;

	assert_int_equal(sw_objpool_alloc(p, size, &loc), 0);
	assert_non_null(sw_objpool_at(p, loc, size));
	memset(sw_objpool_at(p, loc, size), byte, size);
	return loc;
}

static struct sw_objpool_stats stats(struct sw_objpool *p)
{
	struct sw_objpool_stats st;

	sw_objpool_stats(p, &st);
	return st;
}

static void objects_of_every_size_keep_their_bytes(void **state)
{
	struct sw_objpool *p = sw_objpool_new(3 * SW_PAGE_SIZE);
	uint64_t *loc = calloc(3 * SW_PAGE_SIZE, sizeof(*loc));
	uint64_t bytes = 0;

	assert_non_null(p);
	for (size_t i = 0; i < 3 * SW_PAGE_SIZE; i++) {
		loc[i] = alloc_filled(p, i % SW_PAGE_SIZE + 1, i * 31 >> 3);
		bytes += i % SW_PAGE_SIZE + 1;
	}
	assert_int_equal(stats(p).objs, 3 * SW_PAGE_SIZE);
	assert_int_equal(stats(p).bytes, bytes);
	assert_int_equal(sw_objpool_check(p), 0);
	for (size_t i = 0; i < 3 * SW_PAGE_SIZE; i++) {
		size_t size = i % SW_PAGE_SIZE + 1;
		unsigned char *at = sw_objpool_at(p, loc[i], size);

		for (size_t j = 0; j < size; j++)
			assert_int_equal(at[j], (i * 31 >> 3) & 0xff);
		sw_objpool_free(p, loc[i], size);
	}
	assert_int_equal(stats(p).objs, 0);
	assert_int_equal(stats(p).bytes, 0);
	assert_int_equal(stats(p).mem_bytes, 0);
	assert_in_range(stats(p).peak_bytes, bytes, bytes + bytes / 8);
	assert_int_equal(sw_objpool_check(p), 0);
	sw_objpool_destroy(p);
	free(loc);
}

/* Rounding and span tails together, for each size by itself. */
static void waste_of_a_full_pool_is_small(void **state)
{
	enum {
		N = 4000
	};

	double worst = 0;

	for (size_t size = 200; size <= SW_PAGE_SIZE; size += 56) {
		struct sw_objpool *p = sw_objpool_new(N);
		uint64_t loc;
		double waste;

		for (int i = 0; i < N; i++)
			assert_int_equal(sw_objpool_alloc(p, size, &loc), 0);
		waste = (double)stats(p).mem_bytes / (N * size) - 1;
		worst = sw_max(worst, waste);
		assert_true(waste < 0.08);
		sw_objpool_destroy(p);
	}
	print_message("worst waste of one size: %.1f %%\n", worst * 100);
}

static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long total, resident;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
	fclose(f);
	return resident * SW_PAGE_SIZE;
}

static void freed_memory_really_goes_back(void **state)
{
	enum {
		N = 20000
	};
	struct sw_objpool *p = sw_objpool_new(N);
	uint64_t *loc = calloc(N, sizeof(*loc));
	uint64_t before = resident_bytes(), full, after;

	memset(loc, 1, N * sizeof(*loc));
	for (int i = 0; i < N; i++)
		loc[i] = alloc_filled(p, 2000, i);
	full = resident_bytes();
	for (int i = 1; i < N; i++)
		sw_objpool_free(p, loc[i], 2000);
	after = resident_bytes();
	assert_true(full > before + N * 1900ULL);
	/* The last object keeps its span, and a little stock is kept. */
	assert_true(after < before + (4 << 20));
	assert_in_range(stats(p).mem_bytes, 1, 9 * (64 << 10));
	sw_objpool_free(p, loc[0], 2000);
	assert_int_equal(stats(p).mem_bytes, 0);
	sw_objpool_destroy(p);
	free(loc);
}

static void holes_are_used_before_new_memory(void **state)
{
	enum {
		N = 4000
	};
	struct sw_objpool *p = sw_objpool_new(N);
	uint64_t loc[N], mem;

	for (int i = 0; i < N; i++)
		loc[i] = alloc_filled(p, 1000, i);
	mem = stats(p).mem_bytes;
	for (int i = 0; i < N; i += 2)
		sw_objpool_free(p, loc[i], 1000);
	for (int i = 0; i < N; i += 2)
		loc[i] = alloc_filled(p, 940, i); /* a class below */
	assert_true(stats(p).mem_bytes <= mem + (64 << 10));
	assert_int_equal(sw_objpool_check(p), 0);
	for (int i = 0; i < N; i++)
		sw_objpool_free(p, loc[i], i % 2 ? 1000 : 940);
	assert_int_equal(stats(p).mem_bytes, 0);
	sw_objpool_destroy(p);
}

static void limit_refuses_and_frees_make_room(void **state)
{
	const uint64_t limit = 1 << 20;
	struct sw_objpool *p = sw_objpool_new(4096);
	uint64_t loc[4096];
	int n = 0;

	sw_objpool_set_limit(p, limit);
	while (sw_objpool_alloc(p, 1500, &loc[n]) == 0)
		assert_true(++n < 4096);
	assert_in_range(n, limit / 1500 * 9 / 10, limit / 1500);
	assert_true(stats(p).mem_bytes <= limit);
	assert_int_equal(sw_objpool_check(p), 0);
	for (int i = 0; i < n; i++)
		sw_objpool_free(p, loc[i], 1500);
	n = 0;
	while (sw_objpool_alloc(p, 4096, &loc[n]) == 0)
		n++;
	assert_in_range(n, limit / 4096 * 9 / 10, limit / 4096);
	sw_objpool_set_limit(p, 0);
	assert_int_equal(sw_objpool_alloc(p, 4096, &loc[n]), 0);
	assert_int_equal(sw_objpool_check(p), 0);
	sw_objpool_destroy(p);
}

/* Spans kept for reuse, of another length, go before anyone is refused. Four
 * whole pages fill their span, so that no hole helps out. */
static void stock_does_not_count_against_the_limit(void **state)
{
	for (size_t size = 100; size <= SW_PAGE_SIZE; size += 111) {
		struct sw_objpool *p = sw_objpool_new(1000);
		uint64_t loc[1000], extra;

		for (int i = 0; i < 1000; i++)
			loc[i] = alloc_filled(p, SW_PAGE_SIZE, i);
		for (int i = 4; i < 1000; i++)
			sw_objpool_free(p, loc[i], SW_PAGE_SIZE);
		sw_objpool_set_limit(p, stats(p).mem_bytes);
		assert_int_equal(sw_objpool_alloc(p, size, &extra), 0);
		assert_int_equal(sw_objpool_check(p), 0);
		sw_objpool_destroy(p);
	}
}

static void any_hole_is_better_than_none(void **state)
{
	struct sw_objpool *p = sw_objpool_new(64);
	uint64_t big, small;

	sw_objpool_set_limit(p, 16 * SW_PAGE_SIZE);
	big = alloc_filled(p, 4000, 1);
	sw_objpool_set_limit(p, 1);
	assert_int_equal(sw_objpool_alloc(p, 30, &small), 0);
	sw_objpool_free(p, small, 30);
	sw_objpool_free(p, big, 4000);
	assert_int_equal(stats(p).mem_bytes, 0);
	sw_objpool_destroy(p);
}

static void damaged_locations_lead_nowhere(void **state)
{
	struct sw_objpool *p = sw_objpool_new(100);
	uint64_t loc = alloc_filled(p, 1000, 1);

	assert_null(sw_objpool_at(p, 0, 1000));
	assert_null(sw_objpool_at(p, loc + 255, 1000));
	assert_null(sw_objpool_at(p, loc, 3000));
	assert_null(sw_objpool_at(p, loc, 0));
	assert_null(sw_objpool_at(p, (1ULL << SW_OBJPOOL_LOC_BITS) - 1, 16));
	sw_objpool_destroy(p);
}

static void freeing_twice_aborts(void **state)
{
	struct sw_objpool *p = sw_objpool_new(100);
	uint64_t keep = alloc_filled(p, 1000, 1),
		 loc = alloc_filled(p, 1000, 2);
	struct quiet q = quiet_begin();
	int status = 0;
	pid_t pid;

	sw_objpool_free(p, loc, 1000);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		sw_objpool_free(p, loc, 1000);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	quiet_end(&q);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	sw_objpool_free(p, keep, 1000);
	sw_objpool_destroy(p);
}

struct owner {
	struct sw_objpool *pool;
	uint64_t loc[4000];
	unsigned current, relocated;
	bool there, agree;
};

static bool is_there(void *arg)
{
	return ((struct owner *)arg)->there;
}

static bool relocate(void *arg, uint64_t new_loc)
{
	struct owner *o = arg;

	o->relocated++;
	memcpy(sw_objpool_at(o->pool, new_loc, 1000),
	       sw_objpool_at(o->pool, o->loc[o->current], 1000), 1000);
	if (o->agree)
		o->loc[o->current] = new_loc;
	return o->agree;
}

/* Offers each eighth object to be moved; returns how many were. */
static unsigned offer_all(struct owner *o)
{
	const struct sw_objpool_mover mover = { is_there, relocate, o };
	unsigned moved = 0;

	o->relocated = 0;
	for (o->current = 0; o->current < 4000; o->current += 8)
		if (sw_objpool_wants_move(o->pool, o->loc[o->current]))
			moved += sw_objpool_move(o->pool, o->loc[o->current],
						 1000, &mover);
	return moved;
}

static void objects_move_only_when_their_owner_agrees(void **state)
{
	static struct owner o;
	uint64_t mem;

	o.pool = sw_objpool_new(4000);
	for (int i = 0; i < 4000; i++)
		o.loc[i] = alloc_filled(o.pool, 1000, i / 8);
	assert_false(sw_objpool_plan(o.pool, 16)); /* nothing to gain yet */
	for (int i = 0; i < 4000; i++)
		if (i % 8)
			sw_objpool_free(o.pool, o.loc[i], 1000);
	mem = stats(o.pool).mem_bytes;
	assert_true(sw_objpool_plan(o.pool, 16));

	assert_int_equal(offer_all(&o), 0); /* gone when looked for */
	assert_int_equal(o.relocated, 0);
	o.there = true;
	assert_int_equal(offer_all(&o), 0); /* gone while being copied */
	assert_true(o.relocated > 0);
	assert_int_equal(stats(o.pool).mem_bytes, mem);
	assert_int_equal(sw_objpool_check(o.pool), 0);
	o.agree = true;
	assert_true(offer_all(&o) > 0);
	assert_true(stats(o.pool).mem_bytes < mem / 2);
	assert_int_equal(stats(o.pool).objs, 500);
	assert_int_equal(sw_objpool_check(o.pool), 0);
	for (int i = 0; i < 4000; i += 8) {
		unsigned char *at = sw_objpool_at(o.pool, o.loc[i], 1000);

		for (int j = 0; j < 1000; j++)
			assert_int_equal(at[j], i / 8 & 0xff);
		sw_objpool_free(o.pool, o.loc[i], 1000);
	}
	assert_int_equal(stats(o.pool).mem_bytes, 0);
	sw_objpool_destroy(o.pool);
}

static void checker_sees_wrong_accounts(void **state)
{
	struct sw_objpool *p = sw_objpool_new(100);
	uint64_t a = alloc_filled(p, 1000, 1), b = alloc_filled(p, 1000, 2);
	struct quiet q = quiet_begin();
	unsigned bad, lines;

	sw_objpool_free(p, a, 100); /* a lie about its size */
	bad = sw_objpool_check(p);
	lines = quiet_end(&q);
	assert_int_equal(bad, 1);
	assert_int_equal(lines, 1);
	sw_objpool_free(p, b, 1000);
	sw_objpool_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_of_every_size_keep_their_bytes),
		cmocka_unit_test(waste_of_a_full_pool_is_small),
		cmocka_unit_test(freed_memory_really_goes_back),
		cmocka_unit_test(holes_are_used_before_new_memory),
		cmocka_unit_test(limit_refuses_and_frees_make_room),
		cmocka_unit_test(stock_does_not_count_against_the_limit),
		cmocka_unit_test(any_hole_is_better_than_none),
		cmocka_unit_test(damaged_locations_lead_nowhere),
		cmocka_unit_test(freeing_twice_aborts),
		cmocka_unit_test(objects_move_only_when_their_owner_agrees),
		cmocka_unit_test(checker_sees_wrong_accounts),
	};

	return cmocka_run_group_tests_name("objpool", tests, NULL, NULL);
}
