/*
 * moved.h - of a device that is being emptied, by slot: where it went, or that
 * it stays. Of one thread; memory is taken only for what is remembered.
 */
#ifndef SW_MM_MOVED_H
#define SW_MM_MOVED_H

#include "swap/swap.h"

struct sw_moved {
	unsigned type;
	uint64_t *to; /* by offset: an entry's value, 0 or STAYS */
	uint64_t bytes;
	uint64_t nr, nr_stay, end; /* of both kinds so many, below this one */
};

/* For device `type` of `max` slots. */
SW_MUST_CHECK int sw_moved_init(struct sw_moved *m, unsigned type,
				uint64_t max);
/* Forgets all. */
void sw_moved_release(struct sw_moved *m);

/* The slot's bytes are in that of `folio`, which gets one owner more as long as
 * this is remembered. Folio locked. */
void sw_moved_remember(struct sw_moved *m, swp_entry_t from,
		       struct folio *folio);
/* Where the slot's bytes are; 0: that is not remembered. */
swp_entry_t sw_moved_to(const struct sw_moved *m, swp_entry_t from);

/* The slot is left as it is. */
void sw_moved_stay(struct sw_moved *m, swp_entry_t from);
bool sw_moved_stays(const struct sw_moved *m, swp_entry_t from);

/* Forgets the slots without an owner, for which nobody can ask. */
void sw_moved_sweep(struct sw_moved *m);

#endif
