/*
 * test_swap_input.c - what no caller should ask for, as a table: each case is
 * one call of the public interface on one scene. It is refused with the error
 * swap.h promises, changes not one word or number, raises its counter by one
 * and no other; and a misuse, in checked builds, aborts and names its caller.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

/* ---- calls; each says whether it was answered as promised ---- */

static bool dup_entry(struct scene *s)
{
	return swap_dup_entry_direct(s->entry) == -EINVAL;
}

static bool put_entry(struct scene *s)
{
	swap_put_entries_direct(s->entry, 1);
	return true;
}

static bool free_image_slot(struct scene *s)
{
	swap_free_hibernation_slot(s->entry);
	return true;
}

static bool dup_beyond_the_end(struct scene *s)
{
	return swap_dup_entries_direct(s->owned, UINT_MAX) == -EINVAL;
}

static bool put_beyond_the_end(struct scene *s)
{
	swap_put_entries_direct(s->owned, SLOTS);
	return true;
}

static bool put_more_than_there_is(struct scene *s)
{
	swap_put_entries_direct(s->owned, UINT_MAX);
	return true;
}

static bool put_cached_without_owner(struct scene *s)
{
	swap_put_entries_direct(fx_entry_add(s->cached->swap, 1), 1);
	return true;
}

static bool free_image_slot_of_two(struct scene *s)
{
	swap_free_hibernation_slot(s->twice);
	return true;
}

static bool free_image_slot_that_is_cached(struct scene *s)
{
	swap_free_hibernation_slot(s->written->swap);
	return true;
}

static bool put_below_zero(struct scene *s)
{
	folio_put_swap(s->cached, 1);
	return true;
}

static bool alloc_twice(struct scene *s)
{
	return folio_alloc_swap(s->cached, 1) == -EINVAL;
}

static bool dup_uncached(struct scene *s)
{
	return folio_dup_swap(s->uncached, -1) == -EINVAL;
}

static bool dup_page(struct scene *s)
{
	return folio_dup_swap(s->cached, s->page) == -EINVAL;
}

static bool put_uncached(struct scene *s)
{
	folio_put_swap(s->uncached, 0);
	return true;
}

static bool put_page(struct scene *s)
{
	folio_put_swap(s->cached, s->page);
	return true;
}

static bool del_uncached(struct scene *s)
{
	swap_cache_del_folio(s->uncached, 0);
	return true;
}

static bool del_under_writeback(struct scene *s)
{
	swap_cache_del_folio(s->written, 0);
	return true;
}

static bool replace_uncached(struct scene *s)
{
	swap_cache_replace_folio(s->uncached, s->half);
	return true;
}

static bool replace_under_writeback(struct scene *s)
{
	swap_cache_replace_folio(s->written, s->half);
	return true;
}

static bool replace_by_cached(struct scene *s)
{
	swap_cache_replace_folio(s->cached, s->written);
	return true;
}

static bool replace_by_too_little(struct scene *s)
{
	swap_cache_replace_folio(s->cached, s->half);
	return true;
}

static bool split_into_nothing(struct scene *s)
{
	swap_cache_split_folio(s->cached, NULL, 0);
	return true;
}

static bool split_into_too_much(struct scene *s)
{
	struct folio *parts[] = { s->uncached, s->half };

	swap_cache_split_folio(s->cached, parts, 2);
	return true;
}

static bool split_unaligned(struct scene *s)
{
	struct folio *parts[] = { s->half, s->uncached };

	swap_cache_split_folio(s->cached, parts, 2);
	return true;
}

static bool zero_uncached(struct scene *s)
{
	swap_zeromap_folio_set(s->uncached);
	return true;
}

static bool unzero_uncached(struct scene *s)
{
	swap_zeromap_folio_clear(s->uncached);
	return true;
}

static bool swapin(struct scene *s, uint32_t orders)
{
	int err = 0;

	return !swap_cache_alloc_folio(s->owned, orders, NULL, NULL, &err) &&
	       err == -EINVAL;
}

static bool swapin_of_no_order(struct scene *s)
{
	return swapin(s, 0);
}

static bool swapin_of_too_high_an_order(struct scene *s)
{
	return swapin(s, 1u << (SWAP_MAX_ORDER + 1) | 1);
}

static bool swapin_of_the_highest_bit(struct scene *s)
{
	return swapin(s, 1u << 31);
}

static bool swapoff_unknown(struct scene *s)
{
	return swapoff(7, NULL, NULL) == -EINVAL;
}

static bool swapoff_beyond_the_table(struct scene *s)
{
	return swapoff(MAX_SWAPFILES, NULL, NULL) == -EINVAL;
}

