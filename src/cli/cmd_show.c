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
#include "run/session.h"

static const char help[] =
	"Usage: spillway show [OPTION]...\n"
	"\n"
	"Lists the swap devices of a running session.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n" TABLE_HELP
	"      --proc          as the text of /proc/swaps\n"
	"  -h, --help          show this\n";

static struct table_switches switches;
static int proc;

static const struct option options[] = {
	TABLE_OPTIONS(switches),
	{ "proc", no_argument, &proc, true },
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

static const struct table_column columns[] = {
	{ "NAME", 0.3, TABLE_TEXT }, { "TYPE", 8, TABLE_TEXT },
	{ "SIZE", 5, TABLE_SIZE },   { "USED", 5, TABLE_SIZE },
	{ "PRIO", 4, TABLE_NUMBER },
};

static void add_line(struct table *table, const struct device *dev)
{
	struct libscols_line *line = table_line(table);

	if (!line)
		return;
	table_set(line, 0, dev->name);
	table_set(line, 1, dev->kind);
	table_set_number(table, line, 2, dev->size);
	table_set_number(table, line, 3, dev->used);
	table_set_number(table, line, 4, dev->prio);
}

static int print_table(const json_t *devices)
{
	struct device dev;
	struct table table;
	json_t *json;
	size_t i;

	if (table_open(&table, "devices", columns, SW_ARRAY_SIZE(columns),
		       &switches))
		return 1;
	json_array_foreach(devices, i, json) if (read_device(json, &dev))
		add_line(&table, &dev);
	return table_print(&table);
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
	if (proc)
		print_proc(devices);
	else if (json_array_size(devices) || switches.json)
		status = print_table(devices);
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}
