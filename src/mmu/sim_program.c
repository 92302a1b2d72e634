/*
 * sim_program.c - the program in a simulated space, and the way up: faults
 * and layout events, raised and read as the kernel and remote_events.c do.
 * Beside: sim_layout.c, where its mappings change; and fork, for which pages
 * are shared first and FORK is raised then, is here.
 *
 * The caller goes on as soon as its event was read, before it is handled.
 * Between the two steps and until then the space counts as changing, and
 * copies into it are refused.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "mmu/sim_internal.h"

#define BATCH     16
#define MAX_TRIES 100000 /* of one access: more is a livelock */

static __thread int program_tid = 1;

/* ---- reading messages ---- */

/* Machine lock held: copies what is there, faults before events. */
static unsigned read_msgs(struct sw_sim *sim, struct sim_msg *msg, bool *layout)
{
	struct sim_msg *w, *tmp;
	unsigned n = 0;

	sw_list_for_each(w, &sim->faults, node) {
		if (n == BATCH || w->read || w->done)
			continue;
		w->read = true;
		msg[n++] = *w;
	}
	sw_list_for_each_safe(w, tmp, &sim->events, node) {
		if (n == BATCH)
			break;
		msg[n++] = *w;
		*layout = true;
		sw_list_del(&w->node);
		w->done = true;
		/* A waiting thread says so itself, when it gets to run. */
		sim->changing -= !sim->threaded;
	}
	pthread_cond_broadcast(&sim->m->cond);
	return n;
}

static void layout_event(struct sw_sim *sim, const struct sim_msg *msg)
{
	const struct sw_mmu_client *c = sim->client;
	void *space = sim->mmu.space;

	switch (msg->kind) {
	case SIM_FORK:
		c->fork(space, msg->fd);
		break;
	case SIM_REMAP:
		c->remap(space, msg->a, msg->b, msg->len);
		break;
	case SIM_REMOVE:
		c->remove(space, msg->a, msg->b);
		break;
	case SIM_UNMAP:
		c->unmap(space, msg->a, msg->b);
		break;
	case SIM_FAULT:
		break;
	}
}

static unsigned count_faults(const struct sim_msg *msg, unsigned n)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < n; i++)
		nr += msg[i].kind == SIM_FAULT;
	return nr;
}

static void pump(struct sw_sim *sim)
{
	struct sim_msg msg[BATCH];
	bool layout = false;
	unsigned n;

	sim->client->lock(sim->mmu.space);
	pthread_mutex_lock(&sim->gate);
	pthread_mutex_lock(&sim->m->lock);
	n = read_msgs(sim, msg, &layout);
	pthread_mutex_unlock(&sim->m->lock);
	if (layout)
		sim->gate_epoch = ++sim->mmu.epoch;
	pthread_mutex_unlock(&sim->gate);
	sim->client->read(sim->mmu.space, count_faults(msg, n));
	for (unsigned i = 0; i < n; i++)
		if (msg[i].kind != SIM_FAULT)
			layout_event(sim, &msg[i]);
	sim->client->unlock(sim->mmu.space);
	for (unsigned i = 0; i < n; i++)
		if (msg[i].kind == SIM_FAULT)
			sim->client->fault(sim->mmu.space, msg[i].a,
					   msg[i].flags, msg[i].tid);
	if (!sim->threaded)
		sim->client->settle(sim->mmu.space);
}

/* Machine lock held. */
static bool has_msgs(struct sw_sim *sim)
{
	struct sim_msg *w;

	sw_list_for_each(w, &sim->faults, node)
		if (!w->read && !w->done)
			return true;
	return !sw_list_empty(&sim->events) || sim->advice;
}

