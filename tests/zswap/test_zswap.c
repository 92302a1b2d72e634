/*
 * test_zswap.c - where a page is, which ones go first, and what is left when
 * something fails: a test for each rule of docs/zswap.md, in one thread. Next
 * to it: test_zswap_races.c.
 */
#include "scene.h"

/* ---- in and out ---- */

static void what_goes_out_comes_back(void **state)
{
	swp_entry_t e[60];

	for (unsigned i = 0; i < 60; i++)
		e[i] = page_out(i, 0);
	for (unsigned i = 0; i < 60; i++)
		expect_page(e[i], i);
	assert_int_equal(sw_zswap_check(pool), 0);
}

static void a_page_is_here_or_there_and_never_both(void **state)
{
	for (unsigned i = 0; i < 60; i++) {
		swp_entry_t e = page_out(i, 0);

		assert_int_not_equal(is_pooled(&dev, e), is_on_disk(&dev, e));
	}
}

static void a_page_of_one_word_takes_no_object(void **state)
{
	struct sw_zswap_stats st;

	page_out(page_number(PAGE_SAME, 1), 0);
	sw_zswap_stats(pool, &st);
	assert_int_equal(st.pages, 1);
	assert_int_equal(st.same_pages, 1);
	assert_int_equal(st.compr_bytes, 0);
}

static void noise_goes_straight_to_the_device(void **state)
{
	swp_entry_t e = page_out(page_number(PAGE_NOISE, 1), 0);

	assert_true(is_on_disk(&dev, e));
	assert_false(is_pooled(&dev, e));
	assert_int_equal(counted(zswap_reject_compress_poor), 1);
	assert_int_equal(counted(pswpout), 1);
	assert_int_equal(counted(zswpout), 0);
	expect_page(e, page_number(PAGE_NOISE, 1));
	assert_int_equal(counted(pswpin), 1);
	assert_int_equal(counted(zswpin), 0);
}

static void a_freed_slot_frees_its_page(void **state)
{
	swp_entry_t e = page_out(text(1), 0);

	assert_true(is_pooled(&dev, e));
	page_free(e);
	assert_false(is_pooled(&dev, e));
	assert_int_equal(pool->live, 0);
}

/* Of 16 pages every fourth is noise; then some of the rest are written back. */
static void a_large_folio_is_read_from_both_places(void **state)
{
	unsigned char pages[16 * PG], back[16 * PG];
	struct folio *folio = folio_new(4, 0);
	swp_entry_t e = folio->swap;
	const struct swap_ops *ops;
	void *store;
	int err;

	for (unsigned i = 0; i < 16; i++)
		page_make(i % 4 ? text(i) : page_number(PAGE_NOISE, i),
			  pages + i * PG);
	assert_int_equal(folio_write(folio, pages), 0);
	folio_leave(folio);
	assert_int_equal(counted(zswpout), 12);
	assert_int_equal(sw_zswap_write_back(pool, 5), 5);
	folio = swap_cache_alloc_folio(e, 1 << 4, NULL, NULL, &err);
	assert_non_null(folio);
	ops = ops_of(e, &store);
	assert_int_equal(ops->read(store, swp_offset(e), 16, back), 0);
	assert_memory_equal(back, pages, sizeof(pages));
	assert_int_equal(counted(zswpin), 7);
	assert_int_equal(counted(pswpin), 9);
	folio_leave(folio);
}

static void a_damaged_page_is_an_error(void **state)
{
	swp_entry_t e = page_out(text(3), 0);
	uint64_t h = pool->entries[dev.zdev->index[swp_offset(e)]].handle;
	unsigned char *at = sw_objpool_at(pool->pool, handle_to_loc(h),
					  handle_to_size(h)),
		      page[PG];
	struct folio *folio = page_claim(e);
	struct quiet q = quiet_begin();
	int err;

	at[5] ^= 1;
	err = page_read(folio, page);
	quiet_end(&q);
	assert_int_equal(err, -EIO);
	assert_int_equal(counted(zswap_decompress_fail), 1);
	folio_leave(folio);
	/* It is not written to the device as if it were good. */
	assert_int_equal(sw_zswap_write_back(pool, 1), 0);
	assert_false(is_on_disk(&dev, e));
}

