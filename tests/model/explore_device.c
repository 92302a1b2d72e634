/*
 * explore_device.c - scenarios about devices that go away and come back while
 * others allocate from them, free their slots, or only have an old entry in
 * hand; and about images.
 */
#include "explore.h"

#ifdef SW_CHECKS
#include "swap/swap_work.h"

static swp_entry_t slot;
static struct folio *held;
static bool store_open; /* who puts it into a device closes it after swapoff */

static void on_slot_free(uint64_t offset, unsigned nr)
{
	EXPECT(store_open);
}

/* ---- an owner ---- */

static struct sw_mutex cell_lock; /* the owner's: a page table's */
static swp_entry_t cell;          /* what it names; 0: nothing is out */

static void setup_cell(void)
{
	sw_mutex_init(&cell_lock, "cell", SW_RANK_SPACE);
	cell = swapped_out(0, 0);
	slot = cell;
	store_open = true;
	explore_on_slot_free = on_slot_free;
}

/* Brings the page in as a fault does, with an entry that was read before and
 * may be out of date. */
static void fault(swp_entry_t e)
{
	struct swap_info_struct *si = get_swap_device(e);
	struct folio *folio;
	bool ours;
	int err;

	if (!si)
		return;
	/* As long as we hold it, it is there. */
	EXPECT(swap_info[swp_type(e)].cluster_info);
	EXPECT(swp_offset(e) < swap_info[swp_type(e)].max);
	while (!(folio = swap_cache_get_folio(e))) {
		folio = swap_cache_alloc_folio(e, 1, NULL, NULL, &err);
		if (folio)
			goto locked;
		if (err == -ENOENT)
			goto out;
		EXPECT(err == -EEXIST);
	}
	folio_lock(folio);
	if (!folio_matches_swap_entry(folio, e)) {
		drop(folio);
		goto out;
	}
locked:
	sw_mutex_lock(&cell_lock);
	ours = cell.val == e.val;
	if (ours) {
		folio_put_swap(folio, 0);
		cell.val = 0;
	}
	sw_mutex_unlock(&cell_lock);
	/* Nobody else had it: it leaves as it came. */
	if (!folio_free_swap(folio))
		swap_cache_del_folio(folio, 0);
	drop(folio);
out:
	put_swap_device(si);
}

static void body_fault(void)
{
	swp_entry_t e;

	sw_mutex_lock(&cell_lock);
	e = cell;
	sw_mutex_unlock(&cell_lock);
	sw_sched_point("entry read");
	fault(e);
}

static void body_zap(void)
{
	sw_mutex_lock(&cell_lock);
	if (cell.val)
		swap_put_entries_direct(cell, 1);
	cell.val = 0;
	sw_mutex_unlock(&cell_lock);
}

/* Out again, wherever there is room. */
static void swap_out_cell(void)
{
	struct folio *folio = new_folio(0);

	if (!folio_alloc_swap(folio, 0)) {
		sw_mutex_lock(&cell_lock);
		if (!cell.val) {
			EXPECT(folio_dup_swap(folio, 0) == 0);
			cell = folio->swap;
		}
		sw_mutex_unlock(&cell_lock);
		if (!folio_free_swap(folio))
			swap_cache_del_folio(folio, 0);
	}
	drop(folio);
}

static void body_fault_and_out(void)
{
	body_fault();
	swap_out_cell();
}

static void body_out(void)
{
	swap_out_cell();
}

static int unuse_cell(void *arg, unsigned t)
{
	swp_entry_t e;

	sw_mutex_lock(&cell_lock);
	e = cell;
	sw_mutex_unlock(&cell_lock);
	if (e.val && swp_type(e) == t)
		fault(e);
	else
		sw_sched_wait();
	return 0;
}

static void body_swapoff(void)
{
	EXPECT(swapoff(type, unuse_cell, NULL) == 0);
	store_open = false;
}

/* The same number, another device. */
static void body_swapoff_and_on(void)
{
	body_swapoff();
	store_open = true;
	EXPECT(explore_swapon(CL, 0, -1) == type);
}

static void finish_cell(void)
{
	if (cell.val)
		swap_put_entries_direct(cell, 1);
	sw_mutex_destroy(&cell_lock);
}

/* ---- swapoff that gives up ---- */

static int unuse_looks_and_gives_up(void *arg, unsigned t)
{
	uint64_t before = swap_usage_in_pages(&swap_info[t]);

	for (unsigned i = 0; i < 3; i++) {
		sw_sched_wait();
		/* Nothing is allocated any more. */
		EXPECT(swap_usage_in_pages(&swap_info[t]) <= before);
	}
	return -EINTR;
}

static void setup_slot(void)
{
	slot = swapped_out(0, 0);
}

static void body_swapoff_gives_up(void)
{
	EXPECT(swapoff(type, unuse_looks_and_gives_up, NULL) == -EINTR);
}

static void body_take_two(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct folio *folio = new_folio(0);

		if (!folio_alloc_swap(folio, 0)) {
			EXPECT(folio_dup_swap(folio, 0) == 0);
			swap_cache_del_folio(folio, 0);
		}
		drop(folio);
	}
}

static void finish_in_service(void)
{
	struct folio *folio = cached_folio(0);

	EXPECT(folio_free_swap(folio));
	drop(folio);
	put_all();
}

/* ---- swapoff while the last slots fall free ---- */

