/*
 * metrics.c - the thread that answers for metrics.h: as much of HTTP/1.1 as GET
 * needs. One request a connection; the answer says so.
 *
 * Nothing here waits for a client: descriptors do not block, and one poll looks
 * at all of them. What they may take is bounded: places, bytes of a request, and
 * time from coming to going.
 *
 * Above: session.c. Beside: metrics_address.c makes the socket. Below:
 * metrics_text.c writes what is asked for.
 */
#include "run/metrics.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"

#define MAX_CLIENTS 16
#define MAX_REQUEST 4096
#define CLIENT_NS   3000000000ull /* from coming to going */
#define NO_FD_MS    10 /* when there is no descriptor for who comes */

struct client {
	int fd; /* -1: the place is free */
	uint64_t end_ns;
	unsigned got;
	char request[MAX_REQUEST];
	char *reply; /* NULL: it is still asking */
	size_t len, sent;
};

struct server {
	struct sw_metrics *m;
	struct client client[MAX_CLIENTS];
};

static void hang_up(struct client *c)
{
	close(c->fd);
	free(c->reply);
	c->reply = NULL;
	c->fd = -1;
}

/* ---- the answer ---- */

static void reply_with(struct client *c, const char *status, const char *extra,
		       const char *body, size_t len, bool head)
{
	FILE *out = open_memstream(&c->reply, &c->len);

	if (!out) {
		hang_up(c);
		return;
	}
	fprintf(out,
		"HTTP/1.1 %s\r\n"
		"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"Content-Length: %zu\r\n"
		"%s"
		"Connection: close\r\n\r\n",
		status, len, extra);
	if (!head)
		fwrite(body, 1, len, out);
	if (fclose(out))
		hang_up(c);
	c->sent = 0;
}

static void refuse(struct client *c, const char *status, const char *extra)
{
	char body[64];

	snprintf(body, sizeof(body), "%s\n", status);
	reply_with(c, status, extra, body, strlen(body), false);
}

static void tell(struct server *s, struct client *c, bool head)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int err = 0;

	if (out) {
		s->m->write(s->m->arg, out);
		err = fclose(out);
	}
	if (!out || err)
		refuse(c, "503 Service Unavailable", "");
	else
		reply_with(c, "200 OK", "", text, len, head);
	free(text);
}

static bool is_metrics(const char *target)
{
	size_t len = strcspn(target, "?");

	return len == 8 && !memcmp(target, "/metrics", len);
}

/* The whole of a request is there, without a zero in it. */
static void answer(struct server *s, struct client *c)
{
	char *line = c->request, *target, *version;
	bool get, head;

	line[strcspn(line, "\r\n")] = '\0';
	target = strchr(line, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || target == line || strncmp(version, " HTTP/", 6)) {
		refuse(c, "400 Bad Request", "");
		return;
	}
	*target++ = '\0';
	*version++ = '\0';
	get = !strcmp(line, "GET");
	head = !strcmp(line, "HEAD");
	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0"))
		refuse(c, "505 HTTP Version Not Supported", "");
	else if (!get && !head)
		refuse(c, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
	else if (!is_metrics(target))
		refuse(c, "404 Not Found", "");
	else
		tell(s, c, head);
}

/* ---- one client ---- */

static void hear(struct server *s, struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->got,
			 sizeof(c->request) - 1 - c->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->got += n;
	c->request[c->got] = '\0';
	if (strlen(c->request) != c->got)
		refuse(c, "400 Bad Request", "");
	else if (strstr(c->request, "\r\n\r\n"))
		answer(s, c);
	else if (c->got == sizeof(c->request) - 1)
		refuse(c, "431 Request Header Fields Too Large", "");
}

/* What a client goes on to send is taken off the socket: to close it unread would
 * take the answer along. It ends with the client, or his time. */
static void drain(struct client *c)
{
	char junk[512];
	ssize_t n = recv(c->fd, junk, sizeof(junk), 0);

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(c);
}

static void talk(struct client *c)
{
	ssize_t n =
		send(c->fd, c->reply + c->sent, c->len - c->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		hang_up(c);
		return;
	}
	c->sent += n;
	if (c->sent == c->len)
		shutdown(c->fd, SHUT_WR);
}

static bool is_talking(const struct client *c)
{
	return c->reply && c->sent < c->len;
}

static void serve(struct server *s, struct client *c)
{
	if (!c->reply)
		hear(s, c);
	else if (!is_talking(c))
		drain(c);
	/* Most answers go at once. */
	if (c->fd >= 0 && is_talking(c))
		talk(c);
}

/* ---- all of them ---- */

/* A free place, or that of the one who has the least time left. */
static struct client *place(struct server *s)
{
	struct client *found = &s->client[0];

	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0)
			return c;
		if (c->end_ns < found->end_ns)
			found = c;
	}
	hang_up(found);
	return found;
}

