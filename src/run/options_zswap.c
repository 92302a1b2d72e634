/*
 * options_zswap.c - the value of --zswap: SIZE[,codec=NAME[:LEVEL]], or "off".
 * Above: cli/cmd_run.c, options.c. Below: codec/, which knows the names.
 *
 * The levels of zstd are those that have a codec of their own. With LZ4, pages
 * that nobody wants are compressed once more by zstd when there is time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/codec.h"
#include "run/options.h"

#define USUAL_LEVEL "3" /* zstd's own, whose codec is plain "zstd" */

static int say(const char *text, const char *what)
{
	sw_error("--zswap %s: %s", text, what);
	return -EINVAL;
}

static int parse_size(struct sw_zswap_spec *z, const char *text,
		      const char *size)
{
	if (sw_size_parse(size, sw_ram_bytes(), &z->size_bytes))
		return say(
			text,
			"write SIZE[,codec=lz4|zstd[:LEVEL]], e.g. 512M, or off");
	if (z->size_bytes < SW_DEVICE_MIN_BYTES)
		return say(text, "it has at least 1M");
	if (z->size_bytes > SW_DEVICE_MAX_BYTES)
		return say(text, "it has less than 4T");
	return 0;
}

static int parse_codec(struct sw_zswap_spec *z, const char *text,
		       const char *value)
{
	const struct sw_codec *codec;
	char name[32];

	snprintf(name, sizeof(name), "%s", value);
	/* "zstd:9" is the codec zstd9. */
	if (!strcmp(value, "zstd:" USUAL_LEVEL))
		name[4] = 0;
	else if (!strncmp(value, "zstd:", 5) && value[5])
		snprintf(name, sizeof(name), "zstd%s", value + 5);
	codec = sw_codec_lookup(name);
	if (!codec)
		return say(
			text,
			"codec is lz4, or zstd with a level of 1, 3, 6 or 9: zstd:9");
	z->codec = codec->name;
	z->strong = codec == &sw_codec_lz4 ? sw_codec_zstd.name : NULL;
	return 0;
}

/* `keys` is what follows the size. */
static int parse_keys(struct sw_zswap_spec *z, const char *text, char *keys)
{
	char *key;

	while ((key = strsep(&keys, ","))) {
		int err;

		if (strncmp(key, "codec=", 6)) {
			sw_error(
				"--zswap %s: '%s' is no setting of it; known: codec=lz4|zstd[:LEVEL]",
				text, key);
			return -EINVAL;
		}
		err = parse_codec(z, text, key + 6);
		if (err)
			return err;
	}
	return 0;
}

int sw_run_options_set_zswap(struct sw_run_options *opt, const char *text)
{
	struct sw_zswap_spec z = { .codec = sw_codec_lz4.name,
				   .strong = sw_codec_zstd.name };
	char *copy, *keys;
	int err;

	if (!strcmp(text, "off")) {
		opt->zswap.size_bytes = 0;
		return 0;
	}
	copy = keys = strdup(text);
	if (!copy)
		return -ENOMEM;
	strsep(&keys, ",");
	err = parse_size(&z, text, copy);
	if (!err)
		err = parse_keys(&z, text, keys);
	if (!err)
		opt->zswap = z;
	free(copy);
	return err;
}

int sw_run_options_check_zswap(const struct sw_run_options *opt)
{
	if (!opt->zswap.size_bytes)
		return 0;
	for (unsigned i = 0; i < opt->nr_devices; i++)
		if (opt->devices[i].path)
			return 0;
	sw_error(
		"--zswap: there is no slower device to keep pages in front of; add one, e.g. --swap file:/var/tmp,size=4G");
	return -EINVAL;
}
