/*
 * stress_zswap.c - threads that page on two devices behind one small pool,
 * while another switches one of the devices off and on again, and one more asks
 * for room all the time; then once more while that one writes back, compacts
 * and compresses anew itself. Each worker has pages of its own, which it writes, reads, changes,
 * keeps as clean copies and frees; pages that belong to all are read by all.
 * For TSan, and for lost pages without it.
 */
#include <pthread.h>
#include <time.h>

#include "fixture.h"

#define WORKERS 3u
#define OWN     150u
#define SHARED  40u

static struct sw_zswap *pool;
static struct device keep, flip;
static swp_entry_t shared[SHARED];
static unsigned nr_ops = 10000;
static int going;  /* [atomic] type of the device that goes off, or -1 */
static bool done;  /* [atomic] */
static bool ended; /* [atomic] the workers' pages are gone */

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 200000 };

	nanosleep(&t, NULL);
}

struct mine {
	swp_entry_t e;
	uint64_t number;
};

/* A page of ours in a slot of a device that goes off is read, and given up. */
static void leave_device(struct mine *p)
{
	int type = __atomic_load_n(&going, __ATOMIC_ACQUIRE);

	if (!p->e.val || type < 0 || swp_type(p->e) != (unsigned)type)
		return;
	expect_page(p->e, p->number);
	page_free(p->e);
	p->e.val = 0;
}

static void keep_clean(struct mine *p)
{
	struct folio *folio = page_claim(p->e);

	folio_put_swap(folio, 0);
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_unlock(folio);
	sched_yield();
	folio_lock(folio);
	folio_clear(folio, SW_FOLIO_MAPPED);
	if (folio_matches_swap_entry(folio, p->e)) {
		CHECK(folio_dup_swap(folio, 0) == 0);
		folio_leave(folio);
		return;
	}
	folio_unlock(folio);
	folio_put(folio);
	p->e.val = 0;
}

static void change(struct mine *p, uint64_t number)
{
	struct folio *folio = page_claim(p->e);
	unsigned char page[PG];

	page_make(number, page);
	CHECK(folio_write(folio, page) == 0);
	p->number = number;
	folio_leave(folio);
}

static void step(struct mine *p, uint64_t *rnd)
{
	unsigned what = rnd_below(rnd, 10);

	leave_device(p);
	if (!p->e.val) {
		p->number = rnd_next(rnd) >> 8;
		p->e = page_out(p->number, 1 + rnd_below(rnd, 2));
		return;
	}
	if (what < 4) {
		expect_page(p->e, p->number);
	} else if (what < 6) {
		change(p, rnd_next(rnd) >> 8);
	} else if (what < 8) {
		keep_clean(p);
	} else {
		page_free(p->e);
		p->e.val = 0;
	}
}

static void *worker(void *arg)
{
	uint64_t rnd = (uintptr_t)arg + 1;
	struct mine mine[OWN] = { { .e.val = 0 } };

	for (unsigned i = 0; i < nr_ops; i++) {
		step(&mine[rnd_below(&rnd, OWN)], &rnd);
		if (i % 4 == 0) {
			unsigned k = rnd_below(&rnd, SHARED);

			expect_page(shared[k], k);
		}
		/* Whoever switches a device off waits for us. */
		if (i % 64 == 0)
			for (unsigned k = 0; k < OWN; k++)
				leave_device(&mine[k]);
	}
	for (unsigned i = 0; i < OWN; i++) {
		if (!mine[i].e.val)
			continue;
		expect_page(mine[i].e, mine[i].number);
		page_free(mine[i].e);
	}
	return NULL;
}

static int wait_for_workers(void *arg, unsigned type)
{
	nap();
	return 0;
}

static void *flipper(void *arg)
{
	while (!__atomic_load_n(&ended, __ATOMIC_ACQUIRE)) {
		device_on(&flip, pool, 400);
		for (unsigned i = 0; i < 20; i++)
			nap();
		__atomic_store_n(&going, flip.type, __ATOMIC_RELEASE);
		device_off(&flip, wait_for_workers, NULL);
		__atomic_store_n(&going, -1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Asks the pool's thread for room all the time. */
static void *shrinker(void *arg)
{
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		sw_zswap_shrink(pool, 20);
		CHECK(sw_zswap_pages(pool) < 1 << 20);
		nap();
	}
	return NULL;
}

/* In place of that thread: does what it would do when idle as well. */
static void *keeper(void *arg)
{
	bool more;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		sw_zswap_write_back(pool, 10);
		(void)sw_zswap_balance(pool);
		(void)sw_zswap_recompress(pool, 40, &more);
		(void)sw_zswap_compact(pool);
	}
	return NULL;
}

static void play(void *(*other)(void *arg))
{
	pthread_t workers[WORKERS], flip_thread, other_thread;

	ended = done = false;
	CHECK(!pthread_create(&flip_thread, NULL, flipper, NULL));
	CHECK(!pthread_create(&other_thread, NULL, other, NULL));
	for (uintptr_t i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&workers[i], NULL, worker, (void *)i));
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	__atomic_store_n(&ended, true, __ATOMIC_RELEASE);
	pthread_join(flip_thread, NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(other_thread, NULL);
}

int main(void)
{
	if (getenv("SW_OPS"))
		nr_ops = atoi(getenv("SW_OPS"));
	layer_open();
	pool = pool_open(512 << 10);
	going = -1;
	disk_batches = true;
	device_on(&keep, pool, 700);
	disk_batches = false;
	for (unsigned i = 0; i < SHARED; i++)
		shared[i] = page_out(i, 0);
	CHECK(sw_zswap_start(pool) == 0);
	play(shrinker);
	sw_zswap_stop(pool);
	play(keeper);
	CHECK(sw_zswap_check(pool) == 0);
	CHECK(swap_check(NULL, NULL) == 0);
	for (unsigned i = 0; i < SHARED; i++) {
		expect_page(shared[i], i);
		page_free(shared[i]);
	}
	CHECK(pool->live == 0);
	device_off(&keep, NULL, NULL);
	sw_zswap_close(pool);
	CHECK(sw_counter_read(SW_CTR_zswpwb) > 0);
	CHECK(sw_counter_read(SW_CTR_zswap_recompressed) > 0);
	printf("%lu stored, %lu written back, %lu dropped, %lu compressed anew\n",
	       counted(zswpout), counted(zswpwb), counted(zswap_dropped_clean),
	       counted(zswap_recompressed));
	layer_close();
	return 0;
}
