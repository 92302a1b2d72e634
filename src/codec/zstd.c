/*
 * zstd.c - the codec.h face of libzstd: a third to a half smaller than lz4
 * on most pages, at several times its cost. One codec a level, because a
 * codec is a constant; "zstd" is level 3, as in the kernel's zram.
 *
 * Contexts live in the caller's work area and are built once: building one
 * asks the processor for its features, which costs 10 us in a virtual machine
 * and more than a page. Frames are ordinary ones. Without the magic number
 * they would be 4 bytes shorter, but then libzstd 1.5.4 reads up to 3 bytes
 * behind a short source.
 */
#define ZSTD_STATIC_LINKING_ONLY /* contexts in given memory */
#include "codec/codec.h"

#include <errno.h>
#include <zstd.h>

struct zstd_work {
	/* Enough for a page at level 9 (libzstd 1.5: 106400), and for any
	 * page to decompress (95992). Where it is not, work_init says so. */
	_Alignas(16) unsigned char compress[128 << 10];
	_Alignas(16) unsigned char decompress[112 << 10];
	ZSTD_CCtx *c;
	ZSTD_DCtx *d;
};

static int init_at(int level, void *work)
{
	struct zstd_work *w = work;
	const ZSTD_compressionParameters p =
		ZSTD_getCParams(level, SW_PAGE_SIZE, 0);

	if (ZSTD_estimateCCtxSize_usingCParams(p) > sizeof(w->compress) ||
	    ZSTD_estimateDCtxSize() > sizeof(w->decompress))
		return -ENOMEM;
	w->c = ZSTD_initStaticCCtx(w->compress, sizeof(w->compress));
	w->d = ZSTD_initStaticDCtx(w->decompress, sizeof(w->decompress));
	if (!w->c || !w->d)
		return -ENOMEM;
	/* A level out of range is clamped; nothing here can be refused. */
	(void)ZSTD_CCtx_setParameter(w->c, ZSTD_c_compressionLevel, level);
	return 0;
}

static size_t compress(void *work, const void *page, void *dst, size_t cap)
{
	struct zstd_work *w = work;
	size_t n;

	if (cap < 2)
		return 0;
	n = ZSTD_compress2(w->c, dst, cap - 1, page, SW_PAGE_SIZE);
	return ZSTD_isError(n) ? 0 : n;
}

static int decompress(void *work, const void *src, size_t len, void *page)
{
	struct zstd_work *w = work;

	/* An error is a number far above a page. */
	if (ZSTD_decompressDCtx(w->d, page, SW_PAGE_SIZE, src, len) !=
	    SW_PAGE_SIZE)
		return -EIO;
	return 0;
}

#define ZSTD_CODEC(symbol, id_, level)                  \
	static int init_##symbol(void *work)            \
	{                                               \
		return init_at(level, work);            \
	}                                               \
	const struct sw_codec sw_codec_##symbol = {     \
		.name = #symbol,                        \
		.id = id_,                              \
		.work_bytes = sizeof(struct zstd_work), \
		.work_init = init_##symbol,             \
		.compress = compress,                   \
		.decompress = decompress,               \
		.decompress_wants_work = true,          \
	}

ZSTD_CODEC(zstd, SW_CODEC_ZSTD, 3);
ZSTD_CODEC(zstd1, SW_CODEC_ZSTD1, 1);
ZSTD_CODEC(zstd6, SW_CODEC_ZSTD6, 6);
ZSTD_CODEC(zstd9, SW_CODEC_ZSTD9, 9);
