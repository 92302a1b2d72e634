/*
 * explore_cache.c - scenarios about folios on slots: who brings one in, who
 * takes it out, and what a reader without a lock sees of it.
 */
#include "explore.h"

#ifdef SW_CHECKS

static swp_entry_t slot;
static struct folio *held, *parts[2];

/* ---- faults on one slot ---- */

static bool mapped; /* the owner's word; under the folio lock */
static unsigned brought_in;

static void setup_faults(void)
{
	slot = swapped_out(0, 0);
	mapped = false;
	brought_in = 0;
}

static void body_fault(void)
{
	for (;;) {
		struct folio *folio = swap_cache_get_folio(slot);
		int err;

		if (folio) {
			folio_lock(folio);
			if (!folio_matches_swap_entry(folio, slot)) {
				drop(folio);
				if (mapped)
					break;
				continue;
			}
		} else {
			folio = swap_cache_alloc_folio(slot, 1, NULL, NULL,
						       &err);
			if (!folio) {
				EXPECT(err == -EEXIST || err == -ENOENT);
				if (mapped)
					break;
				sw_sched_wait();
				continue;
			}
			brought_in++;
		}
		if (!mapped) {
			folio_put_swap(folio, 0);
			mapped = true;
			EXPECT(folio_free_swap(folio));
		}
		drop(folio);
		break;
	}
}

static void finish_faults(void)
{
	EXPECT(mapped);
	EXPECT(brought_in == 1);
}

/* ---- insertion against the last put, and against the next user ---- */

static void setup_slot(void)
{
	slot = swapped_out(0, 0);
}

static void body_bring_in(void)
{
	int err;
	struct folio *folio = swap_cache_alloc_folio(slot, 1, NULL, NULL, &err);

	if (!folio) {
		EXPECT(err == -ENOENT || err == -EEXIST);
		return;
	}
	EXPECT(folio_matches_swap_entry(folio, slot));
	/* Nobody may have freed the slot under it. */
	EXPECT(swap_cache_has_folio(slot));
	swap_cache_del_folio(folio, 2);
	drop(folio);
}

static void body_put(void)
{
	swap_put_entries_direct(slot, 1);
}

static void setup_only_slot(void)
{
	setup_slot();
	fill_up(0);
}

static void body_put_and_take(void)
{
	struct folio *folio;

	swap_put_entries_direct(slot, 1);
	folio = new_folio(0);
	if (folio_alloc_swap(folio, 0) == 0) {
		EXPECT(folio_dup_swap(folio, 0) == 0);
		EXPECT(swp_swapcount(folio->swap) == 1);
		swap_cache_del_folio(folio, 0);
	}
	drop(folio);
}

/* ---- a slot goes to another group while a large folio is brought in ---- */

static void setup_group_pair(void)
{
	slot = swapped_out(1, 1);
	fill_up(0);
}

static void body_bring_in_pair(void)
{
	int err;
	struct folio *folio =
		swap_cache_alloc_folio(slot, 1u << 1, NULL, NULL, &err);
	struct swap_cluster_info *ci;
	unsigned off = swap_cluster_offset(swp_offset(slot));

	if (!folio) {
		EXPECT(err == -ENOENT || err == -EEXIST || err == -EBUSY);
		return;
	}
	/* It holds its slots: whose they are is now what it was then. */
	ci = __swap_offset_to_cluster(&swap_info[type], swp_offset(slot));
	EXPECT(ci->table->ids[off] == ci->table->ids[off + 1]);
	EXPECT(swap_cache_has_folio((swp_entry_t){ slot.val + 1 }));
	swap_cache_del_folio(folio, 2);
	drop(folio);
}

static void body_second_to_other_group(void)
{
	struct folio *folio;

	swap_put_entries_direct((swp_entry_t){ slot.val + 1 }, 1);
	/* Nothing else is free, and not even this if it is cached. */
	folio = new_folio(0);
	if (!folio_alloc_swap(folio, 2)) {
		EXPECT(folio->swap.val == slot.val + 1);
		EXPECT(folio_dup_swap(folio, 0) == 0);
		swap_cache_del_folio(folio, 0);
	}
	drop(folio);
}

static void finish_groups(void)
{
	struct sw_swap_group_info a, b;

	EXPECT(swap_check(NULL, NULL) == 0);
	put_all();
	swap_group_info(1, &a);
	swap_group_info(2, &b);
	EXPECT(a.usage == 0 && b.usage == 0);
}

