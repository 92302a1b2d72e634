/*
 * devices.h - the swap devices of a session: opened from their specs, turned
 * on in the order given, sampled for the report, turned off at the end.
 */
#ifndef SW_RUN_DEVICES_H
#define SW_RUN_DEVICES_H

#include "run/options.h"
#include "run/report.h"

struct sw_store_kind;

struct sw_device {
	const struct sw_store_kind *kind; /* [private to devices.c] */
	void *store;
	unsigned type; /* in the swap layer */
};

struct sw_devices {
	unsigned nr;
	struct sw_device device[SW_MAX_DEVICES];
	/* At the moment each held the most; used_pages: at the last sample. */
	struct sw_report_device report[SW_MAX_DEVICES];
};

/* 0, or -errno after a line; nothing stays on then. */
SW_MUST_CHECK int sw_devices_on(struct sw_devices *d,
				const struct sw_device_spec *spec, unsigned nr);
void sw_devices_sample(struct sw_devices *d);
/* Bytes that they keep pages in right now. */
uint64_t sw_devices_memory(const struct sw_devices *d);
void sw_devices_off(struct sw_devices *d);

#endif
