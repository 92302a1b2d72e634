/*
 * zswap.c - the operations of a device that has the pool in front of it. Above
 * it: whoever writes and reads folios. Below it: zswap_entry.c, and the
 * device's own operations.
 *
 * A write packs first, where nobody sees it, and then lets go of what the slots
 * had, on both sides: an old copy that survived in the pool would one day be
 * written over the new one on the device, and one on the device must not be
 * taken for the page once the pool's is gone. What did not go into the pool is
 * written to the device before anything is published, so a device that fails
 * leaves empty slots and not half of a folio.
 */
#include "zswap/zswap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/trace.h"
#include "store/sysmem.h"
#include "zswap/zswap_internal.h"

#define BATCH      64 /* pages a write packs before it publishes them */
#define STEP_PAGES 64 /* written by a thread between two looks at the order */
#define ENTRY_PER  64 /* bytes of the limit: more pages than it has room for */

/* ---- free ---- */

static bool in_range(const struct sw_zswap_device *dev, uint64_t slot,
		     uint64_t nr)
{
	if (sw_likely(slot < dev->max && nr <= dev->max - slot))
		return true;
	sw_error("zswap: slots %lu..+%lu are outside the device of %lu", slot,
		 nr, dev->max);
	return false;
}

static void forget(struct sw_zswap_device *dev, uint64_t slot, uint64_t nr)
{
	for (uint64_t i = slot; i < slot + nr; i++)
		zswap_entry_forget(dev, i);
}

/* Under the cluster lock: short locks, and now and then memory given back. */
static void zswap_slot_free(void *store, uint64_t slot, unsigned nr)
{
	struct sw_zswap_device *dev = store;

	SW_BUG_ON(!in_range(dev, slot, nr));
	forget(dev, slot, nr);
	dev->ops->slot_free(dev->store, slot, nr);
}

/* ---- write ---- */

static uint16_t group_of(const struct sw_zswap_device *dev, uint64_t slot)
{
	int type = __atomic_load_n(&dev->type, __ATOMIC_RELAXED);

	return type < 0 ? 0 : swap_entry_group(swp_entry(type, slot));
}

static void unpack(struct sw_zswap *z, uint32_t *made, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (made[i])
			zswap_entry_free(z, made[i]);
		made[i] = 0;
	}
}

/*
 * Packs those that shrink; the others have made[] 0. When there is no room for
 * one, none is packed: the device takes them in one piece, and what is left of
 * the pool is for those that come next.
 */
static void pack_all(struct sw_zswap_device *dev, uint64_t slot, unsigned nr,
		     const unsigned char *pages, uint32_t *made)
{
	struct sw_zswap *z = dev->zswap;
	uint16_t group = group_of(dev, slot);

	for (unsigned i = 0; i < nr; i++) {
		int err;

		made[i] = zswap_entry_new(dev, slot + i, group,
					  pages + i * SW_PAGE_SIZE, &err);
		if (made[i])
			continue;
		if (err == -E2BIG) {
			sw_count(zswap_reject_compress_poor, 1);
			continue;
		}
		if (err == -ENOSPC)
			zswap_is_full(z);
		else
			sw_count(zswap_reject_alloc_fail, 1);
		unpack(z, made, i);
		return;
	}
}

/* The end of the run that begins with page i, of pages that are all packed or
 * all not. */
static unsigned run_end(const uint32_t *made, unsigned i, unsigned nr)
{
	const bool packed = made[i];

	while (i < nr && !made[i] == !packed)
		i++;
	return i;
}

/* Writes what is not packed; forgets what the device has of the rest. */
static int write_rest(struct sw_zswap_device *dev, uint64_t slot, unsigned nr,
		      const unsigned char *pages, const uint32_t *made)
{
	unsigned end;

	for (unsigned i = 0; i < nr; i = end) {
		uint64_t begin = sw_trace_begin();
		int err;

		end = run_end(made, i, nr);
		if (made[i]) {
			dev->ops->slot_free(dev->store, slot + i, end - i);
			continue;
		}
		err = dev->ops->write(dev->store, slot + i, end - i,
				      pages + i * SW_PAGE_SIZE);
		if (err)
			return err;
		sw_count(pswpout, end - i);
		sw_trace_io(begin, SW_TRACE_WRITE_DISK, end - i);
	}
	return 0;
}

