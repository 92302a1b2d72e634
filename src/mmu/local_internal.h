/* local_internal.h - what the files of the local mmu share; see local.h. */
#ifndef SW_LOCAL_INTERNAL_H
#define SW_LOCAL_INTERNAL_H

#include <pthread.h>

#include "base/lock.h"
#include "base/spin.h"
#include "mmu/follow.h"
#include "mmu/local.h"

#define SW_AREA_WORDS (SW_STAGE_PAGES / 64)

/* SW_STAGE_PAGES pages: frames that were moved out of regions. */
struct sw_area {
	char *at;
	uint64_t present[SW_AREA_WORDS]; /* bit i: page i has a frame */
};

/* local_frames.c */
struct sw_frames {
	struct sw_area stage;  /* [thread: reclaim] of the batch under way */
	struct sw_area supply; /* lock: to be used again */
	struct sw_spinlock lock;
	unsigned nr;    /* [atomic] frames in the supply */
	unsigned users; /* lock: threads that fill frames of the supply */
};

struct sw_local {
	struct sw_mmu mmu;
	struct sw_local_config config; /* [const] */
	struct sw_local_facts facts;   /* [const] */
	uint64_t base, bytes;          /* [const] the arena */
	int uffd;                      /* [const] or -1 */
	int pagemap;                   /* [const] /proc/self/pagemap, or -1 */
	pthread_mutex_t mapper;        /* before all locks of mm */
	struct sw_frames frames;

	/* local_thread.c */
	pthread_t thread;
	bool running; /* [thread: who starts and stops] */
	char *bell;   /* [const] a page whose fault wakes the thread */
	struct sw_follow follow; /* [thread: that one] */

	/* local_signal.c */
	uint32_t served;  /* [atomic] futex: something was done for a fault */
	uint32_t waiting; /* [atomic] threads that wait for that */
	bool poisoned;    /* [the mapper] the fault met a lost page */
	int slot;         /* in the table of arenas, or -1 */

	/* local_memfd.c */
	int memfd;
	char *alias;     /* the arena, always accessible */
	uint64_t *there; /* [atomic] a bit a page: it is accessible */
};

static inline struct sw_local *sw_local_of(struct sw_mmu *mmu)
{
	return sw_container_of(mmu, struct sw_local, mmu);
}

static inline bool sw_local_has(const struct sw_local *l, uint64_t addr)
{
	return addr - l->base < l->bytes;
}

extern const struct sw_mmu_ops sw_local_ops, sw_local_memfd_ops;

/* Of both: see struct sw_mmu_ops. */
int sw_local_lookup(struct sw_mmu *mmu, uint64_t addr);
bool sw_local_is_huge(struct sw_mmu *mmu, uint64_t addr);
int sw_local_bring(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		   uint8_t page[SW_MMU_BATCH]);

/* Something changed that a thread which faults may wait for. */
void sw_local_notify(struct sw_local *l);

/* ---- local_kernel.c ---- */

/* Opens the best userfaultfd there is and fills `facts`. -1: there is none. */
int sw_local_open_uffd(const struct sw_local_config *config,
		       struct sw_local_facts *facts);

/* ---- local_frames.c ---- */
int sw_frames_init(struct sw_local *l);
void sw_frames_release(struct sw_local *l);
/* Copies pages to frames of the supply and moves those to `addr`. Returns how
 * many, or -EEXIST; 0: there are none, or they cannot be had. */
int sw_frames_give(struct sw_local *l, uint64_t addr, const void *pages,
		   unsigned nr);
/* Unmaps runs into the stage, as struct sw_mmu_ops.take says. */
void sw_frames_take(struct sw_local *l, const struct sw_agent_run *run,
		    unsigned nr_runs, uint8_t *page);
/* What is staged was read: its frames are the supply's, or go. */
void sw_frames_recycle(struct sw_local *l);

/* ---- local_memfd.c ---- */
int sw_memfd_init(struct sw_local *l);
void sw_memfd_release(struct sw_local *l);
int sw_memfd_map(struct sw_local *l, uint64_t start, uint64_t bytes);
void sw_memfd_zap(struct sw_local *l, uint64_t start, uint64_t bytes);

/* ---- local_thread.c ---- */
int sw_local_thread_start(struct sw_local *l);
void sw_local_thread_stop(struct sw_local *l);

/* ---- local_signal.c ---- */
int sw_local_signal_start(struct sw_local *l);
void sw_local_signal_stop(struct sw_local *l);

#endif
