/*
 * measure.c - what /proc says: memory of a process, and who descends from
 * whom. All of it is a snapshot; a process that is gone reads as nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/proc.h"

static int open_proc(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Reads a small file of /proc/PID into buf, NUL-terminated; its length. */
static ssize_t read_proc(pid_t pid, const char *what, char *buf, size_t size)
{
	int fd = open_proc(pid, what);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		n = 0;
	buf[n] = 0;
	return n;
}

/* "size resident shared ...", in pages. */
static uint64_t anonymous_of(const char *statm)
{
	uint64_t resident, shared;
	char *at;

	(void)strtoull(statm, &at, 10);
	resident = strtoull(at, &at, 10);
	shared = strtoull(at, &at, 10);
	return resident > shared ? resident - shared : 0;
}

uint64_t sw_measure_rss(pid_t pid)
{
	char buf[128];

	return read_proc(pid, "statm", buf, sizeof(buf)) ? anonymous_of(buf)
							 : 0;
}

/* To open it takes longer than to read it. */
uint64_t sw_measure_rss_again(pid_t pid, int *fd)
{
	char buf[128];
	ssize_t n;

	if (*fd < 0)
		*fd = open_proc(pid, "statm");
	if (*fd < 0)
		return 0;
	n = pread(*fd, buf, sizeof(buf) - 1, 0);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	return anonymous_of(buf);
}

/* A line "NAME: NUMBER kB" of a file of /proc, in bytes. */
static uint64_t kib_line(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

struct sw_pss sw_measure_pss(pid_t pid)
{
	struct sw_pss pss = { 0 };
	char buf[2048];

	if (!read_proc(pid, "smaps_rollup", buf, sizeof(buf)))
		return pss;
	/* The walk takes time: what moves along with it is counted twice. */
	pss.anon = sw_min(kib_line(buf, "Pss_Anon:") / SW_PAGE_SIZE,
			  sw_measure_rss(pid));
	pss.shmem = kib_line(buf, "Pss_Shmem:") / SW_PAGE_SIZE;
	return pss;
}

uint64_t sw_measure_shmem(pid_t pid)
{
	char buf[4096];

	return read_proc(pid, "status", buf, sizeof(buf))
		       ? kib_line(buf, "RssShmem:") / SW_PAGE_SIZE
		       : 0;
}

uint64_t sw_measure_memory(pid_t pid)
{
	char buf[4096];

	if (!read_proc(pid, "status", buf, sizeof(buf)))
		return 0;
	return kib_line(buf, "RssAnon:") + kib_line(buf, "RssShmem:");
}

pid_t sw_parent_of(pid_t pid)
{
	char buf[512], *p;

	if (!read_proc(pid, "stat", buf, sizeof(buf)))
		return 0;
	p = strrchr(buf, ')'); /* ") S ppid" */
	return p ? atoi(p + 4) : 0;
}

bool sw_is_descendant(pid_t pid, pid_t root)
{
	for (int depth = 0; pid > 1 && depth < 512; depth++) {
		pid = sw_parent_of(pid);
		if (pid == root)
			return true;
	}
	return false;
}

/* ---- who descends from whom ---- */

struct relation {
	pid_t pid, parent;
};

/* All processes, ascending, each asked for its parent once: the machine may
 * have thousands that are no business of ours. */
struct relations {
	struct relation *of;
	size_t nr, max;
};

static int by_pid(const void *a, const void *b)
{
	const struct relation *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* False: no memory for one more. */
static bool add_relation(struct relations *all, pid_t pid)
{
	if (all->nr == all->max) {
		size_t max = all->max ? all->max * 2 : 256;
		void *more = realloc(all->of, max * sizeof(*all->of));

		if (!more)
			return false;
		all->of = more;
		all->max = max;
	}
	all->of[all->nr++] = (struct relation){ pid, sw_parent_of(pid) };
	return true;
}

/* Whose line of parents ends at somebody who is not there has just lost one:
 * he is asked again, and who has adopted him. */
static bool is_below(const struct relations *all, struct relation child,
		     pid_t root)
{
	struct relation at = child;

	for (int depth = 0; at.parent > 1 && depth < 512; depth++) {
		struct relation key = { .pid = at.parent };
		struct relation *found;

		if (at.parent == root)
			return true;
		found = bsearch(&key, all->of, all->nr, sizeof(key), by_pid);
		if (!found)
			return sw_is_descendant(child.pid, root);
		at = *found;
	}
	return at.parent == root;
}

void sw_for_each_descendant(pid_t root, void (*fn)(void *arg, pid_t pid),
			    void *arg)
{
	struct relations all = { 0 };
	DIR *proc = opendir("/proc");
	struct dirent *d;

	while (proc && (d = readdir(proc))) {
		pid_t pid = isdigit(d->d_name[0]) ? atoi(d->d_name) : 0;

		if (pid > 0 && !add_relation(&all, pid) && pid != root &&
		    sw_is_descendant(pid, root))
			fn(arg, pid);
	}
	if (proc)
		closedir(proc);
	if (all.nr)
		qsort(all.of, all.nr, sizeof(*all.of), by_pid);
	for (size_t i = 0; i < all.nr; i++)
		if (all.of[i].pid != root && is_below(&all, all.of[i], root))
			fn(arg, all.of[i].pid);
	free(all.of);
}

static int compare_memory(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
}

int sw_shares_memory(pid_t process, pid_t helper)
{
	int order = compare_memory(process, helper);
	char path[64];
	struct dirent *d;
	DIR *tasks;

	if (order <= 0)
		return order ? -1 : 1;
	/* A leader that has ended while its threads go on has no memory of its
	 * own any more: ask them. */
	snprintf(path, sizeof(path), "/proc/%d/task", process);
	tasks = opendir(path);
	while (order && tasks && (d = readdir(tasks)))
		if (isdigit(d->d_name[0]))
			order = compare_memory(atoi(d->d_name), helper);
	if (tasks)
		closedir(tasks);
	return !order;
}
