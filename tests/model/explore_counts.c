/*
 * explore_counts.c - scenarios about the number of owners of a slot, at the
 * edge where it no longer fits into the word.
 */
#include "explore.h"

#ifdef SW_CHECKS

static swp_entry_t slot;
static unsigned owners;

static void add_owners(void)
{
	for (unsigned i = 1; i < SWP_TB_COUNT_MAX - 1; i++)
		EXPECT(swap_dup_entry_direct(slot) == 0);
	owners = SWP_TB_COUNT_MAX - 1;
}

static void setup_nearly_overflown(void)
{
	slot = swapped_out(0, 0);
	add_owners();
}

/* With its last owner the cluster falls empty. */
static void setup_alone_in_its_cluster(void)
{
	slot = swapped_out(SWAP_MAX_ORDER, 0);
	swap_put_entries_direct((swp_entry_t){ slot.val + 1 }, CL - 1);
	add_owners();
}

static void body_dup(void)
{
	EXPECT(swap_dup_entry_direct(slot) == 0);
	owners++;
}

static void body_put(void)
{
	/* The last owner stays: whoever dups needs one. */
	if (owners < 2)
		return;
	owners--;
	swap_put_entries_direct(slot, 1);
}

static void finish_counts(void)
{
	EXPECT(swp_swapcount(slot) == owners);
	EXPECT(swap_check(NULL, NULL) == 0);
	while (owners--)
		swap_put_entries_direct(slot, 1);
}

/* A dup that failed asks for a table while all others give up the slot. */
static void body_attach(void)
{
	EXPECT(swap_retry_table_alloc(slot) == 0);
}

static void body_put_all(void)
{
	while (owners) {
		owners--;
		swap_put_entries_direct(slot, 1);
	}
}

/* The cluster's next user: what was attached must not be there. */
static void body_use_again(void)
{
	struct folio *folio = cached_folio(0);

	EXPECT(folio_dup_swap(folio, 0) == 0);
	EXPECT(swp_swapcount(folio->swap) == 1);
	folio_put_swap(folio, 0);
	EXPECT(folio_free_swap(folio));
	drop(folio);
}

const struct scenario explore_counts[] = {
	{ "dup-against-put",
	  setup_nearly_overflown,
	  { body_dup, body_put },
	  finish_counts },
	{ "dup-dup-put-put",
	  setup_nearly_overflown,
	  { body_dup, body_dup, body_put, body_put },
	  finish_counts },
	{ "attach-against-last-put",
	  setup_alone_in_its_cluster,
	  { body_attach, body_put_all, body_use_again },
	  nothing },
	{ "attach-against-attach",
	  setup_nearly_overflown,
	  { body_attach, body_dup, body_put, body_put },
	  finish_counts },
	{ 0 },
};
#endif
