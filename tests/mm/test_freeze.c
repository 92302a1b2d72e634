/*
 * test_freeze.c - a session that is put aside and comes back: nothing of it
 * stays or comes in between, nothing is lost, and every slot of its image is
 * given back, however it ends. What fails: test_freeze_fails.c.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "frozen.h"

/* ---- out, and kept out ---- */

static void all_pages_go_and_stay_out_until_the_thaw(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	fx_map(z.f.sim, 300, 10);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_true(info_of(&z).frozen);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);
	assert_int_equal(z.f.mm->staging.nr, 0);
	assert_int_equal(z.f.mm->budget.staged, 0);
	assert_int_equal(nr_used(&z.mem), 300);

	expect_held(&z, 7);
	expect_held(&z, 305); /* nor does what was never touched */
	assert_int_equal(fx_counted(&z.f, pgfault_held), 2);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);

	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_false(info_of(&z).frozen);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static void hot_pages_and_those_of_forks_go_too(void **state)
{
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 128);
	fx_swap_out(&z.f);
	fx_expect(z.f.sim, 5, 105); /* too soon: it is hot now */
	child = sw_sim_fork(z.f.sim);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);
	assert_int_equal(sw_sim_resident(child), 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 128);
	for (unsigned n = 0; n < 128; n++)
		fx_expect(child, n, 100 + n);
	fx_end(child);
	close_frozen(&z);
}

static void what_is_pinned_stays_and_is_counted(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 64);
	sw_sim_pin(z.f.sim, fx_at(9), true);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_int_equal(info_of(&z).resident_pages, 1);
	assert_int_equal(sw_sim_resident(z.f.sim), 1);
	fx_expect(z.f.sim, 9, 109);
	sw_sim_pin(z.f.sim, fx_at(9), false);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 64);
	close_frozen(&z);
}

static void programs_may_unmap_and_end_meanwhile(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	sw_sim_munmap(z.f.sim, fx_at(50), fx_at(150));
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(nr_used(&z.mem), 100);
	fx_expect(z.f.sim, 49, 149);
	fx_expect(z.f.sim, 150, 250);
	close_frozen(&z);
}

static void first_fault_thaws_if_it_shall(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	assert_int_equal(freeze(&z, true, true), 0);
	sw_freeze_heed(z.f.mm);
	assert_true(info_of(&z).frozen);
	expect_held(&z, 3);
	sw_freeze_heed(z.f.mm); /* as reclaim does, which was woken */
	assert_false(info_of(&z).frozen);
	fx_expect_filled(z.f.sim, 0, 100);
	close_frozen(&z);
}

static void to_freeze_or_thaw_twice_is_refused(void **state)
{
	struct frozen z;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	assert_int_equal(sw_mm_thaw(z.f.mm), -EINVAL);
	assert_int_equal(freeze(&z, false, false), 0);
	assert_int_equal(freeze(&z, true, false), -EBUSY);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), -EINVAL);
	fx_expect_filled(z.f.sim, 0, 10);
	close_frozen(&z);
}

/* ---- the image ---- */

static void image_has_what_memory_held_and_gives_it_back(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 300);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(nr_used(&z.mem), 0);
	assert_int_equal(nr_used(&z.f.store), 300);
	assert_int_equal(info_of(&z).image_pages, 300);
	assert_int_equal(fx_slots_used(&z.f), 300);
	assert_true(z.f.store.write_calls <= 6); /* side by side */
	assert_int_equal(swap_check(NULL, NULL), 0);

	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	assert_int_equal(nr_used(&z.mem), 300);
	assert_int_equal(fx_slots_used(&z.f), 0);
	assert_int_equal(info_of(&z).image_pages, 0);
	fx_expect_filled(z.f.sim, 0, 300);
	close_frozen(&z);
}

static void neither_device_can_be_switched_off_meanwhile(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(swapoff(z.f.type, NULL, NULL), -EBUSY);
	assert_int_equal(swapoff(z.mem_type, NULL, NULL), -EBUSY);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 10);
	close_frozen(&z);
}

static void slots_shared_by_forks_are_saved_once(void **state)
{
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	fx_swap_out(&z.f);
	child = sw_sim_fork(z.f.sim);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 100);
	fx_end(child);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 100);
	close_frozen(&z);
}

static void zeros_need_no_image(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_map(z.f.sim, 0, 20);
	for (unsigned n = 0; n < 20; n++)
		fx_write(z.f.sim, n, 0);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 0);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect(z.f.sim, 11, 0);
	close_frozen(&z);
}

static void session_that_ends_frozen_leaves_nothing(void **state)
{
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 100);
	assert_int_equal(freeze(&z, true, false), 0);
	close_frozen(&z);
}

