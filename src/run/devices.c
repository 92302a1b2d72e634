/*
 * devices.c - see devices.h. Above: session.c. Below: store/, swap/.
 *
 * A new kind of device is a row in kinds[], beside its row in options.c.
 */
#include "run/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/store.h"
#include "swap/swap.h"

struct sw_store_kind {
	const char *name;
	/* Makes the store and says in `on` and `report` what it is. NULL with
	 * errno after a line. */
	void *(*open)(const struct sw_device_spec *spec, unsigned index,
		      struct swapon_spec *on, struct sw_report_device *report);
	void (*stats)(void *store, struct sw_store_stats *stats);
	void (*close)(void *store);
	bool is_memory; /* compressed already: zswap has no business there */
};

/* ---- compressed memory ---- */

static void *zram_open(const struct sw_device_spec *spec, unsigned index,
		       struct swapon_spec *on, struct sw_report_device *report)
{
	on->ops = &sw_zram_ops;
	/* Slot 0 is the header's and holds no page. */
	on->max = spec->size_bytes / SW_PAGE_SIZE + 1;
	on->flags = SWP_SOLIDSTATE | SWP_SYNCHRONOUS_IO | SWP_BLKDEV;
	report->size_bytes = spec->size_bytes;
	snprintf(report->name, sizeof(report->name), "zram%u", index);
	return sw_zram_open(on->max, "lz4");
}

static void zram_stats(void *store, struct sw_store_stats *stats)
{
	sw_zram_stats(store, stats);
}

static void zram_close(void *store)
{
	sw_zram_close(store);
}

/* ---- files and block devices ---- */

/* The policy's name, for the report. */
static const char *discard_flags(unsigned policy, unsigned *flags)
{
	*flags |= SWP_DISCARDABLE;
	if (policy & SW_DISCARD_ONCE)
		*flags |= SWP_AREA_DISCARD;
	if (policy & SW_DISCARD_PAGES)
		*flags |= SWP_PAGE_DISCARD;
	if (policy == (SW_DISCARD_ONCE | SW_DISCARD_PAGES))
		return "both";
	return policy == SW_DISCARD_ONCE ? "once" : "pages";
}

static void *disk_open(const struct sw_device_spec *spec, unsigned index,
		       struct swapon_spec *on, struct sw_report_device *report)
{
	const struct sw_disk_spec what = {
		.path = spec->path,
		.is_block = !strcmp(spec->kind, "block"),
		.size_bytes = spec->size_bytes,
		.encrypt = spec->encrypt,
		.discard = spec->discard,
	};
	struct sw_disk *disk = sw_disk_open(&what);
	struct sw_disk_info info;

	if (!disk)
		return NULL;
	sw_disk_info(disk, &info);
	on->ops = &sw_disk_ops;
	on->max = info.max;
	on->bad = info.bad;
	on->nr_bad = info.nr_bad;
	/* The sum is taken of what is being written. */
	on->flags = SWP_STABLE_WRITES | SWP_CLUSTERED;
	if (!info.rotating)
		on->flags |= SWP_SOLIDSTATE;
	if (what.is_block)
		on->flags |= SWP_BLKDEV;
	if (info.discards)
		report->discard = discard_flags(spec->discard, &on->flags);
	report->size_bytes = info.max * SW_PAGE_SIZE;
	report->on_disk = true;
	report->uring = info.uring;
	report->direct = info.direct;
	report->encrypted = info.encrypted;
	snprintf(report->name, sizeof(report->name), "%s", info.name);
	snprintf(report->label, sizeof(report->label), "%s", info.label);
	return disk;
}

static void disk_stats(void *store, struct sw_store_stats *stats)
{
	sw_disk_stats(store, stats);
}

static void disk_close(void *store)
{
	sw_disk_close(store);
}

/* ---- all of them ---- */

static const struct sw_store_kind kinds[] = {
	{ "zram", zram_open, zram_stats, zram_close, true },
	{ "file", disk_open, disk_stats, disk_close, false },
	{ "block", disk_open, disk_stats, disk_close, false },
};

