/*
 * model_swap_state.c - the model of the swap layer, a few arrays, and the
 * comparison of the layer with them. What operations do to the arrays in
 * common is here too: a slot taken, fallen free, a folio in and out of the
 * cache.
 */
#include "model_swap.h"

#include <string.h>

#include "base/counters.h"
#include "swap/swap_mem.h"

struct model m = { .held = -1 };

struct m_slot *at(swp_entry_t e)
{
	unsigned d = swp_type(e);
	uint64_t o = swp_offset(e);

	EXPECT(d < DEVICES && o < SLOTS);
	m.devices[d].touched[o / CL] = true;
	return &m.slots[d][o];
}

bool valid(swp_entry_t e)
{
	return e.val && swp_type(e) < DEVICES &&
	       swp_offset(e) < m.devices[swp_type(e)].max;
}

bool unowned(int f)
{
	for (unsigned i = 0; i < 1u << m.folios[f].order; i++)
		if (at(nth(m.folios[f].entry, i))->count)
			return false;
	return true;
}

bool freeable(int f)
{
	return m.folios[f].cached && !m.folios[f].writeback && !m.suspended &&
	       f != m.held && unowned(f);
}

static void totals(struct sw_swap_totals *t)
{
	memset(t, 0, sizeof(*t));
	for (unsigned d = 0; d < DEVICES; d++) {
		t->total_pages += m.devices[d].pages;
		t->free_pages += m.devices[d].pages - m.devices[d].used;
		t->cached += m.devices[d].cached;
	}
}

bool scarce(void)
{
	struct sw_swap_totals t;

	totals(&t);
	return t.free_pages * 2 < t.total_pages;
}

uint64_t open_slots(unsigned d)
{
	struct m_device *dev = &m.devices[d];
	uint64_t n = dev->pages - dev->used;

	for (unsigned c = 0; c < CLUSTERS; c++)
		n -= dev->waiting[c] ? CL : 0;
	return n;
}

/* ---- slots ---- */

void take_slot(swp_entry_t e, unsigned group)
{
	struct m_slot *s = at(e);

	EXPECT(valid(e));
	EXPECT(!s->bad && !s->count && s->folio < 0);
	EXPECT(!m.devices[swp_type(e)].waiting[swp_offset(e) / CL]);
	s->group = group;
	m.groups[group].usage++;
	m.devices[swp_type(e)].used++;
}

void forget_slot(swp_entry_t e)
{
	struct m_device *dev = &m.devices[swp_type(e)];
	struct m_slot *s = at(e);
	unsigned c = swp_offset(e) / CL;

	EXPECT(s->folio < 0 && !s->bad);
	m.groups[s->group].usage--;
	dev->used--;
	*s = (struct m_slot){ .folio = -1, .told = s->told - 1 };
	if (!dev->trims || dev->leaving)
		return;
	for (unsigned i = 0; i < CL; i++) {
		s = &m.slots[swp_type(e)][c * CL + i];
		if (s->bad || s->count || s->folio >= 0)
			return;
	}
	dev->waiting[c] = true;
}

bool dup_overflows(swp_entry_t e, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (at(nth(e, i))->count + 1 >= SWP_TB_COUNT_MAX)
			return true;
	return false;
}

/* ---- folios ---- */

/* The slots are taken already; their counts and marks stay. */
void enter_cache(int f, swp_entry_t e)
{
	unsigned nr = 1u << m.folios[f].order;

	EXPECT(!(e.val & (nr - 1)));
	m.folios[f].cached = true;
	m.folios[f].entry = e;
	m.devices[swp_type(e)].cached += nr;
	for (unsigned i = 0; i < nr; i++) {
		at(nth(e, i))->folio = f;
		at(nth(e, i))->shadow = 0;
	}
}

