/*
 * work.h - scratch memory of a thread: taken on its first use, kept until
 * the thread ends, so that nothing is allocated on the paths after it.
 */
#ifndef SW_STORE_WORK_H
#define SW_STORE_WORK_H

#include "codec/codec.h"

#define SW_WORK_SCRATCH_BYTES (16UL << 10)

/* The calling thread's scratch memory, page aligned; its contents are the
 * last caller's. NULL: no memory. */
void *sw_work_scratch(void);

/* As large as the largest folio that is written: one request for all of it. */
#define SW_WORK_SEALED_BYTES (256UL << 10)

/* The calling thread's memory for encrypted pages, as sw_work_scratch(). */
void *sw_work_sealed(void);

/* The calling thread's work area for a codec, ready. NULL: no memory. */
void *sw_work_codec(const struct sw_codec *codec);

#endif
