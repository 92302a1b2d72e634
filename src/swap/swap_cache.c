/*
 * swap_cache.c - the folios that sit on slots. The cache is the PFN words of
 * the swap tables and nothing else, and it is the only thing that keeps
 * swap-in and swap-out of one slot apart: whoever inserts a folio first does
 * the work, all others find it and sleep on its lock.
 *
 *        fault A                            fault B
 *        check: not cached                  check: not cached
 *        insert folio (cluster lock)
 *        read, map                          insert: -EEXIST
 *                                           look up, lock (sleeps)
 *        put, free the slot, unlock
 *                                           locked: no longer matches
 *                                           its word changed: done
 *
 * Lookups take no lock: word, try-get, word again. Whatever they find must be
 * locked and matched with folio_matches_swap_entry() before it is believed.
 */
#include "base/counters.h"
#include "swap/cluster.h"

static unsigned storage_suspended; /* [atomic] nesting */

/* ---- lookups; the caller keeps the device alive ---- */

static inline uint64_t entry_word(swp_entry_t entry)
{
	struct swap_info_struct *si = __swap_entry_to_info(entry);

	if (sw_unlikely(!si))
		return null_to_swp_tb();
	return swap_table_get(__swap_offset_to_cluster(si, swp_offset(entry)),
			      swap_cluster_offset(swp_offset(entry)));
}

struct folio *swap_cache_get_folio(swp_entry_t entry)
{
	for (;;) {
		uint64_t swp_tb = entry_word(entry);
		struct folio *folio;

		if (!swp_tb_is_folio(swp_tb))
			return NULL;
		folio = swp_tb_to_folio(swp_tb);
		if (!folio_try_get(folio)) {
			/* Being freed or frozen: look again. */
			sw_sched_wait();
			continue;
		}
		/* Descriptors are reused: was it still this one? */
		swp_tb = entry_word(entry);
		if (swp_tb_is_folio(swp_tb) && swp_tb_to_folio(swp_tb) == folio)
			return folio;
		folio_put(folio);
	}
}

bool swap_cache_has_folio(swp_entry_t entry)
{
	return swp_tb_is_folio(entry_word(entry));
}

uint64_t swap_cache_get_shadow(swp_entry_t entry)
{
	uint64_t swp_tb = entry_word(entry);

	return swp_tb_is_shadow(swp_tb) ? swp_tb_to_shadow(swp_tb) : 0;
}

bool folio_matches_swap_entry(const struct folio *folio, swp_entry_t entry)
{
	SW_ASSERT(folio_is_locked(folio));
	return folio_test(folio, SW_FOLIO_SWAPCACHE) &&
	       folio->swap.val ==
		       (entry.val & ~(uint64_t)(folio_nr(folio) - 1));
}

/* ---- insertion ---- */

/* Cluster locked; usage is the caller's business. */
void __swap_cache_add_folio(struct swap_cluster_info *ci, struct folio *folio,
			    swp_entry_t entry, bool fresh)
{
	unsigned nr = folio_nr(folio);
	uint64_t *words = __swap_table_words(
		ci, swap_cluster_offset(swp_offset(entry)), nr);
	uint64_t bare = folio_to_swp_tb(folio, 0);

	SW_ASSERT(folio_is_locked(folio));
	SW_BUG_ON(folio_test(folio, SW_FOLIO_SWAPCACHE));
	SW_BUG_ON(entry.val & (nr - 1));

	/* The words are published last, so a reader that gets the folio from
	 * one finds it referenced. */
	folio->swap = entry;
	folio_enter_cache(folio, nr);
	if (fresh) {
		SW_UNROLL
		for (unsigned i = 0; i < nr; i++) {
			SW_ASSERT(swp_tb_is_null(word_get(&words[i])));
			word_set(&words[i], bare);
		}
		return;
	}
	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);

		SW_BUG_ON(!swp_tb_is_shadow(swp_tb));
		word_set(&words[i], swp_tb_get_flags(swp_tb) | bare);
	}
}