/* Its slots keep their owners or fall free. */
void leave_cache(int f, uint64_t shadow)
{
	unsigned nr = 1u << m.folios[f].order;
	swp_entry_t e = m.folios[f].entry;

	m.folios[f].cached = false;
	m.devices[swp_type(e)].cached -= nr;
	/* All of them first: a cluster is empty after its last folio. */
	for (unsigned i = 0; i < nr; i++) {
		at(nth(e, i))->folio = -1;
		at(nth(e, i))->shadow = shadow;
	}
	for (unsigned i = 0; i < nr; i++)
		if (!at(nth(e, i))->count)
			forget_slot(nth(e, i));
}

void reclaimed(int f)
{
	EXPECT(!folio_test(m.folios[f].folio, SW_FOLIO_SWAPCACHE));
	EXPECT(freeable(f));
	EXPECT_EQ(m.folios[f].hooked, m.folios[f].mapped);
	m.folios[f].hooked = false;
	m.folios[f].dirty = true;
	leave_cache(f, 0);
}

void note_taken_back(bool may)
{
	for (int f = 0; f < FOLIOS; f++) {
		if (!m.folios[f].folio || !m.folios[f].cached ||
		    folio_test(m.folios[f].folio, SW_FOLIO_SWAPCACHE))
			continue;
		EXPECT(may);
		reclaimed(f);
	}
}

/* Only clusters that waited are discarded, once. */
void note_trims(void)
{
	for (unsigned d = 0; d < DEVICES; d++)
		for (unsigned c = 0; c < CLUSTERS; c++) {
			if (!m.devices[d].trimmed[c])
				continue;
			EXPECT(m.devices[d].waiting[c]);
			m.devices[d].waiting[c] = false;
			m.devices[d].trimmed[c] = false;
			m.devices[d].touched[c] = true;
		}
}

void lock(int f)
{
	/* Nobody else is there; and we may hold another one. */
	EXPECT(folio_trylock(m.folios[f].folio));
}

void unlock(int f)
{
	folio_unlock(m.folios[f].folio);
}

int unused_folio(void)
{
	unsigned start = rnd(FOLIOS);

	for (unsigned i = 0; i < FOLIOS; i++)
		if (!m.folios[(start + i) % FOLIOS].folio)
			return (start + i) % FOLIOS;
	return -1;
}

int new_folio(unsigned order)
{
	int f = unused_folio();

	if (f < 0)
		return -1;
	allocs_ours = true;
	m.folios[f] = (struct m_folio){
		.folio = folio_alloc(order),
		.order = order,
	};
	allocs_ours = false;
	EXPECT(m.folios[f].folio);
	lock(f);
	folio_set(m.folios[f].folio, SW_FOLIO_UPTODATE);
	return f;
}

int pick_folio(bool cached)
{
	unsigned start = rnd(FOLIOS);

	for (unsigned i = 0; i < FOLIOS; i++) {
		int f = (start + i) % FOLIOS;

		if (m.folios[f].folio && m.folios[f].cached == cached)
			return f;
	}
	return -1;
}

void hold_one(void)
{
	if (rnd(4))
		return;
	m.held = pick_folio(true);
	if (m.held < 0)
		return;
	say(" (f%d is locked)", m.held);
	lock(m.held);
}

void let_go(void)
{
	if (m.held >= 0)
		unlock(m.held);
	m.held = -1;
}

swp_entry_t pick_owned(void)
{
	uint64_t start = rnd(DEVICES * SLOTS);

	for (uint64_t i = 0; i < DEVICES * SLOTS; i++) {
		uint64_t n = (start + i) % (DEVICES * SLOTS);
		struct m_slot *s = &m.slots[n / SLOTS][n % SLOTS];

		if (s->count && !s->image)
			return swp_entry(n / SLOTS, n % SLOTS);
	}
	return (swp_entry_t){ 0 };
}

swp_entry_t pick_any(void)
{
	unsigned d = rnd(16) ? rnd(DEVICES) : rnd(64);
	uint64_t max = d < DEVICES ? m.devices[d].max : 0;

	if (!rnd(64))
		return swp_entry(d, rnd(1ULL << SWAP_TYPE_SHIFT));
	return swp_entry(d, rnd(max + 4));
}

