/*
 * touch.c - what touching memory costs: in order and at random, reading and
 * writing. Runs the same natively, under the kernel's swap and under
 * spillway, which sbs/wl_touch.py compares, and with its memory in a region of
 * the library (arena.h), for sbs/wl_lib.py.
 *
 *   touch [-s MIB] [-a ACCESSES] [-t THREADS] -p TRACE[,TRACE]...
 *
 * where ACCESSES are those of one pass, and TRACE is one of
 *   order   reads twice and writes twice in order
 *   random  reads, writes and reads again at random, all pages alike
 *   zipf    reads and writes by Zipf's law with exponent 0.99
 *   scan    three of four accesses to a hot eighth of the pages, the fourth
 *           walks through all the others
 *
 * The accesses depend on the options alone, so the pages that a swap brings
 * in for one trace can be held against what another brings in.
 *
 * Prints lines "NAME VALUE". In-order passes: microseconds a page. The
 * others: microseconds an access (mean of all), percentiles of all accesses
 * ("all.p50"), and the mean and percentiles of those accesses that found
 * their page unmapped ("p50"), as /proc/self/pagemap says just before. That
 * question is asked outside the time that is counted, in the same way under
 * every kind of swap, so a page that waits in a swap cache or a staging area
 * is unmapped in all of them.
 *
 * Every page holds a fixed pattern that compresses to about a third, with a
 * counter in its second word; all of it is compared at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"

#define PAGE  4096ul
#define WORDS (PAGE / 8)

static uint64_t *memory;
static size_t nr_pages;
static uint32_t *counts; /* what the counter of each page should be */
static int pagemap;
static size_t wrong; /* [atomic] pages that were not as they should be */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ (x >> 33);
}

/* One word in eight is random, the others repeat one of the page. */
static uint64_t pattern(size_t page, unsigned word)
{
	if (word == 0)
		return page;
	if ((word & 7) == 3)
		return scramble(page * WORDS + word);
	return scramble(page) + (word >> 4);
}

static volatile uint64_t *words_of(size_t page)
{
	return memory + page * WORDS;
}

static void fill(size_t page)
{
	volatile uint64_t *words = words_of(page);

	for (unsigned k = 0; k < WORDS; k++)
		words[k] = k == 1 ? 0 : pattern(page, k);
}

static bool is_right(size_t page)
{
	volatile uint64_t *words = words_of(page);

	for (unsigned k = 0; k < WORDS; k++)
		if (words[k] != (k == 1 ? counts[page] : pattern(page, k)))
			return false;
	return true;
}

static void complain(void)
{
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void read_page(size_t page)
{
	if (*words_of(page) != page)
		complain();
}

static void write_page(size_t page)
{
	words_of(page)[1]++;
	counts[page]++;
}

static void verify_page(size_t page)
{
	if (!is_right(page))
		complain();
}

static void in_order(const char *name, void (*touch)(size_t page))
{
	uint64_t start = now_ns();

	for (size_t page = 0; page < nr_pages; page++)
		touch(page);
	printf("%s %.3f\n", name, (now_ns() - start) / 1e3 / nr_pages);
	fflush(stdout);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "touch: mmap: %s\n", strerror(errno));
		exit(1);
	}
	return p;
}

/* One thread's part of a pass: pages id, id + n, id + 2n ... */
struct part {
	pthread_t thread;
	unsigned id, of;
	size_t accesses;
	void (*touch)(size_t page);
	size_t (*next)(struct part *p, size_t k);
	uint64_t seed;
	uint64_t total_ns;
	float *all;    /* microseconds of each, below 0: page was unmapped */
	size_t nr_all; /* without those that are not asked about */
};

static bool is_mapped(size_t page)
{
	uint64_t entry = 0;
	off_t at = ((uintptr_t)memory / PAGE + page) * 8;

	if (pread(pagemap, &entry, 8, at) != 8)
		return false;
	return entry >> 63;
}

/* ---- which page is next: a row of this thread's pages ---- */

static size_t next_random(struct part *p, size_t k)
{
	return scramble(p->seed + k) % (nr_pages / p->of);
}

/* A prime above every number of rows: spreads neighbours, one to one. */
#define SPREAD 2654435761ul

static double *zipf_sums; /* of the weights of the first n ranks */

static void zipf_init(size_t rows)
{
	double sum = 0;

	zipf_sums = map(rows * sizeof(*zipf_sums));
	for (size_t rank = 0; rank < rows; rank++)
		zipf_sums[rank] = sum += pow(rank + 1, -0.99);
}

static size_t next_zipf(struct part *p, size_t k)
{
	size_t rows = nr_pages / p->of, low = 0, high = rows - 1;
	double x =
		(scramble(p->seed + k) >> 11) * 0x1p-53 * zipf_sums[rows - 1];

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (zipf_sums[middle] <= x)
			low = middle + 1;
		else
			high = middle;
	}
	return low * SPREAD % rows;
}

#define HOT 8 /* one page in eight */

static size_t next_scan(struct part *p, size_t k)
{
	size_t rows = nr_pages / p->of, hot = rows / HOT;

	if (k % 4 == 3)
		return (hot + k / 4 % (rows - hot)) * SPREAD % rows;
	return scramble(p->seed + k) % hot * SPREAD % rows;
}

/* The scan's own accesses nearly all miss; the hot ones are the question. */
static bool is_asked_about(const struct part *p, size_t k)
{
	return p->next != next_scan || k % 4 != 3;
}

