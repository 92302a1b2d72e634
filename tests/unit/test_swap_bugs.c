/*
 * test_swap_bugs.c - each bug this design is known to have had somewhere, as
 * the behaviour that rules it out. Where a bug needs somebody else to come in
 * at one moment, sw_sched_hook plays him.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/counters.h"
#include "fixture.h"

/* Does `fn` abort? In a child of its own. */
static bool aborts(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static struct swap_info_struct *si_of(swp_entry_t e)
{
	return &swap_info[swp_type(e)];
}

static struct swap_cluster_info *ci_of(swp_entry_t e)
{
	return __swap_offset_to_cluster(si_of(e), swp_offset(e));
}

#ifdef SW_CHECKS
/* Runs `fn` at the n-th time the place `what` is about to be entered. */
static struct {
	const char *what;
	unsigned countdown;
	void (*fn)(void *arg);
	void *arg;
} intruder;

static void intrude(const char *what)
{
	if (strcmp(what, intruder.what) || --intruder.countdown)
		return;
	sw_sched_hook = NULL;
	intruder.fn(intruder.arg);
}

static void at(const char *what, unsigned nth, void (*fn)(void *), void *arg)
{
	intruder.what = what;
	intruder.countdown = nth;
	intruder.fn = fn;
	intruder.arg = arg;
	sw_sched_hook = intrude;
}
#endif

/* ---- images ---- */

static void image_extents_free_their_last_slot_too(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3 * CL + 1 };
	int type = fx_swapon(8 * CL, -1);

	for (unsigned s = 0; s < 3; s++) {
		struct swsusp_extents x = { .type = type };
		swp_entry_t other = { 0 };

		for (unsigned i = 0; i < sizes[s]; i++) {
			swp_entry_t e = alloc_swapdev_block(&x);

			assert_true(e.val);
			assert_int_equal(swp_swapcount(e), 1);
			/* Leave a hole, so that there are several extents. */
			if (i == sizes[s] / 2)
				other = fx_swapped(0, 0);
		}
		assert_int_equal(fx_used(type), sizes[s] + 1);
		fx_check();
		free_all_swap_pages(&x);
		assert_int_equal(fx_used(type), 1);
		swap_put_entries_direct(other, 1);
		assert_int_equal(fx_used(type), 0);
	}
}

static void extents_merge_and_refuse_doubles(void **state)
{
	struct swsusp_extents x = { 0 };

	assert_int_equal(swsusp_extents_insert(&x, 5), 0);
	assert_int_equal(swsusp_extents_insert(&x, 7), 0);
	assert_int_equal(x.nr, 2);
	assert_int_equal(swsusp_extents_insert(&x, 6), 0);
	assert_int_equal(x.nr, 1);
	assert_int_equal(swsusp_extents_insert(&x, 4), 0);
	assert_int_equal(swsusp_extents_insert(&x, 8), 0);
	assert_int_equal(x.v[0].start, 4);
	assert_int_equal(x.v[0].end, 8);
	for (uint64_t o = 4; o <= 8; o++)
		assert_int_equal(swsusp_extents_insert(&x, o), -EINVAL);
	for (uint64_t o = 100; o < 200; o += 2)
		assert_int_equal(swsusp_extents_insert(&x, 298 - o), 0);
	assert_int_equal(x.nr, 51);
	for (size_t i = 1; i < x.nr; i++)
		assert_true(x.v[i - 1].end < x.v[i].start);
	swap_free_mem(x.v);
}

static void image_closed_unused_takes_no_lock_twice(void **state)
{
	struct swsusp_extents x = { .type = fx_swapon(4 * CL, -1) };

	assert_int_equal(swap_pin_hibernation(x.type), 0);
	assert_true(alloc_swapdev_block(&x).val);
	free_all_swap_pages(&x);
	swap_unpin_hibernation(x.type);
}

static void image_slot_that_readahead_cached_goes_with_the_folio(void **state)
{
	int type = fx_swapon(4 * CL, -1), err;
	swp_entry_t e = swap_alloc_hibernation_slot(type);
	struct folio *folio;

	folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	assert_non_null(folio);
	swap_free_hibernation_slot(e); /* locked: the slot stays with it */
	assert_int_equal(fx_used(type), 1);
	assert_true(swap_cache_has_folio(e));
	assert_int_equal(swp_swapcount(e), 0);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	assert_int_equal(fx_used(type), 0);

	e = swap_alloc_hibernation_slot(type);
	folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
	folio_unlock(folio);
	swap_free_hibernation_slot(e); /* can be had: goes at once */
	assert_int_equal(fx_used(type), 0);
	assert_false(folio_test(folio, SW_FOLIO_SWAPCACHE));
	folio_put(folio);
}

