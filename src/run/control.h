/*
 * control.h - a running session can be talked to: who comes through its door
 * (door.h) sends one packet, a JSON object {"request": NAME, ...}, and gets
 * packets back, any number of {"progress": ...} and then one {"ok": ...} or
 * {"error": "a line"}. To hang up before that is to call it off.
 *
 * Only the session's own user and root are answered. What they send is
 * distrusted all the same: sizes are bounded, types are looked at, and who
 * stalls holds up nobody but himself.
 *
 * A request is a row in a table of its own file (requests.c). Each is answered
 * by a thread of its own, beside the session's loop: what it touches has locks.
 */
#ifndef SW_RUN_CONTROL_H
#define SW_RUN_CONTROL_H

#include <jansson.h>
#include <pthread.h>

#include "base/list.h"
#include "base/lock.h"

#define SW_REQUEST_MAX (16u << 10)  /* bytes of a request */
#define SW_REPLY_MAX   (128u << 10) /* of a packet that goes back */

struct sw_call; /* one request being answered */

struct sw_request_kind {
	const char *name;
	/* The answer, which is given away. NULL: it failed, and the reason was
	 * said with sw_error(), which the caller will read. */
	json_t *(*answer)(struct sw_call *call, const json_t *request,
			  void *arg);
};

struct sw_control {
	const struct sw_request_kind
		*kinds; /* [const] up to one without name */
	void *arg;      /* [const] of each answer */
	int listen;     /* [const] the caller's */
	int stop_event;
	pthread_t thread;
	struct sw_mutex lock; /* SW_RANK_LEAF */
	pthread_cond_t idle;  /* the last call is over */
	struct sw_list calls; /* lock */
	unsigned nr_calls;    /* lock */
	bool stop;            /* [atomic] */
};

/* `kinds` and `arg` are set. */
void sw_control_init(struct sw_control *c);
/* Answers whoever comes to `listen`, in threads. 0 or -errno. */
SW_MUST_CHECK int sw_control_start(struct sw_control *c, int listen);
/* Calls off what is being answered, and waits for it. */
void sw_control_stop(struct sw_control *c);

/* Answers one connection in the calling thread, and closes it. */
void sw_control_serve(struct sw_control *c, int fd);

/* ---- for those who answer ---- */

/* False: nobody waits for the answer any more, or the session ends. */
bool sw_call_goes_on(struct sw_call *call);
/* The same after `ms` milliseconds, or at once when it does not. */
bool sw_call_wait(struct sw_call *call, unsigned ms);
/* A piece of an answer that is too long for one packet, as progress that is not
 * missed: waits for a caller who is slow. Gives `piece` away. False: he does not
 * read. */
SW_MUST_CHECK bool sw_call_piece(struct sw_call *call, json_t *piece);
/* Says how far it is; gives `progress` away. A caller who does not read misses
 * some. */
void sw_call_progress(struct sw_call *call, json_t *progress);

/* ---- the requests of a session ---- */

struct session;
extern const struct sw_request_kind sw_requests[];

#endif
