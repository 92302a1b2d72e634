/*
 * zswap_writeback.c - cold pages out of the pool, and into less of it. Above:
 * zswap_pool.c. Below: the swap cache, zswap_entry.c.
 *
 * Whoever would change where a slot's page is, or read it, needs the slot's
 * folio in the swap cache. So writeback puts one there, as a fault would, and
 * holds its lock until page and entry are where they belong:
 *
 *      pick       the oldest entry, by number; nothing is held any more
 *      claim      a folio in the cache, or somebody is faster: let them
 *      same?      the entry may have gone meanwhile, and come back as another
 *                 ... so for some more: what is claimed is waited for by who
 *                 wants it, but nobody is waited for here
 *      write      to the device; the entry still has the page, should it fail
 *      forget     the entry
 *      release    the folio leaves; a slot that lost its last owner falls free
 *
 * docs/zswap.md draws who may come in between.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/probe.h"
#include "base/trace.h"
#include "store/work.h"
#include "zswap/zswap_internal.h"

#define LOOKS_MAX 1024ul

/* ---- claims ---- */

/* The largest block around the slot whose pages are all here and cold: they
 * went out together, and the device takes them in one piece. Only a guess. */
static uint32_t orders_around(struct sw_zswap_device *dev, uint64_t slot)
{
	uint32_t orders = 1;

	for (unsigned order = 2; 1u << order <= SW_ZSWAP_AROUND; order++) {
		uint64_t first = slot & ~((1ULL << order) - 1);

		if (first + (1u << order) > dev->max)
			return orders;
		for (uint64_t i = first; i < first + (1u << order); i++) {
			uint32_t nr = zswap_lookup(dev, i);

			if (!nr || zswap_test(zswap_entry(dev->zswap, nr),
					      ZSWAP_REFERENCED))
				return orders;
		}
		orders = 1u << order | 1;
	}
	return orders;
}

/* The claimed folio's slot still has the entry that was picked. */
static bool is_same(struct sw_zswap *z, const struct zswap_claim *c,
		    const struct zswap_pick *pick)
{
	return zswap_lookup(c->dev, swp_offset(pick->entry)) == pick->nr &&
	       __atomic_load_n(&zswap_entry(z, pick->nr)->stamp,
			       __ATOMIC_RELAXED) == pick->stamp;
}

bool zswap_claim(struct sw_zswap *z, const struct zswap_pick *pick, bool around,
		 struct zswap_claim *c, int *err)
{
	const struct swap_ops *ops;
	uint32_t orders = 1;
	void *store;

	*err = -ENOENT;
	c->si = get_swap_device(pick->entry);
	if (!c->si)
		return false;
	ops = swap_device_ops(c->si, &store);
	c->dev = store;
	/* Another device may have the number by now. */
	if (ops != &sw_zswap_ops || c->dev->zswap != z)
		goto err_put;
	if (around)
		orders = orders_around(c->dev, swp_offset(pick->entry));
	c->folio = swap_cache_alloc_folio(pick->entry, orders, &c->shadow,
					  &c->zero, err);
	if (!c->folio)
		goto err_put;
	if (is_same(z, c, pick))
		return true;
	zswap_release(c);
	*err = -ESTALE;
	return false;

err_put:
	put_swap_device(c->si);
	return false;
}

void zswap_release(struct zswap_claim *c)
{
	swap_cache_del_folio(c->folio, c->shadow);
	folio_unlock(c->folio);
	folio_put(c->folio);
	put_swap_device(c->si);
}

/* ---- a batch ---- */

/* Claimed pages of one device, on their way there together: to a disk, a
 * request of many pages is hardly more than one of a single page. */
struct batch {
	struct sw_zswap *z;
	struct sw_zswap_device *dev; /* of all claims */
	unsigned nr_claims, nr_io, nr_pages;
	struct zswap_claim claim[SW_ZSWAP_BATCH];
	struct swap_io io[SW_ZSWAP_BATCH];
	unsigned done; /* pages that went, of all batches, */
	int err;       /* or what a device said */
};

static bool has_claimed(const struct batch *b, swp_entry_t entry)
{
	for (unsigned i = 0; i < b->nr_claims; i++)
		if (folio_matches_swap_entry(b->claim[i].folio, entry))
			return true;
	return false;
}

