/*
 * attach.c - from a connection on the agents' socket to a managed address
 * space, and back to nothing at the end.
 *
 *   accept   the helper says which process it lives in; believed only if it
 *            really shares that process' memory and descends from us
 *   ready    on demand: the helper makes its staging areas usable and a
 *            userfaultfd. Most processes never need it, so it waits until
 *            memory gets scarce
 *   attach   a space is made, its ranges registered, its events read
 *   claim    a forked process whose space was born with the fork event: which
 *            one is told by asking each unclaimed userfaultfd to map a page
 *            into this helper's staging area and looking where it went
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "base/trace.h"
#include "mmu/uffd.h"
#include "run/proc.h"

#define ANSWER_MS 2000 /* a helper on a busy machine is slow, not silent */

/* ---- messages ---- */

static int send_fds(int sock, const void *msg, size_t len, const int *fd,
		    unsigned nr)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(SW_AGENT_FDS * sizeof(int))];
	} c = { 0 };
	struct iovec v = { (void *)msg, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (nr) {
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(&c.h), fd, nr * sizeof(int));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(nr * sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One message of exactly `len` bytes, at most one descriptor. */
static int recv_fd(int sock, void *msg, size_t len, int *fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c = { 0 };
	struct iovec v = { msg, len };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	ssize_t n;

	*fd = -1;
	if (poll(&p, 1, ANSWER_MS) <= 0)
		return -ETIMEDOUT;
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n > 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    c.h.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&c.h), sizeof(int));
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EPROTO;
}

/* ---- accept ---- */

bool sw_has_ended(int pidfd)
{
	struct pollfd f = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&f, 1, 0) > 0;
}

static bool is_gone(pid_t pid)
{
	int fd = pidfd_open(pid, 0);
	bool gone = fd < 0 || sw_has_ended(fd);

	if (fd >= 0)
		close(fd);
	return gone;
}

void sw_proc_warn_agent_died(pid_t pid)
{
	sw_warn("the agent of process %d died; its memory is no longer taken out",
		pid);
}

void sw_proc_give_up(struct sw_proc *p, int err)
{
	p->failed = true;
	/* Not if it has ended meanwhile. */
	if (!sw_has_ended(p->pidfd))
		sw_warn_once(
			"the memory of process %d cannot be managed (%s); it counts against the budget",
			p->at.pid, strerror(-err));
}

static bool is_ours(const struct sw_agent_hello *h, pid_t helper, pid_t root)
{
	if (h->op != SW_AGENT_HELLO || h->version != SW_AGENT_VERSION) {
		sw_warn("process %d runs another version of the agent; its memory is not managed",
			helper);
		return false;
	}
	if (!sw_is_descendant(h->pid, root))
		return false;
	if (sw_shares_memory(h->pid, helper) == 1)
		return true;
	if (is_gone(helper) && !is_gone(h->pid))
		sw_proc_warn_agent_died(h->pid);
	return false;
}

struct sw_proc *sw_proc_accept(int sock, pid_t root)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct sw_agent_hello h;
	struct sw_proc *p = NULL;
	uint32_t leave = SW_AGENT_LEAVE;
	int fd;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) ||
	    recv_fd(sock, &h, sizeof(h), &fd) || !is_ours(&h, peer.pid, root))
		goto err_leave;
	p = calloc(1, sizeof(*p));
	if (!p)
		goto err_leave;
	sw_list_init(&p->node);
	p->at.pid = h.pid;
	p->at.helper = peer.pid;
	p->forked = h.forked;
	p->at.own_start = h.own_start;
	p->at.own_end = h.own_end;
	p->sock = sock;
	p->uffd = -1;
	p->statm = -1;
	p->hello_ns = sw_now_ns();
	p->pidfd = pidfd_open(p->at.pid, 0);
	p->helper_pidfd = pidfd_open(p->at.helper, 0);
	if (p->pidfd >= 0 && p->helper_pidfd >= 0)
		return p;
	/* Gone already: the helper must not keep its memory alive. */
	if (p->helper_pidfd >= 0)
		pidfd_send_signal(p->helper_pidfd, SIGKILL, NULL, 0);
	sw_proc_free(p);
	return NULL;

