/*
 * bins.h - the second reading: what is drawn, in bins of time.
 */
#ifndef SW_REPORT_BINS_H
#define SW_REPORT_BINS_H

#include "report/survey.h"
#include "report/workingset.h"

#define SW_MAX_BINS  240u
#define SW_MIN_BINS  24u
#define SW_BIN_NS    25000000ull /* not below, between the two above */
#define SW_HEAT_ROWS 80u
#define SW_HEAT_COLS 120u
#define SW_FAULTS    SW_TRACE_OTHER /* kinds of faults, from 1 on */

/* Latencies: 16 steps to each power of two of nanoseconds. */
#define SW_LATENCY_BITS  4u
#define SW_LATENCY_STEPS (64u << SW_LATENCY_BITS)

struct sw_bin {
	struct sw_trace_sample at; /* the last of it; `used`: the most of it */
	uint64_t faults[SW_FAULTS + 1];
	uint64_t estimate; /* pages: workingset.h */
	bool sampled;
};

struct sw_latencies {
	uint64_t nr, sum_ns, max_ns;
	uint64_t step[SW_LATENCY_STEPS];
};

struct sw_bins {
	const struct sw_survey *survey;
	unsigned nr, filled; /* bins; those before are done */
	struct sw_bin bin[SW_MAX_BINS];
	unsigned rows; /* of the heat map */
	uint64_t heat[SW_HEAT_ROWS][SW_HEAT_COLS];
	struct sw_latencies latency[SW_FAULTS + 1];
	struct sw_workingset *set;
};

struct sw_bins *sw_bins_new(const struct sw_survey *survey); /* or NULL */
void sw_bins_free(struct sw_bins *b);
void sw_bins_add(struct sw_bins *b, const struct sw_trace_item *item);
void sw_bins_end(struct sw_bins *b);
/* When a bin begins. */
uint64_t sw_bin_ns(const struct sw_bins *b, unsigned i);
/* Above which latency `percent` of them are not: the end of its step. */
uint64_t sw_latency_at(const struct sw_latencies *l, double percent);
uint64_t sw_latency_step_end(unsigned step);

#endif
