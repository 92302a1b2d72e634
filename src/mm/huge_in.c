/*
 * huge_in.c - a leaf that went out as a huge page comes back as one: its bytes
 * are brought to one buffer, which the agent moves in by one call.
 *
 * That needs a place in the program where nothing has been mapped since, not even
 * a page of it, so who faults there waits for all: when that is right is the
 * matter of stream.c and of the program's advice. What was moved is not
 * write-protected, so no slot of it is kept as a clean copy.
 *
 * Whatever is missing (room, a buffer, the agent, a slot that can be read), the
 * leaf is left as it is, and comes page by page.
 *
 * Above: fault.c, advise.c. Below: swapin.c, the agent through the mmu.
 */
#include <errno.h>

#include "mm/mm_internal.h"

#define MAX_PARTS (SW_HUGE_PAGES / SW_BLOCK_PAGES)

/* A leaf on its way in; its windows are taken. */
struct huge_in {
	struct sw_space *space;
	struct sw_leaf *leaf;
	swp_entry_t entry; /* of its first page */
	struct sw_swapin part[MAX_PARTS];
	unsigned nr;
	char *buf; /* the bytes */
	bool read; /* into a buffer of ours */
	uint8_t page[SW_MMU_BATCH];
};

bool sw_leaf_was_huge(struct sw_space *space, const struct sw_leaf *leaf)
{
	struct sw_region r;

	sw_assert_held(&space->lock);
	if (!leaf->was_huge ||
	    sw_words_swap_run(leaf->word, SW_LEAF_PAGES) < SW_LEAF_PAGES ||
	    swp_offset(sw_word_entry(leaf->word[0])) % SW_HUGE_PAGES)
		return false;
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
		if (leaf->win[w].busy)
			return false;
	r = sw_space_region(space, leaf->base);
	return r.end - leaf->base >= SW_LEAF_BYTES;
}

/* ---- its bytes ---- */

/* It is still staged, in one piece. */
static int get_staged(struct huge_in *h, struct folio *folio)
{
	if (!folio_trylock(folio)) {
		folio_put(folio);
		return -EAGAIN;
	}
	if (!folio_matches_swap_entry(folio, h->entry) || !folio->data ||
	    folio->order != SW_ORDER_HUGE) {
		folio_unlock(folio);
		folio_put(folio);
		return -EAGAIN;
	}
	h->part[h->nr++] =
		(struct sw_swapin){ .folio = folio, .source = SW_FROM_STAGED };
	h->buf = folio->data;
	return 0;
}

/* Reads the largest folio that can be had `at` so many pages. */
static int read_part(struct huge_in *h, unsigned at)
{
	struct sw_swapin *in = &h->part[h->nr];
	unsigned order = __builtin_ctz(at | SW_HUGE_PAGES);
	uint32_t orders = (2u << order) - (1u << SW_ORDER_BLOCK);
	swp_entry_t entry = { h->entry.val + at };
	bool zero;
	int err = 0;

	*in = (struct sw_swapin){ 0 };
	in->folio =
		swap_cache_alloc_folio(entry, orders, &in->shadow, &zero, &err);
	if (!in->folio)
		return err;
	in->source = zero ? SW_FROM_ZERO : SW_FROM_STORE;
	h->nr++;
	return sw_swapin_read(in->folio, zero, h->buf + at * SW_PAGE_SIZE);
}

static int get_stored(struct huge_in *h)
{
	int err = 0;

	h->buf = sw_buf_get_huge(h->space->mm);
	if (!h->buf)
		return -ENOMEM;
	h->read = true;
	for (unsigned at = 0; at < SW_HUGE_PAGES && !err;) {
		err = read_part(h, at);
		if (!err)
			at += folio_nr(h->part[h->nr - 1].folio);
	}
	return err;
}

static int get_bytes(struct huge_in *h)
{
	struct folio *folio;

	if (!sw_budget_reserve_all(h->space->mm, SW_HUGE_PAGES))
		return -ENOMEM;
	folio = swap_cache_get_folio(h->entry);
	return folio ? get_staged(h, folio) : get_stored(h);
}

static void count_parts(const struct huge_in *h, bool got)
{
	for (unsigned k = 0; k < h->nr && got && h->read; k++)
		sw_count_order(swpin, h->part[k].folio->order);
	if (!got || h->nr > 1)
		sw_count_order(swpin_fallback, SW_ORDER_HUGE);
}

/* ---- the program has them, or not ---- */

static bool is_there(const struct huge_in *h, unsigned i)
{
	return h->page[i] == SW_PAGE_TAKEN;
}

/* One page of a part, the last of which settles the folio. Space lock held. */
static void commit_page(struct huge_in *h, struct sw_swapin *in, unsigned i)
{
	uint64_t pin = h->leaf->word[i] & SW_WORD_PIN;

	if (!is_there(h, i)) {
		sw_swapin_undo(in);
		return;
	}
	sw_word_set(h->space, h->leaf, i, SW_WORD_PRESENT | pin);
	sw_swapin_done(h->space->mm, in);
}

/* The space lock is given up now and then: the windows are ours. */
static void commit_part(struct huge_in *h, struct sw_swapin *in, unsigned first)
{
	unsigned nr = folio_nr(in->folio);

	sw_space_lock(h->space);
	for (unsigned k = 0; k < nr; k++) {
		if (k && k % SW_WINDOW_PAGES == 0) {
			sw_space_unlock(h->space);
			sw_space_lock(h->space);
		}
		in->page = k;
		in->more = k + 1 < nr;
		commit_page(h, in, first + k);
	}
	sw_space_unlock(h->space);
}

static void commit(struct huge_in *h)
{
	for (unsigned k = 0, at = 0; k < h->nr; k++) {
		unsigned nr = folio_nr(h->part[k].folio);

		commit_part(h, &h->part[k], at);
		at += nr;
	}
	if (h->read)
		sw_buf_put(h->space->mm, h->buf, SW_HUGE_PAGES);
}

/* ---- all of it ---- */

static void bring(struct huge_in *h)
{
	struct sw_mmu *mmu = h->space->mmu;
	bool got = !get_bytes(h);

	count_parts(h, got);
	if (got && mmu->ops->bring(mmu, h->leaf->base, h->buf, h->page) > 0)
		sw_count(thp_restored, 1);
	commit(h);
}

bool sw_huge_in(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		enum sw_source *source)
{
	struct huge_in h = { .space = space,
			     .leaf = leaf,
			     .entry = sw_word_entry(leaf->word[0]) };

	sw_assert_held(&space->lock);
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
		sw_window_take(leaf, w * SW_WINDOW_PAGES);
	sw_space_unlock(space);
	bring(&h);
	sw_space_lock(space);
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
		sw_window_give(space, leaf, w * SW_WINDOW_PAGES);
	*source = h.nr ? h.part[0].source : 0;
	return is_there(&h, i);
}
