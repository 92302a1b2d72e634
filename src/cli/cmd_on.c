/*
 * cmd_on.c - `spillway on`: one more swap device for a running session. Above:
 * main.c. Below: run/options.c reads the spec here, so that what is wrong with
 * it is said at once, and the session reads it again.
 */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway on [-s NAME] SPEC...\n"
	"\n"
	"Gives a running session more swap devices.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -h, --help          show this\n"
	"\n"
	"SPEC is as for --swap; see 'spillway run --help'.\n";

static const struct option options[] = { CMD_SESSION_OPTIONS, { 0 } };

/* The session may be in another folder. 0, or -EINVAL after a line. */
static int make_absolute(const char *spec, char absolute[2 * PATH_MAX])
{
	struct sw_run_options opt;
	char folder[PATH_MAX];
	int err;

	sw_run_options_init(&opt);
	err = sw_run_options_add_device(&opt, spec);
	if (!err && opt.devices[0].path && *opt.devices[0].path != '/' &&
	    getcwd(folder, sizeof(folder)))
		snprintf(absolute, 2 * PATH_MAX, "%s:%s/%s",
			 opt.devices[0].kind, folder, strchr(spec, ':') + 1);
	else
		snprintf(absolute, 2 * PATH_MAX, "%s", spec);
	sw_run_options_release(&opt);
	return err;
}

/* An exit status. */
static int turn_on(const char *session, const char *spec)
{
	char absolute[2 * PATH_MAX];
	json_t *answer;

	if (make_absolute(spec, absolute))
		return SW_EXIT_FAILURE;
	answer = sw_ask(
		session,
		json_pack("{s:s, s:s}", "request", "on", "spec", absolute),
		NULL, NULL);
	if (!answer)
		return CMD_EXIT_REFUSED;
	printf("%s: on\n", json_string_value(json_object_get(answer, "name")));
	json_decref(answer);
	return 0;
}

int cmd_on(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.word = "device",
	};
	const char *session;
	int status = cmd_parse(&syntax, argc, argv, &session);

	while (!status && optind < argc)
		status = turn_on(session, argv[optind++]);
	return cmd_status(status);
}
