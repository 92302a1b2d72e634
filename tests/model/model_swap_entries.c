/*
 * model_swap_entries.c - operations of the model test on entries, with no
 * folio at hand: owners that come and go, swap-in, lookups.
 */
#include "model_swap.h"

/* ---- entries without a folio ---- */

static void op_dup_direct(void)
{
	swp_entry_t e = rnd(8) ? pick_owned() : pick_any();
	unsigned times = rnd(4) ? 1 : rnd(2 * SWP_TB_COUNT_MAX);
	bool refused = !valid(e) || (!at(e)->count && at(e)->folio < 0);

	/* The first owner of a cached slot comes with the folio. */
	if (!refused && (!at(e)->count || at(e)->image))
		return;
	say(" " ENTRY_FMT " %u times", ENTRY_ARG(e), times);
	while (times--) {
		bool overflows = !refused && dup_overflows(e, 1);
		unsigned denied = allocs_denied;
		int err = swap_dup_entry_direct(e);

		say(" = %d", err);
		if (refused) {
			EXPECT_EQ(err, -EINVAL);
			m.bad_entry++;
			return;
		}
		EXPECT(!allocs_asked || overflows);
		EXPECT_EQ(err, allocs_denied > denied ? -ENOMEM : 0);
		if (err)
			return;
		at(e)->count++;
	}
}

static void op_retry(void)
{
	swp_entry_t e = rnd(8) ? pick_owned() : pick_any();
	int err;

	say(" " ENTRY_FMT, ENTRY_ARG(e));
	err = swap_retry_table_alloc(e);
	say(" = %d", err);
	EXPECT_EQ(allocs_asked, valid(e));
	EXPECT_EQ(err, allocs_denied ? -ENOMEM : 0);
	if (valid(e))
		at(e); /* a table more or less */
}

/* What swap_put_entries_direct() does to the slots of one cluster. */
static void put_in_cluster(swp_entry_t e, unsigned nr)
{
	bool last_of_cached = false;

	for (unsigned i = 0; i < nr; i++) {
		struct m_slot *s = at(nth(e, i));

		if (!s->count) {
			m.bad_entry++;
			continue;
		}
		s->count--;
		if (s->count)
			continue;
		if (s->folio < 0)
			forget_slot(nth(e, i));
		else
			last_of_cached = true;
	}
	/* Then it looks for folios to take out of the cache, of the range. */
	for (unsigned i = 0; last_of_cached && i < nr; i++) {
		int f = at(nth(e, i))->folio;

		if (f >= 0 && freeable(f) && !m.folios[f].mapped)
			reclaimed(f);
	}
}

void put_direct(swp_entry_t e, unsigned nr)
{
	swap_put_entries_direct(e, nr);
	if (!valid(e) || swp_offset(e) + nr > m.devices[swp_type(e)].max) {
		m.bad_entry++;
		return;
	}
	while (nr) {
		unsigned n = sw_min(CL - swp_offset(e) % CL, nr);

		put_in_cluster(e, n);
		e = nth(e, n);
		nr -= n;
	}
}

static void op_put_direct(void)
{
	swp_entry_t e = rnd(8) ? pick_owned() : pick_any();
	unsigned nr, want = 1 + rnd(rnd(4) ? 4 : 2 * CL);
	bool gaps = !rnd(4);

	/* Not an image's slots, and mostly none that is not in use. */
	for (nr = 0; nr < want; nr++) {
		swp_entry_t x = nth(e, nr);

		if (valid(x) && swp_type(x) == swp_type(e) &&
		    (at(x)->image || (!gaps && nr && !at(x)->count)))
			break;
	}
	if (!nr)
		return;
	say(" " ENTRY_FMT " %u slots", ENTRY_ARG(e), nr);
	hold_one();
	put_direct(e, nr);
	let_go();
}

/* ---- swap-in ---- */

/* What the layer must answer at one order. */
static int predict_insert(swp_entry_t e, unsigned order)
{
	swp_entry_t first = { e.val & ~((1ULL << order) - 1) };

	if (at(e)->folio >= 0)
		return -EEXIST;
	if (!at(e)->count)
		return -ENOENT;
	for (unsigned i = 0; order && i < 1u << order; i++) {
		const struct m_slot *s = at(nth(first, i));

		if (s->folio >= 0 || !s->count || s->zero != at(e)->zero ||
		    s->group != at(e)->group)
			return -EBUSY;
	}
	return 0;
}

