/*
 * cmd_show.c - `spillway show`: the swap devices of a running session, as
 * swapon --show has them. Above: main.c. Below: run/ask.c asks the session,
 * libsmartcols makes the table.
 */
#include <jansson.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway show [OPTION]...\n"
	"\n"
	"Lists the swap devices of a running session.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"      --bytes         sizes in bytes\n"
	"      --noheadings    no line with the names of the columns\n"
	"      --raw           columns apart by one space\n"
	"      --json          as JSON\n"
	"      --proc          as the text of /proc/swaps\n"
	"  -h, --help          show this\n";

static struct {
	int bytes, noheadings, raw, json, proc;
} opt;

static const struct option options[] = {
	{ "bytes", no_argument, &opt.bytes, true },
	{ "noheadings", no_argument, &opt.noheadings, true },
	{ "raw", no_argument, &opt.raw, true },
	{ "json", no_argument, &opt.json, true },
	{ "proc", no_argument, &opt.proc, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

struct device {
	const char *name, *kind;
	json_int_t size, used;
	int prio;
};

/* False: the session says something else. */
static bool read_device(json_t *json, struct device *dev)
{
	return !json_unpack(json, "{s:s, s:s, s:I, s:I, s:i}", /**/
			    "name", &dev->name,                /**/
			    "kind", &dev->kind,                /**/
			    "size_bytes", &dev->size,          /**/
			    "used_bytes", &dev->used,          /**/
			    "prio", &dev->prio);
}

/* ---- /proc/swaps ---- */

/* The file's own columns, in KiB. What is no file is a partition there. */
static void print_proc(const json_t *devices)
{
	struct device dev;
	json_t *json;
	size_t i;

	puts("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
	json_array_foreach(devices, i, json)
	{
		if (!read_device(json, &dev))
			continue;
		printf("%-39s %s\t%lld\t%s%lld\t%s%d\n", dev.name,
		       strcmp(dev.kind, "file") ? "partition" : "file\t",
		       dev.size / 1024, dev.size / 1024 < 10000000 ? "\t" : "",
		       dev.used / 1024, dev.used / 1024 < 10000000 ? "\t" : "",
		       dev.prio);
	}
}

/* ---- the table ---- */

static const struct {
	const char *name;
	double width;
	int flags, json_type;
} columns[] = {
	{ "NAME", 0.3, 0, SCOLS_JSON_STRING },
	{ "TYPE", 8, 0, SCOLS_JSON_STRING },
	{ "SIZE", 5, SCOLS_FL_RIGHT, SCOLS_JSON_STRING },
	{ "USED", 5, SCOLS_FL_RIGHT, SCOLS_JSON_STRING },
	{ "PRIO", 4, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
};

static struct libscols_table *new_table(void)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_name(table, "devices");
	scols_table_enable_raw(table, opt.raw);
	scols_table_enable_json(table, opt.json);
	scols_table_enable_noheadings(table, opt.noheadings);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(columns); i++) {
		struct libscols_column *column = scols_table_new_column(
			table, columns[i].name, columns[i].width,
			columns[i].flags);
		bool is_size = i == 2 || i == 3;

		if (column)
			scols_column_set_json_type(
				column, is_size && opt.bytes
						? SCOLS_JSON_NUMBER
						: columns[i].json_type);
	}
	return table;
}

static void set_size(struct libscols_line *line, unsigned column,
		     uint64_t bytes)
{
	char text[24];

	if (opt.bytes)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	else
		sw_size_format(bytes, text);
	scols_line_set_data(line, column, text);
}

static void add_line(struct libscols_table *table, const struct device *dev)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char prio[16];

	if (!line)
		return;
	snprintf(prio, sizeof(prio), "%d", dev->prio);
	scols_line_set_data(line, 0, dev->name);
	scols_line_set_data(line, 1, dev->kind);
	set_size(line, 2, dev->size);
	set_size(line, 3, dev->used);
	scols_line_set_data(line, 4, prio);
}

static int print_table(const json_t *devices)
{
	struct libscols_table *table = new_table();
	struct device dev;
	json_t *json;
	size_t i;
	int err;

	if (!table)
		return 1;
	json_array_foreach(devices, i, json) if (read_device(json, &dev))
		add_line(table, &dev);
	err = scols_print_table(table);
	scols_unref_table(table);
	return err;
}

/* ---- the command ---- */

int cmd_show(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);
	const json_t *devices;
	json_t *answer;

	if (status)
		return cmd_status(status);
	answer = sw_ask(session, json_pack("{s:s}", "request", "show"), NULL,
			NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	devices = json_object_get(answer, "devices");
	if (opt.proc)
		print_proc(devices);
	else if (json_array_size(devices) || opt.json)
		status = print_table(devices);
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}
