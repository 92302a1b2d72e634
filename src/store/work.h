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

/* ---- threads that are not ours ---- */

struct sw_work_area {
	void *mem;
	size_t bytes;
};

/* What one thread has. All zeros: nothing yet. */
struct sw_work {
	struct sw_work_area area[SW_NR_CODECS + 2];
};

/*
 * From now on, until it is lent something else or NULL, the calling thread has
 * this for its own. Threads of a program that do our work for a moment are lent
 * what others have used before: memory of its own would be one more for each of
 * them, and to have it given back in the end takes malloc(). One thread at a
 * time.
 */
void sw_work_lend(struct sw_work *work);
/* Nobody has it any more. */
void sw_work_release(struct sw_work *work);

#endif
