/*
 * disk_ring.h - a few io_urings over one file. Each serves one request at a
 * time, for whoever takes it: nobody waits for a ring. Private to disk.c.
 */
#ifndef SW_STORE_DISK_RING_H
#define SW_STORE_DISK_RING_H

#include <sys/types.h>

#include "base/base.h"

struct sw_rings;

/* NULL with errno where the kernel, or who confines us, forbids it. */
struct sw_rings *sw_rings_open(int fd);
/* Nobody is inside sw_rings_move(). */
void sw_rings_close(struct sw_rings *rings);

/*
 * Reads or writes and waits for the end of it. False: no ring is free, or the
 * kernel took no request; nothing was done, and pread() will do as well. Else
 * *n is what pread() would give, or -errno.
 */
bool sw_rings_move(struct sw_rings *rings, bool write, void *buf, size_t len,
		   uint64_t pos, ssize_t *n);

#endif
