/* test_swap_header.c - headers of swap areas: what is made, and lies. */
#include "swap/cluster.h"
#include "swap_area.h"

static void what_is_made_is_read_back(void **state)
{
	struct sw_swap_header made = sound(), h;
	const char *why;

	make_sound();
	assert_int_equal(read_area(&h, &why), 0);
	assert_null(why);
	assert_memory_equal(&h, &made, sizeof(h));

	/* The most there is room for. */
	memset(made.label, 'x', SW_SWAP_HEADER_LABEL);
	made.max = 1u << 20;
	made.nr_bad = SW_SWAP_HEADER_MAX_BAD;
	assert_int_equal(made.nr_bad, 637);
	for (unsigned i = 0; i < made.nr_bad; i++)
		made.bad[i] = 1 + 3 * i;
	assert_int_equal(sw_swap_header_make(area, &made), 0);
	assert_int_equal(
		sw_swap_header_read(area, SW_PAGE_SIZE, 1ULL << 32, &h, &why),
		0);
	assert_memory_equal(&h, &made, sizeof(h));
}

static void nothing_is_made_of_a_lie(void **state)
{
	static struct sw_swap_header lies[8];
	uint8_t before[SW_PAGE_SIZE];

	for (unsigned i = 0; i < SW_ARRAY_SIZE(lies); i++)
		lies[i] = sound();
	lies[0].max = 1;
	lies[1].max = (1ULL << 32) + 1;
	lies[2].nr_bad = SW_SWAP_HEADER_MAX_BAD + 1;
	lies[3].bad[0] = 0;
	lies[4].bad[2] = PAGES;
	lies[5].bad[1] = 2;
	lies[6].max = 4, lies[6].bad[1] = 1, lies[6].bad[0] = 2;
	memset(lies[7].label, 'x', sizeof(lies[7].label));
	memset(area, 0xaa, sizeof(area));
	memcpy(before, area, sizeof(before));
	for (unsigned i = 0; i < SW_ARRAY_SIZE(lies); i++) {
		assert_int_equal(sw_swap_header_make(area, &lies[i]), -EINVAL);
		assert_memory_equal(area, before, sizeof(before));
	}
}

static void other_byte_order_is_read_as_ours(void **state)
{
	struct sw_swap_header h, made = sound();
	const char *why;

	make_sound();
	for (unsigned at = AT_VERSION; at < AT_UUID; at += 4)
		put32(at, __builtin_bswap32(*(uint32_t *)&area[at]));
	for (unsigned i = 0; i < made.nr_bad; i++)
		put32(AT_BAD(i), __builtin_bswap32(made.bad[i]));
	assert_int_equal(read_area(&h, &why), 0);
	assert_true(h.other_endian);
	made.other_endian = true;
	assert_memory_equal(&h, &made, sizeof(h));
	/* And no less distrusted. */
	put32(AT_LAST, __builtin_bswap32(PAGES));
	refused("cut off");
}

static void signatures_of_others_are_told_apart(void **state)
{
	make_sound();
	memset(&area[AT_MAGIC], 0, 10);
	refused("no SWAPSPACE2 signature");
	memcpy(&area[AT_MAGIC], "SWAPSPACE3", 10);
	refused("no SWAPSPACE2 signature");
	memcpy(&area[AT_MAGIC], "SWAP-SPACE", 10);
	refused("SWAP-SPACE: made by an old mkswap");
	memcpy(&area[AT_MAGIC], "S1SUSPEND", 10);
	refused("S1SUSPEND: holds the image of a hibernated system");
	memcpy(&area[AT_MAGIC], "S2SUSPEND", 10);
	refused("S2SUSPEND: holds the image of a hibernated system");
}

static void pages_of_another_size_are_recognised(void **state)
{
	static const struct {
		size_t bytes;
		const char *about;
	} sizes[] = {
		{ 8192, "pages of 8 KiB" },
		{ 16384, "pages of 16 KiB" },
		{ 32768, "pages of 32 KiB" },
		{ 65536, "pages of 64 KiB" },
	};

	for (unsigned i = 0; i < SW_ARRAY_SIZE(sizes); i++) {
		struct sw_swap_header h;
		const char *why;

		make_sound();
		memset(&area[AT_MAGIC], 0, 10);
		memcpy(&area[sizes[i].bytes - 10], "SWAPSPACE2", 10);
		refused(sizes[i].about);
		/* What was not read is not looked at. */
		assert_int_equal(sw_swap_header_read(area, sizes[i].bytes - 1,
						     AREA, &h, &why),
				 -EINVAL);
		assert_non_null(strstr(why, "no SWAPSPACE2 signature"));
	}
	/* Ours counts, whatever an older one left behind. */
	make_sound();
	memcpy(&area[8192 - 10], "SWAPSPACE2", 10);
	{
		struct sw_swap_header h;
		const char *why;

		assert_int_equal(read_area(&h, &why), 0);
	}
}