static void *event_thread(void *arg)
{
	struct sw_sim *sim = arg;
	struct sw_sim_machine *m = sim->m;

	pthread_mutex_lock(&m->lock);
	while (!sim->stop) {
		uint64_t again;

		pthread_mutex_unlock(&m->lock);
		sim_hear_advice(sim);
		again = sim->client->settle(sim->mmu.space);
		pthread_mutex_lock(&m->lock);
		if (has_msgs(sim)) {
			pthread_mutex_unlock(&m->lock);
			pump(sim);
			pthread_mutex_lock(&m->lock);
		} else if (again) {
			pthread_mutex_unlock(&m->lock);
			sched_yield();
			pthread_mutex_lock(&m->lock);
		} else if (!sim->stop) {
			pthread_cond_wait(&m->cond, &m->lock);
		}
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int sw_sim_start(struct sw_sim *sim)
{
	int err;

	pthread_mutex_lock(&sim->m->lock);
	sim->threaded = true;
	pthread_mutex_unlock(&sim->m->lock);
	err = pthread_create(&sim->thread, NULL, event_thread, sim);
	if (err)
		sim->threaded = false;
	return -err;
}

void sw_sim_stop(struct sw_sim *sim)
{
	if (!sim->threaded)
		return;
	pthread_mutex_lock(&sim->m->lock);
	sim->stop = true;
	pthread_cond_broadcast(&sim->m->cond);
	pthread_mutex_unlock(&sim->m->lock);
	pthread_join(sim->thread, NULL);
	sim->threaded = false;
}

/* ---- raising them; machine lock held, given up meanwhile ---- */

static void wait_done(struct sw_sim *sim, struct sim_msg *w)
{
	struct sw_sim_machine *m = sim->m;

	pthread_cond_broadcast(&m->cond);
	if (sim->threaded) {
		while (!w->done && !sim->dead)
			pthread_cond_wait(&m->cond, &m->lock);
		return;
	}
	pthread_mutex_unlock(&m->lock);
	pump(sim);
	pthread_mutex_lock(&m->lock);
}

static int fault(struct sw_sim *sim, uint64_t addr, unsigned flags)
{
	struct sim_msg w = {
		.kind = SIM_FAULT, .a = addr, .flags = flags, .tid = program_tid
	};

	sw_list_add_tail(&sim->faults, &w.node);
	wait_done(sim, &w);
	sw_list_del(&w.node);
	if (sim->dead)
		return -ESRCH;
	return w.done ? 0 : -EDEADLK;
}

void sim_event(struct sw_sim *sim, struct sim_msg *w)
{
	sw_list_add_tail(&sim->events, &w->node);
	wait_done(sim, w);
	if (!w->done)
		sw_list_del(&w->node);
	sim->changing -= sim->threaded;
}

/* ---- touching memory ---- */

void sw_sim_be(int tid)
{
	program_tid = tid;
}

/* The write that makes the page its space's own; one that is of a huge page was
 * split before. */
static void break_sharing(struct sim_page *p)
{
	struct sim_frame *copy;

	if (p->frame->refs > 1) {
		copy = sim_frame_new();
		memcpy(copy->word, p->frame->word, SW_PAGE_SIZE);
		sim_frame_put(p->frame);
		p->frame = copy;
	}
	p->exclusive = true;
}

int sim_access(struct sw_sim *sim, uint64_t addr, bool write)
{
	addr &= SW_PAGE_MASK;
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		struct sim_page *p = sim_page_at(sim, addr);
		unsigned flags = write ? SW_FAULT_WRITE : 0;
		int err;

		if (sim->dead)
			return -ESRCH;
		if (!p || !p->vma)
			return -EFAULT;
		if (p->poison)
			return -EIO;
		if (!p->frame && !p->registered) {
			p->frame = sim_frame_new();
			p->exclusive = true;
		}
		if (p->frame && !(write && p->wp)) {
			if (write && !p->exclusive) {
				sim_split(sim, addr);
				break_sharing(p);
			}
			p->accessed = true;
			return 0;
		}
		if (p->frame)
			flags |= SW_FAULT_WP;
		err = fault(sim, addr, flags);
		if (err)
			return err;
	}
	return -EDEADLK;
}

int sw_sim_read(struct sw_sim *sim, uint64_t addr, uint64_t *value)
{
	int err;

	pthread_mutex_lock(&sim->m->lock);
	err = sim_access(sim, addr, false);
	if (!err)
		*value = sim_page_at(sim, addr)
				 ->frame->word[addr % SW_PAGE_SIZE / 8];
	pthread_mutex_unlock(&sim->m->lock);
	return err;
}

int sw_sim_write(struct sw_sim *sim, uint64_t addr, uint64_t value)
{
	int err;

	pthread_mutex_lock(&sim->m->lock);
	err = sim_access(sim, addr, true);
	if (!err)
		sim_page_at(sim, addr)->frame->word[addr % SW_PAGE_SIZE / 8] =
			value;
	pthread_mutex_unlock(&sim->m->lock);
	return err;
}

/* ---- fork and exit ---- */

/* Machine lock held. */
static struct sw_sim *clone_pages(struct sw_sim *sim)
{
	struct sw_sim *child = sim_alloc(sim->m, sim->base, sim->nr_pages);

	for (uint64_t i = 0; i < sim->nr_pages; i++) {
		struct sim_page *p = &sim->page[i];

		child->page[i] = *p;
		child->page[i].pinned = false;
		if (!p->frame)
			continue;
		p->frame->refs++;
		/* A pinned page is copied at once and stays the parent's. */
		child->page[i].exclusive = false;
		if (p->pinned && p->exclusive) {
			sim_split(sim, sim->base + i * SW_PAGE_SIZE);
			break_sharing(&child->page[i]);
		} else {
			p->exclusive = false;
		}
	}
	for (uint64_t i = 0; i < sim->nr_pages; i++)
		child->page[i].huge = sim->page[i].huge;
	return child;
}

void sw_sim_announce_fork(struct sw_sim *sim)
{
	if (sim->client)
		sim->client->forking(sim->mmu.space);
}

/* Machine lock held; returns the fd of the child. */
static int make_child(struct sw_sim *sim)
{
	struct sw_sim_machine *m = sim->m;
	struct sw_sim *child = clone_pages(sim);

	SW_BUG_ON(m->nr_children == SIM_MAX_SPACES);
	m->child[m->nr_children] = child;
	child->threaded = sim->threaded; /* until then its faults wait */
	sim->changing++;
	return m->nr_children++;
}

/* Machine lock held, given up meanwhile. */
static void say_fork(struct sw_sim *sim, int fd)
{
	struct sw_sim *child = sim->m->child[fd];
	struct sim_msg w = { .kind = SIM_FORK, .fd = fd };

	sim_event(sim, &w);
	pthread_mutex_unlock(&sim->m->lock);
	if (!sim->threaded && child->client)
		child->client->settle(child->mmu.space);
	pthread_mutex_lock(&sim->m->lock);
}

struct sw_sim *sw_sim_fork(struct sw_sim *sim)
{
	struct sw_sim *child;
	int fd;

	pthread_mutex_lock(&sim->m->lock);
	fd = make_child(sim);
	child = sim->m->child[fd];
	say_fork(sim, fd);
	pthread_mutex_unlock(&sim->m->lock);
	return child;
}

int sw_sim_fork_quiet(struct sw_sim *sim)
{
	int fd;

	pthread_mutex_lock(&sim->m->lock);
	fd = make_child(sim);
	pthread_mutex_unlock(&sim->m->lock);
	return fd;
}

struct sw_sim *sw_sim_say_fork(struct sw_sim *sim, int fd)
{
	struct sw_sim *child;

	pthread_mutex_lock(&sim->m->lock);
	child = sim->m->child[fd];
	say_fork(sim, fd);
	pthread_mutex_unlock(&sim->m->lock);
	return child;
}

struct sw_sim *sw_sim_adopt(struct sw_sim_machine *m, int fd,
			    const struct sw_mmu_client *client, void *space)
{
	struct sw_sim *sim;

	pthread_mutex_lock(&m->lock);
	sim = m->child[fd];
	SW_BUG_ON(!sim);
	sim->client = client;
	sim->mmu.space = space;
	pthread_mutex_unlock(&m->lock);
	return sim;
}

void sw_sim_exit(struct sw_sim *sim)
{
	pthread_mutex_lock(&sim->m->lock);
	sim->dead = true;
	for (uint64_t i = 0; i < sim->nr_pages; i++)
		sim_page_clear(&sim->page[i]);
	pthread_cond_broadcast(&sim->m->cond);
	pthread_mutex_unlock(&sim->m->lock);
}
