/* test_swap_table.c - the word: make, is and to agree with each other. */
#include "fixture.h"

static void null_word_is_zero_and_countable(void **state)
{
	assert_int_equal(null_to_swp_tb(), 0);
	assert_true(swp_tb_is_null(0));
	assert_true(swp_tb_is_countable(0));
	assert_false(swp_tb_is_folio(0));
	assert_false(swp_tb_is_shadow(0));
	assert_false(swp_tb_is_bad(0));
}

static void bad_word_has_no_count(void **state)
{
	uint64_t bad = bad_to_swp_tb();

	assert_int_equal(bad, ~0ULL << 3);
	assert_false(swp_tb_is_countable(bad));
	assert_false(swp_tb_is_folio(bad));
	assert_false(swp_tb_is_shadow(bad));
	assert_int_equal(swp_tb_get_count(bad), -EINVAL);
}

static void folio_word_gives_back_folio_and_flags(void **state)
{
	struct folio *folio = fx_folio(0);
	uint64_t flags = __count_to_flags(SWP_TB_COUNT_MAX) | SWP_TB_ZERO;
	uint64_t w = folio_to_swp_tb(folio, flags);

	assert_true(swp_tb_is_folio(w));
	assert_false(swp_tb_is_shadow(w));
	assert_ptr_equal(swp_tb_to_folio(w), folio);
	assert_int_equal(swp_tb_get_flags(w), flags);
	assert_int_equal(swp_tb_get_count(w), SWP_TB_COUNT_MAX);
	w = __swp_tb_mk_count(w, 1);
	assert_ptr_equal(swp_tb_to_folio(w), folio);
	assert_int_equal(swp_tb_get_count(w), 1);
	assert_int_equal(w & SWP_TB_ZERO, SWP_TB_ZERO);
	fx_drop(folio);
}

static void shadow_word_gives_back_payload_and_flags(void **state)
{
	uint64_t payload = (1ULL << (SWP_TB_FLAGS_SHIFT - 1)) - 1;
	uint64_t w = shadow_to_swp_tb(payload, __count_to_flags(2));

	assert_true(swp_tb_is_shadow(w));
	assert_false(swp_tb_is_folio(w));
	assert_int_equal(swp_tb_to_shadow(w), payload);
	assert_int_equal(swp_tb_get_count(w), 2);
}

static void shadow_without_news_differs_from_null(void **state)
{
	uint64_t w = shadow_to_swp_tb(0, 0);

	assert_false(swp_tb_is_null(w));
	assert_true(swp_tb_is_shadow(w));
	assert_int_equal(w, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(null_word_is_zero_and_countable),
		FX_TEST(bad_word_has_no_count),
		FX_TEST(folio_word_gives_back_folio_and_flags),
		FX_TEST(shadow_word_gives_back_payload_and_flags),
		FX_TEST(shadow_without_news_differs_from_null),
	};

	return FX_RUN(tests);
}