static const struct sw_store_kind *kind_lookup(const char *name)
{
	for (unsigned i = 0; i < SW_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* Compressed memory in front of a device: it is switched on in its place. */
static int put_front(struct sw_zswap *zswap, struct sw_device *dev,
		     struct swapon_spec *on)
{
	dev->front = NULL;
	if (!zswap || dev->kind->is_memory)
		return 0;
	dev->front = sw_zswap_wrap(zswap, on->ops, on->store, on->max);
	if (!dev->front)
		return -errno;
	on->ops = &sw_zswap_ops;
	on->store = dev->front;
	return 0;
}

static void device_close(struct sw_device *dev)
{
	sw_zswap_unwrap(dev->front);
	dev->kind->close(dev->store);
}

static int device_on(struct sw_zswap *zswap, struct sw_device *dev,
		     struct sw_report_device *report,
		     const struct sw_device_spec *spec, unsigned index)
{
	struct swapon_spec on = { .name = report->name, .prio = spec->prio };
	int type, err;

	dev->kind = kind_lookup(spec->kind);
	SW_BUG_ON(!dev->kind);
	dev->store = dev->kind->open(spec, index, &on, report);
	if (!dev->store)
		return -errno;
	on.store = dev->store;
	err = put_front(zswap, dev, &on);
	if (err) {
		dev->kind->close(dev->store);
		return err;
	}
	type = swapon(&on);
	if (type < 0) {
		sw_error("%s: cannot be turned on: %s", report->name,
			 strerror(-type));
		device_close(dev);
		return type;
	}
	if (dev->front)
		sw_zswap_device_on(dev->front, type);
	dev->type = type;
	return 0;
}

/* What it holds counts in the budget, most of which is the program's to use
 * as it is: at half of it compressed pages are at least as many. */
static int open_zswap(struct sw_devices *d, const struct sw_run_options *opt)
{
	const struct sw_zswap_config config = {
		.size_bytes =
			sw_min(opt->zswap.size_bytes, opt->budget_bytes / 2),
		.codec = opt->zswap.codec,
		.strong = opt->zswap.strong,
	};

	if (!config.size_bytes)
		return 0;
	if (config.size_bytes < opt->zswap.size_bytes)
		sw_info("zswap: of its size, half of the budget is used");
	d->zswap_report.size_bytes = config.size_bytes;
	d->zswap_report.codec = config.codec;
	d->zswap = sw_zswap_open(&config);
	return d->zswap ? 0 : -errno;
}

/* A place for one more, the first that is free; -1: all are taken. */
static int take_place(struct sw_devices *d)
{
	unsigned i = 0;

	sw_mutex_lock(&d->lock);
	while (i < SW_MAX_DEVICES && d->device[i].state)
		i++;
	if (i < SW_MAX_DEVICES)
		d->device[i].state = SW_DEVICE_COMING;
	sw_mutex_unlock(&d->lock);
	return i < SW_MAX_DEVICES ? (int)i : -1;
}

int sw_devices_add(struct sw_devices *d, const struct sw_device_spec *spec,
		   char name[SW_DEVICE_NAME_MAX])
{
	struct sw_report_device report = { 0 };
	struct sw_device dev = { 0 };
	int i = take_place(d), err;

	if (i < 0) {
		sw_error("at most %u devices can be used", SW_MAX_DEVICES);
		return -EPERM;
	}
	/* To make a file may take seconds, and the loop wants the lock. */
	err = device_on(d->zswap, &dev, &report, spec, i);
	sw_mutex_lock(&d->lock);
	dev.state = err ? SW_DEVICE_NONE : SW_DEVICE_ON;
	if (!err) {
		d->report[i] = report;
		d->nr = sw_max(d->nr, (unsigned)i + 1);
	}
	d->device[i] = dev;
	sw_mutex_unlock(&d->lock);
	memcpy(name, report.name, sizeof(report.name));
	return err;
}

int sw_devices_on(struct sw_devices *d, const struct sw_run_options *opt)
{
	char name[SW_DEVICE_NAME_MAX];
	int err = swap_init();

	memset(d, 0, sizeof(*d));
	sw_mutex_init(&d->lock, "devices", SW_RANK_SESSION);
	if (err) {
		sw_error("not enough memory for swap devices");
		return err;
	}
	err = open_zswap(d, opt);
	for (unsigned i = 0; !err && i < opt->nr_devices; i++)
		err = sw_devices_add(d, &opt->devices[i], name);
	if (err)
		sw_devices_off(d);
	return err;
}

int sw_devices_start(struct sw_devices *d)
{
	return d->zswap ? sw_zswap_start(d->zswap) : 0;
}

void sw_devices_stop(struct sw_devices *d)
{
	if (d->zswap)
		sw_zswap_stop(d->zswap);
}

static void sample_zswap(struct sw_devices *d)
{
	struct sw_report_zswap *r = &d->zswap_report;
	struct sw_zswap_stats st;

	if (!d->zswap)
		return;
	sw_zswap_stats(d->zswap, &st);
	r->memory_peak_bytes = sw_max(r->memory_peak_bytes, st.mem_bytes);
	if (st.pages < r->pages_stored)
		return;
	r->pages_stored = st.pages;
	r->same_filled_pages = st.same_pages;
	r->recompressed_pages = st.strong_pages;
	r->compressed_bytes = st.compr_bytes;
	r->memory_bytes = st.mem_bytes;
}

/* Of a device that has a store. Lock held. */
static void sample(struct sw_device *dev, struct sw_report_device *r)
{
	struct sw_swap_device_info info;
	struct sw_store_stats st;

	if (!swap_device_info(dev->type, &info))
		return;
	r->used_pages = info.used;
	r->bad_slots = info.condemned;
	r->failed = info.flags & SWP_FAILED;
	dev->kind->stats(dev->store, &st);
	r->memory_peak_bytes = st.mem_bytes_peak;
	r->read_errors = st.read_errors;
	r->write_errors = st.write_errors;
	if (st.pages < r->pages_stored)
		return;
	r->pages_stored = st.pages;
	r->compressed_bytes = st.compr_bytes;
	r->memory_bytes = st.mem_bytes;
}

void sw_devices_sample(struct sw_devices *d)
{
	sample_zswap(d);
	sw_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->nr; i++)
		if (d->device[i].store)
			sample(&d->device[i], &d->report[i]);
	sw_mutex_unlock(&d->lock);
}

uint64_t sw_devices_memory(struct sw_devices *d)
{
	uint64_t bytes = d->zswap ? sw_zswap_pages(d->zswap) * SW_PAGE_SIZE : 0;

	sw_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->nr; i++) {
		struct sw_store_stats st;

		if (!d->device[i].store)
			continue;
		d->device[i].kind->stats(d->device[i].store, &st);
		bytes += st.mem_bytes;
	}
	sw_mutex_unlock(&d->lock);
	return bytes;
}

