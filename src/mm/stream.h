/*
 * stream.h - what one fault takes along: how many pages (stream.c), and which
 * ones (batch.c).
 */
#ifndef SW_STREAM_H
#define SW_STREAM_H

#include "mm/pagetable.h"

struct sw_space;

/* ---- stream.c ---- */
#define SW_STREAMS 32
#define SW_BEGUN   16
#define SW_WAYS    3
#define SW_REACHES 4
#define SW_DEBTORS 16

/* A stream with a direction. */
struct sw_stream {
	int64_t step;     /* pages from one to the next; below 0: backward */
	uint64_t used;    /* when, for replacement */
	int tid;          /* thread that faulted on it last */
	unsigned run;     /* pages in a row that were wanted */
	unsigned brought; /* pages of the last batch, */
	unsigned ahead;   /* those of them that are owed, */
	uint8_t debtor;   /* by whom, */
	uint8_t reach;    /* and on which account */
	bool swap;        /* they were swapped in */
};

/* One that has only begun. */
struct sw_begun {
	uint64_t at; /* its first page */
	uint64_t when;
	int tid;        /* whose fault it was */
	int32_t stride; /* from where the thread was before; 0: far away */
};

/* [thread: events of the space] Pages are numbers, 0: none. */
struct sw_streams {
	uint64_t next[SW_STREAMS]; /* page that goes on with s[i] */
	uint64_t begun_next[SW_BEGUN][SW_WAYS];
	struct sw_begun begun[SW_BEGUN];      /* a ring */
	unsigned nr_begun;                    /* ever */
	int32_t debt[SW_DEBTORS][SW_REACHES]; /* by thread, modulo */
	uint64_t clock;
	struct sw_stream s[SW_STREAMS];
};

/* A way that a stream may take. */
struct sw_way {
	uint64_t next; /* page whose fault would be on it */
	int64_t step;
};

/* What to do for a fault. */
struct sw_plan {
	unsigned nr;  /* pages to handle, the fault's own included */
	int64_t step; /* from one of them to the next */
	bool swap;    /* the caller says: they are swapped in */

	/* For the calls below. */
	struct sw_way way[SW_WAYS];
	unsigned nr_ways;
	struct sw_stream *stream; /* NULL: one that has only begun */
	unsigned slot, debtor, reach;
};

/* Plans for a fault of thread `tid` on page `vpn`. */
void sw_stream_fault(struct sw_streams *st, uint64_t vpn, int tid,
		     struct sw_plan *plan);
/* May the stream of the fault bring all of a huge page, by what is known of it and
 * owed? */
bool sw_stream_may_bring_huge(const struct sw_streams *st,
			      const struct sw_plan *plan);
/* What became of it: `nr` pages were handled, the last is page `last`; 0: not
 * even the fault's own. Before the next fault. */
void sw_stream_brought(struct sw_streams *st, struct sw_plan *plan, unsigned nr,
		       uint64_t last);
/* The same when it did, and what is behind that is expected next. */
void sw_stream_brought_huge(struct sw_streams *st, struct sw_plan *plan,
			    unsigned nr, uint64_t last);
/* After sw_stream_brought(), when the caller knew better where plan->way leads. */
void sw_stream_expect(struct sw_streams *st, const struct sw_plan *plan);

/* ---- batch.c ---- */
struct sw_batch {
	struct sw_leaf *leaf;
	int64_t step;
	uint64_t mask;   /* bits of a word that tell whether it would fault */
	uint64_t mapped; /* bit k: page[k] is there now */
	unsigned nr;
	uint16_t page[SW_WINDOW_PAGES]; /* in the leaf; the fault's own first */
};

/* Page `i` of the leaf and at most `max` - 1 that lie on the same way, in the
 * same window and region, and whose words are like its word under `mask`.
 * Space lock held. */
void sw_batch_collect(const struct sw_space *space, struct sw_batch *b,
		      struct sw_leaf *leaf, unsigned i, int64_t step,
		      unsigned max, uint64_t mask);
/* How many pages from page[k] on are neighbours. */
unsigned sw_batch_run(const struct sw_batch *b, unsigned k);
/* The address of the lowest of pages [k, k + nr), which are neighbours. */
uint64_t sw_batch_addr(const struct sw_batch *b, unsigned k, unsigned nr);
/* How many pages from the first on are mapped. */
unsigned sw_batch_done(const struct sw_batch *b);

/* Where page[k] belongs in a buffer of a window: neighbours are neighbours. */
static inline uint64_t sw_batch_offset(const struct sw_batch *b, unsigned k)
{
	return (b->step < 0 ? SW_WINDOW_PAGES - 1 - k : k) * SW_PAGE_SIZE;
}

/* Maps the pages, those with their bit set in `protect` write-protected, until
 * one cannot be had; b->mapped says which. Returns 1 when the first page is
 * mapped, else what copy() said of it. The window is taken. */
int sw_batch_map(struct sw_space *space, struct sw_batch *b, const char *buf,
		 uint64_t protect);
/* Pages in the way that would not fault are not expected. Space lock held. */
void sw_batch_skip(const struct sw_batch *b, struct sw_way *way);

#endif
