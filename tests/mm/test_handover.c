/* test_handover.c - parent and child fault on one slot at the same time. */
#include <sched.h>
#include <unistd.h>

#include "fixture.h"

/* ---- two at once ---- */

/* A program, its child, and a read that lasts until both have asked for it. */
struct two {
	struct fx f;
	struct sw_sim *child;
	unsigned at_least; /* pages of the folio whose read is held */
	bool held;         /* [atomic] it is, or was */
};

static bool is_held(struct two *t)
{
	return __atomic_load_n(&t->held, __ATOMIC_ACQUIRE);
}

/* Holds the first read of a folio that is large enough until another fault
 * waits for the folio: beside its own references there are ours and that. */
static void hold_until_awaited(struct fx_store *st, uint64_t offset)
{
	struct two *t = sw_container_of(st, struct two, f.store);
	struct folio *folio =
		swap_cache_get_folio(swp_entry(t->f.type, offset));

	SW_BUG_ON(!folio);
	if (!is_held(t) && folio_nr(folio) >= t->at_least) {
		__atomic_store_n(&t->held, true, __ATOMIC_RELEASE);
		while (folio_ref_count(folio) < folio_nr(folio) + 3)
			sched_yield();
	}
	folio_put(folio);
}

/* Pages [0, nr) are in the store, and their slots have two owners. */
static void two_open(struct two *t, unsigned nr)
{
	*t = (struct two){ .at_least = 1 };
	alarm(60); /* who waits for a fault that never comes waits for ever */
	fx_open(&t->f);
	fx_fill(t->f.sim, 0, nr);
	fx_swap_out(&t->f);
	t->child = sw_sim_fork(t->f.sim);
	t->f.store.before_read = hold_until_awaited;
	assert_int_equal(sw_sim_start(t->f.sim), 0);
	assert_int_equal(sw_sim_start(t->child), 0);
}

/* The programs go on when a page is mapped; the books follow. From here on
 * faults are served by who raises them. */
static void settle(struct two *t)
{
	sw_sim_stop(t->f.sim);
	sw_sim_stop(t->child);
	assert_true(t->held);
}

static void two_close(struct two *t)
{
	fx_end(t->child);
	fx_close(&t->f);
	alarm(0);
}

struct touch {
	struct sw_sim *sim;
	unsigned page;
	bool write;
	uint64_t value;
	int err;
	struct two *wait_for; /* until a read of it is held; or NULL */
};

static void *touch(void *arg)
{
	struct touch *t = arg;

	while (t->wait_for && !is_held(t->wait_for))
		sched_yield();
	t->err = t->write ? sw_sim_write(t->sim, fx_at(t->page), t->value)
			  : sw_sim_read(t->sim, fx_at(t->page), &t->value);
	return NULL;
}

/* Both touch the page, the child by reading it. */
static void touch_at_once(struct two *t, unsigned page, bool write,
			  struct touch got[2])
{
	pthread_t thread[2];

	got[0] = (struct touch){ t->f.sim, page, write, 7, 0, NULL };
	got[1] = (struct touch){ t->child, page, false, 0, 0, NULL };
	for (unsigned i = 0; i < 2; i++)
		SW_BUG_ON(pthread_create(&thread[i], NULL, touch, &got[i]));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	settle(t);
}

static void one_read_serves_parent_and_child(void **state)
{
	struct touch got[2];
	struct two t;

	two_open(&t, 1);
	touch_at_once(&t, 0, false, got);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(got[i].err, 0);
		assert_int_equal(got[i].value, 100);
	}
	assert_int_equal(t.f.store.reads, 1);
	assert_int_equal(fx_counted(&t.f, swpin_shared), 1);
	assert_int_equal(t.f.mm->staging.nr, 0); /* the second was the last */
	assert_int_equal(t.f.mm->budget.staged, 0);
	two_close(&t);
}

/* Whoever is first, the parent's write is its own. */
static void one_read_serves_a_writer_and_a_reader(void **state)
{
	struct touch got[2];
	struct two t;

	two_open(&t, 1);
	touch_at_once(&t, 0, true, got);
	assert_int_equal(got[0].err, 0);
	assert_int_equal(got[1].err, 0);
	assert_int_equal(got[1].value, 100);
	assert_int_equal(t.f.store.reads, 1);
	fx_expect(t.f.sim, 0, 7);
	fx_expect(t.child, 0, 100);
	two_close(&t);
}

