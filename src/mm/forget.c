/*
 * forget.c - words of memory that ended without an event: shmat() with
 * SHM_REMAP replaced it, or a forked child did not inherit it.
 *
 * A list of mappings is the occasion to look, and no proof: it is old when it
 * has been read.
 *
 *        program                            we
 *                                           epoch is E
 *        mremap(A to B)
 *                                           mappings are read: nothing at A
 *                                           epoch is still E: forget A
 *        REMAP(A to B) is read:
 *        nothing is left to move
 *        B reads as zeros
 *
 * That the epoch has not changed says only that no event was read. So for each
 * page the kernel is asked, under the space lock, which is held when events
 * are read and handled too. An answer looks first whether an event waits and
 * then for the mapping, and the program may come between:
 *
 *        program                            we, space lock held
 *                                           first: no event waits
 *        mremap(A to B): event waits,
 *        nothing at A any more
 *                                           first: nothing at A
 *                                           second: an event waits, -EAGAIN
 *
 * If the second answer is that nothing is at A as well, then no event waited
 * when it began: all that was done before the first look has been read, and has
 * been handled, since an event that gives the lock up halfway sets event_waits.
 *
 *        done before the first look       what it means for the word of A
 *        munmap(A), mremap(A to B)        its event was handled: it is younger
 *        mmap(A), registered              the answer is not -ENOENT
 *        mmap(A), not registered          raises no fault: the word is older
 *
 *        done after it
 *        munmap(A), mremap(A to B)        of nothing: there is no event
 *        mmap(A), registered; a fault     the fault waits for our lock
 *        mremap(C to A)                   its event waits for our lock, and
 *                                         brings the words of C
 *
 * So the word of a page where nobody reports to us is nobody's. Where there are
 * no words, only the region goes, and one page in 16 is asked for.
 *
 * Nor is an unmap to come from there (owed.c). Who is about to register new
 * memory asks here first, and is told -EAGAIN while one may be: what is
 * registered raises an unmap of its own when it ends, and the two could not be
 * told apart.
 *
 * Above: run/maps.c. Beside: layout.c.
 */
#include <errno.h>

#include "mm/mm_internal.h"

#define LOCKED_PAGES 16 /* asked for under one hold of the space lock */
#define ASKED_BYTES  (64 * 1024) /* no region is smaller, as a rule */

static int ask(struct sw_space *space, uint64_t addr)
{
	struct sw_mmu *mmu = space->mmu;
	int err = mmu->ops->lookup(mmu, addr);

	return err == -ENOENT ? mmu->ops->lookup(mmu, addr) : err;
}

/* The first page of [addr, end) with a word; `end`: there is none. */
static uint64_t next_word(struct sw_space *space, uint64_t addr, uint64_t end)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, addr);

	for (; leaf && leaf->base < end;
	     leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES)) {
		unsigned i = addr > leaf->base ? sw_leaf_index(addr) : 0;

		while (i < SW_LEAF_PAGES && !leaf->word[i])
			i++;
		if (i < SW_LEAF_PAGES)
			return sw_min(end, sw_leaf_addr(leaf, i));
	}
	return end;
}

static bool is_known(struct sw_space *space, uint64_t start, uint64_t end)
{
	unsigned at = sw_region_at(space, start);

	return next_word(space, start, end) < end ||
	       (at < space->nr_regions && space->region[at].start < end) ||
	       sw_owed_has(&space->owed, start, end);
}

/* Where to ask next: the next page with a word, or in a region after so little
 * that no mapping which reports to us lies in between. */
static uint64_t next_page(struct sw_space *space, uint64_t at, uint64_t end)
{
	unsigned r = sw_region_at(space, at);

	end = sw_min(end, sw_owed_next(&space->owed, at));
	if (r < space->nr_regions) {
		uint64_t step = (at / ASKED_BYTES + 1) * ASKED_BYTES;

		end = sw_min(end, sw_max(step, space->region[r].start));
	}
	return next_word(space, at + SW_PAGE_SIZE, end);
}

/* Forgets page `at`, if nobody reports to us from there, and that anything was
 * known of those up to `next`, which have no words. */
static int forget_page(struct sw_space *space, uint64_t at, uint64_t next)
{
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, at);
	unsigned i = sw_leaf_index(at);
	int err;

	if (leaf && sw_window_of(leaf, i)->busy)
		return -EAGAIN;
	err = ask(space, at);
	if (err != -ENOENT)
		return err;
	if (leaf)
		sw_words_zap(space, leaf, i, 1);
	sw_region_remove(space, at, next);
	sw_owed_none(&space->owed, at, next);
	return -ENOENT;
}

/* Space lock held. 0: done, or somebody reports to us from *at. -ENOENT: so far
 * nobody did. */
static int forget_some(struct sw_space *space, uint64_t *at, uint64_t end)
{
	int err = -ENOENT;

	sw_assert_held(&space->lock);
	if (space->event_waits)
		return -EAGAIN;
	for (unsigned n = 0; n < LOCKED_PAGES && err == -ENOENT; n++) {
		uint64_t next;

		if (!is_known(space, *at, end))
			return 0;
		next = next_page(space, *at, end);
		err = forget_page(space, *at, next);
		*at = next;
	}
	return err;
}

int sw_space_forget(struct sw_space *space, uint64_t start, uint64_t end)
{
	int err;

	do {
		sw_space_lock(space);
		err = forget_some(space, &start, end);
		sw_space_unlock(space);
	} while (err == -ENOENT);
	return err;
}

/* One unmap made the doubt: all of the range is there, or nothing is. */
static int resolve(struct sw_space *space, uint64_t start, uint64_t end)
{
	int err;

	if (sw_space_is_busy(space, start, end))
		return -EAGAIN;
	err = ask(space, start);
	if (err != -ENOENT)
		return err;
	sw_space_zap(space, start, end, true);
	sw_region_remove(space, start, end);
	return 0;
}

bool sw_space_resolve(struct sw_space *space)
{
	struct sw_owed *o = &space->owed;

	sw_assert_held(&space->lock);
	while (o->nr_doubt) {
		struct sw_region r = o->doubt[0];

		if (resolve(space, r.start, r.end) == -EAGAIN)
			return true;
		sw_owed_undoubt(o, r.start, r.end);
	}
	o->asks = false;
	return false;
}