/*
 * May a folio of 2^order pages be inserted over `target`? What is wrong with
 * the target itself is said first, so that -EEXIST and -ENOENT always speak
 * of it; -EBUSY speaks of its neighbours.
 */
static int __swap_cache_add_check(struct swap_cluster_info *ci,
				  swp_entry_t target, unsigned order)
{
	unsigned off = swap_cluster_offset(swp_offset(target));
	unsigned nr = 1u << order, first = off & ~(nr - 1);
	uint64_t swp_tb;
	bool zero;

	sw_assert_spin_held(&ci->lock);
	if (!ci->table)
		return -ENOENT;
	swp_tb = __swap_table_get(ci, off);
	if (swp_tb_is_folio(swp_tb))
		return -EEXIST;
	/* A bad slot has no count: the unchecked getter would read MAX, and
	 * readahead across it would overwrite the mark. */
	if (swp_tb_get_count(swp_tb) <= 0)
		return -ENOENT;
	if (order == 0)
		return 0;
	zero = __swap_cluster_zero_test(ci, off);
	for (unsigned i = first; i < first + nr; i++) {
		swp_tb = __swap_table_get(ci, i);
		if (swp_tb_is_folio(swp_tb) || swp_tb_get_count(swp_tb) <= 0 ||
		    __swap_cluster_zero_test(ci, i) != zero ||
		    ci->table->ids[i] != ci->table->ids[off])
			return -EBUSY;
	}
	return 0;
}

/* One attempt: check, allocate, check again, insert. */
static struct folio *__swap_cache_alloc(struct swap_info_struct *si,
					swp_entry_t target, unsigned order,
					uint64_t *shadow, bool *zero, int *err)
{
	swp_entry_t entry = { target.val & ~((1ULL << order) - 1) };
	unsigned off = swap_cluster_offset(swp_offset(target));
	struct swap_cluster_info *ci;
	struct folio *folio;

	/* Cheap early exit: readahead skips free and bad slots here without
	 * allocating anything. */
	ci = __swap_offset_to_cluster(si, swp_offset(target));
	swap_cluster_lock(ci);
	*err = __swap_cache_add_check(ci, target, order);
	swap_cluster_unlock(ci);
	if (*err)
		return NULL;

	folio = folio_alloc(order);
	if (!folio) {
		*err = -ENOMEM;
		return NULL;
	}
	/* Nobody else has seen it: cannot fail. */
	SW_BUG_ON(!folio_trylock(folio));

	swap_cluster_lock(ci);
	*err = __swap_cache_add_check(ci, target, order);
	if (*err) {
		swap_cluster_unlock(ci);
		folio_unlock(folio);
		folio_put(folio);
		return NULL;
	}
	if (shadow)
		*shadow = swp_tb_to_shadow(__swap_table_get(ci, off));
	if (zero)
		*zero = __swap_cluster_zero_test(ci, off);
	__swap_cache_add_folio(ci, folio, entry, false);
	swap_usage_add(si, 0, 1u << order);
	swap_cluster_unlock(ci);
	return folio;
}

struct folio *swap_cache_alloc_folio(swp_entry_t target, uint32_t orders,
				     uint64_t *shadow, bool *zero, int *err)
{
	struct swap_info_struct *si = __swap_entry_to_info(target);
	struct folio *folio;

	if (!orders || orders >> (SWAP_MAX_ORDER + 1)) {
		swap_refuse(swap_bad_order, "orders 0x%x make no sense",
			    orders);
		*err = -EINVAL;
		return NULL;
	}
	if (!si) {
		*err = -ENOENT;
		return NULL;
	}
	while (orders) {
		unsigned order = 31 - __builtin_clz(orders);

		folio = __swap_cache_alloc(si, target, order, shadow, zero,
					   err);
		if (folio || *err == -EEXIST || *err == -ENOENT)
			return folio;
		orders &= ~(1u << order);
		if (order)
			sw_count(swpin_fallback, 1);
	}
	return NULL;
}

/* ---- removal ---- */

