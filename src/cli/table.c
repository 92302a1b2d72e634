/* table.c - see table.h. */
#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>

#include "run/options.h"

static void add_column(struct table *t, const struct table_column *c)
{
	bool is_number = c->kind == TABLE_NUMBER ||
			 (c->kind == TABLE_SIZE && t->switches->bytes);
	struct libscols_column *column = scols_table_new_column(
		t->scols, c->name, c->width,
		c->kind == TABLE_TEXT ? 0 : SCOLS_FL_RIGHT);

	if (column)
		scols_column_set_json_type(column, is_number
							   ? SCOLS_JSON_NUMBER
							   : SCOLS_JSON_STRING);
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

int table_print(struct table *t)
{
	int err = scols_print_table(t->scols);

	scols_unref_table(t->scols);
	return err;
}
