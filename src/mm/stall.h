/*
 * stall.h - how long threads of programs wait in faults: a record for each
 * space, kept by the thread that serves its faults, and the sums of a session.
 *
 * A wait begins when the fault is read from the userfaultfd and ends when it is
 * answered. What the kernel takes to hand it to us, and to let the thread run
 * again, cannot be seen from here and is not in any figure.
 */
#ifndef SW_STALL_H
#define SW_STALL_H

#include "base/hist.h"
#include "base/lock.h"

struct sw_mm;
struct sw_space;

/* What a fault had to wait for. */
enum sw_tier {
	SW_TIER_NONE = -1,   /* it was not answered */
	SW_TIER_FIRST_TOUCH, /* zeros */
	SW_TIER_STAGED,      /* a buffer of ours */
	SW_TIER_COMPRESSED,  /* zram, zswap, or a mark that says zeros */
	SW_TIER_DISK,  /* a file or a block device, for one page at least */
	SW_TIER_WRITE, /* a first write to a protected page */
	SW_TIER_OTHER, /* nothing: it was there, or is lost */
	SW_NR_TIERS,
};

/* "first_touch", ... */
extern const char *const sw_tier_names[SW_NR_TIERS];

/* Of one space. [thread: events] and atomic, except what says otherwise. */
struct sw_stall {
	unsigned left;       /* faults that were read and not answered */
	uint64_t read_ns;    /* when these were read, */
	uint64_t last_ns;    /* and the last one before them was answered */
	uint64_t serving_ns; /* some fault was being served, in all */
	/* Windows that somebody waits for, and devices that do not answer. */
	unsigned nr_held;  /* space lock; read by anyone */
	uint64_t held_ns;  /* same: there were such, in all */
	uint64_t since_ns; /* same: there are, since then */
	/* The first two as they were at the last step, which has a lock. */
	uint64_t seen_serving_ns, seen_held_ns;
	uint64_t refault_max; /* pages that went while another was out */
	struct sw_hist tier[SW_NR_TIERS]; /* ns */
};

/* Of a session: all spaces, those that are gone too. */
struct sw_stall_sums {
	uint64_t refault_max;
	struct sw_hist tier[SW_NR_TIERS];
};

struct sw_stalls {
	struct sw_mutex lock; /* SW_RANK_SESSION: all below */
	uint64_t step_ns;     /* the last one */
	double calm;          /* share of this step in which no space that is
			       * gone by now had a thread waiting */
	struct sw_stall_sums gone;
};

/* ---- of the thread that serves the space's faults ---- */

/* `nr` faults were read: sw_stall_answered() follows for each. */
void sw_stall_read(struct sw_stall *st, unsigned nr);
void sw_stall_answered(struct sw_stall *st, enum sw_tier tier);

static inline void sw_stall_refault(struct sw_stall *st, uint64_t distance)
{
	if (distance > __atomic_load_n(&st->refault_max, __ATOMIC_RELAXED))
		__atomic_store_n(&st->refault_max, distance, __ATOMIC_RELAXED);
}

/* For how long some fault was being served, in all. Any thread. */
static inline uint64_t sw_stall_served_ns(const struct sw_stall *st)
{
	return __atomic_load_n(&st->serving_ns, __ATOMIC_RELAXED);
}

/* ---- space lock held ---- */

/* Somebody waits for what will be released. */
void sw_stall_hold(struct sw_stall *st);
void sw_stall_release(struct sw_stall *st);

/* ---- of a session ---- */

void sw_stalls_init(struct sw_stalls *s);
void sw_stalls_destroy(struct sw_stalls *s);
/* The space ends, and is still on the list; nobody serves it any more. No lock
 * held. */
void sw_stalls_bury(struct sw_stalls *s, struct sw_stall *st);

#endif
