/* test_map.c - what a session says of clusters, as text, SVG and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "cli/map.h"

static const char answer_text[] =
	"{\"session\":\"web\",\"device\":\"file:/a<b>&\\\"c\\u001b\\u007f\",\"kind\":\"file\","
	"\"clusters\":70,\"cluster_pages\":512,\"clusters_per_cell\":2,"
	"\"cells\":35,\"used_bytes\":9437184,\"bad_bytes\":4096,\"states\":["
	"{\"list\":\"free\",\"order\":0,\"clusters\":62,\"used_bytes\":0},"
	"{\"list\":\"nonfull\",\"order\":0,\"clusters\":2,\"used_bytes\":2097152},"
	"{\"list\":\"nonfull\",\"order\":4,\"clusters\":0,\"used_bytes\":0},"
	"{\"list\":\"frag\",\"order\":4,\"clusters\":2,\"used_bytes\":3145728},"
	"{\"list\":\"full\",\"order\":0,\"clusters\":4,\"used_bytes\":4194304}]}";

/* The answer, and 35 cells of it. */
static void open_map(struct cluster_map *m)
{
	json_t *answer = json_loads(answer_text, 0, NULL);
	json_t *cells = json_array();

	for (int i = 0; i < 35; i++) {
		int state = i == 3 ? 1 : i == 5 ? 3 : i == 8 || i == 33 ? 4 : 0;
		int used = state == 1   ? 2097152
			   : state == 3 ? 3145728
			   : state      ? 4194304
					: 0;

		json_array_append_new(cells,
				      json_pack("[i, i, i, i]", state, 2, used,
						i == 33 ? 4096 : 0));
	}
	assert_true(map_read(m, answer, cells));
	json_decref(cells);
	json_decref(answer);
}

/* What `print` writes; to be freed. */
static char *written(void (*print)(const struct cluster_map *m, FILE *out))
{
	struct cluster_map m;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	open_map(&m);
	print(&m, out);
	fclose(out);
	map_release(&m);
	return text;
}

static void print_text(const struct cluster_map *m, FILE *out)
{
	map_print_text(m, 45, out);
}

static void text_is_a_picture_and_counts(void **state)
{
	char *text = written(print_text);

	(void)state;
	assert_string_equal(
		text,
		"file:/a<b>&\"c??: 70 clusters of 2M, 9M used in 8 of them; a character is 2 clusters\n"
		"\n"
		"       0  ...0.~..#.......................\n"
		"      64  .x.\n"
		"\n"
		"  .       62  free\n"
		"  0        2  partly used, order 0 (single pages), 2M used\n"
		"  ~        2  fragmented, order 4 (folios of 64K), 3M used\n"
		"  #        4  full, 4M used\n"
		"  x           with bad slots, 4K in all, in 1 place\n");
	free(text);
}

static void one_cluster_is_one(void **state)
{
	json_t *answer = json_loads(answer_text, 0, NULL);
	json_t *cells = json_loads("[[0,1,0,0]]", 0, NULL);
	struct cluster_map m;
	char text[1024] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	json_object_set_new(answer, "clusters", json_integer(1));
	assert_true(map_read(&m, answer, cells));
	print_text(&m, out);
	fclose(out);
	assert_non_null(strstr(text, ": 1 cluster of 2M, "));
	map_release(&m);
	json_decref(cells);
	json_decref(answer);
}

static void lines_fit_into_any_terminal(void **state)
{
	(void)state;
	assert_int_equal(map_text_per_line(1), 16);
	assert_int_equal(map_text_per_line(80), 64);
	assert_int_equal(map_text_per_line(137), 64);
	assert_int_equal(map_text_per_line(138), 128);
	assert_int_equal(map_text_per_line(100000), 256);
}

static unsigned occurrences(const char *text, const char *what)
{
	unsigned nr = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		nr++;
	return nr;
}

static void svg_has_a_square_a_cell(void **state)
{
	char *text = written(map_print_svg);

	(void)state;
	assert_int_equal(occurrences(text, "<g><title>cluster "), 35);
	assert_int_equal(occurrences(text, ": free, 0% used</title>"), 31);
	assert_int_equal(
		occurrences(text, "cluster 66 to 67: full, 100% used, 4K bad"),
		1);
	/* Of the name, nothing is markup. */
	assert_int_equal(occurrences(text, "file:/a&lt;b&gt;&amp;&quot;c??"),
			 2);
	assert_int_equal(occurrences(text, "\033"), 0);
	free(text);
}

