/*
 * preflight.h - everything that can be known to go wrong before a process is
 * started, each with one line on stderr. A session that passed can still
 * fail, but not for a reason the user could have been told at once.
 */
#ifndef SW_RUN_PREFLIGHT_H
#define SW_RUN_PREFLIGHT_H

#include <limits.h>

#include "run/options.h"

/*
 * The report file, the command, userfaultfd: in this order. 0, or the exit
 * status (125, 126, 127) after its line has been printed.
 */
SW_MUST_CHECK int sw_preflight(const struct sw_run_options *opt);

/* Finds `name` as execvp(3) would. 0, or -ENOENT, -EACCES, ... */
SW_MUST_CHECK int sw_command_lookup(const char *name, char path[PATH_MAX]);

/* 0, or 126/127 after a line: `name` is missing or cannot be managed. */
SW_MUST_CHECK int sw_preflight_command(const char *name);

#endif
