/*
 * spin.h - a lock of four bytes for critical sections of a microsecond that
 * never sleep, where a mutex of 56 bytes a cluster would cost more than what
 * it guards. Taking it is one exchange, releasing it one plain store: half
 * the price of a lock that must look for sleepers. A waiter spins a little,
 * then yields, then naps, so a holder that lost its CPU gets it back.
 *
 * Rank-checked like sw_mutex; the name and the rank come with each call
 * because four bytes cannot hold them.
 */
#ifndef SW_SPIN_H
#define SW_SPIN_H

#include "base/lock.h"
#include "base/sched.h"

struct SW_CAPABILITY("mutex") sw_spinlock {
	uint8_t v; /* [atomic] 1: held */
};

/* Waits for `l` to look free. */
void sw_spin_wait(struct sw_spinlock *l);

static inline void sw_spin_init(struct sw_spinlock *l)
{
	__atomic_store_n(&l->v, 0, __ATOMIC_RELAXED);
}

static inline void sw_spin_lock(struct sw_spinlock *l, const char *name,
				enum sw_rank rank) SW_ACQUIRES(l) SW_NO_TSA
{
	sw_sched_point(name);
#ifdef SW_CHECKS
	sw_rank_acquire(l, name, rank, false);
#else
	(void)name, (void)rank;
#endif
	/* Pairs with the release in sw_spin_unlock(). */
	while (sw_unlikely(__atomic_exchange_n(&l->v, 1, __ATOMIC_ACQUIRE)))
		sw_spin_wait(l);
}

static inline bool sw_spin_trylock(struct sw_spinlock *l, const char *name,
				   enum sw_rank rank)
	SW_TRY_ACQUIRES(true, l) SW_NO_TSA
{
	sw_sched_point(name);
	if (__atomic_load_n(&l->v, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&l->v, 1, __ATOMIC_ACQUIRE))
		return false;
#ifdef SW_CHECKS
	sw_rank_acquire(l, name, rank, true);
#else
	(void)name, (void)rank;
#endif
	return true;
}

static inline void sw_spin_unlock(struct sw_spinlock *l)
	SW_RELEASES(l) SW_NO_TSA
{
	sw_sched_point("unlock");
#ifdef SW_CHECKS
	sw_rank_release(l);
#endif
	__atomic_store_n(&l->v, 0, __ATOMIC_RELEASE);
}

#if defined(__clang__)
#define SW_ASSERTS_HELD(l) __attribute__((assert_capability(l)))
#else
#define SW_ASSERTS_HELD(l)
#endif

/* To clang's analysis the lock is held from here on: one statement at the top
 * of a function says what an attribute at each declaration would. */
static inline void sw_assert_spin_held(const struct sw_spinlock *l)
	SW_ASSERTS_HELD(l)
{
	SW_ASSERT(sw_rank_held(l));
}

#endif
