/* test_conf.c - where the settings of `spillway run` come from. */
#include "run/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static struct sw_run_options opt;
static struct sw_conf conf;

static void begin(void)
{
	sw_run_options_release(&opt);
	conf = (struct sw_conf){ .opt = &opt };
}

static int read_text(const char *text)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");
	int err;

	assert_non_null(file);
	err = sw_conf_read(&conf, file, "f");
	fclose(file);
	return err;
}

static void a_file_sets_what_nobody_else_did(void **state)
{
	begin();
	assert_int_equal(read_text("# all there is\n\n"
				   "memory = 512M\n"
				   "  swap=zram:1G,prio=5  \r\n"
				   "\tswap\t=\tfile:/a = b#c,size=2G\n"
				   "zswap = 64M,codec=zstd\n"
				   "report = /tmp/r.json\n"
				   "verbose = 2\n"
				   "property = MemoryMax=256M"),
			 0);
	assert_int_equal(opt.budget_bytes, 512 << 20);
	assert_int_equal(opt.memory_max_bytes, 256 << 20);
	assert_int_equal(opt.nr_devices, 2);
	assert_int_equal(opt.devices[0].prio, 5);
	assert_string_equal(opt.devices[1].path, "/a = b#c");
	assert_int_equal(opt.zswap.size_bytes, 64 << 20);
	assert_string_equal(opt.report_path, "/tmp/r.json");
	assert_int_equal(opt.verbose, 2);
	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_int_equal(opt.budget_bytes, 256 << 20);
}

/* The command line, then the environment, then the file. */
static void the_nearest_source_counts(void **state)
{
	static const struct {
		const char *line, *variable;
		uint64_t budget;
		unsigned nr_devices;
	} rows[] = {
		{ NULL, NULL, 300, 3 },
		{ NULL, "200M", 200, 3 },
		{ "100M", "200M", 100, 3 },
		{ "100M", NULL, 100, 3 },
	};

	char path[] = "/tmp/test_conf.XXXXXX";

	assert_true(close(mkstemp(path)) == 0);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(rows); i++) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs("memory = 300M\n"
		      "swap = zram:1M\nswap = zram:2M\nswap = zram:3M\n",
		      file);
		fclose(file);
		setenv("SPILLWAY_CONF", path, 1);
		begin();
		if (rows[i].variable)
			setenv("SPILLWAY_MEMORY", rows[i].variable, 1);
		if (rows[i].line)
			assert_int_equal(
				sw_conf_set(&conf, "memory", rows[i].line), 0);
		assert_int_equal(sw_conf_read_rest(&conf), 0);
		unsetenv("SPILLWAY_MEMORY");
		assert_int_equal(opt.budget_bytes, rows[i].budget << 20);
		assert_int_equal(opt.nr_devices, rows[i].nr_devices);
	}
	remove(path);
	setenv("SPILLWAY_CONF", "", 1);
}

static void devices_come_from_one_source(void **state)
{
	begin();
	setenv("SPILLWAY_SWAP", "zram:1M;zram:2M;", 1);
	assert_int_equal(sw_conf_set(&conf, "swap", "zram:7M"), 0);
	assert_int_equal(sw_conf_read_rest(&conf), 0);
	assert_int_equal(opt.nr_devices, 1);
	begin();
	assert_int_equal(sw_conf_read_rest(&conf), 0);
	assert_int_equal(opt.nr_devices, 2);
	assert_int_equal(opt.devices[1].size_bytes, 2 << 20);
	unsetenv("SPILLWAY_SWAP");
}

/* -m and MemoryHigh are one thing, MemoryMax is another. */
static void properties_are_settings_of_their_own(void **state)
{
	begin();
	setenv("SPILLWAY_PROPERTY", "MemoryHigh=64M;MemoryMax=32M", 1);
	assert_int_equal(sw_conf_set(&conf, "memory", "128M"), 0);
	assert_int_equal(sw_conf_read_rest(&conf), 0);
	assert_int_equal(opt.budget_bytes, 128 << 20);
	assert_int_equal(sw_run_options_finish(&opt), 0);
	assert_int_equal(opt.budget_bytes, 32 << 20);
	unsetenv("SPILLWAY_PROPERTY");
}

static int finish_with(const char *a, const char *b, const char *swap)
{
	begin();
	assert_int_equal(sw_conf_set(&conf, "property", a), 0);
	assert_int_equal(sw_conf_set(&conf, "property", b), 0);
	if (swap)
		assert_int_equal(sw_conf_set(&conf, "swap", swap), 0);
	return sw_run_options_finish(&opt);
}

static void properties_mean_what_the_page_says(void **state)
{
	assert_int_equal(finish_with("MemoryHigh=64M", "MemoryMax=80M", NULL),
			 0);
	assert_int_equal(opt.budget_bytes, 64 << 20);
	assert_int_equal(
		finish_with("MemoryHigh=infinity", "MemoryMax=80M", NULL), 0);
	assert_int_equal(opt.budget_bytes, 80 << 20);
	assert_int_equal(finish_with("MemoryHigh=50%", "MemoryMax=100%", NULL),
			 0);
	assert_int_equal(opt.budget_bytes, sw_ram_bytes() / 2 & SW_PAGE_MASK);
	assert_int_equal(
		finish_with("MemoryHigh=infinity", "MemoryMax=infinity", NULL),
		-EINVAL);

	/* A device that nobody gave a size fits; others have to. */
	assert_int_equal(
		finish_with("MemoryHigh=64M", "MemorySwapMax=100M", NULL), 0);
	assert_int_equal(opt.devices[0].size_bytes, 100 << 20);
	assert_int_equal(finish_with("MemoryHigh=64M", "MemorySwapMax=100M",
				     "zram:100M"),
			 0);
	assert_int_equal(finish_with("MemoryHigh=64M", "MemorySwapMax=100M",
				     "zram:101M"),
			 -EINVAL);
	assert_int_equal(
		finish_with("MemoryHigh=64M", "MemorySwapMax=100M", "file:/x"),
		-EINVAL);
	assert_int_equal(finish_with("MemoryHigh=64M", "MemorySwapMax=infinity",
				     "file:/x"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_sets_what_nobody_else_did),
		cmocka_unit_test(the_nearest_source_counts),
		cmocka_unit_test(devices_come_from_one_source),
		cmocka_unit_test(properties_are_settings_of_their_own),
		cmocka_unit_test(properties_mean_what_the_page_says),
	};
	int failed;

	setenv("SPILLWAY_CONF", "", 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sw_run_options_release(&opt);
	return failed;
}
