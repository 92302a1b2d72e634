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
 * Above: cli/cmd_run.c. Below: attach.c, keeper.c, launch.c, measure.c, and
 * mm/ with everything under it.
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

#include "base/counters.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/time.h"
#include "run/devices.h"
#include "run/keeper.h"
#include "run/launch.h"
#include "run/proc.h"
#include "run/report.h"

#define TICK_MIN_NS     1000000   /* looks at the tree near the budget */
#define TICK_MAX_NS     20000000  /* and far from it */
#define FILL_PAGES_MS   1500      /* how fast a CPU may fill memory unseen */
#define SLOW_TICK_NS    100000000 /* strangers in the tree, exec, statistics */
#define PSS_COST_RATIO  10 /* exact measuring may take a tenth of a CPU, */
#define PSS_MIN_NS      5000000
#define PSS_MAX_NS      50000000 /* but is never put off for longer */
#define PREPARE_PERCENT 40 /* of the budget: agents make themselves ready */
#define ATTACH_PERCENT  60 /* of the budget: from here on we manage */
#define CLAIM_NS        100000000 /* a forked space is found sooner than this */
#define ATTACH_MIN      256       /* pages; smaller processes are left alone */
#define RESCAN_PAGES    256       /* unmanaged growth that is worth a look */

#define MAX_STRANGERS 1024 /* more of them are counted, not remembered */

enum source {
	SRC_SIGNAL = 1,
	SRC_LISTEN,
	SRC_TIMER,
	SRC_BORN,
	SRC_PIDFD
};

struct session {
	const struct sw_run_options *opt;
	struct sw_mm *mm;
	struct sw_keeper keeper;
	struct sw_devices devices;
	int epoll, signals, listen, timer, born_event;
	sigset_t old_mask;
	struct rlimit old_nofile;
	char socket_name[64];

	pid_t command;
	int status; /* wait status of the command */
	bool command_ended;
	uint64_t start_ns;
	uint64_t command_cpu_ns, agent_cpu_ns;

	struct sw_list procs;    /* said hello */
	struct sw_list children; /* spaces born by fork, unclaimed */
	struct sw_list orphans; /* spaces whose process is gone, to be buried */
	struct sw_mutex born_lock; /* SW_RANK_LEAF */
	struct sw_list born;       /* born_lock: the same, not seen by us yet */

	long nr_cpus;
	uint64_t slow_ns, pss_ns; /* when to do these again */
	bool attached;            /* somebody is */
	uint64_t strangers;       /* pages of processes without an agent */
	uint64_t strangers_now;   /* while counting */
	pid_t seen[MAX_STRANGERS],
		known[MAX_STRANGERS]; /* this look, the last */
	unsigned nr_seen, nr_known;
};

static uint64_t timeval_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_usec * 1000;
}

/* ---- forks, from the parents' event threads ---- */

static struct sw_mmu *host_forked(void *arg, struct sw_space *parent,
				  struct sw_space *space, int fd)
{
	struct session *s = arg;
	struct sw_child *child = calloc(1, sizeof(*child));

	(void)parent;
	if (!child)
		return NULL;
	child->space = space;
	child->remote = sw_remote_new(fd, 0, &sw_mm_client, space);
	if (!child->remote) {
		free(child);
		return NULL;
	}
	sw_mutex_lock(&s->born_lock);
	sw_list_add_tail(&s->born, &child->node);
	sw_mutex_unlock(&s->born_lock);
	return sw_remote_mmu(child->remote);
}

/* The child is taken over by the loop only from here on. */
static void host_forked_ready(void *arg, struct sw_space *space)
{
	struct session *s = arg;
	struct sw_remote *remote = sw_remote_of(sw_space_mmu(space));
	struct sw_child *c;
	uint64_t one = 1;

	SW_BUG_ON(sw_remote_start(remote)); /* nobody would serve its faults */
	sw_mutex_lock(&s->born_lock);
	sw_list_for_each(c, &s->born, node)
		if (c->space == space)
			c->ready = true;
	sw_mutex_unlock(&s->born_lock);
	if (write(s->born_event, &one, sizeof(one)) < 0)
		sw_debug("waking the loop: %s", strerror(errno));
}

static void take_born(struct session *s)
{
	struct sw_child *c, *tmp;

	sw_mutex_lock(&s->born_lock);
	sw_list_for_each_safe(c, tmp, &s->born, node) {
		if (!c->ready)
			continue;
		sw_list_del(&c->node);
		sw_list_add_tail(&s->children, &c->node);
	}
	sw_mutex_unlock(&s->born_lock);
}

/* ---- processes ---- */

static void watch(struct session *s, int fd, enum source source)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = source };

	epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* The process is gone or became another program. Its old memory may live on
 * in a thread, or until its helper has been killed: that is waited for. */
