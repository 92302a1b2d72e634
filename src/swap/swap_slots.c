/*
 * swap_slots.c - the count of a slot: how many owners outside the cache name
 * it, from the first dup to the last put.
 *
 * All count changes go through four helpers: __swap_cluster_alloc_entries()
 * (swap_scan.c), __swap_cluster_free_entries(), __swap_cluster_dup_entry()
 * and __swap_cluster_put_entry(). Each wants the cluster lock.
 *
 * The word holds counts below SWP_TB_COUNT_MAX. A saturated word sends the
 * reader to the extend table of the cluster, which exists only while some
 * slot needs it:
 *
 *      0 .. MAX-2  --dup-->  MAX-1  --dup, with a table-->  MAX, ext = MAX
 *                            MAX-1  <--put, ext back to 0-- MAX, ext = MAX
 *
 * Attaching a table means leaving the lock, and the count may have dropped
 * meanwhile: the attach looks again, and a put that goes to MAX-1 or MAX-2
 * looks whether the table is still good for anybody.
 */
#include <string.h>

#include "base/counters.h"
#include "swap/cluster.h"
#include "swap/swap_mem.h"

unsigned __swap_cluster_get_count(const struct swap_cluster_info *ci,
				  unsigned off)
{
	int count;

	sw_assert_spin_held(&ci->lock);
	if (!ci->table)
		return 0;
	count = swp_tb_get_count(__swap_table_get(ci, off));
	if (count < 0)
		return 0;
	if (count < (int)SWP_TB_COUNT_MAX)
		return count;
	SW_BUG_ON(!ci->extend_table);
	return ci->extend_table[off];
}

/* -EINVAL: bad slot. -ENOENT: nobody owns it and no folio sits on it.
 * -ENOMEM: the extend table is missing, and nothing changed. */
int __swap_cluster_dup_entry(struct swap_cluster_info *ci, unsigned off)
{
	uint64_t swp_tb;
	unsigned count;

	sw_assert_spin_held(&ci->lock);
	if (!ci->table)
		return -ENOENT;
	swp_tb = __swap_table_get(ci, off);
	if (!swp_tb_is_countable(swp_tb))
		return -EINVAL;
	count = __swp_tb_get_count(swp_tb);
	if (!count && !swp_tb_is_folio(swp_tb))
		return -ENOENT;

	if (sw_likely(count < SWP_TB_COUNT_MAX - 1)) {
		__swap_table_set(ci, off, __swp_tb_mk_count(swp_tb, count + 1));
		return 0;
	}
	if (!ci->extend_table)
		return -ENOMEM;
	if (count == SWP_TB_COUNT_MAX - 1) {
		SW_BUG_ON(ci->extend_table[off]);
		ci->extend_table[off] = SWP_TB_COUNT_MAX;
		__swap_table_set(ci, off,
				 __swp_tb_mk_count(swp_tb, SWP_TB_COUNT_MAX));
		return 0;
	}
	/* Four thousand million owners: a leak, and wrapping would free the
	 * slot under all of them. */
	SW_BUG_ON(ci->extend_table[off] == UINT32_MAX);
	ci->extend_table[off]++;
	return 0;
}

static void extend_table_try_free(struct swap_cluster_info *ci)
{
	if (!ci->extend_table)
		return;
	for (unsigned off = 0; off < SWAPFILE_CLUSTER; off++)
		if (ci->extend_table[off])
			return;
	swap_free_mem(ci->extend_table);
	ci->extend_table = NULL;
}

/* The count is at least 1; the slot is never freed here. */
void __swap_cluster_put_entry(struct swap_cluster_info *ci, unsigned off)
{
	uint64_t swp_tb = __swap_table_get(ci, off);
	unsigned count = __swp_tb_get_count(swp_tb);

	sw_assert_spin_held(&ci->lock);
	SW_BUG_ON(count == 0);
	if (sw_likely(count < SWP_TB_COUNT_MAX)) {
		count--;
	} else {
		SW_BUG_ON(!ci->extend_table ||
			  ci->extend_table[off] < SWP_TB_COUNT_MAX);
		if (--ci->extend_table[off] >= SWP_TB_COUNT_MAX)
			return;
		ci->extend_table[off] = 0;
		count = SWP_TB_COUNT_MAX - 1;
	}
	__swap_table_set(ci, off, __swp_tb_mk_count(swp_tb, count));
	/* MAX-2 as well: a dup may have attached a table at MAX-1 and come
	 * back after this put, when it needs none any more. */
	if (count >= SWP_TB_COUNT_MAX - 2)
		extend_table_try_free(ci);
}

