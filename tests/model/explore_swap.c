/*
 * explore_swap.c - two to four virtual threads under a scheduler of our own,
 * which may switch at every lock, lockless read and allocation of the swap
 * layer. Each scenario is one of the races the design has an answer to. It is
 * run under every schedule with at most two preemptions (up to a limit), then
 * under random ones. A failure prints the schedule; the same arguments run it
 * again:
 *
 *      explore_swap                           all scenarios
 *      explore_swap SCENARIO CHOICES          one schedule again
 *
 * A schedule is a string of letters, one for each switching point: "." goes
 * on, "a" to "d" names the thread that runs instead.
 *
 * Virtual threads are real ones of which one runs at a time; a thread that
 * waits gives the turn away. What would block in the kernel (a grace period,
 * a mutex) is not part of the scenarios.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "swap/cluster.h"
#include "swap/swap_mem.h"

#ifndef SW_CHECKS
int main(void)
{
	return 77; /* no switching points in unchecked builds */
}
#else

#define CL          SWAPFILE_CLUSTER
#define MAX_VT      4
#define MAX_POINTS  4000
#define MAX_WAITS   20000
#define PREEMPTIONS 2

struct scenario {
	const char *name;
	unsigned nr;                /* virtual threads */
	void (*setup)(void);        /* before, alone */
	void (*body[MAX_VT])(void); /* together */
	void (*finish)(void);       /* after, alone: expectations */
};

static const struct scenario *scenario;
static int type; /* the device */

/* ---- the scheduler ---- */

static struct {
	pthread_t thread;
	sem_t turn;
	bool done;
} vt[MAX_VT];

static sem_t all_done;
static __thread int me = -1;
static uint64_t rng;
static char plan[MAX_POINTS + 1];  /* what to do at point i; beyond: "." */
static char taken[MAX_POINTS + 1]; /* what was done */
static bool can_switch[MAX_POINTS];
static unsigned nr_points, waits;
static bool random_mode;

static void failed(const char *fmt, ...) SW_PRINTF(1, 2);

static void failed(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "explore: %s: ", scenario->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	taken[nr_points] = 0;
	fprintf(stderr, "\nexplore: again: explore_swap %s %s\n",
		scenario->name, taken);
	abort();
}

