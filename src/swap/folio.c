/*
 * folio.c - the pool of folio descriptors and their sleeping lock.
 *
 * The array is reserved once and filled from the bottom; freed descriptors
 * wait on a stack of the CPU that freed them and move in batches to and from
 * one global stack. A free descriptor has a reference count of 0 and is
 * linked through `lru`.
 *
 * The lock is two bits of `flags`: a futex on the whole word, whose other
 * bits change under the lock, so a sleeper may wake for nothing and looks
 * again.
 */
#include "swap/folio.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/sched.h"
#include "base/spin.h"
#include "swap/cluster.h"
#include "swap/swap_mem.h"
#include "swap/swap_table.h"

#define BATCH 32u /* descriptors that move at a time */

struct folio_stack {
	_Alignas(64) struct sw_spinlock lock; /* SW_RANK_POOL */
	struct folio *top;                    /* SW_GUARDED_BY(&lock) */
	uint32_t nr;                          /* SW_GUARDED_BY(&lock) */
};

#define MAX_CPUS 256u

struct folio *folio_pool_base; /* [const] between init and release */
static uint32_t pool_max;      /* [const] */
static uint32_t pool_touched;  /* descriptors ever given; global_stack.lock */
static struct folio_stack global_stack;
static struct folio_stack cpu_stacks[MAX_CPUS];
static void (*pool_release_hook)(struct folio *);

_Static_assert(sizeof(struct folio) == 64, "a cache line a folio");

int folio_pool_init(uint32_t max_folios, void (*release)(struct folio *))
{
	size_t bytes = (size_t)max_folios * sizeof(struct folio);
	void *p;

	SW_BUG_ON(folio_pool_base);
	if (!max_folios)
		return -EINVAL;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	folio_pool_base = p;
	pool_max = max_folios;
	pool_touched = 0;
	pool_release_hook = release;
	memset(&global_stack, 0, sizeof(global_stack));
	memset(cpu_stacks, 0, sizeof(cpu_stacks));
	return 0;
}

void folio_pool_release(void)
{
	SW_BUG_ON(folio_pool_in_use());
	munmap(folio_pool_base, (size_t)pool_max * sizeof(struct folio));
	folio_pool_base = NULL;
}

static void stack_lock(struct folio_stack *s) SW_ACQUIRES(&s->lock) SW_NO_TSA
{
	sw_spin_lock(&s->lock, "folio pool", SW_RANK_POOL);
}

static void push(struct folio_stack *s, struct folio *folio)
{
	folio->lru.next = (struct sw_list *)s->top;
	s->top = folio;
	s->nr++;
}

static struct folio *pop(struct folio_stack *s)
{
	struct folio *folio = s->top;

	if (folio) {
		s->top = (struct folio *)folio->lru.next;
		s->nr--;
	}
	return folio;
}

static struct folio_stack *this_stack(void)
{
	return &cpu_stacks[swap_this_cpu() % MAX_CPUS];
}

/* Two locks of one rank, the second only tried for order's sake: nobody takes
 * them the other way round. */
static void lock_global(void) SW_ACQUIRES(&global_stack.lock) SW_NO_TSA
{
	while (!sw_spin_trylock(&global_stack.lock, "folio pool", SW_RANK_POOL))
		sw_spin_wait(&global_stack.lock);
}

static void refill(struct folio_stack *s)
{
	lock_global();
	while (s->nr < BATCH) {
		struct folio *folio = pop(&global_stack);

		if (!folio && pool_touched < pool_max)
			folio = &folio_pool_base[pool_touched++];
		if (!folio)
			break;
		push(s, folio);
	}
	sw_spin_unlock(&global_stack.lock);
}

static void spill(struct folio_stack *s)
{
	lock_global();
	while (s->nr > BATCH)
		push(&global_stack, pop(s));
	sw_spin_unlock(&global_stack.lock);
}

/* The last resort: a descriptor that waits on another CPU's stack. */
static struct folio *take_from_others(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		struct folio *folio;

		stack_lock(&cpu_stacks[i]);
		folio = pop(&cpu_stacks[i]);
		sw_spin_unlock(&cpu_stacks[i].lock);
		if (folio)
			return folio;
	}
	return NULL;
}

struct folio *folio_alloc(unsigned order)
{
	struct folio_stack *s = this_stack();
	struct folio *folio;

	SW_BUG_ON(order > 9);
	if (!swap_may_alloc("folio"))
		return NULL;
	stack_lock(s);
	if (!s->top)
		refill(s);
	folio = pop(s);
	sw_spin_unlock(&s->lock);
	if (!folio)
		folio = take_from_others();
	if (!folio)
		return NULL;

	/* A lockless reader may look at flags and references of a descriptor
	 * at any time of its life; the rest is ours alone. */
	sw_sched_point("folio flags");
	__atomic_store_n(&folio->flags, 0, __ATOMIC_RELAXED);
	folio->swap.val = 0;
	folio->data = NULL;
	folio->mapping = NULL;
	folio->index = 0;
	sw_list_init(&folio->lru);
	__atomic_store_n(&folio->order, order, __ATOMIC_RELAXED);
	sw_sched_point("folio refs");
	__atomic_store_n(&folio->refcount, 1, __ATOMIC_RELEASE);
	return folio;
}

