/* steps.h - numbers in steps that grow with them: 2^bits to each power of two. */
#ifndef SW_REPORT_STEPS_H
#define SW_REPORT_STEPS_H

#include "base/base.h"

static inline unsigned sw_step_of(uint64_t v, unsigned bits)
{
	unsigned top = 63 - __builtin_clzll(v | 1);

	if (top < bits)
		return v;
	return (top - bits + 1) << bits |
	       (v >> (top - bits) & ((1u << bits) - 1));
}

/* The first number of a step. */
static inline uint64_t sw_step_begin(unsigned step, unsigned bits)
{
	unsigned top = step >> bits;
	uint64_t rest = step & ((1u << bits) - 1);

	return top ? (rest | 1ull << bits) << (top - 1) : rest;
}

#endif