static void image_slots_follow_each_other(void **state)
{
	int type = fx_swapon(8 * CL, -1);
	swp_entry_t e[CL];

	for (unsigned i = 0; i < CL; i++) {
		e[i] = swap_alloc_hibernation_slot(type);
		if (i && swap_cluster_offset(swp_offset(e[i])))
			assert_int_equal(e[i].val, e[i - 1].val + 1);
	}
	for (unsigned i = 0; i < CL; i++)
		swap_free_hibernation_slot(e[i]);
}

static void swapoff_of_a_device_with_an_image_is_refused(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e;

	assert_int_equal(swap_pin_hibernation(type), 0);
	assert_int_equal(swapoff(type, NULL, NULL), -EBUSY);
	assert_int_equal(swap_pin_hibernation(type), -EBUSY);
	e = swap_alloc_hibernation_slot(type);
	assert_true(e.val);
	swap_free_hibernation_slot(e);
	swap_unpin_hibernation(type);
	assert_int_equal(swapoff(type, NULL, NULL), 0);
	assert_int_equal(swap_pin_hibernation(type), -EINVAL);
	assert_int_equal(swap_pin_hibernation(99), -EINVAL);
	assert_int_equal(swap_alloc_hibernation_slot(type).val, 0);
}

static void cached_folios_keep_their_slots_while_an_image_is_written(
	void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *folio = fx_cached(0);
	swp_entry_t e = folio->swap;

	folio_clear(folio, SW_FOLIO_DIRTY);
	swap_suspend_storage();
	assert_false(folio_free_swap(folio));
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	folio_unlock(folio);
	swap_put_entries_direct(e, 1);
	assert_int_equal(__try_to_reclaim_swap(&swap_info[type], swp_offset(e),
					       TTRS_ANYWAY),
			 -1);
	assert_true(swap_cache_has_folio(e));
	swap_resume_storage();
	folio_lock(folio);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

/* ---- counts ---- */

static void put_copy(void *arg)
{
	folio_put_swap(arg, 0);
}

static void private_copy_of_a_page_has_no_count(void **state)
{
	struct folio *copy, *orig;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	orig = fx_cached(0);
	e = orig->swap;
	assert_int_equal(folio_dup_swap(orig, 0), 0);
	assert_int_equal(folio_dup_swap(orig, 0), 0);
	copy = fx_folio(0);
	assert_true(aborts(put_copy, copy));
	assert_false(folio_free_swap(copy));
	/* What swapoff has to do instead. */
	folio_put_swap(orig, e.val - orig->swap.val);
	assert_int_equal(swp_swapcount(e), 1);
	folio_put_swap(orig, 0);
	assert_true(folio_free_swap(orig));
	fx_drop(copy);
	fx_drop(orig);
}

static void dup_direct(void *arg)
{
	int err = swap_dup_entry_direct(*(swp_entry_t *)arg);

	(void)err;
}

static void counts_go_to_a_million_and_never_wrap(void **state)
{
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	for (unsigned i = 1; i < 1000000; i++)
		assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), 1000000);
	ci_of(e)->extend_table[swap_cluster_offset(swp_offset(e))] = UINT32_MAX;
	assert_true(aborts(dup_direct, &e));
	ci_of(e)->extend_table[swap_cluster_offset(swp_offset(e))] = 1000000;
	for (unsigned i = 0; i < 1000000; i++)
		swap_put_entries_direct(e, 1);
	assert_int_equal(fx_word(e), 0);
}

#ifdef SW_CHECKS
static void put_one(void *arg)
{
	swap_put_entries_direct(*(swp_entry_t *)arg, 1);
}

static void extend_table_nobody_needs_any_more_does_not_stay(void **state)
{
	struct swap_cluster_info *ci;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(0, 0);
	ci = ci_of(e);
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX - 1; i++)
		assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), SWP_TB_COUNT_MAX - 1);
	assert_null(ci->extend_table);
	/* One more leaves the lock for a table, and an owner goes meanwhile. */
	at("extend table", 1, put_one, &e);
	assert_int_equal(swap_dup_entry_direct(e), 0);
	assert_int_equal(swp_swapcount(e), SWP_TB_COUNT_MAX - 1);
	assert_null(ci->extend_table);
	fx_check();
	/* Attached first, then unneeded. */
	assert_int_equal(swap_retry_table_alloc(e), 0);
	assert_non_null(ci->extend_table);
	fx_check();
	swap_put_entries_direct(e, 1);
	assert_null(ci->extend_table);
	for (unsigned i = SWP_TB_COUNT_MAX - 2; i; i--)
		swap_put_entries_direct(e, 1);
	assert_null(ci->extend_table);
}
#endif