static void drop_proc(struct session *s, struct sw_proc *p)
{
	struct sw_child *left;

	sw_keeper_del(&s->keeper, p->pid);
	sw_keeper_del(&s->keeper, p->helper);
	left = sw_proc_free(p);
	if (left)
		sw_list_add_tail(&s->orphans, &left->node);
}

static struct sw_proc *find_proc(struct session *s, pid_t pid)
{
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		if (p->pid == pid)
			return p;
	return NULL;
}

static void accept_agents(struct session *s)
{
	int sock;

	while ((sock = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct sw_proc *p = sw_proc_accept(sock, getpid()), *old;

		if (!p)
			continue;
		old = find_proc(s, p->pid);
		if (old) /* it has executed another program */
			drop_proc(s, old);
		sw_list_add_tail(&s->procs, &p->node);
		sw_keeper_add(&s->keeper, p->pid);
		sw_keeper_add(&s->keeper, p->helper);
		watch(s, p->pidfd, SRC_PIDFD);
		watch(s, p->helper_pidfd, SRC_PIDFD);
	}
}

/* Forked children whose space was born managed get their agent. */
static void claim_children(struct session *s)
{
	struct sw_proc *p;

	take_born(s);
	sw_list_for_each(p, &s->procs, node) {
		struct sw_child *c, *tmp;
		int none;

		if (sw_list_empty(&s->children))
			return;
		if (p->remote || !p->forked || p->failed)
			continue;
		if (!p->ready && sw_proc_ready(p, false, &none)) {
			sw_debug("the agent of process %d gave no answer",
				 p->pid);
			p->failed = true; /* a late answer would confuse */
			continue;
		}
		sw_list_for_each_safe(c, tmp, &s->children, node)
			if (sw_proc_claim(p, c)) {
				sw_proc_complete(p);
				break;
			}
	}
}

/* A userfaultfd is closed only when its address space is gone: as long as one
 * thread lives in it, closing would turn what is out into zeros. */
static void bury(struct sw_list *spaces)
{
	struct sw_child *c, *tmp;

	sw_list_for_each_safe(c, tmp, spaces, node) {
		if (sw_remote_is_gone(c->remote))
			sw_child_free(c);
	}
}

static void attach(struct session *s, struct sw_proc *p)
{
	int err = p->uffd >= 0 ? 0 : sw_proc_prepare(p);

	if (!err)
		err = sw_proc_attach_new(p, s->mm);

	if (err) {
		sw_warn_once(
			"the memory of process %d cannot be managed (%s); it counts against the budget",
			p->pid, strerror(-err));
		p->failed = true;
		return;
	}
	s->attached = true;
	sw_debug("process %d is managed: %llu pages present", p->pid,
		 (unsigned long long)sw_space_resident(p->space));
}

/* ---- looking at the tree ---- */

static void count_stranger(void *arg, pid_t pid)
{
	struct session *s = arg;
	struct sw_proc *p;
	pid_t parent;

	if (pid == s->keeper.pid)
		return;
	sw_list_for_each(p, &s->procs, node) {
		if (p->pid == pid || p->helper == pid)
			return;
	}
	sw_keeper_add(&s->keeper, pid);
	if (s->nr_seen < MAX_STRANGERS)
		s->seen[s->nr_seen++] = pid;
	/* A vfork child lives in its parent's memory, which is counted. Forked
	 * processes share much with who is counted. */
	parent = sw_parent_of(pid);
	if (sw_shares_memory(parent, pid) != 1)
		s->strangers_now += sw_measure_pss(pid);
}

/* Strangers of the last look that are no more must not be killed one day
 * under a pid that is somebody else's by then. */
static void forget_strangers(struct session *s)
{
	for (unsigned i = 0; i < s->nr_known; i++) {
		pid_t pid = s->known[i];
		unsigned k = 0;

		while (k < s->nr_seen && s->seen[k] != pid)
			k++;
		if (k == s->nr_seen && !find_proc(s, pid) && pid != s->command)
			sw_keeper_del(&s->keeper, pid);
	}
	memcpy(s->known, s->seen, s->nr_seen * sizeof(s->seen[0]));
	s->nr_known = s->nr_seen;
}

/* Everything of the tree that no agent told us of. */
static void look_for_strangers(struct session *s)
{
	accept_agents(s); /* whoever waits at the door is no stranger */
	s->nr_seen = 0;
	s->strangers_now = 0;
	sw_for_each_descendant(getpid(), count_stranger, s);
	s->strangers = s->strangers_now;
	forget_strangers(s);
}

/* Processes that exec'd a program without the agent: their old memory is only
 * kept alive by its helper. (To be in doubt is to leave it: what is dropped
 * reads as zeros.) */
static void look_for_exec(struct session *s)
{
	struct sw_proc *p, *tmp;

	sw_list_for_each_safe(p, tmp, &s->procs, node) {
		bool other = p->agent_dead
				     ? p->remote && sw_remote_is_gone(p->remote)
				     : sw_shares_memory(p->pid, p->helper) == 0;

		if (other)
			drop_proc(s, p);
	}
}

static uint64_t measure(struct session *s)
{
	uint64_t pages = s->strangers, sum = s->strangers;
	uint64_t now = sw_now_ns();
	struct sw_mm_usage u;
	struct timespec before, after;
	uint64_t cost;
	bool forked = false;
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node) {
		p->anon_pages = sw_measure_rss(p->pid);
		sum += p->anon_pages;
		forked |= p->forked;
	}
	sw_mm_usage(s->mm, &u);
	/* Shared frames count once a sharer here. Where that matters, count
         * exactly, as often as that is affordable. */
	if (!forked || sum * 2 < u.budget_pages) {
		sw_mm_measured(s->mm, sum);
		return sum;
	}
	if (now < s->pss_ns)
		return u.used_pages;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	sw_list_for_each(p, &s->procs, node)
		pages += sw_measure_pss(p->pid);
	sw_mm_measured(s->mm, pages);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	cost = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec -
	       before.tv_nsec;
	s->pss_ns = now +
		    sw_max((uint64_t)PSS_MIN_NS,
			   sw_min(cost * PSS_COST_RATIO, (uint64_t)PSS_MAX_NS));
	return pages;
}

