/*
 * follow.c - see follow.h. The kernel names the faulting thread; where it ran
 * last is looked up now and then, not at every fault.
 *
 * A thread that we wake is put onto an idle CPU if there is one, hundreds of
 * times a second while reclaim has little to do. From then on each of its faults
 * comes late, by the 35 to 90 us that it takes to wake a CPU of a virtual
 * machine. Of one thread that faults alone this is seen by the time from one
 * fault to the next, which may be its own work as well: a look tells. Where
 * several fault, all CPUs are busy as a rule; the looks are rare and two in a
 * row must agree.
 *
 * Above: remote_events.c, local_thread.c. Below: base/time.h.
 */
#include "mmu/follow.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/time.h"

#define LATE_NS     20000
#define ALONE       32  /* faults of one thread in a row */
#define LOOK_FAULTS 256 /* from one look at the CPU to the next */
#define MOST_VAIN   31u /* late faults that are not looked at */

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
	for (int field = 2; p && field < 39; field++)
		p = strchr(p + 1, ' ');
	return p ? atoi(p + 1) : -1;
}

static bool is_alone(const struct sw_follow *f)
{
	return f->nr_same >= ALONE;
}

static bool shall_look(struct sw_follow *f, int tid)
{
	if (f->tid != tid)
		f->nr_same = 0;
	else
		f->nr_same++;
	f->tid = tid;
	if (++f->nr_faults >= LOOK_FAULTS)
		return true;
	return is_alone(f) && sw_now_ns() - f->served_ns >= LATE_NS &&
	       ++f->nr_late >= f->nr_vain;
}

void sw_follow(struct sw_follow *f, int tid)
{
	cpu_set_t set;
	int cpu;

	if (!f->pid || !shall_look(f, tid))
		return;
	f->nr_faults = 0;
	f->nr_late = 0;
	cpu = cpu_of(f, tid);
	if (cpu < 0 || cpu == f->cpu) {
		f->nr_vain = sw_min(2 * f->nr_vain + 1, MOST_VAIN);
		f->cpu_votes = 0;
		return;
	}
	f->nr_vain = 0;
	if (cpu != f->cpu_want) {
		f->cpu_want = cpu;
		f->cpu_votes = 0;
	}
	if (f->cpu >= 0 && !is_alone(f) && ++f->cpu_votes < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		f->cpu = cpu;
	f->cpu_votes = 0;
}

void sw_follow_served(struct sw_follow *f)
{
	if (is_alone(f))
		f->served_ns = sw_now_ns();
}

void sw_follow_init(struct sw_follow *f, pid_t pid)
{
	*f = (struct sw_follow){
		.pid = pid,
		.cpu_fd = -1,
		.cpu = -1,
		.nr_faults = LOOK_FAULTS, /* begin with one */
	};
}

void sw_follow_release(struct sw_follow *f)
{
	if (f->cpu_fd >= 0)
		close(f->cpu_fd);
}
