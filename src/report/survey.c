/*
 * survey.c - see survey.h. Chunks are kept in a hash table of bounded size;
 * when it fills up, two chunks become one.
 *
 * Above: report.c. Below: trace/reader.h.
 */
#include "report/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS      (1u << 18) /* places; two thirds of them are used */
#define FIRST_SHIFT 4          /* 64 KiB */

int sw_survey_init(struct sw_survey *s)
{
	*s = (struct sw_survey){ .shift = FIRST_SHIFT };
	s->chunk = calloc(CHUNKS, sizeof(*s->chunk));
	return s->chunk ? 0 : -ENOMEM;
}

void sw_survey_release(struct sw_survey *s)
{
	free(s->chunk);
}

/* ---- chunks ---- */

static void insert(struct sw_survey *s, uint32_t space, uint64_t nr)
{
	uint64_t at =
		(nr + space * 0x9e3779b97f4a7c15ull) * 0x9e3779b97f4a7c15ull;
	struct sw_chunk *c;

	for (at >>= 40;; at++) {
		c = &s->chunk[at % CHUNKS];
		if (!c->used)
			break;
		if (c->nr == nr && c->space == space)
			return;
	}
	*c = (struct sw_chunk){ .space = space, .used = 1, .nr = nr };
	s->nr_chunks++;
}

static int compare(const void *a, const void *b)
{
	const struct sw_chunk *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

/* From a hash table to a sorted array. */
static void sort(struct sw_survey *s)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < CHUNKS; i++)
		if (s->chunk[i].used)
			s->chunk[n++] = s->chunk[i];
	qsort(s->chunk, n, sizeof(*s->chunk), compare);
}

/* Chunks of twice the size, of a sorted array: neighbours become one. */
static void coarsen(struct sw_survey *s)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->nr_chunks; i++) {
		struct sw_chunk c = s->chunk[i];

		c.nr >>= 1;
		if (!n || compare(&s->chunk[n - 1], &c))
			s->chunk[n++] = c;
	}
	s->shift++;
	s->nr_chunks = n;
}

/* And back. */
static void rehash(struct sw_survey *s)
{
	uint64_t n = s->nr_chunks;
	struct sw_chunk *old = malloc(n * sizeof(*old));

	if (!old)
		abort();
	memcpy(old, s->chunk, n * sizeof(*old));
	memset(s->chunk, 0, CHUNKS * sizeof(*s->chunk));
	s->nr_chunks = 0;
	for (uint64_t i = 0; i < n; i++)
		insert(s, old[i].space, old[i].nr);
	free(old);
}

static void add_chunk(struct sw_survey *s, uint32_t space, uint64_t page)
{
	insert(s, space, page >> s->shift);
	if (s->nr_chunks <= CHUNKS / 3 * 2)
		return;
	sort(s);
	while (s->nr_chunks > CHUNKS / 3)
		coarsen(s);
	rehash(s);
}

uint64_t sw_survey_chunk(const struct sw_survey *s, uint32_t space,
			 uint64_t page)
{
	const struct sw_chunk key = { .space = space, .nr = page >> s->shift };
	const struct sw_chunk *c =
		bsearch(&key, s->chunk, s->nr_chunks, sizeof(key), compare);

	return c ? (uint64_t)(c - s->chunk) : UINT64_MAX;
}

/* ---- items ---- */

static void add_event(struct sw_survey *s, const struct sw_trace_event *event)
{
	s->all_events++;
	s->events[event->kind]++;
	s->pages[event->kind] += event->nr;
	if (!sw_trace_is_fault(event->kind))
		return;
	s->fault_ns += event->latency_ns;
	add_chunk(s, event->space, event->page);
}

static void add_name(struct sw_survey *s, const struct sw_trace_item *item)
{
	if (s->nr_named == SW_MAX_NAMED)
		return;
	s->named[s->nr_named].space = item->event.space;
	s->named[s->nr_named].pid = item->event.page;
	strcpy(s->named[s->nr_named++].name, item->name);
}

static void add_sample(struct sw_survey *s, const struct sw_trace_sample *now)
{
	const uint64_t *from = (const uint64_t *)now;
	uint64_t *to = (uint64_t *)&s->most;

	s->budget_changed |= s->sampled && s->last.budget != now->budget;
	s->last = *now;
	s->sampled = true;
	for (unsigned i = 0; i < SW_TRACE_SAMPLE_WORDS; i++)
		to[i] = sw_max(to[i], from[i]);
}

void sw_survey_add(struct sw_survey *s, const struct sw_trace_item *item)
{
	s->duration_ns = item->time_ns;
	switch (item->kind) {
	case SW_TRACE_SAMPLE:
		add_sample(s, &item->sample);
		return;
	case SW_TRACE_DROPPED:
		s->dropped += item->dropped;
		return;
	case SW_TRACE_END:
		s->ended = true;
		s->exit_status = item->exit_status;
		return;
	case SW_TRACE_SPACE:
		add_name(s, item);
		return;
	default:
		add_event(s, &item->event);
	}
}

void sw_survey_end(struct sw_survey *s)
{
	sort(s);
}

/* The last one is the right one: a space may get a new name. */
const char *sw_survey_name(const struct sw_survey *s, uint32_t space,
			   char buf[96])
{
	for (unsigned i = s->nr_named; i--;) {
		if (s->named[i].space != space)
			continue;
		snprintf(buf, 96, "%s (%u)", s->named[i].name, s->named[i].pid);
		return buf;
	}
	snprintf(buf, 96, "address space %u", space);
	return buf;
}
