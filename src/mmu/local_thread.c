/*
 * local_thread.c - faults come to a thread of ours, which sleeps in a blocking
 * read of the userfaultfd: cheaper than to poll first, and everything works,
 * system calls included. What ends that sleep is a fault too, on a page that is
 * there for it: the bell.
 *
 * Above: local.c. Below: mm/fault.c, by the client.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mmu/hurry.h"
#include "mmu/local_internal.h"
#include "mmu/uffd.h"

#define BATCH 16

static void answer_bell(struct sw_local *l)
{
	(void)sw_uffd_zero(l->uffd, (uint64_t)l->bell, SW_PAGE_SIZE);
}

/* False: it was the bell. */
static bool serve(struct sw_local *l, const struct uffd_msg *m)
{
	uint64_t addr = m->arg.pagefault.address & SW_PAGE_MASK;
	uint64_t flags = m->arg.pagefault.flags;
	int tid = m->arg.pagefault.feat.ptid;
	unsigned f = 0;

	if (addr == (uint64_t)l->bell) {
		answer_bell(l);
		return false;
	}
	if (flags & UFFD_PAGEFAULT_FLAG_WRITE)
		f |= SW_FAULT_WRITE;
	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		f |= SW_FAULT_WP;
	sw_follow(&l->follow, tid);
	sw_local_enter(l);
	/* One that is being freed is woken when it is no longer registered. */
	if (l->config.covers(l->config.arg, addr))
		l->config.client->fault(l->mmu.space, addr, f, tid);
	sw_local_leave(l);
	sw_follow_served(&l->follow);
	return true;
}

/* ---- devices that do not answer ---- */

/*
 * Faults that were left unanswered (mm/late.c) are tried again when settle()
 * says; until then a sleep has an end, which a blocking read has not. Returns
 * when that is, or 0.
 */
static uint64_t settle(struct sw_local *l, uint64_t before_ns)
{
	uint64_t again_ns;

	sw_local_enter(l);
	again_ns = l->config.client->settle(l->mmu.space);
	sw_local_leave(l);
	/* A descriptor that blocks cannot be polled. */
	if (!again_ns != !before_ns)
		(void)fcntl(l->uffd, F_SETFL, again_ns ? O_NONBLOCK : 0);
	return again_ns;
}

static void wait_until(struct sw_local *l, uint64_t again_ns)
{
	struct timespec t = { .tv_nsec = sw_min(again_ns, 999999999ul) };
	struct pollfd p = { .fd = l->uffd, .events = POLLIN };

	(void)ppoll(&p, 1, &t, NULL);
}

/* ---- the thread ---- */

static void *thread(void *arg)
{
	struct sw_local *l = arg;
	struct uffd_msg msg[BATCH];
	uint64_t again_ns = 0;
	bool rang = false;

	sw_follow_init(&l->follow, getpid());
	prctl(PR_SET_NAME, "spillway-fault");
	sw_hurry();
	/* Whoever rings waits for the answer: nothing else ends this. */
	while (!rang) {
		ssize_t n;

		if (again_ns)
			wait_until(l, again_ns);
		n = read(l->uffd, msg, sizeof(msg));
		SW_BUG_ON(n < 0 && errno != EINTR && errno != EAGAIN);
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(msg[0]); i++)
			if (msg[i].event == UFFD_EVENT_PAGEFAULT)
				rang |= !serve(l, &msg[i]);
		again_ns = settle(l, again_ns);
	}
	/* What waits there yet is woken when its region goes. */
	if (again_ns)
		(void)fcntl(l->uffd, F_SETFL, 0);
	sw_follow_release(&l->follow);
	return NULL;
}

static int make_bell(struct sw_local *l)
{
	void *p = mmap(NULL, SW_PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (p == MAP_FAILED)
		return -errno;
	(void)madvise(p, SW_PAGE_SIZE, MADV_DONTFORK);
	err = sw_uffd_register(l->uffd, (uint64_t)p, SW_PAGE_SIZE,
			       UFFDIO_REGISTER_MODE_MISSING);
	if (err) {
		munmap(p, SW_PAGE_SIZE);
		return err;
	}
	l->bell = p;
	return 0;
}

int sw_local_thread_start(struct sw_local *l)
{
	sigset_t all, old;
	int err = make_bell(l);

	if (err)
		return err;
	/* Signals are the program's, not ours. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&l->thread, NULL, thread, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	l->running = !err;
	if (err)
		munmap(l->bell, SW_PAGE_SIZE);
	return err;
}

void sw_local_thread_stop(struct sw_local *l)
{
	if (!l->running)
		return;
	(void)*(volatile char *)l->bell;
	pthread_join(l->thread, NULL);
	l->running = false;
	munmap(l->bell, SW_PAGE_SIZE);
}
