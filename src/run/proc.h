/*
 * proc.h - the processes of a session: those that said hello, with their
 * agent and, once attached, their managed address space. One thread, the
 * session's loop, owns all of this; no locks but the one under which others
 * read who is there.
 */
#ifndef SW_RUN_PROC_H
#define SW_RUN_PROC_H

#include <sys/types.h>

#include "base/list.h"
#include "mm/mm.h"
#include "mmu/remote.h"

struct sw_proc {
	struct sw_list node;
	struct sw_agent_place at;
	int pidfd, helper_pidfd;
	int statm;         /* -1 until it is first measured */
	int sock;          /* to the agent; the remote's once attached */
	bool forked;       /* shares frames with its parent until it execs */
	bool born_managed; /* perhaps: then a space of its own is on its way */
	bool agent_dead;   /* nothing is taken out any more */
	bool failed;       /* cannot be managed */
	bool ready;        /* staging areas are made */
	struct sw_agent_ctl *ctl;
	int uffd;          /* prepared: the remote's once attached */
	uint64_t hello_ns; /* when it came */
	uint64_t cpu_ns;   /* it has had: stalls.c */

	struct sw_remote *remote; /* NULL: not attached */
	struct sw_space *space;
	struct sw_space *listed; /* procs_lock: the same, for other threads */

	uint64_t anon_pages; /* last measurement */
	uint64_t scan_rest;  /* unmanaged pages after the last scan */
	uint64_t scan_ns;    /* not again before */
	uint64_t register_ns;
};

/* A space born by fork whose agent has not said hello (and may never). */
struct sw_child {
	struct sw_list node;
	struct sw_remote *remote;
	struct sw_space *space;
	bool ready; /* its tables are complete and its events are read */
};

/* ---- maps.c ---- */

/* Registers every range of the process `at` that can be managed and is not
 * yet. Any thread. 0 or -errno. */
int sw_maps_register(const struct sw_agent_place *at, struct sw_remote *remote,
		     struct sw_space *space);
/* The same, and notes which of its pages are present. */
int sw_proc_scan(struct sw_proc *p);
/*
 * A forked child does not inherit what its parent marked MADV_DONTFORK: words
 * and regions copied for it are dropped, before anything can be taken out.
 * 0 or -errno: the child must not get its agent yet.
 */
int sw_proc_prune(struct sw_proc *p);
/* Opens a file of /proc/PID; -1 when that is not possible. */
int sw_open_proc(pid_t pid, const char *what);
/* Are pages present at `addr` of process `pid`? */
bool sw_page_is_present(pid_t pid, uint64_t addr);

/* ---- measure.c ---- */

/* Anonymous pages of a process, from /proc/PID/statm: cheap, and shared ones
 * count in each process. 0 when it is gone. */
uint64_t sw_measure_rss(pid_t pid);
/* The same, of a process that is looked at many times a second: its file stays
 * open in *fd (-1 at first), and is that of whatever program it runs. */
uint64_t sw_measure_rss_again(pid_t pid, int *fd);
/* Bytes of memory that no file is behind: anonymous, and what is mapped of
 * shared anonymous memory. */
uint64_t sw_measure_memory(pid_t pid);

/* Pages, each divided by the processes that map it: exact in the sum, and costs
 * a walk of the page table. */
struct sw_pss {
	uint64_t anon;
	uint64_t shmem; /* MAP_SHARED, memfd, System V */
};

struct sw_pss sw_measure_pss(pid_t pid);
/* The latter, each page counted in each process: cheap. */
uint64_t sw_measure_shmem(pid_t pid);

/* Calls fn for each process below `root`, in no order. */
void sw_for_each_descendant(pid_t root, void (*fn)(void *arg, pid_t pid),
			    void *arg);
pid_t sw_parent_of(pid_t pid); /* 0: gone */
/* Is `root` an ancestor of `pid`? */
bool sw_is_descendant(pid_t pid, pid_t root);
/* Does a thread of the process share the helper's address space? 1, 0, or -1
 * when that cannot be told (one of them is gone). */
int sw_shares_memory(pid_t process, pid_t helper);

/* ---- command_of.c ---- */

#define SW_COMMAND_MAX 257

/* What the process was called with, or its name in brackets, cut to fit; UTF-8
 * without any control character. */
void sw_command_of(pid_t pid, char text[SW_COMMAND_MAX]);
/* Each byte that is not part of such a text becomes a question mark. */
void sw_make_readable(char *text);

/* ---- attach.c ---- */

/* Reads a hello from a fresh connection; NULL when it is nobody of ours (said
 * in the log). Takes over `sock` in any case. */
struct sw_proc *sw_proc_accept(int sock, pid_t root);
void sw_proc_warn_agent_died(pid_t pid);
/* The process cannot be managed: said once, for the first of them. */
void sw_proc_give_up(struct sw_proc *p, int err);
/* Has the process behind a pidfd ended? (-1: there is none to end.) */
bool sw_has_ended(int pidfd);

/* Makes the agent ready (staging areas, `make_uffd`: a userfaultfd, put into
 * *uffd, else -1). 0 or -errno. */
int sw_proc_ready(struct sw_proc *p, bool make_uffd, int *uffd);

/* What attaching takes and needs the agent for, done ahead of it: when memory
 * runs short there may be no time to wait for a busy machine's turn. */
int sw_proc_prepare(struct sw_proc *p);
/* Attaches a prepared process that is not a managed fork: a new space, its
 * ranges registered; what is in them is noted by sw_proc_scan(). */
int sw_proc_attach_new(struct sw_proc *p, struct sw_mm *mm);
/* Is `child` the space of this (ready) process? Then it is its own now. */
bool sw_proc_claim(struct sw_proc *p, struct sw_child *child);
/* Gives a claimed space its agent, once it is known what the child did not
 * inherit; tried again until that can be told. */
void sw_proc_complete(struct sw_proc *p);

/*
 * Ends the record of a process that is gone or has another memory now: kills
 * the agent. Its space, if it had one, is returned: some thread may still live
 * in it, and it is buried only when the kernel says that it is gone.
 */
struct sw_child *sw_proc_free(struct sw_proc *p);
void sw_child_free(struct sw_child *c);

#endif
