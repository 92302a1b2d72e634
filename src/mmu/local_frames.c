/*
 * local_frames.c - pages out of a region and, the frame with other bytes in it,
 * back in. What is taken out is moved into the stage, read from there by
 * reclaim, and its frames become the supply: filled and moved to where the next
 * batch of pages comes in, they spare the kernel to free, find and clear one.
 * That pays from three pages on: a move flushes other CPUs' translations, which
 * a copy does not. The supply is one batch at most; more goes back to the
 * kernel.
 *
 * Without UFFDIO_MOVE (before Linux 6.8) pages are write-protected, copied and
 * dropped, in this order: who writes in between waits for the drop, and faults.
 *
 * What is kept elsewhere is not moved at all but dropped, many runs in one call
 * and with one flush of other CPUs' translations (Linux 6.16), which for scattered
 * pages costs a fifth. The others are moved although that costs more, since a
 * move leaves alone what some device still writes to. A page that is kept has
 * been protected since it came, and so has no such writer.
 *
 * Above: local.c. Below: the kernel.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mmu/local_internal.h"
#include "mmu/uffd.h"

#define AREA_BYTES (SW_STAGE_PAGES * SW_PAGE_SIZE)
#define MIN_MOVE   3u
#define MOVE_TRIES 100
#ifndef PIDFD_SELF_THREAD_GROUP
#define PIDFD_SELF_THREAD_GROUP (-10001)
#endif
#define PAGEMAP_OCCUPIED (3ull << 62) /* present, or swapped out by the host */

/* ---- areas ---- */

static int area_init(struct sw_area *a, int uffd)
{
	a->at = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->at == MAP_FAILED) {
		a->at = NULL;
		return -ENOMEM;
	}
	madvise(a->at, AREA_BYTES, MADV_NOHUGEPAGE);
	madvise(a->at, AREA_BYTES, MADV_DONTFORK);
	if (uffd < 0)
		return 0;
	/* A move goes to registered memory only. */
	return sw_uffd_register(uffd, (uint64_t)a->at, AREA_BYTES,
				UFFDIO_REGISTER_MODE_WP);
}

static void area_drop(struct sw_area *a)
{
	(void)madvise(a->at, AREA_BYTES, MADV_DONTNEED);
	memset(a->present, 0, sizeof(a->present));
}

int sw_frames_init(struct sw_local *l)
{
	int err = area_init(&l->frames.stage, l->uffd);

	if (!err)
		err = area_init(&l->frames.supply, l->uffd);
	return err;
}

void sw_frames_release(struct sw_local *l)
{
	if (l->frames.stage.at)
		munmap(l->frames.stage.at, AREA_BYTES);
	if (l->frames.supply.at)
		munmap(l->frames.supply.at, AREA_BYTES);
}

/* ---- moving ---- */

/* Moves a range; returns the bytes that went, or -errno when none did. */
static int64_t move(struct sw_local *l, uint64_t dst, uint64_t src,
		    uint64_t len, uint64_t mode)
{
	struct sw_uffdio_move m;

	for (unsigned n = 0; n < MOVE_TRIES; n++) {
		m = (struct sw_uffdio_move){ dst, src, len, mode, 0 };
		if (!ioctl(l->uffd, SW_UFFDIO_MOVE, &m))
			return len;
		if (m.move > 0)
			return m.move;
		if (errno != EAGAIN) /* a page is being looked at */
			return -errno;
		sched_yield();
	}
	return -EAGAIN;
}

/* ---- in ---- */

static bool has_page(const struct sw_area *a, unsigned i)
{
	return a->present[i / 64] >> (i % 64) & 1;
}

static void set_pages(struct sw_area *a, unsigned i, unsigned nr, bool present)
{
	for (; nr--; i++) {
		if (present)
			a->present[i / 64] |= 1ull << (i % 64);
		else
			a->present[i / 64] &= ~(1ull << (i % 64));
	}
}

static void lock_supply(struct sw_frames *fr) SW_NO_TSA
{
	sw_spin_lock(&fr->lock, "frames", SW_RANK_LEAF);
}

/* Takes up to `nr` neighbouring frames out of the supply for the caller, who
 * gives them back by end_use(). Returns how many. */
static unsigned begin_use(struct sw_frames *fr, unsigned nr,
			  unsigned *at) SW_NO_TSA
{
	unsigned i = 0, n = 0;

	if (!__atomic_load_n(&fr->nr, __ATOMIC_RELAXED))
		return 0;
	lock_supply(fr);
	while (i < SW_STAGE_PAGES && !has_page(&fr->supply, i))
		i += fr->supply.present[i / 64] ? 1 : 64 - i % 64;
	while (n < nr && i + n < SW_STAGE_PAGES && has_page(&fr->supply, i + n))
		n++;
	set_pages(&fr->supply, i, n, false);
	fr->users += n > 0;
	__atomic_fetch_sub(&fr->nr, n, __ATOMIC_RELAXED);
	sw_spin_unlock(&fr->lock);
	*at = i;
	return n;
}

