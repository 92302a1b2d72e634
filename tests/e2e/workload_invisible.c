/*
 * workload_invisible.c - does the program see anything that is not its own?
 *
 * `invisible` asserts, also in children and their children; `fingerprint`
 * prints what can be seen, to be compared with a native run.
 */
#include "workload.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WL_FILE 8

extern char **environ;

/* The number after `key` in /proc/self/status, in the given base. */
static unsigned long long status_field(const char *key, int base)
{
	char line[256];
	unsigned long long value = 0;
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		wl_die("open of /proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, base);
	fclose(f);
	return value;
}

static void check_descriptors(void)
{
	if (wl_sabotage(WL_SITE) && dup2(0, 57) < 0)
		wl_die("dup2");
	for (int fd = 3; fd < 4096; fd++) {
		char path[64], target[256] = "";

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			target[0] = 0;
		wl_wrong("descriptor %d is open: %s", fd, target);
	}
}

static void *sleeper(void *unused)
{
	(void)unused;
	pause();
	return NULL;
}

static void check_threads(void)
{
	pthread_t extra;
	unsigned n = 0;
	DIR *d;

	if (wl_sabotage(WL_SITE))
		pthread_create(&extra, NULL, sleeper, NULL);
	d = opendir("/proc/self/task");
	if (!d)
		wl_die("opendir of /proc/self/task");
	for (struct dirent *e; (e = readdir(d));)
		n += isdigit(e->d_name[0]) != 0;
	closedir(d);
	if (n != 1 || status_field("Threads:", 10) != 1)
		wl_wrong("%u threads, Threads: %llu", n,
			 status_field("Threads:", 10));
}

static bool in_list(const char *list, const char *name, size_t len)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && !strncmp(p, name, len))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static bool ours(const char *variable)
{
	return !strncmp(variable, "LD_PRELOAD=", 11) ||
	       !strncmp(variable, "SPILLWAY_", 9);
}

static void check_environment(void)
{
	if (wl_sabotage(WL_SITE))
		putenv("INTRUDER=1");
	if (!wl.expect)
		return;
	for (char **v = environ; *v; v++)
		if (!ours(*v) && !in_list(wl.expect, *v, strcspn(*v, "=")))
			wl_wrong("environment has %s", *v);
}

/* No handler, nothing blocked, nothing pending, no timer. */
static void check_signals(void)
{
	static const char *const fields[] = { "SigBlk:", "SigCgt:", "SigPnd:",
					      "ShdPnd:" };
	sigset_t set;

	if (wl_sabotage(WL_SITE))
		signal(SIGUSR1, exit);
	if (wl_sabotage(WL_SITE)) {
		sigemptyset(&set);
		sigaddset(&set, SIGIO);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (status_field(fields[i], 16))
			wl_wrong("%s %llx", fields[i],
				 status_field(fields[i], 16));
}

/* wait() in all its forms finds nobody. */
static void check_no_children(void)
{
	siginfo_t info;
	char path[64], text[256] = "";
	int status, fd;
	pid_t pid;

	if (wl_sabotage(WL_SITE) && fork() == 0)
		_exit(0);
	pid = waitpid(-1, &status, WNOHANG | __WALL);
	if (pid != -1 || errno != ECHILD)
		wl_wrong("waitpid found %d", (int)pid);
	if (waitid(P_ALL, 0, &info,
		   WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WCLONE) == 0 ||
	    errno != ECHILD)
		wl_wrong("waitid found %d", (int)info.si_pid);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0)
		wl_wrong("has children %s", text);
	close(fd);
}

