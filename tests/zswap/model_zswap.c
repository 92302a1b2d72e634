/*
 * model_zswap.c - random operations on two devices behind one pool, beside the
 * most naive model there is: a list that remembers which page each slot has.
 * Pages go out alone and as large folios, come back, change in their slot,
 * stay as clean copies, get marked zero; meanwhile cold ones are written back
 * and compressed anew, the device fails, memory is refused. Every page that is
 * read is compared; after each round each page is in exactly one place.
 * Prints the seed; SW_SEED repeats a run, SW_ROUNDS makes it longer.
 */
#include <inttypes.h>
#include <time.h>

#include "../store/quiet.h"
#include "fixture.h"

#define MAX_PAGES 1500u
#define POOL      (768u << 10)
#define ZERO      UINT64_MAX /* only the mark has it */

static uint64_t seed, rnd;
static struct sw_zswap *pool;
static struct device dev[2];
static bool short_of_memory; /* one request in four is refused */

static struct page {
	swp_entry_t e;
	uint64_t number;
	struct folio *clean; /* a program has it, and this is its copy */
} page[MAX_PAGES];

static unsigned nr_pages;

static bool refuse(void)
{
	return short_of_memory && rnd_below(&rnd, 4) == 0;
}

static struct device *device_of(swp_entry_t e)
{
	return swp_type(e) == (unsigned)dev[0].type ? &dev[0] : &dev[1];
}

static void set_failing(bool fails)
{
	for (unsigned i = 0; i < 2; i++)
		dev[i].disk.fail_write = fails;
	short_of_memory = fails && rnd_below(&rnd, 2);
}

/* Writes until it works, as reclaim does. */
static void write_until_done(struct folio *folio, const void *pages)
{
	while (folio_write(folio, pages)) {
		CHECK(dev[0].disk.fail_write);
		/* Nothing of it is anywhere. */
		for (unsigned i = 0; i < folio_nr(folio); i++) {
			swp_entry_t e = { folio->swap.val + i };

			CHECK(!is_pooled(device_of(e), e));
			CHECK(!is_on_disk(device_of(e), e));
		}
		set_failing(false);
	}
}

static void do_out(unsigned order)
{
	unsigned char pages[16 * PG];
	struct folio *folio;

	if (nr_pages + (1u << order) > MAX_PAGES)
		return;
	folio = folio_new(order, rnd_below(&rnd, 4));
	if (!folio)
		return;
	for (unsigned i = 0; i < 1u << order; i++) {
		struct page *p = &page[nr_pages++];

		*p = (struct page){
			.e.val = folio->swap.val + i,
			.number = rnd_next(&rnd) >> 8,
		};
		page_make(p->number, pages + i * PG);
	}
	write_until_done(folio, pages);
	folio_clear(folio, SW_FOLIO_DIRTY);
	folio_leave(folio);
}

static void compare(struct folio *folio, const struct page *p)
{
	unsigned char want[PG], got[PG];

	if (p->number == ZERO) {
		CHECK(swap_zeromap_test(p->e));
		return;
	}
	CHECK(!swap_zeromap_test(p->e));
	page_make(p->number, want);
	CHECK(page_read(folio, got) == 0);
	CHECK(!memcmp(got, want, PG));
}

static void do_in(struct page *p)
{
	struct folio *folio;

	if (p->clean)
		return;
	folio = page_claim(p->e);
	compare(folio, p);
	folio_leave(folio);
}

static void end_clean(struct page *p, bool out)
{
	folio_lock(p->clean);
	folio_clear(p->clean, SW_FOLIO_MAPPED);
	if (!folio_matches_swap_entry(p->clean, p->e)) {
		/* It was dropped, and the slot with it. */
		folio_unlock(p->clean);
		folio_put(p->clean);
		*p = page[--nr_pages];
		return;
	}
	compare(p->clean, p);
	if (out)
		CHECK(folio_dup_swap(p->clean, 0) == 0);
	folio_leave(p->clean);
	p->clean = NULL;
	if (!out)
		*p = page[--nr_pages];
}

static void do_free(struct page *p)
{
	if (p->clean) {
		end_clean(p, false);
		return;
	}
	page_free(p->e);
	CHECK(!is_pooled(device_of(p->e), p->e));
	CHECK(!is_on_disk(device_of(p->e), p->e));
	*p = page[--nr_pages];
}

