/*
 * io.c - system calls on memory that may be out. Where nobody serves the faults
 * of a system call it would fail with EFAULT, or move half of what it could; so
 * a piece of the buffer is pinned, moved and unpinned, and then the next. A
 * buffer outside of all regions is passed on as it is.
 *
 * Above: the program. Below: advise.c.
 */
#include <errno.h>
#include <unistd.h>

#include "lib/lib_internal.h"

#define PIECE_BYTES (256u << 10)

struct transfer {
	int fd;
	bool write;
	bool at; /* at an offset: pread, pwrite */
	off_t offset;
};

static ssize_t move(const struct transfer *t, void *buf, size_t bytes)
{
	ssize_t n;

	if (t->at && t->write)
		n = pwrite(t->fd, buf, bytes, t->offset);
	else if (t->at)
		n = pread(t->fd, buf, bytes, t->offset);
	else if (t->write)
		n = write(t->fd, buf, bytes);
	else
		n = read(t->fd, buf, bytes);
	return n < 0 ? -errno : n;
}

/* Bytes from `buf` on that are all in the arena, or all not. */
static size_t piece(const struct sw_lib *lib, uint64_t buf, size_t bytes,
		    bool *ours)
{
	uint64_t base = sw_local_base(lib->local);

	*ours = buf - base < sw_local_bytes(lib->local);
	if (*ours)
		return sw_min(bytes, (size_t)PIECE_BYTES);
	return buf < base ? sw_min(bytes, base - buf) : bytes;
}

static ssize_t move_pinned(struct sw_call *call, const struct transfer *t,
			   void *buf, size_t bytes)
{
	ssize_t n = sw_lib_pin(call->lib, buf, bytes, !t->write);
	sigset_t mask;

	if (n)
		return n;
	/* It may take as long as it likes, and be interrupted. */
	sw_lib_restore_signals(&call->old_mask);
	n = move(t, buf, bytes);
	sw_lib_block_signals(&mask);
	(void)sw_lib_unpin(call->lib, buf, bytes);
	return n;
}

static ssize_t move_piece(struct sw_call *call, const struct transfer *t,
			  char *buf, size_t bytes, size_t *asked)
{
	sigset_t mask;
	ssize_t n;
	bool ours;

	*asked = piece(call->lib, (uint64_t)buf, bytes, &ours);
	if (ours)
		return move_pinned(call, t, buf, *asked);
	sw_lib_restore_signals(&call->old_mask);
	n = move(t, buf, *asked);
	sw_lib_block_signals(&mask);
	return n;
}

static ssize_t transfer(spillway_t *spillway, struct transfer *t, void *buf,
			size_t bytes)
{
	struct sw_call call;
	size_t done = 0, asked;
	ssize_t n;
	int err;

	if (!buf)
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	do {
		n = move_piece(&call, t, (char *)buf + done, bytes - done,
			       &asked);
		if (n > 0) {
			done += n;
			t->offset += n;
		}
	} while (n > 0 && (size_t)n == asked && done < bytes);
	sw_lib_leave(spillway, &call);
	return done ? (ssize_t)done : n;
}

ssize_t spillway_read(spillway_t *spillway, int fd, void *buf, size_t bytes)
{
	struct transfer t = { .fd = fd };

	return transfer(spillway, &t, buf, bytes);
}

ssize_t spillway_write(spillway_t *spillway, int fd, const void *buf,
		       size_t bytes)
{
	struct transfer t = { .fd = fd, .write = true };

	return transfer(spillway, &t, (void *)buf, bytes);
}

ssize_t spillway_pread(spillway_t *spillway, int fd, void *buf, size_t bytes,
		       off_t offset)
{
	struct transfer t = { .fd = fd, .at = true, .offset = offset };

	return transfer(spillway, &t, buf, bytes);
}

ssize_t spillway_pwrite(spillway_t *spillway, int fd, const void *buf,
			size_t bytes, off_t offset)
{
	struct transfer t = {
		.fd = fd, .write = true, .at = true, .offset = offset
	};

	return transfer(spillway, &t, (void *)buf, bytes);
}
