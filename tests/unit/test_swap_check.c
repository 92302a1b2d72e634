/*
 * test_swap_check.c - the checker is checked: every invariant is broken by
 * hand, noticed, and mended.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"

static struct swap_info_struct *si;
static struct swap_cluster_info *ci; /* of the swapped slot */
static struct folio *folio;
static swp_entry_t out; /* swapped out, count 1 */
static int err_fd, null_fd;

static void open_world(void)
{
	int type = fx_swapon(4 * CL - 1, -1);

	si = &swap_info[type];
	folio = fx_cached(1);
	assert_int_equal(folio_dup_swap(folio, -1), 0);
	folio_unlock(folio);
	out = fx_swapped(0, 5);
	ci = __swap_offset_to_cluster(si, swp_offset(out));
	fx_check();
}

static void close_world(void)
{
	fx_check();
	folio_lock(folio);
	folio_put_swap(folio, -1);
	assert_true(folio_free_swap(folio));
	fx_drop(folio);
	swap_put_entries_direct(out, 1);
}

static unsigned owners_wrong(void *arg, swp_entry_t e)
{
	return e.val == out.val ? 2 : 0;
}

/* Complaints go nowhere: they are what we want. */
static unsigned complaints(unsigned (*owners)(void *, swp_entry_t))
{
	unsigned n;

	err_fd = dup(STDERR_FILENO);
	null_fd = open("/dev/null", O_WRONLY);
	dup2(null_fd, STDERR_FILENO);
	n = swap_check(owners, NULL);
	swap_dump(stderr, si->type, 1);
	dup2(err_fd, STDERR_FILENO);
	close(err_fd);
	close(null_fd);
	return n;
}

/* Changes `lvalue` to `value`, expects complaints, changes it back. */
#define BROKEN(lvalue, value)                      \
	do {                                       \
		__typeof__(lvalue) was = (lvalue); \
                                                   \
		(lvalue) = (value);                \
		assert_true(complaints(NULL) > 0); \
		(lvalue) = was;                    \
		fx_check();                        \
	} while (0)

static uint64_t *word(swp_entry_t e)
{
	struct swap_cluster_info *home =
		__swap_offset_to_cluster(si, swp_offset(e));

	return &home->table->words[swap_cluster_offset(swp_offset(e))];
}

static void wrong_words_are_noticed(void **state)
{
	unsigned unused = swap_cluster_offset(swp_offset(out)) + 1;

	open_world();
	unused = swap_cluster_offset(swp_offset(out)) + 1;
	BROKEN(*word(out), 4); /* no such kind */
	BROKEN(*word(out), shadow_to_swp_tb(5, 0));
	BROKEN(*word(out), null_to_swp_tb());
	BROKEN(*word(out), bad_to_swp_tb());
	BROKEN(*word(out), __swp_tb_mk_count(*word(out), SWP_TB_COUNT_MAX));
	BROKEN(*word(folio->swap), *word(out));
	BROKEN(ci->table->words[unused], *word(out));
	BROKEN(ci->table->ids[unused], 3);
	BROKEN(si->cluster_info[0].table->words[0], null_to_swp_tb());
	BROKEN(si->cluster_info[3].table->words[CL - 1], null_to_swp_tb());
	assert_true(complaints(owners_wrong) > 0);
	close_world();
}

static void wrong_folios_are_noticed(void **state)
{
	struct swap_cluster_info *home;
	unsigned second;

	open_world();
	home = __swap_offset_to_cluster(si, swp_offset(folio->swap));
	second = swap_cluster_offset(swp_offset(folio->swap)) + 1;
	BROKEN(folio->swap.val, folio->swap.val + 2);
	BROKEN(folio->flags, folio->flags & ~(uint32_t)SW_FOLIO_SWAPCACHE);
	BROKEN(folio->refcount, 1);
	BROKEN(folio->refcount, 0);
	BROKEN(home->table->ids[second], 9);
	close_world();
}