#define EXPECT(cond)                                            \
	do {                                                    \
		if (!(cond))                                    \
			failed("line %d: %s", __LINE__, #cond); \
	} while (0)

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

/* A thread that can run, other than `not`, the k-th counted from it; -1. */
static int runnable(int not, unsigned k)
{
	for (unsigned i = 1; i <= scenario->nr; i++) {
		unsigned t = (not +i) % scenario->nr;

		if ((int)t != not &&!vt[t].done && k-- == 0)
			return t;
	}
	return -1;
}

static unsigned nr_others(void)
{
	unsigned n = 0;

	while (runnable(me, n) >= 0)
		n++;
	return n;
}

static void run_instead(int t)
{
	sem_post(&vt[t].turn);
	while (sem_wait(&vt[me].turn))
		;
}

/* sw_sched_hook: the place `what` is about to be entered. */
static void point(const char *what)
{
	bool must = !strcmp(what, "wait");
	unsigned others;
	char c = '.';
	int t = -1;

	if (me < 0)
		return;
	others = nr_others();
	if (must) {
		if (++waits > MAX_WAITS)
			failed("nobody gets on");
		/* Who waits lets the others go on in turn. */
		if (others)
			run_instead(runnable(me, 0));
		return;
	}
	if (nr_points >= MAX_POINTS)
		return;
	can_switch[nr_points] = others > 0;
	if (others) {
		if (random_mode)
			t = rnd(4) ? -1 : runnable(me, rnd(others));
		else if (nr_points < strlen(plan) && plan[nr_points] != '.')
			t = plan[nr_points] - 'a';
		if (t == me || (t >= 0 && vt[t].done))
			t = -1;
		if (t >= 0)
			c = 'a' + t;
	}
	taken[nr_points++] = c;
	if (t >= 0)
		run_instead(t);
}

static void *vt_main(void *arg)
{
	int t;

	me = (uintptr_t)arg;
	swap_pretend_cpu(me % swap_nr_cpus);
	while (sem_wait(&vt[me].turn))
		;
	scenario->body[me]();
	vt[me].done = true;
	t = runnable(me, 0);
	if (t >= 0)
		sem_post(&vt[t].turn);
	else
		sem_post(&all_done);
	return NULL;
}

static const struct swap_ops no_ops;

static void run_once(void)
{
	struct swapon_spec spec = {
		.name = "explore",
		.ops = &no_ops,
		.max = 2 * CL,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
	};

	type = swapon(&spec);
	EXPECT(type >= 0);
	swap_pretend_cpu(0);
	scenario->setup();
	nr_points = waits = 0;
	for (uintptr_t i = 0; i < scenario->nr; i++) {
		vt[i].done = false;
		sem_init(&vt[i].turn, 0, 0);
		pthread_create(&vt[i].thread, NULL, vt_main, (void *)i);
	}
	sw_sched_hook = point;
	sem_post(&vt[0].turn);
	while (sem_wait(&all_done))
		;
	sw_sched_hook = NULL;
	for (unsigned i = 0; i < scenario->nr; i++)
		pthread_join(vt[i].thread, NULL);
	scenario->finish();
	EXPECT(swap_check(NULL, NULL) == 0);
	EXPECT(swap_usage_in_pages(&swap_info[type]) == 0);
	EXPECT(swapoff(type, NULL, NULL) == 0);
	EXPECT(folio_pool_in_use() == 0);
}

/* ---- helpers of the scenarios ---- */

static swp_entry_t slot, others_slot;
static unsigned got, lost;

static struct folio *new_folio(unsigned order)
{
	struct folio *folio = folio_alloc(order);

	EXPECT(folio);
	folio_lock(folio);
	folio_set(folio, SW_FOLIO_UPTODATE);
	return folio;
}

static swp_entry_t swapped_out(unsigned order)
{
	struct folio *folio = new_folio(order);
	swp_entry_t e;

	EXPECT(folio_alloc_swap(folio, 0) == 0);
	e = folio->swap;
	EXPECT(folio_dup_swap(folio, -1) == 0);
	swap_cache_del_folio(folio, 1);
	folio_unlock(folio);
	folio_put(folio);
	return e;
}

static void drop(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

static void nothing(void)
{
}

/* ---- two faults on one slot ---- */

static bool mapped_already; /* the owner cell; changed under the folio lock */

static void setup_faults(void)
{
	slot = swapped_out(0);
	mapped_already = false;
	got = lost = 0;
}

static void body_fault(void)
{
	for (;;) {
		struct folio *folio = swap_cache_get_folio(slot);
		int err;

		if (folio) {
			folio_lock(folio);
			if (!folio_matches_swap_entry(folio, slot)) {
				drop(folio);
				if (mapped_already)
					break;
				continue;
			}
		} else {
			folio = swap_cache_alloc_folio(slot, 1, NULL, NULL,
						       &err);
			if (!folio) {
				EXPECT(err == -EEXIST || err == -ENOENT);
				if (mapped_already)
					break;
				sw_sched_point("wait");
				continue;
			}
			got++;
		}
		if (!mapped_already) {
			folio_put_swap(folio, 0);
			mapped_already = true;
			EXPECT(folio_free_swap(folio));
		}
		drop(folio);
		break;
	}
}

static void finish_faults(void)
{
	EXPECT(mapped_already);
	EXPECT(got >= 1);
}

/* ---- insertion against the last put ---- */

static void body_insert_and_leave(void)
{
	int err;
	struct folio *folio = swap_cache_alloc_folio(slot, 1, NULL, NULL, &err);

	if (!folio) {
		EXPECT(err == -ENOENT || err == -EEXIST);
		return;
	}
	EXPECT(folio_matches_swap_entry(folio, slot));
	/* Nobody may have freed the slot under it. */
	EXPECT(swap_cache_has_folio(slot));
	swap_cache_del_folio(folio, 2);
	drop(folio);
}

static void body_put(void)
{
	swap_put_entries_direct(slot, 1);
}

static void setup_slot(void)
{
	slot = swapped_out(0);
}

/* ---- the slot is freed and taken by another in between ---- */

static void setup_only_slot(void)
{
	/* All but one slot taken: whoever frees it and takes one gets it. */
	setup_slot();
	others_slot = (swp_entry_t){ 0 };
	while (swap_usage_in_pages(&swap_info[type]) < swap_info[type].pages)
		swapped_out(0);
}

static void body_put_and_take(void)
{
	struct folio *folio;

	swap_put_entries_direct(slot, 1);
	folio = new_folio(0);
	if (folio_alloc_swap(folio, 0) == 0) {
		others_slot = folio->swap;
		EXPECT(folio_dup_swap(folio, 0) == 0);
		EXPECT(swp_swapcount(others_slot) == 1);
		swap_cache_del_folio(folio, 0);
	}
	drop(folio);
}

static void free_all(void)
{
	for (uint64_t o = 1; o < 2 * CL; o++)
		while (swp_swapcount(swp_entry(type, o)))
			swap_put_entries_direct(swp_entry(type, o), 1);
}

/* ---- counts around the extend table ---- */

static unsigned owners;

static void setup_nearly_overflown(void)
{
	setup_slot();
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX - 1; i++)
		EXPECT(swap_dup_entry_direct(slot) == 0);
	owners = SWP_TB_COUNT_MAX - 1;
}

static void body_dup(void)
{
	EXPECT(swap_dup_entry_direct(slot) == 0);
	owners++;
}

static void body_put_owner(void)
{
	/* The last owner stays: whoever dups needs one. */
	if (owners < 2)
		return;
	owners--;
	swap_put_entries_direct(slot, 1);
}

static void finish_counts(void)
{
	EXPECT(swp_swapcount(slot) == owners);
	EXPECT(swap_check(NULL, NULL) == 0);
	while (owners--)
		swap_put_entries_direct(slot, 1);
}

/* ---- the allocator reclaims while others free and take ---- */

static struct folio *cached[2 * CL];
static unsigned nr_cached;

static void setup_full_of_unowned(void)
{
	for (nr_cached = 0; nr_cached < 2 * CL - 1; nr_cached++) {
		cached[nr_cached] = new_folio(0);
		EXPECT(folio_alloc_swap(cached[nr_cached], 0) == 0);
		folio_unlock(cached[nr_cached]);
	}
	/* A hole in each cluster, so that they are scanned. */
	for (unsigned i = 3; i < nr_cached; i += CL) {
		folio_lock(cached[i]);
		EXPECT(folio_free_swap(cached[i]));
		folio_unlock(cached[i]);
	}
}

static void body_alloc_order_1(void)
{
	struct folio *folio = new_folio(1);
	int err = folio_alloc_swap(folio, 0);

	if (!err) {
		EXPECT(folio_dup_swap(folio, -1) == 0);
		EXPECT(swap_cache_has_folio(
			(swp_entry_t){ folio->swap.val + 1 }));
		folio_put_swap(folio, -1);
		EXPECT(folio_free_swap(folio));
	}
	drop(folio);
}

static void body_alloc_order_0(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct folio *folio = new_folio(0);

		if (!folio_alloc_swap(folio, 0)) {
			EXPECT(folio_dup_swap(folio, 0) == 0);
			EXPECT(swp_swapcount(folio->swap) == 1);
			folio_put_swap(folio, 0);
			EXPECT(folio_free_swap(folio));
		}
		drop(folio);
	}
}

