/*
 * lost.c - pages whose bytes nobody has any more: who touches one gets SIGBUS,
 * and never zeros.
 *
 * Above: fault.c, evict.c, unuse.c. Below: the mmu.
 */
#include "base/log.h"
#include "mm/fault.h"

#define LOST_AFTER 1000 /* faults of a thread on a page we call present */

void sw_word_lost(struct sw_space *space, struct sw_leaf *leaf, unsigned i)
{
	sw_happened(space->mm, SW_MM_PAGE_LOST);
	sw_words_zap(space, leaf, i, 1);
	sw_word_set(space, leaf, i, SW_WORD_POISON);
}

void sw_fault_poison(struct sw_fault *f)
{
	struct sw_mmu *mmu = f->space->mmu;

	sw_count(poisoned, 1);
	if (mmu->ops->poison(mmu, f->addr))
		sw_fault_wake(f);
	sw_space_unlock(f->space);
}

void sw_fault_lost(struct sw_fault *f)
{
	sw_error("page at %#llx of the program is lost: its reader gets SIGBUS",
		 (unsigned long long)f->addr);
	sw_word_lost(f->space, f->leaf, f->i);
	sw_fault_poison(f);
}

/* A thread whose fault was answered late does not come back. So one thread is
 * counted, and for as long as the page is not mapped anew (sw_word_set()). */
bool sw_fault_comes_again(struct sw_fault *f)
{
	struct sw_space *space = f->space;

	if (space->again_addr != f->addr || !space->again) {
		space->again = 0;
		space->again_addr = f->addr;
		space->again_tid = f->tid;
	}
	space->again += f->tid == space->again_tid;
	return space->again == LOST_AFTER;
}
