/* table.c - see table.h. */
#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>

#include "run/options.h"

static int flags_of(enum table_kind kind)
{
	switch (kind) {
	case TABLE_NUMBER:
	case TABLE_SIZE:
		return SCOLS_FL_RIGHT;
	case TABLE_LAST:
		return SCOLS_FL_TRUNC;
	default:
		return 0;
	}
}

static int json_type_of(enum table_kind kind, bool bytes)
{
	switch (kind) {
	case TABLE_NUMBER:
		return SCOLS_JSON_NUMBER;
	case TABLE_SIZE:
		return bytes ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING;
	case TABLE_BOOL:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

static void add_column(struct table *t, const struct table_column *c)
{
	struct libscols_column *column = scols_table_new_column(
		t->scols, c->name, c->width, flags_of(c->kind));

	if (column)
		scols_column_set_json_type(
			column, json_type_of(c->kind, t->switches->bytes));
}

int table_open(struct table *t, const char *name,
	       const struct table_column *column, unsigned nr,
	       const struct table_switches *switches)
{
	*t = (struct table){ scols_new_table(), column, switches };
	if (!t->scols)
		return -ENOMEM;
	scols_table_set_name(t->scols, name);
	scols_table_enable_raw(t->scols, switches->raw);
	scols_table_enable_json(t->scols, switches->json);
	scols_table_enable_noheadings(t->scols, switches->noheadings);
	for (unsigned i = 0; i < nr; i++)
		add_column(t, &column[i]);
	return 0;
}

struct libscols_line *table_line(struct table *t)
{
	return scols_table_new_line(t->scols, NULL);
}

void table_set(struct libscols_line *line, unsigned column, const char *text)
{
	scols_line_set_data(line, column, text);
}

void table_set_number(struct table *t, struct libscols_line *line,
		      unsigned column, int64_t number)
{
	char text[24];

	if (t->column[column].kind == TABLE_SIZE && !t->switches->bytes)
		sw_size_format(number, text);
	else
		snprintf(text, sizeof(text), "%" PRId64, number);
	table_set(line, column, text);
}

bool table_has_lines(const struct table *t)
{
	return scols_table_get_nlines(t->scols) > 0;
}

int table_print(struct table *t)
{
	int err = scols_print_table(t->scols);

	table_close(t);
	return err;
}

void table_close(struct table *t)
{
	scols_unref_table(t->scols);
}
