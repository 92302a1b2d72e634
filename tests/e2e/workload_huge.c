/*
 * workload_huge.c - memory in huge pages holds what was put there. `huge kept`
 * demands that it also is in huge pages again, when it was out and has been read
 * from its beginning to its end.
 */
#include "workload.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WL_FILE 12

#define MAX_PRESS 8 /* times until all of it has to be out */

/* AnonHugePages of the mappings that the area lies in, in bytes. */
static size_t huge_bytes(const struct wl_area *a)
{
	uintptr_t start = (uintptr_t)a->base;
	uintptr_t end = start + a->nr_pages * WL_PAGE;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool inside = false;
	size_t sum = 0, kb;
	char line[512];

	if (!f)
		wl_die("open of smaps");
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from < end && to > start;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %zu kB", &kb) == 1)
			sum += kb << 10;
	}
	fclose(f);
	return sum;
}

/* At least half of it, or nothing at all. */
static void demand_huge(const struct wl_area *a, bool wanted, unsigned site)
{
	size_t bytes = huge_bytes(a);

	if (wanted ? bytes < a->nr_pages * WL_PAGE / 2 : bytes != 0)
		wl_wrong("site %u: %zu bytes in huge pages, of %zu", site,
			 bytes, a->nr_pages * WL_PAGE);
}

/* Writes and reads more than the budget has room for. */
static void press(unsigned version)
{
	struct wl_area rest;

	wl_area_new(&rest, wl_pages() * 3 / 4);
	wl_fill(&rest, 0, rest.nr_pages, version);
	wl_check_all(&rest);
	wl_area_free(&rest);
}

/* Out, and in again from one end to the other. It is not put out by MADV_PAGEOUT:
 * the kernel, which has nowhere to put it, splits it then. */
static void there_and_back(struct wl_area *a)
{
	for (unsigned n = 1; n < MAX_PRESS && wl_area_present(a); n++)
		press(n);
	demand_huge(a, false, WL_SITE);
	wl_check_all(a);
	demand_huge(a, true, WL_SITE);
}

/* A child has them, too, while the parent writes. */
static void in_child(struct wl_area *a, unsigned version)
{
	pid_t pid = wl_fork();

	if (pid == 0) {
		wl_check_all(a);
		wl_fill(a, 0, a->nr_pages / 2, version);
		wl_check_all(a);
		_exit(0);
	}
	for (size_t i = 0; i < a->nr_pages; i += 7)
		wl_poke(a, i);
	wl_reap(pid, 0);
	wl_check_all(a);
}

static void read_random(unsigned id, void *arg)
{
	struct wl_area *a = arg;
	uint64_t random = id + 1;

	for (size_t k = 0; k < a->nr_pages / 8; k++)
		wl_check(a, wl_random(&random) % a->nr_pages, 1);
}

int wl_huge(void)
{
	bool kept = wl.argc && !strcmp(wl.argv[0], "kept");
	struct wl_area a;

	wl_area_new(&a, wl_pages() / 4);
	madvise(a.base, a.nr_pages * WL_PAGE, MADV_HUGEPAGE);
	wl_fill(&a, 0, a.nr_pages, 1);
	if (kept)
		demand_huge(&a, true, WL_SITE);
	press(1);
	wl_check_all(&a);
	for (unsigned round = 0; round < wl.rounds; round++) {
		if (kept && !round) {
			there_and_back(&a);
			there_and_back(&a);
		}
		in_child(&a, 10 * round + 2);
		press(10 * round + 3);
		wl_in_threads(wl.threads, read_random, &a);
		wl_check_all(&a);
	}
	wl_area_free(&a);
	return 0;
}
