/* test_clean.c - pages that were read back and keep their slot: what a write
 * makes of them, and what happens when the slot is taken away. */
#include <unistd.h>

#include "fixture.h"

static void page_only_read_keeps_its_slot(void **state)
{
	struct fx f;

	fx_open_clean(&f);
	assert_true(fx_word(f.sim, 0) & SW_WORD_WP);
	assert_int_equal(fx_slots_used(&f), 1);
	fx_evict(&f);
	assert_int_equal(fx_counted(&f, pgsteal_clean), 1);
	assert_int_equal(f.mm->staging.nr, 0);
	assert_int_equal(f.store.writes, 1);
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

static void write_gives_the_clean_copy_up(void **state)
{
	struct fx f;

	fx_open_clean(&f);
	fx_write(f.sim, 0, 7);
	assert_int_equal(fx_counted(&f, pgfault_wp), 1);
	assert_false(fx_word(f.sim, 0) & (SW_WORD_CLEAN | SW_WORD_WP));
	assert_int_equal(fx_slots_used(&f), 0);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 7);
	assert_int_equal(f.store.writes, 2);
	fx_close(&f);
}

static void write_fault_keeps_no_copy(void **state)
{
	struct fx f;

	fx_open_out(&f, 1);
	fx_write(f.sim, 0, 7);
	assert_int_equal(fx_counted(&f, pgfault_wp), 0);
	assert_int_equal(fx_slots_used(&f), 0);
	fx_close(&f);
}

/* While copies pay one write costs one copy; a random writer, who takes one
 * copy after the other, gets whole windows when he has used up the credit. */
static void random_writer_gets_windows_at_once(void **state)
{
	struct fx f;
	uint64_t faults;

	fx_open_out(&f, 512);
	fx_expect_filled(f.sim, 0, 512);
	fx_write(f.sim, 77, 7);
	assert_true(fx_word(f.sim, 76) & SW_WORD_CLEAN);
	assert_true(fx_word(f.sim, 78) & SW_WORD_CLEAN);
	for (unsigned n = 0; n < 512; n++)
		fx_write(f.sim, n * 37 % 512, n);
	faults = fx_counted(&f, pgfault_wp);
	assert_in_range(faults, 8, 300);
	/* And next time no copies. */
	fx_swap_out(&f);
	fx_counted(&f, swpin_clean);
	for (unsigned n = 0; n < 512; n++)
		fx_expect(f.sim, n * 37 % 512, n);
	assert_in_range(fx_counted(&f, swpin_clean), 0, 64);
	fx_swap_out(&f);
	for (unsigned n = 0; n < 512; n++)
		fx_expect(f.sim, n * 37 % 512, n);
	fx_close(&f);
}

static void clean_copies_make_room_when_slots_run_out(void **state)
{
	struct fx f;

	fx_open_sized(&f, 1 << 20, 700);
	fx_fill(f.sim, 0, 340);
	fx_swap_out(&f);
	fx_expect_filled(f.sim, 0, 300);
	assert_true(fx_slots_used(&f) > 300); /* copies */
	fx_fill(f.sim, 400, 600);
	fx_swap_out(&f);
	fx_expect_filled(f.sim, 0, 340);
	fx_expect_filled(f.sim, 400, 600);
	fx_close(&f);
}

/* ---- a slot that was taken back and belongs to another page now ---- */

static struct fx *reclaiming;
static const struct sw_mmu_ops *plain_ops;

static void *sweep(void *arg)
{
	fx_evict(arg);
	return NULL;
}

/* Reclaim sweeps while a fault maps its page, whose folio it holds locked. */
static int copy_beside_reclaim(struct sw_mmu *mmu, uint64_t addr,
			       const void *pages, unsigned nr, bool protect)
{
	pthread_t thread;

	alarm(20); /* a sweep that waits for that lock waits for ever */
	SW_BUG_ON(pthread_create(&thread, NULL, sweep, reclaiming));
	pthread_join(thread, NULL);
	alarm(0);
	return plain_ops->copy(mmu, addr, pages, nr, protect);
}

/* The page from `first` on that is out at `entry`. */
static unsigned page_at_entry(struct fx *f, unsigned first, swp_entry_t entry)
{
	for (unsigned n = first; n < FX_PAGES; n++)
		if (fx_kind(f->sim, n) == SW_WORD_SWAP &&
		    sw_word_entry(fx_word(f->sim, n)).val == entry.val)
			return n;
	fail_msg("nobody was given the slot");
	return 0;
}

static void slot_of_a_lost_clean_copy_is_another_faults(void **state)
{
	struct sw_mmu_ops ops;
	swp_entry_t entry;
	unsigned other;
	struct fx f;

	fx_open_sized(&f, 1 << 20, 700);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 1);
	fx_swap_out(&f);
	fx_expect(f.sim, 0, 100);
	entry = sw_word_entry(fx_word(f.sim, 0));
	sw_sim_pin(f.sim, fx_at(0), true);
	fx_fill(f.sim, 64, 800);
	fx_swap_out(&f);
	sw_sim_pin(f.sim, fx_at(0), false);
	assert_true(fx_word(f.sim, 0) & SW_WORD_CLEAN);
	other = page_at_entry(&f, 64, entry);
	sw_sim_munmap(f.sim, fx_at(64), fx_at(other));
	sw_sim_munmap(f.sim, fx_at(other + 1), fx_at(864));

	plain_ops = f.space->mmu->ops;
	ops = *plain_ops;
	ops.copy = copy_beside_reclaim;
	reclaiming = &f;
	f.space->mmu->ops = &ops;
	fx_expect(f.sim, other, 100 + other);
	f.space->mmu->ops = plain_ops;
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_SWAP);
	fx_expect(f.sim, 0, 100);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(page_only_read_keeps_its_slot),
		fx_test(write_gives_the_clean_copy_up),
		fx_test(random_writer_gets_windows_at_once),
		fx_test(write_fault_keeps_no_copy),
		fx_test(clean_copies_make_room_when_slots_run_out),
		fx_test(slot_of_a_lost_clean_copy_is_another_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
