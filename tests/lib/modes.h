/*
 * modes.h - the ways in which an instance may serve faults and move pages, by
 * name. An instance is told to do without what the kernel has, or the kernel
 * denies it.
 */
#ifndef SW_TEST_LIB_MODES_H
#define SW_TEST_LIB_MODES_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spillway.h>

#include "deny.h"

#define MIB (1ull << 20)

struct mode {
	const char *name;
	enum spillway_delivery delivery;
	unsigned avoid;
	unsigned can; /* on a kernel that has all, as root */
	bool denied;  /* to the process: userfaultfd */
};

static const struct mode modes[] = {
	{ "thread", SPILLWAY_BY_THREAD, 0,
	  SPILLWAY_CAN_FAULT | SPILLWAY_CAN_SYSCALLS | SPILLWAY_CAN_MOVE,
	  false },
	{ "thread-no-move", SPILLWAY_BY_THREAD, SPILLWAY_CAN_MOVE,
	  SPILLWAY_CAN_FAULT | SPILLWAY_CAN_SYSCALLS, false },
	{ "thread-user-only", SPILLWAY_BY_THREAD, SPILLWAY_CAN_SYSCALLS,
	  SPILLWAY_CAN_FAULT | SPILLWAY_CAN_MOVE, false },
	{ "signal", SPILLWAY_BY_SIGNAL, 0,
	  SPILLWAY_CAN_FAULT | SPILLWAY_CAN_MOVE, false },
	{ "signal-no-move", SPILLWAY_BY_SIGNAL, SPILLWAY_CAN_MOVE,
	  SPILLWAY_CAN_FAULT, false },
	{ "no-userfaultfd", SPILLWAY_BY_SIGNAL, SPILLWAY_CAN_FAULT, 0, false },
	/* Asked for a thread, which there can be no use for. */
	{ "denied", SPILLWAY_BY_THREAD, 0, 0, true },
};

#define NR_MODES (sizeof(modes) / sizeof(modes[0]))

static inline const struct mode *mode_of(const char *name)
{
	for (unsigned i = 0; i < NR_MODES; i++) {
		if (strcmp(modes[i].name, name))
			continue;
		if (modes[i].denied && !deny_userfaultfd()) {
			printf("no seccomp filter: %s\n", strerror(errno));
			exit(77);
		}
		return &modes[i];
	}
	fprintf(stderr, "no mode '%s'\n", name);
	exit(2);
}

/* Opens an instance, or skips the test. */
static inline spillway_t *open_mode(const struct mode *mode, uint64_t budget,
				    const char *devices)
{
	struct spillway_options o;
	char why[256];
	spillway_t *sp;
	int err;

	spillway_options_init(&o, sizeof(o));
	o.budget_bytes = budget;
	o.devices = devices;
	o.delivery = mode->delivery;
	o.avoid = mode->avoid;
	o.require = mode->can;
	o.reserve_bytes = 16ull << 30;
	o.why = why;
	o.why_len = sizeof(why);
	err = spillway_open(&o, &sp);
	if (err == -EPERM || err == -ENOSYS) {
		printf("%s\n", why);
		exit(77);
	}
	if (err) {
		fprintf(stderr, "open: %s (%s)\n", why, strerror(-err));
		exit(1);
	}
	return sp;
}

#endif
