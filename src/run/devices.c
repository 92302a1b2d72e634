/* devices.c - see devices.h. Above: session.c. Below: store/, swap/. */
#include "run/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/store.h"
#include "swap/swap.h"

static int device_on(struct sw_device *dev, struct sw_report_device *report,
		     const struct sw_device_spec *spec, unsigned index)
{
	/* Slot 0 is the header's and holds no page. */
	uint64_t max = spec->size_bytes / SW_PAGE_SIZE + 1;
	struct swapon_spec on = {
		.name = report->name,
		.ops = &sw_zram_ops,
		.max = max,
		.prio = spec->prio,
		.flags = SWP_SOLIDSTATE | SWP_SYNCHRONOUS_IO | SWP_BLKDEV,
	};
	int type;

	snprintf(report->name, sizeof(report->name), "%s%u", spec->kind, index);
	report->size_bytes = spec->size_bytes;
	dev->zram = sw_zram_open(max, "lz4");
	if (!dev->zram)
		return -ENOMEM;
	on.store = dev->zram;
	type = swapon(&on);
	if (type < 0) {
		sw_zram_close(dev->zram);
		return type;
	}
	dev->type = type;
	return 0;
}

int sw_devices_on(struct sw_devices *d, const struct sw_device_spec *spec,
		  unsigned nr)
{
	int err = swap_init();

	d->nr = 0;
	for (unsigned i = 0; !err && i < nr; i++) {
		err = device_on(&d->device[i], &d->report[i], &spec[i], i);
		d->nr += !err;
	}
	if (err) {
		sw_error("swap device %u (%s) cannot be turned on: %s", d->nr,
			 spec[d->nr].kind, strerror(-err));
		sw_devices_off(d);
	}
	return err;
}

void sw_devices_sample(struct sw_devices *d)
{
	for (unsigned i = 0; i < d->nr; i++) {
		struct sw_report_device *r = &d->report[i];
		struct sw_swap_device_info info;
		struct sw_store_stats st;

		if (!swap_device_info(d->device[i].type, &info))
			continue;
		r->used_pages = info.used;
		sw_zram_stats(d->device[i].zram, &st);
		r->memory_peak_bytes = st.mem_bytes_peak;
		if (st.pages < r->pages_stored)
			continue;
		r->pages_stored = st.pages;
		r->compressed_bytes = st.compr_bytes;
		r->memory_bytes = st.mem_bytes;
	}
}

uint64_t sw_devices_memory(const struct sw_devices *d)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < d->nr; i++) {
		struct sw_store_stats st;

		sw_zram_stats(d->device[i].zram, &st);
		bytes += st.mem_bytes;
	}
	return bytes;
}

void sw_devices_off(struct sw_devices *d)
{
	while (d->nr) {
		struct sw_device *dev = &d->device[--d->nr];
		int err = swapoff(dev->type, NULL, NULL);

		if (err) {
			sw_error(
				"swap device %u is still in use at the end: %s",
				d->nr, strerror(-err));
			continue;
		}
		sw_zram_close(dev->zram);
	}
	swap_exit();
}
