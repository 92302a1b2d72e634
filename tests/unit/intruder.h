/*
 * intruder.h - for tests of a bug that needs somebody else to come in at one
 * moment: sw_sched_hook plays him. And for what must abort.
 */
#ifndef SW_TEST_INTRUDER_H
#define SW_TEST_INTRUDER_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* Does `fn` abort? In a child of its own. */
static inline bool aborts(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static inline struct swap_info_struct *si_of(swp_entry_t e)
{
	return &swap_info[swp_type(e)];
}

static inline struct swap_cluster_info *ci_of(swp_entry_t e)
{
	return __swap_offset_to_cluster(si_of(e), swp_offset(e));
}

#ifdef SW_CHECKS
/* Runs `fn` at the n-th time the place `what` is about to be entered. */
static struct {
	const char *what;
	unsigned countdown;
	void (*fn)(void *arg);
	void *arg;
} intruder;

static inline void intrude(const char *what)
{
	if (strcmp(what, intruder.what) || --intruder.countdown)
		return;
	sw_sched_hook = NULL;
	intruder.fn(intruder.arg);
}

static inline void at(const char *what, unsigned nth, void (*fn)(void *),
		      void *arg)
{
	intruder.what = what;
	intruder.countdown = nth;
	intruder.fn = fn;
	intruder.arg = arg;
	sw_sched_hook = intrude;
}
#endif

#endif
