/*
 * test_correction.c - when a measurement that contradicts the books is
 * believed.
 */
#include "run/correction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* In the middle of a fork nearly half of the tree seemed to be missing. */
static void one_small_measurement_is_not_believed(void **state)
{
	struct sw_correction c = { 0 };

	sw_correction_measured(&c, 1, -3800);
	assert_int_equal(sw_correction_of(&c, 1), 0);
	sw_correction_measured(&c, 1, -20);
	assert_int_equal(sw_correction_of(&c, 1), -20);
}

static void two_of_the_same_tree_are(void **state)
{
	struct sw_correction c = { 0 };

	sw_correction_measured(&c, 1, -500);
	sw_correction_measured(&c, 1, -600);
	assert_int_equal(sw_correction_of(&c, 1), -500);
	sw_correction_measured(&c, 1, -700);
	assert_int_equal(sw_correction_of(&c, 1), -600);
}

static void more_counts_at_once(void **state)
{
	struct sw_correction c = { 0 };

	sw_correction_measured(&c, 1, -500);
	sw_correction_measured(&c, 1, -500);
	sw_correction_measured(&c, 1, 300);
	assert_int_equal(sw_correction_of(&c, 1), 300);
	sw_correction_measured(&c, 1, -500);
	assert_int_equal(sw_correction_of(&c, 1), 300);
	sw_correction_measured(&c, 1, -500);
	assert_int_equal(sw_correction_of(&c, 1), -500);
}

static void a_changed_tree_begins_anew(void **state)
{
	struct sw_correction c = { 0 };

	sw_correction_measured(&c, 1, -500);
	sw_correction_measured(&c, 1, -500);
	assert_int_equal(sw_correction_of(&c, 2), 0);
	sw_correction_measured(&c, 2, -500);
	assert_int_equal(sw_correction_of(&c, 2), 0);
	sw_correction_measured(&c, 3, -500);
	assert_int_equal(sw_correction_of(&c, 3), 0);
}

static void too_much_is_kept_until_measured(void **state)
{
	struct sw_correction c = { 0 };

	sw_correction_measured(&c, 1, 400);
	assert_int_equal(sw_correction_of(&c, 2), 400);
	sw_correction_measured(&c, 2, 100);
	assert_int_equal(sw_correction_of(&c, 2), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_small_measurement_is_not_believed),
		cmocka_unit_test(two_of_the_same_tree_are),
		cmocka_unit_test(more_counts_at_once),
		cmocka_unit_test(a_changed_tree_begins_anew),
		cmocka_unit_test(too_much_is_kept_until_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