/*
 * Attaches an extend table if the slot still needs one; called without the
 * lock. 0 also when it does not: the caller looks again.
 */
static int swap_extend_table_alloc(struct swap_info_struct *si,
				   struct swap_cluster_info *ci, unsigned off)
{
	uint32_t *table =
		swap_zalloc(SWAPFILE_CLUSTER * sizeof(*table), "extend table");
	int count;

	if (!table)
		return -ENOMEM;
	swap_cluster_lock(ci);
	if (ci->table && !ci->extend_table) {
		count = swp_tb_get_count(__swap_table_get(ci, off));
		if (count >= (int)SWP_TB_COUNT_MAX - 1) {
			ci->extend_table = table;
			table = NULL;
		}
	}
	swap_cluster_unlock(ci);
	swap_free_mem(table);
	return 0;
}

#define ONE_OWNER (1ULL << SWP_TB_COUNT_SHIFT)

/* Raises slots as long as it is a plain addition; returns how many. */
static unsigned dup_plain(struct swap_cluster_info *ci, unsigned off,
			  unsigned nr)
{
	uint64_t *words;

	if (!ci->table)
		return 0;
	words = __swap_table_words(ci, off, nr);
	SW_UNROLL
	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);
		unsigned count = swp_tb >> SWP_TB_COUNT_SHIFT;

		if (count >= SWP_TB_COUNT_MAX - 1 ||
		    !(swp_tb_is_folio(swp_tb) ||
		      (swp_tb_is_shadow(swp_tb) && count)))
			return i;
		word_set(&words[i], swp_tb + ONE_OWNER);
	}
	return nr;
}

/* Lowers slots of a folio as long as no extend table can be concerned. */
static unsigned put_plain(struct swap_cluster_info *ci, unsigned off,
			  unsigned nr)
{
	uint64_t *words = __swap_table_words(ci, off, nr);

	SW_UNROLL
	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);
		unsigned count = swp_tb >> SWP_TB_COUNT_SHIFT;

		if (count - 1 >= SWP_TB_COUNT_MAX - 2 ||
		    !swp_tb_is_folio(swp_tb))
			return i;
		word_set(&words[i], swp_tb - ONE_OWNER);
	}
	return nr;
}

/*
 * +1 on each of `nr` slots of one cluster, or on none. The slots cannot be
 * freed while the lock is dropped: the caller's folio or count holds them.
 */
static int swap_dup_entries_cluster(struct swap_info_struct *si,
				    uint64_t offset, unsigned nr)
{
	struct swap_cluster_info *ci = __swap_offset_to_cluster(si, offset);
	unsigned start = swap_cluster_offset(offset);
	unsigned i = 0;
	int err = 0;

	swap_cluster_lock(ci);
	i = dup_plain(ci, start, nr);
	SW_ASSERT(start + nr <= SWAPFILE_CLUSTER);
	while (i < nr) {
		err = __swap_cluster_dup_entry(ci, start + i);
		if (sw_likely(!err)) {
			i++;
			continue;
		}
		if (err != -ENOMEM)
			break;
		swap_cluster_unlock(ci);
		err = swap_extend_table_alloc(si, ci, start + i);
		swap_cluster_lock(ci);
		if (err)
			break;
	}
	if (sw_unlikely(err)) {
		while (i > 0)
			__swap_cluster_put_entry(ci, start + --i);
		extend_table_try_free(ci);
	}
	swap_cluster_unlock(ci);
	return err;
}

/* Frees [from, to) of a run of slots with one owner and no folio. */
static void flush_run(struct swap_info_struct *si, struct swap_cluster_info *ci,
		      unsigned from, unsigned to)
{
	if (from < to)
		__swap_cluster_free_range(si, ci, from, to - from, 0);
}

/* One owner and no folio, as nearly always when a program ends. */
static inline bool is_last_owner(uint64_t swp_tb)
{
	return (swp_tb & (SWP_TB_COUNT_MASK | SWP_TB_SHADOW_MARK)) ==
	       (__count_to_flags(1) | SWP_TB_SHADOW_MARK);
}

/* The end of the run of such slots that begins at `off`. */
static unsigned skip_last_owners(struct swap_cluster_info *ci, unsigned off,
				 unsigned end)
{
	const uint64_t *words;

	if (!ci->table)
		return off;
	words = __swap_table_words(ci, 0, end);
	while (off < end && is_last_owner(word_get(&words[off])))
		off++;
	return off;
}

/*
 * -1 on each of `nr` slots of one cluster. Slots with one owner and no folio
 * become free, run by run; then cached slots that lost their last owner are
 * tried, best effort. Part of swap_put_entries_direct(): see swap_refuse.h.
 */