static int predict_swapin(swp_entry_t e, uint32_t orders, unsigned *order,
			  unsigned *asked)
{
	int err = -EINVAL;

	if (!orders || orders >> (SWAP_MAX_ORDER + 1))
		return -EINVAL;
	if (!valid(e))
		return -ENOENT;
	for (int o = SWAP_MAX_ORDER; o >= 0; o--) {
		if (!(orders & 1u << o))
			continue;
		*order = o;
		err = predict_insert(e, o);
		if (!err && alloc_denied((*asked)++))
			err = -ENOMEM;
		if (!err || err == -EEXIST || err == -ENOENT)
			break;
		m.fallback += o > 0;
	}
	return err;
}

static void op_swapin(void)
{
	swp_entry_t e = rnd(4) ? pick_owned() : pick_any();
	uint32_t orders = rnd(1u << (SWAP_MAX_ORDER + (rnd(32) ? 1 : 2)));
	int f = unused_folio(), err = 0, want;
	unsigned order = 0, asked = 0;
	uint64_t shadow = 0;
	struct folio *folio;
	bool zero = false;

	if (!orders && rnd(4))
		orders = 1;
	if (f < 0)
		return;
	say(" " ENTRY_FMT " orders %#x", ENTRY_ARG(e), orders);
	want = predict_swapin(e, orders, &order, &asked);
	folio = swap_cache_alloc_folio(e, orders, &shadow, &zero, &err);
	say(" = %d", folio ? 0 : err);
	EXPECT_EQ(allocs_asked, asked);
	EXPECT_EQ(folio ? 0 : err, want);
	if (!folio)
		return;
	say(" f%d order %u", f, folio->order);
	EXPECT_EQ(folio->order, order);
	EXPECT_AT(e, shadow, at(e)->shadow);
	EXPECT_AT(e, zero, at(e)->zero);
	EXPECT(folio_is_locked(folio) && folio_matches_swap_entry(folio, e));
	folio_set(folio, SW_FOLIO_UPTODATE);
	folio_unlock(folio);
	m.folios[f] = (struct m_folio){ .folio = folio, .order = order };
	e.val &= ~((1ULL << order) - 1);
	enter_cache(f, e);
}

static void op_lookup(void)
{
	swp_entry_t e = pick_any();
	const struct m_slot none = { .folio = -1 };
	const struct m_slot *s = valid(e) ? at(e) : &none;
	struct swap_info_struct *si = get_swap_device(e);
	struct folio *folio;

	say(" " ENTRY_FMT, ENTRY_ARG(e));
	EXPECT_EQ(!!si, valid(e));
	if (si) {
		EXPECT_EQ(swap_entry_swapped(si, e), s->count > 0);
		put_swap_device(si);
	}
	folio = swap_cache_get_folio(e);
	EXPECT_EQ(!!folio, s->folio >= 0);
	EXPECT_EQ(swap_cache_has_folio(e), !!folio);
	if (folio) {
		EXPECT(folio == m.folios[s->folio].folio);
		folio_put(folio);
	}
	EXPECT_EQ(swp_swapcount(e), s->count);
	EXPECT_EQ(swap_zeromap_test(e), s->zero);
	EXPECT_EQ(swap_cache_get_shadow(e), s->folio < 0 ? s->shadow : 0);
}

void op_sabotage(void)
{
	swp_entry_t e = pick_owned();
	struct swap_cluster_info *ci;
	unsigned off = swp_offset(e) % CL;

	if (!e.val || at(e)->count >= SWP_TB_COUNT_MAX)
		return;
	say(" " ENTRY_FMT, ENTRY_ARG(e));
	ci = __swap_offset_to_cluster(&swap_info[swp_type(e)], swp_offset(e));
	swap_cluster_lock(ci);
	__swap_table_set(
		ci, off,
		__swp_tb_mk_count(__swap_table_get(ci, off), at(e)->count - 1));
	swap_cluster_unlock(ci);
}

const struct m_op entry_ops[] = {
	{ "dup_direct", op_dup_direct, 40 }, { "retry_table", op_retry, 20 },
	{ "put_direct", op_put_direct, 80 }, { "swapin", op_swapin, 100 },
	{ "lookup", op_lookup, 30 },         { 0 },
};
