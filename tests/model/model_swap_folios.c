/*
 * model_swap_folios.c - operations of the model test on folios: slots for
 * them, owners of these, in and out of the cache. Each chooses its arguments,
 * says what must come out, calls, and does to the model what the call did.
 */
#include "model_swap.h"

/* ---- allocation ---- */

/* What is to be known before an allocation to judge it afterwards. */
struct outlook {
	bool scarce;
	bool room;     /* order 0: something is free or can be taken back */
	bool clusters; /* every device has an empty cluster ready */
	int best;      /* highest priority with room, if all goes well */
	uint64_t hint; /* where this CPU would go on */
};

static bool has_empty_cluster(unsigned d)
{
	for (uint64_t c = 0; c < m.devices[d].max / CL; c++) {
		bool empty = !m.devices[d].waiting[c];

		for (unsigned i = 0; i < CL && empty; i++) {
			const struct m_slot *s = &m.slots[d][c * CL + i];

			empty = !s->bad && !s->count && s->folio < 0;
		}
		if (empty)
			return true;
	}
	return false;
}

static struct outlook look_out(unsigned order)
{
	struct outlook o = { .scarce = scarce(), .best = -2 };
	unsigned up = 0, with_cluster = 0;

	if (order > SWAP_MAX_ORDER)
		return o;
	o.hint = percpu_swap_cluster[swap_this_cpu()].hint[order];
	for (unsigned d = 0; d < DEVICES; d++) {
		const struct m_device *dev = &m.devices[d];

		if (!dev->up)
			continue;
		up++;
		with_cluster += order && has_empty_cluster(d);
		o.room |= dev->used < dev->pages;
		if (order ? dev->used < dev->pages : open_slots(d) > 0)
			o.best = sw_max(o.best, dev->prio);
	}
	o.clusters = up && with_cluster == up;
	for (int f = 0; f < FOLIOS && !o.room; f++)
		o.room = freeable(f);
	return o;
}

/* A device is passed over only if it has no room; the CPU's own cluster goes
 * first, though, whatever its device. */
static void judge_device(const struct outlook *o, unsigned d, unsigned order)
{
	swp_entry_t hint = { o->hint };

	if (hint.val && swp_type(hint) == d)
		return;
	/* A device without memory for a table counts as one without room. */
	if (order == 0 && allocs_denied)
		return;
	EXPECT(m.devices[d].prio >= o->best);
}

/* Exact but for large orders and where memory was refused: those may fail,
 * yet not succeed where there is nothing. */
static int predict_alloc(const struct outlook *o, unsigned order,
			 unsigned group, int err)
{
	struct sw_swap_group_info *g = &m.groups[group];
	bool possible = order || o->room, sure = order ? o->clusters : o->room;

	if (order > SWAP_MAX_ORDER)
		return -EINVAL;
	if (group && g->usage + (1ULL << order) > g->max) {
		g->nr_max++;
		m.group_max++;
	} else if ((sure && !allocs_denied) || (possible && !err)) {
		return 0;
	} else {
		m.full++;
	}
	g->nr_fail += group != 0;
	m.group_fail += group != 0;
	return -ENOMEM;
}

static void op_alloc(void)
{
	unsigned order = rnd(mood.large) ? 0 : rnd(SWAP_MAX_ORDER + 1);
	unsigned group = rnd(GROUPS);
	struct outlook o;
	swp_entry_t e;
	int f, err;

	if (!rnd(32)) /* larger than a cluster, where there are such */
		order = sw_min(SWAP_MAX_ORDER + 1, SWAP_NR_ORDERS - 1);
	f = new_folio(order);
	if (f < 0)
		return;
	say(" f%d order %u group %u", f, order, group);
	hold_one();
	o = look_out(order);
	err = folio_alloc_swap(m.folios[f].folio, group);
	e = m.folios[f].folio->swap;
	say(" = %d at " ENTRY_FMT, err, ENTRY_ARG(e));
	note_taken_back(o.scarce);
	note_trims();
	EXPECT_EQ(err, predict_alloc(&o, order, group, err));
	if (!err) {
		for (unsigned i = 0; i < 1u << order; i++)
			take_slot(nth(e, i), group);
		enter_cache(f, e);
		judge_device(&o, swp_type(e), order);
	}
	let_go();
	unlock(f);
}

