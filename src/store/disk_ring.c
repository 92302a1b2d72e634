/*
 * disk_ring.c - see disk_ring.h. A ring belongs to the thread that took its
 * bit, from then until it is given back: no lock is held over the I/O.
 *
 * Nothing is registered. The buffers are the callers', and a copy into one of
 * ours costs more than pinning a page; and a registered file is let go some
 * time after the ring, so that the area seems to be in use still.
 */
#include "store/disk_ring.h"

#include <errno.h>
#include <liburing.h>

#include "store/sysmem.h"

#define RINGS 4u /* more threads than that at once use pread() */

struct sw_rings {
	int fd; /* [const] */
	struct io_uring ring[RINGS];
	unsigned nr;   /* [const] that there are */
	uint32_t free; /* [atomic] a bit for each that nobody has */
};

struct sw_rings *sw_rings_open(int fd)
{
	struct sw_rings *r = sw_sysmem_reserve(sizeof(*r));
	int err = 0;

	if (!r) {
		errno = ENOMEM;
		return NULL;
	}
	while (!err && r->nr < RINGS) {
		struct io_uring_params p = {
			.flags = IORING_SETUP_COOP_TASKRUN,
		};

		err = io_uring_queue_init_params(1, &r->ring[r->nr], &p);
		r->nr += !err;
	}
	/* Fewer will do. */
	if (!r->nr) {
		sw_sysmem_release(r, sizeof(*r));
		errno = -err;
		return NULL;
	}
	r->fd = fd;
	r->free = (1u << r->nr) - 1;
	return r;
}

void sw_rings_close(struct sw_rings *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->nr; i++)
		io_uring_queue_exit(&r->ring[i]);
	sw_sysmem_release(r, sizeof(*r));
}

/* -1: none is free. */
static int take(struct sw_rings *r)
{
	uint32_t free = __atomic_load_n(&r->free, __ATOMIC_RELAXED);

	do {
		if (!free)
			return -1;
		/* Pairs with the release in give(). */
	} while (!__atomic_compare_exchange_n(
		&r->free, &free, free & (free - 1), true, __ATOMIC_ACQUIRE,
		__ATOMIC_RELAXED));
	return __builtin_ctz(free);
}

static void give(struct sw_rings *r, int i)
{
	/* Pairs with the acquire in take(): who has it next sees it empty. */
	(void)__atomic_fetch_or(&r->free, 1u << i, __ATOMIC_RELEASE);
}

/* The kernel is at work on the caller's memory: only its answer ends that. */
static ssize_t wait_for_answer(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	ssize_t n;
	int err;

	do {
		err = io_uring_wait_cqe(ring, &cqe);
	} while (err == -EINTR || err == -EAGAIN);
	SW_BUG_ON(err);
	n = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return n;
}

bool sw_rings_move(struct sw_rings *r, bool write, void *buf, size_t len,
		   uint64_t pos, ssize_t *n)
{
	int i = take(r), taken;
	struct io_uring *ring;
	struct io_uring_sqe *sqe;

	if (i < 0)
		return false;
	ring = &r->ring[i];
	sqe = io_uring_get_sqe(ring);
	SW_BUG_ON(!sqe);
	if (write)
		io_uring_prep_write(sqe, r->fd, buf, len, pos);
	else
		io_uring_prep_read(sqe, r->fd, buf, len, pos);
	do {
		taken = io_uring_submit_and_wait(ring, 1);
	} while (taken == -EINTR);
	/* The request lies in the ring, where it must not be found later: the
	 * ring is not used again. It costs nothing but the ring. */
	if (taken != 1)
		return false;
	*n = wait_for_answer(ring);
	give(r, i);
	return *n != -EAGAIN;
}
