/* fork.h - what instance.c and fork.c share. */
#ifndef SW_LIB_FORK_H
#define SW_LIB_FORK_H

#include "lib/lib_internal.h"

/* The threads of an instance, all of them. */
SW_MUST_CHECK int sw_lib_start(struct sw_lib *lib);
void sw_lib_stop(struct sw_lib *lib);

/* From now on a fork knows the instance, and no more. sw_lib_life_lock() held. */
SW_MUST_CHECK int sw_lib_join(struct sw_lib *lib);
void sw_lib_part(struct sw_lib *lib);

#endif
