/*
 * bench_swap.c - nanoseconds a slot of the swap layer alone: no store, no
 * pages, one thread and then two. Each figure is the best of several rounds,
 * since the machine has other things to do; the median stands beside it.
 *
 *      bench_swap [rounds]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "swap/cluster.h"
#include "swap/swap.h"
#include "swap/swap_mem.h"

#define SLOTS      (1u << 20)
#define BATCH      20000u
#define MAX_ROUNDS 101u

static const struct swap_ops no_ops;
static unsigned rounds = 15;

/* CPU time of this thread: what others do on the machine stays out, waiting
 * for a lock by spinning stays in. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct folio *new_folio(unsigned order)
{
	struct folio *folio = folio_alloc(order);

	SW_BUG_ON(!folio || !folio_trylock(folio));
	folio_set(folio, SW_FOLIO_UPTODATE);
	return folio;
}

static void must(int err)
{
	SW_BUG_ON(err);
}

static void cycle(struct folio *folio)
{
	must(folio_alloc_swap(folio, 0));
	must(folio_dup_swap(folio, -1));
	folio_put_swap(folio, -1);
	SW_BUG_ON(!folio_free_swap(folio));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Runs `fn` for `rounds` rounds and prints ns per unit. */
static double measure(const char *name, double (*fn)(void *arg), void *arg)
{
	double ns[MAX_ROUNDS];

	for (unsigned i = 0; i < rounds; i++)
		ns[i] = fn(arg);
	qsort(ns, rounds, sizeof(*ns), by_value);
	printf("%-52s %8.2f %8.2f\n", name, ns[0], ns[rounds / 2]);
	return ns[0];
}

/* alloc, dup, put, free of one slot; others of its cluster are in use. */
static double one_slot(void *arg)
{
	struct folio *folio = new_folio(0);
	uint64_t t = cpu_ns();

	for (unsigned i = 0; i < BATCH; i++)
		cycle(folio);
	t = cpu_ns() - t;
	folio_unlock(folio);
	folio_put(folio);
	return (double)t / BATCH;
}

/* The same in a stream: all out, then all in, as reclaim and faults do. */
static double stream(void *arg)
{
	static struct folio *folios[BATCH];
	uint64_t t, sum = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		folios[i] = new_folio(0);
		folio_unlock(folios[i]);
	}
	t = cpu_ns();
	for (unsigned i = 0; i < BATCH; i++) {
		folio_lock(folios[i]);
		must(folio_alloc_swap(folios[i], 0));
		must(folio_dup_swap(folios[i], -1));
		folio_unlock(folios[i]);
	}
	for (unsigned i = 0; i < BATCH; i++) {
		folio_lock(folios[i]);
		folio_put_swap(folios[i], -1);
		SW_BUG_ON(!folio_free_swap(folios[i]));
		folio_unlock(folios[i]);
	}
	sum += cpu_ns() - t;
	for (unsigned i = 0; i < BATCH; i++)
		folio_put(folios[i]);
	return (double)sum / BATCH;
}

static double huge(void *arg)
{
	struct folio *folio = new_folio(SWAP_MAX_ORDER);
	unsigned n = 400;
	uint64_t t = cpu_ns();

	for (unsigned i = 0; i < n; i++)
		cycle(folio);
	t = cpu_ns() - t;
	folio_unlock(folio);
	folio_put(folio);
	return (double)t / n / (1u << SWAP_MAX_ORDER);
}

static swp_entry_t swapped_out(unsigned order)
{
	struct folio *folio = new_folio(order);
	swp_entry_t e;

	must(folio_alloc_swap(folio, 0));
	must(folio_dup_swap(folio, -1));
	e = folio->swap;
	swap_cache_del_folio(folio, 1);
	folio_unlock(folio);
	folio_put(folio);
	return e;
}

/* ns for one direct put of a whole cluster */
static double put_cluster(void *arg)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 200; i++) {
		swp_entry_t e = swapped_out(SWAP_MAX_ORDER);
		uint64_t t = cpu_ns();

		swap_put_entries_direct(e, 1u << SWAP_MAX_ORDER);
		sum += cpu_ns() - t;
	}
	return (double)sum / 200;
}

static double lookup_miss(void *arg)
{
	swp_entry_t e = swapped_out(0);
	uint64_t t = cpu_ns(), found = 0;

	for (unsigned i = 0; i < BATCH; i++)
		found += swap_cache_has_folio(e);
	t = cpu_ns() - t;
	SW_BUG_ON(found);
	swap_put_entries_direct(e, 1);
	return (double)t / BATCH;
}

static double lookup_get(void *arg)
{
	struct folio *folio = new_folio(0);
	uint64_t t;

	must(folio_alloc_swap(folio, 0));
	t = cpu_ns();
	for (unsigned i = 0; i < BATCH; i++)
		folio_put(swap_cache_get_folio(folio->swap));
	t = cpu_ns() - t;
	SW_BUG_ON(!folio_free_swap(folio));
	folio_unlock(folio);
	folio_put(folio);
	return (double)t / BATCH;
}

static double fork_zap(void *arg)
{
	swp_entry_t e = swapped_out(0);
	uint64_t t = cpu_ns();

	for (unsigned i = 0; i < BATCH; i++) {
		must(swap_dup_entry_direct(e));
		swap_put_entries_direct(e, 1);
	}
	t = cpu_ns() - t;
	swap_put_entries_direct(e, 1);
	return (double)t / BATCH;
}

