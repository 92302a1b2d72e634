/*
 * bench_disk.c - what a swap file gives, beside plain large I/O past the page
 * cache on the same disk (raw_io.h): batches as reclaim writes them and as a
 * stream reads them, of large folios and of single pages that lie apart in
 * memory; and single pages at random. With io_uring, then without. The best of
 * several rounds, since other work on the machine only ever adds.
 *
 *   bench_disk [FOLDER]         (/var/tmp)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../tests/store/disk_file.h"
#include "raw_io.h"

#define MIB        256u
#define SLOTS      (MIB * 256)
#define OUT_PAGES  256u      /* of a batch that reclaim writes, */
#define IN_PAGES   64u       /* and that a fault reads */
#define FIRST      OUT_PAGES /* slot: those before it have the header */
#define NR_RANDOM  5000u
#define NR_WINDOWS 500u
#define ROUNDS     5

static struct sw_disk *disk;
static char *memory; /* 2 * OUT_PAGES pages */
static struct swap_io io[OUT_PAGES];
static double plain[2]; /* MB/s of reading and of writing */
static double plain_us; /* a page read at random */
static uint64_t rnd = 88172645463325252ul;

static void die(const char *what)
{
	fprintf(stderr, "bench_disk: %s\n", what);
	exit(1);
}

static uint64_t next_random(uint64_t below)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return rnd % below;
}

/* Pieces of `each` pages. Single ones lie apart in memory. */
static void make_io(uint64_t slot, unsigned pages, unsigned each)
{
	for (unsigned i = 0; i < pages; i += each)
		io[i / each] = (struct swap_io){
			.entry = swp_entry(0, slot + i),
			.nr = each,
			.pages = memory + i * (each == 1 ? 2 : 1) * 4096ul,
		};
}

static void go(bool write, unsigned nr)
{
	sw_disk_ops.batch(disk, write, io, nr);
	for (unsigned i = 0; i < nr; i++)
		if (io[i].err)
			die("a transfer failed");
}

static double in_order(bool write, unsigned pages, unsigned each)
{
	double from = raw_seconds();

	for (uint64_t slot = FIRST; slot < SLOTS; slot += pages) {
		make_io(slot, pages, each);
		go(write, pages / each);
	}
	return (SLOTS - FIRST) * 4096e-6 / (raw_seconds() - from);
}

static double windows_at_random(bool write, unsigned pages, unsigned each)
{
	double from = raw_seconds();

	for (unsigned n = 0; n < NR_WINDOWS; n++) {
		make_io(FIRST, pages, each);
		for (unsigned i = 0; i < pages; i++)
			io[i].entry.val = FIRST + next_random(SLOTS - FIRST);
		go(write, pages);
	}
	return NR_WINDOWS * pages * 4096e-6 / (raw_seconds() - from);
}

static double pages_at_random(bool write, unsigned pages, unsigned each)
{
	double from = raw_seconds();

	for (unsigned n = 0; n < NR_RANDOM; n++)
		if (sw_disk_ops.read(disk, FIRST + next_random(SLOTS - FIRST),
				     1, memory))
			die("a page cannot be read");
	return NR_RANDOM * 4096e-6 / (raw_seconds() - from);
}

/* Not in another order: only the first write is a first one. */
static const struct row {
	const char *what;
	double (*run)(bool write, unsigned pages, unsigned each);
	bool write;
	unsigned pages, each;
} rows[] = {
	{ "write, first time", in_order, true, OUT_PAGES, 64 },
	{ "write, 4 folios of 64 pages", in_order, true, OUT_PAGES, 64 },
	{ "write, 256 single pages", in_order, true, OUT_PAGES, 1 },
	{ "read, a folio of 64 pages", in_order, false, IN_PAGES, 64 },
	{ "read, 4 folios of 16 pages", in_order, false, IN_PAGES, 16 },
	{ "read, 64 single pages", in_order, false, IN_PAGES, 1 },
	{ "read, 64 pages anywhere", windows_at_random, false, IN_PAGES, 1 },
	{ "read, one page anywhere", pages_at_random, false, 1, 1 },
};

static double best[SW_ARRAY_SIZE(rows)]; /* MB/s */

static void keep_max(double *kept, double value)
{
	if (value > *kept)
		*kept = value;
}

static void bench_plain(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
	double us;

	if (fd < 0 || posix_fallocate(fd, 0, MIB << 20))
		die("no file can be made there");
	raw_in_order(fd, true, MIB);
	keep_max(&plain[1], raw_in_order(fd, true, MIB));
	keep_max(&plain[0], raw_in_order(fd, false, MIB));
	us = raw_at_random(fd, MIB, NR_RANDOM);
	if (!plain_us || us < plain_us)
		plain_us = us;
	close(fd);
}

/* True: with io_uring. */
static bool bench_store(const char *folder)
{
	const struct sw_disk_spec spec = { .path = folder,
					   .size_bytes = SLOTS * 4096ul };
	struct sw_disk_info info;

	disk = sw_disk_open(&spec);
	if (!disk)
		die("no swap file");
	sw_disk_info(disk, &info);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		keep_max(&best[i], r->run(r->write, r->pages, r->each));
	}
	sw_disk_close(disk);
	return info.uring;
}

static void bench(const char *folder)
{
	bool uring = false;

	plain[0] = plain[1] = plain_us = 0;
	memset(best, 0, sizeof(best));
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_plain(folder);
		uring = bench_store(folder);
	}
	printf("plain, 8 requests of 1 MiB: write %.0f MB/s, read %.0f MB/s; "
	       "one page anywhere %.1f us\n%s\n",
	       plain[1], plain[0], plain_us, uring ? "io_uring" : "threads");
	for (unsigned i = 0; i < SW_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		printf("  %-30s %7.0f MB/s  %4.0f %%  %6.1f us a call\n",
		       r->what, best[i], 100 * best[i] / plain[r->write],
		       r->pages * 4096 / best[i]);
	}
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "/var/tmp";

	memory = raw_memory(2 * OUT_PAGES * 4096ul);
	if (!memory)
		die("no memory");
	for (unsigned i = 0; i < 2 * OUT_PAGES * 512; i++)
		((uint64_t *)memory)[i] = next_random(UINT64_MAX);
	bench(folder);
	forbid_io_uring();
	bench(folder);
	return 0;
}
