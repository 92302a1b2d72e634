/*
 * conf.h - where the settings of `spillway run` come from. What the command
 * line says of a thing counts; what it leaves open is taken from the
 * environment (SPILLWAY_MEMORY=512M), and what that leaves open from a file
 * (memory = 512M). For each thing one source counts: swap devices, too, come
 * from one of them and are not added up.
 */
#ifndef SW_RUN_CONF_H
#define SW_RUN_CONF_H

#include <stdio.h>

#include "run/options.h"

#define SW_CONF_PATH "/etc/spillway.conf"

struct sw_conf {
	struct sw_run_options *opt; /* the caller's */
	unsigned above;             /* what sources before this one set */
	unsigned here;              /* what this one did; bits of conf.c */
};

/* An option of the command line by its long name, which is known, and its
 * value. 0, or -EINVAL after a line. */
SW_MUST_CHECK int sw_conf_set(struct sw_conf *conf, const char *key,
			      const char *value);

/* After the command line: environment and file. 0, or -errno after a line. */
SW_MUST_CHECK int sw_conf_read_rest(struct sw_conf *conf);

/* One file, called `name` in messages; for tests. As above. */
SW_MUST_CHECK int sw_conf_read(struct sw_conf *conf, FILE *file,
			       const char *name);

#endif
