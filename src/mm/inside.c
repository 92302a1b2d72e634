/*
 * inside.c - what a program in the same process asks of the manager, and no
 * event tells: another budget while it runs, pages that stay where they are,
 * pages that begin their life in a slot.
 *
 * Above: lib/. Beside: space.c, budget.c. Bringing pages in is not done here:
 * only the thread that reads the space's events may map them.
 */
#include <errno.h>

#include "mm/mm_internal.h"

/* ---- the budget ---- */

void sw_mm_set_budget(struct sw_mm *mm, uint64_t pages)
{
	sw_budget_set(&mm->budget, pages);
	sw_staging_retarget(mm);
	__atomic_store_n(&mm->said_budget, false, __ATOMIC_RELAXED);
	sw_reclaim_wake(mm);
	sw_room_wake(mm);
}

/* ---- pins ---- */

enum sw_pin sw_space_pin(struct sw_space *space, uint64_t addr, bool write)
{
	unsigned i = sw_leaf_index(addr);
	enum sw_pin pin = SW_PIN_MISSING;
	struct sw_leaf *leaf;

	sw_space_lock(space);
	leaf = sw_pt_lookup(&space->pt, addr);
	if (!leaf)
		goto out;
	if (sw_window_of(leaf, i)->busy)
		pin = SW_PIN_BUSY;
	else if (sw_word_kind(leaf->word[i]) == SW_WORD_POISON)
		pin = SW_PIN_LOST;
	else if (sw_word_kind(leaf->word[i]) != SW_WORD_PRESENT)
		pin = SW_PIN_MISSING;
	else if (write && leaf->word[i] & SW_WORD_WP)
		pin = SW_PIN_PROTECTED;
	else
		pin = SW_PIN_DONE;
	if (pin == SW_PIN_DONE)
		sw_word_set(space, leaf, i, leaf->word[i] | SW_WORD_PIN);
out:
	sw_space_unlock(space);
	return pin;
}

void sw_space_unpin(struct sw_space *space, uint64_t start, uint64_t end)
{
	struct sw_leaf *leaf;

	sw_space_lock(space);
	for (uint64_t a = start; a < end; a += SW_PAGE_SIZE) {
		leaf = sw_pt_lookup(&space->pt, a);
		if (leaf)
			leaf->word[sw_leaf_index(a)] &= ~SW_WORD_PIN;
	}
	sw_space_unlock(space);
}

/* ---- without protection ---- */

void sw_space_unprotected(struct sw_space *space)
{
	struct sw_leaf *leaf;

	sw_space_lock(space);
	leaf = sw_pt_next(&space->pt, 0);
	for (; leaf;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES)) {
		for (unsigned i = 0; i < SW_LEAF_PAGES; i++) {
			uint64_t word = leaf->word[i];

			if (sw_word_kind(word) != SW_WORD_PRESENT ||
			    !(word & SW_WORD_WP))
				continue;
			if (word & SW_WORD_CLEAN)
				sw_clean_forget(space, leaf, i);
			sw_word_set(space, leaf, i,
				    sw_word_unshared(leaf->word[i]));
		}
	}
	sw_space_unlock(space);
}

/* ---- single pages ---- */

bool sw_space_is_untouched(struct sw_space *space, uint64_t addr)
{
	struct sw_leaf *leaf;
	bool untouched;

	sw_space_lock(space);
	leaf = sw_pt_lookup(&space->pt, addr);
	untouched = !leaf || leaf->word[sw_leaf_index(addr)] == SW_WORD_NONE;
	sw_space_unlock(space);
	return untouched;
}

int sw_space_adopt(struct sw_space *space, uint64_t addr, uint64_t entry)
{
	unsigned i = sw_leaf_index(addr);
	struct sw_leaf *leaf;
	int err = 0;

	sw_space_lock(space);
	leaf = sw_pt_get(&space->pt, addr);
	if (!leaf)
		err = -ENOMEM;
	else if (leaf->word[i] != SW_WORD_NONE || sw_window_of(leaf, i)->busy)
		err = -EEXIST;
	else
		sw_word_set(space, leaf, i,
			    sw_word_swap((swp_entry_t){ entry }));
	sw_space_unlock(space);
	return err;
}
