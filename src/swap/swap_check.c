/*
 * swap_check.c - every invariant of the swap layer, walked at a moment when
 * no operation is under way and no folio is locked. Each that is broken gets
 * a line; the caller gets their number.
 *
 * The lists of a device are marked in a byte a cluster first, so that "on
 * exactly one list, the one its flag names" is one comparison later.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swap/cluster.h"
#include "swap/swap_mem.h"

#define MAX_LINES 50 /* one fault breaks many things; say the first */

struct check {
	FILE *out;
	unsigned broken;
	struct swap_info_struct *si;
	uint8_t *on_list; /* a cluster: enum swap_cluster_flags + 1, 0: none */
	uint8_t *on_order;
	uint64_t used, bad, cached;
	unsigned (*owners)(void *arg, swp_entry_t entry);
	void *arg;
};

static void broken(struct check *c, const char *fmt, ...) SW_PRINTF(2, 3);

static void broken(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->broken++ >= MAX_LINES)
		return;
	va_start(ap, fmt);
	if (c->si)
		fprintf(c->out, "swap_check: device %u: ", c->si->type);
	else
		fputs("swap_check: all devices: ", c->out);
	vfprintf(c->out, fmt, ap);
	fputc('\n', c->out);
	va_end(ap);
}

static void mark_list(struct check *c, struct sw_list *list,
		      enum swap_cluster_flags flag, unsigned order)
{
	struct swap_cluster_info *ci;

	sw_list_for_each(ci, list, list) {
		uint64_t i = cluster_index(c->si, ci);

		if (i >= c->si->nr_clusters) {
			broken(c, "a list leads outside the cluster array");
			return;
		}
		if (c->on_list[i]) {
			broken(c, "cluster %" PRIu64 " is on two lists", i);
			return;
		}
		c->on_list[i] = flag;
		c->on_order[i] = order;
	}
}

static void mark_lists(struct check *c)
{
	struct swap_info_struct *si = c->si;

	mark_list(c, &si->free_clusters, CLUSTER_FLAG_FREE, 0);
	mark_list(c, &si->full_clusters, CLUSTER_FLAG_FULL, 0);
	mark_list(c, &si->discard_clusters, CLUSTER_FLAG_DISCARD, 0);
	for (unsigned o = 0; o < SWAP_NR_ORDERS; o++) {
		mark_list(c, &si->nonfull_clusters[o], CLUSTER_FLAG_NONFULL, o);
		mark_list(c, &si->frag_clusters[o], CLUSTER_FLAG_FRAG, o);
	}
}

/* 7, 8: a PFN word and its folio agree, both ways. */
static void check_cached(struct check *c, struct swap_cluster_info *ci,
			 unsigned off)
{
	uint64_t offset = cluster_offset(c->si, ci) + off;
	struct folio *folio = swp_tb_to_folio(__swap_table_get(ci, off));
	unsigned nr = folio_nr(folio), first = off & ~(nr - 1);
	swp_entry_t entry = swp_entry(c->si->type, offset - (off - first));

	if (!__atomic_load_n(&folio->refcount, __ATOMIC_RELAXED) ||
	    !folio_test(folio, SW_FOLIO_SWAPCACHE) ||
	    folio->swap.val != entry.val) {
		broken(c, "slot %" PRIu64 ": folio does not name it", offset);
		return;
	}
	if (__atomic_load_n(&folio->refcount, __ATOMIC_RELAXED) < nr)
		broken(c, "slot %" PRIu64 ": folio lacks references", offset);
	if (folio_test(folio, SW_FOLIO_CONDEMNED) &&
	    (nr > 1 || !folio_test(folio, SW_FOLIO_DIRTY)))
		broken(c, "slot %" PRIu64 ": condemned, but large or clean",
		       offset);
	for (unsigned i = first; i < first + nr; i++) {
		uint64_t swp_tb = __swap_table_get(ci, i);

		if (!swp_tb_is_folio(swp_tb) ||
		    swp_tb_to_folio(swp_tb) != folio)
			broken(c, "slot %" PRIu64 ": folio has a hole",
			       offset - off + i);
		if (ci->table->ids[i] != ci->table->ids[first])
			broken(c, "slot %" PRIu64 ": folio of two groups",
			       offset - off + i);
	}
}