static void welcome(struct server *s)
{
	int fd =
		accept4(s->m->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	if (fd < 0) {
		if (errno != EAGAIN)
			poll(NULL, 0, NO_FD_MS);
		return;
	}
	c = place(s);
	c->fd = fd;
	c->end_ns = sw_now_ns() + CLIENT_NS;
	c->got = 0;
}

/* Who had his time goes. Returns the time until the next one has, or -1. */
static int end_late_ones(struct server *s)
{
	uint64_t now = sw_now_ns(), first = UINT64_MAX;

	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->client[i];

		if (c->fd >= 0 && c->end_ns <= now)
			hang_up(c);
		if (c->fd >= 0)
			first = sw_min(first, c->end_ns);
	}
	return first == UINT64_MAX ? -1 : (int)((first - now) / 1000000 + 1);
}

static void turn(struct server *s)
{
	struct pollfd p[MAX_CLIENTS + 2] = {
		{ .fd = s->m->listen, .events = POLLIN },
		{ .fd = s->m->stop_event, .events = POLLIN },
	};
	int wait_ms = end_late_ones(s);

	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->client[i];

		p[i + 2].fd = c->fd; /* -1 is passed over */
		p[i + 2].events = is_talking(c) ? POLLOUT : POLLIN;
	}
	if (poll(p, SW_ARRAY_SIZE(p), wait_ms) <= 0)
		return;
	for (unsigned i = 0; i < MAX_CLIENTS; i++)
		if (p[i + 2].revents)
			serve(s, &s->client[i]);
	if (p[0].revents)
		welcome(s);
}

static void *thread(void *arg)
{
	struct server *s = arg;

	prctl(PR_SET_NAME, "spillway-metric");
	while (!__atomic_load_n(&s->m->stop, __ATOMIC_RELAXED))
		turn(s);
	for (unsigned i = 0; i < MAX_CLIENTS; i++)
		if (s->client[i].fd >= 0)
			hang_up(&s->client[i]);
	free(s);
	return NULL;
}

int sw_metrics_start(struct sw_metrics *m)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	m->stop_event = eventfd(0, EFD_CLOEXEC);
	if (!s || m->stop_event < 0) {
		err = s ? -errno : -ENOMEM;
		goto err_free;
	}
	s->m = m;
	for (unsigned i = 0; i < MAX_CLIENTS; i++)
		s->client[i].fd = -1;
	err = -pthread_create(&m->thread, NULL, thread, s);
	if (err)
		goto err_close;
	m->started = true;
	return 0;

err_close:
	close(m->stop_event);
err_free:
	free(s);
	sw_error("--metrics: cannot start: %s", strerror(-err));
	return err;
}

/* The file may be another session's by now. */
static void remove_file(const struct sw_metrics *m)
{
	struct stat st;

	if (m->at.any.sa_family == AF_UNIX && !lstat(m->at.un.sun_path, &st) &&
	    st.st_ino == m->made.st_ino && st.st_dev == m->made.st_dev)
		unlink(m->at.un.sun_path);
}

void sw_metrics_close(struct sw_metrics *m)
{
	uint64_t one = 1;

	if (m->listen < 0)
		return;
	if (m->started) {
		__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
		(void)!write(m->stop_event, &one, sizeof(one));
		pthread_join(m->thread, NULL);
		close(m->stop_event);
	}
	remove_file(m);
	close(m->listen);
	m->listen = -1;
}