static double swapin(void *arg)
{
	swp_entry_t e = swapped_out(0);
	uint64_t t = cpu_ns();
	int err;

	for (unsigned i = 0; i < BATCH; i++) {
		struct folio *folio =
			swap_cache_alloc_folio(e, 1, NULL, NULL, &err);

		swap_cache_del_folio(folio, 0);
		folio_unlock(folio);
		folio_put(folio);
	}
	t = cpu_ns() - t;
	swap_put_entries_direct(e, 1);
	return (double)t / BATCH;
}

/* ---- two threads ---- */

static unsigned nr_threads;
static pthread_barrier_t barrier;
static uint64_t t_begin, t_end;

static void *thread_main(void *arg)
{
	cpu_set_t set;

	struct folio *pin = new_folio(0), *folio = new_folio(0);

	CPU_ZERO(&set);
	CPU_SET((uintptr_t)arg % swap_nr_cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
	/* A slot in use beside, as there always is. */
	must(folio_alloc_swap(pin, 0));
	pthread_barrier_wait(&barrier);
	if (!arg)
		t_begin = cpu_ns();
	for (unsigned i = 0; i < 20; i++) {

		for (unsigned j = 0; j < BATCH; j++)
			cycle(folio);
	}
	pthread_barrier_wait(&barrier);
	if (!arg)
		t_end = cpu_ns();
	SW_BUG_ON(!folio_free_swap(pin));
	folio_unlock(pin);
	folio_put(pin);
	folio_unlock(folio);
	folio_put(folio);
	return NULL;
}

/* ns a slot and thread */
static double threads(void *arg)
{
	pthread_t th[8];

	pthread_barrier_init(&barrier, NULL, nr_threads);
	for (uintptr_t i = 0; i < nr_threads; i++)
		pthread_create(&th[i], NULL, thread_main, (void *)i);
	for (unsigned i = 0; i < nr_threads; i++)
		pthread_join(th[i], NULL);
	pthread_barrier_destroy(&barrier);
	return (double)(t_end - t_begin) / 20 / BATCH;
}

/* ---- memory ---- */

static uint64_t resident_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	SW_BUG_ON(!f || fscanf(f, "%lu %lu", &size, &resident) != 2);
	fclose(f);
	return resident * SW_PAGE_SIZE;
}

/* Bytes a slot of an idle device, and a slot in use when 1 % are. */
static void memory(unsigned gib)
{
	struct swapon_spec spec = {
		.name = "bench",
		.ops = &no_ops,
		.max = ((uint64_t)gib << 30 >> SW_PAGE_SHIFT) - 1,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
	};
	uint64_t before = resident_bytes(), idle, used, n = spec.max / 100;
	int type = swapon(&spec);
	swp_entry_t *e;

	SW_BUG_ON(type < 0);
	idle = resident_bytes() - before;
	e = malloc(n * sizeof(*e));
	SW_BUG_ON(!e);
	memset(e, 1, n * sizeof(*e));
	before = resident_bytes();
	for (uint64_t i = 0; i < n; i++)
		e[i] = swapped_out(0);
	used = resident_bytes() - before;
	printf("%5u GiB: %.4f bytes a slot idle, %.2f a slot in use (1 %%)\n",
	       gib, (double)idle / spec.max, (double)used / n);
	for (uint64_t i = 0; i < n; i++)
		swap_put_entries_direct(e[i], 1);
	free(e);
	must(swapoff(type, NULL, NULL));
}

int main(int argc, char **argv)
{
	struct swapon_spec spec = {
		.name = "bench",
		.ops = &no_ops,
		.max = SLOTS,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
	};
	swp_entry_t pins[SWAPFILE_CLUSTER];
	unsigned nr_pins = 0;
	double one, two;

	if (argc > 1)
		rounds = sw_min((unsigned)atoi(argv[1]), MAX_ROUNDS);
	must(folio_pool_init(1 << 20, NULL));
	must(swap_init());
	SW_BUG_ON(swapon(&spec) < 0);
	printf("%-52s %8s %8s\n", "ns", "best", "median");

	/* The first cluster has the header and never falls empty. */
	measure("alloc+dup+put+free, 1 slot, cluster in use", one_slot, NULL);
	while (swp_offset(pins[nr_pins] = swapped_out(0)) < SWAPFILE_CLUSTER)
		nr_pins++;
	swap_put_entries_direct(pins[nr_pins], 1);
	measure("alloc+dup+put+free, 1 slot, cluster falls empty", one_slot,
		NULL);
	measure("alloc+dup+put+free, stream of 20000 (with locks)", stream,
		NULL);
	measure("alloc+dup+put+free of 512 slots, a slot", huge, NULL);
	measure("direct put of 512 adjacent uncached slots", put_cluster, NULL);
	measure("lookup: has_folio", lookup_miss, NULL);
	measure("lookup: get_folio + put", lookup_get, NULL);
	measure("direct dup + put of one entry", fork_zap, NULL);
	measure("insert at swap-in + remove, with folio", swapin, NULL);
	nr_threads = 1;
	one = measure("alloc+dup+put+free, 1 thread", threads, NULL);
	nr_threads = 2;
	two = measure("alloc+dup+put+free, 2 threads, each", threads, NULL);
	printf("%-52s %8.2f\n", "two threads do the work of", 2 * one / two);
	while (nr_pins)
		swap_put_entries_direct(pins[--nr_pins], 1);
	must(swapoff(0, NULL, NULL));
	memory(1);
	memory(64);
	memory(1024);
	swap_exit();
	return 0;
}
