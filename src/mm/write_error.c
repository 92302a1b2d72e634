/*
 * write_error.c - what becomes of a page that a store refused, and when a
 * device is given up.
 *
 * The words of its owners name the slot, wherever they are; so the page cannot
 * go to another slot while there are any. It stays in its buffer, from where
 * every fault is served, and the slot is condemned: with its last owner it
 * turns bad instead of free (swap/swap_bad.c). Touched, the page is the
 * program's again, and goes to another slot when its turn comes next. Such a
 * folio is kept: on a list of its own, where reclaim does not try it over and
 * over. What is kept is at most what was staged or prepared when the device was
 * given up, and WRITE_ERRORS_MAX before.
 *
 * Like any staged folio, a kept one goes with its last owner, unless its lock is
 * somebody's at that moment. Of the others the writer notices when their turn
 * comes; for these the list is looked through, a little at a time.
 *
 * A large folio is tried again in pieces, down to a page: one bad sector costs
 * one slot.
 *
 * Not an error of the device is that memory was short, ours or that of
 * compressed pages (-ENOMEM, -EAGAIN): the folio goes to the end of the queue.
 * A write that was not answered in time (-ETIMEDOUT) may reach the slot at any
 * later time, so that nobody else may have it, and it is not tried again.
 *
 * A device that was given up is to be emptied, of what is kept here, too, by
 * whoever has a thread for it (unuse.c).
 *
 * Above: writeout.c. Below: the swap layer.
 */
#include <errno.h>

#include "base/log.h"
#include "mm/mm_internal.h"

#define WRITE_ERRORS_MAX 16 /* slots a device may lose */

bool sw_write_works_later(int err)
{
	return err == -ENOMEM || err == -EAGAIN;
}

/* Folio locked, of one page. */
static void keep(struct sw_mm *mm, struct folio *folio)
{
	struct sw_staging *st = &mm->staging;

	folio_condemn_slot(folio);
	sw_count(swap_condemned, 1);
	if (folio_free_swap(folio))
		return; /* its owners left meanwhile */
	folio_set(folio, SW_FOLIO_KEPT);
	sw_mutex_lock(&st->lock);
	sw_list_add_tail(&st->kept, &folio->lru);
	st->nr_kept++;
	sw_mutex_unlock(&st->lock);
}

/* The first kept folio, with a reference, and behind the others from now on. */
static struct folio *next_kept(struct sw_staging *st)
{
	struct folio *folio, *found = NULL;

	sw_mutex_lock(&st->lock);
	sw_list_for_each(folio, &st->kept, lru) {
		if (!folio_try_get(folio))
			continue;
		found = folio;
		sw_list_del(&folio->lru);
		sw_list_add_tail(&st->kept, &folio->lru);
		break;
	}
	sw_mutex_unlock(&st->lock);
	return found;
}

void sw_kept_sweep(struct sw_mm *mm, uint64_t nr)
{
	struct sw_staging *st = &mm->staging;
	struct folio *folio;

	sw_mutex_lock(&st->lock);
	nr = sw_min(nr, st->nr_kept);
	sw_mutex_unlock(&st->lock);
	while (nr-- && (folio = next_kept(st))) {
		if (folio_trylock(folio)) {
			folio_free_swap(folio);
			folio_unlock(folio);
		}
		folio_put(folio);
	}
}

/* Folio locked. In place of a large folio there are smaller ones then: of a
 * window, or single pages. False: no memory for that. */
static bool refused_in_pieces(struct sw_mm *mm, struct folio *folio, int err)
{
	unsigned order = folio->order > SW_ORDER_BLOCK ? SW_ORDER_BLOCK : 0;
	unsigned nr = folio_nr(folio) >> order, n;
	struct folio *part[SW_BLOCK_PAGES] = { NULL };

	for (n = 0; n < nr && (part[n] = folio_alloc(order)); n++)
		;
	if (n < nr) {
		while (n)
			folio_put(part[--n]);
		return false;
	}
	sw_folio_split(folio, part, nr);
	for (n = 0; n < nr; n++) {
		/* Not tried again: the bytes may still come. */
		if (err == -ETIMEDOUT)
			sw_write_refused(mm, part[n], err);
		else if (!folio_free_swap(part[n]))
			sw_staging_add(mm, part[n]);
		folio_unlock(part[n]);
		folio_put(part[n]);
	}
	return true;
}

void sw_write_refused(struct sw_mm *mm, struct folio *folio, int err)
{
	if (folio->order && refused_in_pieces(mm, folio, err))
		return;
	if (folio->order || sw_write_works_later(err))
		sw_staging_add(mm, folio);
	else
		keep(mm, folio);
}

/* ---- devices ---- */

/* False: it has failed before, or goes off. */
static bool device_fails(struct sw_mm *mm, unsigned type, const char *why)
{
	struct sw_swap_device_info info;

	if (!swap_device_fail(type) || !swap_device_info(type, &info))
		return false;
	sw_count(swap_device_failed, 1);
	sw_warn("%s takes no more pages: %s; what it holds is still read from it, and memory grows when no other --swap has room",
		info.name, why);
	/* What is prepared has slots of it, and nothing in them yet. */
	sw_evict_unprepare(&mm->ev);
	return true;
}

/* Is it to be drained? */
static void set_draining(struct sw_mm *mm, unsigned type, bool to_be)
{
	uint32_t bit = 1u << type;

	if (to_be)
		__atomic_fetch_or(&mm->to_drain, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&mm->to_drain, ~bit, __ATOMIC_RELAXED);
}

/* One that does not answer is not drained: each page would be waited for, by
 * whoever wants it as well, and more requests are no help to it. */
void sw_device_judge(struct sw_mm *mm, unsigned type, int err)
{
	struct sw_swap_device_info info;

	if (err == -ETIMEDOUT) {
		device_fails(mm, type, "it does not answer");
		set_draining(mm, type, false);
	} else if (swap_device_info(type, &info) &&
		   info.condemned >= WRITE_ERRORS_MAX &&
		   device_fails(mm, type,
				"too many of its slots could not be written")) {
		set_draining(mm, type, true);
	}
}

void sw_device_drained(struct sw_mm *mm, unsigned type)
{
	set_draining(mm, type, false);
}

uint32_t sw_mm_to_drain(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->to_drain, __ATOMIC_RELAXED);
}
