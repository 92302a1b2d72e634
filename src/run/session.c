/*
 * session.c - one run of one command: everything is made in order, the loop
 * turns until the last process of the tree is gone, everything is unmade in
 * reverse.
 *
 * The loop is one thread. It accepts agents, notices that processes end or
 * exec, measures the tree and decides when memory gets scarce enough to
 * manage a process at all: until then programs run at their native speed.
 * Faults and reclaim have threads of their own (mmu/remote_events.c,
 * mm/reclaim.c) and never wait for this one.
 *
 * Above: cli/cmd_run.c. Below: attach.c, keeper.c, launch.c, measure.c,
 * tracing.c, and mm/ with everything under it.
 */
#include "run/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "run/launch.h"
#include "run/report.h"
#include "run/session_internal.h"

static uint64_t timeval_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_usec * 1000;
}

/* ---- signals and ends ---- */

static void reap(struct session *s)
{
	struct rusage ru;
	pid_t pid;
	int status;

	while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0) {
		uint64_t ns = timeval_ns(ru.ru_utime) + timeval_ns(ru.ru_stime);

		if (pid == s->keeper.pid) {
			if (sw_keeper_start(&s->keeper))
				sw_warn("the keeper process died and cannot be started again");
		} else if (pid == s->command) {
			s->status = status;
			s->command_ended = true;
			s->command_cpu_ns += ns;
			sw_keeper_del(&s->keeper, pid);
		} else {
			s->agent_cpu_ns += ns; /* helpers, and orphans */
			sw_keeper_del(&s->keeper, pid);
		}
	}
}

static void handle_signal(struct session *s)
{
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD) {
			reap(s);
			continue;
		}
		/* What the terminal sends went to the whole group already. */
		if (si.ssi_code != SI_KERNEL && !s->command_ended)
			kill(s->command, si.ssi_signo);
	}
}

static int exit_status(const struct session *s)
{
	return WIFSIGNALED(s->status) ? 128 + WTERMSIG(s->status)
				      : WEXITSTATUS(s->status);
}

/* Has everything ended? Processes that no agent announced count too. */
static bool all_ended(struct session *s)
{
	if (!s->command_ended || !sw_list_empty(&s->procs) ||
	    !sw_list_empty(&s->orphans))
		return false;
	sw_session_look_for_strangers(s);
	return !s->nr_seen;
}

static void dispatch(struct session *s, enum source source)
{
	uint64_t count;

	switch (source) {
	case SRC_SIGNAL:
		handle_signal(s);
		break;
	case SRC_LISTEN:
		sw_session_accept(s);
		break;
	case SRC_TIMER:
		if (read(s->timer, &count, sizeof(count)) > 0)
			sw_session_tick(s);
		break;
	case SRC_BORN:
		if (read(s->born_event, &count, sizeof(count)) > 0)
			sw_session_claim(s);
		break;
	case SRC_PIDFD:
		sw_session_drop_ended(s);
		break;
	}
}

static void loop(struct session *s)
{
	struct epoll_event e[32];

	sw_session_tick(s);
	while (!all_ended(s)) {
		int n = epoll_wait(s->epoll, e, SW_ARRAY_SIZE(e), -1);

		for (int i = 0; i < n; i++)
			dispatch(s, e[i].data.u32);
	}
}

/* ---- life ---- */

/* What is passed on to the command. Not: what our own faults raise, job
 * control of the terminal, and the signal that ends event threads. */
static void forwarded(sigset_t *set)
{
	static const int ours[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,
				    SIGABRT, SIGTRAP, SIGTSTP, SIGTTIN,
				    SIGTTOU, SIGCONT, SIGURG };

	sigfillset(set);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(ours); i++)
		sigdelset(set, ours[i]);
}

