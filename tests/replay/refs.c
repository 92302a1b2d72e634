/*
 * refs.c - reference policies over a trace. Each of them brings in exactly the
 * page that is asked for.
 *
 * Above: replay.c, test_replay.c.
 */
#include "refs.h"

#include <stdlib.h>

#define NONE UINT32_MAX

static void *table(uint64_t nr, size_t size)
{
	void *p = calloc(nr ? nr : 1, size);

	if (!p)
		abort();
	return p;
}

/* ---- lists of pages, newest first ---- */

struct link {
	uint32_t prev, next;
};

struct list {
	uint32_t newest, oldest;
	uint32_t nr;
};

static void push(struct list *l, struct link *link, uint32_t page)
{
	link[page] = (struct link){ NONE, l->newest };
	if (l->newest != NONE)
		link[l->newest].prev = page;
	else
		l->oldest = page;
	l->newest = page;
	l->nr++;
}

static void drop(struct list *l, struct link *link, uint32_t page)
{
	struct link at = link[page];

	if (at.prev != NONE)
		link[at.prev].next = at.next;
	else
		l->newest = at.next;
	if (at.next != NONE)
		link[at.next].prev = at.prev;
	else
		l->oldest = at.prev;
	l->nr--;
}

/* ---- exact LRU ---- */

enum place {
	NEVER, /* not touched yet */
	IN,
	OUT,
};

uint64_t ref_lru(const struct trace *t, uint32_t budget)
{
	struct link *link = table(t->nr_pages, sizeof(*link));
	uint8_t *place = table(t->nr_pages, 1);
	struct list lru = { NONE, NONE, 0 };
	uint64_t swapins = 0;

	for (uint64_t i = 0; i < t->nr; i++) {
		uint32_t page = trace_page(t, i);

		swapins += place[page] == OUT && i >= t->start;
		if (place[page] == IN)
			drop(&lru, link, page);
		push(&lru, link, page);
		place[page] = IN;
		if (lru.nr <= budget)
			continue;
		page = lru.oldest;
		drop(&lru, link, page);
		place[page] = OUT;
	}
	free(link);
	free(place);
	return swapins;
}

/* ---- Belady ---- */

/* A heap, the farthest use on top. One that was made true meanwhile (the page
 * was used) is left in it and recognised by its page's own idea of `next`. */
struct use {
	uint64_t next;
	uint32_t page;
};

