/* first_fit.c - a bitmap searched from its beginning, or from the last find. */
#include "first_fit.h"

#include <stdlib.h>

#include "base/base.h"

#define WORD_BITS 64u

void first_fit_init(struct first_fit *ff, uint64_t nr_slots, bool from_last)
{
	*ff = (struct first_fit){
		.used = calloc(nr_slots / WORD_BITS, sizeof(*ff->used)),
		.nr_slots = nr_slots,
		.from_last = from_last,
	};
	SW_BUG_ON(!ff->used);
	ff->used[0] = 1;
}

void first_fit_release(struct first_fit *ff)
{
	free(ff->used);
}

static uint64_t mask_of(unsigned bit, unsigned nr)
{
	return (nr == WORD_BITS ? ~0ULL : (1ULL << nr) - 1) << bit;
}

/* The first free and aligned place for `nr` bits in a word, or WORD_BITS. */
static unsigned find_in_word(uint64_t used, unsigned nr)
{
	if (used == ~0ULL)
		return WORD_BITS;
	if (nr == 1)
		return __builtin_ctzll(~used);
	for (unsigned bit = 0; bit < WORD_BITS; bit += nr)
		if (!(used & mask_of(bit, nr)))
			return bit;
	return WORD_BITS;
}

static bool words_free(const uint64_t *used, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (used[i])
			return false;
	return true;
}

/* In words [from, to), `from` aligned for `nr`. */
static uint64_t find(const struct first_fit *ff, uint64_t from, uint64_t to,
		     unsigned nr)
{
	unsigned step = sw_max(nr / WORD_BITS, 1u);

	for (uint64_t w = from; w < to; w += step) {
		unsigned bit;

		if (nr > WORD_BITS) {
			if (words_free(&ff->used[w], step))
				return w * WORD_BITS;
			continue;
		}
		bit = find_in_word(ff->used[w], nr);
		if (bit < WORD_BITS)
			return w * WORD_BITS + bit;
	}
	return FIRST_FIT_NONE;
}

static void mark(struct first_fit *ff, uint64_t offset, unsigned nr, bool used)
{
	while (nr) {
		unsigned bit = offset % WORD_BITS;
		unsigned n = sw_min(nr, WORD_BITS - bit);
		uint64_t *word = &ff->used[offset / WORD_BITS];
		uint64_t mask = mask_of(bit, n);

		SW_BUG_ON((*word & mask) != (used ? 0 : mask));
		*word ^= mask;
		offset += n;
		nr -= n;
	}
}

uint64_t first_fit_alloc(struct first_fit *ff, unsigned order)
{
	const unsigned nr = 1u << order;
	uint64_t end = ff->nr_slots / WORD_BITS, from = 0, offset;

	if (ff->from_last)
		from = (ff->last & ~(uint64_t)(nr - 1)) / WORD_BITS;
	offset = find(ff, from, end, nr);
	if (offset == FIRST_FIT_NONE && from)
		offset = find(ff, 0, from, nr);
	if (offset == FIRST_FIT_NONE)
		return offset;
	mark(ff, offset, nr, true);
	ff->last = offset;
	return offset;
}

void first_fit_free(struct first_fit *ff, uint64_t offset, unsigned nr)
{
	mark(ff, offset, nr, false);
}
