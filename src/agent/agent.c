/*
 * agent.c - what runs inside the target. A shared object, preloaded; its
 * constructor (and its fork handler, in the child) starts a helper that
 * shares the address space and nothing else, then gets out of the way.
 *
 * The helper is made by two clones. The target makes an intermediate task
 * (CLONE_VFORK, no exit signal) and reaps it at once; the intermediate makes
 * the helper and exits, so the kernel hands the helper to the nearest
 * subreaper: the supervisor. Neither the target's wait() nor its parent's can
 * ever see it (a helper made with CLONE_PARENT would be a child of the
 * target's parent, which for a forked process is the program itself).
 *
 * The helper is dumb: it moves pages into staging, drops them, write-touches
 * pages, moves huge ones back in, on command (mmu/protocol.h). It must never wait for a page fault of
 * its own making, so it runs on memory that is never paged out: this object's
 * text and its `own` block, whose range the supervisor is told. Raw system
 * calls only, no libc, no relocation that needs the dynamic linker: nothing
 * it touches belongs to the program.
 *
 * Above: mmu/remote.c, which gives the commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "agent/gate.h"
#include "agent/own.h"
#include "agent/sys.h"
#include "mmu/protocol.h"

#define POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, Linux 5.14 */
#define UNSHARE_FDS    2  /* CLOSE_RANGE_UNSHARE */

struct agent_own own __attribute__((aligned(4096)));

#define OWN_BYTES ((sizeof(own) + PAGE - 1) & ~(PAGE - 1))

/* ---- messages ---- */

long agent_send(const void *msg, unsigned len, int fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec v = { (void *)msg, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (fd >= 0) {
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		*(int *)CMSG_DATA(&c.h) = fd;
		m.msg_control = &c;
		m.msg_controllen = sizeof(c);
	}
	return sys3(SYS_sendmsg, own.sock, &m, MSG_NOSIGNAL);
}

/* One message into own.msg, its descriptors into own.recv_fd. */
static long recv_msg(void)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(SW_AGENT_FDS * sizeof(int))];
	} c;
	struct iovec v = { &own.msg, sizeof(own.msg) };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	long n;

	for (unsigned i = 0; i < SW_AGENT_FDS; i++)
		own.recv_fd[i] = -1;
	do {
		n = sys3(SYS_recvmsg, own.sock, &m, MSG_CMSG_CLOEXEC);
	} while (n == -EINTR);
	if (n > 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    c.h.cmsg_type == SCM_RIGHTS) {
		int *fds = (int *)CMSG_DATA(&c.h);

		for (unsigned i = 0; i < SW_AGENT_FDS; i++)
			if (c.h.cmsg_len >= CMSG_LEN((i + 1) * sizeof(int)))
				own.recv_fd[i] = fds[i];
	}
	return n;
}

/* ---- commands ---- */

/*
 * mlockall() locks the staging areas along with everything else, and MOVE asks
 * only that both sides agree: locked pages would go. To ask whether memory is
 * locked is cheap this way; it invalidates nothing. (A lock that comes between
 * this and the move finds its pages out and brings them in again.)
 */
void agent_unlock_areas(void)
{
	if (sys3(SYS_msync, own.stage, PAGE, MS_INVALIDATE) == -EBUSY)
		sys2(SYS_munlock, own.stage, SW_CTL_PAGE * PAGE);
}

/* Moves pages dst <- src; returns bytes moved (maybe less than len), or
 * -errno when not even the first page could be moved. */
long agent_move(int uffd, char *dst, uint64_t src, uint64_t len, uint64_t mode)
{
	struct sw_uffdio_move m = { (uint64_t)dst, src, len, mode, 0 };
	long err = sys3(SYS_ioctl, uffd, SW_UFFDIO_MOVE, &m);

	if (!err)
		return len;
	return m.move > 0 ? m.move : err;
}

static long move_pages(int uffd, char *dst, uint64_t src, uint64_t len)
{
	return agent_move(uffd, dst, src, len, SW_UFFDIO_MOVE_ALLOW_SRC_HOLES);
}