static void bad_slot_has_no_owner_and_gets_none(void **state)
{
	const uint64_t bad[] = { 1, CL + 3 };
	struct swapon_spec spec = {
		.name = "x",
		.ops = &fx_ops,
		.max = 4 * CL,
		.prio = -1,
		.bad = bad,
		.nr_bad = 2,
	};
	swp_entry_t e = swp_entry(swapon(&spec), CL + 3);
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_entry);
	int err;

	assert_int_equal(swp_swapcount(e), 0);
	assert_false(swap_entry_swapped(si_of(e), e));
	assert_false(swap_cache_has_folio(e));
	assert_int_equal(swap_cache_get_shadow(e), 0);
	assert_false(swap_zeromap_test(e));
	/* Readahead comes across it. */
	assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
	assert_int_equal(err, -ENOENT);
	swap_bad_entry_aborts = false;
	assert_int_equal(swap_dup_entry_direct(e), -EINVAL);
	swap_put_entries_direct(e, 1);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_entry), refused + 2);
	assert_true(swp_tb_is_bad(fx_word(e)));
}

static void entries_not_in_use_are_refused_and_counted(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e[] = { swp_entry(type, 9),
			    swp_entry(type, 4 * CL + 1),
			    swp_entry(7, 5),
			    { 0 } };
	uint64_t refused = sw_counter_read(SW_CTR_swap_bad_entry);

	swap_bad_entry_aborts = false;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(swap_dup_entry_direct(e[i]), -EINVAL);
		swap_put_entries_direct(e[i], 1);
		fx_check();
	}
	swap_put_entries_direct(swp_entry(type, 4 * CL - 1), 2);
	swap_free_hibernation_slot(e[0]);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_entry), refused + 10);
#ifdef SW_CHECKS
	assert_true(aborts(dup_direct, &e[0]));
#endif
}

static void put_skips_what_is_not_in_use_and_frees_the_rest(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	swp_entry_t e = fx_swapped(2, 0);

	swap_put_entries_direct(fx_entry_add(e, 1), 1);
	swap_bad_entry_aborts = false;
	swap_put_entries_direct(e, 4);
	swap_bad_entry_aborts = true;
	assert_int_equal(fx_used(type), 0);
	assert_int_equal(fx_slots_freed, 4);
}

/* ---- the cache ---- */

static bool refuse_folio_once(void *arg, const char *what)
{
	unsigned *left = arg;

	if (strcmp(what, "folio") || !*left)
		return true;
	--*left;
	return false;
}

static void orders_fall_back_one_by_one_and_end(void **state)
{
	static const struct {
		uint32_t orders;
		unsigned fail;
		int err;
		unsigned order;
		unsigned fallbacks;
	} cases[] = {
		{ 1, 0, 0, 0, 0 },         { 1, 1, -ENOMEM, 0, 0 },
		{ 8, 0, 0, 3, 0 },         { 8, 1, -ENOMEM, 0, 1 },
		{ 8 | 2, 1, 0, 1, 1 },     { 8 | 2, 2, -ENOMEM, 0, 2 },
		{ 8 | 2 | 1, 2, 0, 0, 2 }, { 8 | 2 | 1, 3, -ENOMEM, 0, 2 },
		{ 8 | 1, 1, 0, 0, 1 },
	};

	swp_entry_t e;
	int err = 0;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(3, 0);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(cases); i++) {
		uint64_t before = sw_counter_read(SW_CTR_swpin_fallback);
		unsigned left = cases[i].fail;
		struct folio *folio;

		swap_set_alloc_hook(refuse_folio_once, &left);
		folio = swap_cache_alloc_folio(
			fx_entry_add(e, 5), cases[i].orders, NULL, NULL, &err);
		swap_set_alloc_hook(NULL, NULL);
		assert_int_equal(!folio, !!cases[i].err);
		assert_int_equal(sw_counter_read(SW_CTR_swpin_fallback) -
					 before,
				 cases[i].fallbacks);
		if (folio) {
			assert_int_equal(folio->order, cases[i].order);
			swap_cache_del_folio(folio, 0);
			fx_drop(folio);
		} else {
			assert_int_equal(err, cases[i].err);
		}
	}
	swap_put_entries_direct(e, 8);
}

