/* test_parts.c - the small parts of the memory manager, each by itself: page
 * table, regions, budget. */
#include "fixture.h"

/* ---- page table ---- */

static void leaf_appears_with_its_first_page(void **state)
{
	struct sw_pagetable pt = { 0 };
	struct sw_leaf *leaf;

	assert_null(sw_pt_lookup(&pt, 0x1000));
	assert_null(sw_pt_next(&pt, 0));
	leaf = sw_pt_get(&pt, 0x201000);
	assert_non_null(leaf);
	assert_int_equal(leaf->base, 0x200000);
	assert_int_equal(sw_leaf_index(0x201000), 1);
	assert_int_equal(sw_leaf_addr(leaf, 1), 0x201000);
	assert_ptr_equal(sw_pt_lookup(&pt, 0x3ff000), leaf);
	assert_ptr_equal(sw_pt_get(&pt, 0x3ff000), leaf);
	assert_null(sw_pt_lookup(&pt, 0x400000));
	assert_int_equal(pt.nr_leaves, 1);
	sw_pt_release(&pt);
	assert_int_equal(pt.nr_leaves, 0);
}

static void leaves_are_walked_both_ways_in_address_order(void **state)
{
	static const uint64_t at[] = { 0,
				       1ull << 21,
				       511ull << 21,
				       512ull << 21,
				       1ull << 39,
				       (1ull << 47) - SW_LEAF_BYTES,
				       (1ull << 48) - SW_LEAF_BYTES };
	struct sw_pagetable pt = { 0 };
	struct sw_leaf *leaf;

	for (unsigned i = SW_ARRAY_SIZE(at); i-- > 0;)
		assert_non_null(sw_pt_get(&pt, at[i]));
	leaf = sw_pt_next(&pt, 0);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(at); i++) {
		assert_non_null(leaf);
		assert_int_equal(leaf->base, at[i]);
		assert_ptr_equal(sw_pt_next(&pt, at[i]), leaf);
		leaf = sw_pt_next(&pt, leaf->base + SW_LEAF_BYTES);
	}
	assert_null(leaf);
	leaf = sw_pt_prev(&pt, ~0ull);
	for (unsigned i = SW_ARRAY_SIZE(at); i-- > 0;) {
		assert_non_null(leaf);
		assert_int_equal(leaf->base, at[i]);
		assert_ptr_equal(sw_pt_prev(&pt, at[i]), leaf);
		leaf = at[i] ? sw_pt_prev(&pt, at[i] - 1) : NULL;
	}
	assert_null(leaf);
	sw_pt_release(&pt);
}

static void addresses_beyond_the_table_have_no_leaf(void **state)
{
	struct sw_pagetable pt = { 0 };

	assert_null(sw_pt_get(&pt, 1ull << 48));
	assert_null(sw_pt_lookup(&pt, 1ull << 48));
	assert_null(sw_pt_next(&pt, ~0ull));
	assert_null(sw_pt_prev(&pt, ~0ull));
	sw_pt_release(&pt);
}

static void dropped_leaf_is_gone_and_its_neighbour_stays(void **state)
{
	struct sw_pagetable pt = { 0 };
	struct sw_leaf *other;

	sw_pt_get(&pt, 0);
	other = sw_pt_get(&pt, SW_LEAF_BYTES);
	sw_pt_drop(&pt, 0);
	sw_pt_drop(&pt, 0);          /* twice is nothing */
	sw_pt_drop(&pt, 1ull << 40); /* nor is one that never was */
	assert_null(sw_pt_lookup(&pt, 0));
	assert_ptr_equal(sw_pt_next(&pt, 0), other);
	assert_int_equal(pt.nr_leaves, 1);
	sw_pt_release(&pt);
}

static void entry_survives_the_way_through_a_word(void **state)
{
	swp_entry_t e = swp_entry(MAX_SWAPFILES - 1, (1ull << 30) - 1);
	uint64_t word = sw_word_swap(e);

	assert_int_equal(sw_word_kind(word), SW_WORD_SWAP);
	assert_int_equal(sw_word_entry(word).val, e.val);
	assert_int_equal(sw_word_entry(word | SW_WORD_PIN).val, e.val);
	assert_false(word & (SW_WORD_WP | SW_WORD_CLEAN | SW_WORD_SHARED |
			     SW_WORD_HOT | SW_WORD_PIN));
}

