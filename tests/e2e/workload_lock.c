/*
 * workload_lock.c - memory that must not move: locked by mlock(), mlock2() and
 * mlockall(), and registered with io_uring, which writes into the very pages
 * it was once shown. What is locked is looked at from inside, by
 * /proc/self/pagemap.
 */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WL_FILE 10

static void all_present(const struct wl_area *a, const char *why)
{
	size_t n = wl_area_present(a);

	if (wl_sabotage(WL_SITE))
		n--;
	if (n != a->nr_pages)
		wl_wrong("%s: %zu of %zu pages are in memory", why, n,
			 a->nr_pages);
}

/* Locked with mlock2(ONFAULT): there from the first touch on. */
#define LOCK_ONFAULT 1u

/* Writes and reads more than the budget has room for. */
static void press(struct wl_area *a, unsigned version)
{
	wl_fill(a, 0, a->nr_pages, version);
	wl_check_all(a);
}

/* What is out when it is locked comes in, and stays from then on. */
static void lock_what_is_out(struct wl_area *a, struct wl_area *rest)
{
	wl_fill(a, 0, a->nr_pages, 1);
	press(rest, 2);
	if (mlock(a->base, a->nr_pages * WL_PAGE))
		wl_die("mlock");
	all_present(a, "after mlock");
	press(rest, 3);
	all_present(a, "locked, amid paging");
	wl_check_all(a);
	for (size_t i = 0; i < a->nr_pages; i += 3)
		wl_poke(a, i);
	press(rest, 4);
	all_present(a, "locked and written to");
	wl_check_all(a);
	if (munlock(a->base, a->nr_pages * WL_PAGE))
		wl_die("munlock");
	press(rest, 5);
	wl_check_all(a);
}

static void lock_on_fault(struct wl_area *a, struct wl_area *rest)
{
	if (madvise(a->base, a->nr_pages * WL_PAGE, MADV_DONTNEED) ||
	    syscall(SYS_mlock2, a->base, a->nr_pages * WL_PAGE, LOCK_ONFAULT))
		wl_die("mlock2");
	wl_fill(a, 0, a->nr_pages, 7);
	press(rest, 8);
	all_present(a, "locked on fault");
	wl_check_all(a);
	if (munlock(a->base, a->nr_pages * WL_PAGE))
		wl_die("munlock");
}

static void in_locked_process(struct wl_area *a)
{
	struct wl_area late;

	if (mlockall(MCL_CURRENT))
		wl_die("mlockall");
	all_present(a, "after mlockall");
	wl_area_new(&late, wl_pages() / 2);
	press(&late, 1);
	press(&late, 2);
	all_present(a, "all locked");
	wl_check_all(a);
	wl_area_free(&late);
	if (munlockall() || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		wl_die("mlockall on fault");
	wl_area_new(&late, a->nr_pages);
	wl_fill(&late, 0, late.nr_pages, 3);
	wl_check_all(a);
	for (unsigned version = 4; version < 24; version++)
		press(a, version);
	all_present(&late, "locked as it came");
	all_present(a, "all locked, and nothing else");
	wl_check_all(&late);
}

/* All there is, whoever it belongs to; then what comes later. By then some of
 * it has been out, so that whoever takes it out is ready to. */
static void lock_all(struct wl_area *a)
{
	struct wl_area early;
	pid_t pid;

	wl_area_new(&early, wl_pages() / 2);
	press(&early, 1);
	press(&early, 2);
	wl_area_free(&early);
	pid = wl_fork();
	if (pid == 0) {
		in_locked_process(a);
		_exit(0);
	}
	wl_reap(pid, 0);
	wl_check_all(a);
}

/* ---- io_uring ---- */

struct ring {
	int fd;
	char *queue;
	struct io_uring_sqe *sqe;
	struct io_uring_params params;
	unsigned turns;
};

/* False: this machine has none. */
static bool ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 4, &r->params);
	if (r->fd < 0)
		return false;
	r->queue = mmap(NULL, r->params.sq_off.array + 4 * sizeof(unsigned), 3,
			MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
	r->sqe = mmap(NULL, 4 * sizeof(*r->sqe), 3, MAP_SHARED | MAP_POPULATE,
		      r->fd, IORING_OFF_SQES);
	if (r->queue == MAP_FAILED || r->sqe == MAP_FAILED)
		wl_die("mmap of a ring");
	return true;
}