/*
 * Moves one run into staging. A page the kernel refuses is marked and passed
 * over; a range it refuses as a whole (a border between two mappings lies in
 * it) is tried page by page. EAGAIN without progress: the layout is changing
 * right now, and the rest of the batch is stale. Whether a page that is not
 * said to be moved really was not, note_agent_staged() finds out.
 */
static int take_run(const struct sw_agent_run *run, uint64_t epoch)
{
	uint64_t done = 0, len = run->nr * PAGE;
	int single = 0;

	agent_unlock_areas();
	gate_lock(own.ctl);
	if (own.ctl->epoch != epoch) {
		gate_unlock(own.ctl);
		return -EAGAIN;
	}
	while (done < len) {
		uint64_t part = single ? PAGE : len - done;
		long n = move_pages(own.uffd, own.stage + run->at * PAGE + done,
				    run->addr + done, part);

		if (n > 0) {
			done += n;
			continue;
		}
		if (n == -EAGAIN)
			break;
		if (n != -EBUSY && part > PAGE) {
			single = 1;
			continue;
		}
		own.taken.page[run->at + done / PAGE] =
			n == -EBUSY ? SW_PAGE_BUSY : SW_PAGE_REFUSED;
		done += PAGE;
	}
	gate_unlock(own.ctl);
	for (; done < len; done += PAGE)
		own.taken.page[run->at + done / PAGE] = SW_PAGE_STALE;
	return 0;
}

/* Pagemap entries of `nr` pages. */
int agent_read_pagemap(uint64_t addr, uint64_t *entry, unsigned nr)
{
	long n = sys4(SYS_pread64, own.pagemap, entry, nr * 8, addr / PAGE * 8);

	return n == nr * 8 ? 0 : -EIO;
}

/*
 * What is in staging decides, not what MOVE returned. It counts holes as
 * moved; and on Linux 6.18 pages it refused were seen to be gone
 * (docs/measured.md). So a page is taken when
 * staging has it and its own place is empty. When both have one, somebody (a
 * debugger, or mlockall() on its way) touched the staging area. 0, or -errno:
 * it cannot be told.
 */
static int note_run(const struct sw_agent_run *run)
{
	for (unsigned i = 0; i < run->nr; i++) {
		uint8_t *page = &own.taken.page[run->at + i];
		uint64_t source = 0;

		if (!(own.entry[run->at + i] & PAGEMAP_OCCUPIED))
			continue;
		if (*page != SW_PAGE_HOLE &&
		    agent_read_pagemap(run->addr + i * PAGE, &source, 1))
			return -EIO;
		if (source & PAGEMAP_OCCUPIED) {
			own.unclean = 1;
			*page = SW_PAGE_STALE;
		} else {
			*page = SW_PAGE_TAKEN;
		}
	}
	return 0;
}

static int note_staged(const struct sw_agent_take *t)
{
	int err = agent_read_pagemap((uint64_t)agent_staged(), own.entry,
				     own.huge ? SW_HUGE_PAGES : SW_STAGE_PAGES);

	for (unsigned i = 0; i < t->nr_runs && !err; i++)
		err = note_run(&t->run[i]);
	return err;
}

/*
 * Dropping what is staged with madvise would raise an event on the program's
 * userfaultfd and wait for its reader, who may be waiting for us. So it goes
 * through a second area, registered with a userfaultfd that has no events.
 */
