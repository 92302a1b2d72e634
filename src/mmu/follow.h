/*
 * follow.h - a thread that serves faults runs on the CPU of the thread whose
 * faults it serves: the hand-over between two sleepers on one CPU costs half of
 * that between two CPUs.
 */
#ifndef SW_FOLLOW_H
#define SW_FOLLOW_H

#include <stdint.h>
#include <sys/types.h>

/* [thread: who serves] Begins with sw_follow_init(). */
struct sw_follow {
	pid_t pid;  /* of the threads that fault; 0: not known yet */
	int cpu_fd; /* /proc/PID/task/TID/stat of cpu_tid */
	int cpu_tid;
	int cpu; /* where this thread is pinned, -1: nowhere */
	int cpu_want, cpu_votes;
	int tid;            /* of the last fault */
	unsigned nr_same;   /* faults of it before, in a row */
	unsigned nr_faults; /* since the last look */
	unsigned nr_late;   /* faults that came late, since then */
	unsigned nr_vain;   /* of these, not to be looked at: looks were vain */
	uint64_t served_ns; /* when the last one had been served */
};

void sw_follow_init(struct sw_follow *f, pid_t pid);
void sw_follow_release(struct sw_follow *f);
/* A fault of thread `tid` is about to be served, */
void sw_follow(struct sw_follow *f, int tid);
/* and was. */
void sw_follow_served(struct sw_follow *f);

#endif
