/*
 * explore.c - the engine of the explorer: virtual threads that one real
 * thread runs in turn, each on a stack of its own. The swap layer says where
 * another thread could come in (sw_sched_point); there, and wherever one has
 * to wait, somebody else decides who goes on.
 *
 *      explore_swap.c   chooses: all schedules, random ones, one again
 *      explore.c        runs one schedule
 *      explore_*.c      what the virtual threads do
 *
 * Whatever blocks is part of it. A lock that is taken lets the others run and
 * is tried again; a grace period lasts until each virtual thread has left the
 * read section it was in; what was to be freed after one is freed at once
 * when the last such section ends; memory that is freed stays, spoilt, to the
 * end of the run. So a schedule is the whole truth: the same
 * one does the same again.
 */
#include "explore.h"

#ifdef SW_CHECKS
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "swap/swap_mem.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define STACK_BYTES (256 * 1024)
#define MAX_WAITS   2000 /* one after the other: nobody gets on */
#define MAX_GRACE   256
#define MAX_FREED   256
#define FREED_BYTE  0xaa
#if defined(__SANITIZE_ADDRESS__)
#define FREED_IS_KEPT false /* it is looked after better */
#else
#define FREED_IS_KEPT true
#endif
#define LIMIT_S 3 /* of CPU time, for a run that takes 100 us */

static struct vt {
	ucontext_t context;
	char *stack;
	struct sw_held *held;
	void (*body)(void);
	unsigned cpu;
	bool done;
	unsigned rcu_depth;
	uint64_t rcu_section; /* the number of the section it is in */
	void *fiber;          /* ThreadSanitizer's and */
	void *fake_stack;     /* AddressSanitizer's view */
} vt[EXPLORE_MAX_VT], home;

static unsigned nr_vt;
static int me = -1;
static explore_choose choose;
static unsigned waits;

struct explore_step explore_trace[EXPLORE_MAX_POINTS];
unsigned explore_trace_len;

/* ---- when something fails ---- */

static const char *again = "";
static const struct scenario *running;

/* The schedule so far: "12b3a" goes on twelve times, then with thread b. */
static void print_schedule(void)
{
	unsigned same = 0;

	if (!running)
		return;
	dprintf(STDERR_FILENO, "explore: again: %s %s ", again, running->name);
	for (unsigned i = 0; i < explore_trace_len; i++) {
		const struct explore_step *s = &explore_trace[i];

		if (s->chosen == s->me) {
			same++;
			continue;
		}
		if (same)
			dprintf(STDERR_FILENO, "%u", same);
		dprintf(STDERR_FILENO, "%c", 'a' + s->chosen);
		same = 0;
	}
	dprintf(STDERR_FILENO, "\n");
	running = NULL;
}

static void on_signal(int sig)
{
	print_schedule();
	signal(sig, SIG_DFL);
	raise(sig);
}

void explore_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "explore: %s: %s:%d: %s\n", running->name, file, line,
		what);
	abort();
}

/* ---- from one virtual thread to another ---- */

/* After a switch: what the sanitizers have to know. */
static void arrived(struct vt *here)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(here->fake_stack, NULL, NULL);
#endif
	(void)here;
}

static void switch_to(struct vt *from, struct vt *to)
{
	me = to == &home ? -1 : (int)(to - vt);
	sw_rank_held_use(to->held);
	swap_pretend_cpu(to->cpu);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(from->done ? NULL : &from->fake_stack,
				       to->stack ? to->stack : NULL,
				       to->stack ? STACK_BYTES : 0);
#endif
#if defined(__SANITIZE_THREAD__)
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	swapcontext(&from->context, &to->context);
	arrived(from);
}

void explore_move(unsigned cpu)
{
	vt[me].cpu = cpu % swap_nr_cpus;
	swap_pretend_cpu(vt[me].cpu);
}

static unsigned runnable(void)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < nr_vt; i++)
		mask |= !vt[i].done << i;
	return mask;
}

