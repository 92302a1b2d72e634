/*
 * mm.h - the memory manager as a session sees it: one sw_mm, one sw_space per
 * managed address space, a budget over all of them.
 */
#ifndef SW_MM_H
#define SW_MM_H

#include <stdio.h>

#include "base/base.h"
#include "mm/heat.h"
#include "mm/stall.h"
#include "mmu/mmu.h"

struct sw_mm;
struct sw_space;

enum sw_mm_event {
	SW_MM_BUDGET_REACHED, /* pages have to go; once a budget */
	SW_MM_DEVICES_FULL,   /* until slots come free */
	SW_MM_WRITE_FAILED,   /* pages that cannot be written stay in memory */
	SW_MM_PAGE_LOST,      /* its reader gets SIGBUS */
};

enum sw_mm_pattern {
	SW_MM_UNKNOWN = 0, /* found out by watching */
	SW_MM_SEQUENTIAL,
	SW_MM_RANDOM,
};

/* What the manager needs from whoever runs the session. */
struct sw_mm_host {
	/*
         * A fork made a new address space: make the mmu behind `fd` (owned
         * by the callee from now on) for `child`, which is complete except
         * for it, and remember the child. Called by the parent's event
         * thread with no lock held but the parent's. NULL: it failed; the
         * child is dropped.
         */
	struct sw_mmu *(*forked)(void *arg, struct sw_space *parent,
				 struct sw_space *child, int fd);
	/*
	 * The program is about to fork and waits: memory that is new should be
	 * a region now, for it cannot be made one while the fork is under way.
	 * Called by the event thread with no lock held. NULL: nothing to do.
	 */
	void (*forking)(void *arg, struct sw_space *space);
	/* The child's tables are ready: its events may be read. */
	void (*forked_ready)(void *arg, struct sw_space *child);
	void *arg;
	/* Something happened that whoever runs the session may want to know.
	 * Any thread, any lock: it only takes a note. NULL: nobody asks. */
	void (*happened)(void *arg, enum sw_mm_event event);
	/* How the page's surroundings are used, as far as somebody said so.
	 * Space lock held. NULL: nobody did. */
	enum sw_mm_pattern (*pattern)(void *arg, uint64_t addr);
};

/* Memory inside the budget that somebody else keeps the program's pages in. */
struct sw_mm_held {
	/* How many pages right now. Asked often. */
	uint64_t (*pages)(void *arg);
	/* Nothing more can be taken out of programs: `nr` pages of what is
	 * kept should go. Does not wait for it. */
	void (*shrink)(void *arg, uint64_t nr);
	void *arg;
};

struct sw_mm_config {
	uint64_t budget_pages;
	const struct sw_mm_host *host;
	const struct sw_heat *heat;    /* NULL: nobody knows what is touched */
	const struct sw_mm_held *held; /* NULL: nobody does */
	uint32_t devices; /* bit n: swap device n is its own; 0: all are */
};

/* The up-calls that every mmu of a managed space is given. */
extern const struct sw_mmu_client sw_mm_client;

struct sw_mm *sw_mm_new(const struct sw_mm_config *config);
/* Starts and stops reclaim, as often as it takes. Stopped, no page is taken out
 * any more. */
int sw_mm_start(struct sw_mm *mm);
void sw_mm_stop(struct sw_mm *mm);
/* Stopped, and every space is gone. */
void sw_mm_free(struct sw_mm *mm);

/*
 * A new empty space. Its mmu is set before the first up-call; sw_space_attach
 * makes it visible to reclaim. NULL: out of memory.
 */
struct sw_space *sw_space_new(struct sw_mm *mm);
void sw_space_set_mmu(struct sw_space *space, struct sw_mmu *mmu);
struct sw_mmu *sw_space_mmu(struct sw_space *space);
void sw_space_attach(struct sw_space *space);
/* Once attached: 1, 2, ... in order of birth. */
uint64_t sw_space_id(const struct sw_space *space);

/*
 * The end of a space whose events are no longer read: every slot is given
 * back, then the struct is freed. The mmu stays the caller's.
 */
void sw_space_free(struct sw_space *space);

/* A range under management, registered with its mmu; ranges may touch and
 * repeat. -EAGAIN: the layout changed since `epoch`; -ENOMEM. */
int sw_space_add_region(struct sw_space *space, uint64_t epoch, uint64_t start,
			uint64_t end);
/* Calls fn for each region, which may call back. */
void sw_space_for_each_region(struct sw_space *space,
			      void (*fn)(void *arg, uint64_t start,
					 uint64_t end),
			      void *arg);
