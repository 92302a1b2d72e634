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
 * What is known of a page may be no more than how soon it came back: it was
 * still in staging, or so few others went since (the refault distance) that a
 * little more memory would have kept it. Then it is hot (SW_WORD_HOT), and is
 * spared. The hand takes one of these levels away in every PATIENCEth sweep
 * only: to learn again that a page is hot costs a fault, which is dear next to
 * the memory it would have freed. A round that found nothing to take makes the
 * hand impatient.
 *
 * With a source of accessed bits (heat.h) a hot page that was touched becomes
 * hotter, and each sweep takes a level away. The first touch of a page proves
 * nothing, since mapping it was one: a page that is not hot is believed in
 * every other sweep only. So half of what comes by once goes at once, and a
 * loop larger than memory keeps a part of itself. For the same reason nothing
 * is hot for having come back while most of what the hand meets is hot.
 *
 * docs/eviction.md has the figures behind the constants; tests/replay finds
 * them.
 *
 * Above: reclaim.c. Below: evict.c takes what was picked.
 */
#include "base/time.h"
#include "mm/mm_internal.h"

#define SCAN_LEAVES 64 /* leaves looked at under one lock */
#define PATIENCE    8  /* sweeps until a page is less hot */
#define HOT_STAGED  3  /* levels of a page that came back from staging, */
#define HOT_REFAULT 2  /* or too soon from the store */
#define HOT_TOUCHED 2  /* and for being touched, at most up to */
#define HOT_MAX     3

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

uint64_t sw_refault_distance(struct sw_mm *mm, uint64_t shadow)
{
	uint64_t clock = __atomic_load_n(&mm->evictions, __ATOMIC_RELAXED);

	return shadow ? (clock - shadow) & SHADOW_MASK : 0;
}

/* Within three eighths of the budget: more would call half of everything hot
 * that is touched evenly. */
static bool is_too_soon(struct sw_mm *mm, uint64_t shadow)
{
	if (!shadow)
		return false;
	sw_count(workingset_refault_anon, 1);
	if (sw_refault_distance(mm, shadow) >=
	    (uint64_t)sw_budget_limit(&mm->budget) * 3 / 8)
		return false;
	sw_count(workingset_activate_anon, 1);
	return true;
}

/* Is most of what the hand meets hot? Unknown without a source: there, hot is
 * only what came back, and most of it is not any more. */
static bool is_crowded(struct sw_mm *mm)
{
	uint64_t met = __atomic_load_n(&mm->met, __ATOMIC_RELAXED);
	uint64_t spared = __atomic_load_n(&mm->spared, __ATOMIC_RELAXED);

	return sw_heat_is_known(mm) && spared * 8 > met * 5;
}

unsigned sw_clock_heat(struct sw_mm *mm, const struct sw_swapin *in)
{
	if (is_crowded(mm))
		return 0;
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

static void set_to_top(struct sw_space *space)
{
	sw_hand_set(space, SW_HAND_TOP);
	space->asked = SW_HAND_TOP;
}

struct sw_space *sw_advised_get(struct sw_mm *mm, bool now)
{
	struct sw_space *space, *found = NULL;

	sw_mutex_lock(&mm->spaces_lock);
	sw_list_for_each(space, &mm->spaces, node)
		if (!found && sw_advice_waits(space, now) &&
		    __atomic_load_n(&space->mmu->can_take, __ATOMIC_ACQUIRE))
			found = space;
	if (found)
		found->users++;
	sw_mutex_unlock(&mm->spaces_lock);
	return found;
}

/* spaces_lock held. */
static void put(struct sw_mm *mm, struct sw_space *space)
{
	if (--space->users == 0)
		pthread_cond_broadcast(&mm->unused);
}

void sw_space_put(struct sw_mm *mm, struct sw_space *space)
{
	sw_mutex_lock(&mm->spaces_lock);
	put(mm, space);
	sw_mutex_unlock(&mm->spaces_lock);
}

bool sw_hand_put(struct sw_mm *mm, struct sw_space *space)
{
	bool round;

	sw_mutex_lock(&mm->spaces_lock);
	put(mm, space);
	space = hindmost(mm);
	round = !space || sw_hand(space) == SW_SWEPT;
	if (round) {
		mm->sweep++;
		sw_list_for_each(space, &mm->spaces, node)
			set_to_top(space);
	}
	sw_mutex_unlock(&mm->spaces_lock);
	return round;
}

void sw_hand_join(struct sw_space *space)
{
	struct sw_space *other = hindmost(space->mm);

	set_to_top(space);
	if (other)
		sw_hand_set(space, sw_hand(other));
}

/* ---- asking what was touched ---- */

static bool is_candidate(struct sw_mm *mm, uint64_t word)
{
	if (sw_word_kind(word) != SW_WORD_PRESENT || word & SW_WORD_PIN)
		return false;
	/* Memory comes back only when the last one gives a frame away. */
	return mm->take_shared || !sw_is_shared(mm, word);
}

/* Windows of the leaf that begin below `hand`. */
static unsigned windows_below(const struct sw_leaf *leaf, uint64_t hand)
{
	uint64_t end = sw_min(hand, leaf->base + SW_LEAF_BYTES);

	return (end - leaf->base + SW_WINDOW_BYTES - 1) / SW_WINDOW_BYTES;
}

static uint64_t candidates(struct sw_mm *mm, const uint64_t *word)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++)
		mask |= (uint64_t)is_candidate(mm, word[i]) << i;
	return mask;
}

