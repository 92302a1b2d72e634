/*
 * remote.c - calls down into another process: the operations of struct
 * sw_mmu_ops over its userfaultfd and its agent. The way up (the thread that
 * reads events) is remote_events.c.
 *
 * Above: mm/fault.c and mm/reclaim.c, which call these. Below: the kernel,
 * and agent/agent.c at the other end of the socket.
 *
 * Locks: `agent_lock` serialises conversations with the agent; it is a leaf
 * and is held while waiting for the agent's answer, which depends on no event
 * and no fault, except for `unshare`: so whoever unshares holds nothing that
 * the event thread needs, and that thread, which brings huge pages, waits for
 * the lock for a bounded time.
 */
#include "mmu/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "mmu/remote_internal.h"
#include "mmu/uffd.h"

#define BRING_WAIT_NS 2000000

uint64_t sw_remote_features(void)
{
	return UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_EVENT_FORK |
	       UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
	       UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_THREAD_ID |
	       SW_UFFD_FEATURE_POISON | SW_UFFD_FEATURE_MOVE;
}

struct sw_remote *sw_remote_of(struct sw_mmu *mmu)
{
	return sw_container_of(mmu, struct sw_remote, mmu);
}

/* ---- mapping ---- */

static int remote_copy(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		       unsigned nr, bool protect)
{
	struct sw_remote *r = sw_remote_of(mmu);
	uint64_t len = nr * SW_PAGE_SIZE, done = 0;

	while (done < len) {
		struct uffdio_copy c = {
			.dst = addr + done,
			.src = (uint64_t)pages + done,
			.len = len - done,
			.mode = protect ? UFFDIO_COPY_MODE_WP : 0,
		};

		if (!ioctl(r->uffd, UFFDIO_COPY, &c)) {
			done += c.len;
			continue;
		}
		if (c.copy > 0) {
			done += c.copy;
			continue;
		}
		/* A range over the border of two mappings is refused as a
                 * whole: go page by page up to it. */
		if (errno == ENOENT && c.len > SW_PAGE_SIZE) {
			len = done + SW_PAGE_SIZE;
			continue;
		}
		return done ? (int)(done / SW_PAGE_SIZE) : -errno;
	}
	return done / SW_PAGE_SIZE;
}

static int remote_protect(struct sw_mmu *mmu, uint64_t addr, uint64_t nr,
			  bool on)
{
	return sw_uffd_protect(sw_remote_of(mmu)->uffd, addr, nr * SW_PAGE_SIZE,
			       on);
}

static void remote_wake(struct sw_mmu *mmu, uint64_t addr, unsigned nr)
{
	(void)sw_uffd_wake(sw_remote_of(mmu)->uffd, addr, nr * SW_PAGE_SIZE);
}

static int remote_poison(struct sw_mmu *mmu, uint64_t addr)
{
	return sw_uffd_poison(sw_remote_of(mmu)->uffd, addr);
}

static int remote_lookup(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_remote *r = sw_remote_of(mmu);
	/* Refused in any case: there is no such thing on private memory. */
	struct uffdio_continue c = { .range = { addr, SW_PAGE_SIZE } };

	if (!ioctl(r->uffd, UFFDIO_CONTINUE, &c))
		return 0;
	switch (errno) {
	case ENOENT:
	case EAGAIN:
	case ESRCH:
		return -errno;
	}
	return 0;
}

/* ---- the agent ---- */

