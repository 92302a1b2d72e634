/*
 * sim_heat.h - a source of accessed bits (mm/heat.h) that is never wrong: the
 * simulated machine's own.
 */
#ifndef TESTS_SIM_HEAT_H
#define TESTS_SIM_HEAT_H

#include "mm/mm_internal.h"
#include "mmu/sim.h"

static inline int sim_touched(void *arg, struct sw_space *space,
			      struct sw_heat_window *win, unsigned nr)
{
	struct sw_sim *sim = sw_sim_of(sw_space_mmu(space));

	(void)arg;
	for (unsigned w = 0; w < nr; w++)
		win[w].touched = sw_sim_touched(sim, win[w].addr, win[w].asked);
	return 0;
}

static const struct sw_heat sim_heat __attribute__((unused)) = {
	.touched = sim_touched,
};

#endif
