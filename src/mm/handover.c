/*
 * handover.c - one read for the faults of several spaces on one slot. After a
 * fork the words of parent and child name the same slots; a page is read by
 * whoever is first, and everybody else waits for the lock of its folio:
 *
 *        fault in the parent                fault in the child
 *        puts a folio on the slot
 *        reads
 *                                           finds the folio, waits for it
 *        maps
 *        sees that somebody waits:
 *        bytes stay in a buffer, staged
 *        unlocks
 *                                           copies the buffer, maps
 *
 * A staged page of this kind is clean: the last owner that comes frees it, and
 * the writer, when its turn comes before that, drops it unwritten.
 *
 * Only where somebody waits. To leave the bytes of every slot with several
 * owners for a while would make room for pages that the other side reads much
 * later or never (a child that saves reads everything once), at the cost of
 * those whose second chance this is. But who waits for one page of a batch is
 * on the same way, as a rule, and finds the others of the batch as well.
 *
 * Who comes after the look, when the page is about to be unlocked, reads the
 * store again, which is harmless; so does who comes when the slot stays as a
 * clean copy, and who finds no room: what is left counts in budget.staged, and
 * nobody's page goes out for it.
 *
 * Above: fault.c. Beside: swapin.c. Below: staging.c.
 */
#include <string.h>

#include "mm/mm_internal.h"

static bool was_read(const struct sw_swapin *in)
{
	return in->source == SW_FROM_STORE && sw_folio_is_passing(in->folio);
}

/* The count of our own word is still in it. */
static bool has_other_owner(const struct sw_swapin *in)
{
	swp_entry_t entry = { in->folio->swap.val + in->page };

	return swp_swapcount(entry) > 1;
}

bool sw_swapin_is_awaited(const struct sw_swapin *in, unsigned nr)
{
	for (unsigned k = 0; k < nr; k++) {
		struct folio *folio = in[k].folio;

		/* The cache has a reference a page, and we have one. */
		if (folio_ref_count(folio) > folio_nr(folio) + 1 &&
		    was_read(&in[k]) && has_other_owner(&in[k]))
			return true;
	}
	return false;
}

/* For `nr` pages in a buffer, beside `mapped` that are about to count. */
static bool has_room(struct sw_mm *mm, unsigned nr, unsigned mapped)
{
	return sw_staging_nr(mm) + nr <= sw_staging_target(mm) &&
	       sw_budget_free(&mm->budget) >= (int64_t)nr + mapped;
}

/* A buffer for a folio of 2^order pages, or NULL. */
static char *get_buf(struct sw_mm *mm, unsigned order)
{
	unsigned nr = 1u << order;
	char *data;

	if (!order)
		return sw_buf_get(mm);
	data = sw_buf_get_block(mm);
	if (data && nr < SW_BLOCK_PAGES)
		sw_buf_put(mm, data + nr * SW_PAGE_SIZE, SW_BLOCK_PAGES - nr);
	return data;
}

/* The bytes of a whole folio. False: no buffer. */
static bool leave_folio(struct sw_mm *mm, struct folio *folio,
			const char *bytes)
{
	char *data = get_buf(mm, folio->order);

	if (!data)
		return false;
	memcpy(data, bytes, folio_nr(folio) * SW_PAGE_SIZE);
	folio->data = data;
	folio->mapping = mm;
	sw_staging_add(mm, folio);
	return true;
}

void sw_swapin_leave(struct sw_mm *mm, const struct sw_batch *b,
		     struct sw_swapin *in, const char *buf)
{
	if (!sw_swapin_is_awaited(in, b->nr))
		return;
	for (unsigned k = 0; k < b->nr; k++) {
		struct folio *folio = in[k].folio;
		const char *bytes =
			buf + sw_batch_offset(b, k) - in[k].page * SW_PAGE_SIZE;

		if (!was_read(&in[k]) || !has_other_owner(&in[k]))
			continue;
		if (!has_room(mm, folio->order ? SW_BLOCK_PAGES : 1, b->nr) ||
		    !leave_folio(mm, folio, bytes))
			return;
	}
}
