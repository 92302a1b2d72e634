/* test_zram.c - compressed memory as a swap store, one behaviour a test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pages.h"
#include "quiet.h"
#include "store/sysmem.h"
#include "store/zram.h"

#define SLOTS 2048u

static unsigned char page[600 * SW_PAGE_SIZE], back[600 * SW_PAGE_SIZE];

static const struct swap_ops *const ops = &sw_zram_ops;

static int setup(void **state)
{
	*state = sw_zram_open(SLOTS, "lz4");
	return *state ? 0 : -1;
}

/* Every test leaves a store that is in order, and empties it. */
static int teardown(void **state)
{
	struct sw_store_stats st;
	unsigned bad = sw_zram_check(*state);

	ops->slot_free(*state, 0, SLOTS);
	bad += sw_zram_check(*state);
	sw_zram_stats(*state, &st);
	sw_zram_close(*state);
	return bad || st.pages || st.same_pages || st.raw_pages ||
	       st.compr_bytes || st.mem_bytes;
}

static struct sw_store_stats stats(void *z)
{
	struct sw_store_stats st;

	sw_zram_stats(z, &st);
	return st;
}

static void store_page(void *z, uint64_t slot, uint64_t number)
{
	page_make(number, page);
	assert_int_equal(ops->write(z, slot, 1, page), 0);
}

static void expect_page(void *z, uint64_t slot, uint64_t number)
{
	page_make(number, page);
	memset(back, 0x5a, SW_PAGE_SIZE);
	assert_int_equal(ops->read(z, slot, 1, back), 0);
	assert_memory_equal(back, page, SW_PAGE_SIZE);
}

/* The read fails, counts, and says so in exactly one line. */
static void expect_eio(void *z, uint64_t slot)
{
	uint64_t errors = stats(z).read_errors;
	struct quiet q = quiet_begin();
	int err = ops->read(z, slot, 1, back);
	unsigned lines = quiet_end(&q);

	assert_int_equal(err, -EIO);
	assert_int_equal(lines, 1);
	assert_int_equal(stats(z).read_errors, errors + 1);
}

static void every_kind_of_page_comes_back(void **state)
{
	for (uint64_t i = 0; i < SLOTS; i++)
		store_page(*state, i, i);
	for (uint64_t i = 0; i < SLOTS; i++)
		expect_page(*state, i, i);
	assert_int_equal(stats(*state).pages, SLOTS);
}

static void pages_are_accounted_by_kind(void **state)
{
	struct sw_store_stats st;
	size_t len;

	store_page(*state, 1, page_number(PAGE_ZERO, 1));
	store_page(*state, 2, page_number(PAGE_SAME, 1));
	assert_int_equal(stats(*state).mem_bytes, 0);
	store_page(*state, 3, page_number(PAGE_TEXT, 1));
	store_page(*state, 4, page_number(PAGE_NOISE, 1));
	st = stats(*state);
	assert_int_equal(st.pages, 4);
	assert_int_equal(st.same_pages, 2);
	assert_int_equal(st.raw_pages, 1);
	assert_null(sw_zram_object(*state, 2, &len));
	assert_non_null(sw_zram_object(*state, 3, &len));
	assert_int_equal(st.compr_bytes, SW_PAGE_SIZE + len);
	assert_true(st.mem_bytes >= st.compr_bytes);
	assert_true(st.mem_bytes_peak >= st.mem_bytes);
	assert_true(st.meta_bytes > 0);
}

static void an_empty_slot_is_eio_and_not_zeros(void **state)
{
	expect_eio(*state, 5);
	store_page(*state, 5, 2);
	ops->slot_free(*state, 5, 1);
	expect_eio(*state, 5);
}

static void many_pages_in_one_call(void **state)
{
	for (unsigned i = 0; i < 600; i++)
		page_make(i, page + i * SW_PAGE_SIZE);
	assert_int_equal(ops->write(*state, 100, 600, page), 0);
	assert_int_equal(ops->read(*state, 100, 600, back), 0);
	assert_memory_equal(back, page, sizeof(page));
	ops->slot_free(*state, 100, 300);
	assert_int_equal(stats(*state).pages, 300);
	assert_int_equal(ops->read(*state, 400, 300, back), 0);
	assert_memory_equal(back, page + 300 * SW_PAGE_SIZE,
			    300 * SW_PAGE_SIZE);
}

static void rewriting_replaces(void **state)
{
	for (uint64_t i = 0; i < 50; i++) {
		store_page(*state, 9, i);
		expect_page(*state, 9, i);
		assert_int_equal(stats(*state).pages, 1);
		assert_int_equal(sw_zram_check(*state), 0);
	}
}

