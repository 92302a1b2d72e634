/*
 * usemem.c - how fast processes can write memory all at once, and give it
 * back. Means what vm-scalability's `usemem --init-time -O -y -x -n N SIZE`
 * does: N processes map anonymous memory of SIZE each, wait for each other,
 * write every word of it in order, wait for each other again, and unmap it.
 *
 *   usemem [-n PROCESSES] [-r REPEAT] MIB
 *
 * With -r, what was written is written again. Before the memory is unmapped
 * and outside the time that is counted, one page in 16 is read and compared.
 *
 * Prints lines "NAME VALUE": MiB/s of all together (from the first to start
 * until the last to end) and of single ones, and microseconds to map and to
 * unmap.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 64
#define PAGE_WORDS    512

struct process {
	uint64_t init_ns, start_ns, end_ns, free_ns;
};

/* What the processes share. */
static struct shared {
	pthread_barrier_t mapped, written;
	struct process process[MAX_PROCESSES];
} * shared;

static size_t nr_words;
static unsigned nr_processes = 1, repeat = 1;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *map(size_t bytes, int flag)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       flag | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "usemem: mmap: %s\n", strerror(errno));
		exit(1);
	}
	return p;
}

/* A word in eight is different everywhere: a page shrinks to about a third. */
static uint64_t pattern(size_t word, unsigned pass)
{
	if ((word & 7) == 3)
		return word * 0x9e3779b97f4a7c15ul + pass;
	return word / PAGE_WORDS + pass;
}

static void write_all(volatile uint64_t *words)
{
	for (unsigned pass = 0; pass < repeat; pass++)
		for (size_t k = 0; k < nr_words; k++)
			words[k] = pattern(k, pass);
}

static bool is_right(volatile uint64_t *words)
{
	for (size_t page = 0; page < nr_words / PAGE_WORDS; page += 16)
		for (unsigned k = 0; k < PAGE_WORDS; k++) {
			size_t at = page * PAGE_WORDS + k;

			if (words[at] != pattern(at, repeat - 1))
				return false;
		}
	return true;
}

static int work(struct process *p)
{
	uint64_t before = now_ns();
	volatile uint64_t *words = map(nr_words * 8, MAP_PRIVATE);
	bool right;

	p->init_ns = now_ns() - before;
	pthread_barrier_wait(&shared->mapped);
	p->start_ns = now_ns();
	write_all(words);
	p->end_ns = now_ns();
	right = is_right(words);
	pthread_barrier_wait(&shared->written);
	before = now_ns();
	munmap((void *)words, nr_words * 8);
	p->free_ns = now_ns() - before;
	if (!right)
		fprintf(stderr, "usemem: a page was wrong\n");
	return !right;
}

static void init_barrier(pthread_barrier_t *barrier)
{
	pthread_barrierattr_t attr;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(barrier, &attr, nr_processes);
}

static void end_others(const pid_t *pids)
{
	for (unsigned i = 0; i < nr_processes; i++)
		if (pids[i])
			kill(pids[i], SIGKILL);
}

/* All end with 0, or the others are ended: they would wait for ever. */
static bool run_all(void)
{
	pid_t pids[MAX_PROCESSES];
	bool good = true;

	for (unsigned i = 0; i < nr_processes; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(work(&shared->process[i]));
		if (pids[i] < 0) {
			fprintf(stderr, "usemem: fork: %s\n", strerror(errno));
			nr_processes = i;
			good = false;
		}
	}
	for (unsigned left = nr_processes; left; left--) {
		int status = 0;
		pid_t ended;

		if (!good)
			end_others(pids);
		ended = wait(&status);
		for (unsigned i = 0; i < nr_processes; i++)
			if (pids[i] == ended)
				pids[i] = 0;
		good &= !status;
	}
	return good;
}

static void print_all(void)
{
	double mib = nr_words * 8.0 * repeat / (1 << 20);
	double low = 1e300, high = 0, sum = 0, free_sum = 0, free_max = 0;
	double init_sum = 0;
	uint64_t first = UINT64_MAX, last = 0;

	for (unsigned i = 0; i < nr_processes; i++) {
		struct process *p = &shared->process[i];
		double rate = mib / ((p->end_ns - p->start_ns) / 1e9);

		low = rate < low ? rate : low;
		high = rate > high ? rate : high;
		sum += rate;
		init_sum += p->init_ns / 1e3;
		free_sum += p->free_ns / 1e3;
		if (p->free_ns / 1e3 > free_max)
			free_max = p->free_ns / 1e3;
		first = p->start_ns < first ? p->start_ns : first;
		last = p->end_ns > last ? p->end_ns : last;
	}
	printf("sum %.1f\n", mib * nr_processes / ((last - first) / 1e9));
	printf("process.mean %.1f\n", sum / nr_processes);
	printf("process.slowest %.1f\n", low);
	printf("process.fastest %.1f\n", high);
	printf("init %.1f\n", init_sum / nr_processes);
	printf("free.mean %.1f\n", free_sum / nr_processes);
	printf("free.slowest %.1f\n", free_max);
}

int main(int argc, char **argv)
{
	size_t mib = 0;
	int c;

	while ((c = getopt(argc, argv, "n:r:")) != -1) {
		if (c == 'n')
			nr_processes = strtoul(optarg, NULL, 10);
		else if (c == 'r')
			repeat = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc - 1)
		mib = strtoul(argv[optind], NULL, 10);
	if (!mib || !repeat || !nr_processes || nr_processes > MAX_PROCESSES) {
		fprintf(stderr, "usage: usemem [-n PROCESSES] [-r REPEAT] "
				"MIB\n");
		return 2;
	}
	nr_words = (mib << 20) / 8;
	shared = map(sizeof(*shared), MAP_SHARED);
	init_barrier(&shared->mapped);
	init_barrier(&shared->written);
	if (!run_all())
		return 1;
	print_all();
	return 0;
}
