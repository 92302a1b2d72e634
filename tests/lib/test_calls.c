/* test_calls.c - each call by itself: what it does, and what it refuses. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

static unsigned nr_resident(unsigned char *mem, size_t bytes)
{
	unsigned char vec[4 * MIB / PAGE];
	unsigned nr = 0;

	assert_true(bytes <= 4 * MIB);
	assert_int_equal(mincore(mem, bytes, vec), 0);
	for (unsigned i = 0; i < bytes / PAGE; i++)
		nr += vec[i] & 1;
	return nr;
}

/* ---- what is refused ---- */

static void input_that_makes_no_sense_is_an_error(void **state)
{
	struct spillway_region_options o = { .size = sizeof(o) };
	struct spillway_stats st = { 0 };
	char other[2 * PAGE];
	unsigned char *mem = alloc_region(MIB);
	void *addr;

	assert_int_equal(spillway_alloc(NULL, MIB, NULL, &addr), -EBADF);
	assert_int_equal(spillway_alloc((spillway_t *)other, MIB, NULL, &addr),
			 -EBADF);
	assert_int_equal(spillway_alloc(sp, 0, NULL, &addr), -EINVAL);
	assert_int_equal(spillway_alloc(sp, MIB, NULL, NULL), -EINVAL);
	assert_int_equal(spillway_alloc(sp, SIZE_MAX, NULL, &addr), -ENOMEM);
	assert_int_equal(spillway_alloc(sp, 1ull << 45, NULL, &addr), -ENOMEM);
	o.alignment = 3;
	assert_int_equal(spillway_alloc(sp, MIB, &o, &addr), -EINVAL);
	o.alignment = 0;
	o.flags = 1u << 31;
	assert_int_equal(spillway_alloc(sp, MIB, &o, &addr), -EINVAL);
	assert_int_equal(spillway_free(sp, NULL), -EINVAL);
	assert_int_equal(spillway_free(sp, other), -EINVAL);
	assert_int_equal(spillway_free(sp, mem + PAGE), -EINVAL);
	assert_int_equal(spillway_resize(sp, mem + PAGE, MIB, 0, &addr),
			 -EINVAL);
	assert_int_equal(spillway_resize(sp, mem, 0, 0, &addr), -EINVAL);
	assert_int_equal(spillway_resize(sp, mem, MIB, 8, &addr), -EINVAL);
	assert_int_equal(spillway_pin(sp, mem, 0), -EINVAL);
	assert_int_equal(spillway_pin(sp, other, PAGE), -EFAULT);
	assert_int_equal(spillway_pin(sp, mem + MIB - PAGE, 2 * PAGE), -EFAULT);
	assert_int_equal(spillway_pin(sp, mem + PAGE, SIZE_MAX), -EFAULT);
	assert_int_equal(spillway_unpin(sp, mem, PAGE), -EINVAL);
	assert_int_equal(spillway_advise(sp, mem, PAGE, 77), -EINVAL);
	assert_int_equal(spillway_advise(sp, mem - 1, PAGE, SPILLWAY_COLD),
			 -EFAULT);
	assert_int_equal(spillway_prefetch(sp, other, PAGE, NULL, NULL),
			 -EFAULT);
	assert_int_equal(spillway_set_budget(sp, 0), -EINVAL);
	assert_int_equal(spillway_stats(sp, NULL), -EINVAL);
	assert_int_equal(spillway_stats(sp, &st), -EINVAL);
	assert_int_equal(spillway_next_event(sp, NULL), -EINVAL);
	assert_int_equal(spillway_snapshot(sp, other, "/nowhere/at/all"),
			 -EFAULT);
	assert_int_equal(
		spillway_restore(sp, "/nowhere/at/all", NULL, &addr, NULL),
		-ENOENT);
	assert_int_equal(spillway_free(sp, mem), 0);
	assert_int_equal(spillway_free(sp, mem), -EINVAL);
}

