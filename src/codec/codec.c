/* codec.c - the list of codecs; each has a file of its own. */
#include "codec/codec.h"

#include <string.h>

static const struct sw_codec *const codecs[SW_NR_CODECS] = {
	[SW_CODEC_LZ4] = &sw_codec_lz4,     [SW_CODEC_ZSTD] = &sw_codec_zstd,
	[SW_CODEC_ZSTD1] = &sw_codec_zstd1, [SW_CODEC_ZSTD6] = &sw_codec_zstd6,
	[SW_CODEC_ZSTD9] = &sw_codec_zstd9,
};

const struct sw_codec *sw_codec_lookup(const char *name)
{
	for (size_t i = 0; i < SW_ARRAY_SIZE(codecs); i++)
		if (!strcmp(codecs[i]->name, name))
			return codecs[i];
	return NULL;
}
