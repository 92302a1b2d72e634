/*
 * cmd_debug.c - `spillway debug check` and `spillway debug dump`: is the swap
 * layer of a running session as it must be, and what is it like. Above: main.c.
 * Below: run/ask.c; run/debugging.c does it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway debug [OPTION]... check\n"
	"       spillway debug [OPTION]... dump\n"
	"\n"
	"For who looks for a defect of Spillway in a running session.\n"
	"\n"
	"check  walks all of its swap and compares counts, lists and tables: OK, or what\n"
	"       is broken. Paging stands still meanwhile, some ms a GiB of swap.\n"
	"dump   prints devices, clusters, buffers, address spaces as text.\n"
	"\n"
	"      --json          check: the same as JSON\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"Exit status: 0; 1 when something is broken, or refused; 125 on bad usage.\n";

static int json;

static const struct option options[] = {
	{ "json", no_argument, &json, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

/* ---- check ---- */

static int check(const char *session)
{
	json_t *answer = sw_ask(session, json_pack("{s:s}", "request", "check"),
				NULL, NULL);
	const char *text = "";
	double held = 0;
	int broken = 1, status = 0;

	if (!answer)
		return CMD_EXIT_REFUSED;
	(void)json_unpack(answer, "{s:i, s:s, s:F}", "broken", &broken, "text",
			  &text, "held_seconds", &held);
	if (json)
		status = cmd_print_json(answer, JSON_INDENT(2));
	else if (broken)
		printf("%s%d broken\n", text, broken);
	else
		printf("OK; paging stood still for %.1f ms\n", held * 1e3);
	json_decref(answer);
	if (fflush(stdout) || status)
		return SW_EXIT_FAILURE;
	return broken ? CMD_EXIT_REFUSED : 0;
}

/* ---- dump ---- */

static void print_piece(void *arg, const json_t *piece)
{
	const char *text = json_string_value(json_object_get(piece, "text"));

	(void)arg;
	if (text)
		fputs(text, stdout);
}

static int dump(const char *session)
{
	json_t *answer = sw_ask(session, json_pack("{s:s}", "request", "dump"),
				print_piece, NULL);

	if (fflush(stdout))
		return SW_EXIT_FAILURE;
	if (!answer)
		return CMD_EXIT_REFUSED;
	json_decref(answer);
	return 0;
}

/* ---- the command ---- */

int cmd_debug(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.word = "check or dump",
	};
	const char *session, *what;
	int status = cmd_parse(&syntax, argc, argv, &session);

	if (status)
		return cmd_status(status);
	what = cmd_only_word(argc, argv);
	if (!what)
		return SW_EXIT_FAILURE;
	if (!strcmp(what, "check"))
		return check(session);
	if (!strcmp(what, "dump") && !json)
		return dump(session);
	fprintf(stderr,
		json ? "spillway: debug: --json is for check; see 'spillway debug --help'\n"
		     : "spillway: debug: '%s' is neither check nor dump; see 'spillway debug --help'\n",
		what);
	return SW_EXIT_FAILURE;
}