err_leave:
	/* It would take the end of the connection for our death and kill its
	 * process: which may have executed another program meanwhile. */
	send_fds(sock, &leave, sizeof(leave), NULL, 0);
	close(sock);
	return NULL;
}

/* ---- ready ---- */

static struct sw_agent_ctl *make_ctl(int *fd)
{
	void *p;

	*fd = memfd_create("spillway-ctl", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, SW_PAGE_SIZE))
		return NULL;
	p = mmap(NULL, SW_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

int sw_proc_ready(struct sw_proc *p, bool make_uffd, int *uffd)
{
	struct sw_agent_attach msg = { .op = SW_AGENT_ATTACH,
				       .make_uffd = make_uffd };
	struct sw_agent_ready answer = { 0 };
	int fd[SW_AGENT_FDS] = { -1, -1, -1 }, err;
	struct sw_agent_ctl *map = make_ctl(&fd[0]);

	fd[1] = sw_open_proc(p->at.helper, "pagemap");
	fd[2] = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	err = !map ? -ENOMEM : fd[1] < 0 ? -ESRCH : 0;
	if (!err)
		err = send_fds(p->sock, &msg, sizeof(msg), fd,
			       2 + (fd[2] >= 0));
	if (!err)
		err = recv_fd(p->sock, &answer, sizeof(answer), uffd);
	if (!err)
		err = answer.err;
	if (!err && make_uffd && *uffd < 0)
		err = -EPROTO;
	for (unsigned i = 0; i < SW_AGENT_FDS; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	if (!err && !p->ready) {
		p->ctl = map; /* the helper keeps the first one it was sent */
		p->at.stage = answer.stage;
		p->ready = true;
	} else if (map) {
		munmap(map, SW_PAGE_SIZE);
	}
	return err;
}

/* ---- attach ---- */

static int register_pages(int uffd, uint64_t start, unsigned nr)
{
	return sw_uffd_register(uffd, start, nr * SW_PAGE_SIZE,
				UFFDIO_REGISTER_MODE_WP);
}

/* Staging is filled through the program's own userfaultfd: moves into it fail
 * while the program's layout is changing. */
static int register_stage(int uffd, uint64_t stage)
{
	return register_pages(uffd, stage, SW_STAGE_PAGES);
}

/* The same for huge pages. */
static int register_huge(int uffd, uint64_t stage)
{
	return register_pages(uffd, stage + SW_HUGE_PAGE * SW_PAGE_SIZE,
			      SW_HUGE_PAGES);
}

static int enable(int uffd)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = sw_remote_features() };

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

/* From here on the remote owns socket and control page. */
static void give_agent(struct sw_proc *p)
{
	sw_remote_set_agent(p->remote, &p->at, p->sock, p->ctl);
	p->sock = -1;
	p->ctl = NULL;
}

int sw_proc_prepare(struct sw_proc *p)
{
	int err = sw_proc_ready(p, true, &p->uffd);

	if (!err)
		err = enable(p->uffd);
	if (!err)
		err = register_stage(p->uffd, p->at.stage);
	if (!err)
		err = register_huge(p->uffd, p->at.stage);
	return err;
}

/* A trace knows address spaces by numbers. */
static void trace_space(const struct sw_proc *p)
{
	struct sw_trace_event event = { .kind = SW_TRACE_SPACE,
					.space = sw_space_id(p->space),
					.page = p->at.pid };
	uint64_t begin = sw_trace_begin();

	if (begin)
		sw_trace_end(begin, &event);
}

int sw_proc_attach_new(struct sw_proc *p, struct sw_mm *mm)
{
	int uffd = p->uffd, err;

	p->uffd = -1;
	p->space = sw_space_new(mm);
	if (p->space)
		p->remote =
			sw_remote_new(uffd, p->at.pid, &sw_mm_client, p->space);
	if (!p->remote) {
		close(uffd);
		return -ENOMEM;
	}
	sw_space_set_mmu(p->space, sw_remote_mmu(p->remote));
	give_agent(p);
	err = sw_remote_start(p->remote);
	if (err)
		return err;
	sw_space_attach(p->space);
	trace_space(p);
	return sw_maps_register(&p->at, p->remote, p->space);
}

/* ---- claim ---- */

/*
 * A page of the staging area that is missing. There may be some that are not:
 * siblings have their areas at the same address, and whoever was asked before
 * for one of them got a page there.
 */
static uint64_t missing_page(const struct sw_proc *p)
{
	for (unsigned i = 0; i < SW_STAGE_PAGES; i++)
		if (!sw_page_is_present(p->at.helper,
					p->at.stage + i * SW_PAGE_SIZE))
			return p->at.stage + i * SW_PAGE_SIZE;
	return 0;
}

/*
 * Is nothing of the range managed through the space's userfaultfd? The kernel
 * is asked: our regions may speak of memory that the child did not get, where
 * its agent has put the staging area since.
 */
static bool is_unmanaged(struct sw_child *child, uint64_t start, uint64_t end)
{
	struct sw_mmu *mmu = sw_remote_mmu(child->remote);

	for (uint64_t at = start; at < end; at += SW_PAGE_SIZE)
		if (mmu->ops->protect(mmu, at, 1, true) != -ENOENT)
			return false;
	return true;
}

bool sw_proc_claim(struct sw_proc *p, struct sw_child *child)
{
	int uffd = sw_remote_uffd(child->remote);
	const uint64_t stage = p->at.stage,
		       bytes = SW_STAGE_PAGES * SW_PAGE_SIZE;
	uint64_t page = missing_page(p);
	uint32_t drop = SW_AGENT_DROP;
	struct sw_agent_attach msg = { .op = SW_AGENT_UFFD };

	/* Where a candidate has memory of its own the question would do harm,
	 * and the answer is known. */
	if (!page || !is_unmanaged(child, stage, stage + bytes))
		return false;
	if (register_stage(uffd, stage))
		return false;
	/* In the wrong address space this maps a page of zeros where the
         * program would have found one anyway. */
	if (sw_uffd_zero(uffd, page, SW_PAGE_SIZE) ||
	    !sw_page_is_present(p->at.helper, page) ||
	    register_huge(uffd, stage)) {
		(void)sw_uffd_unregister(uffd, stage, bytes);
		return false;
	}
	if (send_fds(p->sock, &msg, sizeof(msg), &uffd, 1) ||
	    send_fds(p->sock, &drop, sizeof(drop), NULL, 0))
		return false;
	sw_list_del(&child->node);
	p->remote = child->remote;
	p->space = child->space;
	free(child);
	trace_space(p);
	return true;
}

void sw_proc_complete(struct sw_proc *p)
{
	int err = p->sock >= 0 ? sw_proc_prune(p) : 0;

	if (err)
		sw_debug("process %d cannot be told from its parent yet: %s",
			 p->at.pid, strerror(-err));
	else if (p->sock >= 0)
		give_agent(p);
}

/* ---- the end ---- */

static void free_space(struct sw_remote *remote, struct sw_space *space)
{
	if (remote) {
		sw_remote_agent_dead(remote);
		sw_remote_stop(remote);
	}
	if (space)
		sw_space_free(space);
	if (remote)
		sw_remote_free(remote);
}

struct sw_child *sw_proc_free(struct sw_proc *p)
{
	struct sw_child *left = NULL;

	if (p->helper_pidfd >= 0) {
		pidfd_send_signal(p->helper_pidfd, SIGKILL, NULL, 0);
		close(p->helper_pidfd);
	}
	if (p->remote) {
		sw_remote_agent_dead(p->remote);
		left = calloc(1, sizeof(*left));
		SW_BUG_ON(!left); /* closing it would read as zeros */
		sw_list_init(&left->node);
		left->remote = p->remote;
		left->space = p->space;
		left->ready = true;
	}
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->statm >= 0)
		close(p->statm);
	if (p->sock >= 0)
		close(p->sock);
	if (p->uffd >= 0)
		close(p->uffd);
	if (p->ctl)
		munmap(p->ctl, SW_PAGE_SIZE);
	sw_list_del(&p->node);
	free(p);
	return left;
}

void sw_child_free(struct sw_child *c)
{
	free_space(c->remote, c->space);
	sw_list_del(&c->node);
	free(c);
}
