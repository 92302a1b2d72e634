/*
 * session.h - one run of one command: start it, keep the memory of its
 * process tree within the budget, and say at the end what happened.
 */
#ifndef SW_RUN_SESSION_H
#define SW_RUN_SESSION_H

#include "run/options.h"

#define SW_EXIT_FAILURE    125 /* Spillway itself failed, as in env(1) */
#define SW_EXIT_CANNOT_RUN 126 /* the command was found but cannot be run */
#define SW_EXIT_NOT_FOUND  127

/*
 * Runs opt->argv to its end. Returns the exit status for main: the command's
 * own, 128 + N when signal N ended it, or one of the three above with a
 * line on stderr.
 */
int sw_session_run(const struct sw_run_options *opt);

#endif