/* ---- which go first ---- */

static void the_oldest_goes_first(void **state)
{
	swp_entry_t e[4];

	/* Not neighbours, which would go together. */
	for (unsigned i = 0; i < 4; i++) {
		e[i] = page_out(text(i), 0);
		page_out(page_number(PAGE_NOISE, i), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_true(is_pooled(&dev, e[i]));
		assert_int_equal(sw_zswap_write_back(pool, 1), 1);
		assert_false(is_pooled(&dev, e[i]));
		assert_true(is_on_disk(&dev, e[i]));
		expect_page(e[i], text(i));
	}
	assert_int_equal(counted(zswpwb), 4);
}

static void what_was_read_gets_a_second_chance(void **state)
{
	swp_entry_t first = page_out(text(1), 0), second = page_out(text(2), 0);

	expect_page(first, text(1));
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_true(is_pooled(&dev, first));
	assert_true(is_on_disk(&dev, second));
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_true(is_on_disk(&dev, first));
}

static void groups_take_turns(void **state)
{
	swp_entry_t many[6], few;

	for (unsigned i = 0; i < 6; i++) {
		many[i] = page_out(text(i), 1);
		page_out(page_number(PAGE_NOISE, i), 1);
	}
	few = page_out(text(9), 2);
	assert_int_equal(sw_zswap_write_back(pool, 2), 2);
	assert_true(is_on_disk(&dev, many[0]));
	assert_true(is_on_disk(&dev, few));
	/* A group without pages has no turn. */
	assert_int_equal(sw_zswap_write_back(pool, 9), 5);
	assert_true(is_on_disk(&dev, many[5]));
}

static void neighbours_go_in_one_piece(void **state)
{
	unsigned char pages[16 * PG];
	struct folio *folio = folio_new(4, 0);
	swp_entry_t e = folio->swap;

	for (unsigned i = 0; i < 16; i++)
		page_make(text(i), pages + i * PG);
	assert_int_equal(folio_write(folio, pages), 0);
	folio_leave(folio);
	assert_int_equal(sw_zswap_write_back(pool, 1), 16);
	assert_int_equal(dev.disk.write_calls, 1);
	for (unsigned i = 0; i < 16; i++)
		expect_page((swp_entry_t){ e.val + i }, text(i));
}

/* Pages that are not neighbours, which would be one piece anyway. */
static void pages_apart(swp_entry_t *e, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		e[i] = page_out(text(i), 0);
		page_out(page_number(PAGE_NOISE, i), 0);
	}
	dev.disk.write_calls = 0;
}

static void what_is_apart_goes_in_one_batch(void **state)
{
	swp_entry_t e[20];

	pages_apart(e, 20);
	assert_int_equal(sw_zswap_write_back(pool, 16), 16);
	assert_int_equal(dev.disk.batches, 1);
	assert_int_equal(dev.disk.write_calls, 16);
	assert_int_equal(counted(zswpwb), 16);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(is_on_disk(&dev, e[i]), i < 16);
		assert_int_equal(is_pooled(&dev, e[i]), i >= 16);
		expect_page(e[i], text(i));
	}
}

/* A batch has its end, and pieces of many pages are in it as well. */
static void more_than_a_batch_goes_in_batches(void **state)
{
	swp_entry_t e[300];

	for (unsigned i = 0; i < 300; i++)
		e[i] = page_out(text(i), 0);
	assert_int_equal(sw_zswap_write_back(pool, 300), 300);
	assert_in_range(dev.disk.batches, 300 / SW_ZSWAP_BATCH, 20);
	for (unsigned i = 0; i < 300; i++)
		expect_page(e[i], text(i));
}

