/*
 * test_disk_area.c - which files become swap, what is made of them, and what
 * is refused: in one line, and without a byte of it changed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/sysmacros.h>

#include "disk_file.h"
#include "quiet.h"
#include "store/sysmem.h"

#define SLOTS 300u
#define BYTES (SLOTS * SW_PAGE_SIZE)

static int setup(void **state)
{
	if (!disk_folder_make()) {
		print_message("skipped: needs /var/tmp on a disk\n");
		exit(77);
	}
	return 0;
}

static int teardown(void **state)
{
	disk_folder_remove();
	return 0;
}

static struct sw_swap_header header(void)
{
	return (struct sw_swap_header){
		.max = SLOTS,
		.nr_bad = 2,
		.label = "attic",
		.bad = { 3, SLOTS - 1 },
	};
}

static void make_area(void)
{
	const struct sw_swap_header h = header();

	disk_area_make(&h);
}

static void put(off_t at, const void *bytes, size_t len)
{
	int fd = open(disk_path, O_RDWR);

	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static struct sw_disk *open_path(const char *path, uint64_t bytes)
{
	const struct sw_disk_spec spec = { .path = path, .size_bytes = bytes };

	return sw_disk_open(&spec);
}

static unsigned nr_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* Says one line with `about` in it, and leaves nothing open. */
static void refused(const struct sw_disk_spec *spec, const char *about)
{
	const unsigned before = nr_descriptors();
	struct quiet q = quiet_begin();
	struct sw_disk *disk = sw_disk_open(spec);
	int err = errno;
	char line[1024] = "";

	rewind(q.file);
	assert_non_null(fgets(line, sizeof(line), q.file));
	assert_int_equal(quiet_end(&q), 1);
	assert_null(disk);
	assert_int_not_equal(err, 0);
	assert_int_equal(nr_descriptors(), before);
	if (!strstr(line, about))
		fail_msg("\"%s\" does not speak of \"%s\"", line, about);
}

static void file_refused(const char *about)
{
	refused(&(struct sw_disk_spec){ .path = disk_path }, about);
}

/* Compares all of the file with what it was. */
static void file_refused_untouched(const char *about)
{
	static char before[BYTES], after[BYTES];
	int fd = open(disk_path, O_RDONLY);
	struct stat was, is;

	assert_int_equal(pread(fd, before, BYTES, 0), BYTES);
	assert_int_equal(fstat(fd, &was), 0);
	file_refused(about);
	assert_int_equal(pread(fd, after, BYTES, 0), BYTES);
	assert_int_equal(fstat(fd, &is), 0);
	assert_memory_equal(before, after, BYTES);
	assert_int_equal(is.st_blocks, was.st_blocks);
	assert_int_equal(is.st_nlink, 1);
	close(fd);
}

/* ---- files that are made ---- */

static void expect_nameless(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, BYTES);
	assert_true(st.st_blocks * 512 >= (blkcnt_t)BYTES);
	close(fd);
}

static void a_new_file_is_private_whole_and_without_a_name(void **state)
{
	struct sw_disk *disk = open_path(disk_path, BYTES + 100);
	struct sw_disk_info info;
	const char *why;
	struct sw_swap_header h;
	char start[SW_PAGE_SIZE];
	int fd = disk_file();

	assert_int_equal(access(disk_path, F_OK), -1);
	assert_int_equal(pread(fd, start, sizeof(start), 0), sizeof(start));
	assert_int_equal(
		sw_swap_header_read(start, sizeof(start), BYTES, &h, &why), 0);
	expect_nameless(fd);
	sw_disk_info(disk, &info);
	assert_int_equal(info.max, SLOTS);
	assert_int_equal(info.nr_bad, 0);
	assert_string_equal(info.label, "spillway");
	sw_disk_close(disk);
}

static void in_a_folder_a_file_never_has_a_name(void **state)
{
	struct sw_disk *disk = open_path(disk_folder, BYTES);

	expect_nameless(disk_file());
	sw_disk_close(disk);
}

static void a_size_is_wanted_for_what_is_made(void **state)
{
	file_refused("does not exist yet");
	refused(&(struct sw_disk_spec){ .path = disk_folder }, "is a folder");
	assert_int_equal(access(disk_path, F_OK), -1);
}

