/*
 * test_swap_header_tools.c - headers of swap areas beside those who write and
 * read them elsewhere: mkswap, blkid and file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "swap_area.h"

#define UUID_TEXT "30313233-3435-3637-3839-616263646500"

static char path[] = "/tmp/swap_header.XXXXXX";
static char said[4096];

/* 127: there is no such program. */
static int run(const char *command)
{
	char line[512];
	FILE *out;
	size_t n;

	/* mkswap and blkid live where only root looks. */
	snprintf(line, sizeof(line),
		 "PATH=$PATH:/usr/sbin:/sbin; LC_ALL=C %s %s 2>&1", command,
		 path);
	out = popen(line, "r");
	assert_non_null(out);
	n = fread(said, 1, sizeof(said) - 1, out);
	said[n] = 0;
	return WEXITSTATUS(pclose(out));
}

static int area_file(void **state)
{
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, AREA) || close(fd))
		return -1;
	return 0;
}

static int remove_file(void **state)
{
	return unlink(path);
}

static void copy_first_page(bool to_file)
{
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	if (to_file)
		assert_int_equal(fwrite(area, SW_PAGE_SIZE, 1, f), 1);
	else
		assert_int_equal(fread(area, sizeof(area), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static void needs(int status, const char *what)
{
	if (status != 127)
		return;
	print_message("skipped: needs %s\n", what);
	skip();
}

static void area_of_mkswap_is_understood(void **state)
{
	struct sw_swap_header h, ours = sound();
	static uint8_t theirs[SW_PAGE_SIZE];
	const char *why;
	int status = run("mkswap -q -p 4096 -L spillway -U " UUID_TEXT);

	needs(status, "mkswap, of util-linux");
	assert_int_equal(status, 0);
	copy_first_page(false);
	assert_int_equal(read_area(&h, &why), 0);
	assert_int_equal(h.max, PAGES);
	assert_int_equal(h.nr_bad, 0);
	assert_string_equal(h.label, "spillway");
	assert_memory_equal(h.uuid, ours.uuid, sizeof(h.uuid));

	/* What we make of that is the same page. */
	memcpy(theirs, area, sizeof(theirs));
	assert_int_equal(sw_swap_header_make(area, &h), 0);
	assert_memory_equal(area, theirs, sizeof(theirs));

	/* mkswap -c takes no list, so we write one. */
	put32(AT_NR_BAD, 2);
	put32(AT_BAD(0), 5);
	put32(AT_BAD(1), 11);
	assert_int_equal(read_area(&h, &why), 0);
	assert_int_equal(h.nr_bad, 2);
	assert_int_equal(h.bad[0], 5);
	assert_int_equal(h.bad[1], 11);
	memcpy(theirs, area, sizeof(theirs));
	assert_int_equal(sw_swap_header_make(area, &h), 0);
	assert_memory_equal(area, theirs, sizeof(theirs));
}

static void mkswap_for_larger_pages_is_recognised(void **state)
{
	int status = run("mkswap -p 16384");

	needs(status, "mkswap, of util-linux");
	assert_int_equal(status, 0);
	copy_first_page(false);
	refused("pages of 16 KiB");
}

static void blkid_knows_our_area(void **state)
{
	int status;

	make_sound();
	copy_first_page(true);
	status = run("blkid -p -o export");
	needs(status, "blkid, of util-linux");
	assert_int_equal(status, 0);
	assert_non_null(strstr(said, "TYPE=swap\n"));
	assert_non_null(strstr(said, "VERSION=1\n"));
	assert_non_null(strstr(said, "LABEL=spillway\n"));
	assert_non_null(strstr(said, "UUID=" UUID_TEXT "\n"));
}

static void file_knows_our_area(void **state)
{
	int status;

	make_sound();
	copy_first_page(true);
	status = run("file -b");
	needs(status, "file, of the package of that name");
	assert_int_equal(status, 0);
	assert_non_null(strstr(said, "swap file"));
	assert_non_null(strstr(said, "size 255 pages, 3 bad pages"));
	assert_non_null(strstr(said, "spillway"));
}

#define FILE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, area_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(area_of_mkswap_is_understood),
		FILE_TEST(mkswap_for_larger_pages_is_recognised),
		FILE_TEST(blkid_knows_our_area),
		FILE_TEST(file_knows_our_area),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
