/*
 * cmd_ps.c - `spillway ps`: the processes of running sessions, and what each has
 * in memory and out of it. Above: main.c. Below: run/ask.c asks the sessions,
 * table.c makes the table.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/table.h"
#include "run/ask.h"
#include "run/door.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway ps [OPTION]...\n"
	"\n"
	"Lists the processes of all your running sessions, or of one: the memory that\n"
	"each has (RESIDENT) and that is out (SWAPPED), its faults that Spillway has\n"
	"served (FAULTS), for how many seconds some thread of it waited for that\n"
	"(STALLED), and whether it is managed at all, which it need not be before\n"
	"memory gets short.\n"
	"\n"
	"  -s, --session NAME  this session only: what run --name gave it, or its pid\n" TABLE_HELP
	"  -h, --help          show this\n";

static struct table_switches switches;

static const struct option options[] = {
	TABLE_OPTIONS(switches),
	CMD_SESSION_OPTIONS,
	{ 0 },
};

static const struct table_column columns[] = {
	{ "SESSION", 0.1, TABLE_TEXT }, { "PID", 5, TABLE_NUMBER },
	{ "RESIDENT", 5, TABLE_SIZE },  { "SWAPPED", 5, TABLE_SIZE },
	{ "FAULTS", 5, TABLE_NUMBER },  { "STALLED", 5, TABLE_NUMBER },
	{ "MANAGED", 3, TABLE_BOOL },   { "COMMAND", 0.5, TABLE_LAST },
};

struct process {
	int pid, managed;
	json_int_t resident, swapped, faults, stall_ns;
	const char *command;
};

/* False: the session says something else. */
static bool read_process(json_t *json, struct process *p)
{
	return !json_unpack(json, "{s:i, s:I, s:I, s:I, s:I, s:b, s:s}", /**/
			    "pid", &p->pid,                              /**/
			    "resident_bytes", &p->resident,              /**/
			    "swapped_bytes", &p->swapped,                /**/
			    "faults", &p->faults,                        /**/
			    "stall_ns", &p->stall_ns,                    /**/
			    "managed", &p->managed,                      /**/
			    "command", &p->command);
}

static void add_line(struct table *table, const char *session,
		     const struct process *p)
{
	struct libscols_line *line = table_line(table);
	char stalled[32];

	if (!line)
		return;
	snprintf(stalled, sizeof(stalled), "%.2f", p->stall_ns / 1e9);
	table_set(line, 0, session);
	table_set_number(table, line, 1, p->pid);
	table_set_number(table, line, 2, p->resident);
	table_set_number(table, line, 3, p->swapped);
	table_set_number(table, line, 4, p->faults);
	table_set(line, 5, stalled);
	table_set(line, 6, p->managed ? "yes" : "no");
	table_set(line, 7, p->command);
}

/* ---- asking ---- */

/* The list comes in pieces. */
static void hear(void *arg, const json_t *part)
{
	json_array_extend(arg, json_object_get(part, "processes"));
}

/* An exit status. `session` may be NULL: the only one. */
static int ask(struct table *table, const char *session)
{
	json_t *processes = json_array(), *answer, *json;
	struct process p;
	size_t i;

	answer = sw_ask(session, json_pack("{s:s}", "request", "procs"), hear,
			processes);
	session = json_string_value(json_object_get(answer, "session"));
	json_array_foreach(processes, i, json)
	{
		if (session && read_process(json, &p))
			add_line(table, session, &p);
	}
	json_decref(processes);
	json_decref(answer);
	return session ? 0 : CMD_EXIT_REFUSED;
}

struct names {
	char (*name)[SW_DOOR_NAME_MAX + 1];
	size_t nr;
};

static void add_name(void *arg, const char *name)
{
	struct names *n = arg;
	void *more = realloc(n->name, (n->nr + 1) * sizeof(*n->name));

	if (!more)
		return;
	n->name = more;
	snprintf(n->name[n->nr++], sizeof(*n->name), "%s", name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int ask_all(struct table *table)
{
	struct names n = { 0 };
	int nr = sw_door_for_each(add_name, &n), status = 0;

	if (nr < 0)
		return CMD_EXIT_REFUSED;
	if (!nr) /* says that there is none */
		return ask(table, NULL);
	qsort(n.name, n.nr, sizeof(*n.name), by_name);
	for (size_t i = 0; i < n.nr; i++)
		status |= ask(table, n.name[i]);
	free(n.name);
	return status;
}

int cmd_ps(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
	};
	struct table table;
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);

	if (status)
		return cmd_status(status);
	if (table_open(&table, "processes", columns, SW_ARRAY_SIZE(columns),
		       &switches))
		return SW_EXIT_FAILURE;
	status = session ? ask(&table, session) : ask_all(&table);
	if (table_has_lines(&table) || (switches.json && !status)) {
		if (table_print(&table))
			return SW_EXIT_FAILURE;
	} else {
		table_close(&table);
	}
	return fflush(stdout) ? SW_EXIT_FAILURE : status;
}