static void room_that_is_not_there_is_refused(void **state)
{
	const struct sw_disk_spec file = { .path = disk_path,
					   .size_bytes = 1ULL << 42 };
	const struct sw_disk_spec folder = { .path = disk_folder,
					     .size_bytes = 1ULL << 42 };

	refused(&file, "has no room for 4398046511104 bytes");
	refused(&folder, "has no room for");
	assert_int_equal(access(disk_path, F_OK), -1);
}

static void a_file_in_memory_is_refused(void **state)
{
	const struct sw_disk_spec spec = { .path = "/dev/shm",
					   .size_bytes = BYTES };
	struct statfs fs;

	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		skip();
	refused(&spec, "lies in memory");
}

static void a_place_that_is_none_is_refused(void **state)
{
	const struct sw_disk_spec spec = { .path = "/proc/self/none/none",
					   .size_bytes = BYTES };

	refused(&spec, "No such file or directory");
}

/* ---- files that were there ---- */

static void an_area_keeps_header_label_bad_pages_and_name(void **state)
{
	struct sw_disk_info info;
	struct sw_disk *disk;
	char page[2][SW_PAGE_SIZE];
	int fd;

	make_area();
	fd = open(disk_path, O_RDONLY);
	assert_int_equal(pread(fd, page[0], SW_PAGE_SIZE, 0), SW_PAGE_SIZE);
	disk = open_path(disk_path, 0);
	assert_non_null(disk);
	sw_disk_info(disk, &info);
	assert_int_equal(info.max, SLOTS);
	assert_int_equal(info.nr_bad, 2);
	assert_int_equal(info.bad[0], 3);
	assert_int_equal(info.bad[1], SLOTS - 1);
	assert_string_equal(info.label, "attic");
	assert_int_equal(sw_disk_ops.write(disk, 1, 1, page[1]), 0);
	sw_disk_close(disk);
	assert_int_equal(pread(fd, page[1], SW_PAGE_SIZE, 0), SW_PAGE_SIZE);
	assert_memory_equal(page[0], page[1], SW_PAGE_SIZE);
	close(fd);
}

static void holes_of_an_area_are_filled(void **state)
{
	struct sw_disk *disk;
	struct stat st;

	make_area();
	assert_int_equal(stat(disk_path, &st), 0);
	assert_true(st.st_blocks * 512 < (blkcnt_t)BYTES);
	disk = open_path(disk_path, BYTES);
	assert_non_null(disk);
	assert_int_equal(stat(disk_path, &st), 0);
	assert_true(st.st_blocks * 512 >= (blkcnt_t)BYTES);
	assert_int_equal(st.st_size, BYTES);
	sw_disk_close(disk);
}

static void an_area_of_another_size_is_refused(void **state)
{
	const struct sw_disk_spec spec = { .path = disk_path,
					   .size_bytes = 2 * BYTES };

	make_area();
	refused(&spec, "not of");
	assert_int_equal(truncate(disk_path, BYTES - SW_PAGE_SIZE), 0);
	file_refused("shorter than its header says");
}

static void a_file_that_is_no_area_is_refused(void **state)
{
	make_area();
	put(4086, "NOSPACE", 7);
	file_refused_untouched("no SWAPSPACE2 signature");
	assert_int_equal(truncate(disk_path, 0), 0);
	file_refused("shorter than a page");
}

static void what_others_own_is_refused_by_its_name(void **state)
{
	make_area();
	put(0, "LUKS\xba\xbe\0\1", 8);
	file_refused_untouched("crypto_LUKS");
	/* And without an area beside it. */
	put(4086, "\0\0\0\0\0\0\0\0\0", 10);
	file_refused_untouched("crypto_LUKS");
}

static void an_area_in_use_is_refused(void **state)
{
	struct sw_disk *disk;

	make_area();
	disk = open_path(disk_path, 0);
	assert_non_null(disk);
	file_refused("already");
	sw_disk_close(disk);
	disk = open_path(disk_path, 0);
	assert_non_null(disk);
	sw_disk_close(disk);
}

