/*
 * explore_zswap.c - scenarios about pages that are written back from zswap's
 * pool: against a fault, a put, the next user of the slot, another write to it,
 * swapoff. The device behind the pool is plain memory, and says in the middle
 * of each transfer that somebody else could come in.
 */
#include "explore.h"

#ifdef SW_CHECKS
#include <string.h>

#include "zswap/zswap_internal.h"

#define PG    SW_PAGE_SIZE
#define SLOTS (2 * CL)

static struct sw_zswap *pool;
static struct sw_zswap_device *dev;
static int ztype; /* of the device behind the pool */
static swp_entry_t slot;
static uint64_t first_word; /* of the page that the slot should have */
static bool is_gone;        /* and whether anybody still wants it */

/* ---- a device ---- */

static struct {
	unsigned char page[PG];
	bool has;
	bool busy; /* in a transfer: two at once are forbidden */
} disk[SLOTS];

static void begin(uint64_t o)
{
	EXPECT(!disk[o].busy);
	disk[o].busy = true;
	sw_sched_point("disk");
}

static int disk_write(void *store, uint64_t o, unsigned nr, const void *pages)
{
	for (unsigned i = 0; i < nr; i++, o++) {
		begin(o);
		memcpy(disk[o].page, (const char *)pages + i * PG, PG);
		disk[o].has = true;
		disk[o].busy = false;
	}
	return 0;
}

static int disk_read(void *store, uint64_t o, unsigned nr, void *pages)
{
	for (unsigned i = 0; i < nr; i++, o++) {
		begin(o);
		EXPECT(disk[o].has);
		memcpy((char *)pages + i * PG, disk[o].page, PG);
		disk[o].busy = false;
	}
	return 0;
}

static void disk_free(void *store, uint64_t o, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++, o++) {
		EXPECT(!disk[o].busy);
		disk[o].has = false;
	}
}

static void disk_batch(void *store, bool write, struct swap_io *io, unsigned nr)
{
	EXPECT(write);
	for (unsigned i = 0; i < nr; i++)
		io[i].err = disk_write(store, swp_offset(io[i].entry), io[i].nr,
				       io[i].pages);
}

static const struct swap_ops disk_ops = {
	.batch = disk_batch,
	.write = disk_write,
	.read = disk_read,
	.slot_free = disk_free,
};

/* ---- pages ---- */

#define ONE_WORD 6000 /* a page that is only this */

/* A page that shrinks. */
static void make_page(uint64_t word, uint64_t *page)
{
	for (unsigned i = 0; i < PG / 8; i++)
		page[i] = word + (word == ONE_WORD ? 0 : i % 5);
}

/* Out of the cache goes a folio whose page was written, as mm does it. */
static void write_out(struct folio *folio, uint64_t word)
{
	uint64_t page[4 * PG / 8]; /* the stack is small */

	for (unsigned i = 0; i < folio_nr(folio); i++)
		make_page(word + i * 1000, page + i * PG / 8);
	folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	EXPECT(sw_zswap_ops.write(dev, swp_offset(folio->swap), folio_nr(folio),
				  page) == 0);
	folio_lock(folio);
	folio_clear(folio, SW_FOLIO_WRITEBACK);
}

static void leave(struct folio *folio)
{
	if (!folio_free_swap(folio))
		swap_cache_del_folio(folio, 1);
	drop(folio);
}

static swp_entry_t page_out(unsigned order, uint64_t word)
{
	struct folio *folio = cached_folio(order);
	swp_entry_t e = folio->swap;

	EXPECT(swp_type(e) == (unsigned)ztype);
	EXPECT(folio_dup_swap(folio, -1) == 0);
	write_out(folio, word);
	leave(folio);
	return e;
}

/* A locked folio on the entry, or NULL: nobody owns it any more. */
static struct folio *bring_in(swp_entry_t e)
{
	for (;;) {
		struct folio *folio = swap_cache_get_folio(e);
		int err;

		if (folio) {
			folio_lock(folio);
			if (folio_matches_swap_entry(folio, e))
				return folio;
			drop(folio);
			continue;
		}
		folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
		if (folio)
			return folio;
		EXPECT(err == -EEXIST || err == -ENOENT);
		if (err == -ENOENT)
			return NULL;
		sw_sched_wait();
	}
}

static void expect_bytes(struct folio *folio, uint64_t word)
{
	uint64_t want[PG / 8], got[PG / 8];

	make_page(word, want);
	EXPECT(sw_zswap_ops.read(dev, swp_offset(folio->swap), 1, got) == 0);
	EXPECT(!memcmp(want, got, PG));
}

/* ---- the world ---- */

