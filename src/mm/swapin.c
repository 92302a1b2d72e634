/*
 * swapin.c - from a swap entry to bytes, through the swap cache and only
 * through it: whoever puts a folio into the cache for a slot reads it, and
 * everybody else finds that folio and waits on its lock.
 *
 * Above: fault.c, which maps the bytes. Below: swap/swap_cache.c and the
 * store behind the slot.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mm/mm_internal.h"

/* Reads the slot of a locked cached folio without data of its own. */
static int read_slot(swp_entry_t entry, void *buf)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops;
	void *store;
	int err;

	if (!si)
		return -EIO;
	ops = swap_device_ops(si, &store);
	err = ops->read(store, swp_offset(entry), 1, buf);
	put_swap_device(si);
	if (err)
		sw_count(swap_read_error, 1);
	else
		sw_count(pswpin, 1);
	return err;
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
	in->source = folio->data ? SW_FROM_STAGED : SW_FROM_STORE;
	if (folio->data)
		memcpy(buf, folio->data, SW_PAGE_SIZE);
	else if (swap_zeromap_test(entry))
		memset(buf, 0, SW_PAGE_SIZE);
	else
		err = read_slot(entry, buf);
	if (err)
		goto out_unlock;
	in->folio = folio;
	in->shadow = 0;
	return 0;

out_unlock:
	folio_unlock(folio);
out_put:
	folio_put(folio);
	return err ? err : -EAGAIN;
}

static int get_from_store(swp_entry_t entry, void *buf, struct sw_swapin *in)
{
	bool zero;
	int err = 0;

	in->folio = swap_cache_alloc_folio(entry, 1, &in->shadow, &zero, &err);
	if (!in->folio)
		return err == -EEXIST ? 1 : err;
	in->source = zero ? SW_FROM_ZERO : SW_FROM_STORE;
	if (zero)
		memset(buf, 0, SW_PAGE_SIZE);
	else
		err = read_slot(entry, buf);
	if (err) {
		sw_swapin_undo(in);
		return err;
	}
	folio_set(in->folio, SW_FOLIO_UPTODATE);
	if (zero)
		sw_count(swpin_zero, 1);
	return 0;
}

int sw_swapin_get(swp_entry_t entry, bool wait, void *buf, struct sw_swapin *in)
{
	int err;

	do {
		struct folio *folio = swap_cache_get_folio(entry);

		if (folio)
			err = get_cached(folio, entry, wait, buf, in);
		else
			err = get_from_store(entry, buf, in);
	} while (err == 1);
	return err;
}

/* True for a folio that is in the cache only because somebody reads it. */
static bool is_passing(const struct folio *folio)
{
	return !folio->data &&
	       !folio_test(folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK);
}

void sw_swapin_undo(struct sw_swapin *in)
{
	if (is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

void sw_swapin_done(struct sw_mm *mm, struct sw_swapin *in)
{
	folio_put_swap(in->folio, 0);
	/* A copy some other space keeps clean, or one being written, goes
         * with its own end. */
	if (!folio_test(in->folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK) &&
	    !folio_free_swap(in->folio) && is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

void sw_swapin_keep(struct sw_space *space, uint64_t addr, struct sw_swapin *in)
{
	struct folio *folio = in->folio;

	SW_ASSERT(is_passing(folio));
	folio_put_swap(folio, 0);
	sw_clean_own(folio, space, addr);
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_clear(folio, SW_FOLIO_DIRTY);
	folio_unlock(folio);
	folio_put(folio);
}
