/*
 * disk.h - the inside of a store on a disk: what disk.c (pages), disk_batch.c
 * (many at once), disk_area.c (finding and making the area), disk_discard.c and
 * tests share.
 */
#ifndef SW_STORE_DISK_H
#define SW_STORE_DISK_H

#include <sys/types.h>

#include "store/store.h"
#include "store/swap_header.h"

struct sw_crypt;
struct sw_disk_threads;
struct sw_rings;

struct sw_disk {
	char *name;                      /* [const] for messages */
	int fd;                          /* [const] */
	bool direct;                     /* [const] past the page cache */
	bool is_block;                   /* [const] */
	bool discards;                   /* [const] it was tried */
	bool rotating;                   /* [const] a head has to move */
	struct sw_rings *rings;          /* [const] or NULL */
	struct sw_disk_threads *threads; /* [const] where rings are not */
	struct sw_swap_header header;    /* [const] */
	struct sw_crypt *crypt;          /* [const] or NULL: not encrypted */
	uint32_t *sums;        /* or NULL; each its slot's one writer's */
	uint64_t *said;        /* [atomic] a bit a slot: see damaged() */
	uint64_t pages;        /* [atomic] slots that are written */
	uint64_t read_errors;  /* [atomic] */
	uint64_t write_errors; /* [atomic] */
};

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
 * Does the device, or the one that a file lies on, say that it rotates? `sys` is
 * /sys/dev/block but in tests. False where nobody knows.
 */
bool sw_disk_is_rotating(const char *sys, dev_t dev);

/* Are the slots those of pages? Says nothing. */
bool sw_disk_in_range(const struct sw_disk *d, uint64_t offset, uint64_t nr);

/* Is there a page in the slot? */
bool sw_disk_is_written(const struct sw_disk *d, uint64_t slot);

/* What is remembered of slots: forgotten; taken of pages that are written as
 * they are, in an area that is not encrypted. */
void sw_disk_forget(struct sw_disk *d, uint64_t offset, uint64_t nr);
void sw_disk_note(struct sw_disk *d, uint64_t offset, unsigned nr,
		  const void *pages);
/* How many pages of what was read from slots that are written, from the first
 * on, are what was written; `nr`: all. Encrypted ones are opened in place. */
SW_MUST_CHECK unsigned sw_disk_count_good(const struct sw_disk *d,
					  uint64_t offset, unsigned nr,
					  void *pages);

/* The operation `batch` of sw_disk_ops. */
void sw_disk_batch(void *store, bool write, struct swap_io *io, unsigned nr);

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
