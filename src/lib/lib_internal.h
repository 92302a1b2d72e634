/*
 * lib_internal.h - the structs and calls between the files of this room:
 * handle.c (who may call), instance.c (life), options.c (text), devices.c,
 * region.c, advise.c (pins, advice), worker.c (events, prefetch), io.c (system
 * calls), image.c (snapshots), fork.c.
 *
 * Locks, outermost first: the life lock (fork.c), the mapper (mmu/local.h), which
 * also covers the list of regions and the pins, then what mm has. Whoever holds
 * one of them touches no region and calls no malloc(): the program's own may lie
 * in a region.
 */
#ifndef SW_LIB_INTERNAL_H
#define SW_LIB_INTERNAL_H

#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "base/lock.h"
#include "mm/mm.h"
#include "mmu/local.h"
#include "store/kind.h"
#include "store/work.h"
#include "swap/swap.h"

#include "spillway.h"

#define SW_LIB_MAX_DEVICES MAX_SWAPFILES
#define SW_LIB_NAME        64

/* ---- options.c ---- */

struct sw_lib_device {
	const struct sw_store_kind *kind;
	char *path;          /* NULL in memory */
	uint64_t size_bytes; /* 0: by budget (in memory), or what is there */
	int prio;
};

struct sw_lib_plan {
	uint64_t budget_bytes, reserve_bytes;
	enum spillway_delivery delivery;
	unsigned require, avoid;
	struct sw_lib_device device[SW_LIB_MAX_DEVICES];
	unsigned nr_devices;
};

/* 0, or -EINVAL after a line. A plan is released whatever came of it. */
SW_MUST_CHECK int sw_lib_plan_options(struct sw_lib_plan *plan,
				      const struct spillway_options *options);
SW_MUST_CHECK int sw_lib_plan_text(struct sw_lib_plan *plan, const char *text);
void sw_lib_plan_release(struct sw_lib_plan *plan);

/* ---- devices.c ---- */

struct sw_lib_store {
	const struct sw_store_kind *kind;
	void *store;
	unsigned type;
};

struct sw_lib_stores {
	struct sw_lib_store at[SW_LIB_MAX_DEVICES];
	unsigned nr;
	uint32_t devices; /* their types, a bit each */
	bool all_in_memory;
};

/* The swap layer is the process's: it is there while somebody needs it.
 * sw_lib_life_lock() held. */
SW_MUST_CHECK int sw_lib_process_get(void);
void sw_lib_process_put(void);
/* 0, or -errno after a line; nothing stays on then. */
SW_MUST_CHECK int sw_lib_stores_on(struct sw_lib_stores *s,
				   const struct sw_lib_plan *plan);
void sw_lib_stores_off(struct sw_lib_stores *s);
void sw_lib_stores_stats(const struct sw_lib_stores *s,
			 struct spillway_stats *stats);

/* ---- regions and pins: the mapper's ---- */

struct sw_lib_image;

struct sw_lib_region {
	uint64_t start, bytes;
	uint64_t pinned; /* bytes, each pin for itself */
	enum sw_mm_pattern pattern;
	unsigned flags;
	struct sw_lib_image *image; /* what it was restored from, or NULL */
	char name[SW_LIB_NAME];
};

struct sw_lib_pin {
	uint64_t start, end;
};

/* ---- worker.c ---- */
#define SW_LIB_KINDS (SPILLWAY_PAGE_LOST + 1)

struct sw_lib_job {
	struct sw_list node;
	uint64_t start, end;
	spillway_done_fn done; /* or NULL */
	void *arg;
};

struct sw_lib_worker {
	pthread_t thread;
	bool running, stop;   /* lock */
	struct sw_mutex lock; /* SW_RANK_LEAF */
	pthread_cond_t more;
	struct sw_list jobs;           /* lock */
	uint32_t events[SW_LIB_KINDS]; /* lock: how often, not told yet */
	spillway_event_fn fn;          /* lock */
	void *arg;                     /* lock */
	int fd;                        /* [const] eventfd */
};

/* ---- instance.c ---- */

