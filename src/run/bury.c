/*
 * bury.c - the end of address spaces. A userfaultfd is closed only when the
 * kernel says that its address space is gone: as long as one thread lives in
 * it, closing would turn what is out into zeros.
 *
 * The loop finds out who is gone. To give back what such a space has, slot by
 * slot, may take tens of milliseconds, in which the loop would see nobody grow:
 * so a thread does that.
 *
 * Above: session.c, watch.c, procs.c. Below: attach.c.
 */
#include "run/session_internal.h"

static void *bury_thread(void *arg)
{
	struct bury *b = arg;

	sw_mutex_lock(&b->lock);
	for (;;) {
		struct sw_child *c;

		if (sw_list_empty(&b->gone)) {
			if (b->stop)
				break;
			sw_mutex_wait(&b->lock, &b->more, UINT64_MAX);
			continue;
		}
		c = sw_list_first(&b->gone, struct sw_child, node);
		sw_list_del(&c->node);
		sw_mutex_unlock(&b->lock);
		sw_child_free(c);
		__atomic_fetch_sub(&b->pending, 1, __ATOMIC_RELEASE);
		sw_mutex_lock(&b->lock);
	}
	sw_mutex_unlock(&b->lock);
	return NULL;
}

int sw_bury_start(struct bury *b)
{
	sw_list_init(&b->gone);
	sw_mutex_init(&b->lock, "bury", SW_RANK_LEAF);
	pthread_cond_init(&b->more, NULL);
	return -pthread_create(&b->thread, NULL, bury_thread, b);
}

void sw_bury(struct bury *b, struct sw_child *c)
{
	sw_list_del(&c->node);
	__atomic_fetch_add(&b->pending, 1, __ATOMIC_RELAXED);
	sw_mutex_lock(&b->lock);
	sw_list_add_tail(&b->gone, &c->node);
	pthread_cond_signal(&b->more);
	sw_mutex_unlock(&b->lock);
}

void sw_bury_gone(struct bury *b, struct sw_list *spaces)
{
	struct sw_child *c, *tmp;

	sw_list_for_each_safe(c, tmp, spaces, node)
		if (sw_remote_is_gone(c->remote))
			sw_bury(b, c);
}

void sw_bury_stop(struct bury *b)
{
	sw_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->more);
	sw_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	pthread_cond_destroy(&b->more);
	sw_mutex_destroy(&b->lock);
}
