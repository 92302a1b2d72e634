/*
 * inject_swap.c - a day in the life of the swap layer, over and over, with
 * allocation number 1, then 2, then 3 ... refused, until one run passes
 * without a refusal. Whatever fails, nothing leaks, nothing is lost, and every
 * invariant holds at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swap/cluster.h"
#include "swap/swap_mem.h"

#define MUST(cond)                                                          \
	do {                                                                \
		if (!(cond)) {                                              \
			fprintf(stderr, "inject: allocation %u (%s): %s\n", \
				fail_at, failed ? failed : "none", #cond);  \
			abort();                                            \
		}                                                           \
	} while (0)

static unsigned fail_at, seen;
static bool forever;       /* refuse all from there on */
static const char *failed; /* what the first refusal was for */

static bool may(void *arg, const char *what)
{
	seen++;
	if (seen < fail_at || (seen > fail_at && !forever))
		return true;
	if (!failed)
		failed = what;
	return false;
}

static const struct swap_ops ops;

/* Swapped out, or 0. */
static swp_entry_t swap_out(unsigned order)
{
	struct folio *folio = folio_alloc(order);
	swp_entry_t e = { 0 };

	if (!folio)
		return e;
	folio_lock(folio);
	folio_set(folio, SW_FOLIO_UPTODATE);
	if (!folio_alloc_swap(folio, 1)) {
		e = folio->swap;
		if (folio_dup_swap(folio, -1)) {
			e.val = 0;
			MUST(folio_free_swap(folio));
		} else {
			swap_cache_del_folio(folio, 3);
		}
	}
	folio_unlock(folio);
	folio_put(folio);
	return e;
}

static void share(swp_entry_t e, unsigned times)
{
	unsigned n = 1;

	for (unsigned i = 0; i < times; i++) {
		int err = swap_dup_entry_direct(e);

		MUST(!err || err == -ENOMEM);
		n += !err;
		MUST(swp_swapcount(e) == n);
	}
	while (--n)
		swap_put_entries_direct(e, 1);
	MUST(swp_swapcount(e) == 1);
}

static void swap_in(swp_entry_t e, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		swp_entry_t x = { e.val + i };
		struct folio *folio;
		int err;

		folio = swap_cache_alloc_folio(x, 0xf, NULL, NULL, &err);
		if (!folio) {
			MUST(err == -ENOMEM);
			MUST(swp_swapcount(x) == 1);
			swap_put_entries_direct(x, 1);
			continue;
		}
		folio_put_swap(folio, x.val - folio->swap.val);
		if (!folio_free_swap(folio))
			swap_cache_del_folio(folio, 0);
		folio_unlock(folio);
		folio_put(folio);
	}
}

static void a_day(void)
{
	const uint64_t bad[] = { 3, 2 * SWAPFILE_CLUSTER + 1 };
	struct swapon_spec spec = {
		.name = "inject",
		.ops = &ops,
		.max = 6 * SWAPFILE_CLUSTER - 3,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
		.bad = bad,
		.nr_bad = 2,
	};
	struct swsusp_extents image = { 0 };
	struct sw_swap_group_info info;
	swp_entry_t e[40];
	int type = swapon(&spec);

	if (type < 0) {
		MUST(type == -ENOMEM);
		return;
	}
	for (unsigned i = 0; i < 40; i++)
		e[i] = swap_out(i % 4);
	if (e[0].val)
		share(e[0], 2 * SWP_TB_COUNT_MAX);
	image.type = type;
	for (unsigned i = 0; i < 3; i++)
		alloc_swapdev_block(&image);
	MUST(swap_check(NULL, NULL) == 0);
	free_all_swap_pages(&image);
	for (unsigned i = 0; i < 40; i++)
		if (e[i].val)
			swap_in(e[i], 1u << (i % 4));
	MUST(swap_usage_in_pages(&swap_info[type]) == 0);
	swap_group_info(1, &info);
	MUST(info.usage == 0);
	MUST(swap_check(NULL, NULL) == 0);
	MUST(swapoff(type, NULL, NULL) == 0);
}

static unsigned run(void)
{
	unsigned tries;

	for (tries = 1;; tries++) {
		fail_at = tries;
		seen = 0;
		failed = NULL;
		MUST(folio_pool_init(4096, NULL) == 0);
		swap_set_alloc_hook(may, NULL);
		if (swap_init()) {
			folio_pool_release();
			continue;
		}
		swap_work_set_manual(true);
		a_day();
		swap_set_alloc_hook(NULL, NULL);
		swap_exit();
		MUST(folio_pool_in_use() == 0);
		folio_pool_release();
		if (!failed)
			return tries;
	}
}

int main(void)
{
	unsigned n = run();

	printf("inject: clean after %u refusals of one allocation\n", n - 1);
	forever = true;
	n = run();
	printf("inject: clean after %u refusals of all that follow\n", n - 1);
	return 0;
}