/* `left` frames from `at` on are still there. */
static void end_use(struct sw_frames *fr, unsigned at, unsigned left) SW_NO_TSA
{
	lock_supply(fr);
	set_pages(&fr->supply, at, left, true);
	__atomic_fetch_add(&fr->nr, left, __ATOMIC_RELAXED);
	fr->users--;
	sw_spin_unlock(&fr->lock);
}

int sw_frames_give(struct sw_local *l, uint64_t addr, const void *pages,
		   unsigned nr)
{
	struct sw_frames *fr = &l->frames;
	unsigned done = 0;

	while (nr - done >= MIN_MOVE) {
		unsigned at, n = begin_use(fr, nr - done, &at), gone = 0;
		char *frame = fr->supply.at + at * SW_PAGE_SIZE;
		int64_t moved = 0;

		if (!n)
			break;
		if (n >= MIN_MOVE) {
			memcpy(frame, (const char *)pages + done * SW_PAGE_SIZE,
			       n * SW_PAGE_SIZE);
			moved = move(l, addr + done * SW_PAGE_SIZE,
				     (uint64_t)frame, n * SW_PAGE_SIZE, 0);
			gone = moved > 0 ? moved / SW_PAGE_SIZE : 0;
			end_use(fr, at + gone, n - gone);
		} else {
			/* Too few to move, and in the way of the others. */
			(void)madvise(frame, n * SW_PAGE_SIZE, MADV_DONTNEED);
			end_use(fr, at, 0);
			continue;
		}
		done += gone;
		if (gone < n)
			return done               ? (int)done
			       : moved == -EEXIST ? -EEXIST
						  : 0;
	}
	return done;
}

/* ---- out ---- */

/* Pagemap entries of `nr` pages. Never fails of its own memory. */
static void read_pagemap(struct sw_local *l, uint64_t addr, uint64_t *entry,
			 unsigned nr)
{
	ssize_t n = pread(l->pagemap, entry, nr * 8, addr / SW_PAGE_SIZE * 8);

	SW_BUG_ON(n != nr * 8);
}

static void take_run(struct sw_local *l, const struct sw_agent_run *run,
		     uint8_t *page)
{
	uint64_t to = (uint64_t)l->frames.stage.at + run->at * SW_PAGE_SIZE;
	uint64_t done = 0, len = run->nr * SW_PAGE_SIZE;
	bool single = false;

	while (done < len) {
		uint64_t part = single ? SW_PAGE_SIZE : len - done;
		int64_t n = move(l, to + done, run->addr + done, part,
				 SW_UFFDIO_MOVE_ALLOW_SRC_HOLES);

		if (n > 0) {
			done += n;
			continue;
		}
		if (n != -EBUSY && part > SW_PAGE_SIZE) {
			single = true;
			continue;
		}
		page[done / SW_PAGE_SIZE] = n == -EBUSY || n == -EAGAIN
						    ? SW_PAGE_BUSY
						    : SW_PAGE_REFUSED;
		done += SW_PAGE_SIZE;
	}
}

/* What is in the stage decides, not what the kernel said: it counts holes as
 * moved, and pages that it refused were seen to be gone (docs/measured.md). */
static void note_run(struct sw_local *l, const struct sw_agent_run *run,
		     const uint64_t *staged, uint8_t *page)
{
	for (unsigned i = 0; i < run->nr; i++) {
		uint64_t source = 0;

		if (!(staged[i] & PAGEMAP_OCCUPIED))
			continue;
		if (page[i] != SW_PAGE_HOLE)
			read_pagemap(l, run->addr + i * SW_PAGE_SIZE, &source,
				     1);
		page[i] = source & PAGEMAP_OCCUPIED ? SW_PAGE_STALE
						    : SW_PAGE_TAKEN;
		if (page[i] == SW_PAGE_TAKEN)
			set_pages(&l->frames.stage, run->at + i, 1, true);
	}
}

static void drop_copied(uint64_t addr, unsigned nr)
{
	(void)madvise((void *)addr, nr * SW_PAGE_SIZE, MADV_DONTNEED);
}

