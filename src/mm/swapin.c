/*
 * swapin.c - from a swap entry to bytes, through the swap cache and only
 * through it: whoever puts a folio into the cache for a slot reads it, and
 * everybody else finds that folio and waits on its lock. Neighbours in the
 * program whose slots are neighbours come as one large folio, by one read; the
 * last of its pages that is settled unlocks it.
 *
 * Above: fault.c, which maps the bytes. Beside: handover.c, which leaves them
 * to who waited. Below: swap/swap_cache.c and the store behind the slot.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/trace.h"
#include "mm/mm_internal.h"

/* Reads slots of a locked cached folio without data of its own. */
static int read_slots(swp_entry_t entry, unsigned nr, void *buf)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops;
	uint64_t begin;
	void *store;
	int err;

	if (!si)
		return -EIO;
	ops = swap_device_ops(si, &store);
	begin = sw_trace_begin();
	err = ops->read(store, swp_offset(entry), nr, buf);
	put_swap_device(si);
	if (!err) {
		if (ops->counts)
			return 0;
		sw_count(pswpin, nr);
		sw_trace_io(begin,
			    ops->in_memory ? SW_TRACE_READ_ZRAM
					   : SW_TRACE_READ_DISK,
			    nr);
		return 0;
	}
	if (err == -ENOMEM || err == -EINPROGRESS)
		return err;
	sw_count(swap_read_error, 1);
	return -EIO;
}

int sw_swapin_read(struct folio *folio, bool zero, void *buf)
{
	unsigned nr = folio_nr(folio);
	int err = 0;

	if (zero)
		memset(buf, 0, nr * SW_PAGE_SIZE);
	else
		err = read_slots(folio->swap, nr, buf);
	if (err)
		return err;
	folio_set(folio, SW_FOLIO_UPTODATE);
	if (zero)
		sw_count(swpin_zero, nr);
	return 0;
}

static void set_page(struct sw_swapin *in, struct folio *folio,
		     swp_entry_t entry)
{
	in->folio = folio;
	in->page = entry.val - folio->swap.val;
	in->more = false;
}

static void copy_staged(const struct sw_swapin *in, void *buf)
{
	if (!folio_test(in->folio, SW_FOLIO_DIRTY))
		sw_count(swpin_shared, 1);
	memcpy(buf, (char *)in->folio->data + in->page * SW_PAGE_SIZE,
	       SW_PAGE_SIZE);
}

/* The folio was there already: `folio` has a reference, no lock yet. */
static int get_cached(struct folio *folio, swp_entry_t entry, bool wait,
		      void *buf, struct sw_swapin *in)
{
	int err = 0;

	if (wait)
		folio_lock(folio);
	else if (!folio_trylock(folio))
		goto out_put;
	if (!folio_matches_swap_entry(folio, entry)) {
		err = 1; /* it moved on before we had the lock: look again */
		goto out_unlock;
	}
	/* A large one that somebody reads goes before it is unlocked, or leaves
	 * its bytes (handover.c). */
	SW_ASSERT(folio->data || !folio->order);
	set_page(in, folio, entry);
	in->source = folio->data ? SW_FROM_STAGED : SW_FROM_STORE;
	if (folio->data)
		copy_staged(in, buf);
	else if (swap_zeromap_test(entry))
		memset(buf, 0, SW_PAGE_SIZE);
	else
		err = read_slots(entry, 1, buf);
	if (err)
		goto out_unlock;
	in->shadow = 0;
	return 0;

out_unlock:
	folio_unlock(folio);
out_put:
	folio_put(folio);
	return err ? err : -EAGAIN;
}

static void count_swapin(unsigned wanted, unsigned order)
{
	if (order)
		sw_count_order(swpin, order);
	if (wanted > order)
		sw_count_order(swpin_fallback, wanted);
}

/* Reads the largest folio of `orders` that can be had around `entry`, all of
 * it: the pages beside `buf` are there for that. */
static int get_from_store(swp_entry_t entry, uint32_t orders, char *buf,
			  struct sw_swapin *in)
{
	struct folio *folio;
	bool zero;
	int err = 0;

	folio = swap_cache_alloc_folio(entry, orders, &in->shadow, &zero, &err);
	if (!folio)
		return err == -EEXIST ? 1 : err;
	set_page(in, folio, entry);
	in->source = zero ? SW_FROM_ZERO : SW_FROM_STORE;
	err = sw_swapin_read(folio, zero, buf - in->page * SW_PAGE_SIZE);
	if (err) {
		sw_swapin_undo(in);
		return err;
	}
	if (orders > 1)
		count_swapin(31 - __builtin_clz(orders), folio->order);
	return 0;
}

