/*
 * objpool.c - the object allocator under compressed memory. Above it: zram.c;
 * below it: span.c, which has the pages.
 *
 *   class 0   bins: [emptiest] [ ] [ ] ... [fullest] [full]
 *   class 1         a span in a bin: some pages cut into up to 256 objects
 *   ...             of one size, and a map of those that are taken
 *
 * Sizes are rounded up to the next of about a hundred classes, one thirty-
 * second apart. A span is as many pages as make its tail small.
 *
 * What keeps memory and contents close together:
 *   - an object goes into the fullest span that has a hole, so that the
 *     emptier ones get a chance to drain;
 *   - before a new span is taken for a class, the holes of the next classes
 *     up are used if there are many: an eighth too large is less than a span
 *     with one object;
 *   - when a class has more spans than its objects need, because the sizes
 *     that are written have changed or most was freed, the emptiest are
 *     marked; whoever owns objects asks for each "is it in such a span?"
 *     and has it moved to the fullest. The pool does not know the owners,
 *     so they come to it.
 *
 * Locks: a class's lock guards its lists, and the counts and maps of the
 * spans on them. It is never held together with the spans' lock.
 */
#include "store/objpool.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store/span.h"
#include "store/sysmem.h"

#define GRAIN         16 /* sizes are multiples of it */
#define MAX_CLASSES   128
#define MIN_PAGES     4 /* below it a span comes and goes too often */
#define WASTE_PERCENT 2 /* tail of a span that is small enough */
#define NR_BINS       8 /* of partly filled spans, emptiest first */
#define BIN_FULL      NR_BINS
#define DRAIN_NONE    (-1)
#define DRAIN_PAGES   64 /* less is not worth a search */

struct size_class {
	struct sw_mutex lock; /* SW_RANK_STORE */
	uint32_t size;        /* [const] */
	uint16_t nr_objs;     /* [const] objects a span */
	uint8_t pages;        /* [const] pages a span */
	uint8_t nr;           /* [const] own index */
	int drain;            /* [atomic] bins up to it are to be emptied */
	uint64_t holes;       /* [atomic] written under lock, a hint without */
	struct sw_list bins[NR_BINS + 1] SW_GUARDED_BY(&lock);
	uint32_t in_bin[NR_BINS + 1] SW_GUARDED_BY(&lock); /* spans */
	uint64_t objs SW_GUARDED_BY(&lock);
	uint64_t bytes SW_GUARDED_BY(&lock); /* asked for */
} __attribute__((aligned(64)));

struct sw_objpool {
	struct spans spans;
	unsigned nr_classes;                        /* [const] */
	uint8_t class_of[SW_PAGE_SIZE / GRAIN + 1]; /* [const] by grains */
	struct size_class classes[MAX_CLASSES];
};

static unsigned bin_of(const struct size_class *c, unsigned used)
{
	return used == c->nr_objs ? BIN_FULL : used * NR_BINS / c->nr_objs;
}

static void holes_add(struct size_class *c, int64_t n) SW_REQUIRES(&c->lock)
{
	__atomic_store_n(&c->holes, c->holes + n, __ATOMIC_RELAXED);
}

/* The class of a span; a guess unless an object is known to be in it. */
static unsigned class_nr_of(const struct span *s)
{
	return __atomic_load_n(&s->class_nr, __ATOMIC_RELAXED);
}

static void set_used(struct span *s, unsigned used)
{
	__atomic_store_n(&s->used, used, __ATOMIC_RELAXED);
}

/* ---- spans of a class ---- */

/* A fresh span joins the class, empty. */
static void class_add_span(struct size_class *c, struct span *s)
	SW_REQUIRES(&c->lock)
{
	sw_assert_held(&c->lock);
	__atomic_store_n(&s->class_nr, c->nr, __ATOMIC_RELAXED);
	set_used(s, 0);
	for (unsigned i = 0; i < SPAN_OBJS / 64; i++) {
		const unsigned first = i * 64;

		s->map[i] = 0;
		if (c->nr_objs <= first)
			s->map[i] = ~0ULL;
		else if (c->nr_objs < first + 64)
			s->map[i] = ~0ULL << (c->nr_objs - first);
	}
	holes_add(c, c->nr_objs);
	sw_list_add(&c->bins[0], &s->node);
	c->in_bin[0]++;
}

/* The last object is gone: the span leaves. The caller gives it back once
 * the lock is released. */
static void class_remove_span(struct size_class *c, struct span *s)
	SW_REQUIRES(&c->lock)
{
	sw_assert_held(&c->lock);
	holes_add(c, -(int64_t)c->nr_objs);
	sw_list_del(&s->node);
	c->in_bin[0]--;
}

