/*
 * cmd_show.c - `spillway show`: the swap devices of a running session, as
 * swapon --show has them. Above: main.c. Below: run/ask.c asks the session,
 * table.c makes the table.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/table.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway show [OPTION]...\n"
	"\n"
	"Lists the swap devices of a running session.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n" CMD_TABLE_HELP
	"      --proc          as the text of /proc/swaps\n"
	"  -h, --help          show this\n";

static struct {
	struct cmd_table_options table;
	int proc;
} opt;

static const struct option options[] = {
	CMD_TABLE_OPTIONS(&opt.table),
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

static const struct cmd_column columns[] = {
	{ "NAME", CMD_TEXT, 0.3 }, { "TYPE", CMD_TEXT, 8 },
	{ "SIZE", CMD_SIZE, 5 },   { "USED", CMD_SIZE, 5 },
	{ "PRIO", CMD_NUMBER, 4 },
};

static void add_line(struct libscols_table *table, const struct device *dev)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char prio[16];

	if (!line)
		return;
	snprintf(prio, sizeof(prio), "%d", dev->prio);
	scols_line_set_data(line, 0, dev->name);
	scols_line_set_data(line, 1, dev->kind);
	cmd_table_set_size(line, 2, dev->size, &opt.table);
	cmd_table_set_size(line, 3, dev->used, &opt.table);
	scols_line_set_data(line, 4, prio);
}

static int print_table(const json_t *devices)
{
	struct libscols_table *table = cmd_table_new(
		"devices", columns, SW_ARRAY_SIZE(columns), &opt.table);
	struct device dev;
	json_t *json;
	size_t i;

	if (!table)
		return 1;
	json_array_foreach(devices, i, json) if (read_device(json, &dev))
		add_line(table, &dev);
	return cmd_table_print(table);
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
	else if (json_array_size(devices) || opt.table.json)
		status = print_table(devices);
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}
