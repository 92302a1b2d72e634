/*
 * stress.h - a thread of stress_mm, what it knows of its pages, and all that can
 * be said of one that does not hold what it should: there may be no second time.
 */
#ifndef SW_MM_STRESS_H
#define SW_MM_STRESS_H

#include "fixture.h"

#define AREA_LARGE 1024u /* pages; wherever it lies, a huge page fits */

static uint64_t seed;

/* A thread of a program and the area it owns. */
struct worker {
	struct sw_sim *sim;
	uint64_t at; /* address of the area */
	uint64_t rng, next;
	uint64_t value[AREA_LARGE];
	bool is_child;

	/* What it did last with each page, and in which step. */
	const char *did[AREA_LARGE];
	uint64_t did_at[AREA_LARGE];
	uint64_t steps, moved, forked; /* so far; the area was; it was */
};

static inline uint64_t rnd(struct worker *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 11) % below;
}

static inline void did(struct worker *w, unsigned page, const char *what)
{
	w->did[page] = what;
	w->did_at[page] = w->steps;
}

/* ---- the end ---- */

#define stop_with(...)                                                    \
	do {                                                              \
		fprintf(stderr, "seed %llu: ", (unsigned long long)seed); \
		fprintf(stderr, __VA_ARGS__);                             \
		fputc('\n', stderr);                                      \
		abort();                                                  \
	} while (0)

static inline void say_slot(swp_entry_t entry)
{
	fprintf(stderr, "slot %u:%llu with %u owners%s%s",
		(unsigned)swp_type(entry),
		(unsigned long long)swp_offset(entry), swp_swapcount(entry),
		swap_cache_has_folio(entry) ? ", cached" : "",
		swap_zeromap_test(entry) ? ", of zeros" : "");
}

/* What the manager believes of a page, and whether the program has it. */
static inline void say_word(struct sw_sim *sim, uint64_t addr)
{
	static const char *const kind[] = { "none", "present", "out", "lost" };
	struct sw_space *space = sw_sim_mmu(sim)->space;
	struct sw_leaf *leaf;
	uint64_t word = 0;

	sw_space_lock(space);
	leaf = sw_pt_lookup(&space->pt, addr);
	if (leaf)
		word = leaf->word[sw_leaf_index(addr)];
	fprintf(stderr, "  its word is %#llx: %s", (unsigned long long)word,
		kind[sw_word_kind(word)]);
	if (sw_word_kind(word) == SW_WORD_SWAP || word & SW_WORD_CLEAN) {
		fputs(", ", stderr);
		say_slot(sw_word_entry(word));
	}
	if (leaf && sw_window_of(leaf, sw_leaf_index(addr))->busy)
		fputs("; somebody is at work on its window", stderr);
	fprintf(stderr, "; the program has %s; freezing is in state %d\n",
		sw_sim_is_present(sim, addr) ? "a page" : "none",
		(int)space->mm->freeze.state);
	sw_space_unlock(space);
}

static inline uint64_t ago(const struct worker *w, uint64_t step)
{
	return w->steps - step;
}

static inline void say_page(const struct worker *w, unsigned page)
{
	uint64_t addr = w->at + page * PG;

	fprintf(stderr,
		"page %u of a %s, at %#llx, should read %llu:\n"
		"  it was %s %llu steps ago; the area moved %llu and the thread forked %llu steps ago\n",
		page, w->is_child ? "child" : "thread",
		(unsigned long long)addr, (unsigned long long)w->value[page],
		w->did[page], (unsigned long long)ago(w, w->did_at[page]),
		(unsigned long long)ago(w, w->moved),
		(unsigned long long)ago(w, w->forked));
	say_word(w->sim, addr);
}

/* ---- its pages ---- */

static inline void read_page(struct worker *w, unsigned i)
{
	uint64_t got = 0;
	int err = sw_sim_read(w->sim, w->at + i * PG + 8, &got);

	if (!err && got == w->value[i]) {
		did(w, i, "read");
		return;
	}
	say_page(w, i);
	if (err)
		stop_with("it cannot be read: %s", strerror(-err));
	stop_with("it reads %llu", (unsigned long long)got);
}

static inline void write_page(struct worker *w, unsigned i)
{
	uint64_t value = rnd(w, 8) ? ++w->next : 0;
	int err = sw_sim_write(w->sim, w->at + i * PG + 8, value);

	if (err) {
		say_page(w, i);
		stop_with("it cannot be written: %s", strerror(-err));
	}
	w->value[i] = value;
	did(w, i, "written");
}

#endif
