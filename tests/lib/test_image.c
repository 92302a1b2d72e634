/* test_image.c - snapshots: what was written comes back in another instance,
 * damage is noticed, and a failed snapshot leaves what was there. */
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define BYTES (20 * MIB)

static char path[64];

static void write_snapshot(unsigned salt)
{
	struct spillway_region_options o = { .size = sizeof(o),
					     .name = "data" };
	void *mem;

	assert_int_equal(spillway_alloc(sp, BYTES, &o, &mem), 0);
	fill(mem, BYTES / 2, salt); /* the rest is never touched */
	memset((char *)mem + 5 * PAGE, 0, PAGE);
	assert_int_equal(spillway_snapshot(sp, mem, path), 0);
	/* The region goes on, and so does what becomes of it. */
	memset(mem, 0x55, 100 * PAGE);
	assert_int_equal(spillway_free(sp, mem), 0);
}

static void check_restored(const unsigned char *mem, unsigned salt)
{
	check(mem, 5 * PAGE, salt);
	check_zeros(mem + 5 * PAGE, PAGE);
	for (size_t at = 6 * PAGE; at < BYTES / 2; at += PAGE)
		assert_int_equal(*(size_t *)(mem + at), at + salt);
	check_zeros(mem + BYTES / 2, MIB);
	check_zeros(mem + BYTES - PAGE, PAGE);
}

static void what_was_written_comes_back_as_it_is_touched(void **state)
{
	struct spillway_region_info info = { .size = sizeof(info) };
	struct stat st;
	size_t bytes;
	void *mem;

	write_snapshot(3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_size <= (off_t)(BYTES / 2 + MIB));
	assert_int_equal(spillway_restore(sp, path, NULL, &mem, &bytes), 0);
	assert_int_equal(bytes, BYTES);
	assert_int_equal(stats().resident_bytes, 0);
	assert_int_equal(spillway_region_info(sp, mem, &info), 0);
	assert_string_equal(info.name, "data");
	check_restored(mem, 3);
	/* It is a region as all are. */
	fill(mem, BYTES, 9);
	check(mem, BYTES, 9);
	assert_int_equal(spillway_free(sp, mem), 0);
}

static void two_instances_may_restore_the_same(void **state)
{
	spillway_t *other = open_mode(mode, BUDGET, NULL);
	void *a, *b;

	write_snapshot(4);
	assert_int_equal(spillway_restore(sp, path, NULL, &a, NULL), 0);
	assert_int_equal(spillway_restore(other, path, NULL, &b, NULL), 0);
	unlink(path); /* open files stay */
	fill(a, BYTES, 8);
	check_restored(b, 4);
	assert_int_equal(spillway_close(other), 0);
	check(a, BYTES, 8);
}

static void poke(off_t at, char byte)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void a_damaged_head_or_index_is_no_snapshot(void **state)
{
	static const off_t at[] = {
		0, 30, 100, PAGE, PAGE + 40, 257 * PAGE + 8
	};
	void *mem;

	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		write_snapshot(5);
		poke(at[i], 0x77);
		assert_int_equal(spillway_restore(sp, path, NULL, &mem, NULL),
				 -EBADMSG);
	}
	write_snapshot(5);
	assert_int_equal(truncate(path, 8 * MIB), 0);
	assert_int_equal(spillway_restore(sp, path, NULL, &mem, NULL),
			 -EBADMSG);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(spillway_restore(sp, path, NULL, &mem, NULL),
			 -EBADMSG);
	assert_int_equal(stats().regions, 0);
}

static sigjmp_buf back;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static void a_damaged_page_is_sigbus_and_others_are_not(void **state)
{
	struct sigaction sa = { .sa_handler = jump };
	struct spillway_event event;
	void *mem;

	/* Before the instance, which passes on to it what is not its own. */
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sp = open_mode(mode, BUDGET, NULL);
	write_snapshot(6);
	/* The head, an index page, and page 0. */
	poke(2 * PAGE + 1, 0x77);
	assert_int_equal(spillway_restore(sp, path, NULL, &mem, NULL), 0);
	assert_int_equal(*(size_t *)((char *)mem + PAGE), PAGE + 6);
	if (!sigsetjmp(back, 1)) {
		printf("%d\n", *(volatile char *)mem);
		fail_msg("a damaged page was read");
	}
	do
		assert_int_equal(spillway_next_event(sp, &event), 0);
	while (event.kind != SPILLWAY_PAGE_LOST);
	assert_int_equal(spillway_pin(sp, mem, PAGE), -EIO);
	assert_int_equal(spillway_snapshot(sp, mem, path), -EIO);
	assert_int_equal(*(size_t *)((char *)mem + PAGE), PAGE + 6);
	assert_int_equal(spillway_close(sp), 0);
}

static void *snapshot(void *mem)
{
	return (void *)(intptr_t)spillway_snapshot(sp, mem, path);
}

/* Has it begun to write, under another name? */
static bool has_begun(void)
{
	char name[80];
	glob_t found;
	bool has;

	snprintf(name, sizeof(name), "%s.*", path);
	has = !glob(name, 0, NULL, &found);
	if (has)
		globfree(&found);
	return has;
}

/* Its program is wrong, and must not believe to have a snapshot. Between its two
 * pages that hold something is so much nothing that it ends there. */
static void a_region_that_ends_meanwhile_is_no_zeros(void **state)
{
	const size_t bytes = 4096 * MIB, last = bytes - PAGE;
	pthread_t thread;
	void *mem, *err;

	unlink(path);
	assert_int_equal(spillway_alloc(sp, bytes, NULL, &mem), 0);
	fill(mem, PAGE, 7);
	fill((unsigned char *)mem + last, PAGE, 7);
	assert_int_equal(pthread_create(&thread, NULL, snapshot, mem), 0);
	while (!has_begun() && access(path, F_OK))
		sched_yield();
	/* Not while the page under way is pinned. */
	while (spillway_free(sp, mem) == -EBUSY)
		sched_yield();
	pthread_join(thread, &err);
	if (err) {
		assert_int_equal((intptr_t)err, -EFAULT);
		assert_int_not_equal(access(path, F_OK), 0);
		assert_false(has_begun());
		return;
	}
	assert_int_equal(spillway_restore(sp, path, NULL, &mem, NULL), 0);
	check((unsigned char *)mem + last, PAGE, 7);
	assert_int_equal(spillway_free(sp, mem), 0);
}

static void a_failed_snapshot_leaves_nothing(void **state)
{
	unsigned char *mem = alloc_region(MIB);

	fill(mem, MIB, 1);
	assert_int_equal(spillway_snapshot(sp, mem, "/proc/none"), -ENOENT);
	assert_true(spillway_snapshot(sp, mem, "/nowhere/file") < 0);
	assert_int_equal(spillway_snapshot(sp, mem, NULL), -EINVAL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(what_was_written_comes_back_as_it_is_touched),
		LIB_TEST(two_instances_may_restore_the_same),
		LIB_TEST(a_damaged_head_or_index_is_no_snapshot),
		LIB_TEST(a_region_that_ends_meanwhile_is_no_zeros),
		LIB_TEST(a_failed_snapshot_leaves_nothing),
		cmocka_unit_test(a_damaged_page_is_sigbus_and_others_are_not),
	};
	int failed;

	mode = mode_of(argc > 1 ? argv[1] : "thread");
	snprintf(path, sizeof(path), "/tmp/spillway-image-%d", getpid());
	failed = cmocka_run_group_tests_name(mode->name, tests, NULL, NULL);
	unlink(path);
	return failed;
}