static void do_clean(struct page *p)
{
	if (p->clean) {
		end_clean(p, true);
		return;
	}
	p->clean = page_claim(p->e);
	compare(p->clean, p);
	folio_put_swap(p->clean, 0);
	folio_set(p->clean, SW_FOLIO_MAPPED);
	folio_unlock(p->clean);
}

/* The same slot, another page. */
static void do_change(struct page *p)
{
	unsigned char bytes[PG];
	struct folio *folio;

	if (p->clean)
		return;
	folio = page_claim(p->e);
	if (rnd_below(&rnd, 8) == 0) {
		swap_zeromap_folio_set(folio);
		p->number = ZERO;
	} else {
		swap_zeromap_folio_clear(folio);
		p->number = rnd_next(&rnd) >> 8;
		page_make(p->number, bytes);
		write_until_done(folio, bytes);
	}
	folio_leave(folio);
}

static void do_background(void)
{
	bool more;

	switch (rnd_below(&rnd, 5)) {
	case 0:
	case 1:
		sw_zswap_write_back(pool, 1 + rnd_below(&rnd, 40));
		return;
	case 2:
		sw_zswap_recompress(pool, 1 + rnd_below(&rnd, 20), &more);
		return;
	case 3:
		(void)sw_zswap_balance(pool);
		return;
	default:
		sw_zswap_compact(pool);
		return;
	}
}

static void do_one(unsigned fill)
{
	static const unsigned orders[] = { 0, 0, 0, 2, 4 };
	struct page *p = nr_pages ? &page[rnd_below(&rnd, nr_pages)] : NULL;
	unsigned what = rnd_below(&rnd, 100);

	if (!p || what < fill)
		do_out(orders[rnd_below(&rnd, SW_ARRAY_SIZE(orders))]);
	else if (what < 50)
		do_free(p);
	else if (what < 70)
		do_in(p);
	else if (what < 80)
		do_change(p);
	else if (what < 97)
		do_clean(p);
	else
		do_background();
}

/* Each page is in one place; nothing else is anywhere. */
static void check_places(void)
{
	uint64_t pooled = 0, on_disk = 0, both = 0;

	for (unsigned i = 0; i < nr_pages; i++) {
		struct page *p = &page[i];
		struct device *d = device_of(p->e);

		if (p->clean && !folio_test(p->clean, SW_FOLIO_SWAPCACHE))
			continue; /* its slot may be another's */
		pooled += is_pooled(d, p->e);
		on_disk += is_on_disk(d, p->e);
		both += p->number != ZERO &&
			is_pooled(d, p->e) == is_on_disk(d, p->e);
	}
	CHECK(both == 0);
	CHECK(pooled == pool->live);
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t s = 0; s < dev[i].disk.slots; s++)
			on_disk -= dev[i].disk.has[s];
	CHECK(on_disk == 0);
	CHECK(sw_zswap_check(pool) == 0);
	CHECK(swap_check(NULL, NULL) == 0);
	CHECK(sw_objpool_mem_bytes(pool->pool) <= POOL);
}

static void play(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		unsigned fill = 15 + rnd_below(&rnd, 30);

		for (unsigned i = 0; i < 400; i++) {
			if (rnd_below(&rnd, 40) == 0)
				set_failing(rnd_below(&rnd, 2));
			do_one(fill);
		}
		set_failing(false);
		check_places();
	}
	for (unsigned i = 0; i < nr_pages; i++)
		do_in(&page[i]);
	while (nr_pages)
		do_free(&page[0]);
	check_places();
	CHECK(pool->live == 0 && sw_zswap_pages(pool) == 0);
}

int main(void)
{
	const char *env = getenv("SW_SEED"), *rounds = getenv("SW_ROUNDS");
	struct quiet q;

	seed = rnd = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	layer_open();
	pool = pool_open(POOL);
	device_on(&dev[0], pool, 1024);
	disk_batches = true;
	device_on(&dev[1], pool, 700);
	disk_batches = false;
	sw_sysmem_fail = refuse;
	q = quiet_begin();
	play(rounds ? atoi(rounds) : 300);
	quiet_end(&q);
	sw_sysmem_fail = NULL;
	device_off(&dev[0], NULL, NULL);
	device_off(&dev[1], NULL, NULL);
	sw_zswap_close(pool);
	printf("%lu stored, %lu written back, %lu dropped, %lu refused, %lu failed, %lu compressed anew\n",
	       counted(zswpout), counted(zswpwb), counted(zswap_dropped_clean),
	       counted(zswap_pool_limit_hit),
	       counted(zswap_reject_reclaim_fail), counted(zswap_recompressed));
	layer_close();
	return 0;
}
