/*
 * test_unuse.c - a device goes off while programs have pages on it: to another
 * device, or back; shared slots stay shared; and what cannot end leaves the
 * device as it was.
 */
#include "fixture.h"

struct off {
	unsigned asked, limit; /* goes on for so many questions */
	uint64_t total;
};

static bool goes_on(void *arg, uint64_t left, uint64_t total)
{
	struct off *o = arg;

	assert_true(left <= total);
	o->total = total;
	return o->asked++ < o->limit;
}

static int off(struct fx *f, unsigned type)
{
	struct off o = { .limit = ~0u };

	return sw_mm_swapoff(f->mm, type, &(struct sw_off){ goes_on, &o });
}

/* ---- another device ---- */

static void other_on(struct fx *f, uint64_t slots, int prio)
{
	f->other_type = fx_store_on(&f->other, slots, prio);
}

static uint64_t used(int type)
{
	struct sw_swap_device_info info;

	assert_true(swap_device_info(type, &info));
	return info.used;
}

static bool is_on(int type)
{
	struct sw_swap_device_info info;

	return swap_device_info(type, &info) && info.flags & SWP_WRITEOK;
}

static int type_of(struct sw_sim *sim, unsigned n)
{
	uint64_t word = fx_word(sim, n);

	return sw_word_kind(word) == SW_WORD_SWAP
		       ? (int)swp_type(sw_word_entry(word))
		       : -1;
}

/* The first device goes off, and there is room on another. */
static void off_to_other(struct fx *f)
{
	other_on(f, 1000, -1);
	assert_int_equal(off(f, f->type), 0);
}

/* The end, when that device has gone. */
static void close_without(struct fx *f, int *type)
{
	*type = -1;
	fx_close(f);
}

/* ---- elsewhere ---- */

static void pages_move_to_another_device(void **state)
{
	struct fx f;

	fx_open_out(&f, 300);
	assert_int_equal(used(f.type), 300);
	off_to_other(&f);
	assert_false(is_on(f.type));
	assert_int_equal(used(f.other_type), 300);
	for (unsigned n = 0; n < 300; n++) {
		assert_int_equal(type_of(f.sim, n), f.other_type);
		assert_int_equal(fx_count_of(f.sim, n), 1);
	}
	assert_int_equal(sw_sim_resident(f.sim), 0);
	assert_int_equal(swap_check(NULL, NULL), 0);
	fx_expect_filled(f.sim, 0, 300);
	close_without(&f, &f.type);
}

static void staged_pages_move_without_being_read(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 128);
	fx_evict(&f);
	assert_int_equal(sw_staging_nr(f.mm), 128);
	off_to_other(&f);
	assert_int_equal(sw_staging_nr(f.mm), 0);
	assert_int_equal(f.store.reads, 0);
	assert_int_equal(f.other.writes, 128);
	fx_expect_filled(f.sim, 0, 128);
	close_without(&f, &f.type);
}

/* Neighbours stay neighbours: they are read and written in few pieces. */
static void neighbours_move_together(void **state)
{
	struct fx f;

	fx_open_out(&f, 256);
	off_to_other(&f);
	assert_int_equal(f.other.writes, 256);
	assert_true(f.other.write_calls <= 8);
	assert_true(f.store.read_calls <= 16);
	close_without(&f, &f.type);
}

static void zeros_stay_a_mark(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_map(f.sim, 0, 64);
	for (unsigned n = 0; n < 64; n++)
		fx_write(f.sim, n, n % 2 ? 100 + n : 0);
	fx_swap_out(&f);
	off_to_other(&f);
	assert_int_equal(f.other.writes, 32);
	for (unsigned n = 0; n < 64; n++)
		fx_expect(f.sim, n, n % 2 ? 100 + n : 0);
	close_without(&f, &f.type);
}

static void clean_copies_are_forgotten(void **state)
{
	struct fx f;

	fx_open_out(&f, 64);
	fx_expect_filled(f.sim, 0, 64);
	assert_true(used(f.type) > 0); /* what is back has its slot still */
	off_to_other(&f);
	assert_int_equal(used(f.other_type), 0);
	/* They are written anew, wherever that is. */
	fx_swap_out(&f);
	assert_int_equal(used(f.other_type), 64);
	fx_expect_filled(f.sim, 0, 64);
	close_without(&f, &f.type);
}