static void setup_unowned(void)
{
	setup_cell();
	body_zap();
	held = cached_folio(0);
	slot = held->swap;
	folio_unlock(held);
}

static void body_free_folio(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE))
		EXPECT(folio_free_swap(held));
	folio_unlock(held);
}

static void body_del_folio(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE))
		swap_cache_del_folio(held, 3);
	folio_unlock(held);
}

static void finish_held(void)
{
	folio_put(held);
	finish_cell();
}

/* ---- a reference, and nothing else ---- */

static void body_get_device(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct swap_info_struct *si = get_swap_device(slot);

		if (!si)
			continue;
		EXPECT(si->cluster_info && swp_offset(slot) < si->max);
		/* Tables and clusters may be looked at. */
		EXPECT(swp_swapcount(slot) <= 1);
		/* However long we hold it. */
		sw_sched_wait();
		EXPECT(si->cluster_info && swp_offset(slot) < si->max);
		put_swap_device(si);
	}
}

/* ---- images ---- */

static void setup_image(void)
{
	const uint64_t bad[] = { 2 };
	static const struct swap_ops no_ops;
	const struct swapon_spec spec = {
		.name = "image",
		.ops = &no_ops,
		.max = CL,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
		.bad = bad,
		.nr_bad = 1,
	};

	EXPECT(swapoff(type, NULL, NULL) == 0);
	type = swapon(&spec);
	EXPECT(type >= 0);
	EXPECT(swap_pin_hibernation(type) == 0);
}

static void body_image(void)
{
	struct swsusp_extents x = { .type = type };

	/* A cluster that is locked just now is passed over, and there is
	 * only one. */
	for (unsigned i = 0; i < 2; i++)
		alloc_swapdev_block(&x);
	free_all_swap_pages(&x);
}

/* Knows nothing of who owns what. */
static void body_readahead(void)
{
	for (uint64_t o = 1; o < 5; o++) {
		swp_entry_t e = swp_entry(type, o);
		int err;
		struct folio *folio =
			swap_cache_alloc_folio(e, 1, NULL, NULL, &err);

		if (!folio) {
			EXPECT(err == -ENOENT || err == -EEXIST);
			continue;
		}
		EXPECT(o != 2);
		EXPECT(swap_cache_has_folio(e));
		folio_unlock(folio);
		/* Nobody wanted it. */
		folio_lock(folio);
		if (folio_matches_swap_entry(folio, e))
			swap_cache_del_folio(folio, 0);
		drop(folio);
	}
}

static void finish_image(void)
{
	swap_unpin_hibernation(type);
	EXPECT(used() == 0);
	EXPECT(swp_tb_is_bad(
		swap_table_get(&swap_info[type].cluster_info[0], 2)));
}

static bool written; /* an image is: what is cached stays where it is */

static void setup_suspend(void)
{
	setup_unowned();
	written = false;
}

static void body_write_image(void)
{
	swap_suspend_storage();
	/* Who was taking it out has finished when its lock is free. */
	folio_lock(held);
	written = folio_test(held, SW_FOLIO_SWAPCACHE);
	folio_unlock(held);
	if (written)
		EXPECT(swap_cache_has_folio(slot));
	written = false;
	swap_resume_storage();
}

static void body_free_unless_written(void)
{
	folio_lock(held);
	if (folio_test(held, SW_FOLIO_SWAPCACHE) && folio_free_swap(held))
		EXPECT(!written);
	folio_unlock(held);
}

static void body_reclaim(void)
{
	if (__try_to_reclaim_swap(&swap_info[type], swp_offset(slot),
				  TTRS_ANYWAY) > 0)
		EXPECT(!written);
}

static void finish_suspend(void)
{
	body_free_folio();
	finish_held();
}

const struct scenario explore_device[] = {
	{ "alloc-against-swapoff-back",
	  setup_slot,
	  { body_take_two, body_swapoff_gives_up },
	  finish_in_service },
	{ "two-allocs-against-swapoff-back",
	  setup_slot,
	  { body_take_two, body_swapoff_gives_up, body_take_two },
	  finish_in_service },
	{ "alloc-against-swapoff",
	  setup_cell,
	  { body_fault_and_out, body_swapoff, body_zap },
	  finish_cell },
	{ "alloc-against-swapoff-and-on",
	  setup_cell,
	  { body_fault_and_out, body_swapoff_and_on, body_out },
	  finish_cell },
	{ "put-against-swapoff",
	  setup_cell,
	  { body_zap, body_swapoff },
	  finish_cell },
	{ "fault-against-swapoff-and-on",
	  setup_cell,
	  { body_fault, body_swapoff_and_on, body_fault },
	  finish_cell },
	{ "free-against-swapoff",
	  setup_unowned,
	  { body_free_folio, body_swapoff },
	  finish_held },
	{ "removal-against-swapoff",
	  setup_unowned,
	  { body_del_folio, body_swapoff },
	  finish_held },
	{ "reference-against-swapoff",
	  setup_cell,
	  { body_get_device, body_swapoff, body_zap },
	  finish_cell },
	{ "reference-against-swapoff-and-on",
	  setup_cell,
	  { body_get_device, body_swapoff_and_on, body_zap },
	  finish_cell },
	{ "image-against-readahead",
	  setup_image,
	  { body_image, body_readahead },
	  finish_image },
	{ "image-written-against-free",
	  setup_suspend,
	  { body_write_image, body_free_unless_written, body_reclaim },
	  finish_suspend },
	{ 0 },
};
#endif