static void do_drop(void)
{
	char *drop = own.stage +
		     (own.huge ? SW_HUGE_DROP_PAGE : SW_STAGE_PAGES) * PAGE;
	uint64_t done = 0, bytes = own.huge ? HUGE_BYTES : STAGE_BYTES;
	int tries = 1000;

	agent_unlock_areas();
	sys3(SYS_madvise, drop, bytes, MADV_DONTNEED);
	while (done < bytes && tries--) {
		long n = move_pages(own.dropfd, drop + done,
				    (uint64_t)agent_staged() + done,
				    bytes - done);

		if (n > 0) {
			done += n;
		} else if (n == -EEXIST || n == -EINVAL) {
			/* Moved before and not counted, or filled or locked by
			 * mlockall(), which keeps it from being dropped. */
			agent_unlock_areas();
			sys3(SYS_madvise, drop, bytes, MADV_DONTNEED);
		} else if (n != -EAGAIN && n != -EBUSY) {
			break;
		} else {
			sys0(SYS_sched_yield);
		}
	}
	own.broken = done < bytes;
	own.unclean = 0;
	sys3(SYS_madvise, drop, bytes, MADV_DONTNEED);
	__atomic_store_n(&own.ctl->dropped, own.ctl->batch, __ATOMIC_RELEASE);
}

static void do_take(void)
{
	struct sw_agent_take *t = &own.msg.take;

	if (own.unclean || own.broken)
		do_drop();
	own.taken.op = SW_AGENT_TAKEN;
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		own.taken.page[i] = SW_PAGE_HOLE;
	if (!own.broken) {
		own.huge = t->run[0].nr == SW_HUGE_PAGES;
		__atomic_fetch_add(&own.ctl->batch, 1, __ATOMIC_RELEASE);
	}
	for (unsigned i = 0; i < t->nr_runs; i++) {
		struct sw_agent_run *r = &t->run[i];

		if (!own.broken && own.huge) {
			agent_take_huge(r, t->epoch);
			continue;
		}
		if (!own.broken && !take_run(r, t->epoch))
			continue;
		for (unsigned k = 0; k < r->nr; k++)
			own.taken.page[r->at + k] = SW_PAGE_STALE;
	}
	/* Not to know what was taken is to lose it: the supervisor looks for
	 * itself when we are gone. */
	if (!own.broken && note_staged(t))
		sys1(SYS_exit_group, 1);
	agent_send(&own.taken, sizeof(own.taken), -1);
}

static void do_unshare(void)
{
	struct sw_agent_unshare *u = &own.msg.unshare;
	struct sw_agent_ready done = { .op = SW_AGENT_UNSHARED };

	for (unsigned i = 0; i < u->nr_runs; i++)
		sys3(SYS_madvise, u->run[i].addr, u->run[i].nr * PAGE,
		     POPULATE_WRITE);
	agent_send(&done, sizeof(done), -1);
}

/* ---- attaching ---- */

static int new_uffd(int dev)
{
	if (dev >= 0)
		return sys3(SYS_ioctl, dev, SW_USERFAULTFD_IOC_NEW,
			    O_CLOEXEC | O_NONBLOCK);
	return sys1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
}

