/*
 * disk_ring_late.c - requests and batches that are not answered in time; see
 * disk_ring.h and disk_ring_internal.h. All under the lock.
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
 * Above and below: disk_ring.c.
 */
#include "store/disk_ring_internal.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"

#define LATE_MAX 4u

static void hold_locked(struct sw_rings *r, struct sw_ring *ring)
	SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	ring->late = SW_RING_LATE;
	r->nr_late++;
	r->nr_late_write += ring->write;
	__atomic_fetch_add(&r->nr_held, 1, __ATOMIC_RELAXED);
	if (r->nr_late > 1)
		return;
	r->silent_ns = sw_now_ns() - sw_rings_patience_ns[ring->write];
	sw_warn("%s: no answer for %llu s to a %s of slot %llu: who needs pages from there waits, all others go on",
		r->name,
		(unsigned long long)(sw_rings_patience_ns[ring->write] /
				     SW_RING_NS),
		ring->write ? "write" : "read",
		(unsigned long long)(ring->pos / SW_PAGE_SIZE));
}

void sw_ring_hold(struct sw_rings *r, struct sw_ring *ring, unsigned owed,
		  bool is_void)
{
	sw_mutex_lock(&r->lock);
	ring->owed = owed;
	ring->is_void = is_void;
	hold_locked(r, ring);
	sw_mutex_unlock(&r->lock);
}

static void let_go(struct sw_rings *r, struct sw_ring *ring)
	SW_REQUIRES(&r->lock)
{
	sw_assert_held(&r->lock);
	ring->late = SW_RING_ON_TIME;
	__atomic_fetch_sub(&r->nr_held, 1, __ATOMIC_RELAXED);
	if (!ring->broken)
		sw_ring_give(r, ring);
}

/* Have the answers come? A batch's are not looked at: it is over. */
static void look_for_answer(struct sw_rings *r, struct sw_ring *ring)
	SW_REQUIRES(&r->lock)
{
	struct io_uring_cqe *cqe;

	sw_assert_held(&r->lock);
	if (ring->late != SW_RING_LATE)
		return;
	while (ring->owed && !io_uring_peek_cqe(&ring->uring, &cqe)) {
		ring->n = cqe->res;
		io_uring_cqe_seen(&ring->uring, cqe);
		ring->owed--;
	}
	if (ring->owed)
		return;
	ring->late = SW_RING_ANSWERED;
	r->nr_late_write -= ring->write;
	if (!--r->nr_late)
		sw_warn("%s answers again, after %llu s", r->name,
			(unsigned long long)(sw_now_ns() - r->silent_ns) /
				SW_RING_NS);
	if (ring->is_void)
		let_go(r, ring);
}

static bool overlaps(const struct sw_ring *ring, uint64_t pos, size_t len)
{
	return pos < ring->pos + ring->len && ring->pos < pos + len;
}

static bool covers(const struct sw_ring *ring, uint64_t pos, size_t len)
{
	return !ring->is_void && pos >= ring->pos &&
	       pos + len <= ring->pos + ring->len;
}

static void void_reads(struct sw_rings *r, uint64_t pos, size_t len)
	SW_REQUIRES(&r->lock)
{
	for (unsigned i = 0; i < r->nr; i++) {
		struct sw_ring *ring = &r->ring[i];

		if (ring->late == SW_RING_ON_TIME || !overlaps(ring, pos, len))
			continue;
		ring->is_void = true;
		if (ring->late == SW_RING_ANSWERED)
			let_go(r, ring);
	}
}

/* A read that was answered late, for who asks again. */
static ssize_t late_answer(struct sw_rings *r, struct sw_ring *ring, void *buf,
			   size_t len, uint64_t pos) SW_REQUIRES(&r->lock)
{
	size_t skip = pos - ring->pos;
	ssize_t n = ring->n;

	if (ring->late == SW_RING_LATE)
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
		if (r->ring[i].late != SW_RING_ANSWERED)
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
		if (r->ring[i].late == SW_RING_ON_TIME ||
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

bool sw_ring_known(struct sw_rings *r, bool write, void *buf, size_t len,
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

bool sw_rings_owe(struct sw_rings *r, const struct sw_disk_reqs *reqs)
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
