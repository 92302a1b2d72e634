/*
 * local.c - the operations of struct sw_mmu_ops on our own memory, and the
 * arena it lies in. See local.h.
 *
 * Above: mm/fault.c and mm/reclaim.c; lib/. Below: local_frames.c and the
 * userfaultfd, or local_memfd.c.
 *
 * Nothing here touches a page of a region, allocates memory or takes a lock
 * that somebody holds who might: a thread of the program may be waiting for
 * this page in the middle of anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/local_internal.h"
#include "mmu/uffd.h"

#define MIN_ARENA (1ull << 30)
#define ALIGN     (1ull << 30) /* of the arena, so that regions can have it */

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* ---- mapping ---- */

void sw_local_notify(struct sw_local *l)
{
	if (!l->facts.by_signal)
		return;
	/* Pairs with the loads of local_signal.c: either it sees the new
	 * number, or we see that it waits. */
	__atomic_fetch_add(&l->served, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&l->waiting, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &l->served, FUTEX_WAKE_PRIVATE, INT_MAX,
			NULL, NULL, 0);
}

static int copy_pages(struct sw_local *l, uint64_t addr, const void *pages,
		      unsigned nr, bool protect)
{
	struct uffdio_copy c = {
		.dst = addr,
		.src = (uint64_t)pages,
		.len = nr * SW_PAGE_SIZE,
		.mode = protect ? UFFDIO_COPY_MODE_WP : 0,
	};

	if (!ioctl(l->uffd, UFFDIO_COPY, &c))
		return nr;
	return c.copy > 0 ? (int)(c.copy / (int64_t)SW_PAGE_SIZE) : -errno;
}

static int local_copy(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		      unsigned nr, bool protect)
{
	struct sw_local *l = sw_local_of(mmu);
	int n = 0, more = 0;

	SW_ASSERT(!sw_local_has(l, (uint64_t)pages));
	/* A page that was moved is writable at once: what shall be protected
	 * is copied. */
	if (l->facts.move && !protect)
		n = sw_frames_give(l, addr, pages, nr);
	if (n >= 0 && (unsigned)n < nr) {
		more = copy_pages(l, addr + n * SW_PAGE_SIZE,
				  (const char *)pages + n * SW_PAGE_SIZE,
				  nr - n, protect);
		n = more > 0 ? n + more : n ? n : more;
	}
	if (n > 0)
		sw_local_notify(l);
	return n;
}

static int local_protect(struct sw_mmu *mmu, uint64_t addr, uint64_t nr,
			 bool on)
{
	struct sw_local *l = sw_local_of(mmu);
	int err = sw_uffd_protect(l->uffd, addr, nr * SW_PAGE_SIZE, on);

	if (!err && !on)
		sw_local_notify(l);
	return err;
}

static void local_wake(struct sw_mmu *mmu, uint64_t addr, unsigned nr)
{
	struct sw_local *l = sw_local_of(mmu);

	if (l->facts.by_signal)
		sw_local_notify(l);
	else
		(void)sw_uffd_wake(l->uffd, addr, nr * SW_PAGE_SIZE);
}

static int local_poison(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_local *l = sw_local_of(mmu);

	l->poisoned = true;
	sw_local_notify(l);
	if (l->facts.by_signal)
		return 0;
	if (!l->facts.poison) {
		/* Nothing but this makes its reader know (before Linux 6.6). */
		(void)mprotect((void *)addr, SW_PAGE_SIZE, PROT_NONE);
		return -ENOSYS;
	}
	return sw_uffd_poison(l->uffd, addr);
}

static int local_take(struct sw_mmu *mmu, const struct sw_agent_run *run,
		      unsigned nr_runs, uint64_t epoch,
		      uint8_t page[SW_MMU_BATCH])
{
	(void)epoch; /* no layout changes unless we make it */
	sw_frames_take(sw_local_of(mmu), run, nr_runs, page);
	return 0;
}

static int local_read_staged(struct sw_mmu *mmu, const uint16_t *at,
			     void *const *buf, unsigned nr)
{
	struct sw_local *l = sw_local_of(mmu);

	for (unsigned i = 0; i < nr; i++)
		memcpy(buf[i], l->frames.stage.at + at[i] * SW_PAGE_SIZE,
		       SW_PAGE_SIZE);
	return 0;
}

static void local_drop_staged(struct sw_mmu *mmu)
{
	sw_frames_recycle(sw_local_of(mmu));
}

