/*
 * protocol.h - what the supervisor (mmu/remote) and the agent inside the
 * target say to each other. The only header the agent shares with anybody;
 * plain types and a few inline functions. Messages travel over one SOCK_SEQPACKET socket
 * per address space, descriptors beside them (SCM_RIGHTS).
 *
 *   agent  > HELLO                       a process started or forked
 *   superv > ATTACH  [ctl, pagemap, uffd device]  its memory shall be managed
 *   agent  > READY   [uffd]              staging areas usable
 *   superv > UFFD    [uffd]              only a forked space: its descriptor
 *   superv > TAKE  > agent > TAKEN       move runs of pages into staging
 *   superv > DROP                        forget what is staged
 *   superv > UNSHARE > agent > UNSHARED  write-touch pages shared by fork
 *   superv > BRING > agent > BROUGHT     move what is in the area for that into
 *                                        the program
 *   superv > LEAVE                       not wanted: end, and do no harm
 *
 * The staging areas lie in one mapping: SW_STAGE_PAGES pages that are filled, as
 * many to drop them through, both once more for a huge page, one by which huge
 * pages come back, the control page, and the *bell*. Before it
 * forks the program writes to the bell, which is missing or write-protected:
 * the supervisor, whose fault this is, write-protects what is present, and the
 * fork goes on when it has answered.
 *
 * Advice (madvise) is heard by functions of the preloaded object, and left in
 * the control page by whatever thread of the program gave it.
 *
 * End of file on the socket means that the supervisor died: the agent kills
 * its process, so that nobody ever reads zeros in place of paged-out data.
 */
#ifndef SW_PROTOCOL_H
#define SW_PROTOCOL_H

#include <linux/ioctl.h>
#include <stdbool.h>
#include <stdint.h>

#define SW_AGENT_ENV     "SPILLWAY_AGENT" /* name of the abstract socket */
#define SW_AGENT_COMM    "spillway-agent"
#define SW_AGENT_VERSION 4
#define SW_AGENT_FDS     3 /* with one message, at most */

#define SW_STAGE_PAGES 256u /* one staging area; a batch is at most this, */
#define SW_HUGE_PAGES  512u /* or one run of these, a huge page */
#define SW_TAKE_RUNS   32u  /* runs in one batch */

/*
 * Where things are in the agent's mapping, in pages; the mapping and what is for
 * huge pages begin at multiples of a huge page. The kernel moves one whole
 * only where no page table lies at the other end: so nothing smaller may ever
 * come to those areas.
 */
#define SW_HUGE_PAGE      (2 * SW_STAGE_PAGES)
#define SW_HUGE_DROP_PAGE (SW_HUGE_PAGE + SW_HUGE_PAGES)
#define SW_BRING_PAGE     (SW_HUGE_DROP_PAGE + SW_HUGE_PAGES)
#define SW_CTL_PAGE       (SW_BRING_PAGE + SW_HUGE_PAGES)
#define SW_BELL_PAGE      (SW_CTL_PAGE + 1)
#define SW_AREA_PAGES     (SW_BELL_PAGE + 1)

enum sw_agent_op {
	SW_AGENT_HELLO = 1,
	SW_AGENT_ATTACH,
	SW_AGENT_READY,
	SW_AGENT_UFFD,
	SW_AGENT_TAKE,
	SW_AGENT_TAKEN,
	SW_AGENT_DROP,
	SW_AGENT_UNSHARE,
	SW_AGENT_UNSHARED,
	SW_AGENT_BRING,
	SW_AGENT_BROUGHT,
	SW_AGENT_LEAVE,
};

struct sw_agent_hello {
	uint32_t op;
	uint32_t version;
	int32_t pid;     /* the process whose memory the agent shares */
	uint32_t forked; /* 1: started by fork(), 0: by exec */
	uint64_t own_start, own_end; /* agent memory that must stay put */
};

/* Comes with the control page, the program's page map (which the agent may not
 * open where the program has given up privileges), and perhaps the device to
 * create userfaultfds through. */
struct sw_agent_attach {
	uint32_t op;
	uint32_t make_uffd; /* 1: create the userfaultfd and send it */
};

struct sw_agent_ready {
	uint32_t op;
	int32_t err;    /* 0 or -errno: nothing was set up */
	uint64_t stage; /* address of SW_STAGE_PAGES pages */
};

struct sw_agent_run {
	uint64_t addr;
	uint32_t nr; /* pages; lands at staging page `at` */
	uint32_t at;
};

/* One run of SW_HUGE_PAGES is a huge page, which is taken whole or, when it is
 * none any more, not at all. */
struct sw_agent_take {
	uint32_t op;
	uint32_t nr_runs;
	uint64_t epoch; /* refused when the layout has changed since */
	struct sw_agent_run run[SW_TAKE_RUNS];
};

enum sw_agent_page {
	SW_PAGE_HOLE = 0, /* nothing was there */
	SW_PAGE_TAKEN,    /* it is in staging now (BROUGHT: in the program) */
	SW_PAGE_BUSY,     /* shared by fork or pinned: still in place */
	SW_PAGE_REFUSED,  /* the kernel will not move it: still in place */
	SW_PAGE_STALE,    /* not tried: the layout changed */
	SW_PAGE_KEPT,     /* no answer: see struct sw_mmu_ops.take */
};

struct sw_agent_taken {
	uint32_t op;
	uint32_t huge;               /* BROUGHT: as one huge page */
	uint8_t page[SW_HUGE_PAGES]; /* enum sw_agent_page, staging order */
};

