/*
 * table.h - tables as util-linux prints them, by libsmartcols: with --raw,
 * --noheadings, --bytes and --json, which mean here what they mean there. A size
 * is "1.5G", or with --bytes a number; numbers are numbers in JSON.
 */
#ifndef SW_CLI_TABLE_H
#define SW_CLI_TABLE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

struct libscols_line;
struct libscols_table;

/* Flags of getopt_long(). */
struct table_switches {
	int bytes, noheadings, raw, json;
};

#define TABLE_OPTIONS(switches)                                              \
	{ "bytes", no_argument, &(switches).bytes, true },                   \
		{ "noheadings", no_argument, &(switches).noheadings, true }, \
		{ "raw", no_argument, &(switches).raw, true },               \
	{                                                                    \
		"json", no_argument, &(switches).json, true                  \
	}

#define TABLE_HELP                                                      \
	"      --bytes         sizes in bytes\n"                        \
	"      --noheadings    no line with the names of the columns\n" \
	"      --raw           columns apart by one space\n"            \
	"      --json          as JSON\n"

enum table_kind {
	TABLE_TEXT,
	TABLE_LAST, /* text that a terminal may cut off */
	TABLE_NUMBER,
	TABLE_BOOL, /* "yes" or "no" */
	TABLE_SIZE, /* bytes */
};

struct table_column {
	const char *name;
	double width; /* wanted: columns, or below 1 a part of the terminal */
	enum table_kind kind;
};

struct table {
	struct libscols_table *scols;
	const struct table_column *column;
	const struct table_switches *switches;
};

/* `name` is the array's in JSON. 0 or -ENOMEM. The columns and switches are
 * used until the table is printed. */
int table_open(struct table *t, const char *name,
	       const struct table_column *column, unsigned nr,
	       const struct table_switches *switches);
/* One more line; NULL: no memory. What is not set of it is empty. */
struct libscols_line *table_line(struct table *t);
void table_set(struct libscols_line *line, unsigned column, const char *text);
/* A number or a size, as the column says. */
void table_set_number(struct table *t, struct libscols_line *line,
		      unsigned column, int64_t number);
bool table_has_lines(const struct table *t);
/* Prints it to stdout and closes it. 0 or -errno. */
int table_print(struct table *t);
void table_close(struct table *t);

#endif
