/*
 * test_signals.c - delivery by signal in a program that has handlers of its own:
 * what is not a region's goes to them, also while others of its threads fault,
 * and when the last instance is gone they are as they were.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static __thread sigjmp_buf back;
static __thread void *where;

static void catch (int sig, siginfo_t *info, void *context)
{
	where = info->si_addr;
	siglongjmp(back, sig);
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO };

	assert_int_equal(sigaction(SIGBUS, &sa, NULL), 0);
	assert_int_equal(sigaction(SIGSEGV, &sa, NULL), 0);
}

/* A page of a file that has none: SIGBUS. */
static char *hole(void)
{
	int fd = memfd_create("hole", MFD_CLOEXEC);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int signal_of(const volatile char *at)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		return *at ? 0 : 0;
	return where == (void *)at ? sig : -1;
}

static void *catch_all_the_time(void *arg)
{
	char *p = hole();

	for (unsigned i = 0; i < 500; i++)
		if (signal_of(p) != SIGBUS)
			return "a signal went astray";
	munmap(p, PAGE);
	return NULL;
}

static void what_is_not_ours_goes_to_the_handler_before(void **state)
{
	unsigned char *mem;
	pthread_t thread;
	void *failed;
	char *p;

	install();
	sp = open_mode(mode, BUDGET, "zram:64M");
	mem = alloc_region(24 * MIB);
	p = hole();
	assert_int_equal(
		pthread_create(&thread, NULL, catch_all_the_time, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		fill(mem, 24 * MIB, i);
		assert_int_equal(signal_of(p), SIGBUS);
		assert_int_equal(signal_of(NULL), SIGSEGV);
		check(mem, 24 * MIB, i);
	}
	pthread_join(thread, &failed);
	assert_null(failed);
	/* Past its end, and when it is gone. */
	assert_int_equal(signal_of((char *)mem + 24 * MIB), SIGSEGV);
	assert_int_equal(spillway_free(sp, mem), 0);
	assert_int_equal(signal_of((char *)mem), SIGSEGV);
	assert_int_equal(spillway_close(sp), 0);
	munmap(p, PAGE);
}

static void handlers_are_back_when_the_last_instance_is_gone(void **state)
{
	spillway_t *first, *second;
	struct sigaction now;

	install();
	first = open_mode(mode, BUDGET, NULL);
	second = open_mode(mode, BUDGET, NULL);
	assert_int_equal(spillway_close(first), 0);
	sp = second;
	check_zeros(alloc_region(PAGE), PAGE);
	assert_int_equal(spillway_close(second), 0);
	for (int sig = SIGBUS; sig; sig = sig == SIGBUS ? SIGSEGV : 0) {
		sigaction(sig, NULL, &now);
		assert_true(now.sa_sigaction == catch);
	}
}

static void without_a_handler_the_program_dies_of_it(void **state)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		alarm(30);
		sp = open_mode(mode, BUDGET, NULL);
		alloc_region(PAGE)[0] = 1;
		_exit(*hole());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static volatile sig_atomic_t handled;
static unsigned char *handled_mem;

static void touch(int sig)
{
	handled += handled_mem[(size_t)handled * PAGE % (24 * MIB)] != 0xff;
}

/* A handler of the program may touch a region, also when it interrupts a call. */
static void handlers_may_touch_regions(void **state)
{
	struct sigaction sa = { .sa_handler = touch };
	sigset_t only;

	handled_mem = alloc_region(24 * MIB);
	fill(handled_mem, 24 * MIB, 1);
	handled = 0;
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&only);
	sigaddset(&only, SIGUSR1);
	for (unsigned i = 0; i < 500; i++) {
		sigprocmask(SIG_BLOCK, &only, NULL);
		raise(SIGUSR1);
		sigprocmask(SIG_UNBLOCK, &only, NULL);
		assert_int_equal(spillway_pin(sp, handled_mem + i * PAGE, PAGE),
				 0);
		kill(getpid(), SIGUSR1);
		assert_int_equal(
			spillway_unpin(sp, handled_mem + i * PAGE, PAGE), 0);
	}
	assert_int_equal(handled, 1000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_ours_goes_to_the_handler_before),
		cmocka_unit_test(
			handlers_are_back_when_the_last_instance_is_gone),
		cmocka_unit_test(without_a_handler_the_program_dies_of_it),
		LIB_TEST(handlers_may_touch_regions),
	};

	mode = mode_of(argc > 1 ? argv[1] : "signal");
	return cmocka_run_group_tests_name(mode->name, tests, NULL, NULL);
}
