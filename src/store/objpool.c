/*
 * objpool.c - the object allocator under compressed memory. Above it: zram.c;
 * below it: sysmem.c.
 *
 *   class 0   [span]=[span]=[span]        a span: `pages` OS pages cut into
 *   class 1   [span]                      up to 256 objects of one size
 *   ...                                   stock: a few empty ones, for reuse
 *
 * Sizes are rounded up to the next of about a hundred classes, one thirty-
 * second apart. A span is as many pages as make its tail small. Every span
 * has a stride of address space of its own, of which it uses the front, so
 * that location and address follow from each other without a lookup; the
 * price is address space, which is free, and a page of page tables for each
 * 32 spans.
 *
 * What keeps memory and contents close together:
 *   - an object goes into the fullest span that has a hole, so that the
 *     emptier ones get a chance to drain;
 *   - before a new span is taken for a class, the holes of the next classes
 *     up are used if there are many: an eighth too large is less than a span
 *     with one object;
 *   - a span without objects goes back to the system but for STOCK_SPANS of
 *     them, kept against programs that free and write in turns. With the last
 *     object the stock goes too.
 *
 * Locks: a class's lock guards its lists and the counts and maps of spans on
 * them. The pool's lock guards spans that belong to no class, and is taken
 * once a span, not once an object. Neither is held over a call to the system.
 */
#include "store/objpool.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "store/sysmem.h"

#define GRAIN         16 /* sizes are multiples of it */
#define MAX_CLASSES   128
#define SPAN_STRIDE   (64UL << 10)
#define SPAN_PAGES    (SPAN_STRIDE / SW_PAGE_SIZE)
#define SPAN_OBJS     256u /* 8 bits of a location */
#define MIN_PAGES     4    /* below it a span comes and goes too often */
#define WASTE_PERCENT 2    /* tail of a span that is small enough */
#define STOCK_SPANS   8
#define SPARE_SPANS   (MAX_CLASSES + STOCK_SPANS + 64)
#define NR_BINS       8 /* of partly filled spans, emptiest first */
#define BIN_FULL      NR_BINS

/* Index 0 is never used: it ends the chains, and location 0 names nothing. */
struct span {
	struct sw_list node;          /* class lock: in one of its bins */
	uint64_t map[SPAN_OBJS / 64]; /* class lock: taken; beyond the end, 1 */
	uint32_t next;                /* pool lock: chain of free or stock */
	uint16_t used;                /* class lock */
	uint8_t class_nr;             /* [const] while an object is in it */
	uint8_t pages;                /* pool lock; [const] as above: backed */
};

struct size_class {
	struct sw_mutex lock; /* SW_RANK_STORE */
	uint32_t size;        /* [const] */
	uint16_t nr_objs;     /* [const] objects a span */
	uint8_t pages;        /* [const] pages a span */
	uint8_t nr;           /* [const] own index */
	struct sw_list bins[NR_BINS + 1] SW_GUARDED_BY(&lock);
	uint64_t objs SW_GUARDED_BY(&lock);
	uint64_t bytes SW_GUARDED_BY(&lock); /* asked for */
	uint64_t holes; /* [atomic] written under lock, a hint without */
} __attribute__((aligned(64)));

struct sw_objpool {
	unsigned nr_classes;                        /* [const] */
	uint8_t class_of[SW_PAGE_SIZE / GRAIN + 1]; /* [const] by grains */
	unsigned char *base;                        /* [const] */
	struct span *spans;                         /* [const] */
	uint64_t nr_spans;                          /* [const] reserved */

	struct sw_mutex lock;                     /* SW_RANK_POOL */
	uint32_t fresh SW_GUARDED_BY(&lock);      /* from here on untouched */
	uint32_t free_head SW_GUARDED_BY(&lock);  /* no page backed */
	uint32_t stock_head SW_GUARDED_BY(&lock); /* backed, no object */
	uint32_t nr_stock SW_GUARDED_BY(&lock);
	uint64_t nr_live SW_GUARDED_BY(&lock);   /* with a class */
	uint64_t mem_pages SW_GUARDED_BY(&lock); /* backed */
	uint64_t peak_pages SW_GUARDED_BY(&lock);
	uint64_t limit_bytes SW_GUARDED_BY(&lock);

	struct size_class classes[MAX_CLASSES];
};

static uint32_t span_index(const struct sw_objpool *p, const struct span *s)
{
	return s - p->spans;
}

static unsigned char *span_addr(const struct sw_objpool *p, uint32_t index)
{
	return p->base + index * SPAN_STRIDE;
}

