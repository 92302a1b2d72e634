/*
 * freeze.c - a session is put aside: all its memory goes out, and stays out
 * until it is thawed.
 *
 *   THAWED    faults are served
 *   FREEZING  they are held; reclaim rests, and whoever freezes takes all pages
 *             out, through staging; what is compressed in front of a disk goes
 *             there; then image.c writes what compressed memory has to a disk
 *   FROZEN    they are held
 *   THAWING   they are held; image.c brings back what it wrote
 *   QUIET     they are held for a moment: quiet.c
 *
 * A held fault is left unanswered, and its window has a waiter: so nothing of
 * the session is stopped, and whoever touches nothing may run on. The agent's
 * own writes (evict.c: unshare) are never held, since we wait for them; nor is
 * what the program wants of the same windows, since the two look alike. Such a
 * fault may read any page that is out, and what has gone to an image is nowhere
 * else any more:
 *
 *        freezing                         fault in the program
 *        the agent writes to window W
 *                                         is not held, takes W
 *        all is out, and written,
 *        and forgotten in memory
 *                                         reads its page: there is none
 *
 * So an image is made when those faults are over, and once it is there the agent
 * writes to nothing (sw_freeze_keeps_out()). Pages come back as they are touched,
 * and not with the thaw.
 *
 * What cannot be taken out stays: pages locked or pinned, the control blocks of
 * threads, and what there is no slot for.
 *
 * Above: whoever the session lets ask for it. Below: reclaim.c, image.c.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "mm/mm_internal.h"

#define HELD_LOOK_NS 10000000
#define HELD_LOOKS   50 /* without any progress */

static enum sw_freeze_state state_of(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->freeze.state, __ATOMIC_RELAXED);
}

/* One of several who want to. */
bool sw_freeze_go(struct sw_mm *mm, enum sw_freeze_state from,
		  enum sw_freeze_state to)
{
	bool went;

	sw_mutex_lock(&mm->lock);
	went = state_of(mm) == from;
	if (went)
		__atomic_store_n(&mm->freeze.state, to, __ATOMIC_RELAXED);
	sw_mutex_unlock(&mm->lock);
	return went;
}

/* ---- faults ---- */

bool sw_freeze_holds(struct sw_space *space, struct sw_window *win)
{
	struct sw_freeze *fz = &space->mm->freeze;

	sw_assert_held(&space->lock);
	if (state_of(space->mm) == SW_THAWED || win->unsharing)
		return false;
	sw_window_await(space, win);
	sw_count(pgfault_held, 1);
	if (__atomic_load_n(&fz->thaw_on_fault, __ATOMIC_RELAXED)) {
		__atomic_store_n(&fz->thaw_wanted, true, __ATOMIC_RELAXED);
		sw_reclaim_wake(space->mm);
	}
	return true;
}

bool sw_freeze_keeps_out(struct sw_mm *mm)
{
	enum sw_freeze_state state = state_of(mm);

	/* Quiet, it may be frozen besides. */
	return state != SW_THAWED && state != SW_FREEZING;
}

void sw_freeze_wait_idle(struct sw_mm *mm)
{
	struct sw_space *space = NULL;

	while ((space = sw_spaces_next(mm, space))) {
		sw_space_lock(space);
		while (sw_space_is_busy(space, 0, UINT64_MAX))
			sw_mutex_wait(&space->lock, &space->idle, 1000000);
		sw_space_unlock(space);
	}
}

/* A window in use wakes its waiters by itself. */
static void wake_leaf(struct sw_space *space, struct sw_leaf *leaf)
{
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++) {
		struct sw_window *win = &leaf->win[w];

		if (!win->waiters || win->busy)
			continue;
		win->waiters = false;
		sw_stall_release(&space->stall);
		space->mmu->ops->wake(space->mmu,
				      leaf->base + w * SW_WINDOW_BYTES,
				      SW_WINDOW_PAGES);
	}
}

/* No fault is held from now on. */
void sw_freeze_wake(struct sw_mm *mm)
{
	struct sw_space *space = NULL;

	while ((space = sw_spaces_next(mm, space))) {
		struct sw_leaf *leaf;
		uint64_t at = 0;

		sw_space_lock(space);
		for (; (leaf = sw_pt_next(&space->pt, at));
		     at = leaf->base + SW_LEAF_BYTES)
			wake_leaf(space, leaf);
		sw_space_unlock(space);
	}
}

/* ---- reclaim rests: its books are ours meanwhile ---- */

void sw_freeze_park(struct sw_mm *mm, bool on)
{
	struct sw_freeze *fz = &mm->freeze;

	sw_mutex_lock(&mm->lock);
	__atomic_store_n(&fz->park, on, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&fz->turn);
	while (on && mm->started && !fz->parked) {
		sw_reclaim_wake(mm);
		sw_mutex_wait(&mm->lock, &fz->turn, 1000000);
	}
	sw_mutex_unlock(&mm->lock);
}

