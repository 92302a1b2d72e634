/*
 * drain.c - devices that failed are emptied without being asked: what can be
 * read of them moves to other devices or back to the programs, when these have
 * room for all of it. The device stays on; who wants it gone says spillway off,
 * which comes first: emptying is called off for that long, and for a freeze.
 *
 * What does not succeed is said once, and tried again now and then, since room
 * may come: with a device that is turned on, a larger budget, or a program that
 * ends. Nothing is moved for that, and a try that took long is not repeated
 * soon. What cannot be read is not tried again.
 *
 * One thread does that, one device after the other. It is there from the
 * beginning, since a session whose memory is short might not get it later.
 *
 * Above: watch.c tells when there is something to do, requests.c when there must
 * be nothing. Below: mm/unuse.c, devices.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define RETRY_NS    1000000000ull
#define RETRY_RATIO 10 /* of the time that it takes, so much is paused */

struct emptying {
	struct session *s;
	unsigned type;
	char name[SW_DEVICE_NAME_MAX];
	uint64_t total; /* pages, when it began */
	uint64_t start_ns;
};

/* ---- one device ---- */

static uint64_t left_on(unsigned type)
{
	struct sw_swap_device_info info;

	return swap_device_info(type, &info) ? info.used : 0;
}

/* True: it is the first time. */
static bool say_once(uint32_t *said, unsigned type)
{
	bool first = !(*said >> type & 1);

	*said |= 1u << type;
	return first;
}

static bool goes_on(void *arg, uint64_t left, uint64_t total)
{
	struct emptying *e = arg;
	struct sw_drain *d = &e->s->drain;
	char size[24];
	bool goes_on;

	if (say_once(&d->said_begin, e->type))
		sw_warn("%s: what it holds is moved elsewhere: %s", e->name,
			sw_size_format(total * SW_PAGE_SIZE, size));
	(void)left;
	sw_mutex_lock(&d->lock);
	goes_on = !d->stop && !d->nr_off;
	sw_mutex_unlock(&d->lock);
	return goes_on;
}

static void say_end(struct emptying *e, uint64_t left)
{
	uint64_t bytes = (e->total - sw_min(e->total, left)) * SW_PAGE_SIZE;
	double seconds = (sw_now_ns() - e->start_ns) / 1e9;
	char moved[24], rate[24], rest[24];

	sw_size_format(bytes, moved);
	sw_size_format(bytes / seconds, rate);
	sw_size_format(left * SW_PAGE_SIZE, rest);
	if (!left)
		sw_warn("%s: empty, %s moved in %.1f s (%s/s)", e->name, moved,
			seconds, rate);
	else
		sw_warn("%s: %s moved in %.1f s (%s/s); %s cannot be read and stays there",
			e->name, moved, seconds, rate, rest);
}

/* It is still to be emptied. */
static void say_why_not(struct emptying *e, int err)
{
	if (err == -EINTR || !say_once(&e->s->drain.said_why, e->type))
		return;
	if (err == -ENOSPC)
		sw_warn("%s: what it holds fits neither into other devices nor into the budget, and stays there until it does; turn another one on",
			e->name);
	else
		sw_warn("%s: what it holds cannot be moved: %s; it will be tried again",
			e->name, strerror(-err));
}

static void empty(struct session *s, unsigned type)
{
	struct emptying e = { .s = s, .type = type, .start_ns = sw_now_ns() };
	struct sw_off off = { goes_on, &e };
	int err;

	if (!sw_devices_take(&s->devices, type, e.name))
		return;
	e.total = left_on(type);
	err = sw_mm_drain(s->mm, type, &off);
	if (!(sw_mm_to_drain(s->mm) >> type & 1))
		say_end(&e, left_on(type));
	else
		say_why_not(&e, err);
	sw_devices_give(&s->devices, type);
}

/* ---- the thread ---- */

/* Returns how long it is to rest. */
static uint64_t empty_all(struct session *s)
{
	uint64_t start = sw_now_ns(), took;
	uint32_t types = sw_mm_to_drain(s->mm);

	/* Of another device of this type nothing was said. */
	s->drain.said_begin &= types;
	s->drain.said_why &= types;
	for (unsigned type = 0; types; type++, types >>= 1)
		if (types & 1)
			empty(s, type);
	if (!sw_mm_to_drain(s->mm))
		return UINT64_MAX;
	took = sw_now_ns() - start;
	return sw_max(RETRY_NS, took * RETRY_RATIO);
}

static void *drain_thread(void *arg)
{
	struct session *s = arg;
	struct sw_drain *d = &s->drain;
	uint64_t rest = UINT64_MAX;

	prctl(PR_SET_NAME, "spillway-drain");
	sw_mutex_lock(&d->lock);
	while (!d->stop) {
		if (!d->wanted || d->nr_off) {
			if (!sw_mutex_wait(&d->lock, &d->changed, rest))
				d->wanted = true;
			continue;
		}
		d->busy = true;
		d->wanted = false;
		sw_mutex_unlock(&d->lock);
		rest = empty_all(s);
		sw_mutex_lock(&d->lock);
		d->busy = false;
		pthread_cond_broadcast(&d->changed);
	}
	sw_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- the others ---- */

int sw_drain_start(struct session *s)
{
	struct sw_drain *d = &s->drain;
	int err;

	sw_mutex_init(&d->lock, "drain", SW_RANK_LEAF);
	pthread_cond_init(&d->changed, NULL);
	err = -pthread_create(&d->thread, NULL, drain_thread, s);
	if (err)
		sw_error("cannot start a thread: %s", strerror(-err));
	return err;
}

static void want(struct sw_drain *d)
{
	d->wanted = true;
	pthread_cond_broadcast(&d->changed);
}

void sw_drain_look(struct session *s)
{
	struct sw_drain *d = &s->drain;
	uint32_t types = sw_mm_to_drain(s->mm);

	if (types == d->seen)
		return;
	d->seen = types;
	sw_mutex_lock(&d->lock);
	want(d);
	sw_mutex_unlock(&d->lock);
}

void sw_drain_hold(struct sw_drain *d)
{
	sw_mutex_lock(&d->lock);
	d->nr_off++;
	while (d->busy)
		sw_mutex_wait(&d->lock, &d->changed, UINT64_MAX);
	sw_mutex_unlock(&d->lock);
}

void sw_drain_let_go(struct sw_drain *d)
{
	sw_mutex_lock(&d->lock);
	d->nr_off--;
	want(d);
	sw_mutex_unlock(&d->lock);
}

void sw_drain_stop(struct sw_drain *d)
{
	sw_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_broadcast(&d->changed);
	sw_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	pthread_cond_destroy(&d->changed);
	sw_mutex_destroy(&d->lock);
}
