/*
 * test_report.c - the report's fields, and that writing it never leaves half
 * a file or replaces what is no file.
 */
#include "run/report.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/counters.h"

static char folder[] = "/tmp/spillway-report.XXXXXX";

static int setup(void **state)
{
	return !mkdtemp(folder) || chdir(folder);
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return chdir("/") || system(command);
}

static struct sw_stall_sums latency;

static const struct sw_report sample = {
	.argv = (char *[]){ "redis-server", "--port", "\xff", NULL },
	.exit_status = 3,
	.budget_bytes = 128 << 20,
	.peak_bytes = 5ULL << 30,
	.own_peak_bytes = 7 << 20,
	.shared_peak_bytes = 3ULL << 30,
	.swapped_peak_bytes = 2ULL << 30,
	.enough_bytes = (7ULL << 30) - 5,
	.reclaimed = true,
	.stalled_ns = { 600000000, 450000999 },
	.latency = &latency,
	.wall_seconds = 1.5,
	.supervisor_seconds = 0.25,
	.agent_seconds = 0.5,
	.command_seconds = 2,
	.devices =
		(struct sw_report_device[]){
			{ .name = "zram:384M",
			  .size_bytes = 384 << 20,
			  .used_pages = 120,
			  .pages_stored = 100,
			  .compressed_bytes = 190000,
			  .memory_bytes = 204800,
			  .memory_peak_bytes = 204800 },
			{ .name = "zram:1G", .size_bytes = 1 << 30 },
			{ .name = "file:/swap",
			  .label = "attic",
			  .on_disk = true,
			  .uring = true,
			  .direct = true,
			  .encrypted = true,
			  .discard = "once",
			  .size_bytes = 1 << 30,
			  .pages_stored = 256,
			  .read_errors = 2,
			  .write_errors = 1,
			  .bad_slots = 16,
			  .failed = true },
			{ .name = "block:/\xff", .on_disk = true },
		},
	.nr_devices = 4,
	.zswap = { .size_bytes = 8 << 20,
		   .codec = "lz4",
		   .pages_stored = 300,
		   .same_filled_pages = 20,
		   .recompressed_pages = 10,
		   .compressed_bytes = 400000,
		   .memory_bytes = 409600,
		   .memory_peak_bytes = 1 << 20 },
};

static json_t *written(const char *path)
{
	json_error_t error;
	json_t *json;

	assert_int_equal(sw_report_check(path), 0);
	assert_int_equal(sw_report_write(&sample, path), 0);
	json = json_load_file(path, 0, &error);
	if (!json)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return json;
}

static json_int_t number(json_t *json, const char *name)
{
	json_t *value = json_object_get(json, name);

	if (!json_is_integer(value))
		fail_msg("'%s' is a whole number", name);
	return json_integer_value(value);
}

static void text_is(json_t *json, const char *name, const char *want)
{
	assert_string_equal(json_string_value(json_object_get(json, name)),
			    want);
}

/* The devices from the third on. */
static void disks_are_there(json_t *devices)
{
	json_t *dev = json_array_get(devices, 2);

	text_is(dev, "name", "file:/swap");
	text_is(dev, "label", "attic");
	text_is(dev, "io", "io_uring");
	assert_true(json_is_true(json_object_get(dev, "direct")));
	assert_true(json_is_true(json_object_get(dev, "encrypted")));
	text_is(dev, "discard", "once");
	assert_int_equal(number(dev, "pages_stored"), 256);
	assert_int_equal(number(dev, "read_errors"), 2);
	assert_int_equal(number(dev, "write_errors"), 1);
	assert_int_equal(number(dev, "bad_slots"), 16);
	assert_true(json_is_true(json_object_get(dev, "failed")));
	assert_true(json_is_null(json_object_get(dev, "ratio")));
	dev = json_array_get(devices, 3);
	assert_true(json_is_null(json_object_get(dev, "name"))); /* no UTF-8 */
	text_is(dev, "io", "pread");
	text_is(dev, "discard", "none");
	assert_true(json_is_false(json_object_get(dev, "failed")));
	assert_true(json_is_false(json_object_get(dev, "direct")));
}

