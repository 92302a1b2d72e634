/*
 * test_disk.c - a file as a swap store, one behaviour a test. What the disk
 * gives back in place of a page must never be taken for it. All of it holds
 * for an encrypted store as well.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "disk_file.h"
#include "pages.h"
#include "quiet.h"

#define SLOTS 600u

_Alignas(SW_PAGE_SIZE) static unsigned char page[80 * SW_PAGE_SIZE],
	back[80 * SW_PAGE_SIZE];

static const struct swap_ops *const ops = &sw_disk_ops;
static struct sw_disk *disk;

static int setup(void **state)
{
	if (!disk_folder_make()) {
		print_message("skipped: needs /var/tmp on a disk\n");
		exit(77);
	}
	disk = disk_new(SLOTS);
	return !disk;
}

static int teardown(void **state)
{
	sw_disk_fault = NULL;
	sw_disk_close(disk);
	disk_folder_remove();
	return 0;
}

/* Pages of numbers number, number + 1, ... */
static void write_pages(uint64_t slot, unsigned nr, uint64_t number)
{
	for (unsigned i = 0; i < nr; i++)
		page_make(number + i, page + i * SW_PAGE_SIZE);
	assert_int_equal(ops->write(disk, slot, nr, page), 0);
}

static void expect_pages(uint64_t slot, unsigned nr, uint64_t number)
{
	memset(back, 0x5a, nr * SW_PAGE_SIZE);
	assert_int_equal(ops->read(disk, slot, nr, back), 0);
	for (unsigned i = 0; i < nr; i++) {
		page_make(number + i, page);
		assert_memory_equal(back + i * SW_PAGE_SIZE, page,
				    SW_PAGE_SIZE);
	}
}

static void expect_eio(uint64_t slot, unsigned nr, unsigned lines)
{
	struct quiet q = quiet_begin();
	int err = ops->read(disk, slot, nr, back);

	assert_int_equal(quiet_end(&q), lines);
	assert_int_equal(err, -EIO);
}

/* One line, and no page. */
static void expect_lost(uint64_t slot, unsigned nr)
{
	expect_eio(slot, nr, 1);
}

/* It was said before, or is to be said when its pages are read one by one. */
static void expect_lost_silently(uint64_t slot, unsigned nr)
{
	expect_eio(slot, nr, 0);
}

static uint64_t pages_held(void)
{
	struct sw_store_stats st;

	sw_disk_stats(disk, &st);
	return st.pages;
}

/* ---- pages ---- */

static void pages_come_back_one_by_one_and_in_batches(void **state)
{
	write_pages(1, 80, 100);
	write_pages(SLOTS - 3, 3, 300);
	expect_pages(1, 80, 100);
	expect_pages(17, 1, 116);
	expect_pages(SLOTS - 3, 3, 300);
	write_pages(17, 1, 7);
	expect_pages(16, 1, 115);
	expect_pages(17, 1, 7);
	expect_pages(18, 63, 117);
	assert_int_equal(pages_held(), 83);
}

static void buffers_may_lie_anywhere(void **state)
{
	for (unsigned i = 0; i < 9; i++)
		page_make(50 + i, page + 40 + i * SW_PAGE_SIZE);
	assert_int_equal(ops->write(disk, 5, 9, page + 40), 0);
	assert_int_equal(ops->read(disk, 5, 9, back + 3), 0);
	assert_memory_equal(back + 3, page + 40, 9 * SW_PAGE_SIZE);
	expect_pages(5, 9, 50);
}

static void what_was_not_written_or_is_free_is_an_error(void **state)
{
	write_pages(10, 4, 1);
	expect_lost(9, 1);
	expect_lost(12, 3);
	ops->slot_free(disk, 11, 2);
	assert_int_equal(pages_held(), 2);
	expect_lost(11, 1);
	expect_pages(10, 1, 1);
	expect_pages(13, 1, 4);
}

static void the_header_and_what_is_outside_are_refused(void **state)
{
	static const struct {
		uint64_t slot;
		unsigned nr;
	} outside[] = {
		{ 0, 1 }, { SLOTS, 1 }, { SLOTS - 1, 2 }, { UINT64_MAX, 2 }
	};

	for (unsigned i = 0; i < SW_ARRAY_SIZE(outside); i++) {
		struct quiet q = quiet_begin();
		int w = ops->write(disk, outside[i].slot, outside[i].nr, page);
		int r = ops->read(disk, outside[i].slot, outside[i].nr, back);

		assert_int_equal(quiet_end(&q), 2);
		assert_int_equal(w, -EINVAL);
		assert_int_equal(r, -EINVAL);
	}
}

/* ---- a file that changes underneath ---- */

static void a_file_cut_off_is_an_error_also_when_it_grows_again(void **state)
{
	int fd = disk_file();

	write_pages(20, 8, 9);
	assert_int_equal(ftruncate(fd, 24 * SW_PAGE_SIZE), 0);
	expect_pages(20, 4, 9);
	expect_lost(24, 1);
	expect_lost_silently(22, 4);
	assert_int_equal(ftruncate(fd, 22 * SW_PAGE_SIZE + 1000), 0);
	expect_lost(22, 1);
	expect_pages(21, 1, 10);
	assert_int_equal(ftruncate(fd, SLOTS * SW_PAGE_SIZE), 0);
	expect_lost_silently(22, 1);
	expect_lost(25, 1);
	write_pages(25, 1, 77);
	expect_pages(25, 1, 77);
	close(fd);
}

