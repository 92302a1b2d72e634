/*
 * stream.c - readahead: how many pages come along with a fault, and which.
 *
 * A fault begins a stream unless a known one expects its page. A stream that
 * has only begun brings one page and may go on forward, backward, or by the
 * distance to where its thread was just before; the second fault (with a
 * distance: the third) settles which. From then on three pages come ahead for
 * each one in a row that was wanted: 1, 4, 16, 64 in all. Streams are found by
 * the page they expect next, so that several interleaved ones (two arrays) are
 * kept apart. Those of the thread that faults go first; but a stream whose
 * thread changes (a scheduler in the program) goes on.
 *
 * There are no accessed bits to tell whether a page brought ahead was wanted.
 * The evidence is that its stream goes on at the very page behind the batch:
 * then the whole batch counts as wanted, else none of it does. Of a batch that
 * is used in part, with each page as likely as the next, that is right on
 * average, for the page behind the batch is as likely as the rest. Unseen stays
 * that a page is taken out again before its turn came.
 *
 * The hit rate rules by debt. Pages brought ahead are owed by the thread whose
 * fault brought them until they turn out to be wanted; who owes too much brings
 * one page a fault. What never turns out to be wanted is forgiven, slowly: one
 * page for each FORGIVE that faults bring, and one for each BONUS that were
 * wanted, which may also be saved. So whatever a program does, few more than
 * three pages in two hundred are wasted in the long run (and once those that
 * may be owed), unless eight of nine that came ahead are wanted. There is an
 * account for each reach: else short runs, which are over when their first
 * batch comes, would ruin the credit of long ones. The credit is the thread's
 * and not the stream's, because a stream that deserves none is over before
 * that is known.
 *
 * Streams that have only begun have a table of their own, so that random faults
 * drive out no others; and what they expect lies together, because a fault
 * finds nothing of ours in the cache.
 *
 * Above: fault.c. One instance per space and kind of fault, used by its event
 * thread only.
 */
#include <limits.h>
#include <string.h>

#include "mm/mm_internal.h"

#define AHEAD        3   /* pages ahead for one in a row that was wanted */
#define STRIDE_AHEAD 15  /* at most, where each page is a mapping by itself */
#define MAX_STRIDE   512 /* pages */
#define MAX_RUN      (1u << 20)
#define SILENCE      256 /* faults of others */
#define FORGIVE      200
#define BONUS        8

/* How far ahead a stream may look, by how long it has run. */
static const struct {
	unsigned run;   /* shorter than this, in pages, */
	unsigned ahead; /* it brings no more than these, */
	unsigned owed;  /* of which its thread may owe so many */
} reach[SW_REACHES] = {
	{ 5, 3, 8 * 3 },
	{ 21, 15, 4 * 15 },
	{ UINT_MAX, SW_WINDOW_PAGES - 1, 4 * (SW_WINDOW_PAGES - 1) },
	{ UINT_MAX, SW_LEAF_PAGES - 1, 2 * (SW_LEAF_PAGES - 1) },
};

#define REACH_HUGE (SW_REACHES - 1) /* a huge page: all of it, or not */

#define SAVED 3 /* times what may be owed: the most that is saved up */

/* ---- debt, counted in FORGIVE parts of a page ---- */

static unsigned credit(const struct sw_streams *st, unsigned debtor, unsigned r)
{
	int limit = reach[r].owed * FORGIVE;
	int debt = st->debt[debtor][r];

	return debt < limit ? (limit - debt) / FORGIVE : 0;
}

static void forgive(int32_t *debt, int parts)
{
	if (*debt > 0)
		*debt = sw_max(0, *debt - parts);
}

static void pay_back(int32_t *debt, unsigned r, int nr)
{
	int least = -(int)reach[r].owed * SAVED * FORGIVE;

	*debt = sw_max(least, *debt - nr * FORGIVE - nr * FORGIVE / BONUS);
}

/* How many pages the stream would bring ahead if nobody owed anything. Three
 * faults at the same distance happen by chance more often than two neighbours:
 * a stride has to be seen once more. */
