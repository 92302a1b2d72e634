/*
 * cmd_run.c - `spillway run`: which letter means which option. Above:
 * main.c. Below: run/conf.c takes the values, from elsewhere too,
 * run/preflight.c looks for what cannot work, run/session.c does it.
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "run/conf.h"
#include "run/preflight.h"
#include "run/session.h"

static const char help[] =
	"Usage: spillway run -m SIZE [OPTION]... [--] COMMAND [ARG]...\n"
	"\n"
	"Runs COMMAND unmodified, with the anonymous memory of its process tree within\n"
	"SIZE: what does not fit goes to swap devices and comes back when it is touched.\n"
	"\n"
	"  -m, --memory SIZE   the budget, at least 8M: 512M, 1.5G, 50% of RAM; auto\n"
	"      --swap SPEC     a swap device; may be given again. Default: zram:\n"
	"      --zswap SIZE    compressed memory before files and disks; ,codec=zstd\n"
	"  -p, --property NAME=VALUE\n"
	"                      MemoryHigh, MemoryMax, MemorySwapMax as of systemd-run\n"
	"      --report FILE   write what happened to FILE, as JSON\n"
	"      --metrics ADDR  answer Prometheus at unix:PATH or tcp:127.0.0.1:PORT\n"
	"      --trace FILE    record faults and evictions, for 'spillway report'\n"
	"      --name NAME     how other commands call the session, beside its pid\n"
	"  -v, --verbose       say what happened; twice: while it happens\n"
	"  -h, --help          show this\n"
	"\n"
	"SPEC is zram:[SIZE], file:PATH,size=SIZE, or file:PATH or block:DEVICE made a\n"
	"swap area by mkswap; ,prio=N behind it. spillway-run(1) has all of it.\n"
	"\n"
	"Exit status: that of COMMAND, 128+N for signal N; 125, 126, 127 as of env(1).\n"
	"Example: spillway run -m 512M -v -- redis-server --port 7000\n";

enum {
	OPT_SWAP = 256,
	OPT_ZSWAP,
	OPT_REPORT,
	OPT_TRACE,
	OPT_NAME,
	OPT_METRICS,
};

static const struct option long_options[] = {
	{ "memory", required_argument, NULL, 'm' },
	{ "swap", required_argument, NULL, OPT_SWAP },
	{ "zswap", required_argument, NULL, OPT_ZSWAP },
	{ "property", required_argument, NULL, 'p' },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "metrics", required_argument, NULL, OPT_METRICS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* 0 to go on, an exit status, or -1 when all was said with success. */
static int parse(struct sw_run_options *opt, int argc, char **argv)
{
	struct sw_conf conf = { .opt = opt };
	int c, err = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:m:p:vh", long_options, NULL)) !=
	       -1) {
		switch (c) {
		case 'm':
			err = sw_conf_set(&conf, "memory", optarg);
			break;
		case OPT_SWAP:
			err = sw_conf_set(&conf, "swap", optarg);
			break;
		case OPT_ZSWAP:
			err = sw_conf_set(&conf, "zswap", optarg);
			break;
		case 'p':
			err = sw_conf_set(&conf, "property", optarg);
			break;
		case OPT_REPORT:
			err = sw_conf_set(&conf, "report", optarg);
			break;
		case OPT_TRACE:
			opt->trace_path = optarg;
			break;
		case OPT_NAME:
			err = sw_run_options_set_name(opt, optarg);
			break;
		case OPT_METRICS:
			err = sw_run_options_set_metrics(opt, optarg);
			break;
		case 'v':
			err = sw_conf_set(&conf, "verbose",
					  opt->verbose ? "2" : "1");
			break;
		case 'h':
			fputs(help, stdout);
			return fflush(stdout) ? SW_EXIT_FAILURE : -1;
		default:
			return cmd_say_bad_option("run", c, long_options, argv);
		}
		if (err)
			return SW_EXIT_FAILURE;
	}
	if (sw_conf_read_rest(&conf) || sw_run_options_finish(opt))
		return SW_EXIT_FAILURE;
	opt->argv = argv + optind;
	if (optind == argc) {
		fputs("spillway: run: no command given to run; "
		      "see 'spillway run --help'\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	return 0;
}

int cmd_run(int argc, char **argv)
{
	struct sw_run_options opt;
	int status;

	sw_run_options_init(&opt);
	status = parse(&opt, argc, argv);
	if (!status)
		status = sw_preflight(&opt);
	if (!status)
		status = sw_session_run(&opt);
	sw_run_options_release(&opt);
	return status < 0 ? 0 : status;
}
