/*
 * cmd_stat.c - `spillway stat`: what a running session counts; all of it since
 * its start, as /proc/vmstat has it, or line by line, as vmstat(8) does. Above:
 * main.c. Below: run/ask.c; run/counting.c counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

#define LEAST_SECONDS 0.1
#define MOST_SECONDS  86400.0
#define SCREEN_LINES  24 /* where the terminal does not say */
#define STALL_WIDTH   5

static const char help[] =
	"Usage: spillway stat [OPTION]...\n"
	"\n"
	"Says what a running session has counted since its start and how much memory it\n"
	"uses, a name and a number a line, as /proc/vmstat does.\n"
	"\n"
	"  -i, --interval SEC  a line every SEC seconds instead, as vmstat(8) prints:\n"
	"                      what happened a second; first since the start, then in\n"
	"                      each interval, until the session ends\n"
	"  -n, --count COUNT   so many lines\n"
	"      --json          as JSON; with -i an object a line, with all counters\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"Of the columns, stall is the part of the time in which some thread waited for\n"
	"memory, used, staged and swap are sizes, the others numbers a second.\n"
	"\n"
	"Exit status: 0; 1 when there is no such session, or it was killed; 125 on bad\n"
	"usage.\n";

static int json;

static const struct option options[] = {
	{ "interval", required_argument, NULL, 'i' },
	{ "count", required_argument, NULL, 'n' },
	{ "json", no_argument, &json, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

/* ---- a line every now and then ---- */

static const struct {
	const char *name; /* of the field, and of the column */
	int width;
	bool is_size; /* of "memory"; else of "counters" */
	const char *heading;
} columns[] = {
	{ "used_bytes", 7, true, "used" },
	{ "staged_bytes", 7, true, "staged" },
	{ "swapped_bytes", 7, true, "swap" },
	{ "pgfault", 7, false, NULL },
	{ "pgmajfault", 10, false, NULL },
	{ "pswpin", 7, false, NULL },
	{ "pswpout", 7, false, NULL },
	{ "pgscan", 7, false, NULL },
	{ "pgsteal", 7, false, NULL },
};

struct watch {
	double interval; /* seconds; 0: all at once */
	long count;      /* lines; 0: as many as there are */
	long said;
	int screen;   /* lines from one heading to the next; 0: only one */
	json_t *last; /* the sample before; NULL: none */
	bool over;
	int status;
};

static void print_heading(void)
{
	printf("%*s ", STALL_WIDTH, "stall");
	for (unsigned i = 0; i < SW_ARRAY_SIZE(columns); i++)
		printf("%s%*s", i ? " " : "", columns[i].width,
		       columns[i].heading ? columns[i].heading
					  : columns[i].name);
	putchar('\n');
}

static double seconds_of(const json_t *sample)
{
	return json_number_value(json_object_get(sample, "seconds"));
}

static json_int_t count_of(const json_t *sample, const char *name)
{
	return json_integer_value(
		json_object_get(json_object_get(sample, "counters"), name));
}

/* A second, from the sample before or the start. */
static double rate(const struct watch *w, const json_t *sample,
		   const char *name)
{
	double seconds = seconds_of(sample) - seconds_of(w->last);
	json_int_t count = count_of(sample, name) - count_of(w->last, name);

	return seconds > 0 ? count / seconds : 0;
}

static json_int_t stalled_us(const json_t *sample)
{
	const json_t *stall = json_object_get(sample, "stall");

	return json_integer_value(
		json_object_get(json_object_get(stall, "some"), "total_us"));
}

/* Percent of the time since the sample before in which some thread waited. */
static double stall(const struct watch *w, const json_t *sample)
{
	double us = (seconds_of(sample) - seconds_of(w->last)) * 1e6;

	return us > 0 ? (stalled_us(sample) - stalled_us(w->last)) / us * 100
		      : 0;
}

static void print_line(const struct watch *w, const json_t *sample)
{
	const json_t *memory = json_object_get(sample, "memory");
	char text[24];

	printf("%*.0f%% ", STALL_WIDTH - 1, stall(w, sample));
	for (unsigned i = 0; i < SW_ARRAY_SIZE(columns); i++) {
		const char *name = columns[i].name;

		if (columns[i].is_size)
			sw_size_format(json_integer_value(
					       json_object_get(memory, name)),
				       text);
		else
			snprintf(text, sizeof(text), "%.0f",
				 rate(w, sample, name));
		printf("%s%*s", i ? " " : "", columns[i].width, text);
	}
	putchar('\n');
}

static int print_json_line(const struct watch *w, const json_t *sample)
{
	json_t *rates = json_object(), *line, *count;
	const char *name;
	int status;

	json_object_foreach(json_object_get((json_t *)sample, "counters"), name,
			    count)
		json_object_set_new(rates, name,
				    json_real(rate(w, sample, name)));
	line = json_pack("{s:f, s:f, s:O, s:f, s:o}", "seconds",
			 seconds_of(sample), "interval_seconds",
			 seconds_of(sample) - seconds_of(w->last), "memory",
			 json_object_get(sample, "memory"), "stall_percent",
			 stall(w, sample), "per_second", rates);
	status = cmd_print_json(line, JSON_COMPACT);
	json_decref(line);
	return status;
}

static void hear(void *arg, const json_t *sample)
{
	struct watch *w = arg;

	if (w->over || !json_is_object(json_object_get(sample, "counters")))
		return;
	if (json) {
		w->status = print_json_line(w, sample);
	} else {
		if (!w->said || (w->screen && w->said % w->screen == 0))
			print_heading();
		print_line(w, sample);
		w->status = fflush(stdout) ? SW_EXIT_FAILURE : 0;
	}
	json_decref(w->last);
	w->last = json_incref((json_t *)sample);
	w->over = ++w->said == w->count || w->status;
	if (w->over)
		sw_ask_call_off();
}

/* Heading and lines fill a screen. */
static int screen_lines(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return SCREEN_LINES - 2;
	return size.ws_row - 2;
}

static int watch(const char *session, struct watch *w)
{
	json_t *answer;

	w->screen = screen_lines();
	answer =
		sw_ask(session,
		       json_pack("{s:s, s:I}", "request", "stat", "interval_ms",
				 (json_int_t)(w->interval * 1000)),
		       hear, w);
	json_decref(w->last);
	if (!answer && !w->over)
		return CMD_EXIT_REFUSED;
	json_decref(answer);
	return w->status;
}

/* ---- all at once ---- */

static void print_object(const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value) printf(
		"%s %lld\n", name,
		json_is_boolean(value) ? (json_int_t)json_boolean_value(value)
				       : json_integer_value(value));
}

/* As /proc/pressure/memory has it. */
static void print_pressure(const json_t *stall, const char *name)
{
	const json_t *line = json_object_get(stall, name);

	printf("%s avg10=%.2f avg60=%.2f avg300=%.2f total=%lld\n", name,
	       json_number_value(json_object_get(line, "avg10")),
	       json_number_value(json_object_get(line, "avg60")),
	       json_number_value(json_object_get(line, "avg300")),
	       json_integer_value(json_object_get(line, "total_us")));
}

/* How long faults took, a line for each thing that they waited for. */
static void print_latency(const json_t *stall)
{
	const char *tier, *name;
	json_t *latency, *value;

	json_object_foreach(json_object_get(stall, "latency"), tier, latency)
	{
		printf("latency_%s", tier);
		json_object_foreach(latency, name, value)
			printf(" %s=%.10g", name, json_number_value(value));
		putchar('\n');
	}
}

static int print_all(const char *session)
{
	json_t *answer = sw_ask(session, json_pack("{s:s}", "request", "stat"),
				NULL, NULL);
	int status = 0;

	if (!answer)
		return CMD_EXIT_REFUSED;
	if (json) {
		status = cmd_print_json(answer, JSON_INDENT(2));
	} else {
		print_object(json_object_get(answer, "memory"));
		print_object(json_object_get(answer, "counters"));
		print_pressure(json_object_get(answer, "stall"), "some");
		print_pressure(json_object_get(answer, "stall"), "full");
		print_latency(json_object_get(answer, "stall"));
	}
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}

/* ---- the command ---- */

static int say_bad(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "spillway: stat: %s %s: %s\n", option, value, what);
	return SW_EXIT_FAILURE;
}

static int take_option(void *arg, int c, const char *value)
{
	struct watch *w = arg;
	char *end;

	errno = 0;
	if (c == 'i') {
		w->interval = strtod(value, &end);
		if (!*value || *end ||
		    !(w->interval >= LEAST_SECONDS &&
		      w->interval <= MOST_SECONDS))
			return say_bad("-i", value,
				       "an interval is 0.1 to 86400 seconds");
		return 0;
	}
	w->count = strtol(value, &end, 10);
	if (!*value || *end || errno || w->count < 1)
		return say_bad("-n", value, "lines are 1 or more");
	return 0;
}

int cmd_stat(int argc, char **argv)
{
	static struct watch w;
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.letters = ":i:n:s:h",
		.own = take_option,
		.arg = &w,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);

	if (status)
		return cmd_status(status);
	if (w.count && !w.interval) {
		fputs("spillway: stat: -n is for lines; give -i SEC as well\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	return w.interval ? watch(session, &w) : print_all(session);
}
