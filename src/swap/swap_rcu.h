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

static inline void swap_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

static inline void swap_rcu_read_unlock(void)
{
#ifdef SW_TSAN
	__tsan_release(&swap_rcu_grace_period);
#endif
	urcu_bp_read_unlock();
}

static inline void swap_rcu_synchronize(void)
{
	urcu_bp_synchronize_rcu();
#ifdef SW_TSAN
	__tsan_acquire(&swap_rcu_grace_period);
#endif
}

/* What `head` lies in is unpublished; `fn` runs after a grace period. */
static inline void swap_rcu_call(struct rcu_head *head,
				 void (*fn)(struct rcu_head *head))
{
#ifdef SW_TSAN
	__tsan_release(&swap_rcu_grace_period);
#endif
	urcu_bp_call_rcu(head, fn);
}

/* First statement of an RCU callback. */
static inline void swap_rcu_grace_period_over(void)
{
#ifdef SW_TSAN
	__tsan_acquire(&swap_rcu_grace_period);
#endif
}

#endif
