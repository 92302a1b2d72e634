/* test_measure.c - what /proc says of a small tree of this test's own. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/proc.h"

#define LINKS 4

/* Pids: each one's is the child of the one before. */
static pid_t *chain;

static int setup(void **state)
{
	chain = mmap(NULL, LINKS * sizeof(*chain), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Who loses his parent comes to us. */
	return chain == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void chain_main(int ready)
{
	int i = 0;

	do {
		alarm(60); /* nobody outlives the test for long */
		chain[i++] = getpid();
	} while (i < LINKS && !fork());
	if (i == LINKS && write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void start_chain(void)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	if (!fork())
		chain_main(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void end_chain(void)
{
	for (int i = 0; i < LINKS; i++)
		kill(chain[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* One bit for each link that was found, once. */
static void note(void *arg, pid_t pid)
{
	unsigned *found = arg;

	for (int i = 0; i < LINKS; i++) {
		if (chain[i] != pid)
			continue;
		assert_false(*found & 1u << i);
		*found |= 1u << i;
	}
}

static unsigned below(pid_t root)
{
	unsigned found = 0;

	sw_for_each_descendant(root, note, &found);
	return found;
}

static void descendants_of_any_depth_are_found_once(void **state)
{
	start_chain();
	assert_int_equal(below(getpid()), 0xf);
	assert_int_equal(below(chain[1]), 0xc);
	assert_int_equal(below(chain[3]), 0);
	end_chain();
}

static void who_lost_his_parent_is_found_below_the_reaper(void **state)
{
	start_chain();
	kill(chain[2], SIGKILL);
	/* Its parent does not wait for it: it stays, without a child. */
	while (sw_parent_of(chain[3]) != getpid())
		;
	assert_int_equal(below(getpid()), 0xf);
	assert_int_equal(below(chain[1]), 0x4);
	end_chain();
}

static void memory_without_a_file_is_counted(void **state)
{
	const size_t bytes = 32 << 20;
	uint64_t before = sw_measure_memory(getpid()), private, shared;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	char *q;

	assert_ptr_not_equal(p, MAP_FAILED);
	private = sw_measure_memory(getpid());
	assert_in_range(private - before, bytes, bytes + (1 << 20));
	q = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(q, MAP_FAILED);
	shared = sw_measure_memory(getpid());
	assert_in_range(shared - private, bytes, bytes + (1 << 20));
	munmap(p, bytes);
	munmap(q, bytes);
	assert_in_range(sw_measure_memory(getpid()), 0, before + (1 << 20));
}

#define GROWN_BYTES (32ul << 20)

/* Stops when it has grown; then becomes a program that has less. */
static void grow_and_become_another(void)
{
	void *p = mmap(NULL, GROWN_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	alarm(60);
	if (p == MAP_FAILED)
		_exit(1);
	raise(SIGSTOP);
	execlp("sleep", "sleep", "60", NULL);
	_exit(127);
}

static void a_file_that_is_kept_open_tells_of_whatever_runs(void **state)
{
	const uint64_t grown = GROWN_BYTES / SW_PAGE_SIZE;
	int until_exec[2], fd = -1, status;
	pid_t pid;
	char c;

	assert_int_equal(pipe2(until_exec, O_CLOEXEC), 0);
	pid = fork();
	if (!pid)
		grow_and_become_another();
	close(until_exec[1]);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_in_range(sw_measure_rss_again(pid, &fd), grown, 2 * grown);
	kill(pid, SIGCONT);
	assert_int_equal(read(until_exec[0], &c, 1), 0);
	assert_in_range(sw_measure_rss_again(pid, &fd), 0, grown - 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(sw_measure_rss_again(pid, &fd), 0);
	close(until_exec[0]);
	close(fd);
}

static void nobody_has_no_memory_and_no_parent(void **state)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sw_measure_memory(pid), 0);
	assert_int_equal(sw_measure_rss(pid), 0);
	assert_int_equal(sw_measure_pss(pid).anon, 0);
	assert_int_equal(sw_parent_of(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descendants_of_any_depth_are_found_once),
		cmocka_unit_test(who_lost_his_parent_is_found_below_the_reaper),
		cmocka_unit_test(memory_without_a_file_is_counted),
		cmocka_unit_test(
			a_file_that_is_kept_open_tells_of_whatever_runs),
		cmocka_unit_test(nobody_has_no_memory_and_no_parent),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
