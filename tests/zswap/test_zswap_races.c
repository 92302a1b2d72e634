/*
 * test_zswap_races.c - who wins when two want one page. All in one thread: what
 * comes in between is done by the device in the middle of a write. Then what
 * happens when nobody wants any, and the thread that sees to it.
 */
#include "scene.h"

static void a_fault_that_was_first_keeps_its_page(void **state)
{
	swp_entry_t e = page_out(text(1), 0);
	struct folio *folio = page_claim(e);
	unsigned char page[PG];

	assert_int_equal(sw_zswap_write_back(pool, 1), 0);
	assert_true(is_pooled(&dev, e));
	assert_int_equal(page_read(folio, page), 0);
	folio_leave(folio);
}

static struct {
	swp_entry_t e;
	int err;
	bool waited;
} met;

static void fault_in_between(void *arg, uint64_t slot, unsigned nr)
{
	struct folio *folio;
	int err;

	assert_int_equal(slot, swp_offset(met.e));
	folio = swap_cache_alloc_folio(met.e, 1, NULL, NULL, &err);
	assert_null(folio);
	met.err = err;
	folio = swap_cache_get_folio(met.e);
	assert_non_null(folio);
	met.waited = !folio_trylock(folio);
	folio_put(folio);
}

static void fault_beside(void *arg, uint64_t slot, unsigned nr)
{
	dev.disk.on_write = NULL;
	fault_in_between(arg, swp_offset(met.e), nr);
}

static void a_fault_waits_for_a_page_being_written_back(void **state)
{
	met.e = page_out(text(1), 0);
	dev.disk.on_write = fault_in_between;
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_int_equal(met.err, -EEXIST);
	assert_true(met.waited);
	expect_page(met.e, text(1));
}

/* The last of a batch, when the first is being written. */
static void a_fault_waits_for_the_batch_its_page_is_in(void **state)
{
	swp_entry_t first = page_out(text(1), 0);

	page_out(page_number(PAGE_NOISE, 1), 0);
	met.e = page_out(text(2), 0);
	dev.disk.on_write = fault_beside;
	assert_int_equal(sw_zswap_write_back(pool, 2), 2);
	assert_int_equal(dev.disk.batches, 1);
	assert_int_equal(met.err, -EEXIST);
	assert_true(met.waited);
	expect_page(met.e, text(2));
	expect_page(first, text(1));
}

static void put_beside(void *arg, uint64_t slot, unsigned nr)
{
	dev.disk.on_write = NULL;
	page_free(met.e);
	assert_true(swap_cache_has_folio(met.e));
	assert_true(is_pooled(&dev, met.e));
}

static void a_page_freed_while_its_batch_is_written_is_gone_after(void **state)
{
	swp_entry_t first = page_out(text(1), 0), noise;

	noise = page_out(page_number(PAGE_NOISE, 1), 0);
	met.e = page_out(text(2), 0);
	dev.disk.on_write = put_beside;
	assert_int_equal(sw_zswap_write_back(pool, 2), 2);
	assert_int_equal(pool->live, 0);
	assert_false(is_on_disk(&dev, met.e));
	assert_false(swap_cache_has_folio(met.e));
	expect_page(first, text(1));
	expect_page(noise, page_number(PAGE_NOISE, 1));
}

static void put_in_between(void *arg, uint64_t slot, unsigned nr)
{
	page_free(met.e);
	/* The slot is not free while it is being written to. */
	assert_true(swap_cache_has_folio(met.e));
	assert_true(is_pooled(&dev, met.e));
}

static void a_page_freed_while_it_is_written_is_gone_after(void **state)
{
	struct sw_swap_device_info info;

	met.e = page_out(text(1), 0);
	dev.disk.on_write = put_in_between;
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_int_equal(pool->live, 0);
	assert_false(is_on_disk(&dev, met.e));
	assert_true(swap_device_info(dev.type, &info));
	assert_int_equal(info.used, 0);
}

/* Between pick and claim the slot is freed, taken again and written. */
static void another_page_in_the_slot_is_not_written(void **state)
{
	struct zswap_pick pick;
	struct zswap_claim c;
	swp_entry_t e;
	int err;

	e = page_out(text(1), 0);
	assert_true(zswap_take_coldest(pool, &pick));
	assert_int_equal(pick.entry.val, e.val);
	page_free(e);
	assert_false(zswap_claim(pool, &pick, true, &c, &err));
	assert_int_equal(err, -ENOENT);
	do {
		e = page_out(text(2), 0);
	} while (e.val != pick.entry.val);
	assert_false(zswap_claim(pool, &pick, true, &c, &err));
	assert_int_equal(err, -ESTALE);
	assert_false(swap_cache_has_folio(e));
	expect_page(e, text(2));
}

static void a_pick_of_a_device_that_is_off_is_nothing(void **state)
{
	struct zswap_pick pick;
	struct zswap_claim c;
	int err;

	page_free(page_out(text(1), 0));
	page_out(text(1), 0);
	assert_true(zswap_take_coldest(pool, &pick));
	free_all();
	device_off(&dev, NULL, NULL);
	assert_false(zswap_claim(pool, &pick, true, &c, &err));
	assert_int_equal(err, -ENOENT);
	device_on(&dev, pool, SLOTS);
	assert_false(zswap_claim(pool, &pick, true, &c, &err));
	assert_int_equal(err, -ENOENT);
}