/* The parent reads ahead, by several reads; the child that waits for one page
 * of it finds all the others, too. */
static void others_of_the_batch_are_handed_over(void **state)
{
	struct touch got;
	pthread_t thread;
	uint64_t reads;
	struct two t;

	two_open(&t, 64);
	got = (struct touch){ t.child, 40, false, 0, 0, &t };
	t.at_least = 32;
	SW_BUG_ON(pthread_create(&thread, NULL, touch, &got));
	for (unsigned n = 0; n <= 21; n++)
		fx_expect(t.f.sim, n, 100 + n);
	pthread_join(thread, NULL);
	settle(&t);
	assert_int_equal(got.value, 140);
	reads = t.f.store.reads;
	for (unsigned n = 21; n < 64; n++)
		fx_expect(t.child, n, 100 + n);
	assert_int_equal(t.f.store.reads, reads);
	assert_int_equal(fx_counted(&t.f, swpin_shared), 64 - 21);
	assert_int_equal(t.f.mm->budget.staged, 0);
	for (unsigned n = 0; n < 64; n++) {
		fx_expect(t.f.sim, n, 100 + n);
		fx_expect(t.child, n, 100 + n);
	}
	two_close(&t);
}

static void both_are_told_of_a_read_that_fails(void **state)
{
	struct touch got[2];
	struct two t;

	two_open(&t, 1);
	t.f.store.fail_reads = true;
	touch_at_once(&t, 0, false, got);
	assert_int_equal(got[0].err, -EIO);
	assert_int_equal(got[1].err, -EIO);
	assert_int_equal(fx_kind(t.f.sim, 0), SW_WORD_POISON);
	assert_int_equal(fx_kind(t.child, 0), SW_WORD_POISON);
	assert_int_equal(fx_slots_used(&t.f), 0);
	two_close(&t);
}

/* ---- what is left ---- */

/* A grandchild does not come: when its turn is there the page is dropped, and
 * nothing is written that the store has. */
static void what_nobody_fetches_is_dropped_unwritten(void **state)
{
	struct sw_sim *grandchild;
	struct touch got[2];
	struct two t;
	uint64_t writes;

	two_open(&t, 1);
	t.f.threaded = true;
	grandchild = sw_sim_fork(t.child);
	while (__atomic_load_n(&t.f.born, __ATOMIC_ACQUIRE) < 2)
		sched_yield();
	sw_sim_stop(grandchild);
	touch_at_once(&t, 0, false, got);
	assert_int_equal(t.f.mm->staging.nr, 1);
	assert_int_equal(t.f.mm->budget.staged, 1);
	writes = t.f.store.writes;
	assert_int_equal(sw_staging_write(t.f.mm, 1), 1);
	assert_int_equal(t.f.store.writes, writes);
	assert_int_equal(t.f.mm->budget.staged, 0);
	fx_expect(grandchild, 0, 100);
	assert_int_equal(t.f.store.reads, 2);
	fx_end(grandchild);
	two_close(&t);
}

static void nothing_is_left_where_there_is_no_room(void **state)
{
	struct touch got[2];
	struct two t;

	two_open(&t, 1);
	t.f.mm->staging.target = 0;
	touch_at_once(&t, 0, false, got);
	assert_int_equal(got[0].value, 100);
	assert_int_equal(got[1].value, 100);
	assert_int_equal(t.f.store.reads, 2);
	assert_int_equal(fx_counted(&t.f, swpin_shared), 0);
	two_close(&t);
}

/* One after the other, nobody waits: the first one keeps a clean copy. */
static void nothing_is_left_where_nobody_waits(void **state)
{
	struct two t;

	two_open(&t, 1);
	t.held = true;
	settle(&t);
	fx_expect(t.f.sim, 0, 100);
	assert_true(fx_word(t.f.sim, 0) & SW_WORD_CLEAN);
	fx_expect(t.child, 0, 100);
	assert_int_equal(t.f.store.reads, 2);
	assert_int_equal(t.f.mm->staging.nr, 0);
	two_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fx_test(one_read_serves_parent_and_child),
		fx_test(one_read_serves_a_writer_and_a_reader),
		fx_test(others_of_the_batch_are_handed_over),
		fx_test(both_are_told_of_a_read_that_fails),
		fx_test(what_nobody_fetches_is_dropped_unwritten),
		fx_test(nothing_is_left_where_there_is_no_room),
		fx_test(nothing_is_left_where_nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