/* Reads from the file straight into a registered buffer. */
static void ring_read(struct ring *r, int fd, unsigned buffer, char *to,
		      size_t len, off_t at)
{
	unsigned *array = (unsigned *)(r->queue + r->params.sq_off.array);
	unsigned *tail = (unsigned *)(r->queue + r->params.sq_off.tail);
	unsigned slot = r->turns++ & (r->params.sq_entries - 1);

	r->sqe[slot] = (struct io_uring_sqe){ .opcode = IORING_OP_READ_FIXED,
					      .fd = fd,
					      .addr = (uintptr_t)to,
					      .len = len,
					      .off = at,
					      .buf_index = buffer };
	array[slot] = slot;
	__atomic_store_n(tail, r->turns, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		wl_die("io_uring_enter");
}

/* Shows the area's pages to the ring; they are pinned until it is closed. */
static bool pin(struct ring *r, struct wl_area *a)
{
	struct iovec v = { a->base, a->nr_pages * WL_PAGE };

	if (!ring_open(r))
		return false;
	if (!syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &v,
		     1))
		return true;
	close(r->fd);
	return false;
}

static void ring_close(struct ring *r)
{
	munmap(r->queue, r->params.sq_off.array + 4 * sizeof(unsigned));
	munmap(r->sqe, 4 * sizeof(*r->sqe));
	close(r->fd);
}

/* Pages move on around the pinned ones; what the kernel then reads into these
 * is seen through the mapping. */
static void pinned(struct wl_area *a, struct wl_area *rest)
{
	size_t bytes = a->nr_pages * WL_PAGE;
	int fd = memfd_create("workload", MFD_CLOEXEC);
	struct ring r;

	wl_fill(a, 0, a->nr_pages, 20);
	press(rest, 21);
	if (fd < 0 || pwrite(fd, a->base, bytes, 0) != (ssize_t)bytes)
		wl_die("pwrite to a memfd");
	if (!pin(&r, a)) {
		fprintf(stderr, "workload lock: no io_uring, left out\n");
		close(fd);
		return;
	}
	press(rest, 22);
	memset(a->base, 0xee, bytes);
	press(rest, 23);
	ring_read(&r, fd, 0, a->base, bytes, 0);
	press(rest, 24);
	wl_check_all(a);
	ring_close(&r);
	close(fd);
	press(rest, 25);
	wl_check_all(a);
}

int wl_lock(void)
{
	struct wl_area a, rest;

	wl_area_new(&a, wl_pages() / 16);
	wl_fill(&a, 0, a.nr_pages, 1);
	lock_all(&a); /* while there is little else to be locked */
	wl_area_new(&rest, wl_pages() / 2);
	wl_background_start(wl_pages() / 4);
	for (unsigned round = 0; round < wl.rounds; round++) {
		lock_what_is_out(&a, &rest);
		lock_on_fault(&a, &rest);
		pinned(&a, &rest);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&rest);
	wl_area_free(&a);
	return 0;
}

/* Half of it locked, half of it pinned: there is nothing to be done, until
 * --seconds are over. */
int wl_hold(void)
{
	struct timespec t = { .tv_sec = wl.seconds };
	struct wl_area locked, shown;
	struct ring r;
	bool is_pinned;

	wl_area_new(&locked, wl_pages() / 2);
	wl_area_new(&shown, wl_pages() / 2);
	wl_fill(&locked, 0, locked.nr_pages, 1);
	wl_fill(&shown, 0, shown.nr_pages, 1);
	if (mlock(locked.base, locked.nr_pages * WL_PAGE))
		wl_die("mlock");
	is_pinned = pin(&r, &shown);
	if (!is_pinned && mlock(shown.base, shown.nr_pages * WL_PAGE))
		wl_die("mlock");
	nanosleep(&t, NULL);
	all_present(&locked, "held");
	wl_check_all(&shown);
	wl_check_all(&locked);
	if (is_pinned)
		ring_close(&r);
	wl_area_free(&locked);
	wl_area_free(&shown);
	return 0;
}
