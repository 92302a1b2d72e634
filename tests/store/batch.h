/*
 * batch.h - a swap file for each test, and pieces of one batch: what each slot
 * holds is made from its number. For files with tests in cmocka.
 */
#ifndef SW_STORE_BATCH_H
#define SW_STORE_BATCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "disk_file.h"
#include "pages.h"
#include "quiet.h"

#define SLOTS     900u
#define MAX_PAGES 400u

_Alignas(SW_PAGE_SIZE) static unsigned char memory[MAX_PAGES + 1][SW_PAGE_SIZE];
static unsigned char want[SW_PAGE_SIZE];

static struct sw_disk *disk;
static struct swap_io io[MAX_PAGES];
static unsigned nr_io, nr_pages;

static inline void io_reset(void)
{
	nr_io = nr_pages = 0;
}

static inline int setup(void **state)
{
	if (!disk_folder_make()) {
		print_message("skipped: needs /var/tmp on a disk\n");
		exit(77);
	}
	disk_encrypts = false;
	disk = disk_new(SLOTS);
	io_reset();
	return !disk;
}

static inline int setup_encrypted(void **state)
{
	int err = setup(state);

	sw_disk_close(disk);
	unlink(disk_path);
	disk_encrypts = true;
	disk = disk_new(SLOTS);
	return err || !disk;
}

static inline int teardown(void **state)
{
	sw_disk_fault = NULL;
	sw_disk_close(disk);
	disk_folder_remove();
	return 0;
}

/* A piece whose memory begins with page `at` of ours. */
static inline void add_at(uint64_t slot, unsigned nr, unsigned at)
{
	io[nr_io] = (struct swap_io){
		.entry = swp_entry(3, slot),
		.nr = nr,
		.err = 77,
		.pages = memory[at],
		.tag = nr_io,
	};
	nr_io++;
}

/* Its memory follows that of the last one. */
static inline void add(uint64_t slot, unsigned nr)
{
	add_at(slot, nr, nr_pages);
	nr_pages += nr;
}

/* The page that slot `slot` has in these tests, the nth time. */
static inline uint64_t number_of(uint64_t slot, unsigned nth)
{
	return slot * 8 + nth + 1;
}

static inline void fill(unsigned nth)
{
	for (unsigned i = 0; i < nr_io; i++)
		for (unsigned k = 0; k < io[i].nr; k++)
			page_make(number_of(swp_offset(io[i].entry) + k, nth),
				  (unsigned char *)io[i].pages +
					  k * SW_PAGE_SIZE);
}

static inline void run(bool write)
{
	for (unsigned i = 0; i < nr_io; i++)
		io[i].err = 77;
	if (!write)
		memset(memory, 0x5a, sizeof(memory));
	sw_disk_ops.batch(disk, write, io, nr_io);
}

static inline void write_all(unsigned nth)
{
	fill(nth);
	run(true);
	for (unsigned i = 0; i < nr_io; i++)
		assert_int_equal(io[i].err, 0);
}

/* Piece i was read, and is what was written the nth time. */
static inline void expect_piece(unsigned i, unsigned nth)
{
	assert_int_equal(io[i].err, 0);
	for (unsigned k = 0; k < io[i].nr; k++) {
		page_make(number_of(swp_offset(io[i].entry) + k, nth), want);
		assert_memory_equal((unsigned char *)io[i].pages +
					    k * SW_PAGE_SIZE,
				    want, SW_PAGE_SIZE);
	}
}

static inline void expect_all(unsigned nth)
{
	run(false);
	for (unsigned i = 0; i < nr_io; i++)
		expect_piece(i, nth);
}

static inline uint64_t pages_held(void)
{
	struct sw_store_stats st;

	sw_disk_stats(disk, &st);
	return st.pages;
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CRYPT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_encrypted, teardown)

#endif
