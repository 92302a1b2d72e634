/*
 * procs.c - who is in the tree: processes that said hello, spaces born by fork
 * before their agent did, and who has ended.
 *
 * Above: session.c, watch.c. Below: attach.c, bury.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "run/session_internal.h"

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

/* Whoever fills new memory beside the fork would fill it unseen: to register
 * it takes the lock that the fork holds for milliseconds. */
static void host_forking(void *arg, struct sw_space *space)
{
	struct sw_remote *remote = sw_remote_of(sw_space_mmu(space));

	(void)arg;
	sw_maps_register(sw_remote_agent(remote), remote, space);
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

void sw_session_host(struct session *s, struct sw_mm_host *host)
{
	*host = (struct sw_mm_host){ .forked = host_forked,
				     .forking = host_forking,
				     .forked_ready = host_forked_ready,
				     .arg = s };
}

/* ---- processes ---- */

void sw_session_watch(struct session *s, int fd, enum source source)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = source };

	epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* The process is gone or became another program. Its old memory may live on
 * in a thread, or until its helper has been killed: that is waited for. */
static void drop_proc(struct session *s, struct sw_proc *p)
{
	struct sw_child *left;

	s->changes++;
	sw_mutex_lock(&s->procs_lock);
	sw_list_del(&p->node);
	sw_mutex_unlock(&s->procs_lock);
	sw_keeper_del(&s->keeper, p->at.pid);
	sw_keeper_del(&s->keeper, p->at.helper);
	left = sw_proc_free(p);
	if (left)
		sw_list_add_tail(&s->orphans, &left->node);
}

struct sw_proc *sw_session_find(struct session *s, pid_t pid)
{
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		if (p->at.pid == pid)
			return p;
	return NULL;
}

void sw_session_accept(struct session *s)
{
	int sock;

	while ((sock = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct sw_proc *p = sw_proc_accept(sock, getpid());
		struct sw_proc *old, *parent;

		if (!p)
			continue;
		s->changes++;
		old = sw_session_find(s, p->at.pid);
		if (old) /* it has executed another program */
			drop_proc(s, old);
		parent = p->forked ? sw_session_find(s, sw_parent_of(p->at.pid))
				   : NULL;
		p->born_managed = p->forked && (!parent || parent->remote ||
						parent->born_managed);
		sw_mutex_lock(&s->procs_lock);
		sw_list_add_tail(&s->procs, &p->node);
		sw_mutex_unlock(&s->procs_lock);
		sw_keeper_add(&s->keeper, p->at.pid);
		sw_keeper_add(&s->keeper, p->at.helper);
		sw_session_watch(s, p->pidfd, SRC_PIDFD);
		sw_session_watch(s, p->helper_pidfd, SRC_PIDFD);
	}
}

void sw_session_show(struct session *s, struct sw_proc *p)
{
	sw_mutex_lock(&s->procs_lock);
	p->listed = p->space;
	sw_mutex_unlock(&s->procs_lock);
}

/* Forked children whose space was born managed get their agent. */
void sw_session_claim(struct session *s)
{
	struct sw_proc *p;

	take_born(s);
	sw_list_for_each(p, &s->procs, node) {
		struct sw_child *c, *tmp;
		int none, err;

		if (sw_list_empty(&s->children))
			return;
		if (p->remote || !p->forked || p->failed)
			continue;
		err = p->ready ? 0 : sw_proc_ready(p, false, &none);
		if (err) {
			sw_proc_give_up(p, err); /* a late answer confuses */
			continue;
		}
		sw_list_for_each_safe(c, tmp, &s->children, node)
			if (sw_proc_claim(p, c)) {
				sw_session_show(s, p);
				sw_proc_complete(p);
				break;
			}
	}
}

/* ---- ends ---- */

/* A fork is taken in by the parent's thread, which may be at it still when both
 * processes have ended. It is through with it when the parent is freed. */
void sw_session_free_children(struct session *s)
{
	for (;;) {
		take_born(s);
		if (sw_list_empty(&s->children))
			break;
		sw_child_free(
			sw_list_first(&s->children, struct sw_child, node));
	}
	SW_BUG_ON(!sw_list_empty(&s->born));
}

/* Processes that exec'd a program without the agent: their old memory is only
 * kept alive by its helper. (To be in doubt is to leave it: what is dropped
 * reads as zeros.) */
void sw_session_drop_execed(struct session *s)
{
	struct sw_proc *p, *tmp;

	sw_list_for_each_safe(p, tmp, &s->procs, node) {
		bool other = p->agent_dead
				     ? p->remote && sw_remote_is_gone(p->remote)
				     : sw_shares_memory(p->at.pid,
							p->at.helper) == 0;

		if (other)
			drop_proc(s, p);
	}
}

/* The process goes on: what is out comes back, nothing more goes out. */
static void agent_died(struct session *s, struct sw_proc *p)
{
	sw_proc_warn_agent_died(p->at.pid);
	close(p->helper_pidfd);
	p->helper_pidfd = -1;
	p->agent_dead = true;
	p->failed = true;
	sw_keeper_del(&s->keeper, p->at.helper);
	if (p->remote)
		sw_remote_agent_dead(p->remote);
}

void sw_session_drop_ended(struct session *s)
{
	struct sw_proc *p, *tmp;

	sw_list_for_each_safe(p, tmp, &s->procs, node) {
		if (sw_has_ended(p->pidfd))
			drop_proc(s, p);
		else if (sw_has_ended(p->helper_pidfd))
			agent_died(s, p);
	}
}