static int write_batch(struct sw_zswap_device *dev, uint64_t slot, unsigned nr,
		       const unsigned char *pages)
{
	struct sw_zswap *z = dev->zswap;
	uint32_t made[BATCH] = { 0 };
	uint64_t begin = sw_trace_begin();
	unsigned packed = 0;
	int err;

	if (!__atomic_load_n(&z->full, __ATOMIC_RELAXED))
		pack_all(dev, slot, nr, pages, made);
	else
		zswap_is_full(z);
	forget(dev, slot, nr);
	err = write_rest(dev, slot, nr, pages, made);
	if (err) {
		unpack(z, made, nr);
		return err;
	}
	for (unsigned i = 0; i < nr; i++) {
		if (!made[i])
			continue;
		zswap_entry_publish(dev, made[i]);
		packed++;
	}
	sw_count(zswpout, packed);
	if (packed)
		sw_trace_io(begin, SW_TRACE_WRITE_ZSWAP, packed);
	return 0;
}

static int zswap_write(void *store, uint64_t slot, unsigned nr,
		       const void *pages)
{
	struct sw_zswap_device *dev = store;
	struct sw_zswap *z = dev->zswap;
	const unsigned char *page = pages;
	static __thread unsigned since_step; /* [thread own] */
	int err = 0;

	if (!in_range(dev, slot, nr))
		return -EINVAL;
	zswap_add(&z->stores, 1);
	since_step += nr;
	for (unsigned at = 0, n; at < nr && !err; at += n) {
		n = sw_min(nr - at, (unsigned)BATCH);
		err = write_batch(dev, slot + at, n, page + at * SW_PAGE_SIZE);
	}
	/* What came before the part that failed goes with it. */
	if (err)
		zswap_slot_free(dev, slot, nr);
	if (sw_zswap_is_high(z))
		zswap_wake(z);
	if (since_step >= STEP_PAGES) {
		since_step = 0;
		zswap_compact_step(z);
	}
	return err;
}

/* ---- read ---- */

static int read_entry(struct sw_zswap_device *dev, uint64_t slot, uint32_t nr,
		      void *page)
{
	struct sw_zswap *z = dev->zswap;
	struct zswap_entry *e = zswap_entry(z, nr);
	uint64_t begin = sw_trace_begin();
	const char *why;
	int err;

	why = zswap_entry_load(z, nr, page, &err);
	if (why) {
		sw_count(zswap_decompress_fail, 1);
		sw_error("zswap: slot %lu cannot be read: %s", slot, why);
	}
	if (err)
		return err;
	if (!zswap_test(e, ZSWAP_REFERENCED))
		zswap_set(e, ZSWAP_REFERENCED);
	sw_count(zswpin, 1);
	sw_trace_io(begin, SW_TRACE_READ_ZSWAP, 1);
	return 0;
}

/* Slots from `slot` on that are the device's, `max` at most. */
static unsigned device_run(struct sw_zswap_device *dev, uint64_t slot,
			   unsigned max)
{
	unsigned n = 0;

	while (n < max && !zswap_lookup(dev, slot + n))
		n++;
	return n;
}

static int zswap_read_pages(void *store, uint64_t slot, unsigned nr,
			    void *pages)
{
	struct sw_zswap_device *dev = store;
	unsigned char *page = pages;
	int err = 0;

	if (!in_range(dev, slot, nr))
		return -EINVAL;
	while (nr && !err) {
		unsigned n = device_run(dev, slot, nr);
		uint64_t begin = sw_trace_begin();

		if (n) {
			err = dev->ops->read(dev->store, slot, n, page);
			if (!err) {
				sw_count(pswpin, n);
				sw_trace_io(begin, SW_TRACE_READ_DISK, n);
			}
		} else {
			n = 1;
			err = read_entry(dev, slot, zswap_lookup(dev, slot),
					 page);
		}
		slot += n;
		page += n * SW_PAGE_SIZE;
		nr -= n;
	}
	return err;
}

static int zswap_discard(void *store, uint64_t slot, uint64_t nr)
{
	struct sw_zswap_device *dev = store;

	return dev->ops->discard ? dev->ops->discard(dev->store, slot, nr) : 0;
}

const struct swap_ops sw_zswap_ops = {
	.write = zswap_write,
	.read = zswap_read_pages,
	.slot_free = zswap_slot_free,
	.discard = zswap_discard,
	.counts = true,
};

/* ---- devices ---- */

static int index_of(struct sw_zswap *z, const struct sw_zswap_device *dev)
{
	for (unsigned i = 0; i < MAX_SWAPFILES; i++)
		if (z->device[i] == dev)
			return i;
	return -1;
}

static bool set_device(struct sw_zswap *z, const struct sw_zswap_device *from,
		       struct sw_zswap_device *to)
{
	int i;