/* Pages from the slot on that can be loaded into `buf`, `max` at most. */
static unsigned load_run(struct sw_zswap_device *dev, uint64_t slot,
			 unsigned max, unsigned char *buf)
{
	unsigned n = 0;

	for (; n < max; n++) {
		uint32_t nr = zswap_lookup(dev, slot + n);
		int err;

		if (!nr ||
		    zswap_entry_load(dev->zswap, nr, buf + n * SW_PAGE_SIZE,
				     &err) ||
		    err)
			break;
	}
	return n;
}

/* The pages of the claimed folio that are here. One that does not come back
 * whole stays, for its reader to be told. */
static void load_claimed(struct batch *b, const struct zswap_claim *c)
{
	uint64_t slot = swp_offset(c->folio->swap);
	unsigned nr = folio_nr(c->folio), n;

	for (unsigned at = 0; at < nr; at += n + 1) {
		unsigned char *buf = b->z->page + b->nr_pages * SW_PAGE_SIZE;

		n = load_run(c->dev, slot + at, nr - at, buf);
		if (!n)
			continue;
		b->io[b->nr_io++] = (struct swap_io){
			.entry = { c->folio->swap.val + at },
			.nr = n,
			.pages = buf,
		};
		b->nr_pages += n;
	}
}

/* Slots marked zero need no bytes: what is here was there before the mark. */
static void forget_claimed(struct batch *b, const struct zswap_claim *c)
{
	uint64_t slot = swp_offset(c->folio->swap);

	for (unsigned i = 0; i < folio_nr(c->folio); i++)
		zswap_entry_forget(c->dev, slot + i);
	b->done += folio_nr(c->folio);
}

/* Without batches, a device that fails is asked no more. */
static void write_all(struct batch *b)
{
	const struct swap_ops *ops = b->dev->ops;
	int err = 0;

	if (b->nr_io > 1 && ops->batch) {
		ops->batch(b->dev->store, true, b->io, b->nr_io);
		return;
	}
	for (unsigned i = 0; i < b->nr_io; i++) {
		struct swap_io *io = &b->io[i];

		if (!err)
			err = ops->write(b->dev->store, swp_offset(io->entry),
					 io->nr, io->pages);
		else
			err = -ECANCELED;
		io->err = err;
	}
}

/* What was written is forgotten here, what was not stays. */
static void settle(struct batch *b, const struct swap_io *io, uint64_t begin)
{
	uint64_t slot = swp_offset(io->entry);

	if (io->err == -ECANCELED)
		return;
	SW_PROBE4(writeback, io->entry.val, io->nr, io->err, 1u);
	if (io->err) {
		b->err = io->err;
		sw_count(zswap_reject_reclaim_fail, 1);
		sw_warn_once(
			"zswap: cold pages cannot be written (%s): they stay in memory until it works again",
			strerror(-io->err));
		return;
	}
	for (unsigned i = 0; i < io->nr; i++)
		zswap_entry_forget(b->dev, slot + i);
	b->done += io->nr;
	sw_count(pswpout, io->nr);
	sw_count(zswpwb, io->nr);
	sw_trace_io(begin, SW_TRACE_WRITE_DISK, io->nr);
}

/* Writes what the batch has, and lets go of it. */
static void flush(struct batch *b)
{
	uint64_t begin = sw_trace_begin();

	if (b->nr_io)
		write_all(b);
	for (unsigned i = 0; i < b->nr_io; i++)
		settle(b, &b->io[i], begin);
	for (unsigned i = 0; i < b->nr_claims; i++)
		zswap_release(&b->claim[i]);
	b->nr_claims = b->nr_io = b->nr_pages = 0;
}

static void add_claim(struct batch *b, const struct zswap_claim *c)
{
	if (b->nr_claims && b->dev != c->dev)
		flush(b);
	b->dev = c->dev;
	b->claim[b->nr_claims++] = *c;
	if (c->zero)
		forget_claimed(b, c);
	else
		load_claimed(b, c);
}

/* ---- writeback ---- */

/* A program has the page, and this copy only spares writing it once more. When
 * room is short that is worth less than any other page. */
static bool drop_clean(const struct zswap_pick *pick)
{
	struct swap_info_struct *si = get_swap_device(pick->entry);
	bool gone;

	if (!si)
		return false;
	gone = swap_reclaim_entry(pick->entry);
	put_swap_device(si);
	if (gone)
		sw_count(zswap_dropped_clean, 1);
	return gone;
}

static void write_back_pick(struct batch *b, const struct zswap_pick *pick)
{
	struct zswap_claim c;
	int err;

	/* With a neighbour; it was picked as it is there until it is written. */
	if (has_claimed(b, pick->entry))
		return;
	if (zswap_claim(b->z, pick, true, &c, &err))
		add_claim(b, &c);
	else if (err == -EEXIST)
		b->done += drop_clean(pick);
}

