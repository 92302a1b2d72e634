/*
 * reclaim.c - when pages go, and how many. One thread a session, asleep until
 * free pages fall below the low mark (budget.c), at work until they reach the
 * high one.
 *
 * Above: run/session.c starts it. Below: clock.c, evict.c, staging.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "mm/mm_internal.h"
#include "mmu/hurry.h"

#define WRITE_BATCH    32
#define IDLE_NS        100000000
#define NOTHING_NS     1000000 /* nothing to take right now */
#define ROUNDS         5       /* to find something: pages are hot thrice */
#define SHARED_BATCHES 64      /* until private frames are looked for again */
#define STUCK_AFTER    5       /* such pauses until faults stop waiting, */
#define LONGEST_PAUSE  6u      /* and until one is twice as long, so often */

void sw_reclaim_wake(struct sw_mm *mm)
{
	pthread_cond_signal(&mm->wake);
}

/* ---- one step ---- */

/* No slot left: said once, counted, and tried again when slots come free. */
static void device_is_full(struct sw_mm *mm)
{
	struct sw_swap_totals t;

	swap_devices_room(mm->devices, &t);
	if (t.free_pages >= SW_WINDOW_PAGES)
		return; /* only our buffers are all in use */
	if (!__atomic_exchange_n(&mm->full, true, __ATOMIC_RELAXED))
		sw_happened(mm, SW_MM_DEVICES_FULL);
	sw_warn_once(
		"swap is full: no more pages are taken out and memory grows beyond the budget; give --swap a larger size");
}

enum step {
	STEP_TOOK,
	STEP_NOTHING,
	STEP_ROUND,
	STEP_FULL,
	STEP_NOBODY /* gave such advice */
};

bool sw_slots_are_scarce(struct sw_mm *mm)
{
	struct sw_swap_totals t;

	swap_devices_room(mm->devices, &t);
	return t.free_pages * 8 < t.total_pages;
}

/* Once full, swap is left alone while slots are scarce: to take a page out for
 * each one that came back would only keep both busy. */
static bool is_full_still(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->full, __ATOMIC_RELAXED) &&
	       sw_slots_are_scarce(mm);
}

/* False: there is nowhere to put a batch. */
static bool prepare_step(struct sw_mm *mm)
{
	if (is_full_still(mm))
		return false;
	if (!sw_evict_prepare(mm, &mm->ev)) {
		device_is_full(mm);
		return false;
	}
	__atomic_store_n(&mm->full, false, __ATOMIC_RELAXED);
	return true;
}

/* Takes one batch of what programs said may go: `now`, or before others. */
static enum step advised_step(struct sw_mm *mm, bool now)
{
	struct sw_space *space = sw_advised_get(mm, now);
	struct sw_evictor *ev = &mm->ev;
	unsigned taken = 0;
	uint64_t epoch;

	if (!space)
		return STEP_NOBODY;
	if (!prepare_step(mm)) {
		sw_space_put(mm, space);
		return STEP_FULL;
	}
	do {
		sw_space_lock(space);
		if (!space->event_waits)
			sw_advice_pick(space, ev, now);
		epoch = space->mmu->epoch;
		sw_space_unlock(space);
	} while (!ev->nr_runs && sw_huge_ask(space, ev));
	if (ev->nr_runs)
		taken = sw_evict_run(space, ev, epoch);
	if (ev->nr_runs && ev->nr_busy) {
		sw_space_lock(space);
		sw_advice_again(space, ev);
		sw_space_unlock(space);
	}
	sw_space_put(mm, space);
	sw_count(advice_out, taken);
	return taken ? STEP_TOOK : STEP_NOTHING;
}

/* Where the hand was when it met the run. */
static uint64_t top_of(const struct sw_agent_run *run)
{
	uint64_t last = run->addr + (run->nr - 1) * SW_PAGE_SIZE;

	return (last | (SW_WINDOW_BYTES - 1)) + 1;
}

/* Takes one batch out of the space that is swept least far. */
static enum step evict_step(struct sw_mm *mm)
{
	struct sw_evictor *ev = &mm->ev;
	struct sw_space *space;
	uint64_t epoch, hand = SW_SWEPT;
	bool round;
	unsigned taken = 0;

