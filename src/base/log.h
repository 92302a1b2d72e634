/*
 * log.h - messages to people: one line each on stderr, prefixed "spillway: ".
 * A line says what, where, why and what to do. Warnings about the same thing
 * come once: sw_warn_once() keeps that promise at its own spot.
 */
#ifndef SW_LOG_H
#define SW_LOG_H

#include "base/base.h"

enum sw_log_level {
	SW_LOG_ERROR,
	SW_LOG_WARN,
	SW_LOG_INFO,  /* -v */
	SW_LOG_DEBUG, /* -vv */
};

void sw_log_set_level(enum sw_log_level level);
bool sw_log_enabled(enum sw_log_level level);
void sw_log(enum sw_log_level level, const char *fmt, ...) SW_PRINTF(2, 3);

/* Where lines of a level, or a graver one, go instead of stderr: without prefix
 * and end of line. say is NULL: nowhere else. */
struct sw_log_sink {
	enum sw_log_level level;
	void (*say)(void *arg, const char *text);
	void *arg;
};

/*
 * What the calling thread says from now on goes there: it works for somebody who
 * will read it elsewhere. NULL: to stderr again. Returns where it went before.
 */
struct sw_log_sink sw_log_divert(enum sw_log_level level,
				 void (*say)(void *arg, const char *text),
				 void *arg);
/* From now on what is not diverted goes nowhere. */
void sw_log_silence(void);

#define sw_error(...) sw_log(SW_LOG_ERROR, __VA_ARGS__)
#define sw_warn(...)  sw_log(SW_LOG_WARN, __VA_ARGS__)
#define sw_info(...)  sw_log(SW_LOG_INFO, __VA_ARGS__)
#define sw_debug(...)                                      \
	do {                                               \
		if (sw_log_enabled(SW_LOG_DEBUG))          \
			sw_log(SW_LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#define sw_warn_once(...)                                                \
	do {                                                             \
		static bool said;                                        \
		if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED)) \
			sw_warn(__VA_ARGS__);                            \
	} while (0)

#endif
