/*
 * cmd.h - a command of `spillway`: its name, a line about it, and a function
 * in a file of its own. argv[0] is the command's name.
 */
#ifndef SW_CLI_CMD_H
#define SW_CLI_CMD_H

#include <getopt.h>
#include <stdbool.h>

/* What was asked for in due form could not be done. */
#define CMD_EXIT_REFUSED 1

int cmd_doctor(int argc, char **argv);
int cmd_freeze(int argc, char **argv);
int cmd_thaw(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_on(int argc, char **argv);
int cmd_off(int argc, char **argv);

/* Says what getopt_long(), which returned `c`, did not like, in our own words.
 * The exit status. Each letter stands for one of `options`. */
int cmd_say_bad_option(const char *command, int c, const struct option *options,
		       char **argv);

#endif
