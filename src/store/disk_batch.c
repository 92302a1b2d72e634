/*
 * disk_batch.c - many slots of a disk store at once. What follows each other in
 * the batch and on the disk becomes one request, of memory in as many pieces as
 * there are; all requests of a batch are given to the disk together, by an
 * io_uring (disk_ring.c) or by threads (disk_threads.c).
 *
 * Only what goes well is dealt with here. Whatever is odd with a piece, before
 * or after it was tried, it is done once more by itself, in disk.c: there it is
 * completed when a transfer was short, refused, or reported and counted, and no
 * neighbour pays for it. A write that is late is refused there, too, since the
 * disk is asked nothing more while it owes that answer; should it have come in
 * this moment, the slots are nobody's but ours and are written once more.
 *
 * Reads that are late are not tried again here, nor is any behind them: for each
 * of them the disk would be waited for anew.
 *
 * What is encrypted is written one by one: sealed pages need memory of their
 * own, of which a thread has enough for one piece.
 */
#include "base/counters.h"
#include "store/disk.h"

#include <errno.h>

#include "store/disk_ring.h"
#include "store/disk_threads.h"

/* A larger request brings no more (docs/devices.md). */
#define MAX_REQ_PAGES 64u
#define MAX_REQS      64u
#define MAX_IOV       256u

/* Requests that are being made of [first, ...) of a batch. */
struct plan {
	struct sw_disk *disk;
	struct swap_io *io;
	struct sw_disk_reqs reqs;
	unsigned nr_iov;
	size_t len; /* of all requests */
	bool late;  /* a read is: no more of them */
	struct sw_disk_req req[MAX_REQS];
	struct iovec iov[MAX_IOV];
};

static void do_alone(struct plan *p, struct swap_io *io)
{
	uint64_t offset = swp_offset(io->entry);

	if (p->reqs.write) {
		io->err = sw_disk_ops.write(p->disk, offset, io->nr, io->pages);
		return;
	}
	io->err = -EINPROGRESS;
	if (!p->late)
		io->err = sw_disk_ops.read(p->disk, offset, io->nr, io->pages);
	p->late = io->err == -EINPROGRESS;
}

/* ---- making requests ---- */

/* Is there nothing odd about it? */
static bool is_plain(const struct sw_disk *d, bool write,
		     const struct swap_io *io)
{
	uint64_t offset = swp_offset(io->entry);

	if (!sw_disk_in_range(d, offset, io->nr) || !io->nr ||
	    io->nr > MAX_REQ_PAGES ||
	    (d->direct && (uintptr_t)io->pages % SW_PAGE_SIZE) ||
	    (write && d->crypt))
		return false;
	for (unsigned i = 0; !write && i < io->nr; i++)
		if (!sw_disk_is_written(d, offset + i))
			return false;
	return true;
}

static void *iov_end(const struct iovec *iov)
{
	return (char *)iov->iov_base + iov->iov_len;
}

/* The piece goes on with the last request where that ends? */
static bool goes_on(const struct plan *p, const struct swap_io *io)
{
	uint64_t pos = swp_offset(io->entry) * SW_PAGE_SIZE;
	size_t len = io->nr * SW_PAGE_SIZE;
	const struct sw_disk_req *last;

	if (!p->reqs.nr)
		return false;
	last = &p->req[p->reqs.nr - 1];
	return last->pos + last->len == pos &&
	       last->len + len <= MAX_REQ_PAGES * SW_PAGE_SIZE &&
	       &p->io[last->first + last->nr_io] == io;
}

/* False: there is no room for one more. */
static bool add(struct plan *p, struct swap_io *io)
{
	struct iovec *iov = &p->iov[p->nr_iov];
	size_t len = io->nr * SW_PAGE_SIZE;
	bool new = !goes_on(p, io);
	struct sw_disk_req *req;

	if (p->nr_iov == MAX_IOV || (new && p->reqs.nr == MAX_REQS) ||
	    (!p->reqs.write && p->len + len > SW_RINGS_READ_BYTES))
		return false;
	p->len += len;
	req = &p->req[new ? p->reqs.nr++ : p->reqs.nr - 1];
	if (new)
		*req = (struct sw_disk_req){
			.iov = iov,
			.pos = swp_offset(io->entry) * SW_PAGE_SIZE,
			.first = io - p->io,
		};
	req->len += len;
	req->nr_io++;
	if (req->nr_iov && iov_end(iov - 1) == io->pages) {
		iov[-1].iov_len += len;
		return true;
	}
	*iov = (struct iovec){ io->pages, len };
	req->nr_iov++;
	p->nr_iov++;
	return true;
}

/* ---- carrying them out ---- */

/* The pages of a request are there to be looked at. */
static void look(void *arg, struct sw_disk_req *req)
{
	struct plan *p = arg;

	for (unsigned i = req->first; i < req->first + req->nr_io; i++) {
		struct swap_io *io = &p->io[i];
		uint64_t offset = swp_offset(io->entry);

		if (p->reqs.write)
			sw_disk_note(p->disk, offset, io->nr, io->pages);
		else if (sw_disk_count_good(p->disk, offset, io->nr,
					    io->pages) < io->nr)
			req->res = -1; /* who reads it alone will say which */
	}
}

/* Tests: what fails, or is short, is not tried at all. */
static void ask_for_faults(struct plan *p)
{
	for (unsigned i = 0; i < p->reqs.nr; i++) {
		struct sw_disk_req *req = &p->req[i];
		size_t len = req->len;
		int err = sw_disk_fault(p->reqs.write, &len);

		if (err || len < req->len)
			req->res = err ? err : (ssize_t)len;
	}
}

static void settle(struct plan *p, struct sw_disk_req *req)
{
	bool good = req->res == (ssize_t)req->len;

	if (!p->reqs.write && req->res == -EINPROGRESS)
		p->late = true;
	for (unsigned i = req->first; i < req->first + req->nr_io; i++) {
		p->io[i].err = 0;
		if (!good)
			do_alone(p, &p->io[i]);
	}
}

static void run(struct plan *p)
{
	struct sw_disk *d = p->disk;

	if (!p->reqs.nr)
		return;
	for (unsigned i = 0; p->reqs.write && i < p->reqs.nr; i++)
		sw_disk_forget(d, p->req[i].pos / SW_PAGE_SIZE,
			       p->req[i].len / SW_PAGE_SIZE);
	if (sw_unlikely(sw_disk_fault))
		ask_for_faults(p);
	if (!d->rings || !sw_rings_run(d->rings, &p->reqs))
		sw_disk_threads_run(d->threads, &p->reqs);
	for (unsigned i = 0; i < p->reqs.nr; i++)
		settle(p, &p->req[i]);
	p->reqs.nr = 0;
	p->nr_iov = 0;
	p->len = 0;
}

void sw_disk_batch(void *store, bool write, struct swap_io *io, unsigned nr)
{
	struct plan p;

	p.disk = store;
	p.io = io;
	p.nr_iov = 0;
	p.len = 0;
	p.late = false;
	p.reqs = (struct sw_disk_reqs){
		.req = p.req,
		.write = write,
		.look = look,
		.arg = &p,
	};
	for (unsigned i = 0; i < nr; i++) {
		if (!is_plain(p.disk, write, &io[i])) {
			do_alone(&p, &io[i]);
			continue;
		}
		if (!write)
			sw_disk_reads += io[i].nr;
		if (add(&p, &io[i]))
			continue;
		run(&p);
		SW_BUG_ON(!add(&p, &io[i]));
	}
	run(&p);
}
