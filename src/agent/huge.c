/*
 * huge.c - huge pages of the program, out and in again, each by one call that
 * leaves it in one piece. What is not in one piece is left alone: it would leave
 * a page table behind in the areas for these, and from then on the kernel would
 * split each one that comes there.
 *
 * Above: agent.c. Beside: mmu/remote.c, which fills the area by which they come.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "agent/gate.h"
#include "agent/own.h"

/* Is it one huge page? The kernel that does not say so has none for us. */
static int is_huge(uint64_t addr)
{
	struct sw_pm_region found = { 0 };
	struct sw_pm_scan a = {
		.size = sizeof(a),
		.start = addr,
		.end = addr + HUGE_BYTES,
		.vec = (uint64_t)&found,
		.vec_len = 1,
		.all_of = SW_PM_IS_HUGE,
		.wanted = SW_PM_IS_HUGE,
	};

	return sys3(SYS_ioctl, own.pagemap, SW_PAGEMAP_SCAN, &a) == 1 &&
	       found.start == a.start && found.end == a.end;
}

/* What does not move whole is said of all pages; if some have moved all the same,
 * note_staged() finds them. */
void agent_take_huge(const struct sw_agent_run *run, uint64_t epoch)
{
	long n = -EAGAIN;
	int page = SW_PAGE_STALE;

	agent_unlock_areas();
	gate_lock(own.ctl);
	if (own.ctl->epoch == epoch && is_huge(run->addr))
		n = agent_move(own.uffd, agent_staged(), run->addr, HUGE_BYTES,
			       0);
	gate_unlock(own.ctl);
	if (n == (long)HUGE_BYTES)
		return;
	if (n < 0 && n != -EAGAIN)
		page = n == -EBUSY ? SW_PAGE_BUSY : SW_PAGE_REFUSED;
	for (unsigned i = 0; i < run->nr; i++)
		own.taken.page[i] = page;
}

/* The area by which huge pages come, mapped anew: it has no page table then,
 * which would keep the next one from being huge. If that fails the old one is
 * as good for all else. */
static void map_bring(void)
{
	long p = (long)own.stage + SW_BRING_PAGE * PAGE;
	long at = sys6(SYS_mmap, p, HUGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		       -1, 0);

	if (at != p)
		return;
	sys3(SYS_madvise, p, HUGE_BYTES, MADV_DONTFORK);
	sys3(SYS_madvise, p, HUGE_BYTES, MADV_DONTDUMP);
	sys3(SYS_madvise, p, HUGE_BYTES, MADV_HUGEPAGE);
}

/* How many pages of the area are there; own.entry says which. Not to know that
 * is to lose pages: then the supervisor looks for itself. */
static unsigned nr_in(uint64_t area)
{
	unsigned nr = 0;

	if (agent_read_pagemap(area, own.entry, SW_HUGE_PAGES))
		sys1(SYS_exit_group, 1);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		nr += !!(own.entry[i] & PAGEMAP_OCCUPIED);
	return nr;
}

/*
 * The supervisor has filled the area. What has left it then is in the program: no
 * event comes between, since who reads them waits for our answer. Where a page
 * of it is missing nothing is moved, and all is said to be here still.
 */
void agent_bring(void)
{
	uint64_t area = (uint64_t)own.stage + SW_BRING_PAGE * PAGE;
	struct sw_agent_taken *done = &own.taken;
	long n = 0;

	agent_unlock_areas();
	done->op = SW_AGENT_BROUGHT;
	if (nr_in(area) == SW_HUGE_PAGES) {
		n = agent_move(own.uffd, (char *)own.msg.bring.addr, area,
			       HUGE_BYTES, 0);
		nr_in(area);
	} else {
		for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
			own.entry[i] = PAGEMAP_OCCUPIED;
	}
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		done->page[i] = own.entry[i] & PAGEMAP_OCCUPIED ? SW_PAGE_STALE
								: SW_PAGE_TAKEN;
	done->huge = n == (long)HUGE_BYTES && is_huge(own.msg.bring.addr);
	agent_send(done, sizeof(*done), -1);
	/* Not before it is told: were we killed in between, what is missing
	 * there would be taken for moved. */
	if (!done->huge)
		map_bring();
}
