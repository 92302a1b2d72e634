/*
 * swap_mem.h - where the swap layer gets memory: one call that tests can make
 * fail, and the pool of swap tables.
 */
#ifndef SW_SWAP_MEM_H
#define SW_SWAP_MEM_H

#include "base/base.h"
#include "swap/cluster.h"

/* Zeroed memory, or NULL. `what` names it to the hook below. May sleep: call
 * it under no lock. */
void *swap_zalloc(size_t bytes, const char *what);
void *swap_zalloc_aligned(size_t bytes, const char *what); /* 64 bytes */
void swap_free_mem(void *p);

/* What the hook below says; for memory that does not come from here. */
bool swap_may_alloc(const char *what);

/* Tests: asked before each allocation; false makes it fail. NULL: none. */
void swap_set_alloc_hook(bool (*may)(void *arg, const char *what), void *arg);

#ifdef SW_CHECKS
/* Tests: gets what would be freed. NULL: none. */
extern void (*swap_free_hook)(void *p);
#endif

/* An all-NULL table. The first never sleeps and knows only tables this CPU
 * freed lately; the second may sleep. NULL when there is none. */
struct swap_table *swap_table_alloc_atomic(void);
struct swap_table *swap_table_alloc(void);

/* Gives back an all-NULL table; lockless readers may still look at it. */
void swap_table_free(struct swap_table *table);

/* Tables that exist, pooled ones included. */
uint64_t swap_table_nr(void);

int swap_mem_init(void);
void swap_mem_exit(void);

#endif
