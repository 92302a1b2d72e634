/*
 * swap_work.c - the worker thread of the swap layer and its queue.
 */
#include "swap/swap_work.h"

#include <signal.h>

#include "base/lock.h"

#define IDLE_NS (3600ULL * 1000000000) /* a queued job wakes it anyway */

static struct sw_mutex work_lock = SW_MUTEX_INIT("swap work", SW_RANK_LEAF);
static pthread_cond_t work_cond = PTHREAD_COND_INITIALIZER;
static struct sw_list queue = SW_LIST_INIT(queue); /* guarded by work_lock */
static pthread_t thread;
static bool started, stopping, manual, busy; /* guarded by work_lock */

void swap_work_init(struct swap_work *work, void (*fn)(struct swap_work *))
{
	sw_list_init(&work->node);
	work->fn = fn;
	work->running = false;
}

void swap_work_queue(struct swap_work *work)
{
	sw_mutex_lock(&work_lock);
	if (sw_list_empty(&work->node)) {
		sw_list_add_tail(&queue, &work->node);
		pthread_cond_broadcast(&work_cond);
	}
	sw_mutex_unlock(&work_lock);
}

/* Takes the first job and runs it without the lock; false: there is none. */
static bool run_one(void) SW_NO_TSA
{
	struct swap_work *work;

	if (sw_list_empty(&queue))
		return false;
	work = sw_list_first(&queue, struct swap_work, node);
	sw_list_del(&work->node);
	work->running = busy = true;
	sw_mutex_unlock(&work_lock);
	work->fn(work);
	sw_mutex_lock(&work_lock);
	work->running = busy = false;
	pthread_cond_broadcast(&work_cond);
	return true;
}

static void *worker(void *arg)
{
	sigset_t all;

	/* Signals are the program's, not ours. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	sw_mutex_lock(&work_lock);
	while (!stopping)
		if (manual || !run_one())
			sw_mutex_wait(&work_lock, &work_cond, IDLE_NS);
	sw_mutex_unlock(&work_lock);
	return NULL;
}

void swap_work_flush(struct swap_work *work) SW_NO_TSA
{
	sw_mutex_lock(&work_lock);
	while (work->running || !sw_list_empty(&work->node)) {
		/* Nobody else runs it when told by hand. */
		if ((manual || !started) && run_one())
			continue;
		sw_mutex_wait(&work_lock, &work_cond, 100000000);
	}
	sw_mutex_unlock(&work_lock);
}

void swap_work_drain(void)
{
	sw_mutex_lock(&work_lock);
	while (started && !manual && (busy || !sw_list_empty(&queue)))
		sw_mutex_wait(&work_lock, &work_cond, 100000000);
	sw_mutex_unlock(&work_lock);
}

int swap_work_start(void)
{
	int err = 0;

	sw_mutex_lock(&work_lock);
	/* Jobs that run when told need nobody who waits for them. */
	if (!started && !manual) {
		stopping = false;
		err = -pthread_create(&thread, NULL, worker, NULL);
		started = !err;
	}
	sw_mutex_unlock(&work_lock);
	return err;
}

void swap_work_stop(void)
{
	bool join;

	sw_mutex_lock(&work_lock);
	SW_BUG_ON(!sw_list_empty(&queue));
	join = started;
	stopping = true;
	started = false;
	pthread_cond_broadcast(&work_cond);
	sw_mutex_unlock(&work_lock);
	if (join)
		pthread_join(thread, NULL);
}

static bool paused; /* [thread that forks] */

void swap_work_pause(void)
{
	swap_work_drain();
	paused = started;
	if (paused)
		swap_work_stop();
}

void swap_work_resume(void)
{
	/* Without a thread, jobs run when somebody waits for them. */
	if (paused)
		(void)swap_work_start();
}

void swap_work_set_manual(bool on)
{
	sw_mutex_lock(&work_lock);
	manual = on;
	pthread_cond_broadcast(&work_cond);
	sw_mutex_unlock(&work_lock);
}

unsigned swap_work_run_pending(void) SW_NO_TSA
{
	unsigned n = 0;

	sw_mutex_lock(&work_lock);
	while (run_one())
		n++;
	sw_mutex_unlock(&work_lock);
	return n;
}
