/*
 * recorder.c - see recorder.h.
 *
 *   a thread that tells          the recorder's
 *   event at head & MASK         head, acquire
 *   head + 1, release            events [tail, head) that are old enough
 *                                tail, release
 *
 * The ring is full when head is SIZE ahead of tail. An event is as old as its
 * time says, which is taken before it is in the ring; so in each round what is
 * younger than SETTLE_NS stays for the next one, and what all rings have that is
 * older is written in the order of time. (A thread that was made to wait
 * between the two comes late; its event is written as if it had happened when it
 * came.)
 *
 * Above: run/session.c. Below: encode.c.
 */
#include "trace/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "trace/encode.h"

#define RING_SIZE       16384u /* events; a power of two */
#define ROUND_NS        20000000
#define SETTLE_NS       1000000
#define SAMPLE_MIN_NS   ROUND_NS /* apart, and later a thousandth of the run, */
#define SAMPLE_MAX_NS   1000000000 /* but so long at most */
#define SAMPLE_FRACTION 1000

struct ring {
	struct ring *next;  /* recorder lock */
	uint64_t head;      /* [atomic] written by who tells */
	uint64_t tail;      /* [atomic] written by the recorder */
	uint64_t dropped;   /* [atomic] by who tells */
	bool left;          /* [atomic] its thread has ended */
	uint64_t end, seen; /* [thread: recorder] of this round; dropped */
	struct sw_trace_event event[RING_SIZE];
};

struct sw_recorder {
	struct sw_recorder_config config;
	struct sw_encoder encoder;
	int fd;
	pthread_key_t key;    /* tells when a thread ends */
	struct sw_mutex lock; /* SW_RANK_LEAF */
	struct ring *rings;   /* lock */
	uint64_t no_ring;     /* [atomic] events: no memory for one */
	sem_t wake;
	bool stop; /* [atomic] */
	pthread_t thread;
	uint64_t start_ns, sample_ns; /* [thread: recorder], as the next */
	uint64_t dropped;
};

static struct sw_recorder *listening; /* [const] while there is a hook */
static uint64_t generation;           /* [atomic] of recorders */
static __thread struct ring *own;     /* of this thread and generation: */
static __thread uint64_t own_generation;

/* ---- who tells ---- */

static void leave(void *ring)
{
	__atomic_store_n(&((struct ring *)ring)->left, true, __ATOMIC_RELEASE);
}

static struct ring *ring_new(struct sw_recorder *r)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	if (pthread_setspecific(r->key, ring)) {
		free(ring);
		return NULL;
	}
	sw_mutex_lock(&r->lock);
	ring->next = r->rings;
	r->rings = ring;
	sw_mutex_unlock(&r->lock);
	return ring;
}

static struct ring *own_ring(struct sw_recorder *r)
{
	uint64_t now = __atomic_load_n(&generation, __ATOMIC_RELAXED);

	if (own_generation != now || !own) {
		own = ring_new(r);
		own_generation = now;
	}
	return own;
}

static void tell(const struct sw_trace_event *event)
{
	struct sw_recorder *r = listening;
	struct ring *ring = own_ring(r);
	uint64_t used;

	if (!ring) {
		__atomic_fetch_add(&r->no_ring, 1, __ATOMIC_RELAXED);
		return;
	}
	/* Pairs with the release in drain(): the place is free. */
	used = ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	if (used == RING_SIZE) {
		__atomic_fetch_add(&ring->dropped, 1, __ATOMIC_RELAXED);
		return;
	}
	ring->event[ring->head % RING_SIZE] = *event;
	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
	if (used == RING_SIZE / 2)
		sem_post(&r->wake);
}

/* ---- the recorder's thread ---- */

/* The name of a process, if it is still there. */
static const char *name_of(uint64_t pid, char name[SW_TRACE_NAME_MAX + 1])
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lu/comm", (unsigned long)pid);
	*name = 0;
	f = fopen(path, "re");
	if (!f)
		return name;
	if (fgets(name, SW_TRACE_NAME_MAX + 1, f))
		name[strcspn(name, "\n")] = 0;
	fclose(f);
	return name;
}

static void encode(struct sw_recorder *r, const struct sw_trace_event *event)
{
	char name[SW_TRACE_NAME_MAX + 1] = "";

	if (event->kind == SW_TRACE_SPACE)
		name_of(event->page, name);
	sw_encode_event(&r->encoder, event, name);
}

static uint64_t head_time(const struct ring *ring)
{
	return ring->event[ring->tail % RING_SIZE].time_ns;
}

/* How many events of a ring are in this round. */
static void limit(struct ring *ring, uint64_t until_ns)
{
	/* Pairs with the release in tell(). */
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

	while (head > ring->tail &&
	       ring->event[(head - 1) % RING_SIZE].time_ns > until_ns)
		head--;
	ring->end = head;
}

/* The ring whose next event is the oldest; *other_ns: when the next one of any
 * other is. NULL: there is none left. */
static struct ring *oldest(struct ring *rings, uint64_t *other_ns)
{
	struct ring *first = NULL;

	*other_ns = UINT64_MAX;
	for (struct ring *ring = rings; ring; ring = ring->next) {
		if (ring->tail == ring->end)
			continue;
		if (first && head_time(first) <= head_time(ring)) {
			*other_ns = sw_min(*other_ns, head_time(ring));
			continue;
		}
		if (first)
			*other_ns = head_time(first);
		first = ring;
	}
	return first;
}

