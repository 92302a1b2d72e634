/*
 * codec.h - compression of pages behind one interface. A codec keeps no
 * state of its own; what one call needs comes in `work` (work_bytes large,
 * one a thread, contents meaningless between calls).
 */
#ifndef SW_CODEC_H
#define SW_CODEC_H

#include "base/base.h"

struct sw_codec {
	const char *name;
	size_t work_bytes;

	/* Bytes written to dst, or 0 when they would not be fewer than
	 * `cap` (store the page raw). */
	size_t (*compress)(void *work, const void *page, void *dst, size_t cap);

	/* 0, or -EIO when src is no compressed page. Never writes outside
	 * dst[0..SW_PAGE_SIZE). */
	int (*decompress)(void *work, const void *src, size_t len, void *page);
};

extern const struct sw_codec sw_codec_lz4;

/* NULL when there is no such codec. */
const struct sw_codec *sw_codec_lookup(const char *name);

/* True when the page repeats one 64-bit word, which goes to *word. */
bool sw_page_same_filled(const void *page, uint64_t *word);

#endif
