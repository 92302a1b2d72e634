/*
 * fault.h - what fault.c, write_fault.c and lost.c share: one fault on its way.
 */
#ifndef SW_FAULT_H
#define SW_FAULT_H

#include "base/trace.h"
#include "mm/mm_internal.h"

/* One fault on its way; the window is taken from take() to give(). */
struct sw_fault {
	struct sw_space *space;
	struct sw_leaf *leaf;
	uint64_t addr;
	unsigned i;     /* page in the leaf */
	unsigned flags; /* enum sw_mmu_fault_flags */
	int tid;
	bool alone;        /* somebody said that its neighbours are of no use */
	enum sw_tier tier; /* what it waited for */
	struct sw_plan plan;
	struct sw_batch batch;
	uint64_t last;           /* address of the last page that came */
	enum sw_trace_kind kind; /* what it was, for a trace, */
	unsigned came;           /* and how many pages it brought */
};

/* Lets the program try again. */
void sw_fault_wake(struct sw_fault *f);

/* Plans for the fault and collects its pages, those whose words are alike under
 * `mask`. Space lock held for both. */
void sw_fault_begin(struct sw_fault *f, struct sw_streams *st, uint64_t mask);
/* Tells the stream what came: `nr` pages in all, the last ones by f->batch. */
void sw_fault_end(struct sw_fault *f, struct sw_streams *st, unsigned nr);

/* A write met a protected page. Space lock held, which is given up; the window
 * is idle. */
void sw_fault_wp(struct sw_fault *f);

/* ---- lost.c; space lock held ---- */

/* The page is lost already, or from now on: its reader shall know. Both give the
 * lock up; the window is idle. */
void sw_fault_poison(struct sw_fault *f);
void sw_fault_lost(struct sw_fault *f);
/* One fault more on a page that our word calls present. True: it is not, and has
 * gone without a word. */
bool sw_fault_comes_again(struct sw_fault *f);

/* ---- clean.c ---- */

/* Do clean copies save more than the first writes to some of them cost? */
bool sw_clean_pays(struct sw_mm *mm);
/* Shall what comes in now keep its slots? */
bool sw_clean_keep(struct sw_mm *mm);
/* A write met copies, which are given up for it. */
void sw_clean_met(struct sw_mm *mm);

#endif
