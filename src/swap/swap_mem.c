/*
 * swap_mem.c - the swap layer's memory: a malloc that tests can refuse, and
 * the pool of swap tables.
 *
 * A table that falls empty goes onto a short stack of the CPU that freed it
 * and from there to the next cluster that needs one, without a grace period:
 * tables are type-stable, and a reader that looks through an old pointer
 * reads words of another cluster, which the rule "lock the folio, then match
 * the entry" exists for. What does not fit on the stack is freed through RCU,
 * so memory shrinks with use.
 */
#include "swap/swap_mem.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define POOL_DEPTH 8 /* tables a CPU keeps: 40 KiB */

struct table_pool {
	_Alignas(64) struct sw_spinlock lock; /* SW_RANK_POOL */
	struct swap_table *top;               /* SW_GUARDED_BY(&lock) */
	unsigned nr;                          /* SW_GUARDED_BY(&lock) */
};

static struct table_pool *pools; /* one a CPU */
static uint64_t nr_tables;       /* [atomic] */

static bool (*alloc_hook)(void *arg, const char *what);
static void *alloc_hook_arg;

#ifdef SW_TSAN
char swap_rcu_grace_period;
#endif

#ifdef SW_CHECKS
const struct swap_rcu_model *swap_rcu_model;
void (*swap_free_hook)(void *p);
#endif

void swap_set_alloc_hook(bool (*may)(void *arg, const char *what), void *arg)
{
	alloc_hook = may;
	alloc_hook_arg = arg;
}

bool swap_may_alloc(const char *what)
{
	sw_sched_point(what);
	return sw_likely(!alloc_hook) || alloc_hook(alloc_hook_arg, what);
}

void *swap_zalloc(size_t bytes, const char *what)
{
	if (!swap_may_alloc(what))
		return NULL;
	return sw_mem_zalloc(bytes);
}

void *swap_zalloc_aligned(size_t bytes, const char *what)
{
	return swap_may_alloc(what) ? sw_mem_zalloc_aligned(bytes) : NULL;
}

void swap_free_mem(void *p)
{
#ifdef SW_CHECKS
	if (sw_unlikely(swap_free_hook)) {
		swap_free_hook(p);
		return;
	}
#endif
	sw_mem_free(p);
}

struct swap_table *swap_table_alloc_atomic(void)
{
	struct table_pool *pool = &pools[swap_this_cpu()];
	struct swap_table *table;

	sw_spin_lock(&pool->lock, "table pool", SW_RANK_POOL);
	table = pool->top;
	if (table) {
		pool->top = table->next;
		pool->nr--;
	}
	sw_spin_unlock(&pool->lock);
	/* The link lay over the first ids; everything else is zero. */
	if (table)
		memset(&table->rcu, 0, sizeof(table->rcu));
	return table;
}

struct swap_table *swap_table_alloc(void)
{
	struct swap_table *table = swap_zalloc(sizeof(*table), "swap table");

	if (table)
		__atomic_fetch_add(&nr_tables, 1, __ATOMIC_RELAXED);
	return table;
}

static void table_free_rcu(struct rcu_head *head)
{
	swap_rcu_grace_period_over();
	swap_free_mem(sw_container_of(head, struct swap_table, rcu));
	__atomic_fetch_sub(&nr_tables, 1, __ATOMIC_RELAXED);
}

void swap_table_free(struct swap_table *table)
{
	struct table_pool *pool = &pools[swap_this_cpu()];
	bool kept = false;

	sw_spin_lock(&pool->lock, "table pool", SW_RANK_POOL);
	if (pool->nr < POOL_DEPTH) {
		table->next = pool->top;
		pool->top = table;
		pool->nr++;
		kept = true;
	}
	sw_spin_unlock(&pool->lock);
	if (!kept)
		swap_rcu_call(&table->rcu, table_free_rcu);
}

uint64_t swap_table_nr(void)
{
	return __atomic_load_n(&nr_tables, __ATOMIC_RELAXED);
}

int swap_mem_init(void)
{
	pools = swap_zalloc_aligned(swap_nr_cpus * sizeof(*pools), "pools");
	return pools ? 0 : -ENOMEM;
}

void swap_mem_exit(void)
{
	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		while (pools[cpu].top) {
			struct swap_table *table = pools[cpu].top;

			pools[cpu].top = table->next;
			swap_rcu_call(&table->rcu, table_free_rcu);
		}
	}
	swap_rcu_barrier();
	SW_BUG_ON(swap_table_nr());
	swap_free_mem(pools);
	pools = NULL;
}
