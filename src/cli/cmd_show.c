/*
 * cmd_show.c - `spillway show`: the swap devices of a running session, as
 * swapon --show has them. Above: main.c. Below: run/ask.c asks the session,
 * table.c makes the table.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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
	"                      not needed where only one is running\n"
	"  -o, --output LIST   these columns: NAME,TYPE,SIZE,USED,PRIO,UUID,LABEL;\n"
	"                      default: all but the last two\n" TABLE_HELP
	"      --proc          as the text of /proc/swaps\n"
	"  -h, --help          show this\n";

static struct table_switches switches;
static int proc;

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	TABLE_OPTIONS(switches),
	{ "proc", no_argument, &proc, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

struct device {
	const char *name, *kind;
	const char *uuid, *label; /* "": none */
	json_int_t size, used;
	int prio;
};

/* False: the session says something else. (An older one says neither uuid nor
 * label.) */
static bool read_device(json_t *json, struct device *dev)
{
	dev->uuid = dev->label = "";
	return !json_unpack(json, "{s:s, s:s, s:I, s:I, s:i, s?s, s?s}", /**/
			    "name", &dev->name,                          /**/
			    "kind", &dev->kind,                          /**/
			    "size_bytes", &dev->size,                    /**/
			    "used_bytes", &dev->used,                    /**/
			    "prio", &dev->prio,                          /**/
			    "uuid", &dev->uuid,                          /**/
			    "label", &dev->label);
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

enum column {
	NAME,
	TYPE,
	SIZE,
	USED,
	PRIO,
	UUID,
	LABEL,
	NR_COLUMNS
};

static const struct table_column columns[NR_COLUMNS] = {
	[NAME] = { "NAME", 0.3, TABLE_TEXT },
	[TYPE] = { "TYPE", 8, TABLE_TEXT },
	[SIZE] = { "SIZE", 5, TABLE_SIZE },
	[USED] = { "USED", 5, TABLE_SIZE },
	[PRIO] = { "PRIO", 4, TABLE_NUMBER },
	[UUID] = { "UUID", 36, TABLE_TEXT },
	[LABEL] = { "LABEL", 5, TABLE_TEXT },
};

/* What is printed, in this order. */
struct choice {
	bool made; /* by -o */
	enum column column[NR_COLUMNS];
	unsigned nr;
};

static void set_cell(struct table *table, struct libscols_line *line,
		     unsigned at, enum column column, const struct device *dev)
{
	switch (column) {
	case NAME:
		return table_set(line, at, dev->name);
	case TYPE:
		return table_set(line, at, dev->kind);
	case SIZE:
		return table_set_number(table, line, at, dev->size);
	case USED:
		return table_set_number(table, line, at, dev->used);
	case PRIO:
		return table_set_number(table, line, at, dev->prio);
	case UUID:
		return table_set(line, at, dev->uuid);
	default:
		return table_set(line, at, dev->label);
	}
}

static void add_line(struct table *table, const struct choice *choice,
		     const struct device *dev)
{
	struct libscols_line *line = table_line(table);

	for (unsigned i = 0; line && i < choice->nr; i++)
		set_cell(table, line, i, choice->column[i], dev);
}

static int print_table(const json_t *devices, const struct choice *choice)
{
	struct table_column chosen[NR_COLUMNS];
	struct device dev;
	struct table table;
	json_t *json;
	size_t i;

	for (unsigned k = 0; k < choice->nr; k++)
		chosen[k] = columns[choice->column[k]];
	if (table_open(&table, "devices", chosen, choice->nr, &switches))
		return 1;
	json_array_foreach(devices, i, json) if (read_device(json, &dev))
		add_line(&table, choice, &dev);
	return table_print(&table);
}

/* ---- -o ---- */

static int say_no_column(const char *name, size_t len)
{
	fprintf(stderr, "spillway: show: no column '%.*s'; columns are ",
		(int)len, name);
	for (unsigned c = 0; c < NR_COLUMNS; c++)
		fprintf(stderr, "%s%c", columns[c].name,
			c + 1 < NR_COLUMNS ? ',' : '\n');
	return SW_EXIT_FAILURE;
}

/* One more column; 0, or an exit status after a line. */
static int choose(struct choice *choice, const char *name, size_t len)
{
	unsigned c = 0;

	while (c < NR_COLUMNS && (strlen(columns[c].name) != len ||
				  strncasecmp(columns[c].name, name, len)))
		c++;
	if (c == NR_COLUMNS)
		return say_no_column(name, len);
	for (unsigned i = 0; i < choice->nr; i++) {
		if (choice->column[i] != c)
			continue;
		fprintf(stderr,
			"spillway: show: column '%.*s' is there twice\n",
			(int)len, name);
		return SW_EXIT_FAILURE;
	}
	choice->column[choice->nr++] = c;
	return 0;
}

/* The last -o counts. */
static int read_list(void *arg, int c, const char *list)
{
	struct choice *choice = arg;
	int status;

	(void)c;
	*choice = (struct choice){ .made = true };
	do {
		size_t len = strcspn(list, ",");

		status = choose(choice, list, len);
		list += len;
	} while (!status && *list++);
	return status;
}

/* ---- the command ---- */

int cmd_show(int argc, char **argv)
{
	struct choice choice = {
		.column = { NAME, TYPE, SIZE, USED, PRIO },
		.nr = 5,
	};
	const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.letters = ":s:o:h",
		.own = read_list,
		.arg = &choice,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);
	const json_t *devices;
	json_t *answer;

	if (status)
		return cmd_status(status);
	if (proc && choice.made) {
		fputs("spillway: show: --proc has columns of its own; choose it or -o\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	answer = sw_ask(session, json_pack("{s:s}", "request", "show"), NULL,
			NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	devices = json_object_get(answer, "devices");
	if (proc)
		print_proc(devices);
	else if (json_array_size(devices) || switches.json)
		status = print_table(devices, &choice);
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}
