/*
 * workload_fork.c - processes that share pages and part from them: children
 * that write while the parent does, nested and orphaned ones, thousands that
 * exit at once, and the endless churn that the death tests kill.
 */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WL_FILE 3

static void nap(double seconds)
{
	struct timespec t = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (time_t)seconds) * 1e9),
	};

	nanosleep(&t, NULL);
}

/* Rewrites every second page, starting with `parity`, in a new version. */
static void rewrite_half(struct wl_area *a, unsigned parity, unsigned add)
{
	for (size_t i = parity; i < a->nr_pages; i += 2)
		wl_fill(a, i, 1, a->version[i] + add);
}

/* A family: each generation writes, forks the next, writes again. */
static void generation(struct wl_area *a, unsigned depth)
{
	pid_t next;

	wl_check_all(a);
	for (size_t i = depth; i < a->nr_pages; i += 3)
		wl_poke(a, i);
	if (depth == 0)
		return;
	next = wl_fork();
	if (next == 0) {
		generation(a, depth - 1);
		_exit(0);
	}
	for (size_t i = depth; i < a->nr_pages; i += 5)
		wl_poke(a, i);
	wl_reap(next, 0);
	wl_check_all(a);
}

/* Parent and two children write different halves of shared pages at once. */
static void siblings(struct wl_area *a)
{
	pid_t child[2];

	for (unsigned c = 0; c < 2; c++) {
		child[c] = wl_fork();
		if (child[c])
			continue;
		rewrite_half(a, c, 100);
		wl_check_all(a);
		if (c == 1)
			generation(a, 1);
		_exit(0);
	}
	rewrite_half(a, 0, 7);
	wl_check_all(a);
	wl_reap(child[0], 0);
	rewrite_half(a, 1, 9);
	wl_reap(child[1], 0);
	wl_check_all(a);
}

/* The child checks only after the parent has dropped or changed it all. */
static void late_reader(struct wl_area *a)
{
	int go[2];
	char byte;
	pid_t child;

	if (pipe(go))
		wl_die("pipe");
	child = wl_fork();
	if (child == 0) {
		if (read(go[0], &byte, 1) != 1)
			wl_die("read of the pipe");
		wl_check_all(a);
		_exit(0);
	}
	wl_fill(a, 0, a->nr_pages, 500);
	if (write(go[1], "x", 1) != 1)
		wl_die("write to the pipe");
	wl_check_all(a);
	wl_reap(child, 0);
	close(go[0]);
	close(go[1]);
}

/* The middle process ends at once; its child goes on and reports alone. */
static void orphan(struct wl_area *a)
{
	int report[2];
	char byte = 0;
	pid_t middle;

	if (pipe(report))
		wl_die("pipe");
	middle = wl_fork();
	if (middle == 0) {
		pid_t self = getpid();

		if (wl_fork())
			_exit(0);
		while (getppid() == self)
			nap(0.001);
		rewrite_half(a, 0, 3);
		wl_check_all(a);
		rewrite_half(a, 1, 3);
		wl_check_all(a);
		if (write(report[1], "k", 1) != 1)
			wl_die("write of the report");
		_exit(0);
	}
	close(report[1]);
	wl_reap(middle, 0);
	rewrite_half(a, 1, 5);
	if (read(report[0], &byte, 1) != 1 || byte != 'k') {
		fprintf(stderr, "workload forks: the orphan did not report\n");
		_exit(WL_MISMATCH);
	}
	close(report[0]);
	wl_check_all(a);
}

/* A child that no handler was told of, which forks as others do. */
static void unannounced(struct wl_area *a)
{
	pid_t pid = syscall(SYS_fork);

	if (pid == 0) {
		pid_t grandchild = fork();

		if (grandchild < 0)
			_exit(WL_SYSCALL);
		wl_check(a, 0, 64);
		if (grandchild == 0)
			_exit(0);
		wl_reap(grandchild, 0);
		_exit(0);
	}
	wl_reap(pid, 0);
}

