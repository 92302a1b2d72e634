/*
 * bench_frag.c - how well large folios still find room after a long life of
 * mixed orders, and what finding it takes: the swap layer beside a bitmap
 * searched for the first place that fits (first_fit.c), under the very same
 * history.
 *
 *      bench_frag [events a level]
 *
 * A history is a sequence of folios that go out, of orders 0 to 9, and of
 * ways for them to come back: all of one, a part of it, or one page. As much
 * is freed as it takes to stay at the level of fill. A folio that gets no
 * place of its size goes out page by page, as it would from a program, so
 * every allocator has the same pages out at all times. The last eighth of a
 * level is watched: between its events a place of order 4 or 9 is asked for
 * and given back at once.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "first_fit.h"
#include "swap_paths.h"

#define SLOTS       (1u << 18)
#define MAX_SAMPLES (1u << 20)
#define TRIES       1000u /* of each order at each level */
#define CPU_EVENTS  1000u /* then another CPU goes on */

/* Where pages are, and how they get there. */
struct allocator {
	const char *name;
	void (*open)(void);
	void (*close)(void);
	uint64_t (*alloc)(unsigned order); /* FIRST_FIT_NONE: no room */
	void (*own)(unsigned order);       /* what was allocated just now */
	void (*free)(uint64_t offset, unsigned nr);
	void (*swap_in)(uint64_t offset); /* and free one */
	bool (*is_free)(uint64_t offset);
};

/* ---- random, the same everywhere ---- */

static uint64_t rnd_state;

