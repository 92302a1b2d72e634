/*
 * control.c - see control.h. Above: session.c starts and stops it. Below:
 * requests.c, which knows what can be asked.
 *
 * One thread accepts, and each connection gets a thread: some requests take
 * minutes, and what they wait for must not be waited for by anybody else. There
 * are few of them at a time, and each has a few seconds to say what it wants.
 */
#include "run/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

#define MAX_CALLS 16 /* at a time */
#define STALL_SEC 5  /* to send a request, or take an answer */
#define NO_FD_MS  10 /* when there is no descriptor for who comes */

struct sw_call {
	struct sw_list node; /* control's lock */
	struct sw_control *control;
	int fd;
	char error[512]; /* the first one that was said */
};

/* ---- packets ---- */

/* True: it is on its way. */
static bool send_json(int fd, json_t *json, int flags)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	bool sent = false;

	if (len && len <= SW_REPLY_MAX)
		sent = send(fd, text, len, MSG_NOSIGNAL | flags) > 0;
	else
		sw_debug("an answer of %zu bytes cannot be sent", len);
	free(text);
	json_decref(json);
	return sent;
}

static void send_error(int fd, const char *error)
{
	json_t *text = json_string(error);

	/* What was said may have a file's name in it, which may be anything. */
	if (!text)
		text = json_string("it failed, and the reason is not UTF-8");
	send_json(fd, json_pack("{s:o}", "error", text), 0);
}

/* Nobody hears what they ask. It is taken off the socket all the same: to close
 * it unread would take the answer along. */
static void turn_away(int fd, const char *error)
{
	char byte;

	shutdown(fd, SHUT_RD);
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
		;
	send_error(fd, error);
	close(fd);
}

/* The request, or NULL after a line, or without one: nobody is there. */
static json_t *receive(int fd)
{
	char buf[SW_REQUEST_MAX];
	struct iovec v = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &m, 0);
	json_error_t why;
	json_t *request;

	if (n <= 0)
		return NULL;
	if (m.msg_flags & MSG_TRUNC) {
		sw_error("a request has at most %u bytes", SW_REQUEST_MAX);
		return NULL;
	}
	request = json_loadb(buf, n, JSON_REJECT_DUPLICATES, &why);
	if (!request)
		sw_error("the request is no JSON: %s", why.text);
	return request;
}

/* ---- one call ---- */

static void note_error(void *arg, const char *text)
{
	struct sw_call *call = arg;

	if (!*call->error)
		snprintf(call->error, sizeof(call->error), "%s", text);
}

static json_t *answer(struct sw_call *call, const json_t *request)
{
	const struct sw_request_kind *kind = call->control->kinds;
	const char *name =
		json_string_value(json_object_get(request, "request"));

	if (!name) {
		sw_error("a request is an object that says \"request\"");
		return NULL;
	}
	for (; kind->name; kind++)
		if (!strcmp(kind->name, name))
			return kind->answer(call, request, call->control->arg);
	sw_error(
		"no request '%.32s' is known; is the session older than the command?",
		name);
	return NULL;
}

static void serve(struct sw_call *call)
{
	json_t *request, *result = NULL;

	sw_log_divert(SW_LOG_ERROR, note_error, call);
	request = receive(call->fd);
	if (request)
		result = answer(call, request);
	json_decref(request);
	sw_log_divert(SW_LOG_ERROR, NULL, NULL);
	if (result)
		send_json(call->fd, json_pack("{s:o}", "ok", result), 0);
	else
		send_error(call->fd, *call->error ? call->error : "it failed");
}

/* Its socket is private, and yet it may be handed on. */
static bool is_welcome(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (peer.uid == geteuid() || !peer.uid);
}

void sw_control_serve(struct sw_control *c, int fd)
{
	struct timeval stall = { .tv_sec = STALL_SEC };
	struct sw_call call = { .control = c, .fd = fd };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	if (!is_welcome(fd)) {
		turn_away(fd, "the session is another user's");
		return;
	}
	sw_mutex_lock(&c->lock);
	sw_list_add_tail(&c->calls, &call.node);
	sw_mutex_unlock(&c->lock);
	serve(&call);
	/* Closed only when nobody can find it: sw_control_stop() hangs up. */
	sw_mutex_lock(&c->lock);
	sw_list_del(&call.node);
	sw_mutex_unlock(&c->lock);
	close(fd);
}