static int local_unshare(struct sw_mmu *mmu, const struct sw_agent_run *run,
			 unsigned nr_runs)
{
	(void)mmu;
	for (unsigned i = 0; i < nr_runs; i++)
		(void)madvise((void *)run[i].addr, run[i].nr * SW_PAGE_SIZE,
			      MADV_POPULATE_WRITE);
	return 0;
}

int sw_local_lookup(struct sw_mmu *mmu, uint64_t addr)
{
	(void)mmu;
	(void)addr; /* no region ends behind our backs */
	return 0;
}

/* Regions are of small pages (sw_local_map()). */
bool sw_local_is_huge(struct sw_mmu *mmu, uint64_t addr)
{
	(void)mmu;
	(void)addr;
	return false;
}

int sw_local_bring(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		   uint8_t page[SW_MMU_BATCH])
{
	(void)mmu;
	(void)addr;
	(void)pages;
	(void)page;
	return -EOPNOTSUPP;
}

const struct sw_mmu_ops sw_local_ops = {
	.copy = local_copy,
	.protect = local_protect,
	.wake = local_wake,
	.poison = local_poison,
	.lookup = sw_local_lookup,
	.take = local_take,
	.read_staged = local_read_staged,
	.drop_staged = local_drop_staged,
	.unshare = local_unshare,
	.is_huge = sw_local_is_huge,
	.bring = sw_local_bring,
};

/* ---- the mapper ---- */

static __thread unsigned mapper_of; /* instances; several at a fork */
/* Whose streams are whose, so that after a fork it may be the parent's. */
static __thread int own_tid;

void sw_local_enter(struct sw_local *l)
{
	pthread_mutex_lock(&l->mapper);
	mapper_of++;
	l->config.turn(l->config.arg, true);
}

void sw_local_leave(struct sw_local *l)
{
	l->config.turn(l->config.arg, false);
	mapper_of--;
	pthread_mutex_unlock(&l->mapper);
}

bool sw_local_is_mapper(void)
{
	return mapper_of;
}

void sw_local_fault(struct sw_local *l, uint64_t addr, unsigned flags)
{
	if (!own_tid)
		own_tid = gettid();
	l->config.client->fault(l->mmu.space, addr & SW_PAGE_MASK, flags,
				own_tid);
}

/* ---- regions ---- */

