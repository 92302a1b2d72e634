/*
 * workload_io.c - the kernel as a reader and writer of paged-out memory:
 * file and pipe I/O, direct I/O, scattered vectors, pinned pages.
 */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define WL_FILE 6

/* Never has a name, so nothing stays behind however we end. */
static int scratch_file(void)
{
	int fd = open(wl.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		wl_die("open of a scratch file in %s", wl.dir);
	return fd;
}

/* The same file with O_DIRECT, or -1 where the file system has none. */
static int reopen_direct(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0)
			wl_die("write of %zu bytes", len);
		buf += n;
		len -= n;
	}
}

static void read_all(int fd, char *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n <= 0)
			wl_die("read of %zu bytes", len);
		buf += n;
		len -= n;
	}
}

/* `to` holds what `from` holds: same formula, same states, other address. */
static struct wl_area mirror(const struct wl_area *from, char *to)
{
	struct wl_area copy = *from;

	copy.base = to;
	return copy;
}

static void plain(struct wl_area *a, struct wl_area *b)
{
	size_t bytes = a->nr_pages * WL_PAGE;
	struct wl_area copy = mirror(a, b->base);
	int fd = scratch_file();

	write_all(fd, a->base, bytes);
	wl_check_all(a);
	if (lseek(fd, 0, SEEK_SET))
		wl_die("lseek");
	read_all(fd, b->base, bytes);
	wl_check_all(&copy);
	wl_check_all(a);
	close(fd);
	wl_fill(b, 0, b->nr_pages, 2);
}

/* 64 KiB pieces, out of order, straight between disk and pages. */
static void direct(struct wl_area *a, struct wl_area *b)
{
	size_t piece = 16, pieces = a->nr_pages / piece;
	struct wl_area copy = mirror(a, b->base);
	int fd = scratch_file();
	int direct = reopen_direct(fd);
	uint64_t random = 4;

	if (direct < 0) {
		fprintf(stderr, "workload io: no O_DIRECT in %s, left out\n",
			wl.dir);
		close(fd);
		return;
	}
	for (size_t k = 0; k < pieces; k++) {
		size_t at = k * 7 % pieces * piece * WL_PAGE;
		ssize_t n = pwrite(direct, a->base + at, piece * WL_PAGE, at);

		if (n != (ssize_t)(piece * WL_PAGE))
			wl_die("pwrite O_DIRECT gave %zd", n);
	}
	for (size_t k = 0; k < pieces / 2; k++) {
		size_t p = wl_random(&random) % pieces;
		size_t at = p * piece * WL_PAGE;
		ssize_t n = pread(direct, b->base + at, piece * WL_PAGE, at);

		if (n != (ssize_t)(piece * WL_PAGE))
			wl_die("pread O_DIRECT gave %zd", n);
		wl_check(&copy, p * piece, piece);
	}
	close(direct);
	close(fd);
	wl_check_all(a);
	wl_fill(b, 0, b->nr_pages, 3);
}

/* Every page its own vector entry, from the two ends inwards. */
static void vectors(struct wl_area *a, struct wl_area *b)
{
	size_t n = a->nr_pages < 512 ? a->nr_pages : 512;
	struct wl_area copy = mirror(a, b->base);
	struct iovec out[512], in[512];
	int fd = scratch_file();

	for (size_t k = 0; k < n; k++) {
		size_t i = k & 1 ? n - 1 - k / 2 : k / 2;

		out[k].iov_base = a->base + i * WL_PAGE;
		in[k].iov_base = b->base + i * WL_PAGE;
		out[k].iov_len = in[k].iov_len = WL_PAGE;
	}
	if (writev(fd, out, n) != (ssize_t)(n * WL_PAGE))
		wl_die("writev");
	if (preadv(fd, in, n, 0) != (ssize_t)(n * WL_PAGE))
		wl_die("preadv");
	wl_check(&copy, 0, n);
	wl_check(a, 0, n);
	close(fd);
	wl_fill(b, 0, n, 4);
}

struct sender {
	const struct wl_area *area;
	int fd;
	bool splice;
};

static void *sender_main(void *p)
{
	struct sender *s = p;
	size_t bytes = s->area->nr_pages * WL_PAGE;

	if (!s->splice) {
		write_all(s->fd, s->area->base, bytes);
		return NULL;
	}
	for (size_t done = 0; done < bytes;) {
		struct iovec v = { s->area->base + done, bytes - done };
		ssize_t n;

		if (v.iov_len > 16 * WL_PAGE)
			v.iov_len = 16 * WL_PAGE;
		n = vmsplice(s->fd, &v, 1, 0);
		if (n <= 0)
			wl_die("vmsplice");
		done += n;
	}
	return NULL;
}

/* One thread writes while another reads, both with pages that are out. */
static void stream(struct wl_area *a, struct wl_area *b, bool splice)
{
	struct sender s = { .area = a, .splice = splice };
	struct wl_area copy = mirror(a, b->base);
	pthread_t thread;
	int fd[2];

	if (splice ? pipe(fd) : socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		wl_die("pipe or socketpair");
	s.fd = fd[1];
	errno = pthread_create(&thread, NULL, sender_main, &s);
	if (errno)
		wl_die("pthread_create");
	read_all(fd[0], b->base, a->nr_pages * WL_PAGE);
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
	wl_check_all(&copy);
	wl_check_all(a);
	wl_fill(b, 0, b->nr_pages, 6);
}

/* Small results into pages that are out: each call must find a buffer. */
static void small_results(struct wl_area *a)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		wl_die("open of /dev/zero");
	for (size_t i = 0; i + 8 < a->nr_pages; i += 97) {
		char *at = a->base + i * WL_PAGE;

		/* Crosses three page borders, and must change nothing else. */
		if (pread(fd, at + 4000, 8192, 0) != 8192)
			wl_die("pread of zeros");
		for (size_t k = 4000; k < 4000 + 8192; k++)
			if (at[k])
				wl_mismatch(at + k, 0, at[k], "read zeros");
		wl_check(a, i + 3, 2);
		wl_fill(a, i, 3, a->version[i] + 1);
		if (!getcwd(at, WL_PAGE) || at[0] != '/')
			wl_die("getcwd into a page");
		wl_fill(a, i, 1, a->version[i]);
	}
	close(fd);
	wl_check_all(a);
}

int wl_io(void)
{
	struct wl_area a, b;

	wl_area_new(&a, wl_pages() / 3);
	wl_area_new(&b, wl_pages() / 3);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_fill(&b, 0, b.nr_pages, 1);
	wl_background_start(wl_pages() / 3);
	for (unsigned round = 0; round < wl.rounds; round++) {
		plain(&a, &b);
		direct(&a, &b);
		vectors(&a, &b);
		stream(&a, &b, false);
		stream(&a, &b, true);
		small_results(&a);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_check_all(&b);
	wl_area_free(&a);
	wl_area_free(&b);
	return 0;
}