static void outside_the_device_is_einval(void **state)
{
	struct quiet q = quiet_begin();
	int err[5];

	err[0] = ops->write(*state, SLOTS, 1, page);
	err[1] = ops->write(*state, SLOTS - 1, 2, page);
	err[2] = ops->read(*state, SLOTS, 1, back);
	err[3] = ops->read(*state, ~0ULL, 2, back);
	err[4] = ops->discard(*state, 0, SLOTS + 1);
	assert_int_equal(quiet_end(&q), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(err[i], -EINVAL);
}

static void any_flipped_byte_is_eio(void **state)
{
	static const uint64_t numbers[] = { PAGE_TEXT, PAGE_RECORDS, PAGE_MIXED,
					    PAGE_NOISE };

	for (uint64_t i = 0; i < SW_ARRAY_SIZE(numbers); i++) {
		unsigned char *at;
		size_t len;

		store_page(*state, 7, numbers[i]);
		at = sw_zram_object(*state, 7, &len);
		assert_non_null(at);
		for (size_t j = 0; j<len; j += len> 1000 ? 7 : 1) {
			at[j] ^= 1 << j % 8;
			expect_eio(*state, 7);
			at[j] ^= 1 << j % 8;
		}
		expect_page(*state, 7, numbers[i]);
	}
}

/* A good page of another slot is as wrong as a bad one, whether its bytes or
 * its handle and sum got here. */
static void another_slots_page_is_eio(void **state)
{
	static const enum page_kind kinds[] = { PAGE_NOISE, PAGE_TEXT,
						PAGE_SAME };
	struct sw_zram *z = *state;

	for (size_t i = 0; i < SW_ARRAY_SIZE(kinds); i++) {
		uint64_t handle;
		uint32_t sum;

		store_page(z, 1, page_number(kinds[i], 1));
		store_page(z, 2, page_number(kinds[i], 2));
		handle = z->handles[1];
		sum = z->sums[1];
		z->handles[1] = z->handles[2];
		expect_eio(z, 1);
		z->sums[1] = z->sums[2];
		expect_eio(z, 1);
		z->handles[1] = handle;
		expect_eio(z, 1);
		z->sums[1] = sum;
		expect_page(z, 1, page_number(kinds[i], 1));
		expect_page(z, 2, page_number(kinds[i], 2));
	}
}

static void damaged_handles_are_eio(void **state)
{
	struct sw_zram *z = *state;
	uint64_t good;

	store_page(z, 3, page_number(PAGE_TEXT, 1));
	good = z->handles[3];
	/* One bit of the readers' count is not one of the handle. */
	for (unsigned bit = 0; bit < HANDLE_READER_SHIFT; bit++) {
		z->handles[3] = good ^ 1ULL << bit;
		expect_eio(z, 3);
	}
	z->handles[3] = good;
	expect_page(z, 3, page_number(PAGE_TEXT, 1));
}

static unsigned calls_until_failure;

static bool fail_the_nth(void)
{
	return calls_until_failure && --calls_until_failure == 0;
}

static int write_failing(void *z, uint64_t slot, unsigned nr, unsigned nth)
{
	struct quiet q = quiet_begin();
	int err;

	calls_until_failure = nth;
	sw_sysmem_fail = fail_the_nth;
	err = ops->write(z, slot, nr, page);
	sw_sysmem_fail = NULL;
	quiet_end(&q);
	return err;
}

static void no_memory_leaves_the_old_page(void **state)
{
	store_page(*state, 3, page_number(PAGE_TEXT, 4));
	page_make(page_number(PAGE_NOISE, 4), page);
	assert_int_equal(write_failing(*state, 3, 1, 1), -ENOMEM);
	assert_int_equal(stats(*state).write_nomem, 1);
	expect_page(*state, 3, page_number(PAGE_TEXT, 4));
	store_page(*state, 3, page_number(PAGE_NOISE, 4));
	expect_page(*state, 3, page_number(PAGE_NOISE, 4));
}

static void no_memory_for_the_last_page_stores_none(void **state)
{
	for (uint64_t i = 0; i < 64; i++)
		store_page(*state, i, page_number(PAGE_TEXT, i));
	for (unsigned i = 0; i < 64; i++)
		page_make(page_number(PAGE_NOISE, i), page + i * SW_PAGE_SIZE);
	assert_int_equal(write_failing(*state, 0, 64, 9), -ENOMEM);
	assert_int_equal(sw_zram_check(*state), 0);
	for (uint64_t i = 0; i < 64; i++)
		expect_page(*state, i, page_number(PAGE_TEXT, i));
	assert_int_equal(stats(*state).raw_pages, 0);
}

static void limit_refuses_and_keeps_what_is_there(void **state)
{
	struct quiet q = quiet_begin();
	uint64_t n = 0;
	int err;

	sw_zram_set_limit(*state, 256 << 10);
	do {
		page_make(page_number(PAGE_NOISE, n), page);
		err = ops->write(*state, n, 1, page);
		n += !err;
	} while (!err && n < SLOTS);
	quiet_end(&q);
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(n, 64);
	for (uint64_t i = 0; i < n; i++)
		expect_page(*state, i, page_number(PAGE_NOISE, i));
	/* Same-filled pages cost nothing and are always welcome. */
	store_page(*state, n, page_number(PAGE_SAME, 5));
}

/* Leaves one page in eight, spread over all spans. */
static void fill_and_thin_out(void *z)
{
	for (uint64_t i = 0; i < SLOTS; i++)
		store_page(z, i, page_number(PAGE_TEXT, i));
	for (uint64_t i = 0; i < SLOTS; i++)
		if (i % 8)
			ops->slot_free(z, i, 1);
}

static void compaction_gives_memory_back_and_keeps_pages(void **state)
{
	uint64_t before;

	fill_and_thin_out(*state);
	before = stats(*state).mem_bytes;
	assert_true(sw_zram_compact(*state) > 0);
	assert_true(stats(*state).mem_bytes < before / 2);
	for (uint64_t i = 0; i < SLOTS; i += 8)
		expect_page(*state, i, page_number(PAGE_TEXT, i));
	assert_int_equal(sw_zram_compact(*state), 0);
}

static void a_moved_page_is_still_checked(void **state)
{
	uint64_t damaged_slots = 0;
	size_t len;

	fill_and_thin_out(*state);
	for (uint64_t i = 0; i < SLOTS; i += 8)
		sw_zram_object(*state, i, &len)[len / 2] ^= 1;
	assert_true(sw_zram_compact(*state) > 0);
	for (uint64_t i = 0; i < SLOTS; i += 8, damaged_slots++)
		expect_eio(*state, i);
	assert_int_equal(stats(*state).read_errors, damaged_slots);
}

/* At the limit, holes that are too small or in the wrong class are memory
 * too, once objects have moved together. */
static void order_is_made_before_a_page_is_refused(void **state)
{
	fill_and_thin_out(*state);
	sw_zram_set_limit(*state, stats(*state).mem_bytes);
	for (uint64_t i = 1; i < SLOTS / 2; i += 8)
		store_page(*state, i, page_number(PAGE_NOISE, i));
	for (uint64_t i = 0; i < SLOTS; i += 8)
		expect_page(*state, i, page_number(PAGE_TEXT, i));
	assert_int_equal(stats(*state).write_nomem, 0);
	assert_true(stats(*state).moved_objects > 0);
}

static void discard_gives_handles_back_too(void **state)
{
	uint64_t meta;

	for (uint64_t i = 0; i < SLOTS; i++)
		store_page(*state, i, page_number(PAGE_SAME, i));
	meta = stats(*state).meta_bytes;
	assert_int_equal(ops->discard(*state, 10, SLOTS - 10), 0);
	assert_int_equal(stats(*state).pages, 10);
	assert_true(stats(*state).meta_bytes <= meta - 3 * SW_PAGE_SIZE);
	for (uint64_t i = 0; i < 10; i++)
		expect_page(*state, i, page_number(PAGE_SAME, i));
	expect_eio(*state, 600);
	meta = stats(*state).meta_bytes;
	store_page(*state, 600, page_number(PAGE_SAME, 8));
	assert_true(stats(*state).meta_bytes >= meta + SW_PAGE_SIZE);
	store_page(*state, 600, 8);
	expect_page(*state, 600, 8);
}

static void huge_devices_cost_nothing_until_used(void **state)
{
	struct sw_zram *z = sw_zram_open((1ULL << 24) - 1, "lz4");

	assert_non_null(z);
	assert_true(stats(z).meta_bytes < 64 << 10);
	store_page(z, (1ULL << 24) - 2, 3);
	expect_page(z, (1ULL << 24) - 2, 3);
	assert_true(stats(z).meta_bytes < 64 << 10);
	sw_zram_close(z);
}

static void bad_devices_are_refused(void **state)
{
	struct quiet q = quiet_begin();
	struct sw_zram *z[3] = {
		sw_zram_open(100, "nonesuch"),
		sw_zram_open(0, "lz4"),
		sw_zram_open(1ULL << 30, "lz4"),
	};
	unsigned lines = quiet_end(&q);

	for (int i = 0; i < 3; i++)
		assert_null(z[i]);
	assert_int_equal(lines, 3);
	assert_int_equal(errno, EINVAL);
	sw_zram_close(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_kind_of_page_comes_back),
		T(pages_are_accounted_by_kind),
		T(an_empty_slot_is_eio_and_not_zeros),
		T(many_pages_in_one_call),
		T(rewriting_replaces),
		T(outside_the_device_is_einval),
		T(any_flipped_byte_is_eio),
		T(another_slots_page_is_eio),
		T(damaged_handles_are_eio),
		T(no_memory_leaves_the_old_page),
		T(no_memory_for_the_last_page_stores_none),
		T(limit_refuses_and_keeps_what_is_there),
		T(compaction_gives_memory_back_and_keeps_pages),
		T(a_moved_page_is_still_checked),
		T(order_is_made_before_a_page_is_refused),
		T(discard_gives_handles_back_too),
		T(huge_devices_cost_nothing_until_used),
		T(bad_devices_are_refused),
	};
#undef T

	return cmocka_run_group_tests_name("zram", tests, NULL, NULL);
}