static uint64_t rnd(void)
{
	uint64_t z = rnd_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Folios of a thousand: many small ones, a middle size that is popular, and
 * huge ones, which are few but a third of all pages. */
static unsigned rnd_order(void)
{
	static const unsigned share[] = { 600, 40, 100, 50, 150,
					  20,  15, 8,   7,  10 };
	unsigned x = rnd() % 1000, order = 0;

	while (x >= share[order])
		x -= share[order++];
	return order;
}

/* ---- time ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct samples {
	uint32_t *ns;
	unsigned nr, tried, found;
};

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint64_t take(const struct allocator *a, unsigned order,
		     struct samples *s)
{
	uint64_t t = now_ns(), offset = a->alloc(order);

	t = now_ns() - t;
	if (s && s->nr < MAX_SAMPLES)
		s->ns[s->nr++] = sw_min(t, (uint64_t)UINT32_MAX);
	if (offset != FIRST_FIT_NONE)
		a->own(order);
	return offset;
}

static void print_samples(struct samples *s)
{
	qsort(s->ns, s->nr, sizeof(*s->ns), by_value);
	printf(" %8u %7u", s->nr ? s->ns[s->nr / 2] : 0,
	       s->nr ? s->ns[s->nr * 99ull / 100] : 0);
}

/* ---- the history ---- */

/* Pages that went out together and are still out, and where each is. */
struct batch {
	uint32_t *offset;
	unsigned nr;
};

static struct batch *live;
static unsigned nr_live;
static uint64_t pages_out;

static void stay_on_cpu(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void add_batch(const uint32_t *offset, unsigned nr)
{
	struct batch *b;

	if (!nr)
		return;
	b = &live[nr_live++];
	b->nr = nr;
	b->offset = malloc(nr * sizeof(*offset));
	SW_BUG_ON(!b->offset);
	memcpy(b->offset, offset, nr * sizeof(*offset));
}

static void go_out(const struct allocator *a, unsigned order,
		   struct samples *single)
{
	const unsigned nr = 1u << order;
	uint32_t offset[1u << SWAP_MAX_ORDER];
	uint64_t first = FIRST_FIT_NONE;

	if (order)
		first = take(a, order, NULL);
	for (unsigned i = 0; i < nr; i++) {
		if (first == FIRST_FIT_NONE) {
			uint64_t o = take(a, 0, single);

			SW_BUG_ON(o == FIRST_FIT_NONE);
			offset[i] = o;
		} else {
			offset[i] = first + i;
		}
	}
	add_batch(offset, nr);
	pages_out += nr;
}

/* Pages [from, from + nr) of a batch, in runs of neighbours. */
static void free_pages(const struct allocator *a, const struct batch *b,
		       unsigned from, unsigned nr)
{
	unsigned end = from + nr;

	pages_out -= nr;
	while (from < end) {
		unsigned run = 1;

		while (from + run < end &&
		       b->offset[from + run] == b->offset[from] + run)
			run++;
		a->free(b->offset[from], run);
		from += run;
	}
}

static void come_back(const struct allocator *a)
{
	unsigned i = rnd() % nr_live, how = rnd() % 100;
	struct batch b = live[i];
	unsigned from = 0, nr = b.nr;

	live[i] = live[--nr_live];
	if (how < 35) {
		nr = 1;
		from = rnd() % b.nr;
		a->swap_in(b.offset[from]);
		pages_out--;
	} else if (how < 50) {
		nr = 1 + rnd() % b.nr;
		from = rnd() % (b.nr - nr + 1);
		free_pages(a, &b, from, nr);
	} else {
		free_pages(a, &b, 0, nr);
	}
	add_batch(b.offset, from);
	add_batch(b.offset + from + nr, b.nr - from - nr);
	free(b.offset);
}

static unsigned next_order; /* of the folio that waits to go out */

static void event(const struct allocator *a, uint64_t target,
		  struct samples *single)
{
	if (pages_out + (1u << next_order) <= target) {
		go_out(a, next_order, single);
		next_order = rnd_order();
	} else {
		come_back(a);
	}
}

static void try_order(const struct allocator *a, unsigned order,
		      struct samples *s)
{
	uint64_t offset = take(a, order, s);

	s->tried++;
	if (offset == FIRST_FIT_NONE)
		return;
	s->found++;
	a->free(offset, 1u << order);
}

/* Free and aligned places, whether the allocator would give them or not. */
static unsigned count_places(const struct allocator *a, unsigned order)
{
	const unsigned nr = 1u << order;
	unsigned places = 0;

	for (uint64_t first = 0; first < SLOTS; first += nr) {
		unsigned i = 0;

		while (i < nr && a->is_free(first + i))
			i++;
		places += i == nr;
	}
	return places;
}

static void live_through(const struct allocator *a, unsigned percent,
			 unsigned events)
{
	const uint64_t target = (uint64_t)SLOTS * percent / 100;
	const unsigned watched = events / 8;
	static struct samples s[3];

	for (unsigned i = 0; i < 3; i++) {
		if (!s[i].ns)
			s[i].ns = malloc(MAX_SAMPLES * sizeof(*s[i].ns));
		SW_BUG_ON(!s[i].ns);
		s[i].nr = s[i].tried = s[i].found = 0;
	}
	/* Up to the level first: that is no event yet. */
	while (pages_out + (1u << SWAP_MAX_ORDER) < target)
		event(a, target, NULL);
	for (unsigned i = 0; i < events; i++) {
		bool watch = i >= events - watched;

		if (i % CPU_EVENTS == 0)
			stay_on_cpu(i / CPU_EVENTS % sw_min(swap_nr_cpus, 2u));
		event(a, target, watch ? &s[0] : NULL);
		if (watch && i % (watched / TRIES) == 0) {
			try_order(a, 4, &s[1]);
			try_order(a, 9, &s[2]);
		}
	}
	printf("%3u %%  %-11s %7u %7u %7.1f %7.1f  ", percent, a->name,
	       count_places(a, 4), count_places(a, 9),
	       100.0 * s[1].found / s[1].tried,
	       100.0 * s[2].found / s[2].tried);
	for (unsigned i = 0; i < 3; i++)
		print_samples(&s[i]);
	putchar('\n');
}

static void forget_all(const struct allocator *a)
{
	while (nr_live) {
		struct batch *b = &live[--nr_live];

		free_pages(a, b, 0, b->nr);
		free(b->offset);
	}
}

/* ---- the allocators ---- */

static unsigned device;
static struct folio *of_order[SWAP_NR_ORDERS];

static void layer_open(void)
{
	must(folio_pool_init(1 << 16, NULL));
	must(swap_init());
	device = bench_swapon(SLOTS, -1);
	for (unsigned o = 0; o <= SWAP_MAX_ORDER; o++)
		of_order[o] = new_folio(o);
}

static void layer_close(void)
{
	for (unsigned o = 0; o <= SWAP_MAX_ORDER; o++)
		drop_folio(of_order[o]);
	SW_BUG_ON(swap_check(NULL, NULL));
	must(swapoff(device, NULL, NULL));
	swap_exit();
	folio_pool_release();
}

static uint64_t layer_alloc(unsigned order)
{
	struct folio *folio = of_order[order];

	return folio_alloc_swap(folio, 0) ? FIRST_FIT_NONE
					  : swp_offset(folio->swap);
}

/* The folio goes on to the next; its slots have an owner instead. */
static void layer_own(unsigned order)
{
	must(folio_dup_swap(of_order[order], -1));
	swap_cache_del_folio(of_order[order], 0);
}

static void layer_free(uint64_t offset, unsigned nr)
{
	swap_put_entries_direct(swp_entry(device, offset), nr);
}

static void layer_swap_in(uint64_t offset)
{
	swp_entry_t entry = swp_entry(device, offset);
	int err;
	struct folio *folio =
		swap_cache_alloc_folio(entry, 1, NULL, NULL, &err);

	SW_BUG_ON(!folio);
	folio_set(folio, SW_FOLIO_UPTODATE);
	folio_put_swap(folio, -1);
	SW_BUG_ON(!folio_free_swap(folio));
	drop_folio(folio);
}

static bool layer_is_free(uint64_t offset)
{
	struct swap_cluster_info *ci =
		__swap_offset_to_cluster(&swap_info[device], offset);

	return swp_tb_is_null(swap_table_get(ci, swap_cluster_offset(offset)));
}

static struct first_fit bitmap;

static void first_open(void)
{
	first_fit_init(&bitmap, SLOTS, false);
}

static void next_open(void)
{
	first_fit_init(&bitmap, SLOTS, true);
}

static void bitmap_close(void)
{
	first_fit_release(&bitmap);
}

static uint64_t bitmap_alloc(unsigned order)
{
	return first_fit_alloc(&bitmap, order);
}

static void bitmap_own(unsigned order)
{
}

static void bitmap_free(uint64_t offset, unsigned nr)
{
	first_fit_free(&bitmap, offset, nr);
}

static bool bitmap_is_free(uint64_t offset)
{
	return !first_fit_is_used(&bitmap, offset);
}

static void bitmap_swap_in(uint64_t offset)
{
	first_fit_free(&bitmap, offset, 1);
}

static const struct allocator allocators[] = {
	{ "swap layer", layer_open, layer_close, layer_alloc, layer_own,
	  layer_free, layer_swap_in, layer_is_free },
	{ "first fit", first_open, bitmap_close, bitmap_alloc, bitmap_own,
	  bitmap_free, bitmap_swap_in, bitmap_is_free },
	{ "next fit", next_open, bitmap_close, bitmap_alloc, bitmap_own,
	  bitmap_free, bitmap_swap_in, bitmap_is_free },
};

/* ---- two threads on what the history left ---- */

#define RING   64u /* folios out at a time, a thread */
#define CYCLES 100000u
#define ROUNDS 15u

static pthread_barrier_t barrier;
static double thread_ns[2];

static void *thread_main(void *arg)
{
	const uintptr_t nr = (uintptr_t)arg;
	struct folio *ring[RING];
	uint64_t t;

	stay_on_cpu(nr % swap_nr_cpus);
	for (unsigned i = 0; i < RING; i++) {
		ring[i] = cached_folio(0);
		must(folio_dup_swap(ring[i], 0));
	}
	pthread_barrier_wait(&barrier);
	t = cpu_ns();
	for (unsigned i = 0; i < CYCLES; i++) {
		struct folio *folio = ring[i % RING];

		folio_put_swap(folio, 0);
		SW_BUG_ON(!folio_free_swap(folio));
		must(folio_alloc_swap(folio, 0));
		must(folio_dup_swap(folio, 0));
	}
	thread_ns[nr] = (double)(cpu_ns() - t) / CYCLES;
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < RING; i++) {
		folio_put_swap(ring[i], 0);
		SW_BUG_ON(!folio_free_swap(ring[i]));
		drop_folio(ring[i]);
	}
	return NULL;
}

/* A slot and thread. */
static double threads_ns(unsigned nr)
{
	pthread_t th[2];
	double ns = 0;

	pthread_barrier_init(&barrier, NULL, nr);
	for (uintptr_t i = 0; i < nr; i++)
		SW_BUG_ON(pthread_create(&th[i], NULL, thread_main, (void *)i));
	for (unsigned i = 0; i < nr; i++) {
		pthread_join(th[i], NULL);
		ns += thread_ns[i] / nr;
	}
	pthread_barrier_destroy(&barrier);
	return ns;
}

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * Medians of rounds in turns, since each leaves the lists in another order.
 * The best would be the round in which other work on the machine kept the
 * two threads from ever meeting.
 */
static void measure_threads(double median[2])
{
	double ns[2][ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++) {
		ns[0][r] = threads_ns(1);
		ns[1][r] = threads_ns(2);
	}
	for (unsigned i = 0; i < 2; i++) {
		qsort(ns[i], ROUNDS, sizeof(*ns[i]), by_double);
		median[i] = ns[i][ROUNDS / 2];
	}
}

int main(int argc, char **argv)
{
	static const unsigned levels[] = { 50, 90, 99 };
	double ns[SW_ARRAY_SIZE(levels)][2];
	unsigned events = 1000000;

	if (argc > 1)
		events = sw_max(atoi(argv[1]), 8 * (int)TRIES);
	live = malloc(SLOTS * sizeof(*live));
	SW_BUG_ON(!live);

	printf("%18s %15s %15s  %16s %16s %16s\n", "", "free places",
	       "found, %", "order 0, ns", "order 4, ns", "order 9, ns");
	printf("%5s  %-11s %7s %7s %7s %7s  ", "full", "allocator", "order 4",
	       "order 9", "order 4", "order 9");
	for (unsigned i = 0; i < 3; i++)
		printf(" %8s %7s", "median", "p99");
	putchar('\n');
	for (unsigned i = 0; i < SW_ARRAY_SIZE(allocators); i++) {
		const struct allocator *a = &allocators[i];

		rnd_state = 1;
		next_order = 0;
		a->open();
		for (unsigned l = 0; l < SW_ARRAY_SIZE(levels); l++) {
			live_through(a, levels[l], events);
			if (a->alloc == layer_alloc)
				measure_threads(ns[l]);
		}
		forget_all(a);
		a->close();
	}
	putchar('\n');
	for (unsigned l = 0; l < SW_ARRAY_SIZE(levels); l++)
		printf("%3u %%  alloc+dup+put+free: %.0f ns, two threads %.0f "
		       "ns each: the work of %.2f\n",
		       levels[l], ns[l][0], ns[l][1], 2 * ns[l][0] / ns[l][1]);
	free(live);
	return 0;
}
