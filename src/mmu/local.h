/*
 * local.h - the mmu of regions in our own process. They lie in an arena of
 * addresses that is reserved as long as the instance lives, so what was freed
 * never becomes somebody else's memory under our hands, and whose an address
 * is takes two comparisons.
 *
 * Three ways to hear of a fault, three ways to move pages, see local_kernel.c
 * for who gets which:
 *
 *      a thread reads the userfaultfd        local_thread.c
 *      SIGBUS or SIGSEGV in the thread       local_signal.c
 *
 *      UFFDIO_MOVE and UFFDIO_COPY           local.c, local_frames.c
 *      UFFDIO_COPY and MADV_DONTNEED         the same, before Linux 6.8
 *      mprotect() over a memfd               local_memfd.c, no userfaultfd
 *
 * No layout events: a region changes by calls of the library alone.
 */
#ifndef SW_LOCAL_H
#define SW_LOCAL_H

#include "mmu/mmu.h"

struct sw_local;

enum sw_local_avoid { /* for tests: as if the kernel had it not */
	SW_LOCAL_AVOID_MOVE = 1u << 0,
	SW_LOCAL_AVOID_UFFD = 1u << 1,
	SW_LOCAL_AVOID_KERNEL_FAULTS = 1u << 2,
};

/* What there is, and what of the wishes it came to. */
struct sw_local_facts {
	bool uffd;          /* else mprotect() and SIGSEGV */
	bool move;          /* frames are recycled */
	bool kernel_faults; /* system calls on pages that are out work */
	bool poison;        /* a lost page raises SIGBUS by itself */
	bool by_signal;     /* the faulting thread serves its fault */
	const char *lacks;  /* what would give more; "": there is all */
};

struct sw_local_config {
	uint64_t arena_bytes; /* at most; less where that is refused */
	bool by_signal;
	unsigned avoid; /* enum sw_local_avoid */
	const struct sw_mmu_client *client;
	/* Is there a region? Called by whoever is the mapper. */
	bool (*covers)(void *arg, uint64_t addr);
	/* The calling thread is the mapper from now on, or is it no more. */
	void (*turn)(void *arg, bool begins);
	void *arg;
};

/* 0, or -errno: no userfaultfd and no memfd (-ENOSYS), no room for an arena. */
SW_MUST_CHECK int sw_local_new(const struct sw_local_config *config,
			       struct sw_local **local);
/* The space is set before the start, and nothing is mapped when it is freed. */
void sw_local_set_space(struct sw_local *l, void *space);
SW_MUST_CHECK int sw_local_start(struct sw_local *l);
void sw_local_stop(struct sw_local *l);
void sw_local_free(struct sw_local *l);

struct sw_mmu *sw_local_mmu(struct sw_local *l);
const struct sw_local_facts *sw_local_facts(const struct sw_local *l);
uint64_t sw_local_base(const struct sw_local *l);
uint64_t sw_local_bytes(const struct sw_local *l); /* of the arena */
/* Pages that wait to be used again. */
unsigned sw_local_frames(const struct sw_local *l);

/*
 * The mapper is whoever brings pages in: one thread at a time, as for every
 * space (mm/fault.c). A thread that is about to be it has all signals blocked,
 * or a handler of the program's could fault inside.
 */
void sw_local_enter(struct sw_local *l);
void sw_local_leave(struct sw_local *l);
/* Is the calling thread the mapper, of whatever instance? */
bool sw_local_is_mapper(void);
/* By the mapper: serves a fault as if a thread had met it. It may come to
 * nothing, when others are at work on the page. */
void sw_local_fault(struct sw_local *l, uint64_t addr, unsigned flags);

/* Pages of the arena become memory that faults to us (0 or -errno), and nobody's
 * again: no word speaks of them any more. */
SW_MUST_CHECK int sw_local_map(struct sw_local *l, uint64_t start,
			       uint64_t bytes);
/* Shall a child have it? It does not, unless it is told to just before. */
void sw_local_inherit(uint64_t start, uint64_t bytes, bool on);
void sw_local_unmap(struct sw_local *l, uint64_t start, uint64_t bytes);
/* Pages whose words are NONE lose their contents. By the mapper. */
void sw_local_zap(struct sw_local *l, uint64_t start, uint64_t bytes);
/* For a child born by fork, in which nothing runs: descriptors and areas of its
 * own. Its regions are then registered again. */
SW_MUST_CHECK int sw_local_renew(struct sw_local *l);
SW_MUST_CHECK int sw_local_register(struct sw_local *l, uint64_t start,
				    uint64_t bytes);
/* The same: no signal is for an instance of the parent any more. */
void sw_local_forget_all(void);

/* Moves what is mapped at `from`, words and all, to where nothing is. By the
 * mapper, under the client's lock. -EOPNOTSUPP without userfaultfd. */
SW_MUST_CHECK int sw_local_move(struct sw_local *l, uint64_t from, uint64_t to,
				uint64_t bytes);

#endif
