/*
 * swap_hibernate.c - slots for images: taken one by one from one device, with
 * one owner and no folio, remembered as extents with an inclusive end.
 *
 * An image holds its device: swapoff says -EBUSY while it is pinned, so the
 * slots need no reference each. An image is written front to back, so a new
 * slot nearly always lengthens the last extent.
 */
#include <string.h>

#include "swap/cluster.h"
#include "swap/swap_mem.h"

void swap_free_hibernation_slot(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	struct swap_cluster_info *ci;
	unsigned off = swap_cluster_offset(swp_offset(entry));
	uint64_t swp_tb;

	if (!si) {
		swap_misuse_entry("swap_free_hibernation_slot", entry);
		return;
	}
	ci = __swap_offset_to_cluster(si, swp_offset(entry));
	swap_cluster_lock(ci);
	swp_tb = ci->table ? __swap_table_get(ci, off) : null_to_swp_tb();
	if (swp_tb_get_count(swp_tb) != 1) {
		swap_cluster_unlock(ci);
		swap_misuse_entry("swap_free_hibernation_slot", entry);
		goto out;
	}
	/* Readahead may have put a folio here. Freeing under it would leave it
	 * without a slot: then the slot goes with the folio, at once if it can
	 * be had. */
	if (swp_tb_is_folio(swp_tb))
		__swap_cluster_put_entry(ci, off);
	else
		__swap_cluster_free_entries(si, ci, off, 1);
	swap_cluster_unlock(ci);
	if (swp_tb_is_folio(swp_tb))
		__try_to_reclaim_swap(si, swp_offset(entry), TTRS_ANYWAY);
out:
	put_swap_device(si);
}

/* ---- extents ---- */

/* Where `offset` is or belongs: the first extent that ends at or behind it. */
static size_t extent_find(const struct swsusp_extents *x, uint64_t offset)
{
	size_t lo = 0, hi = x->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->v[mid].end < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int extents_grow(struct swsusp_extents *x)
{
	size_t cap = x->cap ? 2 * x->cap : 16;
	struct swsusp_extent *v = swap_zalloc(cap * sizeof(*v), "extents");

	if (!v)
		return -ENOMEM;
	if (x->nr)
		memcpy(v, x->v, x->nr * sizeof(*v));
	swap_free_mem(x->v);
	x->v = v;
	x->cap = cap;
	return 0;
}

/* -EINVAL: it is there already; -ENOMEM. */
int swsusp_extents_insert(struct swsusp_extents *x, uint64_t offset)
{
	size_t i = extent_find(x, offset);
	bool joins_prev = i > 0 && x->v[i - 1].end + 1 == offset;
	bool joins_next;

	if (i < x->nr && x->v[i].start <= offset)
		return -EINVAL;
	joins_next = i < x->nr && x->v[i].start == offset + 1;
	if (joins_prev && joins_next) {
		x->v[i - 1].end = x->v[i].end;
		x->nr--;
		memmove(&x->v[i], &x->v[i + 1], (x->nr - i) * sizeof(*x->v));
	} else if (joins_prev) {
		x->v[i - 1].end++;
	} else if (joins_next) {
		x->v[i].start--;
	} else {
		if (x->nr == x->cap && extents_grow(x))
			return -ENOMEM;
		memmove(&x->v[i + 1], &x->v[i], (x->nr - i) * sizeof(*x->v));
		x->v[i].start = x->v[i].end = offset;
		x->nr++;
	}
	return 0;
}

swp_entry_t alloc_swapdev_block(struct swsusp_extents *x)
{
	swp_entry_t entry = swap_alloc_hibernation_slot(x->type);

	if (entry.val && swsusp_extents_insert(x, swp_offset(entry))) {
		swap_free_hibernation_slot(entry);
		entry.val = 0;
	}
	return entry;
}

void free_all_swap_pages(struct swsusp_extents *x)
{
	for (size_t i = 0; i < x->nr; i++)
		for (uint64_t o = x->v[i].start; o <= x->v[i].end; o++)
			swap_free_hibernation_slot(swp_entry(x->type, o));
	swap_free_mem(x->v);
	x->v = NULL;
	x->nr = x->cap = 0;
}
