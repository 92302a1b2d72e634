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
	"\"counters\":{\"pgfault\":%s},"
	"\"devices\":["
	"{\"name\":\"zram0\",\"kind\":\"zram\",\"size_bytes\":1073741824,"
	"\"used_bytes\":268435456,\"stored_bytes\":300,\"memory_bytes\":100},"
	"{\"name\":\"file:/var/tmp/swap\",\"kind\":\"file\","
	"\"size_bytes\":1073741824,\"used_bytes\":0,\"stored_bytes\":0,"
	"\"memory_bytes\":0}]}";

/* What is counted so far, and for how long some thread waited. */
#define COUNTED(faults, stall_us) MOVED(faults, stall_us, "256", "512")
#define MOVED(faults, stall_us, in, out) \
	faults ",\"stall_us\":" stall_us ",\"pswpin\":" in ",\"pswpout\":" out

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

static void what_was_counted_is_said_a_second(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	take(&t, "5000000000", MOVED("500", "1250000", "768", "1536"), "[]");
	top_draw(&t, line, 24, 80);
	assert_string_equal(
		line[2].text,
		"Swapped  256M   faults 100/s   in 1M/s   out 2M/s   stalled 50.0%");
	/* What is set back, or of the same moment, has no rate. */
	take(&t, "7000000000", MOVED("1", "1", "1", "1"), "[]");
	assert_true(t.now.faults_rate == 0 && t.now.in_rate == 0);
	take(&t, "7000000000", MOVED("9", "9", "9", "9"), "[]");
	assert_true(t.now.faults_rate == 0 && t.now.stall_share == 0);
	top_close(&t);
}

static void a_bar_is_as_long_as_its_place(void **state)
{
	static const char empty[] = "Budget   [      ] -100%";
	static const char full[] = "Budget   [||||||]  200%";
	struct top t;

	(void)state;
	open_top(&t);
	t.now.used = -t.now.budget;
	top_draw(&t, line, 24, 44);
	assert_memory_equal(line[1].text, empty, strlen(empty));
	t.now.used = 2 * t.now.budget;
	top_draw(&t, line, 24, 44);
	assert_memory_equal(line[1].text, full, strlen(full));
	top_close(&t);
}

static void devices_take_a_third_of_the_screen(void **state)
{
	struct top t;

	(void)state;
	open_top(&t);
	assert_int_equal(top_rows(&t, 24), 14);
	t.now.nr_devices = 12;
	assert_int_equal(top_rows(&t, 24), 8);
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
				strcpy(line[rows].text, "not ours");
				top_draw(&t, line, rows, columns);
				assert_string_equal(line[rows].text,
						    "not ours");
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
	top_press(&t, TOP_KEY_DOWN, 10);
	top_press(&t, TOP_KEY_PAGE_UP, 10);
	assert_int_equal(t.selected, 11);
	/* The second one ends: whoever is the second now. */
	top_press(&t, TOP_KEY_DOWN, 10);
	assert_int_equal(t.selected, 12);
	take(&t, "4000000000", COUNTED("300", "250000"),
	     "[" PROCESS("11", "2", "250", "1", "r") "," UNMANAGED("13") "]");
	assert_int_equal(t.selected, 13);
	/* It ends: whoever is last now. */
	take(&t, "4000000000", COUNTED("300", "250000"),
	     "[" PROCESS("11", "1", "250", "1", "r") "]");
	assert_int_equal(t.selected, 11);
	take(&t, "5000000000", COUNTED("300", "250000"), "[]");
	assert_int_equal(top_press(&t, 'p', 10), TOP_NOTHING);
	top_close(&t);
}

/* Processes from 100 on. */
static void take_many(struct top *t, unsigned nr)
{
	char list[100 * 200] = "[", one[200];

	for (unsigned i = 100; i < 100 + nr; i++) {
		snprintf(
			one, sizeof(one),
			"%s{\"pid\":%u,\"resident_bytes\":0,\"swapped_bytes\":0,\"faults\":0,\"stall_ns\":0,\"managed\":true,\"command\":\"x\"}",
			i > 100 ? "," : "", i);
		strcat(list, one);
	}
	strcat(list, "]");
	take(t, "1", COUNTED("1", "0"), list);
	top_draw(t, line, 24, 80);
}

