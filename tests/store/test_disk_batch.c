/*
 * test_disk_batch.c - many slots of a swap file at once, first with io_uring,
 * then without it: what goes in one request, and that whatever happens to one
 * piece happens to no other.
 */
#include "batch.h"

/* ---- what the disk is asked, and says ---- */

static unsigned calls, failing[2], nr_failing;
static size_t longest, short_len;

/* Calls are numbered from 1. */
static int fault(bool write, size_t *len)
{
	calls++;
	longest = sw_max(longest, *len);
	for (unsigned i = 0; i < nr_failing; i++)
		if (calls == failing[i])
			return write ? -ENOSPC : -EREMOTEIO;
	if (short_len)
		*len = sw_min(*len, short_len);
	return 0;
}

static void watch(void)
{
	calls = nr_failing = 0;
	longest = short_len = 0;
	sw_disk_fault = fault;
}

static void neighbours_go_in_one_request(void **state)
{
	for (unsigned i = 0; i < 32; i++)
		add_at(10 + i, 1, 3 * i); /* scattered in memory */
	add_at(42, 16, 100);
	watch();
	write_all(0);
	assert_int_equal(calls, 1);
	assert_int_equal(longest, 48 * SW_PAGE_SIZE);
	watch();
	expect_all(0);
	assert_int_equal(calls, 1);
	assert_int_equal(pages_held(), 48);
}

static void requests_have_a_largest_size(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		add(100 + 64 * i, 64);
	watch();
	write_all(0);
	assert_int_equal(calls, 5);
	assert_int_equal(longest, 64 * SW_PAGE_SIZE);
	watch();
	expect_all(0); /* not all at once: there is no room for that */
	assert_int_equal(calls, 5);
	io_reset();
	add(100, 80); /* larger than that */
	add(180, 1);
	expect_all(0);
}

static void what_is_apart_goes_apart(void **state)
{
	add(10, 2);
	add(13, 1);
	add(12, 1); /* follows the first, but comes later */
	add(800, 4);
	watch();
	write_all(0);
	assert_int_equal(calls, 4);
	expect_all(0);
}

static void batches_may_have_any_length(void **state)
{
	for (unsigned n = 1; n <= MAX_PAGES; n += n / 3 + 1) {
		io_reset();
		for (unsigned i = 0; i < n; i++)
			add(1 + 2 * i, 1);
		write_all(n % 8);
		expect_all(n % 8);
		assert_int_equal(pages_held(), n);
		for (unsigned i = 0; i < n; i++)
			sw_disk_ops.slot_free(disk, 1 + 2 * i, 1);
	}
	sw_disk_ops.batch(disk, true, io, 0);
}

static void what_was_written_twice_counts_once(void **state)
{
	add(20, 3);
	add(23, 2);
	write_all(0);
	write_all(1);
	assert_int_equal(pages_held(), 5);
	expect_all(1);
	assert_int_equal(sw_disk_ops.read(disk, 21, 1, memory[0]), 0);
	page_make(number_of(21, 1), want);
	assert_memory_equal(memory[0], want, SW_PAGE_SIZE);
}

/* ---- one of them fails ---- */

#define NR 6u

/* Six pieces of one request, of which piece `bad` is refused also when it is
 * tried alone. */
static void arm(unsigned bad)
{
	watch();
	failing[0] = 1;
	failing[1] = 2 + bad;
	nr_failing = 2;
}

static void add_six(void)
{
	for (unsigned i = 0; i < NR; i++)
		add(40 + 2 * i, 2);
}

static void a_piece_that_cannot_be_written_is_empty_and_no_other(void **state)
{
	add_six();
	for (unsigned bad = 0; bad < NR; bad++) {
		sw_disk_fault = NULL;
		write_all(0);
		fill(1);
		arm(bad);
		run(true);
		for (unsigned i = 0; i < NR; i++)
			assert_int_equal(io[i].err, i == bad ? -ENOSPC : 0);
		assert_int_equal(pages_held(), 2 * NR - 2);
		watch();
		struct quiet q = quiet_begin();

		run(false);
		assert_int_equal(quiet_end(&q), 1);
		for (unsigned i = 0; i < NR; i++) {
			if (i == bad)
				assert_int_equal(io[i].err, -EIO);
			else
				expect_piece(i, 1);
		}
	}
}

/* What was read, but for piece `bad`. */
static void expect_lost(unsigned bad)
{
	for (unsigned i = 0; i < NR; i++) {
		if (i == bad)
			assert_int_equal(io[i].err, -EIO);
		else
			expect_piece(i, 0);
	}
}

static void a_piece_that_cannot_be_read_is_lost_and_no_other(void **state)
{
	struct quiet q;

	add_six();
	write_all(0);
	for (unsigned bad = 0; bad < NR; bad++) {
		arm(bad);
		q = quiet_begin();
		run(false);
		/* Which of its pages it is says who reads them one by one. */
		assert_int_equal(quiet_end(&q), 0);
		expect_lost(bad);
		sw_disk_fault = NULL;
		expect_all(0);
	}
}

