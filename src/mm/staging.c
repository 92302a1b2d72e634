/*
 * staging.c - pages on their way out wait here, in buffers of ours, before
 * they are compressed or written: the second chance. A fault in that time
 * costs one copy and no I/O. A 32nd of the budget is kept waiting; what
 * waits longest goes first.
 *
 * A staged folio is in the swap cache, dirty, with data; or clean, if a fault
 * read it and left the bytes to another (handover.c), and then it is only
 * dropped in its turn. The list holds no reference: a folio whose last owner
 * goes (its page is zapped or comes back) dies at once and gives its buffer back
 * through sw_staging's release hook. So writeout.c takes a folio off the list
 * with folio_try_get(), and leaves one that is already dying to its hook.
 *
 * Above: reclaim.c, evict.c. Beside: writeout.c, which empties the list.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "mm/mm_internal.h"

#define WARM_MAX SW_PREPARED /* free buffers that keep their memory */

/* ---- buffers ---- */

static void bufs_release(struct sw_bufs *b)
{
	if (b->arena)
		munmap(b->arena, (uint64_t)b->nr * b->pages * SW_PAGE_SIZE);
	free(b->free);
	free(b->in_use);
}

static int bufs_init(struct sw_bufs *b, uint64_t nr, unsigned pages)
{
	b->nr = nr;
	b->pages = pages;
	b->warm_max = sw_max(WARM_MAX / pages, 1u);
	b->arena = mmap(NULL, nr * pages * SW_PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->arena == MAP_FAILED) {
		b->arena = NULL;
		return -ENOMEM;
	}
	/* The large ones are huge pages themselves, where the kernel aligns
	 * the arena. */
	if (pages == SW_HUGE_PAGES)
		(void)madvise(b->arena, nr * pages * SW_PAGE_SIZE,
			      MADV_HUGEPAGE);
	b->free = calloc(nr, sizeof(*b->free));
	b->in_use = calloc(nr, sizeof(*b->in_use));
	if (b->free && b->in_use)
		return 0;
	bufs_release(b);
	return -ENOMEM;
}

static void *bufs_get(struct sw_mm *mm, struct sw_bufs *b)
{
	uint32_t nr = 0;
	bool got = true;

	sw_mutex_lock(&mm->staging.lock);
	if (b->nr_warm)
		nr = b->free[--b->nr_warm];
	else if (b->nr_cold)
		nr = b->free[b->nr - b->nr_cold--];
	else if (b->used < b->nr)
		nr = b->used++;
	else
		got = false;
	if (got)
		b->in_use[nr] = b->pages;
	sw_mutex_unlock(&mm->staging.lock);
	if (!got)
		return NULL;
	sw_budget_add(&mm->budget.staged, b->pages);
	return b->arena + (uint64_t)nr * b->pages * SW_PAGE_SIZE;
}

void *sw_buf_get(struct sw_mm *mm)
{
	return bufs_get(mm, &mm->staging.single);
}

void *sw_buf_get_block(struct sw_mm *mm)
{
	return bufs_get(mm, &mm->staging.block);
}

void *sw_buf_get_huge(struct sw_mm *mm)
{
	return bufs_get(mm, &mm->staging.huge);
}

enum put {
	PUT_PART, /* the rest of the buffer is still in use */
	PUT_WARM,
	PUT_COLD, /* there are enough with memory behind them */
};

static enum put put_pages(struct sw_staging *st, struct sw_bufs *b, uint32_t at,
			  unsigned pages)
{
	enum put put = PUT_COLD;

	sw_mutex_lock(&st->lock);
	b->in_use[at] -= pages;
	if (b->in_use[at]) {
		put = PUT_PART;
	} else if (b->nr_warm < b->warm_max) {
		b->free[b->nr_warm++] = at;
		put = PUT_WARM;
	}
	sw_mutex_unlock(&st->lock);
	return put;
}

static bool is_of(const struct sw_bufs *b, const void *buf)
{
	uint64_t at = (const char *)buf - b->arena;

	return at < b->nr * b->pages * SW_PAGE_SIZE;
}

/* What is free counts in no budget. While pages are written out, buffers come
 * and go by batches and few are free; when a program goes on to read what it
 * has, all are. A block counts until the last of its pages is free. */
