/*
 * base.h - what every file may assume: page geometry, assertions of three
 * strengths, and a few helpers. Everything else in base/ has its own header.
 */
#ifndef SW_BASE_H
#define SW_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SW_PAGE_SHIFT 12
#define SW_PAGE_SIZE  (1UL << SW_PAGE_SHIFT)
#define SW_PAGE_MASK  (~(SW_PAGE_SIZE - 1))

#define SW_MUST_CHECK      __attribute__((warn_unused_result))
#define SW_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define SW_ARRAY_SIZE(a)   (sizeof(a) / sizeof((a)[0]))

#define sw_likely(x)   __builtin_expect(!!(x), 1)
#define sw_unlikely(x) __builtin_expect(!!(x), 0)

#define sw_container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

/* Of two numbers, each of which is evaluated once. */
#define sw_min(a, b)                                       \
	({                                                 \
		const __auto_type sw_min_a = (a);          \
		const __auto_type sw_min_b = (b);          \
		sw_min_a < sw_min_b ? sw_min_a : sw_min_b; \
	})
#define sw_max(a, b)                                       \
	({                                                 \
		const __auto_type sw_max_a = (a);          \
		const __auto_type sw_max_b = (b);          \
		sw_max_a > sw_max_b ? sw_max_a : sw_max_b; \
	})

/* Prints `what` with its place and aborts. Never returns. */
void sw_bug(const char *file, int line, const char *what)
	__attribute__((noreturn, cold));

/* Always checked: going on would lose a page. */
#define SW_BUG_ON(cond)                                    \
	do {                                               \
		if (sw_unlikely(cond))                     \
			sw_bug(__FILE__, __LINE__, #cond); \
	} while (0)

/* Checked builds, O(1). */
#ifdef SW_CHECKS
#define SW_ASSERT(cond) SW_BUG_ON(!(cond))
#else
#define SW_ASSERT(cond) ((void)sizeof(cond))
#endif

/* -Dchecks=full: may walk a structure. */
#ifdef SW_CHECKS_FULL
#define SW_ASSERT_SLOW(cond) SW_BUG_ON(!(cond))
#else
#define SW_ASSERT_SLOW(cond) ((void)sizeof(cond))
#endif

#endif
