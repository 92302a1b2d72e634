/*
 * swap_rcu.h - the RCU of the swap layer: swap tables are read without locks
 * and freed after a grace period. The "bulletproof" flavour, whose readers
 * register by themselves, because any thread of a program may fault.
 *
 * ThreadSanitizer does not see into liburcu; the two annotations tell it the
 * one thing RCU promises: a reader's section that began before a table was
 * unpublished ends before the table is freed.
 */
#ifndef SW_SWAP_RCU_H
#define SW_SWAP_RCU_H

/* Inlines the read side: functions of a few lines, free for any licence. */
#define _LGPL_SOURCE
#include <urcu/urcu-bp.h>

#include "base/sched.h"

#if defined(__SANITIZE_THREAD__)
#define SW_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SW_TSAN 1
#endif
#endif

#ifdef SW_TSAN
extern char swap_rcu_grace_period;
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#endif

#ifdef SW_CHECKS
/*
 * A test that decides who runs decides about grace periods too: a reader it
 * does not let run never leaves its section. NULL: liburcu does.
 */
struct swap_rcu_model {
	void (*read_lock)(void);
	void (*read_unlock)(void);
	void (*synchronize)(void);
	void (*call)(struct rcu_head *head, void (*fn)(struct rcu_head *));
	void (*barrier)(void);
};

extern const struct swap_rcu_model *swap_rcu_model;
#define SW_RCU_MODEL(call)                         \
	do {                                       \
		if (sw_unlikely(swap_rcu_model)) { \
			swap_rcu_model->call;      \
			return;                    \
		}                                  \
	} while (0)
#else
#define SW_RCU_MODEL(call) ((void)0)
#endif

static inline void swap_rcu_read_lock(void)
{
	sw_sched_point("rcu");
	SW_RCU_MODEL(read_lock());
	urcu_bp_read_lock();
}

static inline void swap_rcu_read_unlock(void)
{
	sw_sched_point("rcu unlock");
	SW_RCU_MODEL(read_unlock());
#ifdef SW_TSAN
	__tsan_release(&swap_rcu_grace_period);
#endif
	urcu_bp_read_unlock();
}

static inline void swap_rcu_synchronize(void)
{
	sw_sched_point("grace period");
	SW_RCU_MODEL(synchronize());
	urcu_bp_synchronize_rcu();
#ifdef SW_TSAN
	__tsan_acquire(&swap_rcu_grace_period);
#endif
}

/* What `head` lies in is unpublished; `fn` runs after a grace period. */
static inline void swap_rcu_call(struct rcu_head *head,
				 void (*fn)(struct rcu_head *head))
{
	sw_sched_point("grace period");
	SW_RCU_MODEL(call(head, fn));
#ifdef SW_TSAN
	__tsan_release(&swap_rcu_grace_period);
#endif
	urcu_bp_call_rcu(head, fn);
}

/* Every function given to swap_rcu_call() has run. */
static inline void swap_rcu_barrier(void)
{
	SW_RCU_MODEL(barrier());
	urcu_bp_barrier();
}

/* First statement of an RCU callback. */
static inline void swap_rcu_grace_period_over(void)
{
#ifdef SW_TSAN
	__tsan_acquire(&swap_rcu_grace_period);
#endif
}

#endif