static bool swapoff_of_minus_one(struct scene *s)
{
	return swapoff(-1, NULL, NULL) == -EINVAL;
}

static bool pin_unknown(struct scene *s)
{
	return swap_pin_hibernation(7) == -EINVAL;
}

static bool pin_beyond_the_table(struct scene *s)
{
	return swap_pin_hibernation(MAX_SWAPFILES) == -EINVAL;
}

static bool image_slot_of_unknown(struct scene *s)
{
	return !swap_alloc_hibernation_slot(7).val;
}

static bool image_slot_beyond_the_table(struct scene *s)
{
	return !swap_alloc_hibernation_slot(MAX_SWAPFILES).val;
}

static bool unpin_unpinned(struct scene *s)
{
	swap_unpin_hibernation(1);
	return true;
}

static bool unpin_beyond_the_table(struct scene *s)
{
	swap_unpin_hibernation(MAX_SWAPFILES);
	return true;
}

static bool resume_without_suspend(struct scene *s)
{
	swap_resume_storage();
	return true;
}

static bool limit_of_nobody(struct scene *s)
{
	swap_group_set_max(0, 1);
	return true;
}

/* ---- the table ---- */

struct input {
	const char *what;
	bool (*call)(struct scene *s);
	const char *name; /* of the public function */
	enum sw_counter counter;
	bool misuse;
};

#define MISUSE(call, fn, counter)                        \
	{                                                \
#call, call, #fn, SW_CTR_##counter, true \
	}
#define REFUSE(call, fn, counter)                         \
	{                                                 \
#call, call, #fn, SW_CTR_##counter, false \
	}

/* Each with every one of wrong_entries. */
static const struct input entry_inputs[] = {
	MISUSE(dup_entry, swap_dup_entries_direct, swap_bad_entry),
	MISUSE(put_entry, swap_put_entries_direct, swap_bad_entry),
	MISUSE(free_image_slot, swap_free_hibernation_slot, swap_bad_entry),
};

/* Each with every one of wrong_pages, of a folio of two. */
static const struct input page_inputs[] = {
	MISUSE(dup_page, folio_dup_swap, swap_bad_folio),
	MISUSE(put_page, folio_put_swap, swap_bad_folio),
};

static const int wrong_pages[] = { 2, 512, INT_MAX, -2, INT_MIN };

static const struct input inputs[] = {
	MISUSE(dup_beyond_the_end, swap_dup_entries_direct, swap_bad_entry),
	MISUSE(put_beyond_the_end, swap_put_entries_direct, swap_bad_entry),
	MISUSE(put_more_than_there_is, swap_put_entries_direct, swap_bad_entry),
	MISUSE(put_cached_without_owner, swap_put_entries_direct,
	       swap_bad_entry),
	MISUSE(free_image_slot_of_two, swap_free_hibernation_slot,
	       swap_bad_entry),
	MISUSE(free_image_slot_that_is_cached, swap_free_hibernation_slot,
	       swap_bad_entry),
	MISUSE(put_below_zero, folio_put_swap, swap_bad_entry),
	MISUSE(alloc_twice, folio_alloc_swap, swap_bad_folio),
	MISUSE(dup_uncached, folio_dup_swap, swap_bad_folio),
	MISUSE(put_uncached, folio_put_swap, swap_bad_folio),
	MISUSE(del_uncached, swap_cache_del_folio, swap_bad_folio),
	MISUSE(del_under_writeback, swap_cache_del_folio, swap_bad_folio),
	MISUSE(replace_uncached, swap_cache_replace_folio, swap_bad_folio),
	MISUSE(replace_under_writeback, swap_cache_replace_folio,
	       swap_bad_folio),
	MISUSE(replace_by_cached, swap_cache_replace_folio, swap_bad_folio),
	MISUSE(replace_by_too_little, swap_cache_replace_folio, swap_bad_folio),
	MISUSE(split_into_nothing, swap_cache_split_folio, swap_bad_folio),
	MISUSE(split_into_too_much, swap_cache_split_folio, swap_bad_folio),
	MISUSE(split_unaligned, swap_cache_split_folio, swap_bad_folio),
	MISUSE(zero_uncached, swap_zeromap_folio_set, swap_bad_folio),
	MISUSE(unzero_uncached, swap_zeromap_folio_clear, swap_bad_folio),
	REFUSE(swapin_of_no_order, swap_cache_alloc_folio, swap_bad_order),
	REFUSE(swapin_of_too_high_an_order, swap_cache_alloc_folio,
	       swap_bad_order),
	REFUSE(swapin_of_the_highest_bit, swap_cache_alloc_folio,
	       swap_bad_order),
	REFUSE(swapoff_unknown, swapoff, swap_bad_device),
	REFUSE(swapoff_beyond_the_table, swapoff, swap_bad_device),
	REFUSE(swapoff_of_minus_one, swapoff, swap_bad_device),
	REFUSE(pin_unknown, swap_pin_hibernation, swap_bad_device),
	REFUSE(pin_beyond_the_table, swap_pin_hibernation, swap_bad_device),
	REFUSE(image_slot_of_unknown, swap_alloc_hibernation_slot,
	       swap_bad_device),
	REFUSE(image_slot_beyond_the_table, swap_alloc_hibernation_slot,
	       swap_bad_device),
	MISUSE(unpin_unpinned, swap_unpin_hibernation, swap_bad_call),
	MISUSE(unpin_beyond_the_table, swap_unpin_hibernation, swap_bad_call),
	MISUSE(resume_without_suspend, swap_resume_storage, swap_bad_call),
	MISUSE(limit_of_nobody, swap_group_set_max, swap_bad_group),
};

