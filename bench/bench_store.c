/*
 * bench_store.c - nanoseconds a page through the compressed store: write,
 * overwrite, read and free, of pages that shrink to about 0.3 and of pages
 * that repeat one word; the parts a write is made of; and encryption. The best of several
 * rounds, since other work on the machine only ever adds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "codec/codec.h"
#include "store/disk_crypt.h"
#include "store/store.h"

#define PAGES  16384u
#define ROUNDS 5

static unsigned char *pages, back[SW_PAGE_SIZE];
static const struct swap_ops *const ops = &sw_zram_ops;

static uint64_t rnd_state = 1;

static uint64_t rnd(void)
{
	uint64_t z = rnd_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Records with a random quarter and repeated rest: about 0.3 under lz4. */
static void fill(unsigned char *p)
{
	static const char pad[] = "a record of some length with a name";

	for (size_t at = 0; at < SW_PAGE_SIZE; at += 64) {
		uint64_t key[2] = { rnd(), rnd() };

		memcpy(p + at, key, sizeof(key));
		memcpy(p + at + 16, pad, 36);
		memset(p + at + 52, 0, 12);
	}
}

struct timing {
	const char *what;
	double best_ns;
};

static void timed(struct timing *t, uint64_t from, double n)
{
	double ns = (double)(sw_now_ns() - from) / n;

	if (t->best_ns == 0 || ns < t->best_ns)
		t->best_ns = ns;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_store: %s failed\n", what);
	exit(1);
}

static void write_all(struct sw_zram *z, unsigned nr)
{
	for (unsigned i = 0; i < PAGES; i += nr)
		if (ops->write(z, i, nr, pages + i * SW_PAGE_SIZE))
			fail("write");
}

static void bench_store(const char *kind, const char *codec)
{
	struct timing t[] = {
		{ .what = "write, one a call" },
		{ .what = "overwrite" },
		{ .what = "read" },
		{ .what = "free" },
		{ .what = "write, 64 a call" },
	};
	struct sw_zram *z = sw_zram_open(PAGES, codec);
	struct sw_store_stats st;
	uint64_t from;

	if (!z)
		fail("open");
	for (unsigned round = 0; round < ROUNDS; round++) {
		from = sw_now_ns();
		write_all(z, 1);
		timed(&t[0], from, PAGES);
		from = sw_now_ns();
		write_all(z, 1);
		timed(&t[1], from, PAGES);
		from = sw_now_ns();
		for (unsigned i = 0; i < PAGES; i++)
			if (ops->read(z, i * 7919 % PAGES, 1, back))
				fail("read");
		timed(&t[2], from, PAGES);
		from = sw_now_ns();
		for (unsigned i = 0; i < PAGES; i += 64)
			ops->slot_free(z, i, 64);
		timed(&t[3], from, PAGES);
		from = sw_now_ns();
		write_all(z, 64);
		timed(&t[4], from, PAGES);
		sw_zram_stats(z, &st);
		ops->slot_free(z, 0, PAGES);
	}
	sw_zram_close(z);
	printf("%s, %s: ratio %.2f, %.1f %% above the compressed bytes\n", kind,
	       codec, st.compr_bytes / (double)PAGES / SW_PAGE_SIZE,
	       st.compr_bytes ? 100.0 * st.mem_bytes / st.compr_bytes - 100
			      : 0.0);
	for (size_t i = 0; i < SW_ARRAY_SIZE(t); i++)
		printf("  %-20s %8.0f ns a page\n", t[i].what, t[i].best_ns);
}

struct half {
	struct sw_zram *z;
	unsigned from;
};

static void *write_half(void *arg)
{
	const struct half *h = arg;

	for (unsigned i = h->from; i < PAGES; i += 2)
		if (ops->write(h->z, i, 1, pages + i * SW_PAGE_SIZE))
			fail("write");
	return NULL;
}