/* 1 to 6, 15, 22: one word. */
static void check_slot(struct check *c, struct swap_cluster_info *ci,
		       unsigned off)
{
	uint64_t offset = cluster_offset(c->si, ci) + off;
	uint64_t swp_tb = __swap_table_get(ci, off);
	uint32_t ext = ci->extend_table ? ci->extend_table[off] : 0;
	unsigned in_word, count;
	bool free = swp_tb_is_null(swp_tb) || swp_tb_is_bad(swp_tb);

	if (free && ci->table->ids[off])
		broken(c, "slot %" PRIu64 ": free, but has a group", offset);
	if (free && __swap_cluster_zero_test(ci, off))
		broken(c, "slot %" PRIu64 ": free, but marked zero", offset);
	if ((offset == 0 || offset >= c->si->max) && !swp_tb_is_bad(swp_tb))
		broken(c, "slot %" PRIu64 ": not bad, but should be", offset);
	if (swp_tb_is_bad(swp_tb)) {
		if (offset && offset < c->si->max)
			c->bad++;
		if (ext)
			broken(c, "slot %" PRIu64 ": bad, but counted", offset);
		if (c->owners &&
		    c->owners(c->arg, swp_entry(c->si->type, offset)))
			broken(c, "slot %" PRIu64 ": bad, but owned", offset);
		return;
	}
	if (!swp_tb_is_countable(swp_tb)) {
		broken(c, "slot %" PRIu64 ": word %" PRIx64, offset, swp_tb);
		return;
	}
	in_word = __swp_tb_get_count(swp_tb);
	count = in_word < SWP_TB_COUNT_MAX ? in_word : ext;
	if (in_word < SWP_TB_COUNT_MAX ? ext != 0 : ext < SWP_TB_COUNT_MAX)
		broken(c, "slot %" PRIu64 ": count %u, extended %u", offset,
		       in_word, ext);
	if (swp_tb_is_shadow(swp_tb) && !count)
		broken(c, "slot %" PRIu64 ": neither owner nor folio", offset);
	if (swp_tb_is_folio(swp_tb)) {
		c->cached++;
		check_cached(c, ci, off);
	}
	if (c->owners) {
		unsigned n = c->owners(c->arg, swp_entry(c->si->type, offset));

		if (n != count)
			broken(c, "slot %" PRIu64 ": count %u, but %u owners",
			       offset, count, n);
	}
}

/* 5: an extend table somebody needs. */
static bool extend_table_needed(const struct swap_cluster_info *ci)
{
	for (unsigned off = 0; ci->table && off < SWAPFILE_CLUSTER; off++)
		if (swp_tb_get_count(__swap_table_get(ci, off)) >=
		    (int)SWP_TB_COUNT_MAX - 1)
			return true;
	return false;
}

/* 12, 13: count, table, flag and list of one cluster. */
static void check_cluster(struct check *c, struct swap_cluster_info *ci)
{
	uint64_t i = cluster_index(c->si, ci);
	unsigned used = 0;
	bool ok = true;

	if (ci->flags != c->on_list[i])
		broken(c, "cluster %" PRIu64 ": flag %u, but on list %u", i,
		       ci->flags, c->on_list[i]);
	if ((ci->flags == CLUSTER_FLAG_NONFULL ||
	     ci->flags == CLUSTER_FLAG_FRAG) &&
	    ci->order != c->on_order[i])
		broken(c, "cluster %" PRIu64 ": order %u on list of order %u",
		       i, ci->order, c->on_order[i]);
	if (ci->extend_table && !extend_table_needed(ci))
		broken(c, "cluster %" PRIu64 ": stale extend table", i);
	if (!!ci->table != (ci->count || ci->flags == CLUSTER_FLAG_DISCARD))
		broken(c, "cluster %" PRIu64 ": count %u %s table", i,
		       ci->count, ci->table ? "with" : "without");
	for (unsigned off = 0; ci->table && off < SWAPFILE_CLUSTER; off++) {
		used += !swp_tb_is_null(__swap_table_get(ci, off));
		check_slot(c, ci, off);
	}
	if (used != ci->count)
		broken(c, "cluster %" PRIu64 ": count %u, but %u in use", i,
		       ci->count, used);
	switch (ci->flags) {
	case CLUSTER_FLAG_FREE:
		/* One by one: both at once would be read with the lock beside
		 * them, which somebody may be waiting for. */
		ok = !ci->count;
		ok &= !ci->order;
		break;
	case CLUSTER_FLAG_NONFULL: /* swapon may leave one all bad here */
	case CLUSTER_FLAG_FRAG:
		ok = ci->count;
		break;
	case CLUSTER_FLAG_FULL:
		ok = ci->count == SWAPFILE_CLUSTER;
		break;
	case CLUSTER_FLAG_DISCARD:
		ok = !ci->count;
		break;
	default:
		ok = false;
	}
	if (!ok)
		broken(c, "cluster %" PRIu64 ": flag %u with count %u", i,
		       ci->flags, ci->count);
	c->used += ci->count;
	/* Header and tail are in the count, but not in the device's pages. */
	for (unsigned off = 0; ci->table && off < SWAPFILE_CLUSTER; off++)
		c->used -= swp_tb_is_bad(__swap_table_get(ci, off));
}

