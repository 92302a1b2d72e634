/*
 * replay.c - the tool: traces against the eviction policy, beside others.
 *
 *        replay [-b PAGES] [-p PAGES] [-n ACCESSES] [-s SEED] [-H] [-f FILE | KIND...]
 *        replay -w [...] KIND       writes the trace instead
 *
 * Without a KIND, all of them. -f replays a recorded trace; "-" is stdin. -H:
 * the policy sees accessed bits. The columns are pages that came back (swap-ins):
 * ours from staging and from the store, and those of the references; ~kernel has
 * only the pages that we leave to the program.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "refs.h"

struct options {
	struct trace_shape shape;
	const char *file;
	bool heat, write;
};

static void print_head(void)
{
	printf("%-10s %8s %8s %8s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n",
	       "trace", "faults", "staged", "store", "written", "kept", "lost",
	       "paid", "swap-ins", "kernel", "~kernel", "lru", "min");
}

static void replay(const char *name, const struct trace *t,
		   const struct options *o)
{
	struct drive_config config = { .budget = o->shape.budget,
				       .heat = o->heat };
	struct drive_result r;

	drive(t, &config, &r);
	printf("%-10s %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu %8llu\n",
	       name, (unsigned long long)r.faults, (unsigned long long)r.staged,
	       (unsigned long long)r.stored, (unsigned long long)r.written,
	       (unsigned long long)r.kept, (unsigned long long)r.lost,
	       (unsigned long long)r.paid,
	       (unsigned long long)drive_swapins(&r),
	       (unsigned long long)ref_kernel(t, config.budget),
	       (unsigned long long)ref_kernel(t, r.room),
	       (unsigned long long)ref_lru(t, config.budget),
	       (unsigned long long)ref_min(t, config.budget));
	fflush(stdout);
}

static int replay_file(const struct options *o)
{
	FILE *file = strcmp(o->file, "-") ? fopen(o->file, "r") : stdin;
	struct trace t;
	int err;

	if (!file) {
		fprintf(stderr, "%s: %s\n", o->file, strerror(errno));
		return 1;
	}
	err = trace_load(&t, file);
	if (file != stdin)
		fclose(file);
	if (err)
		return 1;
	print_head();
	replay("recorded", &t, o);
	trace_free(&t);
	return 0;
}

static int replay_kind(const char *name, const struct options *o)
{
	struct trace t;

	if (trace_make(&t, name, &o->shape)) {
		fprintf(stderr, "no kind of trace is called \"%s\":\n", name);
		for (unsigned k = 0; k < nr_trace_kinds; k++)
			fprintf(stderr, "  %-11s %s\n", trace_kinds[k].name,
				trace_kinds[k].what);
		return 1;
	}
	if (o->write)
		trace_save(&t, stdout);
	else
		replay(name, &t, o);
	trace_free(&t);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .shape = { 16384, 0, 1000000, 1 } };
	int opt, ret = 0;

	while ((opt = getopt(argc, argv, "b:p:n:s:f:Hw")) != -1) {
		switch (opt) {
		case 'b':
			o.shape.budget = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			o.shape.nr_pages = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			o.shape.nr = strtoull(optarg, NULL, 0);
			break;
		case 's':
			o.shape.seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			o.file = optarg;
			break;
		case 'H':
			o.heat = true;
			break;
		case 'w':
			o.write = true;
			break;
		default:
			return 2;
		}
	}
	if (!o.shape.nr_pages)
		o.shape.nr_pages = 2 * o.shape.budget;
	if (o.shape.budget < 2048) {
		fprintf(stderr, "-b: the least budget is 2048 pages (8M)\n");
		return 2;
	}
	if (o.file)
		return replay_file(&o);
	if (!o.write)
		print_head();
	for (int i = optind; i < argc && !ret; i++)
		ret = replay_kind(argv[i], &o);
	for (unsigned k = 0; optind == argc && k < nr_trace_kinds; k++)
		ret |= replay_kind(trace_kinds[k].name, &o);
	return ret;
}
