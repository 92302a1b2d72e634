/*
 * writeout.c - staged folios into their stores, oldest first. What a disk is to
 * write goes in batches: a request costs a disk the same for one page as for
 * sixteen. A store in memory gets one folio at a time, so that those who wait
 * for room have it soon, and while the folio is in the CPU's cache.
 *
 *   begin    folio locked: nobody's any more, or zeros, or under writeback and
 *            unlocked, with pieces of the batch to be written
 *   write    the batch, in the order of slots
 *   settle   folio locked: out of the cache, or what write_error.c makes of it
 *
 * A folio under writeback is nobody's to change and everybody's to read: a
 * fault that finds it has its bytes. One lock is held at a time.
 *
 * A clean folio is only dropped (handover.c).
 *
 * Above: reclaim.c. Beside: staging.c, which has the list. Below: store_io.c.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "codec/codec.h"
#include "mm/mm_internal.h"

#define KEPT_SWEEP  8 /* folios, each time something is written */
#define BATCH_PAGES 256u
/* The last folio of a batch may go beyond it. */
#define MAX_PIECES (BATCH_PAGES + SW_HUGE_PAGES)

struct batch {
	unsigned nr_folios, nr_io;
	struct folio **folio; /* with a reference */
	int *err;             /* of its writing */
	struct swap_io *io;   /* tag: the folio's index */
};

/* ---- begin ---- */

bool sw_page_is_zero(const void *page)
{
	uint64_t word;

	return sw_page_same_filled(page, &word) && !word;
}

static bool is_zero(const struct folio *folio)
{
	for (unsigned i = 0; i < folio_nr(folio); i++)
		if (!sw_page_is_zero((char *)folio->data + i * SW_PAGE_SIZE))
			return false;
	return true;
}

/* The pages from `at` on that are all owned, or all nobody's any more. */
static unsigned owned_run(struct folio *folio, unsigned at, bool *owned)
{
	unsigned n = 0;

	for (; at + n < folio_nr(folio); n++) {
		swp_entry_t entry = { folio->swap.val + at + n };
		bool is = swp_swapcount(entry);

		if (n && is != *owned)
			break;
		*owned = is;
	}
	return n;
}

static void add_piece(struct batch *b, struct folio *folio, unsigned at,
		      unsigned nr)
{
	b->io[b->nr_io++] = (struct swap_io){
		.entry = { folio->swap.val + at },
		.nr = nr,
		.pages = (char *)folio->data + at * SW_PAGE_SIZE,
		.tag = b->nr_folios,
	};
}

/* What came back meanwhile, or was zapped, is not written. */
static void add_pieces(struct batch *b, struct folio *folio)
{
	unsigned n;

	for (unsigned at = 0; at < folio_nr(folio); at += n) {
		bool owned = true;

		n = folio->order ? owned_run(folio, at, &owned) : 1;
		if (owned)
			add_piece(b, folio, at, n);
	}
}

/* ---- settle ---- */

/* Folio locked, which is given up as is the reference: it was written, or
 * `err` is why not. */
static void settle(struct sw_mm *mm, struct folio *folio, int err)
{
	if (!err) {
		folio_clear(folio, SW_FOLIO_DIRTY);
		if (!folio_free_swap(folio))
			swap_cache_del_folio(folio, sw_make_shadow(mm));
	} else {
		sw_write_refused(mm, folio, err);
	}
	folio_unlock(folio);
	folio_put(folio);
}

/* ---- a batch ---- */

/* Puts the folio into the batch, or settles it if nothing is to be written. */
static void begin(struct sw_mm *mm, struct batch *b, struct folio *folio)
{
	folio_lock(folio);
	if (!folio_test(folio, SW_FOLIO_SWAPCACHE) || folio_free_swap(folio)) {
		folio_unlock(folio);
		folio_put(folio);
		return;
	}
	if (!folio_test(folio, SW_FOLIO_DIRTY)) {
		settle(mm, folio, 0);
		return;
	}
	if (is_zero(folio)) {
		swap_zeromap_folio_set(folio);
		sw_count(swpout_zero, folio_nr(folio));
		settle(mm, folio, 0);
		return;
	}
	swap_zeromap_folio_clear(folio);
	folio_set(folio, SW_FOLIO_WRITEBACK);
	folio_unlock(folio);
	add_pieces(b, folio);
	b->err[b->nr_folios] = 0;
	b->folio[b->nr_folios++] = folio;
}

