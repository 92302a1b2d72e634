/*
 * model_swap.h - what the files of the model test of the swap layer share.
 *
 *      model_swap.c          steps, rounds, shrinking what failed
 *      model_swap_state.c    the model, and the layer compared with it
 *      model_swap_folios.c   operations on folios
 *      model_swap_entries.c  operations on entries
 *      model_swap_devices.c  operations on devices, images, groups
 *
 * The model is a few arrays. It does not predict which slot an allocation
 * takes, only that it was free; nor which unowned cached folios the allocator
 * takes back, only that it may. All else is predicted: each return value, each
 * word, count, flag, reference, total and counter, and what the store is told.
 */
#ifndef SW_TEST_MODEL_SWAP_H
#define SW_TEST_MODEL_SWAP_H

#include <errno.h>

#include "swap/cluster.h"

#define CL       SWAPFILE_CLUSTER
#define DEVICES  3
#define CLUSTERS 6
#define SLOTS    (CLUSTERS * CL)
#define FOLIOS   96
#define GROUPS   4 /* 0 is nobody's */

struct m_slot {
	bool bad, zero;
	bool image;  /* one of the owners is an image */
	bool listed; /* and has it in the device's extents */
	unsigned count;
	int folio; /* index, or -1 */
	uint64_t shadow;
	unsigned group;
	int told; /* times the store heard of a free, less the model's */
};

struct m_folio {
	struct folio *folio; /* NULL: unused */
	unsigned order;
	bool cached, mapped, dirty, writeback;
	bool hooked; /* the reclaim hook was called for it */
	swp_entry_t entry;
};

struct m_device {
	bool up, leaving, pinned;
	bool trims; /* empty clusters wait for discard */
	int prio;
	unsigned flags;
	uint64_t max; /* 0: off */
	uint64_t pages, used, cached;
	struct swsusp_extents image;
	bool waiting[CLUSTERS]; /* for discard */
	bool trimmed[CLUSTERS]; /* in this step */
	bool touched[CLUSTERS]; /* in this step */
};

struct model {
	struct m_slot slots[DEVICES][SLOTS];
	struct m_folio folios[FOLIOS];
	struct m_device devices[DEVICES];
	struct sw_swap_group_info groups[GROUPS];
	unsigned suspended; /* nesting */
	int held;           /* a folio that somebody has locked, or -1 */
	/* what the counters of these names must say */
	uint64_t bad_entry, full, group_max, group_fail, fallback;
	uint64_t area_trims; /* whole areas discarded at swapon */
};

extern struct model m;

/* ---- one step: model_swap.c ---- */

uint64_t rnd(uint64_t n); /* below n, from the step's own numbers */
void say(const char *fmt, ...) SW_PRINTF(1, 2); /* into the step's line */
void model_fail(const char *file, int line, const char *fmt, ...)
	SW_PRINTF(3, 4) __attribute__((noreturn));

/* What a round prefers. */
extern struct m_mood {
	unsigned devices; /* so many at most; one is full sooner than three */
	unsigned large;   /* one in so many allocations is of order > 0 */
	unsigned denied;  /* in one of so many steps memory is refused */
} mood;

/* Allocations of this step so far, and how many were refused. */
extern unsigned allocs_asked, allocs_denied;
bool alloc_denied(unsigned nth); /* would the nth be refused? */
extern bool allocs_ours;         /* the model's own: never */

#define EXPECT(cond)                                                         \
	do {                                                                 \
		if (!(cond))                                                 \
			model_fail(__FILE__, __LINE__, "not so: %s", #cond); \
	} while (0)

#define EXPECT_EQ(got, want)                                               \
	do {                                                               \
		long long got_ = (got), want_ = (want);                    \
		if (got_ != want_)                                         \
			model_fail(__FILE__, __LINE__,                     \
				   "%s is %lld (%#llx), not %lld (%#llx)", \
				   #got, got_, (unsigned long long)got_,   \
				   want_, (unsigned long long)want_);      \
	} while (0)

#define EXPECT_AT(e, got, want)                                             \
	do {                                                                \
		long long got_ = (got), want_ = (want);                     \
		if (got_ != want_)                                          \
			model_fail(__FILE__, __LINE__,                      \
				   "slot %u:%llu: %s is %#llx, not %#llx",  \
				   swp_type(e),                             \
				   (unsigned long long)swp_offset(e), #got, \
				   (unsigned long long)got_,                \
				   (unsigned long long)want_);              \
	} while (0)

#define ENTRY_FMT    "%u:%llu"
#define ENTRY_ARG(e) swp_type(e), (unsigned long long)swp_offset(e)

/* ---- the model: model_swap_state.c ---- */

void model_open(void);
void model_close(void); /* nothing is up any more, and nothing leaked */
/* Layer against model: all of it, or what the step touched and all sums. */
void model_compare(bool whole);

static inline swp_entry_t nth(swp_entry_t e, unsigned i)
{
	return (swp_entry_t){ e.val + i };
}

/* The model's slot; its cluster is compared after this step. */
struct m_slot *at(swp_entry_t e);
bool valid(swp_entry_t e); /* it names a slot of a device that is up */
bool unowned(int f);
bool freeable(int f); /* the layer may take the slots of folio f */
bool scarce(void);    /* vm_swap_full() */
/* Free slots of `d` that do not wait for discard. */
uint64_t open_slots(unsigned d);

void enter_cache(int f, swp_entry_t e);
void leave_cache(int f, uint64_t shadow);
void reclaimed(int f); /* must just have happened; the hook was called */
void take_slot(swp_entry_t e, unsigned group);
void forget_slot(swp_entry_t e);
/* Folios that the layer took back by itself; false: it may not have any. */
void note_taken_back(bool may);
void note_trims(void);

/* Picks from the step's numbers; -1, and entry 0: there is none. */
bool dup_overflows(swp_entry_t e, unsigned nr); /* of the count in a word */
int pick_folio(bool cached);
swp_entry_t pick_owned(void); /* somebody other than an image owns it */
swp_entry_t pick_any(void);   /* perhaps of no device, or beyond its end */
/* An index that stays the same when folios before it were left out; -1. */
int unused_folio(void);
/* A locked folio that is not cached; -1: there are enough. */
int new_folio(unsigned order);
void hold_one(void); /* perhaps: somebody has a cached folio locked */
void let_go(void);

void lock(int f);
void unlock(int f);

/* ---- operations ---- */

struct m_op {
	const char *name;
	void (*fn)(void);
	unsigned weight;
};

extern const struct m_op folio_ops[], entry_ops[],
	device_ops[]; /* end: no name */
void op_swapon(void);
void op_sabotage(void); /* a fault of the layer, for a test of this test */
void switch_off(unsigned d);
/* The call and what it does to the model. */
void put_direct(swp_entry_t e, unsigned nr);

#endif