static inline __attribute__((always_inline)) void swap_put_entries_cluster(
	struct swap_info_struct *si, uint64_t offset, unsigned nr)
{
	struct swap_cluster_info *ci = __swap_offset_to_cluster(si, offset);
	unsigned start = swap_cluster_offset(offset), end = start + nr;
	unsigned run = start;
	bool need_reclaim = false;

	swap_cluster_lock(ci);
	SW_ASSERT(end <= SWAPFILE_CLUSTER);
	for (unsigned off = skip_last_owners(ci, start, end); off < end;
	     off = skip_last_owners(ci, off + 1, end)) {
		uint64_t swp_tb = ci->table ? __swap_table_get(ci, off) : 0;
		int count = swp_tb_get_count(swp_tb);

		if (sw_unlikely(count <= 0)) {
			flush_run(si, ci, run, off);
			run = off + 1;
			swap_misuse_entry(
				"swap_put_entries_direct",
				swp_entry(si->type, offset + off - start));
			continue;
		}
		if (count == 1)
			need_reclaim = true;
		__swap_cluster_put_entry(ci, off);
		flush_run(si, ci, run, off);
		run = off + 1;
	}
	flush_run(si, ci, run, end);
	swap_cluster_unlock(ci);

	if (!need_reclaim)
		return;
	for (uint64_t o = offset; o < offset + nr;) {
		int ret = __try_to_reclaim_swap(si, o, TTRS_UNMAPPED);
		unsigned step = ret < 0 ? -ret : ret;

		/* To the end of the folio that was looked at. */
		o = step ? (o | (step - 1)) + 1 : o + 1;
	}
}

/* Group ids of slots that fall free: each group gets back its own. */
static void uncharge_ids(struct swap_cluster_info *ci, unsigned off,
			 unsigned nr)
{
	uint16_t *ids = &ci->table->ids[off];

	for (unsigned i = 0; i < nr;) {
		unsigned run = i + 1;

		/* One comparison when all are alike, as nearly always. */
		if (!memcmp(&ids[i], &ids[i + 1], (nr - i - 1) * sizeof(*ids)))
			run = nr;
		while (run < nr && ids[run] == ids[i])
			run++;
		swap_group_uncharge(ids[i], run - i);
		i = run;
	}
	memset(ids, 0, nr * sizeof(*ids));
}

void __swap_cluster_free_range(struct swap_info_struct *si,
			       struct swap_cluster_info *ci, unsigned off,
			       unsigned nr, unsigned cached)
{
	uint64_t *words = __swap_table_words(ci, off, nr);

	SW_BUG_ON(ci->count < nr);
	SW_UNROLL
	for (unsigned i = 0; i < nr; i++)
		word_set(&words[i], null_to_swp_tb());
#ifdef SW_SWAP_WORD_NARROW
	for (unsigned i = off; i < off + nr; i++)
		__swap_cluster_zero_set(ci, i, false);
#endif
	if (nr > 1)
		uncharge_ids(ci, off, nr);
	else if (ci->table->ids[off]) {
		swap_group_uncharge(ci->table->ids[off], 1);
		ci->table->ids[off] = 0;
	}
	if (si->ops->slot_free)
		si->ops->slot_free(si->store, cluster_offset(si, ci) + off, nr);
	swap_usage_sub(si, nr, cached);
	ci->count -= nr;
	if (ci->count)
		partial_free_cluster(si, ci);
	else
		free_cluster(si, ci);
}

void __swap_cluster_free_entries(struct swap_info_struct *si,
				 struct swap_cluster_info *ci, unsigned off,
				 unsigned nr)
{
	uint64_t *words = __swap_table_words(ci, off, nr);

	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);

		SW_BUG_ON(!swp_tb_is_shadow(swp_tb) ||
			  __swp_tb_get_count(swp_tb) > 1);
	}
	__swap_cluster_free_range(si, ci, off, nr, 0);
}

/* ---- the folio workflow ---- */

/* -1 is all of them. */
static bool folio_has_page(const struct folio *folio, int page)
{
	return (unsigned)page + 1 <= folio_nr(folio);
}

int folio_dup_swap(struct folio *folio, int page)
{
	struct swap_info_struct *si;
	uint64_t offset;

	SW_ASSERT(folio_is_locked(folio));
	if (swap_misuse_uncached(folio))
		return -EINVAL;
	if (sw_unlikely(!folio_has_page(folio, page))) {
		swap_misuse(swap_bad_folio, "page %d of a folio of %u", page,
			    folio_nr(folio));
		return -EINVAL;
	}
	si = &swap_info[swp_type(folio->swap)];
	offset = swp_offset(folio->swap) + (page < 0 ? 0 : page);
	return swap_dup_entries_cluster(si, offset,
					page < 0 ? folio_nr(folio) : 1);
}