static void forked_processes_go_on_sharing_slots(void **state)
{
	struct sw_sim *child, *second;
	struct fx f;

	fx_open_out(&f, 200);
	child = sw_sim_fork(f.sim);
	second = sw_sim_fork(child);
	assert_int_equal(fx_count_of(f.sim, 7), 3);
	/* Room for each slot once, and not for each word. */
	other_on(&f, 200, -1);
	assert_int_equal(off(&f, f.type), 0);
	assert_int_equal(used(f.other_type), 200);
	for (unsigned n = 0; n < 200; n++) {
		assert_int_equal(fx_count_of(f.sim, n), 3);
		assert_int_equal(fx_word(f.sim, n), fx_word(child, n));
		assert_int_equal(fx_word(f.sim, n), fx_word(second, n));
	}
	assert_int_equal(f.other.writes, 200);
	fx_expect_filled(child, 0, 200);
	fx_end(child);
	fx_expect_filled(f.sim, 0, 200);
	fx_expect_filled(second, 0, 200);
	fx_end(second);
	close_without(&f, &f.type);
}

static void what_reclaim_has_prepared_holds_nothing_up(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 0, 64);
	while (!sw_reclaim_evict(f.mm))
		;
	assert_true(f.mm->ev.nr_ready > 0);
	assert_true(used(f.type) > 64);
	off_to_other(&f);
	fx_expect_filled(f.sim, 0, 64);
	fx_swap_out(&f);
	close_without(&f, &f.type);
}

/* ---- meanwhile ---- */

/* The first device goes off, and something happens after the bytes of its first
 * window have been read. */
static void off_while(struct fx *f,
		      void (*meanwhile)(struct fx_store *st, uint64_t offset))
{
	f->other.before_write = meanwhile;
	off_to_other(f);
	assert_null(f->other.before_write);
	assert_int_equal(swap_check(NULL, NULL), 0);
}

/* For what happens so: whose device it is. */
static struct fx *once(struct fx_store *other)
{
	other->before_write = NULL;
	return sw_container_of(other, struct fx, other);
}

static void write_and_evict(struct fx_store *st, uint64_t offset)
{
	struct fx *f = once(st);

	fx_write(f->sim, 3, 777);
	fx_write(f->sim, 4, 888);
	fx_evict(f);
	fx_write(f->sim, 4, 999);
}

static void what_is_written_meanwhile_is_newer(void **state)
{
	struct fx f;

	fx_open_out(&f, 100);
	off_while(&f, write_and_evict);
	fx_expect_filled(f.sim, 0, 3);
	fx_expect(f.sim, 3, 777);
	fx_expect(f.sim, 4, 999);
	fx_expect_filled(f.sim, 5, 95);
	close_without(&f, &f.type);
}

static void unmap_all(struct fx_store *st, uint64_t offset)
{
	struct fx *f = once(st);

	sw_sim_munmap(f->sim, fx_at(128), fx_at(128 + 600));
}

static void what_is_unmapped_meanwhile_stays_nothing(void **state)
{
	struct fx f;

	fx_open(&f);
	fx_fill(f.sim, 128, 600); /* its words go as a whole */
	fx_swap_out(&f);
	off_while(&f, unmap_all);
	assert_null(sw_pt_lookup(&f.space->pt, fx_at(128)));
	assert_int_equal(used(f.other_type), 0);
	close_without(&f, &f.type);
}

static struct sw_sim *born;

static void fork_it(struct fx_store *st, uint64_t offset)
{
	struct fx *f = once(st);

	born = sw_sim_fork(f->sim);
}

static void who_is_born_meanwhile_is_found(void **state)
{
	struct fx f;

	fx_open_out(&f, 200);
	off_while(&f, fork_it);
	fx_expect_filled(born, 0, 200);
	fx_expect_filled(f.sim, 0, 200);
	fx_end(born);
	close_without(&f, &f.type);
}

