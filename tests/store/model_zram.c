/*
 * model_zram.c - random operations on a compressed store beside the most
 * naive model there is: an array that remembers which page each slot has.
 * Every read is compared byte for byte, the accounts after each round, and in
 * the end nothing is left. Prints the seed; SW_SEED repeats a run, SW_ROUNDS
 * makes it longer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pages.h"
#include "quiet.h"
#include "store/zram.h"

#define SLOTS     3000u
#define MAX_BATCH 64u
#define EMPTY     UINT64_MAX

#define CHECK(cond)                                                       \
	do {                                                              \
		if (!(cond)) {                                            \
			fprintf(stderr, "%s:%d: %s (seed %" PRIu64 ")\n", \
				__FILE__, __LINE__, #cond, seed);         \
			abort();                                          \
		}                                                         \
	} while (0)

static uint64_t seed, rnd;
static uint64_t model[SLOTS]; /* the page's number, or EMPTY */
static unsigned char pages[MAX_BATCH * SW_PAGE_SIZE], one[SW_PAGE_SIZE];
static const struct swap_ops *const ops = &sw_zram_ops;

static void do_write(struct sw_zram *z, uint64_t slot, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		model[slot + i] = rnd_next(&rnd) >> 8;
		page_make(model[slot + i], pages + i * SW_PAGE_SIZE);
	}
	CHECK(ops->write(z, slot, nr, pages) == 0);
}

/* Reads up to the first empty slot; that one has to be an error. */
static void do_read(struct sw_zram *z, uint64_t slot, unsigned nr)
{
	unsigned good = 0;

	while (good < nr && model[slot + good] != EMPTY)
		good++;
	memset(pages, 0x5a, nr * SW_PAGE_SIZE);
	CHECK(ops->read(z, slot, good, pages) == 0);
	for (unsigned i = 0; i < good; i++) {
		page_make(model[slot + i], one);
		CHECK(!memcmp(pages + i * SW_PAGE_SIZE, one, SW_PAGE_SIZE));
	}
	if (good < nr) {
		struct quiet q = quiet_begin();
		int err = ops->read(z, slot, nr, pages);

		quiet_end(&q);
		CHECK(err == -EIO);
	}
}

static void do_free(struct sw_zram *z, uint64_t slot, unsigned nr)
{
	if (rnd_below(&rnd, 8) == 0)
		CHECK(ops->discard(z, slot, nr) == 0);
	else
		ops->slot_free(z, slot, nr);
	for (unsigned i = 0; i < nr; i++)
		model[slot + i] = EMPTY;
}

static void compare_accounts(struct sw_zram *z)
{
	uint64_t held = 0, same = 0, noise = 0, compr = 0;
	struct sw_store_stats st;
	size_t len;

	for (uint64_t i = 0; i < SLOTS; i++) {
		bool has_object = sw_zram_object(z, i, &len);

		compr += has_object ? len : 0;
		held += model[i] != EMPTY;
		if (model[i] == EMPTY) {
			CHECK(!has_object);
		} else if (page_kind(model[i]) <= PAGE_SAME) {
			CHECK(!has_object);
			same++;
		} else {
			CHECK(has_object);
			noise += page_kind(model[i]) == PAGE_NOISE;
		}
	}
	sw_zram_stats(z, &st);
	CHECK(st.pages == held);
	CHECK(st.same_pages == same);
	CHECK(st.raw_pages >= noise && st.raw_pages <= held - same);
	CHECK(st.compr_bytes == compr);
	CHECK(st.mem_bytes >= compr && st.mem_bytes_peak >= st.mem_bytes);
	CHECK(sw_zram_check(z) == 0);
}

static void run(const char *codec, unsigned rounds)
{
	struct sw_zram *z = sw_zram_open(SLOTS, codec);
	struct sw_store_stats st;

	CHECK(z);
	for (uint64_t i = 0; i < SLOTS; i++)
		model[i] = EMPTY;
	for (unsigned round = 0; round < rounds; round++) {
		/* The mood of a round: filling, steady or draining. */
		unsigned mood = rnd_below(&rnd, 3);

		for (unsigned i = 0; i < 400; i++) {
			unsigned nr = rnd_below(&rnd, 4)
					      ? 1
					      : 1 + rnd_below(&rnd, MAX_BATCH);
			uint64_t slot = rnd_below(&rnd, SLOTS - nr + 1);
			unsigned what = rnd_below(&rnd, 12);

			if (rnd_below(&rnd, 50) == 0)
				sw_zram_compact(z);

			if (what < 4)
				do_read(z, slot, nr);
			else if (what < 6 + mood * 2)
				do_free(z, slot, nr);
			else
				do_write(z, slot, nr);
		}
		compare_accounts(z);
	}
	for (uint64_t i = 0; i < SLOTS; i++)
		do_read(z, i, 1);
	ops->slot_free(z, 0, SLOTS);
	sw_zram_stats(z, &st);
	CHECK(st.pages == 0 && st.compr_bytes == 0 && st.mem_bytes == 0);
	CHECK(st.same_pages == 0 && st.raw_pages == 0);
	CHECK(sw_zram_check(z) == 0);
	sw_zram_close(z);
}

int main(void)
{
	static const char *const codecs[] = { SW_TEST_CODECS };
	const char *env = getenv("SW_SEED"), *rounds = getenv("SW_ROUNDS");

	seed = rnd = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	for (size_t i = 0; i < SW_ARRAY_SIZE(codecs); i++)
		run(codecs[i], rounds ? atoi(rounds) : 12);
	return 0;
}