/* Changes the number of objects and, with it, the bin. */
static void span_set_used(struct size_class *c, struct span *s, unsigned used)
	SW_REQUIRES(&c->lock)
{
	const unsigned from = bin_of(c, s->used), to = bin_of(c, used);

	holes_add(c, (int64_t)s->used - used);
	set_used(s, used);
	if (from == to)
		return;
	sw_list_del(&s->node);
	sw_list_add(&c->bins[to], &s->node);
	c->in_bin[from]--;
	c->in_bin[to]++;
}

/* The fullest span with a hole, to within a bin; NULL: none has one. */
static struct span *fullest_locked(struct size_class *c) SW_REQUIRES(&c->lock)
{
	sw_assert_held(&c->lock);
	for (int bin = NR_BINS - 1; bin >= 0; bin--)
		if (!sw_list_empty(&c->bins[bin]))
			return sw_list_first(&c->bins[bin], struct span, node);
	return NULL;
}

/* ---- objects ---- */

/* Takes the first hole of a span that has one. */
static uint64_t take_hole(struct sw_objpool *p, struct size_class *c,
			  struct span *s, size_t size) SW_REQUIRES(&c->lock)
{
	unsigned i = 0, bit;

	sw_assert_held(&c->lock);
	while (s->map[i] == ~0ULL)
		i++;
	bit = __builtin_ctzll(~s->map[i]);
	s->map[i] |= 1ULL << bit;
	span_set_used(c, s, s->used + 1);
	c->objs++;
	c->bytes += size;
	return (uint64_t)span_index(&p->spans, s) * SPAN_OBJS + i * 64 + bit;
}

/* The reverse; true when the span has left the class. */
static bool make_hole(struct sw_objpool *p, struct size_class *c, uint64_t loc,
		      size_t size) SW_REQUIRES(&c->lock)
{
	struct span *s = &p->spans.array[loc / SPAN_OBJS];
	const uint64_t bit = 1ULL << (loc % 64);
	uint64_t *word = &s->map[loc % SPAN_OBJS / 64];

	sw_assert_held(&c->lock);
	SW_BUG_ON(!(*word & bit));
	*word &= ~bit;
	c->objs--;
	c->bytes -= size;
	span_set_used(c, s, s->used - 1);
	if (s->used)
		return false;
	class_remove_span(c, s);
	return true;
}

/* An object in a span the class has already. */
static bool class_alloc(struct sw_objpool *p, struct size_class *c, size_t size,
			uint64_t min_holes, uint64_t *loc)
{
	struct span *s;

	if (__atomic_load_n(&c->holes, __ATOMIC_RELAXED) < min_holes)
		return false;
	sw_mutex_lock(&c->lock);
	s = fullest_locked(c);
	if (s)
		*loc = take_hole(p, c, s, size);
	sw_mutex_unlock(&c->lock);
	return s;
}

/* An object in a new span. */
static bool class_grow(struct sw_objpool *p, struct size_class *c, size_t size,
		       uint64_t *loc)
{
	struct span *s = sw_span_take(&p->spans, c->pages);

	if (!s)
		return false;
	sw_mutex_lock(&c->lock);
	class_add_span(c, s);
	*loc = take_hole(p, c, s, size);
	sw_mutex_unlock(&c->lock);
	return true;
}

int sw_objpool_alloc(struct sw_objpool *p, size_t size, uint64_t *loc)
{
	struct size_class *c, *up, *end = p->classes + p->nr_classes;

	SW_BUG_ON(size == 0 || size > SW_PAGE_SIZE);
	c = &p->classes[p->class_of[(size + GRAIN - 1) / GRAIN]];
	if (class_alloc(p, c, size, 1, loc))
		return 0;
	for (up = c + 1; up < end && up->size <= size + size / 8; up++)
		if (class_alloc(p, up, size, up->nr_objs, loc))
			return 0;
	if (class_grow(p, c, size, loc))
		return 0;
	/* The system has nothing more: any hole is better than none. */
	for (up = c; up < end; up++)
		if (class_alloc(p, up, size, 1, loc))
			return 0;
	return -ENOMEM;
}

void sw_objpool_free(struct sw_objpool *p, uint64_t loc, size_t size)
{
	struct span *s = &p->spans.array[loc / SPAN_OBJS];
	struct size_class *c = &p->classes[class_nr_of(s)];
	bool emptied;

	SW_BUG_ON(!sw_objpool_at(p, loc, size));
	sw_mutex_lock(&c->lock);
	emptied = make_hole(p, c, loc, size);
	sw_mutex_unlock(&c->lock);
	if (emptied)
		sw_span_give(&p->spans, s);
}