/* ---- back ---- */

static void without_another_device_pages_come_back(void **state)
{
	struct sw_sim *child;
	struct fx f;

	fx_open_out(&f, 300);
	child = sw_sim_fork(f.sim);
	assert_int_equal(off(&f, f.type), 0);
	assert_false(is_on(f.type));
	assert_int_equal(sw_sim_resident(f.sim), 300);
	assert_int_equal(sw_sim_resident(child), 300);
	assert_int_equal(fx_check_space(f.space), 0);
	fx_expect_filled(f.sim, 0, 300);
	fx_expect_filled(child, 0, 300);
	fx_end(child);
	close_without(&f, &f.type);
}

static void a_full_device_takes_what_it_can(void **state)
{
	struct fx f;

	fx_open_out(&f, 300);
	other_on(&f, 100, -1);
	assert_int_equal(off(&f, f.type), 0);
	assert_int_equal(used(f.other_type), 100);
	assert_int_equal(sw_sim_resident(f.sim), 200);
	fx_expect_filled(f.sim, 0, 300);
	close_without(&f, &f.type);
}

static void a_page_that_is_there_is_newer(void **state)
{
	struct fx f;

	fx_open_out(&f, 64);
	sw_sim_fail(f.machine, SW_SIM_COPY, 1, -EEXIST);
	assert_int_equal(off(&f, f.type), 0);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_PRESENT);
	close_without(&f, &f.type);
}

static void a_layout_that_changes_is_waited_for(void **state)
{
	struct fx f;

	fx_open_out(&f, 64);
	sw_sim_fail(f.machine, SW_SIM_COPY, 1, -EAGAIN);
	assert_int_equal(off(&f, f.type), 0);
	fx_expect_filled(f.sim, 0, 64);
	close_without(&f, &f.type);
}

/* ---- while a fork waits for a window ---- */

static struct {
	struct fx *f;
	struct sw_sim *child;
	pthread_t thread;
	bool forks;
} waiting;

static void *fork_in_a_thread(void *arg)
{
	(void)arg;
	waiting.child = sw_sim_fork(waiting.f->sim);
	return NULL;
}

static struct sw_leaf *busy_leaf(void)
{
	return sw_pt_lookup(&waiting.f->space->pt, fx_at(64));
}

/* Of what comes back: another window is in use, the program forks, and its event
 * has been read. */
static void fork_beside_the_read(struct fx_store *st, uint64_t offset)
{
	struct sw_space *space = waiting.f->space;
	bool waits = false;

	st->before_read = NULL;
	sw_space_lock(space);
	sw_window_take(busy_leaf(), sw_leaf_index(fx_at(64)));
	sw_space_unlock(space);
	waiting.forks = true;
	assert_int_equal(
		pthread_create(&waiting.thread, NULL, fork_in_a_thread, NULL),
		0);
	while (!waits) {
		sw_space_lock(space);
		waits = space->event_waits;
		sw_space_unlock(space);
		sched_yield();
	}
}

/* Asked after the first window. */
static bool end_the_wait(void *arg, uint64_t left, uint64_t total)
{
	struct sw_space *space = waiting.f->space;

	(void)arg;
	(void)left;
	(void)total;
	if (!waiting.forks)
		return true;
	sw_space_lock(space);
	sw_window_give(space, busy_leaf(), sw_leaf_index(fx_at(64)));
	sw_space_unlock(space);
	pthread_join(waiting.thread, NULL);
	waiting.forks = false;
	return true;
}

static void nothing_comes_back_between_a_fork_and_its_child(void **state)
{
	struct fx f;

	fx_open_out(&f, 128);
	waiting.f = &f;
	f.store.before_read = fork_beside_the_read;
	assert_int_equal(sw_mm_swapoff(f.mm, f.type,
				       &(struct sw_off){ end_the_wait, NULL }),
			 0);
	fx_expect_filled(f.sim, 0, 128);
	fx_expect_filled(waiting.child, 0, 128);
	fx_end(waiting.child);
	close_without(&f, &f.type);
}

/* ---- what does not end ---- */