bool sw_call_wait(struct sw_call *call, unsigned ms)
{
	struct pollfd p = { .fd = call->fd, .events = POLLRDHUP };

	/* At the end sw_control_stop() hangs up. */
	return !__atomic_load_n(&call->control->stop, __ATOMIC_RELAXED) &&
	       poll(&p, 1, ms) <= 0;
}

bool sw_call_goes_on(struct sw_call *call)
{
	return sw_call_wait(call, 0);
}

bool sw_call_piece(struct sw_call *call, json_t *piece)
{
	return send_json(call->fd, json_pack("{s:o}", "progress", piece), 0);
}

void sw_call_progress(struct sw_call *call, json_t *progress)
{
	send_json(call->fd, json_pack("{s:o}", "progress", progress),
		  MSG_DONTWAIT);
}

/* ---- all of them ---- */

/* What a thread is started with. */
struct visit {
	struct sw_control *control;
	int fd;
};

static void *call_thread(void *arg)
{
	struct visit v = *(struct visit *)arg;

	free(arg);
	prctl(PR_SET_NAME, "spillway-call");
	sw_control_serve(v.control, v.fd);
	sw_mutex_lock(&v.control->lock);
	if (!--v.control->nr_calls)
		pthread_cond_signal(&v.control->idle);
	sw_mutex_unlock(&v.control->lock);
	return NULL;
}

static bool take_place(struct sw_control *c)
{
	bool free;

	sw_mutex_lock(&c->lock);
	free = c->nr_calls < MAX_CALLS;
	c->nr_calls += free;
	sw_mutex_unlock(&c->lock);
	return free;
}

static void give_place(struct sw_control *c)
{
	sw_mutex_lock(&c->lock);
	c->nr_calls--;
	sw_mutex_unlock(&c->lock);
}

static int start_call(struct sw_control *c, int fd)
{
	struct visit *v = malloc(sizeof(*v));
	pthread_t thread;
	int err;

	if (!v)
		return -ENOMEM;
	*v = (struct visit){ c, fd };
	err = pthread_create(&thread, NULL, call_thread, v);
	if (err)
		free(v);
	else
		pthread_detach(thread);
	return -err;
}

static void accept_call(struct sw_control *c)
{
	int fd = accept4(c->listen, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		poll(NULL, 0, NO_FD_MS);
		return;
	}
	if (take_place(c)) {
		if (!start_call(c, fd))
			return;
		give_place(c);
	}
	turn_away(fd, "the session is busy with other requests; try again");
}

static void *accept_thread(void *arg)
{
	struct sw_control *c = arg;
	struct pollfd p[] = { { .fd = c->listen, .events = POLLIN },
			      { .fd = c->stop_event, .events = POLLIN } };

	prctl(PR_SET_NAME, "spillway-door");
	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
		if (poll(p, SW_ARRAY_SIZE(p), -1) > 0 && p[0].revents)
			accept_call(c);
	return NULL;
}

void sw_control_init(struct sw_control *c)
{
	sw_mutex_init(&c->lock, "control", SW_RANK_LEAF);
	pthread_cond_init(&c->idle, NULL);
	sw_list_init(&c->calls);
	c->nr_calls = 0;
	c->stop = false;
}

int sw_control_start(struct sw_control *c, int listen)
{
	int err;

	c->listen = listen;
	c->stop_event = eventfd(0, EFD_CLOEXEC);
	if (c->stop_event < 0)
		return -errno;
	err = pthread_create(&c->thread, NULL, accept_thread, c);
	if (err)
		close(c->stop_event);
	return -err;
}

void sw_control_stop(struct sw_control *c)
{
	uint64_t one = 1;
	struct sw_call *call;

	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	(void)!write(c->stop_event, &one, sizeof(one));
	pthread_join(c->thread, NULL);
	sw_mutex_lock(&c->lock);
	sw_list_for_each(call, &c->calls, node)
		shutdown(call->fd, SHUT_RD);
	while (c->nr_calls)
		sw_mutex_wait(&c->lock, &c->idle, UINT64_MAX);
	sw_mutex_unlock(&c->lock);
	close(c->stop_event);
	pthread_cond_destroy(&c->idle);
	sw_mutex_destroy(&c->lock);
}
