/*
 * test_swap_input_device.c - devices that should not be: specs that lie, one
 * store twice, one too many, one on its way out. See test_swap_input.c.
 */
#include <limits.h>

#include "scene.h"

static void specs_that_lie_are_refused(void **state)
{
	static const uint64_t none[] = { 0 }, beyond[] = { SLOTS },
			      far[] = { UINT64_MAX }, twice[] = { 5, 5 },
			      down[] = { 6, 5 }, all[] = { 1, 2, 3 };
	int store;
	const struct swapon_spec good = {
		.name = "good",
		.ops = &fx_ops,
		.store = &store,
		.max = SLOTS,
		.prio = 0,
		.flags = SWP_SOLIDSTATE,
	};
	struct swapon_spec specs[24];
	unsigned n = 0;
	struct scene s;
	static struct state before, after;

#define LIE(...) (specs[n] = good, specs[n].__VA_ARGS__, n++)
	LIE(ops = NULL);
	LIE(max = 0);
	LIE(max = 1);
	LIE(max = SWAP_MAX_SLOTS + 1);
	LIE(max = UINT64_MAX);
	LIE(prio = -2);
	LIE(prio = INT_MIN);
	LIE(prio = 32768);
	LIE(prio = INT_MAX);
	LIE(flags = SWP_USED);
	LIE(flags = SWP_WRITEOK);
	LIE(flags = SWP_DISCARDING);
	LIE(flags = SWP_ACTIVATED);
	LIE(flags = SWP_HIBERNATION);
	LIE(flags = SWP_OFFLIST);
	LIE(flags = 1u << 31);
	LIE(nr_bad = 1);
	LIE(nr_bad = 1, specs[n].bad = none);
	LIE(nr_bad = 1, specs[n].bad = beyond);
	LIE(nr_bad = 1, specs[n].bad = far);
	LIE(nr_bad = 2, specs[n].bad = twice);
	LIE(nr_bad = 2, specs[n].bad = down);
	LIE(nr_bad = 3, specs[n].bad = all, specs[n].max = 4);
#undef LIE
	open_scene(&s);
	lock_scene(&s, false);
	for (unsigned i = 0; i < n; i++) {
		uint64_t count = sw_counter_read(SW_CTR_swap_bad_device);
		int type;

		take_state(&before, &s);
		type = swapon(&specs[i]);
		if (type != -EINVAL)
			fail_msg("lie %u: %d", i, type);
		assert_int_equal(sw_counter_read(SW_CTR_swap_bad_device),
				 count + 1);
		take_state(&after, &s);
		assert_memory_equal(&before, &after, sizeof(before));
	}
	/* All the truth there is in between. */
	specs[0] = good;
	specs[0].name = NULL;
	specs[0].bad = all;
	specs[0].nr_bad = 3;
	specs[0].max = 5;
	specs[0].prio = 32767;
	assert_int_equal(swapon(&specs[0]), 2);
	swap_device_info(2, &before.devices[2]);
	assert_string_equal(before.devices[2].name, "swap");
	assert_int_equal(before.devices[2].pages, 1);
	fx_check();
	lock_scene(&s, true);
	close_scene(&s);
}

static void device_twice_or_one_too_many_is_refused(void **state)
{
	uint64_t count = sw_counter_read(SW_CTR_swap_bad_device);
	struct sw_swap_totals before, after;
	int store;
	struct swapon_spec spec = {
		.ops = &fx_ops, .store = &store, .max = SLOTS, .prio = -1
	};

	assert_int_equal(swapon(&spec), 0);
	si_swapinfo(&before);
	assert_int_equal(swapon(&spec), -EBUSY);
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_device), count + 1);
	si_swapinfo(&after);
	assert_memory_equal(&before, &after, sizeof(before));
	fx_check();

	for (unsigned i = 1; i < MAX_SWAPFILES; i++)
		assert_int_equal(fx_swapon(16, -1), i);
	si_swapinfo(&before);
	assert_int_equal(fx_swapon(16, -1), -EPERM);
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_device), count + 2);
	si_swapinfo(&after);
	assert_memory_equal(&before, &after, sizeof(before));
	fx_check();
}

/* Called while `type` goes off: it is no device to anybody any more. */
static int ask_again(void *arg, unsigned type)
{
	swp_entry_t *e = arg;
	struct sw_swap_totals t;

	assert_int_equal(swapoff(type, NULL, NULL), -EINVAL);
	assert_int_equal(swap_pin_hibernation(type), -EINVAL);
	assert_int_equal(swap_alloc_hibernation_slot(type).val, 0);
	/* What it still holds is in use and in the totals, but not free. */
	si_swapinfo(&t);
	assert_int_equal(t.total_pages, 1);
	assert_int_equal(t.free_pages, 1);
	assert_int_equal(t.cached, 0);
	assert_int_equal(swp_swapcount(*e), 1);
	swap_put_entries_direct(*e, 1);
	return 0;
}

static void device_that_is_going_off_is_refused(void **state)
{
	uint64_t count = sw_counter_read(SW_CTR_swap_bad_device);
	int type = fx_swapon(SLOTS, -1);
	swp_entry_t e = fx_swapped(0, 0);

	assert_int_equal(swapoff(type, ask_again, &e), 0);
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_device), count + 2);
	assert_int_equal(swapoff(type, ask_again, &e), -EINVAL);
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_device), count + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(specs_that_lie_are_refused),
		FX_TEST(device_twice_or_one_too_many_is_refused),
		FX_TEST(device_that_is_going_off_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
