/*
 * cmd_doctor.c - `spillway doctor`: what this machine gives, line by line.
 * Above: main.c. Below: run/doctor.c, which knows.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "run/doctor.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway doctor [OPTION]...\n"
	"\n"
	"Says what this machine and the rights you have give Spillway: whether a session\n"
	"runs here, what it would do without, and for each missing thing what gives it.\n"
	"\n"
	"  -J, --json          the same as JSON\n"
	"  -h, --help          show this\n"
	"\n"
	"Exit status: 0 when a session runs here, 1 when not, 125 on bad usage.\n";

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'J' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char *const state_names[] = {
	[SW_DOCTOR_OK] = "ok",
	[SW_DOCTOR_LESS] = "less",
	[SW_DOCTOR_NO] = "no",
};

static void print_text(const struct sw_doctor_finding *f, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		printf("%-5s %-14s %s\n", state_names[f[i].state], f[i].what,
		       f[i].found);
		if (*f[i].without)
			printf("%20s without it: %s\n", "", f[i].without);
		if (*f[i].remedy)
			printf("%20s to have it: %s\n", "", f[i].remedy);
	}
}

static int print_json(const struct sw_doctor_finding *f, unsigned nr, bool runs)
{
	json_t *list = json_array(), *all;
	int err;

	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:s}", "what",
				  f[i].what, "state", state_names[f[i].state],
				  "found", f[i].found, "without", f[i].without,
				  "remedy", f[i].remedy));
	all = json_pack("{s:b, s:o}", "runs", runs, "findings", list);
	err = json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return err;
}

static int diagnose(bool json)
{
	struct sw_doctor_finding finding[SW_DOCTOR_MAX];
	struct sw_doctor_facts facts;
	bool runs = true;
	unsigned nr;
	int err = 0;

	sw_doctor_probe(&facts);
	nr = sw_doctor_diagnose(&facts, finding);
	for (unsigned i = 0; i < nr; i++)
		runs &= finding[i].state != SW_DOCTOR_NO;
	if (json) {
		err = print_json(finding, nr, runs);
	} else {
		print_text(finding, nr);
		printf("\n%s\n", runs ? "spillway run works here"
				      : "spillway run does not work here");
	}
	if (fflush(stdout) || err)
		return SW_EXIT_FAILURE;
	return runs ? 0 : CMD_EXIT_REFUSED;
}

int cmd_doctor(int argc, char **argv)
{
	bool json = false;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+Jh", long_options, NULL)) != -1) {
		switch (c) {
		case 'J':
			json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return fflush(stdout) ? SW_EXIT_FAILURE : 0;
		default:
			fprintf(stderr,
				"spillway: doctor: no option '%s'; "
				"see 'spillway doctor --help'\n",
				argv[optind - 1]);
			return SW_EXIT_FAILURE;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"spillway: doctor: it takes no argument, and '%s' is "
			"one; see 'spillway doctor --help'\n",
			argv[optind]);
		return SW_EXIT_FAILURE;
	}
	return diagnose(json);
}
