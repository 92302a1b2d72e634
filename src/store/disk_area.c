/*
 * disk_area.c - the area behind a disk store: found, or made. Everything that
 * is refused is refused here, in one line that says what would help. Above:
 * disk.c. Below: swap_header.c, and libblkid, which knows what others write.
 *
 * The kernel tells us who is in the way: a block device in use cannot be
 * opened with O_EXCL, a file that is swap of the system cannot be allocated,
 * and one that another of us has is locked.
 */
#include "store/disk.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

/* ---- what is there ---- */

/* The signatures of a swap area are swap_header.c's to judge. */
static bool is_foreign(const char *type)
{
	return type && strcmp(type, "swap") && strcmp(type, "swsuspend");
}

/* Copies the name of something that is no swap area; false: nothing. */
static bool foreign_name(blkid_probe probe, char name[64])
{
	static const char *const kinds[] = { "TYPE", "PTTYPE" };

	while (!blkid_do_probe(probe)) {
		for (unsigned i = 0; i < SW_ARRAY_SIZE(kinds); i++) {
			const char *type = NULL;

			(void)blkid_probe_lookup_value(probe, kinds[i], &type,
						       NULL);
			if (!is_foreign(type))
				continue;
			name[0] = 0;
			strncat(name, type, 63);
			return true;
		}
	}
	return false;
}

/* An area may have been made over something that is still found, or the other
 * way round: any sign of another owner counts. */
static int check_nothing_else(int fd, const char *name)
{
	blkid_probe probe = blkid_new_probe();
	int err = 0;
	char what[64];

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0)) {
		sw_error("%s: cannot be examined for other contents: %s", name,
			 probe ? strerror(errno) : strerror(ENOMEM));
		err = -EINVAL;
	}
	if (!err) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
		blkid_probe_enable_partitions(probe, 1);
		if (foreign_name(probe, what)) {
			sw_error(
				"%s: has a signature of %s, which swapping would destroy; use another, or run wipefs and mkswap to give it up",
				name, what);
			err = -EINVAL;
		}
	}
	blkid_free_probe(probe);
	return err;
}

static ssize_t read_start(int fd, void *buf, size_t len)
{
	size_t got = 0;
	ssize_t n;

	do {
		n = pread(fd, (char *)buf + got, len - got, got);
		got += n > 0 ? n : 0;
	} while (got < len && (n > 0 || (n < 0 && errno == EINTR)));
	return n < 0 ? n : (ssize_t)got;
}

static int read_header(int fd, const char *name, struct sw_swap_header *h)
{
	unsigned char start[SW_SWAP_HEADER_PROBE];
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t len = read_start(fd, start, sizeof(start));
	const char *why;
	int err;

	if (end < 0 || len < 0) {
		sw_error("%s: cannot be read: %s", name, strerror(errno));
		return -EIO;
	}
	err = check_nothing_else(fd, name);
	if (err)
		return err;
	err = sw_swap_header_read(start, len, end, h, &why);
	if (err)
		sw_error("%s: %s", name, why);
	return err;
}

static int check_size(const struct sw_disk_spec *spec, const char *name,
		      const struct sw_swap_header *h)
{
	if (!spec->size_bytes || spec->size_bytes / SW_PAGE_SIZE == h->max)
		return 0;
	sw_error(
		"%s: exists, with a swap area of %lu bytes, not of %lu; leave the size out, or run mkswap",
		name, h->max * SW_PAGE_SIZE, spec->size_bytes & SW_PAGE_MASK);
	return -EINVAL;
}

/* ---- what it is on ---- */

bool sw_disk_is_rotating(const char *sys, dev_t dev)
{
	/* A partition has no queue of its own. */
	static const char *const queues[] = { "queue", "../queue" };
	bool rotating = false, known = false;

	for (unsigned i = 0; !known && i < SW_ARRAY_SIZE(queues); i++) {
		char path[PATH_MAX], c;
		int fd;

		snprintf(path, sizeof(path), "%s/%u:%u/%s/rotational", sys,
			 major(dev), minor(dev), queues[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		known = read(fd, &c, 1) == 1;
		rotating = known && c == '1';
		close(fd);
	}
	return rotating;
}

/* ---- files ---- */

/* Pages in such a file would be in memory still. */
static int check_file_system(int fd, const char *name)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) ||
	    (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC))
		return 0;
	sw_error(
		"%s: lies in memory (tmpfs), so swapping to it frees none; use zram: or a place on a disk",
		name);
	return -EINVAL;
}

/* Asked first: some file systems fill up before they say no, and everybody
 * else on them would be out of room meanwhile. */
static int check_room(int fd, const char *name, uint64_t bytes)
{
	struct statvfs fs;
	struct stat st;
	uint64_t has, room;

	if (fstatvfs(fd, &fs) || fstat(fd, &st))
		return 0;
	has = st.st_blocks * 512ULL;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (bytes <= has || bytes - has <= room)
		return 0;
	sw_error(
		"%s: has no room for %lu bytes more, only for %lu; use a smaller one, or another place",
		name, bytes - has, room);
	return -ENOSPC;
}

/* All its room, now: a page that finds none when it is written stays in
 * memory, where there is none either. */