static void numbers_that_lie_are_refused(void **state)
{
	make_sound();
	put32(AT_VERSION, 0);
	refused("version");
	put32(AT_VERSION, 2);
	refused("version");

	make_sound();
	put32(AT_LAST, 0);
	refused("last page at byte 1028 is 0");
	put32(AT_LAST, PAGES);
	refused("shorter than its header says");
	put32(AT_LAST, UINT32_MAX);
	refused("shorter than its header says");

	make_sound();
	put32(AT_NR_BAD, SW_SWAP_HEADER_MAX_BAD + 1);
	refused("more bad pages");
	put32(AT_NR_BAD, UINT32_MAX);
	refused("more bad pages");
}

static void bad_pages_that_lie_are_refused(void **state)
{
	make_sound();
	put32(AT_BAD(0), 0);
	refused("page 0");

	make_sound();
	put32(AT_BAD(1), PAGES);
	refused("beyond the last page");
	put32(AT_BAD(1), UINT32_MAX);
	refused("beyond the last page");

	make_sound();
	put32(AT_BAD(2), 2);
	refused("twice");

	make_sound();
	put32(AT_LAST, 3);
	put32(AT_BAD(0), 3);
	put32(AT_BAD(1), 1);
	put32(AT_BAD(2), 2);
	refused("all are bad");
}

static void an_area_cut_short_is_refused(void **state)
{
	struct sw_swap_header h;
	const char *why;

	make_sound();
	assert_int_equal(
		sw_swap_header_read(area, SW_PAGE_SIZE - 1, AREA, &h, &why),
		-EINVAL);
	assert_non_null(strstr(why, "shorter than a page"));
	assert_int_equal(
		sw_swap_header_read(area, sizeof(area), 4095, &h, &why),
		-EINVAL);
	assert_non_null(strstr(why, "shorter than a page"));
	/* A page that is not all there is not there. */
	assert_int_equal(
		sw_swap_header_read(area, sizeof(area), AREA - 1, &h, &why),
		-EINVAL);
	assert_non_null(strstr(why, "cut off"));
	/* One that grew since is as long as its header says. */
	assert_int_equal(
		sw_swap_header_read(area, sizeof(area), 2 * AREA, &h, &why), 0);
	assert_int_equal(h.max, PAGES);
}

static void bad_pages_in_any_order_are_sorted(void **state)
{
	struct sw_swap_header h;
	const char *why;

	make_sound();
	put32(AT_BAD(0), 9);
	put32(AT_BAD(1), PAGES - 1);
	put32(AT_BAD(2), 1);
	assert_int_equal(read_area(&h, &why), 0);
	assert_int_equal(h.bad[0], 1);
	assert_int_equal(h.bad[1], 9);
	assert_int_equal(h.bad[2], PAGES - 1);
}

static void largest_area_is_the_largest_device(void **state)
{
	const uint64_t bytes = (1ULL << 32) * SW_PAGE_SIZE;
	struct sw_swap_header h;
	const char *why;

	make_sound();
	put32(AT_LAST, UINT32_MAX);
	put32(AT_BAD(1), UINT32_MAX);
	assert_int_equal(
		sw_swap_header_read(area, sizeof(area), bytes, &h, &why), 0);
	assert_true(h.max == SWAP_MAX_SLOTS);
	assert_int_equal(h.bad[h.nr_bad - 1], UINT32_MAX);
	assert_int_equal(
		sw_swap_header_read(area, sizeof(area), bytes - 1, &h, &why),
		-EINVAL);
}

/* ---- from header to device ---- */

static const struct swap_ops no_ops;

static int swap_on(const struct sw_swap_header *h)
{
	struct swapon_spec spec = {
		.name = "area",
		.ops = &no_ops,
		.max = h->max,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
		.bad = h->bad,
		.nr_bad = h->nr_bad,
	};

	return swapon(&spec);
}

static void layer_up(void)
{
	assert_int_equal(folio_pool_init(1 << 12, NULL), 0);
	assert_int_equal(swap_init(), 0);
}

static void layer_down(void)
{
	swap_exit();
	folio_pool_release();
}

