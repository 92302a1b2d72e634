/*
 * disk_ring.c - see disk_ring.h. A ring belongs to the thread that took its
 * bit, from then until it is given back: no lock is held over the I/O.
 *
 * A request that is not answered in time stays in its ring, which is given
 * back by whoever finds the answer. Until then the kernel may write to the
 * memory of a read at any moment, so that every ring has a buffer of its own
 * and the bytes are copied from there: 0.1 us a page, beside a disk. Of a
 * write the kernel only reads, and what it reads late goes to slots that
 * nobody uses any more, by the contract of swap.h; so that is the caller's
 * memory still.
 *
 * The same read again finds the answer, or that there is none yet, at once, which
 * makes progress on a disk that is slow. A write voids late reads of what it
 * overwrites. A disk that owes the answer of a write is asked nothing more, and
 * nothing to read if it owes LATE_MAX of reads. Without rings pread() just waits.
 *
 * A batch is late as a whole: its ring stays taken until all of its answers are
 * there, and what a read brings then is void. While the disk owes anything there
 * are no batches: whoever asks again does so by single requests, and for these
 * is all that was said above.
 *
 * Nothing is registered: the staging area gives back what falls free, which
 * registering forbids, and to copy into buffers that stay costs more than it saves
 * (docs/devices.md). A registered file is let go some time after the ring, so
 * that the area seems to be in use still.
 */
#include "store/disk_ring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/time.h"
#include "store/sysmem.h"

#define RINGS     8u /* more threads than that at once use pread() */
#define LATE_MAX  4u
#define DEPTH     32u /* requests of one ring that the disk has at a time */
#define BUF_BYTES SW_RINGS_READ_BYTES /* the largest read of one fault */
#define NS        1000000000ull

uint64_t sw_rings_patience_ns[2] = { 1 * NS, 30 * NS };

/* The state of a ring's last request, once it is late. */
enum late {
	ON_TIME = 0,
	LATE,
	ANSWERED, /* and the bytes are there for who asks again */
};

struct ring {
	struct io_uring uring;
	unsigned char *buf; /* [const] */

	/* Of the request or the batch: the lock, once it is late. */
	enum late late;
	unsigned owed; /* answers that did not come */
	bool broken;   /* not to be used again */
	bool write;
	bool is_void; /* nobody wants these bytes any more */
	uint64_t pos;
	size_t len;
	ssize_t n; /* ANSWERED: what pread() would give */
};

struct sw_rings {
	int fd;           /* [const] */
	const char *name; /* [const] */
	unsigned nr;      /* [const] that there are */
	unsigned char *bufs;
	struct ring ring[RINGS];
	uint32_t free;        /* [atomic] a bit for each that nobody has */
	unsigned nr_held;     /* [atomic] not ON_TIME; changes with the lock */
	struct sw_mutex lock; /* SW_RANK_STORE */
	unsigned nr_late;     /* lock: LATE, reads and writes */
	unsigned nr_late_write; /* lock: of these */
	uint64_t silent_ns;     /* lock: since when the first of them waits */
};

static void release(struct sw_rings *r)
{
	sw_sysmem_release(r->bufs, RINGS * BUF_BYTES);
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
	r->bufs = sw_sysmem_reserve(RINGS * BUF_BYTES);
	if (!r->bufs)
		err = -ENOMEM;
	while (!err && r->nr < RINGS) {
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
		/* Pairs with the release in give(). */
	} while (!__atomic_compare_exchange_n(
		&r->free, &free, free & (free - 1), true, __ATOMIC_ACQUIRE,
		__ATOMIC_RELAXED));
	return __builtin_ctz(free);
}

static void give(struct sw_rings *r, const struct ring *ring)
{
	/* Pairs with the acquire in take(): who has it next sees it empty. */
	(void)__atomic_fetch_or(&r->free, 1u << (ring - r->ring),
				__ATOMIC_RELEASE);
}

/* ---- late: under the lock ---- */

