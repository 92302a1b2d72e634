/*
 * verify.c - a region of four budgets, written and read by several threads at
 * random, in order, backwards; each page is known by heart and compared as a
 * whole. At the end the budget must have held, and pages must have gone.
 *
 *      verify MODE [THREADS [ROUNDS [SEED [BUDGET_MIB]]]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "modes.h"

#define PAGE        4096u
#define WORDS       (PAGE / 8)
#define MAX_THREADS 8

static uint64_t budget, region; /* bytes */

struct part {
	pthread_t thread;
	uint64_t *mem;     /* pages of this thread alone */
	unsigned *version; /* of each page; 0: never written */
	uint64_t pages, seed, rounds;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Most pages compress, some do not, some are one word, some are zeros. */
static uint64_t word_of(uint64_t page, unsigned version, unsigned i)
{
	uint64_t x = (page + 1) * 0x9e3779b97f4a7c15ull + version;

	if (!version || page % 16 == 3)
		return 0;
	if (page % 16 == 5)
		return x;
	if (page % 16 == 7)
		return (x + i) * 0xbf58476d1ce4e5b9ull;
	return i % 8 ? x & 0xff : x + i;
}

static void check_page(struct part *p, uint64_t page)
{
	const uint64_t *w = &p->mem[page * WORDS];

	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t want = word_of(page, p->version[page], i);

		if (w[i] == want)
			continue;
		fprintf(stderr,
			"page %llu (%p) version %u word %u: %#llx, not %#llx\n",
			(unsigned long long)page, (void *)w, p->version[page],
			i, (unsigned long long)w[i], (unsigned long long)want);
		abort();
	}
}

static void write_page(struct part *p, uint64_t page)
{
	uint64_t *w = &p->mem[page * WORDS];

	p->version[page]++;
	for (unsigned i = 0; i < WORDS; i++)
		w[i] = word_of(page, p->version[page], i);
}

static void *work(void *arg)
{
	struct part *p = arg;

	for (uint64_t page = 0; page < p->pages; page++)
		write_page(p, page);
	for (uint64_t n = 0; n < p->rounds; n++) {
		uint64_t page = next_random(&p->seed) % p->pages;

		check_page(p, page);
		if (n % 3 == 0)
			write_page(p, page);
	}
	for (uint64_t page = 0; page < p->pages; page++)
		check_page(p, page);
	for (uint64_t page = p->pages; page-- > 0;) {
		check_page(p, page);
		if (page % 5 == 0)
			write_page(p, page);
	}
	for (uint64_t page = 0; page < p->pages; page++)
		check_page(p, page);
	return NULL;
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 0) : otherwise;
}

/* Pages of the region that the process has, as the kernel sees it. */
static uint64_t nr_present(const char *mem)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry, nr = 0;

	for (uint64_t at = 0; at < region; at += PAGE)
		if (pread(fd, &entry, 8, ((uintptr_t)mem + at) / PAGE * 8) == 8)
			nr += entry >> 63;
	close(fd);
	return nr;
}

static void check_budget(const char *mem)
{
	uint64_t bytes = nr_present(mem) * PAGE;

	if (bytes && bytes <= budget)
		return;
	fprintf(stderr, "the kernel counts %llu bytes in memory\n",
		(unsigned long long)bytes);
	abort();
}

static void check_stats(spillway_t *sp)
{
	struct spillway_stats st = { .size = sizeof(st) };
	int err = spillway_stats(sp, &st);

	printf("faults %llu, out %llu, used %llu of %llu, devices %llu\n",
	       (unsigned long long)st.faults, (unsigned long long)st.pages_out,
	       (unsigned long long)st.used_bytes,
	       (unsigned long long)st.budget_bytes,
	       (unsigned long long)st.device_used_bytes);
	if (err || st.pages_out < (region - budget) / PAGE ||
	    st.used_bytes > st.budget_bytes + 2 * MIB || st.read_errors) {
		fprintf(stderr, "stats: err %d, used %llu of %llu\n", err,
			(unsigned long long)st.used_bytes,
			(unsigned long long)st.budget_bytes);
		abort();
	}
}

int main(int argc, char **argv)
{
	const struct mode *mode = mode_of(argc > 1 ? argv[1] : "thread");
	uint64_t threads = number(argc, argv, 2, 2);
	uint64_t rounds = number(argc, argv, 3, 10000);
	uint64_t seed = number(argc, argv, 4, 1);
	struct part part[MAX_THREADS] = { 0 };
	spillway_t *sp;
	void *mem;

	budget = number(argc, argv, 5, 16) * MIB;
	region = 4 * budget;
	sp = open_mode(mode, budget, "zram:96M");
	if (threads > MAX_THREADS || spillway_alloc(sp, region, NULL, &mem))
		return 1;
	for (unsigned i = 0; i < threads; i++) {
		struct part *p = &part[i];

		p->pages = region / PAGE / threads;
		p->mem = (uint64_t *)mem + i * p->pages * WORDS;
		p->version = calloc(p->pages, sizeof(*p->version));
		p->seed = seed * 88172645463325252ull + i;
		p->rounds = rounds / threads;
		if (pthread_create(&p->thread, NULL, work, p))
			return 1;
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(part[i].thread, NULL);
	check_stats(sp);
	check_budget(mem);
	for (unsigned i = 0; i < threads; i++)
		free(part[i].version);
	return spillway_close(sp) ? 1 : 0;
}
