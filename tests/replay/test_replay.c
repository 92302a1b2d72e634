/*
 * test_replay.c - the policy keeps what it has reached: for each kind of trace
 * the pages that came back, in percent of what the model of the kernel needs.
 * All of it is decided by seeds, so a bound that is crossed was crossed by a
 * change of the policy. And the harness itself: references and files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "refs.h"

#define BUDGET 8192u

/* ---- the policy ---- */

struct bound {
	const char *kind;
	unsigned percent; /* of what is said there */
};

static void assert_bound(const struct bound *b, const struct drive_config *c)
{
	struct trace_shape shape = { BUDGET, 2 * BUDGET, 400000, 1 };
	struct drive_result r;
	struct trace t;
	uint64_t kernel;

	assert_int_equal(trace_make(&t, b->kind, &shape), 0);
	drive(&t, c, &r);
	kernel = ref_kernel(&t, BUDGET);
	trace_free(&t);
	printf("%-10s %7llu swap-ins, %5.1f %% of the kernel's; at most %u\n",
	       b->kind, (unsigned long long)drive_swapins(&r),
	       100.0 * drive_swapins(&r) / kernel, b->percent);
	assert_true(drive_swapins(&r) * 100 <= kernel * b->percent);
}

static void blind_policy_stays_within_its_bounds(void **state)
{
	static const struct bound bounds[] = {
		{ "zipf", 115 },  { "hot-scan", 108 }, { "loop", 36 },
		{ "cycle", 78 },  { "phases", 163 },   { "tree", 112 },
		{ "redis", 115 },
	};
	struct drive_config config = { .budget = BUDGET };

	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		assert_bound(&bounds[i], &config);
}

static void policy_with_accessed_bits_stays_within_its_bounds(void **state)
{
	static const struct bound bounds[] = {
		{ "zipf", 104 },  { "hot-scan", 101 }, { "loop", 49 },
		{ "cycle", 80 },  { "phases", 129 },   { "tree", 105 },
		{ "redis", 107 },
	};
	struct drive_config config = { .budget = BUDGET, .heat = true };

	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		assert_bound(&bounds[i], &config);
}

/* ---- clean copies ---- */

static struct drive_result run(const char *kind)
{
	struct trace_shape shape = { BUDGET, 2 * BUDGET, 300000, 1 };
	struct drive_config config = { .budget = BUDGET };
	struct drive_result r;
	struct trace t;

	assert_int_equal(trace_make(&t, kind, &shape), 0);
	drive(&t, &config, &r);
	trace_free(&t);
	printf("%-10s %llu from the store, %llu kept a copy: %llu paid, %llu lost\n",
	       kind, (unsigned long long)r.stored, (unsigned long long)r.kept,
	       (unsigned long long)r.paid, (unsigned long long)r.lost);
	return r;
}

/* Each copy that is lost is a fault: 2 of 100 pages, when 1.6 are samples. */
static void random_writer_is_given_few_copies(void **state)
{
	struct drive_result r = run("update");

	assert_true(r.kept * 100 <= r.stored * 2);
	assert_true(r.wp_faults * 100 <= r.stored * 2);
}

/* Of 100 pages taken out at least so many are not written, for at most so many
 * faults of who writes to one, where reading is mixed with writing or takes
 * turns with it. */
static void copies_are_kept_where_they_pay(void **state)
{
	static const struct {
		const char *kind;
		unsigned paid, faults;
	} bounds[] = {
		{ "zipf", 53, 5 },   { "uniform", 56, 11 },
		{ "redis", 63, 5 },  { "loop", 19, 1 },
		{ "cycle", 14, 10 }, { "hot-scan", 45, 2 },
		{ "phases", 5, 6 },
	};

	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct drive_result r = run(bounds[i].kind);

		assert_true(r.paid * 100 >= r.taken * bounds[i].paid);
		assert_true(r.wp_faults * 100 <= r.taken * bounds[i].faults);
	}
}

/* ---- the references ---- */

static const char small[] = "# nine pages, room for four\n"
			    "w 0 9\n"
			    "start\n"
			    "r 0\n"
			    "w 8 # still in\n"
			    "r 1\n"
			    "r 0\n";

static struct trace load(const char *text)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");
	struct trace t;

	assert_non_null(file);
	assert_int_equal(trace_load(&t, file), 0);
	fclose(file);
	return t;
}

static void references_count_what_had_to_come_back(void **state)
{
	struct trace t = load(small);

	assert_int_equal(ref_lru(&t, 4), 2); /* 0 and 1 */
	assert_int_equal(ref_lru(&t, 9), 0);
	assert_int_equal(ref_min(&t, 4), 0); /* it keeps 0, 1 and 8 */
	assert_int_equal(ref_min(&t, 2), 1);
	trace_free(&t);
}

static void nobody_beats_min_and_lru_loses_a_loop(void **state)
{
	struct trace_shape shape = { 2048, 4096, 50000, 7 };
	struct trace t;

	for (unsigned k = 0; k < nr_trace_kinds; k++) {
		uint64_t min, lru, kernel;

		assert_int_equal(trace_make(&t, trace_kinds[k].name, &shape),
				 0);
		min = ref_min(&t, shape.budget);
		lru = ref_lru(&t, shape.budget);
		kernel = ref_kernel(&t, shape.budget);
		assert_true(min < lru && min < kernel);
		if (!strcmp(trace_kinds[k].name, "loop"))
			assert_int_equal(lru, shape.nr);
		trace_free(&t);
	}
}

/* ---- recorded traces ---- */

static void saved_trace_is_loaded_as_it_was(void **state)
{
	struct trace t = load(small), again;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	assert_int_equal(trace_save(&t, file), 0);
	fclose(file);
	again = load(text);
	assert_int_equal(again.nr, 13);
	assert_int_equal(again.nr, t.nr);
	assert_int_equal(again.start, 9);
	assert_int_equal(again.nr_pages, 9);
	assert_memory_equal(again.access, t.access, t.nr * sizeof(t.access[0]));
	free(text);
	trace_free(&t);
	trace_free(&again);
}

static void what_is_no_trace_is_refused(void **state)
{
	static const char *const bad[] = { "x 1\n", "r\n", "r 1 2 3\n",
					   "w 99999999999\n",
					   "r 5 4294967295\n" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *file = fmemopen((void *)bad[i], strlen(bad[i]), "r");
		struct trace t;

		assert_non_null(file);
		assert_int_equal(trace_load(&t, file), -EINVAL);
		fclose(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_count_what_had_to_come_back),
		cmocka_unit_test(nobody_beats_min_and_lru_loses_a_loop),
		cmocka_unit_test(saved_trace_is_loaded_as_it_was),
		cmocka_unit_test(what_is_no_trace_is_refused),
		cmocka_unit_test(blind_policy_stays_within_its_bounds),
		cmocka_unit_test(
			policy_with_accessed_bits_stays_within_its_bounds),
		cmocka_unit_test(random_writer_is_given_few_copies),
		cmocka_unit_test(copies_are_kept_where_they_pay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
