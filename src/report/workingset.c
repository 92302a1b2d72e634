/* workingset.c - see workingset.h. Above: bins.c. */
#include "report/workingset.h"

#include <stdlib.h>
#include <string.h>

#include "report/steps.h"

#define PLACES    (1u << 18)
#define FULL      (PLACES / 2)
#define STEP_BITS 3 /* steps of a distance to each power of two: 8 */
#define STEPS     (64u << STEP_BITS)
#define FEW       0.01 /* of the time, lost to faults */

struct gone {
	uint64_t page;
	uint64_t clock; /* when it went, + 1; 0: the place is free */
	uint32_t space;
};

struct sw_workingset {
	uint64_t clock;  /* pages that went out, so far */
	uint64_t below;  /* pages with no higher hash are followed, */
	unsigned halved; /* one of 2^halved */
	unsigned nr;
	struct gone gone[PLACES];
	double lost_ns[STEPS]; /* by distance */
};

struct sw_workingset *sw_workingset_new(void)
{
	struct sw_workingset *w = calloc(1, sizeof(*w));

	if (w)
		w->below = UINT64_MAX;
	return w;
}

void sw_workingset_free(struct sw_workingset *w)
{
	free(w);
}

/* ---- pages that are out ---- */

static uint64_t hash(uint32_t space, uint64_t page)
{
	uint64_t h = page ^ (uint64_t)space << 40;

	h = (h ^ h >> 31) * 0x7fb5d329728ea185ull;
	h = (h ^ h >> 27) * 0x81dadef4bc2dd44dull;
	return h ^ h >> 33;
}

/* Its place, or the free one where it would be. The table is ordered by other
 * bits of the hash than those that choose. */
static struct gone *find(struct sw_workingset *w, uint32_t space, uint64_t page,
			 uint64_t h)
{
	for (unsigned at = h;; at++) {
		struct gone *g = &w->gone[at % PLACES];

		if (!g->clock || (g->page == page && g->space == space))
			return g;
	}
}

/* Follows only those that satisfy w->below, in a table made anew. */
static void halve(struct sw_workingset *w)
{
	struct gone *old = malloc(sizeof(w->gone));

	if (!old)
		abort();
	memcpy(old, w->gone, sizeof(w->gone));
	memset(w->gone, 0, sizeof(w->gone));
	w->nr = 0;
	w->below /= 2;
	w->halved++;
	for (unsigned i = 0; i < PLACES; i++) {
		uint64_t h = hash(old[i].space, old[i].page);

		if (!old[i].clock || h > w->below)
			continue;
		*find(w, old[i].space, old[i].page, h) = old[i];
		w->nr++;
	}
	free(old);
}

static void went(struct sw_workingset *w, uint32_t space, uint64_t page)
{
	uint64_t h = hash(space, page);
	struct gone *g;

	w->clock++;
	if (h > w->below)
		return;
	g = find(w, space, page, h);
	w->nr += !g->clock;
	*g = (struct gone){ .page = page, .clock = w->clock, .space = space };
	if (w->nr > FULL)
		halve(w);
}

/* ---- and come back ---- */

static void came(struct sw_workingset *w, const struct sw_trace_event *event)
{
	uint64_t h = hash(event->space, event->page);
	struct gone *g;

	if (h > w->below)
		return;
	g = find(w, event->space, event->page, h);
	if (g->clock)
		w->lost_ns[sw_step_of(w->clock - g->clock, STEP_BITS)] +=
			event->latency_ns;
}

void sw_workingset_add(struct sw_workingset *w,
		       const struct sw_trace_event *event)
{
	if (sw_trace_is_out(event->kind))
		for (unsigned k = 0; k < event->nr; k++)
			went(w, event->space, event->page + k);
	else if (sw_trace_is_swapin(event->kind))
		came(w, event);
}

uint64_t sw_workingset_take(struct sw_workingset *w,
			    const struct sw_trace_sample *now,
			    uint64_t duration_ns)
{
	double few = FEW * duration_ns / (double)(1ull << w->halved);
	double lost = 0;
	unsigned step = STEPS;

	while (step && lost < few)
		lost += w->lost_ns[--step];
	memset(w->lost_ns, 0, sizeof(w->lost_ns));
	if (lost < few)
		return now->used;
	return now->used + sw_min(now->out, sw_step_begin(step + 1, STEP_BITS));
}
