/* time.h - the monotonic clock. */
#ifndef SW_TIME_H
#define SW_TIME_H

#include <stdint.h>
#include <time.h>

static inline uint64_t sw_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* For intervals of days at most: it wraps. */
static inline uint32_t sw_now_ms(void)
{
	return sw_now_ns() / 1000000;
}

#endif