static int reserve(uint64_t start, uint64_t bytes, int how)
{
	void *p =
		mmap((void *)start, bytes, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | how, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

int sw_local_register(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	return sw_uffd_register(l->uffd, start, bytes,
				UFFDIO_REGISTER_MODE_MISSING |
					UFFDIO_REGISTER_MODE_WP);
}

int sw_local_map(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	int err;

	if (!l->facts.uffd)
		return sw_memfd_map(l, start, bytes);
	/* Accessible only once faults on it come to us. */
	if (madvise((void *)start, bytes, MADV_NOHUGEPAGE) && errno != EINVAL)
		return -errno;
	/* What is out would be zeros in a child that nobody prepared, and in a
	 * core. */
	sw_local_inherit(start, bytes, false);
	(void)madvise((void *)start, bytes, MADV_DONTDUMP);
	err = sw_local_register(l, start, bytes);
	if (!err && mprotect((void *)start, bytes, PROT_READ | PROT_WRITE))
		err = -errno;
	if (err)
		sw_local_unmap(l, start, bytes);
	return err;
}

void sw_local_inherit(uint64_t start, uint64_t bytes, bool on)
{
	(void)madvise((void *)start, bytes, on ? MADV_DOFORK : MADV_DONTFORK);
}

void sw_local_unmap(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	if (!l->facts.uffd)
		sw_memfd_zap(l, start, bytes);
	else /* wakes who waits there; an unmap would not */
		(void)sw_uffd_unregister(l->uffd, start, bytes);
	/* Fails for lack of memory for mappings only; then it stays, readable
	 * and nobody's. */
	(void)reserve(start, bytes, MAP_FIXED);
}

void sw_local_zap(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	if (!l->facts.uffd)
		sw_memfd_zap(l, start, bytes);
	else
		(void)madvise((void *)start, bytes, MADV_DONTNEED);
}

int sw_local_move(struct sw_local *l, uint64_t from, uint64_t to,
		  uint64_t bytes)
{
	const struct sw_mmu_client *c = l->config.client;
	void *p;
	int err;

	if (!l->facts.uffd)
		return -EOPNOTSUPP;
	/* The words first: it waits for pages on their way, and from then on
	 * until the lock is given up nobody starts anew. */
	c->remap(l->mmu.space, from, to, bytes);
	p = mremap((void *)from, bytes, bytes,
		   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   (void *)to);
	if (p == MAP_FAILED) {
		err = -errno;
		c->remap(l->mmu.space, to, from, bytes);
		c->unmap(l->mmu.space, to, to + bytes);
		return err;
	}
	/* The unmap that a remap is followed by. */
	c->unmap(l->mmu.space, from, from + bytes);
	/* Without layout events a moved range is not registered any more. */
	err = sw_local_register(l, to, bytes);
	SW_BUG_ON(err); /* its missing pages would read as zeros */
	(void)reserve(from, bytes, MAP_FIXED);
	return 0;
}

/* ---- life ---- */

static int reserve_arena(struct sw_local *l, uint64_t bytes)
{
	uint64_t start, extra;
	char *p;

	do {
		p = mmap(NULL, bytes + ALIGN, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p != MAP_FAILED)
			break;
		bytes /= 2;
	} while (bytes >= MIN_ARENA);
	if (p == MAP_FAILED)
		return -ENOMEM;
	start = ((uint64_t)p + ALIGN - 1) & ~(ALIGN - 1);
	extra = start - (uint64_t)p;
	if (extra)
		munmap(p, extra);
	if (extra < ALIGN)
		munmap((char *)start + bytes, ALIGN - extra);
	l->base = start;
	l->bytes = bytes;
	return 0;
}

static int open_descriptors(struct sw_local *l)
{
	l->uffd = sw_local_open_uffd(&l->config, &l->facts);
	l->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return l->uffd >= 0 && l->pagemap < 0 ? -errno : 0;
}

static int init(struct sw_local *l)
{
	uint64_t bytes = sw_max(l->config.arena_bytes, MIN_ARENA);
	int err = reserve_arena(l, bytes & ~(SW_PAGE_SIZE - 1));

	if (!err)
		err = open_descriptors(l);
	if (!err)
		err = sw_frames_init(l);
	if (!err && !l->facts.uffd)
		err = sw_memfd_init(l);
	return err;
}

int sw_local_renew(struct sw_local *l)
{
	struct sw_local_facts before = l->facts;
	int err;

	close(l->uffd);
	close(l->pagemap);
	memset(&l->frames, 0, sizeof(l->frames));
	l->running = false;
	l->waiting = 0;
	l->slot = -1;
	err = open_descriptors(l);
	/* It may have given up what let its parent do so. */
	if (!err && (!l->facts.uffd || l->facts.move != before.move))
		err = -EPERM;
	return err ? err : sw_frames_init(l);
}

int sw_local_new(const struct sw_local_config *config, struct sw_local **local)
{
	struct sw_local *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (l == MAP_FAILED)
		return -ENOMEM;
	l->config = *config;
	l->uffd = l->pagemap = l->memfd = l->slot = -1;
	pthread_mutex_init(&l->mapper, NULL);
	err = init(l);
	if (err) {
		sw_local_free(l);
		return err;
	}
	l->mmu.ops = l->facts.uffd ? &sw_local_ops : &sw_local_memfd_ops;
	l->mmu.can_take = true;
	*local = l;
	return 0;
}

void sw_local_set_space(struct sw_local *l, void *space)
{
	l->mmu.space = space;
}

int sw_local_start(struct sw_local *l)
{
	return l->facts.by_signal ? sw_local_signal_start(l)
				  : sw_local_thread_start(l);
}

void sw_local_stop(struct sw_local *l)
{
	if (l->facts.by_signal)
		sw_local_signal_stop(l);
	else
		sw_local_thread_stop(l);
}

void sw_local_free(struct sw_local *l)
{
	SW_BUG_ON(l->running);
	sw_frames_release(l);
	sw_memfd_release(l);
	if (l->uffd >= 0)
		close(l->uffd);
	if (l->pagemap >= 0)
		close(l->pagemap);
	if (l->bytes)
		munmap((void *)l->base, l->bytes);
	pthread_mutex_destroy(&l->mapper);
	munmap(l, sizeof(*l));
}

struct sw_mmu *sw_local_mmu(struct sw_local *l)
{
	return &l->mmu;
}

const struct sw_local_facts *sw_local_facts(const struct sw_local *l)
{
	return &l->facts;
}

uint64_t sw_local_base(const struct sw_local *l)
{
	return l->base;
}

uint64_t sw_local_bytes(const struct sw_local *l)
{
	return l->bytes;
}

unsigned sw_local_frames(const struct sw_local *l)
{
	return __atomic_load_n(&l->frames.nr, __ATOMIC_RELAXED);
}
