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

#ifdef SW_CHECKS
#define HELD_MAX 128

static __thread struct {
	const void *key;
	const char *name;
	enum sw_rank rank;
} held[HELD_MAX];

static __thread unsigned nr_held;

/* Aborts when taking `key` now would break the order of enum sw_rank. */
static void check_order(const void *key, const char *name, enum sw_rank rank)
{
	for (unsigned i = 0; i < nr_held; i++) {
		if (held[i].rank < rank)
			continue;
		fprintf(stderr,
			"spillway: lock order: taking %s (rank %d) while holding %s (rank %d)\n",
			name, rank, held[i].name, held[i].rank);
		abort();
	}
}

void sw_rank_acquire(const void *key, const char *name, enum sw_rank rank,
		     bool tried)
{
	if (!tried)
		check_order(key, name, rank);
	SW_BUG_ON(nr_held == HELD_MAX);
	held[nr_held].key = key;
	held[nr_held].name = name;
	held[nr_held].rank = rank;
	nr_held++;
}

void sw_rank_release(const void *key)
{
	for (unsigned i = nr_held; i-- > 0;) {
		if (held[i].key != key)
			continue;
		for (; i + 1 < nr_held; i++)
			held[i] = held[i + 1];
		nr_held--;
		return;
	}
	sw_bug(__FILE__, __LINE__,
	       "releasing a lock this thread does not hold");
}

bool sw_rank_held(const void *key)
{
	for (unsigned i = 0; i < nr_held; i++)
		if (held[i].key == key)
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

void sw_mutex_init(struct sw_mutex *l, const char *name, enum sw_rank rank)
{
	pthread_mutex_init(&l->m, NULL);
	l->name = name;
	l->rank = rank;
}

void sw_mutex_destroy(struct sw_mutex *l)
{
	pthread_mutex_destroy(&l->m);
}

void sw_mutex_lock(struct sw_mutex *l) SW_NO_TSA
{
	sw_rank_acquire(l, l->name, l->rank, false);
	pthread_mutex_lock(&l->m);
}

bool sw_mutex_trylock(struct sw_mutex *l) SW_NO_TSA
{
	if (pthread_mutex_trylock(&l->m))
		return false;
	sw_rank_acquire(l, l->name, l->rank, true);
	return true;
}

void sw_mutex_unlock(struct sw_mutex *l) SW_NO_TSA
{
	sw_rank_release(l);
	pthread_mutex_unlock(&l->m);
}

bool sw_mutex_wait(struct sw_mutex *l, pthread_cond_t *c, uint64_t timeout_ns)
{
	struct timespec t;
	int err;

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