static void hold_locked(struct sw_rings *r, struct ring *ring)
	SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	ring->late = LATE;
	r->nr_late++;
	r->nr_late_write += ring->write;
	__atomic_fetch_add(&r->nr_held, 1, __ATOMIC_RELAXED);
	if (r->nr_late > 1)
		return;
	r->silent_ns = sw_now_ns() - sw_rings_patience_ns[ring->write];
	sw_warn("%s: no answer for %llu s to a %s of slot %llu: who needs pages from there waits, all others go on",
		r->name,
		(unsigned long long)(sw_rings_patience_ns[ring->write] / NS),
		ring->write ? "write" : "read",
		(unsigned long long)(ring->pos / SW_PAGE_SIZE));
}

/* So many answers did not come in time. */
static void hold(struct sw_rings *r, struct ring *ring, unsigned owed,
		 bool is_void)
{
	sw_mutex_lock(&r->lock);
	ring->owed = owed;
	ring->is_void = is_void;
	hold_locked(r, ring);
	sw_mutex_unlock(&r->lock);
}

static void let_go(struct sw_rings *r, struct ring *ring) SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	ring->late = ON_TIME;
	__atomic_fetch_sub(&r->nr_held, 1, __ATOMIC_RELAXED);
	if (!ring->broken)
		give(r, ring);
}

/* Have the answers come? A batch's are not looked at: it is over. */
static void look_for_answer(struct sw_rings *r, struct ring *ring)
	SW_REQUIRES(&r->lock)
{
	struct io_uring_cqe *cqe;

	sw_assert_held(&r->lock);
	if (ring->late != LATE)
		return;
	while (ring->owed && !io_uring_peek_cqe(&ring->uring, &cqe)) {
		ring->n = cqe->res;
		io_uring_cqe_seen(&ring->uring, cqe);
		ring->owed--;
	}
	if (ring->owed)
		return;
	ring->late = ANSWERED;
	r->nr_late_write -= ring->write;
	if (!--r->nr_late)
		sw_warn("%s answers again, after %llu s", r->name,
			(unsigned long long)(sw_now_ns() - r->silent_ns) / NS);
	if (ring->is_void)
		let_go(r, ring);
}

static bool overlaps(const struct ring *ring, uint64_t pos, size_t len)
{
	return pos < ring->pos + ring->len && ring->pos < pos + len;
}

static bool covers(const struct ring *ring, uint64_t pos, size_t len)
{
	return !ring->is_void && pos >= ring->pos &&
	       pos + len <= ring->pos + ring->len;
}

static void void_reads(struct sw_rings *r, uint64_t pos, size_t len)
	SW_REQUIRES(&r->lock)
{
	for (unsigned i = 0; i < r->nr; i++) {
		struct ring *ring = &r->ring[i];

		if (ring->late == ON_TIME || !overlaps(ring, pos, len))
			continue;
		ring->is_void = true;
		if (ring->late == ANSWERED)
			let_go(r, ring);
	}
}

/* A read that was answered late, for who asks again. */
static ssize_t late_answer(struct sw_rings *r, struct ring *ring, void *buf,
			   size_t len, uint64_t pos) SW_REQUIRES(&r->lock)
{
	size_t skip = pos - ring->pos;
	ssize_t n = ring->n;

	if (ring->late == LATE)
		return -EINPROGRESS;
	if (n >= 0) {
		n = n > (ssize_t)skip ? sw_min(n - skip, len) : 0;
		memcpy(buf, ring->buf + skip, n);
	}
	/* A part of it: the rest is asked for next. */
	if (ring->n < 0 || pos + len == ring->pos + ring->len)
		let_go(r, ring);
	return n;
}

/* Answers that nobody came for hold no ring that is needed. */
static void drop_an_answer(struct sw_rings *r) SW_REQUIRES(&r->lock)
{
	for (unsigned i = 0; i < r->nr; i++) {
		if (r->ring[i].late != ANSWERED)
			continue;
		let_go(r, &r->ring[i]);
		return;
	}
}