static void mixed_zero_marks_fall_back_and_end(void **state)
{
	struct folio *folio;
	swp_entry_t e;
	bool zero;
	int err;

	fx_swapon(4 * CL, -1);
	e = fx_swapped(3, 0);
	/* Slots 0 to 3 zero, the others not. */
	folio = swap_cache_alloc_folio(e, 1u << 2, NULL, NULL, &err);
	swap_zeromap_folio_set(folio);
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	for (unsigned i = 0; i < 8; i++) {
		folio = swap_cache_alloc_folio(fx_entry_add(e, i), 0xf, NULL,
					       &zero, &err);
		assert_non_null(folio);
		assert_int_equal(folio->order, 2);
		assert_int_equal(zero, i < 4);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
	}
	assert_null(swap_cache_alloc_folio(e, 1u << 3, NULL, NULL, &err));
	assert_int_equal(err, -EBUSY);
	swap_put_entries_direct(e, 8);
}

static void slot_written_again_is_no_longer_zero(void **state)
{
	struct folio *folio;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	folio = fx_cached(0);
	e = folio->swap;
	for (unsigned i = 0; i < 6; i++) {
		if (i & 1)
			swap_zeromap_folio_clear(folio);
		else
			swap_zeromap_folio_set(folio);
		assert_int_equal(swap_zeromap_test(e), !(i & 1));
	}
	swap_zeromap_folio_set(folio);
	assert_true(folio_free_swap(folio));
	/* Whoever gets the slot next does not inherit the mark. */
	for (unsigned i = 0; i < CL; i++) {
		assert_int_equal(folio_alloc_swap(folio, 0), 0);
		assert_false(swap_zeromap_test(folio->swap));
		assert_true(folio_free_swap(folio));
	}
	fx_drop(folio);
}

static void parts_of_a_split_folio_take_over_slots_and_counts(void **state)
{
	struct folio *old, *parts[3], *found;
	swp_entry_t e;

	fx_swapon(4 * CL, -1);
	old = fx_cached(2);
	e = old->swap;
	assert_int_equal(folio_dup_swap(old, -1), 0);
	assert_int_equal(folio_dup_swap(old, 3), 0);
	swap_zeromap_folio_set(old);
	parts[0] = fx_folio(1);
	parts[1] = fx_folio(0);
	parts[2] = fx_folio(0);
	swap_cache_split_folio(old, parts, 3);
	assert_false(folio_test(old, SW_FOLIO_SWAPCACHE));
	assert_int_equal(old->refcount, 1);
	fx_drop(old);
	assert_int_equal(parts[0]->refcount, 3);
	assert_int_equal(parts[2]->swap.val, e.val + 3);
	assert_int_equal(swp_swapcount(parts[2]->swap), 2);
	assert_true(swap_zeromap_test(fx_entry_add(e, 1)));
	found = swap_cache_get_folio(fx_entry_add(e, 1));
	assert_ptr_equal(found, parts[0]);
	folio_put(found);
	fx_check();

	found = fx_folio(1);
	swap_cache_replace_folio(parts[0], found);
	assert_true(folio_matches_swap_entry(found, fx_entry_add(e, 1)));
	assert_false(folio_matches_swap_entry(parts[0], e));
	fx_drop(parts[0]);
	parts[0] = found;
	folio_put_swap(parts[2], 0);
	for (unsigned i = 0; i < 3; i++) {
		folio_put_swap(parts[i], -1);
		assert_true(folio_free_swap(parts[i]));
		fx_drop(parts[i]);
	}
}

#ifdef SW_CHECKS
static struct folio *split_parts[2];

static void split_it(void *arg)
{
	struct folio *old = arg;

	folio_lock(old);
	split_parts[0] = fx_folio(0);
	split_parts[1] = fx_folio(0);
	swap_cache_split_folio(old, split_parts, 2);
	folio_unlock(old);
	folio_unlock(split_parts[0]);
	folio_unlock(split_parts[1]);
}

