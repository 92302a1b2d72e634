/*
 * explore_alloc.c - scenarios about finding free slots: what may happen to a
 * cluster while its lock is dropped, devices that run full, clusters that
 * wait for discard, tables that come and go.
 */
#include "explore.h"

#ifdef SW_CHECKS
#include <string.h>

#include "swap/swap_mem.h"
#include "swap/swap_work.h"

static swp_entry_t slot, other_slot;

/* ---- somebody takes, somebody frees ---- */

/* True: a slot was had; it has an owner. */
static bool take_one(void)
{
	struct folio *folio = new_folio(0);
	bool got = !folio_alloc_swap(folio, 0);

	if (got) {
		EXPECT(folio_dup_swap(folio, 0) == 0);
		EXPECT(swp_swapcount(folio->swap) == 1);
		swap_cache_del_folio(folio, 0);
	}
	drop(folio);
	return got;
}

static void body_take_one(void)
{
	take_one();
}

static void body_put(void)
{
	swap_put_entries_direct(slot, 1);
}

static void body_put_other(void)
{
	swap_put_entries_direct(other_slot, 1);
}

/* Where there is room there is a slot, now that nobody is in the way. */
static void finish_not_lost(void)
{
	struct folio *folio;

	EXPECT(swap_check(NULL, NULL) == 0);
	if (used() < swap_info[type].pages) {
		folio = cached_folio(0);
		EXPECT(folio_free_swap(folio));
		drop(folio);
	}
	put_all();
}

static void setup_full(void)
{
	slot = swapped_out(0, 0);
	other_slot = swapped_out(0, 0);
	fill_up(0);
}

static void setup_one_left(void)
{
	slot = swapped_out(0, 0);
	other_slot = swapped_out(0, 0);
	fill_up(1);
}

/* ---- the lock is dropped to reclaim ---- */

static struct folio *cached[2 * CL];
static unsigned nr_cached;

static void setup_unowned(void)
{
	for (nr_cached = 0; nr_cached < 2 * CL - 1; nr_cached++) {
		cached[nr_cached] = cached_folio(0);
		folio_unlock(cached[nr_cached]);
	}
	/* A hole in each cluster, so that they are scanned. */
	for (unsigned i = 3; i < nr_cached; i += CL) {
		folio_lock(cached[i]);
		EXPECT(folio_free_swap(cached[i]));
		folio_unlock(cached[i]);
	}
}

static void setup_unowned_full(void)
{
	for (nr_cached = 0; nr_cached < 2 * CL - 1; nr_cached++) {
		cached[nr_cached] = cached_folio(0);
		folio_unlock(cached[nr_cached]);
	}
}

static void alloc_and_free(unsigned order)
{
	struct folio *folio = new_folio(order);

	if (!folio_alloc_swap(folio, 0)) {
		EXPECT(!(folio->swap.val & (folio_nr(folio) - 1)));
		EXPECT(folio_dup_swap(folio, -1) == 0);
		for (unsigned i = 0; i < folio_nr(folio); i++) {
			swp_entry_t e = { folio->swap.val + i };

			EXPECT(swp_swapcount(e) == 1);
			EXPECT(swap_cache_has_folio(e));
		}
		folio_put_swap(folio, -1);
		EXPECT(folio_free_swap(folio));
	}
	drop(folio);
}

static void body_alloc_order_0(void)
{
	for (unsigned i = 0; i < 3; i++)
		alloc_and_free(0);
}

static void body_alloc_order_1(void)
{
	alloc_and_free(1);
}

static void body_free_cached(void)
{
	for (unsigned i = 0; i < nr_cached; i++) {
		if (!folio_trylock(cached[i]))
			continue;
		folio_free_swap(cached[i]);
		folio_unlock(cached[i]);
	}
}

static void body_reclaim_full_clusters(void)
{
	swap_reclaim_full_clusters(&swap_info[type], 2);
}

static void finish_cached(void)
{
	body_free_cached();
	for (unsigned i = 0; i < nr_cached; i++)
		folio_put(cached[i]);
}

/*
 * One cluster serves order 1: two slots are free in it, but no pair; the
 * other pairs are nobody's. An order-1 allocation reclaims one, while the
 * rest goes, the cluster falls free and somebody else takes it.
 */
static swp_entry_t lone[2];

static bool sleeps_for_a_table(void *arg, const char *what)
{
	if (!strcmp(what, "swap table"))
		sw_sched_wait();
	return true;
}

static void setup_pairs(void)
{
	struct folio *folio;

	fill_up(CL);
	for (unsigned i = 0; i < 2; i++) {
		folio = cached_folio(1);
		lone[i] = folio->swap;
		EXPECT(folio_dup_swap(folio, 0) == 0);
		swap_cache_del_folio(folio, 0);
		drop(folio);
	}
	for (nr_cached = 0; nr_cached < CL / 2 - 2; nr_cached++) {
		cached[nr_cached] = cached_folio(1);
		folio_unlock(cached[nr_cached]);
	}
	swap_set_alloc_hook(sleeps_for_a_table, NULL);
}

static void body_free_pairs(void)
{
	for (unsigned i = 0; i < 2; i++)
		swap_put_entries_direct(lone[i], 1);
	body_free_cached();
}

static void body_take_free_cluster(void)
{
	const struct swap_cluster_info *ci =
		__swap_offset_to_cluster(&swap_info[type], CL);

	for (unsigned i = 0; i < 10 && ci->flags != CLUSTER_FLAG_FREE; i++)
		sw_sched_wait();
	alloc_and_free(2);
}

static void finish_pairs(void)
{
	finish_cached();
	put_all();
}

/* ---- discard ---- */

static uint64_t trimmed_from, trimmed_to;

