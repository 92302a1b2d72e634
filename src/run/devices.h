/*
 * devices.h - the swap devices of a session: opened from their specs, turned
 * on in the order given, sampled for the report, turned off at the end; and
 * on and off in between. A device has a place in the two arrays; what the
 * report says of one that is off stays until another one takes its place.
 */
#ifndef SW_RUN_DEVICES_H
#define SW_RUN_DEVICES_H

#include "base/lock.h"
#include "run/options.h"
#include "run/report.h"
#include "zswap/zswap.h"

#define SW_UUID_TEXT_MAX 37

enum sw_device_state {
	SW_DEVICE_NONE,   /* the place is free */
	SW_DEVICE_COMING, /* and has no store yet */
	SW_DEVICE_ON,
	SW_DEVICE_GOING, /* or being emptied; and has its store */
};

struct sw_device {
	enum sw_device_state state; /* lock */
	const struct sw_store_kind *kind;
	void *store;
	struct sw_zswap_device *front; /* or NULL: nothing is before it */
	unsigned type;                 /* in the swap layer */
	char uuid[SW_UUID_TEXT_MAX];   /* of the area on a disk, "": none */
};

struct sw_devices {
	struct sw_mutex lock; /* SW_RANK_SESSION */
	unsigned nr;          /* lock: places ever used */
	bool held;            /* lock: none comes or goes */
	uint64_t zswap_bytes; /* [const] as it was asked for */
	struct sw_device device[SW_MAX_DEVICES];
	/* At the moment each held the most; used_pages: at the last sample.
	 * lock, as long as devices come and go. */
	struct sw_report_device report[SW_MAX_DEVICES];
	struct sw_zswap *zswap; /* or NULL */
	struct sw_report_zswap zswap_report;
};

/* 0, or -errno after a line; nothing stays on then. */
SW_MUST_CHECK int sw_devices_on(struct sw_devices *d,
				const struct sw_run_options *opt);
/* What they do by themselves begins, and ends: between the two there is a
 * memory manager. 0 or -errno, after a line. */
SW_MUST_CHECK int sw_devices_start(struct sw_devices *d);
void sw_devices_stop(struct sw_devices *d);
void sw_devices_sample(struct sw_devices *d);
/* Bytes that they keep pages in right now. */
uint64_t sw_devices_memory(struct sw_devices *d);
void sw_devices_off(struct sw_devices *d);

/* ---- of a running session, from any thread ---- */

#define SW_DEVICE_NAME_MAX sizeof(((struct sw_report_device *)0)->name)

struct sw_device_line {
	char name[SW_DEVICE_NAME_MAX];
	const char *kind; /* "zram", "file", ... */
	char label[sizeof(((struct sw_report_device *)0)->label)];
	char uuid[SW_UUID_TEXT_MAX];
	uint64_t size_bytes, used_bytes;
	int prio;
	unsigned type; /* in the swap layer */
	/* Of what is compressed in memory, else 0: pages as they are for the
	 * program, and what they take. */
	uint64_t stored_bytes, memory_bytes;
};

/* None comes or goes, until they are let go. False: one is about to. */
SW_MUST_CHECK bool sw_devices_hold(struct sw_devices *d);
void sw_devices_let_go(struct sw_devices *d);
/* What is inside the budget follows it. */
void sw_devices_set_budget(struct sw_devices *d, uint64_t budget_bytes);

/* The devices that are on or going off; returns how many. */
unsigned sw_devices_list(struct sw_devices *d,
			 struct sw_device_line line[SW_MAX_DEVICES]);
/* The one that is called so. False, after a line: there is none. */
SW_MUST_CHECK bool sw_devices_find(struct sw_devices *d, const char *name,
				   struct sw_device_line *line);
/* Is `name` the device's, with or without its kind before it? */
bool sw_device_is_called(const char *device, const char *name);
/* One more; says in `name` how it is called. 0, or -errno after a line. */
SW_MUST_CHECK int sw_devices_add(
	struct sw_devices *d, const struct sw_device_spec *spec,
	char name[sizeof(((struct sw_report_device *)0)->name)]);

/*
 * One less: the first one that is called so. `off`
 * turns its type off in the swap layer, which may take long, and returns 0 or
 * -errno after a line: then all is as before. -errno after a line also if there
 * is no such device, or it is going already.
 */
SW_MUST_CHECK int sw_devices_remove(struct sw_devices *d, const char *name,
				    int (*off)(void *arg, unsigned type),
				    void *arg);

/* The device of this type is being emptied, until it is given back. False: it
 * goes off, or none may come or go now. */
SW_MUST_CHECK bool sw_devices_take(struct sw_devices *d, unsigned type,
				   char name[SW_DEVICE_NAME_MAX]);
void sw_devices_give(struct sw_devices *d, unsigned type);

#endif
