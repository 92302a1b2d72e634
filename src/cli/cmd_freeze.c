/*
 * cmd_freeze.c - `spillway freeze` and `spillway thaw`: a running session is
 * put aside, and goes on. Above: main.c. Below: run/ask.c asks the session.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char freeze_help[] =
	"Usage: spillway freeze [OPTION]...\n"
	"\n"
	"Takes all memory of a running session out and keeps it out: whoever touches\n"
	"some of it waits until 'spillway thaw'. What is in compressed memory goes to\n"
	"the disk with the most room, where the session has one.\n"
	"\n"
	"      --thaw-on-fault  go on as soon as somebody touches memory that is out\n"
	"  -s, --session NAME   the session: what run --name gave it, or its pid;\n"
	"                       not needed where only one is running\n"
	"  -h, --help           show this\n";

static const char thaw_help[] =
	"Usage: spillway thaw [OPTION]...\n"
	"\n"
	"Lets a frozen session go on. Its memory comes back as it is touched.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n";

enum {
	OPT_THAW_ON_FAULT = 256,
};

static const struct option freeze_options[] = {
	{ "thaw-on-fault", no_argument, NULL, OPT_THAW_ON_FAULT },
	{ "session", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct options {
	const char *session;
	bool thaw_on_fault;
};

/* 0 to go on, an exit status, or -1 when all was said with success. */
static int parse(struct options *opt, const char *help,
		 const struct option *known, int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":s:h", known, NULL)) != -1) {
		switch (c) {
		case OPT_THAW_ON_FAULT:
			opt->thaw_on_fault = true;
			break;
		case 's':
			opt->session = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return fflush(stdout) ? SW_EXIT_FAILURE : -1;
		default:
			return cmd_say_bad_option(argv[0], c, known, argv);
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr,
		"spillway: %s: '%s' is one word too many; see 'spillway %s --help'\n",
		argv[0], argv[optind], argv[0]);
	return SW_EXIT_FAILURE;
}

static void say_frozen(const json_t *answer)
{
	json_int_t resident = 0, image = 0;
	char a[24], b[24];

	(void)json_unpack((json_t *)answer, "{s:I, s:I}", "resident_bytes",
			  &resident, "image_bytes", &image);
	printf("frozen: %s from compressed memory on a disk, %s that could not be taken out\n",
	       sw_size_format(image, a), sw_size_format(resident, b));
}

int cmd_freeze(int argc, char **argv)
{
	struct options opt = { 0 };
	int status = parse(&opt, freeze_help, freeze_options, argc, argv);
	json_t *answer;

	if (status)
		return status < 0 ? 0 : status;
	answer = sw_ask(opt.session,
			json_pack("{s:s, s:b}", "request", "freeze",
				  "thaw_on_fault", opt.thaw_on_fault),
			NULL, NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	say_frozen(answer);
	json_decref(answer);
	return fflush(stdout) ? SW_EXIT_FAILURE : 0;
}

int cmd_thaw(int argc, char **argv)
{
	struct options opt = { 0 };
	int status = parse(&opt, thaw_help, &freeze_options[1], argc, argv);
	json_t *answer;

	if (status)
		return status < 0 ? 0 : status;
	answer = sw_ask(opt.session, json_pack("{s:s}", "request", "thaw"),
			NULL, NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	json_decref(answer);
	return 0;
}
