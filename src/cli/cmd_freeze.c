/*
 * cmd_freeze.c - `spillway freeze` and `spillway thaw`: a running session is
 * put aside, and goes on. Above: main.c. Below: run/ask.c asks the session.
 */
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

static int thaw_on_fault;

static const struct option freeze_options[] = {
	{ "thaw-on-fault", no_argument, &thaw_on_fault, true },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

static const struct option thaw_options[] = { CMD_SESSION_OPTIONS, { 0 } };

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
	static const struct cmd_syntax syntax = {
		.help = freeze_help,
		.options = freeze_options,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);
	json_t *answer;

	if (status)
		return cmd_status(status);
	answer = sw_ask(session,
			json_pack("{s:s, s:b}", "request", "freeze",
				  "thaw_on_fault", thaw_on_fault),
			NULL, NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	say_frozen(answer);
	json_decref(answer);
	return fflush(stdout) ? SW_EXIT_FAILURE : 0;
}

int cmd_thaw(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = thaw_help,
		.options = thaw_options,
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);
	json_t *answer;

	if (status)
		return cmd_status(status);
	answer = sw_ask(session, json_pack("{s:s}", "request", "thaw"), NULL,
			NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	json_decref(answer);
	return 0;
}
