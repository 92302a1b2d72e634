/*
 * metrics.h - a session's figures for Prometheus: `spillway run --metrics`. A
 * thread of the supervisor answers GET /metrics on a socket of the machine, and
 * on nothing that another machine can reach.
 *
 * Clients are distrusted: there are few at a time, each has a few seconds for
 * all that it wants, and a newcomer takes the place of who has the least time left.
 */
#ifndef SW_RUN_METRICS_H
#define SW_RUN_METRICS_H

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/base.h"

struct sw_metrics_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage space;
		struct sockaddr_un un;
	};

	socklen_t len;
};

struct sw_metrics {
	struct sw_metrics_address at;
	int listen; /* -1: there are none */
	int stop_event;
	struct stat made; /* the socket file, to know it again */
	pthread_t thread;
	bool started;
	bool stop; /* [atomic] */
	/* Writes all of them. */
	void (*write)(void *arg, FILE *out);
	void *arg;
};

/* Reads unix:PATH or tcp:ADDRESS:PORT. 0, or -EINVAL after a line. */
SW_MUST_CHECK int sw_metrics_parse(const char *text,
				   struct sw_metrics_address *at);

/* Makes the socket, in the place of one that a dead session left; from then on
 * clients come, and wait for an answer. 0, or -errno after a line. */
SW_MUST_CHECK int sw_metrics_open(struct sw_metrics *m, const char *text);
/* `write` and `arg` are set. 0, or -errno after a line. */
SW_MUST_CHECK int sw_metrics_start(struct sw_metrics *m);
/* Of what was opened, started or not, or is all zeros but for listen, -1. */
void sw_metrics_close(struct sw_metrics *m);

struct session;

/* What `write` is for a session: metrics_text.c. */
void sw_metrics_write(void *session, FILE *out);

#endif
