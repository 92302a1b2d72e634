/*
 * cmd_map.c - `spillway map`: the clusters of a swap device of a running session
 * as a picture: characters, SVG, or JSON. Above: main.c. Below: run/ask.c asks
 * the session, map.c and its neighbours draw.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/map.h"
#include "run/ask.h"
#include "run/session.h"

#define TEXT_LINES 32
#define SVG_CELLS  4096
#define JSON_CELLS 16384

static const char help[] =
	"Usage: spillway map [OPTION]... DEVICE\n"
	"\n"
	"Draws the clusters of a swap device of a running session: which are free,\n"
	"partly used (the digit is the order of the folios they take), fragmented,\n"
	"full, or have bad slots; and counts them.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"      --svg FILE      write the picture as SVG; -: to standard output\n"
	"      --json          as JSON\n"
	"  -h, --help          show this\n"
	"\n"
	"DEVICE is a name from 'spillway show', or the path in it.\n";

static struct {
	int json;
	const char *svg;
} opt;

static const struct option options[] = {
	{ "json", no_argument, &opt.json, true },
	{ "svg", required_argument, NULL, 'S' },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

static int own_option(void *arg, int c, const char *value)
{
	(void)arg;
	(void)c; /* there is one */
	opt.svg = value;
	return 0;
}

static unsigned columns(void)
{
	struct winsize w;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col
								 : 80;
}

/* As many cells as can be shown. */
static unsigned nr_cells(void)
{
	if (opt.svg)
		return SVG_CELLS;
	return opt.json ? JSON_CELLS
			: map_text_per_line(columns()) * TEXT_LINES;
}

/* ---- writing ---- */

static int write_svg(const struct cluster_map *m)
{
	FILE *out = strcmp(opt.svg, "-") ? fopen(opt.svg, "we") : stdout;
	int err;

	if (!out) {
		fprintf(stderr, "spillway: map: %s: cannot be written: %s\n",
			opt.svg, strerror(errno));
		return SW_EXIT_FAILURE;
	}
	map_print_svg(m, out);
	errno = 0;
	err = out == stdout ? fflush(out) : fclose(out);
	if (!err)
		return 0;
	fprintf(stderr, "spillway: map: %s: cannot be written: %s\n", opt.svg,
		strerror(errno));
	return SW_EXIT_FAILURE;
}

static int show(const struct cluster_map *m)
{
	if (opt.svg)
		return write_svg(m);
	if (opt.json)
		map_print_json(m, stdout);
	else
		map_print_text(m, columns(), stdout);
	return fflush(stdout) || ferror(stdout) ? SW_EXIT_FAILURE : 0;
}

/* ---- asking ---- */

/* The cells come in pieces. */
static void hear(void *arg, const json_t *part)
{
	json_array_extend(arg, json_object_get(part, "cells"));
}

static int draw(const char *session, const char *device)
{
	json_t *cells = json_array(), *answer;
	struct cluster_map m;
	int status = CMD_EXIT_REFUSED;

	answer = sw_ask(session,
			json_pack("{s:s, s:s, s:i}", "request", "map", "device",
				  device, "cells", nr_cells()),
			hear, cells);
	if (answer && map_read(&m, answer, cells)) {
		status = show(&m);
	} else if (answer) {
		fputs("spillway: map: the session's answer makes no sense; is it older than the command?\n",
		      stderr);
		status = SW_EXIT_FAILURE;
	}
	if (answer)
		map_release(&m);
	json_decref(answer);
	json_decref(cells);
	return status;
}

int cmd_map(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.own = own_option,
		.word = "device",
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);

	if (status)
		return cmd_status(status);
	if (optind + 1 < argc) {
		fprintf(stderr,
			"spillway: map: '%s' is one word too many; see 'spillway map --help'\n",
			argv[optind + 1]);
		return SW_EXIT_FAILURE;
	}
	if (opt.json && opt.svg) {
		fputs("spillway: map: --svg and --json are two forms; choose one\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	return draw(session, argv[optind]);
}