/* Slots of a folio that leaves and that nobody owns. */
static void free_slots(struct swap_info_struct *si,
		       struct swap_cluster_info *ci, struct folio *folio,
		       unsigned off)
{
	unsigned nr = folio_nr(folio);

	if (sw_unlikely(folio_test(folio, SW_FOLIO_CONDEMNED)))
		__swap_cluster_retire_slot(si, ci, folio, off);
	else
		__swap_cluster_free_range(si, ci, off, nr, nr);
}

/*
 * Cluster and folio locked. Every slot keeps its flags and gets `shadow`;
 * those without an owner fall free in the same critical section, so that no
 * slot is ever in use with neither owner nor folio. The folio's references
 * stay with the caller.
 */
void __swap_cache_del_folio(struct swap_info_struct *si,
			    struct swap_cluster_info *ci, struct folio *folio,
			    uint64_t shadow)
{
	unsigned off = swap_cluster_offset(swp_offset(folio->swap));
	unsigned nr = folio_nr(folio), owned = 0;
	uint64_t *words = __swap_table_words(ci, off, nr);
	uint64_t bare = folio_to_swp_tb(folio, 0);
	uint64_t bare_shadow = shadow_to_swp_tb(shadow, 0);

	SW_ASSERT(folio_is_locked(folio));
	for (unsigned i = 0; i < nr; i++) {
		uint64_t swp_tb = word_get(&words[i]);
		uint64_t flags = swp_tb & SWP_TB_FLAGS_MASK;

		SW_BUG_ON(swp_tb != (flags | bare));
		owned += (flags & SWP_TB_COUNT_MASK) != 0;
		word_set(&words[i], flags | bare_shadow);
	}
	folio->swap.val = 0;
	folio_leave_cache(folio, nr, false);

	if (!owned) {
		free_slots(si, ci, folio, off);
		return;
	}
	/* Its bytes are nowhere else. */
	SW_BUG_ON(folio_test(folio, SW_FOLIO_CONDEMNED));
	swap_usage_sub(si, 0, nr);
	if (owned == nr)
		return;
	/* Some slots have owners, so the cluster does not fall empty here. */
	for (unsigned i = off; i < off + nr; i++)
		if (!__swp_tb_get_count(__swap_table_get(ci, i)))
			__swap_cluster_free_entries(si, ci, i, 1);
}

void swap_cache_del_folio(struct folio *folio, uint64_t shadow)
{
	struct swap_info_struct *si = &swap_info[swp_type(folio->swap)];
	struct swap_cluster_info *ci;

	if (swap_misuse_uncached(folio))
		return;
	if (sw_unlikely(folio_test(folio, SW_FOLIO_WRITEBACK))) {
		swap_misuse(swap_bad_folio, "the folio is being written");
		return;
	}
	ci = __swap_offset_to_cluster(si, swp_offset(folio->swap));
	swap_cluster_lock(ci);
	__swap_cache_del_folio(si, ci, folio, shadow);
	swap_cluster_unlock(ci);
}

bool folio_maybe_swapped(struct folio *folio)
{
	struct swap_info_struct *si = &swap_info[swp_type(folio->swap)];
	uint64_t offset = swp_offset(folio->swap);
	struct swap_cluster_info *ci = __swap_offset_to_cluster(si, offset);
	const uint64_t *words = &ci->table->words[swap_cluster_offset(offset)];
	unsigned nr = folio_nr(folio);
	uint64_t counts = 0;

	SW_ASSERT(folio_is_locked(folio));
	SW_ASSERT(folio_test(folio, SW_FOLIO_SWAPCACHE));
	/*
	 * The locked folio keeps its slots and so the table. A count leaves 0
	 * only under the folio lock, ours; one that drops while we look makes
	 * the answer late, not wrong.
	 */
	SW_UNROLL
	for (unsigned i = 0; i < nr; i++) {
		sw_sched_point("word");
		counts |= word_get(&words[i]);
	}
	return counts & SWP_TB_COUNT_MASK;
}

void swap_suspend_storage(void)
{
	sw_sched_point("storage");
	__atomic_fetch_add(&storage_suspended, 1, __ATOMIC_SEQ_CST);
}

