/*
 * regions.c - what regions themselves cost: to allocate and free one of 1 GiB,
 * and to have many in one instance. For sbs/wl_lib.py.
 *
 *   regions TIMES REGIONS
 *
 * Prints lines "NAME VALUE": microseconds of an allocation and of a free, mean
 * and median of TIMES, of a region nobody touched; the mean of each of REGIONS
 * more that are all there at once, the first touch of each, a second touch of
 * each after all others (in the budget or not), and their frees; KiB of plain
 * memory the process has for them, which is what they cost beside their pages.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "arena.h"

#define GIB  (1ul << 30)
#define MIB  (1ul << 20)
#define PAGE 4096ul

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *name, double *us, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += us[i];
	qsort(us, n, sizeof(*us), by_value);
	printf("%s %.3f\n%s.p50 %.3f\n", name, sum / n, name, us[n / 2]);
	printf("%s.p99 %.3f\n", name, us[n - 1 - n / 100]);
}

static void drop(void *p)
{
	int err = spillway_free(arena, p);

	if (err)
		arena_failed("free", strerror(-err));
}

static void one_by_one(size_t times)
{
	double *alloc = calloc(times, sizeof(*alloc));
	double *free_us = calloc(times, sizeof(*free_us));

	for (size_t i = 0; i < times; i++) {
		double start = now_us();
		void *p = arena_alloc(GIB);

		alloc[i] = now_us() - start;
		start = now_us();
		drop(p);
		free_us[i] = now_us() - start;
	}
	print_times("alloc", alloc, times);
	print_times("free", free_us, times);
	free(alloc);
	free(free_us);
}

/* Pages that are the process's alone, those of regions among them. */
static double resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lf", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static double in_regions_kib(void)
{
	struct spillway_stats st = { .size = sizeof(st) };

	if (spillway_stats(arena, &st))
		arena_failed("stats", "failed");
	return (st.used_bytes + st.memory_bytes) / 1024.0;
}

static double books_kib(void)
{
	return resident_kib() - in_regions_kib();
}

static void touch_all(const char *name, volatile uint64_t **region, size_t nr)
{
	double start = now_us();

	for (size_t i = 0; i < nr; i++)
		region[i][0]++;
	printf("%s %.3f\n", name, (now_us() - start) / nr);
}

static void many(size_t nr)
{
	volatile uint64_t **region = calloc(nr, sizeof(*region));
	double before = books_kib(), start = now_us();

	for (size_t i = 0; i < nr; i++)
		region[i] = arena_alloc(MIB);
	printf("many.alloc %.3f\n", (now_us() - start) / nr);
	touch_all("many.touch", region, nr);
	touch_all("many.again", region, nr);
	printf("many.books %.3f\n", (books_kib() - before) / nr);
	for (size_t i = 0; i < nr; i++)
		if (region[i][0] != 2)
			arena_failed("region", "it lost what was written");
	start = now_us();
	for (size_t i = 0; i < nr; i++)
		drop((void *)region[i]);
	printf("many.free %.3f\n", (now_us() - start) / nr);
	free(region);
}

int main(int argc, char **argv)
{
	size_t times, nr;

	if (argc != 3 || !(times = strtoul(argv[1], NULL, 10)) ||
	    !(nr = strtoul(argv[2], NULL, 10))) {
		fprintf(stderr, "usage: regions TIMES REGIONS\n");
		return 2;
	}
	drop(arena_alloc(PAGE)); /* opens the instance */
	one_by_one(times);
	many(nr);
	return 0;
}
