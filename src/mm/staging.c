/*
 * staging.c - pages on their way out wait here, in buffers of ours, before
 * they are compressed or written: the second chance. A fault in that time
 * costs one copy and no I/O. A 32nd of the budget is kept waiting; what
 * waits longest goes first.
 *
 * A staged folio is in the swap cache, dirty, with data. The list holds no
 * reference: a folio whose last owner goes (its page is zapped or comes back)
 * dies at once and gives its buffer back through sw_staging's release hook.
 * So the writer takes a folio off the list with folio_try_get(), and leaves
 * one that is already dying to its hook.
 *
 * Above: reclaim.c, evict.c. Below: the store of the folio's slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "codec/codec.h"
#include "mm/mm_internal.h"

#define WARM_MAX SW_PREPARED /* free buffers that keep their memory */

/* ---- buffers of one page ---- */

static void *buf_at(struct sw_staging *st, uint64_t nr)
{
	return st->arena + nr * SW_PAGE_SIZE;
}

void *sw_buf_get(struct sw_mm *mm)
{
	struct sw_staging *st = &mm->staging;
	void *buf = NULL;

	sw_mutex_lock(&st->lock);
	if (st->nr_warm)
		buf = buf_at(st, st->free[--st->nr_warm]);
	else if (st->nr_cold)
		buf = buf_at(st, st->free[st->arena_pages - st->nr_cold--]);
	else if (st->arena_used < st->arena_pages)
		buf = buf_at(st, st->arena_used++);
	sw_mutex_unlock(&st->lock);
	if (buf)
		sw_budget_add(&mm->budget.staged, 1);
	return buf;
}

/* False: there are enough with memory behind them. */
static bool put_warm(struct sw_staging *st, uint32_t nr)
{
	bool put;

	sw_mutex_lock(&st->lock);
	put = st->nr_warm < WARM_MAX;
	if (put)
		st->free[st->nr_warm++] = nr;
	sw_mutex_unlock(&st->lock);
	return put;
}

/* What is free counts in no budget. While pages are written out, buffers come
 * and go by batches and few are free; when a program goes on to read what it
 * has, all are. */
void sw_buf_put(struct sw_mm *mm, void *buf)
{
	struct sw_staging *st = &mm->staging;
	uint32_t nr = ((char *)buf - st->arena) / SW_PAGE_SIZE;

	if (!put_warm(st, nr)) {
		(void)madvise(buf, SW_PAGE_SIZE, MADV_DONTNEED);
		sw_mutex_lock(&st->lock);
		st->free[st->arena_pages - ++st->nr_cold] = nr;
		sw_mutex_unlock(&st->lock);
	}
	sw_budget_add(&mm->budget.staged, -1);
}

/* The last reference of a folio is gone. */
static void folio_release(struct folio *folio)
{
	struct sw_mm *mm = folio->mapping;

	if (!folio->data)
		return;
	sw_mutex_lock(&mm->staging.lock);
	if (!sw_list_empty(&folio->lru)) {
		sw_list_del(&folio->lru);
		mm->staging.nr--;
	}
	sw_mutex_unlock(&mm->staging.lock);
	sw_buf_put(mm, folio->data);
	folio->data = NULL;
}

/* ---- the list ---- */

void sw_staging_add(struct sw_mm *mm, struct folio *folio)
{
	struct sw_staging *st = &mm->staging;

	sw_mutex_lock(&st->lock);
	sw_list_add_tail(&st->lru, &folio->lru);
	st->nr++;
	sw_mutex_unlock(&st->lock);
}

uint64_t sw_staging_nr(struct sw_mm *mm)
{
	uint64_t nr;

	sw_mutex_lock(&mm->staging.lock);
	nr = mm->staging.nr;
	sw_mutex_unlock(&mm->staging.lock);
	return nr;
}

