/*
 * parse.c - what the commands that talk to a running session have in common:
 * their options, -s and -h and their own; JSON; and Ctrl-C. See cmd.h.
 */
#include <signal.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "run/ask.h"
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

static void say_too_many(const char *command, const char *word)
{
	fprintf(stderr,
		"spillway: %s: '%s' is one word too many; see 'spillway %s --help'\n",
		command, word, command);
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
		say_too_many(argv[0], argv[optind]);
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

const char *cmd_only_word(int argc, char **argv)
{
	if (optind + 1 == argc)
		return argv[optind];
	say_too_many(argv[0], argv[optind + 1]);
	return NULL;
}

/* ---- what is answered ---- */

int cmd_print_json(const json_t *answer, size_t flags)
{
	int err = json_dumpf(answer, stdout, flags | JSON_REAL_PRECISION(6));

	putchar('\n');
	return fflush(stdout) || err ? SW_EXIT_FAILURE : 0;
}

static void on_signal(int sig)
{
	(void)sig;
	sw_ask_call_off();
}

void cmd_interrupt_calls_off(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}