static int talk(struct sw_remote *r, const void *msg, size_t len, void *answer,
		size_t answer_len)
{
	ssize_t n;

	if (!__atomic_load_n(&r->mmu.can_take, __ATOMIC_ACQUIRE))
		return -ESRCH;
	if (send(r->sock, msg, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -ESRCH;
	if (!answer)
		return 0;
	do {
		n = recv(r->sock, answer, answer_len, 0);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)answer_len ? 0 : -ESRCH;
}

static int open_pagemap(const struct sw_remote *r)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", r->at.pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The agent's area for what was taken last. */
static uint64_t staged_at(const struct sw_remote *r)
{
	return r->at.stage + (r->huge ? SW_HUGE_PAGE * SW_PAGE_SIZE : 0);
}

/* What the page table has in `nr` pages of an area whose agent has died. */
static int look_at_area(const struct sw_remote *r, uint64_t area, unsigned nr,
			bool there[SW_MMU_BATCH])
{
	uint64_t entry[SW_MMU_BATCH];
	int fd = open_pagemap(r);
	ssize_t n;

	if (fd < 0)
		return -ESRCH;
	n = pread(fd, entry, nr * 8, area / SW_PAGE_SIZE * 8);
	close(fd);
	for (unsigned i = 0; i < nr; i++)
		there[i] = entry[i] >> 62;
	return n == nr * 8 ? 0 : -ESRCH;
}

/*
 * The agent died in the middle of a batch: its process may live on, and what
 * was moved is in its staging area. Ask the page table which pages are there.
 * If it died before it began this batch, they are the last one's.
 */
static int staged_after_death(struct sw_remote *r, uint8_t *page)
{
	unsigned nr = r->huge ? SW_HUGE_PAGES : SW_STAGE_PAGES;
	bool there[SW_MMU_BATCH];

	if (__atomic_load_n(&r->ctl->batch, __ATOMIC_ACQUIRE) == r->batch)
		return -ESRCH;
	r->batch = r->ctl->batch;
	if (look_at_area(r, staged_at(r), nr, there))
		return -ESRCH;
	for (unsigned i = 0; i < nr; i++)
		page[i] = there[i] ? SW_PAGE_TAKEN : SW_PAGE_STALE;
	return 0;
}

static int remote_take(struct sw_mmu *mmu, const struct sw_agent_run *run,
		       unsigned nr_runs, uint64_t epoch,
		       uint8_t page[SW_MMU_BATCH])
{
	struct sw_remote *r = sw_remote_of(mmu);
	struct sw_agent_take t = { .op = SW_AGENT_TAKE,
				   .nr_runs = nr_runs,
				   .epoch = epoch };
	struct sw_agent_taken answer;
	int err;

	memcpy(t.run, run, nr_runs * sizeof(*run));
	pthread_mutex_lock(&r->agent_lock);
	r->huge = run[0].nr == SW_HUGE_PAGES;
	err = talk(r, &t, sizeof(t), &answer, sizeof(answer));
	if (err) {
		sw_remote_agent_dead(r);
		err = staged_after_death(r, page);
	} else {
		r->batch = __atomic_load_n(&r->ctl->batch, __ATOMIC_ACQUIRE);
		memcpy(page, answer.page, sizeof(answer.page));
		r->nr_taken = 0;
		for (unsigned i = 0; i < SW_MMU_BATCH; i++)
			r->nr_taken += page[i] == SW_PAGE_TAKEN;
	}
	pthread_mutex_unlock(&r->agent_lock);
	return err;
}

/* One page more for a list of `nr` ranges; returns how many there are then. The
 * kernel looks up the pages of a range together. */
static unsigned add_page(struct iovec *v, unsigned nr, void *page)
{
	struct iovec *last = &v[nr - 1];

	if (nr && (char *)last->iov_base + last->iov_len == page) {
		last->iov_len += SW_PAGE_SIZE;
		return nr;
	}
	v[nr] = (struct iovec){ page, SW_PAGE_SIZE };
	return nr + 1;
}

static int remote_read_staged(struct sw_mmu *mmu, const uint16_t *at,
			      void *const *buf, unsigned nr)
{
	struct sw_remote *r = sw_remote_of(mmu);
	struct iovec local[SW_MMU_BATCH], remote[SW_MMU_BATCH];
	unsigned nr_local = 0, nr_remote = 0;
	ssize_t len = nr * SW_PAGE_SIZE;
	pid_t who[2] = { r->at.helper, r->at.pid };

	for (unsigned i = 0; i < nr; i++) {
		void *page = (void *)(staged_at(r) + at[i] * SW_PAGE_SIZE);

		nr_local = add_page(local, nr_local, buf[i]);
		nr_remote = add_page(remote, nr_remote, page);
	}
	for (int i = 0; i < 2; i++)
		if (process_vm_readv(who[i], local, nr_local, remote, nr_remote,
				     0) == len)
			return 0;
	return -EIO;
}

static void remote_drop_staged(struct sw_mmu *mmu)
{
	struct sw_remote *r = sw_remote_of(mmu);
	uint32_t op = SW_AGENT_DROP;

	pthread_mutex_lock(&r->agent_lock);
	__atomic_store_n(&r->nr_staged, r->nr_taken, __ATOMIC_RELAXED);
	__atomic_store_n(&r->drop, r->batch, __ATOMIC_RELAXED);
	talk(r, &op, sizeof(op), NULL, 0);
	pthread_mutex_unlock(&r->agent_lock);
}

unsigned sw_remote_staged(const struct sw_remote *r)
{
	const struct sw_agent_ctl *ctl =
		__atomic_load_n(&r->ctl, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&ctl->dropped, __ATOMIC_ACQUIRE) >=
	    __atomic_load_n(&r->drop, __ATOMIC_RELAXED))
		return 0;
	return __atomic_load_n(&r->nr_staged, __ATOMIC_RELAXED);
}

static int remote_unshare(struct sw_mmu *mmu, const struct sw_agent_run *run,
			  unsigned nr_runs)
{
	struct sw_remote *r = sw_remote_of(mmu);
	struct sw_agent_unshare u = { .op = SW_AGENT_UNSHARE,
				      .nr_runs = nr_runs };
	struct sw_agent_ready done;
	int err;

	memcpy(u.run, run, nr_runs * sizeof(*run));
	__atomic_store_n(&r->unsharing, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&r->agent_lock);
	err = talk(r, &u, sizeof(u), &done, sizeof(done));
	pthread_mutex_unlock(&r->agent_lock);
	__atomic_store_n(&r->unsharing, false, __ATOMIC_RELAXED);
	if (err)
		sw_remote_agent_dead(r);
	return err;
}

/* ---- huge pages ---- */

static bool remote_is_huge(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_remote *r = sw_remote_of(mmu);
	struct sw_pm_region found = { 0 };
	struct sw_pm_scan a = {
		.size = sizeof(a),
		.start = addr,
		.end = addr + SW_HUGE_PAGES * SW_PAGE_SIZE,
		.vec = (uint64_t)&found,
		.vec_len = 1,
		.all_of = SW_PM_IS_HUGE,
		.wanted = SW_PM_IS_HUGE,
	};

	if (r->pagemap < 0)
		r->pagemap = open_pagemap(r);
	return ioctl(r->pagemap, SW_PAGEMAP_SCAN, &a) == 1 &&
	       found.start == a.start && found.end == a.end;
}

/* Fills the agent's area by which huge pages come, all of it or for nothing. */
static int fill_area(const struct sw_remote *r, uint64_t area,
		     const void *pages)
{
	ssize_t len = SW_HUGE_PAGES * SW_PAGE_SIZE;
	struct iovec from = { (void *)pages, len }, to = { (void *)area, len };

	if (process_vm_writev(r->at.helper, &from, 1, &to, 1, 0) == len)
		return 0;
	return -ESRCH;
}

/* The agent died over it. What has left the area is in the program. */
static int brought_after_death(const struct sw_remote *r, uint64_t area,
			       uint8_t *page)
{
	bool there[SW_MMU_BATCH];

	if (look_at_area(r, area, SW_HUGE_PAGES, there))
		return -ESRCH;
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		page[i] = there[i] ? SW_PAGE_STALE : SW_PAGE_TAKEN;
	return 0;
}

/* agent_lock held. */
static int bring_locked(struct sw_remote *r, uint64_t addr, const void *pages,
			uint8_t *page)
{
	uint64_t area = r->at.stage + SW_BRING_PAGE * SW_PAGE_SIZE;
	struct sw_agent_bring b = { .op = SW_AGENT_BRING, .addr = addr };
	struct sw_agent_taken answer;
	int err = fill_area(r, area, pages);

	if (err)
		return err;
	if (talk(r, &b, sizeof(b), &answer, sizeof(answer))) {
		sw_remote_agent_dead(r);
		return brought_after_death(r, area, page);
	}
	memcpy(page, answer.page, sizeof(answer.page));
	return answer.huge;
}

/* For as long as a batch may take. What an unsharing agent touches is the thread's
 * to serve that calls us: whoever begins that meanwhile is not waited for any
 * longer. */
static int lock_agent_soon(struct sw_remote *r)
{
	struct timespec t;

	if (__atomic_load_n(&r->unsharing, __ATOMIC_RELAXED))
		return pthread_mutex_trylock(&r->agent_lock);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += BRING_WAIT_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return pthread_mutex_timedlock(&r->agent_lock, &t);
}

/* The agent's answer depends on no event and no fault. */
static int remote_bring(struct sw_mmu *mmu, uint64_t addr, const void *pages,
			uint8_t page[SW_MMU_BATCH])
{
	struct sw_remote *r = sw_remote_of(mmu);
	int err = -ESRCH;

	if (lock_agent_soon(r))
		return -EBUSY;
	if (__atomic_load_n(&r->mmu.can_take, __ATOMIC_ACQUIRE))
		err = bring_locked(r, addr, pages, page);
	pthread_mutex_unlock(&r->agent_lock);
	return err;
}

static const struct sw_mmu_ops remote_ops = {
	.copy = remote_copy,
	.protect = remote_protect,
	.wake = remote_wake,
	.poison = remote_poison,
	.lookup = remote_lookup,
	.take = remote_take,
	.read_staged = remote_read_staged,
	.drop_staged = remote_drop_staged,
	.unshare = remote_unshare,
	.is_huge = remote_is_huge,
	.bring = remote_bring,
};

/* ---- life ---- */

struct sw_remote *sw_remote_new(int uffd, pid_t pid,
				const struct sw_mmu_client *client, void *space)
{
	struct sw_remote *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->mmu.ops = &remote_ops;
	r->mmu.space = space;
	r->uffd = uffd;
	r->at.pid = pid;
	r->sock = -1;
	r->client = client;
	r->pagemap = -1;
	sw_follow_init(&r->follow, pid);
	r->no_ctl.gate = 0;
	r->ctl = &r->no_ctl;
	pthread_mutex_init(&r->agent_lock, NULL);
	return r;
}

struct sw_mmu *sw_remote_mmu(struct sw_remote *r)
{
	return &r->mmu;
}

int sw_remote_uffd(const struct sw_remote *r)
{
	return r->uffd;
}

void sw_remote_set_agent(struct sw_remote *r, const struct sw_agent_place *at,
			 int sock, struct sw_agent_ctl *ctl)
{
	r->client->lock(r->mmu.space);
	ctl->epoch = r->mmu.epoch;
	r->at = *at;
	r->sock = sock;
	/* Missing or, if it was rung before, writable: then the next fork goes
	 * unannounced, and its event protects it. */
	r->bell = at->stage + SW_BELL_PAGE * SW_PAGE_SIZE;
	r->bell_rang = true;
	if (sw_remote_register(r, r->bell, r->bell + SW_PAGE_SIZE))
		sw_debug("process %d: forks will not be announced", at->pid);
	__atomic_store_n(&r->ctl, ctl, __ATOMIC_RELEASE);
	__atomic_store_n(&r->mmu.can_take, true, __ATOMIC_RELEASE);
	r->client->unlock(r->mmu.space);
}

const struct sw_agent_place *sw_remote_agent(const struct sw_remote *r)
{
	return &r->at;
}

void sw_remote_agent_dead(struct sw_remote *r)
{
	__atomic_store_n(&r->mmu.can_take, false, __ATOMIC_RELEASE);
	if (r->sock >= 0)
		shutdown(r->sock, SHUT_RDWR);
}

int sw_remote_probe(const struct sw_remote *r)
{
	return sw_uffd_zero(r->uffd, SW_PAGE_SIZE, SW_PAGE_SIZE);
}

bool sw_remote_is_gone(const struct sw_remote *r)
{
	return sw_remote_probe(r) == -ESRCH;
}

int sw_remote_register(struct sw_remote *r, uint64_t start, uint64_t end)
{
	return sw_uffd_register(r->uffd, start, end - start,
				UFFDIO_REGISTER_MODE_MISSING |
					UFFDIO_REGISTER_MODE_WP);
}

void sw_remote_free(struct sw_remote *r)
{
	SW_BUG_ON(r->running);
	close(r->uffd);
	if (r->sock >= 0)
		close(r->sock);
	sw_follow_release(&r->follow);
	if (r->pagemap >= 0)
		close(r->pagemap);
	if (r->ctl != &r->no_ctl)
		munmap(r->ctl, SW_PAGE_SIZE);
	pthread_mutex_destroy(&r->agent_lock);
	free(r);
}
