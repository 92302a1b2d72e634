/* table.c - see table.h. Above: cmd_show.c, cmd_ps.c. Below: libsmartcols. */
#include "cli/table.h"

#include <stdbool.h>
#include <stdio.h>

#include "run/options.h"

static int flags_of(enum cmd_column_kind kind)
{
	switch (kind) {
	case CMD_NUMBER:
	case CMD_SIZE:
		return SCOLS_FL_RIGHT;
	case CMD_LAST:
		return SCOLS_FL_TRUNC;
	default:
		return 0;
	}
}

static int json_type_of(enum cmd_column_kind kind, bool bytes)
{
	switch (kind) {
	case CMD_NUMBER:
		return SCOLS_JSON_NUMBER;
	case CMD_SIZE:
		return bytes ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING;
	case CMD_BOOL:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

struct libscols_table *cmd_table_new(const char *name,
				     const struct cmd_column *columns,
				     unsigned nr,
				     const struct cmd_table_options *opt)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_name(table, name);
	scols_table_enable_raw(table, opt->raw);
	scols_table_enable_json(table, opt->json);
	scols_table_enable_noheadings(table, opt->noheadings);
	for (unsigned i = 0; i < nr; i++) {
		struct libscols_column *column = scols_table_new_column(
			table, columns[i].name, columns[i].width,
			flags_of(columns[i].kind));

		if (column)
			scols_column_set_json_type(
				column,
				json_type_of(columns[i].kind, opt->bytes));
	}
	return table;
}

void cmd_table_set_size(struct libscols_line *line, unsigned column,
			uint64_t bytes, const struct cmd_table_options *opt)
{
	char text[24];

	if (opt->bytes)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	else
		sw_size_format(bytes, text);
	scols_line_set_data(line, column, text);
}

int cmd_table_print(struct libscols_table *table)
{
	int err = scols_print_table(table);

	scols_unref_table(table);
	return err;
}
