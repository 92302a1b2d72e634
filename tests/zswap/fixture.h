/*
 * fixture.h - what the tests of zswap share: a device of plain memory that can
 * fail and that other things can happen to in the middle of a write, the pool
 * in front of it, and pages that go out and come in as folios do.
 */
#ifndef SW_ZSWAP_FIXTURE_H
#define SW_ZSWAP_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../store/check.h"
#include "../store/pages.h"
#include "store/sysmem.h"
#include "zswap/zswap_internal.h"

#define PG SW_PAGE_SIZE

/* ---- a device ---- */

struct disk {
	unsigned char *page; /* of each slot */
	bool *has;           /* [atomic] written and not freed since */
	uint64_t slots;
	bool fail_write, fail_read;    /* [atomic] */
	uint64_t fail_slot;            /* cannot be written; 0: none */
	uint64_t write_calls, written; /* [atomic] */
	uint64_t batches;              /* [atomic] */
	/* In the middle of a write, or NULL. */
	void (*on_write)(void *arg, uint64_t slot, unsigned nr);
	void *arg;
};

static inline int disk_write(void *store, uint64_t slot, unsigned nr,
			     const void *pages)
{
	struct disk *d = store;

	CHECK(slot && slot + nr <= d->slots);
	__atomic_fetch_add(&d->write_calls, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < nr; i++)
		__atomic_store_n(&d->has[slot + i], false, __ATOMIC_RELAXED);
	if (d->on_write)
		d->on_write(d->arg, slot, nr);
	if (__atomic_load_n(&d->fail_write, __ATOMIC_RELAXED) ||
	    (d->fail_slot >= slot && d->fail_slot < slot + nr))
		return -EIO;
	memcpy(d->page + slot * PG, pages, nr * PG);
	for (unsigned i = 0; i < nr; i++)
		__atomic_store_n(&d->has[slot + i], true, __ATOMIC_RELAXED);
	__atomic_fetch_add(&d->written, nr, __ATOMIC_RELAXED);
	return 0;
}

static inline int disk_read(void *store, uint64_t slot, unsigned nr,
			    void *pages)
{
	struct disk *d = store;

	CHECK(slot && slot + nr <= d->slots);
	for (unsigned i = 0; i < nr; i++)
		if (!__atomic_load_n(&d->has[slot + i], __ATOMIC_RELAXED))
			return -EIO;
	if (__atomic_load_n(&d->fail_read, __ATOMIC_RELAXED))
		return -EIO;
	memcpy(pages, d->page + slot * PG, nr * PG);
	return 0;
}

static inline void disk_free(void *store, uint64_t slot, unsigned nr)
{
	struct disk *d = store;

	CHECK(slot + nr <= d->slots);
	for (unsigned i = 0; i < nr; i++)
		__atomic_store_n(&d->has[slot + i], false, __ATOMIC_RELAXED);
}

static const struct swap_ops disk_ops = {
	.write = disk_write,
	.read = disk_read,
	.slot_free = disk_free,
};

static inline void disk_batch(void *store, bool write, struct swap_io *io,
			      unsigned nr)
{
	struct disk *d = store;

	__atomic_fetch_add(&d->batches, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < nr; i++) {
		uint64_t slot = swp_offset(io[i].entry);

		io[i].err = write ? disk_write(d, slot, io[i].nr, io[i].pages)
				  : disk_read(d, slot, io[i].nr, io[i].pages);
	}
}

static const struct swap_ops batch_ops = {
	.write = disk_write,
	.read = disk_read,
	.slot_free = disk_free,
	.batch = disk_batch,
};

/* What is switched on from now on takes many slots at once. */
static bool disk_batches;

/* ---- a device behind the pool, switched on ---- */

struct device {
	struct disk disk;
	struct sw_zswap_device *zdev;
	int type;
};

static inline void device_on(struct device *d, struct sw_zswap *z,
			     uint64_t slots)
{
	const struct swap_ops *ops = disk_batches ? &batch_ops : &disk_ops;
	struct swapon_spec spec = {
		.name = "disk",
		.ops = &sw_zswap_ops,
		.max = slots,
		.prio = -1,
		.flags = SWP_SOLIDSTATE | SWP_BLKDEV,
	};

	*d = (struct device){ .disk.slots = slots };
	d->disk.page = calloc(slots, PG);
	d->disk.has = calloc(slots, sizeof(bool));
	CHECK(d->disk.page && d->disk.has);
	d->zdev = sw_zswap_wrap(z, ops, &d->disk, slots);
	if (!d->zdev) /* refused on purpose, once */
		d->zdev = sw_zswap_wrap(z, ops, &d->disk, slots);
	CHECK(d->zdev);
	spec.store = d->zdev;
	d->type = swapon(&spec);
	CHECK(d->type >= 0);
	sw_zswap_device_on(d->zdev, d->type);
}

