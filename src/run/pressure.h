/*
 * pressure.h - for how much of its time something stalled: totals, and averages
 * of the last 10, 60 and 300 seconds that forget the past little by little, as
 * the kernel's pressure stall information has them. The caller brings the times.
 */
#ifndef SW_RUN_PRESSURE_H
#define SW_RUN_PRESSURE_H

#include "base/base.h"

enum sw_pressure_kind {
	SW_PRESSURE_SOME, /* at least one thread waited */
	SW_PRESSURE_FULL, /* and none ran */
	SW_NR_PRESSURE,
};

#define SW_NR_AVERAGES 3

/* "some", "full"; 10, 60, 300 */
extern const char *const sw_pressure_names[SW_NR_PRESSURE];
extern const unsigned sw_average_seconds[SW_NR_AVERAGES];

struct sw_pressure_line {
	uint64_t total_ns;
	double average[SW_NR_AVERAGES]; /* shares, from 0 to 1 */
};

struct sw_pressure {
	struct sw_pressure_line line[SW_NR_PRESSURE];
	/* Not in the averages yet, which are taken every two seconds. */
	uint64_t pending_ns[SW_NR_PRESSURE];
	uint64_t elapsed_ns; /* since the last time */
	uint64_t left_ns;    /* until the next */
};

void sw_pressure_init(struct sw_pressure *p);
/* `elapsed_ns` went by, of which there were so many in stalls. */
void sw_pressure_add(struct sw_pressure *p, uint64_t elapsed_ns,
		     const uint64_t stalled_ns[SW_NR_PRESSURE]);

#endif
