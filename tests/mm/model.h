/*
 * model.h - random programs against the most naive model of memory there is:
 * one number a page. Every step is checked against the invariants of the swap
 * layer and the books of the memory manager.
 */
#ifndef SW_MM_MODEL_H
#define SW_MM_MODEL_H

#include "fixture.h"

#define MD_SPACES 6
#define MD_PAGES  1024u /* at most, */
#define MD_SMALL  512u  /* or without huge pages */
#define MD_HUGE   128u  /* page that begins a huge one */

struct md_space {
	struct sw_sim *sim;
	bool mapped[MD_PAGES];
	uint64_t value[MD_PAGES];
};

struct model {
	struct fx f;
	struct md_space space[MD_SPACES];
	uint64_t seed, rng, steps, next_value;
	unsigned sigbus; /* reads of poisoned pages, where allowed */
	bool exact;      /* no copy is made unseen: the books must be right */
	bool allow_late; /* a read may come late, and the access then */
	bool allow_loss; /* a store may lose pages: SIGBUS, never zeros */
	bool check;      /* walk all invariants after each step */
	bool devices;    /* they come and go */
	bool huge;       /* there are huge pages */
	unsigned pages;  /* that are used of each space */
};

static inline uint64_t md_random(struct model *m, uint64_t below)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return (m->rng >> 11) % below;
}

static inline void md_die(struct model *m, const char *what, unsigned s,
			  unsigned page)
{
	fprintf(stderr, "seed %llu, step %llu: space %u page %u: %s\n",
		(unsigned long long)m->seed, (unsigned long long)m->steps, s,
		page, what);
	abort();
}

/* ---- checks ---- */

/* How many words of all spaces own the slot. */
static inline unsigned md_owners(void *arg, swp_entry_t entry)
{
	struct model *m = arg;
	unsigned n = 0;

	for (unsigned s = 0; s < MD_SPACES; s++) {
		struct sw_sim *sim = m->space[s].sim;

		for (unsigned i = 0; sim && i < m->pages; i++) {
			uint64_t word = fx_word(sim, i);

			n += sw_word_kind(word) == SW_WORD_SWAP &&
			     sw_word_entry(word).val == entry.val;
		}
	}
	return n;
}

/* The words of a space against what is really in its pages. */
static inline void md_check_words(struct model *m, unsigned s)
{
	struct sw_sim *sim = m->space[s].sim;

	for (unsigned i = 0; i < m->pages; i++) {
		uint64_t word = fx_word(sim, i);
		bool present = sw_sim_is_present(sim, fx_at(i));

		if (sw_word_kind(word) == SW_WORD_SWAP && present)
			md_die(m, "out, but the program has it", s, i);
		if (sw_word_kind(word) == SW_WORD_PRESENT && !present)
			md_die(m, "called present, but missing", s, i);
		if (sw_word_kind(word) == SW_WORD_NONE && present)
			md_die(m, "present and unknown", s, i);
		if (word && !m->space[s].mapped[i])
			md_die(m, "a word for no mapping", s, i);
	}
	if (fx_check_space(sw_sim_mmu(sim)->space))
		md_die(m, "the books of the space are wrong", s, 0);
}

/* What is really in memory: a frame that several spaces show, once. */
static inline double md_frames(struct model *m, struct sw_sim *sim)
{
	double frames = 0;

	for (unsigned i = 0; i < m->pages; i++)
		if (sw_sim_is_present(sim, fx_at(i)))
			frames += 1.0 / sw_sim_sharers(sim, fx_at(i));
	return frames;
}

static inline void md_check(struct model *m, bool owners)
{
	struct sw_budget *b = &m->f.mm->budget;
	int64_t resident = 0;
	double frames = 0;

	for (unsigned s = 0; s < MD_SPACES; s++) {
		struct sw_sim *sim = m->space[s].sim;

		if (!sim)
			continue;
		if (owners) {
			md_check_words(m, s);
			frames += md_frames(m, sim);
		}
		resident += sw_space_resident(sw_sim_mmu(sim)->space);
	}
	if (resident != b->resident)
		md_die(m, "budget.resident is wrong", 0, 0);
	/* More only where a write to come was accounted already. */
	if (owners && m->exact &&
	    resident - b->shared < (int64_t)(frames + 0.5))
		md_die(m, "budget.shared is wrong", 0, 0);
	if (swap_check(owners ? md_owners : NULL, m))
		md_die(m, "swap_check", 0, 0);
}

