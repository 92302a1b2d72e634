/*
 * disk_ring.h - a few io_urings over one file. Each serves one request at a
 * time, or one batch of them, for whoever takes it: nobody waits for a ring, and
 * for an answer only so long. Private to the disk store.
 */
#ifndef SW_STORE_DISK_RING_H
#define SW_STORE_DISK_RING_H

#include "store/disk_req.h"

/* All that a batch may read. */
#define SW_RINGS_READ_BYTES (64 * SW_PAGE_SIZE)

struct sw_rings;

/* How long an answer is waited for, by read and write. For tests to change,
 * while no other thread is in a store. */
extern uint64_t sw_rings_patience_ns[2];

/* `name` is for messages, and stays the caller's. NULL with errno where the
 * kernel, or who confines us, forbids it. */
struct sw_rings *sw_rings_open(int fd, const char *name);
/* Nobody is inside sw_rings_move() or sw_rings_run(). */
void sw_rings_close(struct sw_rings *rings);

/*
 * Reads or writes and waits for the end of it. False: no ring is free, or the
 * kernel took no request; nothing was done, and pread() will do as well. Else
 * *n is what pread() would give for as much as goes at once, or -errno:
 * -EINPROGRESS for a read and -ETIMEDOUT for a write whose answer is still to
 * come (swap.h, struct swap_ops).
 */
bool sw_rings_move(struct sw_rings *rings, bool write, void *buf, size_t len,
		   uint64_t pos, ssize_t *n);

/*
 * Carries out those of a batch that were not tried, a bounded number at a time,
 * and waits for the end of them, but no longer than for one. False: no ring is
 * free, nothing was tried. What has no result afterwards was not tried: the
 * kernel took no more, or the disk owes answers, so that requests should go one
 * by one through sw_rings_move(). Late are -EINPROGRESS and -ETIMEDOUT, as
 * there, also for what waited its turn; but a late read of a batch is lost, and
 * the same again is asked anew.
 */
bool sw_rings_run(struct sw_rings *rings, struct sw_disk_reqs *reqs);

/* Requests, or batches of them, that have gone without an answer for too long. */
unsigned sw_rings_late(struct sw_rings *rings);

#endif
