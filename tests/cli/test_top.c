/*
 * test_top.c - `spillway top` without a terminal: what keys do, what changes from
 * one sample to the next, and the screen, line by line, of any size.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "base/base.h"
#include "cli/top.h"

/* ---- samples ---- */

static const char head[] =
	"{\"session\":\"web\",\"pid\":7,\"time_ns\":%s,"
	"\"budget_bytes\":536870912,\"used_bytes\":268435456,"
	"\"counters\":{\"pgfault\":%s,\"pswpin\":256,\"pswpout\":512},"
	"\"devices\":["
	"{\"name\":\"zram0\",\"kind\":\"zram\",\"size_bytes\":1073741824,"
	"\"used_bytes\":268435456,\"stored_bytes\":300,\"memory_bytes\":100},"
	"{\"name\":\"file:/var/tmp/swap\",\"kind\":\"file\","
	"\"size_bytes\":1073741824,\"used_bytes\":0,\"stored_bytes\":0,"
	"\"memory_bytes\":0}]}";

/* What is counted so far, and for how long some thread waited. */
#define COUNTED(faults, stall_us) faults ",\"stall_us\":" stall_us

static void take(struct top *t, const char *time, const char *counted,
		 const char *processes)
{
	json_t *answer, *list = json_loads(processes, 0, NULL);
	struct top_sample s;
	char text[2048];

	snprintf(text, sizeof(text), head, time, counted);
	answer = json_loads(text, 0, NULL);
	assert_non_null(list);
	assert_non_null(answer);
	assert_true(top_read(&s, answer, list));
	top_take(t, &s);
	json_decref(answer);
	json_decref(list);
}

#define PROCESS(pid, resident, faults, stall, command)                         \
	"{\"pid\":" pid ",\"resident_bytes\":" resident                        \
	",\"swapped_bytes\":1048576,\"faults\":" faults ",\"stall_ns\":" stall \
	",\"managed\":true,\"command\":\"" command "\"}"
#define UNMANAGED(pid)                                     \
	"{\"pid\":" pid ",\"resident_bytes\":4096,"        \
	"\"swapped_bytes\":0,\"faults\":0,\"stall_ns\":0," \
	"\"managed\":false,\"command\":\"sh\"}"

/* Two samples, two seconds from each other. */
static void open_top(struct top *t)
{
	*t = (struct top){ .sort = TOP_BY_RESIDENT };
	take(t, "1000000000", COUNTED("100", "0"),
	     "[" PROCESS("11", "1048576", "50", "0", "redis-server") "," PROCESS(
		     "12", "2097152", "0", "0",
		     "worker") "," UNMANAGED("13") "]");
	take(t, "3000000000", COUNTED("300", "250000"),
	     "[" PROCESS(
		     "11", "1048576", "250", "500000000",
		     "redis-server") "," PROCESS("12", "2097152", "0", "0",
						 "worker") "," UNMANAGED("13") "]");
}

static void press(struct top *t, const char *keys)
{
	for (; *keys; keys++)
		assert_int_equal(top_press(t, *keys, 10), TOP_NOTHING);
}

/* ---- the screen ---- */

static struct top_line line[300];

static void screen_is(struct top *t, unsigned rows, unsigned columns,
		      const char *const want[])
{
	top_draw(t, line, rows, columns);
	for (unsigned i = 0; i < rows; i++)
		assert_string_equal(line[i].text, want[i]);
}

static void everything_is_on_the_screen(void **state)
{
	static const char *const want[] = {
		"spillway top: session web, 3 processes",
		"Budget   [|||||||||||||||||||||                     ]   50%  256M of 512M",
		"Swapped  256M   faults 100/s   in 0/s   out 0/s   stalled 12.5%",
		"",
		"     PID *RESIDENT  SWAPPED  FAULTS/S   STALL  COMMAND                          ",
		">     12        2M       1M         0    0.0%  worker                           ",
		"      11        1M       1M       100   25.0%  redis-server",
		"      13        4K        -         -       -  sh",
		"",
		"",
		" DEVICE                         TYPE      SIZE    USED              FULL  RATIO ",
		" zram0                          zram        1G    256M [|||       ]  25%   3.00",
		" file:/var/tmp/swap             file        1G       0 [          ]   0%      -",
		"h help  q quit  s sort  p page out  + - m budget",
	};
	struct top t;

	(void)state;
	open_top(&t);
	screen_is(&t, SW_ARRAY_SIZE(want), 80, want);
	assert_int_equal(line[0].look, TOP_BOLD);
	assert_int_equal(line[4].look, TOP_HEADING);
	assert_int_equal(line[5].look, TOP_SELECTED);
	assert_int_equal(line[6].look, TOP_PLAIN);
	top_close(&t);
}