static void what_has_no_room_is_refused(void **state)
{
	struct fx f;

	fx_open_sized(&f, 320, FX_SLOTS);
	fx_fill(f.sim, 0, 600);
	while (sw_budget_used(&f.mm->budget) > 100 && fx_evict(&f))
		sw_staging_write(f.mm, 1 << 20);
	fx_swap_out(&f);
	other_on(&f, 100, -1);
	assert_int_equal(off(&f, f.type), -ENOSPC);
	assert_true(is_on(f.type));
	/* Nothing was begun that could not be ended. */
	assert_int_equal(used(f.other_type), 0);
	assert_int_equal(sw_sim_resident(f.sim), 0);
	fx_expect_filled(f.sim, 0, 100);
	fx_close(&f);
}

static void called_off_it_is_in_use_again(void **state)
{
	struct off once = { .limit = 0 };
	struct sw_sim *child;
	struct fx f;

	fx_open_out(&f, 300);
	child = sw_sim_fork(f.sim);
	other_on(&f, 1000, 5);
	assert_int_equal(
		sw_mm_swapoff(f.mm, f.type, &(struct sw_off){ goes_on, &once }),
		-EINTR);
	assert_int_equal(once.total, 300);
	assert_true(is_on(f.type));
	/* One window went, with one of its two owners. */
	assert_int_equal(used(f.other_type), 64);
	assert_int_equal(used(f.type), 300);
	assert_int_equal(swap_check(NULL, NULL), 0);
	fx_expect_filled(child, 0, 300);
	fx_expect_filled(f.sim, 0, 300);
	assert_int_equal(off(&f, f.other_type), 0);
	/* And used: it is the only one now. */
	fx_swap_out(&f);
	assert_int_equal(type_of(f.sim, 0), f.type);
	fx_end(child);
	close_without(&f, &f.other_type);
}

static void what_is_not_written_at_once_is_tried_again(void **state)
{
	struct fx f;

	fx_open_out(&f, 64);
	other_on(&f, 1000, -1);
	f.other.fail_write = 1;
	assert_int_equal(off(&f, f.type), 0);
	assert_int_equal(used(f.other_type), 64);
	fx_expect_filled(f.sim, 0, 64);
	close_without(&f, &f.type);
}

static void what_cannot_be_read_is_lost_and_said(void **state)
{
	uint64_t value;
	struct fx f;

	fx_open(&f);
	fx_keep_small(&f);
	fx_fill(f.sim, 0, 2);
	fx_swap_out(&f);
	other_on(&f, 1000, -1);
	f.store.fail_reads = true;
	assert_int_equal(off(&f, f.type), 0);
	assert_int_equal(fx_kind(f.sim, 0), SW_WORD_POISON);
	assert_int_equal(sw_sim_read(f.sim, fx_at(0), &value), -EIO);
	f.store.fail_reads = false;
	close_without(&f, &f.type);
}

static void no_such_device_is_an_error(void **state)
{
	struct fx f;

	fx_open(&f);
	assert_int_equal(off(&f, f.type + 1), -EINVAL);
	fx_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(pages_move_to_another_device),
		fx_test(staged_pages_move_without_being_read),
		fx_test(neighbours_move_together),
		fx_test(zeros_stay_a_mark),
		fx_test(clean_copies_are_forgotten),
		fx_test(forked_processes_go_on_sharing_slots),
		fx_test(what_reclaim_has_prepared_holds_nothing_up),
		fx_test(what_is_written_meanwhile_is_newer),
		fx_test(what_is_unmapped_meanwhile_stays_nothing),
		fx_test(who_is_born_meanwhile_is_found),
		fx_test(without_another_device_pages_come_back),
		fx_test(a_full_device_takes_what_it_can),
		fx_test(a_page_that_is_there_is_newer),
		fx_test(a_layout_that_changes_is_waited_for),
		fx_test(nothing_comes_back_between_a_fork_and_its_child),
		fx_test(what_has_no_room_is_refused),
		fx_test(called_off_it_is_in_use_again),
		fx_test(what_is_not_written_at_once_is_tried_again),
		fx_test(what_cannot_be_read_is_lost_and_said),
		fx_test(no_such_device_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