int wl_forks(void)
{
	struct wl_area a;

	wl_area_new(&a, wl_pages() / 4);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 4);
	for (unsigned round = 0; round < wl.rounds; round++) {
		siblings(&a);
		generation(&a, 4);
		late_reader(&a);
		orphan(&a);
		unannounced(&a);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

int wl_manyforks(void)
{
	unsigned long n = wl.argc ? strtoul(wl.argv[0], NULL, 10) : 2000;
	uint64_t random = 5;
	struct wl_area a;
	pid_t live[8] = { 0 };

	wl_area_new(&a, wl_pages() / 2);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 4);
	for (unsigned long k = 0; k < n; k++) {
		pid_t *slot = &live[k % 8];
		size_t i = wl_random(&random) % (a.nr_pages - 16);

		if (*slot)
			wl_reap(*slot, 0);
		*slot = wl_fork();
		if (*slot == 0) {
			if (k % 64 == 0) {
				wl_check(&a, i, 16);
				wl_poke(&a, i + 3);
				wl_check(&a, i, 16);
			}
			_exit(0);
		}
		wl_poke(&a, i);
	}
	for (unsigned c = 0; c < 8; c++)
		if (live[c])
			wl_reap(live[c], 0);
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

static void churn_once(struct wl_area *a, uint64_t *random)
{
	size_t i = wl_random(random) % a->nr_pages;
	unsigned dice = wl_random(random) % 16;

	if (dice == 0) {
		size_t n = a->nr_pages - i < 64 ? a->nr_pages - i : 64;

		wl_check(a, i, n);
	} else if (dice < 4) {
		wl_fill(a, i, 1, a->version[i] + 1);
	} else if (dice < 9) {
		wl_poke(a, i);
	} else {
		wl_check(a, i, 1);
	}
}

/* Each process has its own clock. Before FILE is there the time does not run:
 * however slow a killer is, he finds everybody at work. */
static bool churn_is_over(void)
{
	static double end;

	if (end == 0 && (!wl.argc || !access(wl.argv[0], F_OK)))
		end = wl_now() + wl.seconds;
	return end != 0 && wl_now() >= end;
}

/* Lives until its time is over or its parent has gone. */
static void churn_child(struct wl_area *a, pid_t parent)
{
	uint64_t random = getpid();

	prctl(PR_SET_NAME, "churn-child");
	while (getppid() == parent && !churn_is_over())
		for (unsigned k = 0; k < 64; k++)
			churn_once(a, &random);
	wl_check_all(a);
	_exit(0);
}

static pid_t churn_fork(struct wl_area *a)
{
	pid_t parent = getpid();
	pid_t pid = wl_fork();

	if (pid == 0)
		churn_child(a, parent);
	return pid;
}

/* A child that was killed is replaced; one that found a mismatch is not. */
static void churn_reap(pid_t *child, struct wl_area *a)
{
	int status;

	if (waitpid(*child, &status, WNOHANG) != *child)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		*child = churn_fork(a);
		return;
	}
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && !churn_is_over()))
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : WL_WRONG);
	*child = 0;
}

/*
 * Pages hard in three processes until told otherwise by the clock; says
 * READY once memory is full, so that a killer knows when to strike.
 */
int wl_churn(void)
{
	uint64_t random = 1;
	struct wl_area a;
	pid_t child[2];

	wl_area_new(&a, wl_pages() / 3);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 4);
	for (unsigned c = 0; c < 2; c++)
		child[c] = churn_fork(&a);
	printf("READY %d %d %d\n", (int)getpid(), (int)child[0], (int)child[1]);
	fflush(stdout);
	while (!churn_is_over()) {
		for (unsigned k = 0; k < 64; k++)
			churn_once(&a, &random);
		for (unsigned c = 0; c < 2; c++)
			if (child[c])
				churn_reap(&child[c], &a);
	}
	for (unsigned c = 0; c < 2; c++) {
		int status;

		if (!child[c])
			continue;
		if (waitpid(child[c], &status, 0) != child[c])
			wl_die("waitpid");
		if (WIFEXITED(status) && WEXITSTATUS(status))
			_exit(WEXITSTATUS(status));
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

/* Fills memory, says READY, waits until somebody opens the fifo, and forks;
 * neither process touches anything of its own after that. */
int wl_lastfork(void)
{
	struct wl_area a;

	if (wl.argc != 1)
		wl_die("lastfork wants a fifo");
	wl_area_new(&a, wl_pages());
	wl_fill(&a, 0, a.nr_pages, 1);
	puts("READY");
	fflush(stdout);
	if (open(wl.argv[0], O_RDONLY) < 0)
		wl_die("open of %s", wl.argv[0]);
	fork();
	_exit(0);
}

#define NOBODY 65534

/* Gives up root without executing anything, as servers do: a child's files in
 * /proc belong to root, and it may not open them. */
int wl_dropped(void)
{
	struct wl_area a;
	pid_t pid;

	if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
		wl_die("setuid");
	wl_area_new(&a, wl_pages());
	pid = wl_fork();
	if (pid == 0) {
		for (unsigned version = 1; version < 4; version++) {
			wl_fill(&a, 0, a.nr_pages, version);
			wl_check_all(&a);
		}
		_exit(0);
	}
	wl_reap(pid, 0);
	wl_area_free(&a);
	return 0;
}
