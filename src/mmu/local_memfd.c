/*
 * local_memfd.c - without userfaultfd: the arena is a shared mapping of a
 * memfd, page by page inaccessible or not, and we have a second mapping of it
 * that always is. A fault is a SIGSEGV.
 *
 * Each change between accessible and not splits or joins mappings, of which a
 * process may have vm.max_map_count (65530): scattered pages beyond some 30,000
 * cannot be had, and reclaim has to make room first.
 *
 * Above: mm, by way of struct sw_mmu_ops. Beside: local.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmu/local_internal.h"

/* ---- which pages are accessible ---- */

static uint64_t index_of(const struct sw_local *l, uint64_t addr)
{
	return (addr - l->base) / SW_PAGE_SIZE;
}

static bool is_there(const struct sw_local *l, uint64_t addr)
{
	uint64_t i = index_of(l, addr);

	return __atomic_load_n(&l->there[i / 64], __ATOMIC_RELAXED) >>
		       (i % 64) &
	       1;
}

static void set_there(struct sw_local *l, uint64_t addr, bool there)
{
	uint64_t i = index_of(l, addr), bit = 1ull << (i % 64);

	if (there)
		__atomic_fetch_or(&l->there[i / 64], bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&l->there[i / 64], ~bit, __ATOMIC_RELAXED);
}

static char *alias_of(const struct sw_local *l, uint64_t addr)
{
	return l->alias + (addr - l->base);
}

/* Gives the frames back. */
static void punch(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	(void)fallocate(l->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			start - l->base, bytes);
}

/* ---- the operations ---- */

static int memfd_copy(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		      unsigned nr, bool protect)
{
	struct sw_local *l = sw_local_of(mmu);
	unsigned n = 0;

	while (n < nr && !is_there(l, addr + n * SW_PAGE_SIZE))
		n++;
	if (!n)
		return -EEXIST;
	memcpy(alias_of(l, addr), pages, n * SW_PAGE_SIZE);
	if (mprotect((void *)addr, n * SW_PAGE_SIZE,
		     protect ? PROT_READ : PROT_READ | PROT_WRITE)) {
		punch(l, addr, n * SW_PAGE_SIZE);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		set_there(l, addr + i * SW_PAGE_SIZE, true);
	sw_local_notify(l);
	return n;
}

/* Of the range, run by run, those that are accessible. */
static int memfd_protect(struct sw_mmu *mmu, uint64_t addr, uint64_t nr,
			 bool on)
{
	struct sw_local *l = sw_local_of(mmu);
	int prot = on ? PROT_READ : PROT_READ | PROT_WRITE, err = 0;
	uint64_t run;

	for (uint64_t i = 0; i < nr && !err; i += run + 1) {
		uint64_t at = addr + i * SW_PAGE_SIZE;

		for (run = 0;
		     i + run < nr && is_there(l, at + run * SW_PAGE_SIZE);
		     run++)
			;
		if (run && mprotect((void *)at, run * SW_PAGE_SIZE, prot))
			err = -errno;
	}
	sw_local_notify(l);
	return err;
}

static void memfd_wake(struct sw_mmu *mmu, uint64_t addr, unsigned nr)
{
	(void)addr, (void)nr;
	sw_local_notify(sw_local_of(mmu));
}

static int memfd_poison(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_local *l = sw_local_of(mmu);

	(void)addr;
	l->poisoned = true;
	sw_local_notify(l);
	return 0;
}

static void take_run(struct sw_local *l, const struct sw_agent_run *run,
		     uint8_t *page)
{
	char *to = l->frames.stage.at + run->at * SW_PAGE_SIZE;
	uint64_t bytes = run->nr * SW_PAGE_SIZE;

	if (mprotect((void *)run->addr, bytes, PROT_NONE)) {
		memset(page, SW_PAGE_REFUSED, run->nr);
		return;
	}
	for (unsigned i = 0; i < run->nr; i++) {
		uint64_t addr = run->addr + i * SW_PAGE_SIZE;

		if (!is_there(l, addr))
			continue;
		memcpy(to + i * SW_PAGE_SIZE, alias_of(l, addr), SW_PAGE_SIZE);
		set_there(l, addr, false);
		page[i] = SW_PAGE_TAKEN;
	}
	punch(l, run->addr, bytes);
}

static int memfd_take(struct sw_mmu *mmu, const struct sw_agent_run *run,
		      unsigned nr_runs, uint64_t epoch,
		      uint8_t page[SW_MMU_BATCH])
{
	struct sw_local *l = sw_local_of(mmu);

	(void)epoch;
	memset(page, SW_PAGE_HOLE, SW_MMU_BATCH);
	for (unsigned r = 0; r < nr_runs; r++)
		take_run(l, &run[r], &page[run[r].at]);
	return 0;
}

static int memfd_read_staged(struct sw_mmu *mmu, const uint16_t *at,
			     void *const *buf, unsigned nr)
{
	return sw_local_ops.read_staged(mmu, at, buf, nr);
}

static void memfd_drop_staged(struct sw_mmu *mmu)
{
	sw_local_ops.drop_staged(mmu);
}

/* Nothing is shared by fork: it is not inherited. */
static int memfd_unshare(struct sw_mmu *mmu, const struct sw_agent_run *run,
			 unsigned nr_runs)
{
	(void)mmu, (void)run, (void)nr_runs;
	return 0;
}

const struct sw_mmu_ops sw_local_memfd_ops = {
	.copy = memfd_copy,
	.protect = memfd_protect,
	.wake = memfd_wake,
	.poison = memfd_poison,
	.lookup = sw_local_lookup,
	.take = memfd_take,
	.read_staged = memfd_read_staged,
	.drop_staged = memfd_drop_staged,
	.unshare = memfd_unshare,
	.is_huge = sw_local_is_huge,
	.bring = sw_local_bring,
};

/* ---- regions ---- */

static int map_view(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	void *p = mmap((void *)start, bytes, PROT_NONE,
		       MAP_SHARED | MAP_FIXED | MAP_NORESERVE, l->memfd,
		       start - l->base);

	if (p == MAP_FAILED)
		return -errno;
	(void)madvise(p, bytes, MADV_DONTFORK);
	(void)madvise(p, bytes, MADV_DONTDUMP);
	return 0;
}

int sw_memfd_map(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	return map_view(l, start, bytes);
}

void sw_memfd_zap(struct sw_local *l, uint64_t start, uint64_t bytes)
{
	(void)mprotect((void *)start, bytes, PROT_NONE);
	for (uint64_t at = start; at < start + bytes; at += SW_PAGE_SIZE)
		if (is_there(l, at))
			set_there(l, at, false);
	punch(l, start, bytes);
}

static void *map_shadow(uint64_t bytes, int fd)
{
	int how = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, how | MAP_NORESERVE,
		       fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_DONTFORK);
	return p;
}

int sw_memfd_init(struct sw_local *l)
{
	l->memfd = memfd_create("spillway", MFD_CLOEXEC);
	if (l->memfd < 0 || ftruncate(l->memfd, l->bytes))
		return -errno;
	l->alias = map_shadow(l->bytes, l->memfd);
	l->there = map_shadow(l->bytes / SW_PAGE_SIZE / 8, -1);
	return l->alias && l->there ? 0 : -ENOMEM;
}

void sw_memfd_release(struct sw_local *l)
{
	if (l->alias)
		munmap(l->alias, l->bytes);
	if (l->there)
		munmap(l->there, l->bytes / SW_PAGE_SIZE / 8);
	if (l->memfd >= 0)
		close(l->memfd);
}
