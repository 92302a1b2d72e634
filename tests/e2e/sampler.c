/*
 * sampler.c - the anonymous memory of a process tree, seen from outside.
 *
 *   e2e-sampler [-i MS] [-r] [-l BYTES] [-o FILE] -- COMMAND [ARG...]
 *
 * Runs COMMAND and every MS milliseconds (50) sums Pss_Anon from
 * /proc/PID/smaps_rollup over it and all its descendants; -r leaves out
 * COMMAND itself and whoever bears its name (the supervisor: we measure what
 * it supervises). An address
 * space is counted once, however many processes share it: helpers called
 * spillway-agent, and vfork children. Exits as COMMAND does. Writes to FILE
 *
 *   samples N           how many were taken
 *   max BYTES           the largest sum
 *   after BYTES         the largest sum after 7/8 of LIMIT was reached first
 *                       (reclaim itself keeps up to 1/48 free, and batches)
 *   above N             samples over LIMIT * 1.05 + 8 MiB
 *   torn N              samples given up, see below
 *
 * A sum is not one moment. When a child that shares all of its parent's pages
 * ends between the two looks, half of them are counted for the child and all
 * of them for the parent: so a sum counts only if the same address spaces were
 * there before and after it, and is taken again if not. A page copied in that
 * time is counted half too often; that is small beside the tolerance.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCS 4096
#define TRIES     50 /* to see the tree stand still */

struct proc {
	int pid;
	int parent;
	char comm[20];
	bool agent;
	bool ours;    /* descends from the command */
	char mm[200]; /* where its stack, code and heap lie */
	bool has_mm;
};

static struct proc procs[MAX_PROCS], before[MAX_PROCS];
static unsigned nr_procs, nr_before;

/* Fields 26-28 and 45-51 of stat name addresses of the memory map. */
static void read_identity(struct proc *p, char *rest)
{
	char *save, *field = strtok_r(rest, " ", &save);

	p->mm[0] = 0;
	p->has_mm = false;
	for (int n = 3; field; n++, field = strtok_r(NULL, " ", &save)) {
		size_t used = strlen(p->mm);

		if ((n < 26 || n > 28) && (n < 45 || n > 51))
			continue;
		snprintf(p->mm + used, sizeof(p->mm) - used, "%s ", field);
		p->has_mm |= strcmp(field, "0") != 0;
	}
}

static void read_procs(void)
{
	DIR *d = opendir("/proc");

	nr_procs = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		struct proc *p = &procs[nr_procs];
		char path[300], line[1024] = "", *paren, *name;
		FILE *f;

		if (!isdigit(e->d_name[0]) || nr_procs == MAX_PROCS)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		paren = fgets(line, sizeof(line), f) ? strrchr(line, ')')
						     : NULL;
		fclose(f);
		if (!paren || sscanf(paren, ") %*c %d", &p->parent) != 1)
			continue;
		p->pid = atoi(e->d_name);
		name = strchr(line, '(');
		*paren = 0;
		snprintf(p->comm, sizeof(p->comm), "%s", name ? name + 1 : "");
		p->agent = !strcmp(p->comm, "spillway-agent");
		p->ours = false;
		read_identity(p, paren + 2);
		nr_procs++;
	}
	if (d)
		closedir(d);
}

/* Orphans come to us, so that whoever descends from us is in the tree. */
static void mark_tree(int root)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < nr_procs; i++) {
			struct proc *p = &procs[i];
			bool is = p->pid == root || p->parent == getpid();

			for (unsigned j = 0; !is && j < nr_procs; j++)
				is = procs[j].ours && procs[j].pid == p->parent;
			if (is && !p->ours)
				more = p->ours = true;
		}
	}
}

static bool same_memory(const struct proc *a, const struct proc *b)
{
	static bool no_kcmp;

	if (strcmp(a->mm, b->mm))
		return false;
	if (!no_kcmp) {
		long r = syscall(SYS_kcmp, a->pid, b->pid, KCMP_VM, 0, 0);

		if (r >= 0)
			return r == 0;
		if (errno == ENOSYS || errno == EPERM)
			no_kcmp = true;
	}
	/* Without kcmp a forked child looks the same: only agents share. */
	return a->agent != b->agent;
}

/* The number after `name` in /proc/PID/file, or 0. */
static uint64_t read_kib(int pid, const char *file, const char *name)
{
	char path[64], line[256];
	size_t len = strlen(name);
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (!kib && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len))
			kib = strtoull(line + len, NULL, 10);
	fclose(f);
	return kib;
}