static void reclaim_retries_with_the_slot_it_was_asked_for(void **state)
{
	int type = fx_swapon(4 * CL, -1);
	struct folio *old = fx_cached(1);
	swp_entry_t e = old->swap;

	folio_unlock(old);
	/* Between finding the large folio and locking it, it becomes two. */
	at("folio lock", 1, split_it, old);
	assert_int_equal(__try_to_reclaim_swap(&swap_info[type],
					       swp_offset(e) + 1, TTRS_ANYWAY),
			 1);
	assert_true(swap_cache_has_folio(e));
	assert_false(swap_cache_has_folio(fx_entry_add(e, 1)));
	folio_lock(split_parts[0]);
	assert_true(folio_free_swap(split_parts[0]));
	fx_drop(split_parts[0]);
	folio_put(split_parts[1]);
	folio_put(old);
}

static swp_entry_t first_slot_of_folio;

static void free_and_reuse(void *arg)
{
	struct folio *folio = fx_folio(0);

	swap_put_entries_direct(first_slot_of_folio, 1);
	/* The same slot, another owner, another group. */
	assert_int_equal(folio_alloc_swap(folio, 9), 0);
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	*(struct folio **)arg = folio;
}

static void slot_reused_before_insertion_is_found_or_paid_by_its_owner(
	void **state)
{
	struct sw_swap_group_info a, b;
	struct folio *thief = NULL, *folio;
	int type = fx_swapon(2, -1), err; /* one slot */

	assert_true(type >= 0);
	folio = fx_folio(0);
	assert_int_equal(folio_alloc_swap(folio, 8), 0);
	first_slot_of_folio = folio->swap;
	assert_int_equal(folio_dup_swap(folio, 0), 0);
	swap_cache_del_folio(folio, 0);
	fx_drop(folio);
	/* After the first check, before the insertion. */
	at("folio pool", 1, free_and_reuse, &thief);
	folio = swap_cache_alloc_folio(first_slot_of_folio, 1, NULL, NULL,
				       &err);
	assert_null(folio);
	assert_int_equal(err, -EEXIST);
	assert_non_null(thief);
	swap_group_info(8, &a);
	swap_group_info(9, &b);
	assert_int_equal(a.usage, 0);
	assert_int_equal(b.usage, 1);
	folio_put_swap(thief, 0);
	assert_true(folio_free_swap(thief));
	fx_drop(thief);
}
#endif

/* ---- the allocator ---- */

/* Fills the device with cached, unowned, mapped folios. */
static unsigned fill_unowned(struct folio **folios, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		folios[i] = fx_cached(0);
		folio_set(folios[i], SW_FOLIO_MAPPED);
		folio_unlock(folios[i]);
	}
	return nr;
}

static void drop_all(struct folio **folios, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		folio_lock(folios[i]);
		if (folio_test(folios[i], SW_FOLIO_SWAPCACHE))
			folio_free_swap(folios[i]);
		fx_drop(folios[i]);
	}
}

static struct folio *filled[8 * CL];
static unsigned nr_filled, nr_hooked;
static struct sw_mutex window = SW_MUTEX_INIT("window", SW_RANK_SPACE);

/* Takes a lock that stands above all of ours: aborts if one is held. */
static void hook_takes_a_window(struct folio *folio)
{
	assert_true(folio_is_locked(folio));
	sw_mutex_lock(&window);
	nr_hooked++;
	sw_mutex_unlock(&window);
}

