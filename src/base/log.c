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

/* Where errors of this thread go, if not to stderr. */
static __thread struct {
	void (*say)(void *arg, const char *text);
	void *arg;
} diverted;

/* Where everything does that this thread says. */
static __thread struct sw_log_text *caught;

void sw_log_divert(void (*say)(void *arg, const char *text), void *arg)
{
	diverted.say = say;
	diverted.arg = arg;
}

void sw_log_catch(struct sw_log_text *to)
{
	caught = to;
	if (to && to->len)
		to->text[0] = 0;
}

void sw_log_silence(void)
{
	__atomic_store_n(&silent, true, __ATOMIC_RELAXED);
}

/* The first reason is the one that counts; what follows is its consequence. */
static void keep_first(const char *fmt, va_list ap)
{
	if (caught->len && !caught->text[0])
		vsnprintf(caught->text, caught->len, fmt, ap);
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
	if (caught) {
		va_start(ap, fmt);
		keep_first(fmt, ap);
		va_end(ap);
		return;
	}
	n = snprintf(line, sizeof(line), "spillway: %s",
		     level == SW_LOG_WARN ? "warning: " : "");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (level == SW_LOG_ERROR && diverted.say) {
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