static void expect_refused(const struct input *in, struct scene *s,
			   const char *with)
{
	static struct state before, after;
	uint64_t counters[SW_NR_COUNTERS];

	take_state(&before, s);
	for (unsigned c = 0; c < SW_NR_COUNTERS; c++)
		counters[c] = sw_counter_read(c);
	swap_bad_entry_aborts = false;
	if (!in->call(s))
		fail_msg("%s with %s: not the error it should be", in->what,
			 with);
	swap_bad_entry_aborts = true;
	for (unsigned c = 0; c < SW_NR_COUNTERS; c++)
		if (sw_counter_read(c) != counters[c] + (c == in->counter))
			fail_msg("%s with %s: counter %s rose by %d", in->what,
				 with, sw_counter_names[c],
				 (int)(sw_counter_read(c) - counters[c]));
	take_state(&after, s);
	if (memcmp(&before, &after, sizeof(before)))
		fail_msg("%s with %s: changed something", in->what, with);
}

/* What a child of ours says while it makes the call; its wait status. */
static int said_by_child(const struct input *in, struct scene *s, char *said,
			 size_t len)
{
	int status, to_us[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(to_us), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		dup2(to_us[1], STDERR_FILENO);
		in->call(s);
		_exit(0);
	}
	close(to_us[1]);
	*said = 0;
	/* One line or two, far less than a pipe holds. */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(to_us[0], said, len - 1);
	assert_true(n >= 0);
	said[n] = 0;
	close(to_us[0]);
	return status;
}

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* In a checked build the program ends there, naming call and caller. */
static void expect_abort(const struct input *in, struct scene *s)
{
#ifdef SW_CHECKS
	char said[1024], *at;
	uintptr_t caller, call = (uintptr_t)in->call;
	int status = said_by_child(in, s, said, sizeof(said));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("%s: no abort, but status %x", in->what, status);
	if (!strstr(said, in->name) || !(at = strstr(said, "addr2line 0x")))
		fail_msg("%s: says \"%s\", not %s", in->what, said, in->name);
	caller = (uintptr_t)__ehdr_start + strtoul(at + 10, NULL, 16);
	if (caller <= call || caller > call + 2048)
		fail_msg("%s: the caller named is not it: %s", in->what, said);
#endif
}

static void wrong_entries_are_refused(void **state)
{
	struct scene s;

	open_scene(&s);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(entry_inputs); i++) {
		for (unsigned e = 0; e < SW_ARRAY_SIZE(wrong_entries); e++) {
			const struct scene_entry *w = &wrong_entries[e];

			s.entry = swp_entry(w->type, w->offset);
			expect_refused(&entry_inputs[i], &s, w->what);
		}
		expect_abort(&entry_inputs[i], &s);
	}
	close_scene(&s);
}

static void wrong_pages_are_refused(void **state)
{
	struct scene s;

	open_scene(&s);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(page_inputs); i++) {
		for (unsigned p = 0; p < SW_ARRAY_SIZE(wrong_pages); p++) {
			s.page = wrong_pages[p];
			expect_refused(&page_inputs[i], &s, "a page");
		}
		expect_abort(&page_inputs[i], &s);
	}
	close_scene(&s);
}

static void wrong_calls_are_refused(void **state)
{
	struct scene s;

	open_scene(&s);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(inputs); i++) {
		expect_refused(&inputs[i], &s, "that");
		if (inputs[i].misuse)
			expect_abort(&inputs[i], &s);
	}
	close_scene(&s);
}

