/*
 * lock.h - mutexes that know their place. The rank enum below IS the lock
 * order of the project: a thread may take a lock only if every lock it holds
 * has a smaller rank (equal ranks never).
 * Checked builds verify this at run time and abort with both names; clang
 * verifies the contracts on functions at compile time (`make tsa`).
 * A trylock that fails is no order violation and one that succeeds is not
 * checked against the order, since it cannot wait.
 */
#ifndef SW_LOCK_H
#define SW_LOCK_H

#include <pthread.h>

#include "base/base.h"

/* Outermost first. A folio lock sleeps and is not a mutex; it has a rank so
 * that the checker sees it. */
enum sw_rank {
	SW_RANK_NONE = 0,
	SW_RANK_INSTANCES, /* of the library: who comes and goes */
	SW_RANK_STEERING,  /* of a session: what it is told to be */
	SW_RANK_SESSION,
	SW_RANK_SWAPON,         /* swapon_mutex */
	SW_RANK_FOLIO,          /* folio lock; further ones by trylock */
	SW_RANK_SPACE,          /* address space: its regions and page table */
	SW_RANK_SPACES,         /* the list of address spaces */
	SW_RANK_PERCPU,         /* percpu_swap_cluster */
	SW_RANK_GLOBAL_CLUSTER, /* si->global_cluster_lock */
	SW_RANK_CLUSTER,        /* ci->lock */
	SW_RANK_SWAP,           /* swap_lock */
	SW_RANK_DEVICE,         /* si->lock */
	SW_RANK_AVAIL,          /* swap_avail_lock */
	SW_RANK_GROUP,          /* budget-group counters */
	SW_RANK_STORE,          /* a store's own locks */
	SW_RANK_POOL,           /* folio pool, object pools */
	SW_RANK_LEAF,           /* logging, statistics: takes nothing */
};

#if defined(__clang__)
#define SW_CAPABILITY(x) __attribute__((capability(x)))
#define SW_ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define SW_RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define SW_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define SW_TRY_ACQUIRES(...) \
	__attribute__((try_acquire_capability(__VA_ARGS__)))
#define SW_NO_TSA __attribute__((no_thread_safety_analysis))
#else
#define SW_CAPABILITY(x)
#define SW_ACQUIRES(...)
#define SW_RELEASES(...)
#define SW_REQUIRES(...)
#define SW_TRY_ACQUIRES(...)
#define SW_NO_TSA
#endif
/* Late-parsed attributes on fields need clang 22; nothing below it. */
#if defined(__clang__) && __clang_major__ >= 22
#define SW_GUARDED_BY(x) __attribute__((guarded_by(x)))
#else
#define SW_GUARDED_BY(x)
#endif

struct SW_CAPABILITY("mutex") sw_mutex {
	pthread_mutex_t m;
	const char *name;  /* [const] for messages */
	enum sw_rank rank; /* [const] */
};

#define SW_MUTEX_INIT(name_, rank_)                              \
	{                                                        \
		.m = PTHREAD_MUTEX_INITIALIZER, .name = (name_), \
		.rank = (rank_)                                  \
	}

void sw_mutex_init(struct sw_mutex *l, const char *name, enum sw_rank rank);
void sw_mutex_destroy(struct sw_mutex *l);
void sw_mutex_lock(struct sw_mutex *l) SW_ACQUIRES(l);
bool sw_mutex_trylock(struct sw_mutex *l) SW_TRY_ACQUIRES(true, l);
void sw_mutex_unlock(struct sw_mutex *l) SW_RELEASES(l);

/* Waits on `c`, giving up `l` meanwhile; false when `timeout_ns` passed. */
bool sw_mutex_wait(struct sw_mutex *l, pthread_cond_t *c, uint64_t timeout_ns)
	SW_REQUIRES(l);

/*
 * The run-time checker's view, for locks that are no sw_mutex (the folio
 * lock). `key` names the lock. No-ops in unchecked builds.
 */
void sw_rank_acquire(const void *key, const char *name, enum sw_rank rank,
		     bool tried);
void sw_rank_release(const void *key);
bool sw_rank_held(const void *key); /* unchecked builds: always true */

#ifdef SW_CHECKS
/*
 * What a thread holds, as the checker sees it. A test that does the work of
 * several threads in one gives each a list of its own; NULL: the thread's.
 */
struct sw_held *sw_rank_held_new(void);
void sw_rank_held_use(struct sw_held *held);
#endif

static inline void sw_assert_held(const struct sw_mutex *l) SW_REQUIRES(l)
{
	SW_ASSERT(sw_rank_held(l));
}

#endif
