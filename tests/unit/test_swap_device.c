/* test_swap_device.c - swapon, swapoff, priorities, totals, filling up. */
#include "fixture.h"

static void refuses_specs_that_lie(void **state)
{
	const uint64_t zero_bad[] = { 0 }, high[] = { 100 }, twice[] = { 5, 5 };
	struct swapon_spec spec = {
		.name = "x", .ops = &fx_ops, .max = 64, .prio = -1
	};
	struct swapon_spec s;

	s = spec, s.max = 1;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.max = SWAP_MAX_SLOTS + 1;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.prio = 32768;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.prio = -2;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.bad = zero_bad, s.nr_bad = 1;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.bad = high, s.nr_bad = 1;
	assert_int_equal(swapon(&s), -EINVAL);
	s = spec, s.bad = twice, s.nr_bad = 2;
	assert_int_equal(swapon(&s), -EINVAL);
	assert_int_equal(swapoff(0, NULL, NULL), -EINVAL);
	assert_int_equal(swapoff(1000, NULL, NULL), -EINVAL);
}

static bool no_clusters(void *arg, const char *what)
{
	*(bool *)arg |= !strcmp(what, "clusters");
	return strcmp(what, "clusters");
}

/* Its cluster descriptors would be gigabytes in the build with clusters of
 * eight: asked for, and refused, is far enough. */
static void takes_as_many_slots_as_a_header_can_name(void **state)
{
	const uint64_t largest = (uint64_t)UINT32_MAX + 1; /* a last page */
	const uint64_t bad[] = { largest - 1 };
	struct swapon_spec spec = { .name = "x",
				    .ops = &fx_ops,
				    .max = largest,
				    .prio = -1,
				    .bad = bad,
				    .nr_bad = 1 };
	bool asked = false;

	swap_set_alloc_hook(no_clusters, &asked);
	assert_int_equal(swapon(&spec), -ENOMEM);
	swap_set_alloc_hook(NULL, NULL);
	assert_true(asked);
}

/* The counts alone, as the largest device would have them. */
static void counts_every_slot_of_the_largest_device(void **state)
{
	const uint64_t pages = SWAP_MAX_SLOTS - 1;
	const unsigned cached = 1u << 28;
	int type = fx_swapon(64, -1);
	struct swap_info_struct *si = &swap_info[type];

	for (unsigned i = 0; i < 3; i++)
		swap_usage_add(si, 1u << 30, 0);
	swap_usage_add(si, 1u << 30, cached);
	assert_int_equal(swap_usage_in_pages(si), pages + 1);
	swap_usage_sub(si, 1, 0);
	assert_int_equal(swap_usage_in_pages(si), pages);
	assert_int_equal(swap_usage_cached(si), cached);

	/* Everything is freed on another CPU than it was taken on, cached
	 * slots among it. */
	swap_pretend_cpu(swap_nr_cpus - 1);
	for (unsigned i = 0; i < 3; i++)
		swap_usage_sub(si, 1u << 30, 0);
	assert_int_equal(swap_usage_in_pages(si), (1u << 30) - 1);
	assert_int_equal(swap_usage_cached(si), cached);
	swap_usage_sub(si, (1u << 30) - 1, cached);
	assert_int_equal(swap_usage_in_pages(si), 0);
	assert_int_equal(swap_usage_cached(si), 0);
}

/* A reader that meets a slot's end before its beginning sees less than none:
 * it says none, and the other count is what it is. */
static void a_count_below_zero_is_zero(void **state)
{
	int type = fx_swapon(64, -1);
	struct swap_info_struct *si = &swap_info[type];

	swap_usage_sub(si, 1, 0);
	assert_int_equal(swap_usage_in_pages(si), 0);
	assert_int_equal(swap_usage_cached(si), 0);
	swap_usage_add(si, 1, 3);
	swap_usage_sub(si, 1, 0);
	assert_int_equal(swap_usage_in_pages(si), 0);
	assert_int_equal(swap_usage_cached(si), 3);
	swap_usage_add(si, 1, 0);
	swap_usage_sub(si, 0, 4);
	assert_int_equal(swap_usage_cached(si), 0);
	swap_usage_add(si, 0, 1);
	assert_int_equal(swap_usage_in_pages(si), 0);
}