/* ---- steps ---- */

static inline void md_read(struct model *m, unsigned s, unsigned i)
{
	struct md_space *sp = &m->space[s];
	uint64_t got = 0, want = sp->mapped[i] ? sp->value[i] : 0;
	int err;

	/* Not answered: its device is late. */
	do {
		err = sw_sim_read(sp->sim, fx_at(i), &got);
	} while (err == -EDEADLK && m->allow_late);

	if (err == -EIO && m->allow_loss) {
		m->sigbus++;
		return;
	}
	if (err != (sp->mapped[i] ? 0 : -EFAULT))
		md_die(m, strerror(-err), s, i);
	if (got != want) {
		fprintf(stderr, "got %llu, want %llu\n",
			(unsigned long long)got, (unsigned long long)want);
		md_die(m, "wrong value", s, i);
	}
}

static inline void md_write(struct model *m, unsigned s, unsigned i)
{
	struct md_space *sp = &m->space[s];
	/* Zeros now and then: their slots are only marked. */
	uint64_t value = md_random(m, 8) ? ++m->next_value : 0;
	int err;

	do {
		err = sw_sim_write(sp->sim, fx_at(i), value);
	} while (err == -EDEADLK && m->allow_late);

	if (err == -EIO && m->allow_loss) {
		m->sigbus++;
		return;
	}
	if (err != (sp->mapped[i] ? 0 : -EFAULT))
		md_die(m, strerror(-err), s, i);
	sp->value[i] = value;
}

/* A random range of at most `max` pages. */
static inline unsigned md_range(struct model *m, unsigned max, unsigned *nr)
{
	max = sw_min(max, m->pages);
	*nr = 1 + md_random(m, md_random(m, 4) ? sw_min(max, 16u) : max);
	return md_random(m, m->pages - *nr + 1);
}

static inline void md_map(struct model *m, unsigned s)
{
	struct md_space *sp = &m->space[s];
	unsigned nr, i = md_range(m, 200, &nr), end = i + nr;

	/* Whatever of the range is free, up to the first taken page. */
	while (i < end && sp->mapped[i])
		i++;
	for (nr = 0; i + nr < end && !sp->mapped[i + nr]; nr++) {
		sp->mapped[i + nr] = true;
		sp->value[i + nr] = 0;
	}
	if (nr)
		fx_map(sp->sim, i, nr);
}

static inline void md_munmap(struct model *m, unsigned s)
{
	unsigned nr, i = md_range(m, 64, &nr);

	sw_sim_munmap(m->space[s].sim, fx_at(i), fx_at(i + nr));
	memset(&m->space[s].mapped[i], 0, nr);
}

static inline void md_dontneed(struct model *m, unsigned s)
{
	struct md_space *sp = &m->space[s];
	unsigned nr, i = md_range(m, 64, &nr);

	for (unsigned k = i; k < i + nr; k++)
		if (!sp->mapped[k])
			return;
	sw_sim_dontneed(sp->sim, fx_at(i), fx_at(i + nr));
	memset(&sp->value[i], 0, nr * sizeof(sp->value[0]));
}

static inline void md_mremap(struct model *m, unsigned s)
{
	struct md_space *sp = &m->space[s];
	unsigned nr, from = md_range(m, 64, &nr);
	unsigned to = md_random(m, m->pages - nr + 1);

	if (to < from + nr && from < to + nr)
		return;
	for (unsigned k = from; k < from + nr; k++)
		if (!sp->mapped[k])
			return;
	sw_sim_mremap(sp->sim, fx_at(from), fx_at(to), nr * PG);
	memset(&sp->mapped[to], 1, nr);
	memset(&sp->mapped[from], 0, nr);
	memcpy(&sp->value[to], &sp->value[from], nr * sizeof(sp->value[0]));
}

