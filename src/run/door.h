/*
 * door.h - where a session and those who talk to it meet: a socket of packets
 * in a folder that is its user's alone, /run/spillway for root, else
 * $XDG_RUNTIME_DIR/spillway. It is named as the session is, or by its pid.
 */
#ifndef SW_RUN_DOOR_H
#define SW_RUN_DOOR_H

#include "base/base.h"

#define SW_DOOR_NAME_MAX 64 /* letters, digits and _ . - */

struct sw_door {
	int dir;    /* the folder, or -1: there is no door */
	int listen; /* owned by the caller's reader until the door closes */
	char name[SW_DOOR_NAME_MAX + 1];
};

/* May a session be called that? Not by digits alone: those are a pid, */
bool sw_door_is_name(const char *name);

/*
 * Opens the door of this process; NULL: it is named by its pid. What sessions
 * left that died is swept away. 0; -EADDRINUSE: another session has the name;
 * or -errno. Prints nothing.
 */
SW_MUST_CHECK int sw_door_open(struct sw_door *door, const char *name);
void sw_door_close(struct sw_door *door);
/* The same for a session that is dead, by a process that has its descriptors. */
void sw_door_remove(const struct sw_door *door);

/* Calls `fn` for each session that is running, in no order. How many there are,
 * or -EPERM after a line. */
int sw_door_for_each(void (*fn)(void *arg, const char *name), void *arg);

/* A connection to the session called `target`, by name or pid; NULL: to the
 * only one. -errno after a line. */
SW_MUST_CHECK int sw_door_knock(const char *target);

#endif