void *sw_objpool_at(const struct sw_objpool *p, uint64_t loc, size_t size)
{
	const uint64_t index = loc / SPAN_OBJS;
	const struct size_class *c;

	if (index == 0 || index >= p->spans.nr)
		return NULL;
	c = &p->classes[class_nr_of(&p->spans.array[index])];
	if (loc % SPAN_OBJS >= c->nr_objs || size == 0 || size > c->size)
		return NULL;
	return span_addr(&p->spans, index) + loc % SPAN_OBJS * c->size;
}

/* ---- moving objects out of sparse spans ---- */

/*
 * Sets the bins to be emptied: those of the emptiest spans, as many as the
 * class has above its need. Returns how many pages that would give back.
 */
static uint64_t class_plan(struct size_class *c)
{
	uint64_t spans = 0, surplus, seen = 0;
	int drain = DRAIN_NONE;

	sw_mutex_lock(&c->lock);
	for (unsigned bin = 0; bin <= NR_BINS; bin++)
		spans += c->in_bin[bin];
	surplus = spans - (c->objs + c->nr_objs - 1) / c->nr_objs;
	while (seen < surplus)
		seen += c->in_bin[++drain];
	__atomic_store_n(&c->drain, drain, __ATOMIC_RELAXED);
	sw_mutex_unlock(&c->lock);
	return surplus * c->pages;
}

bool sw_objpool_plan(struct sw_objpool *p, unsigned part)
{
	uint64_t gain = 0;

	for (unsigned i = 0; i < p->nr_classes; i++)
		gain += class_plan(&p->classes[i]);
	gain *= SW_PAGE_SIZE;
	return gain >= DRAIN_PAGES * SW_PAGE_SIZE &&
	       gain >= sw_spans_bytes(&p->spans) / part;
}

bool sw_objpool_wants_move(const struct sw_objpool *p, uint64_t loc)
{
	const struct span *s = &p->spans.array[loc / SPAN_OBJS];
	const struct size_class *c = &p->classes[class_nr_of(s)];
	const int drain = __atomic_load_n(&c->drain, __ATOMIC_RELAXED);

	return drain != DRAIN_NONE &&
	       (int)bin_of(c, __atomic_load_n(&s->used, __ATOMIC_RELAXED)) <=
		       drain;
}

/*
 * The race with the owner's side, who may free the object at any moment and
 * even get the same location again:
 *
 *   mover                             owner
 *   reads the span's class c
 *                                     frees the object: c's lock
 *                                     the span empties, joins class d
 *                                     stores anew at the same location
 *   locks c; is_there() says yes
 *   the span is of class d: leaves
 *
 * is_there() has seen the owner's publication of the location, so the class
 * read after it is the one the object was put into. If that is c, whose lock
 * is held, the object cannot be freed until the move is done.
 */
bool sw_objpool_move(struct sw_objpool *p, uint64_t loc, size_t size,
		     const struct sw_objpool_mover *mover)
{
	struct span *from = &p->spans.array[loc / SPAN_OBJS], *to;
	struct size_class *c = &p->classes[class_nr_of(from)];
	bool moved = false, emptied = false;
	uint64_t new_loc;

	sw_mutex_lock(&c->lock);
	if (!mover->is_there(mover->arg) || class_nr_of(from) != c->nr)
		goto out;
	to = fullest_locked(c);
	/* Never towards the emptier one: two spans would exchange objects
	 * for ever. */
	if (!to || to == from || to->used < from->used)
		goto out;
	new_loc = take_hole(p, c, to, size);
	moved = mover->relocate(mover->arg, new_loc);
	emptied = make_hole(p, c, moved ? loc : new_loc, size);
out:
	sw_mutex_unlock(&c->lock);
	if (emptied)
		sw_span_give(&p->spans, from);
	return moved;
}

void sw_objpool_trim(struct sw_objpool *p)
{
	(void)sw_spans_trim(&p->spans);
}

/* ---- accounts ---- */

void sw_objpool_set_limit(struct sw_objpool *p, uint64_t bytes)
{
	sw_mutex_lock(&p->spans.lock);
	p->spans.limit_bytes = bytes;
	sw_mutex_unlock(&p->spans.lock);
}

uint64_t sw_objpool_mem_bytes(const struct sw_objpool *p)
{
	return sw_spans_bytes(&p->spans);
}

void sw_objpool_stats(struct sw_objpool *p, struct sw_objpool_stats *st)
{
	memset(st, 0, sizeof(*st));
	for (unsigned i = 0; i < p->nr_classes; i++) {
		struct size_class *c = &p->classes[i];

		sw_mutex_lock(&c->lock);
		st->objs += c->objs;
		st->bytes += c->bytes;
		sw_mutex_unlock(&c->lock);
	}
	sw_mutex_lock(&p->spans.lock);
	st->mem_bytes = p->spans.mem_pages * SW_PAGE_SIZE;
	st->peak_bytes = p->spans.peak_pages * SW_PAGE_SIZE;
	st->meta_bytes = sizeof(*p) + p->spans.fresh * sizeof(struct span);
	sw_mutex_unlock(&p->spans.lock);
}

