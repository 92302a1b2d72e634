/*
 * stress_swap.c - threads that swap out, fault, fork, zap and switch devices
 * off and on over a small world, so that they meet all the time. Every page
 * is one number: what comes back must be what went out. Between rounds all
 * threads stop and every invariant is walked, the number of owners included.
 *
 *      stress_swap [seed [seconds [threads]]]
 *
 * A window of four cells has one lock, the page-table lock of this world. The
 * store is plain memory: ThreadSanitizer sees whether the swap cache really
 * keeps readers and writers of a slot apart.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "swap/cluster.h"
#include "swap/swap.h"

#define WINDOWS     48u
#define CELLS       4u /* a window */
#define DEVICES     2u
#define SLOTS       (8 * SWAPFILE_CLUSTER < 256 ? 8 * SWAPFILE_CLUSTER : 256)
#define MAX_THREADS 16u
#define GROUPS      3u

enum state {
	EMPTY,
	PRESENT,
	BUSY,
	SWAPPED
};

static struct window {
	struct sw_mutex lock; /* SW_RANK_SPACE */

	struct {
		enum state state;
		uint64_t value; /* PRESENT: the page; else what must return */
		swp_entry_t entry;
	} cell[CELLS];
} windows[WINDOWS];

static uint64_t store[DEVICES][SLOTS]; /* the bytes of each slot */
static uint64_t seed;
static unsigned nr_threads = 4;
static bool stop; /* [atomic] */
static pthread_barrier_t barrier;
static uint64_t done_ops; /* [atomic] */
static uint64_t hooked;   /* [atomic] */

static __thread uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static void slot_free(void *arg, uint64_t offset, unsigned nr)
{
	uint64_t *slots = arg;

	for (unsigned i = 0; i < nr; i++)
		slots[offset + i] = 0xdead;
}

static const struct swap_ops ops = { .slot_free = slot_free };

static void release(struct folio *folio)
{
	free(folio->data);
}

static void on_reclaim(struct folio *folio)
{
	SW_BUG_ON(!folio_is_locked(folio));
	__atomic_fetch_add(&hooked, 1, __ATOMIC_RELAXED);
}

static swp_entry_t nth(swp_entry_t e, unsigned i)
{
	return (swp_entry_t){ e.val + i };
}

static struct window *any_window(void)
{
	return &windows[rnd(WINDOWS)];
}

/* First touch. */
static void touch(struct window *w)
{
	sw_mutex_lock(&w->lock);
	for (unsigned i = 0; i < CELLS; i++)
		if (w->cell[i].state == EMPTY) {
			w->cell[i].state = PRESENT;
			w->cell[i].value = rng;
		}
	sw_mutex_unlock(&w->lock);
}

/* Takes `nr` present cells out of the window; false if they are not. */
static bool isolate(struct window *w, unsigned first, unsigned nr,
		    uint64_t *data)
{
	bool ok = true;

	sw_mutex_lock(&w->lock);
	for (unsigned i = first; i < first + nr; i++)
		ok &= w->cell[i].state == PRESENT;
	for (unsigned i = first; ok && i < first + nr; i++) {
		w->cell[i].state = BUSY;
		data[i - first] = w->cell[i].value;
	}
	sw_mutex_unlock(&w->lock);
	return ok;
}

