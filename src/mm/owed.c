/*
 * owed.c - unmaps that are still to come although their range is somebody
 * else's by now.
 *
 * Two threads may have their events queued in another order than the kernel
 * did their calls, and a remap is followed by the unmap of its old range:
 *
 *        thread 1                      thread 2
 *        munmap(A)
 *                                      mremap(C to A)
 *                                      REMAP(C to A) is read
 *        UNMAP(A) is read
 *
 *        mremap(A to B)
 *        REMAP(A to B) is read
 *                                      mremap(C to A)
 *                                      REMAP(C to A) is read
 *        UNMAP(A) is read
 *
 * So a remap onto a range that was a region, or that a remap left, is owed
 * the unmap of what was there, and that one must not hit the newcomer. What a
 * remap left is no region any more (a child born now has nothing there), so
 * it is remembered here. After MREMAP_DONTUNMAP it is remembered until the
 * program unmaps it, which is the same debt.
 *
 * But the newcomer may be gone before a slow thread gets to say what it did:
 *
 *        thread 1                      thread 2
 *        mremap(A to B)
 *        REMAP(A to B) is read
 *                                      mremap(C to A)
 *                                      REMAP(C to A), UNMAP(C) are read
 *                                      munmap(A)
 *                                      UNMAP(A) is read: taken for thread 1's
 *        UNMAP(A) is read
 *
 * Until then C's words stay at A, where nothing is. The space is harmed by
 * that only if somebody moves in meanwhile. A remap does so with an event, and
 * new memory is not registered while a debt is open: forget.c. A child born in
 * this time would keep the words for good, since thread 1 owes it nothing. So
 * the range is in doubt, and the kernel is asked about it: of the child at once,
 * of the parent as soon as no event waits. So a debt that never was one, since our
 * books of the range were stale, does no harm; and none grows old: whoever reads
 * the events may have been busy for long, with faults on a slow disk.
 *
 * Above: space.c, under the space lock.
 */
#include <string.h>

#include "mm/mm_internal.h"

static void list_del(struct sw_region *list, unsigned *nr, unsigned k)
{
	memmove(&list[k], &list[k + 1], (--*nr - k) * sizeof(list[0]));
}

/* A full list forgets its oldest: it was never seen to come. */
static void list_add(struct sw_region *list, unsigned *nr, uint64_t start,
		     uint64_t end)
{
	if (start >= end)
		return;
	if (*nr == SW_OWED_MAX)
		list_del(list, nr, 0);
	list[(*nr)++] = (struct sw_region){ start, end };
}

void sw_owed_left(struct sw_owed *o, uint64_t start, uint64_t end)
{
	sw_owed_settle(o, start, end);
	list_add(o->left, &o->nr_left, start, end);
}

/* Entry `k` keeps what of it is outside of the range. */
static void list_cut_one(struct sw_region *list, unsigned *nr, unsigned k,
			 uint64_t start, uint64_t end)
{
	struct sw_region r = list[k];

	list_del(list, nr, k);
	list_add(list, nr, r.start, sw_min(r.end, start));
	list_add(list, nr, sw_max(r.start, end), r.end);
}

static void list_cut(struct sw_region *list, unsigned *nr, uint64_t start,
		     uint64_t end)
{
	for (unsigned k = *nr; k-- > 0;)
		if (list[k].start < end && list[k].end > start)
			list_cut_one(list, nr, k, start, end);
}

static bool list_has(const struct sw_region *list, unsigned nr, uint64_t start,
		     uint64_t end)
{
	for (unsigned k = 0; k < nr; k++)
		if (list[k].start < end && list[k].end > start)
			return true;
	return false;
}

/* What happened to the range since leaves no doubt about it either. */
void sw_owed_settle(struct sw_owed *o, uint64_t start, uint64_t end)
{
	list_cut(o->left, &o->nr_left, start, end);
	list_cut(o->doubt, &o->nr_doubt, start, end);
}

void sw_owed_none(struct sw_owed *o, uint64_t start, uint64_t end)
{
	sw_owed_settle(o, start, end);
	list_cut(o->due, &o->nr_due, start, end);
}

bool sw_owed_doubts(const struct sw_owed *o, uint64_t start, uint64_t end)
{
	return list_has(o->doubt, o->nr_doubt, start, end);
}

bool sw_owed_has(const struct sw_owed *o, uint64_t start, uint64_t end)
{
	return list_has(o->due, o->nr_due, start, end) ||
	       list_has(o->left, o->nr_left, start, end) ||
	       sw_owed_doubts(o, start, end);
}

static uint64_t list_next(const struct sw_region *list, unsigned nr,
			  uint64_t addr)
{
	uint64_t next = UINT64_MAX;

	for (unsigned k = 0; k < nr; k++)
		if (list[k].start > addr)
			next = sw_min(next, list[k].start);
	return next;
}

uint64_t sw_owed_next(const struct sw_owed *o, uint64_t addr)
{
	uint64_t next = list_next(o->due, o->nr_due, addr);

	next = sw_min(next, list_next(o->left, o->nr_left, addr));
	return sw_min(next, list_next(o->doubt, o->nr_doubt, addr));
}

void sw_owed_undoubt(struct sw_owed *o, uint64_t start, uint64_t end)
{
	list_cut(o->doubt, &o->nr_doubt, start, end);
}

void sw_owed_inherit(struct sw_owed *child, const struct sw_owed *parent)
{
	memcpy(child->doubt, parent->doubt, sizeof(child->doubt));
	child->nr_doubt = parent->nr_doubt;
	child->asks = parent->nr_doubt;
}

void sw_owed_replaced(struct sw_owed *o, uint64_t start, uint64_t end)
{
	list_add(o->due, &o->nr_due, start, end);
}

void sw_owed_moved_in(struct sw_owed *o, uint64_t start, uint64_t end)
{
	for (unsigned k = 0; k < o->nr_left; k++) {
		struct sw_region *r = &o->left[k];

		sw_owed_replaced(o, sw_max(r->start, start),
				 sw_min(r->end, end));
	}
	sw_owed_settle(o, start, end);
}

bool sw_owed_take(struct sw_owed *o, uint64_t start, uint64_t end,
		  struct sw_region *hit)
{
	for (unsigned k = 0; k < o->nr_due; k++) {
		if (o->due[k].start >= end || o->due[k].end <= start)
			continue;
		start = sw_max(start, o->due[k].start);
		end = sw_min(end, o->due[k].end);
		*hit = (struct sw_region){ start, end };
		list_cut_one(o->due, &o->nr_due, k, start, end);
		list_cut(o->doubt, &o->nr_doubt, start, end);
		list_add(o->doubt, &o->nr_doubt, start, end);
		o->asks = true;
		return true;
	}
	return false;
}
