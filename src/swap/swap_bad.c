/*
 * swap_bad.c - slots that turn bad while their device is on, and devices that
 * have too many of them. The kernel has nothing like it: there a folio whose
 * write failed stays where it is, and the slot is given to the next one.
 *
 *      cached, count n  --condemned-->  the same, and the folio is marked
 *      cached, count 0  --folio leaves-->  bad
 *
 * The mark is the folio's, not the word's, which has no room: a condemned
 * folio is dirty and therefore stays in the cache as long as its slot has an
 * owner, so that the slot falls free in no other way than with the folio.
 *
 * Whether a slot is beyond hope, and when a device is, is mm's to say.
 */
#include "swap/cluster.h"

uint64_t folio_condemn_slot(struct folio *folio)
{
	struct swap_info_struct *si = &swap_info[swp_type(folio->swap)];

	SW_ASSERT(folio_is_locked(folio));
	if (swap_misuse_uncached(folio))
		return 0;
	if (sw_unlikely(folio->order || !folio_test(folio, SW_FOLIO_DIRTY))) {
		swap_misuse(swap_bad_folio, "the folio is large, or clean");
		return 0;
	}
	if (!folio_test(folio, SW_FOLIO_CONDEMNED)) {
		folio_set(folio, SW_FOLIO_CONDEMNED);
		__atomic_fetch_add(&si->condemned, 1, __ATOMIC_RELAXED);
	}
	return __atomic_load_n(&si->condemned, __ATOMIC_RELAXED);
}

/*
 * The cluster's count stays, for a bad slot is in it, and with it the list the
 * cluster is on. The device is made smaller before it has a slot less in use,
 * so that a full one is found to be full as before when swap_usage_sub() looks
 * whether it has room now.
 */
void __swap_cluster_retire_slot(struct swap_info_struct *si,
				struct swap_cluster_info *ci,
				struct folio *folio, unsigned off)
{
	sw_assert_spin_held(&ci->lock);
	SW_BUG_ON(__swp_tb_get_count(__swap_table_get(ci, off)));
	__swap_cluster_zero_set(ci, off, false);
	__swap_table_set(ci, off, bad_to_swp_tb());
	swap_group_uncharge(ci->table->ids[off], 1);
	ci->table->ids[off] = 0;
	if (si->ops->slot_free)
		si->ops->slot_free(si->store, cluster_offset(si, ci) + off, 1);
	swap_device_shrink(si);
	swap_usage_sub(si, 1, 1);
	folio_clear(folio, SW_FOLIO_CONDEMNED);
}

bool swap_device_fail(unsigned type)
{
	bool fails;

	if (type >= MAX_SWAPFILES)
		return false;
	sw_mutex_lock(&swap_lock);
	fails = swap_flags(&swap_info[type]) & SWP_WRITEOK;
	if (fails) {
		swap_flags_set(&swap_info[type], SWP_FAILED);
		del_from_avail_list(&swap_info[type], true);
	}
	sw_mutex_unlock(&swap_lock);
	return fails;
}
