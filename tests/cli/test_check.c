/*
 * test_check.c - what a session answers to `spillway debug check`: every part of
 * it that can be checked is broken by hand, told in lines, and mended.
 */
#include "asked.h"

#include "../store/quiet.h"
#include "swap/cluster.h"
#include "zswap/zswap_internal.h"

#define NR_WRONG 100u

/* With compressed memory in front of a file, which lies in no folder. */
static int setup(void **state)
{
	(void)state;
	return asked_open("file:/var/tmp,size=1M", "8M");
}

struct verdict {
	int broken;
	char text[8192];
	unsigned lines;
};

/* Asks as the command does. Nothing of it is said anywhere else. */
static void check(struct verdict *v)
{
	struct quiet q = quiet_begin();
	json_t *answer = ask("{\"request\":\"check\"}", NULL);
	const char *text = NULL;

	assert_int_equal(quiet_end(&q), 0);
	assert_int_equal(json_unpack(answer, "{s:{s:i, s:s}}", "ok", "broken",
				     &v->broken, "text", &text),
			 0);
	snprintf(v->text, sizeof(v->text), "%s", text);
	json_decref(answer);
	v->lines = 0;
	for (const char *c = v->text; *c; c++)
		v->lines += *c == '\n';
}

static void expect_ok(void)
{
	struct verdict v;

	check(&v);
	assert_int_equal(v.broken, 0);
	assert_string_equal(v.text, "");
}

static void nothing_is_broken(void **state)
{
	(void)state;
	expect_ok();
}

static void what_is_wrong_in_the_swap_layer_is_told(void **state)
{
	struct verdict v;

	(void)state;
	swap_info[0].pages++;
	check(&v);
	swap_info[0].pages--;
	assert_int_equal(v.broken, 2);
	assert_int_equal(v.lines, 2);
	assert_non_null(strstr(v.text, "swap_check: device 0: "));
	assert_non_null(strstr(v.text, "swap_check: all devices: "));
	expect_ok();
}

static void what_is_wrong_in_zswap_is_told(void **state)
{
	struct sw_zswap *z = f.session.devices.zswap;
	struct verdict v;

	(void)state;
	z->live++;
	check(&v);
	assert_int_equal(v.broken, 1);
	assert_string_equal(
		v.text,
		"zswap: 1 entries in use, 0 in lists, 0 of slots, 0 free, of 1; 0 bytes (0)\n");

	swap_info[0].pages++; /* and there, too */
	check(&v);
	swap_info[0].pages--;
	z->live--;
	assert_int_equal(v.broken, 3);
	assert_int_equal(v.lines, 3);
	expect_ok();
}

/* One fault may break as many things as there are pages. */
static void so_many_lines_are_enough(void **state)
{
	struct sw_zswap *z = f.session.devices.zswap;
	struct verdict v;

	(void)state;
	for (uint32_t nr = 0; nr < NR_WRONG; nr++)
		zswap_entry(z, nr)->next = (nr + 1) % NR_WRONG;
	z->fresh += NR_WRONG;
	z->any = true;
	check(&v);
	z->any = false;
	z->fresh -= NR_WRONG;
	for (uint32_t nr = 0; nr < NR_WRONG; nr++)
		zswap_entry(z, nr)->next = 0;
	assert_true(v.broken > (int)NR_WRONG);
	assert_int_equal(v.lines, 50);
	assert_non_null(strstr(v.text, "zswap: entry 1: without a page\n"));
	expect_ok();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_broken),
		cmocka_unit_test(what_is_wrong_in_the_swap_layer_is_told),
		cmocka_unit_test(what_is_wrong_in_zswap_is_told),
		cmocka_unit_test(so_many_lines_are_enough),
	};

	return cmocka_run_group_tests(tests, setup, asked_close);
}
