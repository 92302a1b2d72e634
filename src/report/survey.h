/*
 * survey.h - what a trace has, by the first reading: how long it is, what it
 * counts, who is in it, and where its faults lie.
 */
#ifndef SW_REPORT_SURVEY_H
#define SW_REPORT_SURVEY_H

#include "trace/reader.h"

#define SW_MAX_NAMED 512 /* spaces with a name; others have a number */

/* Where faults were: 2^shift pages of a space. */
struct sw_chunk {
	uint32_t space;
	uint32_t used; /* the place is taken */
	uint64_t nr;   /* page >> shift */
};

struct sw_survey {
	uint64_t duration_ns;
	uint64_t events[SW_NR_TRACE_KINDS]; /* by kind, */
	uint64_t pages[SW_NR_TRACE_KINDS];  /* and their pages */
	uint64_t all_events, dropped;
	uint64_t fault_ns; /* of all faults together */
	struct sw_trace_sample last, most;
	bool sampled, budget_changed, ended;
	int exit_status;

	struct {
		uint32_t space, pid;
		char name[SW_TRACE_NAME_MAX + 1];
	} named[SW_MAX_NAMED];

	unsigned nr_named;

	struct sw_chunk *chunk; /* after sw_survey_end(): sorted */
	uint64_t nr_chunks;
	unsigned shift;
};

int sw_survey_init(struct sw_survey *s); /* 0 or -ENOMEM */
void sw_survey_release(struct sw_survey *s);
void sw_survey_add(struct sw_survey *s, const struct sw_trace_item *item);
void sw_survey_end(struct sw_survey *s);
/* The chunk of a page, counted from the lowest; UINT64_MAX: it has none. */
uint64_t sw_survey_chunk(const struct sw_survey *s, uint32_t space,
			 uint64_t page);
/* How people know a space: "redis-server (4711)". */
const char *sw_survey_name(const struct sw_survey *s, uint32_t space,
			   char buf[96]);

#endif
