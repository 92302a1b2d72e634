/*
 * swap_paths.h - the hot paths of the swap layer, each prepared so that many
 * operations of one kind follow each other with nothing between: for
 * bench_swap.c, which measures their time, and count_path.c, whose
 * instructions callgrind counts. No store, no pages.
 */
#ifndef SW_BENCH_SWAP_PATHS_H
#define SW_BENCH_SWAP_PATHS_H

#include "swap/cluster.h"
#include "swap/swap.h"

struct swap_path {
	const char *name; /* in instructions.txt */
	const char *what; /* one operation */
	unsigned batch;   /* operations between prepare and restore */
	unsigned slots;   /* its time is given for one of so many */
	double target_ns; /* what it should stay under; 0: no such wish */
	void (*prepare)(unsigned n);
	void (*run)(unsigned n);
	void (*restore)(unsigned n);
};

extern const struct swap_path swap_paths[];
extern const unsigned nr_swap_paths;

/* Pool, layer and one device that all paths use; `nr_cpus` CPUs at most play
 * a part (0: all there are). */
void swap_paths_open(unsigned nr_cpus);
void swap_paths_close(void);

/* path->run(path->batch), never inlined: what is counted has a name. */
void swap_path_run(const struct swap_path *path);

/* ---- pieces for other benchmarks of the layer ---- */

void must(int err);
/* Locked and uptodate. */
struct folio *new_folio(unsigned order);
void drop_folio(struct folio *folio);
/* In the cache, without an owner. */
struct folio *cached_folio(unsigned order);
/* 2^order slots with one owner each and no folio. */
swp_entry_t swapped_out(unsigned order);
/* Allocate, one owner more, one less, free: a slot's whole life. */
void cycle(struct folio *folio);
/* A device without a store; its type. */
unsigned bench_swapon(uint64_t slots, int prio);

#endif
