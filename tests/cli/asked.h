/*
 * asked.h - a session without programs, and what it answers to requests. For
 * files with tests in cmocka.
 */
#ifndef SW_CLI_ASKED_H
#define SW_CLI_ASKED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/session_internal.h"

static struct asked {
	struct sw_run_options options;
	struct session session;
	struct sw_control control;
} f = { .options = { .budget_bytes = 64 << 20 } };

/* `zswap` as --zswap has it, or NULL. */
static inline int asked_open(const char *device, const char *zswap)
{
	static const struct sw_mm_host host;
	const struct sw_mm_config config = { .budget_pages = 1 << 14,
					     .host = &host };

	f.session.opt = &f.options;
	sw_list_init(&f.session.procs);
	sw_mutex_init(&f.session.procs_lock, "procs", SW_RANK_SESSION);
	snprintf(f.session.door.name, sizeof(f.session.door.name), "test");
	if (sw_run_options_add_device(&f.options, device) ||
	    (zswap && sw_run_options_set_zswap(&f.options, zswap)) ||
	    sw_devices_on(&f.session.devices, &f.options))
		return -1;
	f.session.mm = sw_mm_new(&config);
	if (!f.session.mm || sw_mm_start(f.session.mm) ||
	    sw_devices_start(&f.session.devices))
		return -1;
	f.control =
		(struct sw_control){ .kinds = sw_requests, .arg = &f.session };
	sw_control_init(&f.control);
	return 0;
}

static inline int asked_close(void **state)
{
	(void)state;
	sw_devices_stop(&f.session.devices);
	sw_mm_stop(f.session.mm);
	sw_mm_free(f.session.mm);
	sw_devices_off(&f.session.devices);
	sw_run_options_release(&f.options);
	return 0;
}

/* What a request is answered with; the pieces before it go to `parts`. */
static inline json_t *ask(const char *request, json_t *parts)
{
	static char buf[SW_REPLY_MAX];
	int fd[2], bytes = 8 << 20;
	json_t *packet;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	assert_true(send(fd[0], request, strlen(request), 0) > 0);
	sw_control_serve(&f.control, fd[1]);
	for (;;) {
		json_t *part;

		n = recv(fd[0], buf, sizeof(buf), 0);
		assert_true(n > 0);
		packet = json_loadb(buf, n, 0, NULL);
		assert_non_null(packet);
		part = json_object_get(packet, "progress");
		if (!part)
			break;
		json_array_append(parts, part);
		json_decref(packet);
	}
	close(fd[0]);
	return packet;
}

#endif
