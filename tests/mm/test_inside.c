/* test_inside.c - what a program in the same process asks of the manager: pins,
 * another budget, pages that begin in a slot, and memory without malloc. */
#include "base/mem.h"
#include "fixture.h"

static void a_pinned_page_stays_until_it_is_unpinned(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 4);
	assert_int_equal(sw_space_pin(f.space, fx_at(1), true), SW_PIN_DONE);
	fx_swap_out(&f);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_SWAP);
	assert_int_equal(fx_kind(f.sim, 1), SW_WORD_PRESENT);
	assert_int_equal(sw_space_pin(f.space, fx_at(0), true), SW_PIN_MISSING);
	assert_int_equal(sw_space_pin(f.space, fx_at(9), true), SW_PIN_MISSING);
	sw_space_unpin(f.space, fx_at(0), fx_at(600));
	fx_swap_out(&f);
	assert_int_equal(fx_kind(f.sim, 1), SW_WORD_SWAP);
	fx_expect(f.sim, 1, 101);
	fx_close(&f);
}

static void a_pin_to_read_leaves_the_clean_copy(void **state)
{
	struct fx f;

	fx_open_clean(&f);
	assert_int_equal(sw_space_pin(f.space, fx_at(0), true),
			 SW_PIN_PROTECTED);
	assert_int_equal(sw_space_pin(f.space, fx_at(0), false), SW_PIN_DONE);
	assert_true(fx_word(f.sim, 0) & SW_WORD_CLEAN);
	fx_close(&f);
}

static void a_write_that_may_be_either_is_what_the_word_says(void **state)
{
	const unsigned flags = SW_FAULT_WRITE | SW_FAULT_EITHER;
	struct fx f;

	fx_open_clean(&f);
	assert_true(fx_word(f.sim, 0) & SW_WORD_WP);
	sw_fault(f.space, fx_at(0), SW_FAULT_EITHER, 1);
	assert_true(fx_word(f.sim, 0) & SW_WORD_WP);
	sw_fault(f.space, fx_at(0), flags, 1);
	assert_int_equal(fx_counted(&f, pgfault_wp), 1);
	assert_false(fx_word(f.sim, 0) & (SW_WORD_WP | SW_WORD_CLEAN));
	fx_swap_out(&f);
	sw_fault(f.space, fx_at(0), flags, 1);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_PRESENT);
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

static void without_protection_no_copy_is_clean(void **state)
{
	struct fx f;

	fx_open_out(&f, 2);
	fx_expect(f.sim, 0, 100);
	assert_int_equal(fx_slots_used(&f), 2);
	sw_space_unprotected(f.space);
	assert_false(fx_word(f.sim, 0) & (SW_WORD_WP | SW_WORD_CLEAN));
	assert_int_equal(fx_slots_used(&f), 1);
	fx_expect(f.sim, 1, 101);
	fx_close(&f);
}

static void a_page_may_begin_in_a_slot(void **state)
{
	struct fx f;
	swp_entry_t entry;

	fx_open(&f);
	fx_map(f.sim, 0, 2);
	entry = swap_alloc_hibernation_slot(f.type);
	f.store.used[swp_offset(entry)] = true;
	f.store.page[swp_offset(entry)][0] = 77;
	assert_true(sw_space_is_untouched(f.space, fx_at(1)));
	assert_int_equal(sw_space_adopt(f.space, fx_at(1), entry.val), 0);
	assert_false(sw_space_is_untouched(f.space, fx_at(1)));
	assert_int_equal(sw_space_adopt(f.space, fx_at(1), entry.val), -EEXIST);
	fx_expect(f.sim, 1, 77);
	fx_close(&f);
}

static void a_smaller_budget_makes_pages_go(void **state)
{
	struct sw_mm_usage u;
	struct fx f;

	fx_open_sized(&f, 2048, FX_SLOTS);
	fx_fill(f.sim, 0, 1024);
	sw_reclaim_balance(f.mm);
	assert_int_equal(f.space->resident, 1024);
	sw_mm_set_budget(f.mm, 768);
	sw_reclaim_balance(f.mm);
	sw_mm_usage(f.mm, &u);
	assert_int_equal(u.budget_pages, 768);
	assert_true(u.used_pages <= 768);
	assert_true(u.taken_pages >= 256);
	fx_expect_filled(f.sim, 0, 1024);
	fx_close(&f);
}

static enum sw_mm_pattern pattern; /* of everything */
static unsigned told[SW_MM_PAGE_LOST + 1];

static enum sw_mm_pattern pattern_of(void *arg, uint64_t addr)
{
	(void)arg, (void)addr;
	return pattern;
}

static void note(void *arg, enum sw_mm_event event)
{
	(void)arg;
	told[event]++;
}

static void patterns_say_how_much_comes_along(void **state)
{
	struct fx f;

	fx_open(&f);
	f.host.pattern = pattern_of;
	fx_map(f.sim, 0, 256);
	pattern = SW_MM_SEQUENTIAL;
	fx_write(f.sim, 64, 1);
	assert_int_equal(f.space->resident, 64);
	pattern = SW_MM_RANDOM;
	for (unsigned n = 128; n < 148; n++)
		fx_write(f.sim, n, 1);
	assert_int_equal(f.space->resident, 64 + 20);
	fx_close(&f);
}

static void what_happens_is_told(void **state)
{
	uint64_t got;
	struct fx f;

	fx_open(&f);
	f.host.happened = note;
	fx_fill(f.sim, 0, 1);
	f.store.fail_writes = true;
	fx_swap_out(&f);
	assert_int_equal(told[SW_MM_WRITE_FAILED], 1);
	f.store.fail_writes = false;
	/* Touched, it goes to another slot. */
	fx_expect(f.sim, 0, 100);
	fx_swap_out(&f);
	f.store.fail_reads = true;
	assert_int_equal(sw_sim_read(f.sim, fx_at(0), &got), -EIO);
	assert_int_equal(told[SW_MM_PAGE_LOST], 1);
	assert_int_equal(sw_space_pin(f.space, fx_at(0), true), SW_PIN_LOST);
	fx_close(&f);
}

/* Last: from then on nothing of this process comes from malloc. */
static void memory_without_malloc_is_zeroed_and_apart(void **state)
{
	static const size_t sizes[] = { 1,    64,    100,   500,    4096,
					4500, 20000, 32700, 100000, 5000000 };
	unsigned char *p[10][3];

	sw_mem_avoid_malloc();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 30; i++) {
			unsigned char *new = sw_mem_zalloc(sizes[i / 3]);

			assert_non_null(new);
			assert_int_equal((uintptr_t) new % 64, 0);
			for (size_t k = 0; k < sizes[i / 3]; k++)
				assert_int_equal(new[k], 0);
			memset(new, i + 1, sizes[i / 3]);
			p[i / 3][i % 3] = new;
		}
		for (unsigned i = 0; i < 30; i++) {
			for (size_t k = 0; k < sizes[i / 3]; k++)
				assert_int_equal(p[i / 3][i % 3][k], i + 1);
			sw_mem_free(p[i / 3][i % 3]);
		}
	}
	sw_mem_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(a_pinned_page_stays_until_it_is_unpinned),
		fx_test(a_pin_to_read_leaves_the_clean_copy),
		fx_test(a_write_that_may_be_either_is_what_the_word_says),
		fx_test(without_protection_no_copy_is_clean),
		fx_test(a_page_may_begin_in_a_slot),
		fx_test(a_smaller_budget_makes_pages_go),
		fx_test(patterns_say_how_much_comes_along),
		fx_test(what_happens_is_told),
		fx_test(memory_without_malloc_is_zeroed_and_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
