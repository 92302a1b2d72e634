/*
 * test_zram_move.c - the moment between the copy of an object and the
 * exchange of its handle, too short for any stress: what may come in between
 * is done by hand here. Includes the file under test, for its inside.
 */
#include "store/packed.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pages.h"
#include "store/zram.h"

#define SLOT 5u

static unsigned char page[SW_PAGE_SIZE], back[SW_PAGE_SIZE];
static const struct swap_ops *const ops = &sw_zram_ops;

static void store_page(struct sw_zram *z, uint64_t number)
{
	page_make(number, page);
	assert_int_equal(ops->write(z, SLOT, 1, page), 0);
}

static void expect_page(struct sw_zram *z, uint64_t number)
{
	page_make(number, page);
	assert_int_equal(ops->read(z, SLOT, 1, back), 0);
	assert_memory_equal(back, page, SW_PAGE_SIZE);
}

static int setup(void **state)
{
	struct sw_zram *z = sw_zram_open(100, "lz4");

	*state = z;
	store_page(z, PAGE_TEXT);
	return 0;
}

static int teardown(void **state)
{
	struct sw_zram *z = *state;
	unsigned bad = sw_zram_check(z);

	sw_zram_close(z);
	return bad;
}

static struct move move_of(struct sw_zram *z)
{
	return (struct move){ z->pool, &z->handles[SLOT],
			      handle_load(z, SLOT) };
}

/* A place to move to, of the same size. */
static uint64_t place_for(const struct move *m)
{
	uint64_t loc;

	assert_int_equal(
		sw_objpool_alloc(m->pool, handle_to_size(m->handle), &loc), 0);
	return loc;
}

static void undo_place(const struct move *m, uint64_t loc)
{
	sw_objpool_free(m->pool, loc, handle_to_size(m->handle));
}

static void nothing_between_and_it_moves(void **state)
{
	struct move m = move_of(*state);
	uint64_t loc = place_for(&m);

	assert_true(is_there(&m));
	assert_true(relocate(&m, loc));
	assert_int_equal(handle_to_loc(handle_load(*state, SLOT)), loc);
	undo_place(&m, handle_to_loc(m.handle)); /* the old place */
	expect_page(*state, PAGE_TEXT);
}

static void a_reader_between_stops_it(void **state)
{
	struct sw_zram *z = *state;
	struct move m = move_of(z);
	uint64_t loc = place_for(&m);

	z->handles[SLOT] += HANDLE_READER;
	assert_false(is_there(&m));
	assert_false(relocate(&m, loc));
	z->handles[SLOT] -= HANDLE_READER;
	assert_int_equal(handle_load(z, SLOT), m.handle);
	undo_place(&m, loc);
	expect_page(z, PAGE_TEXT);
}

/* Whole pages, four a span, of which one in three stays. */
static void fill_sparsely(struct sw_zram *z)
{
	for (unsigned i = 0; i < 100; i++) {
		page_make(page_number(PAGE_NOISE, i), page);
		assert_int_equal(ops->write(z, i, 1, page), 0);
	}
	for (unsigned i = 0; i < 100; i++)
		if (i % 3 != SLOT % 3)
			ops->slot_free(z, i, 1);
	(void)sw_objpool_plan(z->pool, 16);
}

static void a_slot_being_read_is_passed_over(void **state)
{
	struct sw_zram *z = *state;
	struct move m;

	fill_sparsely(z);
	m = move_of(z);
	assert_true(sw_objpool_wants_move(z->pool, handle_to_loc(m.handle)));
	z->handles[SLOT] += HANDLE_READER;
	assert_false(sw_packed_move(z->pool, &z->handles[SLOT]));
	z->handles[SLOT] -= HANDLE_READER;
	assert_int_equal(handle_load(z, SLOT), m.handle);
	assert_true(sw_packed_move(z->pool, &z->handles[SLOT]));
	assert_int_not_equal(handle_load(z, SLOT), m.handle);
	expect_page(z, page_number(PAGE_NOISE, SLOT));
}

static void a_write_between_wins(void **state)
{
	struct move m = move_of(*state);
	uint64_t loc = place_for(&m);

	store_page(*state, page_number(PAGE_TEXT, 1));
	assert_false(is_there(&m));
	assert_false(relocate(&m, loc));
	undo_place(&m, loc);
	expect_page(*state, page_number(PAGE_TEXT, 1));
}

static void a_free_between_wins(void **state)
{
	struct move m = move_of(*state);
	uint64_t loc = place_for(&m);

	ops->slot_free(*state, SLOT, 1);
	assert_false(is_there(&m));
	assert_false(relocate(&m, loc));
	assert_int_equal(handle_load(*state, SLOT), HANDLE_EMPTY);
	undo_place(&m, loc);
}

/* What a read leaves is what it found: it counts itself out. */
static void reading_leaves_the_handle_as_it_was(void **state)
{
	const uint64_t before = handle_load(*state, SLOT);

	expect_page(*state, PAGE_TEXT);
	assert_int_equal(handle_load(*state, SLOT), before);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_between_and_it_moves),
		T(a_reader_between_stops_it),
		T(a_slot_being_read_is_passed_over),
		T(a_write_between_wins),
		T(a_free_between_wins),
		T(reading_leaves_the_handle_as_it_was),
	};
#undef T

	return cmocka_run_group_tests_name("zram move", tests, NULL, NULL);
}
