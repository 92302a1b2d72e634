/*
 * devices.c - see devices.h. Above: session.c. Below: store/, swap/.
 */
#include "run/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/kind.h"
#include "swap/swap.h"

static void write_uuid(char text[SW_UUID_TEXT_MAX], const uint8_t uuid[16])
{
	static const uint8_t none[16];
	size_t len = 0;

	text[0] = 0;
	if (!memcmp(uuid, none, sizeof(none)))
		return;
	for (unsigned i = 0; i < 16; i++)
		len += snprintf(text + len, SW_UUID_TEXT_MAX - len, "%s%02x",
				i >= 4 && i <= 10 && i % 2 == 0 ? "-" : "",
				uuid[i]);
}

/* What the report says of it from the beginning. */
static void describe(struct sw_report_device *r, const struct sw_device *dev,
		     const struct sw_device_spec *spec, unsigned index,
		     const struct sw_disk_info *disk)
{
	static const char *const discards[] = {
		[SW_DISCARD_ONCE] = "once",
		[SW_DISCARD_PAGES] = "pages",
		[SW_DISCARD_ONCE | SW_DISCARD_PAGES] = "both",
	};

	if (dev->kind->is_memory) {
		r->size_bytes = spec->size_bytes;
		snprintf(r->name, sizeof(r->name), "%s%u", spec->kind, index);
		return;
	}
	r->size_bytes = disk->max * SW_PAGE_SIZE;
	r->on_disk = true;
	r->uring = disk->uring;
	r->direct = disk->direct;
	r->encrypted = disk->encrypted;
	r->discard = disk->discards ? discards[spec->discard] : NULL;
	snprintf(r->name, sizeof(r->name), "%s", disk->name);
	snprintf(r->label, sizeof(r->label), "%s", disk->label);
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
	const struct sw_store_spec what = {
		.path = spec->path,
		.size_bytes = spec->size_bytes,
		.encrypt = spec->encrypt,
		.discard = spec->discard,
	};
	struct swapon_spec on = { .prio = spec->prio };
	struct sw_disk_info disk;
	int type, err;

	dev->kind = sw_store_kind_lookup(spec->kind, strlen(spec->kind));
	SW_BUG_ON(!dev->kind);
	err = dev->kind->open(&what, &on, &disk);
	if (err)
		return err;
	dev->store = on.store;
	describe(report, dev, spec, index, &disk);
	if (!dev->kind->is_memory)
		write_uuid(dev->uuid, disk.uuid);
	on.name = report->name;
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
void sw_devices_set_budget(struct sw_devices *d, uint64_t budget_bytes)
{
	uint64_t bytes = sw_min(d->zswap_bytes, budget_bytes / 2);

	if (!d->zswap)
		return;
	if (bytes < d->zswap_bytes)
		sw_info("zswap: of its size, half of the budget is used");
	sw_mutex_lock(&d->lock);
	d->zswap_report.size_bytes = bytes;
	sw_mutex_unlock(&d->lock);
	sw_zswap_set_limit(d->zswap, bytes);
}

static int open_zswap(struct sw_devices *d, const struct sw_run_options *opt)
{
	/* The budget may grow, hardly beyond the machine. */
	const uint64_t most =
		sw_max(opt->budget_bytes, sw_ram_bytes() & SW_PAGE_MASK) / 2;
	const struct sw_zswap_config config = {
		.size_bytes = sw_min(opt->zswap.size_bytes, most),
		.codec = opt->zswap.codec,
		.strong = opt->zswap.strong,
	};

	if (!config.size_bytes)
		return 0;
	d->zswap_bytes = config.size_bytes;
	d->zswap_report.codec = config.codec;
	d->zswap = sw_zswap_open(&config);
	if (!d->zswap)
		return -errno;
	sw_devices_set_budget(d, opt->budget_bytes);
	return 0;
}

static void say_held(void)
{
	sw_error("the session is being checked; try again");
}

/* A place for one more, the first that is free; -1 after a line. */
static int take_place(struct sw_devices *d)
{
	unsigned i = 0;
	bool held;

	sw_mutex_lock(&d->lock);
	held = d->held;
	while (i < SW_MAX_DEVICES && d->device[i].state)
		i++;
	if (!held && i < SW_MAX_DEVICES)
		d->device[i].state = SW_DEVICE_COMING;
	sw_mutex_unlock(&d->lock);
	if (held)
		say_held();
	else if (i == SW_MAX_DEVICES)
		sw_error("at most %u devices can be used", SW_MAX_DEVICES);
	return !held && i < SW_MAX_DEVICES ? (int)i : -1;
}

bool sw_devices_hold(struct sw_devices *d)
{
	bool free;

	sw_mutex_lock(&d->lock);
	free = !d->held;
	for (unsigned i = 0; i < SW_MAX_DEVICES; i++)
		free &= d->device[i].state == SW_DEVICE_NONE ||
			d->device[i].state == SW_DEVICE_ON;
	d->held |= free;
	sw_mutex_unlock(&d->lock);
	return free;
}

void sw_devices_let_go(struct sw_devices *d)
{
	sw_mutex_lock(&d->lock);
	d->held = false;
	sw_mutex_unlock(&d->lock);
}

int sw_devices_add(struct sw_devices *d, const struct sw_device_spec *spec,
		   char name[SW_DEVICE_NAME_MAX])
{
	struct sw_report_device report = { 0 };
	struct sw_device dev = { 0 };
	int i = take_place(d), err;

	if (i < 0)
		return -EPERM;
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

static struct sw_device_line line_of(const struct sw_device *dev,
				     const struct sw_report_device *report,
				     const struct sw_swap_device_info *info)
{
	struct sw_device_line l = {
		.kind = dev->kind->name,
		.size_bytes = info->pages * SW_PAGE_SIZE,
		.used_bytes = info->used * SW_PAGE_SIZE,
		.prio = info->prio,
		.type = dev->type,
	};
	struct sw_store_stats st;

	memcpy(l.name, report->name, sizeof(l.name));
	memcpy(l.label, report->label, sizeof(l.label));
	memcpy(l.uuid, dev->uuid, sizeof(l.uuid));
	if (dev->kind->is_memory) {
		dev->kind->stats(dev->store, &st);
		l.stored_bytes = st.pages * SW_PAGE_SIZE;
		l.memory_bytes = st.mem_bytes;
	}
	return l;
}

unsigned sw_devices_list(struct sw_devices *d,
			 struct sw_device_line line[SW_MAX_DEVICES])
{
	unsigned nr = 0;

	sw_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->nr; i++) {
		struct sw_device *dev = &d->device[i];
		struct sw_swap_device_info info;

		if (dev->store && swap_device_info(dev->type, &info))
			line[nr++] = line_of(dev, &d->report[i], &info);
	}
	sw_mutex_unlock(&d->lock);
	return nr;
}

bool sw_device_is_called(const char *device, const char *name)
{
	const char *path = strchr(device, ':');

	return !strcmp(device, name) || (path && !strcmp(path + 1, name));
}

static void say_no_such(const char *name)
{
	sw_error("%s: no such device is on; 'spillway show' lists them", name);
}

bool sw_devices_find(struct sw_devices *d, const char *name,
		     struct sw_device_line *found)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(d, line);

	for (unsigned i = 0; i < nr; i++) {
		if (!sw_device_is_called(line[i].name, name))
			continue;
		*found = line[i];
		return true;
	}
	say_no_such(name);
	return false;
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
		found = d->held ? -EAGAIN : -EBUSY;
		if (!d->held && d->device[i].state == SW_DEVICE_ON) {
			d->device[i].state = SW_DEVICE_GOING;
			found = i;
		}
	}
	sw_mutex_unlock(&d->lock);
	if (found == -ENOENT)
		say_no_such(name);
	else if (found == -EAGAIN)
		say_held();
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

/* The place of a device that is on. Lock held. */
static int place_of(struct sw_devices *d, unsigned type)
{
	for (unsigned i = 0; i < d->nr; i++)
		if (d->device[i].store && d->device[i].type == type)
			return i;
	return -1;
}

bool sw_devices_take(struct sw_devices *d, unsigned type,
		     char name[SW_DEVICE_NAME_MAX])
{
	bool taken = false;
	int i;

	sw_mutex_lock(&d->lock);
	i = place_of(d, type);
	if (i >= 0 && !d->held && d->device[i].state == SW_DEVICE_ON) {
		d->device[i].state = SW_DEVICE_GOING;
		memcpy(name, d->report[i].name, SW_DEVICE_NAME_MAX);
		taken = true;
	}
	sw_mutex_unlock(&d->lock);
	return taken;
}

void sw_devices_give(struct sw_devices *d, unsigned type)
{
	sw_mutex_lock(&d->lock);
	d->device[place_of(d, type)].state = SW_DEVICE_ON;
	sw_mutex_unlock(&d->lock);
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