static void one_store_is_one_device(void **state)
{
	int x, type;
	struct swapon_spec spec = {
		.name = "x", .ops = &fx_ops, .max = 64, .prio = -1, .store = &x
	};

	type = swapon(&spec);
	assert_int_equal(type, 0);
	assert_int_equal(swapon(&spec), -EBUSY);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swapon(&spec), 0);
}

/* Whoever asked may still read the name when the device is off, and when the
 * next one has its memory. */
static void what_was_told_of_a_device_outlives_it(void **state)
{
	char longer[2 * SWAP_NAME_MAX] = "";
	struct swapon_spec spec = {
		.name = "first", .ops = &fx_ops, .max = 64, .prio = -1
	};
	struct sw_swap_device_info info;

	assert_int_equal(swapon(&spec), 0);
	assert_true(swap_device_info(0, &info));
	assert_int_equal(swapoff(0, NULL, NULL), 0);
	spec.name = "other";
	assert_int_equal(swapon(&spec), 0);
	assert_string_equal(info.name, "first");
	assert_int_equal(swapoff(0, NULL, NULL), 0);

	memset(longer, 'x', sizeof(longer) - 1);
	spec.name = longer;
	assert_int_equal(swapon(&spec), 0);
	assert_true(swap_device_info(0, &info));
	assert_int_equal(strlen(info.name), SWAP_NAME_MAX - 1);
	assert_memory_equal(info.name, longer, SWAP_NAME_MAX - 1);
}

static void devices_run_out_at_the_maximum(void **state)
{
	for (unsigned i = 0; i < MAX_SWAPFILES; i++)
		assert_int_equal(fx_swapon(16, -1), i);
	assert_int_equal(fx_swapon(16, -1), -EPERM);
	assert_int_equal(swapoff(3, NULL, NULL), 0);
	assert_int_equal(fx_swapon(16, -1), 3);
}

static void header_bad_and_tail_slots_are_never_given(void **state)
{
	const uint64_t bad[] = { 1, 3, CL, CL + 1, 2 * CL + 2 };
	struct swapon_spec spec = { .name = "x",
				    .ops = &fx_ops,
				    .max = 2 * CL + 4,
				    .prio = -1,
				    .bad = bad,
				    .nr_bad = 5,
				    .flags = SWP_SOLIDSTATE };
	int type = swapon(&spec);
	unsigned pages = 2 * CL + 3 - 5;
	struct folio *folios[2 * CL + 4];
	struct sw_swap_totals t;

	fx_check();
	si_swapinfo(&t);
	assert_int_equal(t.total_pages, pages);
	assert_int_equal(t.free_pages, pages);
	for (unsigned i = 0; i < pages; i++) {
		uint64_t o;

		folios[i] = fx_cached(0);
		o = swp_offset(folios[i]->swap);
		assert_true(o > 0 && o < spec.max);
		for (unsigned b = 0; b < 5; b++)
			assert_int_not_equal(o, bad[b]);
		assert_int_equal(folio_dup_swap(folios[i], 0), 0);
		folio_unlock(folios[i]);
	}
	folios[pages] = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folios[pages], 0), -ENOMEM);
	fx_drop(folios[pages]);
	assert_int_equal(fx_used(type), pages);
	assert_true(swap_flags(&swap_info[type]) & SWP_OFFLIST);
	assert_int_equal(swp_swapcount(swp_entry(type, 3)), 0);
	assert_true(swp_tb_is_bad(fx_word(swp_entry(type, 3))));
	fx_check();
	for (unsigned i = 0; i < pages; i++) {
		folio_lock(folios[i]);
		folio_put_swap(folios[i], 0);
		assert_true(folio_free_swap(folios[i]));
		fx_drop(folios[i]);
	}
	assert_int_equal(fx_used(type), 0);
}