/* ---- the comparison ---- */

static void compare_slot(swp_entry_t e, const struct swap_cluster_info *ci)
{
	const struct m_slot *s = &m.slots[swp_type(e)][swp_offset(e)];
	const struct swap_table *table = ci->table;
	unsigned off = swp_offset(e) % CL, in_word, count;
	uint64_t word = table ? table->words[off] : 0;

	EXPECT_AT(e, s->told, 0);
	if (s->bad) {
		EXPECT_AT(e, word, SWP_TB_BAD);
		return;
	}
	if (!s->count && s->folio < 0) {
		EXPECT_AT(e, word, 0);
		EXPECT_AT(e, table && table->ids[off], 0);
		EXPECT_AT(e, table && __swap_cluster_zero_test(ci, off), 0);
		return;
	}
	EXPECT_AT(e, !table, false);
	in_word = word >> SWP_TB_COUNT_SHIFT;
	count = in_word < SWP_TB_COUNT_MAX ? in_word
		: ci->extend_table         ? ci->extend_table[off]
					   : 0;
	EXPECT_AT(e, count, s->count);
	if (s->folio >= 0) {
		EXPECT_AT(e, swp_tb_is_folio(word), true);
		EXPECT_AT(e, folio_to_pfn(swp_tb_to_folio(word)),
			  folio_to_pfn(m.folios[s->folio].folio));
	} else {
		EXPECT_AT(e, swp_tb_is_shadow(word), true);
		EXPECT_AT(e, swp_tb_to_shadow(word), s->shadow);
	}
	EXPECT_AT(e, __swap_cluster_zero_test(ci, off), s->zero);
	EXPECT_AT(e, table->ids[off], s->group);
}

static void compare_clusters(unsigned d, bool whole)
{
	struct m_device *dev = &m.devices[d];

	for (uint64_t c = 0; c * CL < dev->max; c++) {
		struct swap_cluster_info *ci = &swap_info[d].cluster_info[c];

		if (!whole && !dev->touched[c])
			continue;
		dev->touched[c] = false;
		EXPECT_AT(swp_entry(d, c * CL),
			  ci->flags == CLUSTER_FLAG_DISCARD, dev->waiting[c]);
		for (unsigned i = 0; i < CL; i++)
			compare_slot(swp_entry(d, c * CL + i), ci);
	}
}

/* The extents of an image are the runs of its slots. */
static void compare_image(unsigned d)
{
	const struct swsusp_extents *x = &m.devices[d].image;
	size_t n = 0;

	for (uint64_t o = 0; o < SLOTS; o++) {
		uint64_t start = o;

		while (o < SLOTS && m.slots[d][o].listed)
			o++;
		if (o == start)
			continue;
		EXPECT(n < x->nr);
		EXPECT_AT(swp_entry(d, start), x->v[n].start, start);
		EXPECT_AT(swp_entry(d, start), x->v[n].end, o - 1);
		n++;
	}
	EXPECT_EQ(x->nr, n);
}

static void compare_folio(const struct m_folio *f)
{
	const struct folio *folio = f->folio;
	uint32_t want = SW_FOLIO_UPTODATE;

	want |= f->cached ? SW_FOLIO_SWAPCACHE : 0;
	want |= f->mapped ? SW_FOLIO_MAPPED : 0;
	want |= f->dirty ? SW_FOLIO_DIRTY : 0;
	want |= f->writeback ? SW_FOLIO_WRITEBACK : 0;
	EXPECT_EQ(folio->flags, want);
	EXPECT_EQ(folio->refcount, 1 + (f->cached ? 1u << f->order : 0));
	EXPECT_EQ(folio->order, f->order);
	EXPECT_EQ(folio->swap.val, f->cached ? f->entry.val : 0);
	EXPECT(!f->hooked);
}

