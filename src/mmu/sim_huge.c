/*
 * sim_huge.c - huge pages of a simulated space: a mark on all pages of one, which
 * goes as soon as one of them is treated apart. They are taken and brought whole.
 *
 * Beside: sim.c, sim_program.c, sim_layout.c.
 */
#include <errno.h>
#include <string.h>

#include "mmu/sim_internal.h"

#define HUGE_BYTES (SW_HUGE_PAGES * SW_PAGE_SIZE)

void sim_split(struct sw_sim *sim, uint64_t addr)
{
	struct sim_page *p = sim_page_at(sim, addr);

	if (!p || !p->huge)
		return;
	addr &= ~(HUGE_BYTES - 1);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		sim_page_at(sim, addr + i * SW_PAGE_SIZE)->huge = false;
}

/* Machine lock held. */
static bool is_huge_locked(struct sw_sim *sim, uint64_t addr)
{
	struct sim_page *p = sim_page_at(sim, addr);

	return p && p->huge && p->registered;
}

/* What keeps it from moving whole, if anything. */
static enum sw_agent_page huge_obstacle(struct sw_sim *sim, uint64_t addr)
{
	if (!is_huge_locked(sim, addr))
		return SW_PAGE_STALE;
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++) {
		struct sim_page *p = sim_page_at(sim, addr + i * SW_PAGE_SIZE);

		if (p->refused)
			return SW_PAGE_REFUSED;
		if (!p->exclusive || p->pinned)
			return SW_PAGE_BUSY;
	}
	return SW_PAGE_TAKEN;
}

void sim_take_huge(struct sw_sim *sim, uint64_t addr, uint8_t *page)
{
	enum sw_agent_page how = huge_obstacle(sim, addr);

	for (unsigned i = 0; i < SW_HUGE_PAGES; i++) {
		uint64_t at = addr + i * SW_PAGE_SIZE;

		page[i] = how;
		if (how == SW_PAGE_TAKEN)
			page[i] = sim_take_page(sim, at, &sim->staged[i]);
	}
}

bool sim_is_huge(struct sw_mmu *mmu, uint64_t addr)
{
	return sw_sim_is_huge(sw_sim_of(mmu), addr);
}

static int bring_locked(struct sw_sim *sim, uint64_t addr, const char *pages,
			uint8_t *page)
{
	unsigned nr = SW_HUGE_PAGES, n;
	int done = 0;

	SW_BUG_ON(addr % HUGE_BYTES);
	memset(page, SW_PAGE_STALE, nr);
	if (sim_same_mapping(sim, addr, nr) == (int)nr)
		done = sim_copy_locked(sim, addr, pages, nr, false);
	for (n = 0; (int)n < done; n++)
		page[n] = SW_PAGE_TAKEN;
	for (unsigned i = 0; n == nr && i < nr; i++)
		sim_page_at(sim, addr + i * SW_PAGE_SIZE)->huge = true;
	return n == nr;
}

int sim_bring(struct sw_mmu *mmu, uint64_t addr, const void *pages,
	      uint8_t page[SW_MMU_BATCH])
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_begin(sim, SW_SIM_BRING);

	if (!err && sim_agent_is_dead(sim))
		err = -ESRCH;
	if (!err)
		err = bring_locked(sim, addr, pages, page);
	return sim_op_end(sim, err);
}

bool sw_sim_collapse(struct sw_sim *sim, uint64_t addr)
{
	struct sim_page *first = sim_page_at(sim, addr);
	bool can = true;

	pthread_mutex_lock(&sim->m->lock);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++) {
		struct sim_page *p = &first[i];

		can &= p->frame && p->exclusive && !p->wp &&
		       p->vma == first->vma && p->registered;
	}
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		first[i].huge = can;
	pthread_mutex_unlock(&sim->m->lock);
	return can;
}

bool sw_sim_is_huge(struct sw_sim *sim, uint64_t addr)
{
	bool is;

	pthread_mutex_lock(&sim->m->lock);
	is = is_huge_locked(sim, addr);
	pthread_mutex_unlock(&sim->m->lock);
	return is;
}