static void folio_free(struct folio *folio)
{
	struct folio_stack *s = this_stack();

	SW_BUG_ON(folio_test(folio, SW_FOLIO_LOCKED | SW_FOLIO_SWAPCACHE |
					    SW_FOLIO_WRITEBACK));
	if (pool_release_hook)
		pool_release_hook(folio);
	stack_lock(s);
	push(s, folio);
	if (s->nr > 2 * BATCH)
		spill(s);
	sw_spin_unlock(&s->lock);
}

uint32_t folio_pool_in_use(void)
{
	uint32_t idle;

	stack_lock(&global_stack);
	idle = pool_max - pool_touched + global_stack.nr;
	sw_spin_unlock(&global_stack.lock);
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		stack_lock(&cpu_stacks[i]);
		idle += cpu_stacks[i].nr;
		sw_spin_unlock(&cpu_stacks[i].lock);
	}
	return pool_max - idle;
}

/* ---- references ---- */

void folio_get(struct folio *folio)
{
	uint32_t old;

	sw_sched_point("folio refs");
	old = __atomic_fetch_add(&folio->refcount, 1, __ATOMIC_RELAXED);
	SW_BUG_ON(old == 0 || old == UINT32_MAX);
}

bool folio_try_get(struct folio *folio)
{
	uint32_t old;

	sw_sched_point("folio refs");
	old = __atomic_load_n(&folio->refcount, __ATOMIC_RELAXED);
	/* Pairs with the releases in folio_alloc() and folio_ref_unfreeze(). */
	while (old)
		if (__atomic_compare_exchange_n(&folio->refcount, &old, old + 1,
						true, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

void folio_put_refs(struct folio *folio, unsigned nr)
{
	uint32_t old;

	sw_sched_point("folio refs");
	old = __atomic_fetch_sub(&folio->refcount, nr, __ATOMIC_ACQ_REL);
	SW_BUG_ON(old < nr);
	if (old == nr)
		folio_free(folio);
}

void folio_put(struct folio *folio)
{
	folio_put_refs(folio, 1);
}

bool folio_ref_freeze(struct folio *folio, unsigned expected)
{
	uint32_t old = expected;

	sw_sched_point("folio refs");
	return __atomic_compare_exchange_n(&folio->refcount, &old, 0, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void folio_ref_unfreeze(struct folio *folio, unsigned refs)
{
	sw_sched_point("folio refs");
	SW_BUG_ON(__atomic_load_n(&folio->refcount, __ATOMIC_RELAXED));
	__atomic_store_n(&folio->refcount, refs, __ATOMIC_RELEASE);
}

uint64_t folio_to_pfn(const struct folio *folio)
{
	SW_ASSERT(folio >= folio_pool_base &&
		  folio < folio_pool_base + pool_max);
	return folio - folio_pool_base;
}

struct folio *pfn_to_folio(uint64_t pfn)
{
	SW_BUG_ON(pfn >= pool_max);
	return &folio_pool_base[pfn];
}

/* ---- the lock ---- */

static void futex_wait(const uint32_t *word, uint32_t val)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, NULL, NULL, 0);
}

static void futex_wake_all(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static bool try_set_locked(struct folio *folio)
{
	/* Pairs with the release in folio_unlock(). */
	return !(__atomic_fetch_or(&folio->flags, SW_FOLIO_LOCKED,
				   __ATOMIC_ACQUIRE) &
		 SW_FOLIO_LOCKED);
}

static void folio_lock_slow(struct folio *folio)
{
	uint32_t flags = __atomic_load_n(&folio->flags, __ATOMIC_RELAXED);

	for (;;) {
		if (sw_sched_wait()) {
			if (try_set_locked(folio))
				return;
			continue;
		}
		if (!(flags & SW_FOLIO_LOCKED)) {
			if (try_set_locked(folio))
				return;
			flags = __atomic_load_n(&folio->flags,
						__ATOMIC_RELAXED);
			continue;
		}
		if (!(flags & SW_FOLIO_WAITERS) &&
		    !__atomic_compare_exchange_n(
			    &folio->flags, &flags, flags | SW_FOLIO_WAITERS,
			    true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		futex_wait(&folio->flags, flags | SW_FOLIO_WAITERS);
		flags = __atomic_load_n(&folio->flags, __ATOMIC_RELAXED);
	}
}

void folio_lock(struct folio *folio)
{
	sw_sched_point("folio lock");
	sw_rank_acquire(folio, "folio", SW_RANK_FOLIO, false);
	if (sw_unlikely(!try_set_locked(folio)))
		folio_lock_slow(folio);
}

bool folio_trylock(struct folio *folio)
{
	sw_sched_point("folio lock");
	if (!try_set_locked(folio))
		return false;
	sw_rank_acquire(folio, "folio", SW_RANK_FOLIO, true);
	return true;
}

void folio_unlock(struct folio *folio)
{
	uint32_t old;

	sw_sched_point("folio unlock");
	sw_rank_release(folio);
	old = __atomic_fetch_and(
		&folio->flags, ~(uint32_t)(SW_FOLIO_LOCKED | SW_FOLIO_WAITERS),
		__ATOMIC_RELEASE);
	SW_BUG_ON(!(old & SW_FOLIO_LOCKED));
	if (sw_unlikely(old & SW_FOLIO_WAITERS))
		futex_wake_all(&folio->flags);
}

bool folio_is_locked(const struct folio *folio)
{
	/* No place to switch: assertions ask this all the time. */
	return __atomic_load_n(&folio->flags, __ATOMIC_ACQUIRE) &
	       SW_FOLIO_LOCKED;
}
