/*
 * codec.h - compression of pages behind one interface. A codec keeps no
 * state of its own; what its calls need comes in `work`: work_bytes large,
 * aligned as malloc() does, one a thread and codec. Its contents are the
 * codec's, from work_init on.
 */
#ifndef SW_CODEC_H
#define SW_CODEC_H

#include "base/base.h"

/* Small numbers, for those who keep something for each codec. */
enum sw_codec_id {
	SW_CODEC_LZ4,
	SW_CODEC_ZSTD,
	SW_CODEC_ZSTD1,
	SW_CODEC_ZSTD6,
	SW_CODEC_ZSTD9,
	SW_NR_CODECS,
};

struct sw_codec {
	const char *name;
	enum sw_codec_id id;
	size_t work_bytes;

	/* Before the first call with a work area; NULL: not needed. 0, or
	 * -ENOMEM: this codec cannot work here. */
	int (*work_init)(void *work);

	/* Bytes written to dst, or 0 when they would not be fewer than
	 * `cap` (store the page raw). */
	size_t (*compress)(void *work, const void *page, void *dst, size_t cap);

	/* 0, or -EIO when src is no compressed page. Never writes outside
	 * dst[0..SW_PAGE_SIZE). */
	int (*decompress)(void *work, const void *src, size_t len, void *page);
	bool decompress_wants_work; /* or NULL will do */
};

extern const struct sw_codec sw_codec_lz4;
extern const struct sw_codec sw_codec_zstd; /* level 3; the others say so */
extern const struct sw_codec sw_codec_zstd1, sw_codec_zstd6, sw_codec_zstd9;

/* NULL when there is no such codec. */
const struct sw_codec *sw_codec_lookup(const char *name);

/* True when the page repeats one 64-bit word, which goes to *word. */
bool sw_page_same_filled(const void *page, uint64_t *word);

#endif