static void reclaim_hook_runs_under_no_lock_but_the_folios(void **state)
{
	struct folio *extra;

	for (unsigned round = 0; round < 2; round++) {
		struct swapon_spec spec = {
			.name = "x",
			.ops = &fx_ops,
			.max = 2 * CL,
			.prio = -1,
			.flags = round ? SWP_SOLIDSTATE : 0,
		};
		int type = swapon(&spec);

		nr_filled = fill_unowned(filled, 2 * CL - 1);
		nr_hooked = 0;
		swap_set_reclaim_hook(hook_takes_a_window);
		extra = fx_cached(0);
		assert_true(nr_hooked > 0);
		assert_true(folio_free_swap(extra));
		fx_drop(extra);
		drop_all(filled, nr_filled);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
}

/* Everything else of the cluster goes, and an order-1 folio moves in. */
static struct folio *usurper;

static void hook_lets_another_order_in(struct folio *folio)
{
	swap_set_reclaim_hook(NULL);
	for (unsigned i = 0; i < nr_filled; i++)
		if (folio_trylock(filled[i])) {
			if (folio_test(filled[i], SW_FOLIO_SWAPCACHE))
				folio_free_swap(filled[i]);
			folio_unlock(filled[i]);
		}
	usurper = fx_cached(1);
	folio_unlock(usurper);
}

static void cluster_is_looked_at_again_after_reclaim(void **state)
{
	struct folio *extra;
	int type = fx_swapon(4 * CL, -1);

	/* Order 2, so that the freed cluster could be taken by order 1. */
	for (nr_filled = 0; nr_filled < 3 * CL / 4; nr_filled++) {
		filled[nr_filled] = fx_cached(2);
		folio_set(filled[nr_filled], SW_FOLIO_MAPPED);
		folio_unlock(filled[nr_filled]);
	}
	assert_true(vm_swap_full());
	swap_set_reclaim_hook(hook_lets_another_order_in);
	extra = fx_folio(2);
	usurper = NULL;
	assert_int_equal(folio_alloc_swap(extra, 0), 0);
	assert_non_null(usurper);
	fx_check();
	assert_true(folio_free_swap(extra));
	fx_drop(extra);
	folio_lock(usurper);
	assert_true(folio_free_swap(usurper));
	fx_drop(usurper);
	drop_all(filled, nr_filled);
	assert_int_equal(fx_used(type), 0);
}

static int moves;

static bool wake_up_elsewhere(void *arg, const char *what)
{
	if (strcmp(what, "swap table"))
		return true;
	swap_pretend_cpu(++moves % swap_nr_cpus);
	return moves % 3 != 0;
}

static void cluster_is_kept_when_the_thread_wakes_up_on_another_cpu(
	void **state)
{
	swp_entry_t e[6 * CL];
	unsigned n = 0;
	int type = fx_swapon(6 * CL, -1);

	moves = 0;
	swap_set_alloc_hook(wake_up_elsewhere, NULL);
	for (unsigned i = 0; i < 4 * CL; i++) {
		struct folio *folio = fx_folio(0);

		if (!folio_alloc_swap(folio, 0)) {
			assert_int_equal(folio_dup_swap(folio, 0), 0);
			e[n++] = folio->swap;
			swap_cache_del_folio(folio, 0);
		}
		fx_drop(folio);
		if (i % 16 == 0)
			fx_check();
	}
	assert_true(moves > 0);
	fx_check();
	for (unsigned i = 0; i < n; i++)
		swap_put_entries_direct(e[i], 1);
	assert_int_equal(fx_used(type), 0);
}

static void *switch_off(void *arg)
{
	int *type = arg;

	assert_int_equal(swapoff(*type, NULL, NULL), 0);
	return NULL;
}

static pthread_t off_thread;
static int off_type;

/* While the allocator reclaims without locks the device begins to go. */
static void hook_swapoff_begins(struct folio *folio)
{
	swap_set_reclaim_hook(NULL);
	assert_int_equal(
		pthread_create(&off_thread, NULL, switch_off, &off_type), 0);
	while (swap_flags(&swap_info[off_type]) & SWP_WRITEOK)
		usleep(100);
}

static void allocation_never_lands_on_a_device_that_is_going(void **state)
{
	struct folio *extra;

	off_type = fx_swapon(2 * CL, 5);
	nr_filled = fill_unowned(filled, 2 * CL - 1);
	swap_set_reclaim_hook(hook_swapoff_begins);
	extra = fx_folio(0);
	assert_int_equal(folio_alloc_swap(extra, 0), -ENOMEM);
	pthread_join(off_thread, NULL);
	fx_drop(extra);
	for (unsigned i = 0; i < nr_filled; i++)
		assert_false(folio_test(filled[i], SW_FOLIO_SWAPCACHE));
	drop_all(filled, nr_filled);
}

static void no_cpu_remembers_a_device_that_is_off(void **state)
{
	swp_entry_t e;
	int type;

	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		swap_pretend_cpu(cpu);
		type = fx_swapon(4 * CL, -1);
		for (unsigned i = 0; i < 2 * CL; i++)
			fx_swapped(0, 0);
		swap_put_entries_direct(swp_entry(type, 1), 1);
		for (uint64_t o = 2; o < 4 * CL; o++)
			if (swp_swapcount(swp_entry(type, o)))
				swap_put_entries_direct(swp_entry(type, o), 1);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
		assert_int_equal(fx_swapon(4, -1), type);
		e = fx_swapped(0, 0);
		assert_in_range(swp_offset(e), 1, 3);
		swap_put_entries_direct(e, 1);
		assert_int_equal(swapoff(type, NULL, NULL), 0);
	}
}

static void failed_allocation_is_an_event_of_its_group(void **state)
{
	struct sw_swap_group_info before, after;
	struct folio *folio = fx_folio(0);

	swap_group_info(3, &before);
	assert_int_equal(folio_alloc_swap(folio, 3), -ENOMEM);
	swap_group_info(3, &after);
	assert_int_equal(after.nr_fail, before.nr_fail + 1);
	assert_int_equal(after.nr_max, before.nr_max);
	assert_int_equal(after.usage, before.usage);
	fx_drop(folio);
}