static void bad_pages_of_the_header_are_never_given(void **state)
{
	struct folio *folios[PAGES];
	struct sw_swap_header h;
	const char *why;
	unsigned n = 0;
	int type;

	make_sound();
	assert_int_equal(read_area(&h, &why), 0);
	layer_up();
	type = swap_on(&h);
	assert_int_equal(type, 0);
	assert_int_equal(swap_check(NULL, NULL), 0);
	for (;; n++) {
		assert_in_range(n, 0, PAGES - 1);
		folios[n] = folio_alloc(0);
		assert_true(folio_trylock(folios[n]));
		folio_set(folios[n], SW_FOLIO_UPTODATE);
		if (folio_alloc_swap(folios[n], 0))
			break;
		assert_int_equal(folio_dup_swap(folios[n], 0), 0);
		assert_in_range(swp_offset(folios[n]->swap), 1, PAGES - 2);
		for (unsigned i = 0; i < h.nr_bad; i++)
			assert_int_not_equal(swp_offset(folios[n]->swap),
					     h.bad[i]);
		folio_unlock(folios[n]);
	}
	assert_int_equal(n, PAGES - 1 - h.nr_bad);
	for (unsigned i = 0; i < h.nr_bad; i++) {
		struct swap_cluster_info *ci =
			__swap_offset_to_cluster(&swap_info[type], h.bad[i]);

		assert_true(swp_tb_is_bad(
			swap_table_get(ci, swap_cluster_offset(h.bad[i]))));
	}
	assert_int_equal(swap_check(NULL, NULL), 0);
	folio_unlock(folios[n]);
	folio_put(folios[n]);
	while (n--) {
		folio_lock(folios[n]);
		folio_put_swap(folios[n], 0);
		assert_true(folio_free_swap(folios[n]));
		folio_unlock(folios[n]);
		folio_put(folios[n]);
	}
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	layer_down();
}

/* ---- anything at all ---- */

static uint64_t rng;

static uint64_t roll(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

static void mutate(void)
{
	static const uint32_t values[] = {
		0,   1,   2,   3,          PAGES - 1,  PAGES,
		636, 637, 638, UINT32_MAX, 0x01000000,
	};

	for (unsigned n = 1 + roll(4); n--;) {
		unsigned at =
			roll(3) ? AT_VERSION + 4 * roll(3) : AT_BAD(roll(6));

		switch (roll(4)) {
		case 0:
			put32(at, values[roll(SW_ARRAY_SIZE(values))]);
			break;
		case 1:
			area[at + roll(4)] ^= 1 << roll(8);
			break;
		case 2:
			put32(at, roll(2 * PAGES));
			break;
		default:
			area[roll(SW_PAGE_SIZE)] = roll(256);
		}
	}
}

static void whatever_is_accepted_makes_a_device(void **state)
{
	unsigned accepted = 0, rejected = 0;

	rng = 0x5eed5eed;
	layer_up();
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t bytes = roll(4) ? AREA : roll(2 * AREA);
		struct sw_swap_header h;
		const char *why;
		int type;

		make_sound();
		mutate();
		if (sw_swap_header_read(area, sizeof(area), bytes, &h, &why)) {
			assert_non_null(why);
			rejected++;
			continue;
		}
		accepted++;
		assert_true(h.max >= 2 && h.max * SW_PAGE_SIZE <= bytes);
		assert_true(h.nr_bad <= SW_SWAP_HEADER_MAX_BAD);
		assert_true(h.nr_bad + 1 < h.max);
		assert_int_equal(h.label[SW_SWAP_HEADER_LABEL], 0);
		for (unsigned b = 0; b < h.nr_bad; b++)
			assert_true(h.bad[b] > (b ? h.bad[b - 1] : 0) &&
				    h.bad[b] < h.max);
		if (accepted % 50)
			continue;
		type = swap_on(&h);
		assert_int_equal(type, 0);
		assert_int_equal(swap_check(NULL, NULL), 0);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
	layer_down();
	/* Both ways were taken, often. */
	assert_in_range(accepted, 2000, 18000);
	assert_in_range(rejected, 2000, 18000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_read_back),
		cmocka_unit_test(nothing_is_made_of_a_lie),
		cmocka_unit_test(other_byte_order_is_read_as_ours),
		cmocka_unit_test(signatures_of_others_are_told_apart),
		cmocka_unit_test(pages_of_another_size_are_recognised),
		cmocka_unit_test(numbers_that_lie_are_refused),
		cmocka_unit_test(bad_pages_that_lie_are_refused),
		cmocka_unit_test(an_area_cut_short_is_refused),
		cmocka_unit_test(bad_pages_in_any_order_are_sorted),
		cmocka_unit_test(largest_area_is_the_largest_device),
		cmocka_unit_test(bad_pages_of_the_header_are_never_given),
		cmocka_unit_test(whatever_is_accepted_makes_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