static unsigned wanted_ahead(const struct sw_stream *s)
{
	if (s->step == 1 || s->step == -1)
		return sw_min(s->run * AHEAD, SW_WINDOW_PAGES - 1);
	return sw_min((s->run - 1) * AHEAD, STRIDE_AHEAD);
}

/* How many pages the stream may bring ahead, and on which account. */
static unsigned lend(const struct sw_streams *st, const struct sw_stream *s,
		     unsigned *on)
{
	unsigned want = wanted_ahead(s), best = 0;

	for (unsigned r = 0; r < REACH_HUGE; r++) {
		unsigned give = sw_min(sw_min(want, reach[r].ahead),
				       credit(st, s->debtor, r));

		if (give > best) {
			best = give;
			*on = r;
		}
		if (s->run < reach[r].run)
			break;
	}
	return best;
}

/* ---- streams with a direction ---- */

/* The one that expects the page: of the thread rather than of others, then the
 * one used last. NULL: there is none. */
static struct sw_stream *find(struct sw_streams *st, uint64_t vpn, int tid)
{
	struct sw_stream *best = NULL;

	for (unsigned i = 0; i < SW_STREAMS; i++) {
		struct sw_stream *s = &st->s[i];

		if (st->next[i] != vpn)
			continue;
		if (!best || (s->tid == tid) > (best->tid == tid) ||
		    ((s->tid == tid) == (best->tid == tid) &&
		     s->used > best->used))
			best = s;
	}
	return best;
}

/* It goes on: what it brought was wanted. After a long silence it is rather by
 * chance that a fault comes to this very page: then it begins anew. */
static void go_on(struct sw_streams *st, struct sw_stream *s)
{
	if (st->clock - s->used > SILENCE) {
		s->run = 1;
	} else {
		pay_back(&st->debt[s->debtor][s->reach], s->reach, s->ahead);
		s->run = sw_min(s->run + s->brought, MAX_RUN);
		if (s->swap)
			sw_count(swap_ra_hit, s->ahead);
	}
	s->brought = s->ahead = 0;
}

/* ---- streams that have only begun ---- */

/* The k-th youngest of them. */
static unsigned youngest(const struct sw_streams *st, unsigned k)
{
	return (st->nr_begun - 1 - k) % SW_BEGUN;
}

/* Stream i of those has got its direction. It leaves its place to one in the
 * other table, where the one not used for longest gives way. */
static struct sw_stream *settle(struct sw_streams *st, unsigned i, unsigned way)
{
	const int64_t step[SW_WAYS] = { 1, -1, st->begun[i].stride };
	struct sw_stream *s = st->s;

	for (unsigned k = 1; k < SW_STREAMS; k++)
		if (st->s[k].used < s->used)
			s = &st->s[k];
	*s = (struct sw_stream){ .step = step[way], .run = 1 };
	memset(st->begun_next[i], 0, sizeof(st->begun_next[i]));
	return s;
}

/* The one that expects the page, of the thread rather than of others, then the
 * youngest, and begun later than `since`; and the way it takes. SW_BEGUN: there
 * is none. */
static unsigned find_begun(const struct sw_streams *st, uint64_t vpn, int tid,
			   uint64_t since, unsigned *way)
{
	unsigned found = SW_BEGUN;

	*way = 0;
	for (unsigned k = 0; k < SW_BEGUN * SW_WAYS; k++) {
		unsigned i = youngest(st, k / SW_WAYS), w = k % SW_WAYS;

		if (st->begun_next[i][w] != vpn || st->begun[i].when < since)
			continue;
		if (found == SW_BEGUN ||
		    (st->begun[i].tid == tid && st->begun[found].tid != tid)) {
			found = i;
			*way = w;
		}
	}
	return found;
}

/* How far the page is from where its thread was last, if that was near; 0: it
 * was not. */
