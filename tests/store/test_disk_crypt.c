/*
 * test_disk_crypt.c - what lies on the disk of an encrypted store, and where
 * its key is. That pages come back, and that nothing else does, is tested
 * with the plain store in test_disk.c.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "disk_file.h"
#include "pages.h"
#include "quiet.h"
#include "store/disk_crypt.h"
#include "store/sysmem.h"

#define SLOTS 600u

_Alignas(SW_PAGE_SIZE) static unsigned char page[80 * SW_PAGE_SIZE],
	back[80 * SW_PAGE_SIZE], raw[SLOTS * SW_PAGE_SIZE];

static const struct swap_ops *const ops = &sw_disk_ops;
static struct sw_disk *disk;

static int setup(void **state)
{
	if (!disk_folder_make()) {
		print_message("skipped: needs /var/tmp on a disk\n");
		exit(77);
	}
	disk_encrypts = true;
	disk = disk_new(SLOTS);
	return !disk;
}

static int teardown(void **state)
{
	sw_sysmem_fail = NULL;
	sw_disk_close(disk);
	disk_folder_remove();
	return 0;
}

static void write_page(uint64_t slot, uint64_t number)
{
	page_make(number, page);
	assert_int_equal(ops->write(disk, slot, 1, page), 0);
}

static void expect_lost(uint64_t slot)
{
	struct quiet q = quiet_begin();
	int err = ops->read(disk, slot, 1, back);

	assert_int_equal(quiet_end(&q), 1);
	assert_int_equal(err, -EIO);
}

/* Everything on the disk, by a way of its own. */
static void read_raw(void)
{
	int fd = disk_file();

	assert_int_equal(pread(fd, raw, sizeof(raw), 0), sizeof(raw));
	close(fd);
}

static bool raw_has(const void *bytes, size_t len)
{
	return memmem(raw + SW_PAGE_SIZE, sizeof(raw) - SW_PAGE_SIZE, bytes,
		      len);
}

/* ---- what is on the disk ---- */

static void no_plain_byte_is_on_the_disk(void **state)
{
	static const char secret[] = "a secret of sixteen and more bytes";

	for (size_t at = 0; at + sizeof(secret) <= sizeof(page);
	     at += sizeof(secret))
		memcpy(page + at, secret, sizeof(secret));
	assert_int_equal(ops->write(disk, 1, 80, page), 0);
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(
			ops->write(disk, 100 + i, 1, page + i * SW_PAGE_SIZE),
			0);
	/* A buffer that lies on no page's border goes another way. */
	assert_int_equal(ops->write(disk, 200, 79, page + 64), 0);
	read_raw();
	assert_false(raw_has(secret, 8));
	assert_int_equal(ops->read(disk, 1, 80, back), 0);
	assert_memory_equal(back, page, sizeof(page));
}

/* Else the same page could be told from another by who sees the disk. */
static void a_page_never_looks_the_same_twice(void **state)
{
	unsigned char first[SW_PAGE_SIZE];

	write_page(7, 3);
	read_raw();
	memcpy(first, raw + 7 * SW_PAGE_SIZE, SW_PAGE_SIZE);
	write_page(7, 3);
	write_page(8, 3);
	read_raw();
	assert_false(raw_has(first, 16));
	assert_memory_not_equal(raw + 7 * SW_PAGE_SIZE, raw + 8 * SW_PAGE_SIZE,
				16);
}

