/* test_swap_map.c - what is said of clusters is what they are. */
#include <errno.h>

#include "fixture.h"

struct seen {
	unsigned nr, in_list[SWAP_NR_CLUSTER_LISTS];
	uint64_t used, bad;
	struct swap_cluster_state at[64];
};

static bool note(void *arg, const struct swap_cluster_state *st)
{
	struct seen *s = arg;

	assert_in_range(s->nr, 0, 63);
	s->at[s->nr++] = *st;
	s->in_list[st->list]++;
	s->used += st->used;
	s->bad += st->bad;
	return true;
}

static struct seen look(int type)
{
	struct seen s = { 0 };

	assert_int_equal(swap_for_each_cluster(type, note, &s), 0);
	return s;
}

static void a_device_is_all_free(void **state)
{
	int type = fx_swapon(5 * CL, -1);
	struct seen s = look(type);

	assert_int_equal(s.nr, 5);
	assert_int_equal(s.used, 0);
	assert_int_equal(s.bad, 0);
	/* The first one has the header's slot. */
	assert_int_equal(s.in_list[SWAP_CLUSTER_FREE], 4);
	assert_int_equal(s.at[0].used, 0);
	assert_int_not_equal(s.at[0].list, SWAP_CLUSTER_FREE);
}

static void what_is_behind_the_end_is_not_in_use(void **state)
{
	struct seen s = look(fx_swapon(3 * CL + 3, -1));

	assert_int_equal(s.nr, 4);
	assert_int_equal(s.used, 0);
	assert_int_equal(s.bad, 0);
}

static void slots_are_counted_where_they_are(void **state)
{
	int type = fx_swapon(5 * CL, -1);
	swp_entry_t entry[3 * CL];
	uint64_t used[5] = { 0 };
	struct seen s;
	unsigned i;

	for (i = 0; i < 3 * CL; i++) {
		entry[i] = fx_swapped(0, 7);
		used[swp_offset(entry[i]) / CL]++;
	}
	s = look(type);
	assert_int_equal(s.used, fx_used(type));
	assert_int_equal(s.used, 3 * CL);
	for (i = 0; i < 5; i++) {
		assert_int_equal(s.at[i].used, used[i]);
		if (used[i] == CL)
			assert_int_equal(s.at[i].list, SWAP_CLUSTER_FULL);
		if (!used[i] && i)
			assert_int_equal(s.at[i].list, SWAP_CLUSTER_FREE);
	}
	assert_true(s.in_list[SWAP_CLUSTER_FULL] >= 2);
	for (i = 0; i < 3 * CL; i++)
		swap_put_entries_direct(entry[i], 1);
	assert_int_equal(look(type).used, 0);
}

static void orders_are_told(void **state)
{
	int type = fx_swapon(5 * CL, -1);
	swp_entry_t e = fx_swapped(2, 7);
	struct seen s = look(type);
	unsigned i = swp_offset(e) / CL;

	assert_int_equal(s.at[i].order, 2);
	assert_int_equal(s.at[i].used, 4);
	assert_true(s.at[i].list == SWAP_CLUSTER_NONFULL ||
		    s.at[i].list == SWAP_CLUSTER_FRAG);
	swap_put_entries_direct(e, 4);
}

static void bad_slots_are_not_in_use(void **state)
{
	static const uint64_t bad[] = { 2, CL, CL + 1, CL + 5 };
	struct swapon_spec spec = {
		.name = "test",
		.ops = &fx_ops,
		.max = 3 * CL + 1,
		.prio = -1,
		.bad = bad,
		.nr_bad = 4,
	};
	struct seen s = look(swapon(&spec));

	assert_int_equal(s.nr, 4);
	assert_int_equal(s.used, 0);
	assert_int_equal(s.bad, 4);
	assert_int_equal(s.at[0].bad, 1);
	assert_int_equal(s.at[1].bad, 3);
}

static bool twice(void *arg, const struct swap_cluster_state *st)
{
	(void)st;
	return ++*(unsigned *)arg < 2;
}

static void who_has_seen_enough_stops(void **state)
{
	unsigned nr = 0;

	assert_int_equal(
		swap_for_each_cluster(fx_swapon(5 * CL, -1), twice, &nr), 0);
	assert_int_equal(nr, 2);
}

static void no_device_has_no_clusters(void **state)
{
	struct seen s = { 0 };
	int type = fx_swapon(5 * CL, -1);

	assert_int_equal(swap_for_each_cluster(type + 1, note, &s), -ENODEV);
	assert_int_equal(swap_for_each_cluster(MAX_SWAPFILES, note, &s),
			 -ENODEV);
	assert_int_equal(swap_for_each_cluster(-1u, note, &s), -ENODEV);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swap_for_each_cluster(type, note, &s), -ENODEV);
	assert_int_equal(s.nr, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(a_device_is_all_free),
		FX_TEST(what_is_behind_the_end_is_not_in_use),
		FX_TEST(slots_are_counted_where_they_are),
		FX_TEST(orders_are_told),
		FX_TEST(bad_slots_are_not_in_use),
		FX_TEST(who_has_seen_enough_stops),
		FX_TEST(no_device_has_no_clusters),
	};

	return FX_RUN(tests);
}
