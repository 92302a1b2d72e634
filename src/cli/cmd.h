/*
 * cmd.h - a command of `spillway`: its name, a line about it, and a function
 * in a file of its own. argv[0] is the command's name.
 */
#ifndef SW_CLI_CMD_H
#define SW_CLI_CMD_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What was asked for in due form could not be done. */
#define CMD_EXIT_REFUSED 1

int cmd_doctor(int argc, char **argv);
int cmd_freeze(int argc, char **argv);
int cmd_thaw(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_on(int argc, char **argv);
int cmd_off(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_reclaim(int argc, char **argv);
int cmd_debug(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_top(int argc, char **argv);

/* Says what getopt_long(), which returned `c`, did not like, in our own words.
 * The exit status. Each letter stands for one of `options`. */
int cmd_say_bad_option(const char *command, int c, const struct option *options,
		       char **argv);

/* ---- commands that talk to a running session: parse.c ---- */

/* All was said with success; no exit status. */
#define CMD_DONE -1

#define CMD_SESSION_OPTIONS                          \
	{ "session", required_argument, NULL, 's' }, \
	{                                            \
		"help", no_argument, NULL, 'h'       \
	}

struct cmd_syntax {
	const char *help;
	/* With CMD_SESSION_OPTIONS. One that takes no value has a flag, which
	 * is set; each other one has a letter, or a number above those. */
	const struct option *options;
	const char *letters; /* for getopt; NULL: ":s:h" */
	/* Takes an option of the command's own. 0, or an exit status after a
	 * line. */
	int (*own)(void *arg, int c, const char *value);
	void *arg;
	const char *word; /* what the words behind are, at least one; or NULL */
};

/* Reads options, sets *session to the one that was asked for, or NULL, and
 * leaves optind at the first word. 0 to go on; CMD_DONE; or an exit status after
 * a line. */
int cmd_parse(const struct cmd_syntax *syntax, int argc, char **argv,
	      const char **session);
/* What main() returns for that. */
int cmd_status(int status);
/* The only word there is; or NULL after a line: there are more. */
const char *cmd_only_word(int argc, char **argv);
/* Prints an answer as it is. An exit status. */
int cmd_print_json(const json_t *answer, size_t flags);
/* Ctrl-C calls off what is being asked, as sw_ask_call_off() does. */
void cmd_interrupt_calls_off(void);

#endif
