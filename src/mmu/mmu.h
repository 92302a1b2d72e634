/*
 * mmu.h - how pages are really mapped and unmapped: one interface, several
 * makers. `remote` drives another process through its userfaultfd and its
 * agent; `sim` is an array in memory, for tests. Policy is not here: mm/
 * decides, this room does.
 *
 * Two directions. Calls down (struct sw_mmu_ops) act on one address space and
 * return 0.., or -errno; all addresses are page-aligned. Calls up (struct
 * sw_mmu_client) report faults and layout changes; they come from the one
 * thread that reads the space's events, in order.
 *
 * -EAGAIN from copy or protect: the program is changing its layout right now
 * and the event has not been read yet. The thread that reads events must go
 * and read it, never wait.
 */
#ifndef SW_MMU_H
#define SW_MMU_H

#include "base/base.h"
#include "mmu/protocol.h"

#define SW_MMU_BATCH    SW_HUGE_PAGES
#define SW_MMU_MAX_RUNS SW_TAKE_RUNS

struct sw_mmu;

struct sw_mmu_ops {
	/* Maps copies of `nr` pages at `addr` and wakes who waits there.
         * Returns the pages mapped (> 0), -EEXIST (already mapped), -ENOENT
         * (no mapping there), -ESRCH (address space gone), -EAGAIN, -ENOMEM.
         * `protect`: a first write shall be reported. */
	int (*copy)(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		    unsigned nr, bool protect);

	/* Write-protects the mapped pages of a range, or lifts it and wakes. */
	int (*protect)(struct sw_mmu *mmu, uint64_t addr, uint64_t nr, bool on);

	/* Lets who waits on the range try again. */
	void (*wake)(struct sw_mmu *mmu, uint64_t addr, unsigned nr);

	/* The page's content is lost: touching it shall be SIGBUS. */
	int (*poison)(struct sw_mmu *mmu, uint64_t addr);

	/*
	 * Is a mapping that reports to us at `addr`? 0: yes, or who knows;
	 * -ENOENT: none; -EAGAIN as above; -ESRCH. The layout may change
	 * between its look for an event and that for the mapping, but if it
	 * says -ENOENT twice in a row, then no event waited when the first
	 * call looked for the mapping.
	 */
	int (*lookup)(struct sw_mmu *mmu, uint64_t addr);

	/*
         * Unmaps runs of pages into staging, atomically a page. `page` gets
         * an enum sw_agent_page for each staging page. Needs `epoch` as it
         * was when the caller chose the runs. SW_STAGE_PAGES at most, or one
         * run that is a huge page. -ESRCH: no agent.
	 *
	 * Where `page` says SW_PAGE_KEPT before, the caller has the bytes and
	 * the page is protected: it may be dropped instead of staged, if that
	 * is less work.
         */
	int (*take)(struct sw_mmu *mmu, const struct sw_agent_run *run,
		    unsigned nr_runs, uint64_t epoch,
		    uint8_t page[SW_MMU_BATCH]);

	/* Copies staged page at[i] to buf[i] for each i < nr; 0 or -errno. */
	int (*read_staged)(struct sw_mmu *mmu, const uint16_t *at,
			   void *const *buf, unsigned nr);

	/* Forgets everything staged. */
	void (*drop_staged)(struct sw_mmu *mmu);

	/* Write-touches pages that fork left shared, so that they can be
         * taken. May fault: the caller holds nothing. */
	int (*unshare)(struct sw_mmu *mmu, const struct sw_agent_run *run,
		       unsigned nr_runs);

	/* Are the SW_HUGE_PAGES pages at `addr`, a multiple of their size, one
         * huge page right now? For the thread that takes pages. */
	bool (*is_huge)(struct sw_mmu *mmu, uint64_t addr);

	/*
         * Maps copies of SW_HUGE_PAGES pages at `addr`, all by one huge page
         * where the kernel has one to spare, and wakes who waits there. `page`
         * says which are there now: SW_PAGE_TAKEN. Does not wait for others who
         * need the agent. For the thread that reads events. 1: as a huge page;
         * 0: not so, or not all of them, or none; -errno: nothing was done.
         */
	int (*bring)(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		     uint8_t page[SW_MMU_BATCH]);
};

struct sw_mmu {
	const struct sw_mmu_ops *ops; /* [const] */
	void *space;                  /* [const] the client's address space */
	uint64_t epoch; /* layout events seen; changes under the space lock */
	bool can_take;  /* [atomic] there is an agent to take pages out */
};

enum sw_mmu_fault_flags {
	SW_FAULT_WRITE = 1u << 0,
	SW_FAULT_WP = 1u << 1,     /* a write met a protected page */
	SW_FAULT_EITHER = 1u << 2, /* of both; who reports it cannot tell */
};

/*
 * Up-calls. lock/unlock bracket the reading of events together with their
 * handling; the layout calls come with the lock held and may give it up to
 * wait for pages in flight (which never wait for an event), fault() comes
 * without it.
 */
#define SW_SETTLE_SOON_NS 50000 /* the layout is still changing */

struct sw_mmu_client {
	void (*lock)(void *space);
	void (*unlock)(void *space);
	/* `nr` faults were read, and fault() follows for each; the lock is held.
	 * For who wants to know how long they take: it need not be told. */
	void (*read)(void *space, unsigned nr);
	void (*fault)(void *space, uint64_t addr, unsigned flags, int tid);
	/* The program is about to fork, and waits for this; without the lock. */
	void (*forking)(void *space);
	/* A child was born; `fd` is its userfaultfd (or the maker's name for
         * it), owned by the callee. */
	void (*fork)(void *space, int fd);
	void (*remap)(void *space, uint64_t from, uint64_t to, uint64_t len);
	/* The range reads as zeros from now on. */
	void (*remove)(void *space, uint64_t start, uint64_t end);
	/* The range is nobody's from now on. */
	void (*unmap)(void *space, uint64_t start, uint64_t end);
	/* The program said something of a range that may be anything, or
         * nothing; start < end. Without the lock. */
	void (*advise)(void *space, uint64_t start, uint64_t end,
		       enum sw_advice advice);
	/* Called before waiting for events, without the lock: goes on with
         * what met -EAGAIN before. Returns when to call it again, if no event
         * comes first; 0: it has nothing left to do. */
	uint64_t (*settle)(void *space);
};

#endif
