/*
 * ask.c - see ask.h. Above: cli/cmd_show.c and its like. Below: door.c.
 */
#include "run/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "run/control.h"
#include "run/door.h"

static volatile int asking = -1; /* the connection, for signals */

void sw_ask_call_off(void)
{
	shutdown(asking, SHUT_WR);
}

static int send_request(int fd, json_t *request)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	int err = 0;

	if (!len || len > SW_REQUEST_MAX)
		err = -E2BIG;
	/* Who was turned away before this has the reason to read yet. */
	else if (send(fd, text, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		err = -errno;
	free(text);
	json_decref(request);
	if (err)
		sw_error("the session cannot be asked: %s", strerror(-err));
	return err;
}

/* The next packet; NULL after a line. */
static json_t *receive(int fd, char *buf)
{
	ssize_t n;
	json_t *packet;

	do
		n = recv(fd, buf, SW_REPLY_MAX, 0);
	while (n < 0 && errno == EINTR);
	packet = n > 0 ? json_loadb(buf, n, 0, NULL) : NULL;
	if (!packet)
		sw_error("the session ended before it had answered");
	return packet;
}

static json_t *wait_for_answer(int fd, char *buf,
			       void (*progress)(void *arg,
						const json_t *how_far),
			       void *arg, bool *refused)
{
	json_t *packet, *answer;

	while ((packet = receive(fd, buf))) {
		const json_t *how_far = json_object_get(packet, "progress");
		const json_t *error = json_object_get(packet, "error");

		answer = json_incref(json_object_get(packet, "ok"));
		if (how_far && progress)
			progress(arg, how_far);
		*refused = error;
		if (error)
			sw_error("%s", json_is_string(error)
					       ? json_string_value(error)
					       : "it failed");
		json_decref(packet);
		if (answer || error || !how_far)
			return answer;
	}
	return NULL;
}

static json_t *ask(const char *target, json_t *request,
		   void (*progress)(void *arg, const json_t *how_far),
		   void *arg, bool *refused)
{
	char *buf = malloc(SW_REPLY_MAX);
	int fd = sw_door_knock(target);
	json_t *answer = NULL;

	if (fd < 0 || !buf) {
		json_decref(request);
	} else if (!send_request(fd, request)) {
		asking = fd;
		answer = wait_for_answer(fd, buf, progress, arg, refused);
		asking = -1;
	}
	if (fd >= 0)
		close(fd);
	free(buf);
	return answer;
}

json_t *sw_ask(const char *target, json_t *request,
	       void (*progress)(void *arg, const json_t *how_far), void *arg)
{
	bool refused;

	return ask(target, request, progress, arg, &refused);
}

static void note(void *arg, const char *text)
{
	snprintf(arg, SW_ASK_LINE_MAX, "%s", text);
}

json_t *sw_ask_quietly(const char *target, json_t *request,
		       void (*progress)(void *arg, const json_t *how_far),
		       void *arg, char line[SW_ASK_LINE_MAX], bool *refused)
{
	json_t *answer;

	*line = 0;
	*refused = false;
	sw_log_divert(SW_LOG_ERROR, note, line);
	answer = ask(target, request, progress, arg, refused);
	sw_log_divert(SW_LOG_ERROR, NULL, NULL);
	return answer;
}
