/*
 * devices.c - the swap devices of an instance: opened from its plan, turned on,
 * turned off at its end. The swap layer under them is one a process; instances
 * are kept apart by the set of devices each allocates from.
 *
 * Above: instance.c. Below: store/, swap/. A new kind of device is a row in
 * kinds[], and a name in options.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "lib/lib_internal.h"
#include "store/store.h"
#include "swap/swap_guest.h"

struct sw_lib_kind {
	void *(*open)(const struct sw_lib_device *dev, struct swapon_spec *on);
	void (*stats)(void *store, struct sw_store_stats *stats);
	void (*close)(void *store);
};

static void *zram_open(const struct sw_lib_device *dev, struct swapon_spec *on)
{
	on->name = "zram";
	on->ops = &sw_zram_ops;
	on->max = dev->size_bytes / SW_PAGE_SIZE + 1; /* slot 0 has no page */
	on->flags = SWP_SOLIDSTATE | SWP_SYNCHRONOUS_IO | SWP_BLKDEV;
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

static void *disk_open(const struct sw_lib_device *dev, struct swapon_spec *on)
{
	const struct sw_disk_spec what = {
		.path = dev->path,
		.is_block = dev->kind == SW_LIB_BLOCK,
		.size_bytes = dev->size_bytes,
	};
	struct sw_disk *disk = sw_disk_open(&what);
	struct sw_disk_info info;

	if (!disk)
		return NULL;
	sw_disk_info(disk, &info);
	on->name = info.name;
	on->ops = &sw_disk_ops;
	on->max = info.max;
	on->bad = info.bad;
	on->nr_bad = info.nr_bad;
	on->flags = SWP_STABLE_WRITES | SWP_CLUSTERED;
	if (!info.rotating)
		on->flags |= SWP_SOLIDSTATE;
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

static const struct sw_lib_kind kinds[] = {
	[SW_LIB_ZRAM] = { zram_open, zram_stats, zram_close },
	[SW_LIB_FILE] = { disk_open, disk_stats, disk_close },
	[SW_LIB_BLOCK] = { disk_open, disk_stats, disk_close },
};

/* ---- the swap layer ---- */

static unsigned process_users; /* sw_lib_life_lock() */

int sw_lib_process_get(void)
{
	int err = 0;

	if (!process_users) {
		sw_mem_avoid_malloc();
		sw_log_silence();
		err = swap_init();
	}
	if (!process_users && !err)
		swap_guest_init();
	process_users += !err;
	return err;
}

void sw_lib_process_put(void)
{
	if (!--process_users)
		swap_exit();
}

/* ---- all of them ---- */

static int store_on(struct sw_lib_store *s, const struct sw_lib_device *dev)
{
	struct swapon_spec on = { .prio = dev->prio };
	int type;

	s->kind = &kinds[dev->kind];
	s->store = s->kind->open(dev, &on);
	if (!s->store) {
		int err = errno ? -errno : -ENOMEM;

		sw_error("a device cannot be opened: %s", strerror(-err));
		return err;
	}
	on.store = s->store;
	type = swapon(&on);
	if (type < 0) {
		sw_error("%s: cannot be turned on: %s", on.name,
			 type == -EPERM ? "a process has 24 devices at most"
					: strerror(-type));
		s->kind->close(s->store);
		return type == -EPERM ? -EMFILE : type;
	}
	s->type = type;
	return 0;
}

int sw_lib_stores_on(struct sw_lib_stores *s, const struct sw_lib_plan *plan)
{
	int err = 0;

	s->all_in_memory = true;
	for (unsigned i = 0; i < plan->nr_devices && !err; i++) {
		err = store_on(&s->at[i], &plan->device[i]);
		if (err)
			break;
		s->devices |= 1u << s->at[i].type;
		s->all_in_memory &= plan->device[i].kind == SW_LIB_ZRAM;
		s->nr++;
	}
	if (err)
		sw_lib_stores_off(s);
	return err;
}

void sw_lib_stores_off(struct sw_lib_stores *s)
{
	while (s->nr) {
		struct sw_lib_store *store = &s->at[--s->nr];
		int err = swapoff(store->type, NULL, NULL);

		SW_BUG_ON(err); /* a page of a region that is gone */
		store->kind->close(store->store);
	}
	s->devices = 0;
}

void sw_lib_stores_stats(const struct sw_lib_stores *s,
			 struct spillway_stats *stats)
{
	struct sw_swap_device_info info;

	for (unsigned i = 0; i < s->nr; i++) {
		struct sw_store_stats st = { 0 };

		s->at[i].kind->stats(s->at[i].store, &st);
		stats->memory_bytes += st.mem_bytes + st.meta_bytes;
		stats->read_errors += st.read_errors;
		stats->write_errors += st.write_errors + st.write_nomem;
		if (!swap_device_info(s->at[i].type, &info))
			continue;
		stats->device_bytes += info.pages * SW_PAGE_SIZE;
		stats->device_used_bytes += info.used * SW_PAGE_SIZE;
	}
}