static void what_has_no_room_in_the_image_stays_in_memory(void **state)
{
	struct frozen z;
	struct swsusp_extents other;

	sw_log_set_level(SW_LOG_ERROR);
	open_frozen(&z);
	other = (struct swsusp_extents){ .type = z.f.type };
	for (unsigned n = 0; n < FX_SLOTS - 50; n++)
		assert_true(alloc_swapdev_block(&other).val);
	fx_fill(z.f.sim, 0, 200);
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(info_of(&z).image_pages, 50);
	assert_int_equal(nr_used(&z.mem), 150);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 200);
	free_all_swap_pages(&other);
	close_frozen(&z);
}

/* ---- what is under way when it begins ---- */

/* Of this process; it waits for something. */
static bool sleeps(pid_t tid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	SW_BUG_ON(!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1);
	fclose(f);
	return state == 'S';
}

/* A fault that is not held, since the agent writes to its window, and the thread
 * that freezes meanwhile. */
static struct {
	struct frozen *z;
	const struct sw_mmu_ops *plain;
	pthread_t program;
	pid_t freezer;
	bool begun;   /* [atomic] the fault has its window */
	bool written; /* [atomic] all there is to freezing was done */
	int err;
	uint64_t got;
} passing;

static void *touch_page_5(void *arg)
{
	(void)arg;
	passing.err = sw_sim_read(passing.z->f.sim, fx_at(5), &passing.got);
	return NULL;
}

/* The fault asks for room, has the window and nothing else, and takes as long as
 * it can: until whoever freezes waits, or is done. */
static uint64_t fault_takes_its_time(void *arg)
{
	(void)arg;
	if (gettid() == passing.freezer)
		return 0;
	__atomic_store_n(&passing.begun, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&passing.written, __ATOMIC_ACQUIRE) &&
	       !sleeps(passing.freezer))
		sched_yield();
	return 0;
}

static void shrinks_nothing(void *arg, uint64_t nr)
{
	(void)arg;
	(void)nr;
}

static int unshare_beside_a_fault(struct sw_mmu *mmu,
				  const struct sw_agent_run *run,
				  unsigned nr_runs)
{
	if (!passing.program) {
		SW_BUG_ON(pthread_create(&passing.program, NULL, touch_page_5,
					 NULL));
		while (!__atomic_load_n(&passing.begun, __ATOMIC_ACQUIRE))
			sched_yield();
	}
	return passing.plain->unshare(mmu, run, nr_runs);
}

static void image_is_made_when_no_fault_is_under_way(void **state)
{
	const struct sw_mm_held slow = { fault_takes_its_time, shrinks_nothing,
					 NULL };
	struct sw_mmu_ops ops;
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	fx_swap_out(&z.f);
	fx_write(z.f.sim, 0, 100); /* is there, and shared with the child */
	child = sw_sim_fork(z.f.sim);
	passing.z = &z;
	passing.freezer = gettid();
	passing.plain = sw_sim_mmu(z.f.sim)->ops;
	ops = *passing.plain;
	ops.unshare = unshare_beside_a_fault;
	sw_sim_mmu(z.f.sim)->ops = &ops;
	z.f.mm->budget.held = &slow;
	assert_int_equal(freeze(&z, true, false), 0);
	__atomic_store_n(&passing.written, true, __ATOMIC_RELEASE);
	assert_true(passing.program);
	pthread_join(passing.program, NULL);
	assert_int_equal(passing.err, 0);
	assert_int_equal(passing.got, 105);
	z.f.mm->budget.held = NULL;
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 10);
	fx_end(child);
	close_frozen(&z);
}

/* Its touch could meet a page that is in the image, and would have to be
 * answered. */
static void agent_touches_nothing_while_there_is_an_image(void **state)
{
	struct sw_sim *child;
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	assert_int_equal(freeze(&z, true, false), 0);
	/* Memory that we come to know of only now. */
	sw_sim_map(z.f.sim, fx_at(10), fx_at(11), true);
	fx_write(z.f.sim, 10, 110);
	sw_sim_register(z.f.sim, fx_at(10), fx_at(11));
	assert_int_equal(sw_space_note_present(z.f.space,
					       sw_sim_mmu(z.f.sim)->epoch,
					       fx_at(10), fx_at(11)),
			 0);
	child = sw_sim_fork(z.f.sim);
	fx_swap_out(&z.f);
	assert_int_equal(sw_sim_calls(z.f.machine, SW_SIM_UNSHARE), 0);
	assert_int_equal(sw_sim_sharers(z.f.sim, fx_at(10)), 2);
	/* Nor while somebody is about to look, and reclaim not at rest yet. */
	assert_true(sw_freeze_go(z.f.mm, SW_FROZEN, SW_QUIET));
	fx_end_rests(&z.f);
	fx_swap_out(&z.f);
	assert_true(sw_freeze_go(z.f.mm, SW_QUIET, SW_FROZEN));
	assert_int_equal(sw_sim_calls(z.f.machine, SW_SIM_UNSHARE), 0);

	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 11);
	fx_end_rests(&z.f);
	fx_swap_out(&z.f);
	assert_int_equal(fx_kind(z.f.sim, 10), SW_WORD_SWAP);
	fx_end(child);
	fx_expect_filled(z.f.sim, 0, 11);
	close_frozen(&z);
}

