/*
 * kind.c - see kind.h. Above: run/devices.c, lib/devices.c. Below: zram.c,
 * disk.c.
 *
 * A new kind of device is a row in kinds[].
 */
#include "store/kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- compressed memory ---- */

static int zram_open(const struct sw_store_spec *spec, struct swapon_spec *on,
		     struct sw_disk_info *disk)
{
	on->name = "zram";
	on->ops = &sw_zram_ops;
	/* Slot 0 is the header's and holds no page. */
	on->max = spec->size_bytes / SW_PAGE_SIZE + 1;
	on->flags = SWP_SOLIDSTATE | SWP_SYNCHRONOUS_IO | SWP_BLKDEV;
	on->store = sw_zram_open(on->max, "lz4");
	return on->store ? 0 : -errno;
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

static unsigned discard_flags(unsigned policy)
{
	return SWP_DISCARDABLE |
	       (policy & SW_DISCARD_ONCE ? SWP_AREA_DISCARD : 0) |
	       (policy & SW_DISCARD_PAGES ? SWP_PAGE_DISCARD : 0);
}

static int disk_open(const struct sw_store_spec *spec, bool is_block,
		     struct swapon_spec *on, struct sw_disk_info *disk)
{
	const struct sw_disk_spec what = {
		.path = spec->path,
		.is_block = is_block,
		.size_bytes = spec->size_bytes,
		.encrypt = spec->encrypt,
		.discard = spec->discard,
	};

	on->store = sw_disk_open(&what);
	if (!on->store)
		return -errno;
	sw_disk_info(on->store, disk);
	on->name = disk->name;
	on->ops = &sw_disk_ops;
	on->max = disk->max;
	on->bad = disk->bad;
	on->nr_bad = disk->nr_bad;
	/* The sum is taken of what is being written. */
	on->flags = SWP_STABLE_WRITES | SWP_CLUSTERED;
	if (!disk->rotating)
		on->flags |= SWP_SOLIDSTATE;
	if (is_block)
		on->flags |= SWP_BLKDEV;
	if (disk->discards)
		on->flags |= discard_flags(spec->discard);
	return 0;
}

static int file_open(const struct sw_store_spec *spec, struct swapon_spec *on,
		     struct sw_disk_info *disk)
{
	return disk_open(spec, false, on, disk);
}

static int block_open(const struct sw_store_spec *spec, struct swapon_spec *on,
		      struct sw_disk_info *disk)
{
	return disk_open(spec, true, on, disk);
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
	{
		.name = "zram",
		.form = "zram:[SIZE][,prio=N] (compressed memory)",
		.is_memory = true,
		.open = zram_open,
		.stats = zram_stats,
		.close = zram_close,
	},
	{
		.name = "file",
		.form = "file:PATH[,size=SIZE][,prio=N] (a swap file)",
		.has_size = true,
		.open = file_open,
		.stats = disk_stats,
		.close = disk_close,
	},
	{
		.name = "block",
		.form = "block:DEVICE[,prio=N] (a block device)",
		.open = block_open,
		.stats = disk_stats,
		.close = disk_close,
	},
};

const struct sw_store_kind *sw_store_kind_lookup(const char *name, size_t len)
{
	for (unsigned i = 0; i < SW_ARRAY_SIZE(kinds); i++)
		if (!strncmp(kinds[i].name, name, len) && !kinds[i].name[len])
			return &kinds[i];
	return NULL;
}

const char *sw_store_kinds_known(char buf[256])
{
	size_t n = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(kinds) && n < 256; i++)
		n += snprintf(buf + n, 256 - n, "%s%s", i ? ", " : "",
			      kinds[i].form);
	return buf;
}