static void options_that_make_no_sense_are_explained(void **state)
{
	static const char *const texts[] = {
		"",
		"budget=0",
		"budget=16M;zram",
		"budget=16M;zram:lots",
		"budget=16M;tape:x",
		"budget=16M;delivery=pigeon",
		"budget=16M;zram:1M,prio=x",
		"budget=16M;file:/no/such/folder/file",
		"budget=99999999999T",
	};
	struct spillway_options o = { 0 };
	spillway_t *none;
	char why[200];

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		why[0] = 0;
		assert_true(spillway_open_text(texts[i], why, sizeof(why),
					       &none) < 0);
		assert_true(why[0]);
	}
	assert_int_equal(spillway_open(&o, &none), -EINVAL);
	assert_int_equal(spillway_open(NULL, &none), -EINVAL);
	assert_int_equal(spillway_open_text(NULL, NULL, 0, &none), -EINVAL);
}

static void a_closed_instance_is_known_to_be_closed(void **state)
{
	spillway_t *closed, *again;
	void *addr;

	assert_int_equal(
		spillway_open_text("budget=8M;reserve=4G", NULL, 0, &closed),
		0);
	assert_int_equal(spillway_close(closed), 0);
	assert_int_equal(spillway_close(closed), -EBADF);
	assert_int_equal(
		spillway_open_text("budget=8M;reserve=4G", NULL, 0, &again), 0);
	assert_int_equal(spillway_alloc(closed, MIB, NULL, &addr), -EBADF);
	assert_int_equal(spillway_close(again), 0);
}

/* ---- regions ---- */

static void regions_are_apart_and_begin_with_zeros(void **state)
{
	struct spillway_region_options o = { .size = sizeof(o),
					     .alignment = 1u << 30,
					     .name = "aligned" };
	struct spillway_region_info info = { .size = sizeof(info) };
	unsigned char *a = alloc_region(3 * PAGE), *b = alloc_region(1);
	void *c;

	check_zeros(a, 3 * PAGE);
	check_zeros(b, PAGE);
	assert_true(b >= a + 4 * PAGE || a >= b + 2 * PAGE);
	assert_int_equal((uintptr_t)b % (2 * MIB), 0);
	assert_int_equal(spillway_alloc(sp, PAGE, &o, &c), 0);
	assert_int_equal((uintptr_t)c % (1u << 30), 0);
	assert_int_equal(spillway_region_info(sp, (char *)c + 5, &info), 0);
	assert_ptr_equal(info.addr, c);
	assert_int_equal(info.bytes, PAGE);
	assert_string_equal(info.name, "aligned");
	assert_int_equal(spillway_region_info(sp, a + 3 * PAGE, &info),
			 -EFAULT);
	assert_int_equal(stats().regions, 3);
	assert_int_equal(spillway_free(sp, a), 0);
	assert_int_equal(spillway_free(sp, b), 0);
	assert_int_equal(spillway_free(sp, c), 0);
	assert_int_equal(stats().region_bytes, 0);
}

static void what_is_freed_gives_everything_back(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		unsigned char *mem = alloc_region(24 * MIB);

		fill(mem, 24 * MIB, i);
		check(mem, 24 * MIB, i);
		assert_int_equal(spillway_free(sp, mem), 0);
		WAIT_UNTIL(stats().resident_bytes == 0);
	}
	/* What is left was prepared for the next batch. */
	assert_true(stats().device_used_bytes <= 2 * MIB);
}

static void a_region_grows_and_shrinks_with_its_contents(void **state)
{
	unsigned char *mem = alloc_region(12 * MIB);
	void *to = NULL;

	fill(mem, 12 * MIB, 1);
	assert_int_equal(spillway_resize(sp, mem, 20 * MIB, 0, &to), 0);
	assert_ptr_equal(to, mem);
	check(mem, 12 * MIB, 1);
	check_zeros(mem + 12 * MIB, 8 * MIB);
	assert_int_equal(spillway_resize(sp, mem, 10 * MIB, 0, NULL), 0);
	check(mem, 10 * MIB, 1);
	assert_int_equal(spillway_resize(sp, mem, 12 * MIB, 0, NULL), 0);
	check_zeros(mem + 10 * MIB, 2 * MIB);
	assert_int_equal(spillway_free(sp, mem), 0);
}

