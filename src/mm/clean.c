/*
 * clean.c - whether clean copies pay. A page that was read back may keep its
 * slot: it is mapped write-protected, and goes out again without being
 * compressed or written. If it is written to before that, the protection was
 * a fault for nothing.
 *
 * One number weighs the two, in tenths of what it costs to write a page out. A
 * fault counts once for all the copies it takes: who writes in order loses
 * windows of them and hardly anything by it. What was gained is remembered for
 * longer than what was lost: a program that reads and writes in turns is still
 * in credit when it comes to write, and one that has turned from writing to
 * reading is soon believed.
 *
 * A loss may come at once, but a gain only with the next sweep, so we begin
 * with a credit; it is what a random writer costs before he is known for one.
 * While copies do not pay, the first write to one of them takes all in its
 * window (write_fault.c), and only few are given, to notice a change.
 *
 * Above: fault.c, write_fault.c, evict.c.
 */
#include "mm/fault.h"

#define GAIN   10   /* a page that went out unwritten */
#define LOSS   13   /* a fault to write to one that is protected */
#define START  2000 /* some 150 such faults */
#define MOST   20000
#define LEAST  (-500)
#define SAMPLE 64 /* reads that bring a copy although it does not pay */

void sw_clean_init(struct sw_mm *mm)
{
	mm->clean_worth = START;
}

static void change(struct sw_mm *mm, int64_t by)
{
	int64_t old = __atomic_load_n(&mm->clean_worth, __ATOMIC_RELAXED), new;

	do {
		new = sw_max((int64_t)LEAST, sw_min((int64_t)MOST, old + by));
	} while (!__atomic_compare_exchange_n(&mm->clean_worth, &old, new, true,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
}

void sw_clean_paid(struct sw_mm *mm)
{
	change(mm, GAIN);
}

void sw_clean_met(struct sw_mm *mm)
{
	change(mm, -LOSS);
}

bool sw_clean_pays(struct sw_mm *mm)
{
	return __atomic_load_n(&mm->clean_worth, __ATOMIC_RELAXED) > 0;
}

bool sw_clean_keep(struct sw_mm *mm)
{
#ifdef SW_NO_CLEAN_COPIES
	return false;
#endif
	/* A kept slot is unowned: when slots get scarce the allocator takes it
	 * back by itself, so the line is drawn late. */
	if (sw_slots_are_scarce(mm))
		return false;
	return sw_clean_pays(mm) ||
	       __atomic_add_fetch(&mm->clean_sample, 1, __ATOMIC_RELAXED) %
			       SAMPLE ==
		       0;
}