struct sw_agent_bring {
	uint32_t op;
	uint64_t addr; /* of SW_HUGE_PAGES pages, where nothing is */
};

struct sw_agent_unshare {
	uint32_t op;
	uint32_t nr_runs;
	struct sw_agent_run run[SW_TAKE_RUNS];
};

/*
 * What the program says of a range, in one word, so that it is there as a whole
 * or not at all, whatever becomes of the thread that writes it. Not 0.
 */
enum sw_advice {
	SW_ADVICE_COLD = 1, /* may go before others */
	SW_ADVICE_PAGEOUT,  /* shall go now */
	SW_ADVICE_WILLNEED, /* shall be there soon */
	SW_NR_ADVICE,
};

#define SW_ADVICE_SLOTS     64u
#define SW_ADVICE_MAX_PAGES ((1ull << 27) - 1)
#define SW_ADVICE_MAX_ADDR  (1ull << 47)

/* `start` is page-aligned and below the highest address, `nr` pages at most as
 * many as there may be. */
static inline uint64_t sw_advice_word(uint64_t start, uint64_t nr,
				      enum sw_advice advice)
{
	return start >> 12 << 29 | nr << 2 | advice;
}

static inline enum sw_advice sw_advice_of(uint64_t word)
{
	return (enum sw_advice)(word & 3);
}

static inline uint64_t sw_advice_start(uint64_t word)
{
	return word >> 29 << 12;
}

static inline uint64_t sw_advice_pages(uint64_t word)
{
	return word >> 2 & SW_ADVICE_MAX_PAGES;
}

/*
 * One page of memory that both see. `gate` is a futex mutex (0 free, 1 held,
 * 2 held and waited for): the agent holds it while it moves pages, the
 * supervisor while it reads events. `epoch` counts the layout events read; it
 * changes only under the gate. So a page is moved either before the program
 * can learn that its munmap (or mremap, madvise, fork) was seen, or not at
 * all: without this a move could hit a new mapping at the old address.
 *
 * `batch` counts the batches that the agent began, each with an empty staging
 * area. After its death that tells whether what is staged belongs to the batch
 * it was last asked for, or to the one before, which was read already.
 * `dropped` is the last of them whose pages it has dropped since.
 *
 * Advice goes into the slot that is next, if it is empty, and is lost if not;
 * then `advised` is raised. The supervisor empties all slots when it sees that.
 * No thread waits for another, and one that is interrupted in between, or never
 * comes back, delays its own advice only. The program can write anything here:
 * each word is a guess until it has been compared with the books.
 */
struct sw_agent_ctl {
	uint32_t gate;
	uint32_t wanted; /* the supervisor waits: the agent lets it go first */
	uint64_t epoch;
	uint64_t batch;
	uint64_t dropped;
	uint32_t advised; /* pieces of advice given so far */
	uint32_t next_advice;
	uint64_t advice[SW_ADVICE_SLOTS];
};

_Static_assert(sizeof(struct sw_agent_ctl) <= 4096, "it is one page");

/*
 * The gate is held for the time of one read or one move, and to sleep and be
 * woken takes longer. So both spin before they sleep: the supervisor for as
 * long as a move may take, the agent for a read. An agent with many runs to
 * move would take the gate again before anybody else has seen it open, so it
 * looks at `wanted` first; but not for ever, as both may be on one CPU.
 */
#define SW_GATE_SPINS_AGENT      200  /* some 10 us */
#define SW_GATE_SPINS_SUPERVISOR 1000 /* some 50 us */

static inline bool sw_gate_try(uint32_t *gate, unsigned spins)
{
	while (spins--) {
		uint32_t v = 0;

		if (!__atomic_load_n(gate, __ATOMIC_RELAXED) &&
		    __atomic_compare_exchange_n(gate, &v, 1, false,
						__ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/*
 * How agents and supervisor are scheduled: ahead of the program, which waits
 * for what they do. The weight (nice) alone does not bring a thread that wakes
 * up onto a busy CPU before the slice of whoever runs there ends, 3 to 4 ms
 * later; to ask for a short slice does (Linux 6.12; older ones ignore it, and
 * nobody needs a privilege for it).
 */
#define SW_HURRY_NICE     (-15)
#define SW_HURRY_SLICE_NS 100000

/* sched_setattr(2), first version; newer than Debian 12's libc. */
struct sw_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* ns: of an ordinary thread, the slice it asks for */
	uint64_t deadline, period;
};

/* userfaultfd ABI newer than Debian 12's headers (Linux 6.6 to 6.8). */
struct sw_uffdio_move {
	uint64_t dst, src, len, mode;
	int64_t move;
};

#define SW_UFFDIO_MOVE                 _IOWR(0xAA, 0x05, struct sw_uffdio_move)
#define SW_UFFDIO_MOVE_ALLOW_SRC_HOLES 2ull

struct sw_uffdio_poison {
	uint64_t start, len, mode;
	int64_t updated;
};

/* Of /proc/PID/pagemap, Linux 6.7. */
struct sw_pm_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, all_of, any_of, wanted;
};

struct sw_pm_region {
	uint64_t start, end, categories;
};

#define SW_PAGEMAP_SCAN _IOWR('f', 16, struct sw_pm_scan)
#define SW_PM_IS_HUGE   (1ull << 6)

#define SW_UFFDIO_POISON       _IOWR(0xAA, 0x08, struct sw_uffdio_poison)
#define SW_USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#define SW_UFFD_FEATURE_POISON (1ull << 14)
#define SW_UFFD_FEATURE_MOVE   (1ull << 16)

#endif
