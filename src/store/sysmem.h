/*
 * sysmem.h - memory for the stores straight from the system: address space
 * is reserved once and costs nothing, pages are taken and given back inside
 * it. No malloc: reclaim comes here when memory is short, and in a library
 * the program's malloc may be what faulted.
 */
#ifndef SW_STORE_SYSMEM_H
#define SW_STORE_SYSMEM_H

#include "base/base.h"

/* Address space that reads as zeros and is backed by no page until touched.
 * NULL when the system has no room. */
void *sw_sysmem_reserve(size_t bytes);
void sw_sysmem_release(void *addr, size_t bytes);

/* Backs whole OS pages now, so that a lack of memory is an answer (-ENOMEM)
 * and not a death on first touch. */
SW_MUST_CHECK int sw_sysmem_populate(void *addr, size_t bytes);

/* Gives the pages back; the range reads as zeros again. */
void sw_sysmem_drop(void *addr, size_t bytes);

/*
 * For tests: asked before each call that takes memory; true makes that call
 * fail. Set it while no other thread is in a store.
 */
extern bool (*sw_sysmem_fail)(void);

#endif
