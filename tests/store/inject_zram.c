/*
 * inject_zram.c - the n-th request for memory fails, for n = 1, 2, 3 ...
 * until a run meets no failure. Whatever fails: no page that was stored is
 * lost or changed, every invariant holds, and the store works again after.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pages.h"
#include "quiet.h"
#include "store/sysmem.h"
#include "store/zram.h"

#define SLOTS 400u

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("%s:%d: n = %u: %s\n", __FILE__, __LINE__, nth, \
			       #cond);                                         \
			abort();                                               \
		}                                                              \
	} while (0)

static unsigned nth, calls;
static bool failed;

static bool fail_nth(void)
{
	bool now = ++calls == nth;

	failed |= now;
	return now;
}

static const struct swap_ops *const ops = &sw_zram_ops;

static void expect_page(struct sw_zram *z, uint64_t slot, uint64_t number)
{
	unsigned char want[SW_PAGE_SIZE], got[SW_PAGE_SIZE];

	page_make(number, want);
	CHECK(ops->read(z, slot, 1, got) == 0);
	CHECK(!memcmp(got, want, SW_PAGE_SIZE));
}

/* What a slot has after a write: the new page, or the old one. */
static uint64_t store_page(struct sw_zram *z, uint64_t slot, uint64_t old,
			   uint64_t number)
{
	unsigned char page[SW_PAGE_SIZE];
	int err;

	page_make(number, page);
	err = ops->write(z, slot, 1, page);
	CHECK(err == 0 || err == -ENOMEM);
	CHECK(!err || failed);
	return err ? old : number;
}

/* A fresh thread, so that its scratch memory is asked for as well. */
static void *one_run(void *arg)
{
	struct sw_zram *z = sw_zram_open(SLOTS, arg);
	uint64_t has[SLOTS];

	if (!z) {
		CHECK(failed && errno == ENOMEM);
		return NULL;
	}
	for (uint64_t i = 0; i < SLOTS; i++) {
		has[i] = store_page(z, i, UINT64_MAX, i);
		if (has[i] == UINT64_MAX)
			has[i] = store_page(z, i, UINT64_MAX, i);
		CHECK(has[i] == i);
	}
	for (uint64_t i = 0; i < SLOTS; i += 3)
		has[i] = store_page(z, i, has[i], i * 7 + 1);
	CHECK(sw_zram_check(z) == 0);
	for (uint64_t i = 0; i < SLOTS; i++)
		expect_page(z, i, has[i]);
	ops->slot_free(z, 0, SLOTS);
	CHECK(sw_zram_check(z) == 0);
	sw_zram_close(z);
	return NULL;
}

static bool fails_in_turn(const char *codec)
{
	struct quiet q = quiet_begin();

	sw_sysmem_fail = fail_nth;
	for (nth = 1;; nth++) {
		pthread_t t;

		failed = false;
		calls = 0;
		CHECK(pthread_create(&t, NULL, one_run, (void *)codec) == 0);
		pthread_join(t, NULL);
		if (!failed)
			break;
	}
	quiet_end(&q);
	printf("%s: %u requests for memory failed in turn\n", codec, nth - 1);
	/* A hook nobody asks would pass as well. */
	return nth >= 20;
}

int main(void)
{
	return !(fails_in_turn("lz4") && fails_in_turn("zstd"));
}
