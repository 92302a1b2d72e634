/*
 * bins.c - see bins.h. Items come in the order of time, so bins are filled one
 * after the other; what is not said in one is as it was before.
 *
 * Above: report.c. Beside: workingset.c.
 */
#include "report/bins.h"

#include <stdlib.h>

#include "report/steps.h"

struct sw_bins *sw_bins_new(const struct sw_survey *survey)
{
	struct sw_bins *b = calloc(1, sizeof(*b));
	uint64_t nr = survey->duration_ns / SW_BIN_NS;

	if (!b)
		return NULL;
	b->set = sw_workingset_new();
	if (!b->set) {
		free(b);
		return NULL;
	}
	b->survey = survey;
	b->nr = sw_max(sw_min(nr, (uint64_t)SW_MAX_BINS),
		       (uint64_t)SW_MIN_BINS);
	b->rows = sw_min(survey->nr_chunks, (uint64_t)SW_HEAT_ROWS);
	return b;
}

void sw_bins_free(struct sw_bins *b)
{
	sw_workingset_free(b->set);
	free(b);
}

/* x / y * nr, without an overflow. */
static unsigned part_of(uint64_t x, uint64_t y, unsigned nr)
{
	unsigned i = y ? (unsigned)((double)x / y * nr) : 0;

	return sw_min(i, nr - 1);
}

uint64_t sw_bin_ns(const struct sw_bins *b, unsigned i)
{
	return (double)b->survey->duration_ns / b->nr * i;
}

/* The bin is complete. */
static void finish(struct sw_bins *b)
{
	struct sw_bin *bin = &b->bin[b->filled];
	uint64_t ns = sw_bin_ns(b, b->filled + 1) - sw_bin_ns(b, b->filled);

	bin->estimate = sw_workingset_take(b->set, &bin->at, ns);
	if (++b->filled < b->nr)
		b->bin[b->filled].at = bin->at;
}

static void add_sample(struct sw_bin *bin, const struct sw_trace_sample *now,
		       bool first)
{
	uint64_t used = bin->at.used;

	bin->at = *now;
	if (!first)
		bin->at.used = sw_max(used, now->used);
}

static void add_latency(struct sw_latencies *l, uint64_t ns)
{
	l->nr++;
	l->sum_ns += ns;
	l->max_ns = sw_max(l->max_ns, ns);
	l->step[sw_step_of(ns, SW_LATENCY_BITS)]++;
}

static void add_fault(struct sw_bins *b, const struct sw_trace_item *item)
{
	const struct sw_survey *s = b->survey;
	const struct sw_trace_event *event = &item->event;
	uint64_t chunk = sw_survey_chunk(s, event->space, event->page);
	unsigned col = part_of(item->time_ns, s->duration_ns, SW_HEAT_COLS);

	b->bin[b->filled].faults[event->kind]++;
	add_latency(&b->latency[event->kind], event->latency_ns);
	if (chunk != UINT64_MAX)
		b->heat[part_of(chunk, s->nr_chunks, b->rows)][col]++;
}

void sw_bins_add(struct sw_bins *b, const struct sw_trace_item *item)
{
	unsigned at = part_of(item->time_ns, b->survey->duration_ns, b->nr);

	while (b->filled < at)
		finish(b);
	if (item->kind == SW_TRACE_SAMPLE) {
		struct sw_bin *bin = &b->bin[at];

		add_sample(bin, &item->sample, !bin->sampled);
		bin->sampled = true;
	}
	if (item->kind >= SW_NR_TRACE_KINDS || item->kind == SW_TRACE_SPACE)
		return;
	if (sw_trace_is_fault(item->kind))
		add_fault(b, item);
	sw_workingset_add(b->set, &item->event);
}

void sw_bins_end(struct sw_bins *b)
{
	while (b->filled < b->nr)
		finish(b);
}

uint64_t sw_latency_step_end(unsigned step)
{
	return sw_step_begin(step + 1, SW_LATENCY_BITS);
}

uint64_t sw_latency_at(const struct sw_latencies *l, double percent)
{
	double wanted = l->nr * percent / 100, sum = 0;
	unsigned step = 0;

	while (step < SW_LATENCY_STEPS - 1 && (sum += l->step[step]) < wanted)
		step++;
	return sw_min(sw_latency_step_end(step), l->max_ns);
}
