/* test_codec.c - codecs and the same-filled check, one behaviour a test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/codec.h"
#include "pages.h"

static const char *const names[] = { SW_TEST_CODECS };

#define for_each_codec(c)                                                   \
	for (size_t i_ = 0;                                                 \
	     i_ < SW_ARRAY_SIZE(names) && (c = sw_codec_lookup(names[i_])); \
	     i_++)

static unsigned char page[SW_PAGE_SIZE], out[2 * SW_PAGE_SIZE],
	back[SW_PAGE_SIZE + 64];

static void *work_new(const struct sw_codec *c)
{
	unsigned char *w = malloc(c->work_bytes + 1);

	assert_non_null(w);
	/* Contents mean nothing: begin with the worst. */
	memset(w, 0xa7, c->work_bytes + 1);
	if (c->work_init)
		assert_int_equal(c->work_init(w), 0);
	return w;
}

static void every_named_codec_exists_and_no_other(void **state)
{
	for (size_t i = 0; i < SW_ARRAY_SIZE(names); i++) {
		assert_non_null(sw_codec_lookup(names[i]));
		assert_string_equal(sw_codec_lookup(names[i])->name, names[i]);
	}
	assert_null(sw_codec_lookup(""));
	assert_null(sw_codec_lookup("lz"));
	assert_null(sw_codec_lookup("lz44"));
}

static void pages_come_back_whole(void **state)
{
	const struct sw_codec *c;

	for_each_codec(c)
	{
		void *work = work_new(c);

		for (uint64_t i = 0; i < 600; i++) {
			size_t n;

			page_make(i, page);
			n = c->compress(work, page, out, SW_PAGE_SIZE);
			if (!n)
				continue;
			assert_in_range(n, 1, SW_PAGE_SIZE - 1);
			memset(back, 0x5a, sizeof(back));
			assert_int_equal(c->decompress(work, out, n, back), 0);
			assert_memory_equal(back, page, SW_PAGE_SIZE);
		}
		free(work);
	}
}

static void text_shrinks_and_noise_is_refused(void **state)
{
	const struct sw_codec *c;

	for_each_codec(c)
	{
		void *work = work_new(c);

		page_make(page_number(PAGE_TEXT, 7), page);
		assert_in_range(c->compress(work, page, out, SW_PAGE_SIZE), 1,
				SW_PAGE_SIZE * 5 / 8);
		page_make(page_number(PAGE_NOISE, 7), page);
		assert_int_equal(c->compress(work, page, out, SW_PAGE_SIZE), 0);
		free(work);
	}
}

static void result_is_below_cap_and_stays_inside(void **state)
{
	const struct sw_codec *c;

	for_each_codec(c)
	{
		void *work = work_new(c);

		page_make(page_number(PAGE_MIXED, 3), page);
		for (size_t cap = 0; cap < SW_PAGE_SIZE; cap += 7) {
			size_t n;

			memset(out, 0xee, sizeof(out));
			n = c->compress(work, page, out, cap);
			assert_true(n == 0 || n < cap);
			for (size_t i = cap; i < sizeof(out); i++)
				assert_int_equal(out[i], 0xee);
		}
		free(work);
	}
}

/* The smallest cap that is enough is one more than the result. */
static void cap_is_exclusive(void **state)
{
	const struct sw_codec *c;

	for_each_codec(c)
	{
		void *work = work_new(c);
		size_t n;

		page_make(page_number(PAGE_TEXT, 1), page);
		n = c->compress(work, page, out, SW_PAGE_SIZE);
		assert_true(n > 0);
		assert_int_equal(c->compress(work, page, out, n), 0);
		free(work);
	}
}

static void what_is_no_page_is_eio(void **state)
{
	const struct sw_codec *c;

	for_each_codec(c)
	{
		void *work = work_new(c);
		size_t n;

		page_make(page_number(PAGE_TEXT, 2), page);
		n = c->compress(work, page, out, SW_PAGE_SIZE);
		assert_true(n > 0);
		memset(back, 0x5a, sizeof(back));
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(c->decompress(work, out, cut, back),
					 -EIO);
		memset(out, 0xff, sizeof(out));
		assert_int_equal(c->decompress(work, out, 100, back), -EIO);
		for (size_t i = SW_PAGE_SIZE; i < sizeof(back); i++)
			assert_int_equal(back[i], 0x5a);
		free(work);
	}
}

static void same_filled_pages_are_known_with_their_word(void **state)
{
	static const uint64_t words[] = { 0, 1, ~0ULL, 0x4141414141414141,
					  0x123456789abcdef0 };

	for (size_t i = 0; i < SW_ARRAY_SIZE(words); i++) {
		uint64_t got = 0x77;

		for (size_t at = 0; at < SW_PAGE_SIZE; at += 8)
			memcpy(page + at, &words[i], 8);
		assert_true(sw_page_same_filled(page, &got));
		assert_int_equal(got, words[i]);
	}
}

static void one_different_byte_anywhere_is_not_same_filled(void **state)
{
	uint64_t got = 0x77;

	memset(page, 0x20, sizeof(page));
	for (size_t at = 0; at < SW_PAGE_SIZE; at++) {
		page[at] ^= 1 << at % 8;
		assert_false(sw_page_same_filled(page, &got));
		page[at] = 0x20;
	}
	assert_int_equal(got, 0x77);
}

static void same_filled_wants_no_alignment(void **state)
{
	uint64_t got = 0;

	memset(out, 0x33, sizeof(out));
	out[0] = out[SW_PAGE_SIZE + 1] = 0;
	assert_true(sw_page_same_filled(out + 1, &got));
	assert_int_equal(got, 0x3333333333333333);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_named_codec_exists_and_no_other),
		cmocka_unit_test(pages_come_back_whole),
		cmocka_unit_test(text_shrinks_and_noise_is_refused),
		cmocka_unit_test(result_is_below_cap_and_stays_inside),
		cmocka_unit_test(cap_is_exclusive),
		cmocka_unit_test(what_is_no_page_is_eio),
		cmocka_unit_test(same_filled_pages_are_known_with_their_word),
		cmocka_unit_test(
			one_different_byte_anywhere_is_not_same_filled),
		cmocka_unit_test(same_filled_wants_no_alignment),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
