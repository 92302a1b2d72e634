/*
 * count_path.c - runs one path of swap_paths.c for callgrind to count; called
 * by bench/count-instructions.
 *
 *      count_path              lists the paths: name, operations, description
 *      count_path compiler     what this was built with and for
 *      count_path NAME         runs it, once unseen and once to be counted
 *
 * The count is the same on every machine with this compiler: one CPU is
 * assumed, since sums over CPUs are part of the slow paths.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "swap_paths.h"

/*
 * valgrind has no rseq, so the area says that it is not in use, and every
 * look at the current CPU would go a way that programs never go. Only while
 * counting: whoever starts a thread believes what stands there.
 */
static void count(const struct swap_path *path)
{
	struct rseq *rs = (struct rseq *)((char *)__builtin_thread_pointer() +
					  __rseq_offset);
	volatile uint32_t *cpu = (volatile uint32_t *)&rs->cpu_id;
	uint32_t unused = *cpu;

	*cpu = 0;
	swap_path_run(path);
	*cpu = unused;
}

static void list(void)
{
	for (unsigned i = 0; i < nr_swap_paths; i++)
		printf("%s %u %s\n", swap_paths[i].name, swap_paths[i].batch,
		       swap_paths[i].what);
}

static void compiler(void)
{
	struct utsname u;

	uname(&u);
#ifdef __clang__
	printf("%s, %s\n", __VERSION__, u.machine);
#else
	printf("gcc %s, %s\n", __VERSION__, u.machine);
#endif
}

static int run(const char *name)
{
	for (unsigned i = 0; i < nr_swap_paths; i++) {
		const struct swap_path *path = &swap_paths[i];

		if (strcmp(path->name, name))
			continue;
		swap_paths_open(1);
		path->prepare(path->batch);
		path->run(path->batch);
		path->restore(path->batch);
		path->prepare(path->batch);
		count(path);
		path->restore(path->batch);
		swap_paths_close();
		return 0;
	}
	fprintf(stderr, "count_path: no path is called %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "compiler"))
		return run(argv[1]);
	if (argc > 1)
		compiler();
	else
		list();
	return 0;
}
