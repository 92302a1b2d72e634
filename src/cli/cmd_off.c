/*
 * cmd_off.c - `spillway off`: a swap device of a running session is emptied and
 * goes. Says how far that is and how fast; SIGINT calls it off. Above: main.c.
 * Below: run/ask.c.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

#define LINE_SECONDS 1.0 /* from one line to the next, but on a terminal */

static const char help[] =
	"Usage: spillway off [-s NAME] DEVICE...\n"
	"\n"
	"Turns swap devices of a running session off: what is on them moves to the\n"
	"others or, where these are full, back to memory within the budget. The program\n"
	"goes on meanwhile. Interrupted by Ctrl-C, the device is in use as before.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"DEVICE is a name from 'spillway show', or the path in it.\n";

static const struct option options[] = { CMD_SESSION_OPTIONS, { 0 } };

struct course {
	const char *device;
	struct timespec start;
	double said; /* seconds after the start */
	bool terminal, line_is_open;
};

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec +
	       (now.tv_nsec - start->tv_nsec) / 1e9;
}

/* "512M", or "3.2M/s" behind it. */
static const char *rate(double bytes, double seconds, char buf[24])
{
	return sw_size_format(bytes / (seconds > 0.001 ? seconds : 0.001), buf);
}

static void hear(void *arg, const json_t *how_far)
{
	struct course *c = arg;
	double now = seconds_since(&c->start);
	json_int_t left, total;
	char a[24], b[24];

	if (json_unpack((json_t *)how_far, "{s:I, s:I}", "left_bytes", &left,
			"total_bytes", &total) ||
	    !total || (!c->terminal && now - c->said < LINE_SECONDS))
		return;
	c->said = now;
	c->line_is_open = c->terminal;
	printf("%s%s: %lld%% of %s, %s/s%s", c->terminal ? "\r" : "", c->device,
	       (total - left) * 100 / total, sw_size_format(total, a),
	       rate(total - left, now, b), c->terminal ? "  " : "\n");
	fflush(stdout);
}

/* An exit status. */
static int turn_off(const char *session, const char *device)
{
	struct course c = { .device = device, .terminal = isatty(1) };
	json_t *answer;
	double seconds;
	json_int_t bytes;
	char a[24], b[24];

	clock_gettime(CLOCK_MONOTONIC, &c.start);
	answer = sw_ask(
		session,
		json_pack("{s:s, s:s}", "request", "off", "device", device),
		hear, &c);
	if (c.line_is_open)
		putchar('\n');
	if (!answer)
		return CMD_EXIT_REFUSED;
	seconds = seconds_since(&c.start);
	bytes = json_integer_value(json_object_get(answer, "bytes"));
	json_decref(answer);
	printf("%s: off, %s moved in %.1f s (%s/s)\n", device,
	       sw_size_format(bytes, a), seconds, rate(bytes, seconds, b));
	return fflush(stdout) ? SW_EXIT_FAILURE : 0;
}

int cmd_off(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.word = "device",
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);

	cmd_interrupt_calls_off();
	while (!status && optind < argc)
		status = turn_off(session, argv[optind++]);
	return cmd_status(status);
}