static void compare_groups(void)
{
	for (unsigned g = 1; g < GROUPS; g++) {
		struct sw_swap_group_info info;

		swap_group_info(g, &info);
		EXPECT_EQ(info.usage, m.groups[g].usage);
		EXPECT_EQ(info.max, m.groups[g].max);
		EXPECT_EQ(info.nr_max, m.groups[g].nr_max);
		EXPECT_EQ(info.nr_fail, m.groups[g].nr_fail);
	}
}

static void compare_sums(void)
{
	struct sw_swap_totals t, want;

	totals(&want);
	si_swapinfo(&t);
	EXPECT_EQ(t.total_pages, want.total_pages);
	EXPECT_EQ(t.free_pages, want.free_pages);
	EXPECT_EQ(t.cached, want.cached);
	EXPECT_EQ(vm_swap_full(), scarce());
	for (unsigned d = 0; d < DEVICES; d++) {
		EXPECT_EQ(swap_usage_in_pages(&swap_info[d]),
			  m.devices[d].used);
		EXPECT_EQ(swap_usage_cached(&swap_info[d]),
			  m.devices[d].cached);
	}
	EXPECT_EQ(sw_counter_read(SW_CTR_swap_bad_entry), m.bad_entry);
	EXPECT_EQ(sw_counter_read(SW_CTR_swap_full), m.full);
	EXPECT_EQ(sw_counter_read(SW_CTR_swap_group_max), m.group_max);
	EXPECT_EQ(sw_counter_read(SW_CTR_swap_group_fail), m.group_fail);
	EXPECT_EQ(sw_counter_read(SW_CTR_swpin_fallback), m.fallback);
}

static unsigned owners_of(void *arg, swp_entry_t e)
{
	return m.slots[swp_type(e)][swp_offset(e)].count;
}

void model_compare(bool whole)
{
	note_trims();
	for (unsigned d = 0; d < DEVICES; d++) {
		compare_clusters(d, whole);
		if (whole)
			compare_image(d);
	}
	for (int f = 0; f < FOLIOS; f++)
		if (m.folios[f].folio)
			compare_folio(&m.folios[f]);
	compare_groups();
	compare_sums();
	if (whole)
		EXPECT_EQ(swap_check(owners_of, NULL), 0);
}

/* ---- begin and end ---- */

static void on_reclaim(struct folio *folio)
{
	for (int f = 0; f < FOLIOS; f++) {
		if (m.folios[f].folio != folio)
			continue;
		EXPECT(folio_is_locked(folio));
		EXPECT(m.folios[f].mapped && !m.folios[f].hooked);
		m.folios[f].hooked = true;
		return;
	}
	EXPECT(!"a folio of ours");
}

void model_open(void)
{
	for (unsigned d = 0; d < DEVICES; d++) {
		m.devices[d].image.type = d;
		for (uint64_t o = 0; o < SLOTS; o++)
			m.slots[d][o].folio = -1;
	}
	for (unsigned g = 0; g < GROUPS; g++)
		m.groups[g].max = UINT64_MAX;
	EXPECT_EQ(folio_pool_init(2 * FOLIOS, NULL), 0);
	EXPECT_EQ(swap_init(), 0);
	swap_work_set_manual(true);
	swap_bad_entry_aborts = false;
	swap_set_reclaim_hook(on_reclaim);
}

void model_close(void)
{
	while (m.suspended) {
		swap_resume_storage();
		m.suspended--;
	}
	for (unsigned d = 0; d < DEVICES; d++)
		if (m.devices[d].up)
			switch_off(d);
	model_compare(true);
	for (int f = 0; f < FOLIOS; f++)
		if (m.folios[f].folio)
			folio_put(m.folios[f].folio);
	EXPECT_EQ(folio_pool_in_use(), 0);
	for (unsigned g = 1; g < GROUPS; g++)
		EXPECT_EQ(m.groups[g].usage, 0);
	swap_work_run_pending();
	swap_exit();
	folio_pool_release();
}
