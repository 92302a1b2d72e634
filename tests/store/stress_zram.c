/*
 * stress_zram.c - threads on one store, each with slots of its own spread
 * between those of the others, so that they meet in every class of the
 * object pool; pages that nobody changes are read by all at once; one more
 * takes statistics, and one does nothing but move objects. Each thread goes
 * through times of filling and of draining, which is what makes objects move. For TSan, and for lost objects without it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "pages.h"
#include "store/zram.h"

#define THREADS 4u
#define OWN     1500u /* slots a thread */
#define SHARED  50u   /* slots behind them, read by all */
#define SLOTS   (THREADS * OWN + SHARED)
#define EMPTY   UINT64_MAX

static struct sw_zram *zram;
static unsigned nr_ops = 12000;
static bool done; /* [atomic] */
static const struct swap_ops *const ops = &sw_zram_ops;

static void write_page(uint64_t slot, uint64_t number)
{
	unsigned char page[SW_PAGE_SIZE];

	page_make(number, page);
	CHECK(ops->write(zram, slot, 1, page) == 0);
}

static void expect_page(uint64_t slot, uint64_t number)
{
	unsigned char want[SW_PAGE_SIZE], got[SW_PAGE_SIZE];

	page_make(number, want);
	CHECK(ops->read(zram, slot, 1, got) == 0);
	CHECK(!memcmp(got, want, SW_PAGE_SIZE));
}

static void *worker(void *arg)
{
	const uint64_t me = (uintptr_t)arg;
	uint64_t has[OWN], rnd = me + 1;

	for (unsigned i = 0; i < OWN; i++)
		has[i] = EMPTY;
	for (unsigned i = 0; i < nr_ops; i++) {
		unsigned own = rnd_below(&rnd, OWN);
		uint64_t slot = own * THREADS + me;

		const bool draining = i / 2000 % 2;

		if (has[own] == EMPTY ? !draining : rnd_below(&rnd, 8) == 0) {
			has[own] = rnd_next(&rnd) >> 8;
			write_page(slot, has[own]);
		} else if (has[own] == EMPTY) {
			continue;
		} else if (rnd_below(&rnd, draining ? 2 : 8) == 0) {
			ops->slot_free(zram, slot, 1);
			has[own] = EMPTY;
		} else {
			expect_page(slot, has[own]);
		}
		own = rnd_below(&rnd, SHARED);
		if (i % 8 == 0)
			expect_page(THREADS * OWN + own, own);
	}
	for (unsigned i = 0; i < OWN; i++) {
		if (has[i] == EMPTY)
			continue;
		expect_page(i * THREADS + me, has[i]);
		ops->slot_free(zram, i * THREADS + me, 1);
	}
	return NULL;
}

static void *watcher(void *arg)
{
	struct sw_store_stats st;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		sw_zram_stats(zram, &st);
		CHECK(st.mem_bytes <= st.mem_bytes_peak);
	}
	return NULL;
}

static void *mover(void *arg)
{
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		if (!sw_zram_compact(zram))
			usleep(1000);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS], watch, move;
	struct sw_store_stats st;

	if (getenv("SW_OPS"))
		nr_ops = atoi(getenv("SW_OPS"));
	zram = sw_zram_open(SLOTS, "lz4");
	CHECK(zram);
	for (uint64_t i = 0; i < SHARED; i++)
		write_page(THREADS * OWN + i, i);
	CHECK(!pthread_create(&watch, NULL, watcher, NULL));
	CHECK(!pthread_create(&move, NULL, mover, NULL));
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, worker, (void *)i));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(watch, NULL);
	pthread_join(move, NULL);
	CHECK(sw_zram_check(zram) == 0);
	ops->slot_free(zram, THREADS * OWN, SHARED);
	sw_zram_stats(zram, &st);
	CHECK(st.pages == 0 && st.compr_bytes == 0 && st.mem_bytes == 0);
	printf("%lu objects moved under way\n", st.moved_objects);
	CHECK(st.moved_objects > 0);
	sw_zram_close(zram);
	return 0;
}