	sw_spin_lock(&z->lock, "zswap", SW_RANK_STORE);
	i = index_of(z, from);
	if (i >= 0) {
		if (to)
			to->nr = i;
		z->device[i] = to;
	}
	sw_spin_unlock(&z->lock);
	return i >= 0;
}

struct sw_zswap_device *sw_zswap_wrap(struct sw_zswap *z,
				      const struct swap_ops *ops, void *store,
				      uint64_t max)
{
	struct sw_zswap_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		goto err_nomem;
	*dev = (struct sw_zswap_device){
		.zswap = z,
		.ops = ops,
		.store = store,
		.max = max,
		.type = -1,
		.index = sw_sysmem_reserve(max * sizeof(*dev->index)),
	};
	if (!dev->index)
		goto err_nomem;
	SW_BUG_ON(!set_device(z, NULL, dev)); /* there are as many as types */
	return dev;

err_nomem:
	sw_error(
		"zswap: no address space for the slots of a device (see ulimit -v)");
	free(dev);
	errno = ENOMEM;
	return NULL;
}

void sw_zswap_device_on(struct sw_zswap_device *dev, unsigned type)
{
	__atomic_store_n(&dev->type, (int)type, __ATOMIC_RELAXED);
}

void sw_zswap_unwrap(struct sw_zswap_device *dev)
{
	if (!dev)
		return;
	SW_BUG_ON(dev->pages);
	SW_BUG_ON(!set_device(dev->zswap, dev, NULL));
	sw_sysmem_release(dev->index, dev->max * sizeof(*dev->index));
	free(dev);
}

/* ---- life ---- */

/* As many entries as pages that shrink to nearly nothing would take; same-filled
 * ones cost no more than that either. */
static uint64_t entries_for(uint64_t limit_bytes)
{
	return sw_min(limit_bytes / ENTRY_PER + 2, (1ULL << 30) - 1);
}

static int reserve(struct sw_zswap *z)
{
	z->entries = sw_sysmem_reserve(z->max_entries * sizeof(*z->entries));
	z->groups = sw_sysmem_reserve((UINT16_MAX + 1) * sizeof(*z->groups));
	z->page = sw_sysmem_reserve(SW_ZSWAP_BATCH * SW_PAGE_SIZE);
	z->pool = sw_objpool_new(z->max_entries);
	return z->entries && z->groups && z->page && z->pool ? 0 : -ENOMEM;
}

void sw_zswap_close(struct sw_zswap *z)
{
	if (!z)
		return;
	SW_BUG_ON(z->started || z->live);
	sw_objpool_destroy(z->pool);
	sw_sysmem_release(z->page, SW_ZSWAP_BATCH * SW_PAGE_SIZE);
	sw_sysmem_release(z->groups, (UINT16_MAX + 1) * sizeof(*z->groups));
	sw_sysmem_release(z->entries, z->max_entries * sizeof(*z->entries));
	pthread_cond_destroy(&z->wake);
	sw_mutex_destroy(&z->wake_lock);
	sw_sysmem_release(z, sizeof(*z));
}

void sw_zswap_set_limit(struct sw_zswap *z, uint64_t bytes)
{
	__atomic_store_n(&z->limit_bytes, bytes, __ATOMIC_RELAXED);
	sw_objpool_set_limit(z->pool, zswap_objects_limit(z));
	zswap_wake(z);
}

struct sw_zswap *sw_zswap_open(const struct sw_zswap_config *config)
{
	const struct sw_codec *codec = sw_codec_lookup(config->codec), *strong;
	struct sw_zswap *z;

	strong = config->strong ? sw_codec_lookup(config->strong) : NULL;
	if (!codec || (config->strong && !strong)) {
		sw_error("zswap: unknown codec %s",
			 codec ? config->strong : config->codec);
		errno = EINVAL;
		return NULL;
	}
	z = sw_sysmem_reserve(sizeof(*z));
	if (!z)
		goto err_nomem;
	z->codec = codec;
	z->strong = strong;
	z->max_entries = entries_for(config->size_bytes);
	z->fresh = z->compact.cursor = z->cold = 1;
	sw_spin_init(&z->lock);
	sw_mutex_init(&z->wake_lock, "zswap wake", SW_RANK_LEAF);
	pthread_cond_init(&z->wake, NULL);
	if (reserve(z)) {
		sw_zswap_close(z);
		goto err_nomem;
	}
	sw_zswap_set_limit(z, config->size_bytes);
	return z;

err_nomem:
	sw_error("zswap: no address space for %lu pages (see ulimit -v)",
		 entries_for(config->size_bytes));
	errno = ENOMEM;
	return NULL;
}