static void setup_pool(void)
{
	const struct sw_zswap_config config = { .size_bytes = 1 << 18,
						.codec = "lz4",
						.strong = "zstd" };
	struct swapon_spec spec = { .name = "disk",
				    .ops = &sw_zswap_ops,
				    .max = SLOTS,
				    .prio = 5,
				    .flags = SWP_SOLIDSTATE | SWP_BLKDEV };

	memset(disk, 0, sizeof(disk));
	pool = sw_zswap_open(&config);
	EXPECT(pool);
	dev = sw_zswap_wrap(pool, &disk_ops, disk, SLOTS);
	EXPECT(dev);
	spec.store = dev;
	ztype = swapon(&spec);
	EXPECT(ztype >= 0);
	sw_zswap_device_on(dev, ztype);
	is_gone = false;
	first_word = 100;
}

static void setup_page(void)
{
	setup_pool();
	slot = page_out(0, first_word);
}

/* Two that are written back together, and the second is looked at. */
static void setup_two_pages(void)
{
	setup_pool();
	page_out(0, 7);
	slot = page_out(0, first_word);
}

static void setup_block(void)
{
	setup_pool();
	slot = page_out(2, first_word);
}

/* Nobody but the slot's user can get a slot. */
static void setup_only_page(void)
{
	uint64_t o;

	setup_page();
	for (o = 1; o < SLOTS; o++)
		if (!swp_swapcount(swp_entry(ztype, o)))
			page_out(0, 7 * o);
}

static void close_pool(void)
{
	EXPECT(sw_zswap_check(pool) == 0);
	EXPECT(swap_check(NULL, NULL) == 0);
	for (uint64_t o = 1; o < SLOTS; o++)
		while (swp_swapcount(swp_entry(ztype, o)))
			swap_put_entries_direct(swp_entry(ztype, o), 1);
	EXPECT(pool->live == 0);
	for (uint64_t o = 0; o < SLOTS; o++)
		EXPECT(!disk[o].has);
	EXPECT(swapoff(ztype, NULL, NULL) == 0);
	sw_zswap_unwrap(dev);
	sw_zswap_close(pool);
}

/* The page is in one place, and as it was last written. */
static void finish_page(void)
{
	struct folio *folio;

	if (!is_gone) {
		EXPECT((zswap_lookup(dev, swp_offset(slot)) != 0) !=
		       disk[swp_offset(slot)].has);
		folio = bring_in(slot);
		EXPECT(folio);
		expect_bytes(folio, first_word);
		leave(folio);
	}
	close_pool();
}

/* ---- who wants something ---- */

static void body_write_back(void)
{
	EXPECT(sw_zswap_write_back(pool, 1) <= 4);
}

static void body_write_back_two(void)
{
	EXPECT(sw_zswap_write_back(pool, 2) <= 2);
}

static void body_recompress(void)
{
	bool more;

	EXPECT(sw_zswap_recompress(pool, 1, &more) <= 1);
}

/* Reads the page, and its owner goes: it is mapped. */
static void body_fault(void)
{
	struct folio *folio = bring_in(slot);

	EXPECT(folio);
	expect_bytes(folio, first_word);
	folio_put_swap(folio, 0);
	is_gone = true;
	leave(folio);
}

/* Reads the page for one of its owners. */
static void body_look(void)
{
	struct folio *folio = bring_in(slot);

	EXPECT(folio);
	expect_bytes(folio, first_word);
	leave(folio);
}

static void body_put(void)
{
	swap_put_entries_direct(slot, 1);
	is_gone = true;
}

static void body_put_block(void)
{
	swap_put_entries_direct(slot, 4);
	is_gone = true;
}

/* The slot is given up, and whoever gets one next may get this one. */
static void put_and_reuse(uint64_t word)
{
	struct folio *folio;

	swap_put_entries_direct(slot, 1);
	is_gone = true;
	folio = new_folio(0);
	if (folio_alloc_swap(folio, 0)) {
		drop(folio);
		return;
	}
	if (folio->swap.val == slot.val)
		is_gone = false;
	first_word = word;
	if (swp_type(folio->swap) != (unsigned)ztype) {
		EXPECT(is_gone);
		leave(folio);
		return;
	}
	EXPECT(folio_dup_swap(folio, 0) == 0);
	write_out(folio, first_word);
	leave(folio);
}

static void body_put_and_reuse(void)
{
	put_and_reuse(5000);
}

static void body_put_and_reuse_for_one_word(void)
{
	put_and_reuse(ONE_WORD);
}

/* Another page in the same slot. */
static void body_write_again(void)
{
	struct folio *folio = bring_in(slot);

	EXPECT(folio);
	first_word = 9000;
	write_out(folio, first_word);
	leave(folio);
}