static unsigned complain(bool broken, const struct size_class *c,
			 const char *what)
{
	if (broken)
		sw_error("object pool: class of %u bytes: %s", c->size, what);
	return broken;
}

static unsigned span_check(const struct size_class *c, const struct span *s,
			   unsigned bin)
{
	unsigned taken = 0, bad = 0;

	for (unsigned i = 0; i < SPAN_OBJS / 64; i++)
		taken += __builtin_popcountll(s->map[i]);
	taken -= SPAN_OBJS - c->nr_objs;
	bad += complain(taken != s->used, c, "a span's map and count differ");
	bad += complain(s->used == 0, c, "an empty span stays");
	bad += complain(bin != bin_of(c, s->used), c, "a span in a wrong bin");
	bad += complain(s->class_nr != c->nr, c, "a span of another class");
	bad += complain(s->pages != c->pages, c, "a span of a wrong length");
	return bad;
}

/* Returns how many invariants are broken; adds up what the class has. */
static unsigned class_check(struct size_class *c, uint64_t *spans,
			    uint64_t *pages)
{
	uint64_t objs = 0, holes = 0;
	unsigned bad = 0;

	sw_mutex_lock(&c->lock);
	for (unsigned bin = 0; bin <= NR_BINS; bin++) {
		uint32_t here = 0;
		struct span *s;

		sw_list_for_each(s, &c->bins[bin], node) {
			bad += span_check(c, s, bin);
			objs += s->used;
			holes += c->nr_objs - s->used;
			*pages += s->pages;
			here++;
		}
		bad += complain(here != c->in_bin[bin], c,
				"a bin and its count differ");
		*spans += here;
	}
	bad += complain(objs != c->objs, c, "objects and their count differ");
	bad += complain(holes != c->holes, c, "holes and their count differ");
	bad += complain(c->bytes > objs * c->size, c,
			"more bytes than its objects hold");
	sw_mutex_unlock(&c->lock);
	return bad;
}

unsigned sw_objpool_check(struct sw_objpool *p)
{
	uint64_t spans = 0, pages = 0;
	unsigned bad = 0;

	for (unsigned i = 0; i < p->nr_classes; i++)
		bad += class_check(&p->classes[i], &spans, &pages);
	return bad + !sw_spans_check(&p->spans, spans, pages);
}

/* ---- life of the pool ---- */

/* The fewest pages whose tail is small, or those with the smallest tail. */
static void class_shape(struct size_class *c)
{
	const unsigned most =
		sw_min(SPAN_PAGES, SPAN_OBJS * c->size / SW_PAGE_SIZE);
	double best = 1;

	for (unsigned n = sw_min(most, (unsigned)MIN_PAGES); n <= most; n++) {
		unsigned bytes = n * SW_PAGE_SIZE;
		double waste = (double)(bytes % c->size) / bytes;

		if (waste >= best)
			continue;
		best = waste;
		c->pages = n;
		c->nr_objs = bytes / c->size;
		if (waste * 100 <= WASTE_PERCENT)
			return;
	}
}

static void classes_init(struct sw_objpool *p)
{
	uint32_t size = 0;

	while (size < SW_PAGE_SIZE) {
		struct size_class *c = &p->classes[p->nr_classes];
		uint32_t step = sw_max(size / 32 / GRAIN * GRAIN, GRAIN);
		uint32_t from = size / GRAIN + 1;

		SW_BUG_ON(p->nr_classes == MAX_CLASSES);
		size = sw_min(size + step, SW_PAGE_SIZE);
		c->size = size;
		c->nr = p->nr_classes++;
		c->drain = DRAIN_NONE;
		class_shape(c);
		sw_mutex_init(&c->lock, "size class", SW_RANK_STORE);
		for (unsigned bin = 0; bin <= NR_BINS; bin++)
			sw_list_init(&c->bins[bin]);
		for (uint32_t g = from; g <= size / GRAIN; g++)
			p->class_of[g] = c->nr;
	}
}

struct sw_objpool *sw_objpool_new(uint64_t max_objs)
{
	struct sw_objpool *p = sw_sysmem_reserve(sizeof(*p));

	if (!p)
		return NULL;
	if (sw_spans_init(&p->spans, max_objs)) {
		sw_sysmem_release(p, sizeof(*p));
		return NULL;
	}
	classes_init(p);
	return p;
}

void sw_objpool_destroy(struct sw_objpool *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->nr_classes; i++)
		sw_mutex_destroy(&p->classes[i].lock);
	sw_spans_release(&p->spans);
	sw_sysmem_release(p, sizeof(*p));
}
