/*
 * disk.h - the inside of a store on a disk: what disk.c (pages), disk_area.c
 * (finding and making the area), disk_discard.c and tests share.
 */
#ifndef SW_STORE_DISK_H
#define SW_STORE_DISK_H

#include "store/store.h"
#include "store/swap_header.h"

struct sw_rings;

/*
 * Finds the area that a spec names, or makes it: an open descriptor, which
 * goes through the page cache, and its header. -errno after a line that
 * begins with `name`; no file was left or changed then, but *fd may be open:
 * unless it is below 0 it is the caller's to close.
 */
SW_MUST_CHECK int sw_disk_area_open(const struct sw_disk_spec *spec,
				    const char *name, int *fd,
				    struct sw_swap_header *h);

/*
 * Tells the disk that these bytes, whole pages, are of no use any more; what
 * they are afterwards nobody knows. -errno: perhaps some of it was told, and a
 * file may have lost some of its room.
 */
SW_MUST_CHECK int sw_disk_area_discard(int fd, bool is_block, uint64_t pos,
				       uint64_t len);

/*
 * For tests: asked before each transfer, which may be made shorter. What it
 * returns, unless 0, is the transfer's -errno. Set it while no other thread is
 * in a store.
 */
extern int (*sw_disk_fault)(bool write, size_t *len);

#endif