/* A program takes the page as a clean copy, and gives it up again unchanged, or
 * finds that its slot was taken. */
static void body_keep_clean(void)
{
	struct folio *folio = bring_in(slot);

	EXPECT(folio);
	expect_bytes(folio, first_word);
	folio_put_swap(folio, 0);
	is_gone = true;
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_unlock(folio);
	folio_lock(folio);
	if (folio_matches_swap_entry(folio, slot)) {
		EXPECT(folio_dup_swap(folio, 0) == 0);
		is_gone = false;
		expect_bytes(folio, first_word);
	}
	folio_clear(folio, SW_FOLIO_MAPPED);
	if (folio_test(folio, SW_FOLIO_SWAPCACHE))
		leave(folio);
	else
		drop(folio);
}

static void body_page_out(void)
{
	struct folio *folio = new_folio(0);

	EXPECT(folio_alloc_swap(folio, 0) == 0);
	EXPECT(swp_type(folio->swap) == (unsigned)ztype);
	EXPECT(folio_dup_swap(folio, 0) == 0);
	write_out(folio, 300);
	leave(folio);
}

/* ---- swapoff ---- */

static int unuse(void *arg, unsigned type)
{
	struct folio *folio = bring_in(slot);

	if (!folio)
		return 0;
	expect_bytes(folio, first_word);
	if (!is_gone)
		folio_put_swap(folio, 0);
	is_gone = true;
	leave(folio);
	return 0;
}

/* Somebody else gives the page up. */
static int wait_for_put(void *arg, unsigned type)
{
	sw_sched_wait();
	return 0;
}

static bool unwrapped;

static void setup_swapoff(void)
{
	setup_page();
	unwrapped = false;
}

static void switch_off(int (*by)(void *arg, unsigned type))
{
	EXPECT(swapoff(ztype, by, NULL) == 0);
	EXPECT(pool->live == 0);
	sw_zswap_unwrap(dev);
	unwrapped = true;
}

static void body_swapoff(void)
{
	switch_off(unuse);
}

static void body_wait_and_swapoff(void)
{
	switch_off(wait_for_put);
}

static void finish_swapoff(void)
{
	EXPECT(unwrapped);
	EXPECT(sw_zswap_check(pool) == 0);
	sw_zswap_close(pool);
}

const struct scenario explore_zswap[] = {
	{ "writeback-against-fault",
	  setup_page,
	  { body_write_back, body_fault },
	  finish_page },
	{ "writeback-against-two-readers",
	  setup_page,
	  { body_write_back, body_look, body_look },
	  finish_page },
	{ "writeback-against-put",
	  setup_page,
	  { body_write_back, body_put },
	  finish_page },
	{ "writeback-against-next-user",
	  setup_only_page,
	  { body_write_back, body_put_and_reuse },
	  finish_page },
	{ "writeback-against-another-write",
	  setup_page,
	  { body_write_back, body_write_again },
	  finish_page },
	{ "writeback-against-clean-copy",
	  setup_page,
	  { body_write_back, body_keep_clean },
	  finish_page },
	{ "writeback-against-page-out",
	  setup_page,
	  { body_write_back, body_page_out, body_fault },
	  finish_page },
	{ "batch-writeback-against-fault",
	  setup_two_pages,
	  { body_write_back_two, body_fault },
	  finish_page },
	{ "batch-writeback-against-put",
	  setup_two_pages,
	  { body_write_back_two, body_put },
	  finish_page },
	{ "batch-writeback-against-another-write",
	  setup_two_pages,
	  { body_write_back_two, body_write_again },
	  finish_page },
	{ "block-writeback-against-fault",
	  setup_block,
	  { body_write_back, body_fault },
	  close_pool },
	{ "block-writeback-against-put",
	  setup_block,
	  { body_write_back, body_put_block, body_write_back },
	  close_pool },
	{ "writeback-against-swapoff",
	  setup_swapoff,
	  { body_write_back, body_swapoff },
	  finish_swapoff },
	{ "writeback-put-and-swapoff",
	  setup_swapoff,
	  { body_write_back, body_put, body_wait_and_swapoff },
	  finish_swapoff },
	{ "recompress-against-fault",
	  setup_page,
	  { body_recompress, body_fault },
	  finish_page },
	{ "recompress-against-put",
	  setup_page,
	  { body_recompress, body_put },
	  finish_page },
	{ "recompress-against-next-user",
	  setup_only_page,
	  { body_recompress, body_put_and_reuse_for_one_word },
	  finish_page },
	{ "recompress-against-writeback",
	  setup_page,
	  { body_recompress, body_write_back, body_look },
	  finish_page },
	{ 0 },
};
#endif
