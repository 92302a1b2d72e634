/*
 * disk_ring_internal.h - the structs and the calls between disk_ring.c (requests
 * and batches) and disk_ring_late.c (those that are not answered in time).
 */
#ifndef SW_STORE_DISK_RING_INTERNAL_H
#define SW_STORE_DISK_RING_INTERNAL_H

#include <liburing.h>

#include "base/lock.h"
#include "store/disk_ring.h"

#define SW_RINGS   8u /* more threads than that at once use pread() */
#define SW_RING_NS 1000000000ull

/* The state of a ring's last request, once it is late. */
enum sw_ring_late {
	SW_RING_ON_TIME = 0,
	SW_RING_LATE,
	SW_RING_ANSWERED, /* and the bytes are there for who asks again */
};

struct sw_ring {
	struct io_uring uring;
	unsigned char *buf; /* [const] */

	/* Of the request or the batch: the lock, once it is late. */
	enum sw_ring_late late;
	unsigned owed; /* answers that did not come */
	bool broken;   /* not to be used again */
	bool write;
	bool is_void; /* nobody wants these bytes any more */
	uint64_t pos;
	size_t len;
	ssize_t n; /* SW_RING_ANSWERED: what pread() would give */
};

struct sw_rings {
	int fd;           /* [const] */
	const char *name; /* [const] */
	unsigned nr;      /* [const] that there are */
	unsigned char *bufs;
	struct sw_ring ring[SW_RINGS];
	uint32_t free;        /* [atomic] a bit for each that nobody has */
	unsigned nr_held;     /* [atomic] not on time; changes with the lock */
	struct sw_mutex lock; /* SW_RANK_STORE */
	unsigned nr_late;     /* lock: late reads and writes */
	unsigned nr_late_write; /* lock: of these */
	uint64_t silent_ns;     /* lock: since when the first of them waits */
};

/* ---- disk_ring.c ---- */

/* Whoever takes the ring next sees it empty. */
void sw_ring_give(struct sw_rings *r, const struct sw_ring *ring);

/* ---- disk_ring_late.c ---- */

/* So many answers did not come in time: the ring stays taken. */
void sw_ring_hold(struct sw_rings *r, struct sw_ring *ring, unsigned owed,
		  bool is_void);
/* Of a request, before it is made. True: *n is all there is to say. */
bool sw_ring_known(struct sw_rings *r, bool write, void *buf, size_t len,
		   uint64_t pos, ssize_t *n);
/* True: a batch is no good now. */
bool sw_rings_owe(struct sw_rings *r, const struct sw_disk_reqs *reqs);

#endif
