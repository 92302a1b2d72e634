/*
 * swapin.c - from a swap entry to bytes, through the swap cache and only
 * through it: whoever puts a folio into the cache for a slot reads it, and
 * everybody else finds that folio and waits on its lock. Neighbours in the
 * program whose slots are neighbours come as one large folio, by one read; the
 * last of its pages that is settled unlocks it.
 *
 * Above: fault.c, which maps the bytes. Beside: handover.c, which leaves them
 * to who waited. Below: swap/swap_cache.c and store_io.c.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/trace.h"
#include "mm/mm_internal.h"

/* A batch on its way in. What its pages need from stores is read together when
 * all are found, into folios that are locked until then. */
struct getting {
	const struct sw_batch *batch;
	const swp_entry_t *entry;
	struct sw_swapin *in;
	char *buf;
	bool wait;  /* for the lock of whoever has the first page */
	bool large; /* neighbours may share a folio */
	bool alone; /* only the first page */
	/* By page: what a folio was to be made of, if one was made there. */
	uint32_t orders[SW_WINDOW_PAGES];
	unsigned nr_io;
	struct swap_io io[SW_WINDOW_PAGES]; /* tag: the first page of it */
};

static char *buf_of(const struct getting *g, unsigned k)
{
	return g->buf + sw_batch_offset(g->batch, k);
}

static void add_reading(struct getting *g, unsigned k, swp_entry_t entry,
			unsigned nr, void *buf)
{
	g->io[g->nr_io++] = (struct swap_io){
		.entry = entry,
		.nr = nr,
		.pages = buf,
		.tag = k,
	};
}

static void set_page(struct sw_swapin *in, struct folio *folio,
		     swp_entry_t entry)
{
	in->folio = folio;
	in->page = entry.val - folio->swap.val;
	in->more = false;
}

static void copy_staged(const struct sw_swapin *in, void *buf)
{
	if (!folio_test(in->folio, SW_FOLIO_DIRTY))
		sw_count(swpin_shared, 1);
	memcpy(buf, (char *)in->folio->data + in->page * SW_PAGE_SIZE,
	       SW_PAGE_SIZE);
}

/* The folio was there already: `folio` has a reference, no lock yet. */
static int get_cached(struct getting *g, unsigned k, struct folio *folio)
{
	struct sw_swapin *in = &g->in[k];
	swp_entry_t entry = g->entry[k];
	int err = -EAGAIN;

	if (g->wait && !k)
		folio_lock(folio);
	else if (!folio_trylock(folio))
		goto out_put;
	if (!folio_matches_swap_entry(folio, entry)) {
		err = 1; /* it moved on before we had the lock: look again */
		goto out_unlock;
	}
	/* A large one that somebody reads goes before it is unlocked, or leaves
	 * its bytes (handover.c). */
	SW_ASSERT(folio->data || !folio->order);
	set_page(in, folio, entry);
	in->source = folio->data ? SW_FROM_STAGED : SW_FROM_STORE;
	in->shadow = 0;
	g->orders[k] = 0;
	if (folio->data)
		copy_staged(in, buf_of(g, k));
	else if (swap_zeromap_test(entry))
		memset(buf_of(g, k), 0, SW_PAGE_SIZE);
	else
		add_reading(g, k, entry, 1, buf_of(g, k));
	return 0;

out_unlock:
	folio_unlock(folio);
out_put:
	folio_put(folio);
	return err;
}

/* The orders of folios that pages from the kth on could be read as: neighbours
 * in the program in slots that are neighbours in the same direction. */
static uint32_t orders_at(const struct sw_batch *b, const swp_entry_t *entry,
			  unsigned k)
{
	unsigned order, n = 1, max;

	if (b->nr - k < 1u << SW_ORDER_MIN || (b->step != 1 && b->step != -1))
		return 1;
	order = __builtin_ctzll((entry[k].val + (b->step < 0)) |
				SW_WINDOW_PAGES);
	max = sw_min(b->nr - k, 1u << order);
	while (n < max && b->page[k + n] == b->page[k] + b->step * n &&
	       entry[k + n].val == entry[k].val + b->step * n)
		n++;
	if (n < 1u << SW_ORDER_MIN)
		return 1;
	order = 31 - __builtin_clz(n);
	return ((2u << order) - 1) & ~2u;
}