/* ---- regions ---- */

#define has(f, a, b) sw_space_has_region((f)->space, fx_at(a), fx_at(b))

static void add(struct fx *f, unsigned a, unsigned b)
{
	for (unsigned n = a; n < b; n++)
		if (!sw_sim_is_mapped(f->sim, fx_at(n)))
			sw_sim_map(f->sim, fx_at(n), fx_at(n + 1), false);
	assert_int_equal(sw_space_add_region(f->space, sw_space_epoch(f->space),
					     fx_at(a), fx_at(b)),
			 0);
}

static void cut(struct fx *f, unsigned a, unsigned b)
{
	sw_mm_client.lock(f->space);
	sw_space_unmap(f->space, fx_at(a), fx_at(b));
	sw_mm_client.unlock(f->space);
}

static void regions_that_touch_are_one(void **state)
{
	struct fx f;

	fx_open(&f);
	add(&f, 10, 20);
	add(&f, 30, 40);
	assert_int_equal(f.space->nr_regions, 2);
	assert_false(has(&f, 10, 40));
	add(&f, 20, 30);
	assert_int_equal(f.space->nr_regions, 1);
	assert_true(has(&f, 10, 40));
	add(&f, 15, 35); /* known already */
	add(&f, 5, 50);  /* around it */
	assert_int_equal(f.space->nr_regions, 1);
	assert_true(has(&f, 5, 50));
	assert_false(has(&f, 4, 50));
	assert_false(has(&f, 5, 51));
	fx_close(&f);
}

static void unmap_cuts_regions(void **state)
{
	struct fx f;

	fx_open(&f);
	add(&f, 10, 20);
	cut(&f, 12, 14); /* a hole */
	assert_int_equal(f.space->nr_regions, 2);
	assert_true(has(&f, 10, 12) && has(&f, 14, 20));
	assert_false(has(&f, 11, 13));
	cut(&f, 10, 11); /* a head */
	cut(&f, 19, 20); /* a tail */
	assert_true(has(&f, 11, 12) && has(&f, 14, 19));
	add(&f, 30, 40);
	cut(&f, 0, 50); /* all */
	assert_int_equal(f.space->nr_regions, 0);
	cut(&f, 0, 50); /* nothing */
	fx_close(&f);
}

