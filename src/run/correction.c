/*
 * correction.c - see correction.h.
 */
#include "run/correction.h"

#include "base/base.h"

int64_t sw_correction_of(struct sw_correction *c, uint64_t changes)
{
	if (c->of != changes) {
		c->pages = sw_max(c->pages, (int64_t)0);
		c->of = changes;
		c->times = 0;
	}
	return c->pages;
}

void sw_correction_measured(struct sw_correction *c, uint64_t changes,
			    int64_t pages)
{
	int64_t before;

	sw_correction_of(c, changes);
	before = c->times++ ? c->last : sw_max(pages, (int64_t)0);
	c->pages = sw_max(pages, before);
	c->last = pages;
}