static void body_free_cached(void)
{
	for (unsigned i = 0; i < nr_cached; i++) {
		if (!folio_trylock(cached[i]))
			continue;
		folio_free_swap(cached[i]);
		folio_unlock(cached[i]);
	}
}

static void finish_cached(void)
{
	body_free_cached();
	for (unsigned i = 0; i < nr_cached; i++)
		folio_put(cached[i]);
}

/* ---- the device fills up while slots are freed ---- */

static void body_take_last(void)
{
	struct folio *folio = new_folio(0);

	if (!folio_alloc_swap(folio, 0)) {
		EXPECT(folio_dup_swap(folio, 0) == 0);
		swap_cache_del_folio(folio, 0);
	}
	drop(folio);
}

static void finish_not_lost(void)
{
	struct folio *folio;

	EXPECT(swap_check(NULL, NULL) == 0);
	if (swap_usage_in_pages(&swap_info[type]) < swap_info[type].pages) {
		/* Room, so somebody gets it. */
		folio = new_folio(0);
		EXPECT(folio_alloc_swap(folio, 0) == 0);
		EXPECT(folio_free_swap(folio));
		drop(folio);
	}
	free_all();
}

/* ---- allocation against swapoff ---- */

static int unuse_looks_and_gives_up(void *arg, unsigned t)
{
	uint64_t used = swap_usage_in_pages(&swap_info[t]);

	for (unsigned i = 0; i < 50; i++) {
		sw_sched_point("wait");
		EXPECT(swap_usage_in_pages(&swap_info[t]) <= used);
	}
	return -EINTR;
}