/* New memory of a managed process is found by its growth. */
static void rescan(struct sw_proc *p)
{
	uint64_t known = sw_space_resident(p->space);
	uint64_t rest = p->anon_pages - sw_min(p->anon_pages, known);

	p->scan_rest = sw_min(p->scan_rest, rest);
	if (rest < p->scan_rest + RESCAN_PAGES)
		return;
	sw_proc_scan(p);
	known = sw_space_resident(p->space);
	p->scan_rest = p->anon_pages - sw_min(p->anon_pages, known);
}

static void manage(struct session *s, uint64_t used)
{
	uint64_t percent = used * 100 * SW_PAGE_SIZE / s->opt->budget_bytes;
	uint64_t now = sw_now_ns();
	struct sw_proc *p;

	claim_children(s);
	sw_list_for_each(p, &s->procs, node) {
		if (p->remote) {
			sw_proc_complete(p);
			rescan(p);
			continue;
		}
		if (p->failed || p->anon_pages < ATTACH_MIN ||
		    percent < PREPARE_PERCENT ||
		    (p->forked && (now - p->hello_ns < CLAIM_NS ||
				   !sw_list_empty(&s->children))))
			continue;
		if (percent >= ATTACH_PERCENT)
			attach(s, p);
		else if (p->uffd < 0)
			sw_proc_prepare(p);
	}
}

/* The next look comes before the tree can have grown past the point where
 * it would have to be managed. */
static void set_timer(struct session *s, uint64_t used)
{
	uint64_t budget = s->opt->budget_bytes / SW_PAGE_SIZE;
	uint64_t mark = budget * ATTACH_PERCENT / 100;
	uint64_t ns = TICK_MIN_NS;
	struct itimerspec t = { 0 };

	if (used < mark)
		ns = (mark - used) * 1000000 / (FILL_PAGES_MS * s->nr_cpus);
	ns = sw_max((uint64_t)TICK_MIN_NS, sw_min(ns, (uint64_t)TICK_MAX_NS));
	if (s->attached)
		ns = sw_min(ns, 2ull * TICK_MIN_NS);
	t.it_value.tv_nsec = ns;
	timerfd_settime(s->timer, 0, &t, NULL);
}

static void tick(struct session *s)
{
	uint64_t now = sw_now_ns(), used;

	if (now >= s->slow_ns) {
		look_for_exec(s);
		look_for_strangers(s);
		sw_devices_sample(&s->devices);
		s->slow_ns = now + SLOW_TICK_NS;
	}
	bury(&s->children);
	bury(&s->orphans);
	used = measure(s);
	manage(s, used);
	set_timer(s, used);
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
	look_for_strangers(s);
	return !s->nr_seen;
}

static bool has_ended(int pidfd)
{
	struct pollfd f = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&f, 1, 0) > 0;
}

/* The process goes on: what is out comes back, nothing more goes out. */
static void agent_died(struct session *s, struct sw_proc *p)
{
	sw_warn("the agent of process %d died; its memory is no longer taken out",
		p->pid);
	close(p->helper_pidfd);
	p->helper_pidfd = -1;
	p->agent_dead = true;
	p->failed = true;
	sw_keeper_del(&s->keeper, p->helper);
	if (p->remote)
		sw_remote_agent_dead(p->remote);
}