static bool on_avail_list(const struct swap_info_struct *si)
{
	struct swap_info_struct *pos;
	bool found = false;

	sw_spin_lock(&swap_avail_lock, "swap_avail_lock", SW_RANK_AVAIL);
	sw_list_for_each(pos, &swap_avail_head, avail_list)
		found |= pos == si;
	sw_spin_unlock(&swap_avail_lock);
	return found;
}

/* 16, 17, 20 and the sums of 11. */
static void check_device(struct check *c) SW_NO_TSA
{
	struct swap_info_struct *si = c->si;

	c->used = c->bad = c->cached = 0;
	swap_device_lock(si);
	mark_lists(c);
	swap_device_unlock(si);
	for (uint64_t i = 0; i < si->nr_clusters; i++) {
		struct swap_cluster_info *ci = &si->cluster_info[i];

		swap_cluster_lock(ci);
		check_cluster(c, ci);
		swap_cluster_unlock(ci);
	}
	if (swap_usage_in_pages(si) != c->used)
		broken(c, "usage %" PRIu64 ", but %" PRIu64 " slots in use",
		       swap_usage_in_pages(si), c->used);
	if (swap_usage_cached(si) != c->cached)
		broken(c, "%" PRIu64 " cached, but %" PRIu64 " PFN words",
		       swap_usage_cached(si), c->cached);
	if (si->pages != si->max - 1 - c->bad)
		broken(c,
		       "%" PRIu64 " pages, %" PRIu64 " slots, %" PRIu64 " bad",
		       si->pages, si->max, c->bad);
	if (!!(swap_flags(si) & SWP_OFFLIST) == on_avail_list(si))
		broken(c, "off-list bit and available list disagree");
	if ((swap_flags(si) & SWP_WRITEOK) && (swap_flags(si) & SWP_OFFLIST) &&
	    c->used != si->pages)
		broken(c, "off the available list, but not full");
	if (swap_device_users(si))
		broken(c, "%" PRId64 " references held", swap_device_users(si));
}

static void check_device_with_marks(struct check *c)
{
	c->on_list = calloc(c->si->nr_clusters, 1);
	c->on_order = calloc(c->si->nr_clusters, 1);
	if (c->on_list && c->on_order)
		check_device(c);
	else
		broken(c, "there is no memory to check it");
	free(c->on_list);
	free(c->on_order);
}

/* 19: cached clusters belong to live devices. */
static void check_percpu(struct check *c)
{
	c->si = NULL;
	for (unsigned cpu = 0; cpu < swap_nr_cpus; cpu++) {
		for (unsigned o = 0; o < SWAP_NR_ORDERS; o++) {
			swp_entry_t hint = { __atomic_load_n(
				&percpu_swap_cluster[cpu].hint[o],
				__ATOMIC_RELAXED) };

			/* The end of the tail cluster is beyond the device. */
			if (hint.val &&
			    swp_offset(hint) / SWAPFILE_CLUSTER >=
				    swap_info[swp_type(hint)].nr_clusters)
				broken(c, "cpu %u remembers a dead cluster",
				       cpu);
		}
	}
}

static unsigned check_all(struct check *c)
{
	struct sw_swap_totals t;
	uint64_t total = 0, free_pages = 0;

	swap_work_drain();
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		struct swap_info_struct *si = &swap_info[type];

		if (!(swap_flags(si) & SWP_USED))
			continue;
		c->si = si;
		check_device_with_marks(c);
		if (swap_flags(si) & SWP_WRITEOK) {
			total += si->pages;
			free_pages += si->pages - swap_usage_in_pages(si);
		} else {
			total += swap_usage_in_pages(si);
		}
	}
	check_percpu(c);
	si_swapinfo(&t);
	if (t.total_pages != total || t.free_pages != free_pages)
		broken(c,
		       "totals %" PRIu64 "/%" PRIu64
		       ", but devices say %" PRIu64 "/%" PRIu64,
		       t.free_pages, t.total_pages, free_pages, total);
	return c->broken;
}

unsigned swap_check(unsigned (*owners)(void *arg, swp_entry_t entry), void *arg)
{
	struct check c = { .out = stderr, .owners = owners, .arg = arg };

	return check_all(&c);
}

unsigned swap_check_to(FILE *out)
{
	struct check c = { .out = out };

	return check_all(&c);
}
