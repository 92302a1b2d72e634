/*
 * remote.h - the mmu of another process: its userfaultfd, read by a thread of
 * ours, and the agent that shares its memory. See remote.c.
 */
#ifndef SW_REMOTE_H
#define SW_REMOTE_H

#include <sys/types.h>

#include "mmu/mmu.h"

/* The features every managed userfaultfd is opened with. */
uint64_t sw_remote_features(void);

struct sw_remote;

/* A managed process, its agent, and what of its memory is the agent's. */
struct sw_agent_place {
	pid_t pid, helper;
	uint64_t own_start, own_end;
	uint64_t stage; /* SW_AREA_PAGES */
};

/*
 * A remote mmu for the address space behind `uffd` (owned from now on, and
 * already enabled), whose events go to `client` with `space`. Nothing is read
 * before sw_remote_start(). `pid` is the process, for its CPUs (0: not known
 * yet). NULL: out of memory.
 */
struct sw_remote *sw_remote_new(int uffd, pid_t pid,
				const struct sw_mmu_client *client,
				void *space);
struct sw_mmu *sw_remote_mmu(struct sw_remote *r);
struct sw_remote *sw_remote_of(struct sw_mmu *mmu);
int sw_remote_uffd(const struct sw_remote *r);

/* Starts the thread that reads events. */
int sw_remote_start(struct sw_remote *r);

/*
 * Gives the space its agent: `sock` and `ctl` (a mapped sw_agent_ctl) are the
 * space's from now on.
 */
void sw_remote_set_agent(struct sw_remote *r, const struct sw_agent_place *at,
			 int sock, struct sw_agent_ctl *ctl);
/* Where that is; for threads that know it has been set. */
const struct sw_agent_place *sw_remote_agent(const struct sw_remote *r);
/* The agent is gone or going: nothing waits for it any more. */
void sw_remote_agent_dead(struct sw_remote *r);

/* True when the address space behind the descriptor is gone. */
bool sw_remote_is_gone(const struct sw_remote *r);

/* Pages that the agent has moved aside and not yet dropped: the program has no
 * words of them any more, and the kernel still counts them. A snapshot. */
unsigned sw_remote_staged(const struct sw_remote *r);

/* Registers [start, end) for missing pages and write protection. */
int sw_remote_register(struct sw_remote *r, uint64_t start, uint64_t end);

/* Has the program given advice since? Then the event thread shall look at it.
 * For the thread that may stop it. */
void sw_remote_look(struct sw_remote *r);

/* Ends the event thread (which must not be the caller) and waits for it. */
void sw_remote_stop(struct sw_remote *r);
/* Stopped and without agent traffic: closes everything, frees. */
void sw_remote_free(struct sw_remote *r);

#endif