static void a_region_moves_when_it_may(void **state)
{
	unsigned char *mem = alloc_region(12 * MIB);
	unsigned char *wall = alloc_region(PAGE);
	void *to = NULL;
	int err;

	fill(mem, 12 * MIB, 7);
	assert_int_equal(spillway_resize(sp, mem, 64 * MIB, 0, &to), -ENOMEM);
	assert_int_equal(spillway_pin(sp, mem, PAGE), 0);
	assert_int_equal(
		spillway_resize(sp, mem, 64 * MIB, SPILLWAY_MAY_MOVE, &to),
		-EBUSY);
	assert_int_equal(spillway_unpin(sp, mem, PAGE), 0);
	err = spillway_resize(sp, mem, 64 * MIB, SPILLWAY_MAY_MOVE, &to);
	if (!(stats().can & SPILLWAY_CAN_FAULT)) {
		assert_int_equal(err, -EOPNOTSUPP);
		return;
	}
	assert_int_equal(err, 0);
	assert_ptr_not_equal(to, mem);
	check(to, 12 * MIB, 7);
	check_zeros((unsigned char *)to + 12 * MIB, MIB);
	fill(to, 12 * MIB, 8);
	check(to, 12 * MIB, 8);
	assert_int_equal(spillway_free(sp, mem), -EINVAL);
	assert_int_equal(spillway_free(sp, to), 0);
	assert_int_equal(spillway_free(sp, wall), 0);
}

/* ---- advice ---- */

static void what_is_paged_out_comes_back(void **state)
{
	unsigned char *mem = alloc_region(4 * MIB);

	fill(mem, 4 * MIB, 3);
	assert_int_equal(spillway_advise(sp, mem, 4 * MIB, SPILLWAY_PAGEOUT),
			 0);
	WAIT_UNTIL(stats().resident_bytes == 0);
	assert_int_equal(spillway_prefetch(sp, mem, 2 * MIB, NULL, NULL), 0);
	assert_true(stats().resident_bytes >= 2 * MIB);
	check(mem, 4 * MIB, 3);
}

static void note_done(void *arg, int err)
{
	__atomic_store_n((int *)arg, err ? err : 1, __ATOMIC_RELEASE);
}

static void a_prefetch_says_when_it_is_done(void **state)
{
	unsigned char *mem = alloc_region(4 * MIB);
	int done = 0;

	fill(mem, 4 * MIB, 3);
	assert_int_equal(spillway_advise(sp, mem, 4 * MIB, SPILLWAY_PAGEOUT),
			 0);
	WAIT_UNTIL(stats().resident_bytes == 0);
	assert_int_equal(spillway_prefetch(sp, mem, 4 * MIB, note_done, &done),
			 0);
	WAIT_UNTIL(__atomic_load_n(&done, __ATOMIC_ACQUIRE));
	assert_int_equal(done, 1);
	assert_int_equal(stats().resident_bytes, 4 * MIB);
	check(mem, 4 * MIB, 3);
}

static void what_is_not_needed_is_zeros(void **state)
{
	unsigned char *mem = alloc_region(16 * MIB);

	fill(mem, 16 * MIB, 9);
	/* Only pages that lie in the range as a whole. */
	assert_int_equal(
		spillway_advise(sp, mem + 100, 8 * MIB, SPILLWAY_DONTNEED), 0);
	check(mem, PAGE, 9);
	check_zeros(mem + PAGE, 8 * MIB - PAGE);
	assert_int_equal(*(size_t *)(mem + 8 * MIB), 8 * MIB + 9);
	check(mem + 8 * MIB, 0, 9);
}

/* Those that were only read are not written again, but they do go. */
static void pages_come_and_go_in_turns(void **state)
{
	unsigned char *mem = alloc_region(4 * MIB);

	fill(mem, 4 * MIB, 3);
	for (unsigned salt = 3; salt < 7; salt++) {
		assert_int_equal(
			spillway_advise(sp, mem, 4 * MIB, SPILLWAY_PAGEOUT), 0);
		WAIT_UNTIL(nr_resident(mem, 4 * MIB) == 0);
		WAIT_UNTIL(stats().resident_bytes == 0);
		check(mem, 4 * MIB, 3);
		for (size_t n = salt; n < 4 * MIB / PAGE; n += 7)
			mem[n * PAGE + 100] = salt;
	}
	check(mem, 4 * MIB, 3);
	for (size_t n = 7; n < 4 * MIB / PAGE; n++)
		assert_int_equal(mem[n * PAGE + 100], n % 7 < 3 ? 0 : n % 7);
}

