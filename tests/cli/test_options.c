/* test_options.c - sizes, device specs and defaults of `spillway run`. */
#include "run/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RAM (1000ULL << 20)

static uint64_t size_of(const char *text)
{
	uint64_t bytes = 0;

	if (sw_size_parse(text, RAM, &bytes))
		fail_msg("'%s' is a size", text);
	return bytes;
}

static int error_of(const char *text)
{
	uint64_t bytes = 77;
	int err = sw_size_parse(text, RAM, &bytes);

	assert_int_equal(bytes, 77); /* untouched on failure */
	return err;
}

static void units_are_powers_of_1024(void **state)
{
	assert_int_equal(size_of("0"), 0);
	assert_int_equal(size_of("4096"), 4096);
	assert_int_equal(size_of("64K"), 64 << 10);
	assert_int_equal(size_of("64M"), 64 << 20);
	assert_int_equal(size_of("2G"), 2ULL << 30);
	assert_int_equal(size_of("3T"), 3ULL << 40);
	assert_int_equal(size_of("3t"), 3ULL << 40);
	assert_int_equal(size_of("007M"), 7 << 20);
}

static void fractions_are_exact(void **state)
{
	assert_int_equal(size_of("1.5G"), 3ULL << 29);
	assert_int_equal(size_of("0.5K"), 512);
	assert_int_equal(size_of("1.000000000000000000001K"), 1024);
	assert_int_equal(size_of("0.999999999T"), 1099511626676);
}

static void percent_is_of_ram(void **state)
{
	assert_int_equal(size_of("50%"), RAM / 2);
	assert_int_equal(size_of("100%"), RAM);
	assert_int_equal(size_of("12.5%"), RAM / 8);
	assert_int_equal(size_of("200%"), RAM * 2);
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = {
		"",    "M",   "-1",  "+1",  " 1",     "1 ",
		"1KB", "1.5", "1.G", ".5G", "1..",    "0x1",
		"1e3", "1%%", "%",   "1Z",  "1.2.3G", "1,5G",
	};
	unsigned i;

	for (i = 0; i < SW_ARRAY_SIZE(bad); i++) {
		if (error_of(bad[i]) != -EINVAL)
			fail_msg("'%s' is no size", bad[i]);
	}
}

static void what_cannot_be_counted_is_refused(void **state)
{
	assert_int_equal(size_of("18446744073709551615"), UINT64_MAX);
	assert_int_equal(error_of("18446744073709551616"), -ERANGE);
	assert_int_equal(error_of("99999999999999999999"), -ERANGE);
	assert_int_equal(size_of("16777215T"), 16777215ULL << 40);
	assert_int_equal(error_of("16777216T"), -ERANGE);
	assert_int_equal(error_of("18446744073709551615%"), -ERANGE);
}

static void sizes_are_printed_short(void **state)
{
	char buf[24];

	assert_string_equal(sw_size_format(0, buf), "0");
	assert_string_equal(sw_size_format(1023, buf), "1023");
	assert_string_equal(sw_size_format(512ULL << 20, buf), "512M");
	assert_string_equal(sw_size_format(3ULL << 29, buf), "1.50G");
	assert_string_equal(sw_size_format(UINT64_MAX, buf), "16777216.00T");
}

static struct sw_run_options options(const char *budget)
{
	struct sw_run_options opt;

	sw_run_options_init(&opt);
	assert_int_equal(sw_run_options_set_budget(&opt, budget), 0);
	return opt;
}

static void default_device_is_three_budgets_of_zram(void **state)
{
	struct sw_run_options opt = options("64M");

	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_int_equal(opt.nr_devices, 1);
	assert_string_equal(opt.devices[0].kind, "zram");
	assert_int_equal(opt.devices[0].size_bytes, 192 << 20);
	assert_int_equal(opt.devices[0].prio, SW_PRIO_DEFAULT);
	sw_run_options_release(&opt);
}

static void default_device_never_exceeds_the_largest(void **state)
{
	struct sw_run_options opt = options("1000T");

	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_true(opt.devices[0].size_bytes <= SW_DEVICE_MAX_BYTES);
	assert_true(opt.devices[0].size_bytes >
		    SW_DEVICE_MAX_BYTES - 4 * SW_PAGE_SIZE);
	sw_run_options_release(&opt);
}

static void devices_keep_their_order_and_settings(void **state)
{
	struct sw_run_options opt = options("64M");

	assert_int_equal(sw_run_options_add_device(&opt, "zram:4G,prio=5"), 0);
	assert_int_equal(sw_run_options_add_device(&opt, "zram:"), 0);
	assert_int_equal(sw_run_options_add_device(&opt, "zram:,prio=0"), 0);
	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_int_equal(opt.nr_devices, 3);
	assert_int_equal(opt.devices[0].size_bytes, 4ULL << 30);
	assert_int_equal(opt.devices[0].prio, 5);
	assert_int_equal(opt.devices[1].size_bytes, 192 << 20);
	assert_int_equal(opt.devices[1].prio, SW_PRIO_DEFAULT);
	assert_int_equal(opt.devices[2].prio, 0);
	sw_run_options_release(&opt);
}