/* Each device gets its own. */
static void a_batch_is_of_one_device(void **state)
{
	swp_entry_t e[2], fill[2 * SLOTS];
	struct device other;
	unsigned nr = 0;

	disk_batches = true;
	device_on(&other, pool, SLOTS);
	disk_batches = false;
	e[0] = page_out(text(0), 0);
	e[1] = page_out(text(1), 0);
	/* Devices of one priority take turns, a cluster each. */
	while (swp_type(e[1]) == swp_type(e[0])) {
		page_free(e[1]);
		fill[nr++] = page_out(text(1), 0);
		e[1] = page_out(text(1), 0);
	}
	while (nr)
		page_free(fill[--nr]);
	assert_int_equal(sw_zswap_write_back(pool, 2), 2);
	assert_int_equal(pool->live, 0);
	assert_int_equal(dev.disk.written, 1);
	assert_int_equal(other.disk.written, 1);
	for (unsigned i = 0; i < 2; i++) {
		expect_page(e[i], text(i));
		page_free(e[i]);
	}
	device_off(&other, NULL, NULL);
}

/* ---- what fails ---- */

/* Once in the pool, then in the same slot what does not go there: what is
 * written back later must not be the first. */
static void an_old_copy_is_never_written_over_a_new_one(void **state)
{
	struct folio *folio = folio_new(0, 0);
	swp_entry_t e = folio->swap;
	unsigned char page[PG];

	page_make(text(1), page);
	assert_int_equal(folio_write(folio, page), 0);
	assert_true(is_pooled(&dev, e));
	page_make(page_number(PAGE_NOISE, 2), page);
	assert_int_equal(folio_write(folio, page), 0);
	folio_leave(folio);
	assert_int_equal(sw_zswap_write_back(pool, 9), 0);
	expect_page(e, page_number(PAGE_NOISE, 2));
}

/* The other way around: the device's copy is not the page any more. */
static void the_device_forgets_what_the_pool_has(void **state)
{
	struct folio *folio = folio_new(0, 0);
	swp_entry_t e = folio->swap;
	unsigned char page[PG];

	page_make(page_number(PAGE_NOISE, 2), page);
	assert_int_equal(folio_write(folio, page), 0);
	assert_true(is_on_disk(&dev, e));
	page_make(text(1), page);
	assert_int_equal(folio_write(folio, page), 0);
	folio_leave(folio);
	assert_false(is_on_disk(&dev, e));
	expect_page(e, text(1));
}

/* Mixed pages until there is no room; each is somewhere, and right. */
static void a_full_pool_refuses_and_the_device_takes(void **state)
{
	uint64_t number[SLOTS];
	swp_entry_t e[SLOTS];
	unsigned n = 0, refused = 0;

	while ((refused += counted(zswap_pool_limit_hit)) < 3) {
		assert_true(n < SLOTS - 1);
		number[n] = page_number(PAGE_MIXED, n);
		e[n] = page_out(number[n], 0);
		n++;
	}
	assert_true(zswap_read_flag(&pool->full));
	assert_true(sw_zswap_pages(pool) * PG <= 1 << 20);
	assert_true(is_on_disk(&dev, e[n - 1]));
	for (unsigned i = 0; i < n; i++)
		expect_page(e[i], number[i]);
	/* And takes again when there is room. */
	assert_true(sw_zswap_balance(pool));
	assert_true(sw_zswap_is_low(pool));
	assert_false(zswap_read_flag(&pool->full));
	for (unsigned i = 0; i < n; i++)
		expect_page(e[i], number[i]);
	e[n] = page_out(text(5), 0);
	assert_true(is_pooled(&dev, e[n]));
	assert_true(counted(zswpwb) > 0);
}

