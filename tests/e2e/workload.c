/*
 * workload.c - command line of the verifying workload, and its plainest
 * subcommand. Runs natively as well as under `spillway run`: exit status 0
 * means that every word was right.
 */
#include "workload.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WL_FILE 2

struct wl_options wl = {
	.name = "?",
	.dir = "/var/tmp",
	.size_mib = 64,
	.threads = 1,
	.rounds = 1,
	.seconds = 5,
};

static const struct command {
	const char *name;
	int (*run)(void);
	const char *what;
} commands[] = {
	{ "basic", wl_basic, "fill, read, overwrite, verify" },
	{ "forks", wl_forks, "children that read and write" },
	{ "manyforks", wl_manyforks, "[N] children that exit at once" },
	{ "lastfork", wl_lastfork, "FIFO: wait for it, fork, end at once" },
	{ "spawn", wl_spawn, "vfork, posix_spawn, system, exec" },
	{ "mremap", wl_mremap, "grow, shrink, move, dontunmap" },
	{ "unmap", wl_unmap, "munmap, mmap again, madvise, mprotect" },
	{ "io", wl_io, "system calls on paged-out buffers" },
	{ "reserve", wl_reserve, "8 TiB reserved, a little touched" },
	{ "shared", wl_shared, "shared anonymous, memfd and System V memory" },
	{ "lock", wl_lock, "mlock, mlockall, registered with io_uring" },
	{ "advice", wl_advice, "[heeded] madvise and its relatives" },
	{ "huge", wl_huge, "[kept] memory in huge pages" },
	{ "hold", wl_hold, "lock and pin it all until --seconds are over" },
	{ "stack", wl_stack, "deep recursion" },
	{ "heap", wl_heap, "brk and malloc" },
	{ "invisible", wl_invisible, "is anything here that is not ours?" },
	{ "fingerprint", wl_fingerprint, "print all we can see of ourselves" },
	{ "churn", wl_churn,
	  "[FILE] page until --seconds are over, counted since it is there" },
	{ "dropped", wl_dropped, "a child of one who has given up root" },
	{ "child", wl_child, "a small check, for exec" },
	{ "exit", wl_exit, "CODE|SIGNAL|segv|abort, after some paging" },
	{ "lost", wl_lost, "FILE: what is left when FILE is there" },
	{ "sigwait", wl_sigwait, "print the signals that come; USR2 ends" },
};

struct basic {
	struct wl_area area;
	unsigned version;
};

/* The pages of thread `id`: one run of them. */
static struct wl_area basic_slice(const struct basic *b, unsigned id)
{
	size_t each = b->area.nr_pages / wl.threads;

	return wl_area_part(&b->area, id * each, each);
}

static void basic_fill(unsigned id, void *arg)
{
	struct basic *b = arg;
	struct wl_area part = basic_slice(b, id);

	wl_fill(&part, 0, part.nr_pages, b->version);
}

static void basic_read(unsigned id, void *arg)
{
	struct basic *b = arg;
	struct wl_area part = basic_slice(b, (id + 1) % wl.threads);

	wl_check_all(&part);
}

/* All threads read all pages: several fault on one page at once. */
static void basic_read_random(unsigned id, void *arg)
{
	struct basic *b = arg;
	uint64_t random = id + 1000 * b->version;
	size_t n = b->area.nr_pages;

	for (size_t k = 0; k < n / 2 / wl.threads; k++)
		wl_check(&b->area, wl_random(&random) % n, 1);
}

/* Neighbouring pages belong to different threads. */
static void basic_write_random(unsigned id, void *arg)
{
	struct basic *b = arg;
	uint64_t random = id + 77 * b->version;
	size_t rows = b->area.nr_pages / wl.threads;

	for (size_t k = 0; k < rows / 2; k++) {
		size_t i = wl_random(&random) % rows * wl.threads + id;

		if (k % 4 == 0)
			wl_fill(&b->area, i, 1, b->area.version[i] + 1);
		else
			wl_poke(&b->area, i);
		if (k % 8 == 1)
			wl_check(&b->area, i, 1);
	}
}

/* One word a page, in order: dirties pages that were read back clean. */
static void basic_poke_all(unsigned id, void *arg)
{
	struct wl_area part = basic_slice(arg, id);

	for (size_t i = 0; i < part.nr_pages; i++)
		wl_poke(&part, i);
}

int wl_basic(void)
{
	struct basic b = { .version = 1 };

	wl_area_new(&b.area, wl_pages() / wl.threads * wl.threads);
	for (unsigned round = 0; round < wl.rounds; round++) {
		wl_in_threads(wl.threads, basic_fill, &b);
		wl_in_threads(wl.threads, basic_read, &b);
		wl_in_threads(wl.threads, basic_poke_all, &b);
		wl_in_threads(wl.threads, basic_read_random, &b);
		wl_in_threads(wl.threads, basic_write_random, &b);
		wl_in_threads(wl.threads, basic_read, &b);
		b.version += 1000;
	}
	wl_check_all(&b.area);
	wl_area_free(&b.area);
	return 0;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: e2e-workload [-s MIB] [-t THREADS] [-r ROUNDS] "
		   "[--seconds N] [--dir DIR]\n"
		   "                    [--expect-env NAME,...] [--sites] "
		   "[--self-test SITE] SUBCOMMAND [ARG]\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].what);
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < min || n > max) {
		fprintf(stderr, "e2e-workload: '%s' is not within %u..%u\n",
			text, min, max);
		exit(WL_USAGE);
	}
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "size", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "dir", required_argument, NULL, 'd' },
		{ "expect-env", required_argument, NULL, 'e' },
		{ "self-test", required_argument, NULL, 'x' },
		{ "sites", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+s:t:r:h", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			wl.size_mib = number(optarg, 4, 1 << 20);
			break;
		case 't':
			wl.threads = number(optarg, 1, 16);
			break;
		case 'r':
			wl.rounds = number(optarg, 1, 1 << 20);
			break;
		case 'S':
			wl.seconds = atof(optarg);
			break;
		case 'd':
			wl.dir = optarg;
			break;
		case 'e':
			wl.expect = optarg;
			break;
		case 'x':
			wl.self_test = number(optarg, 1, 15999);
			break;
		case 'l':
			wl.sites = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(WL_USAGE);
		}
	}
	if (optind == argc) {
		usage(stderr);
		exit(WL_USAGE);
	}
	wl.name = argv[optind];
	wl.argc = argc - optind - 1;
	wl.argv = argv + optind + 1;
}

int main(int argc, char **argv)
{
	static char self[4096];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		wl_die("readlink of /proc/self/exe");
	wl.self = self;
	parse(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, wl.name))
			return commands[i].run();
	fprintf(stderr, "e2e-workload: no subcommand '%s'\n", wl.name);
	usage(stderr);
	return WL_USAGE;
}
