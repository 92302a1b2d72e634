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
 * Above: space.c, under the space lock.
 */
#include <string.h>

#include "base/time.h"
#include "mm/mm_internal.h"

/* A debt this old was none: our books of the range were stale. */
#define DUE_NS 5000000000

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

void sw_owed_settle(struct sw_owed *o, uint64_t start, uint64_t end)
{
	for (unsigned k = o->nr_left; k-- > 0;) {
		struct sw_region r = o->left[k];

		if (r.start >= end || r.end <= start)
			continue;
		list_del(o->left, &o->nr_left, k);
		list_add(o->left, &o->nr_left, r.start, sw_min(r.end, start));
		list_add(o->left, &o->nr_left, sw_max(r.start, end), r.end);
	}
}

void sw_owed_replaced(struct sw_owed *o, uint64_t start, uint64_t end)
{
	o->due_ns = sw_now_ns();
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
	if (sw_now_ns() - o->due_ns > DUE_NS)
		o->nr_due = 0;
	for (unsigned k = 0; k < o->nr_due; k++) {
		if (o->due[k].start >= end || o->due[k].end <= start)
			continue;
		*hit = o->due[k];
		list_del(o->due, &o->nr_due, k);
		return true;
	}
	return false;
}
