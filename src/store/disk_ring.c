/*
 * disk_ring.c - see disk_ring.h. A ring belongs to the thread that took its
 * bit, from then until it is given back: no lock is held over the I/O.
 *
 * What is not answered in time stays in its ring: disk_ring_late.c.
 *
 * Nothing is registered: the staging area gives back what falls free, which
 * registering forbids, and to copy into buffers that stay costs more than it saves
 * (docs/devices.md). A registered file is let go some time after the ring, so
 * that the area seems to be in use still.
 */
#include "store/disk_ring_internal.h"

#include <errno.h>
#include <string.h>

#include "base/time.h"
#include "store/sysmem.h"

#define DEPTH     32u /* requests of one ring that the disk has at a time */
#define BUF_BYTES SW_RINGS_READ_BYTES /* the largest read of one fault */

uint64_t sw_rings_patience_ns[2] = { 1 * SW_RING_NS, 30 * SW_RING_NS };

static void release(struct sw_rings *r)
{
	sw_sysmem_release(r->bufs, SW_RINGS * BUF_BYTES);
	sw_sysmem_release(r, sizeof(*r));
}

struct sw_rings *sw_rings_open(int fd, const char *name)
{
	struct sw_rings *r = sw_sysmem_reserve(sizeof(*r));
	int err = 0;

	if (!r) {
		errno = ENOMEM;
		return NULL;
	}
	r->bufs = sw_sysmem_reserve(SW_RINGS * BUF_BYTES);
	if (!r->bufs)
		err = -ENOMEM;
	while (!err && r->nr < SW_RINGS) {
		struct io_uring_params p = {
			.flags = IORING_SETUP_COOP_TASKRUN,
		};

		r->ring[r->nr].buf = r->bufs + r->nr * BUF_BYTES;
		err = io_uring_queue_init_params(DEPTH, &r->ring[r->nr].uring,
						 &p);
		r->nr += !err;
	}
	/* Fewer will do. */
	if (!r->nr) {
		release(r);
		errno = -err;
		return NULL;
	}
	r->fd = fd;
	r->name = name;
	r->free = (1u << r->nr) - 1;
	sw_mutex_init(&r->lock, "rings", SW_RANK_STORE);
	return r;
}

/* -1: none is free. */
static int take(struct sw_rings *r)
{
	uint32_t free = __atomic_load_n(&r->free, __ATOMIC_RELAXED);

	do {
		if (!free)
			return -1;
		/* Pairs with the release in sw_ring_give(). */
	} while (!__atomic_compare_exchange_n(
		&r->free, &free, free & (free - 1), true, __ATOMIC_ACQUIRE,
		__ATOMIC_RELAXED));
	return __builtin_ctz(free);
}

void sw_ring_give(struct sw_rings *r, const struct sw_ring *ring)
{
	/* Pairs with the acquire in take(): who has it next sees it empty. */
	(void)__atomic_fetch_or(&r->free, 1u << (ring - r->ring),
				__ATOMIC_RELEASE);
}

/* ---- a request ---- */

static struct __kernel_timespec timespec_of(uint64_t ns)
{
	return (struct __kernel_timespec){ .tv_sec = ns / SW_RING_NS,
					   .tv_nsec = ns % SW_RING_NS };
}

/* Submits and, in the same call, waits for the answer. False: the kernel did not
 * take the request, which lies in the ring, so that is not used again. */
static bool submit(struct sw_rings *r, struct sw_ring *ring, void *buf)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	struct __kernel_timespec t =
		timespec_of(sw_rings_patience_ns[ring->write]);
	struct io_uring_cqe *cqe;
	int err;

	SW_BUG_ON(!sqe);
	if (ring->write)
		io_uring_prep_write(sqe, r->fd, buf, ring->len, ring->pos);
	else
		io_uring_prep_read(sqe, r->fd, ring->buf, ring->len, ring->pos);
	do {
		err = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
						       &t, NULL);
	} while (err == -EINTR && io_uring_sq_ready(&ring->uring));
	return !io_uring_sq_ready(&ring->uring);
}

/* What is left to wait is left by a signal. NULL: no answer came. */
static struct io_uring_cqe *wait_until(struct sw_ring *ring, uint64_t end)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&ring->uring, &cqe)) {
		uint64_t now = sw_now_ns();
		struct __kernel_timespec t = timespec_of(end - now);

		if (now >= end)
			return NULL;
		(void)io_uring_wait_cqe_timeout(&ring->uring, &cqe, &t);
	}
	return cqe;
}

static bool wait_for_answer(struct sw_ring *ring, uint64_t end)
{
	struct io_uring_cqe *cqe = wait_until(ring, end);

	if (!cqe)
		return false;
	ring->n = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	return true;
}

bool sw_rings_move(struct sw_rings *r, bool write, void *buf, size_t len,
		   uint64_t pos, ssize_t *n)
{
	struct sw_ring *ring;
	uint64_t end;
	int i;

	if (!write)
		len = sw_min(len, BUF_BYTES);
	if (sw_ring_known(r, write, buf, len, pos, n))
		return true;
	i = take(r);
	if (i < 0) {
		*n = -EINPROGRESS;
		return !write && __atomic_load_n(&r->nr_held, __ATOMIC_RELAXED);
	}
	ring = &r->ring[i];
	ring->write = write;
	ring->pos = pos;
	ring->len = len;
	end = sw_now_ns() + sw_rings_patience_ns[write];
	if (!submit(r, ring, buf))
		return false;
	if (!wait_for_answer(ring, end)) {
		sw_ring_hold(r, ring, 1, write);
		*n = write ? -ETIMEDOUT : -EINPROGRESS;
		return true;
	}
	*n = ring->n;
	if (!write && *n > 0)
		memcpy(buf, ring->buf, *n);
	sw_ring_give(r, ring);
	return *n != -EAGAIN;
}

