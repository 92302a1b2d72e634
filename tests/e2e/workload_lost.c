/*
 * workload_lost.c - memory of which some cannot be read back. Whoever touches a
 * lost page gets SIGBUS with its address, each time; every other page is as it
 * was.
 */
#include "workload.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WL_FILE 12

static sigjmp_buf out;
static char *volatile bus_addr;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	bus_addr = info->si_addr;
	siglongjmp(out, 1);
}

/* Is the page lost? */
static bool is_lost(const char *page)
{
	if (!sigsetjmp(out, 1)) {
		(void)*(const volatile char *)page;
		return false;
	}
	if (bus_addr != page)
		wl_wrong("SIGBUS for %p, though %p was touched",
			 (void *)bus_addr, (const void *)page);
	return true;
}

static void wait_for_file(const char *path)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };

	while (access(path, F_OK))
		nanosleep(&nap, NULL);
}

/*
 * Fills its memory, says READY, waits for the file of that name, and looks at
 * each page. Says which ones it lost, and how many.
 */
int wl_lost(void)
{
	struct sigaction sa = { .sa_sigaction = on_bus,
				.sa_flags = SA_SIGINFO };
	struct wl_area area;
	unsigned lost = 0;

	if (wl.argc != 1)
		return WL_USAGE;
	sigaction(SIGBUS, &sa, NULL);
	wl_area_new(&area, wl_pages());
	wl_fill(&area, 0, area.nr_pages, 1);
	printf("READY %d\n", (int)getpid());
	fflush(stdout);
	wait_for_file(wl.argv[0]);
	for (size_t i = 0; i < area.nr_pages; i++) {
		char *page = area.base + i * WL_PAGE;

		if (!is_lost(page)) {
			wl_check(&area, i, 1);
			continue;
		}
		if (!is_lost(page))
			wl_wrong("lost page %p is back", (void *)page);
		printf("LOST %p\n", (void *)page);
		lost++;
	}
	printf("LOST %u in all\n", lost);
	wl_area_free(&area);
	return 0;
}
