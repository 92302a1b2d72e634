/* swap_alloc.h - what swap_alloc.c (which device?) and swap_scan.c (where on
 * it?) share. */
#ifndef SW_SWAP_ALLOC_H
#define SW_SWAP_ALLOC_H

#include "swap/cluster.h"

/* One attempt to allocate; lives on the stack. */
struct alloc_ctx {
	struct swap_info_struct *si; /* tried now */
	struct folio *folio;         /* NULL: a slot without one (an image) */
	unsigned order;
	uint16_t group;
	uint32_t devices; /* bit n: device n may be used */
	bool done;
	bool rcu;          /* in the fast path's RCU section */
	bool global;       /* global_cluster_lock is held */
	bool pinned;       /* a reference was taken to leave that section */
	bool emptied;      /* reclaim for it sent a cluster to the free list */
	int8_t full;       /* are those full? asked once; -1: not yet */
	swp_entry_t entry; /* what was found */
};

/*
 * Looks for room in a locked cluster from slot `off` of it on; leaves it
 * unlocked and on the list it belongs to. ctx->si is NULL afterwards when the
 * device had to be let go.
 */
void alloc_swap_scan_cluster(struct alloc_ctx *ctx,
			     struct swap_cluster_info *ci, unsigned off);

/* Any slot of ctx->si, which is pinned; true: ctx->entry is it. */
bool cluster_alloc_swap_entry(struct alloc_ctx *ctx);

#endif
