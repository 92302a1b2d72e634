/*
 * remote_events.c - the way up: one thread a space waits on the userfaultfd
 * and hands faults and layout events to the client.
 *
 * Events are read under the client's lock and the agent's gate, and the epoch
 * is raised before the gate opens again: see struct sw_agent_ctl. Faults are
 * served after that, one by one, without the lock. Events go first, whatever
 * their place in the batch: the kernel hands out waiting faults before
 * events, and a fault on a range that was just remapped can be understood
 * only after its event.
 *
 * The thread runs on the CPU of the thread whose faults it serves (follow.h).
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "mmu/remote_internal.h"

#define BATCH        16
#define GATE_WAIT_NS 5000000

/* ---- the gate, our side ---- */

/*
 * The agent may die holding the gate. It is known to be dead when can_take is
 * false; nobody else can hold the gate then, so it is simply taken.
 */
static void gate_wait(struct sw_remote *r, struct sw_agent_ctl *ctl)
{
	struct timespec t = { .tv_nsec = GATE_WAIT_NS };

	if (sw_gate_try(&ctl->gate, SW_GATE_SPINS_SUPERVISOR))
		return;
	while (__atomic_exchange_n(&ctl->gate, 2, __ATOMIC_ACQUIRE)) {
		if (ctl != &r->no_ctl &&
		    !__atomic_load_n(&r->mmu.can_take, __ATOMIC_ACQUIRE))
			return;
		syscall(SYS_futex, &ctl->gate, FUTEX_WAIT, 2, &t);
	}
}

static void gate_lock(struct sw_remote *r)
{
	struct sw_agent_ctl *ctl = __atomic_load_n(&r->ctl, __ATOMIC_ACQUIRE);

	__atomic_store_n(&ctl->wanted, 1, __ATOMIC_RELAXED);
	gate_wait(r, ctl);
	__atomic_store_n(&ctl->wanted, 0, __ATOMIC_RELAXED);
}

