/*
 * swap_area.h - a small swap area in memory for the tests of its header: made
 * whole, spoiled a word at a time, and refused for the reason given.
 */
#ifndef SW_TEST_SWAP_AREA_H
#define SW_TEST_SWAP_AREA_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/swap_header.h"

#define PAGES     256u
#define AREA      (PAGES * SW_PAGE_SIZE)
#define AT_BAD(i) (1536 + 4 * (i))

enum {
	AT_VERSION = 1024,
	AT_LAST = 1028,
	AT_NR_BAD = 1032,
	AT_UUID = 1036,
	AT_LABEL = 1052,
	AT_MAGIC = 4086,
};

static uint8_t area[SW_SWAP_HEADER_PROBE];

static inline void put32(unsigned at, uint32_t v)
{
	memcpy(&area[at], &v, sizeof(v));
}

static inline struct sw_swap_header sound(void)
{
	return (struct sw_swap_header){
		.max = PAGES,
		.nr_bad = 3,
		.uuid = "0123456789abcde",
		.label = "spillway",
		.bad = { 2, 7, PAGES - 1 },
	};
}

static inline void make_sound(void)
{
	struct sw_swap_header h = sound();

	memset(area, 0xaa, sizeof(area));
	assert_int_equal(sw_swap_header_make(area, &h), 0);
}

static inline int read_area(struct sw_swap_header *h, const char **why)
{
	return sw_swap_header_read(area, sizeof(area), AREA, h, why);
}

/* Refused, `h` untouched, and the reason has `about` in it. */
static inline void refused(const char *about)
{
	struct sw_swap_header h, before;
	const char *why = NULL;

	memset(&h, 0x77, sizeof(h));
	memcpy(&before, &h, sizeof(h));
	assert_int_equal(read_area(&h, &why), -EINVAL);
	assert_memory_equal(&h, &before, sizeof(h));
	assert_non_null(why);
	if (!strstr(why, about))
		fail_msg("\"%s\" does not speak of \"%s\"", why, about);
}

#endif
