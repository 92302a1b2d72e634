/*
 * workload_spawn.c - other ways to start and to end: vfork, posix_spawn,
 * system, exec, and leaving by code or by signal.
 */
#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WL_FILE 4

extern char **environ;

/* The child borrows our memory, and reads some that is paged out. */
static void vfork_reads(struct wl_area *a, size_t i)
{
	pid_t pid = vfork();

	if (pid < 0)
		wl_die("vfork");
	if (pid == 0) {
		wl_check(a, i, 32);
		_exit(11);
	}
	wl_reap(pid, 11);
}

static void vfork_execs(void)
{
	pid_t pid = vfork();

	if (pid < 0)
		wl_die("vfork");
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 12", NULL);
		_exit(127);
	}
	wl_reap(pid, 12);
}

static void spawn_shell(void)
{
	char *argv[] = { "sh", "-c", "exit 13", NULL };
	pid_t pid;

	errno = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
	if (errno)
		wl_die("posix_spawn");
	wl_reap(pid, 13);
}

static void system_and_popen(void)
{
	char line[32] = "";
	int status = system("exit 14");
	FILE *f;

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 14)
		wl_wrong("system() returned status %x", status);
	f = popen("echo fifteen", "r");
	if (!f || !fgets(line, sizeof(line), f) || strcmp(line, "fifteen\n"))
		wl_wrong("popen() read '%s'", line);
	if (pclose(f))
		wl_wrong("pclose() was not 0");
}

/* A child that pages, forgets it all by exec, and pages again. */
static pid_t exec_self(struct wl_area *a)
{
	pid_t pid = wl_fork();
	char size[24];

	if (pid)
		return pid;
	snprintf(size, sizeof(size), "%zu",
		 wl.size_mib / 4 < 4 ? 4 : wl.size_mib / 4);
	wl_fill(a, 0, a->nr_pages / 2, 40);
	wl_check_all(a);
	execl(wl.self, wl.self, "-s", size, "child", NULL);
	_exit(127);
}

int wl_spawn(void)
{
	struct wl_area a;
	pid_t heavy;

	wl_area_new(&a, wl_pages() / 2);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 4);
	for (unsigned round = 0; round < wl.rounds; round++) {
		heavy = exec_self(&a);
		for (unsigned k = 0; k < 10; k++) {
			vfork_reads(&a, a.nr_pages / 10 * k);
			vfork_execs();
			spawn_shell();
			wl_poke(&a, k * 7);
		}
		system_and_popen();
		wl_check_all(&a);
		wl_reap(heavy, 0);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

int wl_child(void)
{
	struct wl_area a;

	wl_area_new(&a, wl_pages());
	wl_fill(&a, 0, a.nr_pages, 3);
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

/* 0 if the name is none of these. */
static int signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {
		{ "SIGHUP", SIGHUP },   { "SIGINT", SIGINT },
		{ "SIGQUIT", SIGQUIT }, { "SIGILL", SIGILL },
		{ "SIGABRT", SIGABRT }, { "SIGBUS", SIGBUS },
		{ "SIGFPE", SIGFPE },   { "SIGKILL", SIGKILL },
		{ "SIGSEGV", SIGSEGV }, { "SIGPIPE", SIGPIPE },
		{ "SIGALRM", SIGALRM }, { "SIGTERM", SIGTERM },
		{ "SIGUSR1", SIGUSR1 }, { "SIGUSR2", SIGUSR2 },
		{ "SIGXCPU", SIGXCPU }, { "SIGSYS", SIGSYS },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].number;
	return 0;
}

/* Ends in the way asked for, in the middle of its work. */
int wl_exit(void)
{
	const char *how = wl.argc ? wl.argv[0] : "0";
	int sig = signal_number(how);
	volatile char *volatile nowhere = NULL;
	struct wl_area a;

	wl_area_new(&a, wl_pages());
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_check(&a, 0, a.nr_pages / 2);
	if (sig) {
		raise(sig);
		wl_wrong("%s did not end this process", how);
	}
	if (!strcmp(how, "segv"))
		*nowhere = 1;
	if (!strcmp(how, "abort"))
		abort();
	return atoi(how);
}

/*
 * Prints each signal that arrives, until SIGUSR2 ends it with status 21.
 * Its memory keeps paging meanwhile, so that handlers interrupt faults.
 */
int wl_sigwait(void)
{
	static const int watched[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				       SIGUSR1, SIGUSR2, SIGWINCH };
	struct timespec slice = { .tv_nsec = 1000000 };
	uint64_t random = 9;
	struct wl_area a;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	wl_area_new(&a, wl_pages());
	wl_fill(&a, 0, a.nr_pages, 1);
	printf("READY %d\n", (int)getpid());
	fflush(stdout);
	for (double end = wl_now() + 60; wl_now() < end;) {
		int got = sigtimedwait(&set, NULL, &slice);

		for (unsigned k = 0; k < 32; k++) {
			size_t i = wl_random(&random) % a.nr_pages;

			wl_check(&a, i, 1);
			wl_poke(&a, i);
		}
		if (got < 0)
			continue;
		printf("SIGNAL %s\n", sigabbrev_np(got));
		fflush(stdout);
		if (got == SIGUSR2) {
			wl_check_all(&a);
			_exit(21);
		}
	}
	wl_wrong("no signal came to end this");
}