static void a_long_list_is_scrolled(void **state)
{
	struct top t = { .sort = TOP_BY_PID };

	(void)state;
	take_many(&t, 100);
	assert_int_equal(atoi(line[5].text + 1), 100);
	top_press(&t, TOP_KEY_END, 14);
	top_draw(&t, line, 24, 80);
	assert_int_equal(top_rows(&t, 24), 14);
	assert_int_equal(atoi(line[18].text + 1), 199);
	assert_int_equal(line[18].text[0], '>');
	take_many(&t, 50); /* no more of it is empty than has to be */
	assert_int_equal(atoi(line[18].text + 1), 149);
	top_press(&t, TOP_KEY_HOME, 14);
	top_draw(&t, line, 24, 80);
	assert_int_equal(atoi(line[5].text + 1), 100);
	/* By one, not by a screen. */
	for (unsigned i = 0; i < 14; i++)
		top_press(&t, TOP_KEY_DOWN, 14);
	top_draw(&t, line, 24, 80);
	assert_int_equal(atoi(line[5].text + 1), 101);
	assert_int_equal(line[18].text[0], '>');
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
	t.now.budget = 5 << 20; /* by a MiB at least, and never to nothing */
	assert_int_equal(top_press(&t, '+', 10), TOP_SET_BUDGET);
	assert_int_equal(t.new_budget, 6 << 20);
	t.now.budget = 1 << 20;
	assert_int_equal(top_press(&t, '-', 10), TOP_SET_BUDGET);
	assert_int_equal(t.new_budget, 1 << 20);
	press(&t, "h");
	top_draw(&t, line, 24, 80);
	assert_non_null(strstr(line[4].text, "select a process"));
	press(&t, "p"); /* any key only goes back */
	assert_int_equal(t.mode, TOP_LIST);
	press(&t, "?x");
	assert_int_equal(t.mode, TOP_LIST);
	assert_int_equal(top_press(&t, 0, 10), TOP_NOTHING);
	press(&t, "h"); /* any but one */
	assert_int_equal(top_press(&t, 'q', 10), TOP_QUIT);
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
	assert_string_equal(t.message, "");
	press(&t, "mlots");
	assert_int_equal(top_press(&t, TOP_KEY_ENTER, 10), TOP_NOTHING);
	top_draw(&t, line, 24, 80);
	assert_string_equal(line[23].text,
			    "'lots' is no size; write 512M, or 1.5G");
	press(&t, "x"); /* until the next key */
	assert_string_equal(t.message, "");
	press(&t, "m0123456789012345678901234567890");
	assert_int_equal(strlen(t.input), TOP_INPUT_MAX - 1);
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

static void nothing_it_says_moves_the_cursor(void **state)
{
	static const char answer[] =
		"{\"session\":\"a\\u001bb\",\"pid\":7,\"time_ns\":1,"
		"\"budget_bytes\":1,\"used_bytes\":1,\"counters\":{\"pgfault\":0,"
		"\"pswpin\":0,\"pswpout\":0,\"stall_us\":0},\"devices\":[]}";
	static const char device[] =
		"{\"name\":\"d\\u007fe\",\"kind\":\"k\\n\",\"size_bytes\":2,"
		"\"used_bytes\":1,\"stored_bytes\":0,\"memory_bytes\":0}";
	json_t *json = json_loads(answer, 0, NULL);
	json_t *devices = json_object_get(json, "devices");
	json_t *list = json_loads(
		"[" PROCESS("11", "0", "0", "0", "x\\u001b[2J") "]", 0, NULL);
	struct top_sample s;

	(void)state;
	/* Nor are there more devices than a session has. */
	for (unsigned i = 0; i < TOP_DEVICES_MAX + 3; i++)
		json_array_append_new(devices, json_loads(device, 0, NULL));
	assert_true(top_read(&s, json, list));
	assert_string_equal(s.session, "a?b");
	assert_string_equal(s.process[0].command, "x?[2J");
	assert_string_equal(s.device[0].name, "d?e");
	assert_string_equal(s.device[0].kind, "k?");
	assert_int_equal(s.nr_devices, TOP_DEVICES_MAX);
	assert_int_equal(s.swapped, TOP_DEVICES_MAX);
	top_release(&s);
	json_decref(list);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_on_the_screen),
		cmocka_unit_test(a_small_screen_has_processes_first),
		cmocka_unit_test(what_was_counted_is_said_a_second),
		cmocka_unit_test(a_bar_is_as_long_as_its_place),
		cmocka_unit_test(devices_take_a_third_of_the_screen),
		cmocka_unit_test(every_size_has_a_screen),
		cmocka_unit_test(text_has_its_width),
		cmocka_unit_test(sorting_goes_round),
		cmocka_unit_test(the_selected_process_stays_selected),
		cmocka_unit_test(a_long_list_is_scrolled),
		cmocka_unit_test(keys_ask_for_what_they_say),
		cmocka_unit_test(a_budget_can_be_typed),
		cmocka_unit_test(what_makes_no_sense_is_not_shown),
		cmocka_unit_test(nothing_it_says_moves_the_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