/* ---- spans without a class ---- */

static uint32_t chain_pop(struct sw_objpool *p, uint32_t *head)
	SW_REQUIRES(&p->lock)
{
	uint32_t index = *head;

	if (index)
		*head = p->spans[index].next;
	return index;
}

static void chain_push(struct sw_objpool *p, uint32_t *head, uint32_t index)
	SW_REQUIRES(&p->lock)
{
	p->spans[index].next = *head;
	*head = index;
}

/* A span that nobody has, or 0 when the reserved range is used up. */
static uint32_t span_pick_locked(struct sw_objpool *p) SW_REQUIRES(&p->lock)
{
	uint32_t index;

	sw_assert_held(&p->lock);
	index = chain_pop(p, &p->stock_head);
	if (index) {
		p->nr_stock--;
		return index;
	}
	index = chain_pop(p, &p->free_head);
	if (!index && p->fresh < p->nr_spans)
		index = p->fresh++;
	return index;
}

/* Gives a chain of backed spans, which the caller alone knows, back to the
 * system. Their pages count as ours until they are gone. */
static void spans_drop(struct sw_objpool *p, uint32_t chain)
{
	while (chain) {
		struct span *s = &p->spans[chain];
		uint32_t next = s->next;

		sw_sysmem_drop(span_addr(p, chain), s->pages * SW_PAGE_SIZE);
		sw_mutex_lock(&p->lock);
		p->mem_pages -= s->pages;
		s->pages = 0;
		chain_push(p, &p->free_head, chain);
		sw_mutex_unlock(&p->lock);
		chain = next;
	}
}

/* A span whose last object is gone, off all lists. Called with no lock. */
static void span_give(struct sw_objpool *p, struct span *s)
{
	uint32_t drop = 0;

	sw_mutex_lock(&p->lock);
	p->nr_live--;
	chain_push(p, &p->stock_head, span_index(p, s));
	p->nr_stock++;
	if (p->nr_live == 0) {
		drop = p->stock_head;
		p->stock_head = p->nr_stock = 0;
	} else if (p->nr_stock > STOCK_SPANS) {
		drop = chain_pop(p, &p->stock_head);
		p->spans[drop].next = 0;
		p->nr_stock--;
	}
	sw_mutex_unlock(&p->lock);
	spans_drop(p, drop);
}

/* Empties the stock; false when there was none. */
static bool stock_drop(struct sw_objpool *p)
{
	uint32_t drop;

	sw_mutex_lock(&p->lock);
	drop = p->stock_head;
	p->stock_head = p->nr_stock = 0;
	sw_mutex_unlock(&p->lock);
	spans_drop(p, drop);
	return drop != 0;
}

/*
 * Picks a span and sets its `pages` to what the class wants, in the books
 * only: *had says how many are really backed. NULL: out of range or limit.
 */
static struct span *span_book(struct sw_objpool *p, const struct size_class *c,
			      unsigned *had)
{
	struct span *s = NULL;
	uint64_t pages;
	uint32_t index;

	sw_mutex_lock(&p->lock);
	index = span_pick_locked(p);
	if (!index)
		goto out;
	s = &p->spans[index];
	*had = s->pages;
	pages = p->mem_pages - s->pages + c->pages;
	if (c->pages > s->pages && p->limit_bytes &&
	    pages * SW_PAGE_SIZE > p->limit_bytes) {
		if (s->pages)
			p->nr_stock++;
		chain_push(p, s->pages ? &p->stock_head : &p->free_head, index);
		s = NULL;
		goto out;
	}
	p->mem_pages = pages;
	p->peak_pages = sw_max(p->peak_pages, pages);
	p->nr_live++;
	s->pages = c->pages;
out:
	sw_mutex_unlock(&p->lock);
	return s;
}

/* A span backed for the class, empty and on no list; NULL: no memory. */
static struct span *span_take(struct sw_objpool *p, const struct size_class *c)
{
	struct span *s;
	unsigned char *at;
	unsigned had = 0;

	do {
		s = span_book(p, c, &had);
	} while (!s && stock_drop(p));
	if (!s)
		return NULL;
	at = span_addr(p, span_index(p, s));
	if (had > c->pages)
		sw_sysmem_drop(at + c->pages * SW_PAGE_SIZE,
			       (had - c->pages) * SW_PAGE_SIZE);
	if (had < c->pages &&
	    sw_sysmem_populate(at + had * SW_PAGE_SIZE,
			       (c->pages - had) * SW_PAGE_SIZE)) {
		span_give(p, s);
		(void)stock_drop(p);
		return NULL;
	}
	s->class_nr = c->nr;
	s->used = 0;
	for (unsigned i = 0; i < SPAN_OBJS / 64; i++) {
		unsigned first = i * 64;

		s->map[i] = c->nr_objs >= first + 64 ? 0
			    : c->nr_objs <= first
				    ? ~0ULL
				    : ~0ULL << (c->nr_objs - first);
	}
	return s;
}