/* As much memory as the areas take, from a multiple of a huge page on. */
static char *map_aligned(void)
{
	unsigned long end,
		p = sys6(SYS_mmap, 0, AREA_BYTES + HUGE_BYTES,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long at = (p + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);

	if (p > -4096ul)
		return NULL;
	end = p + AREA_BYTES + HUGE_BYTES;
	if (at > p)
		sys2(SYS_munmap, p, at - p);
	if (end > at + AREA_BYTES)
		sys2(SYS_munmap, at + AREA_BYTES, end - at - AREA_BYTES);
	return (char *)at;
}

/* All areas, a place for the control page, and the bell. */
static char *map_area(void)
{
	char *p = map_aligned();

	if (!p)
		return NULL;
	sys3(SYS_madvise, p, AREA_BYTES, MADV_DONTFORK);
	/* Nothing huge comes to be there but what is moved or brought. */
	sys3(SYS_madvise, p, SW_BRING_PAGE * PAGE, MADV_NOHUGEPAGE);
	sys3(SYS_madvise, p + SW_BRING_PAGE * PAGE, HUGE_BYTES, MADV_HUGEPAGE);
	/* A debugger that writes a core would map zeros here. */
	sys3(SYS_madvise, p, SW_CTL_PAGE * PAGE, MADV_DONTDUMP);
	return p;
}

static long register_drop(unsigned page, uint64_t bytes)
{
	struct uffdio_register reg = {
		.range = { (uint64_t)own.stage + page * PAGE, bytes },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return sys3(SYS_ioctl, own.dropfd, UFFDIO_REGISTER, &reg);
}

static int setup_drop_areas(int dev)
{
	struct uffdio_api api = { .api = UFFD_API };
	long err;

	own.dropfd = new_uffd(dev);
	if (own.dropfd < 0)
		return own.dropfd;
	err = sys3(SYS_ioctl, own.dropfd, UFFDIO_API, &api);
	if (!err)
		err = register_drop(SW_STAGE_PAGES, STAGE_BYTES);
	if (!err)
		err = register_drop(SW_HUGE_DROP_PAGE, HUGE_BYTES);
	return err;
}

static int setup(int ctl, int pagemap, int dev, int make_uffd)
{
	long p;

	if (own.ctl) { /* ready before; now it wants a userfaultfd too */
		own.uffd = make_uffd ? new_uffd(dev) : -EALREADY;
		return own.uffd < 0 ? own.uffd : 0;
	}
	p = sys6(SYS_mmap, (long)(own.stage + SW_CTL_PAGE * PAGE), PAGE,
		 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ctl, 0);
	if ((unsigned long)p > -4096ul)
		return p;
	sys3(SYS_madvise, p, PAGE, MADV_DONTFORK);
	__atomic_store_n(&own.ctl, (struct sw_agent_ctl *)p, __ATOMIC_RELEASE);
	own.broken = own.unclean = own.huge = 0;
	own.pagemap = sys3(SYS_fcntl, pagemap, F_DUPFD_CLOEXEC, 0);
	if (own.pagemap < 0)
		return own.pagemap;
	if (make_uffd) {
		own.uffd = new_uffd(dev);
		if (own.uffd < 0)
			return own.uffd;
	}
	return setup_drop_areas(dev);
}

static void do_attach(void)
{
	struct sw_agent_ready ready = { .op = SW_AGENT_READY };
	int *fd = own.recv_fd;

	own.uffd = -1;
	ready.err = setup(fd[0], fd[1], fd[2], own.msg.attach.make_uffd);
	ready.stage = (uint64_t)own.stage;
	for (unsigned i = 0; i < SW_AGENT_FDS; i++)
		if (fd[i] >= 0)
			sys1(SYS_close, fd[i]);
	agent_send(&ready, sizeof(ready), own.uffd);
}

static long say_hello(void)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct sw_agent_hello hello = {
		.op = SW_AGENT_HELLO,
		.version = SW_AGENT_VERSION,
		.pid = own.pid,
		.forked = own.forked,
		.own_start = (uint64_t)&own,
		.own_end = (uint64_t)&own + OWN_BYTES,
	};
	unsigned len = own.socket_name_len;
	long err;

	for (unsigned i = 0; i < len; i++)
		u.sun_path[1 + i] = own.socket_name[i];
	own.sock = sys3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	err = sys3(SYS_connect, own.sock, &u,
		   offsetof(struct sockaddr_un, sun_path) + 1 + len);
	return err ? err : agent_send(&hello, sizeof(hello), -1);
}

/* ---- for the program's threads ---- */

struct sw_agent_ctl *agent_ctl(void)
{
	struct sw_agent_ctl *ctl = __atomic_load_n(&own.ctl, __ATOMIC_ACQUIRE);

	return ctl && sys0(SYS_getpid) == own.pid ? ctl : NULL;
}

bool agent_is_self(int pidfd)
{
	return own.pid_ino && agent_pidfd_ino(pidfd) == own.pid_ino;
}

/* ---- the helper and how it comes to be ---- */

/* Ahead of the program. The nice value may be refused, with all that comes
 * along. */
static void hurry(void)
{
	struct sw_sched_attr a = { .size = sizeof(a),
				   .runtime = SW_HURRY_SLICE_NS };

	a.nice = 20 - sys2(SYS_getpriority, PRIO_PROCESS, 0);
	sys3(SYS_sched_setattr, 0, &a, 0);
	a.nice = SW_HURRY_NICE;
	sys3(SYS_sched_setattr, 0, &a, 0);
}

static void helper(void)
{
	/* No signal to the program's group is meant for it. It stays in the
	 * session: a scheduler that shares the CPUs among sessions lets one
	 * of its own wait, for seconds on a busy machine. */
	sys2(SYS_setpgid, 0, 0);
	sys3(SYS_close_range, 0, ~0u, UNSHARE_FDS);
	hurry();
	sys1(SYS_chdir, "/");
	own.pidfd = sys2(SYS_pidfd_open, own.pid, 0);
	if (own.pidfd < 0 || say_hello() < 0)
		return;
	own.pid_ino = agent_pidfd_ino(own.pidfd);
	sys2(SYS_prctl, PR_SET_NAME, SW_AGENT_COMM);
	while (recv_msg() > 0) {
		switch (own.msg.op) {
		case SW_AGENT_ATTACH:
			do_attach();
			break;
		case SW_AGENT_UFFD:
			own.uffd = own.recv_fd[0];
			break;
		case SW_AGENT_TAKE:
			do_take();
			break;
		case SW_AGENT_DROP:
			do_drop();
			break;
		case SW_AGENT_UNSHARE:
			do_unshare();
			break;
		case SW_AGENT_BRING:
			agent_bring();
			break;
		case SW_AGENT_LEAVE:
			return;
		}
	}
	sys4(SYS_pidfd_send_signal, own.pidfd, SIGKILL, 0, 0);
}

static void intermediate(void)
{
	sys_spawn(CLONE_VM | CLONE_FILES | CLONE_UNTRACED,
		  own.helper_stack + HELPER_STACK, helper);
}

static void start(int forked)
{
	uint64_t all = ~0ull, old;
	long pid;

	own.pid = sys0(SYS_getpid);
	own.forked = forked;
	own.ctl = NULL; /* the parent's, which fork did not copy */
	/* Now, before the program runs: later a thread that has just made a
	 * hole for itself might find us in it. */
	own.stage = map_area();
	if (!own.stage)
		return;
	/* The helper inherits this mask: no signal sent to the group may run
         * the program's handlers in it. */
	sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, 8);
	pid = sys_spawn(CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_UNTRACED,
			own.minor_stack + MINOR_STACK, intermediate);
	if (pid > 0)
		sys4(SYS_wait4, pid, 0, __WCLONE, 0);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
}

