/*
 * same_filled.c - pages that repeat one 64-bit word: zero pages above all,
 * then memory filled by memset or by an allocator's pattern. Every page on
 * its way out is asked, and nearly all say no, so the first look is at three
 * words far apart; headers and paddings are often alike, ends rarely.
 */
#include "codec/codec.h"

#include <string.h>

/* Loads of 32 bytes where the machine has them, two of 16 elsewhere. */
typedef uint64_t word4 __attribute__((vector_size(32), aligned(1), may_alias));

#define STRIDE 256 /* bytes compared between two looks at the verdict */

static inline uint64_t load(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

bool sw_page_same_filled(const void *page, uint64_t *word)
{
	const unsigned char *p = page;
	const uint64_t w = load(p);
	const word4 want = { w, w, w, w };

	if (load(p + SW_PAGE_SIZE - sizeof(w)) != w ||
	    load(p + SW_PAGE_SIZE / 2) != w)
		return false;
	for (size_t at = 0; at < SW_PAGE_SIZE; at += STRIDE) {
		word4 diff = { 0, 0, 0, 0 };

		for (size_t i = 0; i < STRIDE; i += sizeof(word4))
			diff |= *(const word4 *)(p + at + i) ^ want;
		if (diff[0] | diff[1] | diff[2] | diff[3])
			return false;
	}
	*word = w;
	return true;
}
