/*
 * refs.h - what others would have made of a trace: how often a page that was
 * out had to come back, for the accesses that are counted.
 */
#ifndef SW_REPLAY_REFS_H
#define SW_REPLAY_REFS_H

#include "trace.h"

/* The least recently used page goes. */
uint64_t ref_lru(const struct trace *t, uint32_t budget);
/* The page goes whose next use is farthest (Belady): nobody can do better
 * that brings pages one at a time. */
uint64_t ref_min(const struct trace *t, uint32_t budget);
/*
 * A model of how Linux treats anonymous memory since 5.9, without a file
 * cache: new pages are inactive; from the end of that list go those that were
 * not accessed, an accessed one gets another round and is active after the
 * second; while the active list is longer its oldest become inactive; a page
 * that comes back within the length of the active list is active at once.
 */
uint64_t ref_kernel(const struct trace *t, uint32_t budget);

#endif
