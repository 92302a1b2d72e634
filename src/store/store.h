/*
 * store.h - where the bytes of slots live. A store is made by its kind's
 * open call, handed to swapon() as ops + store, and closed when the device is
 * off: compressed memory, and files and block devices.
 */
#ifndef SW_STORE_H
#define SW_STORE_H

#include "swap/swap.h"

struct sw_store_stats {
	uint64_t pages;       /* pages held, zero and same-filled included */
	uint64_t same_pages;  /* of these: one word each, no memory */
	uint64_t raw_pages;   /* of these: incompressible */
	uint64_t compr_bytes; /* sum of compressed sizes */
	uint64_t mem_bytes;   /* memory taken from the system for them */
	uint64_t mem_bytes_peak;
	uint64_t meta_bytes;    /* beside mem_bytes: handles, sums, spans */
	uint64_t read_errors;   /* pages that could not be given back */
	uint64_t write_nomem;   /* writes refused with -ENOMEM */
	uint64_t write_errors;  /* writes that the disk refused */
	uint64_t moved_objects; /* by compaction */
};

/*
 * Compressed memory (zram): room for `nr_slots` pages, slot 0 included. NULL
 * with errno ENOMEM, or EINVAL for a codec nobody knows. The ops are
 * thread-safe; two calls on one slot are not concurrent except read with read.
 *
 * write: pages are stored in groups of SWAPFILE_CLUSTER; -ENOMEM leaves the
 * slots of the group that did not fit, and all after it, as they were. Up to
 * that many pages are so stored all or none. read: -EIO when a slot is empty
 * or damaged; pages before it are good. -ENOMEM: nothing is lost, try again (a
 * thread's first read with a codec that wants scratch memory; lz4 does not).
 * Both: -EINVAL outside the device. discard also gives back the handles of
 * whole clusters, which slot_free keeps.
 */
struct sw_zram;
struct sw_zram *sw_zram_open(uint64_t nr_slots, const char *codec);
void sw_zram_close(struct sw_zram *zram);
void sw_zram_stats(struct sw_zram *zram, struct sw_store_stats *stats);
/* Writes that would take more than this from the system are refused;
 * 0: no limit. As the kernel's mem_limit. */
void sw_zram_set_limit(struct sw_zram *zram, uint64_t mem_bytes);

/* Gathers what is left after much was freed, so that mem_bytes comes near
 * compr_bytes again; returns how many objects it moved. Writers do it bit by
 * bit; this is for moments when nothing is written. Safe at any time, beside
 * all other calls; 0 at once when there is little to gain or another thread
 * is at it. */
uint64_t sw_zram_compact(struct sw_zram *zram);

extern const struct swap_ops sw_zram_ops;

/*
 * A file or a block device that holds a swap area. `path` is
 *
 *      a folder, or nothing yet      a file is made there, of size_bytes, with
 *                                    all its room reserved, mode 0600, and
 *                                    without a name as soon as it is open: it
 *                                    goes with its last descriptor
 *      a file                        with the header of mkswap, for as many
 *                                    bytes as size_bytes says, unless 0
 *      a block device                with that header, used by nobody else
 *
 * and everything else is refused: NULL with errno, after a line. An area that
 * was there is never made anew, its header never written. `encrypt`: pages are
 * encrypted with a key that nobody can know once the store is closed. The last
 * slot is discarded when `discard` asks whether that can be done.
 *
 * write: after an error all its slots are empty. read: -EIO when a slot is
 * empty or its bytes are not those written, or the disk fails; then no page
 * is good, and who wants those that are reads one by one, by which a slot that
 * is damaged gets one line and one count. A read that gets no answer for 1 s is
 * -EINPROGRESS, a write after 30 s -ETIMEDOUT (struct swap_ops), which is said
 * once, as is their end; not where io_uring is forbidden. -ENOMEM: nothing is
 * lost, try again (a thread's first transfer from or to memory that does not
 * lie on a page's border, or its first encrypted write). Both: -EINVAL outside
 * the area, and for slot 0. discard: a file keeps its room, unless it fails.
 */
struct sw_disk_spec {
	const char *path;
	bool is_block;
	uint64_t size_bytes; /* 0: what is there */
	bool encrypt;
	bool discard; /* see whether it can */
};

struct sw_disk_info {
	const char *name;    /* "file:PATH" or "block:PATH" */
	const char *label;   /* "" where there is none */
	const uint8_t *uuid; /* 16 bytes, zeros where there is none */
	uint64_t max;        /* as swapon_spec has it, and the next two */
	const uint64_t *bad; /* ascending */
	unsigned nr_bad;
	bool uring;    /* io_uring, else pread and pwrite */
	bool direct;   /* past the page cache */
	bool rotating; /* a head moves, or so the device says */
	bool encrypted;
	bool discards; /* swapon() may be told of it */
};

struct sw_disk;
struct sw_disk *sw_disk_open(const struct sw_disk_spec *spec);
void sw_disk_close(struct sw_disk *disk);
/* What it points to is good until the store is closed. */
void sw_disk_info(const struct sw_disk *disk, struct sw_disk_info *info);
/* meta_bytes is what it will be at most. */
void sw_disk_stats(struct sw_disk *disk, struct sw_store_stats *stats);

extern const struct swap_ops sw_disk_ops;

#endif
