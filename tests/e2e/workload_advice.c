/*
 * workload_advice.c - madvise(), posix_madvise() and process_madvise() answer as
 * the kernel does, change no memory, and, when somebody heeds them, say what is
 * there: `advice heeded` looks, by /proc/self/pagemap.
 */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WL_FILE 11

#define PATIENCE 20.0 /* seconds until what was advised is so */
#define AGAIN    0.5  /* it may be lost: seconds until it is advised again */

/* ---- the three calls ---- */

static int by_madvise(const struct wl_area *a, int advice)
{
	return madvise(a->base, a->nr_pages * WL_PAGE, advice);
}

static int by_posix(const struct wl_area *a, int advice)
{
	errno = advice == MADV_WILLNEED
			? posix_madvise(a->base, a->nr_pages * WL_PAGE,
					POSIX_MADV_WILLNEED)
			: EINVAL;
	return errno ? -1 : 0;
}

/* In two pieces. */
static int by_process(const struct wl_area *a, int advice)
{
	size_t half = a->nr_pages / 2 * WL_PAGE;
	struct iovec v[2] = { { a->base, half },
			      { a->base + half,
				a->nr_pages * WL_PAGE - half } };
	int fd = pidfd_open(getpid(), 0);
	ssize_t n;

	if (fd < 0)
		wl_die("pidfd_open");
	n = process_madvise(fd, v, 2, advice, 0);
	close(fd);
	return n == (ssize_t)(a->nr_pages * WL_PAGE) ? 0 : -1;
}

typedef int (*advise_fn)(const struct wl_area *a, int advice);

/* Advises until `wanted` pages of the area are in memory. */
static void advise_until(const struct wl_area *a, advise_fn advise, int advice,
			 size_t wanted, unsigned site)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };
	double start = wl_now(), next = start;
	size_t n = 0;

	do {
		if (wl_now() >= next) {
			if (advise(a, advice))
				wl_die("advice %d", advice);
			next += AGAIN;
		}
		nanosleep(&nap, NULL);
		n = wl_area_present(a);
	} while (n != wanted && wl_now() < start + PATIENCE);
	if (n != wanted)
		wl_wrong(
			"site %u: advice %d, and %zu of %zu pages are there, not %zu",
			site, advice, n, a->nr_pages, wanted);
}

/* ---- answers ---- */

static void expect(const char *what, long ret, int err, long want, int want_err,
		   unsigned site)
{
	if (wl_sabotage(site))
		ret++;
	if (ret != want || err != want_err)
		wl_wrong("%s: %ld, errno %d; not %ld, %d", what, ret, err, want,
			 want_err);
}