static void a_file_that_others_may_read_gets_a_warning(void **state)
{
	struct sw_disk *disk;
	struct quiet q;

	make_area();
	assert_int_equal(chmod(disk_path, 0644), 0);
	q = quiet_begin();
	disk = open_path(disk_path, 0);
	assert_int_equal(quiet_end(&q), 1);
	assert_non_null(disk);
	sw_disk_close(disk);
}

static void other_kinds_are_refused(void **state)
{
	make_area();
	refused(&(struct sw_disk_spec){ .path = disk_path, .is_block = true },
		"is no block device");
	refused(&(struct sw_disk_spec){ .path = "/dev/null" },
		"neither a file");
	refused(&(struct sw_disk_spec){ .path = "/none", .is_block = true },
		"No such file");
}

/* ---- memory ---- */

static unsigned fail_at, asked;

static bool fail_one(void)
{
	return ++asked == fail_at;
}

/* The first, second, third ... request fails. Without rings it goes on. */
static void without_memory_it_is_refused_and_nothing_stays(void **state)
{
	const unsigned before = nr_descriptors();

	sw_sysmem_fail = fail_one;
	do {
		struct quiet q = quiet_begin();
		struct sw_disk *disk;
		int err;

		asked = 0;
		fail_at++;
		disk = open_path(disk_path, BYTES);
		err = errno;
		assert_int_equal(quiet_end(&q), disk ? 0 : 1);
		assert_true(disk || err == ENOMEM);
		sw_disk_close(disk);
		assert_int_equal(nr_descriptors(), before);
	} while (asked >= fail_at);
	sw_sysmem_fail = NULL;
	assert_true(fail_at > 2);
}

/* ---- what it lies on ---- */

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* What /sys/dev/block has for disks 8:0 and 8:16, and a partition of each. */
static void whether_a_disk_rotates_is_asked_of_its_queue(void **state)
{
	char sys[sizeof(disk_folder) + 8], command[1024];

	snprintf(sys, sizeof(sys), "%s/sys", disk_folder);
	snprintf(command, sizeof(command),
		 "mkdir -p %s/a/a1 %s/a/queue %s/b/b1 %s/b/queue && cd %s && "
		 "ln -s a 8:0 && ln -s a/a1 8:1 && ln -s b 8:16 && "
		 "ln -s b/b1 8:17",
		 sys, sys, sys, sys, sys);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/a/queue/rotational", sys);
	write_text(command, "1\n");
	snprintf(command, sizeof(command), "%s/b/queue/rotational", sys);
	write_text(command, "0\n");
	assert_true(sw_disk_is_rotating(sys, makedev(8, 0)));
	assert_true(sw_disk_is_rotating(sys, makedev(8, 1)));
	assert_false(sw_disk_is_rotating(sys, makedev(8, 16)));
	assert_false(sw_disk_is_rotating(sys, makedev(8, 17)));
	assert_false(sw_disk_is_rotating(sys, makedev(0, 44)));
	write_text(command, "");
	assert_false(sw_disk_is_rotating(sys, makedev(8, 16)));
	snprintf(command, sizeof(command), "rm -r %s", sys);
	assert_int_equal(system(command), 0);
}

#define AREA_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AREA_TEST(a_new_file_is_private_whole_and_without_a_name),
		AREA_TEST(in_a_folder_a_file_never_has_a_name),
		AREA_TEST(a_size_is_wanted_for_what_is_made),
		AREA_TEST(room_that_is_not_there_is_refused),
		AREA_TEST(a_file_in_memory_is_refused),
		AREA_TEST(a_place_that_is_none_is_refused),
		AREA_TEST(an_area_keeps_header_label_bad_pages_and_name),
		AREA_TEST(holes_of_an_area_are_filled),
		AREA_TEST(an_area_of_another_size_is_refused),
		AREA_TEST(a_file_that_is_no_area_is_refused),
		AREA_TEST(what_others_own_is_refused_by_its_name),
		AREA_TEST(an_area_in_use_is_refused),
		AREA_TEST(a_file_that_others_may_read_gets_a_warning),
		AREA_TEST(other_kinds_are_refused),
		AREA_TEST(without_memory_it_is_refused_and_nothing_stays),
		AREA_TEST(whether_a_disk_rotates_is_asked_of_its_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