/* The oldest staged folio, off the list, with a reference; or NULL. */
static struct folio *take_oldest(struct sw_staging *st)
{
	struct folio *folio, *tmp;

	sw_mutex_lock(&st->lock);
	sw_list_for_each_safe(folio, tmp, &st->lru, lru) {
		if (!folio_try_get(folio))
			continue;
		sw_list_del(&folio->lru);
		st->nr--;
		sw_mutex_unlock(&st->lock);
		return folio;
	}
	sw_mutex_unlock(&st->lock);
	return NULL;
}

/* ---- out ---- */

/* Under writeback, unlocked: nobody changes the data, anybody may read it. */
static int write_data(swp_entry_t entry, const void *data)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops;
	void *store;
	int err;

	if (!si)
		return -EIO;
	ops = swap_device_ops(si, &store);
	err = ops->write(store, swp_offset(entry), 1, data);
	put_swap_device(si);
	if (!err)
		sw_count(pswpout, 1);
	else
		sw_count(swap_write_error, 1);
	return err;
}

bool sw_page_is_zero(const void *page)
{
	uint64_t word;

	return sw_page_same_filled(page, &word) && !word;
}

/* Folio locked: its bytes go to the store, or only a mark to its slot. The
 * lock is given up meanwhile. */
static int write_folio(struct folio *folio)
{
	int err;

	if (sw_page_is_zero(folio->data)) {
		swap_zeromap_folio_set(folio);
		sw_count(swpout_zero, 1);
		return 0;
	}
	swap_zeromap_folio_clear(folio);
	folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	err = write_data(folio->swap, folio->data);
	folio_lock(folio);
	folio_clear(folio, SW_FOLIO_WRITEBACK);
	return err;
}

/* Returns 0, or what the store said: the folio is staged again then. */
static int write_staged(struct sw_mm *mm, struct folio *folio)
{
	int err = 0;

	folio_lock(folio);
	if (folio_test(folio, SW_FOLIO_SWAPCACHE) && !folio_free_swap(folio)) {
		err = write_folio(folio);
		if (err) {
			sw_staging_add(mm, folio);
		} else {
			folio_clear(folio, SW_FOLIO_DIRTY);
			if (!folio_free_swap(folio))
				swap_cache_del_folio(folio, sw_make_shadow(mm));
		}
	}
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

unsigned sw_staging_write(struct sw_mm *mm, unsigned nr)
{
	unsigned done = 0;

	while (done < nr) {
		struct folio *folio = take_oldest(&mm->staging);
		int err;

		if (!folio)
			break;
		err = write_staged(mm, folio);
		if (err) {
			sw_warn_once(
				"writing to swap failed (%s): pages stay in memory until it works again",
				strerror(-err));
			break;
		}
		done++;
	}
	return done;
}

/* ---- life ---- */

int sw_staging_init(struct sw_mm *mm)
{
	struct sw_staging *st = &mm->staging;
	uint64_t limit = mm->budget.limit;

	sw_mutex_init(&st->lock, "staging", SW_RANK_POOL);
	sw_list_init(&st->lru);
	st->target = limit / 32;
	st->arena_pages = limit / 4 + 2 * SW_PREPARED;
	st->arena = mmap(NULL, st->arena_pages * SW_PAGE_SIZE,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (st->arena == MAP_FAILED)
		return -ENOMEM;
	st->free = calloc(st->arena_pages, sizeof(*st->free));
	if (!st->free) {
		munmap(st->arena, st->arena_pages * SW_PAGE_SIZE);
		return -ENOMEM;
	}
	return folio_pool_init(1u << 24, folio_release);
}

void sw_staging_release(struct sw_mm *mm)
{
	SW_BUG_ON(mm->staging.nr);
	munmap(mm->staging.arena, mm->staging.arena_pages * SW_PAGE_SIZE);
	free(mm->staging.free);
	folio_pool_release();
	sw_mutex_destroy(&mm->staging.lock);
}
