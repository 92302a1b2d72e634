/*
 * test_disk_discard.c - a file that is told which slots are free: their bytes
 * are gone, its room is not, and all others come back as they were.
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

_Alignas(SW_PAGE_SIZE) static unsigned char page[SW_PAGE_SIZE],
	back[SW_PAGE_SIZE];

static const struct swap_ops *const ops = &sw_disk_ops;
static struct sw_disk *disk;

static bool discards(void)
{
	struct sw_disk_info info;

	sw_disk_info(disk, &info);
	return info.discards;
}

static int setup(void **state)
{
	if (!disk_folder_make()) {
		print_message("skipped: needs /var/tmp on a disk\n");
		exit(77);
	}
	disk_discards = true;
	disk = disk_new(SLOTS);
	if (disk && !discards()) {
		print_message("skipped: needs holes in files of /var/tmp\n");
		exit(77);
	}
	return !disk;
}

static int teardown(void **state)
{
	sw_disk_close(disk);
	disk_folder_remove();
	return 0;
}

static void write_page(uint64_t slot)
{
	page_make(slot, page);
	assert_int_equal(ops->write(disk, slot, 1, page), 0);
}

static void expect_page(uint64_t slot)
{
	page_make(slot, page);
	assert_int_equal(ops->read(disk, slot, 1, back), 0);
	assert_memory_equal(back, page, SW_PAGE_SIZE);
}

/* Past the store. */
static bool is_zeros(uint64_t slot)
{
	static const unsigned char zeros[SW_PAGE_SIZE];
	int fd = disk_file();

	assert_int_equal(pread(fd, back, SW_PAGE_SIZE, slot * SW_PAGE_SIZE),
			 SW_PAGE_SIZE);
	close(fd);
	return !memcmp(back, zeros, SW_PAGE_SIZE);
}

static void expect_all_room(void)
{
	int fd = disk_file();
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(st.st_size, SLOTS * SW_PAGE_SIZE);
	assert_true(st.st_blocks * 512ULL >= SLOTS * SW_PAGE_SIZE);
}

static void bytes_of_free_slots_are_gone_and_their_room_is_kept(void **state)
{
	for (uint64_t slot = 1; slot < SLOTS; slot++)
		write_page(slot);
	ops->slot_free(disk, 64, 512);
	assert_false(is_zeros(64));
	assert_int_equal(ops->discard(disk, 64, 512), 0);
	for (uint64_t slot = 64; slot < 64 + 512; slot++)
		assert_true(is_zeros(slot));
	expect_page(63);
	expect_page(64 + 512);
	expect_all_room();
	write_page(64);
	expect_page(64);
}

static void all_of_it_leaves_the_header(void **state)
{
	write_page(1);
	write_page(SLOTS - 1);
	ops->slot_free(disk, 1, 1);
	ops->slot_free(disk, SLOTS - 1, 1);
	assert_int_equal(ops->discard(disk, 1, SLOTS - 1), 0);
	assert_false(is_zeros(0));
	assert_true(is_zeros(1));
	assert_true(is_zeros(SLOTS - 1));
	expect_all_room();
}

static void what_is_outside_is_refused(void **state)
{
	struct quiet q = quiet_begin();
	int header = ops->discard(disk, 0, 1);
	int beyond = ops->discard(disk, SLOTS - 1, 2);

	assert_int_equal(quiet_end(&q), 2);
	assert_int_equal(header, -EINVAL);
	assert_int_equal(beyond, -EINVAL);
	assert_false(is_zeros(0));
}

/* ---- room that is not given back ---- */

/* Taking room without making the file longer says ENOSPC from now on. */
static void fill_the_disk(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FALLOC_FL_KEEP_SIZE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	filter_system_calls(filter, SW_ARRAY_SIZE(filter));
}

static void check_on_a_full_disk(void)
{
	struct quiet q;

	write_page(5);
	write_page(6);
	ops->slot_free(disk, 5, 1);
	fill_the_disk();
	assert_int_equal(ops->discard(disk, 5, 1), -ENOSPC);
	expect_page(6);
	/* A hole is filled by who writes to it, while there is room. */
	write_page(5);
	expect_page(5);

	q = quiet_begin();
	sw_disk_close(disk);
	disk = disk_new(SLOTS);
	assert_int_equal(quiet_end(&q), 1);
	assert_non_null(disk);
	assert_false(discards());
	write_page(SLOTS - 1);
	expect_page(SLOTS - 1);
}

static void a_disk_that_fills_up_is_an_error(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		check_on_a_full_disk();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define DISCARD_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISCARD_TEST(
			bytes_of_free_slots_are_gone_and_their_room_is_kept),
		DISCARD_TEST(all_of_it_leaves_the_header),
		DISCARD_TEST(what_is_outside_is_refused),
		DISCARD_TEST(a_disk_that_fills_up_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
