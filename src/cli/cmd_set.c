/*
 * cmd_set.c - `spillway set`: another budget for a running session. Above:
 * main.c. Below: run/options.c reads the size here, so that what is wrong with
 * it is said at once, and the session reads it again.
 */
#include <stdio.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway set -m SIZE [OPTION]...\n"
	"\n"
	"Gives a running session another budget. What is too much goes to its swap\n"
	"devices, and the command waits until the session is within the budget.\n"
	"\n"
	"  -m, --memory SIZE   the budget, as for 'spillway run'; % and auto are of\n"
	"                      the machine and the control group the session runs in\n"
	"      --json          what came of it as JSON\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"Exit status: 0; 1 when the session refuses, its swap being too small for what\n"
	"would have to go there; 125 on bad usage.\n";

static int json;

static const struct option options[] = {
	{ "memory", required_argument, NULL, 'm' },
	{ "json", no_argument, &json, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

static int take_size(void *arg, int c, const char *value)
{
	const char **size = arg;
	struct sw_run_options opt;

	(void)c;
	sw_run_options_init(&opt);
	*size = value;
	return sw_run_options_set_budget(&opt, value) ? SW_EXIT_FAILURE : 0;
}

static void print_text(json_t *answer)
{
	json_int_t budget = 0, was = 0, used = 0;
	char a[24], b[24], c[24];

	(void)json_unpack(answer, "{s:I, s:I, s:I}", "budget_bytes", &budget,
			  "was_bytes", &was, "used_bytes", &used);
	printf("budget %s, was %s; %s in use%s\n", sw_size_format(budget, a),
	       sw_size_format(was, b), sw_size_format(used, c),
	       used > budget ? ", which cannot be taken out right now" : "");
}

int cmd_set(int argc, char **argv)
{
	static const char *size;
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.letters = ":m:s:h",
		.own = take_size,
		.arg = &size,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);
	json_t *answer;

	if (status)
		return cmd_status(status);
	if (!size) {
		fputs("spillway: set: no budget given; add -m SIZE, e.g. -m 512M\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	answer = sw_ask(
		session,
		json_pack("{s:s, s:s}", "request", "set", "budget", size), NULL,
		NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	if (json)
		status = cmd_print_json(answer, JSON_INDENT(2));
	else
		print_text(answer);
	json_decref(answer);
	return status || fflush(stdout) ? SW_EXIT_FAILURE : 0;
}