static void a_changed_bit_is_found(void **state)
{
	int fd = disk_file();
	char c;

	write_pages(30, 2, 4);
	assert_int_equal(pread(fd, &c, 1, 31 * SW_PAGE_SIZE + 4095), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 31 * SW_PAGE_SIZE + 4095), 1);
	expect_lost(31, 1);
	expect_lost_silently(30, 2);
	expect_lost_silently(31, 1);
	/* Damaged anew, it is said anew. */
	write_pages(31, 1, 6);
	expect_pages(31, 1, 6);
	assert_int_equal(pwrite(fd, &c, 1, 31 * SW_PAGE_SIZE + 4095), 1);
	expect_lost(31, 1);
	expect_pages(30, 1, 4);
	close(fd);
}

static void the_page_of_another_slot_is_found(void **state)
{
	int fd = disk_file();

	write_pages(30, 2, 4);
	assert_int_equal(pread(fd, back, SW_PAGE_SIZE, 30 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	assert_int_equal(pwrite(fd, back, SW_PAGE_SIZE, 31 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	expect_lost(31, 1);
	close(fd);
}

static void an_older_page_of_the_slot_is_found(void **state)
{
	int fd = disk_file();

	write_pages(30, 1, 4);
	assert_int_equal(pread(fd, back, SW_PAGE_SIZE, 30 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	write_pages(30, 1, 5);
	assert_int_equal(pwrite(fd, back, SW_PAGE_SIZE, 30 * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	expect_lost(30, 1);
	close(fd);
}

/* ---- errors of the disk ---- */

static int fault_err, fault_calls;
static size_t fault_len;

/* The first call fails, or all are short. */
static int fault(bool write, size_t *len)
{
	*len = fault_len ? sw_min(*len, fault_len) : *len;
	return fault_calls++ ? 0 : fault_err;
}

static void disk_says(int err, size_t len)
{
	fault_err = err;
	fault_len = len;
	fault_calls = 0;
	sw_disk_fault = fault;
}

static void a_failed_write_leaves_the_slots_empty(void **state)
{
	struct quiet q;
	int err;

	write_pages(40, 3, 8);
	page_make(60, page);
	page_make(61, page + SW_PAGE_SIZE);
	disk_says(-ENOSPC, 0);
	q = quiet_begin();
	err = ops->write(disk, 41, 2, page);
	quiet_end(&q);
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(pages_held(), 1);
	expect_pages(40, 1, 8);
	expect_lost(41, 1);
	expect_lost(42, 1);
	write_pages(41, 2, 60);
	expect_pages(41, 2, 60);
}

static void a_failed_read_is_eio_and_may_work_again(void **state)
{
	struct sw_store_stats st;

	write_pages(40, 3, 8);
	disk_says(-EREMOTEIO, 0);
	expect_lost_silently(40, 3);
	expect_pages(40, 3, 8);
	disk_says(-EREMOTEIO, 0);
	expect_lost(41, 1);
	expect_pages(41, 2, 9);
	sw_disk_stats(disk, &st);
	assert_int_equal(st.read_errors, 1);
	assert_int_equal(st.write_errors, 0);
}

/* The page is there: whoever asked is to ask again. */
static void a_read_without_memory_says_so(void **state)
{
	write_pages(40, 1, 8);
	disk_says(-ENOMEM, 0);
	assert_int_equal(ops->read(disk, 40, 1, back), -ENOMEM);
	expect_pages(40, 1, 8);
}

static void short_transfers_go_on(void **state)
{
	disk_says(0, 1536);
	write_pages(50, 5, 20);
	expect_pages(50, 5, 20);
	assert_true(fault_calls >= 28);
	sw_disk_fault = NULL;
	expect_pages(50, 5, 20);
}

static void interrupted_transfers_are_made_again(void **state)
{
	disk_says(-EINTR, 0);
	write_pages(50, 5, 20);
	disk_says(-EINTR, 0);
	expect_pages(50, 5, 20);
	assert_int_equal(fault_calls, 2);
}

/* ---- how ---- */

static void the_page_cache_is_passed_by(void **state)
{
	struct sw_disk_info info;
	int fd = disk_file();

	sw_disk_info(disk, &info);
	if (fcntl(fd, F_SETFL, O_DIRECT))
		skip();
	assert_true(info.direct);
	close(fd);
}

/* In a process of its own, which can never have a ring again. The store that
 * is open is its parent's. */
static void without_rings(void)
{
	struct sw_disk_info info;
	struct quiet q = quiet_begin();

	forbid_io_uring();
	disk = disk_new(SLOTS);
	quiet_end(&q);
	assert_non_null(disk);
	sw_disk_info(disk, &info);
	assert_false(info.uring);
	write_pages(1, 80, 100);
	expect_pages(1, 80, 100);
}

static void without_io_uring_it_works_as_well(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		without_rings();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(pages_come_back_one_by_one_and_in_batches),
		DISK_TEST(buffers_may_lie_anywhere),
		DISK_TEST(what_was_not_written_or_is_free_is_an_error),
		DISK_TEST(the_header_and_what_is_outside_are_refused),
		DISK_TEST(a_file_cut_off_is_an_error_also_when_it_grows_again),
		DISK_TEST(a_changed_bit_is_found),
		DISK_TEST(the_page_of_another_slot_is_found),
		DISK_TEST(an_older_page_of_the_slot_is_found),
		DISK_TEST(a_failed_write_leaves_the_slots_empty),
		DISK_TEST(a_failed_read_is_eio_and_may_work_again),
		DISK_TEST(a_read_without_memory_says_so),
		DISK_TEST(short_transfers_go_on),
		DISK_TEST(interrupted_transfers_are_made_again),
		DISK_TEST(the_page_cache_is_passed_by),
		DISK_TEST(without_io_uring_it_works_as_well),
	};

	int failed = cmocka_run_group_tests_name("plain", tests, NULL, NULL);

	disk_encrypts = true;
	return failed +
	       cmocka_run_group_tests_name("encrypted", tests, NULL, NULL);
}