static void swap_out(struct window *w)
{
	unsigned order = rnd(3), nr = 1u << order;
	unsigned first = rnd(CELLS / nr) * nr;
	uint64_t *data = malloc(nr * sizeof(*data));
	struct folio *folio;
	bool ok;

	if (!isolate(w, first, nr, data)) {
		free(data);
		return;
	}
	folio = folio_alloc(order);
	SW_BUG_ON(!folio);
	folio->data = data;
	folio_lock(folio);
	folio_set(folio, SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	ok = folio_alloc_swap(folio, rnd(GROUPS)) == 0;

	sw_mutex_lock(&w->lock);
	ok = ok && folio_dup_swap(folio, -1) == 0;
	for (unsigned i = 0; i < nr; i++) {
		w->cell[first + i].state = ok ? SWAPPED : PRESENT;
		if (ok)
			w->cell[first + i].entry = nth(folio->swap, i);
	}
	sw_mutex_unlock(&w->lock);

	if (ok && rnd(4)) {
		folio_set(folio, SW_FOLIO_WRITEBACK);
		memcpy(&store[swp_type(folio->swap)][swp_offset(folio->swap)],
		       data, nr * sizeof(*data));
		folio_clear(folio, SW_FOLIO_WRITEBACK | SW_FOLIO_DIRTY);
		if (rnd(3))
			swap_cache_del_folio(folio, rnd(1000));
	}
	folio_unlock(folio);
	folio_put(folio);
}

/* The folio over `e`, locked, uptodate and referenced; NULL: try again. */
static struct folio *get_page(swp_entry_t e)
{
	struct folio *folio = swap_cache_get_folio(e);
	uint64_t shadow;
	bool zero;
	int err;

	if (folio) {
		folio_lock(folio);
		if (folio_matches_swap_entry(folio, e)) {
			SW_BUG_ON(!folio_test(folio, SW_FOLIO_UPTODATE));
			return folio;
		}
		folio_unlock(folio);
		folio_put(folio);
		return NULL;
	}
	folio = swap_cache_alloc_folio(e, rnd(2) ? 1 : 7, &shadow, &zero, &err);
	if (!folio)
		return NULL;
	folio->data = malloc(sizeof(uint64_t) * folio_nr(folio));
	memcpy(folio->data,
	       &store[swp_type(folio->swap)][swp_offset(folio->swap)],
	       sizeof(uint64_t) * folio_nr(folio));
	folio_set(folio, SW_FOLIO_UPTODATE);
	return folio;
}

/* A folio a page in place of a locked large one. */
static void split(struct folio *folio)
{
	struct folio *parts[4];

	for (unsigned i = 0; i < folio_nr(folio); i++) {
		parts[i] = folio_alloc(0);
		SW_BUG_ON(!parts[i] || !folio_trylock(parts[i]));
		parts[i]->data = malloc(sizeof(uint64_t));
		memcpy(parts[i]->data, (uint64_t *)folio->data + i,
		       sizeof(uint64_t));
		folio_set(parts[i], SW_FOLIO_UPTODATE);
		if (folio_test(folio, SW_FOLIO_DIRTY))
			folio_set(parts[i], SW_FOLIO_DIRTY);
	}
	swap_cache_split_folio(folio, parts, folio_nr(folio));
	for (unsigned i = 0; i < folio_nr(folio); i++) {
		folio_unlock(parts[i]);
		folio_put(parts[i]);
	}
}

static void fault(struct window *w, unsigned i)
{
	struct swap_info_struct *si;
	struct folio *folio;
	swp_entry_t e;
	bool swapped;

	for (;;) {
		sw_mutex_lock(&w->lock);
		swapped = w->cell[i].state == SWAPPED;
		e = w->cell[i].entry;
		sw_mutex_unlock(&w->lock);
		if (!swapped)
			return;
		si = get_swap_device(e);
		if (!si)
			continue;
		folio = get_page(e);
		if (folio)
			break;
		put_swap_device(si);
	}
	sw_mutex_lock(&w->lock);
	if (w->cell[i].state == SWAPPED && w->cell[i].entry.val == e.val) {
		unsigned page = e.val - folio->swap.val;

		SW_BUG_ON(w->cell[i].value != ((uint64_t *)folio->data)[page]);
		w->cell[i].state = PRESENT;
		folio_put_swap(folio, page);
	}
	sw_mutex_unlock(&w->lock);
	if (folio->order && !rnd(3)) {
		split(folio);
		goto out;
	}
	/* Some keep a good copy in the slot, some of these mapped. */
	if (rnd(2))
		folio_free_swap(folio);
	else if (rnd(2))
		folio_set(folio, SW_FOLIO_MAPPED);
out:
	folio_unlock(folio);
	folio_put(folio);
	put_swap_device(si);
}

static void zap(struct window *w)
{
	sw_mutex_lock(&w->lock);
	for (unsigned i = 0; i < CELLS;) {
		unsigned n = 1;

		if (w->cell[i].state == PRESENT)
			w->cell[i].state = EMPTY;
		if (w->cell[i].state != SWAPPED) {
			i++;
			continue;
		}
		while (i + n < CELLS && w->cell[i + n].state == SWAPPED &&
		       w->cell[i + n].entry.val == w->cell[i].entry.val + n)
			n++;
		swap_put_entries_direct(w->cell[i].entry, n);
		while (n--)
			w->cell[i++].state = EMPTY;
	}
	sw_mutex_unlock(&w->lock);
}

static void fork_window(struct window *a, struct window *b)
{
	swp_entry_t retry = { 0 };

	if (a == b)
		return;
	sw_mutex_lock(&a->lock);
	if (!sw_mutex_trylock(&b->lock)) {
		sw_mutex_unlock(&a->lock);
		return;
	}
	for (unsigned i = 0; i < CELLS && !retry.val; i++) {
		if (b->cell[i].state > PRESENT || a->cell[i].state == BUSY)
			continue;
		if (a->cell[i].state == SWAPPED &&
		    swap_dup_entry_direct(a->cell[i].entry)) {
			retry = a->cell[i].entry;
			continue;
		}
		b->cell[i] = a->cell[i];
	}
	sw_mutex_unlock(&b->lock);
	sw_mutex_unlock(&a->lock);
	if (retry.val && swap_retry_table_alloc(retry))
		abort();
}

/* Looks that may find anything, but must not fall over. */
static void look(void)
{
	swp_entry_t e = swp_entry(rnd(DEVICES), rnd(SLOTS));
	struct swap_info_struct *si = get_swap_device(e);
	struct folio *folio;

	if (!si)
		return;
	folio = swap_cache_get_folio(e);
	if (folio) {
		if (folio_trylock(folio)) {
			if (folio_matches_swap_entry(folio, e))
				folio_maybe_swapped(folio);
			if (!rnd(4))
				folio_free_swap(folio);
			folio_unlock(folio);
		}
		folio_put(folio);
	}
	swap_cache_get_shadow(e);
	swp_swapcount(e);
	swap_zeromap_test(e);
	put_swap_device(si);
}

static int unuse(void *arg, unsigned type)
{
	if (!rnd(4))
		return -EINTR;
	for (unsigned i = 0; i < WINDOWS * CELLS; i++) {
		struct window *w = &windows[i / CELLS];
		bool ours;

		sw_mutex_lock(&w->lock);
		ours = w->cell[i % CELLS].state == SWAPPED &&
		       swp_type(w->cell[i % CELLS].entry) == type;
		sw_mutex_unlock(&w->lock);
		if (ours)
			fault(w, i % CELLS);
	}
	return 0;
}

static void device_on(void)
{
	struct swapon_spec spec = {
		.name = "stress",
		.ops = &ops,
		.max = SLOTS - rnd(20),
		.prio = rnd(2),
		.flags = rnd(4) ? SWP_SOLIDSTATE : 0,
	};

	/* The store is the slots of the type it will get: one of them is
	 * free, and we are the only thread that switches. */
	for (unsigned d = 0; d < DEVICES; d++) {
		struct sw_swap_device_info info;

		if (swap_device_info(d, &info))
			continue;
		spec.store = store[d];
		SW_BUG_ON(swapon(&spec) != (int)d);
		return;
	}
}

static void check_round(void);

static void *thread_main(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	rng = (seed + me + 1) * 0x9e3779b97f4a7c15ULL | 1;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < 3000; i++) {
			struct window *w = any_window();

			switch (rnd(12)) {
			case 0:
			case 1:
				touch(w);
				break;
			case 2:
			case 3:
			case 4:
				swap_out(w);
				break;
			case 5:
			case 6:
			case 7:
				fault(w, rnd(CELLS));
				break;
			case 8:
				fork_window(w, any_window());
				break;
			case 9:
				if (!rnd(3))
					zap(w);
				break;
			case 10:
				look();
				break;
			default:
				if (me || rnd(100))
					break;
				if (swapoff(rnd(DEVICES), unuse, NULL) == 0)
					device_on();
			}
		}
		__atomic_fetch_add(&done_ops, 3000, __ATOMIC_RELAXED);
		pthread_barrier_wait(&barrier);
		if (me == 0)
			check_round();
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static unsigned owners(void *arg, swp_entry_t e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WINDOWS * CELLS; i++) {
		struct window *w = &windows[i / CELLS];

		n += w->cell[i % CELLS].state == SWAPPED &&
		     w->cell[i % CELLS].entry.val == e.val;
	}
	return n;
}

