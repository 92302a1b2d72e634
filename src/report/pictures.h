/* pictures.h - the pictures of the page; each writes one <section>. */
#ifndef SW_REPORT_PICTURES_H
#define SW_REPORT_PICTURES_H

#include "report/bins.h"
#include "report/svg.h"

/* What people call a kind of fault, and its colour in the page's style. */
struct sw_fault_kind {
	const char *name;
	const char *class;
	const char *about;
};

extern const struct sw_fault_kind sw_fault_kinds[SW_FAULTS + 1]; /* from 1 */

void sw_picture_memory(FILE *out, const struct sw_bins *b);     /* charts.c */
void sw_picture_faults(FILE *out, const struct sw_bins *b);     /* same */
void sw_picture_workingset(FILE *out, const struct sw_bins *b); /* same */
void sw_picture_heat(FILE *out, const struct sw_bins *b);       /* heat.c */
void sw_picture_latency(FILE *out, const struct sw_bins *b);    /* latency.c */

/* The page around them: page.c. `ending` and `bytes` as sw_trace_ending(). */
void sw_put_page(FILE *out, const struct sw_trace_head *head,
		 const struct sw_bins *b, enum sw_trace_ending ending,
		 uint64_t bytes);
/* The most that the working set was estimated to be: pages. */
uint64_t sw_largest_estimate(const struct sw_bins *b);

#endif
