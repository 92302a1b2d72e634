/*
 * cmd_report.c - `spillway report`: a page of pictures from what `run --trace`
 * recorded. Above: main.c. Below: report/report.h.
 */
#include "report/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway report [-o PAGE.html] FILE\n"
	"\n"
	"Makes one HTML page of a trace that 'spillway run --trace FILE' recorded:\n"
	"memory over time, faults over time and address, their latency by kind, and an\n"
	"estimate of the working set. A trace without an end (the session was killed,\n"
	"or goes on) is shown as far as it goes.\n"
	"\n"
	"  -o, --output PAGE   write the page there; default: to standard output\n"
	"  -h, --help          show this\n"
	"\n"
	"Exit status: 0; 1 if FILE is no trace, is damaged, or cannot be read, or the\n"
	"page cannot be written; 125 if the command line is wrong.\n"
	"\n"
	"Example: spillway report -o page.html redis.trace\n";

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int refuse(const char *path, const char *why)
{
	fprintf(stderr, "spillway: report: %s: %s\n", path, why);
	return CMD_EXIT_REFUSED;
}

static int say_error(const char *path, int err)
{
	switch (err) {
	case -EINVAL:
		return refuse(path, "no trace of 'spillway run --trace'");
	case -ENOTSUP:
		return refuse(path, "a trace of another version of Spillway, "
				    "which has to show it");
	case -ESPIPE:
		return refuse(path, "is read twice, and so has to be a file");
	default:
		return refuse(path, strerror(-err));
	}
}

/* The page is there; what about the trace? */
static int say_ending(const char *path, const struct sw_report_ending *ending)
{
	if (ending->how == SW_TRACE_DAMAGED)
		fprintf(stderr,
			"spillway: report: %s: damaged behind byte %lu; the "
			"page shows what comes before\n",
			path, (unsigned long)ending->bytes);
	if (ending->how == SW_TRACE_CUT)
		fprintf(stderr,
			"spillway: report: %s: has no end (the session was "
			"killed, or goes on); the page shows what there is\n",
			path);
	return ending->how == SW_TRACE_DAMAGED ? CMD_EXIT_REFUSED : 0;
}

static int write_page(const char *path, const char *page, size_t len)
{
	FILE *out = path ? fopen(path, "we") : stdout;
	bool ok;

	if (!out)
		return refuse(path, strerror(errno));
	ok = fwrite(page, 1, len, out) == len && !fflush(out);
	if (path && fclose(out))
		ok = false;
	return ok ? 0
		  : refuse(path ? path : "standard output", strerror(errno));
}

/* The whole page is made before any of it is written. */
static int make(const char *path, const char *output)
{
	struct sw_report_ending ending;
	char *page = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&page, &len);
	int err = to ? sw_report_page(path, to, &ending) : -ENOMEM, status;

	if (to && fclose(to) && !err)
		err = -ENOMEM;
	status = err ? say_error(path, err) : write_page(output, page, len);
	if (!status)
		status = say_ending(path, &ending);
	free(page);
	return status;
}

static int say_usage(const char *what)
{
	fprintf(stderr, "spillway: report: %s; see 'spillway report --help'\n",
		what);
	return SW_EXIT_FAILURE;
}

int cmd_report(int argc, char **argv)
{
	const char *output = NULL;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			output = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return fflush(stdout) ? SW_EXIT_FAILURE : 0;
		default:
			return cmd_say_bad_option("report", c, options, argv);
		}
	}
	if (optind == argc)
		return say_usage("no trace given");
	if (optind + 1 < argc)
		return say_usage("more than one trace given");
	if (!output && isatty(STDOUT_FILENO))
		return say_usage("a page is no text for a terminal; give -o "
				 "PAGE.html");
	return make(argv[optind], output);
}
