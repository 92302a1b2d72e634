/*
 * test_swap_discard.c - telling a device which slots are free: once at its
 * start, then cluster by cluster, and never under a lock.
 */
#include <stdlib.h>

#include "intruder.h"

static struct {
	uint64_t calls, slots;
} trim;

static struct sw_mutex window = SW_MUTEX_INIT("window", SW_RANK_SPACE);

static int fx_discard(void *store, uint64_t offset, uint64_t nr)
{
	/* Nothing of ours may be held over a slow device. */
	sw_mutex_lock(&window);
	sw_mutex_unlock(&window);
	trim.calls++;
	trim.slots += nr;
	return 0;
}

static const struct swap_ops trim_ops = { .slot_free = fx_slot_free,
					  .discard = fx_discard };

static int trim_on(uint64_t max, unsigned flags)
{
	struct swapon_spec spec = {
		.name = "trim",
		.ops = &trim_ops,
		.max = max,
		.prio = -1,
		.flags = SWP_SOLIDSTATE | SWP_DISCARDABLE | flags,
	};

	memset(&trim, 0, sizeof(trim));
	return swapon(&spec);
}

static void area_is_discarded_once_at_swapon(void **state)
{
	int type = trim_on(4 * CL, SWP_AREA_DISCARD);

	assert_int_equal(trim.calls, 1);
	assert_int_equal(trim.slots, 4 * CL - 1);
	swap_put_entries_direct(fx_swapped(2, 0), 4);
	assert_int_equal(trim.calls, 1);
	assert_int_equal(fx_used(type), 0);
}

static void full_cluster_freed_on_a_discard_device_is_used_again(void **state)
{
	int type = trim_on(4 * CL, SWP_PAGE_DISCARD);
	swp_entry_t e[3];
	struct folio *folio;

	for (unsigned i = 0; i < 3; i++)
		e[i] = fx_swapped(SWAP_MAX_ORDER, 0);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_FULL);
	swap_put_entries_direct(e[1], CL);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_DISCARD);
	fx_check();
	/* Waiting: a large order does without, and does not discard. */
	folio = fx_folio(SWAP_MAX_ORDER);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	assert_int_equal(trim.calls, 0);
	assert_int_equal(swap_work_run_pending(), 1);
	assert_int_equal(trim.slots, CL);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_FREE);
	fx_check();
	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	assert_int_equal(folio->swap.val, e[1].val);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(e[0], CL);
	swap_put_entries_direct(e[2], CL);
	assert_int_equal(fx_used(type), 0);
}

static void last_slots_wait_for_discard_under_no_lock(void **state)
{
	swp_entry_t e[3], *rest = calloc(CL, sizeof(*rest));
	struct folio *folio;
	int type = trim_on(4 * CL, SWP_PAGE_DISCARD);

	for (unsigned i = 0; i < 3; i++)
		e[i] = fx_swapped(SWAP_MAX_ORDER, 0);
	for (unsigned i = 0; i < CL - 1; i++)
		rest[i] = fx_swapped(0, 0);
	swap_put_entries_direct(e[0], CL);
	assert_int_equal(trim.calls, 0);
	folio = fx_cached(0); /* discards by itself */
	assert_int_equal(trim.calls, 1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(e[1], CL);
	swap_put_entries_direct(e[2], CL);
	for (unsigned i = 0; i < CL - 1; i++)
		swap_put_entries_direct(rest[i], 1);
	free(rest);
	assert_int_equal(fx_used(type), 0);
}

static void image_gets_slots_that_wait_for_discard(void **state)
{
	int type = trim_on(2 * CL, SWP_PAGE_DISCARD);
	swp_entry_t large = fx_swapped(SWAP_MAX_ORDER, 0), e[CL];

	for (unsigned i = 1; i < CL; i++)
		e[i] = fx_swapped(0, 0);
	swap_put_entries_direct(large, CL);
	assert_int_equal(ci_of(large)->flags, CLUSTER_FLAG_DISCARD);
	e[0] = swap_alloc_hibernation_slot(type);
	assert_int_equal(e[0].val, large.val);
	assert_int_equal(trim.calls, 1);
	swap_free_hibernation_slot(e[0]);
	for (unsigned i = 1; i < CL; i++)
		swap_put_entries_direct(e[i], 1);
	assert_int_equal(fx_used(type), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(area_is_discarded_once_at_swapon),
		FX_TEST(full_cluster_freed_on_a_discard_device_is_used_again),
		FX_TEST(last_slots_wait_for_discard_under_no_lock),
		FX_TEST(image_gets_slots_that_wait_for_discard),
	};

	return FX_RUN(tests);
}