static void patterns_change_nothing_but_speed(void **state)
{
	static const enum spillway_advice advice[] = { SPILLWAY_RANDOM,
						       SPILLWAY_SEQUENTIAL,
						       SPILLWAY_NORMAL,
						       SPILLWAY_COLD };

	unsigned char *mem = alloc_region(20 * MIB);

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(spillway_advise(sp, mem, PAGE, advice[i]), 0);
		fill(mem, 20 * MIB, i);
		check(mem, 20 * MIB, i);
	}
}

/* ---- pins ---- */

static void pinned_pages_stay(void **state)
{
	unsigned char *mem = alloc_region(24 * MIB);

	fill(mem, 24 * MIB, 5);
	assert_int_equal(spillway_pin(sp, mem, MIB), 0);
	assert_int_equal(spillway_pin(sp, mem + MIB / 2, MIB / 4), 0);
	assert_int_equal(stats().pinned_bytes, MIB + MIB / 4);
	check(mem, 24 * MIB, 5);
	assert_int_equal(nr_resident(mem, MIB), MIB / PAGE);
	assert_int_equal(spillway_free(sp, mem), -EBUSY);
	assert_int_equal(spillway_advise(sp, mem, MIB, SPILLWAY_DONTNEED),
			 -EBUSY);
	assert_int_equal(spillway_unpin(sp, mem, MIB), 0);
	check(mem, 24 * MIB, 5);
	assert_int_equal(nr_resident(mem + MIB / 2, MIB / 4), MIB / 4 / PAGE);
	assert_int_equal(spillway_unpin(sp, mem + MIB / 2, MIB / 4), 0);
	check(mem, 24 * MIB, 5);
	assert_true(nr_resident(mem, MIB) < MIB / PAGE);
	assert_int_equal(spillway_pin(sp, mem, 8 * MIB), -ENOMEM);
	assert_int_equal(stats().pinned_bytes, 0);
}

/* ---- system calls ---- */

static void system_calls_move_what_is_out(void **state)
{
	unsigned char *mem = alloc_region(24 * MIB), plain[100];
	int fd = memfd_create("test", MFD_CLOEXEC);

	fill(mem, 24 * MIB, 4);
	assert_int_equal(spillway_write(sp, fd, mem, 24 * MIB), 24 * MIB);
	assert_int_equal(spillway_advise(sp, mem, 24 * MIB, SPILLWAY_DONTNEED),
			 0);
	assert_int_equal(spillway_pread(sp, fd, mem, 24 * MIB, 0), 24 * MIB);
	check(mem, 24 * MIB, 4);
	assert_int_equal(spillway_pwrite(sp, fd, mem + 3 * PAGE, PAGE, 0),
			 PAGE);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(spillway_read(sp, fd, plain, sizeof(plain)), 100);
	assert_int_equal(*(size_t *)plain, 3 * PAGE + 4);
	assert_int_equal(spillway_pread(sp, fd, mem, PAGE, 24 * MIB), 0);
	assert_int_equal(spillway_pread(sp, fd, mem, 2 * PAGE, 24 * MIB - PAGE),
			 PAGE);
	assert_int_equal(spillway_read(sp, -1, mem, PAGE), -EBADF);
	assert_int_equal(spillway_read(sp, fd, NULL, PAGE), -EINVAL);
	assert_int_equal(spillway_pread(sp, fd, mem + 24 * MIB, PAGE, 0),
			 -EFAULT);
	assert_int_equal(stats().pinned_bytes, 0);
	close(fd);
}

static void plain_system_calls_do_what_the_instance_says(void **state)
{
	unsigned char *mem = alloc_region(24 * MIB);
	int fd = memfd_create("test", MFD_CLOEXEC);
	ssize_t n;

	fill(mem, 24 * MIB, 4);
	assert_int_equal(spillway_advise(sp, mem, MIB, SPILLWAY_PAGEOUT), 0);
	WAIT_UNTIL(nr_resident(mem, MIB) == 0);
	n = pwrite(fd, mem, PAGE, 0);
	if (stats().can & SPILLWAY_CAN_SYSCALLS)
		assert_int_equal(n, PAGE);
	else
		assert_true(n == -1 && errno == EFAULT);
	check(mem, 24 * MIB, 4);
	close(fd);
}