/* ---- lookups ---- */

enum {
	INCARNATION_OF_SLOT = 1,
	INCARNATION_ELSEWHERE
};

static void setup_cached(void)
{
	held = cached_folio(0);
	held->index = INCARNATION_OF_SLOT;
	slot = held->swap;
	folio_unlock(held);
	parts[0] = NULL;
}

/* Whatever is found was on the slot while we looked. */
static void body_look(void)
{
	struct folio *folio = swap_cache_get_folio(slot);

	if (!folio)
		return;
	EXPECT(folio->index == INCARNATION_OF_SLOT);
	folio_lock(folio);
	if (folio_matches_swap_entry(folio, slot))
		EXPECT(swap_cache_has_folio(slot));
	drop(folio);
}

/* The folio goes, and its descriptor comes back on another slot. */
static void body_free_and_reuse_folio(void)
{
	explore_move(0); /* where descriptors lie that were freed last */
	folio_lock(held);
	EXPECT(folio_free_swap(held));
	drop(held);
	parts[0] = new_folio(0);
	parts[0]->index = INCARNATION_ELSEWHERE;
	EXPECT(folio_alloc_swap(parts[0], 0) == 0);
	if (parts[0]->swap.val == slot.val)
		parts[0]->index = INCARNATION_OF_SLOT;
	folio_unlock(parts[0]);
}

static void finish_reused(void)
{
	folio_lock(parts[0]);
	EXPECT(folio_free_swap(parts[0]));
	drop(parts[0]);
}

static void body_freeze(void)
{
	for (unsigned i = 0; i < 2; i++) {
		folio_lock(held);
		if (folio_ref_freeze(held, 2))
			folio_ref_unfreeze(held, 2);
		folio_unlock(held);
	}
}

/* One that is frozen is waited for, not missed. */
static void body_find_it(void)
{
	struct folio *folio = swap_cache_get_folio(slot);

	EXPECT(folio == held);
	folio_put(folio);
}

static void finish_held(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE))
		EXPECT(folio_free_swap(held));
	drop(held);
}

/* ---- removal, with an owner who faults ---- */

static void setup_cached_owned(void)
{
	setup_cached();
	folio_lock(held);
	EXPECT(folio_dup_swap(held, 0) == 0);
	folio_unlock(held);
	mapped = false;
	brought_in = 0;
}

/* Reclaim takes it out of the cache and leaves a shadow. */
static void body_evict(void)
{
	folio_lock(held);
	if (folio_matches_swap_entry(held, slot))
		swap_cache_del_folio(held, 7);
	folio_unlock(held);
}

static void finish_evicted(void)
{
	EXPECT(mapped);
	folio_put(held);
}

/* ---- direct put of a cached slot against who holds the folio ---- */

static void body_lock_and_free(void)
{
	folio_lock(held);
	if (folio_matches_swap_entry(held, slot))
		folio_free_swap(held);
	folio_unlock(held);
}

/* ---- the first owner ---- */

static bool owned;

static void setup_unowned(void)
{
	setup_cached();
	owned = false;
}

/* Unmaps: an owner instead of the mapping. */
static void body_first_dup(void)
{
	folio_lock(held);
	if (folio_matches_swap_entry(held, slot)) {
		EXPECT(folio_dup_swap(held, 0) == 0);
		owned = true;
	}
	folio_unlock(held);
}

/* Nobody owned it, so nobody does until the lock is given up. */
static void body_free_unowned(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE) && folio_free_swap(held))
		EXPECT(!owned);
	folio_unlock(held);
}

static void body_reclaim(void)
{
	if (__try_to_reclaim_swap(&swap_info[type], swp_offset(slot),
				  TTRS_ANYWAY) > 0)
		EXPECT(!owned);
}

static void body_zap(void)
{
	if (!owned)
		return;
	owned = false;
	swap_put_entries_direct(slot, 1);
}

static void finish_owned(void)
{
	if (owned)
		swap_put_entries_direct(slot, 1);
	finish_held();
}

/* ---- split and migration ---- */

static void setup_large(void)
{
	held = cached_folio(1);
	slot = held->swap;
	folio_unlock(held);
	parts[0] = parts[1] = NULL;
}