/* How many pages are worth a batch with this entry. Most of what is staged
 * stays there for its second chance. */
static unsigned batch_pages(struct sw_mm *mm, swp_entry_t entry, unsigned nr)
{
	uint64_t some = sw_max(sw_staging_target(mm) / 4, (uint64_t)nr);

	return sw_store_batches(entry) ? sw_min(some, BATCH_PAGES) : 0;
}

/* Takes staged folios for one batch; returns how many pages they have. */
static unsigned collect(struct sw_mm *mm, struct batch *b, unsigned nr)
{
	unsigned pages = 0, max = nr;
	struct folio *folio;

	b->nr_folios = b->nr_io = 0;
	while (pages < max && (folio = sw_staging_take(mm))) {
		pages += folio_nr(folio);
		begin(mm, b, folio);
		if (b->nr_folios)
			max = batch_pages(mm, b->folio[0]->swap, nr);
	}
	return pages;
}

static void count_whole(const struct folio *folio)
{
	sw_count_order(swpout, folio->order);
	if (folio->order == SW_ORDER_HUGE)
		sw_count(thp_swpout, 1);
}

/* Of a folio in several pieces that one is late counts before anything else
 * that is wrong: it must not be tried again. */
static void note_results(struct batch *b)
{
	for (unsigned i = 0; i < b->nr_io; i++) {
		const struct swap_io *io = &b->io[i];
		struct folio *folio = b->folio[io->tag];

		if (io->err && b->err[io->tag] != -ETIMEDOUT)
			b->err[io->tag] = io->err;
		else if (!io->err && io->nr == folio_nr(folio))
			count_whole(folio);
	}
}

/* Returns 0, or why there is no use in going on; *pages is without those that
 * failed. */
static int finish(struct sw_mm *mm, struct batch *b, unsigned *pages)
{
	int later = 0;

	note_results(b);
	for (unsigned i = 0; i < b->nr_folios; i++) {
		struct folio *folio = b->folio[i];
		unsigned type;

		folio_lock(folio);
		folio_clear(folio, SW_FOLIO_WRITEBACK);
		type = swp_type(folio->swap);
		if (b->err[i]) {
			*pages -= folio_nr(folio);
			sw_happened(mm, SW_MM_WRITE_FAILED);
		}
		settle(mm, folio, b->err[i]);
		if (sw_write_works_later(b->err[i]))
			later = b->err[i];
		else if (b->err[i])
			sw_device_judge(mm, type, b->err[i]);
	}
	return later;
}

unsigned sw_staging_write(struct sw_mm *mm, unsigned nr)
{
	unsigned done = 0, tried = 0, pages;
	struct folio *folio[BATCH_PAGES];
	int err[BATCH_PAGES], later = 0;
	struct swap_io io[MAX_PIECES];
	struct batch b = { .folio = folio, .err = err, .io = io };

	sw_kept_sweep(mm, KEPT_SWEEP);
	while (tried < nr && !later) {
		pages = collect(mm, &b, nr - tried);
		if (!pages)
			break;
		tried += pages;
		sw_store_io(true, b.io, b.nr_io);
		later = finish(mm, &b, &pages);
		done += pages;
	}
	if (later)
		sw_warn_once(
			"writing to swap failed (%s): pages stay in memory until it works again",
			strerror(-later));
	return done;
}

/* For a fault that finds no room. Where both CPUs are busy or the other one
 * sleeps, to wait for reclaim takes longer than what reclaim would do. */
unsigned sw_staging_write_direct(struct sw_mm *mm)
{
	struct folio *folio = sw_staging_take_direct(mm), *one;
	struct swap_io io[SW_BLOCK_PAGES];
	unsigned pages;
	int err;
	struct batch b = { .folio = &one, .err = &err, .io = io };

	if (!folio)
		return 0;
	pages = folio_nr(folio);
	begin(mm, &b, folio);
	sw_store_io(true, b.io, b.nr_io);
	(void)finish(mm, &b, &pages);
	sw_count(pswpout_direct, pages);
	return pages;
}