struct sw_lib {
	pid_t pid;          /* [const] but at a fork */
	spillway_t *handle; /* [const] */
	struct sw_local *local;
	struct sw_work work; /* [the mapper] */
	struct sw_mm *mm;
	struct sw_space *space;
	struct sw_mm_host host;
	struct sw_lib_stores stores;
	struct sw_lib_worker worker;
	uint64_t faults;     /* [atomic] */
	struct sw_list node; /* fork.c */

	struct sw_lib_region *region; /* ascending */
	unsigned nr_regions, max_regions;
	uint64_t next; /* addresses from here on were never given, this time
			* round */
	struct sw_lib_pin *pin; /* any order */
	unsigned nr_pins, max_pins;
	uint64_t pinned_pages;
};

/* ---- handle.c ---- */

struct sw_call {
	struct sw_lib *lib;
	sigset_t old_mask;
};

spillway_t *sw_lib_handle_new(struct sw_lib *lib);
/* For a child born by fork: calls that others had under way are not its own. */
void sw_lib_handle_renew(spillway_t *handle);
/* No call begins any more, and those under way have ended. NULL: it was closed
 * before, or is no instance of this process; *err says which. */
struct sw_lib *sw_lib_handle_close(spillway_t *handle, int *err);
/* Every call on an instance begins and ends with these. 0, -EBADF, -ECHILD. */
SW_MUST_CHECK int sw_lib_enter(spillway_t *handle, struct sw_call *call);
void sw_lib_leave(spillway_t *handle, struct sw_call *call);
void sw_lib_block_signals(sigset_t *old);
void sw_lib_restore_signals(const sigset_t *old);

/* ---- region.c ---- */

/* By the mapper: NULL, there is none at `addr`. */
struct sw_lib_region *sw_lib_region_at(struct sw_lib *lib, uint64_t addr);
bool sw_lib_covers(void *lib, uint64_t addr);
enum sw_mm_pattern sw_lib_pattern(void *lib, uint64_t addr);
/* The pages of a range that lies in one region, which is returned. By the
 * mapper. NULL: it does not. */
struct sw_lib_region *sw_lib_range(struct sw_lib *lib, const void *addr,
				   size_t bytes, uint64_t *start,
				   uint64_t *end);
void sw_lib_free_regions(struct sw_lib *lib);
/* Makes room for one more of a list; 0 or -ENOMEM. */
SW_MUST_CHECK int sw_lib_grow(void **list, unsigned nr, unsigned *max,
			      size_t size);

SW_MUST_CHECK int sw_lib_alloc(struct sw_lib *lib, size_t bytes,
			       const struct spillway_region_options *options,
			       uint64_t *start);
int sw_lib_free(struct sw_lib *lib, const void *addr);

/* ---- fork.c ---- */

/* Held while instances and devices come and go; a fork waits for it. */
void sw_lib_life_lock(void);
void sw_lib_life_unlock(void);
/* Could a child have a copy of its regions? */
bool sw_lib_can_fork(const struct sw_lib *lib);

/* ---- advise.c ---- */

/* Brings a range in, as far as there is room. Takes the mapper's turns. */
void sw_lib_bring(struct sw_lib *lib, uint64_t start, uint64_t end);
bool sw_lib_is_pinned(struct sw_lib *lib, uint64_t start, uint64_t end);
/* Brings a range in and keeps it; `write`: it may be written to meanwhile. */
int sw_lib_pin(struct sw_lib *lib, const void *addr, size_t bytes, bool write);
int sw_lib_unpin(struct sw_lib *lib, const void *addr, size_t bytes);

/* ---- worker.c ---- */
SW_MUST_CHECK int sw_lib_worker_start(struct sw_lib *lib);
void sw_lib_worker_stop(struct sw_lib *lib);
bool sw_lib_is_worker(struct sw_lib *lib);
void sw_lib_happened(void *lib, enum sw_mm_event event);
SW_MUST_CHECK int sw_lib_queue(struct sw_lib *lib, uint64_t start, uint64_t end,
			       spillway_done_fn done, void *arg);

#endif