static void slots_of_two_groups_freed_in_one_call_pay_back_each(void **state)
{
	struct sw_swap_group_info a, b;
	swp_entry_t e[6];

	fx_swapon(4 * CL, -1);
	for (unsigned i = 0; i < 6; i++) {
		struct folio *folio = fx_folio(0);

		assert_int_equal(folio_alloc_swap(folio, 5 + i / 2 % 2), 0);
		e[i] = folio->swap;
		assert_int_equal(folio_dup_swap(folio, 0), 0);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
		assert_int_equal(e[i].val, e[0].val + i);
	}
	swap_group_info(5, &a);
	swap_group_info(6, &b);
	assert_int_equal(a.usage, 4);
	assert_int_equal(b.usage, 2);
	swap_put_entries_direct(e[0], 6);
	swap_group_info(5, &a);
	swap_group_info(6, &b);
	assert_int_equal(a.usage, 0);
	assert_int_equal(b.usage, 0);
}

static void folio_larger_than_a_cluster_is_refused(void **state)
{
	struct folio *folio;

	fx_swapon(4 * CL, -1);
	if (SWAP_MAX_ORDER == 9)
		return; /* no folio is larger */
	folio = fx_folio(SWAP_MAX_ORDER + 1);
	assert_int_equal(folio_alloc_swap(folio, 0), -EINVAL);
	fx_drop(folio);
}

static void order_zero_takes_what_larger_orders_left(void **state)
{
	const unsigned o = SWAP_MAX_ORDER - 1, n = 1u << o;
	struct folio *folio;
	swp_entry_t e[8], holes;
	unsigned nr = 0;
	int type = fx_swapon(4 * CL, -1);

	for (;;) {
		folio = fx_folio(o);
		if (folio_alloc_swap(folio, 0))
			break;
		e[nr++] = folio->swap;
		assert_int_equal(folio_dup_swap(folio, -1), 0);
		swap_cache_del_folio(folio, 0);
		fx_drop(folio);
	}
	fx_drop(folio);
	/* The rest of the header's cluster. */
	while (fx_used(type) < 4 * CL - 1)
		fx_swapped(0, 0);
	holes = fx_entry_add(e[1], 1);
	swap_put_entries_direct(holes, n - 1);
	folio = fx_folio(o);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	fx_drop(folio);
	folio = fx_cached(0);
	assert_in_range(folio->swap.val, holes.val, holes.val + n - 2);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	for (uint64_t off = 1; off < 4 * CL; off++)
		if (swp_swapcount(swp_entry(type, off)))
			swap_put_entries_direct(swp_entry(type, off), 1);
}

/* ---- discard ---- */

static struct {
	uint64_t calls, slots;
	bool (*may)(void);
} trim;

static int fx_discard(void *store, uint64_t offset, uint64_t nr)
{
	/* Nothing of ours may be held over a slow device. */
	sw_mutex_lock(&window);
	sw_mutex_unlock(&window);
	trim.calls++;
	trim.slots += nr;
	return 0;
}

static const struct swap_ops trim_ops = { .slot_free = fx_slot_free,
					  .discard = fx_discard };

static int trim_on(uint64_t max, unsigned flags)
{
	struct swapon_spec spec = {
		.name = "trim",
		.ops = &trim_ops,
		.max = max,
		.prio = -1,
		.flags = SWP_SOLIDSTATE | SWP_DISCARDABLE | flags,
	};

	memset(&trim, 0, sizeof(trim));
	return swapon(&spec);
}

static void area_is_discarded_once_at_swapon(void **state)
{
	int type = trim_on(4 * CL, SWP_AREA_DISCARD);

	assert_int_equal(trim.calls, 1);
	assert_int_equal(trim.slots, 4 * CL - 1);
	swap_put_entries_direct(fx_swapped(2, 0), 4);
	assert_int_equal(trim.calls, 1);
	assert_int_equal(fx_used(type), 0);
}