static void a_small_screen_has_processes_first(void **state)
{
	static const char *const want[] = {
		"spillway top: session web, 3 pro",
		"Budget   [||  ]   50%  256M of 5",
		"Swapped  256M   faults 100/s   i",
		"     PID *RESIDENT  SWAPPED  FAU",
		">     12        2M       1M     ",
		"      11        1M       1M     ",
		"h help  q quit  s sort  p page o",
	};
	struct top t;

	(void)state;
	open_top(&t);
	screen_is(&t, SW_ARRAY_SIZE(want), 32, want);
	top_close(&t);
}

/* No size is too small or too large, and no line too long. */
static void every_size_has_a_screen(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	for (unsigned mode = TOP_LIST; mode <= TOP_BUDGET; mode++) {
		t.mode = mode;
		for (unsigned rows = 1; rows < 60; rows++)
			for (unsigned columns = 1; columns < 250;
			     columns += columns < 90 ? 1 : 13) {
				top_draw(&t, line, rows, columns);
				for (unsigned i = 0; i < rows; i++)
					assert_in_range(strlen(line[i].text), 0,
							columns);
			}
	}
	top_draw(&t, line, 300, 4000);
	top_close(&t);
}

/* A terminal of another encoding shows question marks, one of UTF-8 no half
 * characters, and wide ones in two columns. */
static void text_has_its_width(void **state)
{
	struct top t = { .sort = TOP_BY_PID };
	bool utf8 = setlocale(LC_CTYPE, "C.UTF-8");

	(void)state;
	take(&t, "1", COUNTED("1", "0"),
	     "[" PROCESS("11", "0", "0", "0", "\u6f22\u5b57\u00e9x") "]");
	assert_true(utf8);
	top_draw(&t, line, 24, 47 + 3);
	assert_string_equal(line[5].text + 47, "\u6f22 ");
	top_draw(&t, line, 24, 47 + 6);
	assert_string_equal(line[5].text + 47, "\u6f22\u5b57\u00e9x");
	setlocale(LC_CTYPE, "C");
	top_draw(&t, line, 24, 47 + 6);
	assert_string_equal(line[5].text + 47, "??????");
	top_close(&t);
}

/* ---- keys ---- */

static void sorting_goes_round(void **state)
{
	static const int first[] = { 12, 11, 11, 11, 11, 11 };
	static const char *const names[] = { "*RESIDENT", "*SWAPPED",
					     "*FAULTS/S", "*STALL",
					     "*COMMAND",  "*PID" };
	struct top t;

	(void)state;
	open_top(&t);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(first); i++) {
		top_draw(&t, line, 24, 80);
		assert_non_null(strstr(line[4].text, names[i]));
		assert_int_equal(t.order[0]->pid, first[i]);
		press(&t, i % 2 ? "s" : ">");
	}
	assert_int_equal(t.sort, TOP_BY_RESIDENT);
	press(&t, "<");
	assert_int_equal(t.sort, TOP_BY_PID);
	top_close(&t);
}

static void the_selected_process_stays_selected(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	top_press(&t, TOP_KEY_DOWN, 10);
	assert_int_equal(t.selected, 11);
	press(&t, "ss"); /* it is the first one now */
	assert_int_equal(t.selected, 11);
	top_press(&t, TOP_KEY_UP, 10);
	assert_int_equal(t.selected, 11);
	top_press(&t, TOP_KEY_END, 10);
	assert_int_equal(t.selected, 13);
	top_press(&t, TOP_KEY_DOWN, 10);
	assert_int_equal(t.selected, 13);
	top_press(&t, TOP_KEY_PAGE_UP, 2);
	assert_int_equal(t.selected, 11);
	top_press(&t, TOP_KEY_END, 10);
	/* It ends: whoever is last now. */
	take(&t, "4000000000", COUNTED("300", "250000"),
	     "[" PROCESS("11", "1", "250", "1", "r") "]");
	assert_int_equal(t.selected, 11);
	take(&t, "5000000000", COUNTED("300", "250000"), "[]");
	assert_int_equal(top_press(&t, 'p', 10), TOP_NOTHING);
	top_close(&t);
}