/* `call` with errno 0 before it. */
#define ANSWER(call, want, want_err)                                 \
	do {                                                         \
		long ret_;                                           \
                                                                     \
		errno = 0;                                           \
		ret_ = (call);                                       \
		expect(#call, ret_, errno, want, want_err, WL_SITE); \
	} while (0)

static void answers_are_the_kernels(struct wl_area *a)
{
	size_t bytes = a->nr_pages * WL_PAGE;
	char *hole = wl_map(3 * WL_PAGE);
	struct iovec v = { a->base, bytes };

	munmap(hole + WL_PAGE, WL_PAGE);
	ANSWER(madvise(a->base, bytes, MADV_COLD), 0, 0);
	ANSWER(madvise(a->base, bytes, MADV_PAGEOUT), 0, 0);
	ANSWER(madvise(a->base, bytes, MADV_WILLNEED), 0, 0);
	ANSWER(madvise(a->base, 0, MADV_PAGEOUT), 0, 0);
	ANSWER(madvise(a->base + 1, bytes, MADV_COLD), -1, EINVAL);
	ANSWER(madvise(a->base, bytes, 12345), -1, EINVAL);
	ANSWER(madvise(a->base, -WL_PAGE, MADV_PAGEOUT), -1, EINVAL);
	ANSWER(madvise(hole, 3 * WL_PAGE, MADV_PAGEOUT), -1, ENOMEM);
	ANSWER(posix_madvise(a->base, bytes, POSIX_MADV_WILLNEED), 0, 0);
	ANSWER(posix_madvise(a->base, bytes, POSIX_MADV_DONTNEED), 0, 0);
	ANSWER(posix_madvise(a->base + 1, bytes, POSIX_MADV_WILLNEED), EINVAL,
	       0);
	ANSWER(posix_madvise(hole, 3 * WL_PAGE, POSIX_MADV_WILLNEED), ENOMEM,
	       0);
	ANSWER(process_madvise(-1, &v, 1, MADV_COLD, 0), -1, EBADF);
	ANSWER(by_process(a, MADV_COLD), 0, 0);
	ANSWER(by_process(a, MADV_PAGEOUT), 0, 0);
	munmap(hole, 3 * WL_PAGE);
	wl_check_all(a);
}

/* A child that nobody was told of has what its parent had, but for what is
 * not for children. */
static void in_unannounced_child(struct wl_area *a)
{
	pid_t pid = syscall(SYS_fork);

	if (pid == 0) {
		if (by_madvise(a, MADV_PAGEOUT) || by_madvise(a, MADV_COLD))
			_exit(WL_SYSCALL);
		wl_check_all(a);
		_exit(0);
	}
	wl_reap(pid, 0);
}

/* ---- in the midst of it ---- */

static struct wl_area signalled;

static void on_signal(int sig)
{
	(void)sig;
	madvise(signalled.base, signalled.nr_pages * WL_PAGE, MADV_PAGEOUT);
}

/* All threads advise on one area; nothing is lost. */
static void advise_all_the_time(unsigned id, void *arg)
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED };
	struct wl_area *a = arg;
	uint64_t random = id + 1;

	for (unsigned k = 0; k < 300; k++) {
		size_t i = wl_random(&random) % a->nr_pages;
		size_t n = 1 + wl_random(&random) % (a->nr_pages - i);
		struct wl_area part = wl_area_part(a, i, n);

		if (by_madvise(&part, advice[wl_random(&random) % 3]))
			wl_die("madvise");
		if (k % 16 == 0)
			raise(SIGUSR1);
		if (k % 4 == 0)
			wl_check(a, i, 1);
	}
}

static void threads_and_signals(struct wl_area *a)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;

	signalled = *a;
	sigaction(SIGUSR1, &sa, &old);
	wl_in_threads(wl.threads, advise_all_the_time, a);
	sigaction(SIGUSR1, &old, NULL);
	wl_check_all(a);
}

/* Out, and in again before it is touched. */
static void there_and_back(struct wl_area *a, advise_fn out, advise_fn in)
{
	advise_until(a, out, MADV_PAGEOUT, 0, WL_SITE);
	advise_until(a, in, MADV_WILLNEED, a->nr_pages, WL_SITE);
	wl_check_all(a);
	advise_until(a, out, MADV_PAGEOUT, 0, WL_SITE);
	wl_check_all(a);
}

/* Writes and reads more than the budget has room for. */
static void press(unsigned version)
{
	struct wl_area rest;

	wl_area_new(&rest, wl_pages());
	wl_fill(&rest, 0, rest.nr_pages, version);
	wl_check_all(&rest);
	wl_area_free(&rest);
}

int wl_advice(void)
{
	bool heeded = wl.argc && !strcmp(wl.argv[0], "heeded");
	struct wl_area a;

	wl_area_new(&a, wl_pages() / 32);
	wl_fill(&a, 0, a.nr_pages, 1);
	press(1);
	for (unsigned round = 0; round < wl.rounds; round++) {
		answers_are_the_kernels(&a);
		in_unannounced_child(&a);
		if (heeded) {
			wl_fill(&a, 0, a.nr_pages, 10 * round + 2);
			there_and_back(&a, by_madvise, by_madvise);
			there_and_back(&a, by_process, by_posix);
		}
		threads_and_signals(&a);
		wl_fill(&a, 0, a.nr_pages, 10 * round + 3);
		if (by_madvise(&a, MADV_COLD))
			wl_die("madvise");
		press(10 * round + 4);
		wl_check_all(&a);
	}
	wl_area_free(&a);
	return 0;
}