/* ---- a folio's owners ---- */

/* Of one page or, as -1, all. */
static int pick_page(int f, swp_entry_t *e, unsigned *nr)
{
	int page = rnd(2) ? -1 : (int)rnd(1u << m.folios[f].order);

	*e = nth(m.folios[f].entry, page < 0 ? 0 : page);
	*nr = page < 0 ? 1u << m.folios[f].order : 1;
	return page;
}

static void op_dup_folio(void)
{
	unsigned times = rnd(8) ? 1 : rnd(2 * SWP_TB_COUNT_MAX);
	int f = pick_folio(true), page, err = 0;
	swp_entry_t e;
	unsigned nr;

	if (f < 0)
		return;
	page = pick_page(f, &e, &nr);
	say(" f%d at " ENTRY_FMT " page %d, %u times", f,
	    ENTRY_ARG(m.folios[f].entry), page, times);
	lock(f);
	while (times-- && !err) {
		bool overflows = dup_overflows(e, nr);

		err = folio_dup_swap(m.folios[f].folio, page);
		say(" = %d", err);
		EXPECT(!allocs_asked || overflows);
		EXPECT_EQ(err, allocs_denied ? -ENOMEM : 0);
		for (unsigned i = 0; !err && i < nr; i++)
			at(nth(e, i))->count++;
	}
	unlock(f);
}

static void op_put_folio(void)
{
	int f = pick_folio(true), page;
	swp_entry_t e;
	unsigned nr;

	if (f < 0)
		return;
	page = pick_page(f, &e, &nr);
	for (unsigned i = 0; i < nr; i++)
		if (at(nth(e, i))->count <= at(nth(e, i))->image)
			return;
	say(" f%d at " ENTRY_FMT " page %d", f, ENTRY_ARG(m.folios[f].entry),
	    page);
	lock(f);
	folio_put_swap(m.folios[f].folio, page);
	unlock(f);
	for (unsigned i = 0; i < nr; i++)
		at(nth(e, i))->count--;
}

static void op_maybe_swapped(void)
{
	int f = pick_folio(true);

	if (f < 0)
		return;
	say(" f%d", f);
	lock(f);
	EXPECT_EQ(folio_maybe_swapped(m.folios[f].folio), !unowned(f));
	unlock(f);
}

/* ---- a folio's stay in the cache ---- */

static void op_free_swap(void)
{
	int f = pick_folio(rnd(8));
	bool freed, want;

	if (f < 0)
		return;
	say(" f%d", f);
	want = freeable(f);
	lock(f);
	freed = folio_free_swap(m.folios[f].folio);
	unlock(f);
	say(" = %d", freed);
	EXPECT_EQ(freed, want);
	if (!freed)
		return;
	m.folios[f].dirty = true;
	leave_cache(f, 0);
}

static void op_uncache(void)
{
	const unsigned payload_bits = SWP_TB_FLAGS_SHIFT - 1;
	uint64_t shadow = rnd(3) ? rnd(1000) : rnd(1ULL << payload_bits);
	int f = pick_folio(true);
	bool owned = true;

	if (f < 0 || m.folios[f].writeback)
		return;
	for (unsigned i = 0; i < 1u << m.folios[f].order; i++)
		owned &= at(nth(m.folios[f].entry, i))->count > 0;
	/* While an image is being written nothing may lose its slot. */
	if (m.suspended && !owned)
		return;
	say(" f%d from " ENTRY_FMT " shadow %#llx", f,
	    ENTRY_ARG(m.folios[f].entry), (unsigned long long)shadow);
	lock(f);
	if (!unowned(f)) { /* written out, or data would be lost */
		folio_clear(m.folios[f].folio, SW_FOLIO_DIRTY);
		m.folios[f].dirty = false;
	}
	swap_cache_del_folio(m.folios[f].folio, shadow);
	unlock(f);
	leave_cache(f, shadow);
}

