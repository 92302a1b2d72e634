/*
 * fuzz_codec.c - any bytes into every decompressor: it answers, and touches
 * nothing outside its buffers. Both stand against a page that cannot be
 * touched, since the codec's library is not built with a sanitizer. With
 * clang and -fsanitize=fuzzer, LLVMFuzzerTestOneInput is all that is needed;
 * the main below is a bounded run of noise and of damaged real pages.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "codec/codec.h"
#include "pages.h"

#define MAX_LEN (2 * SW_PAGE_SIZE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const names[] = { SW_TEST_CODECS };

/* `bytes` (whole pages) with forbidden pages at both sides. */
static unsigned char *guarded(size_t bytes)
{
	unsigned char *p = mmap(NULL, bytes + 2 * SW_PAGE_SIZE, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED ||
	    mprotect(p + SW_PAGE_SIZE, bytes, PROT_READ | PROT_WRITE))
		abort();
	return p + SW_PAGE_SIZE;
}

/* Ends with the forbidden page, or as near as its alignment allows. */
static void *work_of(const struct sw_codec *c)
{
	static void *works[SW_NR_CODECS];
	const size_t bytes = (c->work_bytes + 15) & ~15UL;
	const size_t room = (bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;

	if (!works[c->id]) {
		works[c->id] = guarded(room) + room - bytes;
		if (c->work_init && c->work_init(works[c->id]))
			abort();
	}
	return works[c->id];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static unsigned char *in, *out;

	if (len > MAX_LEN)
		return 0;
	if (!in) {
		in = guarded(MAX_LEN);
		out = guarded(SW_PAGE_SIZE);
	}
	memcpy(in + MAX_LEN - len, data, len);
	for (size_t i = 0; i < SW_ARRAY_SIZE(names); i++) {
		const struct sw_codec *c = sw_codec_lookup(names[i]);
		int err =
			c->decompress(work_of(c), in + MAX_LEN - len, len, out);

		if (err && err != -EIO)
			abort();
	}
	return 0;
}

#ifndef SW_LIBFUZZER
static void damage(unsigned char *p, size_t *len, uint64_t *rnd)
{
	for (uint64_t n = rnd_below(rnd, 4); n-- > 0;)
		p[rnd_below(rnd, *len)] = rnd_next(rnd);
	if (rnd_below(rnd, 4) == 0)
		*len = rnd_below(rnd, *len + 1);
	else if (rnd_below(rnd, 4) == 0)
		*len += rnd_below(rnd, 200);
}

int main(void)
{
	static unsigned char page[SW_PAGE_SIZE], buf[MAX_LEN];
	const char *env = getenv("SW_SEED"), *runs = getenv("SW_ROUNDS");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	uint64_t rnd = seed;

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	for (long i = runs ? atol(runs) : 20000; i-- > 0;) {
		const struct sw_codec *c = sw_codec_lookup(
			names[rnd_below(&rnd, SW_ARRAY_SIZE(names))]);
		size_t len;

		page_make(rnd_next(&rnd) >> 8, page);
		len = c->compress(work_of(c), page, buf, SW_PAGE_SIZE);
		if (!len) {
			len = rnd_below(&rnd, MAX_LEN + 1);
			fill_noise(buf, len, &rnd);
		} else {
			damage(buf, &len, &rnd);
		}
		LLVMFuzzerTestOneInput(buf, len);
	}
	return 0;
}
#endif