/* ---- objects in the spans of a class ---- */

static unsigned bin_of(const struct size_class *c, unsigned used)
{
	return used == c->nr_objs ? BIN_FULL : used * NR_BINS / c->nr_objs;
}

static void holes_add(struct size_class *c, int64_t n) SW_REQUIRES(&c->lock)
{
	__atomic_store_n(&c->holes, c->holes + n, __ATOMIC_RELAXED);
}

/* Changes the number of objects and, with it, the bin. */
static void span_set_used(struct size_class *c, struct span *s, unsigned used)
	SW_REQUIRES(&c->lock)
{
	unsigned bin = bin_of(c, used);

	holes_add(c, (int64_t)s->used - used);
	if (bin != bin_of(c, s->used)) {
		sw_list_del(&s->node);
		sw_list_add(&c->bins[bin], &s->node);
	}
	s->used = used;
}

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
	return (uint64_t)span_index(p, s) * SPAN_OBJS + i * 64 + bit;
}

/* An object in a span the class has already. */
static bool class_alloc(struct sw_objpool *p, struct size_class *c, size_t size,
			uint64_t min_holes, uint64_t *loc)
{
	bool found = false;

	if (__atomic_load_n(&c->holes, __ATOMIC_RELAXED) < min_holes)
		return false;
	sw_mutex_lock(&c->lock);
	for (int bin = NR_BINS - 1; bin >= 0 && !found; bin--) {
		if (sw_list_empty(&c->bins[bin]))
			continue;
		*loc = take_hole(
			p, c, sw_list_first(&c->bins[bin], struct span, node),
			size);
		found = true;
	}
	sw_mutex_unlock(&c->lock);
	return found;
}

/* An object in a new span, which joins the class. */
static bool class_grow(struct sw_objpool *p, struct size_class *c, size_t size,
		       uint64_t *loc)
{
	struct span *s = span_take(p, c);

	if (!s)
		return false;
	sw_mutex_lock(&c->lock);
	sw_list_add(&c->bins[0], &s->node);
	holes_add(c, c->nr_objs);
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
	for (up = c + 1; up < end; up++)
		if (class_alloc(p, up, size, 1, loc))
			return 0;
	return -ENOMEM;
}

void sw_objpool_free(struct sw_objpool *p, uint64_t loc, size_t size)
{
	struct span *s = &p->spans[loc / SPAN_OBJS];
	struct size_class *c = &p->classes[s->class_nr];
	const uint64_t bit = 1ULL << (loc % 64);
	uint64_t *word = &s->map[loc % SPAN_OBJS / 64];
	bool empty;

	SW_BUG_ON(!sw_objpool_at(p, loc, size));
	sw_mutex_lock(&c->lock);
	SW_BUG_ON(!(*word & bit));
	*word &= ~bit;
	c->objs--;
	c->bytes -= size;
	span_set_used(c, s, s->used - 1);
	empty = s->used == 0;
	if (empty) {
		sw_list_del(&s->node);
		holes_add(c, -(int64_t)c->nr_objs);
	}
	sw_mutex_unlock(&c->lock);
	if (empty)
		span_give(p, s);
}

void *sw_objpool_at(const struct sw_objpool *p, uint64_t loc, size_t size)
{
	const uint64_t index = loc / SPAN_OBJS;
	const struct size_class *c;

	if (index == 0 || index >= p->nr_spans)
		return NULL;
	c = &p->classes[p->spans[index].class_nr];
	if (loc % SPAN_OBJS >= c->nr_objs || size == 0 || size > c->size)
		return NULL;
	return span_addr(p, index) + loc % SPAN_OBJS * c->size;
}

/* ---- accounts ---- */

void sw_objpool_set_limit(struct sw_objpool *p, uint64_t bytes)
{
	sw_mutex_lock(&p->lock);
	p->limit_bytes = bytes;
	sw_mutex_unlock(&p->lock);
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
	sw_mutex_lock(&p->lock);
	st->mem_bytes = p->mem_pages * SW_PAGE_SIZE;
	st->peak_bytes = p->peak_pages * SW_PAGE_SIZE;
	st->meta_bytes = sizeof(*p) + p->fresh * sizeof(struct span);
	sw_mutex_unlock(&p->lock);
}

