/*
 * moved.c - see moved.h. Above: unuse.c. Below: swap/.
 */
#include "mm/moved.h"

#include <errno.h>
#include <sys/mman.h>

#define STAYS UINT64_MAX

int sw_moved_init(struct sw_moved *m, unsigned type, uint64_t max)
{
	void *p = mmap(NULL, max * sizeof(*m->to), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	*m = (struct sw_moved){
		.type = type,
		.to = p,
		.bytes = max * sizeof(*m->to),
	};
	return 0;
}

static void note(struct sw_moved *m, swp_entry_t from, uint64_t what)
{
	m->to[swp_offset(from)] = what;
	m->end = sw_max(m->end, swp_offset(from) + 1);
	if (what == STAYS)
		m->nr_stay++;
	else
		m->nr++;
}

void sw_moved_remember(struct sw_moved *m, swp_entry_t from,
		       struct folio *folio)
{
	/* Else whoever else names the old slot reads it once more. */
	if (!folio_dup_swap(folio, -1))
		note(m, from, folio->swap.val);
}

swp_entry_t sw_moved_to(const struct sw_moved *m, swp_entry_t from)
{
	uint64_t to = m->to[swp_offset(from)];

	return (swp_entry_t){ to == STAYS ? 0 : to };
}

void sw_moved_stay(struct sw_moved *m, swp_entry_t from)
{
	if (!m->to[swp_offset(from)])
		note(m, from, STAYS);
}

bool sw_moved_stays(const struct sw_moved *m, swp_entry_t from)
{
	return m->to[swp_offset(from)] == STAYS;
}

static void forget(struct sw_moved *m, uint64_t offset)
{
	uint64_t to = m->to[offset];

	m->to[offset] = 0;
	if (to == STAYS) {
		m->nr_stay--;
		return;
	}
	swap_put_entries_direct((swp_entry_t){ to }, 1);
	m->nr--;
}

static void sweep(struct sw_moved *m, bool all)
{
	for (uint64_t o = 0; m->nr + m->nr_stay && o < m->end; o++)
		if (m->to[o] && (all || !swp_swapcount(swp_entry(m->type, o))))
			forget(m, o);
}

void sw_moved_sweep(struct sw_moved *m)
{
	sweep(m, false);
}

void sw_moved_release(struct sw_moved *m)
{
	sweep(m, true);
	munmap(m->to, m->bytes);
}