/* Writes all events until then. */
static void drain(struct sw_recorder *r, struct ring *rings, uint64_t until_ns)
{
	struct ring *ring;
	uint64_t other_ns;

	for (ring = rings; ring; ring = ring->next)
		limit(ring, until_ns);
	while ((ring = oldest(rings, &other_ns))) {
		uint64_t at = ring->tail;

		while (at < ring->end &&
		       ring->event[at % RING_SIZE].time_ns <= other_ns)
			encode(r, &ring->event[at++ % RING_SIZE]);
		__atomic_store_n(&ring->tail, at, __ATOMIC_RELEASE);
	}
}

static struct ring *first_ring(struct sw_recorder *r)
{
	struct ring *first;

	sw_mutex_lock(&r->lock);
	first = r->rings;
	sw_mutex_unlock(&r->lock);
	return first;
}

static bool is_done(const struct ring *ring)
{
	return __atomic_load_n(&ring->left, __ATOMIC_ACQUIRE) &&
	       ring->tail == __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) &&
	       ring->seen == __atomic_load_n(&ring->dropped, __ATOMIC_RELAXED);
}

/* Rings of threads that have ended, and that are empty. */
static void free_rings(struct sw_recorder *r)
{
	struct ring **at, *ring;

	sw_mutex_lock(&r->lock);
	for (at = &r->rings; (ring = *at);) {
		if (!is_done(ring)) {
			at = &ring->next;
			continue;
		}
		*at = ring->next;
		free(ring);
	}
	sw_mutex_unlock(&r->lock);
}

/* What was dropped since the last time this was asked. */
static uint64_t newly_dropped(struct sw_recorder *r, struct ring *rings)
{
	uint64_t nr = __atomic_exchange_n(&r->no_ring, 0, __ATOMIC_RELAXED);

	for (struct ring *ring = rings; ring; ring = ring->next) {
		uint64_t now =
			__atomic_load_n(&ring->dropped, __ATOMIC_RELAXED);

		nr += now - ring->seen;
		ring->seen = now;
	}
	nr += r->encoder.dropped;
	r->encoder.dropped = 0;
	return nr;
}

static void sample(struct sw_recorder *r, uint64_t now)
{
	struct sw_trace_sample s = { 0 };
	uint64_t pause = (now - r->start_ns) / SAMPLE_FRACTION;

	r->config.sample(r->config.arg, &s);
	sw_encode_sample(&r->encoder, now, &s);
	pause = sw_max(pause, (uint64_t)SAMPLE_MIN_NS);
	r->sample_ns = now + sw_min(pause, (uint64_t)SAMPLE_MAX_NS);
}

/* `until_ns` is UINT64_MAX in the last round. */
static void do_round(struct sw_recorder *r, uint64_t until_ns)
{
	struct ring *rings = first_ring(r);
	uint64_t now, dropped;

	drain(r, rings, until_ns);
	now = sw_now_ns();
	dropped = newly_dropped(r, rings);
	if (dropped)
		sw_encode_dropped(&r->encoder, now, dropped);
	r->dropped += dropped;
	if (now >= r->sample_ns || until_ns == UINT64_MAX)
		sample(r, now);
	sw_encode_flush(&r->encoder);
	free_rings(r);
}

static void *recorder_thread(void *arg)
{
	struct sw_recorder *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		struct timespec t;

		do_round(r, sw_now_ns() - SETTLE_NS);
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += ROUND_NS;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		sem_clockwait(&r->wake, CLOCK_MONOTONIC, &t);
	}
	do_round(r, UINT64_MAX);
	return NULL;
}

/* ---- life ---- */

int sw_recorder_start(struct sw_recorder **recorder,
		      const struct sw_recorder_config *config)
{
	struct sw_recorder *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->config = *config;
	r->start_ns = sw_now_ns();
	sw_mutex_init(&r->lock, "recorder", SW_RANK_LEAF);
	sem_init(&r->wake, 0, 0);
	r->fd = open(config->path,
		     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (r->fd < 0) {
		err = -errno;
		goto err_free;
	}
	err = sw_encode_head(&r->encoder, r->fd, r->start_ns, config->argv,
			     config->budget_bytes);
	if (!err)
		err = -pthread_key_create(&r->key, leave);
	if (err)
		goto err_close;
	err = -pthread_create(&r->thread, NULL, recorder_thread, r);
	if (err)
		goto err_key;
	listening = r;
	__atomic_fetch_add(&generation, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sw_trace_hook, tell, __ATOMIC_RELEASE);
	*recorder = r;
	return 0;

err_key:
	pthread_key_delete(r->key);
err_close:
	close(r->fd);
err_free:
	sem_destroy(&r->wake);
	sw_mutex_destroy(&r->lock);
	free(r);
	return err;
}

int sw_recorder_stop(struct sw_recorder *r, int exit_status)
{
	int err;

	__atomic_store_n(&sw_trace_hook, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	sem_post(&r->wake);
	pthread_join(r->thread, NULL);
	sw_encode_end(&r->encoder, sw_now_ns(), exit_status, r->dropped);
	err = r->encoder.err;
	if (close(r->fd) && !err)
		err = -errno;
	pthread_key_delete(r->key);
	while (r->rings) {
		struct ring *ring = r->rings;

		r->rings = ring->next;
		free(ring);
	}
	sem_destroy(&r->wake);
	sw_mutex_destroy(&r->lock);
	free(r);
	return err;
}
