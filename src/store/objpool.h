/*
 * objpool.h - objects of 1..SW_PAGE_SIZE bytes packed into memory that goes
 * back to the system when they are gone. Made for compressed pages: sizes of
 * every kind, lives of every length, and each byte of waste is paid for.
 *
 * An object is named by a location of SW_OBJPOOL_LOC_BITS bits, never by its address, so
 * that 8 bytes have room for its size beside it. Its bytes belong to whoever
 * owns the location: the pool takes no lock for access to them.
 */
#ifndef SW_STORE_OBJPOOL_H
#define SW_STORE_OBJPOOL_H

#include "base/base.h"

#define SW_OBJPOOL_LOC_BITS 39

struct sw_objpool;

struct sw_objpool_stats {
	uint64_t objs;       /* live objects */
	uint64_t bytes;      /* sum of the sizes asked for */
	uint64_t mem_bytes;  /* pages taken from the system for objects */
	uint64_t peak_bytes; /* the most mem_bytes has been */
	uint64_t meta_bytes; /* descriptors: touched, kept until the end */
};

/* Room for max_objs (< 2^30) objects at once. NULL: no memory. */
struct sw_objpool *sw_objpool_new(uint64_t max_objs);
/* No object needs to be gone; all are. Nobody is inside any other call. */
void sw_objpool_destroy(struct sw_objpool *pool);

/* 0 with the location, or -ENOMEM (no memory, or the limit is reached). */
SW_MUST_CHECK int sw_objpool_alloc(struct sw_objpool *pool, size_t size,
				   uint64_t *loc);
/* `size` is what was asked for. Never waits for the system but to give
 * memory back. */
void sw_objpool_free(struct sw_objpool *pool, uint64_t loc, size_t size);

/* The object's bytes, good until it is freed; NULL when no object of `size`
 * bytes can be there (a damaged location). Takes no lock. */
void *sw_objpool_at(const struct sw_objpool *pool, uint64_t loc, size_t size);

/*
 * Gathering the objects of sparse spans, so that these can go. The owner of
 * all locations first asks for a plan; false: it would not pay. Then, for
 * each location it has, wants_move is a hint without a lock, and move tries.
 * The functions of the mover run under a lock of the pool and may call
 * nothing of it but sw_objpool_at().
 */
struct sw_objpool_mover {
	/* Is the object at the location, complete and untouched by anybody?
	 * Sees all that was done before the owner learnt the location. */
	bool (*is_there)(void *arg);
	/* Copies the bytes and makes new_loc the location, at once for all
	 * others; false: somebody came first, nothing changes. */
	bool (*relocate)(void *arg, uint64_t new_loc);
	void *arg;
};

/* It pays from that part of all memory on: 16 is a sixteenth. */
bool sw_objpool_plan(struct sw_objpool *pool, unsigned part);
bool sw_objpool_wants_move(const struct sw_objpool *pool, uint64_t loc);
bool sw_objpool_move(struct sw_objpool *pool, uint64_t loc, size_t size,
		     const struct sw_objpool_mover *mover);

/* Gives back what is kept in reserve. */
void sw_objpool_trim(struct sw_objpool *pool);

/* No more than `bytes` from the system; 0: no limit (at first). What is above
 * it already stays. */
void sw_objpool_set_limit(struct sw_objpool *pool, uint64_t bytes);

/* mem_bytes of the stats, for those who look often: takes no lock. */
uint64_t sw_objpool_mem_bytes(const struct sw_objpool *pool);
void sw_objpool_stats(struct sw_objpool *pool, struct sw_objpool_stats *st);

/* Walks everything at a quiescent moment; returns how many invariants are
 * broken and prints each. */
unsigned sw_objpool_check(struct sw_objpool *pool);

#endif