static int open_events(struct session *s)
{
	sigset_t set;

	forwarded(&set);
	sigprocmask(SIG_BLOCK, &set, &s->old_mask);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->born_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->listen = sw_agent_listen(s->socket_name);
	if (s->epoll < 0 || s->signals < 0 || s->timer < 0 ||
	    s->born_event < 0 || s->listen < 0) {
		sw_error("cannot open the session's descriptors: %s",
			 strerror(errno));
		return -errno;
	}
	sw_session_watch(s, s->signals, SRC_SIGNAL);
	sw_session_watch(s, s->listen, SRC_LISTEN);
	sw_session_watch(s, s->timer, SRC_TIMER);
	sw_session_watch(s, s->born_event, SRC_BORN);
	return 0;
}

static int open_mm(struct session *s)
{
	static struct sw_mm_host host;
	static struct sw_mm_held held = {
		.pages = sw_zswap_pages,
		.shrink = sw_zswap_shrink,
	};
	struct sw_mm_config config = {
		.budget_pages = s->opt->budget_bytes / SW_PAGE_SIZE,
		.host = &host,
		.held = s->devices.zswap ? &held : NULL,
	};

	held.arg = s->devices.zswap;

	sw_session_host(s, &host);
	s->mm = sw_mm_new(&config);
	if (!s->mm || sw_mm_start(s->mm)) {
		sw_error("not enough memory to start");
		return -ENOMEM;
	}
	sw_session_stalls_init(s);
	return 0;
}

static int start_bury(struct session *s)
{
	int err = sw_bury_start(&s->bury);

	if (err)
		sw_error("cannot start a thread: %s", strerror(-err));
	return err;
}

/* Sessions are steered by whoever finds them. One that nobody can find, where
 * there is no folder for it, runs as well; unless it was given a name. */
static int open_door(struct session *s)
{
	int err = sw_door_open(&s->door, s->opt->name);

	if (!err) {
		s->control.kinds = sw_requests;
		s->control.arg = s;
		sw_control_init(&s->control);
		err = sw_control_start(&s->control, s->door.listen);
		if (err)
			sw_door_close(&s->door);
	}
	if (err && !s->opt->name) {
		sw_info("the session cannot be talked to: %s", strerror(-err));
		return 0;
	}
	if (err == -EADDRINUSE)
		sw_error("--name %s: another session has this name",
			 s->opt->name);
	else if (err)
		sw_error(
			"--name %s: no socket can be made for it: %s; without /run, or XDG_RUNTIME_DIR of one's own, leave the option away",
			s->opt->name, strerror(-err));
	return err;
}

static void close_door(struct session *s)
{
	if (s->door.dir < 0)
		return;
	sw_control_stop(&s->control);
	sw_door_close(&s->door);
}

static int open_metrics(struct session *s)
{
	int err;

	s->metrics.listen = -1;
	if (!s->opt->metrics)
		return 0;
	s->metrics.write = sw_metrics_write;
	s->metrics.arg = s;
	err = sw_metrics_open(&s->metrics, s->opt->metrics);
	if (err)
		return err;
	err = sw_metrics_start(&s->metrics);
	if (err)
		sw_metrics_close(&s->metrics);
	return err;
}

static int start_command(struct session *s)
{
	char agent[PATH_MAX];
	pid_t pid;

	struct rlimit nofile;

	if (sw_agent_path(agent))
		return -ENOENT;
	/* Six descriptors a process of the tree. */
	getrlimit(RLIMIT_NOFILE, &s->old_nofile);
	nofile = s->old_nofile;
	nofile.rlim_cur = nofile.rlim_max;
	setrlimit(RLIMIT_NOFILE, &nofile);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	s->keeper.door = &s->door;
	if (sw_keeper_start(&s->keeper)) {
		sw_error("cannot start the keeper process: %s",
			 strerror(errno));
		return -errno;
	}
	s->start_ns = sw_now_ns();
	pid = sw_launch(s->opt->argv, agent, s->socket_name, &s->old_mask,
			&s->old_nofile);
	if (pid < 0) {
		sw_error("cannot start a process: %s", strerror(-pid));
		return pid;
	}
	s->command = pid;
	sw_keeper_add(&s->keeper, pid);
	return 0;
}

