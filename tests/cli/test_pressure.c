/*
 * test_pressure.c - averages of stalls against the most naive model: one that
 * keeps the share of every second and weighs all of them at the end.
 */
#include "run/pressure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEC 1000000000ull

static void add(struct sw_pressure *p, uint64_t ns, uint64_t some,
		uint64_t full)
{
	sw_pressure_add(p, ns, (const uint64_t[]){ some, full });
}

static void near(double got, double want)
{
	if (fabs(got - want) > 1e-9)
		fail_msg("%.12f is not %.12f", got, want);
}

/* The share of each of `nr` periods of two seconds, the oldest first. */
static double weighed(const double *share, unsigned nr, unsigned seconds)
{
	double sum = 0;

	for (unsigned i = 0; i < nr; i++)
		sum += share[i] * (1 - exp(-2.0 / seconds)) *
		       exp(-2.0 / seconds * (nr - 1 - i));
	return sum;
}

static void averages_are_those_of_the_model(void **state)
{
	enum {
		NR = 400
	};

	double some[NR], full[NR];
	struct sw_pressure p;
	uint64_t total = 0;

	(void)state;
	srand(7);
	sw_pressure_init(&p);
	for (unsigned i = 0; i < NR; i++) {
		uint64_t ns = rand() % SEC, half = ns / 2;

		some[i] = ns / 2e9;
		full[i] = half / 2e9;
		total += ns;
		/* In uneven pieces, as looks come. */
		add(&p, SEC / 10, ns / 30, 0);
		add(&p, SEC, ns - ns / 30, half);
		add(&p, SEC - SEC / 10, 0, 0);
		for (unsigned k = 0; k < SW_NR_AVERAGES; k++) {
			unsigned s = sw_average_seconds[k];

			near(p.line[SW_PRESSURE_SOME].average[k],
			     weighed(some, i + 1, s));
			near(p.line[SW_PRESSURE_FULL].average[k],
			     weighed(full, i + 1, s));
		}
	}
	assert_int_equal(p.line[SW_PRESSURE_SOME].total_ns, total);
}

static void a_constant_share_is_what_averages_come_to(void **state)
{
	struct sw_pressure p;

	(void)state;
	sw_pressure_init(&p);
	for (unsigned i = 0; i < 40000; i++)
		add(&p, SEC / 7, SEC / 14, 0);
	for (unsigned k = 0; k < SW_NR_AVERAGES; k++) {
		assert_true(fabs(p.line[SW_PRESSURE_SOME].average[k] - 0.5) <
			    1e-6);
		near(p.line[SW_PRESSURE_FULL].average[k], 0);
	}
}

static void periods_that_went_by_unasked_had_the_share_of_the_whole(
	void **state)
{
	struct sw_pressure once, often;

	(void)state;
	sw_pressure_init(&once);
	sw_pressure_init(&often);
	add(&once, 20 * SEC, 5 * SEC, SEC);
	for (unsigned i = 0; i < 10; i++)
		add(&often, 2 * SEC, SEC / 2, SEC / 10);
	for (unsigned k = 0; k < SW_NR_AVERAGES; k++)
		near(once.line[SW_PRESSURE_SOME].average[k],
		     often.line[SW_PRESSURE_SOME].average[k]);
	/* A machine that slept for a month. */
	add(&once, 30 * 86400 * SEC, 0, 0);
	near(once.line[SW_PRESSURE_SOME].average[2], 0);
	assert_int_equal(once.line[SW_PRESSURE_SOME].total_ns, 5 * SEC);
}

static void a_late_look_does_not_put_off_the_next(void **state)
{
	struct sw_pressure p;

	(void)state;
	sw_pressure_init(&p);
	add(&p, 3 * SEC, 3 * SEC, 0);
	near(p.line[SW_PRESSURE_SOME].average[0], 1 - exp(-0.2));
	add(&p, SEC, SEC, 0);
	near(p.line[SW_PRESSURE_SOME].average[0], 1 - exp(-0.4));
}

static void more_than_the_time_that_went_by_is_not_believed(void **state)
{
	struct sw_pressure p;

	(void)state;
	sw_pressure_init(&p);
	add(&p, 2 * SEC, 3 * SEC, 2 * SEC);
	assert_int_equal(p.line[SW_PRESSURE_SOME].total_ns, 2 * SEC);
	near(p.line[SW_PRESSURE_SOME].average[0], 1 - exp(-0.2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(averages_are_those_of_the_model),
		cmocka_unit_test(a_constant_share_is_what_averages_come_to),
		cmocka_unit_test(
			periods_that_went_by_unasked_had_the_share_of_the_whole),
		cmocka_unit_test(a_late_look_does_not_put_off_the_next),
		cmocka_unit_test(
			more_than_the_time_that_went_by_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