/* The same without a move. */
static void copy_run(struct sw_local *l, const struct sw_agent_run *run,
		     uint8_t *page)
{
	char *to = l->frames.stage.at + run->at * SW_PAGE_SIZE;
	uint64_t entry[SW_STAGE_PAGES];

	if (sw_uffd_protect(l->uffd, run->addr, run->nr * SW_PAGE_SIZE, true)) {
		memset(page, SW_PAGE_REFUSED, run->nr);
		return;
	}
	read_pagemap(l, run->addr, entry, run->nr);
	for (unsigned i = 0; i < run->nr; i++) {
		uint64_t from = run->addr + i * SW_PAGE_SIZE;

		if (!(entry[i] & PAGEMAP_OCCUPIED))
			continue;
		memcpy(to + i * SW_PAGE_SIZE, (void *)from, SW_PAGE_SIZE);
		page[i] = SW_PAGE_TAKEN;
	}
	drop_copied(run->addr, run->nr);
}

/* ---- dropping what is kept elsewhere ---- */

static void drop(const struct iovec *range, unsigned nr)
{
	ssize_t done;

	done = syscall(SYS_process_madvise, PIDFD_SELF_THREAD_GROUP, range, nr,
		       MADV_DONTNEED, 0);
	for (unsigned i = 0; i < nr; i++) {
		done -= range[i].iov_len;
		/* An older kernel, or it stopped there. */
		if (done < 0)
			(void)madvise(range[i].iov_base, range[i].iov_len,
				      MADV_DONTNEED);
	}
}

/* How many pages from the first of `max` on are kept, or are not, as it is. */
static unsigned nr_alike(const uint8_t *page, unsigned max)
{
	bool kept = page[0] == SW_PAGE_KEPT;
	unsigned n = 1;

	while (n < max && (page[n] == SW_PAGE_KEPT) == kept)
		n++;
	return n;
}

/* Drops what is kept. The others are runs for the stage: returns how many, in
 * `rest`. */
static unsigned drop_kept(const struct sw_agent_run *run, unsigned nr_runs,
			  uint8_t *page, struct sw_agent_run *rest)
{
	struct iovec range[SW_STAGE_PAGES];
	unsigned nr_rest = 0, nr = 0;

	for (unsigned r = 0; r < nr_runs; r++) {
		for (unsigned k = 0, n; k < run[r].nr; k += n) {
			uint8_t *first = &page[run[r].at + k];
			uint64_t addr = run[r].addr + k * SW_PAGE_SIZE;
			bool kept = *first == SW_PAGE_KEPT;

			n = nr_alike(first, run[r].nr - k);
			if (kept)
				range[nr++] =
					(struct iovec){ (void *)addr,
							n * SW_PAGE_SIZE };
			else
				rest[nr_rest++] = (struct sw_agent_run){
					.addr = addr,
					.nr = n,
					.at = run[r].at + k,
				};
			memset(first, kept ? SW_PAGE_TAKEN : SW_PAGE_HOLE, n);
		}
	}
	if (nr)
		drop(range, nr);
	return nr_rest;
}

void sw_frames_take(struct sw_local *l, const struct sw_agent_run *run,
		    unsigned nr_runs, uint8_t *page)
{
	struct sw_agent_run rest[SW_STAGE_PAGES];
	unsigned nr = drop_kept(run, nr_runs, page, rest);
	uint64_t staged[SW_STAGE_PAGES];

	for (unsigned r = 0; r < nr; r++) {
		if (l->facts.move)
			take_run(l, &rest[r], &page[rest[r].at]);
		else
			copy_run(l, &rest[r], &page[rest[r].at]);
	}
	if (!l->facts.move || !nr)
		return;
	read_pagemap(l, (uint64_t)l->frames.stage.at, staged, SW_STAGE_PAGES);
	for (unsigned r = 0; r < nr; r++)
		note_run(l, &rest[r], &staged[rest[r].at], &page[rest[r].at]);
}

static unsigned nr_present(const struct sw_area *a)
{
	unsigned nr = 0;

	for (unsigned w = 0; w < SW_AREA_WORDS; w++)
		nr += __builtin_popcountll(a->present[w]);
	return nr;
}

void sw_frames_recycle(struct sw_local *l) SW_NO_TSA
{
	struct sw_frames *fr = &l->frames;
	struct sw_area area;
	bool swapped = false;

	if (l->facts.move && !nr_present(&fr->stage))
		return; /* all was dropped */
	if (l->facts.move) {
		lock_supply(fr);
		swapped = !fr->users && fr->nr < nr_present(&fr->stage);
		if (swapped) {
			area = fr->supply;
			fr->supply = fr->stage;
			fr->stage = area;
			__atomic_store_n(&fr->nr, nr_present(&fr->supply),
					 __ATOMIC_RELAXED);
		}
		sw_spin_unlock(&fr->lock);
	}
	area_drop(&fr->stage);
}
