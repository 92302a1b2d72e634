/*
 * workingset.h - how much memory would have been enough, moment by moment?
 *
 * A page that comes back after D other pages went out would have stayed had
 * there been room for D more (the refault distance of the kernel's
 * mm/workingset.c). So in each bin of time the faults that brought pages back
 * are sorted by that distance, and the estimate is the memory in use then, and
 * the smallest D such that faults from farther away took less than 1 % of the
 * time. It is no more than memory and swap held together; and where nothing
 * came back it is what was in use, which is an upper bound: nobody knows which
 * of the pages in memory are touched.
 *
 * Only a sample of the pages is followed, chosen by a hash of their address,
 * half as many whenever there are too many of them (SHARDS).
 */
#ifndef SW_REPORT_WORKINGSET_H
#define SW_REPORT_WORKINGSET_H

#include "trace/format.h"

struct sw_workingset;

struct sw_workingset *sw_workingset_new(void); /* or NULL */
void sw_workingset_free(struct sw_workingset *w);
void sw_workingset_add(struct sw_workingset *w,
		       const struct sw_trace_event *event);
/* The estimate for what was added since the last call, which took that long. */
uint64_t sw_workingset_take(struct sw_workingset *w,
			    const struct sw_trace_sample *now,
			    uint64_t duration_ns);

#endif