static void a_smaller_pool_gives_up_what_is_too_much(void **state)
{
	swp_entry_t e[SLOTS - 1];
	uint64_t number[SLOTS - 1], was = pool->limit_bytes, part;
	unsigned n;

	for (n = 0; n < 150; n++) {
		number[n] = page_number(PAGE_MIXED, n);
		e[n] = page_out(number[n], 0);
	}
	part = zswap_contents(pool) / 2;
	sw_zswap_set_limit(pool, part);
	assert_true(sw_zswap_is_high(pool));
	assert_true(sw_zswap_balance(pool));
	assert_true(zswap_contents(pool) <= part);
	assert_true(counted(zswpwb) > 0);
	/* What is there no room for goes to the device, until there is again. */
	sw_zswap_set_limit(pool, was);
	assert_true(sw_zswap_is_low(pool));
	e[n] = page_out(number[n] = text(5), 0);
	assert_true(is_pooled(&dev, e[n]));
	for (unsigned i = 0; i <= n; i++)
		expect_page(e[i], number[i]);
}

static void pages_of_one_word_fill_the_pool_as_well(void **state)
{
	swp_entry_t e[120];

	pool->limit_bytes = 100 * sizeof(struct zswap_entry);
	for (unsigned i = 0; i < 120; i++)
		e[i] = page_out(page_number(PAGE_SAME, i), 0);
	assert_int_equal(pool->live, 100);
	assert_true(counted(zswap_pool_limit_hit) > 0);
	for (unsigned i = 0; i < 120; i++)
		expect_page(e[i], page_number(PAGE_SAME, i));
}

/* Room for some of a folio's pages and not for all: the device takes all, in
 * one piece, and nothing of what the slots had before is left. */
static void a_store_that_fails_half_way_leaves_nothing_in_the_pool(void **state)
{
	unsigned char pages[64 * PG];
	struct folio *folio = folio_new(6, 0);
	swp_entry_t e = folio->swap;

	for (unsigned i = 0; i < 64; i++)
		page_make(text(i), pages + i * PG);
	assert_int_equal(folio_write(folio, pages), 0);
	assert_int_equal(counted(zswpout), 64);
	sw_objpool_set_limit(pool->pool,
			     sw_objpool_mem_bytes(pool->pool) + (64 << 10));
	pool->limit_bytes = sw_objpool_mem_bytes(pool->pool) + (64 << 10);
	for (unsigned i = 0; i < 64; i++)
		page_make(page_number(PAGE_RECORDS, i), pages + i * PG);
	for (unsigned i = 40; i < 64; i++)
		fill_noise(pages + i * PG, 3000, &(uint64_t){ i });
	dev.disk.write_calls = 0;
	assert_int_equal(folio_write(folio, pages), 0);
	folio_leave(folio);
	assert_int_equal(counted(zswap_pool_limit_hit), 1);
	assert_int_equal(pool->live, 0);
	assert_int_equal(dev.disk.write_calls, 1);
	for (unsigned i = 0; i < 64; i++) {
		struct folio *one = page_claim((swp_entry_t){ e.val + i });
		unsigned char back[PG];

		assert_int_equal(page_read(one, back), 0);
		assert_memory_equal(back, pages + i * PG, PG);
		folio_leave(one);
	}
}

static void a_device_that_fails_leaves_empty_slots(void **state)
{
	unsigned char pages[4 * PG];
	struct folio *folio = folio_new(2, 0);

	for (unsigned i = 0; i < 4; i++)
		page_make(i == 2 ? page_number(PAGE_NOISE, i) : text(i),
			  pages + i * PG);
	dev.disk.fail_write = true;
	assert_int_equal(folio_write(folio, pages), -EIO);
	assert_int_equal(pool->live, 0);
	assert_int_equal(counted(zswpout), 0);
	/* The folio still has the data, and another try is a new one. */
	dev.disk.fail_write = false;
	assert_int_equal(folio_write(folio, pages), 0);
	assert_int_equal(pool->live, 3);
	folio_leave(folio);
}

