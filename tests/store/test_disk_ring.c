/*
 * test_disk_ring.c - requests that get no answer in time. The device is a
 * pipe: a read hangs until something is written to it, a write of more than it
 * holds until something is read. It knows no positions, and the rings do not
 * know that.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "quiet.h"
#include "store/disk_ring.h"

#define PG SW_PAGE_SIZE

static struct sw_rings *rings;
static int device;
static unsigned char page[64 * PG], back[64 * PG];

static int setup(void **state)
{
	char both[32];
	int end[2];

	(void)state;
	if (pipe2(end, O_CLOEXEC))
		return -1;
	snprintf(both, sizeof(both), "/proc/self/fd/%d", end[0]);
	device = open(both, O_RDWR | O_CLOEXEC);
	close(end[0]);
	close(end[1]);
	sw_rings_patience_ns[0] = sw_rings_patience_ns[1] = 20000000;
	rings = sw_rings_open(device, "test");
	if (!rings) {
		print_message("skipped: io_uring is forbidden here\n");
		exit(77);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sw_rings_close(rings);
	close(device);
	return 0;
}

static ssize_t move(bool write, unsigned slot, unsigned nr)
{
	ssize_t n = 0;

	assert_true(sw_rings_move(rings, write, write ? page : back, nr * PG,
				  slot * PG, &n));
	return n;
}

/* The device's answer to a read. */
static void answer(unsigned char value, unsigned nr)
{
	memset(page, value, nr * PG);
	assert_int_equal(write(device, page, nr * PG), nr * PG);
}

static void expect_read(unsigned slot, unsigned nr, unsigned char value)
{
	/* A pipe gives what there is. */
	for (unsigned done = 0; done < nr * PG;) {
		ssize_t n = 0;

		assert_true(sw_rings_move(rings, false, back + done,
					  nr * PG - done, slot * PG + done,
					  &n));
		assert_true(n > 0);
		done += n;
	}
	for (unsigned i = 0; i < nr * PG; i++)
		assert_int_equal(back[i], value);
}

static void wait_until_late_are(unsigned nr)
{
	while (sw_rings_late(rings) != nr)
		;
}

static void answer_in_time_is_no_matter(void **state)
{
	answer(7, 2);
	expect_read(5, 2, 7);
	assert_int_equal(sw_rings_late(rings), 0);
}

static void late_read_is_told_and_its_answer_found_later(void **state)
{
	struct quiet q = quiet_begin();

	assert_int_equal(move(false, 5, 1), -EINPROGRESS);
	assert_int_equal(sw_rings_late(rings), 1);
	/* Once more costs no time. */
	sw_rings_patience_ns[0] = 3600000000000ull;
	assert_int_equal(move(false, 5, 1), -EINPROGRESS);
	/* Of its end people hear, too. */
	answer(9, 1);
	wait_until_late_are(0);
	assert_int_equal(quiet_end(&q), 2);
	expect_read(5, 1, 9);
	answer(10, 1);
	expect_read(5, 1, 10);
}

static void memory_of_a_late_read_is_left_alone(void **state)
{
	struct quiet q = quiet_begin();

	memset(back, 3, PG);
	assert_int_equal(move(false, 5, 1), -EINPROGRESS);
	answer(9, 1);
	wait_until_late_are(0);
	quiet_end(&q);
	for (unsigned i = 0; i < PG; i++)
		assert_int_equal(back[i], 3);
}

static void part_of_a_late_read_is_found_in_it(void **state)
{
	struct quiet q = quiet_begin();
	ssize_t n;

	assert_int_equal(move(false, 8, 2), -EINPROGRESS);
	memset(page, 1, PG);
	memset(page + PG, 2, PG);
	assert_int_equal(write(device, page, 2 * PG), 2 * PG);
	wait_until_late_are(0);
	quiet_end(&q);
	n = move(false, 9, 1);
	assert_int_equal(n, PG);
	assert_int_equal(back[0], 2);
}

static void write_voids_what_was_read_before(void **state)
{
	struct quiet q = quiet_begin();

	assert_int_equal(move(false, 5, 1), -EINPROGRESS);
	/* Which the pipe then gives to that read. */
	assert_int_equal(move(true, 5, 1), PG);
	wait_until_late_are(0);
	quiet_end(&q);
	answer(11, 1);
	expect_read(5, 1, 11);
}

static void device_that_owes_a_write_is_asked_nothing_more(void **state)
{
	struct quiet q = quiet_begin();
	ssize_t n;

	assert_int_equal(fcntl(device, F_SETPIPE_SZ, 2 * PG), 2 * PG);
	while ((n = move(true, 5, 1)) > 0)
		;
	assert_int_equal(n, -ETIMEDOUT);
	sw_rings_patience_ns[0] = sw_rings_patience_ns[1] = 3600000000000ull;
	assert_int_equal(move(true, 9, 1), -ETIMEDOUT);
	assert_int_equal(move(false, 9, 1), -EINPROGRESS);
	assert_int_equal(read(device, back, 2 * PG), 2 * PG);
	wait_until_late_are(0);
	quiet_end(&q);
	assert_int_equal(read(device, back, 2 * PG), PG);
	answer(12, 1);
	expect_read(9, 1, 12);
}

static void many_late_reads_leave_the_device_in_peace(void **state)
{
	struct quiet q = quiet_begin();
	unsigned late;

	for (unsigned slot = 10; slot < 30; slot++)
		assert_int_equal(move(false, slot, 1), -EINPROGRESS);
	late = sw_rings_late(rings);
	assert_in_range(late, 2, 6);
	for (unsigned i = 0; i < late; i++)
		answer(13, 1);
	wait_until_late_are(0);
	/* One line at the beginning, one at the end. */
	assert_int_equal(quiet_end(&q), 2);
	/* Those that nobody asks for again keep no ring for ever. */
	for (unsigned slot = 100; slot < 120; slot++) {
		answer(slot, 1);
		expect_read(slot, 1, slot);
	}
}

