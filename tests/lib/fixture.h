/*
 * fixture.h - what the tests of the library's calls share: one instance a test,
 * in the way that the command line names, and regions that are known by heart.
 */
#ifndef SW_TEST_LIB_FIXTURE_H
#define SW_TEST_LIB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "modes.h"

#define PAGE   4096u
#define BUDGET (8 * MIB)

static const struct mode *mode;
static spillway_t *sp;

typedef void (*test_fn)(void **state);

/* The instance is opened by the test itself: cmocka installs handlers of SIGBUS
 * and SIGSEGV before it, and ours have to come later. */
static inline void with_instance(void **state)
{
	test_fn fn = (test_fn)*state;

	sp = open_mode(mode, BUDGET, "zram:64M");
	fn(state);
	assert_int_equal(spillway_close(sp), 0);
}

static inline unsigned char *alloc_region(size_t bytes)
{
	void *addr;

	assert_int_equal(spillway_alloc(sp, bytes, NULL, &addr), 0);
	return addr;
}

/* Each page of `salt` differs from all others. */
static inline void fill(unsigned char *mem, size_t bytes, unsigned salt)
{
	for (size_t at = 0; at < bytes; at += PAGE) {
		*(size_t *)(mem + at) = at + salt;
		mem[at + PAGE - 1] = salt;
	}
}

static inline void check(const unsigned char *mem, size_t bytes, unsigned salt)
{
	for (size_t at = 0; at < bytes; at += PAGE) {
		assert_int_equal(*(size_t *)(mem + at), at + salt);
		assert_int_equal(mem[at + PAGE - 1], salt & 0xff);
	}
}

static inline void check_zeros(const unsigned char *mem, size_t bytes)
{
	for (size_t at = 0; at < bytes; at++)
		assert_int_equal(mem[at], 0);
}

static inline struct spillway_stats stats(void)
{
	struct spillway_stats st = { .size = sizeof(st) };

	assert_int_equal(spillway_stats(sp, &st), 0);
	return st;
}

/* Looks until the condition holds; a minute is for ever. */
#define WAIT_UNTIL(condition)                                       \
	do {                                                        \
		const struct timespec nap = { .tv_nsec = 1000000 }; \
		unsigned left = 60000;                              \
                                                                    \
		while (!(condition) && --left)                      \
			nanosleep(&nap, NULL);                      \
		assert_true(left);                                  \
	} while (0)

#define LIB_TEST(test)                                     \
	{                                                  \
		.name = #test, .test_func = with_instance, \
		.initial_state = (void *)(test),           \
	}

#endif
