/*
 * inject_zswap.c - the n-th request for memory fails, then the n-th write of
 * the device, for n = 1, 2, 3 ... until a run meets no failure. Whatever
 * fails: no page is lost or changed, none is in two places, every invariant
 * holds.
 */
#include <pthread.h>

#include "../store/quiet.h"
#include "fixture.h"

#define SLOTS 513u
#define PAGES 300u

static unsigned nth, calls;
static bool failed, in_writes;

static bool fail_nth(void)
{
	bool now = !in_writes && ++calls == nth;

	failed |= now;
	return now;
}

static struct device dev;

/* The device fails this write. */
static void fail_nth_write(void *arg, uint64_t slot, unsigned nr)
{
	(void)arg, (void)slot, (void)nr;
	dev.disk.fail_write = in_writes && ++calls == nth;
	failed |= dev.disk.fail_write;
}

static struct sw_zswap *open_again(void)
{
	const struct sw_zswap_config config = { .size_bytes = 1 << 20,
						.codec = "lz4",
						.strong = "zstd" };
	struct sw_zswap *z = sw_zswap_open(&config);

	if (!z)
		CHECK(failed && errno == ENOMEM);
	return z ? z : sw_zswap_open(&config);
}

static void out(swp_entry_t *e, uint64_t number)
{
	struct folio *folio = folio_new(0, 0);
	unsigned char page[PG];

	CHECK(folio);
	*e = folio->swap;
	page_make(number, page);
	if (folio_write(folio, page)) {
		CHECK(failed);
		CHECK(!is_pooled(&dev, *e) && !is_on_disk(&dev, *e));
		CHECK(folio_write(folio, page) == 0);
	}
	folio_leave(folio);
}

/* A fresh thread, so that its work areas are asked for as well. */
static void *one_run(void *arg)
{
	struct sw_zswap *z = open_again();
	swp_entry_t e[PAGES];
	bool more = true;

	(void)arg;
	CHECK(z);
	device_on(&dev, z, SLOTS);
	dev.disk.on_write = fail_nth_write;
	for (unsigned i = 0; i < PAGES; i++)
		out(&e[i], i);
	sw_zswap_write_back(z, 20);
	while (more)
		sw_zswap_recompress(z, 16, &more);
	CHECK(sw_zswap_check(z) == 0);
	for (unsigned i = 0; i < PAGES; i++) {
		CHECK(is_pooled(&dev, e[i]) != is_on_disk(&dev, e[i]));
		expect_page(e[i], i);
	}
	sw_zswap_compact(z);
	for (unsigned i = 0; i < PAGES; i++) {
		expect_page(e[i], i);
		page_free(e[i]);
	}
	CHECK(sw_zswap_check(z) == 0 && z->live == 0);
	device_off(&dev, NULL, NULL);
	sw_zswap_close(z);
	return NULL;
}

static unsigned fails_in_turn(void)
{
	for (nth = 1;; nth++) {
		pthread_t t;

		failed = false;
		calls = 0;
		CHECK(pthread_create(&t, NULL, one_run, NULL) == 0);
		pthread_join(t, NULL);
		if (!failed)
			return nth - 1;
	}
}

int main(void)
{
	struct quiet q = quiet_begin();
	unsigned memory, writes;

	layer_open();
	sw_sysmem_fail = fail_nth;
	memory = fails_in_turn();
	in_writes = true;
	writes = fails_in_turn();
	sw_sysmem_fail = NULL;
	layer_close();
	quiet_end(&q);
	printf("%u requests for memory and %u writes failed in turn\n", memory,
	       writes);
	/* A hook nobody asks would pass as well. */
	return !(memory >= 20 && writes >= 20);
}