static void drop_ended(struct session *s)
{
	struct sw_proc *p, *tmp;

	sw_list_for_each_safe(p, tmp, &s->procs, node) {
		if (has_ended(p->pidfd))
			drop_proc(s, p);
		else if (has_ended(p->helper_pidfd))
			agent_died(s, p);
	}
}

static void dispatch(struct session *s, enum source source)
{
	uint64_t count;

	switch (source) {
	case SRC_SIGNAL:
		handle_signal(s);
		break;
	case SRC_LISTEN:
		accept_agents(s);
		break;
	case SRC_TIMER:
		if (read(s->timer, &count, sizeof(count)) > 0)
			tick(s);
		break;
	case SRC_BORN:
		if (read(s->born_event, &count, sizeof(count)) > 0)
			claim_children(s);
		break;
	case SRC_PIDFD:
		drop_ended(s);
		break;
	}
}

static void loop(struct session *s)
{
	struct epoll_event e[32];

	tick(s);
	while (!all_ended(s)) {
		int n = epoll_wait(s->epoll, e, SW_ARRAY_SIZE(e), -1);

		for (int i = 0; i < n; i++)
			dispatch(s, e[i].data.u32);
	}
	/* Spaces of children that nobody ever claimed. */
	while (!sw_list_empty(&s->children))
		sw_child_free(
			sw_list_first(&s->children, struct sw_child, node));
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
	watch(s, s->signals, SRC_SIGNAL);
	watch(s, s->listen, SRC_LISTEN);
	watch(s, s->timer, SRC_TIMER);
	watch(s, s->born_event, SRC_BORN);
	return 0;
}

static int open_mm(struct session *s)
{
	static struct sw_mm_host host;
	struct sw_mm_config config = {
		.budget_pages = s->opt->budget_bytes / SW_PAGE_SIZE,
		.host = &host,
	};

	host = (struct sw_mm_host){ .forked = host_forked,
				    .forked_ready = host_forked_ready,
				    .arg = s };
	s->mm = sw_mm_new(&config);
	if (!s->mm || sw_mm_start(s->mm)) {
		sw_error("not enough memory to start");
		return -ENOMEM;
	}
	return 0;
}

static int start_command(struct session *s)
{
	char agent[PATH_MAX];
	pid_t pid;

	struct rlimit nofile;

	if (sw_agent_path(agent))
		return -ENOENT;
	/* Five descriptors a process of the tree. */
	getrlimit(RLIMIT_NOFILE, &s->old_nofile);
	nofile = s->old_nofile;
	nofile.rlim_cur = nofile.rlim_max;
	setrlimit(RLIMIT_NOFILE, &nofile);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
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

static void report(struct session *s)
{
	struct sw_report r = { .argv = s->opt->argv,
			       .budget_bytes = s->opt->budget_bytes };
	struct sw_mm_usage u;
	struct rusage ru;

	sw_mm_usage(s->mm, &u);
	getrusage(RUSAGE_SELF, &ru);
	r.exit_status = exit_status(s);
	r.peak_bytes = u.peak_pages * SW_PAGE_SIZE;
	r.wall_seconds = (sw_now_ns() - s->start_ns) / 1e9;
	r.supervisor_seconds =
		(timeval_ns(ru.ru_utime) + timeval_ns(ru.ru_stime)) / 1e9;
	r.agent_seconds = s->agent_cpu_ns / 1e9;
	r.command_seconds = s->command_cpu_ns / 1e9;
	r.devices = s->devices.report;
	r.nr_devices = s->devices.nr;
	if (s->opt->verbose)
		sw_report_print(&r, stderr);
	if (s->opt->report_path && sw_report_write(&r, s->opt->report_path))
		sw_debug("the report could not be written");
}

int sw_session_run(const struct sw_run_options *opt)
{
	struct session s = { .opt = opt };
	int status = SW_EXIT_FAILURE;

	sw_log_set_level(opt->verbose > 1 ? SW_LOG_DEBUG
			 : opt->verbose   ? SW_LOG_INFO
					  : SW_LOG_WARN);
	s.nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	sw_list_init(&s.procs);
	sw_list_init(&s.children);
	sw_list_init(&s.orphans);
	sw_list_init(&s.born);
	sw_mutex_init(&s.born_lock, "born", SW_RANK_LEAF);
	if (open_events(&s) || sw_keeper_init(&s.keeper))
		return status;
	if (sw_devices_on(&s.devices, opt->devices, opt->nr_devices))
		return status;
	if (open_mm(&s) || start_command(&s))
		return status;
	loop(&s);
	sw_mm_stop(s.mm);
	sw_keeper_stop(&s.keeper);
	reap(&s);
	sw_devices_sample(&s.devices);
	status = exit_status(&s);
	report(&s);
	sw_mm_free(s.mm);
	sw_devices_off(&s.devices);
	return status;
}