/* Of a range that seems to be managed no longer: forgets what the mmu says is
 * not, from the start on. -EAGAIN: that cannot be told at the moment. */
int sw_space_forget(struct sw_space *space, uint64_t start, uint64_t end);
bool sw_space_has_region(struct sw_space *space, uint64_t start, uint64_t end);

/*
 * Notes pages that were seen present. `epoch` is what sw_space_epoch() said
 * before the look: -EAGAIN, and nothing noted, when the layout changed since,
 * because pages seen then may be gone now.
 */
uint64_t sw_space_epoch(struct sw_space *space);
int sw_space_note_present(struct sw_space *space, uint64_t epoch,
			  uint64_t start, uint64_t end);

/* ---- freezing ---- */

struct sw_freeze_spec {
	/* The device, in the swap layer, that gets what would stay in
	 * compressed memory; -1: let it. */
	int image_type;
	bool thaw_on_fault;         /* the first one, as sw_mm_thaw() */
	bool (*goes_on)(void *arg); /* false: give up; NULL: never */
	void *arg;
};

/*
 * Takes everything out that can be, and holds every fault from the beginning
 * on: what is out stays out. 0; -EBUSY: it is frozen; -ECANCELED: called off;
 * or -errno of a disk. After an error the session goes on as before. All but
 * calling off is said.
 */
SW_MUST_CHECK int sw_mm_freeze(struct sw_mm *mm,
			       const struct sw_freeze_spec *spec);
/* Faults are served again, and pages come back as they are touched. 0; -EINVAL:
 * not frozen; -ENOMEM, or -EINPROGRESS (the disk does not answer): frozen still,
 * try again. Each is said. */
SW_MUST_CHECK int sw_mm_thaw(struct sw_mm *mm);

struct sw_freeze_info {
	bool frozen;
	uint64_t resident_pages; /* that stayed in the program */
	uint64_t image_pages;    /* on a disk in place of compressed memory */
};

void sw_mm_freeze_info(struct sw_mm *mm, struct sw_freeze_info *info);

/* Pages the program has, by our books. */
uint64_t sw_space_resident(struct sw_space *space);

struct sw_space_stats {
	uint64_t resident_pages;
	uint64_t swapped_pages; /* out; one shared by fork counts in each */
	uint64_t faults;
	/* For how long faults were being served: somebody in there waited. */
	uint64_t stall_ns;
};

/* As of now, without a lock. */
void sw_space_stats(struct sw_space *space, struct sw_space_stats *st);

/* Keeps a space, which the caller knows to be there, from being freed until it
 * is put. */
void sw_space_get(struct sw_mm *mm, struct sw_space *space);
void sw_space_put(struct sw_mm *mm, struct sw_space *space);

/*
 * Takes out what the space has, as if the program had said MADV_PAGEOUT for all
 * of it, and waits for that: until `goes_on` says no, or nothing went for a
 * second, and then what is left stays. What is locked, pinned or shared with
 * others may stay in any case. No lock held; the caller has the space.
 */
void sw_space_page_out(struct sw_space *space, bool (*goes_on)(void *arg),
		       void *arg);

/* ---- a device goes off ---- */

struct sw_off {
	/* Asked every now and then: `left` of `total` pages are still there.
	 * False: it is to stop. */
	bool (*goes_on)(void *arg, uint64_t left, uint64_t total);
	void *arg;
};

/*
 * swapoff() of device `type`, whose pages go to other devices or, where those
 * are full, back to their programs. One at a time. 0, or the device is in use as
 * before, and what has moved has moved: -EINTR (it was to stop), -ENOSPC (neither
 * devices nor budget have room for the rest), what a store said, -EBUSY (pages
 * did not move for some seconds), -ENOMEM.
 */
SW_MUST_CHECK int sw_mm_swapoff(struct sw_mm *mm, unsigned type,
				const struct sw_off *off);

/* The devices, bit n for device n, that failed and have not been drained. */
uint32_t sw_mm_to_drain(struct sw_mm *mm);

/*
 * Moves what device `type`, which failed, holds elsewhere as sw_mm_swapoff()
 * does. The device stays on, and what cannot be read stays on it: it may be read
 * when somebody wants it, and nothing is lost that nobody asked for. 0; -ENODATA:
 * all but what cannot be read has moved; -EIO: too much cannot be read, and the
 * rest stays as well. If it is still to be drained after that: -EINTR, also while
 * the session is frozen; -ENOSPC, and nothing has moved unless the room went
 * meanwhile; and the others of sw_mm_swapoff().
 */
