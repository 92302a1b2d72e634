/*
 * metrics_address.c - the value of --metrics, and the socket that it names. Above:
 * cli/cmd_run.c, session.c. Beside: metrics.c, which answers there.
 *
 * Of TCP only addresses of the machine itself are taken, and only in numbers: what
 * a name stands for is another's to say. A socket file is made under another name
 * and renamed, so that it is never there without somebody behind it.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "run/metrics.h"
#include "run/options.h"

#define BACKLOG 64

/* ---- what it says ---- */

static int say(const char *text, const char *what)
{
	sw_error("--metrics %s: %s", text, what);
	return -EINVAL;
}

static int parse_unix(const char *text, const char *path,
		      struct sw_metrics_address *at)
{
	if (!*path)
		return say(text, "no path is given");
	/* Room for the name that it has at first. */
	if (strlen(path) + 4 >= sizeof(at->un.sun_path))
		return say(
			text,
			"the path is too long for a socket: 103 bytes at most");
	at->un.sun_family = AF_UNIX;
	strcpy(at->un.sun_path, path);
	at->len = sizeof(at->un);
	return 0;
}

/* 0: it is none. */
static unsigned long port_of(const char *text)
{
	char *end;
	unsigned long port;

	if (!isdigit((unsigned char)*text))
		return 0;
	port = strtoul(text, &end, 10);
	return *end || port > 65535 ? 0 : port;
}

static bool is_loopback(const struct sockaddr_in *in)
{
	return ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

/* `host` without its port. False: it is no address. */
static bool parse_host(char *host, unsigned long port,
		       struct sw_metrics_address *at, bool *loopback)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&at->any;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&at->any;
	size_t len = strlen(host);

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		at->len = sizeof(*in);
		*loopback = is_loopback(in);
		return true;
	}
	if (*host != '[' || host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	at->len = sizeof(*in6);
	*loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	return true;
}

static int parse_tcp(const char *text, const char *value,
		     struct sw_metrics_address *at)
{
	char host[64], *colon;
	unsigned long port;
	bool loopback;

	snprintf(host, sizeof(host), "%s", value);
	colon = strrchr(host, ':');
	port = colon ? port_of(colon + 1) : 0;
	if (!port)
		return say(text,
			   "write tcp:ADDRESS:PORT, e.g. tcp:127.0.0.1:9400; "
			   "a port is a number from 1 to 65535");
	*colon = '\0';
	if (!parse_host(host, port, at, &loopback))
		return say(text,
			   "the address is 127.0.0.1 or [::1], in numbers");
	if (!loopback)
		return say(text,
			   "other machines could come there; only addresses "
			   "of this one are taken: 127.0.0.1, [::1]");
	return 0;
}

int sw_metrics_parse(const char *text, struct sw_metrics_address *at)
{
	memset(at, 0, sizeof(*at));
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text, text + 5, at);
	if (!strncmp(text, "tcp:", 4))
		return parse_tcp(text, text + 4, at);
	return say(text, "write unix:PATH or tcp:127.0.0.1:PORT");
}

int sw_run_options_set_metrics(struct sw_run_options *opt, const char *text)
{
	struct sw_metrics_address at;

	opt->metrics = text;
	return sw_metrics_parse(text, &at);
}

/* ---- its socket ---- */

/* May what is at the path be replaced? 0; -EADDRINUSE: somebody answers there;
 * -EEXIST: it is no socket. */
static int look_at(const struct sw_metrics_address *at)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(at->un.sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Only this says that nobody does. */
	if (!connect(fd, &at->any, at->len) || errno != ECONNREFUSED)
		err = -EADDRINUSE;
	close(fd);
	return err;
}

static int bind_file(struct sw_metrics *m)
{
	struct sw_metrics_address first = m->at;
	const char *path = m->at.un.sun_path;
	int err = look_at(&m->at);

	strcat(first.un.sun_path, ".new");
	if (!err)
		err = look_at(&first);
	if (err)
		return err;
	unlink(first.un.sun_path);
	if (bind(m->listen, &first.any, first.len))
		return -errno;
	if (listen(m->listen, BACKLOG) || lstat(first.un.sun_path, &m->made) ||
	    rename(first.un.sun_path, path)) {
		err = -errno;
		unlink(first.un.sun_path);
	}
	return err;
}

static int bind_port(struct sw_metrics *m)
{
	int one = 1;

	/* Who was served a moment ago may still hold the port. */
	setsockopt(m->listen, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(m->listen, &m->at.any, m->at.len) ||
	    listen(m->listen, BACKLOG))
		return -errno;
	return 0;
}

int sw_metrics_open(struct sw_metrics *m, const char *text)
{
	int err = sw_metrics_parse(text, &m->at);

	if (err)
		return err;
	m->listen = socket(m->at.any.sa_family,
			   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->listen < 0)
		err = -errno;
	else if (m->at.any.sa_family == AF_UNIX)
		err = bind_file(m);
	else
		err = bind_port(m);
	if (!err)
		return 0;
	if (m->listen >= 0)
		close(m->listen);
	m->listen = -1;
	if (err == -EADDRINUSE)
		sw_error("--metrics %s: somebody else answers there", text);
	else if (err == -EEXIST)
		sw_error(
			"--metrics %s: a file that is no socket is there, or "
			"beside it with .new behind its name; remove it, or name another path",
			text);
	else
		sw_error("--metrics %s: cannot listen there: %s", text,
			 strerror(-err));
	return err;
}