static int get_page(swp_entry_t entry, uint32_t orders, bool wait, char *buf,
		    struct sw_swapin *in)
{
	int err;

	do {
		struct folio *folio = swap_cache_get_folio(entry);

		if (folio)
			err = get_cached(folio, entry, wait, buf, in);
		else
			err = get_from_store(entry, orders, buf, in);
		/* One page that cannot be read must not cost the others. */
		if (err == -EIO && orders > 1) {
			orders = 1;
			err = 1;
		}
	} while (err == 1);
	return err;
}

/* The orders of folios that pages from the kth on could be read as: neighbours
 * in the program in slots that are neighbours in the same direction. */
static uint32_t orders_at(const struct sw_batch *b, const swp_entry_t *entry,
			  unsigned k)
{
	unsigned order, n = 1, max;

	if (b->nr - k < 1u << SW_ORDER_MIN || (b->step != 1 && b->step != -1))
		return 1;
	order = __builtin_ctzll((entry[k].val + (b->step < 0)) |
				SW_WINDOW_PAGES);
	max = sw_min(b->nr - k, 1u << order);
	while (n < max && b->page[k + n] == b->page[k] + b->step * n &&
	       entry[k + n].val == entry[k].val + b->step * n)
		n++;
	if (n < 1u << SW_ORDER_MIN)
		return 1;
	order = 31 - __builtin_clz(n);
	return ((2u << order) - 1) & ~2u;
}

/* Pages from the kth on that are of the folio of the one before. Returns the
 * first that is not. */
static unsigned get_rest(const struct sw_batch *b, const swp_entry_t *entry,
			 unsigned k, char *buf, struct sw_swapin *in)
{
	struct folio *folio = in[k - 1].folio;

	for (; k < b->nr && folio_matches_swap_entry(folio, entry[k]); k++) {
		in[k] = in[k - 1];
		set_page(&in[k], folio, entry[k]);
		in[k - 1].more = true;
		if (folio->data)
			copy_staged(&in[k], buf + sw_batch_offset(b, k));
	}
	return k;
}

unsigned sw_swapin_get(const struct sw_batch *b, const swp_entry_t *entry,
		       bool wait, char *buf, struct sw_swapin *in, int *err)
{
	unsigned got = 0;

	*err = 0;
	while (got < b->nr) {
		*err = get_page(entry[got], orders_at(b, entry, got),
				wait && !got, buf + sw_batch_offset(b, got),
				&in[got]);
		if (*err)
			break;
		got++;
		if (in[got - 1].folio->order)
			got = get_rest(b, entry, got, buf, in);
	}
	return got;
}

/* The first page of a large folio, locked, whose `nr` pages are all here. */
static bool split_passing(struct sw_swapin *in, unsigned nr)
{
	struct folio *old = in->folio, *part[SW_WINDOW_PAGES] = { NULL };
	unsigned n;

	for (n = 0; n < nr && (part[n] = folio_alloc(0)); n++)
		;
	if (n < nr) {
		while (n)
			folio_put(part[--n]);
		return false;
	}
	sw_folio_split(old, part, nr);
	folio_unlock(old);
	folio_put(old);
	for (n = 0; n < nr; n++) {
		in[n].folio = part[in[n].page];
		in[n].page = 0;
		in[n].more = false;
	}
	return true;
}

uint64_t sw_swapin_split(struct sw_swapin *in, unsigned nr)
{
	uint64_t failed = 0;
	unsigned n;

	for (unsigned k = 0; k < nr; k += n) {
		n = 1;
		if (!in[k].folio->order || in[k].source != SW_FROM_STORE)
			continue;
		n = folio_nr(in[k].folio);
		if (!split_passing(&in[k], n))
			failed |= (n < 64 ? (1ull << n) - 1 : ~0ull) << k;
	}
	return failed;
}

void sw_swapin_undo(struct sw_swapin *in)
{
	if (in->more)
		return;
	if (sw_folio_is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

void sw_swapin_done(struct sw_mm *mm, struct sw_swapin *in)
{
	folio_put_swap(in->folio, in->page);
	if (in->more)
		return;
	/* A copy some other space keeps clean, or one being written, goes
         * with its own end. */
	if (!folio_test(in->folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK) &&
	    !folio_free_swap(in->folio) && sw_folio_is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

void sw_swapin_keep(struct sw_space *space, uint64_t addr, struct sw_swapin *in)
{
	struct folio *folio = in->folio;

	SW_ASSERT(sw_folio_is_passing(folio));
	folio_put_swap(folio, 0);
	sw_clean_own(folio, space, addr);
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_clear(folio, SW_FOLIO_DIRTY);
	folio_unlock(folio);
	folio_put(folio);
	sw_count(swpin_clean, 1);
}