static inline void device_off(struct device *d,
			      int (*unuse)(void *arg, unsigned type), void *arg)
{
	CHECK(swapoff(d->type, unuse, arg) == 0);
	sw_zswap_unwrap(d->zdev);
	free(d->disk.page);
	free(d->disk.has);
}

static inline struct sw_zswap *pool_open(uint64_t bytes)
{
	const struct sw_zswap_config config = {
		.size_bytes = bytes,
		.codec = "lz4",
		.strong = "zstd",
	};
	struct sw_zswap *z = sw_zswap_open(&config);

	CHECK(z);
	return z;
}

/* ---- pages ---- */

static inline const struct swap_ops *ops_of(swp_entry_t e, void **store)
{
	struct swap_info_struct *si = get_swap_device(e);
	const struct swap_ops *ops;

	CHECK(si);
	ops = swap_device_ops(si, store);
	put_swap_device(si);
	return ops;
}

/* A folio with slots, of which each has an owner; locked. */
static inline struct folio *folio_new(unsigned order, uint16_t group)
{
	struct folio *folio = folio_alloc(order);

	CHECK(folio);
	CHECK(folio_trylock(folio));
	folio_set(folio, SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	if (folio_alloc_swap(folio, group)) {
		folio_unlock(folio);
		folio_put(folio);
		return NULL;
	}
	CHECK(folio_dup_swap(folio, -1) == 0);
	return folio;
}

/* Writes the folio as mm does: unlocked, and under writeback. */
static inline int folio_write(struct folio *folio, const void *pages)
{
	swp_entry_t e = folio->swap;
	const struct swap_ops *ops;
	void *store;
	int err;

	ops = ops_of(e, &store);
	folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	err = ops->write(store, swp_offset(e), folio_nr(folio), pages);
	folio_lock(folio);
	folio_clear(folio, SW_FOLIO_WRITEBACK);
	return err;
}

/* Out of the cache, and of our hands. */
static inline void folio_leave(struct folio *folio)
{
	if (!folio_free_swap(folio))
		swap_cache_del_folio(folio, 7);
	folio_unlock(folio);
	folio_put(folio);
}

/* A page out; 0: no slot is left. */
static inline swp_entry_t page_out(uint64_t number, uint16_t group)
{
	struct folio *folio = folio_new(0, group);
	unsigned char page[PG];
	swp_entry_t e = { 0 };

	if (!folio)
		return e;
	e = folio->swap;
	page_make(number, page);
	CHECK(folio_write(folio, page) == 0);
	folio_clear(folio, SW_FOLIO_DIRTY);
	folio_leave(folio);
	return e;
}

/* A locked folio on the slot, as a fault has it; waits for others'. */
static inline struct folio *page_claim(swp_entry_t e)
{
	for (;;) {
		struct folio *folio = swap_cache_get_folio(e);
		int err;

		if (folio) {
			folio_lock(folio);
			if (folio_matches_swap_entry(folio, e))
				return folio;
			folio_unlock(folio);
			folio_put(folio);
			continue;
		}
		folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
		if (folio)
			return folio;
		CHECK(err == -EEXIST);
	}
}

/* What reading the slot of a claimed folio gives. */
static inline int page_read(struct folio *folio, void *page)
{
	const struct swap_ops *ops;
	void *store;
	int err;

	ops = ops_of(folio->swap, &store);
	do
		err = ops->read(store, swp_offset(folio->swap), 1, page);
	while (err == -ENOMEM);
	return err;
}

/* The slot has this page. */
static inline void expect_page(swp_entry_t e, uint64_t number)
{
	unsigned char want[PG], got[PG];
	struct folio *folio = page_claim(e);

	page_make(number, want);
	CHECK(page_read(folio, got) == 0);
	CHECK(!memcmp(got, want, PG));
	folio_leave(folio);
}

/* The last owner goes. */
static inline void page_free(swp_entry_t e)
{
	swap_put_entries_direct(e, 1);
}

static inline bool is_pooled(struct device *d, swp_entry_t e)
{
	return zswap_lookup(d->zdev, swp_offset(e));
}

static inline bool is_on_disk(struct device *d, swp_entry_t e)
{
	return d->disk.has[swp_offset(e)];
}

/* Since it was last asked. */
static inline uint64_t counted_since(enum sw_counter c)
{
	static uint64_t seen[SW_NR_COUNTERS];
	uint64_t now = sw_counter_read(c), delta = now - seen[c];

	seen[c] = now;
	return delta;
}

#define counted(name) counted_since(SW_CTR_##name)

static inline void layer_open(void)
{
	CHECK(folio_pool_init(1 << 16, NULL) == 0);
	CHECK(swap_init() == 0);
	for (enum sw_counter c = 0; c < SW_NR_COUNTERS; c++)
		counted_since(c);
}

static inline void layer_close(void)
{
	CHECK(folio_pool_in_use() == 0);
	swap_exit();
	folio_pool_release();
}

#endif
