/*
 * touch.c - what touching memory costs: in order and at random, reading and
 * writing. Runs the same natively, under the kernel's swap and under
 * spillway; the script spillway-bench compares the three.
 *
 *   touch [-s MIB] [-a ACCESSES] [-t THREADS]
 *
 * Prints lines "NAME VALUE". In-order passes: microseconds a page. Random
 * ones: microseconds an access (mean of all), and the mean and percentiles of
 * those accesses that found their page unmapped, as /proc/self/pagemap says
 * just before. That question is asked outside the time that is counted, in
 * the same way under every kind of swap, so a page that waits in a swap cache
 * or a staging area is unmapped in all of them.
 *
 * Every page holds a fixed pattern that compresses to about a third, with a
 * counter in its second word; all of it is compared at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

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

/* One thread's part of a random pass: pages id, id + n, id + 2n ... */
struct part {
	pthread_t thread;
	unsigned id, of;
	size_t accesses;
	void (*touch)(size_t page);
	uint64_t seed;
	uint64_t total_ns;
	float *misses; /* microseconds of each */
	size_t nr_misses;
};

static bool is_mapped(size_t page)
{
	uint64_t entry = 0;
	off_t at = ((uintptr_t)memory / PAGE + page) * 8;

	if (pread(pagemap, &entry, 8, at) != 8)
		return false;
	return entry >> 63;
}

static void *random_part(void *arg)
{
	struct part *p = arg;
	size_t rows = nr_pages / p->of;

	for (size_t k = 0; k < p->accesses; k++) {
		size_t page = scramble(p->seed + k) % rows * p->of + p->id;
		bool mapped = is_mapped(page);
		uint64_t start = now_ns(), took;

		p->touch(page);
		took = now_ns() - start;
		p->total_ns += took;
		if (!mapped)
			p->misses[p->nr_misses++] = took / 1e3f;
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void print_misses(const char *name, float *misses, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += misses[i];
	printf("%s.misses %zu\n", name, n);
	if (n < 1000)
		return; /* too few for a tail */
	qsort(misses, n, sizeof(*misses), by_value);
	printf("%s.miss %.3f\n", name, sum / n);
	printf("%s.p50 %.3f\n", name, misses[n / 2]);
	printf("%s.p99 %.3f\n", name, misses[n - 1 - n / 100]);
	printf("%s.p999 %.3f\n", name, misses[n - 1 - n / 1000]);
}

static void at_random(const char *name, void (*touch)(size_t page),
		      size_t accesses, unsigned threads)
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
			.seed = seed++ << 40,
			.misses = all + accesses / threads * t,
		};
		if (threads == 1)
			random_part(&parts[t]);
		else
			pthread_create(&parts[t].thread, NULL, random_part,
				       &parts[t]);
	}
	for (unsigned t = 0; t < threads; t++) {
		if (threads > 1)
			pthread_join(parts[t].thread, NULL);
		memmove(all + n, parts[t].misses,
			parts[t].nr_misses * sizeof(*all));
		n += parts[t].nr_misses;
		spent += parts[t].total_ns;
	}
	if (threads > 1)
		spent = now_ns() - start;
	printf("%s.access %.3f\n", name, spent / 1e3 / accesses);
	print_misses(name, all, n);
	fflush(stdout);
	free(all);
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

int main(int argc, char **argv)
{
	size_t mib = 512, accesses = 0;
	unsigned threads = 1;
	int c;

	while ((c = getopt(argc, argv, "s:a:t:")) != -1) {
		if (c == 's')
			mib = strtoul(optarg, NULL, 10);
		else if (c == 'a')
			accesses = strtoul(optarg, NULL, 10);
		else if (c == 't')
			threads = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (mib == 0 || threads == 0 || threads > 64 || optind != argc) {
		fprintf(stderr, "usage: touch [-s MIB] [-a ACCESSES] "
				"[-t THREADS]\n");
		return 2;
	}
	nr_pages = (mib << 20) / PAGE / threads * threads;
	if (accesses == 0)
		accesses = nr_pages / 2;
	memory = map(nr_pages * PAGE);
	counts = map(nr_pages * sizeof(*counts));
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0) {
		fprintf(stderr, "touch: /proc/self/pagemap: %s\n",
			strerror(errno));
		return 1;
	}
	in_order("fill", fill);
	in_order("seq_read_1", read_page);
	in_order("seq_read_2", read_page);
	in_order("seq_write_1", write_page);
	in_order("seq_write_2", write_page);
	at_random("rand_read", read_page, accesses, threads);
	at_random("rand_write", write_page, accesses, threads);
	at_random("rand_read_2", read_page, accesses, threads);
	in_order("verify", verify_page);
	if (wrong) {
		fprintf(stderr, "touch: %zu pages were wrong\n", wrong);
		return 1;
	}
	return 0;
}
