/*
 * test_fork.c - what a child has: nothing of an instance, or copies of regions
 * that it and its parent change each for itself.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define BYTES (24 * MIB)

static const struct spillway_region_options copied = {
	.size = sizeof(copied),
	.flags = SPILLWAY_FORK_COPY,
};

static unsigned char *alloc_copied(size_t bytes)
{
	void *addr;

	assert_int_equal(spillway_alloc(sp, bytes, &copied, &addr), 0);
	return addr;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* It ends with 0, or the number of what did not hold. */
static void expect_good(pid_t pid)
{
	int status = status_of(pid);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_child_has_nothing_and_faults_cleanly(void **state)
{
	unsigned char *mem = alloc_region(BYTES);
	int status;
	pid_t pid;

	fill(mem, BYTES, 1);
	pid = fork();
	if (!pid) {
		void *addr;

		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		alarm(30);
		if (spillway_alloc(sp, MIB, NULL, &addr) != -ECHILD ||
		    spillway_free(sp, mem) != -ECHILD ||
		    spillway_close(sp) != -ECHILD)
			_exit(1);
		_exit(mem[PAGE] ? 2 : 3);
	}
	status = status_of(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	check(mem, BYTES, 1);
}

static bool holds(const unsigned char *mem, unsigned salt)
{
	for (size_t at = 0; at < BYTES; at += PAGE)
		if (*(size_t *)(mem + at) != at + salt ||
		    mem[at + PAGE - 1] != salt)
			return false;
	return true;
}

/* In a child, where a failed assertion would be nobody's. */
static int child_of_copies(unsigned char *mem, unsigned char *plain)
{
	struct spillway_stats st = { .size = sizeof(st) };
	void *more;

	alarm(60);
	if (!holds(mem, 2))
		return 1;
	fill(mem, BYTES, 3);
	if (!holds(mem, 3))
		return 2;
	if (spillway_stats(sp, &st) || st.regions != 1 ||
	    st.used_bytes > BUDGET + 2 * MIB)
		return 3;
	if (spillway_free(sp, plain) != -EINVAL)
		return 4;
	if (spillway_alloc(sp, BYTES, NULL, &more))
		return 5;
	fill(more, BYTES, 4);
	if (!holds(more, 4) || !holds(mem, 3))
		return 6;
	return spillway_close(sp) ? 7 : 0;
}

static void both_sides_change_their_own_copy(void **state)
{
	unsigned char *mem = alloc_copied(BYTES), *plain = alloc_region(MIB);
	pid_t pid;

	fill(plain, MIB, 9);
	fill(mem, BYTES, 2);
	for (unsigned round = 0; round < 3; round++) {
		/* Some of it is there as a clean copy. */
		check(mem, BYTES, 2);
		pid = fork();
		if (!pid)
			_exit(child_of_copies(mem, plain));
		fill(mem, BYTES, 7);
		check(mem, BYTES, 7);
		expect_good(pid);
		check(mem, BYTES, 7);
		fill(mem, BYTES, 2);
	}
	check(plain, MIB, 9);
}

/* By a bare system call, of which no library hears. */
static void a_child_that_nobody_prepared_reads_no_zeros(void **state)
{
	unsigned char *mem = alloc_copied(BYTES);
	int status;
	pid_t pid;

	fill(mem, BYTES, 2);
	pid = syscall(SYS_fork);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		alarm(30);
		_exit(!holds(mem, 2));
	}
	status = status_of(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	check(mem, BYTES, 2);
}

static bool stop; /* [atomic] */

static void *keep_writing(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		fill(arg, BYTES, 5);
	return NULL;
}

static void a_fork_beside_faults_is_of_one_moment(void **state)
{
	unsigned char *mem = alloc_copied(BYTES), *busy = alloc_region(BYTES);
	pthread_t thread;

	fill(mem, BYTES, 6);
	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&thread, NULL, keep_writing, busy), 0);
	for (unsigned i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(60);
			_exit(!holds(mem, 6));
		}
		expect_good(pid);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	check(mem, BYTES, 6);
	check(busy, BYTES, 5);
}

static int pipe_fd[2];

static void *wait_for_a_byte(void *arg)
{
	return (void *)spillway_read(sp, pipe_fd[0], arg, 1);
}

static bool is_pinned(const void *mem)
{
	struct spillway_region_info info = { .size = sizeof(info) };

	assert_int_equal(spillway_region_info(sp, mem, &info), 0);
	return info.pinned_bytes;
}

/* What others had under way when it was born is not the child's. */
static void a_child_waits_for_no_call_of_its_parent(void **state)
{
	unsigned char *mem = alloc_copied(BYTES);
	pthread_t thread;
	void *got;
	pid_t pid;

	assert_int_equal(pipe(pipe_fd), 0);
	fill(mem, BYTES, 6);
	assert_int_equal(
		pthread_create(&thread, NULL, wait_for_a_byte, mem + 8), 0);
	WAIT_UNTIL(is_pinned(mem));
	pid = fork();
	if (!pid) {
		alarm(60);
		if (is_pinned(mem) || !holds(mem, 6))
			_exit(1);
		_exit(spillway_close(sp) ? 2 : 0);
	}
	expect_good(pid);
	assert_int_equal(write(pipe_fd[1], "x", 1), 1);
	pthread_join(thread, &got);
	assert_ptr_equal(got, (void *)1);
	assert_int_equal(mem[8], 'x');
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void a_child_opens_an_instance_of_its_own(void **state)
{
	unsigned char *mem = alloc_region(BYTES);
	pid_t pid;

	fill(mem, BYTES, 1);
	pid = fork();
	if (!pid) {
		void *own;

		alarm(60);
		sp = open_mode(mode, BUDGET, NULL);
		if (spillway_alloc(sp, BYTES, NULL, &own))
			_exit(1);
		fill(own, BYTES, 8);
		if (!holds(own, 8))
			_exit(2);
		_exit(spillway_close(sp) ? 3 : 0);
	}
	expect_good(pid);
	check(mem, BYTES, 1);
}

static void copies_need_memory_and_events(void **state)
{
	spillway_t *disk;
	void *addr;

	if (!(mode->can & SPILLWAY_CAN_FAULT))
		assert_int_equal(spillway_alloc(sp, MIB, &copied, &addr),
				 -EOPNOTSUPP);
	disk = open_mode(mode, BUDGET, "file:/var/tmp,size=16M");
	assert_int_equal(spillway_alloc(disk, MIB, &copied, &addr),
			 -EOPNOTSUPP);
	assert_int_equal(spillway_close(disk), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest always[] = {
		LIB_TEST(a_child_has_nothing_and_faults_cleanly),
		LIB_TEST(a_child_opens_an_instance_of_its_own),
		LIB_TEST(copies_need_memory_and_events),
	};
	const struct CMUnitTest copies[] = {
		LIB_TEST(both_sides_change_their_own_copy),
		LIB_TEST(a_child_that_nobody_prepared_reads_no_zeros),
		LIB_TEST(a_fork_beside_faults_is_of_one_moment),
		LIB_TEST(a_child_waits_for_no_call_of_its_parent),
	};
	int failed;

	mode = mode_of(argc > 1 ? argv[1] : "thread");
	failed = cmocka_run_group_tests_name(mode->name, always, NULL, NULL);
	if (mode->can & SPILLWAY_CAN_FAULT)
		failed += cmocka_run_group_tests_name(mode->name, copies, NULL,
						      NULL);
	return failed;
}
