/*
 * session_internal.h - the struct that session.c (the life of a run), procs.c
 * (who is in the tree), watch.c (how much it uses, what to do about it),
 * own.c (how much we use), shared.c (what of it is shared memory) and bury.c (the
 * end of address spaces) share. All of it belongs to the loop's thread, except
 * what says otherwise.
 */
#ifndef SW_RUN_SESSION_INTERNAL_H
#define SW_RUN_SESSION_INTERNAL_H

#include <signal.h>
#include <sys/resource.h>

#include "base/lock.h"
#include "run/control.h"
#include "run/correction.h"
#include "run/devices.h"
#include "run/door.h"
#include "run/keeper.h"
#include "run/metrics.h"
#include "run/options.h"
#include "run/pressure.h"
#include "run/proc.h"
#include "trace/recorder.h"

#define MAX_STRANGERS 1024 /* more of them are counted, not remembered */

enum source {
	SRC_SIGNAL = 1,
	SRC_LISTEN,
	SRC_TIMER,
	SRC_BORN,
	SRC_PIDFD
};

/* Spaces that the kernel has given up, and the thread that frees them. */
struct bury {
	pthread_t thread;
	struct sw_mutex lock; /* SW_RANK_LEAF */
	pthread_cond_t more;
	struct sw_list gone; /* lock: struct sw_child */
	bool stop;           /* lock: when the list is empty */
	unsigned pending;    /* [atomic] in the list, or being freed */
};

/* What is lost to faults: stalls.c. */
struct stalls {
	struct sw_mutex lock;        /* SW_RANK_LEAF */
	struct sw_pressure pressure; /* lock */
	uint64_t step_ns;            /* its last step */
	uint64_t out_peak;           /* pages that were out, at most, */
	uint64_t demand_peak;        /* and in memory and out together */
};

/* Devices that failed are emptied: drain.c. */
struct sw_drain {
	pthread_t thread;
	struct sw_mutex lock;   /* SW_RANK_LEAF */
	pthread_cond_t changed; /* any of these */
	bool stop;              /* lock */
	bool wanted;            /* lock: it is time to try */
	bool busy;              /* lock: it is being tried */
	unsigned nr_off;        /* lock: who must not be disturbed */
	uint32_t seen;          /* [thread: loop] devices that were to be */
	uint32_t said_begin, said_why; /* [thread: its own] by device */
};

struct session {
	const struct sw_run_options *opt;
	struct sw_mm *mm;
	struct sw_keeper keeper;
	struct sw_devices devices;
	struct sw_door door;       /* where who talks to us comes in, */
	struct sw_control control; /* and is answered */
	bool going;                /* [atomic] a device goes off: requests.c */
	struct sw_drain drain;
	uint64_t budget_bytes;    /* [atomic] steering.c; sw_session_budget() */
	struct sw_mutex steering; /* SW_RANK_STEERING: one at a time sets it */
	unsigned eager; /* [atomic] who wants all processes to be managed now */
	uint64_t looks; /* [atomic] at the tree: watch.c */
	struct sw_metrics metrics;
	struct sw_recorder *recorder; /* or NULL: tracing.c */
	int epoll, signals, listen, timer, born_event;
	sigset_t old_mask;
	struct rlimit old_nofile;
	char socket_name[64];

	pid_t command;
	int status; /* wait status of the command */
	bool command_ended;
	uint64_t start_ns;
	uint64_t command_cpu_ns, agent_cpu_ns;

	struct sw_list procs;       /* said hello; changed under procs_lock */
	struct sw_mutex procs_lock; /* SW_RANK_SESSION: for listing.c */
	struct sw_list children;    /* spaces born by fork, unclaimed */
	struct sw_list orphans; /* spaces whose process is gone, to be buried */
	struct bury bury;
	struct sw_mutex born_lock; /* SW_RANK_LEAF */
	struct sw_list born;       /* born_lock: the same, not seen by us yet */

	long nr_cpus;
	uint64_t slow_ns, pss_ns;        /* when to do these again */
	uint64_t changes;                /* processes that came and went */
	struct sw_correction correction; /* pages, watch.c */
	uint64_t own_peak_bytes;         /* own.c */
	int64_t unknown;                 /* pages, by the last look */
	unsigned hurry;                  /* looks left at the fast pace */
	uint64_t look_ns;                /* what the last one cost */
	bool attached;                   /* somebody is */
	uint64_t strangers;       /* pages of processes without an agent */
	uint64_t strangers_now;   /* while counting */
	uint64_t strangers_shmem; /* theirs, of shared memory */
	uint64_t shared_peak;     /* pages, shared.c */
	uint64_t shared_ns;       /* not looked at again before */
	struct stalls stalls;
	pid_t seen[MAX_STRANGERS],
		known[MAX_STRANGERS]; /* this look, the last */
	unsigned nr_seen, nr_known;   /* the known ones: under procs_lock */
};

