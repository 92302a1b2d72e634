/*
 * model_mm.c - random reads, writes, munmaps, remaps, dontneeds, forks and
 * exits over several spaces, with eviction in between and devices that come and
 * go, against the naive model of model.h.
 *
 *        model_mm [huge] [SEED [STEPS]]
 */
#include "model.h"

#include "base/time.h"

static void run(uint64_t seed, uint64_t steps, uint64_t slots, bool exact,
		bool devices, bool huge)
{
	struct model m;

	md_open(&m, seed, slots, huge);
	m.exact = exact;
	m.f.mm->heat = exact ? &sim_heat : NULL;
	m.devices = devices;
	while (m.steps < steps) {
		md_step(&m);
		md_check(&m, m.steps % (huge ? 64 : 16) == 0);
	}
	md_check(&m, true);
	md_close(&m);
}

int main(int argc, char **argv)
{
	bool huge = argc > 1 && !strcmp(argv[1], "huge");
	uint64_t seed, steps;

	argc -= huge;
	argv += huge;
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : sw_now_ns();
	steps = argc > 2 ? strtoull(argv[2], NULL, 0) : huge ? 2000 : 4000;

	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	run(seed, steps, 8192, false, false, huge); /* room for all */
	run(seed + 1, steps, 8192, true, false, huge);
	run(seed + 2, steps, huge ? 1700 : 700, false, false,
	    huge); /* full at times */
	run(seed + 3, steps / 2, 2048, false, true, huge);
	run(seed + 4, steps / 2, huge ? 1700 : 700, true, true, huge);
	fx_batches = true;
	run(seed + 5, steps, 8192, false, false, huge);
	run(seed + 6, steps, huge ? 1700 : 700, false, false, huge);
	run(seed + 7, steps / 2, 2048, false, true, huge);
	fx_print_counters();
	return 0;
}
