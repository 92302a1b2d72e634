/*
 * huge_out.c - huge pages of the program on their way out, each a batch of its
 * own: moved by one call, in one piece, into one folio. The kernel has to be asked
 * what is huge, and nothing may be asked with the space lock held: so the clock
 * stops at a leaf of which all may go, the question is put, and the clock goes on.
 *
 * For the leaf to go whole it must be a huge page right now, with all of it cold,
 * unshared and without clean copies. Where there are no slots for it in one
 * piece, larger pieces than a window serve, and below that it is treated as any
 * other pages are, which splits it.
 *
 * Above: clock.c, reclaim.c. Below: prepare.c, evict.c.
 */
#include "base/time.h"
#include "mm/mm_internal.h"

_Static_assert(SW_LEAF_PAGES == SW_HUGE_PAGES, "a leaf is a huge page");

/* In a small budget it would be too large a unit. */
static bool is_worth_it(const struct sw_mm *mm)
{
	return sw_staging_target(mm) >= SW_MIN_PIECES * SW_HUGE_PAGES;
}

static bool windows_may_go(struct sw_leaf *leaf)
{
	uint32_t now_ms = sw_now_ms();

	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
		if (leaf->win[w].present != SW_WINDOW_PAGES ||
		    leaf->win[w].busy || sw_window_rests(&leaf->win[w], now_ms))
			return false;
	return true;
}

/* All words are PRESENT. */
static bool words_may_go(struct sw_mm *mm, const struct sw_leaf *leaf)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < SW_LEAF_PAGES; i++)
		any |= leaf->word[i];
	if (any & (SW_WORD_HOT | SW_WORD_PIN | SW_WORD_CLEAN))
		return false;
	for (unsigned i = 0; any & SW_WORD_SHARED && i < SW_LEAF_PAGES; i++)
		if (sw_is_shared(mm, leaf->word[i]))
			return false;
	return true;
}

static void take_leaf(struct sw_space *space, struct sw_evictor *ev,
		      struct sw_leaf *leaf)
{
	for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++) {
		unsigned i = w * SW_WINDOW_PAGES;

		sw_window_take(leaf, i);
		ev->window[ev->nr_windows++] =
			(struct sw_evict_place){ leaf, i };
	}
	sw_assert_held(&space->lock);
	ev->at[0] = (struct sw_evict_place){ leaf, 0 };
	ev->run[0] = (struct sw_agent_run){ .addr = leaf->base,
					    .nr = SW_HUGE_PAGES };
	ev->nr_runs = 1;
	ev->nr_pages = SW_HUGE_PAGES;
}

enum sw_leaf_way sw_huge_pick(struct sw_space *space, struct sw_evictor *ev,
			      struct sw_leaf *leaf)
{
	if (!is_worth_it(space->mm) || !windows_may_go(leaf) ||
	    !words_may_go(space->mm, leaf))
		return SW_LEAF_APART;
	if (ev->leaf != leaf->base) {
		ev->leaf = leaf->base;
		ev->leaf_known = false;
	}
	if (ev->nr_runs || !ev->leaf_known)
		return SW_LEAF_LATER;
	if (!ev->leaf_is_huge)
		return SW_LEAF_APART;
	take_leaf(space, ev, leaf);
	return SW_LEAF_WHOLE;
}

/* A huge page that goes by windows: each larger piece of it is one that had no
 * slots. */
static void count_fallback(void)
{
	sw_count(thp_swpout_fallback, 1);
	for (unsigned order = SW_ORDER_HUGE; order > SW_ORDER_BLOCK; order--)
		for (unsigned n = 0; n < 1u << (SW_ORDER_HUGE - order); n++) {
			sw_count(swpout_fallback, 1);
			sw_count_order(swpout_fallback, order);
		}
}

bool sw_huge_ask(struct sw_space *space, struct sw_evictor *ev)
{
	struct sw_mm *mm = space->mm;
	struct sw_mmu *mmu = space->mmu;

	if (!ev->leaf || ev->leaf_known)
		return false;
	ev->leaf_known = true;
	ev->leaf_is_huge = mmu->ops->is_huge(mmu, ev->leaf);
	if (!ev->leaf_is_huge)
		return true;
	/* Its buffer counts before it is gone. */
	if (sw_budget_free(&mm->budget) < SW_HUGE_PAGES)
		sw_staging_write(mm, SW_HUGE_PAGES);
	if (!sw_evict_prepare_huge(mm, ev)) {
		ev->leaf_is_huge = false;
		count_fallback();
	}
	return true;
}

void sw_huge_out(struct sw_space *space, struct sw_evictor *ev)
{
	struct sw_leaf *leaf = ev->at[0].leaf;

	sw_space_lock(space);
	leaf->was_huge = ev->taken == SW_HUGE_PAGES;
	sw_space_unlock(space);
}