static void files_and_block_devices_have_a_path(void **state)
{
	struct sw_run_options opt = options("64M");

	assert_int_equal(sw_run_options_add_device(
				 &opt, "file:/a:b,size=8G,encrypt,prio=3"),
			 0);
	assert_int_equal(sw_run_options_add_device(&opt, "file:here,discard"),
			 0);
	assert_int_equal(sw_run_options_add_device(
				 &opt, "block:/dev/x,prio=1,discard=pages"),
			 0);
	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_string_equal(opt.devices[0].kind, "file");
	assert_string_equal(opt.devices[0].path, "/a:b");
	assert_int_equal(opt.devices[0].size_bytes, 8ULL << 30);
	assert_int_equal(opt.devices[0].prio, 3);
	assert_true(opt.devices[0].encrypt);
	assert_int_equal(opt.devices[0].discard, 0);
	assert_false(opt.devices[1].encrypt);
	assert_string_equal(opt.devices[1].path, "here");
	assert_int_equal(opt.devices[1].discard,
			 SW_DISCARD_ONCE | SW_DISCARD_PAGES);
	assert_int_equal(opt.devices[2].discard, SW_DISCARD_PAGES);
	assert_int_equal(opt.devices[1].size_bytes, 0); /* what is there */
	assert_string_equal(opt.devices[2].kind, "block");
	assert_string_equal(opt.devices[2].path, "/dev/x");
	assert_int_equal(opt.devices[2].size_bytes, 0);
	sw_run_options_release(&opt);
}

static void an_automatic_budget_leaves_a_tenth(void **state)
{
	struct sw_run_options opt = options("auto");

	assert_true(opt.budget_bytes >= SW_BUDGET_MIN_BYTES);
	assert_true(opt.budget_bytes <= sw_ram_bytes() / 10 * 9 + 9);
	sw_run_options_release(&opt);

	assert_int_equal(sw_budget_auto(1000, 4000), 900);
	assert_int_equal(sw_budget_auto(UINT64_MAX, 4000), 3600);
	assert_int_equal(sw_budget_auto(UINT64_MAX, UINT64_MAX),
			 UINT64_MAX / 10 * 9 + 4);
}

static struct sw_zswap_spec zswap_of(const char *text)
{
	struct sw_run_options opt = options("64M");
	struct sw_zswap_spec z;

	assert_int_equal(sw_run_options_add_device(&opt, "zram:"), 0);
	assert_int_equal(sw_run_options_add_device(&opt, "file:/x"), 0);
	assert_int_equal(sw_run_options_set_zswap(&opt, "3M,codec=zstd"), 0);
	assert_int_equal(sw_run_options_set_zswap(&opt, text), 0);
	assert_int_equal(sw_run_options_finish(&opt), 0);
	z = opt.zswap;
	sw_run_options_release(&opt);
	return z;
}

static void there_is_no_zswap_unless_asked_for(void **state)
{
	struct sw_run_options opt = options("64M");

	assert_int_equal(opt.zswap.size_bytes, 0);
	sw_run_options_release(&opt);
}

static void the_last_zswap_counts(void **state)
{
	static const struct {
		const char *text;
		uint64_t size_bytes;
		const char *codec, *strong;
	} good[] = {
		{ "16M", 16 << 20, "lz4", "zstd" },
		{ "1.5M,codec=lz4", 3 << 19, "lz4", "zstd" },
		{ "1G,codec=zstd", 1 << 30, "zstd", NULL },
		{ "1G,codec=zstd:3", 1 << 30, "zstd", NULL },
		{ "1G,codec=zstd:9", 1 << 30, "zstd9", NULL },
		{ "1G,codec=zstd,codec=lz4", 1 << 30, "lz4", "zstd" },
	};

	for (unsigned i = 0; i < SW_ARRAY_SIZE(good); i++) {
		struct sw_zswap_spec z = zswap_of(good[i].text);

		assert_int_equal(z.size_bytes, good[i].size_bytes);
		assert_string_equal(z.codec, good[i].codec);
		assert_int_equal(!z.strong, !good[i].strong);
	}
	assert_int_equal(zswap_of("off").size_bytes, 0);
}

static void budget_is_whole_pages(void **state)
{
	struct sw_run_options opt = options("8388609");

	assert_int_equal(opt.budget_bytes, 8 << 20);
	sw_run_options_release(&opt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_powers_of_1024),
		cmocka_unit_test(fractions_are_exact),
		cmocka_unit_test(percent_is_of_ram),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(what_cannot_be_counted_is_refused),
		cmocka_unit_test(sizes_are_printed_short),
		cmocka_unit_test(default_device_is_three_budgets_of_zram),
		cmocka_unit_test(default_device_never_exceeds_the_largest),
		cmocka_unit_test(devices_keep_their_order_and_settings),
		cmocka_unit_test(files_and_block_devices_have_a_path),
		cmocka_unit_test(an_automatic_budget_leaves_a_tenth),
		cmocka_unit_test(there_is_no_zswap_unless_asked_for),
		cmocka_unit_test(the_last_zswap_counts),
		cmocka_unit_test(budget_is_whole_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