static void higher_priority_is_filled_first(void **state)
{
	int low = fx_swapon(CL, 1), high = fx_swapon(CL, 5);
	swp_entry_t e[2 * CL];

	for (unsigned i = 0; i < CL - 1; i++) {
		e[i] = fx_swapped(0, 0);
		assert_int_equal(swp_type(e[i]), high);
	}
	for (unsigned i = CL - 1; i < 2 * CL - 2; i++) {
		e[i] = fx_swapped(0, 0);
		assert_int_equal(swp_type(e[i]), low);
	}
	for (unsigned i = 0; i < 2 * CL - 2; i++)
		swap_put_entries_direct(e[i], 1);
}

static void equal_priorities_alternate_by_cluster(void **state)
{
	int a = fx_swapon(4 * CL, 3), b = fx_swapon(4 * CL, 3);
	swp_entry_t e[4 * CL];
	unsigned changes = 0, on_a = 0, n = 4 * CL - 8;

	for (unsigned i = 0; i < n; i++) {
		e[i] = fx_swapped(0, 0);
		on_a += swp_type(e[i]) == (unsigned)a;
		changes += i && swp_type(e[i]) != swp_type(e[i - 1]);
	}
	assert_in_range(changes, 2, 4);
	assert_in_range(on_a, CL, 3 * CL);
	(void)b;
	for (unsigned i = 0; i < n; i++)
		swap_put_entries_direct(e[i], 1);
}

static int unuse_all(void *arg, unsigned type)
{
	swp_entry_t *e = arg;
	struct folio *folio;
	int err;

	folio = swap_cache_alloc_folio(*e, 1, NULL, NULL, &err);
	assert_non_null(folio);
	folio_put_swap(folio, 0);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	return 0;
}

static int unuse_interrupted(void *arg, unsigned type)
{
	return -EINTR;
}

static void swapoff_brings_in_or_gives_everything_back(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(0, 0), e2;
	struct folio *cached = fx_cached(0), *folio;

	folio_unlock(cached);
	assert_int_equal(swapoff(type, unuse_interrupted, NULL), -EINTR);
	fx_check();
	e2 = fx_swapped(0, 0); /* fully usable again */
	assert_int_equal(swp_type(e2), type);
	swap_put_entries_direct(e2, 1);
	assert_int_equal(swapoff(type, NULL, NULL), -EBUSY);
	assert_int_equal(swapoff(type, unuse_all, &e), 0);
	assert_false(folio_test(cached, SW_FOLIO_SWAPCACHE));
	folio_put(cached);
	assert_null(get_swap_device(e));

	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	fx_drop(folio);
	/* The same type, smaller: no CPU remembers the old one. */
	assert_int_equal(fx_swapon(8, -1), type);
	e = fx_swapped(0, 0);
	assert_in_range(swp_offset(e), 1, 7);
	swap_put_entries_direct(e, 1);
}

static void unowned_cached_slots_go_when_swap_is_over_half_full(void **state)
{
	unsigned pages = 2 * CL - 1;
	struct folio *folios[2 * CL], *extra;
	int type = fx_swapon(2 * CL, -1);

	for (unsigned i = 0; i < pages; i++) {
		folios[i] = fx_cached(0);
		folio_unlock(folios[i]);
	}
	assert_true(vm_swap_full());
	assert_int_equal(fx_used(type), pages);
	extra = fx_folio(0);
	assert_int_equal(folio_alloc_swap(extra, 0), 0);
	assert_true(folio_free_swap(extra));
	fx_drop(extra);
	for (unsigned i = 0; i < pages; i++) {
		folio_lock(folios[i]);
		if (folio_test(folios[i], SW_FOLIO_SWAPCACHE))
			assert_true(folio_free_swap(folios[i]));
		fx_drop(folios[i]);
	}
}

static void cluster_that_reclaim_emptied_is_used(void **state)
{
	struct folio *large, *folio;
	swp_entry_t e[CL];

	fx_swapon(2 * CL, -1);
	for (unsigned i = 1; i < CL; i++)
		e[i] = fx_swapped(0, 0);
	/* Alone in the other cluster, and more than half of all is used. */
	large = fx_cached(1);
	folio_unlock(large);
	assert_true(vm_swap_full());
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	assert_false(folio_test(large, SW_FOLIO_SWAPCACHE));
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	folio_put(large);
	for (unsigned i = 1; i < CL; i++)
		swap_put_entries_direct(e[i], 1);
}

