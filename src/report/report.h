/*
 * report.h - a page of pictures from a trace: `spillway report`. It reads the
 * file twice, what there is and then what is shown of it, in memory that does
 * not depend on its size. The same file makes the same page.
 */
#ifndef SW_REPORT_H
#define SW_REPORT_H

#include <stdio.h>

#include "trace/reader.h"

/* What there is to say about a trace that ends too early. */
struct sw_report_ending {
	enum sw_trace_ending how;
	uint64_t bytes; /* that are good */
};

/* Writes the page, one HTML document, to `out`. 0; or as sw_trace_open() and
 * sw_trace_rewind(); -ENOMEM; or -EIO: `out` did not take it. */
SW_MUST_CHECK int sw_report_page(const char *path, FILE *out,
				 struct sw_report_ending *ending);

#endif