static void note_zeros(struct folio *folio, void *buf)
{
	memset(buf, 0, folio_nr(folio) * SW_PAGE_SIZE);
	folio_set(folio, SW_FOLIO_UPTODATE);
}

/* To be read: the largest folio that can be had around the page, all of it,
 * since the pages beside it in the buffer are there for that. */
static int get_from_store(struct getting *g, unsigned k)
{
	uint32_t orders = g->large ? orders_at(g->batch, g->entry, k) : 1;
	struct sw_swapin *in = &g->in[k];
	struct folio *folio;
	bool zero;
	char *buf;
	int err = 0;

	folio = swap_cache_alloc_folio(g->entry[k], orders, &in->shadow, &zero,
				       &err);
	if (!folio)
		return err == -EEXIST ? 1 : err;
	set_page(in, folio, g->entry[k]);
	buf = buf_of(g, k) - in->page * SW_PAGE_SIZE;
	in->source = zero ? SW_FROM_ZERO : SW_FROM_STORE;
	if (zero)
		note_zeros(folio, buf);
	else
		add_reading(g, k, folio->swap, folio_nr(folio), buf);
	g->orders[k] = orders;
	return 0;
}

static int get_page(struct getting *g, unsigned k)
{
	int err;

	do {
		struct folio *folio = swap_cache_get_folio(g->entry[k]);

		err = folio ? get_cached(g, k, folio) : get_from_store(g, k);
	} while (err == 1);
	return err;
}

/* Pages from the kth on that are of the folio of the one before. Returns the
 * first that is not. */
static unsigned get_rest(struct getting *g, unsigned k)
{
	struct sw_swapin *in = g->in;
	struct folio *folio = in[k - 1].folio;

	for (; k < g->batch->nr && folio_matches_swap_entry(folio, g->entry[k]);
	     k++) {
		in[k] = in[k - 1];
		g->orders[k] = 0;
		set_page(&in[k], folio, g->entry[k]);
		in[k - 1].more = true;
		if (folio->data)
			copy_staged(&in[k], buf_of(g, k));
	}
	return k;
}

/* The first page of a large folio, locked, whose `nr` pages are all here. */
static bool split_passing(struct sw_swapin *in, unsigned nr)
{
	struct folio *old = in->folio, *part[SW_WINDOW_PAGES] = { NULL };
	unsigned n;

	for (n = 0; n < nr && (part[n] = folio_alloc(0)); n++)
		;
	if (n < nr) {
		while (n)
			folio_put(part[--n]);
		return false;
	}
	sw_folio_split(old, part, nr);
	folio_unlock(old);
	folio_put(old);
	for (n = 0; n < nr; n++) {
		in[n].folio = part[in[n].page];
		in[n].page = 0;
		in[n].more = false;
	}
	return true;
}

uint64_t sw_swapin_split(struct sw_swapin *in, unsigned nr)
{
	uint64_t failed = 0;
	unsigned n;

	for (unsigned k = 0; k < nr; k += n) {
		n = 1;
		if (!in[k].folio->order || in[k].source != SW_FROM_STORE)
			continue;
		n = folio_nr(in[k].folio);
		if (!split_passing(&in[k], n))
			failed |= (n < 64 ? (1ull << n) - 1 : ~0ull) << k;
	}
	return failed;
}