static void heap_up(struct use *h, uint64_t i)
{
	struct use u = h[i];

	for (; i && h[(i - 1) / 2].next < u.next; i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = u;
}

static void heap_down(struct use *h, uint64_t nr)
{
	struct use u = h[0];
	uint64_t i = 0, child;

	while ((child = 2 * i + 1) < nr) {
		if (child + 1 < nr && h[child + 1].next > h[child].next)
			child++;
		if (h[child].next <= u.next)
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = u;
}

/* For each access, when its page is used again; never: beyond the end. */
static uint64_t *next_uses(const struct trace *t)
{
	uint64_t *next = table(t->nr, sizeof(*next));
	uint64_t *seen = table(t->nr_pages, sizeof(*seen));

	for (uint32_t page = 0; page < t->nr_pages; page++)
		seen[page] = t->nr + page;
	for (uint64_t i = t->nr; i-- > 0;) {
		next[i] = seen[trace_page(t, i)];
		seen[trace_page(t, i)] = i;
	}
	free(seen);
	return next;
}

uint64_t ref_min(const struct trace *t, uint32_t budget)
{
	uint64_t *next = next_uses(t), *due = table(t->nr_pages, sizeof(*due));
	struct use *heap = table(t->nr + 1, sizeof(*heap));
	uint8_t *place = table(t->nr_pages, 1);
	uint64_t swapins = 0, nr_heap = 0;
	uint32_t nr_in = 0;

	for (uint64_t i = 0; i < t->nr; i++) {
		uint32_t page = trace_page(t, i);

		swapins += place[page] == OUT && i >= t->start;
		nr_in += place[page] != IN;
		while (nr_in > budget) {
			struct use u = heap[0];

			heap[0] = heap[--nr_heap];
			heap_down(heap, nr_heap);
			if (place[u.page] != IN || due[u.page] != u.next)
				continue;
			place[u.page] = OUT;
			nr_in--;
		}
		place[page] = IN;
		due[page] = next[i];
		heap[nr_heap] = (struct use){ next[i], page };
		heap_up(heap, nr_heap++);
	}
	free(next);
	free(due);
	free(heap);
	free(place);
	return swapins;
}

/* ---- the kernel ---- */

struct kernel {
	struct link *link;
	struct list active, inactive;
	uint8_t *place; /* enum kernel_place */
	bool *accessed, *referenced;
	uint64_t *shadow; /* of an OUT page: age at its eviction */
	uint64_t age;     /* evictions and activations */
};

enum kernel_place {
	K_NEVER,
	K_OUT,
	K_INACTIVE,
	K_ACTIVE,
};

#define BATCH 32 /* pages a reclaim is after */

static void activate(struct kernel *k, uint32_t page)
{
	k->place[page] = K_ACTIVE;
	push(&k->active, k->link, page);
	k->age++;
}

static void deactivate(struct kernel *k, uint32_t page)
{
	k->place[page] = K_INACTIVE;
	push(&k->inactive, k->link, page);
}

/* Below a gigabyte the two lists are to be of the same length. */
static void age_active(struct kernel *k)
{
	for (unsigned n = 0; n < BATCH && k->active.nr; n++) {
		uint32_t page = k->active.oldest;

		if (k->inactive.nr >= k->active.nr)
			return;
		drop(&k->active, k->link, page);
		k->accessed[page] = k->referenced[page] = false;
		deactivate(k, page);
	}
}

/* Looks at the oldest inactive page; true when it went. */
static bool shrink(struct kernel *k)
{
	uint32_t page = k->inactive.oldest;

	drop(&k->inactive, k->link, page);
	if (!k->accessed[page]) {
		k->place[page] = K_OUT;
		k->shadow[page] = k->age++;
		return true;
	}
	k->accessed[page] = false;
	if (k->referenced[page]) {
		activate(k, page);
	} else {
		k->referenced[page] = true;
		push(&k->inactive, k->link, page);
	}
	return false;
}

static void reclaim(struct kernel *k)
{
	for (unsigned freed = 0; freed < BATCH;) {
		age_active(k);
		if (!k->inactive.nr)
			return;
		freed += shrink(k);
	}
}

static void bring(struct kernel *k, uint32_t page)
{
	bool soon = k->place[page] == K_OUT &&
		    k->age - k->shadow[page] <= k->active.nr;

	k->referenced[page] = false;
	if (soon)
		activate(k, page);
	else
		deactivate(k, page);
}

uint64_t ref_kernel(const struct trace *t, uint32_t budget)
{
	struct kernel k = {
		.link = table(t->nr_pages, sizeof(struct link)),
		.active = { NONE, NONE, 0 },
		.inactive = { NONE, NONE, 0 },
		.place = table(t->nr_pages, 1),
		.accessed = table(t->nr_pages, sizeof(bool)),
		.referenced = table(t->nr_pages, sizeof(bool)),
		.shadow = table(t->nr_pages, sizeof(uint64_t)),
	};
	uint64_t swapins = 0;

	for (uint64_t i = 0; i < t->nr; i++) {
		uint32_t page = trace_page(t, i);

		swapins += k.place[page] == K_OUT && i >= t->start;
		if (k.place[page] <= K_OUT) {
			if (k.active.nr + k.inactive.nr >= budget)
				reclaim(&k);
			bring(&k, page);
		}
		k.accessed[page] = true;
	}
	free(k.link);
	free(k.place);
	free(k.accessed);
	free(k.referenced);
	free(k.shadow);
	return swapins;
}