static void print_json(const struct cluster_map *m, FILE *out)
{
	assert_int_equal(map_print_json(m, out), 0);
}

static void json_says_the_same(void **state)
{
	char *text = written(print_json);
	json_t *json = json_loads(text, 0, NULL), *cell;

	(void)state;
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "cells")), 35);
	cell = json_array_get(json_object_get(json, "cells"), 5);
	assert_string_equal(json_string_value(json_object_get(cell, "state")),
			    "frag");
	assert_int_equal(json_integer_value(json_object_get(cell, "first")),
			 10);
	assert_int_equal(json_integer_value(json_object_get(cell, "order")), 4);
	json_decref(json);
	free(text);
}

static void what_makes_no_sense_is_not_drawn(void **state)
{
	static const char *const bad[] = {
		"[]",
		"[[0,69,0,0]]",
		"[[0,71,0,0]]",
		"[[5,70,0,0]]",
		"[[-1,70,0,0]]",
		"[[0,70,0]]",
		"[[0,0,0,0],[0,70,0,0]]",
		"[7]",
	};
#define STATE(list, order)                        \
	"{\"list\":\"" list "\",\"order\":" order \
	",\"clusters\":70,\"used_bytes\":0}"
	static const char *const bad_answers[] = {
		"{\"cluster_pages\":0}",
		"{\"states\":[" STATE("nonfull", "10") "]}",
		"{\"states\":[" STATE("nonfull", "-1") "]}",
		"{\"states\":[" STATE("nowhere", "0") "]}",
	};
	json_t *answer = json_loads(answer_text, 0, NULL);
	struct cluster_map m;

	(void)state;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(bad); i++) {
		json_t *cells = json_loads(bad[i], 0, NULL);

		if (map_read(&m, answer, cells))
			fail_msg("%s is drawn", bad[i]);
		map_release(&m);
		json_decref(cells);
	}
	json_decref(answer);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(bad_answers); i++) {
		json_t *cells = json_loads("[[0,70,0,0]]", 0, NULL);
		json_t *change = json_loads(bad_answers[i], 0, NULL);

		answer = json_loads(answer_text, 0, NULL);
		if (!map_read(&m, answer, cells))
			fail_msg("what is right is not drawn");
		map_release(&m);
		assert_int_equal(json_object_update(answer, change), 0);
		if (map_read(&m, answer, cells))
			fail_msg("%s is drawn", bad_answers[i]);
		map_release(&m);
		json_decref(change);
		json_decref(cells);
		json_decref(answer);
	}
	answer = json_object();
	assert_false(map_read(&m, answer, answer));
	map_release(&m);
	json_decref(answer);
}

static void more_states_than_there_are_are_not_drawn(void **state)
{
	json_t *answer = json_loads(answer_text, 0, NULL);
	json_t *states = json_object_get(answer, "states");
	json_t *cells = json_loads("[[0,70,0,0]]", 0, NULL);
	struct cluster_map m;

	(void)state;
	while (json_array_size(states) < MAP_STATES_MAX)
		json_array_append(states, json_array_get(states, 0));
	assert_true(map_read(&m, answer, cells));
	map_release(&m);
	json_array_append(states, json_array_get(states, 0));
	assert_false(map_read(&m, answer, cells));
	map_release(&m);
	json_decref(cells);
	json_decref(answer);
}

static void a_cell_is_empty_full_or_between(void **state)
{
	const struct cluster_map m = { .cluster_bytes = 1000 };
	struct map_cell c = { .clusters = 2, .used_bytes = 500 };

	(void)state;
	assert_true(map_fill(&m, &c) == 0.25);
	c.used_bytes = 2001;
	assert_true(map_fill(&m, &c) == 1);
	c.used_bytes = -1;
	assert_true(map_fill(&m, &c) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_a_picture_and_counts),
		cmocka_unit_test(one_cluster_is_one),
		cmocka_unit_test(lines_fit_into_any_terminal),
		cmocka_unit_test(svg_has_a_square_a_cell),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(what_makes_no_sense_is_not_drawn),
		cmocka_unit_test(more_states_than_there_are_are_not_drawn),
		cmocka_unit_test(a_cell_is_empty_full_or_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