void swap_resume_storage(void)
{
	unsigned old = __atomic_load_n(&storage_suspended, __ATOMIC_RELAXED);

	sw_sched_point("storage");
	while (old)
		if (__atomic_compare_exchange_n(&storage_suspended, &old,
						old - 1, true, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return;
	swap_misuse(swap_bad_call, "storage is not suspended");
}

bool folio_swapcache_freeable(const struct folio *folio)
{
	if (!folio_test(folio, SW_FOLIO_SWAPCACHE) ||
	    folio_test(folio, SW_FOLIO_WRITEBACK))
		return false;
	sw_sched_point("storage");
	/* An image being written may hold the folio as clean: its slot must
	 * not go to anybody, least of all to the image. */
	return !__atomic_load_n(&storage_suspended, __ATOMIC_RELAXED);
}

/*
 * Once no slot has an owner none gets one, since that takes the folio lock;
 * so what was seen without the cluster lock still holds under it.
 */
bool folio_free_swap(struct folio *folio)
{
	struct swap_info_struct *si;
	struct swap_cluster_info *ci;
	uint64_t offset;

	SW_ASSERT(folio_is_locked(folio));
	if (!folio_swapcache_freeable(folio) || folio_maybe_swapped(folio))
		return false;
	si = &swap_info[swp_type(folio->swap)];
	offset = swp_offset(folio->swap);
	ci = __swap_offset_to_cluster(si, offset);
	swap_cluster_lock(ci);
#ifdef SW_CHECKS
	for (unsigned i = 0; i < folio_nr(folio); i++)
		SW_ASSERT(
			(__swap_table_get(ci, swap_cluster_offset(offset) + i) &
			 ~SWP_TB_ZERO) == folio_to_swp_tb(folio, 0));
#endif
	folio->swap.val = 0;
	free_slots(si, ci, folio, swap_cluster_offset(offset));
	swap_cluster_unlock(ci);
	/* From here on the data exists nowhere but in the folio. */
	folio_leave_cache(folio, folio_nr(folio), true);
	return true;
}

/* ---- replacement ---- */

/*
 * Cluster locked, both folios too. The slots `new` covers by new->swap must
 * hold `old`; they hold `new` afterwards and keep their flags. References and
 * folio flags are moved by the caller.
 */
static void __swap_cache_replace_folio(struct swap_cluster_info *ci,
				       struct folio *old, struct folio *new)
{
	unsigned off = swap_cluster_offset(swp_offset(new->swap));
	unsigned nr = folio_nr(new);
	uint64_t *words = __swap_table_words(ci, off, nr);
	uint64_t bare_old = folio_to_swp_tb(old, 0);
	uint64_t bare_new = folio_to_swp_tb(new, 0);

	SW_ASSERT(folio_is_locked(old) && folio_is_locked(new));
	for (unsigned i = 0; i < nr; i++) {
		uint64_t flags = word_get(&words[i]) & SWP_TB_FLAGS_MASK;

		SW_BUG_ON(word_get(&words[i]) != (flags | bare_old));
		word_set(&words[i], flags | bare_new);
	}
}

/* NULL when `parts` cover the slots of `old` and nothing else. */
static const char *why_not_split(const struct folio *old,
				 struct folio *const *parts, unsigned nr_parts)
{
	unsigned nr = 0;

	if (!folio_test(old, SW_FOLIO_SWAPCACHE))
		return "the folio is not in the swap cache";
	if (folio_test(old, SW_FOLIO_WRITEBACK))
		return "the folio is being written";
	for (unsigned i = 0; i < nr_parts; i++) {
		if (folio_test(parts[i], SW_FOLIO_SWAPCACHE))
			return "a part has slots already";
		if (nr & (folio_nr(parts[i]) - 1))
			return "a part does not begin at a multiple of its size";
		nr += folio_nr(parts[i]);
		if (nr > folio_nr(old))
			return "the parts are larger than the folio";
	}
	return nr == folio_nr(old) ? NULL : "the parts leave slots over";
}

/*
 * All parts in one critical section, and the old folio stays locked: a reader
 * that found it before waits for the lock and then sees that it no longer
 * matches; one that looks later finds a part.
 */
static void split_folio(struct folio *old, struct folio *const *parts,
			unsigned nr_parts)
{
	swp_entry_t entry = old->swap;
	struct swap_info_struct *si = &swap_info[swp_type(entry)];
	unsigned nr = folio_nr(old);
	struct swap_cluster_info *ci;

	ci = __swap_offset_to_cluster(si, swp_offset(entry));
	swap_cluster_lock(ci);
	for (unsigned i = 0; i < nr_parts; i++) {
		struct folio *part = parts[i];

		part->swap = entry;
		folio_enter_cache(part, folio_nr(part));
		__swap_cache_replace_folio(ci, old, part);
		entry.val += folio_nr(part);
	}
	old->swap.val = 0;
	folio_leave_cache(old, nr, false);
	swap_cluster_unlock(ci);
}

void swap_cache_split_folio(struct folio *old, struct folio *const *parts,
			    unsigned nr_parts)
{
	const char *why = why_not_split(old, parts, nr_parts);

	if (why)
		swap_misuse(swap_bad_folio, "%s", why);
	else
		split_folio(old, parts, nr_parts);
}

void swap_cache_replace_folio(struct folio *old, struct folio *new_folio)
{
	const char *why = why_not_split(old, &new_folio, 1);

	if (why)
		swap_misuse(swap_bad_folio, "%s", why);
	else
		split_folio(old, &new_folio, 1);
}

/* ---- the zero mark ---- */

void __swap_cluster_zero_set(struct swap_cluster_info *ci, unsigned off,
			     bool zero)
{
#ifdef SW_SWAP_WORD_NARROW
	uint64_t bit = 1ULL << (off % 64);
	uint64_t *word = &ci->table->zero_bitmap[off / 64];

	if (zero)
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	else if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
#else
	uint64_t swp_tb = __swap_table_get(ci, off);

	/* A NULL word has no mark left to clear. */
	if (swp_tb_is_null(swp_tb))
		return;
	__swap_table_set(ci, off,
			 zero ? swp_tb | SWP_TB_ZERO : swp_tb & ~SWP_TB_ZERO);
#endif
}

bool __swap_cluster_zero_test(const struct swap_cluster_info *ci, unsigned off)
{
#ifdef SW_SWAP_WORD_NARROW
	return __atomic_load_n(&ci->table->zero_bitmap[off / 64],
			       __ATOMIC_RELAXED) >>
		       (off % 64) &
	       1;
#else
	uint64_t swp_tb = __swap_table_get(ci, off);

	return swp_tb_is_countable(swp_tb) && (swp_tb & SWP_TB_ZERO);
#endif
}

static void zeromap_folio(struct folio *folio, bool zero)
{
	struct swap_info_struct *si = &swap_info[swp_type(folio->swap)];
	unsigned off = swap_cluster_offset(swp_offset(folio->swap));
	struct swap_cluster_info *ci;

	SW_ASSERT(folio_is_locked(folio));
	ci = __swap_offset_to_cluster(si, swp_offset(folio->swap));
	swap_cluster_lock(ci);
	for (unsigned i = off; i < off + folio_nr(folio); i++)
		__swap_cluster_zero_set(ci, i, zero);
	swap_cluster_unlock(ci);
}

void swap_zeromap_folio_set(struct folio *folio)
{
	if (!swap_misuse_uncached(folio))
		zeromap_folio(folio, true);
}

void swap_zeromap_folio_clear(struct folio *folio)
{
	if (!swap_misuse_uncached(folio))
		zeromap_folio(folio, false);
}

bool swap_zeromap_test(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	unsigned off = swap_cluster_offset(swp_offset(entry));
	struct swap_cluster_info *ci;
	bool zero;

	if (!si)
		return false;
	ci = __swap_offset_to_cluster(si, swp_offset(entry));
	swap_cluster_lock(ci);
	zero = ci->table && __swap_cluster_zero_test(ci, off);
	swap_cluster_unlock(ci);
	put_swap_device(si);
	return zero;
}