/* A program has the page, clean: its slot is freed in place of a write. */
static void a_clean_copy_is_dropped_rather_than_written(void **state)
{
	swp_entry_t e = page_out(text(1), 0);
	struct folio *folio = page_claim(e);

	folio_put_swap(folio, 0);
	folio_set(folio, SW_FOLIO_MAPPED);
	folio_unlock(folio);
	assert_int_equal(sw_zswap_write_back(pool, 1), 1);
	assert_int_equal(counted(zswap_dropped_clean), 1);
	assert_int_equal(counted(zswpwb), 0);
	assert_int_equal(dev.disk.write_calls, 0);
	assert_int_equal(pool->live, 0);
	assert_true(folio_test(folio, SW_FOLIO_DIRTY));
	folio_put(folio);
}

/* ---- when idle ---- */

static void cold_pages_get_smaller_when_idle(void **state)
{
	struct sw_zswap_stats before, after;
	swp_entry_t e[20];
	bool more = true;
	unsigned smaller = 0;

	for (unsigned i = 0; i < 20; i++)
		e[i] = page_out(text(i), 0);
	expect_page(e[0], text(0)); /* it is not cold */
	sw_zswap_stats(pool, &before);
	while (more)
		smaller += sw_zswap_recompress(pool, 4, &more);
	sw_zswap_stats(pool, &after);
	assert_int_equal(smaller, 19);
	assert_int_equal(after.strong_pages, 19);
	assert_int_equal(counted(zswap_recompressed), 19);
	assert_true(after.compr_bytes * 10 < before.compr_bytes * 9);
	assert_int_equal(sw_zswap_recompress(pool, 99, &more), 0);
	assert_int_equal(sw_zswap_check(pool), 0);
	for (unsigned i = 0; i < 20; i++)
		expect_page(e[i], text(i));
}

static void what_gets_no_smaller_is_tried_once(void **state)
{
	bool more;

	/* Noise in front, as much of it as still shrinks a little. */
	for (unsigned i = 0; i < 40; i++)
		page_out(page_number(PAGE_MIXED, i), 0);
	sw_zswap_recompress(pool, 99, &more);
	for (uint32_t nr = 1; nr < pool->fresh; nr++)
		assert_true(zswap_test(&pool->entries[nr],
				       ZSWAP_STRONG | ZSWAP_TRIED) ||
			    !pool->entries[nr].handle);
}

static void a_page_in_use_is_not_compressed_anew(void **state)
{
	swp_entry_t e = page_out(text(1), 0);
	struct folio *folio = page_claim(e);
	bool more;

	assert_int_equal(sw_zswap_recompress(pool, 9, &more), 0);
	folio_leave(folio);
	assert_int_equal(sw_zswap_recompress(pool, 9, &more), 1);
	expect_page(e, text(1));
}

/* ---- the thread ---- */

static void the_thread_keeps_room_by_itself(void **state)
{
	swp_entry_t e[SLOTS];
	unsigned n = 0;

	assert_int_equal(sw_zswap_start(pool), 0);
	while (sw_counter_read(SW_CTR_zswpwb) == 0 || n < 900) {
		if (n == SLOTS - 1)
			break;
		e[n] = page_out(page_number(PAGE_MIXED, n), 0);
		n++;
	}
	while (sw_zswap_is_high(pool))
		sched_yield();
	for (unsigned i = 0; i < n; i++)
		expect_page(e[i], page_number(PAGE_MIXED, i));
	sw_zswap_stop(pool);
	assert_true(counted(zswpwb) > 0);
}

static void the_shrinker_gets_what_it_asks_for(void **state)
{
	for (unsigned i = 0; i < 40; i++)
		page_out(text(i), 0);
	assert_int_equal(sw_zswap_start(pool), 0);
	sw_zswap_shrink(pool, 30);
	while (zswap_read(&pool->live) > 10)
		sched_yield();
	sw_zswap_stop(pool);
	/* Neighbours go together: some more may. */
	assert_in_range(counted(zswpwb), 30, 40);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(a_fault_that_was_first_keeps_its_page),
		T(a_fault_waits_for_a_page_being_written_back),
		BATCH(a_fault_waits_for_the_batch_its_page_is_in),
		T(a_page_freed_while_it_is_written_is_gone_after),
		BATCH(a_page_freed_while_its_batch_is_written_is_gone_after),
		T(another_page_in_the_slot_is_not_written),
		T(a_pick_of_a_device_that_is_off_is_nothing),
		T(a_clean_copy_is_dropped_rather_than_written),
		T(cold_pages_get_smaller_when_idle),
		T(what_gets_no_smaller_is_tried_once),
		T(a_page_in_use_is_not_compressed_anew),
		SMALL(the_thread_keeps_room_by_itself),
		T(the_shrinker_gets_what_it_asks_for),
	};

	return RUN("zswap races", tests);
}