static int64_t stride_to(const struct sw_streams *st, uint64_t vpn, int tid)
{
	for (unsigned k = 0; k < SW_BEGUN; k++) {
		const struct sw_begun *b = &st->begun[youngest(st, k)];

		if (b->tid == tid && vpn - b->at + MAX_STRIDE <= 2 * MAX_STRIDE)
			return vpn - b->at;
	}
	return 0;
}

/* The oldest of those that have begun gives way. */
static void begin(struct sw_streams *st, uint64_t vpn, int tid,
		  struct sw_plan *plan)
{
	int64_t stride = stride_to(st, vpn, tid);

	plan->way[0] = (struct sw_way){ vpn + 1, 1 };
	plan->way[1] = (struct sw_way){ vpn - 1, -1 };
	plan->way[2] = (struct sw_way){ vpn + stride, stride };
	plan->nr_ways = stride ? 3 : 2;
	plan->slot = st->nr_begun++ % SW_BEGUN;
	st->begun[plan->slot] = (struct sw_begun){
		.at = vpn, .when = st->clock, .tid = tid, .stride = stride
	};
}

/* ---- what fault.c calls ---- */

void sw_stream_fault(struct sw_streams *st, uint64_t vpn, int tid,
		     struct sw_plan *plan)
{
	/* Page 0 is nobody's next: it stands for none. */
	struct sw_stream *s = vpn ? find(st, vpn, tid) : NULL;
	unsigned i = SW_BEGUN, way;

	st->clock++;
	*plan = (struct sw_plan){ .nr = 1,
				  .step = 1,
				  .debtor = (unsigned)tid % SW_DEBTORS };
	if (vpn)
		i = find_begun(st, vpn, tid, s ? s->used : 0, &way);
	if (!s && i == SW_BEGUN) {
		begin(st, vpn, tid, plan);
		return;
	}
	if (i < SW_BEGUN)
		s = settle(st, i, way);
	else
		go_on(st, s);
	s->used = st->clock;
	s->tid = tid;
	s->debtor = plan->debtor;
	plan->stream = s;
	plan->slot = s - st->s;
	plan->step = s->step;
	plan->way[0] = (struct sw_way){ vpn, s->step };
	plan->nr_ways = 1;
	plan->nr += lend(st, s, &plan->reach);
}

bool sw_stream_may_bring_huge(const struct sw_streams *st,
			      const struct sw_plan *plan)
{
	const struct sw_stream *s = plan->stream;
	unsigned ahead = reach[REACH_HUGE].ahead;

	return s && (s->step == 1 || s->step == -1) &&
	       s->run * AHEAD >= ahead &&
	       credit(st, s->debtor, REACH_HUGE) >= ahead;
}

void sw_stream_brought(struct sw_streams *st, struct sw_plan *plan, unsigned nr,
		       uint64_t last)
{
	struct sw_stream *s = plan->stream;
	int32_t *debt = st->debt[plan->debtor];

	for (unsigned r = 0; r < SW_REACHES; r++)
		forgive(&debt[r], nr);
	if (!s) {
		if (!nr) /* the same fault comes again */
			plan->nr_ways = 0;
		return;
	}
	if (!nr)
		return;
	plan->way[0].next = last + s->step;
	s->brought = nr;
	s->ahead = nr - 1;
	s->reach = plan->reach;
	s->swap = plan->swap;
	debt[s->reach] += (int)s->ahead * FORGIVE;
	if (s->swap)
		sw_count(swap_ra, s->ahead);
}

void sw_stream_expect(struct sw_streams *st, const struct sw_plan *plan)
{
	if (plan->stream) {
		st->next[plan->slot] = plan->way[0].next;
		return;
	}
	for (unsigned w = 0; w < SW_WAYS; w++)
		st->begun_next[plan->slot][w] =
			w < plan->nr_ways ? plan->way[w].next : 0;
}

void sw_stream_brought_huge(struct sw_streams *st, struct sw_plan *plan,
			    unsigned nr, uint64_t last)
{
	plan->reach = REACH_HUGE;
	sw_stream_brought(st, plan, nr, last);
	sw_stream_expect(st, plan);
}