static void body_swapoff(void)
{
	EXPECT(swapoff(type, unuse_looks_and_gives_up, NULL) == -EINTR);
}

static void body_take_two(void)
{
	body_take_last();
	body_take_last();
}

/* ---- direct put of a cached slot against the folio's owner ---- */

static struct folio *held;

static void setup_cached_owned(void)
{
	held = new_folio(0);
	EXPECT(folio_alloc_swap(held, 0) == 0);
	slot = held->swap;
	EXPECT(folio_dup_swap(held, 0) == 0);
	folio_unlock(held);
}

static void body_lock_and_free(void)
{
	folio_lock(held);
	if (folio_matches_swap_entry(held, slot))
		folio_free_swap(held);
	folio_unlock(held);
}

static void finish_held(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE))
		EXPECT(folio_free_swap(held));
	drop(held);
	held = NULL;
}

/* ---- lookups during a split ---- */

static void setup_large(void)
{
	held = new_folio(1);
	EXPECT(folio_alloc_swap(held, 0) == 0);
	slot = held->swap;
	folio_unlock(held);
}

static void body_split(void)
{
	struct folio *parts[2];

	nr_cached = 0;
	folio_lock(held);
	if (!folio_test(held, SW_FOLIO_SWAPCACHE)) {
		folio_unlock(held);
		return; /* reclaimed before */
	}
	for (unsigned i = 0; i < 2; i++) {
		parts[i] = folio_alloc(0);
		EXPECT(folio_trylock(parts[i]));
		folio_set(parts[i], SW_FOLIO_UPTODATE);
	}
	swap_cache_split_folio(held, parts, 2);
	folio_unlock(held);
	for (unsigned i = 0; i < 2; i++) {
		folio_unlock(parts[i]);
		cached[i] = parts[i];
	}
	nr_cached = 2;
}

static void body_lookup(void)
{
	for (unsigned i = 0; i < 4; i++) {
		swp_entry_t e = { slot.val + i % 2 };
		struct folio *folio = swap_cache_get_folio(e);

		/* Always the whole or a part. */
		EXPECT(folio);
		folio_lock(folio);
		if (folio_matches_swap_entry(folio, e))
			EXPECT(swap_cache_has_folio(e));
		else
			EXPECT(folio == held);
		drop(folio);
	}
}

static void body_reclaim_second(void)
{
	__try_to_reclaim_swap(&swap_info[type], swp_offset(slot) + 1,
			      TTRS_UNMAPPED);
}

static void finish_split(void)
{
	finish_cached();
	folio_put(held);
}