/* Wall clock of two writers; half the time of one is perfect. */
static void bench_two_writers(const char *codec)
{
	struct sw_zram *z = sw_zram_open(PAGES, codec);
	struct half halves[2] = { { z, 0 }, { z, 1 } };
	struct timing t = { 0 };

	if (!z)
		fail("open");
	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_t other;
		uint64_t from = sw_now_ns();

		if (pthread_create(&other, NULL, write_half, &halves[0]))
			fail("thread");
		write_half(&halves[1]);
		pthread_join(other, NULL);
		timed(&t, from, PAGES);
	}
	sw_zram_close(z);
	printf("  %-20s %8.0f ns a page\n", "write, two threads", t.best_ns);
}

static void bench_parts(const char *codec)
{
	const struct sw_codec *c = sw_codec_lookup(codec);
	void *work = malloc(c->work_bytes);
	static unsigned char out[SW_PAGE_SIZE];
	struct timing t[] = {
		{ .what = "compress" },
		{ .what = "decompress" },
		{ .what = "same-filled? no" },
	};
	uint64_t from, word;
	unsigned yes = 0;

	if (!work || (c->work_init && c->work_init(work)))
		fail("codec");
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t n = 0;

		from = sw_now_ns();
		for (unsigned i = 0; i < PAGES; i++)
			n = c->compress(work, pages + i * SW_PAGE_SIZE, out,
					SW_PAGE_SIZE);
		timed(&t[0], from, PAGES);
		from = sw_now_ns();
		for (unsigned i = 0; i < PAGES; i++)
			if (c->decompress(work, out, n, back))
				fail("decompress");
		timed(&t[1], from, PAGES);
		from = sw_now_ns();
		for (unsigned i = 0; i < PAGES; i++)
			yes += sw_page_same_filled(pages + i * SW_PAGE_SIZE,
						   &word);
		timed(&t[2], from, PAGES);
	}
	free(work);
	if (yes)
		fail("telling pages from same-filled ones");
	printf("the codec alone, %s\n", codec);
	for (size_t i = 0; i < SW_ARRAY_SIZE(t); i++)
		printf("  %-20s %8.0f ns a page\n", t[i].what, t[i].best_ns);
}

static void bench_crypt(void)
{
	static unsigned char sealed[SW_PAGE_SIZE];
	struct sw_crypt *c = sw_crypt_open(2, "bench_store");
	struct timing t[] = {
		{ .what = "seal" },
		{ .what = "unseal" },
	};
	const unsigned nr = 256;
	uint64_t from;

	if (!c)
		fail("encryption");
	/* Short rounds, for some to be undisturbed. */
	for (unsigned round = 0; round < ROUNDS * PAGES / nr; round++) {
		from = sw_now_ns();
		for (unsigned i = 0; i < nr; i++) {
			(void)sw_crypt_forget(c, 1, 1);
			sw_crypt_seal(c, 1, 1, pages + i * SW_PAGE_SIZE,
				      sealed);
		}
		timed(&t[0], from, nr);
		from = sw_now_ns();
		for (unsigned i = 0; i < nr; i++) {
			memcpy(back, sealed, SW_PAGE_SIZE);
			if (sw_crypt_unseal(c, 1, 1, back) != 1)
				fail("unseal");
		}
		timed(&t[1], from, nr);
	}
	sw_crypt_close(c);
	printf("encryption alone\n");
	for (size_t i = 0; i < SW_ARRAY_SIZE(t); i++)
		printf("  %-20s %8.0f ns a page\n", t[i].what, t[i].best_ns);
}

int main(int argc, char **argv)
{
	const char *codec = argc > 1 ? argv[1] : "lz4";

	pages = aligned_alloc(SW_PAGE_SIZE, PAGES * SW_PAGE_SIZE);
	if (!pages || !sw_codec_lookup(codec))
		fail("set-up");
	for (unsigned i = 0; i < PAGES; i++)
		fill(pages + i * SW_PAGE_SIZE);
	bench_parts(codec);
	bench_crypt();
	bench_store("records", codec);
	bench_two_writers(codec);
	for (unsigned i = 0; i < PAGES; i++)
		memset(pages + i * SW_PAGE_SIZE, (int)i, SW_PAGE_SIZE);
	bench_store("same-filled", codec);
	free(pages);
	return 0;
}