void sw_buf_put(struct sw_mm *mm, void *buf, unsigned pages)
{
	struct sw_staging *st = &mm->staging;
	struct sw_bufs *b = &st->single;
	uint64_t size, at;
	enum put put;

	if (is_of(&st->block, buf))
		b = &st->block;
	else if (is_of(&st->huge, buf))
		b = &st->huge;
	size = b->pages * SW_PAGE_SIZE;
	at = ((char *)buf - b->arena) / size;
	put = put_pages(st, b, at, pages);
	if (put == PUT_PART)
		return;
	if (put == PUT_COLD) {
		(void)madvise(b->arena + at * size, size, MADV_DONTNEED);
		sw_mutex_lock(&st->lock);
		b->free[b->nr - ++b->nr_cold] = at;
		sw_mutex_unlock(&st->lock);
	}
	sw_budget_add(&mm->budget.staged, -(int64_t)b->pages);
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
		if (folio_test(folio, SW_FOLIO_KEPT))
			mm->staging.nr_kept -= folio_nr(folio);
		else
			mm->staging.nr -= folio_nr(folio);
	}
	sw_mutex_unlock(&mm->staging.lock);
	sw_buf_put(mm, folio->data, folio_nr(folio));
	folio->data = NULL;
}

/* ---- the list ---- */

void sw_staging_add(struct sw_mm *mm, struct folio *folio)
{
	struct sw_staging *st = &mm->staging;

	sw_mutex_lock(&st->lock);
	sw_list_add_tail(&st->lru, &folio->lru);
	st->nr += folio_nr(folio);
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

struct folio *sw_staging_take(struct sw_mm *mm)
{
	struct sw_staging *st = &mm->staging;
	struct folio *folio, *tmp;

	sw_mutex_lock(&st->lock);
	sw_list_for_each_safe(folio, tmp, &st->lru, lru) {
		if (!folio_try_get(folio))
			continue;
		sw_list_del(&folio->lru);
		st->nr -= folio_nr(folio);
		sw_mutex_unlock(&st->lock);
		return folio;
	}
	sw_mutex_unlock(&st->lock);
	return NULL;
}

/* The oldest is the oldest again. */
static void untake(struct sw_staging *st, struct folio *folio)
{
	sw_mutex_lock(&st->lock);
	sw_list_add(&st->lru, &folio->lru);
	st->nr += folio_nr(folio);
	sw_mutex_unlock(&st->lock);
	folio_put(folio);
}

struct folio *sw_staging_take_direct(struct sw_mm *mm)
{
	struct folio *folio = sw_staging_take(mm);

	if (!folio ||
	    (folio->order <= SW_ORDER_BLOCK && sw_store_is_memory(folio->swap)))
		return folio;
	untake(&mm->staging, folio);
	return NULL;
}

/* ---- life ---- */

/* All managers of a process share the descriptors: the swap table names a folio
 * by its index. */
static struct sw_mutex pool_lock =
	SW_MUTEX_INIT("folio pool users", SW_RANK_SWAPON);
static unsigned pool_users; /* pool_lock */

static int pool_get(void)
{
	int err = 0;

	sw_mutex_lock(&pool_lock);
	if (!pool_users)
		err = folio_pool_init(1u << 24, folio_release);
	pool_users += !err;
	sw_mutex_unlock(&pool_lock);
	return err;
}

static void pool_put(void)
{
	sw_mutex_lock(&pool_lock);
	if (!--pool_users)
		folio_pool_release();
	sw_mutex_unlock(&pool_lock);
}

void sw_staging_retarget(struct sw_mm *mm)
{
	/* The rest is for what is prepared, and on its way. */
	uint64_t most = mm->staging.single.nr / 2;

	__atomic_store_n(
		&mm->staging.target,
		sw_min((uint64_t)sw_budget_limit(&mm->budget) / 32, most),
		__ATOMIC_RELAXED);
}

int sw_staging_init(struct sw_mm *mm)
{
	struct sw_staging *st = &mm->staging;
	uint64_t limit = sw_budget_limit(&mm->budget);
	uint64_t pages = limit / 4 + 2 * SW_PREPARED;
	int err = -ENOMEM;

	sw_mutex_init(&st->lock, "staging", SW_RANK_POOL);
	sw_list_init(&st->lru);
	sw_list_init(&st->kept);
	if (bufs_init(&st->single, pages, 1))
		return err;
	sw_staging_retarget(mm);
	if (bufs_init(&st->block, pages / SW_BLOCK_PAGES + 1, SW_BLOCK_PAGES))
		goto err_single;
	if (bufs_init(&st->huge, pages / SW_HUGE_PAGES + 1, SW_HUGE_PAGES))
		goto err_block;
	err = pool_get();
	if (!err)
		return 0;
	bufs_release(&st->huge);
err_block:
	bufs_release(&st->block);
err_single:
	bufs_release(&st->single);
	return err;
}

void sw_staging_release(struct sw_mm *mm)
{
	SW_BUG_ON(mm->staging.nr || mm->staging.nr_kept);
	bufs_release(&mm->staging.single);
	bufs_release(&mm->staging.block);
	bufs_release(&mm->staging.huge);
	pool_put();
	sw_mutex_destroy(&mm->staging.lock);
}
