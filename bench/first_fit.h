/*
 * first_fit.h - the naive way to hand out slots, to compare with: one bitmap
 * of all, and the first place that is free and aligned.
 */
#ifndef SW_BENCH_FIRST_FIT_H
#define SW_BENCH_FIRST_FIT_H

#include <stdbool.h>
#include <stdint.h>

#define FIRST_FIT_NONE UINT64_MAX

struct first_fit {
	uint64_t *used; /* a bit a slot */
	uint64_t nr_slots;
	bool from_last; /* goes on where it found something last */
	uint64_t last;
};

/* `nr_slots` is a multiple of 512; slot 0 is never given. */
void first_fit_init(struct first_fit *ff, uint64_t nr_slots, bool from_last);
void first_fit_release(struct first_fit *ff);

/* 2^order slots, order 0..9; FIRST_FIT_NONE: there is no such place. */
uint64_t first_fit_alloc(struct first_fit *ff, unsigned order);
void first_fit_free(struct first_fit *ff, uint64_t offset, unsigned nr);

static inline bool first_fit_is_used(const struct first_fit *ff,
				     uint64_t offset)
{
	return ff->used[offset / 64] >> (offset % 64) & 1;
}

#endif
