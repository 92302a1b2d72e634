/*
 * bench_swap.c - nanoseconds an operation of the swap layer alone: no store,
 * no pages, one thread and then two. Each figure is the best of several
 * rounds, since the machine has other things to do; the median stands beside
 * it, and then what the best should stay under.
 *
 *      bench_swap [rounds]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "swap_paths.h"

#define MAX_ROUNDS 101u
/* Reading the clock is a system call: not around less than that. */
#define MIN_OPERATIONS 200u
#define CYCLES         400000u

static unsigned rounds = 15;

/* CPU time of this thread: what others do on the machine stays out, waiting
 * for a lock by spinning stays in. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The CPU's stacks and hints are part of what is measured. */
static void stay_on_cpu(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts and prints; returns the best. */
static double print_rounds(const char *what, double *ns, double target)
{
	qsort(ns, rounds, sizeof(*ns), by_value);
	printf("%-52s %8.2f %8.2f", what, ns[0], ns[rounds / 2]);
	if (target)
		printf("    < %g", target);
	putchar('\n');
	return ns[0];
}

/* What two readings of the clock with nothing between cost. */
static double clock_ns(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t t = cpu_ns();

		best = sw_min(best, cpu_ns() - t);
	}
	return best;
}

static double path_ns(const struct swap_path *path, double clock)
{
	unsigned n = 0;
	uint64_t t, sum = 0;
	double own = 0;

	while (n < MIN_OPERATIONS) {
		path->prepare(path->batch);
		t = cpu_ns();
		swap_path_run(path);
		sum += cpu_ns() - t;
		own += clock;
		path->restore(path->batch);
		n += path->batch;
	}
	return ((double)sum - own) / n / path->slots;
}

static void measure_paths(void)
{
	double ns[MAX_ROUNDS], clock = clock_ns();
	char what[80];

	for (unsigned i = 0; i < nr_swap_paths; i++) {
		for (unsigned r = 0; r < rounds; r++)
			ns[r] = path_ns(&swap_paths[i], clock);
		snprintf(what, sizeof(what), "%s%s", swap_paths[i].what,
			 swap_paths[i].slots > 1 ? ", a slot" : "");
		print_rounds(what, ns, swap_paths[i].target_ns);
	}
}

/* ---- two threads ---- */

static pthread_barrier_t barrier;
static uint64_t t_begin, t_end;

static void *thread_main(void *arg)
{
	struct folio *pin, *folio = new_folio(0);

	stay_on_cpu((uintptr_t)arg % swap_nr_cpus);
	/* A slot in use beside, as there always is. */
	pin = cached_folio(0);
	pthread_barrier_wait(&barrier);
	if (!arg)
		t_begin = cpu_ns();
	for (unsigned i = 0; i < CYCLES; i++)
		cycle(folio);
	pthread_barrier_wait(&barrier);
	if (!arg)
		t_end = cpu_ns();
	SW_BUG_ON(!folio_free_swap(pin));
	drop_folio(pin);
	drop_folio(folio);
	return NULL;
}

/* ns a slot and thread */
static double threads_ns(unsigned nr)
{
	pthread_t th[2];

	pthread_barrier_init(&barrier, NULL, nr);
	for (uintptr_t i = 0; i < nr; i++)
		SW_BUG_ON(pthread_create(&th[i], NULL, thread_main, (void *)i));
	for (unsigned i = 0; i < nr; i++)
		pthread_join(th[i], NULL);
	pthread_barrier_destroy(&barrier);
	return (double)(t_end - t_begin) / CYCLES;
}

static double measure_threads(const char *what, unsigned nr)
{
	double ns[MAX_ROUNDS];

	for (unsigned r = 0; r < rounds; r++)
		ns[r] = threads_ns(nr);
	return print_rounds(what, ns, 0);
}

int main(int argc, char **argv)
{
	double one, two;

	if (argc > 1)
		rounds =
			sw_max(1u, sw_min((unsigned)atoi(argv[1]), MAX_ROUNDS));
	stay_on_cpu(sched_getcpu());
	swap_paths_open(0);
	printf("%-52s %8s %8s   target\n", "ns", "best", "median");
	measure_paths();
	one = measure_threads("alloc+dup+put+free, 1 thread", 1);
	two = measure_threads("alloc+dup+put+free, 2 threads, each", 2);
	printf("%-52s %8.2f %8s    > 1.8\n", "two threads do the work of",
	       2 * one / two, "");
	swap_paths_close();
	return 0;
}