/* ---- many at once ---- */

#define MAX_REQS 8u

static struct sw_disk_req req[MAX_REQS];
static struct iovec iov[MAX_REQS];
static unsigned looks;

static void look(void *arg, struct sw_disk_req *r)
{
	(void)arg;
	(void)r;
	looks++;
}

/* Requests of one page each, none beside another. */
static void run(bool write, unsigned nr)
{
	struct sw_disk_reqs reqs = {
		.req = req, .nr = nr, .write = write, .look = look
	};

	looks = 0;
	for (unsigned i = 0; i < nr; i++) {
		iov[i] = (struct iovec){ (write ? page : back) + i * PG, PG };
		req[i] = (struct sw_disk_req){ .iov = &iov[i],
					       .nr_iov = 1,
					       .len = PG,
					       .pos = (40 + 2 * i) * PG };
	}
	assert_true(sw_rings_run(rings, &reqs));
}

/* So many have this result. */
static void expect_results(unsigned nr, ssize_t res)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_REQS; i++)
		n += req[i].res == res;
	assert_int_equal(n, nr);
}

static void batch_in_time_is_no_matter(void **state)
{
	answer(7, MAX_REQS);
	run(false, MAX_REQS);
	expect_results(MAX_REQS, PG);
	assert_int_equal(looks, MAX_REQS);
	for (unsigned i = 0; i < MAX_REQS * PG; i++)
		assert_int_equal(back[i], 7);
	assert_int_equal(sw_rings_late(rings), 0);
}

static void late_reads_of_a_batch_are_void(void **state)
{
	struct quiet q = quiet_begin();
	unsigned kept = 0;

	memset(back, 3, sizeof(back));
	answer(5, 1);
	run(false, MAX_REQS);
	expect_results(1, PG);
	expect_results(MAX_REQS - 1, -EINPROGRESS);
	assert_int_equal(looks, 1);
	assert_int_equal(sw_rings_late(rings), 1);
	/* No batch while answers are owed, and it costs no time to hear so. */
	sw_rings_patience_ns[0] = 3600000000000ull;
	run(false, MAX_REQS);
	expect_results(MAX_REQS, 0);
	answer(9, MAX_REQS - 2);
	/* All of them have to come. */
	assert_int_equal(sw_rings_late(rings), 1);
	answer(9, 1);
	wait_until_late_are(0);
	/* One line at the beginning, one at the end. */
	assert_int_equal(quiet_end(&q), 2);
	for (unsigned i = 0; i < MAX_REQS; i++)
		kept += back[i * PG] == 3 && back[i * PG + PG - 1] == 3;
	assert_int_equal(kept, MAX_REQS - 1);
	answer(11, 1);
	expect_read(42, 1, 11);
	answer(12, MAX_REQS);
	run(false, MAX_REQS);
	expect_results(MAX_REQS, PG);
}

static void reads_of_a_late_batch_can_be_had_one_by_one(void **state)
{
	struct quiet q = quiet_begin();

	run(false, 2);
	assert_int_equal(move(false, 42, 1), -EINPROGRESS);
	assert_int_equal(sw_rings_late(rings), 2);
	answer(9, 3);
	wait_until_late_are(0);
	quiet_end(&q);
	expect_read(42, 1, 9);
}

static void late_writes_of_a_batch_hold_the_device(void **state)
{
	struct quiet q = quiet_begin();

	assert_int_equal(fcntl(device, F_SETPIPE_SZ, 2 * PG), 2 * PG);
	run(true, MAX_REQS);
	expect_results(2, PG);
	expect_results(MAX_REQS - 2, -ETIMEDOUT);
	assert_int_equal(looks, MAX_REQS);
	sw_rings_patience_ns[0] = sw_rings_patience_ns[1] = 3600000000000ull;
	assert_int_equal(move(true, 9, 1), -ETIMEDOUT);
	assert_int_equal(move(false, 9, 1), -EINPROGRESS);
	run(true, MAX_REQS);
	expect_results(MAX_REQS, 0);
	for (unsigned i = 0; i < MAX_REQS; i++) {
		assert_true(i > MAX_REQS - 4 || sw_rings_late(rings) == 1);
		assert_int_equal(read(device, back, PG), PG);
	}
	wait_until_late_are(0);
	assert_int_equal(quiet_end(&q), 2);
	run(true, 2);
	assert_int_equal(req[1].res, PG);
}

static void a_batch_of_writes_voids_late_reads(void **state)
{
	struct quiet q = quiet_begin();

	assert_int_equal(move(false, 42, 1), -EINPROGRESS);
	answer(9, 1);
	wait_until_late_are(0);
	quiet_end(&q);
	run(true, 2);
	assert_int_equal(read(device, back, 2 * PG), 2 * PG);
	answer(11, 1);
	expect_read(42, 1, 11);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(answer_in_time_is_no_matter),
		T(late_read_is_told_and_its_answer_found_later),
		T(memory_of_a_late_read_is_left_alone),
		T(part_of_a_late_read_is_found_in_it),
		T(write_voids_what_was_read_before),
		T(device_that_owes_a_write_is_asked_nothing_more),
		T(many_late_reads_leave_the_device_in_peace),
		T(batch_in_time_is_no_matter),
		T(late_reads_of_a_batch_are_void),
		T(reads_of_a_late_batch_can_be_had_one_by_one),
		T(late_writes_of_a_batch_hold_the_device),
		T(a_batch_of_writes_voids_late_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