/* ---- a batch ---- */

/* What one call of sw_rings_run() has under way. */
struct run {
	struct sw_ring *ring;
	int fd;
	struct sw_disk_reqs *reqs;
	uint64_t end;   /* nobody waits longer */
	unsigned next;  /* the first that was not looked at */
	unsigned added; /* in the ring, not yet taken by the kernel */
	unsigned taken; /* by the kernel, whose answer is not there */
	size_t used;    /* of the ring's buffer */
};

static void add(struct run *run, struct sw_disk_req *req)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&run->ring->uring);

	SW_BUG_ON(!sqe);
	if (!run->reqs->write) {
		SW_BUG_ON(req->len > BUF_BYTES - run->used);
		req->buf = run->ring->buf + run->used;
		run->used += req->len;
		io_uring_prep_read(sqe, run->fd, req->buf, req->len, req->pos);
	} else if (req->nr_iov > 1) {
		io_uring_prep_writev(sqe, run->fd, req->iov, req->nr_iov,
				     req->pos);
	} else {
		io_uring_prep_write(sqe, run->fd, req->iov->iov_base, req->len,
				    req->pos);
	}
	io_uring_sqe_set_data(sqe, req);
	run->added++;
}

/* False: the kernel takes none of those that are in the ring. */
static bool submit_added(struct run *run)
{
	while (run->added) {
		int n = io_uring_submit(&run->ring->uring);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return false;
		run->added -= n;
		run->taken += n;
	}
	return true;
}

/* Fills the ring up; a write is looked at while the disk is at it. */
static bool go_on(struct run *run)
{
	struct sw_disk_reqs *reqs = run->reqs;
	unsigned from = run->next;
	bool works;

	while (run->next < reqs->nr && run->added + run->taken < DEPTH) {
		if (!reqs->req[run->next].res)
			add(run, &reqs->req[run->next]);
		run->next++;
	}
	works = submit_added(run);
	for (; reqs->write && from < run->next; from++)
		if (!reqs->req[from].res)
			reqs->look(reqs->arg, &reqs->req[from]);
	return works;
}

static void copy_out(const struct sw_disk_req *req)
{
	const unsigned char *from = req->buf;

	for (unsigned i = 0; i < req->nr_iov; i++) {
		memcpy(req->iov[i].iov_base, from, req->iov[i].iov_len);
		from += req->iov[i].iov_len;
	}
}

static void take_answer(struct run *run, struct io_uring_cqe *cqe)
{
	struct sw_disk_req *req = io_uring_cqe_get_data(cqe);
	struct sw_disk_reqs *reqs = run->reqs;

	/* 0 would be "not tried": the file ends there. */
	req->res = cqe->res ? cqe->res : -ENODATA;
	io_uring_cqe_seen(&run->ring->uring, cqe);
	run->taken--;
	if (reqs->write || req->res != (ssize_t)req->len)
		return;
	copy_out(req);
	reqs->look(reqs->arg, req);
}

/* False: none came in time. */
static bool wait_for_some(struct run *run)
{
	struct io_uring_cqe *cqe = wait_until(run->ring, run->end);

	if (!cqe)
		return false;
	do {
		take_answer(run, cqe);
	} while (!io_uring_peek_cqe(&run->ring->uring, &cqe));
	return true;
}

static void hold_run(struct sw_rings *r, struct run *run)
{
	struct sw_disk_reqs *reqs = run->reqs;
	struct sw_disk_req *first = NULL;

	for (unsigned i = 0; i < reqs->nr; i++) {
		struct sw_disk_req *req = &reqs->req[i];

		if (req->res)
			continue;
		req->res = reqs->write ? -ETIMEDOUT : -EINPROGRESS;
		if (!first)
			first = req;
	}
	run->ring->pos = first->pos;
	run->ring->len = first->len;
	sw_ring_hold(r, run->ring, run->taken, true);
}

bool sw_rings_run(struct sw_rings *r, struct sw_disk_reqs *reqs)
{
	struct run run = { .fd = r->fd, .reqs = reqs };
	bool works = true, in_time = true;
	int i;

	if (sw_rings_owe(r, reqs))
		return true;
	i = take(r);
	if (i < 0)
		return __atomic_load_n(&r->nr_held, __ATOMIC_RELAXED);
	run.ring = &r->ring[i];
	run.ring->write = reqs->write;
	run.end = sw_now_ns() + sw_rings_patience_ns[reqs->write];
	while (in_time && (run.taken || (works && run.next < reqs->nr))) {
		works = works && go_on(&run);
		if (run.taken)
			in_time = wait_for_some(&run);
	}
	/* What the kernel would not take must not be found there later. */
	run.ring->broken = !works;
	if (!in_time)
		hold_run(r, &run);
	else if (works)
		sw_ring_give(r, run.ring);
	return true;
}

/* ---- the end ---- */

void sw_rings_close(struct sw_rings *r)
{
	bool late;

	if (!r)
		return;
	late = sw_rings_late(r);
	for (unsigned i = 0; i < r->nr; i++)
		io_uring_queue_exit(&r->ring[i].uring);
	sw_mutex_destroy(&r->lock);
	/* The kernel may still write to the buffers: they must be nobody's. */
	if (!late)
		release(r);
}