static unsigned complain(bool broken, const struct size_class *c,
			 const char *what)
{
	if (broken)
		sw_error("object pool: class of %u bytes: %s", c->size, what);
	return broken;
}

/* Returns how many invariants are broken; adds up what the class has. */
static unsigned class_check(struct size_class *c, uint64_t *spans,
			    uint64_t *pages)
{
	unsigned bad = 0;
	uint64_t objs = 0, holes = 0;
	struct span *s;

	sw_mutex_lock(&c->lock);
	for (unsigned bin = 0; bin <= NR_BINS; bin++) {
		sw_list_for_each(s, &c->bins[bin], node) {
			unsigned taken = 0;

			for (unsigned i = 0; i < SPAN_OBJS / 64; i++)
				taken += __builtin_popcountll(s->map[i]);
			taken -= SPAN_OBJS - c->nr_objs;
			bad += complain(taken != s->used, c,
					"a span's map and its count differ");
			bad += complain(s->used == 0, c, "an empty span stays");
			bad += complain(bin != bin_of(c, s->used), c,
					"a span is in the wrong bin");
			bad += complain(s->class_nr != c->nr, c,
					"a span of another class");
			bad += complain(s->pages != c->pages, c,
					"a span of the wrong length");
			objs += s->used;
			holes += c->nr_objs - s->used;
			*pages += s->pages;
			*spans += 1;
		}
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
	uint64_t spans = 0, pages = 0, chained = 0, stock = 0;
	unsigned bad = 0;

	for (unsigned i = 0; i < p->nr_classes; i++)
		bad += class_check(&p->classes[i], &spans, &pages);
	sw_mutex_lock(&p->lock);
	for (uint32_t i = p->stock_head; i; i = p->spans[i].next, stock++)
		pages += p->spans[i].pages;
	for (uint32_t i = p->free_head; i; i = p->spans[i].next, chained++)
		pages += p->spans[i].pages;
	if (spans != p->nr_live || stock != p->nr_stock ||
	    pages != p->mem_pages || 1 + spans + stock + chained != p->fresh) {
		sw_error(
			"object pool: %lu spans in classes (%lu counted), %lu in stock (%u), %lu free of %u; %lu pages (%lu)",
			spans, p->nr_live, stock, p->nr_stock, chained,
			p->fresh, pages, p->mem_pages);
		bad++;
	}
	sw_mutex_unlock(&p->lock);
	return bad;
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
		class_shape(c);
		sw_mutex_init(&c->lock, "size class", SW_RANK_STORE);
		for (unsigned bin = 0; bin <= NR_BINS; bin++)
			sw_list_init(&c->bins[bin]);
		for (uint32_t g = from; g <= size / GRAIN; g++)
			p->class_of[g] = c->nr;
	}
}

/*
 * A span holds one object at least, so one span an object is enough at any
 * fragmentation. Where address space is limited (ulimit -v, sanitizers) less
 * will do: full spans of whole pages need a quarter of it.
 */
static bool reserve_spans(struct sw_objpool *p, uint64_t max_objs)
{
	for (unsigned shift = 0; shift <= 3; shift++) {
		p->nr_spans = (max_objs >> shift) + SPARE_SPANS;
		p->base = sw_sysmem_reserve(p->nr_spans * SPAN_STRIDE);
		if (p->base)
			return true;
	}
	return false;
}

struct sw_objpool *sw_objpool_new(uint64_t max_objs)
{
	struct sw_objpool *p = sw_sysmem_reserve(sizeof(*p));

	if (!p)
		return NULL;
	if (!reserve_spans(p, max_objs))
		goto err_free_pool;
	p->spans = sw_sysmem_reserve(p->nr_spans * sizeof(struct span));
	if (!p->spans)
		goto err_free_base;
	sw_mutex_init(&p->lock, "object pool", SW_RANK_POOL);
	p->fresh = 1;
	classes_init(p);
	return p;

err_free_base:
	sw_sysmem_release(p->base, p->nr_spans * SPAN_STRIDE);
err_free_pool:
	sw_sysmem_release(p, sizeof(*p));
	return NULL;
}

void sw_objpool_destroy(struct sw_objpool *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->nr_classes; i++)
		sw_mutex_destroy(&p->classes[i].lock);
	sw_mutex_destroy(&p->lock);
	sw_sysmem_release(p->spans, p->nr_spans * sizeof(struct span));
	sw_sysmem_release(p->base, p->nr_spans * SPAN_STRIDE);
	sw_sysmem_release(p, sizeof(*p));
}
