/*
 * correction.h - what an exact measurement of the tree differs by from the
 * books, and when that is believed.
 *
 * The exact figure is a sum over processes that are read one after another. In
 * the middle of a fork, an exit or an exec it is far too small: a parent's
 * share of its frames is halved already, and the child is in no list yet. To
 * believe that there is less than the books say lets the tree grow beyond its
 * budget, to believe that there is more costs speed only. So less must be
 * measured twice, of the same tree; more counts at once.
 *
 * One thread. Above: watch.c.
 */
#ifndef SW_CORRECTION_H
#define SW_CORRECTION_H

#include <stdint.h>

struct sw_correction {
	int64_t pages;  /* to be added to the books */
	int64_t last;   /* what the last measurement differed by */
	uint64_t of;    /* the tree it was made of: counts its changes */
	uint64_t times; /* measurements of that tree */
};

/* The correction for a tree that has changed `changes` times. What an older
 * tree had too little of is no longer believed. */
int64_t sw_correction_of(struct sw_correction *c, uint64_t changes);

/* The tree was measured and has `pages` more than the books say. */
void sw_correction_measured(struct sw_correction *c, uint64_t changes,
			    int64_t pages);

#endif
