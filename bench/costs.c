/*
 * costs.c - what it costs to be managed where nothing has to be: forks of a
 * large process, and programs that come and go.
 *
 *   costs fork MIB TIMES    fills MIB of memory and forks TIMES
 *   costs spawn TIMES       runs /bin/true TIMES, one after another
 *   costs forkexec TIMES    the same by fork() and exec, as a shell does
 *
 * Prints lines "NAME VALUE". Forks: the time that fork() takes in the parent
 * (ms), of the first and the mean of the others; until the child runs; and
 * how much of the memory was there (MiB) just before the first. Each child
 * ends at once and is waited for. Programs: the time of one from its start to
 * its end (ms), mean and median.
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096ul
#define WORDS (PAGE / 8)

extern char **environ;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "costs: %s: %s\n", what, strerror(err));
	exit(1);
}

static void await(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid", errno);
	if (status) {
		fprintf(stderr, "costs: a child ended with status %#x\n",
			status);
		exit(1);
	}
}

/* ---- forks ---- */

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	return x ^ (x >> 33);
}

/* One word in eight is random: to a third, as the pages of touch.c. */
static void fill(uint64_t *memory, size_t nr_pages)
{
	for (size_t i = 0; i < nr_pages * WORDS; i++)
		memory[i] = (i & 7) == 3 ? scramble(i) : i / WORDS;
}

static double resident_mib(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		die("/proc/self/statm", errno);
	fclose(f);
	return resident * PAGE / 1048576.0;
}

/* The time of one; *until_child: when the child came to run. */
static double fork_once(volatile double *shared, double *until_child)
{
	double start = now_ms(), took;
	pid_t pid = fork();

	if (!pid) {
		*shared = now_ms();
		_exit(0);
	}
	took = now_ms() - start;
	if (pid < 0)
		die("fork", errno);
	await(pid);
	*until_child = *shared - start;
	return took;
}

static int run_forks(size_t mib, unsigned times)
{
	size_t bytes = mib << 20;
	double *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double sum = 0, child;

	if (shared == MAP_FAILED || memory == MAP_FAILED)
		die("mmap", errno);
	/* A page table of huge pages is copied in no time. */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	fill(memory, bytes / PAGE);
	printf("resident %.1f\n", resident_mib());
	printf("first %.3f\n", fork_once(shared, &child));
	printf("first.child %.3f\n", child);
	for (unsigned i = 1; i < times; i++)
		sum += fork_once(shared, &child);
	printf("again %.3f\n", sum / (times - 1));
	return 0;
}

/* ---- programs ---- */

static char *true_argv[] = { "/bin/true", NULL };

static void spawn_true(void)
{
	pid_t pid;
	int err =
		posix_spawn(&pid, true_argv[0], NULL, NULL, true_argv, environ);

	if (err)
		die(true_argv[0], err);
	await(pid);
}

static void forkexec_true(void)
{
	pid_t pid = fork();

	if (!pid) {
		execv(true_argv[0], true_argv);
		_exit(127);
	}
	if (pid < 0)
		die("fork", errno);
	await(pid);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run_programs(void (*run)(void), unsigned times)
{
	double *ms = calloc(times, sizeof(*ms)), sum = 0;

	if (!ms)
		die("memory", ENOMEM);
	for (unsigned i = 0; i < times; i++) {
		double start = now_ms();

		run();
		sum += ms[i] = now_ms() - start;
	}
	qsort(ms, times, sizeof(*ms), by_value);
	printf("mean %.4f\nmedian %.4f\n", sum / times, ms[times / 2]);
	free(ms);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned times = argc > 2 ? strtoul(argv[argc - 1], NULL, 10) : 0;

	if (argc == 4 && times > 1 && !strcmp(argv[1], "fork"))
		return run_forks(strtoul(argv[2], NULL, 10), times);
	if (argc == 3 && times && !strcmp(argv[1], "spawn"))
		return run_programs(spawn_true, times);
	if (argc == 3 && times && !strcmp(argv[1], "forkexec"))
		return run_programs(forkexec_true, times);
	fprintf(stderr, "usage: costs fork MIB TIMES | spawn TIMES | "
			"forkexec TIMES\n");
	return 2;
}
