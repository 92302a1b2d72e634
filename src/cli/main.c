/*
 * main.c - the way in: a table of commands and nothing else. Each command is
 * a file cmd_NAME.c beside this one; the first to read is cmd_run.c.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "run/session.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;
} commands[] = {
	{ "run", cmd_run, "run a command in less memory than it needs" },
	{ "show", cmd_show, "list the swap devices of a running session" },
	{ "on", cmd_on, "give a running session another swap device" },
	{ "off", cmd_off, "empty a swap device of a session, and turn it off" },
	{ "ps", cmd_ps, "list the processes of running sessions" },
	{ "top", cmd_top, "watch and steer a running session in the terminal" },
	{ "map", cmd_map, "draw the clusters of a swap device" },
	{ "freeze", cmd_freeze,
	  "take a running session out of memory, and keep it out" },
	{ "thaw", cmd_thaw, "let a frozen session go on" },
	{ "stat", cmd_stat, "say what a running session counts" },
	{ "set", cmd_set, "give a running session another budget" },
	{ "reclaim", cmd_reclaim, "take memory out of a running session now" },
	{ "debug", cmd_debug, "check a running session, or dump its state" },
	{ "report", cmd_report, "make a page of pictures of a recorded run" },
	{ "doctor", cmd_doctor, "say what this machine gives, and lacks" },
};

/* Every letter is a long option's, too. */
static bool has_letter(const struct option *options, int letter)
{
	while (options->name && options->val != letter)
		options++;
	return options->name;
}

int cmd_say_bad_option(const char *command, int c, const struct option *options,
		       char **argv)
{
	const char *word = argv[optind - 1];

	if (c == ':')
		fprintf(stderr, "spillway: %s: option '%s' needs a value; ",
			command, word);
	else if (optopt && !has_letter(options, optopt))
		fprintf(stderr, "spillway: %s: no option '-%c'; ", command,
			optopt);
	else /* a long one, perhaps a value too many: --verbose=3 */
		fprintf(stderr, "spillway: %s: no option '%s'; ", command,
			word);
	fprintf(stderr, "see 'spillway %s --help'\n", command);
	return SW_EXIT_FAILURE;
}

static int usage(FILE *out)
{
	unsigned i;

	fputs("Usage: spillway COMMAND [OPTION]...\n\nCommands:\n", out);
	for (i = 0; i < SW_ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name,
			commands[i].about);
	fputs("\n'spillway COMMAND --help' tells more about a command;\n"
	      "'spillway --version' tells which Spillway this is.\n",
	      out);
	return fflush(out) ? SW_EXIT_FAILURE : 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	unsigned i;

	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		return usage(stdout);
	if (!strcmp(name, "--version")) {
		puts("spillway " SPILLWAY_VERSION);
		return fflush(stdout) ? SW_EXIT_FAILURE : 0;
	}
	for (i = 0; i < SW_ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return commands[i].run(argc - 1, argv + 1);
	}
	if (*name)
		fprintf(stderr,
			"spillway: no command '%s'; see "
			"'spillway --help'\n",
			name);
	else
		fputs("spillway: no command given; see 'spillway --help'\n",
		      stderr);
	return SW_EXIT_FAILURE;
}