/* The program's thread waits here until its pages are write-protected: each
 * copy that a write makes after the fork comes to the supervisor first. */
static void before_fork(void)
{
	if (agent_ctl())
		*(volatile char *)(own.stage + SW_BELL_PAGE * PAGE) = 1;
}

static void started_by_fork(void)
{
	start(1);
}

/* Finds NAME=value in the environment without libc. */
static const char *find_env(char **envp, const char *name)
{
	for (; envp && *envp; envp++) {
		const char *e = *envp, *n = name;

		while (*n && *e == *n)
			e++, n++;
		if (!*n && *e == '=')
			return e + 1;
	}
	return NULL;
}

/* glibc's and musl's ways to run code in a forked child. */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void),
			     void *) __attribute__((weak));
extern int pthread_atfork(void (*)(void), void (*)(void), void (*)(void))
	__attribute__((weak));

__attribute__((constructor)) static void agent_init(int argc, char **argv,
						    char **envp)
{
	const char *name = find_env(envp, SW_AGENT_ENV);

	(void)argc, (void)argv;
	if (!name)
		return;
	while (name[own.socket_name_len] && own.socket_name_len < 100) {
		own.socket_name[own.socket_name_len] =
			name[own.socket_name_len];
		own.socket_name_len++;
	}
	if (__register_atfork)
		__register_atfork(before_fork, NULL, started_by_fork, NULL);
	else if (pthread_atfork)
		pthread_atfork(before_fork, NULL, started_by_fork);
	start(0);
}