static inline void md_fork(struct model *m, unsigned s)
{
	for (unsigned c = 0; c < MD_SPACES; c++) {
		if (m->space[c].sim)
			continue;
		/* Half of them while some other call is under way, so that
                 * what the two share cannot be write-protected. */
		bool late = md_random(m, 2) && !m->exact;

		m->space[c] = m->space[s];
		if (md_random(m, 2))
			sw_sim_announce_fork(m->space[s].sim);
		sw_sim_change(m->space[s].sim, late);
		m->space[c].sim = sw_sim_fork(m->space[s].sim);
		sw_sim_change(m->space[s].sim, -(int)late);
		return;
	}
}

static inline void md_exit(struct model *m, unsigned s)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < MD_SPACES; i++)
		alive += m->space[i].sim != NULL;
	if (alive < 2)
		return;
	fx_end(m->space[s].sim);
	m->space[s].sim = NULL;
}

/* A run of pages, up or down: streams, windows, read-ahead. */
static inline void md_sweep(struct model *m, unsigned s)
{
	unsigned nr, i = md_range(m, m->huge ? m->pages : 150, &nr);
	bool write = md_random(m, 2), down = !md_random(m, 4);

	for (unsigned k = 0; k < nr; k++) {
		unsigned at = down ? i + nr - 1 - k : i + k;

		if (write)
			md_write(m, s, at);
		else
			md_read(m, s, at);
	}
}

static inline void md_reclaim(struct model *m, unsigned s)
{
	unsigned nr = 1 + md_random(m, 4);

	/* Pages under I/O, or of a kind that is not moved, come and go. */
	for (unsigned i = md_random(m, 4); i-- && !m->exact;)
		sw_sim_pin(m->space[s].sim, fx_at(md_random(m, m->pages)),
			   md_random(m, 2));
	if (!md_random(m, 8))
		sw_sim_refuse(m->space[s].sim, fx_at(md_random(m, m->pages)),
			      md_random(m, 2));
	while (nr--) {
		sw_reclaim_advised(m->f.mm);
		sw_reclaim_evict(m->f.mm);
	}
	if (md_random(m, 2))
		sw_staging_write(m->f.mm, 1 + md_random(m, 200));
}

/* Whatever the range, nothing changes for the program. */
static inline void md_advise(struct model *m, unsigned s)
{
	unsigned first = md_random(m, m->pages);
	unsigned nr = 1 + md_random(m, m->pages);

	if (m->huge && md_random(m, 2)) {
		first = 0;
		nr = m->pages;
	}
	sw_sim_advise(m->space[s].sim, fx_at(first), fx_at(first + nr),
		      1 + md_random(m, SW_NR_ADVICE - 1));
}

/* A look that knows no better asks about any range, and nothing changes. */
static inline void md_forget(struct model *m, unsigned s)
{
	struct sw_space *space = sw_sim_mmu(m->space[s].sim)->space;
	unsigned nr, i = md_range(m, MD_PAGES, &nr);
	int err = sw_space_forget(space, fx_at(i), fx_at(i + nr));

	if (err && err != -EAGAIN)
		md_die(m, strerror(-err), s, i);
}

/* What takes the place of a range, and goes again, nobody tells us of. */
static inline void md_replace(struct model *m, unsigned s)
{
	struct sw_sim *sim = m->space[s].sim;
	unsigned nr, i = md_range(m, 64, &nr);
	int err;

	sw_sim_replace_unseen(sim, fx_at(i), fx_at(i + nr));
	do {
		err = sw_space_forget(sw_sim_mmu(sim)->space, fx_at(i),
				      fx_at(i + nr));
	} while (err == -EAGAIN);
	sw_sim_munmap(sim, fx_at(i), fx_at(i + nr));
	memset(&m->space[s].mapped[i], 0, nr);
}

static inline bool md_goes_on(void *arg, uint64_t left, uint64_t total)
{
	struct model *m = arg;

	if (left > total)
		md_die(m, "more is left of a device than was on it", 0, 0);
	return md_random(m, 4);
}

