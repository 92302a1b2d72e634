/*
 * mem.h - memory for what is made while a page is on its way: tables and the
 * like. It is malloc()'s, unless the process is somebody else's program whose
 * malloc() may itself be what waits for the page: then it comes straight from
 * the system.
 */
#ifndef SW_MEM_H
#define SW_MEM_H

#include "base/base.h"

/* Zeroed; the second aligned to 64 bytes. NULL: there is none. */
void *sw_mem_zalloc(size_t bytes);
void *sw_mem_zalloc_aligned(size_t bytes);
void sw_mem_free(void *p);

/* From now on without malloc(). What was given before cannot be given back any
 * more: call it first. */
void sw_mem_avoid_malloc(void);

/* Nobody is inside from the first to the second. */
void sw_mem_before_fork(void);
void sw_mem_after_fork(void);

#endif