static void a_page_whose_writeback_fails_stays(void **state)
{
	swp_entry_t e = page_out(text(1), 0);
	struct quiet q;

	page_out(page_number(PAGE_NOISE, 1), 0);
	page_out(text(2), 0);
	dev.disk.fail_write = true;
	q = quiet_begin();
	assert_int_equal(sw_zswap_write_back(pool, 2), 0);
	quiet_end(&q);
	/* The device is not asked for every page in turn. */
	assert_int_equal(counted(zswap_reject_reclaim_fail), 1);
	dev.disk.fail_write = false;
	expect_page(e, text(1));
	assert_int_equal(sw_zswap_write_back(pool, 2), 2);
	expect_page(e, text(1));
}

static void of_a_batch_only_what_fails_stays(void **state)
{
	swp_entry_t e[10];
	struct quiet q;

	pages_apart(e, 10);
	dev.disk.fail_slot = swp_offset(e[3]);
	q = quiet_begin();
	assert_int_equal(sw_zswap_write_back(pool, 10), 9);
	quiet_end(&q);
	assert_int_equal(counted(zswap_reject_reclaim_fail), 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(is_pooled(&dev, e[i]), i == 3);
		expect_page(e[i], text(i));
	}
}

static void a_device_that_fails_is_tried_with_one_page(void **state)
{
	swp_entry_t e[10];
	struct quiet q;

	pages_apart(e, 10);
	dev.disk.fail_write = true;
	q = quiet_begin();
	assert_int_equal(sw_zswap_write_back(pool, 10), 0);
	dev.disk.write_calls = 0;
	assert_int_equal(sw_zswap_write_back(pool, 10), 0);
	quiet_end(&q);
	assert_int_equal(dev.disk.write_calls, 1);
	dev.disk.fail_write = false;
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	dev.disk.batches = 0;
	assert_int_equal(sw_zswap_write_back(pool, 9), 9);
	assert_int_equal(dev.disk.batches, 1);
	for (unsigned i = 0; i < 10; i++)
		expect_page(e[i], text(i));
}

static void stale_bytes_behind_a_zero_mark_go_without_a_write(void **state)
{
	struct folio *folio = folio_new(0, 0);
	swp_entry_t e = folio->swap;
	unsigned char page[PG];

	page_make(text(1), page);
	assert_int_equal(folio_write(folio, page), 0);
	swap_zeromap_folio_set(folio);
	folio_leave(folio);
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_int_equal(dev.disk.write_calls, 0);
	assert_true(swap_zeromap_test(e));
	assert_int_equal(pool->live, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(what_goes_out_comes_back),
		T(a_page_is_here_or_there_and_never_both),
		T(a_page_of_one_word_takes_no_object),
		T(noise_goes_straight_to_the_device),
		T(a_freed_slot_frees_its_page),
		T(a_large_folio_is_read_from_both_places),
		T(a_damaged_page_is_an_error),
		T(the_oldest_goes_first),
		T(what_was_read_gets_a_second_chance),
		T(groups_take_turns),
		T(neighbours_go_in_one_piece),
		BATCH(what_is_apart_goes_in_one_batch),
		BATCH(more_than_a_batch_goes_in_batches),
		BATCH(a_batch_is_of_one_device),
		T(an_old_copy_is_never_written_over_a_new_one),
		T(the_device_forgets_what_the_pool_has),
		SMALL(a_full_pool_refuses_and_the_device_takes),
		T(a_smaller_pool_gives_up_what_is_too_much),
		T(pages_of_one_word_fill_the_pool_as_well),
		T(a_store_that_fails_half_way_leaves_nothing_in_the_pool),
		T(a_device_that_fails_leaves_empty_slots),
		T(a_page_whose_writeback_fails_stays),
		BATCH(of_a_batch_only_what_fails_stays),
		BATCH(a_device_that_fails_is_tried_with_one_page),
		T(stale_bytes_behind_a_zero_mark_go_without_a_write),
	};

	return RUN("zswap", tests);
}
