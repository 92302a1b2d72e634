/*
 * tool.c - what tests of traces need beside the program.
 *
 *      trace_tool make FILE      writes a trace of which every figure is known
 *      trace_tool totals FILE    prints "NAME NUMBER" lines of what is in one
 *
 * The one that is made lasts 10 s. A program of 1500 pages has 1000 of them in
 * its budget of 1000. In the second half it walks round and round: each
 * millisecond a fault of 100 us brings the page that went out 500 pages before.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace/encode.h"
#include "trace/reader.h"

#define MS    1000000ull
#define START 1000000000000ull
#define BASE  0x7f0000000ull /* page of the program's first one */

static struct sw_encoder encoder;

static void put(uint64_t ns, enum sw_trace_kind kind, uint64_t page,
		uint64_t latency_ns)
{
	const struct sw_trace_event event = { .time_ns = START + ns,
					      .kind = kind,
					      .space = 1,
					      .page = page,
					      .nr = 1,
					      .latency_ns = latency_ns };

	sw_encode_event(&encoder, &event, "a <program> & more");
}

static void put_sample(uint64_t ns, uint64_t faults)
{
	const struct sw_trace_sample sample = { .budget = 1000,
						.used = 1000,
						.out = 500,
						.store_bytes = 1 << 20,
						.peak = 1010,
						.pgfault = faults,
						.pswpin = faults,
						.pswpout = 500,
						.pgsteal = faults + 500 };

	sw_encode_sample(&encoder, START + ns, &sample);
}

static int make(const char *path)
{
	char *argv[] = { "program", "a&b", "two words", "\xff", NULL };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0 || sw_encode_head(&encoder, fd, START, argv, 1000 << 12))
		return 1;
	put(0, SW_TRACE_SPACE, 4711, 0);
	put_sample(0, 0);
	for (unsigned i = 0; i < 500; i++)
		put(MS, SW_TRACE_OUT, BASE + i, 0);
	for (unsigned ms = 100; ms <= 10000; ms++) {
		unsigned n = ms - 5000;

		if (ms % 100 == 0)
			put_sample(ms * MS, ms > 5000 ? n : 0);
		if (ms <= 5000)
			continue;
		put(ms * MS, SW_TRACE_COMPRESSED, BASE + (n - 1) % 1500,
		    MS / 10);
		put(ms * MS, SW_TRACE_OUT, BASE + (n + 499) % 1500, 0);
	}
	sw_encode_dropped(&encoder, START + 10000 * MS, 3);
	sw_encode_end(&encoder, START + 10000 * MS, 7, 3);
	return encoder.err || close(fd);
}

/* ---- totals ---- */

static uint64_t events[SW_NR_TRACE_KINDS], pages[SW_NR_TRACE_KINDS];

static void print(const char *name, uint64_t nr)
{
	printf("%s %lu\n", name, (unsigned long)nr);
}

static void print_totals(void)
{
	uint64_t faults = 0;

	for (unsigned k = SW_TRACE_ZERO; k <= SW_TRACE_OTHER; k++)
		faults += events[k];
	print("pgfault", faults);
	print("pgfault_zero", events[SW_TRACE_ZERO]);
	print("pgfault_staged", events[SW_TRACE_STAGED]);
	print("pgmajfault",
	      events[SW_TRACE_COMPRESSED] + events[SW_TRACE_DISK]);
	print("pgfault_wp", events[SW_TRACE_WRITE]);
	print("pgsteal", pages[SW_TRACE_OUT] + pages[SW_TRACE_OUT_CLEAN]);
	print("pgsteal_clean", pages[SW_TRACE_OUT_CLEAN]);
	print("pswpin", pages[SW_TRACE_READ_ZRAM] + pages[SW_TRACE_READ_DISK]);
	print("pswpout",
	      pages[SW_TRACE_WRITE_ZRAM] + pages[SW_TRACE_WRITE_DISK]);
	print("zswpin", pages[SW_TRACE_READ_ZSWAP]);
	print("zswpout", pages[SW_TRACE_WRITE_ZSWAP]);
	print("spaces", events[SW_TRACE_SPACE]);
}

static int totals(const char *path)
{
	static const char *const endings[] = { "complete", "cut", "damaged" };
	struct sw_trace_sample last = { 0 };
	struct sw_trace_item item;
	struct sw_trace_reader *r;
	uint64_t dropped = 0, samples = 0, good;
	int got, status = 0;

	if (sw_trace_open(path, &r))
		return 1;
	while ((got = sw_trace_next(r, &item)) > 0) {
		if (item.kind < SW_NR_TRACE_KINDS) {
			events[item.kind]++;
			pages[item.kind] += item.event.nr;
		} else if (item.kind == SW_TRACE_SAMPLE) {
			last = item.sample;
			samples++;
		} else if (item.kind == SW_TRACE_DROPPED) {
			dropped += item.dropped;
		} else {
			status = item.exit_status;
		}
	}
	print_totals();
	print("samples", samples);
	print("sampled_pgfault", last.pgfault);
	print("sampled_pswpin", last.pswpin);
	print("sampled_pswpout", last.pswpout);
	print("dropped", dropped);
	print("exit_status", status);
	printf("ending %s\n", endings[sw_trace_ending(r, &good)]);
	sw_trace_close(r);
	return got != 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "totals"))
		return totals(argv[2]);
	fputs("trace_tool make|totals FILE\n", stderr);
	return 2;
}
