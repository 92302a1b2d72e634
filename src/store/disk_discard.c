/*
 * disk_discard.c - telling a disk that bytes are of no use any more. Above:
 * disk.c.
 *
 * A block device is told so. Beneath a file lies a device too, but its blocks
 * are the file system's: it is told by giving them back. Then they are taken
 * anew at once, since a file without its room would meet a full disk when a
 * page is to be written; what is discarded is what the file system makes of
 * blocks that are given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "store/disk.h"

/* Nobody else can take more than that between the two. */
#define PIECE_BYTES (64ULL << 20)

static int change_room(int fd, int mode, uint64_t pos, uint64_t len)
{
	while (fallocate(fd, mode, pos, len))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int discard_piece(int fd, bool is_block, uint64_t pos, uint64_t len)
{
	uint64_t range[2] = { pos, len };
	int err;

	if (is_block)
		return ioctl(fd, BLKDISCARD, range) ? -errno : 0;
	err = change_room(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos,
			  len);
	return err ? err : change_room(fd, FALLOC_FL_KEEP_SIZE, pos, len);
}

int sw_disk_area_discard(int fd, bool is_block, uint64_t pos, uint64_t len)
{
	int err = 0;

	while (len && !err) {
		uint64_t n = sw_min(len, PIECE_BYTES);

		err = discard_piece(fd, is_block, pos, n);
		pos += n;
		len -= n;
	}
	return err;
}
