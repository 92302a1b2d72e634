/*
 * raw_io.h - what a disk gives to plain large I/O past the page cache: eight
 * threads, each with one request of 1 MiB at a time, in order; and single pages
 * at random. What swapping to the same disk reaches is held against it.
 */
#ifndef BENCH_RAW_IO_H
#define BENCH_RAW_IO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RAW_THREADS 8
#define RAW_BYTES   (1ul << 20)

struct raw_pass {
	int fd; /* opened with O_DIRECT */
	bool write;
	size_t nr, next; /* requests; [atomic] the first that nobody took */
	bool failed;     /* [atomic] */
};

static inline double raw_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void *raw_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline void *raw_thread(void *arg)
{
	struct raw_pass *pass = arg;
	char *buf = raw_memory(RAW_BYTES);
	size_t i;

	while (buf && (i = __atomic_fetch_add(&pass->next, 1,
					      __ATOMIC_RELAXED)) < pass->nr) {
		off_t at = i * RAW_BYTES;
		ssize_t n = pass->write ? pwrite(pass->fd, buf, RAW_BYTES, at)
					: pread(pass->fd, buf, RAW_BYTES, at);

		if (n != (ssize_t)RAW_BYTES)
			__atomic_store_n(&pass->failed, true, __ATOMIC_RELAXED);
	}
	if (!buf)
		__atomic_store_n(&pass->failed, true, __ATOMIC_RELAXED);
	else
		munmap(buf, RAW_BYTES);
	return NULL;
}

/* MB/s over the first `mib` of the file, or 0: it failed. */
static inline double raw_in_order(int fd, bool write, size_t mib)
{
	struct raw_pass pass = { .fd = fd, .write = write, .nr = mib };
	pthread_t threads[RAW_THREADS];
	double from = raw_seconds();
	unsigned nr = 0;

	while (nr < RAW_THREADS &&
	       !pthread_create(&threads[nr], NULL, raw_thread, &pass))
		nr++;
	while (nr)
		pthread_join(threads[--nr], NULL);
	if (pass.failed || pass.next < pass.nr)
		return 0;
	return mib * RAW_BYTES / 1e6 / (raw_seconds() - from);
}

/* Microseconds a page, read one by one anywhere in the first `mib`; 0: it
 * failed. */
static inline double raw_at_random(int fd, size_t mib, unsigned nr)
{
	char *page = raw_memory(4096);
	uint64_t at = 88172645463325252ul;
	double from = raw_seconds();

	for (unsigned i = 0; page && i < nr; i++) {
		at ^= at << 13;
		at ^= at >> 7;
		at ^= at << 17;
		if (pread(fd, page, 4096, at % (mib * 256) * 4096) != 4096)
			return 0;
	}
	return page ? (raw_seconds() - from) * 1e6 / nr : 0;
}

#endif
