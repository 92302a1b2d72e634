/*
 * lock.c - the mutexes of lock.h and the run-time rank checker. Each thread
 * keeps a small stack of what it holds; taking a lock compares with the top
 * ranks only, so the cost in checked builds is a few instructions.
 */
#include "base/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/sched.h"

#ifdef SW_CHECKS
#define HELD_MAX 128

void (*sw_sched_hook)(const char *what);

struct sw_held {
	struct {
		const void *key;
		const char *name;
		enum sw_rank rank;
	} lock[HELD_MAX];

	unsigned nr;
};

static __thread struct sw_held own, *held_elsewhere;

static struct sw_held *held_locks(void)
{
	return sw_unlikely(held_elsewhere) ? held_elsewhere : &own;
}

struct sw_held *sw_rank_held_new(void)
{
	return calloc(1, sizeof(struct sw_held));
}

void sw_rank_held_use(struct sw_held *held)
{
	held_elsewhere = held;
}

/* Aborts when taking `key` now would break the order of enum sw_rank. */
static void check_order(const struct sw_held *held, const char *name,
			enum sw_rank rank)
{
	for (unsigned i = 0; i < held->nr; i++) {
		if (held->lock[i].rank < rank)
			continue;
		fprintf(stderr,
			"spillway: lock order: taking %s (rank %d) while holding %s (rank %d)\n",
			name, rank, held->lock[i].name, held->lock[i].rank);
		abort();
	}
}

void sw_rank_acquire(const void *key, const char *name, enum sw_rank rank,
		     bool tried)
{
	struct sw_held *held = held_locks();

	if (!tried)
		check_order(held, name, rank);
	SW_BUG_ON(held->nr == HELD_MAX);
	held->lock[held->nr].key = key;
	held->lock[held->nr].name = name;
	held->lock[held->nr].rank = rank;
	held->nr++;
}

void sw_rank_release(const void *key)
{
	struct sw_held *held = held_locks();

	for (unsigned i = held->nr; i-- > 0;) {
		if (held->lock[i].key != key)
			continue;
		for (; i + 1 < held->nr; i++)
			held->lock[i] = held->lock[i + 1];
		held->nr--;
		return;
	}
	sw_bug(__FILE__, __LINE__,
	       "releasing a lock this thread does not hold");
}

bool sw_rank_held(const void *key)
{
	const struct sw_held *held = held_locks();

	for (unsigned i = 0; i < held->nr; i++)
		if (held->lock[i].key == key)
			return true;
	return false;
}
#else
void sw_rank_acquire(const void *key, const char *name, enum sw_rank rank,
		     bool tried)
{
	(void)key, (void)name, (void)rank, (void)tried;
}

void sw_rank_release(const void *key)
{
	(void)key;
}

bool sw_rank_held(const void *key)
{
	(void)key;
	return true;
}
#endif

/* Nothing long happens under our locks, and to sleep and be woken takes longer
 * than most of it: a waiter looks again for a few microseconds first. */
void sw_mutex_init(struct sw_mutex *l, const char *name, enum sw_rank rank)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&l->m, &attr);
	pthread_mutexattr_destroy(&attr);
	l->name = name;
	l->rank = rank;
}

void sw_mutex_destroy(struct sw_mutex *l)
{
	pthread_mutex_destroy(&l->m);
}

void sw_mutex_lock(struct sw_mutex *l) SW_NO_TSA
{
	sw_sched_point(l->name);
	sw_rank_acquire(l, l->name, l->rank, false);
#ifdef SW_CHECKS
	/* Whoever decides about schedules does so about waking up. */
	if (sw_unlikely(sw_sched_hook)) {
		while (pthread_mutex_trylock(&l->m))
			sw_sched_wait();
		return;
	}
#endif
	pthread_mutex_lock(&l->m);
}

bool sw_mutex_trylock(struct sw_mutex *l) SW_NO_TSA
{
	sw_sched_point(l->name);
	if (pthread_mutex_trylock(&l->m))
		return false;
	sw_rank_acquire(l, l->name, l->rank, true);
	return true;
}

void sw_mutex_unlock(struct sw_mutex *l) SW_NO_TSA
{
	sw_sched_point("unlock");
	sw_rank_release(l);
	pthread_mutex_unlock(&l->m);
}

bool sw_mutex_wait(struct sw_mutex *l, pthread_cond_t *c, uint64_t timeout_ns)
{
	struct timespec t;
	int err;

#ifdef SW_CHECKS
	if (sw_unlikely(sw_sched_hook)) {
		sw_mutex_unlock(l);
		sw_sched_wait();
		sw_mutex_lock(l);
		return true;
	}
#endif
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += timeout_ns / 1000000000;
	t.tv_nsec += timeout_ns % 1000000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	sw_rank_release(l);
	err = pthread_cond_timedwait(c, &l->m, &t);
	sw_rank_acquire(l, l->name, l->rank, true);
	return err != ETIMEDOUT;
}

void sw_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "spillway: BUG at %s:%d: %s\n", file, line, what);
	abort();
}
