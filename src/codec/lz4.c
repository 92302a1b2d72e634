/*
 * lz4.c - the codec.h face of liblz4. Fast mode with
 * acceleration 1: on pages the match search is the cost, and a higher
 * acceleration saves little of it while the ratio falls. The hash table lives
 * in the caller's work area, so a call allocates nothing.
 */
#include "codec/codec.h"

#include <errno.h>
#include <limits.h>
#include <lz4.h>

static size_t lz4_compress(void *work, const void *page, void *dst, size_t cap)
{
	int n;

	/* Fewer than cap bytes: with no room there is no such result. */
	if (cap < 2)
		return 0;
	/* A smaller capacity also makes liblz4 give up early on noise. */
	n = LZ4_compress_fast_extState(
		work, page, dst, SW_PAGE_SIZE,
		sw_min(cap - 1, (size_t)LZ4_COMPRESSBOUND(SW_PAGE_SIZE)), 1);
	return n > 0 ? (size_t)n : 0;
}

static int lz4_decompress(void *work, const void *src, size_t len, void *page)
{
	if (len == 0 || len > INT_MAX)
		return -EIO;
	/* The safe decoder trusts no length in src; a short page is as
	 * wrong as a broken one. */
	if (LZ4_decompress_safe(src, page, (int)len, SW_PAGE_SIZE) !=
	    (int)SW_PAGE_SIZE)
		return -EIO;
	return 0;
}

const struct sw_codec sw_codec_lz4 = {
	.name = "lz4",
	.id = SW_CODEC_LZ4,
	.work_bytes = sizeof(LZ4_stream_t),
	.compress = lz4_compress,
	.decompress = lz4_decompress,
};