static void zswap_is_there(json_t *zswap)
{
	assert_int_equal(number(zswap, "size_bytes"), 8 << 20);
	text_is(zswap, "codec", "lz4");
	assert_int_equal(number(zswap, "pages_stored"), 300);
	assert_int_equal(number(zswap, "same_filled_pages"), 20);
	assert_int_equal(number(zswap, "recompressed_pages"), 10);
	assert_int_equal(number(zswap, "compressed_bytes"), 400000);
	assert_int_equal(number(zswap, "memory_bytes"), 409600);
	assert_int_equal(number(zswap, "memory_peak_bytes"), 1 << 20);
	assert_int_equal(number(zswap, "written_back_pages"),
			 sw_counter_read(SW_CTR_zswpwb));
	assert_true(json_real_value(json_object_get(zswap, "ratio")) == 3.0);
}

static void latency_is_there(json_t *json)
{
	static const char *const tiers[] = { "first_touch", "staged",
					     "compressed",  "disk",
					     "write",       "other" };
	json_t *all = json_object_get(json, "latency"), *disk;

	assert_int_equal(json_object_size(all), 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(
			number(json_object_get(all, tiers[i]), "count"),
			i == SW_TIER_DISK ? 1000 : 0);
	disk = json_object_get(all, "disk");
	assert_true(json_real_value(json_object_get(disk, "p50_us")) == 4.096);
	assert_true(json_real_value(json_object_get(disk, "p90_us")) == 4.096);
	assert_true(json_real_value(json_object_get(disk, "p99_us")) == 8.192);
	assert_true(json_real_value(json_object_get(disk, "p999_us")) == 8.192);
	assert_true(json_real_value(json_object_get(disk, "max_us")) == 9);
	assert_int_equal(number(disk, "sum_us"), 4506);
}

/* 900 faults of 4 us, 99 of 8, and one of 9. */
static void fill_latency(void)
{
	for (unsigned i = 0; i < 1000; i++)
		sw_hist_add(&latency.tier[SW_TIER_DISK], i < 900   ? 4096
							 : i < 999 ? 8192
								   : 9000);
}

static void every_field_is_there(void **state)
{
	json_t *json, *command, *counters, *faults, *devices, *dev, *cpu;
	unsigned i;

	fill_latency();
	sw_count(pgmajfault, 7);
	json = written("fields.json");
	assert_int_equal(number(json, "version"), 1);
	assert_int_equal(number(json, "exit_status"), 3);
	assert_int_equal(number(json, "budget_bytes"), 128 << 20);
	assert_int_equal(number(json, "peak_bytes"), 5LL << 30);
	assert_int_equal(number(json, "own_peak_bytes"), 7 << 20);
	assert_int_equal(number(json, "shared_peak_bytes"), 3LL << 30);

	assert_int_equal(number(json, "swapped_peak_bytes"), 2LL << 30);
	assert_int_equal(number(json, "enough_bytes"), (7LL << 30) - 5);
	assert_int_equal(number(json_object_get(json, "stall"), "some_us"),
			 600000);
	assert_int_equal(number(json_object_get(json, "stall"), "full_us"),
			 450000);
	latency_is_there(json);

	command = json_object_get(json, "command");
	assert_int_equal(json_array_size(command), 3);
	assert_string_equal(json_string_value(json_array_get(command, 0)),
			    "redis-server");
	assert_true(json_is_null(json_array_get(command, 2))); /* no UTF-8 */

	counters = json_object_get(json, "counters");
	assert_int_equal(json_object_size(counters), SW_NR_COUNTERS);
	for (i = 0; i < SW_NR_COUNTERS; i++)
		assert_int_equal(number(counters, sw_counter_names[i]),
				 sw_counter_read(i));
	faults = json_object_get(json, "faults");
	assert_int_equal(number(faults, "from_store"), 7);

	devices = json_object_get(json, "devices");
	assert_int_equal(json_array_size(devices), 4);
	dev = json_array_get(devices, 0);
	assert_int_equal(number(dev, "used_pages"), 120);
	assert_int_equal(number(dev, "compressed_bytes"), 190000);
	assert_true(json_real_value(json_object_get(dev, "ratio")) == 2.0);
	dev = json_array_get(devices, 1);
	assert_true(json_is_null(json_object_get(dev, "ratio")));
	assert_true(json_is_null(json_object_get(dev, "label")));
	assert_true(json_is_null(json_object_get(dev, "io")));
	assert_true(json_is_null(json_object_get(dev, "direct")));
	assert_true(json_is_null(json_object_get(dev, "encrypted")));
	assert_true(json_is_null(json_object_get(dev, "discard")));
	disks_are_there(devices);
	zswap_is_there(json_object_get(json, "zswap"));

	cpu = json_object_get(json, "cpu");
	assert_true(json_real_value(json_object_get(cpu, "agent_seconds")) ==
		    0.5);
	json_decref(json);
}

static void writing_leaves_nothing_beside_the_file(void **state)
{
	json_decref(written("alone.json"));
	json_decref(written("alone.json")); /* over the old one */
	assert_int_equal(system("test \"$(ls alone.json*)\" = alone.json"), 0);
}

static void the_file_has_the_mode_of_any_new_file(void **state)
{
	mode_t mask = umask(027);
	struct stat st;

	json_decref(written("mode.json"));
	umask(mask);
	assert_int_equal(stat("mode.json", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_link_stays_a_link(void **state)
{
	struct stat st;

	assert_int_equal(symlink("behind.json", "link.json"), 0);
	json_decref(written("behind.json"));
	json_decref(written("link.json"));
	assert_int_equal(lstat("link.json", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat("behind.json", &st), 0);
}

static void a_device_file_is_written_and_not_replaced(void **state)
{
	struct stat st;

	assert_int_equal(sw_report_check("/dev/null"), 0);
	assert_int_equal(sw_report_write(&sample, "/dev/null"), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void a_full_disk_is_reported(void **state)
{
	assert_int_not_equal(sw_report_write(&sample, "/dev/full"), 0);
	assert_int_equal(sw_report_write(&sample, "none/x.json"), -ENOENT);
}

static void the_summary_is_complete(void **state)
{
	char text[4096] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	sw_count(zswpwb, 5);
	sw_report_print(&sample, f);
	fclose(f);
	assert_non_null(strstr(text, "budget 128M, peak 5G, 1.5 s\n"));
	assert_non_null(strstr(text,
			       "shared memory outside of the budget: 3G at "
			       "most ("));
	assert_non_null(strstr(text, "zram:384M of 384M: 400K of pages in "
				     "200K of memory (2.0 to 1)\n"));
	assert_non_null(strstr(text, "file:/swap of 1G: 1M of pages on disk "
				     "(io_uring, direct, encrypted)\n"));
	assert_non_null(strstr(text, "(pread, through the page cache)\n"));
	assert_non_null(strstr(text, "zswap of 8M, inside the budget: 1.17M of "
				     "pages in 400K of memory (3.0 to 1)\n"));
	assert_non_null(strstr(text, "zswap: pages stored 0, read 0, written "
				     "back 5, rejected"));
	assert_non_null(strstr(text,
			       "swapped 2G at most; lost to faults 0.60 s "
			       "(40 %), 0.45 s of it with nobody "
			       "running\n"));
	assert_non_null(strstr(text,
			       "a budget of 7G would have been enough, by "
			       "estimate\n"));
	assert_non_null(strstr(text, "memory of our own: 7M at most\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_there),
		cmocka_unit_test(writing_leaves_nothing_beside_the_file),
		cmocka_unit_test(the_file_has_the_mode_of_any_new_file),
		cmocka_unit_test(a_link_stays_a_link),
		cmocka_unit_test(a_device_file_is_written_and_not_replaced),
		cmocka_unit_test(a_full_disk_is_reported),
		cmocka_unit_test(the_summary_is_complete),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
