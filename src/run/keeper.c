/*
 * keeper.c - the last holder of the userfaultfds.
 *
 * When the last descriptor of a userfaultfd is closed, the kernel lets every
 * missing page of that address space read as zeros, silently. So the
 * supervisor must never be the only holder, and its death must kill the
 * tree before the descriptors go. The keeper is a child that shares the
 * supervisor's descriptor table (CLONE_FILES): what the supervisor opens, a
 * forked child's userfaultfd included, is held by the keeper from the same
 * instant on. It sleeps until the supervisor is gone, then stops the tree,
 * looks for processes nobody had told it of, kills all of them, and only then
 * exits and lets the descriptors close. A process that is being killed runs
 * no more code of its own, so nobody sees what its pages read as after that.
 */
#include "run/keeper.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/proc.h"

static bool is_listed(struct sw_keeper_list *l, pid_t pid)
{
	for (uint32_t i = 0; i < l->nr; i++)
		if (l->pid[i] == pid)
			return true;
	return false;
}

static void signal_all(struct sw_keeper_list *l, int sig)
{
	for (uint32_t i = 0; i < l->nr; i++)
		if (l->pid[i] > 0)
			kill(l->pid[i], sig);
}

static void adopt(void *arg, pid_t pid)
{
	struct sw_keeper_list *l = arg;

	if (!is_listed(l, pid) && l->nr < SW_KEEPER_MAX) {
		l->pid[l->nr++] = pid;
		kill(pid, SIGSTOP);
	}
}

/* Stopped processes make no children, so looking ends when a look finds
 * nobody new. */
static void kill_tree(struct sw_keeper_list *l)
{
	uint32_t before;

	signal_all(l, SIGSTOP);
	do {
		before = l->nr;
		for (uint32_t i = 0; i < before; i++)
			if (l->pid[i] > 0)
				sw_for_each_descendant(l->pid[i], adopt, l);
	} while (l->nr != before);
	signal_all(l, SIGKILL);
}

static void keeper_main(const struct sw_keeper *k, int supervisor)
{
	struct pollfd p = { .fd = supervisor, .events = POLLIN };

	prctl(PR_SET_NAME, "spillway-keeper");
	setpgid(0, 0); /* signals to the group are not meant for it */
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	kill_tree(k->list);
	sw_door_remove(k->door);
	_exit(0);
}

int sw_keeper_init(struct sw_keeper *k)
{
	k->list = mmap(NULL, sizeof(*k->list), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return k->list == MAP_FAILED ? -errno : 0;
}

int sw_keeper_start(struct sw_keeper *k)
{
	int supervisor = pidfd_open(getpid(), 0);
	sigset_t all, old;
	long pid;

	if (supervisor < 0)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		keeper_main(k, supervisor);
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* The pidfd stays open: the keeper polls it in the shared table. */
	k->pid = pid > 0 ? pid : 0;
	return pid < 0 ? -errno : 0;
}

void sw_keeper_add(struct sw_keeper *k, pid_t pid)
{
	struct sw_keeper_list *l = k->list;
	uint32_t i = 0;

	while (i < l->nr && l->pid[i] && l->pid[i] != pid)
		i++;
	if (i == SW_KEEPER_MAX)
		return;
	__atomic_store_n(&l->pid[i], pid, __ATOMIC_RELAXED);
	if (i == l->nr)
		__atomic_store_n(&l->nr, i + 1, __ATOMIC_RELEASE);
}

void sw_keeper_del(struct sw_keeper *k, pid_t pid)
{
	for (uint32_t i = 0; i < k->list->nr; i++)
		if (k->list->pid[i] == pid)
			__atomic_store_n(&k->list->pid[i], 0, __ATOMIC_RELAXED);
}

void sw_keeper_stop(struct sw_keeper *k)
{
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	munmap(k->list, sizeof(*k->list));
}
