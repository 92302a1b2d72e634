/*
 * follow.c - see follow.h. The kernel names the faulting thread; where it ran
 * last is looked up now and then, not at every fault.
 *
 * Above: remote_events.c, local_thread.c.
 */
#include "mmu/follow.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_FAULTS 32 /* from one look at the CPU to the next */

/* The CPU that thread `tid` of the target ran on last, or -1. */
static int cpu_of(struct sw_follow *f, int tid)
{
	char buf[512], *p;
	ssize_t n;

	if (f->cpu_tid != tid || f->cpu_fd < 0) {
		char path[64];

		if (f->cpu_fd >= 0)
			close(f->cpu_fd);
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", f->pid,
			 tid);
		f->cpu_fd = open(path, O_RDONLY | O_CLOEXEC);
		f->cpu_tid = tid;
	}
	if (f->cpu_fd < 0)
		return -1;
	n = pread(f->cpu_fd, buf, sizeof(buf) - 1, 0);
	if (n <= 0) {
		f->cpu_tid = 0;
		return -1;
	}
	buf[n] = 0;
	p = strrchr(buf, ')'); /* ends field 2; the CPU is field 39 */
	for (int field = 2; p && field < 39; field++) {
		p = strchr(p + 1, ' ');
		if (p && field == 19)
			f->nr_threads = atoi(p + 1);
	}
	return p ? atoi(p + 1) : -1;
}

/*
 * A thread that we wake is put onto an idle CPU if there is one, and comes back
 * when that is needed for reclaim: whoever follows every such move runs after
 * it, at 30 us a time (looking after each fault that came late, random reads
 * were 11 % slower). Where several threads fault, two looks in a row must agree.
 */
void sw_follow(struct sw_follow *f, int tid)
{
	cpu_set_t set;
	int cpu;

	if (!f->pid || f->nr_faults++ % LOOK_FAULTS)
		return;
	cpu = cpu_of(f, tid);
	if (cpu < 0 || cpu == f->cpu) {
		f->cpu_votes = 0;
		return;
	}
	if (cpu != f->cpu_want) {
		f->cpu_want = cpu;
		f->cpu_votes = 0;
	}
	if (f->cpu >= 0 && f->nr_threads > 1 && ++f->cpu_votes < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		f->cpu = cpu;
	f->cpu_votes = 0;
}

void sw_follow_init(struct sw_follow *f, pid_t pid)
{
	*f = (struct sw_follow){
		.pid = pid,
		.cpu_fd = -1,
		.cpu = -1,
		.nr_threads = 2, /* perhaps */
	};
}

void sw_follow_release(struct sw_follow *f)
{
	if (f->cpu_fd >= 0)
		close(f->cpu_fd);
}
