/* remote_internal.h - the struct that remote.c and remote_events.c share. */
#ifndef SW_REMOTE_INTERNAL_H
#define SW_REMOTE_INTERNAL_H

#include <pthread.h>
#include <stdio.h>

#include "mmu/follow.h"
#include "mmu/remote.h"

struct sw_remote {
	struct sw_mmu mmu;
	const struct sw_mmu_client *client; /* [const] */
	int uffd;                           /* [const] */

	/* The agent; set once, under the space lock. */
	struct sw_agent_place at;
	int sock;
	uint64_t bell;            /* a page rung before a fork (protocol.h) */
	struct sw_agent_ctl *ctl; /* [atomic] shared with the agent */
	uint64_t batch;           /* agent_lock: as many have been answered */
	unsigned nr_taken;        /* same: pages that the last one moved */
	unsigned nr_staged;       /* [atomic] to be dropped with batch `drop` */
	bool huge;                /* agent_lock: the last one was a huge page */
	int pagemap;   /* [thread: who takes] of the process; -1: not open */
	uint64_t drop; /* [atomic] */
	struct sw_agent_ctl no_ctl; /* stands in until there is one */
	pthread_mutex_t agent_lock; /* one conversation at a time */
	bool unsharing;             /* [atomic] it is or will be such a one */

	/* The event thread. */
	pthread_t thread;
	bool running;            /* [thread: who starts and stops] */
	bool stop;               /* [atomic] */
	struct sw_follow follow; /* [thread events] */
	uint32_t heard;          /* [atomic] ctl->advised when last looked at */
	bool bell_rang;          /* it is writable now */
	bool bell_loose; /* to be protected again as soon as it can be */
};

/* How the address space is: -ESRCH gone, -EAGAIN its layout is changing (an
 * event is unread, or read and its thread has not run since), -ENOENT neither.
 * Nothing is ever mapped at the second page, which is asked for. */
int sw_remote_probe(const struct sw_remote *r);

#endif