unsigned sw_devices_list(struct sw_devices *d,
			 struct sw_device_line line[SW_MAX_DEVICES])
{
	unsigned nr = 0;

	sw_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->nr; i++) {
		struct sw_device *dev = &d->device[i];
		struct sw_swap_device_info info;
		struct sw_device_line *l = &line[nr];

		if (!dev->store || !swap_device_info(dev->type, &info))
			continue;
		memcpy(l->name, d->report[i].name, sizeof(l->name));
		l->kind = dev->kind->name;
		l->size_bytes = info.pages * SW_PAGE_SIZE;
		l->used_bytes = info.used * SW_PAGE_SIZE;
		l->prio = info.prio;
		nr++;
	}
	sw_mutex_unlock(&d->lock);
	return nr;
}

bool sw_device_is_called(const char *device, const char *name)
{
	const char *path = strchr(device, ':');

	return !strcmp(device, name) || (path && !strcmp(path + 1, name));
}

/* Marks it as going. -errno after a line. */
static int find_to_remove(struct sw_devices *d, const char *name)
{
	int found = -ENOENT;

	sw_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->nr && found < 0; i++) {
		if (!d->device[i].store ||
		    !sw_device_is_called(d->report[i].name, name))
			continue;
		found = -EBUSY;
		if (d->device[i].state == SW_DEVICE_ON) {
			d->device[i].state = SW_DEVICE_GOING;
			found = i;
		}
	}
	sw_mutex_unlock(&d->lock);
	if (found == -ENOENT)
		sw_error("%s: no such device is on; 'spillway show' lists them",
			 name);
	else if (found < 0)
		sw_error("%s: is going off already", name);
	return found;
}

int sw_devices_remove(struct sw_devices *d, const char *name,
		      int (*off)(void *arg, unsigned type), void *arg)
{
	int i = find_to_remove(d, name), err;
	struct sw_device gone = { 0 };

	if (i < 0)
		return i;
	sw_devices_sample(d);
	err = off(arg, d->device[i].type);
	sw_mutex_lock(&d->lock);
	d->device[i].state = SW_DEVICE_ON;
	if (!err) {
		gone = d->device[i];
		d->device[i] = (struct sw_device){ 0 };
		d->report[i].used_pages = 0;
	}
	sw_mutex_unlock(&d->lock);
	if (!err)
		device_close(&gone);
	return err;
}

void sw_devices_off(struct sw_devices *d)
{
	bool in_use = false;

	for (unsigned i = d->nr; i-- > 0;) {
		struct sw_device *dev = &d->device[i];
		int err;

		if (!dev->store)
			continue;
		err = swapoff(dev->type, NULL, NULL);
		if (err) {
			sw_error(
				"swap device %u is still in use at the end: %s",
				i, strerror(-err));
			in_use = true;
			continue;
		}
		device_close(dev);
	}
	if (!in_use)
		sw_zswap_close(d->zswap);
	sw_mutex_destroy(&d->lock);
	swap_exit();
}
