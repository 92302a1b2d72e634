/*
 * disk_file.h - a folder on a disk for tests of swap files, the areas in it,
 * and a way to live without some system call.
 */
#ifndef SW_TEST_DISK_FILE_H
#define SW_TEST_DISK_FILE_H

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/disk.h"

/* Not /tmp, which may be memory: files there are refused. */
static char disk_folder[] = "/var/tmp/spillway-disk.XXXXXX";
static char disk_path[sizeof(disk_folder) + 16];
static bool disk_encrypts, disk_discards; /* what disk_new() opens */

/* False: there is no such place. */
static inline bool disk_folder_make(void)
{
	struct statfs fs;

	strcpy(disk_folder + sizeof(disk_folder) - 7, "XXXXXX");
	if (!mkdtemp(disk_folder))
		abort();
	snprintf(disk_path, sizeof(disk_path), "%s/area", disk_folder);
	return !statfs(disk_folder, &fs) && fs.f_type != TMPFS_MAGIC;
}

static inline void disk_folder_remove(void)
{
	unlink(disk_path);
	if (rmdir(disk_folder))
		abort(); /* something was left in it */
}

/* The store of a new file. */
static inline struct sw_disk *disk_new(uint64_t slots)
{
	const struct sw_disk_spec spec = {
		.path = disk_path,
		.size_bytes = slots * SW_PAGE_SIZE,
		.encrypt = disk_encrypts,
		.discard = disk_discards,
	};

	return sw_disk_open(&spec);
}

/* A file with a header for all of it, as mkswap makes it: with holes. */
static inline void disk_area_make(const struct sw_swap_header *h)
{
	int fd = open(disk_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char page[SW_PAGE_SIZE];

	if (fd < 0 || sw_swap_header_make(page, h) ||
	    pwrite(fd, page, sizeof(page), 0) != sizeof(page) ||
	    ftruncate(fd, h->max * SW_PAGE_SIZE) || close(fd))
		abort();
}

/* A descriptor of ours for the store's file, which may have no name. */
static inline int disk_file(void)
{
	char link[64], target[256];
	ssize_t n;

	for (int fd = 3; fd < 256; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (!strncmp(target, disk_folder, strlen(disk_folder)))
			return open(link, O_RDWR | O_CLOEXEC);
	}
	abort();
}

static inline void filter_system_calls(struct sock_filter *filter, size_t len)
{
	const struct sock_fprog prog = { .len = len, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		abort();
}

/* From now on this system call says EPERM to this process. */
static inline void forbid(unsigned syscall_nr)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syscall_nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	filter_system_calls(filter, SW_ARRAY_SIZE(filter));
}

static inline void forbid_io_uring(void)
{
	forbid(SYS_io_uring_setup);
}

#endif