void sw_swapin_undo(struct sw_swapin *in)
{
	if (in->more)
		return;
	if (sw_folio_is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

/* ---- one folio ---- */

int sw_swapin_read(struct folio *folio, bool zero, void *buf)
{
	struct swap_io io = {
		.entry = folio->swap,
		.nr = folio_nr(folio),
		.pages = buf,
	};

	if (zero) {
		note_zeros(folio, buf);
		sw_count(swpin_zero, folio_nr(folio));
		return 0;
	}
	sw_store_io(false, &io, 1);
	if (!io.err)
		folio_set(folio, SW_FOLIO_UPTODATE);
	return io.err;
}

/* ---- a batch ---- */

/* Finds pages from `at` on, locked. Returns the first that cannot be had
 * now. */
static unsigned find_pages(struct getting *g, unsigned at, int *err)
{
	const unsigned end = g->alone ? 1 : g->batch->nr;

	*err = 0;
	g->nr_io = 0;
	while (at < end) {
		*err = get_page(g, at);
		if (*err)
			break;
		at++;
		if (g->in[at - 1].folio->order)
			at = get_rest(g, at);
	}
	return at;
}

static void count_large(unsigned wanted, unsigned order)
{
	if (order)
		sw_count_order(swpin, order);
	if (wanted > order)
		sw_count_order(swpin_fallback, wanted);
}

static void count_found(const struct getting *g, unsigned from, unsigned end)
{
	for (unsigned k = from; k < end; k++) {
		const struct folio *folio = g->in[k].folio;

		if (!g->orders[k])
			continue;
		if (g->in[k].source == SW_FROM_ZERO)
			sw_count(swpin_zero, folio_nr(folio));
		if (g->orders[k] > 1)
			count_large(31 - __builtin_clz(g->orders[k]),
				    folio->order);
	}
}

/* Reads what was found. Returns the piece with the first page that could not
 * be, or NULL. */
static const struct swap_io *read_pages(struct getting *g)
{
	const struct swap_io *bad = NULL;

	sw_store_io(false, g->io, g->nr_io);
	for (unsigned i = 0; i < g->nr_io; i++) {
		const struct swap_io *io = &g->io[i];

		if (!io->err)
			folio_set(g->in[io->tag].folio, SW_FOLIO_UPTODATE);
		else if (!bad || io->tag < bad->tag)
			bad = io;
	}
	return bad;
}

/* Is there another way to try it? One page that cannot be read must not cost
 * the others of its folio. And a store that is late, or goes on with what it was
 * asked for before, finds only single reads again when their bytes have come:
 * it is the first page that somebody waits for. */
static bool try_otherwise(struct getting *g, const struct swap_io *bad)
{
	if (bad->err == -EINPROGRESS && !bad->tag && g->nr_io > 1)
		g->alone = true;
	else if (bad->err != -EIO || bad->nr == 1)
		return false;
	g->large = false;
	return true;
}

unsigned sw_swapin_get(const struct sw_batch *b, const swp_entry_t *entry,
		       bool wait, char *buf, struct sw_swapin *in, int *err)
{
	const struct swap_io *bad;
	unsigned good = 0, got;
	struct getting g;

	g.batch = b;
	g.entry = entry;
	g.in = in;
	g.buf = buf;
	g.wait = wait;
	g.large = true;
	g.alone = false;
	do {
		unsigned from = good;

		good = got = find_pages(&g, from, err);
		bad = read_pages(&g);
		if (bad) {
			good = bad->tag;
			*err = bad->err;
		}
		for (unsigned k = good; k < got; k++)
			sw_swapin_undo(&in[k]);
		count_found(&g, from, good);
	} while (bad && try_otherwise(&g, bad));
	return good;
}

void sw_swapin_done(struct sw_mm *mm, struct sw_swapin *in)
{
	folio_put_swap(in->folio, in->page);
	if (in->more)
		return;
	/* A copy some other space keeps clean, or one being written, goes
         * with its own end. */
	if (!folio_test(in->folio, SW_FOLIO_MAPPED | SW_FOLIO_WRITEBACK) &&
	    !folio_free_swap(in->folio) && sw_folio_is_passing(in->folio))
		swap_cache_del_folio(in->folio, in->shadow);
	folio_unlock(in->folio);
	folio_put(in->folio);
}

void sw_swapin_keep(struct sw_space *space, uint64_t addr, struct sw_swapin *in)
{
	struct folio *folio = in->folio;

	SW_ASSERT(sw_folio_is_passing(folio));
	folio_put_swap(folio, 0);
	sw_clean_own(folio, space, addr);
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_clear(folio, SW_FOLIO_DIRTY);
	folio_unlock(folio);
	folio_put(folio);
	sw_count(swpin_clean, 1);
}
