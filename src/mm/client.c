/*
 * client.c - what the MMU layer calls: a thread a space, with faults and layout
 * events, and between them to settle what could not be done at once.
 *
 * Above: mmu/remote_events.c, mmu/local_thread.c. Below: fault.c, layout.c,
 * fork.c, advise.c, late.c, owed.c.
 */
#include "mm/mm_internal.h"

static void client_lock(void *space) SW_NO_TSA
{
	sw_space_lock(space);
}

static void client_unlock(void *space) SW_NO_TSA
{
	sw_space_unlock(space);
}

static void client_read(void *space, unsigned nr)
{
	struct sw_space *s = space;

	sw_stall_read(&s->stall, nr);
}

static bool resolve_doubts(struct sw_space *space)
{
	bool again;

	if (!space->owed.asks)
		return false;
	sw_space_lock(space);
	again = sw_space_resolve(space);
	sw_space_unlock(space);
	return again;
}

/* What is armed for a fork goes first: writes pass it by until then. */
static uint64_t client_settle(void *space)
{
	uint64_t late_ns = sw_late_retry(space);
	bool in_doubt = resolve_doubts(space);

	if (sw_space_settle(space) || sw_advice_heed(space) || in_doubt)
		return SW_SETTLE_SOON_NS;
	return late_ns;
}

const struct sw_mmu_client sw_mm_client = {
	.lock = client_lock,
	.unlock = client_unlock,
	.read = client_read,
	.fault = sw_fault,
	.forking = sw_space_forking,
	.fork = sw_space_fork,
	.remap = sw_space_remap,
	.remove = sw_space_remove,
	.unmap = sw_space_unmap,
	.advise = sw_space_advise,
	.settle = client_settle,
};
