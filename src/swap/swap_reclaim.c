/*
 * swap_reclaim.c - taking back slots that only the cache still holds: a folio
 * with no owner left in its slots. Its data stays in memory (or mapped in a
 * program) and is dirty from then on.
 */
#include "swap/cluster.h"

static void (*reclaim_hook)(struct folio *folio); /* [atomic] */

void swap_set_reclaim_hook(void (*hook)(struct folio *folio))
{
	__atomic_store_n(&reclaim_hook, hook, __ATOMIC_RELEASE);
}

/* True when the folio was taken out of the cache. Locked, and matched. */
static bool reclaim_locked(struct folio *folio, unsigned flags)
{
	void (*hook)(struct folio *);
	bool mapped = folio_test(folio, SW_FOLIO_MAPPED);

	if (!(flags & TTRS_ANYWAY) && mapped)
		return false;
	/* The lock we hold keeps a count at 0 once it is there. */
	if (!folio_swapcache_freeable(folio) || folio_maybe_swapped(folio))
		return false;
	sw_sched_point("reclaim hook");
	hook = __atomic_load_n(&reclaim_hook, __ATOMIC_ACQUIRE);
	if (mapped && hook)
		hook(folio);
	return folio_free_swap(folio);
}

/*
 * Tries the folio that sits on `offset`: +n, its n slots are free; -n, a
 * folio of n slots stays; 0, no folio. Never waits for the folio unless told
 * to, since the caller may hold another folio's lock.
 */
int __try_to_reclaim_swap(struct swap_info_struct *si, uint64_t offset,
			  unsigned flags)
{
	swp_entry_t entry = swp_entry(si->type, offset);
	struct folio *folio;
	int ret;

	/* Always with the slot asked for: a large folio may have given way to
	 * small ones between lookup and lock. */
	while ((folio = swap_cache_get_folio(entry))) {
		if (flags & TTRS_WAIT) {
			folio_lock(folio);
		} else if (!folio_trylock(folio)) {
			ret = -(int)(1u << __atomic_load_n(&folio->order,
							   __ATOMIC_RELAXED));
			folio_put(folio);
			return ret;
		}
		if (!folio_matches_swap_entry(folio, entry)) {
			folio_unlock(folio);
			folio_put(folio);
			continue;
		}
		ret = folio_nr(folio);
		if (!reclaim_locked(folio, flags))
			ret = -ret;
		folio_unlock(folio);
		folio_put(folio);
		return ret;
	}
	return 0;
}

bool swap_reclaim_entry(swp_entry_t entry)
{
	struct swap_info_struct *si = __swap_entry_to_info(entry);

	return si &&
	       __try_to_reclaim_swap(si, swp_offset(entry), TTRS_ANYWAY) > 0;
}

/*
 * Walks up to `budget` full clusters for folios without an owner; each walked
 * cluster goes behind the others, so all have their turn. Returns the slots
 * freed. Under no lock; the device is pinned.
 */
uint64_t swap_reclaim_full_clusters(struct swap_info_struct *si,
				    uint64_t budget) SW_NO_TSA
{
	struct swap_cluster_info *ci;
	uint64_t freed = 0;
	bool was_free;

	while (budget-- && (ci = isolate_lock_cluster(si, &si->full_clusters,
						      -1, &was_free))) {
		/* The table goes when the last slot does. */
		for (unsigned off = 0; ci->table && off < SWAPFILE_CLUSTER;) {
			uint64_t swp_tb = __swap_table_get(ci, off);
			int ret = 0;

			if (swp_tb_is_folio(swp_tb) &&
			    !__swp_tb_get_count(swp_tb)) {
				swap_cluster_unlock(ci);
				ret = __try_to_reclaim_swap(
					si, cluster_offset(si, ci) + off,
					TTRS_ANYWAY);
				swap_cluster_lock(ci);
				freed += sw_max(ret, 0);
			}
			ret = sw_max(ret < 0 ? -ret : ret, 1);
			off = (off | (ret - 1)) + 1;
		}
		/* Without a table it is free, or being populated. */
		if (ci->flags == CLUSTER_FLAG_NONE && ci->table)
			relocate_cluster(si, ci, false);
		swap_cluster_unlock(ci);
	}
	return freed;
}

/* Queued when a device has no slot left: its full clusters once over. */
void swap_reclaim_work(struct swap_work *work)
{
	struct swap_info_struct *si =
		sw_container_of(work, struct swap_info_struct, reclaim_work);

	if (!get_swap_device_info(si))
		return;
	swap_reclaim_full_clusters(si,
				   swap_usage_in_pages(si) / SWAPFILE_CLUSTER);
	put_swap_device(si);
}
