/*
 * bench_swap_memory.c - what the swap layer keeps for a device, idle and with
 * 1 % of its slots used, and how long swapon and swapoff take, from 1 GiB to
 * 16 TiB. Each device has a process of its own, which has no memory left from
 * before to use again. Times are CPU times.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "swap/swap_mem.h"
#include "swap_paths.h"

struct device {
	const char *name;
	uint64_t slots;
	bool spread; /* over all clusters, not as few as possible */
};

struct run {
	swp_entry_t entry;
	unsigned nr;
};

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Asked for and not given back, of the heap and beside it. */
static uint64_t allocated_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void put_runs(const struct run *runs, uint64_t nr_runs)
{
	for (uint64_t i = 0; i < nr_runs; i++)
		swap_put_entries_direct(runs[i].entry, runs[i].nr);
}

/* `nr` slots as a program uses them that was pushed out: whole clusters. */
static uint64_t use_whole_clusters(struct run *runs, uint64_t nr)
{
	uint64_t nr_runs = 0;

	while (nr) {
		bool whole = nr >= SWAPFILE_CLUSTER;
		struct run *run = &runs[nr_runs++];

		run->entry = swapped_out(whole ? SWAP_MAX_ORDER : 0);
		run->nr = whole ? SWAPFILE_CLUSTER : 1;
		nr -= run->nr;
	}
	return nr_runs;
}

/* The worst there is: all were used, and as few are left in each cluster. */
static uint64_t use_every_cluster(struct run *runs, uint64_t nr,
				  uint64_t clusters)
{
	const unsigned left = nr / clusters;
	uint64_t nr_runs =
		use_whole_clusters(runs, (clusters - 1) * SWAPFILE_CLUSTER);

	for (uint64_t i = 0; i < nr_runs; i++) {
		swp_entry_t entry = runs[i].entry;

		entry.val += left;
		swap_put_entries_direct(entry, runs[i].nr - left);
		runs[i].nr = left;
	}
	return nr_runs;
}

static void measure(const struct device *d)
{
	const uint64_t clusters = d->slots / SWAPFILE_CLUSTER;
	struct run *runs =
		malloc((clusters + SWAPFILE_CLUSTER) * sizeof(*runs));
	uint64_t before, idle, used, nr_runs;
	struct sw_swap_device_info info;
	double on_s, off_s;
	unsigned type;

	SW_BUG_ON(!runs);
	must(folio_pool_init(1 << 20, NULL));
	must(swap_init());
	before = allocated_bytes();
	on_s = cpu_s();
	type = bench_swapon(d->slots, -1);
	on_s = cpu_s() - on_s;
	idle = allocated_bytes() - before;

	before = allocated_bytes();
	nr_runs = d->spread ? use_every_cluster(runs, d->slots / 100, clusters)
			    : use_whole_clusters(runs, d->slots / 100);
	used = allocated_bytes() - before;
	SW_BUG_ON(!swap_device_info(type, &info));
	/* The cluster of the header is in use from the start. */
	printf("%-24s %8lu %8.1f %12.1f %10.2f %8.3f", d->name, clusters,
	       (double)(idle - sizeof(struct swap_table)) / clusters,
	       idle / 1024.0, (double)used / info.used, on_s);

	put_runs(runs, nr_runs);
	off_s = cpu_s();
	must(swapoff(type, NULL, NULL));
	off_s = cpu_s() - off_s;
	printf(" %8.3f\n", off_s);
	swap_exit();
	free(runs);
}

int main(void)
{
	static const struct device devices[] = {
		{ "1 GiB", 1ULL << 18, false },
		{ "64 GiB", 1ULL << 24, false },
		{ "64 GiB, in each cluster", 1ULL << 24, true },
		{ "1 TiB", 1ULL << 28, false },
		{ "16 TiB", 1ULL << 32, false },
	};

	printf("%-24s %8s %8s %12s %10s %8s %8s\n", "device, 1 % used",
	       "clusters", "B idle", "KiB idle", "B a slot", "on, s", "off, s");
	for (unsigned i = 0; i < SW_ARRAY_SIZE(devices); i++) {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		SW_BUG_ON(pid < 0);
		if (!pid) {
			measure(&devices[i]);
			return 0;
		}
		SW_BUG_ON(waitpid(pid, &status, 0) != pid || status);
	}
	printf("%-24s %8s %8s %12s %10s\n", "target", "", "<= 48", "",
	       "8 to 11");
	return 0;
}