static pid_t heeding; /* [atomic] */

static void *heed_advice(void *arg)
{
	__atomic_store_n(&heeding, gettid(), __ATOMIC_RELEASE);
	(void)sw_advice_heed(arg);
	return NULL;
}

/* The thread that brings in what the program will need was about to begin. */
static void advice_brings_nothing_once_it_has_begun(void **state)
{
	struct frozen z;
	pthread_t events;
	pid_t tid;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 10);
	fx_swap_out(&z.f);
	sw_space_advise(z.f.space, fx_at(0), fx_at(10), SW_ADVICE_WILLNEED);
	sw_space_lock(z.f.space);
	assert_int_equal(pthread_create(&events, NULL, heed_advice, z.f.space),
			 0);
	do {
		tid = __atomic_load_n(&heeding, __ATOMIC_ACQUIRE);
	} while (!tid || !sleeps(tid));
	__atomic_store_n(&z.f.mm->freeze.state, SW_FREEZING, __ATOMIC_RELAXED);
	sw_space_unlock(z.f.space);
	pthread_join(events, NULL);
	assert_int_equal(sw_sim_resident(z.f.sim), 0);

	__atomic_store_n(&z.f.mm->freeze.state, SW_THAWED, __ATOMIC_RELAXED);
	(void)sw_advice_heed(z.f.space);
	assert_int_equal(sw_sim_resident(z.f.sim), 10);
	fx_expect_filled(z.f.sim, 0, 10);
	close_frozen(&z);
}

/* ---- compressed pages inside the budget ---- */

struct kept {
	uint64_t pages, stuck; /* so many do not go */
	unsigned asked;
};

static uint64_t kept_pages(void *arg)
{
	return ((struct kept *)arg)->pages;
}

/* Slowly. */
static void shrink_kept(void *arg, uint64_t nr)
{
	struct kept *k = arg;

	assert_int_equal(nr, k->pages);
	k->asked++;
	k->pages -= sw_min(k->pages - k->stuck, 3);
}

static void what_is_kept_in_the_budget_goes(void **state)
{
	struct kept kept = { .pages = 10 };
	const struct sw_mm_held held = { kept_pages, shrink_kept, &kept };
	struct frozen z;

	open_frozen(&z);
	fx_fill(z.f.sim, 0, 20);
	z.f.mm->budget.held = &held;
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(kept.pages, 0);
	assert_int_equal(kept.asked, 4);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	fx_expect_filled(z.f.sim, 0, 20);
	z.f.mm->budget.held = NULL;
	close_frozen(&z);
}

static void what_will_not_go_is_not_waited_for(void **state)
{
	struct kept kept = { .pages = 10, .stuck = 5 };
	const struct sw_mm_held held = { kept_pages, shrink_kept, &kept };
	struct frozen z;

	open_frozen(&z);
	z.f.mm->budget.held = &held;
	assert_int_equal(freeze(&z, true, false), 0);
	assert_int_equal(kept.pages, 5);
	assert_int_equal(sw_mm_thaw(z.f.mm), 0);
	z.f.mm->budget.held = NULL;
	close_frozen(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		freeze_test(all_pages_go_and_stay_out_until_the_thaw),
		freeze_test(hot_pages_and_those_of_forks_go_too),
		freeze_test(what_is_pinned_stays_and_is_counted),
		freeze_test(programs_may_unmap_and_end_meanwhile),
		freeze_test(first_fault_thaws_if_it_shall),
		freeze_test(to_freeze_or_thaw_twice_is_refused),
		freeze_test(image_has_what_memory_held_and_gives_it_back),
		freeze_test(neither_device_can_be_switched_off_meanwhile),
		freeze_test(slots_shared_by_forks_are_saved_once),
		freeze_test(zeros_need_no_image),
		freeze_test(session_that_ends_frozen_leaves_nothing),
		freeze_test(what_has_no_room_in_the_image_stays_in_memory),
		freeze_test(image_is_made_when_no_fault_is_under_way),
		freeze_test(agent_touches_nothing_while_there_is_an_image),
		freeze_test(advice_brings_nothing_once_it_has_begun),
		freeze_test(what_is_kept_in_the_budget_goes),
		freeze_test(what_will_not_go_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