static void a_long_list_is_scrolled(void **state)
{
	struct top t = { .sort = TOP_BY_PID };
	char list[100 * 200] = "[", one[200];

	(void)state;
	for (int i = 100; i < 200; i++) {
		snprintf(
			one, sizeof(one),
			"%s{\"pid\":%d,\"resident_bytes\":0,\"swapped_bytes\":0,\"faults\":0,\"stall_ns\":0,\"managed\":true,\"command\":\"x\"}",
			i > 100 ? "," : "", i);
		strcat(list, one);
	}
	strcat(list, "]");
	take(&t, "1", COUNTED("1", "0"), list);
	top_draw(&t, line, 24, 80);
	assert_int_equal(atoi(line[5].text + 1), 100);
	top_press(&t, TOP_KEY_END, 14);
	top_draw(&t, line, 24, 80);
	assert_int_equal(top_rows(&t, 24), 14);
	assert_int_equal(atoi(line[18].text + 1), 199);
	assert_int_equal(line[18].text[0], '>');
	top_press(&t, TOP_KEY_HOME, 14);
	top_draw(&t, line, 24, 80);
	assert_int_equal(atoi(line[5].text + 1), 100);
	top_close(&t);
}

static void keys_ask_for_what_they_say(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	assert_int_equal(top_press(&t, 'q', 10), TOP_QUIT);
	assert_int_equal(top_press(&t, 'p', 10), TOP_PAGE_OUT);
	assert_int_equal(t.selected, 12);
	assert_int_equal(top_press(&t, '+', 10), TOP_SET_BUDGET);
	assert_int_equal(t.new_budget, 563ll << 20);
	assert_int_equal(top_press(&t, '-', 10), TOP_SET_BUDGET);
	assert_int_equal(t.new_budget, 460ll << 20);
	press(&t, "h");
	top_draw(&t, line, 24, 80);
	assert_non_null(strstr(line[4].text, "select a process"));
	press(&t, "p"); /* any key only goes back */
	assert_int_equal(t.mode, TOP_LIST);
	press(&t, "?x");
	assert_int_equal(t.mode, TOP_LIST);
	assert_int_equal(top_press(&t, 0, 10), TOP_NOTHING);
	top_close(&t);
}

static void a_budget_can_be_typed(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	press(&t, "m1q.5");
	top_press(&t, TOP_KEY_BACKSPACE, 10);
	top_press(&t, TOP_KEY_BACKSPACE, 10);
	top_press(&t, TOP_KEY_BACKSPACE, 10);
	press(&t, ".5G");
	top_draw(&t, line, 24, 80);
	assert_string_equal(
		line[23].text,
		"New budget: 1.5G_   (Enter sets it, Esc does not)");
	assert_int_equal(top_press(&t, TOP_KEY_ENTER, 10), TOP_SET_BUDGET);
	assert_int_equal(t.new_budget, 3ll << 29);
	press(&t, "m77");
	assert_int_equal(top_press(&t, TOP_KEY_ESCAPE, 10), TOP_NOTHING);
	assert_int_equal(t.mode, TOP_LIST);
	press(&t, "m");
	assert_int_equal(top_press(&t, TOP_KEY_ENTER, 10), TOP_NOTHING);
	press(&t, "mlots");
	assert_int_equal(top_press(&t, TOP_KEY_ENTER, 10), TOP_NOTHING);
	top_draw(&t, line, 24, 80);
	assert_string_equal(line[23].text,
			    "'lots' is no size; write 512M, or 1.5G");
	press(&t, "m0123456789012345678901234567890");
	assert_in_range(strlen(t.input), 1, TOP_INPUT_MAX - 1);
	top_close(&t);
}

/* ---- what a session may say ---- */

static void what_makes_no_sense_is_not_shown(void **state)
{
	static const char *const bad[] = { "{}", "[]", "{\"session\":7}" };
	json_t *none = json_array();
	struct top_sample s;

	(void)state;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(bad); i++) {
		json_t *answer = json_loads(bad[i], 0, NULL);

		assert_false(top_read(&s, answer, none));
		json_decref(answer);
	}
	json_decref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_on_the_screen),
		cmocka_unit_test(a_small_screen_has_processes_first),
		cmocka_unit_test(every_size_has_a_screen),
		cmocka_unit_test(text_has_its_width),
		cmocka_unit_test(sorting_goes_round),
		cmocka_unit_test(the_selected_process_stays_selected),
		cmocka_unit_test(a_long_list_is_scrolled),
		cmocka_unit_test(keys_ask_for_what_they_say),
		cmocka_unit_test(a_budget_can_be_typed),
		cmocka_unit_test(what_makes_no_sense_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