static void pages_of_two_slots_cannot_change_places(void **state)
{
	int fd = disk_file();

	write_page(30, 4);
	write_page(31, 5);
	read_raw();
	assert_int_equal(pwrite(fd, raw + 31 * SW_PAGE_SIZE, SW_PAGE_SIZE,
				30 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	assert_int_equal(pwrite(fd, raw + 30 * SW_PAGE_SIZE, SW_PAGE_SIZE,
				31 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	close(fd);
	expect_lost(30);
	expect_lost(31);
}

static void another_store_cannot_read_it(void **state)
{
	int fd;

	write_page(30, 4);
	read_raw();
	sw_disk_close(disk);
	disk = disk_new(SLOTS);
	assert_non_null(disk);
	write_page(30, 4);
	fd = disk_file();
	assert_int_equal(pwrite(fd, raw + 30 * SW_PAGE_SIZE, SW_PAGE_SIZE,
				30 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	close(fd);
	expect_lost(30);
}

/* ---- what is remembered ---- */

/* Without a disk in between. */
static void what_is_sealed_is_good_for_the_last_write_alone(void **state)
{
	struct sw_crypt *c = sw_crypt_open(3, "test");

	assert_non_null(c);
	page_make(1, page);
	sw_crypt_seal(c, 1, 1, page, raw);
	assert_false(sw_crypt_is_written(c, 2));
	memcpy(back, raw, SW_PAGE_SIZE);
	assert_int_equal(sw_crypt_unseal(c, 1, 1, back), 1);
	assert_memory_equal(back, page, SW_PAGE_SIZE);
	assert_int_equal(sw_crypt_forget(c, 0, 3), 1);
	sw_crypt_seal(c, 1, 2, page, back);
	assert_int_equal(sw_crypt_unseal(c, 2, 1, raw), 0);
	assert_int_equal(sw_crypt_unseal(c, 1, 2, back), 2);
	sw_crypt_close(c);
}

static void a_slot_costs_24_bytes_of_memory_at_most(void **state)
{
	struct sw_store_stats st;

	sw_disk_stats(disk, &st);
	assert_in_range(st.meta_bytes, 24 * SLOTS, 24 * SLOTS + 100);
}

/* ---- the key ---- */

/* Mappings of ours with all of these flags. */
static unsigned mappings_with(const char *a, const char *b, const char *c)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned nr = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		nr += !strncmp(line, "VmFlags:", 8) && strstr(line, a) &&
		      strstr(line, b) && strstr(line, c);
	fclose(f);
	return nr;
}

static void the_key_is_locked_and_in_no_dump_and_no_child(void **state)
{
	/* What sanitizers make of mlock() is nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	const char *locked = " dd";
#else
	const char *locked = " lo";
#endif

	assert_int_equal(mappings_with(locked, " dd", " dc"), 1);
	sw_disk_close(disk);
	assert_int_equal(mappings_with(locked, " dd", " dc"), 0);
	disk = NULL;
}

static void expect_refused(const char *reason)
{
	struct quiet q = quiet_begin();
	int lines, err;

	assert_null(disk_new(SLOTS));
	err = errno;
	lines = quiet_end(&q);
	assert_int_equal(lines, 1);
	assert_string_equal(strerror(err), reason);
}

static void a_key_that_cannot_be_locked_is_refused(void **state)
{
	pid_t pid;
	int status;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#endif
	sw_disk_close(disk);
	disk = NULL;
	pid = fork();
	if (!pid) {
		forbid(SYS_mlock);
		expect_refused("Operation not permitted");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- memory that is not there ---- */

static unsigned asked, fail_at;

static bool fail_one(void)
{
	return asked++ == fail_at;
}

static void without_memory_it_is_refused(void **state)
{
	sw_disk_close(disk);
	sw_sysmem_fail = fail_one;
	fail_at = 0;
	do {
		struct quiet q = quiet_begin();

		asked = 0;
		disk = disk_new(SLOTS);
		assert_int_equal(quiet_end(&q), disk ? 0 : 1);
		sw_disk_close(disk);
	} while (asked > fail_at++);
	disk = NULL;
	assert_true(fail_at > 3);
}

static void *first_write(void *arg)
{
	int *err = arg;

	*err = ops->write(disk, 1, 1, page);
	return NULL;
}

static void a_write_without_memory_is_enomem(void **state)
{
	struct quiet q = quiet_begin();
	pthread_t thread;
	int err = 0;

	asked = fail_at = 0;
	sw_sysmem_fail = fail_one;
	/* A thread that has no memory for it yet. */
	assert_int_equal(pthread_create(&thread, NULL, first_write, &err), 0);
	pthread_join(thread, NULL);
	sw_sysmem_fail = NULL;
	quiet_end(&q);
	assert_int_equal(err, -ENOMEM);
	expect_lost(1);
	write_page(1, 1);
}

#define CRYPT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CRYPT_TEST(no_plain_byte_is_on_the_disk),
		CRYPT_TEST(a_page_never_looks_the_same_twice),
		CRYPT_TEST(pages_of_two_slots_cannot_change_places),
		CRYPT_TEST(another_store_cannot_read_it),
		CRYPT_TEST(what_is_sealed_is_good_for_the_last_write_alone),
		CRYPT_TEST(a_slot_costs_24_bytes_of_memory_at_most),
		CRYPT_TEST(the_key_is_locked_and_in_no_dump_and_no_child),
		CRYPT_TEST(a_key_that_cannot_be_locked_is_refused),
		CRYPT_TEST(without_memory_it_is_refused),
		CRYPT_TEST(a_write_without_memory_is_enomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