static void *run_part(void *arg)
{
	struct part *p = arg;

	for (size_t k = 0; k < p->accesses; k++) {
		size_t page = p->next(p, k) * p->of + p->id;
		bool mapped = is_mapped(page);
		uint64_t start = now_ns(), took;
		float us;

		p->touch(page);
		took = now_ns() - start;
		p->total_ns += took;
		us = took / 1e3f;
		if (is_asked_about(p, k))
			p->all[p->nr_all++] = mapped ? us : -us;
	}
	return NULL;
}

/* ---- what comes out ---- */

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void print_percentiles(const char *name, const char *of, float *us,
			      size_t n)
{
	if (n < 1000)
		return; /* too few for a tail */
	qsort(us, n, sizeof(*us), by_value);
	printf("%s.%sp50 %.3f\n", name, of, us[n / 2]);
	printf("%s.%sp90 %.3f\n", name, of, us[n - 1 - n / 10]);
	printf("%s.%sp99 %.3f\n", name, of, us[n - 1 - n / 100]);
	printf("%s.%sp999 %.3f\n", name, of, us[n - 1 - n / 1000]);
	printf("%s.%smax %.3f\n", name, of, us[n - 1]);
}

/* Those that missed to the front, and all values made positive. */
static size_t part_misses(float *us, size_t n)
{
	size_t misses = 0;

	for (size_t i = 0; i < n; i++) {
		float x = us[i];

		if (x >= 0)
			continue;
		us[i] = us[misses];
		us[misses++] = -x;
	}
	return misses;
}

static void print_accesses(const char *name, float *us, size_t n)
{
	size_t misses = part_misses(us, n);
	double sum = 0;

	for (size_t i = 0; i < misses; i++)
		sum += us[i];
	printf("%s.misses %zu\n", name, misses);
	if (misses >= 1000)
		printf("%s.miss %.3f\n", name, sum / misses);
	print_percentiles(name, "", us, misses);
	print_percentiles(name, "all.", us, n);
	fflush(stdout);
}

static void pass(const char *name, void (*touch)(size_t page),
		 size_t (*next)(struct part *p, size_t k), size_t accesses,
		 unsigned threads)
{
	static uint64_t seed = 1;
	struct part parts[64];
	float *all = malloc(accesses * sizeof(*all));
	uint64_t start = now_ns(), spent = 0;
	size_t n = 0;

	for (unsigned t = 0; t < threads; t++) {
		parts[t] = (struct part){
			.id = t,
			.of = threads,
			.accesses = accesses / threads,
			.touch = touch,
			.next = next,
			.seed = seed++ << 40,
			.all = all + accesses / threads * t,
		};
		if (threads == 1)
			run_part(&parts[t]);
		else
			pthread_create(&parts[t].thread, NULL, run_part,
				       &parts[t]);
	}
	for (unsigned t = 0; t < threads; t++) {
		if (threads > 1)
			pthread_join(parts[t].thread, NULL);
		memmove(all + n, parts[t].all, parts[t].nr_all * sizeof(*all));
		n += parts[t].nr_all;
		spent += parts[t].total_ns;
	}
	if (threads > 1)
		spent = now_ns() - start;
	printf("%s.access %.3f\n", name, spent / 1e3 / accesses);
	print_accesses(name, all, n);
	free(all);
}

static bool run_trace(const char *trace, size_t accesses, unsigned threads)
{
	if (!strcmp(trace, "order")) {
		in_order("seq_read_1", read_page);
		in_order("seq_read_2", read_page);
		in_order("seq_write_1", write_page);
		in_order("seq_write_2", write_page);
	} else if (!strcmp(trace, "random")) {
		pass("rand_read", read_page, next_random, accesses, threads);
		pass("rand_write", write_page, next_random, accesses, threads);
		pass("rand_read_2", read_page, next_random, accesses, threads);
	} else if (!strcmp(trace, "zipf")) {
		zipf_init(nr_pages / threads);
		pass("zipf_read", read_page, next_zipf, accesses, threads);
		pass("zipf_write", write_page, next_zipf, accesses, threads);
	} else if (!strcmp(trace, "scan")) {
		pass("scan_hot", read_page, next_scan, accesses, threads);
	} else {
		fprintf(stderr, "touch: no trace is called %s\n", trace);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	size_t mib = 512, accesses = 0;
	unsigned threads = 1;
	char *traces = "", *trace;
	int c;

	while ((c = getopt(argc, argv, "s:a:t:p:")) != -1) {
		if (c == 's')
			mib = strtoul(optarg, NULL, 10);
		else if (c == 'a')
			accesses = strtoul(optarg, NULL, 10);
		else if (c == 't')
			threads = strtoul(optarg, NULL, 10);
		else if (c == 'p')
			traces = optarg;
		else
			return 2;
	}
	if (mib == 0 || threads == 0 || threads > 64 || optind != argc ||
	    !*traces) {
		fprintf(stderr, "usage: touch [-s MIB] [-a ACCESSES] "
				"[-t THREADS] -p TRACE[,TRACE]...\n");
		return 2;
	}
	nr_pages = (mib << 20) / PAGE / threads * threads;
	if (accesses == 0)
		accesses = nr_pages / 2;
	memory = arena_alloc(nr_pages * PAGE);
	counts = map(nr_pages * sizeof(*counts));
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0) {
		fprintf(stderr, "touch: /proc/self/pagemap: %s\n",
			strerror(errno));
		return 1;
	}
	in_order("fill", fill);
	for (trace = strtok(traces, ","); trace; trace = strtok(NULL, ","))
		if (!run_trace(trace, accesses, threads))
			return 2;
	in_order("verify", verify_page);
	if (wrong) {
		fprintf(stderr, "touch: %zu pages were wrong\n", wrong);
		return 1;
	}
	return 0;
}
