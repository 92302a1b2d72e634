/*
 * clock.c - which pages go.
 *
 * The clock: each space is swept in address order, window by window, and what
 * is present is taken. All are swept side by side, so that a frame which forked
 * spaces share at one address leaves all of them at about the same time: only
 * then memory comes back. There is no referenced bit to be had for
 * another process's memory, so the second look that a clock gives to
 * referenced pages is made of two other things: staging (a page that is
 * touched soon after it was taken comes back at the price of a copy), and the
 * refault distance (a page that came back too soon is spared by the next
 * sweeps: SW_WORD_HOT). Address order makes windows move with one system call
 * and lets swap-in find neighbours side by side.
 *
 * Above: reclaim.c. Below: evict.c takes what was picked.
 */
#include "mm/mm_internal.h"

#define SCAN_LEAVES 64 /* leaves looked at under one lock */

/* ---- refault distance ---- */

/*
 * Shadows: the clock of evictions when the page went out, 40 bits. The
 * distance to now is how many pages went out since; were it smaller than
 * what fits the budget, a little more memory would have kept the page, and
 * it deserves to be spared next time (Johannes Weiner's refault distance).
 */
#define SHADOW_BITS 40
#define SHADOW_MASK ((1ull << SHADOW_BITS) - 1)

uint64_t sw_make_shadow(struct sw_mm *mm)
{
	uint64_t clock = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);

	return (clock & SHADOW_MASK) | 1ull << SHADOW_BITS; /* never 0 */
}

bool sw_refault_is_hot(struct sw_mm *mm, uint64_t shadow)
{
	uint64_t clock = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);

	if (!shadow)
		return false;
	sw_count(workingset_refault_anon, 1);
	if (((clock - shadow) & SHADOW_MASK) >= (uint64_t)mm->budget.limit / 2)
		return false;
	sw_count(workingset_activate_anon, 1);
	return true;
}

/* ---- the hands ---- */

/* The space that is swept least far, of those that have an agent, or NULL. One
 * that gets its agent later goes on from where it was. spaces_lock held. */
static struct sw_space *hindmost(struct sw_mm *mm)
{
	struct sw_space *space, *first = NULL;

	sw_list_for_each(space, &mm->spaces, node)
		if (__atomic_load_n(&space->mmu->can_take, __ATOMIC_ACQUIRE) &&
		    (!first || sw_hand(space) < sw_hand(first)))
			first = space;
	return first;
}

struct sw_space *sw_hand_get(struct sw_mm *mm)
{
	struct sw_space *space;

	sw_mutex_lock(&mm->spaces_lock);
	space = hindmost(mm);
	if (space)
		space->users++;
	sw_mutex_unlock(&mm->spaces_lock);
	return space;
}

bool sw_hand_put(struct sw_mm *mm, struct sw_space *space)
{
	bool round;

	sw_mutex_lock(&mm->spaces_lock);
	if (--space->users == 0)
		pthread_cond_broadcast(&mm->unused);
	space = hindmost(mm);
	round = !space || sw_hand(space) == SW_SWEPT;
	if (round)
		sw_list_for_each(space, &mm->spaces, node)
			sw_hand_set(space, 0);
	sw_mutex_unlock(&mm->spaces_lock);
	return round;
}

void sw_hand_join(struct sw_space *space)
{
	struct sw_space *other = hindmost(space->mm);

	sw_hand_set(space, other ? sw_hand(other) : 0);
}

/* ---- choosing ---- */

static bool pickable(struct sw_mm *mm, uint64_t *word)
{
	if (sw_word_kind(*word) != SW_WORD_PRESENT || *word & SW_WORD_PIN)
		return false;
	/* Memory comes back only when the last one gives a frame away. */
	if (!mm->take_shared && sw_is_shared(mm, *word))
		return false;
	if (*word & SW_WORD_HOT) {
		*word -= SW_WORD_HOT_1;
		return false;
	}
	return true;
}

/* Adds what can go of one window to the batch, as runs that may step over
 * pages that are out. False: the batch is full. */
static bool pick_window(struct sw_space *space, struct sw_evictor *ev,
			struct sw_leaf *leaf, unsigned first)
{
	unsigned end = first + SW_WINDOW_PAGES;

	if (ev->nr_pages + SW_WINDOW_PAGES > ev->nr_ready ||
	    ev->nr_runs + 8 > SW_MMU_MAX_RUNS)
		return false;
	for (unsigned i = first; i < end; i++) {
		unsigned last = i, k;

		if (!pickable(space->mm, &leaf->word[i]))
			continue;
		for (k = i + 1; k < end; k++) {
			if (sw_word_kind(leaf->word[k]) == SW_WORD_SWAP)
				continue;
			if (!pickable(space->mm, &leaf->word[k]))
				break;
			last = k;
		}
		if (ev->nr_runs == SW_MMU_MAX_RUNS)
			return false;
		sw_evict_add(space, ev, leaf, i, last - i + 1);
		i = k;
	}
	return true;
}

uint64_t sw_clock_pick(struct sw_space *space, struct sw_evictor *ev,
		       uint64_t hand)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, hand);

	for (unsigned n = 0; leaf && n < SCAN_LEAVES; n++) {
		unsigned w = hand > leaf->base
				     ? (hand - leaf->base) / SW_WINDOW_BYTES
				     : 0;

		for (; w < SW_LEAF_WINDOWS; w++) {
			struct sw_window *win = &leaf->win[w];

			if (!win->present || win->busy)
				continue;
			if (win->refused) {
				win->refused--;
				continue;
			}
			sw_count(pgscan, win->present);
			if (!pick_window(space, ev, leaf, w * SW_WINDOW_PAGES))
				return leaf->base + w * SW_WINDOW_BYTES;
		}
		hand = leaf->base + SW_LEAF_BYTES;
		leaf = sw_pt_next(&space->pt, hand);
	}
	return leaf ? hand : SW_SWEPT;
}