/* The windows below `hand` that have anything to ask for, the next few of
 * them; space->asked is how far that reaches. */
static unsigned windows_ahead(struct sw_space *space, uint64_t hand,
			      struct sw_heat_window *ask)
{
	unsigned nr = 0;

	space->asked = hand;
	for (unsigned n = 0; space->asked && n < SCAN_LEAVES; n++) {
		struct sw_leaf *leaf = sw_pt_prev(&space->pt, space->asked - 1);

		if (!leaf) {
			space->asked = SW_SWEPT;
			return nr;
		}
		/* What may be a huge page is asked for as a whole. */
		if (nr + windows_below(leaf, space->asked) > SW_HEAT_WINDOWS)
			return nr;
		for (unsigned w = windows_below(leaf, space->asked); w-- > 0;) {
			struct sw_heat_window *a = &ask[nr];

			space->asked = leaf->base + w * SW_WINDOW_BYTES;
			a->addr = space->asked;
			a->touched = 0;
			a->asked = candidates(space->mm,
					      &leaf->word[w * SW_WINDOW_PAGES]);
			nr += a->asked != 0;
		}
	}
	return nr;
}

static void note_touched(struct sw_space *space,
			 const struct sw_heat_window *win)
{
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, win->addr);
	bool believed = (space->mm->sweep + win->addr / SW_WINDOW_BYTES) % 2;
	unsigned first = sw_leaf_index(win->addr);

	for (unsigned i = 0; leaf && i < SW_WINDOW_PAGES; i++) {
		uint64_t *word = &leaf->word[first + i];
		unsigned hot = (*word & SW_WORD_HOT) / SW_WORD_HOT_1;

		if (!(win->touched >> i & 1) || (!hot && !believed) ||
		    sw_word_kind(*word) != SW_WORD_PRESENT)
			continue;
		hot = sw_min(hot + HOT_TOUCHED, HOT_MAX);
		*word = (*word & ~SW_WORD_HOT) | hot * SW_WORD_HOT_1;
	}
}

void sw_clock_ask(struct sw_space *space)
{
	const struct sw_heat *heat = space->mm->heat;
	struct sw_heat_window ask[SW_HEAT_WINDOWS];
	uint64_t hand = sw_hand(space);
	unsigned nr;
	bool known;

	/* Impatient, it does not want to hear that all is in use. */
	if (!heat || space->mm->impatient) {
		space->asked = SW_SWEPT;
		return;
	}
	if (hand > space->asked)
		return;
	sw_space_lock(space);
	nr = windows_ahead(space, hand, ask);
	sw_space_unlock(space);
	if (!nr)
		return;
	known = !heat->touched(heat->arg, space, ask, nr);
	__atomic_store_n(&space->mm->heat_known, known, __ATOMIC_RELAXED);
	if (!known)
		return;
	sw_space_lock(space);
	for (unsigned w = 0; w < nr; w++)
		note_touched(space, &ask[w]);
	sw_space_unlock(space);
}

/* ---- choosing ---- */

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
	return sw_heat_is_known(mm) || mm->impatient ||
	       (mm->sweep + addr / SW_WINDOW_BYTES) % PATIENCE == 0;
}

/* How much of what the hand met was hot; what was long ago counts less. */
static void note_met(struct sw_mm *mm, const struct choice *c)
{
	uint64_t spared = mm->spared + __builtin_popcountll(c->spared);
	uint64_t met = mm->met + __builtin_popcountll(c->spared | c->go);
	bool halve = met > (uint64_t)sw_budget_limit(&mm->budget) / 4;

	__atomic_store_n(&mm->spared, spared >> halve, __ATOMIC_RELAXED);
	__atomic_store_n(&mm->met, met >> halve, __ATOMIC_RELAXED);
}

/* Adds pages of one window to the batch. False: the batch is full, and nothing
 * was done. */
static bool add_pages(struct sw_space *space, struct sw_evictor *ev,
		      struct sw_leaf *leaf, unsigned first, uint64_t go)
{
	struct runs runs;

	find_runs(&leaf->word[first], go, &runs);
	if (ev->nr_pages + SW_WINDOW_PAGES >
		    sw_min(ev->nr_ready, SW_PREPARED) ||
	    ev->nr_runs + runs.nr > SW_MMU_MAX_RUNS)
		return false;
	for (unsigned r = 0; r < runs.nr; r++)
		sw_evict_add(space, ev, leaf, first + runs.first[r],
			     runs.end[r] - runs.first[r]);
	return true;
}

