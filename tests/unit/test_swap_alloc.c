/*
 * test_swap_alloc.c - finding free slots: what happens while the allocator has
 * dropped its lock, on other CPUs, on devices that go; and whose slots they are.
 */
#include <pthread.h>
#include <unistd.h>

#include "intruder.h"

/* Fills the device with cached, unowned, mapped folios. */
static unsigned fill_unowned(struct folio **folios, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		folios[i] = fx_cached(0);
		folio_set(folios[i], SW_FOLIO_MAPPED);
		folio_unlock(folios[i]);
	}
	return nr;
}

static void drop_all(struct folio **folios, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		folio_lock(folios[i]);
		if (folio_test(folios[i], SW_FOLIO_SWAPCACHE))
			folio_free_swap(folios[i]);
		fx_drop(folios[i]);
	}
}

static struct folio *filled[8 * CL];
static unsigned nr_filled, nr_hooked;

static struct sw_mutex window = SW_MUTEX_INIT("window", SW_RANK_SPACE);

/* Takes a lock that stands above all of ours: aborts if one is held. */
static void hook_takes_a_window(struct folio *folio)
{
	assert_true(folio_is_locked(folio));
	sw_mutex_lock(&window);
	nr_hooked++;
	sw_mutex_unlock(&window);
}

static void reclaim_hook_runs_under_no_lock_but_the_folios(void **state)
{
	struct folio *extra;

	for (unsigned round = 0; round < 2; round++) {
		struct swapon_spec spec = {
			.name = "x",
			.ops = &fx_ops,
			.max = 2 * CL,
			.prio = -1,
			.flags = round ? SWP_SOLIDSTATE : 0,
		};
		int type = swapon(&spec);

		nr_filled = fill_unowned(filled, 2 * CL - 1);
		nr_hooked = 0;
		swap_set_reclaim_hook(hook_takes_a_window);
		extra = fx_cached(0);
		assert_true(nr_hooked > 0);
		assert_true(folio_free_swap(extra));
		fx_drop(extra);
		drop_all(filled, nr_filled);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
}

#ifdef SW_CHECKS
static struct swap_cluster_info *watched;
static struct folio *usurper;
static swp_entry_t lone[2]; /* keep a range each from being taken */

/* Everything else of the cluster goes; this one is about to. */
static void hook_frees_the_others(struct folio *folio)
{
	swap_set_reclaim_hook(NULL);
	watched = ci_of(folio->swap);
	for (unsigned i = 0; i < nr_filled; i++) {
		if (!folio_trylock(filled[i]))
			continue;
		assert_true(folio_free_swap(filled[i]));
		folio_unlock(filled[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		swap_put_entries_direct(lone[i], 1);
}

/* When it is free and nobody has its lock, another order moves in. */
static void take_the_free_cluster(const char *what)
{
	if (strcmp(what, "cluster") || !watched ||
	    watched->flags != CLUSTER_FLAG_FREE)
		return;
	sw_sched_hook = NULL;
	usurper = fx_cached(2);
	folio_unlock(usurper);
}

static void cluster_is_looked_at_again_after_reclaim(void **state)
{
	int type = fx_swapon(2 * CL, -1);
	struct folio *extra;

	for (unsigned i = 1; i < CL; i++)
		fx_swapped(0, 0);
	for (nr_filled = 0; nr_filled < CL / 2 - 2; nr_filled++) {
		filled[nr_filled] = fx_cached(1);
		folio_set(filled[nr_filled], SW_FOLIO_MAPPED);
		folio_unlock(filled[nr_filled]);
	}
	/* Two slots are free, but no two that would do. */
	for (unsigned i = 0; i < 2; i++) {
		extra = fx_cached(1);
		lone[i] = extra->swap;
		assert_int_equal(folio_dup_swap(extra, 0), 0);
		swap_cache_del_folio(extra, 0);
		fx_drop(extra);
	}
	assert_true(vm_swap_full());
	swap_set_reclaim_hook(hook_frees_the_others);
	watched = NULL;
	usurper = NULL;
	sw_sched_hook = take_the_free_cluster;
	extra = fx_folio(1);
	/* The only cluster with room serves order 2 by now. */
	assert_int_equal(folio_alloc_swap(extra, 0), -ENOMEM);
	fx_drop(extra);
	assert_non_null(usurper);
	assert_ptr_equal(ci_of(usurper->swap), watched);
	assert_int_equal(watched->count, 4);
	fx_check();
	folio_lock(usurper);
	assert_true(folio_free_swap(usurper));
	fx_drop(usurper);
	drop_all(filled, nr_filled);
	for (uint64_t o = 1; o < CL; o++)
		swap_put_entries_direct(swp_entry(type, o), 1);
}
#endif

static int moves;

static bool wake_up_elsewhere(void *arg, const char *what)
{
	if (strcmp(what, "swap table"))
		return true;
	swap_pretend_cpu(++moves % swap_nr_cpus);
	return moves % 3 != 0;
}

static void cluster_is_kept_when_the_thread_wakes_up_on_another_cpu(
	void **state)
{
	swp_entry_t e[6 * CL];
	unsigned n = 0;
	int type = fx_swapon(6 * CL, -1);

	moves = 0;
	swap_set_alloc_hook(wake_up_elsewhere, NULL);
	for (unsigned i = 0; i < 4 * CL; i++) {
		struct folio *folio = fx_folio(0);

		if (!folio_alloc_swap(folio, 0)) {
			assert_int_equal(folio_dup_swap(folio, 0), 0);
			e[n++] = folio->swap;
			swap_cache_del_folio(folio, 0);
		}
		fx_drop(folio);
		if (i % 16 == 0)
			fx_check();
	}
	assert_true(moves > 0);
	fx_check();
	for (unsigned i = 0; i < n; i++)
		swap_put_entries_direct(e[i], 1);
	assert_int_equal(fx_used(type), 0);
}

static void *switch_off(void *arg)
{
	int *type = arg;

	assert_int_equal(swapoff(*type, NULL, NULL), 0);
	return NULL;
}

static pthread_t off_thread;
static int off_type;

/* While the allocator reclaims without locks the device begins to go. */
static void hook_swapoff_begins(struct folio *folio)
{
	swap_set_reclaim_hook(NULL);
	assert_int_equal(
		pthread_create(&off_thread, NULL, switch_off, &off_type), 0);
	while (swap_flags(&swap_info[off_type]) & SWP_WRITEOK)
		usleep(100);
}

static void allocation_never_lands_on_a_device_that_is_going(void **state)
{
	struct folio *extra;

	off_type = fx_swapon(2 * CL, 5);
	nr_filled = fill_unowned(filled, 2 * CL - 1);
	swap_set_reclaim_hook(hook_swapoff_begins);
	extra = fx_folio(0);
	assert_int_equal(folio_alloc_swap(extra, 0), -ENOMEM);
	pthread_join(off_thread, NULL);
	fx_drop(extra);
	for (unsigned i = 0; i < nr_filled; i++)
		assert_false(folio_test(filled[i], SW_FOLIO_SWAPCACHE));
	drop_all(filled, nr_filled);
}

static void no_cpu_remembers_a_device_that_is_off(void **state)
{
	swp_entry_t e;
	int type;

	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		swap_pretend_cpu(cpu);
		type = fx_swapon(4 * CL, -1);
		for (unsigned i = 0; i < 2 * CL; i++)
			fx_swapped(0, 0);
		swap_put_entries_direct(swp_entry(type, 1), 1);
		for (uint64_t o = 2; o < 4 * CL; o++)
			if (swp_swapcount(swp_entry(type, o)))
				swap_put_entries_direct(swp_entry(type, o), 1);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
		assert_int_equal(fx_swapon(4, -1), type);
		e = fx_swapped(0, 0);
		assert_in_range(swp_offset(e), 1, 3);
		swap_put_entries_direct(e, 1);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
}

static void failed_allocation_is_an_event_of_its_group(void **state)
{
	struct sw_swap_group_info before, after;
	struct folio *folio = fx_folio(0);

	swap_group_info(3, &before);
	assert_int_equal(folio_alloc_swap(folio, 3), -ENOMEM);
	swap_group_info(3, &after);
	assert_int_equal(after.nr_fail, before.nr_fail + 1);
	assert_int_equal(after.nr_max, before.nr_max);
	assert_int_equal(after.usage, before.usage);
	fx_drop(folio);
}

static void slots_of_two_groups_freed_in_one_call_pay_back_each(void **state)
{
	struct sw_swap_group_info a, b;
	swp_entry_t e[6];

	fx_swapon(4 * CL, -1);
	for (unsigned i = 0; i < 6; i++) {
		struct folio *folio = fx_folio(0);

		assert_int_equal(folio_alloc_swap(folio, 5 + i / 2 % 2), 0);
		e[i] = folio->swap;
		assert_int_equal(folio_dup_swap(folio, 0), 0);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
		assert_int_equal(e[i].val, e[0].val + i);
	}
	swap_group_info(5, &a);
	swap_group_info(6, &b);
	assert_int_equal(a.usage, 4);
	assert_int_equal(b.usage, 2);
	swap_put_entries_direct(e[0], 6);
	swap_group_info(5, &a);
	swap_group_info(6, &b);
	assert_int_equal(a.usage, 0);
	assert_int_equal(b.usage, 0);
}

static void folio_larger_than_a_cluster_is_refused(void **state)
{
	struct folio *folio;

	fx_swapon(4 * CL, -1);
	if (SWAP_MAX_ORDER == 9)
		return; /* no folio is larger */
	folio = fx_folio(SWAP_MAX_ORDER + 1);
	assert_int_equal(folio_alloc_swap(folio, 0), -EINVAL);
	fx_drop(folio);
}

static void order_zero_takes_what_larger_orders_left(void **state)
{
	const unsigned o = SWAP_MAX_ORDER - 1, n = 1u << o;
	struct folio *folio;
	swp_entry_t e[8], holes;
	unsigned nr = 0;
	int type = fx_swapon(4 * CL, -1);

	for (;;) {
		folio = fx_folio(o);
		if (folio_alloc_swap(folio, 0))
			break;
		e[nr++] = folio->swap;
		assert_int_equal(folio_dup_swap(folio, -1), 0);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
	}
	fx_drop(folio);
	/* The rest of the header's cluster. */
	while (fx_used(type) < 4 * CL - 1)
		fx_swapped(0, 0);
	holes = fx_entry_add(e[1], 1);
	swap_put_entries_direct(holes, n - 1);
	folio = fx_folio(o);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	fx_drop(folio);
	folio = fx_cached(0);
	assert_in_range(folio->swap.val, holes.val, holes.val + n - 2);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	for (uint64_t off = 1; off < 4 * CL; off++)
		if (swp_swapcount(swp_entry(type, off)))
			swap_put_entries_direct(swp_entry(type, off), 1);
}

/* Where slots of a kind go next to each other they do not fill up holes. */
static void holes_wait_while_a_clustered_device_has_free_clusters(void **state)
{
	for (unsigned clustered = 0; clustered < 2; clustered++) {
		struct swapon_spec spec = {
			.name = "x",
			.ops = &fx_ops,
			.max = 3 * CL,
			.prio = -1,
			.flags = SWP_SOLIDSTATE |
				 (clustered ? SWP_CLUSTERED : 0),
		};
		int type = swapon(&spec);
		/* The first one has the header, and is not free. */
		unsigned n = clustered ? CL : CL - 1;
		swp_entry_t first = fx_swapped(0, 0), next;

		for (unsigned i = 1; i < n; i++)
			fx_swapped(0, 0);
		swap_put_entries_direct(fx_entry_add(first, 2), 1);
		next = fx_swapped(0, 0);
		if (clustered)
			assert_int_not_equal(next.val / CL, first.val / CL);
		else
			assert_int_equal(next.val, first.val + 2);
		swap_put_entries_direct(next, 1);
		for (unsigned i = 0; i < n; i++)
			if (swp_swapcount(fx_entry_add(first, i)))
				swap_put_entries_direct(fx_entry_add(first, i),
							1);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(reclaim_hook_runs_under_no_lock_but_the_folios),
#ifdef SW_CHECKS
		FX_TEST(cluster_is_looked_at_again_after_reclaim),
#endif
		FX_TEST(cluster_is_kept_when_the_thread_wakes_up_on_another_cpu),
		FX_TEST(allocation_never_lands_on_a_device_that_is_going),
		FX_TEST(no_cpu_remembers_a_device_that_is_off),
		FX_TEST(failed_allocation_is_an_event_of_its_group),
		FX_TEST(slots_of_two_groups_freed_in_one_call_pay_back_each),
		FX_TEST(folio_larger_than_a_cluster_is_refused),
		FX_TEST(order_zero_takes_what_larger_orders_left),
		FX_TEST(holes_wait_while_a_clustered_device_has_free_clusters),
	};

	return FX_RUN(tests);
}
