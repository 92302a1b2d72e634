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

/* ---- writeback ---- */

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

/*
 * Writes the pages of the claimed folio that are here; returns how many, or
 * what the device said. A page that does not come back whole stays, for its
 * reader to be told.
 */
static int write_claimed(struct sw_zswap *z, struct zswap_claim *c)
{
	uint64_t slot = swp_offset(c->folio->swap);
	unsigned nr = folio_nr(c->folio), done = 0, n;
	uint64_t begin = sw_trace_begin();
	int err = 0;

	for (unsigned at = 0; at < nr && !err; at += n + 1) {
		n = load_run(c->dev, slot + at, nr - at, z->page);
		if (!n)
			continue;
		err = c->dev->ops->write(c->dev->store, slot + at, n, z->page);
		SW_PROBE4(writeback, c->folio->swap.val + at, n, err, 1u);
		if (err) {
			sw_count(zswap_reject_reclaim_fail, 1);
			sw_warn_once(
				"zswap: cold pages cannot be written (%s): they stay in memory until it works again",
				strerror(-err));
			continue;
		}
		for (unsigned i = at; i < at + n; i++)
			zswap_entry_forget(c->dev, slot + i);
		done += n;
	}
	sw_count(pswpout, done);
	sw_count(zswpwb, done);
	if (done)
		sw_trace_io(begin, SW_TRACE_WRITE_DISK, done);
	return err ? err : (int)done;
}

/* Slots marked zero need no bytes: what is here was there before the mark. */
static int forget_claimed(struct zswap_claim *c)
{
	uint64_t slot = swp_offset(c->folio->swap);

	for (unsigned i = 0; i < folio_nr(c->folio); i++)
		zswap_entry_forget(c->dev, slot + i);
	return folio_nr(c->folio);
}

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

/* Returns how many pages went, or what the device said. */
static int write_back_pick(struct sw_zswap *z, const struct zswap_pick *pick)
{
	struct zswap_claim c;
	int done, err;

	if (!zswap_claim(z, pick, true, &c, &err))
		return err == -EEXIST && drop_clean(pick);
	done = c.zero ? forget_claimed(&c) : write_claimed(z, &c);
	zswap_release(&c);
	return done;
}

unsigned sw_zswap_write_back(struct sw_zswap *z, unsigned nr)
{
	/* Once around at most: what somebody is at work on stays. Nor all of a
	 * large pool, should that be nearly everything. */
	uint64_t looks = sw_min(zswap_read(&z->live), LOOKS_MAX);
	struct zswap_pick pick;
	unsigned done = 0;
	int n = 0;

	if (__atomic_exchange_n(&z->writing_back, true, __ATOMIC_ACQUIRE))
		return 0;
	for (; done < nr && looks && n >= 0; looks--) {
		if (!zswap_take_coldest(z, &pick))
			break;
		n = write_back_pick(z, &pick);
		done += sw_max(n, 0);
	}
	__atomic_store_n(&z->writing_back, false, __ATOMIC_RELEASE);
	return done;
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
