/*
 * keeper.h - the process that outlives the supervisor's death long enough to
 * make it clean. See keeper.c.
 */
#ifndef SW_RUN_KEEPER_H
#define SW_RUN_KEEPER_H

#include <sys/types.h>

#include "base/base.h"
#include "run/door.h"

#define SW_KEEPER_MAX 16384u /* processes it can know */

/* Shared with the keeper: who is to be killed. Written by the session's loop
 * only. A pid that is gone stays for a moment at most. */
struct sw_keeper_list {
	uint32_t nr;                /* [atomic] */
	int32_t pid[SW_KEEPER_MAX]; /* [atomic] 0: a free place */
};

struct sw_keeper {
	struct sw_keeper_list *list;
	const struct sw_door *door; /* goes with the tree */
	pid_t pid;
};

int sw_keeper_init(struct sw_keeper *k);
/* Starts it, or starts it again after its death. 0 or -errno. */
int sw_keeper_start(struct sw_keeper *k);
void sw_keeper_add(struct sw_keeper *k, pid_t pid);
void sw_keeper_del(struct sw_keeper *k, pid_t pid);
/* The session ended well: the keeper goes, without killing anybody. */
void sw_keeper_stop(struct sw_keeper *k);

#endif
