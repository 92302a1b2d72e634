/*
 * zswap_pool.c - how full the pool is, order in it, and the thread that sees to
 * both. Above: run/ starts the thread, mm/ asks what memory is held and for
 * less of it. Below: zswap_writeback.c, store/compact.c.
 *
 * Contents are measured, not memory: what cold pages leave behind is holes,
 * which the next pages fill. Above the high mark the thread writes back until
 * the low one is reached, so that pages go in the order of their age. Whoever
 * writes never waits for it. When that is too slow for them the pool runs
 * full, and pages go straight to the device until the low mark is reached;
 * without that, each page written back would make room for one that is
 * compressed for nothing but to follow it.
 */
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "zswap/zswap_internal.h"

#define HIGH_SIXTEENTHS 14
#define LOW_SIXTEENTHS  13

#define WRITE_BATCH    32        /* pages between two looks around */
#define STRONG_BATCH   16        /* same, of those compressed anew */
#define IDLE_NS        500000000 /* nothing was written for so long */
#define NO_PROGRESS_NS 10000000  /* the device fails, or all are in use */

/* ---- how full ---- */

bool sw_zswap_is_high(struct sw_zswap *z)
{
	return zswap_contents(z) > zswap_limit(z) / 16 * HIGH_SIXTEENTHS;
}

/* Lower than usual while it is full: with holes of the wrong sizes a pool may
 * be full below the low mark. */
bool sw_zswap_is_low(struct sw_zswap *z)
{
	uint64_t low = zswap_limit(z) / 16 * LOW_SIXTEENTHS;

	if (zswap_read_flag(&z->full))
		low = sw_min(low, zswap_read(&z->full_goal));
	return zswap_contents(z) <= low;
}

void zswap_is_full(struct sw_zswap *z)
{
	uint64_t now = zswap_contents(z), part = zswap_limit(z) / 16;

	if (!zswap_read_flag(&z->full))
		__atomic_store_n(&z->full_goal, now - sw_min(now, part),
				 __ATOMIC_RELAXED);
	__atomic_store_n(&z->full, true, __ATOMIC_RELAXED);
	sw_count(zswap_pool_limit_hit, 1);
	zswap_wake(z);
}

static uint64_t memory(const struct sw_zswap *z)
{
	return sw_objpool_mem_bytes(z->pool) +
	       zswap_read(&z->live) * sizeof(struct zswap_entry);
}

uint64_t sw_zswap_pages(void *zswap)
{
	return (memory(zswap) + SW_PAGE_SIZE - 1) / SW_PAGE_SIZE;
}

/* ---- order ---- */

static unsigned sweep(void *zswap, uint64_t max_looks, unsigned max_moves)
{
	struct sw_zswap *z = zswap;
	uint32_t end = __atomic_load_n(&z->fresh, __ATOMIC_RELAXED);
	uint64_t *cursor = &z->compact.cursor;
	unsigned moved = 0;

	for (uint64_t looks = sw_min(max_looks, (uint64_t)end);
	     looks && moved < max_moves; looks--) {
		if (*cursor >= end)
			*cursor = 1;
		else
			moved += sw_packed_move(
				z->pool, &z->entries[(*cursor)++].handle);
	}
	return moved;
}

/* Those who have other things to do tidy only where more is lost. */
static const struct sw_compact_how how = {
	.step_part = 32,
	.round_part = 128,
	.sweep = sweep,
};

void zswap_compact_step(struct sw_zswap *z)
{
	sw_compact_step(&z->compact, z->pool, &how, z);
}

uint64_t sw_zswap_compact(struct sw_zswap *z)
{
	return sw_compact_all(&z->compact, z->pool, &how, z);
}

/* ---- the thread ---- */

static bool must_stop(const struct sw_zswap *z)
{
	return __atomic_load_n(&z->stop, __ATOMIC_RELAXED);
}

void zswap_wake(struct sw_zswap *z)
{
	if (__atomic_exchange_n(&z->asked, true, __ATOMIC_RELAXED))
		return;
	sw_mutex_lock(&z->wake_lock);
	pthread_cond_signal(&z->wake);
	sw_mutex_unlock(&z->wake_lock);
}

void sw_zswap_shrink(void *zswap, uint64_t nr)
{
	struct sw_zswap *z = zswap;

	/* Not added up: who asks again has got nothing yet. */
	__atomic_store_n(&z->wanted, nr, __ATOMIC_RELAXED);
	zswap_wake(z);
}