	if (!prepare_step(mm))
		return STEP_FULL;
	space = sw_hand_get(mm);
	if (!space)
		return STEP_ROUND;
	sw_clock_ask(space);
	do {
		sw_space_lock(space);
		if (!space->event_waits)
			hand = sw_clock_pick(space, ev, sw_hand(space));
		epoch = space->mmu->epoch;
		sw_space_unlock(space);
	} while (!ev->nr_runs && sw_huge_ask(space, ev));
	if (ev->nr_runs) {
		taken = sw_evict_run(space, ev, epoch);
		if (ev->nr_busy) /* unshared now: once more from there */
			hand = top_of(&ev->run[0]);
	}
	sw_hand_set(space, hand);
	round = sw_hand_put(mm, space);
	mm->took += taken;
	if (taken && mm->take_shared)
		mm->take_shared--;
	if (round) {
		mm->impatient = !mm->took;
		if (!mm->took)
			mm->take_shared = SHARED_BATCHES;
		mm->took = 0;
	}
	return taken ? STEP_TOOK : round ? STEP_ROUND : STEP_NOTHING;
}

bool sw_reclaim_evict(struct sw_mm *mm)
{
	return evict_step(mm) == STEP_TOOK;
}

bool sw_reclaim_advised(struct sw_mm *mm)
{
	return advised_step(mm, true) == STEP_TOOK;
}

/* Sleeps a little, or until somebody asks for pages. */
static void pause_reclaim(struct sw_mm *mm, uint64_t ns)
{
	sw_mutex_lock(&mm->lock);
	if (!mm->stop && !mm->freeze.park)
		sw_mutex_wait(&mm->lock, &mm->wake, ns);
	sw_mutex_unlock(&mm->lock);
}

static bool should_write(struct sw_mm *mm)
{
	uint64_t nr = sw_staging_nr(mm), target = sw_staging_target(mm);

	/* Who knows what was touched makes few mistakes to be undone here. */
	if (sw_heat_is_known(mm))
		target /= 4;
	return nr >= target ||
	       (sw_budget_free(&mm->budget) <= 0 && nr >= WRITE_BATCH);
}

enum progress {
	PROGRESS_NONE,
	PROGRESS_LOOKED,
	PROGRESS_MADE
};

/* One step of balance(): something is taken out or written, or looked for.
 * `rounds` counts how often the hand came round without taking anything. */
static enum progress make_progress(struct sw_mm *mm, unsigned *rounds)
{
	enum step step = STEP_NOTHING;

	if (!should_write(mm)) {
		step = advised_step(mm, false);
		if (step != STEP_TOOK)
			step = evict_step(mm);
		if (step == STEP_TOOK) {
			*rounds = 0;
			return PROGRESS_MADE;
		}
		*rounds += step == STEP_ROUND;
		if (step != STEP_FULL && *rounds < ROUNDS)
			return PROGRESS_LOOKED;
	}
	return sw_staging_write(mm, WRITE_BATCH) ? PROGRESS_MADE
						 : PROGRESS_NONE;
}

bool sw_reclaim_progress(struct sw_mm *mm, unsigned *rounds)
{
	return make_progress(mm, rounds) != PROGRESS_NONE;
}

/* A device goes off (unuse.c), and slots of it may wait here for pages. */
static void heed_unprepare(struct sw_mm *mm)
{
	if (!__atomic_load_n(&mm->unprepare, __ATOMIC_ACQUIRE))
		return;
	sw_evict_unprepare(&mm->ev);
	__atomic_store_n(&mm->unprepare, false, __ATOMIC_RELEASE);
}

/*
 * Frees pages until the high mark is reached. When nothing can be done (no
 * slot, no agent, everything pinned) it says so, and faults do not wait for
 * it: memory grows then, which is better than a program that stands still.
 */
static void balance(struct sw_mm *mm)
{
	unsigned rounds = 0, failed = 0;

	if (!__atomic_exchange_n(&mm->said_budget, true, __ATOMIC_RELAXED))
		sw_happened(mm, SW_MM_BUDGET_REACHED);
	while (sw_budget_free(&mm->budget) < sw_budget_high(&mm->budget) &&
	       !__atomic_load_n(&mm->stop, __ATOMIC_RELAXED) &&
	       !sw_freeze_parks(mm)) {
		enum progress progress = make_progress(mm, &rounds);

		heed_unprepare(mm);
		if (progress == PROGRESS_MADE)
			failed = 0;
		failed += progress == PROGRESS_NONE;
		__atomic_store_n(&mm->stuck, failed >= STUCK_AFTER,
				 __ATOMIC_RELAXED);
		sw_room_wake(mm);
		if (progress == PROGRESS_NONE) {
			sw_budget_shrink(&mm->budget);
			pause_reclaim(mm,
				      NOTHING_NS << sw_min(failed / STUCK_AFTER,
							   LONGEST_PAUSE));
			rounds = 0;
		}
	}
	__atomic_store_n(&mm->stuck, false, __ATOMIC_RELAXED);
}

