/*
 * explore.h - what a scenario of the explorer sees: how it is described, how
 * it says what it expects, and the little world it plays in.
 *
 * A scenario is one of the races the swap layer has an answer to: up to four
 * virtual threads, each with its lines. The explorer runs it from scratch
 * under one schedule after the other. What a scenario does must therefore
 * depend on nothing but the schedule; all its variables are set in setup().
 */
#ifndef SW_TEST_EXPLORE_H
#define SW_TEST_EXPLORE_H

#include "base/base.h"
#include "swap/cluster.h"

#ifdef SW_CHECKS

#define CL             SWAPFILE_CLUSTER
#define EXPLORE_MAX_VT 4u

struct scenario {
	const char *name;
	void (*setup)(void);                /* before, alone */
	void (*body[EXPLORE_MAX_VT])(void); /* together; up to four */
	void (*finish)(void);               /* after, alone: expectations */
};

/* Each ends with a nameless one. */
extern const struct scenario explore_cache[], explore_counts[], explore_alloc[],
	explore_device[], explore_zswap[];

void explore_failed(const char *file, int line, const char *what)
	__attribute__((noreturn));

#define EXPECT(cond)                                               \
	do {                                                       \
		if (!(cond))                                       \
			explore_failed(__FILE__, __LINE__, #cond); \
	} while (0)

/* The calling virtual thread goes on on another CPU. */
void explore_move(unsigned cpu);

/* ---- the engine (explore.c), for whoever chooses schedules ---- */

#define EXPLORE_MAX_POINTS 20000u

enum explore_kind {
	EXPLORE_POINT, /* may go on */
	EXPLORE_WAIT,  /* cannot: waits for the others */
	EXPLORE_END,   /* is over, or nobody runs yet */
};

/* Who runs next: a bit of `runnable`, which is never 0. `me` is -1 before
 * the first. */
typedef int (*explore_choose)(enum explore_kind kind, int me,
			      unsigned runnable);

/* What was decided at one place. */
struct explore_step {
	int8_t me, chosen;
	uint8_t runnable; /* a bit a thread */
};

extern struct explore_step explore_trace[EXPLORE_MAX_POINTS];
extern unsigned explore_trace_len;

/* What happens without a preemption: go on, or let the next one go on. */
int explore_default(enum explore_kind kind, int me, unsigned runnable);

/* One run of `s` from nothing to nothing. */
void explore_run(const struct scenario *s, explore_choose choose);

/* `again` is the command whose last argument is a schedule. */
void explore_init(const char *again);

/* ---- the world of the scenarios (explore_world.c) ---- */

extern int type; /* the device */

/* Before the device and setup(). */
void explore_world_begins(void);
/* It is on before setup(), with two clusters. */
int explore_swapon(uint64_t max, unsigned flags, int prio);
/* What the stores of all devices do besides nothing; NULL: nothing. */
extern void (*explore_on_discard)(uint64_t offset, uint64_t nr);
extern void (*explore_on_slot_free)(uint64_t offset, unsigned nr);
/* After finish(): all slots free, all invariants, off, nothing left. */
void explore_world_ends(void);

/* Locked, uptodate, not in the cache. */
struct folio *new_folio(unsigned order);
/* Slots with an owner each and no folio. */
swp_entry_t swapped_out(unsigned order, uint16_t group);
/* A folio, locked, in the cache with count 0. */
struct folio *cached_folio(unsigned order);
/* Unlocks, and gives up the reference. */
void drop(struct folio *folio);
/* Takes slots until `left` are free on the device. */
void fill_up(unsigned left);
/* Puts every owner of every slot of the device. */
void put_all(void);
uint64_t used(void);

void nothing(void);

#endif
#endif