/* False: nobody asked before the time was over. */
static bool wait_for_work(struct sw_zswap *z, uint64_t ns)
{
	bool asked;

	sw_mutex_lock(&z->wake_lock);
	if (!zswap_read_flag(&z->asked) && !must_stop(z))
		sw_mutex_wait(&z->wake_lock, &z->wake, ns);
	asked = __atomic_exchange_n(&z->asked, false, __ATOMIC_RELAXED);
	sw_mutex_unlock(&z->wake_lock);
	return asked;
}

/* What the shrinker still waits for, after `done` more pages went. */
static uint64_t wanted(struct sw_zswap *z, uint64_t done)
{
	uint64_t nr = zswap_read(&z->wanted);

	nr -= sw_min(nr, done);
	__atomic_store_n(&z->wanted, nr, __ATOMIC_RELAXED);
	return nr;
}

bool sw_zswap_balance(struct sw_zswap *z)
{
	unsigned done;

	zswap_compact_step(z);
	while (!must_stop(z) && (!sw_zswap_is_low(z) || wanted(z, 0))) {
		done = sw_zswap_write_back(z, WRITE_BATCH);
		zswap_compact_step(z);
		if (!wanted(z, done) && sw_zswap_is_low(z))
			break;
		if (!done) {
			__atomic_store_n(&z->wanted, 0, __ATOMIC_RELAXED);
			return false;
		}
	}
	__atomic_store_n(&z->full, false, __ATOMIC_RELAXED);
	return true;
}

static bool has_work(struct sw_zswap *z)
{
	return sw_zswap_is_high(z) || zswap_read_flag(&z->full) ||
	       zswap_read(&z->wanted);
}

/* Nothing was written for a while, and nothing is as long as this goes on. */
static void use_idle_time(struct sw_zswap *z, uint64_t stores, bool *more)
{
	while (*more && !must_stop(z) && !has_work(z) &&
	       zswap_read(&z->stores) == stores)
		(void)sw_zswap_recompress(z, STRONG_BATCH, more);
	if (!*more)
		(void)sw_zswap_compact(z);
}

static void *zswap_thread(void *arg)
{
	struct sw_zswap *z = arg;
	uint64_t stores = 0, pause = IDLE_NS;
	bool more = true;

	prctl(PR_SET_NAME, "spillway-zswapd");
	while (!must_stop(z)) {
		bool idle = !wait_for_work(z, pause) && pause == IDLE_NS;

		pause = IDLE_NS;
		if (has_work(z) && !sw_zswap_balance(z))
			pause = NO_PROGRESS_NS;
		if (zswap_read(&z->stores) != stores) {
			stores = zswap_read(&z->stores);
			more = true;
		} else if (idle) {
			use_idle_time(z, stores, &more);
		}
	}
	return NULL;
}

int sw_zswap_start(struct sw_zswap *z)
{
	int err = pthread_create(&z->thread, NULL, zswap_thread, z);

	if (err)
		sw_error("zswap: cannot start a thread: %s", strerror(err));
	z->started = !err;
	return -err;
}

void sw_zswap_stop(struct sw_zswap *z)
{
	if (!z->started)
		return;
	sw_mutex_lock(&z->wake_lock);
	__atomic_store_n(&z->stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&z->wake);
	sw_mutex_unlock(&z->wake_lock);
	pthread_join(z->thread, NULL);
	z->started = z->stop = false;
}

/* ---- accounts ---- */

void sw_zswap_stats(struct sw_zswap *z, struct sw_zswap_stats *st)
{
	const uint64_t each = sizeof(struct zswap_entry);
	uint64_t live = zswap_read(&z->live);
	struct sw_objpool_stats pool;

	sw_objpool_stats(z->pool, &pool);
	*st = (struct sw_zswap_stats){
		.pages = live,
		.same_pages = zswap_read(&z->same),
		.strong_pages = zswap_read(&z->nr_strong),
		.compr_bytes = zswap_read(&z->bytes),
		.mem_bytes = pool.mem_bytes + live * each,
		.mem_bytes_peak = pool.peak_bytes,
		.moved_objects = zswap_read(&z->compact.moved),
	};
}

unsigned sw_zswap_check(struct sw_zswap *z)
{
	return sw_objpool_check(z->pool) + zswap_entries_check(z);
}