/* ---- budget and events ---- */

static void the_budget_changes_while_it_runs(void **state)
{
	unsigned char *mem;

	assert_int_equal(spillway_set_budget(sp, 32 * MIB), 0);
	mem = alloc_region(24 * MIB);
	fill(mem, 24 * MIB, 2);
	/* A page is mapped a moment before it is counted. */
	WAIT_UNTIL(stats().resident_bytes == 24 * MIB);
	assert_int_equal(spillway_set_budget(sp, 8 * MIB), 0);
	WAIT_UNTIL(stats().used_bytes <= 8 * MIB);
	check(mem, 24 * MIB, 2);
	assert_int_equal(stats().budget_bytes, 8 * MIB);
}

static void events_are_counted_and_fetched(void **state)
{
	unsigned char *mem = alloc_region(24 * MIB);
	struct spillway_event event;
	struct pollfd p = { .fd = spillway_event_fd(sp), .events = POLLIN };

	assert_int_equal(spillway_next_event(sp, &event), -EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
	fill(mem, 24 * MIB, 2);
	assert_int_equal(poll(&p, 1, 60000), 1);
	assert_int_equal(spillway_next_event(sp, &event), 0);
	assert_int_equal(event.kind, SPILLWAY_BUDGET_REACHED);
	assert_int_equal(event.times, 1);
	assert_int_equal(spillway_next_event(sp, &event), -EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static unsigned seen;  /* [atomic] kinds, a bit each */
static int close_said; /* [atomic] */

static void note_event(void *arg, const struct spillway_event *event)
{
	__atomic_store_n(&close_said, spillway_close(arg), __ATOMIC_RELAXED);
	__atomic_fetch_or(&seen, 1u << event->kind, __ATOMIC_RELEASE);
}

static void full_devices_are_told_and_memory_grows(void **state)
{
	spillway_t *small = open_mode(mode, BUDGET, "zram:2M");
	struct spillway_stats st = { .size = sizeof(st) };
	void *mem;

	__atomic_store_n(&seen, 0, __ATOMIC_RELEASE);
	assert_int_equal(spillway_set_callback(small, note_event, small), 0);
	assert_int_equal(spillway_alloc(small, 24 * MIB, NULL, &mem), 0);
	fill(mem, 24 * MIB, 6);
	WAIT_UNTIL(__atomic_load_n(&seen, __ATOMIC_ACQUIRE) &
		   1u << SPILLWAY_DEVICES_FULL);
	assert_int_equal(__atomic_load_n(&close_said, __ATOMIC_RELAXED),
			 -EDEADLK);
	check(mem, 24 * MIB, 6);
	assert_int_equal(spillway_stats(small, &st), 0);
	assert_true(st.used_bytes > BUDGET);
	/* Another instance has devices of its own. */
	what_is_paged_out_comes_back(state);
	assert_int_equal(spillway_close(small), 0);
}

static void instances_do_not_know_each_other(void **state)
{
	spillway_t *other = open_mode(mode, 2 * BUDGET, "zram:64M");
	struct spillway_stats st = { .size = sizeof(st) };
	unsigned char *mem = alloc_region(24 * MIB);
	void *theirs;

	assert_int_equal(spillway_alloc(other, 32 * MIB, NULL, &theirs), 0);
	assert_int_equal(spillway_free(other, mem), -EINVAL);
	assert_int_equal(spillway_pin(other, mem, PAGE), -EFAULT);
	for (unsigned i = 0; i < 3; i++) {
		fill(mem, 24 * MIB, i);
		fill(theirs, 32 * MIB, i + 7);
		check(mem, 24 * MIB, i);
		check(theirs, 32 * MIB, i + 7);
	}
	assert_int_equal(spillway_stats(other, &st), 0);
	assert_int_equal(st.budget_bytes, 2 * BUDGET);
	assert_true(st.device_used_bytes > 0);
	assert_int_equal(spillway_close(other), 0);
	check(mem, 24 * MIB, 2);
}

/* ---- devices on a disk ---- */

static void a_disk_holds_what_does_not_fit(void **state)
{
	spillway_t *disk = open_mode(mode, BUDGET,
				     "zram:2M,prio=5;file:/var/tmp,size=32M");
	struct spillway_stats st = { .size = sizeof(st) };
	void *mem;

	assert_int_equal(spillway_alloc(disk, 20 * MIB, NULL, &mem), 0);
	fill(mem, 20 * MIB, 3);
	check(mem, 20 * MIB, 3);
	assert_int_equal(spillway_stats(disk, &st), 0);
	assert_true(st.device_used_bytes > 4 * MIB);
	assert_int_equal(spillway_close(disk), 0);
}

/* Writes fail from some moment on, as on a disk that is gone. */
static void a_device_that_fails_is_told_and_nothing_is_lost(void **state)
{
	spillway_t *disk = open_mode(mode, BUDGET, "file:/var/tmp,size=32M");
	struct rlimit none = { 0, RLIM_INFINITY }, old;
	struct spillway_stats st = { .size = sizeof(st) };
	struct spillway_event event = { 0 };
	void *mem;

	assert_int_equal(spillway_alloc(disk, 20 * MIB, NULL, &mem), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	fill(mem, 20 * MIB, 5);
	WAIT_UNTIL(!spillway_next_event(disk, &event) &&
		   event.kind == SPILLWAY_DEVICE_FAILED);
	check(mem, 20 * MIB, 5);
	assert_int_equal(spillway_stats(disk, &st), 0);
	assert_true(st.write_errors > 0);
	/* It was given up, and takes nothing any more: memory grows. */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	fill(mem, 20 * MIB, 6);
	check(mem, 20 * MIB, 6);
	assert_int_equal(spillway_stats(disk, &st), 0);
	assert_true(st.used_bytes > st.budget_bytes);
	assert_int_equal(spillway_close(disk), 0);
}

static void a_prefetch_that_is_not_begun_is_cancelled(void **state)
{
	spillway_t *other = open_mode(mode, BUDGET, NULL);
	int done[20] = { 0 };
	void *mem;

	assert_int_equal(spillway_alloc(other, 24 * MIB, NULL, &mem), 0);
	fill(mem, 24 * MIB, 6);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(spillway_prefetch(other, mem, 24 * MIB,
						   note_done, &done[i]),
				 0);
	assert_int_equal(spillway_close(other), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_true(done[i] == 1 || done[i] == -ECANCELED);
}

static void the_instance_can_what_it_was_told(void **state)
{
	assert_int_equal(stats().can, mode->can);
	assert_string_equal(spillway_version(), "0.1.0");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(the_instance_can_what_it_was_told),
		LIB_TEST(input_that_makes_no_sense_is_an_error),
		LIB_TEST(options_that_make_no_sense_are_explained),
		LIB_TEST(a_closed_instance_is_known_to_be_closed),
		LIB_TEST(regions_are_apart_and_begin_with_zeros),
		LIB_TEST(what_is_freed_gives_everything_back),
		LIB_TEST(a_region_grows_and_shrinks_with_its_contents),
		LIB_TEST(a_region_moves_when_it_may),
		LIB_TEST(what_is_paged_out_comes_back),
		LIB_TEST(a_prefetch_says_when_it_is_done),
		LIB_TEST(a_prefetch_that_is_not_begun_is_cancelled),
		LIB_TEST(what_is_not_needed_is_zeros),
		LIB_TEST(pages_come_and_go_in_turns),
		LIB_TEST(patterns_change_nothing_but_speed),
		LIB_TEST(pinned_pages_stay),
		LIB_TEST(system_calls_move_what_is_out),
		LIB_TEST(plain_system_calls_do_what_the_instance_says),
		LIB_TEST(the_budget_changes_while_it_runs),
		LIB_TEST(events_are_counted_and_fetched),
		LIB_TEST(full_devices_are_told_and_memory_grows),
		LIB_TEST(instances_do_not_know_each_other),
		LIB_TEST(a_disk_holds_what_does_not_fit),
		LIB_TEST(a_device_that_fails_is_told_and_nothing_is_lost),
	};

	mode = mode_of(argc > 1 ? argv[1] : "thread");
	return cmocka_run_group_tests_name(mode->name, tests, NULL, NULL);
}
