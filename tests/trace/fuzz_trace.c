/*
 * fuzz_trace.c - any bytes as a trace: a page comes of them or an error, and
 * nothing else. A good trace is damaged in some places, and then, as often as
 * not, its checksums are made right again, or they would be all that is tested.
 *
 *      SW_SEED=N SW_ROUNDS=N fuzz_trace
 *
 * With clang and -fsanitize=fuzzer, LLVMFuzzerTestOneInput is all that is needed.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "report/report.h"
#include "trace/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sw_report_ending ending;
	char path[64], *page;
	int fd = memfd_create("trace", 0);
	size_t bytes;
	FILE *out = open_memstream(&page, &bytes);

	SW_BUG_ON(fd < 0 || !out || write(fd, data, len) != (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!sw_report_page(path, out, &ending)) {
		fclose(out);
		SW_BUG_ON(strncmp(page, "<!DOCTYPE html>", 15));
		SW_BUG_ON(strcmp(page + bytes - 8, "</html>\n"));
		SW_BUG_ON(strstr(page, "nan") || strstr(page, "inf\""));
		SW_BUG_ON(bytes > 8 << 20);
		SW_BUG_ON(ending.bytes > len);
	} else {
		fclose(out);
	}
	free(page);
	close(fd);
	return 0;
}

/* ---- a good one ---- */

static uint64_t state;

static uint64_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t make(uint8_t *buf, size_t max)
{
	static struct sw_encoder e;
	char *argv[] = { "fuzz", "\xc3\xa4<", NULL };
	int fd = memfd_create("good", 0);
	uint64_t ns = 0;
	ssize_t len;

	SW_BUG_ON(fd < 0 || sw_encode_head(&e, fd, 0, argv, 1 << 24));
	for (unsigned i = 0; i < 400; i++) {
		const struct sw_trace_event event = {
			.time_ns = ns += chance() % 5000000,
			.kind = 1 + chance() % (SW_NR_TRACE_KINDS - 1),
			.space = chance() % 4,
			.page = chance() % 3000 + (chance() % 4 << 30),
			.nr = chance() % 65,
			.latency_ns = chance() >> chance() % 64,
		};
		const struct sw_trace_sample sample = { .budget = 3000,
							.used = chance() % 4000,
							.out = chance() %
							       4000 };

		sw_encode_event(&e, &event, "na\xffme");
		if (i % 40 == 0) {
			sw_encode_sample(&e, ns, &sample);
			sw_encode_flush(&e);
		}
	}
	sw_encode_end(&e, ns, 0, 0);
	len = pread(fd, buf, max, 0);
	SW_BUG_ON(e.err || len <= 0);
	close(fd);
	return len;
}

/* ---- damage ---- */

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

/* Checksums of whatever looks like a head and blocks. */
static void mend(uint8_t *b, size_t len)
{
	size_t at = len > 40 ? get32(b + 12) : len;

	if (at < 44 || at > len)
		return;
	put32(b + at - 4, XXH32(b, at - 4, 0));
	while (at + SW_TRACE_BLOCK_HEAD <= len) {
		size_t bytes = get32(b + at + 4);

		if (bytes > len - at - SW_TRACE_BLOCK_HEAD)
			return;
		put32(b + at + 8, XXH32(b + at + 12, bytes + 12, 0));
		at += SW_TRACE_BLOCK_HEAD + bytes;
	}
}

static size_t damage(uint8_t *b, size_t len)
{
	for (unsigned n = chance() % 8; n--;) {
		size_t at = chance() % len;

		switch (chance() % 4) {
		case 0:
			b[at] = chance();
			break;
		case 1:
			b[at] ^= 1 << chance() % 8;
			break;
		case 2:
			b[at] = chance() % 2 ? 0xff : 0;
			break;
		case 3:
			memmove(b + at, b + chance() % len,
				sw_min(len - at, chance() % 40) / 2);
			break;
		}
	}
	if (chance() % 8 == 0)
		len = 1 + chance() % len;
	if (chance() % 2)
		mend(b, len);
	return len;
}

int main(void)
{
	static uint8_t good[1 << 16], bad[(1 << 16) + 64];
	const char *seed = getenv("SW_SEED"), *rounds = getenv("SW_ROUNDS");
	uint64_t nr = rounds ? strtoull(rounds, NULL, 10) : 1500;
	size_t len;

	state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	printf("SW_SEED=%" PRIu64 "\n", state);
	fflush(stdout);
	state = state * 0x9e3779b97f4a7c15ull | 1;
	len = make(good, sizeof(good));
	for (uint64_t i = 1; i <= nr; i++) {
		if (i % 100 == 0)
			len = make(good, sizeof(good));
		memcpy(bad, good, len);
		LLVMFuzzerTestOneInput(bad, damage(bad, len));
	}
	return 0;
}
