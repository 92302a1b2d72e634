/*
 * sim_layout.c - the program in a simulated space changes its mappings.
 *
 *   call       what is done first                then
 *   munmap     pages go                          UNMAP is raised
 *   mremap     pages move                        [UNMAP of what was there],
 *                                                REMAP, UNMAP of the old range
 *   dontneed   REMOVE is raised                  pages go
 *
 * Beside: sim_program.c, which raises the events.
 */
#include <sched.h>

#include "mmu/sim_internal.h"

#define for_each_page(p, sim, start, end)                             \
	for (struct sim_page *p = sim_page_at(sim, start), *end_ = p; \
	     p && p < end_ + ((end) - (start)) / SW_PAGE_SIZE; p++)

/* Machine lock held. */
static uint64_t find_free(struct sw_sim *sim, uint64_t len)
{
	uint64_t want = len / SW_PAGE_SIZE, run = 0;

	for (uint64_t i = 0; i < sim->nr_pages; i++) {
		run = sim->page[i].vma ? 0 : run + 1;
		if (run == want)
			return sim->base + (i + 1 - want) * SW_PAGE_SIZE;
	}
	sw_bug(__FILE__, __LINE__, "no room in the simulated space");
}

static void map_pages(struct sw_sim *sim, uint64_t start, uint64_t end,
		      bool stranger)
{
	sim->m->next_vma++;
	for_each_page(p, sim, start, end)
	{
		SW_BUG_ON(p->vma);
		p->vma = sim->m->next_vma;
		p->registered = !stranger;
	}
}

void sw_sim_map(struct sw_sim *sim, uint64_t start, uint64_t end, bool stranger)
{
	pthread_mutex_lock(&sim->m->lock);
	map_pages(sim, start, end, stranger);
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_register(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&sim->m->lock);
	for_each_page(p, sim, start, end)
	{
		p->registered = p->vma;
	}
	pthread_mutex_unlock(&sim->m->lock);
}

uint64_t sw_sim_map_free(struct sw_sim *sim, uint64_t len)
{
	uint64_t at;

	pthread_mutex_lock(&sim->m->lock);
	at = find_free(sim, len);
	map_pages(sim, at, at + len, true);
	pthread_mutex_unlock(&sim->m->lock);
	return at;
}

/* Machine lock held: no page of the range is of a huge page any more. The kernel
 * keeps one that is treated alike in all its parts; nobody relies on that. */
static void split_all(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	for (; start < end; start += SW_PAGE_SIZE)
		sim_split(sim, start);
}

/* Machine lock held. */
static bool forget_pages(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	bool any = false;

	split_all(sim, start, end);
	for_each_page(p, sim, start, end)
	{
		any |= p->registered;
		sim_page_clear(p);
		*p = (struct sim_page){ 0 };
	}
	return any;
}

void sw_sim_replace_unseen(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&sim->m->lock);
	forget_pages(sim, start, end);
	map_pages(sim, start, end, true);
	pthread_mutex_unlock(&sim->m->lock);
}

/* Machine lock held: the range is somewhere else from now on. */
static void move_pages(struct sw_sim *sim, uint64_t from, uint64_t to,
		       uint64_t len)
{
	split_all(sim, from, from + len);
	for (uint64_t off = 0; off < len; off += SW_PAGE_SIZE) {
		struct sim_page *p = sim_page_at(sim, from + off);

		*sim_page_at(sim, to + off) = *p;
		*p = (struct sim_page){ 0 };
	}
}

static void say_unmap(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	struct sim_msg w = { .kind = SIM_UNMAP, .a = start, .b = end };

	sim_event(sim, &w);
}

static void say_remap(struct sw_sim *sim, uint64_t from, uint64_t to,
		      uint64_t len)
{
	struct sim_msg w = {
		.kind = SIM_REMAP, .a = from, .b = to, .len = len
	};

	sim_event(sim, &w);
}

void sw_sim_munmap(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&sim->m->lock);
	if (forget_pages(sim, start, end)) {
		sim->changing++;
		say_unmap(sim, start, end);
	}
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_mremap(struct sw_sim *sim, uint64_t from, uint64_t to, uint64_t len)
{
	bool over;

	pthread_mutex_lock(&sim->m->lock);
	over = forget_pages(sim, to, to + len);
	move_pages(sim, from, to, len);
	sim->changing += 2 + over;
	if (over)
		say_unmap(sim, to, to + len);
	say_remap(sim, from, to, len);
	say_unmap(sim, from, from + len);
	pthread_mutex_unlock(&sim->m->lock);
}

uint64_t sw_sim_mremap_free(struct sw_sim *sim, uint64_t from, uint64_t len)
{
	uint64_t to;

	pthread_mutex_lock(&sim->m->lock);
	to = find_free(sim, len);
	move_pages(sim, from, to, len);
	sim->changing += 2;
	say_remap(sim, from, to, len);
	say_unmap(sim, from, from + len);
	pthread_mutex_unlock(&sim->m->lock);
	return to;
}

void sw_sim_dontneed(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	struct sim_msg w = { .kind = SIM_REMOVE, .a = start, .b = end };

	pthread_mutex_lock(&sim->m->lock);
	sim->changing++;
	sim_event(sim, &w);
	if (sim->threaded) { /* the kernel takes its locks anew here */
		pthread_mutex_unlock(&sim->m->lock);
		sched_yield();
		pthread_mutex_lock(&sim->m->lock);
	}
	split_all(sim, start, end);
	for_each_page(p, sim, start, end) sim_page_clear(p);
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_munmap_quiet(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&sim->m->lock);
	forget_pages(sim, start, end);
	sim->changing++;
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_mremap_quiet(struct sw_sim *sim, uint64_t from, uint64_t to,
			 uint64_t len)
{
	pthread_mutex_lock(&sim->m->lock);
	move_pages(sim, from, to, len);
	sim->changing += 2;
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_say_unmap(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&sim->m->lock);
	say_unmap(sim, start, end);
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_say_remap(struct sw_sim *sim, uint64_t from, uint64_t to,
		      uint64_t len)
{
	pthread_mutex_lock(&sim->m->lock);
	say_remap(sim, from, to, len);
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_change(struct sw_sim *sim, int by)
{
	pthread_mutex_lock(&sim->m->lock);
	sim->changing += by;
	pthread_mutex_unlock(&sim->m->lock);
}
