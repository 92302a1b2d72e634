/*
 * workload_alloc.c - memory a program gets without asking for it by address:
 * the stack, the break, malloc.
 */
#include "workload.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WL_FILE 7

#define FRAME_WORDS 500

/* A plain run of words that is not made of pages. */
static void words_fill(uint64_t *p, size_t n, uint64_t id)
{
	for (size_t k = 0; k < n; k++)
		p[k] = wl_word(id + k / WL_WORDS, k % WL_WORDS, 1);
}

static void words_check(uint64_t *p, size_t n, uint64_t id, unsigned site)
{
	if (wl_sabotage(site))
		p[n / 2] ^= 2;
	for (size_t k = 0; k < n; k++) {
		uint64_t want = wl_word(id + k / WL_WORDS, k % WL_WORDS, 1);
		uint64_t found = ((volatile uint64_t *)p)[k];

		if (found != want)
			wl_mismatch(&p[k], want, found, "stack or heap");
	}
}

/* All meet at the bottom of their first dive, so that all stacks are in use at
 * once. */
static pthread_barrier_t bottom;

/* A frame of about a page, checked again on the way back. */
static uint64_t __attribute__((noinline)) descend(uint64_t id, unsigned depth)
{
	uint64_t frame[FRAME_WORDS];
	uint64_t sum;

	words_fill(frame, FRAME_WORDS, id + depth);
	__asm__ volatile("" ::"r"(frame) : "memory");
	if (!depth && !(id & 1))
		pthread_barrier_wait(&bottom);
	sum = depth ? descend(id, depth - 1) : 0;
	words_check(frame, FRAME_WORDS, id + depth, WL_SITE);
	return sum + 1;
}

struct dive {
	unsigned depth;
	uint64_t id;
};

static void *dive_main(void *p)
{
	struct dive *d = p;

	for (unsigned k = 0; k < 3; k++)
		if (descend(d->id + !!k, d->depth) != d->depth + 1)
			wl_wrong("the recursion lost count");
	return NULL;
}

/* The main stack grows to a third of the size, thread stacks share a half. */
int wl_stack(void)
{
	struct rlimit limit;
	struct dive dives[16];
	pthread_t threads[16];
	pthread_attr_t attr;
	size_t each = (wl.size_mib << 20) / 2 / wl.threads;
	size_t main_bytes = (wl.size_mib << 20) / 3;

	if (main_bytes > (64ul << 20))
		main_bytes = 64ul << 20;
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = main_bytes + (8ul << 20);
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_STACK, &limit))
		wl_die("setrlimit of the stack");
	pthread_barrier_init(&bottom, NULL, wl.threads + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, each + (1ul << 20));
	for (unsigned t = 0; t < wl.threads; t++) {
		dives[t].depth = each / 4400;
		dives[t].id = (uint64_t)(t + 1) << 40;
		errno = pthread_create(&threads[t], &attr, dive_main,
				       &dives[t]);
		if (errno)
			wl_die("pthread_create");
	}
	(void)dive_main(&(struct dive){ main_bytes / 4400, 1ull << 50 });
	for (unsigned t = 0; t < wl.threads; t++)
		pthread_join(threads[t], NULL);
	return 0;
}

/* The break goes up, down and up again: what comes back must be zero. */
static void breaks(size_t nr_pages)
{
	struct wl_area a;
	uintptr_t now = (uintptr_t)sbrk(0);
	char *own;

	if (sbrk(-now % WL_PAGE) == (void *)-1)
		wl_die("sbrk to a page border");
	wl_area_new(&a, nr_pages);
	own = a.base;
	a.base = sbrk(nr_pages * WL_PAGE);
	if (a.base == (void *)-1)
		wl_die("sbrk of %zu pages", nr_pages);
	wl_check_zero(a.base, nr_pages);
	wl_fill(&a, 0, nr_pages, 1);
	wl_check_all(&a);
	if (sbrk(-(intptr_t)(nr_pages / 2 * WL_PAGE)) == (void *)-1)
		wl_die("sbrk down");
	wl_check(&a, 0, nr_pages - nr_pages / 2);
	if (sbrk(nr_pages / 2 * WL_PAGE) == (void *)-1)
		wl_die("sbrk up again");
	wl_check_zero(a.base + (nr_pages - nr_pages / 2) * WL_PAGE,
		      nr_pages / 2);
	wl_check(&a, 0, nr_pages - nr_pages / 2);
	if (sbrk(-(intptr_t)(nr_pages * WL_PAGE)) == (void *)-1)
		wl_die("sbrk back");
	a.base = own;
	wl_area_free(&a);
}

struct object {
	uint64_t *words;
	size_t n;
	uint64_t id;
};

/* From 64 bytes to 4 MiB, small ones far more often. */
static size_t object_words(uint64_t *random, size_t limit)
{
	unsigned shift = wl_random(random) % 17;
	size_t n = 8 + (wl_random(random) & ((8ul << shift) - 1));

	return n < limit ? n : limit;
}

static void churn(unsigned id, void *arg)
{
	size_t room = (wl.size_mib << 17) / wl.threads * 3 / 4;
	size_t used = 0, limit = room / 8;
	uint64_t random = id + 1, next = (uint64_t)(id + 1) << 44;
	struct object *objects = calloc(4096, sizeof(*objects));

	(void)arg;
	for (unsigned k = 0; k < 12000 * wl.rounds; k++) {
		struct object *o = &objects[wl_random(&random) % 4096];
		size_t n = object_words(&random, limit);

		if (o->words && k % 5 == 0 && used - o->n + n <= room) {
			size_t keep = n < o->n ? n : o->n;

			o->words = realloc(o->words, n * 8);
			if (!o->words)
				wl_die("realloc");
			words_check(o->words, keep, o->id, WL_SITE);
			used = used - o->n + n;
			o->n = n;
			o->id = next;
			words_fill(o->words, n, next);
			next += 4096;
			continue;
		}
		if (o->words) {
			words_check(o->words, o->n, o->id, WL_SITE);
			free(o->words);
			used -= o->n;
			o->words = NULL;
		}
		if (used + n > room)
			continue;
		*o = (struct object){ malloc(n * 8), n, next };
		if (!o->words)
			wl_die("malloc");
		words_fill(o->words, n, next);
		next += 4096;
		used += n;
		if (k % 4000 == 3999)
			malloc_trim(0);
	}
	for (unsigned k = 0; k < 4096; k++)
		if (objects[k].words) {
			words_check(objects[k].words, objects[k].n,
				    objects[k].id, WL_SITE);
			free(objects[k].words);
		}
	free(objects);
}

int wl_heap(void)
{
	breaks(wl_pages() / 2);
	wl_in_threads(wl.threads, churn, NULL);
	return 0;
}