void sw_freeze_heed(struct sw_mm *mm)
{
	struct sw_freeze *fz = &mm->freeze;

	if (sw_freeze_parks(mm)) {
		sw_mutex_lock(&mm->lock);
		fz->parked = true;
		pthread_cond_broadcast(&fz->turn);
		while (fz->park)
			sw_mutex_wait(&mm->lock, &fz->turn, 100000000);
		fz->parked = false;
		sw_mutex_unlock(&mm->lock);
	}
	if (state_of(mm) == SW_FROZEN &&
	    __atomic_exchange_n(&fz->thaw_wanted, false, __ATOMIC_RELAXED) &&
	    sw_mm_thaw(mm))
		sw_warn("the next fault tries again");
}

/* ---- there and back ---- */

static bool goes_on(const struct sw_freeze_spec *spec)
{
	return !spec->goes_on || spec->goes_on(spec->arg);
}

static int take_everything_out(struct sw_mm *mm,
			       const struct sw_freeze_spec *spec)
{
	unsigned rounds = 0;
	bool more = true, called_off = false;

	while (more && !called_off) {
		more = sw_reclaim_progress(mm, &rounds);
		called_off = !goes_on(spec);
	}
	sw_evict_unprepare(&mm->ev);
	return called_off ? -ECANCELED : 0;
}

/* What is kept compressed inside the budget goes where it was on its way to: as
 * much as whoever keeps it gets rid of. */
static int empty_held(struct sw_mm *mm, const struct sw_freeze_spec *spec)
{
	static const struct timespec nap = { .tv_nsec = HELD_LOOK_NS };
	const struct sw_mm_held *held = mm->budget.held;
	uint64_t least = UINT64_MAX, nr;
	unsigned idle = 0;

	while (held && idle < HELD_LOOKS && (nr = held->pages(held->arg))) {
		if (!goes_on(spec))
			return -ECANCELED;
		idle = nr < least ? 0 : idle + 1;
		least = sw_min(least, nr);
		held->shrink(held->arg, nr);
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* It is in none of the states that it would have to be in. */
static void say_no(struct sw_mm *mm, const char *otherwise)
{
	sw_error("%s", state_of(mm) == SW_QUIET
			       ? "the session is being checked; try again"
			       : otherwise);
}

/* From whichever of the states in which faults are held. */
static void let_go(struct sw_mm *mm)
{
	struct sw_freeze *fz = &mm->freeze;

	__atomic_store_n(&fz->thaw_on_fault, false, __ATOMIC_RELAXED);
	__atomic_store_n(&fz->thaw_wanted, false, __ATOMIC_RELAXED);
	__atomic_store_n(&fz->image_pages, 0, __ATOMIC_RELAXED);
	sw_mutex_lock(&mm->lock);
	__atomic_store_n(&fz->state, SW_THAWED, __ATOMIC_RELAXED);
	sw_mutex_unlock(&mm->lock);
	sw_freeze_wake(mm);
}

int sw_mm_freeze(struct sw_mm *mm, const struct sw_freeze_spec *spec)
{
	struct sw_freeze *fz = &mm->freeze;
	int err;

	if (!sw_freeze_go(mm, SW_THAWED, SW_FREEZING)) {
		say_no(mm, "the session is frozen already, or about to be");
		return -EBUSY;
	}
	__atomic_store_n(&fz->thaw_on_fault, spec->thaw_on_fault,
			 __ATOMIC_RELAXED);
	sw_freeze_park(mm, true);
	sw_freeze_wait_idle(mm);
	err = take_everything_out(mm, spec);
	if (!err)
		sw_freeze_wait_idle(mm); /* for faults that were not held */
	if (!err)
		err = empty_held(mm, spec);
	if (!err && spec->image_type >= 0)
		err = sw_image_make(mm, spec);
	sw_freeze_park(mm, false);
	if (err) {
		let_go(mm);
		return err;
	}
	__atomic_store_n(&fz->image_pages, fz->image.nr, __ATOMIC_RELAXED);
	(void)sw_freeze_go(mm, SW_FREEZING, SW_FROZEN);
	sw_reclaim_wake(mm); /* a fault may be waiting for it */
	return 0;
}

int sw_mm_thaw(struct sw_mm *mm)
{
	int err;

	if (!sw_freeze_go(mm, SW_FROZEN, SW_THAWING)) {
		say_no(mm, "the session is not frozen, or about to be thawed");
		return -EINVAL;
	}
	err = sw_image_load(mm);
	if (err) {
		sw_error(
			"thawing stopped before all was back: %s; the session is frozen still, try again",
			err == -EINPROGRESS ? "the disk does not answer"
					    : strerror(-err));
		(void)sw_freeze_go(mm, SW_THAWING, SW_FROZEN);
		return err;
	}
	sw_image_release(&mm->freeze.image);
	let_go(mm);
	return 0;
}

void sw_mm_freeze_info(struct sw_mm *mm, struct sw_freeze_info *info)
{
	*info = (struct sw_freeze_info){
		.frozen = state_of(mm) == SW_FROZEN,
		.resident_pages =
			__atomic_load_n(&mm->budget.resident, __ATOMIC_RELAXED),
		.image_pages = __atomic_load_n(&mm->freeze.image_pages,
					       __ATOMIC_RELAXED),
	};
}

void sw_freeze_init(struct sw_mm *mm)
{
	pthread_cond_init(&mm->freeze.turn, NULL);
}

void sw_freeze_release(struct sw_mm *mm)
{
	sw_image_release(&mm->freeze.image);
}
