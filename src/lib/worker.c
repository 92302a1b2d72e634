/*
 * worker.c - the thread of an instance in which the program's callbacks run, and
 * which brings in what nobody waits for. It is on no path of a fault: what it
 * calls may touch regions.
 *
 * Events are counted by kind, so that whoever reports one, under whatever lock,
 * has nowhere to wait; of a burst the program hears once, and how many it were.
 *
 * Above: instance.c. Below: advise.c.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "lib/lib_internal.h"

#define IDLE_NS 3600000000000ull

/* ---- events ---- */

static const enum spillway_event_kind kind_of[] = {
	[SW_MM_BUDGET_REACHED] = SPILLWAY_BUDGET_REACHED,
	[SW_MM_DEVICES_FULL] = SPILLWAY_DEVICES_FULL,
	[SW_MM_WRITE_FAILED] = SPILLWAY_DEVICE_FAILED,
	[SW_MM_PAGE_LOST] = SPILLWAY_PAGE_LOST,
};

void sw_lib_happened(void *arg, enum sw_mm_event event)
{
	struct sw_lib *lib = arg;
	struct sw_lib_worker *w = &lib->worker;
	const uint64_t one = 1;

	sw_mutex_lock(&w->lock);
	w->events[kind_of[event]]++;
	pthread_cond_signal(&w->more);
	/* Full, it is readable anyway. */
	(void)!write(w->fd, &one, sizeof(one));
	sw_mutex_unlock(&w->lock);
}

/* Lock held. False: there is none. */
static bool next_event(struct sw_lib_worker *w, struct spillway_event *event)
{
	uint64_t all;

	for (unsigned kind = 1; kind < SW_LIB_KINDS; kind++) {
		if (!w->events[kind])
			continue;
		event->kind = kind;
		event->times = w->events[kind];
		w->events[kind] = 0;
		return true;
	}
	/* Not readable any more. */
	(void)!read(w->fd, &all, sizeof(all));
	return false;
}

/* ---- the thread ---- */

/* Lock held, given up meanwhile. False: nothing was to be done. */
static bool call_back(struct sw_lib_worker *w) SW_NO_TSA
{
	struct spillway_event event;
	spillway_event_fn fn = w->fn;
	void *arg = w->arg;

	if (!fn || !next_event(w, &event))
		return false;
	sw_mutex_unlock(&w->lock);
	fn(arg, &event);
	sw_mutex_lock(&w->lock);
	return true;
}

static void finish(struct sw_lib_job *job, int err)
{
	if (job->done)
		job->done(job->arg, err);
	sw_mem_free(job);
}

/* The same. */
static bool do_job(struct sw_lib *lib) SW_NO_TSA
{
	struct sw_lib_worker *w = &lib->worker;
	struct sw_lib_job *job;

	if (sw_list_empty(&w->jobs))
		return false;
	job = sw_list_first(&w->jobs, struct sw_lib_job, node);
	sw_list_del(&job->node);
	sw_mutex_unlock(&w->lock);
	sw_lib_bring(lib, job->start, job->end);
	finish(job, 0);
	sw_mutex_lock(&w->lock);
	return true;
}

static void *thread(void *arg)
{
	struct sw_lib *lib = arg;
	struct sw_lib_worker *w = &lib->worker;

	prctl(PR_SET_NAME, "spillway-work");
	sw_mutex_lock(&w->lock);
	while (!w->stop)
		if (!call_back(w) && !do_job(lib))
			sw_mutex_wait(&w->lock, &w->more, IDLE_NS);
	sw_mutex_unlock(&w->lock);
	return NULL;
}

int sw_lib_queue(struct sw_lib *lib, uint64_t start, uint64_t end,
		 spillway_done_fn done, void *arg)
{
	struct sw_lib_worker *w = &lib->worker;
	struct sw_lib_job *job = sw_mem_zalloc(sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->start = start;
	job->end = end;
	job->done = done;
	job->arg = arg;
	sw_mutex_lock(&w->lock);
	sw_list_add_tail(&w->jobs, &job->node);
	pthread_cond_signal(&w->more);
	sw_mutex_unlock(&w->lock);
	return 0;
}

/* ---- life ---- */

int sw_lib_worker_start(struct sw_lib *lib)
{
	struct sw_lib_worker *w = &lib->worker;
	int err;

	w->stop = false;
	err = -pthread_create(&w->thread, NULL, thread, lib);
	w->running = !err;
	return err;
}

void sw_lib_worker_stop(struct sw_lib *lib)
{
	struct sw_lib_worker *w = &lib->worker;

	if (!w->running)
		return;
	sw_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	sw_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->running = false;
	while (!sw_list_empty(&w->jobs)) {
		struct sw_lib_job *job =
			sw_list_first(&w->jobs, struct sw_lib_job, node);

		sw_list_del(&job->node);
		finish(job, -ECANCELED);
	}
}

bool sw_lib_is_worker(struct sw_lib *lib)
{
	return lib->worker.running &&
	       pthread_equal(lib->worker.thread, pthread_self());
}

/* ---- calls ---- */

int spillway_set_callback(spillway_t *spillway, spillway_event_fn fn, void *arg)
{
	struct sw_lib_worker *w;
	struct sw_call call;
	int err = sw_lib_enter(spillway, &call);

	if (err)
		return err;
	w = &call.lib->worker;
	sw_mutex_lock(&w->lock);
	w->fn = fn;
	w->arg = arg;
	pthread_cond_signal(&w->more);
	sw_mutex_unlock(&w->lock);
	sw_lib_leave(spillway, &call);
	return 0;
}

int spillway_event_fd(spillway_t *spillway)
{
	struct sw_call call;
	int fd = sw_lib_enter(spillway, &call);

	if (fd)
		return fd;
	fd = call.lib->worker.fd;
	sw_lib_leave(spillway, &call);
	return fd;
}

int spillway_next_event(spillway_t *spillway, struct spillway_event *event)
{
	struct sw_lib_worker *w;
	struct sw_call call;
	int err = event ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	w = &call.lib->worker;
	sw_mutex_lock(&w->lock);
	err = next_event(w, event) ? 0 : -EAGAIN;
	sw_mutex_unlock(&w->lock);
	sw_lib_leave(spillway, &call);
	return err;
}