/* One of two devices goes off, or the one that is off comes. */
static inline void md_device(struct model *m)
{
	struct fx *f = &m->f;
	struct sw_off off = { md_goes_on, m };
	int *type = md_random(m, 2) ? &f->type : &f->other_type, err;

	if (f->type < 0) {
		f->type = fx_store_on(&f->store, f->slots, -1);
	} else if (f->other_type < 0) {
		f->other_type = fx_store_on(&f->other, f->slots,
					    (int)md_random(m, 3) - 1);
	} else {
		err = sw_mm_swapoff(f->mm, *type, &off);
		if (err && err != -EINTR)
			md_die(m, strerror(-err), 0, 0);
		*type = err ? *type : -1;
	}
}

/* A stream down to it, and through it. */
static inline void md_read_down(struct model *m, unsigned s)
{
	for (unsigned i = MD_PAGES; i-- > MD_HUGE;)
		md_read(m, s, i);
}

/* New content in a huge page and what lies behind it. */
static inline void md_huge(struct model *m, unsigned s)
{
	struct md_space *sp = &m->space[s];
	uint64_t start = fx_at(MD_HUGE), end = fx_at(MD_PAGES);
	unsigned nr = MD_PAGES - MD_HUGE;

	sw_sim_munmap(sp->sim, start, end);
	fx_map(sp->sim, MD_HUGE, nr);
	memset(&sp->mapped[MD_HUGE], 1, nr);
	memset(&sp->value[MD_HUGE], 0, nr * sizeof(sp->value[0]));
	for (unsigned i = MD_HUGE; i < MD_PAGES; i++)
		md_write(m, s, i);
	sw_sim_collapse(sp->sim, start);
	if (md_random(m, 2))
		return;
	sw_sim_advise(sp->sim, start, end, SW_ADVICE_PAGEOUT);
	for (unsigned n = md_random(m, 12); n; n--)
		sw_reclaim_advised(m->f.mm);
	if (md_random(m, 2))
		sw_staging_write(m->f.mm, 1 << 20);
	if (!md_random(m, 4))
		md_fork(m, s);
	if (md_random(m, 2))
		md_read_down(m, s);
	else if (md_random(m, 2))
		sw_sim_advise(sp->sim, start, end, SW_ADVICE_WILLNEED);
}

static inline void md_step(struct model *m)
{
	unsigned s;

	m->steps++;
	if (m->devices && !md_random(m, 40))
		md_device(m);
	do {
		s = md_random(m, MD_SPACES);
	} while (!m->space[s].sim);
	if (m->huge && !md_random(m, 16)) {
		md_huge(m, s);
		return;
	}
	switch (md_random(m, 100)) {
	case 0 ... 24:
		md_read(m, s, md_random(m, m->pages));
		break;
	case 25 ... 49:
		md_write(m, s, md_random(m, m->pages));
		break;
	case 50 ... 61:
		md_sweep(m, s);
		break;
	case 62 ... 63:
		md_advise(m, s);
		break;
	case 64:
		if (md_random(m, 2))
			md_replace(m, s);
		else
			md_forget(m, s);
		break;
	case 65 ... 80:
		md_reclaim(m, s);
		break;
	case 81 ... 85:
		md_map(m, s);
		break;
	case 86 ... 89:
		md_munmap(m, s);
		break;
	case 90 ... 92:
		md_dontneed(m, s);
		break;
	case 93 ... 95:
		md_mremap(m, s);
		break;
	case 96 ... 97:
		md_fork(m, s);
		break;
	default:
		md_exit(m, s);
	}
}

static inline void md_open(struct model *m, uint64_t seed, uint64_t slots,
			   bool huge)
{
	*m = (struct model){ .seed = seed,
			     .rng = seed * 0x9e3779b97f4a7c15ull | 1,
			     .check = true,
			     .huge = huge,
			     .pages = huge ? MD_PAGES : MD_SMALL };
	fx_open_sized(&m->f, 1 << 20, slots);
	m->space[0].sim = m->f.sim;
	m->f.sim = NULL;
	for (unsigned i = 0; i < 6; i++)
		md_map(m, 0);
}

/* Everything that is still there is read once more. */
static inline void md_close(struct model *m)
{
	for (unsigned s = 0; s < MD_SPACES; s++) {
		if (!m->space[s].sim)
			continue;
		for (unsigned i = 0; i < m->pages; i++)
			md_read(m, s, i);
		fx_end(m->space[s].sim);
	}
	if (fx_finish(&m->f))
		md_die(m, "something is left at the end", 0, 0);
}

#endif
