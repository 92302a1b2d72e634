/*
 * test_disk_late.c - a batch to a swap file whose disk does not answer: who waits
 * is told, and nothing that comes late does any harm. Needs io_uring.
 */
#include "batch.h"

#include "store/disk_ring.h"

#define NR 6u

/* In place of the file: a pipe that nobody else has (see test_disk_ring.c). */
static struct sw_rings *file_rings;
static int device;

static void become_pipe(void)
{
	char both[32];
	int end[2];

	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	snprintf(both, sizeof(both), "/proc/self/fd/%d", end[0]);
	device = open(both, O_RDWR | O_CLOEXEC);
	close(end[0]);
	close(end[1]);
	assert_int_equal(fcntl(device, F_SETPIPE_SZ, 2 * SW_PAGE_SIZE),
			 2 * SW_PAGE_SIZE);
	sw_rings_patience_ns[0] = sw_rings_patience_ns[1] = 20000000;
	file_rings = disk->rings;
	disk->rings = sw_rings_open(device, "test");
	assert_non_null(disk->rings);
}

static void become_file(void)
{
	sw_rings_close(disk->rings);
	disk->rings = file_rings;
	close(device);
	sw_rings_patience_ns[0] = 1000000000;
	sw_rings_patience_ns[1] = 30000000000;
}

static uint64_t errors_counted(void)
{
	struct sw_store_stats st;

	sw_disk_stats(disk, &st);
	return st.read_errors + st.write_errors;
}

static void add_apart(void)
{
	for (unsigned i = 0; i < NR; i++)
		add(40 + 4 * i, 1);
}

static void late_reads_are_told_and_leave_memory_alone(void **state)
{
	struct quiet q;

	add_apart();
	write_all(0);
	become_pipe();
	q = quiet_begin();
	run(false);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(io[i].err, -EINPROGRESS);
	/* Again: one of them is waited for alone, the others are not asked. */
	run(false);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(io[i].err, -EINPROGRESS);
	assert_int_equal(sw_rings_late(disk->rings), 2);
	memset(want, 1, sizeof(want));
	for (unsigned i = 0; i < NR + 1; i++)
		assert_int_equal(write(device, want, SW_PAGE_SIZE),
				 SW_PAGE_SIZE);
	while (sw_rings_late(disk->rings))
		;
	quiet_end(&q);
	for (unsigned i = 0; i < NR; i++)
		for (unsigned k = 0; k < SW_PAGE_SIZE; k++)
			assert_int_equal(memory[i][k], 0x5a);
	assert_int_equal(errors_counted(), 0);
	become_file();
	expect_all(0);
}

static void late_encrypted_reads_can_be_read_later(void **state)
{
	late_reads_are_told_and_leave_memory_alone(state);
}

static void late_writes_are_refused_and_their_slots_empty(void **state)
{
	unsigned refused = 0;
	struct quiet q;

	add_apart();
	fill(0);
	become_pipe();
	q = quiet_begin();
	run(true);
	for (unsigned i = 0; i < NR; i++) {
		assert_true(!io[i].err || io[i].err == -ETIMEDOUT);
		refused += io[i].err != 0;
	}
	/* Two of them fit into the pipe. */
	assert_int_equal(refused, NR - 2);
	assert_int_equal(errors_counted(), NR - 2);
	assert_int_equal(pages_held(), 2);
	/* It is not asked again. */
	sw_rings_patience_ns[0] = sw_rings_patience_ns[1] = 3600000000000ull;
	run(true);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(io[i].err, -ETIMEDOUT);
	assert_int_equal(pages_held(), 0);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(read(device, want, SW_PAGE_SIZE),
				 SW_PAGE_SIZE);
	while (sw_rings_late(disk->rings))
		;
	quiet_end(&q);
	become_file();
	write_all(1);
	expect_all(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(late_reads_are_told_and_leave_memory_alone),
		CRYPT_TEST(late_encrypted_reads_can_be_read_later),
		DISK_TEST(late_writes_are_refused_and_their_slots_empty),
	};
	struct sw_rings *rings = sw_rings_open(0, "test");

	if (!rings) {
		print_message("needs io_uring, which is forbidden here\n");
		return 77;
	}
	sw_rings_close(rings);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
