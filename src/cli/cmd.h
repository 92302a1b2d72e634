/*
 * cmd.h - a command of `spillway`: its name, a line about it, and a function
 * in a file of its own. argv[0] is the command's name.
 */
#ifndef SW_CLI_CMD_H
#define SW_CLI_CMD_H

int cmd_doctor(int argc, char **argv);
int cmd_run(int argc, char **argv);

#endif
