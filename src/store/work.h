/*
 * work.h - scratch memory of a thread: taken on its first use, kept until
 * the thread ends, so that nothing is allocated on the paths after it.
 */
#ifndef SW_STORE_WORK_H
#define SW_STORE_WORK_H

#include "base/base.h"

/* The calling thread's scratch memory, at least `bytes` of it, page aligned;
 * its contents are the last caller's. NULL: no memory. */
void *sw_work_get(size_t bytes);

#endif