static const struct scenario scenarios[] = {
	{ "two-faults",
	  2,
	  setup_faults,
	  { body_fault, body_fault },
	  finish_faults },
	{ "three-faults",
	  3,
	  setup_faults,
	  { body_fault, body_fault, body_fault },
	  finish_faults },
	{ "insert-against-put",
	  2,
	  setup_slot,
	  { body_insert_and_leave, body_put },
	  nothing },
	{ "insert-against-reuse",
	  2,
	  setup_only_slot,
	  { body_insert_and_leave, body_put_and_take },
	  free_all },
	{ "dup-against-put",
	  2,
	  setup_nearly_overflown,
	  { body_dup, body_put_owner },
	  finish_counts },
	{ "dup-dup-put-put",
	  4,
	  setup_nearly_overflown,
	  { body_dup, body_dup, body_put_owner, body_put_owner },
	  finish_counts },
	{ "reclaim-against-free",
	  2,
	  setup_full_of_unowned,
	  { body_alloc_order_0, body_free_cached },
	  finish_cached },
	{ "reclaim-against-orders",
	  3,
	  setup_full_of_unowned,
	  { body_alloc_order_0, body_free_cached, body_alloc_order_1 },
	  finish_cached },
	{ "full-against-free",
	  2,
	  setup_only_slot,
	  { body_take_last, body_put },
	  finish_not_lost },
	{ "alloc-against-swapoff",
	  2,
	  setup_slot,
	  { body_take_two, body_swapoff },
	  finish_not_lost },
	{ "put-against-folio-lock",
	  2,
	  setup_cached_owned,
	  { body_put, body_lock_and_free },
	  finish_held },
	{ "lookup-against-split",
	  2,
	  setup_large,
	  { body_lookup, body_split },
	  finish_split },
	{ "reclaim-against-split",
	  2,
	  setup_large,
	  { body_reclaim_second, body_split },
	  finish_split },
};

/* ---- exploring ---- */

/* Every schedule that departs from `plan` after `from` by up to `left`
 * preemptions, depth first, until the time is up. */
static uint64_t explore(unsigned from, unsigned left, uint64_t until)
{
	char mine[MAX_POINTS + 1];
	unsigned n;
	uint64_t runs = 1;

	run_once();
	n = nr_points;
	memcpy(mine, taken, n);
	mine[n] = 0;
	if (!left)
		return runs;
	for (unsigned i = from; i < n && sw_now_ns() < until; i++) {
		for (unsigned t = 0; t < scenario->nr; t++) {
			memset(plan, '.', i);
			memcpy(plan, mine, i);
			plan[i] = 'a' + t;
			plan[i + 1] = 0;
			runs += explore(i + 1, left - 1, until);
		}
	}
	return runs;
}

int main(int argc, char **argv)
{
	unsigned done = 0;

	sem_init(&all_done, 0, 0);
	rng = 0x9e3779b97f4a7c15ULL;
	SW_BUG_ON(folio_pool_init(4096, NULL) || swap_init());
	swap_work_set_manual(true);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(scenarios); i++) {
		uint64_t systematic, t = sw_now_ns(), random = 0;

		scenario = &scenarios[i];
		if (argc > 1 && strcmp(argv[1], scenario->name))
			continue;
		done++;
		if (argc > 2) {
			snprintf(plan, sizeof(plan), "%s", argv[2]);
			run_once();
			printf("explore: %s: passed\n", scenario->name);
			continue;
		}
		random_mode = false;
		plan[0] = 0;
		systematic = explore(0, PREEMPTIONS, t + 1000000000);
		random_mode = true;
		t = sw_now_ns();
		while (sw_now_ns() < t + 500000000) {
			run_once();
			random++;
		}
		printf("explore: %-24s %6llu systematic, %6llu random schedules\n",
		       scenario->name, (unsigned long long)systematic,
		       (unsigned long long)random);
		fflush(stdout);
	}
	swap_exit();
	folio_pool_release();
	return done ? 0 : 1;
}
#endif
