/*
 * steer.c - memory is taken out of programs because somebody wants it, and not
 * for want of room: memory.reclaim of a control group.
 *
 * It is done by the thread that reclaims, between its own work, which goes
 * before. What counts is what has left memory: a page that was taken out and
 * still waits in a buffer of ours has not. One that comes back before it was
 * written counts all the same, as a page does that comes back later.
 *
 * Above: run/steering.c. Below: reclaim.c, staging.c.
 */
#include <errno.h>

#include "base/time.h"
#include "mm/mm_internal.h"

#define LOOK_NS     50000000     /* from one question to the next */
#define PATIENCE_NS 3000000000ul /* without anything done */
#define WRITE_BATCH 32           /* pages */

static uint64_t in_buffers(struct sw_mm *mm)
{
	uint64_t nr;

	sw_mutex_lock(&mm->staging.lock);
	nr = mm->staging.nr + mm->staging.nr_kept;
	sw_mutex_unlock(&mm->staging.lock);
	return nr;
}

/* ---- the thread that reclaims ---- */

static void count_freed(struct sw_mm *mm)
{
	struct sw_wanted *w = &mm->wanted;
	uint64_t staged = in_buffers(mm);
	uint64_t waits = staged - sw_min(staged, w->staged);
	uint64_t freed = w->taken - sw_min(w->taken, waits);

	if (freed > w->freed)
		__atomic_store_n(&w->freed, freed, __ATOMIC_RELAXED);
}

/* False: nothing more can be done about it. */
static bool make_step(struct sw_mm *mm)
{
	struct sw_wanted *w = &mm->wanted;
	uint64_t before = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);
	bool goes_on = false;

	if (!w->begun) {
		w->taken = w->rounds = 0;
		w->staged = in_buffers(mm);
		w->begun = true;
	}
	if (w->taken < w->pages)
		goes_on = sw_reclaim_progress(mm, &w->rounds);
	if (!goes_on)
		goes_on = sw_staging_write(mm, WRITE_BATCH);
	w->taken += __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED) - before;
	count_freed(mm);
	return goes_on && w->freed < w->pages;
}

bool sw_wanted_step(struct sw_mm *mm)
{
	struct sw_wanted *w = &mm->wanted;
	bool wanted, over;

	sw_mutex_lock(&mm->lock);
	wanted = w->at_work = w->on && !w->over;
	sw_mutex_unlock(&mm->lock);
	if (!wanted)
		return false;
	over = !make_step(mm);
	sw_mutex_lock(&mm->lock);
	w->over |= over;
	w->at_work = false;
	pthread_cond_broadcast(&w->turn);
	sw_mutex_unlock(&mm->lock);
	return true;
}

/* ---- who wants it ---- */

/* False: somebody else does, or the last step for him is not over. */
static bool begin(struct sw_mm *mm, uint64_t pages)
{
	struct sw_wanted *w = &mm->wanted;
	bool free;

	sw_mutex_lock(&mm->lock);
	free = !w->on && !w->at_work;
	if (free) {
		w->on = true;
		w->over = w->begun = false;
		w->pages = pages;
		__atomic_store_n(&w->freed, 0, __ATOMIC_RELAXED);
		sw_reclaim_wake(mm);
	}
	sw_mutex_unlock(&mm->lock);
	return free;
}

/* Until the next look; true: it is over. */
static bool wait_for_step(struct sw_mm *mm)
{
	struct sw_wanted *w = &mm->wanted;
	bool over;

	if (!mm->started)
		return !sw_wanted_step(mm) || w->over;
	sw_mutex_lock(&mm->lock);
	if (!w->over)
		sw_mutex_wait(&mm->lock, &w->turn, LOOK_NS);
	over = w->over;
	sw_mutex_unlock(&mm->lock);
	return over;
}

static void end(struct sw_mm *mm)
{
	sw_mutex_lock(&mm->lock);
	mm->wanted.on = false;
	sw_mutex_unlock(&mm->lock);
}

int sw_mm_reclaim(struct sw_mm *mm, uint64_t pages,
		  const struct sw_goes_on *goes_on, uint64_t *freed)
{
	uint64_t last = 0, since = sw_now_ns(), asked = 0, now;
	int err = 0;

	*freed = 0;
	if (!begin(mm, pages))
		return -EBUSY;
	while (!err && !wait_for_step(mm)) {
		*freed = __atomic_load_n(&mm->wanted.freed, __ATOMIC_RELAXED);
		now = sw_now_ns();
		if (*freed > last) {
			last = *freed;
			since = now;
		}
		if (now - since > PATIENCE_NS)
			err = -EAGAIN;
		if (now - asked < LOOK_NS)
			continue;
		asked = now;
		if (!goes_on->fn(goes_on->arg, *freed))
			err = -EINTR;
	}
	*freed = __atomic_load_n(&mm->wanted.freed, __ATOMIC_RELAXED);
	end(mm);
	return !err && *freed < pages ? -EAGAIN : err;
}
