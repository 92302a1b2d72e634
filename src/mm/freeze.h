/*
 * freeze.h - what mm_internal.h needs of freeze.c (a session is put aside, and
 * comes back) and of image.c (what of it would stay in compressed memory).
 */
#ifndef SW_MM_FREEZE_H
#define SW_MM_FREEZE_H

#include <pthread.h>

#include "swap/swap.h"

struct sw_mm;
struct sw_space;
struct sw_window;
struct sw_freeze_spec;

enum sw_freeze_state {
	SW_THAWED = 0,
	SW_FREEZING,
	SW_FROZEN,
	SW_THAWING,
	SW_QUIET, /* quiet.c: for a moment, and then as it was */
};

/* ---- image.c ---- */

struct sw_image_page {
	swp_entry_t of;       /* a count of this slot is the image's */
	uint64_t at : 63;     /* slot of the image that has its bytes */
	uint64_t dropped : 1; /* and nobody else */
};

/* [thread: whoever freezes or thaws]; all zeros: there is none. */
struct sw_image {
	struct swsusp_extents
		slots; /* all that are the image's, on one device */
	struct sw_image_page *page; /* in the order they were written */
	uint64_t nr, max;
	uint64_t loaded;               /* of these: back, from the first on */
	uint64_t *seen[MAX_SWAPFILES]; /* a bit for each slot that was met */
	uint32_t pinned;               /* a bit for each device that is */
};

/*
 * Writes what compressed memory holds of the session's pages to slots of device
 * `spec->image_type`, as far as there is room, and then forgets it there. Every
 * space is held and idle. Says why and leaves everything as it was when it
 * fails, or is called off: -ECANCELED.
 */
SW_MUST_CHECK int sw_image_make(struct sw_mm *mm,
				const struct sw_freeze_spec *spec);
/* Brings the pages back that somebody still wants. What cannot be read is lost:
 * who touches it gets SIGBUS. -ENOMEM, -EINPROGRESS: not all of it, try
 * again. */
SW_MUST_CHECK int sw_image_load(struct sw_mm *mm);
/* Gives all slots back, with what is in them. */
void sw_image_release(struct sw_image *image);

/* ---- freeze.c ---- */

struct sw_freeze {
	enum sw_freeze_state state; /* [atomic] changes under mm->lock */
	bool thaw_on_fault;         /* [atomic] the next one is to thaw */
	bool thaw_wanted;           /* [atomic] it came */
	bool park;             /* [atomic] under mm->lock: reclaim rests, */
	bool parked;           /* mm->lock: and does so now */
	pthread_cond_t turn;   /* one of the two has changed */
	uint64_t image_pages;  /* [atomic] */
	struct sw_image image; /* whoever freezes or thaws */
};

void sw_freeze_init(struct sw_mm *mm);
/* Nobody freezes or thaws. What is in an image is given up. */
void sw_freeze_release(struct sw_mm *mm);

/*
 * Another state, if it is `from`; false: it is not. Faults are held in all but
 * SW_THAWED. Who goes there wakes them with sw_freeze_wake().
 */
bool sw_freeze_go(struct sw_mm *mm, enum sw_freeze_state from,
		  enum sw_freeze_state to);
void sw_freeze_wake(struct sw_mm *mm);
/* Reclaim rests, or goes on; once this returns, and what it does is up to the
 * caller. */
void sw_freeze_park(struct sw_mm *mm, bool on);
/* Faults that began before they were held are over after that. */
void sw_freeze_wait_idle(struct sw_mm *mm);
/* Not one fault is to be answered: an image may have the bytes. For the thread
 * that reclaims; once it is false it stays so until that one rests. */
bool sw_freeze_keeps_out(struct sw_mm *mm);

/* The fault is to wait until the session thaws; space lock held. */
bool sw_freeze_holds(struct sw_space *space, struct sw_window *win);
/* For reclaim, between two steps: rests while somebody else freezes, and thaws
 * when a fault wants that. */
void sw_freeze_heed(struct sw_mm *mm);

#endif