static uint64_t t_end;

static void check_round(void)
{
	SW_BUG_ON(swap_check(owners, NULL));
	if (sw_now_ns() > t_end)
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	pthread_t th[MAX_THREADS];

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : sw_now_ns();
	if (argc > 3)
		nr_threads = sw_min((unsigned)atoi(argv[3]), MAX_THREADS);
	printf("stress: seed %" PRIu64 ", %u threads, clusters of %u\n", seed,
	       nr_threads, SWAPFILE_CLUSTER);
	fflush(stdout);
	rng = seed | 1;
	t_end = sw_now_ns() + (uint64_t)(seconds * 1e9);
	SW_BUG_ON(folio_pool_init(8192, release) || swap_init());
	swap_set_reclaim_hook(on_reclaim);
	for (unsigned i = 0; i < WINDOWS; i++)
		sw_mutex_init(&windows[i].lock, "window", SW_RANK_SPACE);
	for (unsigned d = 0; d < DEVICES; d++)
		device_on();
	pthread_barrier_init(&barrier, NULL, nr_threads);
	for (uintptr_t i = 0; i < nr_threads; i++)
		SW_BUG_ON(pthread_create(&th[i], NULL, thread_main, (void *)i));
	for (unsigned i = 0; i < nr_threads; i++)
		pthread_join(th[i], NULL);

	for (unsigned i = 0; i < WINDOWS; i++)
		zap(&windows[i]);
	for (unsigned d = 0; d < DEVICES; d++)
		SW_BUG_ON(swapoff(d, NULL, NULL));
	SW_BUG_ON(folio_pool_in_use());
	swap_exit();
	printf("stress: %" PRIu64 " operations, %" PRIu64
	       " folios taken back from programs\n",
	       done_ops, hooked);
	return 0;
}