/* Processes in /proc that name us as their parent. */
static unsigned listed_children(pid_t *pids, unsigned max)
{
	DIR *d = opendir("/proc");
	unsigned n = 0;

	if (!d)
		wl_die("opendir of /proc");
	for (struct dirent *e; (e = readdir(d));) {
		char path[300], line[512], *close_paren;
		pid_t parent;
		FILE *f;

		if (!isdigit(e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		close_paren = fgets(line, sizeof(line), f) ? strrchr(line, ')')
							   : NULL;
		fclose(f);
		if (close_paren &&
		    sscanf(close_paren, ") %*c %d", &parent) == 1 &&
		    parent == getpid() && n < max)
			pids[n++] = atoi(e->d_name);
	}
	closedir(d);
	return n;
}

static void check_self(void)
{
	check_descriptors();
	check_threads();
	check_environment();
	check_signals();
	check_no_children();
}

static volatile sig_atomic_t deaths;
static volatile pid_t last_death;

static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	deaths++;
	last_death = info->si_pid;
}

/* One child at a time: one SIGCHLD each, from it, and one wait result. */
static void one_by_one(struct wl_area *a)
{
	struct sigaction act = { .sa_sigaction = on_child,
				 .sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(SIGCHLD, &act, NULL);
	deaths = 0;
	for (int k = 1; k <= 20; k++) {
		int status;
		pid_t got, pid = wl_fork();

		if (pid == 0) {
			wl_check(a, k * 3, 8);
			wl_poke(a, k);
			_exit(k);
		}
		got = waitpid(-1, &status, __WALL);
		if (got != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != k)
			wl_wrong("forked %d, wait gave %d status %x", (int)pid,
				 (int)got, status);
		if (deaths != k || last_death != pid)
			wl_wrong("%d SIGCHLD after %d children, last from %d",
				 (int)deaths, k, (int)last_death);
	}
	signal(SIGCHLD, SIG_DFL);
}

static bool remove_pid(pid_t *pids, unsigned *n, pid_t pid)
{
	for (unsigned i = 0; i < *n; i++)
		if (pids[i] == pid) {
			pids[i] = pids[--*n];
			return true;
		}
	return false;
}

/* Several at once, some of which have children of their own. */
static void together(struct wl_area *a, unsigned depth)
{
	pid_t pids[4], seen[32];
	unsigned n = 0, listed;
	int hold[2];

	if (pipe(hold))
		wl_die("pipe");
	for (; n < 4; n++) {
		char byte;

		pids[n] = wl_fork();
		if (pids[n])
			continue;
		close(hold[1]);
		if (read(hold[0], &byte, 1) < 0)
			wl_die("read");
		close(hold[0]);
		wl_check_all(a);
		check_self();
		if (depth && n == 0)
			together(a, depth - 1);
		_exit(0);
	}
	close(hold[0]);
	wl_fill(a, 0, a->nr_pages, depth + 5);
	listed = listed_children(seen, 32);
	if (wl_sabotage(WL_SITE))
		listed++;
	if (listed != 4)
		wl_wrong("/proc lists %u children, we forked 4", listed);
	close(hold[1]);
	while (n) {
		int status;
		pid_t got = waitpid(-1, &status, __WALL);

		if (!remove_pid(pids, &n, got))
			wl_wrong("wait gave %d, not a child of ours", (int)got);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			_exit(WEXITSTATUS(status));
		if (status)
			wl_wrong("child %d: status %x", (int)got, status);
	}
	check_self();
}

int wl_invisible(void)
{
	struct wl_area a;

	check_self();
	wl_area_new(&a, wl_pages() / 2);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_check_all(&a);
	check_self();
	one_by_one(&a);
	for (unsigned round = 0; round < wl.rounds; round++)
		together(&a, 2);
	wl_check_all(&a);
	return 0;
}

static void print_descriptors(void)
{
	for (int fd = 0; fd < 4096; fd++) {
		char path[64], target[256] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			continue;
		/* Pipes and sockets have numbers of their own each time. */
		if (strchr(target, '['))
			*strchr(target, '[') = 0;
		printf("fd %d %s flags %x\n", fd, target,
		       fcntl(fd, F_GETFL) & ~0x8000);
	}
}

static void print_signals(void)
{
	stack_t alt;

	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction act;

		if (sigaction(sig, NULL, &act) == 0 &&
		    act.sa_handler != SIG_DFL)
			printf("signal %d %s\n", sig,
			       act.sa_handler == SIG_IGN ? "ignored"
							 : "handled");
	}
	printf("blocked %llx\n", status_field("SigBlk:", 16));
	if (sigaltstack(NULL, &alt) == 0)
		printf("altstack %s\n",
		       alt.ss_flags & SS_DISABLE ? "none" : "set");
}

static void print_limits(void)
{
	for (int r = 0; r < RLIM_NLIMITS; r++) {
		struct rlimit l;

		if (getrlimit(r, &l) == 0)
			printf("limit %d %llx %llx\n", r,
			       (unsigned long long)l.rlim_cur,
			       (unsigned long long)l.rlim_max);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_environment(void)
{
	size_t n = 0;

	while (environ[n])
		n++;
	qsort(environ, n, sizeof(*environ), by_text);
	for (char **v = environ; *v; v++)
		if (!ours(*v))
			printf("env %s\n", *v);
}

int wl_fingerprint(void)
{
	static const char *const fields[] = {
		"TracerPid:",  "CapEff:",  "CapBnd:", "CapAmb:",
		"NoNewPrivs:", "Seccomp:", "Threads:"
	};
	char cwd[4096], name[32];
	cpu_set_t cpus;
	mode_t mask = umask(022);

	umask(mask);
	print_descriptors();
	print_signals();
	print_limits();
	print_environment();
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		printf("%s %llx\n", fields[i], status_field(fields[i], 16));
	printf("cwd %s\numask %o\n", getcwd(cwd, sizeof(cwd)), mask);
	printf("uid %d %d gid %d %d\n", getuid(), geteuid(), getgid(),
	       getegid());
	sched_getaffinity(0, sizeof(cpus), &cpus);
	printf("cpus %d policy %d nice %d\n", CPU_COUNT(&cpus),
	       sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
	prctl(PR_GET_NAME, name);
	printf("name %s dumpable %d personality %x\n", name,
	       prctl(PR_GET_DUMPABLE), personality(0xffffffff));
	printf("leads its session: %d\n", getsid(0) == getpid());
	for (int i = 0; i < wl.argc; i++)
		printf("arg %s\n", wl.argv[i]);
	check_no_children();
	return 0;
}
