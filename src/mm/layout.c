/*
 * layout.c - what layout events do to a space: munmap, mremap, MADV_DONTNEED.
 * (Fork is fork.c.)
 *
 * Events come from the thread that reads them, under the space lock. Each
 * waits until no window it touches is busy: work in flight on a window (a
 * batch being moved into staging) never waits for an event, so this ends, and
 * no event ever sees a half-evicted page. What the program does meanwhile to
 * the same pages is ordered by the gate and the epoch (mmu/protocol.h).
 *
 * Above: mmu/remote_events.c. Beside: space.c, owed.c.
 */
#include <errno.h>

#include "base/log.h"
#include "base/time.h"
#include "mm/mm_internal.h"

/* ---- layout events ---- */

/* Zaps [i, end) of a leaf, window by window. */
static void zap_leaf(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		     unsigned end)
{
	while (i < end) {
		unsigned next = (i / SW_WINDOW_PAGES + 1) * SW_WINDOW_PAGES;

		next = sw_min(next, end);
		if (!sw_words_are_none(&leaf->word[i], next - i))
			sw_words_zap(space, leaf, i, next - i);
		i = next;
	}
}

/* Who waits for one of its windows waits for nothing that could be given. */
static void drop_leaf(struct sw_space *space, struct sw_leaf *leaf)
{
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
		if (leaf->win[w].waiters)
			sw_stall_release(&space->stall);
	sw_pt_drop(&space->pt, leaf->base);
}

/* Zaps every word of the range; whole leaves are freed. */
void sw_space_zap(struct sw_space *space, uint64_t start, uint64_t end,
		  bool drop_leaves)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, start);

	while (leaf && leaf->base < end) {
		uint64_t base = leaf->base;
		unsigned i = start > base ? sw_leaf_index(start) : 0;
		unsigned last = sw_leaf_index(end - 1);

		if (end >= base + SW_LEAF_BYTES)
			last = SW_LEAF_PAGES - 1;
		zap_leaf(space, leaf, i, last + 1);
		if (!i && last == SW_LEAF_PAGES - 1 && drop_leaves)
			drop_leaf(space, leaf);
		leaf = sw_pt_next(&space->pt, base + SW_LEAF_BYTES);
	}
}

void sw_space_remove(void *arg, uint64_t start, uint64_t end)
{
	struct sw_space *space = arg;
	uint32_t now_ms = sw_now_ms();
	struct sw_leaf *leaf;

	sw_space_wait_idle(space, start, end);
	sw_advice_forget(space, start, end);
	sw_space_zap(space, start, end, false);
	for (leaf = sw_pt_next(&space->pt, start); leaf && leaf->base < end;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES))
		for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
			if (leaf->base + (w + 1) * SW_WINDOW_BYTES > start &&
			    leaf->base + w * SW_WINDOW_BYTES < end)
				leaf->win[w].removed_ms = now_ms;
}

/* The range gets a new tenant by a remap; the unmap of the old ones may be
 * read later (owed.c). */
static void note_owed(struct sw_space *space, uint64_t start, uint64_t end)
{
	unsigned at = sw_region_at(space, start);

	for (; at < space->nr_regions && space->region[at].start < end; at++) {
		struct sw_region *r = &space->region[at];

		sw_owed_replaced(&space->owed, sw_max(r->start, start),
				 sw_min(r->end, end));
	}
	sw_owed_moved_in(&space->owed, start, end);
}

static void do_unmap(struct sw_space *space, uint64_t start, uint64_t end)
{
	struct sw_region hit;

	if (sw_owed_take(&space->owed, start, end, &hit)) {
		if (start < hit.start)
			do_unmap(space, start, hit.start);
		if (end > hit.end)
			do_unmap(space, hit.end, end);
		return;
	}
	sw_owed_settle(&space->owed, start, end);
	sw_space_zap(space, start, end, true);
	sw_region_remove(space, start, end);
}

void sw_space_unmap(void *arg, uint64_t start, uint64_t end)
{
	struct sw_space *space = arg;

	sw_space_wait_idle(space, start, end);
	sw_advice_forget(space, start, end);
	do_unmap(space, start, end);
}

/* Moves one word; its clean copy, if any, is known by the old address and is
 * let go. */
static void move_word(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		      uint64_t to)
{
	struct sw_leaf *dst = sw_pt_get(&space->pt, to);
	unsigned k = sw_leaf_index(to);
	uint64_t word;

	SW_BUG_ON(!dst); /* out of memory here would lose the page */
	if (leaf->word[i] & SW_WORD_CLEAN)
		sw_clean_forget(space, leaf, i);
	word = leaf->word[i];
	if (word & SW_WORD_SHARED) /* one word more, until the old one goes */
		sw_share(space->mm, &word, 1);
	sw_word_set(space, leaf, i, SW_WORD_NONE);
	sw_word_set(space, dst, k, word);
}

void sw_space_remap(void *arg, uint64_t from, uint64_t to, uint64_t len)
{
	struct sw_space *space = arg;
	struct sw_leaf *leaf;

	if (from == to)
		return;
	sw_space_wait_idle(space, from, from + len);
	sw_space_wait_idle(space, to, to + len);
	sw_advice_forget(space, from, from + len);
	sw_advice_forget(space, to, to + len);
	note_owed(space, to, to + len);
	sw_space_zap(space, to, to + len, true);
	sw_region_remove(space, to, to + len);
	for (leaf = sw_pt_next(&space->pt, from);
	     leaf && leaf->base < from + len;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES)) {
		for (unsigned i = 0; i < SW_LEAF_PAGES; i++) {
			uint64_t a = sw_leaf_addr(leaf, i);

			if (a >= from && a < from + len && leaf->word[i])
				move_word(space, leaf, i, to + (a - from));
		}
	}
	sw_region_remove(space, from, from + len);
	sw_owed_left(&space->owed, from, from + len);
	if (sw_region_insert(space, to, to + len))
		sw_warn_once(
			"out of memory: a moved mapping is served page by page");
}
