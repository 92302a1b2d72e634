/*
 * clock.c - which pages go.
 *
 * The clock: each space is swept from its highest address down, window by
 * window, and what is present and not hot is taken. All are swept side by side,
 * so that a frame which forked spaces share at one address leaves all of them
 * at about the same time: only then memory comes back. Address order makes
 * windows move with one system call and lets swap-in find neighbours side by
 * side. Downwards, because programs go through memory upwards: a hand that
 * went their way, driven by their own faults, would stay just ahead of them and
 * take what they need next. One that comes towards them takes what they have
 * left behind, and a loop larger than memory finds most of itself in place.
 *
 * There is no referenced bit to be had for another process's memory. What is
 * known of a page is how soon it came back: it was still in staging, or so few
 * others went since (the refault distance) that a little more memory would have
 * kept it. Then it is hot (SW_WORD_HOT), and is spared. The hand takes one of
 * these levels away in every PATIENCEth sweep only: to learn again that a page
 * is hot costs a fault, which is dear next to the memory it would have freed.
 * A round that found nothing to take makes the hand impatient.
 *
 * docs/eviction.md has the figures behind the constants; tests/replay finds
 * them.
 *
 * Above: reclaim.c. Below: evict.c takes what was picked.
 */
#include "mm/mm_internal.h"

#define SCAN_LEAVES 64 /* leaves looked at under one lock */
#define PATIENCE    8  /* sweeps until a page is less hot */
#define HOT_STAGED  3  /* levels of a page that came back from staging, */
#define HOT_REFAULT 2  /* or too soon from the store */

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

/* Within three eighths of the budget: more would call half of everything hot
 * that is touched evenly. */
static bool is_too_soon(struct sw_mm *mm, uint64_t shadow)
{
	uint64_t clock = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);

	if (!shadow)
		return false;
	sw_count(workingset_refault_anon, 1);
	if (((clock - shadow) & SHADOW_MASK) >=
	    (uint64_t)mm->budget.limit * 3 / 8)
		return false;
	sw_count(workingset_activate_anon, 1);
	return true;
}

unsigned sw_clock_heat(struct sw_mm *mm, const struct sw_swapin *in)
{
	if (in->source == SW_FROM_STAGED)
		return HOT_STAGED;
	return is_too_soon(mm, in->shadow) ? HOT_REFAULT : 0;
}

/* ---- the hands ---- */

/* The space that is swept least far, of those that have an agent, or NULL. One
 * that gets its agent later goes on from where it was. spaces_lock held. */
static struct sw_space *hindmost(struct sw_mm *mm)
{
	struct sw_space *space, *first = NULL;

	sw_list_for_each(space, &mm->spaces, node)
		if (__atomic_load_n(&space->mmu->can_take, __ATOMIC_ACQUIRE) &&
		    (!first || sw_hand(space) > sw_hand(first)))
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
	if (round) {
		mm->sweep++;
		sw_list_for_each(space, &mm->spaces, node)
			sw_hand_set(space, SW_HAND_TOP);
	}
	sw_mutex_unlock(&mm->spaces_lock);
	return round;
}

void sw_hand_join(struct sw_space *space)
{
	struct sw_space *other = hindmost(space->mm);

	sw_hand_set(space, other ? sw_hand(other) : SW_HAND_TOP);
}

/* ---- choosing ---- */

static bool is_candidate(struct sw_mm *mm, uint64_t word)
{
	if (sw_word_kind(word) != SW_WORD_PRESENT || word & SW_WORD_PIN)
		return false;
	/* Memory comes back only when the last one gives a frame away. */
	return mm->take_shared || !sw_is_shared(mm, word);
}

/* Pages of a window, bit i for the ith. */
struct choice {
	uint64_t go;
	uint64_t spared;
};

static struct choice choose(struct sw_mm *mm, const uint64_t *word)
{
	struct choice c = { 0 };

	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++) {
		if (!is_candidate(mm, word[i]))
			continue;
		if (word[i] & SW_WORD_HOT)
			c.spared |= 1ull << i;
		else
			c.go |= 1ull << i;
	}
	return c;
}

struct runs {
	unsigned nr;
	uint8_t first[SW_WINDOW_PAGES / 2], end[SW_WINDOW_PAGES / 2];
};

/* What goes as runs, which may step over pages that are out. */
static void find_runs(const uint64_t *word, uint64_t go, struct runs *runs)
{
	bool open = false;

	runs->nr = 0;
	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++) {
		if (!(go & 1ull << i)) {
			open &= sw_word_kind(word[i]) == SW_WORD_SWAP;
			continue;
		}
		if (!open)
			runs->first[runs->nr++] = i;
		runs->end[runs->nr - 1] = i + 1;
		open = true;
	}
}

/* Windows take turns, so that no sweep finds everything cold at once. */
static bool cools(struct sw_mm *mm, uint64_t addr)
{
	return mm->impatient ||
	       (mm->sweep + addr / SW_WINDOW_BYTES) % PATIENCE == 0;
}

/* Adds what can go of one window to the batch. False: the batch is full, and
 * nothing was done. */
static bool pick_window(struct sw_space *space, struct sw_evictor *ev,
			struct sw_leaf *leaf, unsigned first)
{
	uint64_t *word = &leaf->word[first];
	struct choice c = choose(space->mm, word);
	struct runs runs;

	find_runs(word, c.go, &runs);
	if (ev->nr_pages + SW_WINDOW_PAGES > ev->nr_ready ||
	    ev->nr_runs + runs.nr > SW_MMU_MAX_RUNS)
		return false;
	if (cools(space->mm, sw_leaf_addr(leaf, first)))
		for (unsigned i = 0; i < SW_WINDOW_PAGES; i++)
			word[i] -= c.spared >> i & 1 ? SW_WORD_HOT_1 : 0;
	for (unsigned r = 0; r < runs.nr; r++)
		sw_evict_add(space, ev, leaf, first + runs.first[r],
			     runs.end[r] - runs.first[r]);
	return true;
}

/* Windows of the leaf that begin below `hand`. */
static unsigned windows_below(const struct sw_leaf *leaf, uint64_t hand)
{
	uint64_t end = sw_min(hand, leaf->base + SW_LEAF_BYTES);

	return (end - leaf->base + SW_WINDOW_BYTES - 1) / SW_WINDOW_BYTES;
}

uint64_t sw_clock_pick(struct sw_space *space, struct sw_evictor *ev,
		       uint64_t hand)
{
	for (unsigned n = 0; hand && n < SCAN_LEAVES; n++) {
		struct sw_leaf *leaf = sw_pt_prev(&space->pt, hand - 1);

		if (!leaf)
			return SW_SWEPT;
		for (unsigned w = windows_below(leaf, hand); w-- > 0;) {
			struct sw_window *win = &leaf->win[w];

			hand = leaf->base + w * SW_WINDOW_BYTES;
			if (!win->present || win->busy)
				continue;
			if (win->refused) {
				win->refused--;
				continue;
			}
			sw_count(pgscan, win->present);
			if (!pick_window(space, ev, leaf, w * SW_WINDOW_PAGES))
				return hand + SW_WINDOW_BYTES;
		}
	}
	return hand;
}