/* Of encrypted bytes any may be there. */
static void spoil(int fd, uint64_t at)
{
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void a_spoiled_page_is_found_and_no_other(void **state)
{
	struct quiet q;
	int fd = disk_file();

	add_six();
	for (unsigned bad = 0; bad < NR; bad++) {
		write_all(0);
		spoil(fd, (41 + 2 * bad) * SW_PAGE_SIZE + 99);
		q = quiet_begin();
		run(false);
		assert_int_equal(quiet_end(&q), 1);
		expect_lost(bad);
	}
	close(fd);
}

static void an_error_that_passes_is_none(void **state)
{
	add_six();
	watch();
	failing[0] = nr_failing = 1;
	write_all(0);
	assert_int_equal(calls, 1 + NR);
	watch();
	failing[0] = nr_failing = 1;
	expect_all(0);
	assert_int_equal(pages_held(), 2 * NR);
}

static void short_transfers_are_completed(void **state)
{
	add_six();
	for (size_t len = 512; len < 3 * SW_PAGE_SIZE; len += 1536) {
		watch();
		short_len = len;
		write_all(len / 512 % 8);
		expect_all(len / 512 % 8);
		assert_int_equal(pages_held(), 2 * NR);
	}
}

static void a_file_cut_off_has_what_is_before_the_cut(void **state)
{
	struct quiet q;
	int fd = disk_file();

	add_six();
	write_all(0);
	assert_int_equal(ftruncate(fd, 45 * SW_PAGE_SIZE), 0);
	q = quiet_begin();
	run(false);
	quiet_end(&q);
	for (unsigned i = 0; i < NR; i++) {
		if (i < 2)
			expect_piece(i, 0);
		else
			assert_int_equal(io[i].err, -EIO);
	}
	close(fd);
}

/* ---- odd ones among others ---- */

static void odd_pieces_go_alone(void **state)
{
	struct quiet q;

	add(50, 2);
	add(0, 1);         /* the header */
	add(52, 1);        /* its memory is moved off the page's border */
	add(SLOTS - 1, 2); /* beyond the end */
	add(53, 2);
	io[2].pages = (unsigned char *)memory[200] + 24;
	fill(0);
	q = quiet_begin();
	run(true);
	assert_int_equal(quiet_end(&q), 2);
	for (unsigned i = 0; i < nr_io; i++)
		assert_int_equal(io[i].err, i == 1 || i == 3 ? -EINVAL : 0);
	assert_int_equal(pages_held(), 5);
	q = quiet_begin();
	run(false);
	quiet_end(&q);
	for (unsigned i = 0; i < nr_io; i += 2)
		expect_piece(i, 0);
	assert_int_equal(io[1].err, -EINVAL);
	assert_int_equal(io[3].err, -EINVAL);
}

static void neighbours_with_an_odd_piece_between_go_apart(void **state)
{
	struct quiet q;

	add(50, 2);
	add(0, 1); /* the header */
	add(52, 2);
	fill(0);
	watch();
	for (unsigned write = 2; write-- > 0;) {
		q = quiet_begin();
		run(write);
		quiet_end(&q);
		assert_int_equal(io[1].err, -EINVAL);
		assert_int_equal(io[0].err, 0);
		assert_int_equal(io[2].err, 0);
	}
	expect_piece(0, 0);
	expect_piece(2, 0);
	assert_int_equal(calls, 4);
}

/* What a disk would refuse is not put into a request, which would have to be
 * made again piece by piece. */
static void odd_pieces_spoil_no_request(void **state)
{
	add(50, 1);
	add(51, 1); /* its memory is moved off the page's border */
	io[1].pages = (unsigned char *)memory[200] + 24;
	watch();
	write_all(0);
	assert_int_equal(calls, disk->direct ? 2 : 1);
	watch();
	expect_all(0);
	assert_int_equal(calls, disk->direct ? 2 : 1);
}

static void a_slot_that_was_not_written_is_an_error_of_its_own(void **state)
{
	struct quiet q;

	add(60, 2);
	add(62, 2);
	add(64, 2);
	write_all(0);
	sw_disk_ops.slot_free(disk, 63, 1);
	watch();
	q = quiet_begin();
	run(false);
	assert_int_equal(quiet_end(&q), 1);
	expect_piece(0, 0);
	assert_int_equal(io[1].err, -EIO);
	expect_piece(2, 0);
	assert_int_equal(calls, 2);
}

/* ---- encrypted ---- */

static void encrypted_pieces_are_written_alone_and_read_together(void **state)
{
	add_six();
	watch();
	write_all(0);
	assert_int_equal(calls, NR);
	watch();
	expect_all(0);
	assert_int_equal(calls, 1);
	write_all(1);
	expect_all(1);
	assert_int_equal(pages_held(), 2 * NR);
}

static int run_group(const char *how)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(neighbours_go_in_one_request),
		DISK_TEST(requests_have_a_largest_size),
		DISK_TEST(what_is_apart_goes_apart),
		DISK_TEST(batches_may_have_any_length),
		DISK_TEST(what_was_written_twice_counts_once),
		DISK_TEST(a_piece_that_cannot_be_written_is_empty_and_no_other),
		DISK_TEST(a_piece_that_cannot_be_read_is_lost_and_no_other),
		DISK_TEST(a_spoiled_page_is_found_and_no_other),
		DISK_TEST(an_error_that_passes_is_none),
		DISK_TEST(short_transfers_are_completed),
		DISK_TEST(a_file_cut_off_has_what_is_before_the_cut),
		DISK_TEST(odd_pieces_go_alone),
		DISK_TEST(neighbours_with_an_odd_piece_between_go_apart),
		DISK_TEST(odd_pieces_spoil_no_request),
		DISK_TEST(a_slot_that_was_not_written_is_an_error_of_its_own),
		CRYPT_TEST(
			encrypted_pieces_are_written_alone_and_read_together),
		CRYPT_TEST(a_spoiled_page_is_found_and_no_other),
	};

	return cmocka_run_group_tests_name(how, tests, NULL, NULL);
}

int main(void)
{
	int failed = run_group("io_uring");

	forbid_io_uring();
	return failed + run_group("threads");
}