static void many_regions_stay_sorted(void **state)
{
	struct fx f;

	fx_open(&f);
	for (unsigned i = 0; i < 100; i++)
		add(&f, i * 37 % 100 * 2, i * 37 % 100 * 2 + 1);
	assert_int_equal(f.space->nr_regions, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(f.space->region[i].start, fx_at(2 * i));
	fx_close(&f);
}

static void region_of_a_page_is_that_page_where_none_is(void **state)
{
	struct fx f;

	fx_open(&f);
	add(&f, 10, 20);
	for (unsigned n = 10; n < 20; n += 9) {
		struct sw_region r = sw_space_region(f.space, fx_at(n));

		assert_int_equal(r.start, fx_at(10));
		assert_int_equal(r.end, fx_at(20));
	}
	for (unsigned n = 9; n < 21; n += 11) {
		struct sw_region r = sw_space_region(f.space, fx_at(n));

		assert_int_equal(r.start, fx_at(n));
		assert_int_equal(r.end, fx_at(n + 1));
	}
	fx_close(&f);
}

/* ---- pages seen by a scan ---- */

static void scanned_pages_are_counted_once(void **state)
{
	struct fx f;
	uint64_t epoch;

	fx_open(&f);
	fx_fill(f.sim, 0, 2);
	epoch = sw_space_epoch(f.space);
	assert_int_equal(
		sw_space_note_present(f.space, epoch, fx_at(0), fx_at(5)), 0);
	assert_int_equal(sw_space_resident(f.space), 5);
	sw_sim_dontneed(f.sim, fx_at(0), fx_at(1));
	assert_int_equal(
		sw_space_note_present(f.space, epoch, fx_at(0), fx_at(5)),
		-EAGAIN);
	assert_int_equal(sw_space_resident(f.space), 4);
	fx_close(&f);
}

/* ---- budget ---- */

static void reserve_gives_what_is_left_and_never_nothing(void **state)
{
	struct fx f;
	struct sw_budget *b;

	fx_open_sized(&f, 480, FX_SLOTS);
	b = &f.mm->budget;
	assert_int_equal(b->low, 5);
	assert_int_equal(b->high, 10);
	assert_int_equal(sw_budget_reserve(f.mm, 64), 64);
	b->unmanaged = 470;
	assert_int_equal(sw_budget_reserve(f.mm, 64), 10);
	b->unmanaged = 480;
	assert_int_equal(fx_counted(&f, oom_unmanaged), 0);
	assert_int_equal(sw_budget_reserve(f.mm, 64), 1);
	assert_int_equal(fx_counted(&f, allocstall), 1);
	assert_int_equal(fx_counted(&f, oom_unmanaged), 1);
	f.mm->stuck = true; /* nobody will make room: no wait */
	assert_int_equal(sw_budget_reserve(f.mm, 64), 1);
	assert_int_equal(fx_counted(&f, allocstall), 0);
	fx_close(&f);
}

static void measurement_mends_the_books(void **state)
{
	struct sw_mm_usage u;
	struct fx f;

	fx_open_sized(&f, 480, FX_SLOTS);
	fx_fill(f.sim, 0, 100);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 100);
	sw_mm_set_unmanaged(f.mm, 30);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 130);
	assert_int_equal(u.peak_pages, 130);
	sw_mm_set_unmanaged(f.mm, -10);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 90);
	assert_int_equal(u.peak_pages, 130);
	sw_sim_munmap(f.sim, fx_at(0), fx_at(100));
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.used_pages, 0); /* never below */
	fx_close(&f);
}

/* ---- buffers ---- */

#define BUFS 2000

static char *bufs[BUFS];

/* Each has its number in it, and at its end. */
static void get_bufs(struct fx *f)
{
	for (unsigned i = 0; i < BUFS; i++) {
		bufs[i] = sw_buf_get(f->mm);
		assert_non_null(bufs[i]);
		memset(bufs[i], i % 255 + 1, SW_PAGE_SIZE);
	}
}

static void put_bufs(struct fx *f)
{
	for (unsigned i = 0; i < BUFS; i++)
		sw_buf_put(f->mm, bufs[i], 1);
}

/* How many have what was written to them; where memory is gone it is zeros. */
static unsigned nr_kept(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < BUFS; i++) {
		unsigned char last = bufs[i][SW_PAGE_SIZE - 1];

		assert_true(!last || last == i % 255 + 1);
		kept += last != 0;
	}
	return kept;
}

static void few_free_buffers_keep_their_memory(void **state)
{
	struct sw_mm_usage u;
	struct fx f;

	fx_open(&f);
	get_bufs(&f);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.staged_pages, BUFS);
	put_bufs(&f);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.staged_pages, 0);
	assert_in_range(nr_kept(), 1, BUFS / 2);
	fx_close(&f);
}

static void buffers_are_used_again_and_each_is_one(void **state)
{
	struct fx f;

	fx_open(&f);
	for (int i = 0; i < 3; i++) {
		get_bufs(&f);
		assert_int_equal(nr_kept(), BUFS);
		put_bufs(&f);
	}
	assert_int_equal(f.mm->staging.single.used, BUFS);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(leaf_appears_with_its_first_page),
		fx_test(leaves_are_walked_both_ways_in_address_order),
		fx_test(addresses_beyond_the_table_have_no_leaf),
		fx_test(dropped_leaf_is_gone_and_its_neighbour_stays),
		fx_test(entry_survives_the_way_through_a_word),
		fx_test(regions_that_touch_are_one),
		fx_test(unmap_cuts_regions),
		fx_test(many_regions_stay_sorted),
		fx_test(region_of_a_page_is_that_page_where_none_is),
		fx_test(scanned_pages_are_counted_once),
		fx_test(reserve_gives_what_is_left_and_never_nothing),
		fx_test(measurement_mends_the_books),
		fx_test(few_free_buffers_keep_their_memory),
		fx_test(buffers_are_used_again_and_each_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
