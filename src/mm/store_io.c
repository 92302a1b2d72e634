/*
 * store_io.c - bytes of slots to and from their stores, many at a time where a
 * store can do that, and what is counted of them. An error is that of its slots
 * alone. Of a read nobody has to know more than whether it can be tried again:
 * -ENOMEM, -EINPROGRESS, or -EIO.
 *
 * Above: swapin.c, huge_in.c, writeout.c and unuse.c. Beside: image.c, which goes
 * to stores by itself. Below: the store behind each slot.
 */
#include <errno.h>

#include "base/probe.h"
#include "base/trace.h"
#include "mm/mm_internal.h"

static void do_one(const struct swap_ops *ops, void *store, bool write,
		   struct swap_io *io)
{
	uint64_t offset = swp_offset(io->entry);

	io->err = write ? ops->write(store, offset, io->nr, io->pages)
			: ops->read(store, offset, io->nr, io->pages);
}

/* `begin`: of all of them, see sw_trace_begin(). */
static void count_write(const struct swap_ops *ops, const struct swap_io *io,
			uint64_t begin)
{
	SW_PROBE4(writeback, io->entry.val, io->nr, io->err, 0u);
	if (io->err) {
		sw_count(swap_write_error, 1);
	} else if (!ops->counts) {
		sw_count(pswpout, io->nr);
		sw_trace_io(begin,
			    ops->in_memory ? SW_TRACE_WRITE_ZRAM
					   : SW_TRACE_WRITE_DISK,
			    io->nr);
	}
}

static void count_read(const struct swap_ops *ops, struct swap_io *io,
		       uint64_t begin)
{
	if (!io->err) {
		if (ops->counts)
			return;
		sw_count(pswpin, io->nr);
		sw_trace_io(begin,
			    ops->in_memory ? SW_TRACE_READ_ZRAM
					   : SW_TRACE_READ_DISK,
			    io->nr);
	} else if (io->err != -ENOMEM && io->err != -EINPROGRESS) {
		sw_count(swap_read_error, 1);
		io->err = -EIO;
	}
}

/* All on one device. */
static void do_device(bool write, struct swap_io *io, unsigned nr)
{
	struct swap_info_struct *si = get_swap_device(io->entry);
	const struct swap_ops *ops;
	uint64_t begin;
	void *store;

	if (!si) {
		for (unsigned i = 0; i < nr; i++)
			io[i].err = -EIO;
		return;
	}
	ops = swap_device_ops(si, &store);
	begin = sw_trace_begin();
	if (nr > 1 && ops->batch)
		ops->batch(store, write, io, nr);
	else
		for (unsigned i = 0; i < nr; i++)
			do_one(ops, store, write, &io[i]);
	put_swap_device(si);
	for (unsigned i = 0; i < nr; i++) {
		if (write)
			count_write(ops, &io[i], begin);
		else
			count_read(ops, &io[i], begin);
	}
}

/* By entries. Mostly they are in order already. In place, as qsort() is not:
 * whoever waits for these pages may hold the lock of malloc(). */
static void sort(struct swap_io *io, unsigned nr)
{
	for (unsigned gap = nr / 2; gap; gap /= 2)
		for (unsigned i = gap; i < nr; i++) {
			struct swap_io x = io[i];
			unsigned at = i;

			for (;
			     at >= gap && io[at - gap].entry.val > x.entry.val;
			     at -= gap)
				io[at] = io[at - gap];
			io[at] = x;
		}
}

void sw_store_io(bool write, struct swap_io *io, unsigned nr)
{
	unsigned n;

	sort(io, nr);
	for (unsigned at = 0; at < nr; at += n) {
		unsigned type = swp_type(io[at].entry);

		for (n = 1; at + n < nr; n++)
			if (swp_type(io[at + n].entry) != type)
				break;
		do_device(write, io + at, n);
	}
}

int sw_slots_write(swp_entry_t entry, unsigned nr, const void *data)
{
	struct swap_io io = {
		.entry = entry,
		.nr = nr,
		.pages = (void *)data,
	};

	sw_store_io(true, &io, 1);
	return io.err;
}

/* What the store behind a slot can do; NULL: there is no such device. */
static const struct swap_ops *ops_behind(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops = NULL;
	void *store;

	if (si) {
		ops = swap_device_ops(si, &store);
		put_swap_device(si);
	}
	return ops;
}

bool sw_store_batches(swp_entry_t entry)
{
	const struct swap_ops *ops = ops_behind(entry);

	return ops && ops->batch;
}

bool sw_store_is_memory(swp_entry_t entry)
{
	const struct swap_ops *ops = ops_behind(entry);

	return ops && ops->in_memory;
}
