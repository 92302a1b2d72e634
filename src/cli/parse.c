/*
 * parse.c - the options of commands that talk to a running session: -s and -h,
 * which all of them have, and their own. See cmd.h.
 */
#include <stdio.h>

#include "cli/cmd.h"
#include "run/session.h"

static int say_help(const char *help)
{
	fputs(help, stdout);
	return fflush(stdout) ? SW_EXIT_FAILURE : CMD_DONE;
}

static int parse_option(const struct cmd_syntax *syntax, int c, char **argv,
			const char **session)
{
	switch (c) {
	case 0: /* its flag is set */
		return 0;
	case 's':
		*session = optarg;
		return 0;
	case 'h':
		return say_help(syntax->help);
	case ':':
	case '?':
		return cmd_say_bad_option(argv[0], c, syntax->options, argv);
	default:
		return syntax->own(syntax->arg, c, optarg);
	}
}

int cmd_parse(const struct cmd_syntax *syntax, int argc, char **argv,
	      const char **session)
{
	const char *letters = syntax->letters ? syntax->letters : ":s:h";
	int c, status;

	*session = NULL;
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, syntax->options, NULL)) !=
	       -1) {
		status = parse_option(syntax, c, argv, session);
		if (status)
			return status;
	}
	if (!syntax->word && optind < argc) {
		fprintf(stderr,
			"spillway: %s: '%s' is one word too many; see 'spillway %s --help'\n",
			argv[0], argv[optind], argv[0]);
		return SW_EXIT_FAILURE;
	}
	if (syntax->word && optind == argc) {
		fprintf(stderr,
			"spillway: %s: no %s given; see 'spillway %s --help'\n",
			argv[0], syntax->word, argv[0]);
		return SW_EXIT_FAILURE;
	}
	return 0;
}

int cmd_status(int status)
{
	return status == CMD_DONE ? 0 : status;
}