/* Another claim may not fit, or is not wanted. After a failure one is enough to
 * see whether the device works again. */
static bool is_due(const struct batch *b, unsigned nr)
{
	return b->z->failed || b->done + b->nr_pages >= nr ||
	       b->nr_claims == SW_ZSWAP_BATCH ||
	       b->nr_pages + SW_ZSWAP_AROUND > SW_ZSWAP_BATCH;
}

unsigned sw_zswap_write_back(struct sw_zswap *z, unsigned nr)
{
	/* Once around at most: what somebody is at work on stays. Nor all of a
	 * large pool, should that be nearly everything. */
	uint64_t looks = sw_min(zswap_read(&z->live), LOOKS_MAX);
	struct zswap_pick pick;
	struct batch b;

	if (__atomic_exchange_n(&z->writing_back, true, __ATOMIC_ACQUIRE))
		return 0;
	b.z = z;
	b.nr_claims = b.nr_io = b.nr_pages = b.done = 0;
	b.err = 0;
	for (; b.done < nr && looks && !b.err; looks--) {
		if (!zswap_take_coldest(z, &pick))
			break;
		write_back_pick(&b, &pick);
		if (is_due(&b, nr))
			flush(&b);
	}
	flush(&b);
	z->failed = b.err;
	__atomic_store_n(&z->writing_back, false, __ATOMIC_RELEASE);
	return b.done;
}

/* ---- compressing anew ---- */

/* Worth it from an eighth on: to read the page will take longer. */
static size_t compress_strong(struct sw_zswap *z, const void *page, void *out,
			      size_t old)
{
	void *work = sw_work_codec(z->strong);

	return work ? z->strong->compress(work, page, out, old - old / 8) : 0;
}

/* The slot is claimed: nobody else reads or frees the entry. */
static bool recompress_claimed(struct sw_zswap *z, uint32_t nr)
{
	unsigned char page[SW_PAGE_SIZE], out[SW_PAGE_SIZE];
	struct zswap_entry *e = zswap_entry(z, nr);
	size_t old =
		handle_to_size(__atomic_load_n(&e->handle, __ATOMIC_RELAXED));
	struct sw_packed p;
	size_t size;
	int err;

	if (zswap_entry_load(z, nr, page, &err) || err)
		return false;
	size = compress_strong(z, page, out, old);
	if (!size ||
	    sw_packed_store(z->pool, zswap_entry_key(e), out, size, &p))
		return false;
	e->sum = p.sum;
	zswap_set(e, ZSWAP_STRONG);
	zswap_add(&z->nr_strong, 1);
	zswap_add(&z->bytes, size - old);
	sw_packed_drop(z->pool, sw_packed_exchange(&e->handle, p.handle));
	return true;
}

/* Is it worth a look? Without any lock, so only a guess. */
static bool is_candidate(const struct zswap_entry *e)
{
	return handle_kind(__atomic_load_n(&e->handle, __ATOMIC_RELAXED)) ==
		       HANDLE_OBJECT &&
	       !zswap_test(e, ZSWAP_REFERENCED | ZSWAP_STRONG | ZSWAP_TRIED);
}

static bool recompress(struct sw_zswap *z, uint32_t nr)
{
	struct zswap_pick pick;
	struct zswap_claim c;
	bool smaller = false;
	int err;

	if (!zswap_entry_pick(z, nr, &pick) ||
	    !zswap_claim(z, &pick, false, &c, &err))
		return false;
	/* Once more: now it stays what it is. */
	if (!c.zero && is_candidate(zswap_entry(z, nr)))
		smaller = recompress_claimed(z, nr);
	if (!smaller)
		zswap_set(zswap_entry(z, nr), ZSWAP_TRIED);
	zswap_release(&c);
	return smaller;
}

unsigned sw_zswap_recompress(struct sw_zswap *z, unsigned nr, bool *more)
{
	uint32_t end = __atomic_load_n(&z->fresh, __ATOMIC_RELAXED);
	unsigned smaller = 0;

	for (; z->strong && z->cold < end && nr; z->cold++) {
		if (!is_candidate(zswap_entry(z, z->cold)))
			continue;
		smaller += recompress(z, z->cold);
		nr--;
	}
	*more = z->strong && z->cold < end;
	if (!*more)
		z->cold = 1;
	sw_count(zswap_recompressed, smaller);
	return smaller;
}