static int reserve_room(int fd, const char *name, int mode, uint64_t bytes)
{
	const char *help = "use a smaller one, or another place";
	int err = check_room(fd, name, bytes);

	if (err)
		return err;
	while (fallocate(fd, mode, 0, bytes))
		if (errno != EINTR)
			goto err_say;
	return 0;

err_say:
	if (errno == EOPNOTSUPP)
		help = "its file system has no fallocate; use one that has, such as ext4, xfs or btrfs";
	if (errno == ETXTBSY)
		help = "it is swap of the system: see swapon --show and swapoff";
	sw_error("%s: room for %lu bytes cannot be reserved: %s; %s", name,
		 bytes, strerror(errno), help);
	return -EINVAL;
}

static int write_header(int fd, const char *name, uint64_t max,
			struct sw_swap_header *h)
{
	unsigned char page[SW_PAGE_SIZE];
	ssize_t n;

	*h = (struct sw_swap_header){ .max = max, .label = "spillway" };
	if (sw_swap_header_make(page, h)) {
		sw_error("%s: a file of %lu bytes cannot be a swap area", name,
			 max * SW_PAGE_SIZE);
		return -EINVAL;
	}
	n = pwrite(fd, page, sizeof(page), 0);
	if (n == sizeof(page))
		return 0;
	sw_error("%s: its header cannot be written: %s", name,
		 n < 0 ? strerror(errno) : "the file takes no whole page");
	return -EIO;
}

/* A new file, in the folder `path` or under that name, until it is open. */
static int open_nameless(const char *path, const char *name, bool in_folder)
{
	const int how = in_folder ? O_TMPFILE : O_CREAT | O_EXCL;
	int fd = open(path, how | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) {
		sw_error("%s: no file can be made there: %s%s", name,
			 strerror(errno),
			 errno == EOPNOTSUPP ? "; name a new file in it" : "");
		return -EINVAL;
	}
	/* However we end, it is gone then. */
	if (in_folder || !unlink(path))
		return fd;
	sw_error("%s: cannot be removed again: %s", name, strerror(errno));
	close(fd);
	return -EINVAL;
}

static int make_file(const struct sw_disk_spec *spec, const char *name,
		     bool in_folder, int *fd, struct sw_swap_header *h)
{
	const uint64_t bytes = spec->size_bytes & SW_PAGE_MASK;
	int err;

	if (!bytes) {
		sw_error("%s: %s; say how large the file is to be: size=SIZE",
			 name,
			 in_folder ? "is a folder" : "does not exist yet");
		return -EINVAL;
	}
	*fd = open_nameless(spec->path, name, in_folder);
	if (*fd < 0)
		return *fd;
	err = check_file_system(*fd, name);
	if (!err)
		err = reserve_room(*fd, name, 0, bytes);
	if (!err)
		err = write_header(*fd, name, bytes / SW_PAGE_SIZE, h);
	return err;
}

static int open_file(const struct sw_disk_spec *spec, const char *name, int *fd,
		     struct sw_swap_header *h)
{
	struct stat st;
	int err;

	*fd = open(spec->path, O_RDWR | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st)) {
		sw_error("%s: cannot be opened: %s", name, strerror(errno));
		return -EINVAL;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB)) {
		sw_error("%s: is a swap device already, of this run or another",
			 name);
		return -EBUSY;
	}
	err = read_header(*fd, name, h);
	if (!err)
		err = check_size(spec, name, h);
	if (!err)
		err = check_file_system(*fd, name);
	if (!err)
		err = reserve_room(*fd, name, FALLOC_FL_KEEP_SIZE,
				   h->max * SW_PAGE_SIZE);
	if (!err && (st.st_mode & 077))
		sw_warn("%s: others may open it (mode %04o) and see what memory held; chmod 600 it",
			name, st.st_mode & 07777);
	return err;
}

/* ---- block devices ---- */

static int open_block(const struct sw_disk_spec *spec, const char *name,
		      int *fd, struct sw_swap_header *h)
{
	*fd = open(spec->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (*fd < 0) {
		sw_error(
			"%s: cannot be opened: %s%s", name, strerror(errno),
			errno == EBUSY
				? "; it is mounted, swap, or part of another device: see lsblk"
				: "");
		return -EINVAL;
	}
	return read_header(*fd, name, h);
}

/* ---- all of it ---- */

static int refuse_kind(const struct sw_disk_spec *spec, const char *name,
		       mode_t mode)
{
	if (S_ISBLK(mode))
		sw_error("%s: is a block device; write block:%s", name,
			 spec->path);
	else if (S_ISREG(mode) || S_ISDIR(mode))
		sw_error("%s: is no block device; write file:%s", name,
			 spec->path);
	else
		sw_error(
			"%s: is neither a file nor a folder nor a block device",
			name);
	return -EINVAL;
}

int sw_disk_area_open(const struct sw_disk_spec *spec, const char *name,
		      int *fd, struct sw_swap_header *h)
{
	struct stat st;

	*fd = -1;
	if (stat(spec->path, &st)) {
		if (errno == ENOENT && !spec->is_block)
			return make_file(spec, name, false, fd, h);
		sw_error("%s: %s", name, strerror(errno));
		return -EINVAL;
	}
	if (spec->is_block && S_ISBLK(st.st_mode))
		return open_block(spec, name, fd, h);
	if (!spec->is_block && S_ISREG(st.st_mode))
		return open_file(spec, name, fd, h);
	if (!spec->is_block && S_ISDIR(st.st_mode))
		return make_file(spec, name, true, fd, h);
	return refuse_kind(spec, name, st.st_mode);
}