static void on_discard(uint64_t offset, uint64_t nr)
{
	trimmed_from = offset;
	trimmed_to = offset + nr;
	for (unsigned i = 0; i < 2; i++)
		sw_sched_point("discard");
	trimmed_from = trimmed_to = 0;
}

/* Slot 2 of a device that discards: the only one in use of its cluster, and
 * this is where the CPU goes on. */
static void setup_discard(void)
{
	EXPECT(swapoff(type, NULL, NULL) == 0);
	type = explore_swapon(2 * CL, SWP_DISCARDABLE | SWP_PAGE_DISCARD, -1);
	explore_on_discard = on_discard;
	trimmed_from = trimmed_to = 0;
	slot = swapped_out(1, 0);
	swap_put_entries_direct((swp_entry_t){ slot.val + 1 }, 1);
}

static void body_put_and_take_pair(void)
{
	struct folio *folio;

	explore_move(0);
	swap_put_entries_direct(slot, 1);
	folio = new_folio(1);
	if (!folio_alloc_swap(folio, 0)) {
		uint64_t o = swp_offset(folio->swap);

		EXPECT(o < trimmed_from || o >= trimmed_to);
		EXPECT(folio_free_swap(folio));
	}
	drop(folio);
}

static void body_discard(void)
{
	swap_work_run_pending();
}

static void body_take_pair(void)
{
	alloc_and_free(1);
}

static void setup_unowned_discard(void)
{
	EXPECT(swapoff(type, NULL, NULL) == 0);
	type = explore_swapon(2 * CL, SWP_DISCARDABLE | SWP_PAGE_DISCARD, -1);
	explore_on_discard = on_discard;
	trimmed_from = trimmed_to = 0;
	setup_unowned();
}

/* ---- tables ---- */

static bool memory_is_scarce(void *arg, const char *what)
{
	unsigned *n = arg;

	if (strcmp(what, "swap table"))
		return true;
	/* Who sleeps for a table wakes up elsewhere; the first gets none. */
	explore_move(++*n);
	sw_sched_wait();
	return *n % 2 == 0;
}

static unsigned nr_tables;

static void setup_scarce(void)
{
	EXPECT(swapoff(type, NULL, NULL) == 0);
	type = explore_swapon(5 * CL, 0, -1);
	nr_tables = 0;
	swap_set_alloc_hook(memory_is_scarce, &nr_tables);
}

/* More clusters than a CPU keeps tables for: the next one that falls empty
 * goes through a grace period. */
static void setup_many_tables(void)
{
	const unsigned clusters = 12;
	swp_entry_t e[12];

	type = explore_swapon((clusters + 1) * CL, 0, 5);
	for (unsigned i = 0; i < clusters; i++)
		e[i] = swapped_out(SWAP_MAX_ORDER, 0);
	slot = e[0];
	swap_put_entries_direct((swp_entry_t){ slot.val + 1 }, CL - 1);
	for (unsigned i = 1; i < clusters; i++)
		swap_put_entries_direct(e[i], CL);
}

static void body_last_put(void)
{
	explore_move(0);
	swap_put_entries_direct(slot, 1);
}

/* There never was a folio; nor may freed memory look like one. */
static void body_look(void)
{
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(!swap_cache_has_folio(slot));
		EXPECT(!swap_cache_get_folio(slot));
		EXPECT(swap_cache_get_shadow(slot) <= 1);
	}
}

/* ---- several devices ---- */

static int small;

static void setup_two_devices(void)
{
	small = explore_swapon(CL, 0, 5);
	while (swap_usage_in_pages(&swap_info[small]) + 1 <
	       swap_info[small].pages)
		swapped_out(0, 0);
}

static void body_put_on_small(void)
{
	for (uint64_t o = 1; o < 3; o++)
		swap_put_entries_direct(swp_entry(small, o), 1);
}

static void finish_two_devices(void)
{
	int large = type;

	finish_not_lost();
	type = small;
	finish_not_lost();
	type = large;
}

const struct scenario explore_alloc[] = {
	{ "full-against-free",
	  setup_full,
	  { body_take_one, body_put },
	  finish_not_lost },
	{ "full-against-two-frees",
	  setup_full,
	  { body_take_one, body_put, body_put_other },
	  finish_not_lost },
	{ "take-take-free",
	  setup_one_left,
	  { body_take_one, body_take_one, body_put },
	  finish_not_lost },
	{ "reclaim-against-free",
	  setup_unowned,
	  { body_alloc_order_0, body_free_cached },
	  finish_cached },
	{ "reclaim-against-orders",
	  setup_unowned,
	  { body_alloc_order_0, body_free_cached, body_alloc_order_1 },
	  finish_cached },
	{ "reclaim-against-next-user",
	  setup_pairs,
	  { body_alloc_order_1, body_free_pairs, body_take_free_cluster },
	  finish_pairs },
	{ "reclaim-against-discard",
	  setup_unowned_discard,
	  { body_alloc_order_0, body_free_cached, body_discard },
	  finish_cached },
	{ "full-clusters-against-free",
	  setup_unowned_full,
	  { body_reclaim_full_clusters, body_free_cached, body_alloc_order_1 },
	  finish_cached },
	{ "discard-against-hint",
	  setup_discard,
	  { body_put_and_take_pair, body_discard, body_take_pair },
	  nothing },
	{ "populate-against-populate",
	  setup_scarce,
	  { body_take_pair, body_take_one, body_take_pair },
	  put_all },
	{ "lookup-against-table-free",
	  setup_many_tables,
	  { body_look, body_last_put },
	  nothing },
	{ "device-full-while-others-look",
	  setup_two_devices,
	  { body_take_one, body_take_one, body_put_on_small },
	  finish_two_devices },
	{ 0 },
};
#endif