static void op_drop(void)
{
	int f = pick_folio(false);

	if (f < 0)
		return;
	say(" f%d", f);
	folio_put(m.folios[f].folio);
	m.folios[f].folio = NULL;
}

static void flip(int f, bool *state, uint32_t flag, const char *name)
{
	say(" f%d %s %s", f, *state ? "no longer" : "now", name);
	*state = !*state;
	lock(f);
	if (*state)
		folio_set(m.folios[f].folio, flag);
	else
		folio_clear(m.folios[f].folio, flag);
	unlock(f);
}

static void op_flags(void)
{
	int f = pick_folio(rnd(4));

	if (f < 0)
		return;
	switch (rnd(3)) {
	case 0:
		flip(f, &m.folios[f].mapped, SW_FOLIO_MAPPED, "mapped");
		break;
	case 1:
		flip(f, &m.folios[f].dirty, SW_FOLIO_DIRTY, "dirty");
		break;
	default:
		if (m.folios[f].cached)
			flip(f, &m.folios[f].writeback, SW_FOLIO_WRITEBACK,
			     "being written");
	}
}

/* Cuts 2^order pages at random; false: there are not enough folios. */
static bool cut(unsigned order, int *parts, unsigned *nr)
{
	if (order && rnd(2))
		return cut(order - 1, parts, nr) && cut(order - 1, parts, nr);
	if (*nr == FOLIOS)
		return false;
	parts[*nr] = new_folio(order);
	return parts[*nr] >= 0 && ++*nr;
}

static void op_split(void)
{
	struct folio *folios[FOLIOS];
	int f = pick_folio(true), parts[FOLIOS];
	unsigned nr = 0, pages;
	bool enough;
	swp_entry_t e;

	if (f < 0 || m.folios[f].writeback)
		return;
	enough = cut(m.folios[f].order, parts, &nr);
	for (unsigned i = 0; i < nr; i++)
		folios[i] = m.folios[parts[i]].folio;
	if (enough) {
		e = m.folios[f].entry;
		pages = 1u << m.folios[f].order;
		say(" f%d at " ENTRY_FMT " into %u", f, ENTRY_ARG(e), nr);
		lock(f);
		if (nr == 1)
			swap_cache_replace_folio(m.folios[f].folio, folios[0]);
		else
			swap_cache_split_folio(m.folios[f].folio, folios, nr);
		unlock(f);
		m.folios[f].cached = false;
		m.devices[swp_type(e)].cached -= pages;
		for (unsigned i = 0; i < nr; i++) {
			say(" f%d", parts[i]);
			enter_cache(parts[i], e);
			e = nth(e, 1u << m.folios[parts[i]].order);
		}
	}
	for (unsigned i = 0; i < nr; i++)
		unlock(parts[i]);
}

static void op_zero(void)
{
	int f = pick_folio(true);
	bool zero = rnd(2);

	if (f < 0)
		return;
	say(" f%d at " ENTRY_FMT " %d", f, ENTRY_ARG(m.folios[f].entry), zero);
	lock(f);
	if (zero)
		swap_zeromap_folio_set(m.folios[f].folio);
	else
		swap_zeromap_folio_clear(m.folios[f].folio);
	unlock(f);
	for (unsigned i = 0; i < 1u << m.folios[f].order; i++)
		at(nth(m.folios[f].entry, i))->zero = zero;
}

const struct m_op folio_ops[] = {
	{ "alloc", op_alloc, 160 },
	{ "dup_folio", op_dup_folio, 120 },
	{ "put_folio", op_put_folio, 40 },
	{ "maybe_swapped", op_maybe_swapped, 8 },
	{ "free_swap", op_free_swap, 40 },
	{ "uncache", op_uncache, 80 },
	{ "drop", op_drop, 140 },
	{ "flags", op_flags, 40 },
	{ "split", op_split, 20 },
	{ "zero", op_zero, 30 },
	{ 0 },
};