/* The same with what the hand finds to go. */
static bool pick_window(struct sw_space *space, struct sw_evictor *ev,
			struct sw_leaf *leaf, unsigned first)
{
	uint64_t *word = &leaf->word[first];
	struct choice c = choose(space->mm, word);

	if (!add_pages(space, ev, leaf, first, c.go))
		return false;
	note_met(space->mm, &c);
	if (cools(space->mm, sw_leaf_addr(leaf, first)))
		for (unsigned i = 0; i < SW_WINDOW_PAGES; i++)
			word[i] -= c.spared >> i & 1 ? SW_WORD_HOT_1 : 0;
	return true;
}

/* A leaf that the hand finds cold all over may go whole. */
static enum sw_leaf_way pick_leaf(struct sw_space *space, struct sw_evictor *ev,
				  struct sw_leaf *leaf)
{
	enum sw_leaf_way way = sw_huge_pick(space, ev, leaf);
	struct choice all = { .go = ~0ull };

	for (unsigned w = 0; w < SW_LEAF_WINDOWS && way == SW_LEAF_WHOLE; w++) {
		sw_count(pgscan, SW_WINDOW_PAGES);
		note_met(space->mm, &all);
	}
	return way;
}

uint64_t sw_clock_pick(struct sw_space *space, struct sw_evictor *ev,
		       uint64_t hand)
{
	uint32_t now_ms = sw_now_ms();

	for (unsigned n = 0; hand > space->asked && n < SCAN_LEAVES; n++) {
		struct sw_leaf *leaf = sw_pt_prev(&space->pt, hand - 1);

		enum sw_leaf_way way = SW_LEAF_APART;

		if (!leaf)
			return SW_SWEPT;
		if (hand >= leaf->base + SW_LEAF_BYTES &&
		    space->asked <= leaf->base)
			way = pick_leaf(space, ev, leaf);
		if (way != SW_LEAF_APART)
			return way == SW_LEAF_LATER ? hand : leaf->base;
		for (unsigned w = windows_below(leaf, hand); w-- > 0;) {
			struct sw_window *win = &leaf->win[w];

			if (hand == space->asked)
				return hand;
			hand = leaf->base + w * SW_WINDOW_BYTES;
			if (!win->present || win->busy)
				continue;
			if (sw_window_rests(win, now_ms))
				continue;
			sw_count(pgscan, win->present);
			if (!pick_window(space, ev, leaf, w * SW_WINDOW_PAGES))
				return hand + SW_WINDOW_BYTES;
		}
	}
	return hand;
}

/* Pages of the window at `at` that lie in [start, end). */
static uint64_t pages_within(uint64_t at, uint64_t start, uint64_t end)
{
	uint64_t mask = ~0ull;

	if (start > at)
		mask <<= (start - at) / SW_PAGE_SIZE;
	if (end < at + SW_WINDOW_BYTES)
		mask &= ~(~0ull << (end - at) / SW_PAGE_SIZE);
	return mask;
}

/* Is the window taken for this batch already, for another range of it? */
static bool is_in_batch(const struct sw_evictor *ev, const struct sw_leaf *leaf,
			unsigned w)
{
	for (unsigned k = 0; k < ev->nr_windows; k++)
		if (ev->window[k].leaf == leaf &&
		    ev->window[k].i / SW_WINDOW_PAGES == w)
			return true;
	return false;
}

/* Adds what may go of window `w` within [start, end). False: the batch is
 * full. */
static bool pick_within(struct sw_space *space, struct sw_evictor *ev,
			struct sw_leaf *leaf, unsigned w, uint64_t start,
			uint64_t end)
{
	struct sw_window *win = &leaf->win[w];
	unsigned first = w * SW_WINDOW_PAGES;
	uint64_t go;

	if (!win->present || sw_window_rests(win, sw_now_ms()) ||
	    (win->busy && !is_in_batch(ev, leaf, w)))
		return true;
	go = choose(space->mm, &leaf->word[first]).go &
	     pages_within(sw_leaf_addr(leaf, first), start, end);
	return add_pages(space, ev, leaf, first, go);
}

uint64_t sw_clock_pick_range(struct sw_space *space, struct sw_evictor *ev,
			     uint64_t start, uint64_t end)
{
	for (unsigned n = 0; end > start && n < SCAN_LEAVES; n++) {
		struct sw_leaf *leaf = sw_pt_prev(&space->pt, end - 1);
		enum sw_leaf_way way = SW_LEAF_APART;

		if (!leaf || leaf->base + SW_LEAF_BYTES <= start)
			return start;
		if (leaf->base >= start && end >= leaf->base + SW_LEAF_BYTES)
			way = sw_huge_pick(space, ev, leaf);
		if (way != SW_LEAF_APART)
			return way == SW_LEAF_LATER ? end : leaf->base;
		for (unsigned w = windows_below(leaf, end); w-- > 0;) {
			uint64_t at = leaf->base + w * SW_WINDOW_BYTES;

			if (at + SW_WINDOW_BYTES <= start)
				return start;
			if (!pick_within(space, ev, leaf, w, start, end))
				return end;
			end = sw_max(at, start);
		}
	}
	return end;
}
