/*
 * cmd_reclaim.c - `spillway reclaim`: so much memory of a running session goes
 * to swap now. SIGINT calls it off. Above: main.c. Below: run/ask.c.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway reclaim [OPTION]... SIZE\n"
	"\n"
	"Takes SIZE of memory out of a running session now, coldest first, however much\n"
	"room there is in its budget; as memory.reclaim of a control group. It comes\n"
	"back as it is touched. Ctrl-C calls it off.\n"
	"\n"
	"      --json          what came of it as JSON\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"SIZE is a number of bytes or one with K, M, G, T (1.5G) or % of RAM (50%).\n"
	"\n"
	"Exit status: 0; 1 when it was less than SIZE, or refused; 125 on bad usage.\n";

static int json;

static const struct option options[] = {
	{ "json", no_argument, &json, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

/* 0, or an exit status after a line. */
static int read_size(const char *text, uint64_t *bytes)
{
	int err = sw_size_parse(text, sw_ram_bytes(), bytes);

	if (!err && *bytes && *bytes <= INT64_MAX)
		return 0;
	fprintf(stderr,
		err == -EINVAL
			? "spillway: reclaim: '%s' is no size; write a number with K, M, G, T or %% of RAM, e.g. 64M\n"
			: "spillway: reclaim: '%s' is no size that can be reclaimed\n",
		text);
	return SW_EXIT_FAILURE;
}

/* An exit status. */
static int print_text(json_t *answer)
{
	const char *why = json_string_value(json_object_get(answer, "why"));
	json_int_t wanted = 0, reclaimed = 0;
	char a[24], b[24];

	(void)json_unpack(answer, "{s:I, s:I}", "wanted_bytes", &wanted,
			  "reclaimed_bytes", &reclaimed);
	printf("reclaimed %s\n", sw_size_format(reclaimed, a));
	if (fflush(stdout))
		return SW_EXIT_FAILURE;
	if (!why)
		return 0;
	fprintf(stderr, "spillway: only %s of %s could be reclaimed: %s\n", a,
		sw_size_format(wanted, b), why);
	return CMD_EXIT_REFUSED;
}

static int print(json_t *answer)
{
	int status;

	if (!json)
		return print_text(answer);
	status = cmd_print_json(answer, JSON_INDENT(2));
	if (status || json_is_null(json_object_get(answer, "why")))
		return status;
	return CMD_EXIT_REFUSED;
}

int cmd_reclaim(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.word = "size",
	};
	const char *session, *size;
	int status = cmd_parse(&syntax, argc, argv, &session);
	uint64_t bytes;
	json_t *answer;

	if (status)
		return cmd_status(status);
	size = cmd_only_word(argc, argv);
	if (!size || read_size(size, &bytes))
		return SW_EXIT_FAILURE;
	cmd_interrupt_calls_off();
	answer = sw_ask(session,
			json_pack("{s:s, s:I}", "request", "reclaim", "bytes",
				  (json_int_t)bytes),
			NULL, NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	status = print(answer);
	json_decref(answer);
	return status;
}
