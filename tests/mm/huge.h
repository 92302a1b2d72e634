/*
 * huge.h - what the tests of huge pages share.
 */
#ifndef SW_MM_HUGE_H
#define SW_MM_HUGE_H

#include "fixture.h"

/* Page 128 of the program is the first that may begin a huge page. */
#define HUGE    SW_HUGE_PAGES
#define LEAF(n) (128 + (n)*HUGE)

static inline struct sw_leaf *leaf_of(struct fx *f, unsigned n)
{
	return sw_pt_lookup(&f->space->pt, fx_at(LEAF(n)));
}

static inline struct folio *folio_of(struct fx *f, unsigned page)
{
	struct folio *folio =
		swap_cache_get_folio(sw_word_entry(fx_word(f->sim, page)));

	if (folio)
		folio_put(folio);
	return folio;
}

/* Huge pages in leaves [n, n + nr). */
static inline void fill(struct fx *f, unsigned n, unsigned nr)
{
	fx_fill(f->sim, LEAF(n), nr * HUGE);
	for (unsigned k = n; k < n + nr; k++)
		assert_true(sw_sim_collapse(f->sim, fx_at(LEAF(k))));
}

static inline void expect_pages(struct sw_sim *sim, unsigned first, unsigned nr)
{
	for (unsigned n = first; n < first + nr; n++)
		fx_expect(sim, n, 100 + n);
}

static inline void expect_leaf(struct fx *f, unsigned n)
{
	expect_pages(f->sim, LEAF(n), HUGE);
}

static inline bool is_huge(struct sw_sim *sim, unsigned n)
{
	return sw_sim_is_huge(sim, fx_at(LEAF(n)));
}

static inline unsigned nr_present(struct sw_sim *sim, unsigned n)
{
	unsigned nr = 0;

	for (unsigned i = LEAF(n); i < LEAF(n) + HUGE; i++)
		nr += sw_sim_is_present(sim, fx_at(i));
	return nr;
}

#endif
