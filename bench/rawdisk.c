/*
 * rawdisk.c - the figures of raw_io.h for the disk that PATH lies on:
 *
 *   rawdisk PATH MIB
 *
 * makes a file of MIB there, writes it (once unmeasured, for the room), reads
 * it, and removes it. Prints lines "NAME VALUE": MB/s, and microseconds a page.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "raw_io.h"

static int fail(const char *what)
{
	fprintf(stderr, "rawdisk: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	size_t mib = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	double write, read, random;
	int fd;

	if (!mib) {
		fprintf(stderr, "usage: rawdisk PATH MIB\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT,
		  0600);
	if (fd < 0)
		return fail(argv[1]);
	unlink(argv[1]);
	if (posix_fallocate(fd, 0, mib << 20))
		return fail("no room");
	write = raw_in_order(fd, true, mib) ? raw_in_order(fd, true, mib) : 0;
	read = raw_in_order(fd, false, mib);
	random = raw_at_random(fd, mib, 5000);
	if (!write || !read || !random)
		return fail("a transfer failed");
	printf("write %.1f\nread %.1f\nrandom %.2f\n", write, read, random);
	return 0;
}