/* What the folio owns is put, what it does not is not. */
static void put_of_a_whole_folio_leaves_out_what_nobody_owns(void **state)
{
	uint64_t before = sw_counter_read(SW_CTR_swap_bad_entry);
	struct folio *folio;

	fx_swapon(SLOTS, -1);
	folio = fx_cached(3);
	assert_int_equal(folio_dup_swap(folio, 2), 0);
	assert_int_equal(folio_dup_swap(folio, 7), 0);
	assert_int_equal(folio_dup_swap(folio, 7), 0);
	swap_bad_entry_aborts = false;
	folio_put_swap(folio, -1);
	swap_bad_entry_aborts = true;
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_entry), before + 6);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(swp_swapcount(fx_entry_add(folio->swap, i)),
				 i == 7);
	fx_check();
	folio_put_swap(folio, 7);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
}

/* A stale entry is how races end: no complaint. */
static void questions_about_wrong_entries_answer_no(void **state)
{
	struct sw_swap_device_info info;
	uint64_t counters[SW_NR_COUNTERS];
	struct scene s;

	open_scene(&s);
	for (unsigned c = 0; c < SW_NR_COUNTERS; c++)
		counters[c] = sw_counter_read(c);
	for (unsigned i = 0; i < SW_ARRAY_SIZE(wrong_entries); i++) {
		const struct scene_entry *w = &wrong_entries[i];
		swp_entry_t e = swp_entry(w->type, w->offset);
		struct swap_info_struct *si = get_swap_device(e);
		int err = 0;

		/* A device is there where the offset is one of it. */
		assert_int_equal(si != NULL,
				 e.val && w->type < 2 && w->offset < SLOTS);
		if (si)
			put_swap_device(si);
		assert_int_equal(swp_swapcount(e), 0);
		assert_null(swap_cache_get_folio(e));
		assert_false(swap_cache_has_folio(e));
		assert_int_equal(swap_cache_get_shadow(e), 0);
		assert_false(swap_zeromap_test(e));
		assert_int_equal(swap_retry_table_alloc(e), 0);
		assert_null(swap_cache_alloc_folio(e, 1, NULL, NULL, &err));
		assert_int_equal(err, -ENOENT);
		assert_false(folio_matches_swap_entry(s.cached, e));
	}
	assert_false(swap_device_info(7, &info));
	assert_false(swap_device_info(MAX_SWAPFILES, &info));
	assert_false(folio_free_swap(s.uncached));
	assert_false(folio_free_swap(s.written));
	for (unsigned c = 0; c < SW_NR_COUNTERS; c++)
		assert_int_equal(sw_counter_read(c), counters[c]);
	fx_check();
	close_scene(&s);
}

static void no_device_is_no_place_for_anything(void **state)
{
	struct folio *folio = fx_folio(0);
	struct sw_swap_totals t;

	/* Of a folio that is nowhere, when type 0 is no device either. */
	swap_bad_entry_aborts = false;
	swap_cache_del_folio(folio, 0);
	folio_put_swap(folio, 0);
	swap_zeromap_folio_set(folio);
	swap_bad_entry_aborts = true;
	assert_false(folio_free_swap(folio));
	assert_int_equal(folio_alloc_swap(folio, 0), -ENOMEM);
	si_swapinfo(&t);
	assert_int_equal(t.total_pages + t.free_pages + t.cached, 0);
	assert_false(vm_swap_full());
	fx_drop(folio);
}

#if SWAPFILE_CLUSTER < 512
static void folio_larger_than_a_cluster_is_counted(void **state)
{
	uint64_t count = sw_counter_read(SW_CTR_swap_bad_order);
	struct folio *folio;

	fx_swapon(SLOTS, -1);
	folio = fx_folio(SWAP_MAX_ORDER + 1);
	assert_int_equal(folio_alloc_swap(folio, 3), -EINVAL);
	assert_int_equal(sw_counter_read(SW_CTR_swap_bad_order), count + 1);
	fx_check();
	fx_drop(folio);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(wrong_entries_are_refused),
		FX_TEST(wrong_pages_are_refused),
		FX_TEST(wrong_calls_are_refused),
		FX_TEST(put_of_a_whole_folio_leaves_out_what_nobody_owns),
		FX_TEST(questions_about_wrong_entries_answer_no),
		FX_TEST(no_device_is_no_place_for_anything),
#if SWAPFILE_CLUSTER < 512
		FX_TEST(folio_larger_than_a_cluster_is_counted),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
