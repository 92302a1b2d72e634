/*
 * table.h - the tables of commands that list something, with the switches that
 * swapon --show has for them: what libsmartcols needs to be told, in one place.
 */
#ifndef SW_CLI_TABLE_H
#define SW_CLI_TABLE_H

#include <libsmartcols.h>
#include <stdint.h>

/* Flags of getopt_long(), one a switch. */
struct cmd_table_options {
	int bytes, noheadings, raw, json;
};

#define CMD_TABLE_OPTIONS(opt)                                           \
	{ "bytes", no_argument, &(opt)->bytes, true },                   \
		{ "noheadings", no_argument, &(opt)->noheadings, true }, \
		{ "raw", no_argument, &(opt)->raw, true },               \
	{                                                                \
		"json", no_argument, &(opt)->json, true                  \
	}

#define CMD_TABLE_HELP                                                  \
	"      --bytes         sizes in bytes\n"                        \
	"      --noheadings    no line with the names of the columns\n" \
	"      --raw           columns apart by one space\n"            \
	"      --json          as JSON\n"

enum cmd_column_kind {
	CMD_TEXT,
	CMD_LAST, /* text that a terminal may cut off */
	CMD_NUMBER,
	CMD_SIZE, /* bytes */
	CMD_BOOL, /* "yes" or "no" */
};

struct cmd_column {
	const char *name;
	enum cmd_column_kind kind;
	double width; /* of libsmartcols */
};

/* A table without lines, called `name` in JSON. NULL: no memory. */
struct libscols_table *cmd_table_new(const char *name,
				     const struct cmd_column *columns,
				     unsigned nr,
				     const struct cmd_table_options *opt);
void cmd_table_set_size(struct libscols_line *line, unsigned column,
			uint64_t bytes, const struct cmd_table_options *opt);
/* Prints the table and frees it. 0, or an error. */
int cmd_table_print(struct libscols_table *table);

#endif