static void groups_are_charged_limited_and_paid_back(void **state)
{
	struct sw_swap_group_info info;
	struct folio *a, *b;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	swap_group_set_max(7, 4);
	a = fx_folio(2);
	assert_int_equal(folio_alloc_swap(a, 7), 0);
	swap_group_info(7, &info);
	assert_int_equal(info.usage, 4);
	b = fx_folio(0);
	assert_int_equal(folio_alloc_swap(b, 7), -ENOMEM);
	swap_group_info(7, &info);
	assert_int_equal(info.nr_max, 1);
	assert_int_equal(info.nr_fail, 1);
	assert_int_equal(folio_alloc_swap(b, 8), 0);
	/* Neighbours of two groups, zapped in one call. */
	e = a->swap;
	assert_int_equal(folio_dup_swap(a, -1), 0);
	assert_int_equal(folio_dup_swap(b, -1), 0);
	swap_cache_del_folio(a, 0);
	fx_check();
	swap_put_entries_direct(e, 4);
	swap_group_info(7, &info);
	assert_int_equal(info.usage, 0);
	folio_put_swap(b, -1);
	assert_true(folio_free_swap(b));
	swap_group_info(8, &info);
	assert_int_equal(info.usage, 0);
	fx_drop(a);
	fx_drop(b);
	swap_group_set_max(7, UINT64_MAX);
}

/* Two managers in one process: what one has does not help the other. */
static void slots_come_from_the_devices_that_may_be_used(void **state)
{
	int high = fx_swapon(2 * CL, 5), low = fx_swapon(2 * CL, 1);
	const uint64_t room = 2 * CL - 1;
	struct folio *folio[2 * CL];
	struct sw_swap_totals t;
	unsigned n = 0;

	for (; n < room; n++) {
		folio[n] = fx_folio(0);
		assert_int_equal(folio_alloc_swap_on(folio[n], 0, 1u << low),
				 0);
		assert_int_equal(swp_type(folio[n]->swap), low);
		/* Owned, or it would be taken back. */
		assert_int_equal(folio_dup_swap(folio[n], 0), 0);
		folio_unlock(folio[n]);
	}
	assert_true(swap_devices_full(1u << low));
	assert_false(swap_devices_full(1u << high));
	swap_devices_room(1u << low, &t);
	assert_int_equal(t.total_pages, room);
	assert_int_equal(t.free_pages, 0);
	folio[n] = fx_folio(0);
	assert_int_equal(folio_alloc_swap_on(folio[n], 0, 1u << low), -ENOMEM);
	assert_int_equal(fx_used(high), 0);
	/* This CPU's last place is no reason to stay there. */
	assert_int_equal(folio_alloc_swap_on(folio[n], 0, 1u << high), 0);
	assert_int_equal(swp_type(folio[n]->swap), high);
	assert_true(folio_free_swap(folio[n]));
	fx_drop(folio[n]);
	while (n-- > 0) {
		folio_lock(folio[n]);
		folio_put_swap(folio[n], 0);
		assert_true(folio_free_swap(folio[n]));
		fx_drop(folio[n]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(refuses_specs_that_lie),
		FX_TEST(takes_as_many_slots_as_a_header_can_name),
		FX_TEST(counts_every_slot_of_the_largest_device),
		FX_TEST(a_count_below_zero_is_zero),
		FX_TEST(one_store_is_one_device),
		FX_TEST(what_was_told_of_a_device_outlives_it),
		FX_TEST(devices_run_out_at_the_maximum),
		FX_TEST(header_bad_and_tail_slots_are_never_given),
		FX_TEST(higher_priority_is_filled_first),
		FX_TEST(equal_priorities_alternate_by_cluster),
		FX_TEST(swapoff_brings_in_or_gives_everything_back),
		FX_TEST(unowned_cached_slots_go_when_swap_is_over_half_full),
		FX_TEST(cluster_that_reclaim_emptied_is_used),
		FX_TEST(groups_are_charged_limited_and_paid_back),
		FX_TEST(slots_come_from_the_devices_that_may_be_used),
	};

	return FX_RUN(tests);
}