/* The kernel walks the page table for Pss_Anon; a program that goes through its
 * memory in step with that walk is given more than it ever had. What it has in
 * all, shared or not, is a plain counter. */
static uint64_t pss_anon(int pid)
{
	uint64_t pss = read_kib(pid, "smaps_rollup", "Pss_Anon:");
	uint64_t all = read_kib(pid, "status", "RssAnon:");

	return (pss < all ? pss : all) * 1024;
}

static bool is_supervisor(const struct proc *p, int root)
{
	return p->pid == root || !strcmp(p->comm, "spillway");
}

/* Programs first, then agents: an agent counts only where it is alone. */
static uint64_t sum_up(int root, bool skip_root)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < nr_procs; i++) {
		struct proc *p = &procs[i];
		bool counted = false;

		if (!p->ours || (skip_root && is_supervisor(p, root)))
			continue;
		for (unsigned j = 0; j < nr_procs && !counted; j++) {
			struct proc *q = &procs[j];
			bool first = p->agent != q->agent ? p->agent : j < i;

			counted =
				q != p && q->ours && first && same_memory(p, q);
		}
		if (!counted)
			sum += pss_anon(p->pid);
	}
	return sum;
}

static void look(int root)
{
	read_procs();
	mark_tree(root);
}

/* Has the tree the same address spaces as it had before? */
static bool same_tree(void)
{
	unsigned i = 0, j = 0;

	for (;; i++, j++) {
		while (i < nr_before && !(before[i].ours && before[i].has_mm))
			i++;
		while (j < nr_procs && !(procs[j].ours && procs[j].has_mm))
			j++;
		if (i == nr_before || j == nr_procs)
			return i == nr_before && j == nr_procs;
		if (before[i].pid != procs[j].pid ||
		    strcmp(before[i].mm, procs[j].mm))
			return false;
	}
}

/* False: the tree never stood still. */
static bool sample(int root, bool skip_root, uint64_t *sum)
{
	look(root);
	for (unsigned tries = 0; tries < TRIES; tries++) {
		*sum = sum_up(root, skip_root);
		memcpy(before, procs, nr_procs * sizeof(procs[0]));
		nr_before = nr_procs;
		look(root);
		if (same_tree())
			return true;
	}
	return false;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static int root_pid;

static void forward(int sig)
{
	kill(root_pid, sig);
}

int main(int argc, char **argv)
{
	uint64_t limit = 0, max = 0, after = 0;
	unsigned samples = 0, above = 0, torn = 0;
	bool skip_root = false, reached = false;
	double interval = 0.05;
	const char *out = NULL;
	int c, status;
	FILE *f;

	while ((c = getopt(argc, argv, "+i:rl:o:")) != -1) {
		if (c == 'i')
			interval = atof(optarg) / 1000;
		else if (c == 'r')
			skip_root = true;
		else if (c == 'l')
			limit = strtoull(optarg, NULL, 10);
		else if (c == 'o')
			out = optarg;
		else
			return 2;
	}
	if (optind == argc)
		return 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	root_pid = fork();
	if (root_pid == 0) {
		execvp(argv[optind], argv + optind);
		_exit(127);
	}
	signal(SIGTERM, forward);
	signal(SIGINT, forward);
	while (waitpid(root_pid, &status, WNOHANG) == 0) {
		double start = now();
		uint64_t sum;
		bool whole = sample(root_pid, skip_root, &sum);
		double left = interval - (now() - start);

		samples += whole;
		torn += !whole;
		sum = whole ? sum : 0;
		max = sum > max ? sum : max;
		reached |= limit && sum >= limit / 8 * 7;
		if (reached && sum > after)
			after = sum;
		above += limit && sum > limit + limit / 20 + (8u << 20);
		if (left > 0)
			usleep(left * 1e6);
		/* Orphans that ended with us as their parent. */
		for (unsigned i = 0; i < nr_procs; i++)
			if (procs[i].parent == getpid() &&
			    procs[i].pid != root_pid)
				waitpid(procs[i].pid, NULL, WNOHANG);
	}
	f = out ? fopen(out, "w") : stderr;
	if (f)
		fprintf(f,
			"samples %u\nmax %llu\nafter %llu\nabove %u\ntorn %u\n",
			samples, (unsigned long long)max,
			(unsigned long long)after, above, torn);
	if (out && f)
		fclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