static void wrong_clusters_are_noticed(void **state)
{
	struct swap_cluster_info *idle;
	uint32_t *table = calloc(CL, sizeof(*table));

	open_world();
	for (idle = si->cluster_info; idle->flags != CLUSTER_FLAG_FREE; idle++)
		;
	BROKEN(ci->count, ci->count + 1);
	BROKEN(ci->flags, CLUSTER_FLAG_FULL);
	BROKEN(ci->flags, CLUSTER_FLAG_NONE);
	BROKEN(ci->order, ci->order + 1);
	BROKEN(ci->extend_table, table); /* nobody needs it */
	table[swap_cluster_offset(swp_offset(out))] = 77;
	BROKEN(ci->extend_table, table); /* and it says otherwise */
	BROKEN(idle->order, 4);
	BROKEN(idle->table, ci->table);
	BROKEN(idle->flags, CLUSTER_FLAG_DISCARD);
	free(table);
	close_world();
}

static void cluster_on_two_lists_is_noticed(void **state)
{
	struct sw_list extra;

	open_world();
	/* A second list that leads into the first. */
	extra = si->full_clusters;
	si->full_clusters.next = &ci->list;
	si->full_clusters.prev = &ci->list;
	assert_true(complaints(NULL) > 0);
	si->full_clusters = extra;
	sw_list_init(&si->full_clusters);
	close_world();
}

static void wrong_devices_are_noticed(void **state)
{
	open_world();
	BROKEN(si->shards[0].usage, si->shards[0].usage + 1);
	BROKEN(si->shards[0].usage, si->shards[0].usage + SWAP_USAGE_CACHED);
	BROKEN(si->shards[0].users, 1);
	BROKEN(si->pages, si->pages + 1);
	BROKEN(si->flags, si->flags | SWP_OFFLIST);
	BROKEN(percpu_swap_cluster[0].hint[0],
	       swp_entry(si->type, 100 * CL).val);
	close_world();
}

/* What is printed; the caller frees it. */
static char *text_of(bool check, unsigned *broken)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	*broken = 0;
	if (check)
		*broken = swap_check_to(out);
	else
		swap_dump(out, si->type, 1);
	fclose(out);
	return text;
}

static void who_asks_gets_the_lines(void **state)
{
	unsigned broken;
	char *text;

	open_world();
	text = text_of(true, &broken);
	assert_int_equal(broken, 0);
	assert_string_equal(text, "");
	free(text);
	si->shards[0].usage++;
	text = text_of(true, &broken);
	si->shards[0].usage--;
	assert_true(broken > 0);
	assert_non_null(strstr(text, ": usage 4, but 3 slots in use\n"));
	free(text);
	close_world();
}

static void dump_says_where_clusters_are(void **state)
{
	unsigned broken, was;
	char *text;

	open_world();
	was = ci->flags;
	ci->flags = 77; /* broken, and shown all the same */
	text = text_of(false, &broken);
	ci->flags = was;
	assert_non_null(strstr(text, "device 0 test prio -1: 3 of "));
	assert_non_null(strstr(text, " flags writeok solidstate"));
	assert_non_null(strstr(text, "  4 clusters of "));
	assert_non_null(strstr(text, "  free order 0: "));
	assert_non_null(strstr(text, "used\n  and "));
	free(text);
	close_world();
}

static void store_and_flags_are_the_specs(void **state)
{
	struct sw_swap_device_info info;
	void *store = &store;

	open_world();
	assert_ptr_equal(swap_device_ops(si, &store), &fx_ops);
	assert_null(store);
	assert_true(swap_device_flags(si) & SWP_SOLIDSTATE);
	assert_true(swap_device_info(si->type, &info));
	assert_string_equal(info.name, "test");
	assert_int_equal(info.used, 3);
	assert_int_equal(info.pages, 4 * CL - 2);
	assert_false(swap_device_info(si->type + 1, &info));
	assert_false(swap_device_info(MAX_SWAPFILES, &info));
	close_world();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(wrong_words_are_noticed),
		FX_TEST(wrong_folios_are_noticed),
		FX_TEST(wrong_clusters_are_noticed),
		FX_TEST(cluster_on_two_lists_is_noticed),
		FX_TEST(wrong_devices_are_noticed),
		FX_TEST(who_asks_gets_the_lines),
		FX_TEST(dump_says_where_clusters_are),
		FX_TEST(store_and_flags_are_the_specs),
	};

	return FX_RUN(tests);
}