int explore_default(enum explore_kind kind, int from, unsigned mask)
{
	if (kind == EXPLORE_POINT)
		return from;
	for (unsigned i = 1;; i++) {
		unsigned t = (from + i) % EXPLORE_MAX_VT;

		if (mask & 1u << t)
			return t;
	}
}

/* Asks who is next and notes the answer. */
static int next(enum explore_kind kind)
{
	unsigned mask = runnable();
	int t;

	if (kind == EXPLORE_WAIT)
		mask &= ~(1u << me);
	if (explore_trace_len == EXPLORE_MAX_POINTS)
		explore_failed(__FILE__, __LINE__, "the run does not end");
	t = choose(kind, me, mask);
	if (t < 0 || !(mask & 1u << t))
		t = explore_default(kind, me, mask);
	explore_trace[explore_trace_len++] =
		(struct explore_step){ me, t, mask };
	return t;
}

/* sw_sched_hook: the place `what` is about to be entered. */
static void point(const char *what)
{
	bool must = !strcmp(what, SW_SCHED_WAIT);
	int t;

	if (me < 0)
		return;
	waits = must ? waits + 1 : 0;
	if (waits > MAX_WAITS)
		explore_failed(__FILE__, __LINE__, "everybody waits");
	/* Alone there is nothing to decide. */
	if (!(runnable() & ~(1u << me)))
		return;
	t = next(must ? EXPLORE_WAIT : EXPLORE_POINT);
	if (t != me)
		switch_to(&vt[me], &vt[t]);
}

/* One body after the other: a virtual thread lives on from run to run. */
static void run_bodies(void)
{
	arrived(&vt[me]);
	for (;;) {
		vt[me].body();
		SW_BUG_ON(vt[me].rcu_depth);
		vt[me].done = true;
		switch_to(&vt[me], runnable() ? &vt[next(EXPLORE_END)] : &home);
	}
}

static void vt_init(struct vt *v)
{
	v->held = sw_rank_held_new();
	SW_BUG_ON(!v->held);
	v->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SW_BUG_ON(v->stack == MAP_FAILED);
	getcontext(&v->context);
	v->context.uc_stack.ss_sp = v->stack;
	v->context.uc_stack.ss_size = STACK_BYTES;
	v->context.uc_link = NULL;
	makecontext(&v->context, run_bodies, 0);
#if defined(__SANITIZE_THREAD__)
	v->fiber = __tsan_create_fiber(0);
#endif
}