static void replace_by(unsigned nr, unsigned order)
{
	struct folio *new[2];

	folio_lock(held);
	if (!folio_test(held, SW_FOLIO_SWAPCACHE)) {
		folio_unlock(held);
		return; /* reclaimed before */
	}
	for (unsigned i = 0; i < nr; i++)
		new[i] = new_folio(order);
	swap_cache_split_folio(held, new, nr);
	folio_unlock(held);
	for (unsigned i = 0; i < nr; i++) {
		folio_unlock(new[i]);
		parts[i] = new[i];
	}
}

static void body_split(void)
{
	replace_by(2, 0);
}

static void body_migrate(void)
{
	replace_by(1, 1);
}

/* Neither hole nor stranger: always the whole, a part or the new one, and a
 * reader that has seen the new never sees the old again. */
static void body_look_at_both(void)
{
	bool seen_new = false;

	for (unsigned i = 0; i < 4; i++) {
		swp_entry_t e = { slot.val + i % 2 };
		struct folio *folio = swap_cache_get_folio(e);

		EXPECT(folio);
		if (folio == held)
			EXPECT(!seen_new || i % 2);
		else
			seen_new = true;
		folio_lock(folio);
		if (folio_matches_swap_entry(folio, e))
			EXPECT(swap_cache_has_folio(e));
		else
			EXPECT(folio == held);
		drop(folio);
	}
}

/* Both slots in one look, under the lock that a split takes. */
static void body_look_locked(void)
{
	uint64_t offset = swp_offset(slot);
	struct swap_cluster_info *ci =
		__swap_offset_to_cluster(&swap_info[type], offset);
	unsigned off = swap_cluster_offset(offset);
	struct folio *a, *b;

	swap_cluster_lock(ci);
	a = swp_tb_to_folio(__swap_table_get(ci, off));
	b = swp_tb_to_folio(__swap_table_get(ci, off + 1));
	EXPECT((a == held) == (b == held));
	EXPECT((held->swap.val == slot.val) == (a == held));
	swap_cluster_unlock(ci);
}

static void body_reclaim_second(void)
{
	__try_to_reclaim_swap(&swap_info[type], swp_offset(slot) + 1,
			      TTRS_UNMAPPED);
}

static void finish_replaced(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!parts[i])
			continue;
		folio_lock(parts[i]);
		if (folio_test(parts[i], SW_FOLIO_SWAPCACHE))
			EXPECT(folio_free_swap(parts[i]));
		drop(parts[i]);
	}
	finish_held();
}

const struct scenario explore_cache[] = {
	{ "two-faults",
	  setup_faults,
	  { body_fault, body_fault },
	  finish_faults },
	{ "three-faults",
	  setup_faults,
	  { body_fault, body_fault, body_fault },
	  finish_faults },
	{ "insert-against-put",
	  setup_slot,
	  { body_bring_in, body_put },
	  nothing },
	{ "insert-against-reuse",
	  setup_only_slot,
	  { body_bring_in, body_put_and_take },
	  put_all },
	{ "insert-against-other-group",
	  setup_group_pair,
	  { body_bring_in_pair, body_second_to_other_group },
	  finish_groups },
	{ "lookup-against-reuse",
	  setup_cached,
	  { body_look, body_free_and_reuse_folio },
	  finish_reused },
	{ "lookup-against-freeze",
	  setup_cached,
	  { body_find_it, body_freeze },
	  finish_held },
	{ "fault-against-eviction",
	  setup_cached_owned,
	  { body_fault, body_evict, body_fault },
	  finish_evicted },
	{ "put-against-folio-lock",
	  setup_cached_owned,
	  { body_put, body_lock_and_free },
	  finish_held },
	{ "first-owner-against-free",
	  setup_unowned,
	  { body_first_dup, body_free_unowned, body_zap },
	  finish_owned },
	{ "first-owner-against-reclaim",
	  setup_unowned,
	  { body_first_dup, body_reclaim, body_zap },
	  finish_owned },
	{ "lookup-against-split",
	  setup_large,
	  { body_look_at_both, body_split, body_look_locked },
	  finish_replaced },
	{ "lookup-against-migration",
	  setup_large,
	  { body_look_at_both, body_migrate, body_look_locked },
	  finish_replaced },
	{ "reclaim-against-split",
	  setup_large,
	  { body_reclaim_second, body_split },
	  finish_replaced },
	{ "reclaim-against-migration",
	  setup_large,
	  { body_reclaim_second, body_migrate },
	  finish_replaced },
	{ 0 },
};
#endif