static void gate_unlock(struct sw_remote *r)
{
	struct sw_agent_ctl *ctl = __atomic_load_n(&r->ctl, __ATOMIC_ACQUIRE);

	if (__atomic_exchange_n(&ctl->gate, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &ctl->gate, FUTEX_WAKE, 1);
}

/* ---- the bell (protocol.h) ---- */

static void answer_bell(struct sw_remote *r, unsigned flags)
{
	static const char zeros[SW_PAGE_SIZE];
	struct sw_mmu *mmu = &r->mmu;
	int err;

	r->client->forking(mmu->space);
	r->bell_rang = true;
	if (flags & SW_FAULT_WP)
		err = mmu->ops->protect(mmu, r->bell, 1, false);
	else
		err = mmu->ops->copy(mmu, r->bell, zeros, 1, false) < 0;
	if (err) /* the layout is changing: it rings again */
		mmu->ops->wake(mmu, r->bell, 1);
}

/* Not before the fork's event, or it might ring twice for one fork. True: the
 * layout is still changing. */
static bool tie_bell(struct sw_remote *r)
{
	struct sw_mmu *mmu = &r->mmu;

	if (r->bell_loose &&
	    mmu->ops->protect(mmu, r->bell, 1, true) != -EAGAIN)
		r->bell_loose = r->bell_rang = false;
	return r->bell_loose;
}

/* ---- advice (protocol.h) ---- */

static void pass_on(struct sw_remote *r, uint64_t word)
{
	uint64_t start = sw_advice_start(word);
	uint64_t nr = sw_advice_pages(word);

	if (nr && sw_advice_of(word))
		r->client->advise(r->mmu.space, start,
				  start + nr * SW_PAGE_SIZE,
				  sw_advice_of(word));
}

/* Oldest first, as far as that can be told. */
static void hear_advice(struct sw_remote *r)
{
	struct sw_agent_ctl *ctl = __atomic_load_n(&r->ctl, __ATOMIC_ACQUIRE);
	/* Pairs with the release in the preloaded object: what was advised
	 * before is in its slot. */
	uint32_t advised = __atomic_load_n(&ctl->advised, __ATOMIC_ACQUIRE);
	uint32_t first;

	if (advised == r->heard)
		return;
	__atomic_store_n(&r->heard, advised, __ATOMIC_RELAXED);
	first = __atomic_load_n(&ctl->next_advice, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < SW_ADVICE_SLOTS; i++) {
		uint64_t *slot = &ctl->advice[(first + i) % SW_ADVICE_SLOTS];

		if (__atomic_load_n(slot, __ATOMIC_RELAXED))
			pass_on(r,
				__atomic_exchange_n(slot, 0, __ATOMIC_RELAXED));
	}
}

void sw_remote_look(struct sw_remote *r)
{
	struct sw_agent_ctl *ctl = __atomic_load_n(&r->ctl, __ATOMIC_ACQUIRE);

	if (r->running && __atomic_load_n(&ctl->advised, __ATOMIC_RELAXED) !=
				  __atomic_load_n(&r->heard, __ATOMIC_RELAXED))
		pthread_kill(r->thread, SIGURG);
}

/* ---- reading ---- */

static void layout_event(struct sw_remote *r, const struct uffd_msg *m)
{
	const struct sw_mmu_client *c = r->client;
	void *space = r->mmu.space;

	switch (m->event) {
	case UFFD_EVENT_FORK:
		r->bell_loose = r->bell_rang;
		c->fork(space, m->arg.fork.ufd);
		break;
	case UFFD_EVENT_REMAP:
		c->remap(space, m->arg.remap.from, m->arg.remap.to,
			 m->arg.remap.len);
		break;
	case UFFD_EVENT_REMOVE:
		c->remove(space, m->arg.remove.start, m->arg.remove.end);
		break;
	case UFFD_EVENT_UNMAP:
		c->unmap(space, m->arg.remove.start, m->arg.remove.end);
		break;
	}
}

static void serve(struct sw_remote *r, const struct uffd_msg *m)
{
	uint64_t flags = m->arg.pagefault.flags;
	uint64_t addr = m->arg.pagefault.address & SW_PAGE_MASK;
	unsigned f = 0;

	if (flags & UFFD_PAGEFAULT_FLAG_WRITE)
		f |= SW_FAULT_WRITE;
	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		f |= SW_FAULT_WP;
	r->follow.pid = r->at.pid;
	sw_follow(&r->follow, m->arg.pagefault.feat.ptid);
	if (addr == r->bell)
		answer_bell(r, f);
	else
		r->client->fault(r->mmu.space, addr, f,
				 m->arg.pagefault.feat.ptid);
	sw_follow_served(&r->follow);
}

/* How many of the messages are faults for the client. */
static unsigned count_faults(const struct sw_remote *r,
			     const struct uffd_msg *msg, ssize_t n)
{
	unsigned nr = 0;

	for (ssize_t i = 0; i < n; i++)
		nr += msg[i].event == UFFD_EVENT_PAGEFAULT &&
		      (msg[i].arg.pagefault.address & SW_PAGE_MASK) != r->bell;
	return nr;
}

/* Reads what is there; returns the number of messages. */
static int pump(struct sw_remote *r)
{
	struct uffd_msg msg[BATCH];
	bool layout = false;
	unsigned faults;
	ssize_t n;

	r->client->lock(r->mmu.space);
	gate_lock(r);
	n = read(r->uffd, msg, sizeof(msg));
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* A fork whose descriptor finds no place is read again. */
		sw_warn_once(
			"events of process %d cannot be read (%s); it waits",
			r->at.pid, strerror(errno));
		usleep(1000);
	}
	n = n > 0 ? n / (ssize_t)sizeof(msg[0]) : 0;
	for (ssize_t i = 0; i < n; i++)
		layout |= msg[i].event != UFFD_EVENT_PAGEFAULT;
	if (layout)
		r->ctl->epoch = ++r->mmu.epoch;
	gate_unlock(r);
	faults = count_faults(r, msg, n);
	if (faults)
		r->client->read(r->mmu.space, faults);
	for (ssize_t i = 0; layout && i < n; i++)
		if (msg[i].event != UFFD_EVENT_PAGEFAULT)
			layout_event(r, &msg[i]);
	r->client->unlock(r->mmu.space);
	for (ssize_t i = 0; i < n; i++)
		if (msg[i].event == UFFD_EVENT_PAGEFAULT)
			serve(r, &msg[i]);
	return n;
}

static void *event_thread(void *arg)
{
	struct sw_remote *r = arg;
	struct pollfd p = { .fd = r->uffd, .events = POLLIN };

	prctl(PR_SET_NAME, "spillway-fault");
	prctl(PR_SET_TIMERSLACK, 1000); /* short naps shall be short */
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		struct timespec t = { 0 };
		uint64_t again_ns;

		hear_advice(r);
		again_ns = r->client->settle(r->mmu.space);
		if (tie_bell(r))
			again_ns = SW_SETTLE_SOON_NS;
		t.tv_nsec = sw_min(again_ns, 999999999ul);
		if (ppoll(&p, 1, again_ns ? &t : NULL, NULL) > 0)
			pump(r);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

/* Its only use is to end a poll(). */
static void kicked(int sig)
{
	(void)sig;
}

int sw_remote_start(struct sw_remote *r)
{
	struct sigaction sa = { .sa_handler = kicked };
	sigset_t only, old;
	int err;

	sigaction(SIGURG, &sa, NULL);
	sigemptyset(&only);
	sigaddset(&only, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &only, &old);
	err = pthread_create(&r->thread, NULL, event_thread, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	r->running = !err;
	return -err;
}

void sw_remote_stop(struct sw_remote *r)
{
	struct timespec t;

	if (!r->running)
		return;
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	/* The flag may be read just before poll() goes to sleep, so kick
         * until the thread has ended. */
	do {
		pthread_kill(r->thread, SIGURG);
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 1000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
	} while (pthread_timedjoin_np(r->thread, NULL, &t));
	r->running = false;
}
