/*
 * pages.h - pages for tests, each made from one number: whoever keeps the
 * number can make the page again and compare every byte of it.
 */
#ifndef SW_TEST_PAGES_H
#define SW_TEST_PAGES_H

#include <string.h>

#include "base/base.h"

enum page_kind {
	PAGE_ZERO,
	PAGE_SAME,    /* repeats one word */
	PAGE_TEXT,    /* words of a small language */
	PAGE_RECORDS, /* counters and pointers with zeros between */
	PAGE_MIXED,   /* noise in front, text behind: any ratio */
	PAGE_NOISE,
	NR_PAGE_KINDS,
};

static inline uint64_t rnd_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint64_t rnd_below(uint64_t *state, uint64_t n)
{
	return rnd_next(state) % n;
}

static inline void fill_noise(unsigned char *p, size_t n, uint64_t *rnd)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rnd_next(rnd) >> 32;
}

static inline void fill_text(unsigned char *p, size_t n, uint64_t *rnd)
{
	static const char *const words[] = {
		"the ",   "page ", "of a ", "slot ",   "water ", "runs ",
		"over, ", "down ", "and ",  "where\n", "it ",    "fell. ",
		"gate ",  "weir ", "42 ",   "flood ",
	};
	size_t at = 0;

	while (at < n) {
		const char *w = words[rnd_below(rnd, SW_ARRAY_SIZE(words))];
		size_t len = sw_min(strlen(w), n - at);

		memcpy(p + at, w, len);
		at += len;
	}
}

static inline enum page_kind page_kind(uint64_t number)
{
	return number % NR_PAGE_KINDS;
}

/* The page of this number; its kind is page_kind(number). */
static inline void page_make(uint64_t number, void *page)
{
	uint64_t rnd = number, word;
	unsigned char *p = page;
	size_t front;

	switch (page_kind(number)) {
	case PAGE_ZERO:
		memset(p, 0, SW_PAGE_SIZE);
		return;
	case PAGE_SAME:
		word = rnd_next(&rnd) >> rnd_below(&rnd, 60);
		for (size_t i = 0; i < SW_PAGE_SIZE; i += sizeof(word))
			memcpy(p + i, &word, sizeof(word));
		return;
	case PAGE_TEXT:
		fill_text(p, SW_PAGE_SIZE, &rnd);
		return;
	case PAGE_RECORDS:
		memset(p, 0, SW_PAGE_SIZE);
		for (size_t i = 0; i + 8 <= SW_PAGE_SIZE; i += 32) {
			word = 0x7f0000000000ULL + (rnd_next(&rnd) & 0xfffff0);
			memcpy(p + i, &word, sizeof(word));
		}
		return;
	case PAGE_MIXED:
		front = rnd_below(&rnd, SW_PAGE_SIZE);
		fill_noise(p, front, &rnd);
		fill_text(p + front, SW_PAGE_SIZE - front, &rnd);
		return;
	default:
		fill_noise(p, SW_PAGE_SIZE, &rnd);
		return;
	}
}

/* A number whose page is of this kind. */
static inline uint64_t page_number(enum page_kind kind, uint64_t i)
{
	return i * NR_PAGE_KINDS + kind;
}

#endif
