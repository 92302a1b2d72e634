/*
 * budget.c - how much memory the tree and we use, and what a fault may add.
 *
 * used = resident - shared + staged + held + unmanaged. The first three are our
 * own books and move with every page. `held` is what compressed pages take in
 * front of a device, as those say who keep them. `unmanaged` is everything we have no word
 * for (stacks, data segments, processes without an agent, memory touched
 * before it was registered, copies made by writes after a fork that we did
 * not see), as the session measures it from outside (run/watch.c).
 *
 * Free pages have two marks, as the kernel's zones have: below `low` reclaim
 * is woken, above `high` it stops. Only when nothing is free a fault makes room
 * itself, of what is staged and goes to memory, or waits; and not for long:
 * whoever serves faults may be needed by reclaim itself (an agent that unshares
 * a page faults too), so after FAULT_WAIT_NS one page is granted above the
 * budget.
 */
#include "base/time.h"
#include "mm/mm_internal.h"

#define FAULT_WAIT_NS 2000000

void sw_budget_init(struct sw_budget *b, const struct sw_mm_config *config)
{
	b->held = config->held;
	sw_budget_set(b, config->budget_pages);
}

void sw_budget_set(struct sw_budget *b, uint64_t limit)
{
	__atomic_store_n(&b->limit, limit, __ATOMIC_RELAXED);
	__atomic_store_n(&b->low, limit / 96, __ATOMIC_RELAXED);
	__atomic_store_n(&b->high, limit / 48, __ATOMIC_RELAXED);
}

static int64_t held(const struct sw_budget *b)
{
	return b->held ? b->held->pages(b->held->arg) : 0;
}

int64_t sw_budget_used(struct sw_budget *b)
{
	int64_t used = __atomic_load_n(&b->resident, __ATOMIC_RELAXED) -
		       __atomic_load_n(&b->shared, __ATOMIC_RELAXED) +
		       __atomic_load_n(&b->staged, __ATOMIC_RELAXED) + held(b) +
		       __atomic_load_n(&b->unmanaged, __ATOMIC_RELAXED);

	return used > 0 ? used : 0;
}

void sw_budget_shrink(struct sw_budget *b)
{
	int64_t missing = sw_budget_high(b) - sw_budget_free(b);

	if (b->held && missing > 0)
		b->held->shrink(b->held->arg, missing);
}

/* Waits until `nr` are free, or the time is `end`. */
static void wait_for_room(struct sw_mm *mm, int64_t nr, uint64_t end)
{
	uint64_t now = sw_now_ns();

	__atomic_fetch_add(&mm->nr_waiting, 1, __ATOMIC_ACQ_REL);
	sw_mutex_lock(&mm->lock);
	while (sw_budget_free(&mm->budget) < nr && now < end &&
	       !__atomic_load_n(&mm->stuck, __ATOMIC_RELAXED)) {
		pthread_cond_signal(&mm->wake);
		sw_mutex_wait(&mm->lock, &mm->room, end - now);
		now = sw_now_ns();
	}
	sw_mutex_unlock(&mm->lock);
	__atomic_fetch_sub(&mm->nr_waiting, 1, __ATOMIC_ACQ_REL);
}

/* Makes room by writing what is staged. False: that was not enough. */
static bool make_room(struct sw_mm *mm, int64_t nr, uint64_t end)
{
	while (sw_now_ns() < end && sw_staging_write_direct(mm))
		if (sw_budget_free(&mm->budget) >= nr)
			return true;
	return false;
}

/* Nothing is free for a fault that wants `nr` pages. */
static void stall(struct sw_mm *mm, int64_t nr)
{
	uint64_t end = sw_now_ns() + FAULT_WAIT_NS;

	sw_count(allocstall, 1);
	if (!make_room(mm, nr, end))
		wait_for_room(mm, nr, end);
}

unsigned sw_budget_reserve(struct sw_mm *mm, unsigned nr)
{
	struct sw_budget *b = &mm->budget;
	int64_t free = sw_budget_free(b);

	if (free < sw_budget_low(b) + (int64_t)nr)
		sw_reclaim_wake(mm);
	if (free >= (int64_t)nr)
		return nr;
	if (free >= 1)
		return free;
	if (!__atomic_load_n(&mm->stuck, __ATOMIC_RELAXED))
		stall(mm, 1);
	if (sw_budget_free(b) < 1)
		sw_count(oom_unmanaged, 1);
	return 1;
}

bool sw_budget_reserve_all(struct sw_mm *mm, unsigned nr)
{
	struct sw_budget *b = &mm->budget;

	if (sw_budget_free(b) < sw_budget_low(b) + (int64_t)nr)
		sw_reclaim_wake(mm);
	/* Reclaim is at work below the low mark only. */
	if (sw_budget_free(b) < (int64_t)nr && nr <= sw_budget_low(b) &&
	    !__atomic_load_n(&mm->stuck, __ATOMIC_RELAXED))
		stall(mm, nr);
	return sw_budget_free(b) >= (int64_t)nr;
}

void sw_mm_set_unmanaged(struct sw_mm *mm, int64_t pages)
{
	struct sw_budget *b = &mm->budget;
	int64_t used;

	__atomic_store_n(&b->unmanaged, pages, __ATOMIC_RELAXED);
	used = sw_budget_used(b);
	if (used > __atomic_load_n(&b->peak, __ATOMIC_RELAXED))
		__atomic_store_n(&b->peak, used, __ATOMIC_RELAXED);
	/* What has come since reclaim found nothing wakes it by itself. */
	if (sw_budget_limit(b) - used < sw_budget_low(b) &&
	    !__atomic_load_n(&mm->stuck, __ATOMIC_RELAXED))
		sw_reclaim_wake(mm);
}

void sw_mm_usage(struct sw_mm *mm, struct sw_mm_usage *u)
{
	struct sw_budget *b = &mm->budget;

	u->budget_pages = sw_budget_limit(b);
	u->managed_pages =
		sw_max((int64_t)0,
		       __atomic_load_n(&b->resident, __ATOMIC_RELAXED) -
			       __atomic_load_n(&b->shared, __ATOMIC_RELAXED));
	u->used_pages = sw_budget_used(b);
	u->peak_pages = __atomic_load_n(&b->peak, __ATOMIC_RELAXED);
	u->staged_pages = __atomic_load_n(&b->staged, __ATOMIC_RELAXED);
	u->held_pages = held(b);
	u->taken_pages = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);
	u->full = __atomic_load_n(&mm->full, __ATOMIC_RELAXED);
}