static void full_cluster_freed_on_a_discard_device_is_used_again(void **state)
{
	int type = trim_on(4 * CL, SWP_PAGE_DISCARD);
	swp_entry_t e[3];
	struct folio *folio;

	for (unsigned i = 0; i < 3; i++)
		e[i] = fx_swapped(SWAP_MAX_ORDER, 0);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_FULL);
	swap_put_entries_direct(e[1], CL);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_DISCARD);
	fx_check();
	/* Waiting: a large order does without, and does not discard. */
	folio = fx_folio(SWAP_MAX_ORDER);
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	assert_int_equal(trim.calls, 0);
	assert_int_equal(swap_work_run_pending(), 1);
	assert_int_equal(trim.slots, CL);
	assert_int_equal(ci_of(e[1])->flags, CLUSTER_FLAG_FREE);
	fx_check();
	assert_int_equal(folio_alloc_swap(folio, 0), 0);
	assert_int_equal(folio->swap.val, e[1].val);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(e[0], CL);
	swap_put_entries_direct(e[2], CL);
	assert_int_equal(fx_used(type), 0);
}

static void last_slots_wait_for_discard_under_no_lock(void **state)
{
	swp_entry_t e[3], *rest = calloc(CL, sizeof(*rest));
	struct folio *folio;
	int type = trim_on(4 * CL, SWP_PAGE_DISCARD);

	for (unsigned i = 0; i < 3; i++)
		e[i] = fx_swapped(SWAP_MAX_ORDER, 0);
	for (unsigned i = 0; i < CL - 1; i++)
		rest[i] = fx_swapped(0, 0);
	swap_put_entries_direct(e[0], CL);
	assert_int_equal(trim.calls, 0);
	folio = fx_cached(0); /* discards by itself */
	assert_int_equal(trim.calls, 1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(e[1], CL);
	swap_put_entries_direct(e[2], CL);
	for (unsigned i = 0; i < CL - 1; i++)
		swap_put_entries_direct(rest[i], 1);
	free(rest);
	assert_int_equal(fx_used(type), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(image_extents_free_their_last_slot_too), /* B1 */
		FX_TEST(extents_merge_and_refuse_doubles),
		FX_TEST(image_closed_unused_takes_no_lock_twice),  /* B2 */
		FX_TEST(private_copy_of_a_page_has_no_count),      /* B3 */
		FX_TEST(orders_fall_back_one_by_one_and_end),      /* B5 */
		FX_TEST(cluster_is_looked_at_again_after_reclaim), /* B6 */
		FX_TEST(counts_go_to_a_million_and_never_wrap),    /* B7 */
		/* B8 */
		FX_TEST(cluster_is_kept_when_the_thread_wakes_up_on_another_cpu),
		FX_TEST(last_slots_wait_for_discard_under_no_lock), /* B13 */
#ifdef SW_CHECKS
		FX_TEST(reclaim_retries_with_the_slot_it_was_asked_for), /* B9 */
		/* B15 */
		FX_TEST(slot_reused_before_insertion_is_found_or_paid_by_its_owner),
		/* B16 */
		FX_TEST(extend_table_nobody_needs_any_more_does_not_stay),
#endif
		FX_TEST(allocation_never_lands_on_a_device_that_is_going), /* B18 */
		FX_TEST(no_cpu_remembers_a_device_that_is_off), /* B19 */
		/* B20 */
		FX_TEST(image_slot_that_readahead_cached_goes_with_the_folio),
		FX_TEST(image_slots_follow_each_other),                /* B21 */
		FX_TEST(swapoff_of_a_device_with_an_image_is_refused), /* B22 */
		FX_TEST(mixed_zero_marks_fall_back_and_end),           /* B23 */
		FX_TEST(parts_of_a_split_folio_take_over_slots_and_counts), /* B25 */
		FX_TEST(full_cluster_freed_on_a_discard_device_is_used_again), /* B27 */
		FX_TEST(folio_larger_than_a_cluster_is_refused),     /* B28 */
		FX_TEST(failed_allocation_is_an_event_of_its_group), /* B29 */
		FX_TEST(bad_slot_has_no_owner_and_gets_none), /* B30, B33 */
		FX_TEST(reclaim_hook_runs_under_no_lock_but_the_folios), /* B32 */
		/* B34 */
		FX_TEST(slots_of_two_groups_freed_in_one_call_pay_back_each),
		FX_TEST(slot_written_again_is_no_longer_zero), /* B36 */
		/* B38 */
		FX_TEST(cached_folios_keep_their_slots_while_an_image_is_written),
		FX_TEST(entries_not_in_use_are_refused_and_counted),
		FX_TEST(put_skips_what_is_not_in_use_and_frees_the_rest),
		FX_TEST(order_zero_takes_what_larger_orders_left),
		FX_TEST(area_is_discarded_once_at_swapon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
