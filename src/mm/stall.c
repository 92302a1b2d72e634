/*
 * stall.c - how long threads of programs wait in faults: see stall.h.
 *
 * Each space has a record of its own, which the thread that serves its faults
 * keeps with plain stores: nothing is shared on the way of a fault, and it costs
 * one look at the clock. Besides faults being served there are those that are
 * not: they met a window at work, a frozen session, or a device that does not
 * answer. These are rare, and counted under the space lock, as "held".
 *
 * In how much of a session's time did some thread wait? To know it exactly, all
 * spaces would have to share a clock. Instead, the share of each space in a short
 * step is known exactly, and steps are put together as if spaces, and the two
 * kinds of waiting of one space, had nothing to do with each other: some thread
 * waits unless none does. With one space at work that is exact.
 *
 * Above: fault.c, space.c; run/pressure.c takes the steps. Below: the clock.
 */
#include "mm/stall.h"

#include <string.h>

#include "base/time.h"
#include "mm/mm_internal.h"

const char *const sw_tier_names[SW_NR_TIERS] = {
	[SW_TIER_FIRST_TOUCH] = "first_touch", /**/
	[SW_TIER_STAGED] = "staged",           /**/
	[SW_TIER_COMPRESSED] = "compressed",   /**/
	[SW_TIER_DISK] = "disk",               /**/
	[SW_TIER_WRITE] = "write",             /**/
	[SW_TIER_OTHER] = "other",
};

static uint64_t load(const uint64_t *what)
{
	return __atomic_load_n(what, __ATOMIC_RELAXED);
}

static void store(uint64_t *what, uint64_t value)
{
	__atomic_store_n(what, value, __ATOMIC_RELAXED);
}

/* ---- a fault ---- */

void sw_stall_read(struct sw_stall *st, unsigned nr)
{
	uint64_t now = sw_now_ns();

	store(&st->read_ns, now);
	store(&st->last_ns, now);
	__atomic_store_n(&st->left, nr, __ATOMIC_RELAXED);
}

void sw_stall_answered(struct sw_stall *st, enum sw_tier tier)
{
	unsigned left = __atomic_load_n(&st->left, __ATOMIC_RELAXED);
	uint64_t now;

	/* In a library nobody says when faults were read. */
	if (!left)
		return;
	now = sw_now_ns();
	if (tier != SW_TIER_NONE)
		sw_hist_add(&st->tier[tier], now - st->read_ns);
	sw_own_add(&st->serving_ns, now - st->last_ns);
	store(&st->last_ns, now);
	__atomic_store_n(&st->left, left - 1, __ATOMIC_RELAXED);
}

/* ---- faults that are held ---- */

void sw_stall_hold(struct sw_stall *st)
{
	if (!st->nr_held)
		store(&st->since_ns, sw_now_ns());
	__atomic_store_n(&st->nr_held, st->nr_held + 1, __ATOMIC_RELAXED);
}

void sw_stall_release(struct sw_stall *st)
{
	SW_ASSERT(st->nr_held);
	if (st->nr_held == 1)
		sw_own_add(&st->held_ns, sw_now_ns() - st->since_ns);
	__atomic_store_n(&st->nr_held, st->nr_held - 1, __ATOMIC_RELAXED);
}

/* ---- steps ---- */

/* Share of a step that a sum grew by; the sum may be read a little before it
 * has grown, and is not counted twice then. */
static double share(uint64_t *seen, uint64_t sum, uint64_t step_ns)
{
	uint64_t grown = sum > *seen ? sum - *seen : 0;

	*seen = sw_max(*seen, sum);
	return sw_min(1.0, (double)grown / step_ns);
}

/* Time since `from`, as long as it lasts. */
static uint64_t lasting(uint64_t now, uint64_t from)
{
	return now > from ? now - from : 0;
}

/* Share of the step in which no thread of the space waited. */
static double calm_of(struct sw_stall *st, uint64_t now, uint64_t step_ns)
{
	uint64_t serving = load(&st->serving_ns), held = load(&st->held_ns);

	if (__atomic_load_n(&st->left, __ATOMIC_RELAXED))
		serving += lasting(now, load(&st->last_ns));
	if (__atomic_load_n(&st->nr_held, __ATOMIC_RELAXED))
		held += lasting(now, load(&st->since_ns));
	return (1 - share(&st->seen_serving_ns, serving, step_ns)) *
	       (1 - share(&st->seen_held_ns, held, step_ns));
}

static uint64_t step_of(const struct sw_stalls *s, uint64_t now)
{
	return sw_max(lasting(now, s->step_ns), (uint64_t)1);
}

uint64_t sw_mm_stall_step(struct sw_mm *mm, uint64_t now)
{
	struct sw_stalls *s = &mm->stalls;
	struct sw_space *space = NULL;
	uint64_t step;
	double calm;

	sw_mutex_lock(&s->lock);
	step = step_of(s, now);
	calm = s->calm;
	while ((space = sw_spaces_next(mm, space)))
		calm *= calm_of(&space->stall, now, step);
	s->step_ns = now;
	s->calm = 1;
	sw_mutex_unlock(&s->lock);
	return (1 - calm) * step;
}

/* ---- sums ---- */

static void add(struct sw_stall_sums *sums, const struct sw_stall *st)
{
	for (unsigned t = 0; t < SW_NR_TIERS; t++)
		sw_hist_merge(&sums->tier[t], &st->tier[t]);
	sums->refault_max = sw_max(sums->refault_max, load(&st->refault_max));
}

void sw_mm_stall_sums(struct sw_mm *mm, struct sw_stall_sums *sums)
{
	struct sw_space *space = NULL;

	sw_mutex_lock(&mm->stalls.lock);
	*sums = mm->stalls.gone;
	while ((space = sw_spaces_next(mm, space)))
		add(sums, &space->stall);
	sw_mutex_unlock(&mm->stalls.lock);
}

void sw_stalls_init(struct sw_stalls *s)
{
	sw_mutex_init(&s->lock, "stalls", SW_RANK_SESSION);
	s->step_ns = sw_now_ns();
	s->calm = 1;
}

void sw_stalls_destroy(struct sw_stalls *s)
{
	sw_mutex_destroy(&s->lock);
}

void sw_stalls_bury(struct sw_stalls *s, struct sw_stall *st)
{
	uint64_t now = sw_now_ns();

	sw_mutex_lock(&s->lock);
	/* Who died in a fault waits no more. */
	__atomic_store_n(&st->left, 0, __ATOMIC_RELAXED);
	s->calm *= calm_of(st, now, step_of(s, now));
	add(&s->gone, st);
	/* Until it is off the list it is asked again. */
	memset(st->tier, 0, sizeof(st->tier));
	sw_mutex_unlock(&s->lock);
}
