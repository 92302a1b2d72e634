/*
 * disk_threads.c - see disk_threads.h. Whoever brings requests puts them on
 * a list, from which the helpers take one after the other, as the bringer does
 * itself: without any helper it works as well. The lock is held for neither I/O
 * nor looks.
 */
#include "store/disk_threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "base/lock.h"
#include "store/sysmem.h"

#define HELPERS 4u

/* On the stack of who brought it, and under the lock. */
struct job {
	struct sw_list node;
	struct sw_disk_reqs *reqs;
	unsigned next;      /* the first that nobody took */
	unsigned under_way; /* that helpers are at */
};

struct sw_disk_threads {
	int fd;               /* [const] */
	struct sw_mutex lock; /* SW_RANK_STORE: all below */
	pthread_cond_t work, done;
	struct sw_list jobs; /* with requests that nobody took */
	pthread_t helper[HELPERS];
	unsigned nr; /* [const] once it is open */
	bool stop;
};

/* The next one of the job, which leaves the list with its last. NULL: there is
 * none. */
static struct sw_disk_req *take_locked(struct sw_disk_threads *t,
				       struct job *job) SW_REQUIRES(&t->lock)
{
	struct sw_disk_reqs *reqs = job->reqs;
	struct sw_disk_req *req = NULL;

	sw_assert_held(&t->lock);
	while (!req && job->next < reqs->nr) {
		req = &reqs->req[job->next++];
		if (req->res)
			req = NULL;
	}
	if (job->next == reqs->nr && !sw_list_empty(&job->node))
		sw_list_del(&job->node);
	return req;
}

static void carry_out(const struct sw_disk_threads *t, bool write,
		      struct sw_disk_req *req)
{
	ssize_t n = write ? pwritev(t->fd, req->iov, req->nr_iov, req->pos)
			  : preadv(t->fd, req->iov, req->nr_iov, req->pos);

	/* 0 would be "not tried": the file ends there. */
	req->res = n > 0 ? n : n ? -errno : -ENODATA;
}

static void help_locked(struct sw_disk_threads *t, struct job *job) SW_NO_TSA
{
	struct sw_disk_req *req;

	sw_assert_held(&t->lock);
	req = take_locked(t, job);
	if (!req)
		return;
	job->under_way++;
	sw_mutex_unlock(&t->lock);
	carry_out(t, job->reqs->write, req);
	sw_mutex_lock(&t->lock);
	if (!--job->under_way)
		pthread_cond_broadcast(&t->done);
}

static void *help(void *arg)
{
	struct sw_disk_threads *t = arg;

	sw_mutex_lock(&t->lock);
	while (!t->stop) {
		if (sw_list_empty(&t->jobs))
			sw_mutex_wait(&t->lock, &t->work, UINT64_MAX);
		else
			help_locked(t,
				    sw_list_first(&t->jobs, struct job, node));
	}
	sw_mutex_unlock(&t->lock);
	return NULL;
}

/* Signals are the program's, not theirs. */
static void start(struct sw_disk_threads *t)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (t->nr < HELPERS &&
	       !pthread_create(&t->helper[t->nr], NULL, help, t))
		t->nr++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void look_at_all(struct sw_disk_reqs *reqs, bool done)
{
	for (unsigned i = 0; i < reqs->nr; i++) {
		struct sw_disk_req *req = &reqs->req[i];

		if (done ? req->res == (ssize_t)req->len : !req->res)
			reqs->look(reqs->arg, req);
	}
}

void sw_disk_threads_run(struct sw_disk_threads *t, struct sw_disk_reqs *reqs)
{
	struct job job = { .reqs = reqs };
	struct sw_disk_req *req;

	if (reqs->write)
		look_at_all(reqs, false);
	sw_mutex_lock(&t->lock);
	sw_list_add_tail(&t->jobs, &job.node);
	pthread_cond_broadcast(&t->work);
	while ((req = take_locked(t, &job))) {
		sw_mutex_unlock(&t->lock);
		carry_out(t, reqs->write, req);
		sw_mutex_lock(&t->lock);
	}
	while (job.under_way)
		sw_mutex_wait(&t->lock, &t->done, UINT64_MAX);
	sw_mutex_unlock(&t->lock);
	if (!reqs->write)
		look_at_all(reqs, true);
}

struct sw_disk_threads *sw_disk_threads_open(int fd, bool helped)
{
	struct sw_disk_threads *t = sw_sysmem_reserve(sizeof(*t));

	if (!t)
		return NULL;
	t->fd = fd;
	sw_mutex_init(&t->lock, "disk threads", SW_RANK_STORE);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->done, NULL);
	sw_list_init(&t->jobs);
	if (helped)
		start(t);
	return t;
}

void sw_disk_threads_close(struct sw_disk_threads *t)
{
	if (!t)
		return;
	sw_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	sw_mutex_unlock(&t->lock);
	while (t->nr)
		pthread_join(t->helper[--t->nr], NULL);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->done);
	sw_mutex_destroy(&t->lock);
	sw_sysmem_release(t, sizeof(*t));
}