/* 0, or -errno after a line: the report could not be written. */
static int report(struct session *s)
{
	struct sw_report r = { .argv = s->opt->argv,
			       .budget_bytes = sw_session_budget(s) };
	struct sw_stall_sums sums;
	struct sw_pressure p;
	struct sw_mm_usage u;
	struct rusage ru;

	sw_mm_usage(s->mm, &u);
	sw_session_pressure(s, &p);
	sw_mm_stall_sums(s->mm, &sums);
	getrusage(RUSAGE_SELF, &ru);
	r.exit_status = exit_status(s);
	r.peak_bytes = u.peak_pages * SW_PAGE_SIZE;
	r.own_peak_bytes = s->own_peak_bytes;
	r.shared_peak_bytes = s->shared_peak * SW_PAGE_SIZE;
	r.wall_seconds = (sw_now_ns() - s->start_ns) / 1e9;
	r.supervisor_seconds =
		(timeval_ns(ru.ru_utime) + timeval_ns(ru.ru_stime)) / 1e9;
	r.agent_seconds = s->agent_cpu_ns / 1e9;
	r.command_seconds = s->command_cpu_ns / 1e9;
	r.devices = s->devices.report;
	r.nr_devices = s->devices.nr;
	r.zswap = s->devices.zswap_report;
	r.swapped_peak_bytes = s->stalls.out_peak * SW_PAGE_SIZE;
	r.enough_bytes = sw_session_enough(s, &sums) * SW_PAGE_SIZE;
	r.reclaimed = u.taken_pages;
	for (unsigned k = 0; k < SW_NR_PRESSURE; k++)
		r.stalled_ns[k] = p.line[k].total_ns;
	r.latency = &sums;
	if (s->opt->verbose)
		sw_report_print(&r, stderr);
	return s->opt->report_path ? sw_report_write(&r, s->opt->report_path)
				   : 0;
}

int sw_session_run(const struct sw_run_options *opt)
{
	struct session s = { .opt = opt, .budget_bytes = opt->budget_bytes };
	int status = SW_EXIT_FAILURE, err;

	sw_log_set_level(opt->verbose > 1 ? SW_LOG_DEBUG
			 : opt->verbose   ? SW_LOG_INFO
					  : SW_LOG_WARN);
	s.nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	sw_list_init(&s.procs);
	sw_list_init(&s.children);
	sw_list_init(&s.orphans);
	sw_list_init(&s.born);
	sw_mutex_init(&s.born_lock, "born", SW_RANK_LEAF);
	sw_mutex_init(&s.steering, "steering", SW_RANK_STEERING);
	sw_mutex_init(&s.procs_lock, "procs", SW_RANK_SESSION);
	if (open_events(&s) || sw_keeper_init(&s.keeper))
		return status;
	if (sw_devices_on(&s.devices, opt))
		return status;
	if (open_mm(&s) || sw_session_trace(&s) ||
	    sw_devices_start(&s.devices) || start_bury(&s) ||
	    sw_drain_start(&s) || open_metrics(&s))
		return status;
	if (open_door(&s)) {
		sw_metrics_close(&s.metrics);
		return status;
	}
	if (start_command(&s)) {
		close_door(&s);
		sw_metrics_close(&s.metrics);
		return status;
	}
	loop(&s);
	close_door(&s);
	sw_metrics_close(&s.metrics);
	sw_drain_stop(&s.drain);
	sw_bury_stop(&s.bury);
	sw_session_free_children(&s);
	sw_devices_stop(&s.devices);
	sw_mm_stop(s.mm);
	reap(&s);
	sw_keeper_stop(&s.keeper);
	sw_devices_sample(&s.devices);
	sw_session_look_at_stalls(&s);
	status = exit_status(&s);
	err = sw_session_trace_end(&s, status);
	if (report(&s) || err)
		status = SW_EXIT_FAILURE;
	sw_mm_free(s.mm);
	sw_devices_off(&s.devices);
	return status;
}