void sw_reclaim_balance(struct sw_mm *mm)
{
	if (sw_budget_free(&mm->budget) < sw_budget_low(&mm->budget))
		balance(mm);
}

/* There is room, and nothing goes but what a program wants to be gone. */
static void idle(struct sw_mm *mm)
{
	enum step step = advised_step(mm, true);
	bool wrote = false;

	if (step == STEP_FULL || (step == STEP_TOOK && should_write(mm)))
		wrote = sw_staging_write(mm, WRITE_BATCH);
	if (step != STEP_TOOK && !wrote)
		pause_reclaim(mm, step == STEP_NOTHING ? NOTHING_NS : IDLE_NS);
}

void sw_reclaim_unprepare(struct sw_mm *mm)
{
	__atomic_store_n(&mm->unprepare, true, __ATOMIC_RELEASE);
	if (!mm->started)
		heed_unprepare(mm);
}

bool sw_reclaim_is_unprepared(struct sw_mm *mm)
{
	return !__atomic_load_n(&mm->unprepare, __ATOMIC_ACQUIRE);
}

static void *reclaim_thread(void *arg)
{
	struct sw_mm *mm = arg;

	prctl(PR_SET_NAME, "spillway-swapd");
	/* Faults wait for it; as urgent as those who serve them. */
	sw_hurry();
	while (!__atomic_load_n(&mm->stop, __ATOMIC_RELAXED)) {
		sw_freeze_heed(mm);
		heed_unprepare(mm);
		if (sw_budget_free(&mm->budget) < sw_budget_low(&mm->budget))
			balance(mm);
		else if (!sw_wanted_step(mm))
			idle(mm);
	}
	sw_evict_unprepare(&mm->ev);
	return NULL;
}

/* ---- life ---- */

struct sw_mm *sw_mm_new(const struct sw_mm_config *config)
{
	struct sw_mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->host = config->host;
	mm->heat = config->heat;
	mm->devices = config->devices ? config->devices : SWAP_ALL_DEVICES;
	sw_budget_init(&mm->budget, config);
	sw_clean_init(mm);
	if (sw_shares_init(mm)) {
		free(mm);
		return NULL;
	}
	if (sw_staging_init(mm)) {
		sw_shares_release(mm);
		free(mm);
		return NULL;
	}
	sw_mutex_init(&mm->lock, "mm", SW_RANK_SESSION);
	sw_mutex_init(&mm->spaces_lock, "spaces", SW_RANK_SPACES);
	pthread_cond_init(&mm->wake, NULL);
	pthread_cond_init(&mm->room, NULL);
	pthread_cond_init(&mm->unused, NULL);
	pthread_cond_init(&mm->wanted.turn, NULL);
	sw_freeze_init(mm);
	sw_stalls_init(&mm->stalls);
	sw_list_init(&mm->spaces);
	return mm;
}

int sw_mm_start(struct sw_mm *mm)
{
	int err;

	mm->stop = false;
	err = pthread_create(&mm->thread, NULL, reclaim_thread, mm);
	mm->started = !err;
	return -err;
}

void sw_mm_stop(struct sw_mm *mm)
{
	if (!mm->started)
		goto out;
	sw_mutex_lock(&mm->lock);
	__atomic_store_n(&mm->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&mm->wake);
	sw_mutex_unlock(&mm->lock);
	pthread_join(mm->thread, NULL);
	mm->started = false;
	sw_kept_sweep(mm, UINT64_MAX);
out:
	sw_freeze_release(mm);
}

void sw_mm_free(struct sw_mm *mm)
{
	SW_BUG_ON(!sw_list_empty(&mm->spaces));
	sw_staging_release(mm);
	sw_shares_release(mm);
	pthread_cond_destroy(&mm->wake);
	pthread_cond_destroy(&mm->room);
	pthread_cond_destroy(&mm->unused);
	pthread_cond_destroy(&mm->freeze.turn);
	pthread_cond_destroy(&mm->wanted.turn);
	sw_stalls_destroy(&mm->stalls);
	sw_mutex_destroy(&mm->spaces_lock);
	sw_mutex_destroy(&mm->lock);
	free(mm);
}

uint64_t sw_mm_generation(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->generation, __ATOMIC_RELAXED);
}
