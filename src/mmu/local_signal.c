/*
 * local_signal.c - faults come as a signal to the thread that met them, which
 * serves its own: no other thread has to be woken, but a system call on a page
 * that is out fails with EFAULT. SIGBUS where there is a userfaultfd, SIGSEGV
 * where pages are only made inaccessible.
 *
 * A signal's handler is the process's, not an instance's. There is one for all
 * instances; it finds whose arena the address lies in, and what is nobody's
 * goes on to the handler that was there before.
 *
 *      this thread                     who works on the page
 *      n = served
 *      fault: the window is busy
 *                                      gives the window back
 *                                      served++, wakes
 *      served == n? sleep
 *
 * So no wake is lost; and if nothing at all was to be done, a sleep ends soon.
 *
 * Above: local.c. Below: mm/fault.c, by the client.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "mmu/local_internal.h"

#define ARENAS     64u
#define WAIT_NS    2000000
#define ERR_WRITE  2 /* x86-64: bit of the error code of a page fault */
#define NR_SIGNALS 2

static const int signals[NR_SIGNALS] = { SIGBUS, SIGSEGV };

static struct sw_mutex lock = SW_MUTEX_INIT("arenas", SW_RANK_LEAF);
static struct sw_local *arena[ARENAS];        /* [atomic] */
static unsigned users[NR_SIGNALS];            /* lock: instances that use it */
static struct sigaction previous[NR_SIGNALS]; /* [const] while there are */

/* ---- not ours ---- */

/* As if we had not been asked: the default action comes when the instruction
 * is tried again. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *p = &previous[sig == SIGSEGV];

	if (p->sa_flags & SA_SIGINFO) {
		p->sa_sigaction(sig, info, context);
	} else if (p->sa_handler != SIG_DFL && p->sa_handler != SIG_IGN) {
		p->sa_handler(sig);
	} else {
		struct sigaction fatal = { .sa_handler = SIG_DFL };

		sigaction(sig, &fatal, NULL);
	}
}

/* ---- ours ---- */

static struct sw_local *owner_of(uint64_t addr)
{
	for (unsigned i = 0; i < ARENAS; i++) {
		/* Pairs with the release in sw_local_signal_start(). */
		struct sw_local *l =
			__atomic_load_n(&arena[i], __ATOMIC_ACQUIRE);

		if (l && sw_local_has(l, addr))
			return l;
	}
	return NULL;
}

static void wait_for_more(struct sw_local *l, uint32_t seen)
{
	struct timespec t = { .tv_nsec = WAIT_NS };

	__atomic_fetch_add(&l->waiting, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &l->served, FUTEX_WAIT_PRIVATE, seen, &t, NULL, 0);
	__atomic_fetch_sub(&l->waiting, 1, __ATOMIC_SEQ_CST);
}

/* False: there is no region, or the page is lost. */
static bool serve(struct sw_local *l, uint64_t addr, bool write)
{
	uint32_t seen = __atomic_load_n(&l->served, __ATOMIC_SEQ_CST);
	bool ours;

	sw_local_enter(l);
	ours = l->config.covers(l->config.arg, addr);
	if (ours) {
		l->poisoned = false;
		sw_local_fault(l, addr,
			       SW_FAULT_EITHER | (write ? SW_FAULT_WRITE : 0));
		ours = !l->poisoned;
	}
	sw_local_leave(l);
	if (ours && __atomic_load_n(&l->served, __ATOMIC_SEQ_CST) == seen)
		wait_for_more(l, seen);
	return ours;
}

static void handle(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	bool write = uc->uc_mcontext.gregs[REG_ERR] & ERR_WRITE;
	uint64_t addr = (uint64_t)info->si_addr & SW_PAGE_MASK;
	int saved = errno;
	struct sw_local *l = NULL;

	if (info->si_code > 0 && info->si_code != BUS_MCEERR_AR)
		l = owner_of(addr);
	if (!l || !serve(l, addr, write))
		pass_on(sig, info, context);
	errno = saved;
}

/* ---- starting and stopping ---- */

static int install(unsigned s)
{
	struct sigaction sa = {
		.sa_sigaction = handle,
		/* On the stack that the program chose, if it did. */
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	/* No handler of the program's runs while we hold what it may need. */
	sigfillset(&sa.sa_mask);
	return sigaction(signals[s], &sa, &previous[s]) ? -errno : 0;
}

/* Who came after us and passes on to us stays. */
static void uninstall(unsigned s)
{
	struct sigaction now;

	if (!sigaction(signals[s], NULL, &now) && now.sa_flags & SA_SIGINFO &&
	    now.sa_sigaction == handle)
		sigaction(signals[s], &previous[s], NULL);
}

static int claim_slot(struct sw_local *l)
{
	for (unsigned i = 0; i < ARENAS; i++) {
		if (__atomic_load_n(&arena[i], __ATOMIC_RELAXED))
			continue;
		l->slot = i;
		__atomic_store_n(&arena[i], l, __ATOMIC_RELEASE);
		return 0;
	}
	return -EMFILE;
}

void sw_local_forget_all(void)
{
	for (unsigned i = 0; i < ARENAS; i++)
		__atomic_store_n(&arena[i], NULL, __ATOMIC_RELEASE);
}

int sw_local_signal_start(struct sw_local *l)
{
	unsigned s = !l->facts.uffd;
	int err = 0;

	sw_mutex_lock(&lock);
	if (!users[s])
		err = install(s);
	if (!err)
		err = claim_slot(l);
	if (!err)
		users[s]++;
	else if (!users[s])
		uninstall(s);
	sw_mutex_unlock(&lock);
	l->running = !err;
	return err;
}

void sw_local_signal_stop(struct sw_local *l)
{
	unsigned s = !l->facts.uffd;

	if (!l->running)
		return;
	sw_mutex_lock(&lock);
	__atomic_store_n(&arena[l->slot], NULL, __ATOMIC_RELEASE);
	if (!--users[s])
		uninstall(s);
	sw_mutex_unlock(&lock);
	l->running = false;
}