void explore_init(const char *command)
{
	static char signal_stack[64 * 1024];
	const stack_t ss = { .ss_sp = signal_stack,
			     .ss_size = sizeof(signal_stack) };
	const struct sigaction sa = { .sa_handler = on_signal,
				      .sa_flags = SA_ONSTACK };

	again = command;
	sigaltstack(&ss, NULL);
	sigaction(SIGABRT, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_set_death_callback(print_schedule);
#else
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
#endif
	for (unsigned i = 0; i < EXPLORE_MAX_VT; i++)
		vt_init(&vt[i]);
#if defined(__SANITIZE_THREAD__)
	home.fiber = __tsan_get_current_fiber();
#endif
}

/* ---- grace periods ---- */

static uint64_t nr_sections;

static struct grace {
	struct rcu_head *head;
	void (*fn)(struct rcu_head *head);
	uint64_t section[EXPLORE_MAX_VT]; /* those it waits for; 0: none */
} pending[MAX_GRACE];

static unsigned nr_pending;

static void sections_now(uint64_t section[EXPLORE_MAX_VT])
{
	for (unsigned i = 0; i < EXPLORE_MAX_VT; i++)
		section[i] = vt[i].rcu_depth ? vt[i].rcu_section : 0;
}

static bool sections_over(const uint64_t section[EXPLORE_MAX_VT])
{
	for (unsigned i = 0; i < EXPLORE_MAX_VT; i++)
		if (section[i] && vt[i].rcu_depth &&
		    vt[i].rcu_section == section[i])
			return false;
	return true;
}

static void model_barrier(void)
{
	for (unsigned i = 0; i < nr_pending;) {
		struct grace g = pending[i];

		if (!sections_over(g.section)) {
			i++;
			continue;
		}
		pending[i] = pending[--nr_pending];
		g.fn(g.head);
	}
}

static void model_read_lock(void)
{
	if (me >= 0 && !vt[me].rcu_depth++)
		vt[me].rcu_section = ++nr_sections;
}

static void model_read_unlock(void)
{
	if (me < 0)
		return;
	SW_BUG_ON(!vt[me].rcu_depth);
	if (!--vt[me].rcu_depth)
		model_barrier();
}

static void model_synchronize(void)
{
	uint64_t section[EXPLORE_MAX_VT];

	SW_BUG_ON(me >= 0 && vt[me].rcu_depth);
	sections_now(section);
	while (!sections_over(section))
		point(SW_SCHED_WAIT);
}

static void model_call(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	struct grace *g = &pending[nr_pending++];

	SW_BUG_ON(nr_pending > MAX_GRACE);
	g->head = head;
	g->fn = fn;
	sections_now(g->section);
	model_barrier();
}

static const struct swap_rcu_model rcu_model = {
	.read_lock = model_read_lock,
	.read_unlock = model_read_unlock,
	.synchronize = model_synchronize,
	.call = model_call,
	.barrier = model_barrier,
};

/* ---- freed memory, kept until the run is over ---- */

static struct freed {
	unsigned char *p;
	size_t bytes;
} freed[MAX_FREED];

static unsigned nr_freed;

/* Whoever still looks finds a slot's word that names a folio far outside of
 * the pool, or a lock that nobody gives up. */
static void keep_freed(void *p)
{
	struct freed *f = &freed[nr_freed];

	if (!p)
		return;
	SW_BUG_ON(++nr_freed == MAX_FREED);
	f->p = p;
	f->bytes = malloc_usable_size(p);
	memset(p, FREED_BYTE, f->bytes);
}

static void check_freed(void)
{
	for (; nr_freed; nr_freed--) {
		struct freed *f = &freed[nr_freed - 1];

		for (size_t i = 0; i < f->bytes; i++)
			if (f->p[i] != FREED_BYTE)
				explore_failed(__FILE__, __LINE__,
					       "freed memory was written to");
		free(f->p);
	}
}

/* ---- one run ---- */

void explore_run(const struct scenario *s, explore_choose chooser)
{
	const struct itimerval limit = { .it_value.tv_sec = LIMIT_S },
			       off = { 0 };

	/* A list that leads back into itself goes through no place to switch. */
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	running = s;
	choose = chooser;
	explore_trace_len = waits = 0;
	swap_rcu_model = &rcu_model;
	swap_free_hook = FREED_IS_KEPT ? keep_freed : NULL;
	swap_pretend_cpu(0);
	SW_BUG_ON(folio_pool_init(4096, NULL) || swap_init());
	swap_work_set_manual(true);
	explore_world_begins();
	s->setup();

	for (nr_vt = 0; nr_vt < EXPLORE_MAX_VT && s->body[nr_vt]; nr_vt++) {
		vt[nr_vt].body = s->body[nr_vt];
		vt[nr_vt].cpu = nr_vt % swap_nr_cpus;
		vt[nr_vt].done = false;
	}
	sw_sched_hook = point;
	switch_to(&home, &vt[next(EXPLORE_END)]);
	sw_sched_hook = NULL;
	swap_pretend_cpu(0);
	s->finish();
	explore_world_ends();
	swap_exit();
	folio_pool_release();
	SW_BUG_ON(nr_pending);
	check_freed();
	setitimer(ITIMER_VIRTUAL, &off, NULL);
	running = NULL;
}
#endif