/* What the tree may use, right now. */
static inline uint64_t sw_session_budget(const struct session *s)
{
	return __atomic_load_n(&s->budget_bytes, __ATOMIC_RELAXED);
}

/* ---- procs.c ---- */

/* The calls that the memory manager makes at a fork. */
void sw_session_host(struct session *s, struct sw_mm_host *host);
void sw_session_watch(struct session *s, int fd, enum source source);
struct sw_proc *sw_session_find(struct session *s, pid_t pid);
/* Takes in whoever said hello. */
void sw_session_accept(struct session *s);
/* The process is attached: its space is shown to other threads. */
void sw_session_show(struct session *s, struct sw_proc *p);
/* Forked children whose space was born managed get their agent. */
void sw_session_claim(struct session *s);
/* Looks who ended: processes, agents, */
void sw_session_drop_ended(struct session *s);
/* Everybody has ended and is buried: spaces of children nobody claimed. */
void sw_session_free_children(struct session *s);
/* or became another program, */
void sw_session_drop_execed(struct session *s);

/* ---- bury.c ---- */

int sw_bury_start(struct bury *b); /* 0 or -errno */
/* Frees one space, and closes its userfaultfd: it is gone, or all has ended. */
void sw_bury(struct bury *b, struct sw_child *c);
/* The same for those of a list that are gone. */
void sw_bury_gone(struct bury *b, struct sw_list *spaces);
/* Waits until all are freed, and ends the thread. */
void sw_bury_stop(struct bury *b);

/* ---- drain.c ---- */

int sw_drain_start(struct session *s); /* 0, or -errno after a line */
/* Called at each look: has another device failed? */
void sw_drain_look(struct session *s);
/* No device is emptied from here to there. */
void sw_drain_hold(struct sw_drain *d);
void sw_drain_let_go(struct sw_drain *d);
/* The memory manager is there still. */
void sw_drain_stop(struct sw_drain *d);

/* ---- own.c ---- */

/* Looks what the session takes for itself. */
void sw_session_measure_own(struct session *s);

/* ---- watch.c ---- */

/* Everything of the tree that no agent told us of. */
void sw_session_look_for_strangers(struct session *s);
/* Measures, manages, and sets the timer for the next time. */
void sw_session_tick(struct session *s);

/* ---- requests.c ---- */

/* The string `key` of a request; NULL after a line. */
const char *sw_request_text(const json_t *request, const char *key);
/* A name for JSON, which has to be UTF-8: a path may be none. */
json_t *sw_name_json(const char *name);

/* ---- freezing.c: rows of requests.c ---- */

json_t *sw_answer_freeze(struct sw_call *call, const json_t *request,
			 void *arg);
json_t *sw_answer_thaw(struct sw_call *call, const json_t *request, void *arg);

/* ---- steering.c: the same ---- */

json_t *sw_answer_set(struct sw_call *call, const json_t *request, void *arg);
json_t *sw_answer_reclaim(struct sw_call *call, const json_t *request,
			  void *arg);

/* ---- counting.c: the same ---- */

json_t *sw_answer_stat(struct sw_call *call, const json_t *request, void *arg);

/* ---- debugging.c: the same ---- */

json_t *sw_answer_check(struct sw_call *call, const json_t *request, void *arg);
json_t *sw_answer_dump(struct sw_call *call, const json_t *request, void *arg);
/* ---- listing.c, paging_out.c, cluster_map.c: rows of requests.c ---- */

json_t *sw_answer_procs(struct sw_call *call, const json_t *request, void *arg);
json_t *sw_answer_pageout(struct sw_call *call, const json_t *request,
			  void *arg);
json_t *sw_answer_map(struct sw_call *call, const json_t *request, void *arg);
/* ---- stalls.c ---- */

/* There is a memory manager. */
void sw_session_stalls_init(struct session *s);
/* Called a few times a second, and at the end. */
void sw_session_look_at_stalls(struct session *s);
/* What that found, up to the last time. Any thread. */
void sw_session_pressure(struct session *s, struct sw_pressure *p);
/* Pages that the budget would have had to have for nothing to come back; `sums`
 * are of all faults. */
uint64_t sw_session_enough(struct session *s, const struct sw_stall_sums *sums);
/* Both of the above, for who asks. */
json_t *sw_session_stall_json(struct session *s);
/* A row of requests.c. */
json_t *sw_answer_stall(struct sw_call *call, const json_t *request, void *arg);
/* ---- tracing.c ---- */

/* The trace that was asked for begins, and ends when nothing happens any more.
 * 0, or -errno after a line. */
int sw_session_trace(struct session *s);
int sw_session_trace_end(struct session *s, int exit_status);

/* ---- shared.c ---- */

/* How much shared memory the tree has; called now and then. */
void sw_session_look_at_shared(struct session *s);

#endif
