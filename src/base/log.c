/*
 * log.c - see log.h. One write(2) a line, so that lines of several threads
 * do not mix and nothing is lost when the process is killed.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum sw_log_level log_level = SW_LOG_WARN; /* [const] after start */

static bool silent; /* [atomic] */

static __thread struct sw_log_sink diverted;

struct sw_log_sink sw_log_divert(enum sw_log_level level,
				 void (*say)(void *arg, const char *text),
				 void *arg)
{
	const struct sw_log_sink was = diverted;

	diverted = (struct sw_log_sink){ level, say, arg };
	return was;
}

void sw_log_silence(void)
{
	__atomic_store_n(&silent, true, __ATOMIC_RELAXED);
}

void sw_log_set_level(enum sw_log_level level)
{
	log_level = level;
}

bool sw_log_enabled(enum sw_log_level level)
{
	return level <= log_level;
}

void sw_log(enum sw_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	if (!sw_log_enabled(level))
		return;
	n = snprintf(line, sizeof(line), "spillway: %s",
		     level == SW_LOG_WARN ? "warning: " : "");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (diverted.say && level <= diverted.level) {
		diverted.say(diverted.arg, line + n);
		return;
	}
	if (__atomic_load_n(&silent, __ATOMIC_RELAXED))
		return;
	n = sw_min(n + m, (int)sizeof(line) - 2);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
}