SW_MUST_CHECK int sw_mm_drain(struct sw_mm *mm, unsigned type,
			      const struct sw_off *off);

/* ---- the budget ---- */

/* Pages of the tree beyond what the spaces' words say, as measured. */
void sw_mm_set_unmanaged(struct sw_mm *mm, int64_t pages);

/* Changes whenever a space begins or ends. */
uint64_t sw_mm_generation(struct sw_mm *mm);

struct sw_mm_usage {
	uint64_t budget_pages;
	uint64_t used_pages;    /* tree, staging, held; as far as known */
	uint64_t managed_pages; /* of these: in the spaces, shared ones once */
	uint64_t peak_pages;
	uint64_t staged_pages; /* in buffers of ours */
	uint64_t held_pages;   /* compressed, see struct sw_mm_held */
	uint64_t taken_pages;  /* out of the spaces, ever */
	bool full;             /* a device ran full; eviction is off */
};

void sw_mm_usage(struct sw_mm *mm, struct sw_mm_usage *u);

/* Another budget, from now on: what is too much goes. Staging buffers were made
 * for the first one, and do not grow: no more than an eighth of that is given a
 * second chance. Any thread. */
void sw_mm_set_budget(struct sw_mm *mm, uint64_t pages);

/* ---- somebody steers, or looks for a defect ---- */

/* Asked every now and then while it lasts: `done` of it is. False: it is to
 * stop. */
struct sw_goes_on {
	bool (*fn)(void *arg, uint64_t done);
	void *arg;
};

/*
 * Takes `pages` out of the programs now, coldest first, however much room there
 * is; *freed: what has left memory by that, which may be somewhat more. 0;
 * -EAGAIN: no more could be, or programs come first and let nothing be done for
 * seconds; -EINTR: it was to stop; -EBUSY: somebody else wants some. The session
 * is not frozen.
 */
SW_MUST_CHECK int sw_mm_reclaim(struct sw_mm *mm, uint64_t pages,
				const struct sw_goes_on *goes_on,
				uint64_t *freed);

/*
 * Calls `fn` while nobody is at work on swap: faults and events of all spaces
 * wait, reclaim rests. Who was in the middle of something may still be at its
 * end, so what `fn` sees may need another look. -EBUSY, and nothing is called:
 * the session freezes or thaws, or another one is quiet. Nobody turns a device
 * off meanwhile.
 */
SW_MUST_CHECK int sw_mm_quiet(struct sw_mm *mm, void (*fn)(void *arg),
			      void *arg);

/* Everything one debugs with, as text: budget, reclaim, staging, each space with
 * its debts. Any time, any thread. */
void sw_mm_dump(struct sw_mm *mm, FILE *out);
/* ---- how long faults take (stall.c) ---- */

/* The time since the last call in which some thread waited in a fault, as near as
 * it can be known. `now`: sw_now_ns(). One caller, no lock held for these two. */
uint64_t sw_mm_stall_step(struct sw_mm *mm, uint64_t now);
/* All faults so far. Any thread. */
void sw_mm_stall_sums(struct sw_mm *mm, struct sw_stall_sums *sums);

/* ---- what a program inside the same process asks for (inside.c) ---- */

enum sw_pin {
	SW_PIN_DONE,
	SW_PIN_MISSING,   /* a fault would bring it */
	SW_PIN_PROTECTED, /* a write fault would make it writable */
	SW_PIN_BUSY,      /* later */
	SW_PIN_LOST,
};

/* Keeps the page where it is, if it is there and, to `write`, writable, until it
 * is unpinned; else says why not. Pins of one page do not add up. */
enum sw_pin sw_space_pin(struct sw_space *space, uint64_t addr, bool write);
void sw_space_unpin(struct sw_space *space, uint64_t start, uint64_t end);

/* The mmu has lost all write protection: what counted on it is let go. Nobody is
 * at work on the space. */
void sw_space_unprotected(struct sw_space *space);

/* True: the page was never touched, or given away, and reads as zeros. */
bool sw_space_is_untouched(struct sw_space *space, uint64_t addr);

/* The untouched page is out, in a slot (a swp_entry_t's value) of which the
 * caller gives its count away. 0, -EEXIST, -ENOMEM. */
SW_MUST_CHECK int sw_space_adopt(struct sw_space *space, uint64_t addr,
				 uint64_t entry);

#endif
