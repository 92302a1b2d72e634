/*
 * disk_req.h - a request to a disk: one stretch of its file, and memory in
 * pieces. Made by disk_batch.c, carried out by disk_ring.c or disk_threads.c.
 */
#ifndef SW_STORE_DISK_REQ_H
#define SW_STORE_DISK_REQ_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

struct sw_disk_req {
	struct iovec *iov;
	unsigned nr_iov;
	size_t len;
	uint64_t pos;
	ssize_t res; /* 0: not tried yet; else what preadv() gives, or -errno */
	unsigned first, nr_io; /* disk_batch.c's */
	unsigned char *buf;    /* disk_ring.c's: where a read arrives */
};

/* A number of them, none of which depends on another. */
struct sw_disk_reqs {
	struct sw_disk_req *req;
	unsigned nr;
	bool write;
	/* Called by the thread that brought them for each that the disk has
	 * been given (a write) or has given all of (a read). */
	void (*look)(void *arg, struct sw_disk_req *req);
	void *arg;
};

#endif