void folio_put_swap(struct folio *folio, int page)
{
	struct swap_info_struct *si;
	struct swap_cluster_info *ci;
	unsigned start, nr;
	uint64_t offset;

	SW_ASSERT(folio_is_locked(folio));
	/* A private copy of a shared page is not in the cache: its count is
	 * the original's, and putting "entry 0" would hit a stranger. */
	if (swap_misuse_uncached(folio))
		return;
	if (sw_unlikely(!folio_has_page(folio, page))) {
		swap_misuse(swap_bad_folio, "page %d of a folio of %u", page,
			    folio_nr(folio));
		return;
	}
	nr = page < 0 ? folio_nr(folio) : 1;
	si = &swap_info[swp_type(folio->swap)];
	offset = swp_offset(folio->swap) + (page < 0 ? 0 : page);

	ci = __swap_offset_to_cluster(si, offset);
	swap_cluster_lock(ci);
	start = swap_cluster_offset(offset);
	for (unsigned off = start + put_plain(ci, start, nr); off < start + nr;
	     off++) {
		SW_BUG_ON(!swp_tb_is_folio(__swap_table_get(ci, off)));
		if (sw_unlikely(!__swp_tb_get_count(__swap_table_get(ci, off))))
			swap_misuse_entry(
				"folio_put_swap",
				swp_entry(si->type, offset + off - start));
		else
			__swap_cluster_put_entry(ci, off);
	}
	swap_cluster_unlock(ci);
}

/* ---- entries without a folio ---- */

int swap_dup_entries_direct(swp_entry_t entry, unsigned nr)
{
	struct swap_info_struct *si = __swap_entry_to_info(entry);
	uint64_t offset = swp_offset(entry), end = offset + nr;
	int err = 0;

	if (sw_unlikely(!si || end > si->max)) {
		swap_misuse_entry("swap_dup_entries_direct", entry);
		return -EINVAL;
	}
	while (offset < end) {
		unsigned room = SWAPFILE_CLUSTER - swap_cluster_offset(offset);
		unsigned n = sw_min(room, end - offset);

		err = swap_dup_entries_cluster(si, offset, n);
		if (sw_unlikely(err))
			break;
		offset += n;
	}
	if (sw_likely(!err))
		return 0;
	/* Nothing falls free: each has the owner it had before. */
	if (offset > swp_offset(entry))
		swap_put_entries_direct(entry, offset - swp_offset(entry));
	if (err == -ENOMEM)
		return err;
	swap_misuse_entry("swap_dup_entries_direct", entry);
	return -EINVAL;
}

void swap_put_entries_direct(swp_entry_t entry, unsigned nr)
{
	struct swap_info_struct *si = get_swap_device(entry);
	uint64_t offset = swp_offset(entry), end = offset + nr;

	if (sw_unlikely(!si)) {
		swap_misuse_entry("swap_put_entries_direct", entry);
		return;
	}
	if (sw_unlikely(end > si->max)) {
		swap_misuse_entry("swap_put_entries_direct", entry);
		goto out;
	}
	while (offset < end) {
		unsigned room = SWAPFILE_CLUSTER - swap_cluster_offset(offset);
		unsigned n = sw_min(room, end - offset);

		swap_put_entries_cluster(si, offset, n);
		offset += n;
	}
out:
	put_swap_device(si);
}

int swap_retry_table_alloc(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	int err;

	if (!si)
		return 0;
	err = swap_extend_table_alloc(
		si, __swap_offset_to_cluster(si, swp_offset(entry)),
		swap_cluster_offset(swp_offset(entry)));
	put_swap_device(si);
	return err;
}

unsigned swp_swapcount(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	struct swap_cluster_info *ci;
	unsigned count;

	if (!si)
		return 0;
	ci = __swap_offset_to_cluster(si, swp_offset(entry));
	swap_cluster_lock(ci);
	count = __swap_cluster_get_count(
		ci, swap_cluster_offset(swp_offset(entry)));
	swap_cluster_unlock(ci);
	put_swap_device(si);
	return count;
}

/* Takes the cluster lock itself. */
bool swap_entry_swapped(struct swap_info_struct *si, swp_entry_t entry)
{
	struct swap_cluster_info *ci =
		__swap_offset_to_cluster(si, swp_offset(entry));
	unsigned count;

	swap_cluster_lock(ci);
	count = __swap_cluster_get_count(
		ci, swap_cluster_offset(swp_offset(entry)));
	swap_cluster_unlock(ci);
	return count > 0;
}
