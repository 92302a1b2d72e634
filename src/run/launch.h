/*
 * launch.h - starting the command so that its tree meets the agent: the
 * preload and the socket's name in its environment, nothing else changed.
 */
#ifndef SW_RUN_LAUNCH_H
#define SW_RUN_LAUNCH_H

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

#include "base/base.h"

/* Where the agent's shared object is. 0, or -ENOENT after a line. */
SW_MUST_CHECK int sw_agent_path(char path[PATH_MAX]);

/* A listening socket for agents under a fresh abstract name, which goes to
 * `name`. The descriptor or -errno. */
SW_MUST_CHECK int sw_agent_listen(char name[64]);

/*
 * Forks and executes argv with the signal mask `mask`. Returns the pid, or
 * -errno; a failed exec ends the child with 126 or 127 after a line.
 */
SW_MUST_CHECK pid_t sw_launch(char *const *argv, const char *agent,
			      const char *name, const sigset_t *mask);

#endif