static void look_for_answers(struct sw_rings *r) SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	for (unsigned i = 0; i < r->nr; i++)
		look_for_answer(r, &r->ring[i]);
}

/* True: *n is all there is to say. */
static bool known_already_locked(struct sw_rings *r, bool write, void *buf,
				 size_t len, uint64_t pos, ssize_t *n)
	SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	look_for_answers(r);
	if (write)
		void_reads(r, pos, len);
	for (unsigned i = 0; !write && i < r->nr; i++) {
		if (r->ring[i].late == ON_TIME ||
		    !covers(&r->ring[i], pos, len))
			continue;
		*n = late_answer(r, &r->ring[i], buf, len, pos);
		return true;
	}
	if (!__atomic_load_n(&r->free, __ATOMIC_RELAXED))
		drop_an_answer(r);
	/* A write is not given up for reads that are a second late. */
	*n = write ? -ETIMEDOUT : -EINPROGRESS;
	return r->nr_late_write || (!write && r->nr_late >= LATE_MAX);
}

static bool known_already(struct sw_rings *r, bool write, void *buf, size_t len,
			  uint64_t pos, ssize_t *n)
{
	bool known;

	if (sw_likely(!__atomic_load_n(&r->nr_held, __ATOMIC_RELAXED)))
		return false;
	sw_mutex_lock(&r->lock);
	known = known_already_locked(r, write, buf, len, pos, n);
	sw_mutex_unlock(&r->lock);
	return known;
}

unsigned sw_rings_late(struct sw_rings *r)
{
	unsigned nr;

	sw_mutex_lock(&r->lock);
	look_for_answers(r);
	nr = r->nr_late;
	sw_mutex_unlock(&r->lock);
	return nr;
}

/* True: a batch is no good now. */
static bool owes_answers(struct sw_rings *r, const struct sw_disk_reqs *reqs)
{
	bool owes;

	if (sw_likely(!__atomic_load_n(&r->nr_held, __ATOMIC_RELAXED)))
		return false;
	sw_mutex_lock(&r->lock);
	look_for_answers(r);
	for (unsigned i = 0; reqs->write && i < reqs->nr; i++)
		void_reads(r, reqs->req[i].pos, reqs->req[i].len);
	if (!__atomic_load_n(&r->free, __ATOMIC_RELAXED))
		drop_an_answer(r);
	owes = r->nr_late;
	sw_mutex_unlock(&r->lock);
	return owes;
}

/* ---- a request ---- */

static struct __kernel_timespec timespec_of(uint64_t ns)
{
	return (struct __kernel_timespec){ .tv_sec = ns / NS,
					   .tv_nsec = ns % NS };
}

/* Submits and, in the same call, waits for the answer. False: the kernel did not
 * take the request, which lies in the ring, so that is not used again. */
static bool submit(struct sw_rings *r, struct ring *ring, void *buf)
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
static struct io_uring_cqe *wait_until(struct ring *ring, uint64_t end)
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

static bool wait_for_answer(struct ring *ring, uint64_t end)
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
	struct ring *ring;
	uint64_t end;
	int i;

	if (!write)
		len = sw_min(len, BUF_BYTES);
	if (known_already(r, write, buf, len, pos, n))
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
		hold(r, ring, 1, write);
		*n = write ? -ETIMEDOUT : -EINPROGRESS;
		return true;
	}
	*n = ring->n;
	if (!write && *n > 0)
		memcpy(buf, ring->buf, *n);
	give(r, ring);
	return *n != -EAGAIN;
}

/* ---- a batch ---- */

/* What one call of sw_rings_run() has under way. */
struct run {
	struct ring *ring;
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
	hold(r, run->ring, run->taken, true);
}

bool sw_rings_run(struct sw_rings *r, struct sw_disk_reqs *reqs)
{
	struct run run = { .fd = r->fd, .reqs = reqs };
	bool works = true, in_time = true;
	int i;

	if (owes_answers(r, reqs))
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
		give(r, run.ring);
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
