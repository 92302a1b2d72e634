/*
 * swap_paths.c - the hot paths of the swap layer and what each needs before
 * it. The first cluster of the device, which has the header and so never
 * falls empty, is filled at the beginning and plays no part.
 */
#include "swap_paths.h"

#define SLOTS      (1u << 20)
#define MAX_BATCH  20000u
#define HUGE_SLOTS (1u << SWAP_MAX_ORDER)
/* No more clusters fall empty between two clock readings than the pool of
 * tables takes, so that none is freed by another thread meanwhile. */
#define CLUSTERS 8u

static const struct swap_ops no_ops;
static unsigned device;
static swp_entry_t header_pins[SWAPFILE_CLUSTER];
static unsigned nr_header_pins;

/* What prepare() makes and run() works on. */
static struct folio *pin;
static struct folio *folios[MAX_BATCH];
static swp_entry_t entries[CLUSTERS];

void must(int err)
{
	SW_BUG_ON(err);
}

struct folio *new_folio(unsigned order)
{
	struct folio *folio = folio_alloc(order);

	SW_BUG_ON(!folio || !folio_trylock(folio));
	folio_set(folio, SW_FOLIO_UPTODATE);
	return folio;
}

void drop_folio(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

struct folio *cached_folio(unsigned order)
{
	struct folio *folio = new_folio(order);

	must(folio_alloc_swap(folio, 0));
	return folio;
}

swp_entry_t swapped_out(unsigned order)
{
	struct folio *folio = cached_folio(order);
	swp_entry_t entry = folio->swap;

	must(folio_dup_swap(folio, -1));
	swap_cache_del_folio(folio, 0);
	drop_folio(folio);
	return entry;
}

void cycle(struct folio *folio)
{
	must(folio_alloc_swap(folio, 0));
	must(folio_dup_swap(folio, -1));
	folio_put_swap(folio, -1);
	SW_BUG_ON(!folio_free_swap(folio));
}

static void free_and_drop(struct folio *folio)
{
	SW_BUG_ON(!folio_free_swap(folio));
	drop_folio(folio);
}

static swp_entry_t entry_add(swp_entry_t entry, unsigned n)
{
	return (swp_entry_t){ entry.val + n };
}

/* The next allocation of a slot finds no cluster of this CPU's. */
static void forget_hint(unsigned order)
{
	percpu_swap_cluster[swap_this_cpu()].hint[order] = 0;
}

unsigned bench_swapon(uint64_t slots, int prio)
{
	const struct swapon_spec spec = {
		.name = "bench",
		.ops = &no_ops,
		.max = slots,
		.prio = prio,
		.flags = SWP_SOLIDSTATE,
	};
	int type = swapon(&spec);

	SW_BUG_ON(type < 0);
	return type;
}

/* ---- one folio again and again ---- */

static void prepare_one(unsigned n)
{
	folios[0] = new_folio(0);
}

static void restore_one(unsigned n)
{
	drop_folio(folios[0]);
}

/* Others of its cluster are in use, as nearly always. */
static void prepare_beside(unsigned n)
{
	pin = cached_folio(0);
	prepare_one(n);
}

static void restore_beside(unsigned n)
{
	restore_one(n);
	free_and_drop(pin);
}

static void prepare_huge(unsigned n)
{
	folios[0] = new_folio(SWAP_MAX_ORDER);
}

static void run_cycles(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cycle(folios[0]);
}

/* ---- all out, then all in, as reclaim and faults do ---- */

static void prepare_stream(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		folios[i] = new_folio(0);
		folio_unlock(folios[i]);
	}
}

static void run_stream(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		folio_lock(folios[i]);
		must(folio_alloc_swap(folios[i], 0));
		must(folio_dup_swap(folios[i], -1));
		folio_unlock(folios[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		folio_lock(folios[i]);
		folio_put_swap(folios[i], -1);
		SW_BUG_ON(!folio_free_swap(folios[i]));
		folio_unlock(folios[i]);
	}
}

static void restore_stream(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		folio_put(folios[i]);
}

/* ---- whole clusters ---- */

static void prepare_clusters(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		entries[i] = swapped_out(SWAP_MAX_ORDER);
}

static void run_put_clusters(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		swap_put_entries_direct(entries[i], HUGE_SLOTS);
}

static void restore_nothing(unsigned n)
{
}

/* Of each of `n` clusters one slot is left, cached and unowned. */
static void prepare_last_slots(unsigned n)
{
	int err;

	prepare_clusters(n);
	for (unsigned i = 0; i < n; i++) {
		swap_put_entries_direct(entry_add(entries[i], 1),
					HUGE_SLOTS - 1);
		folios[i] =
			swap_cache_alloc_folio(entries[i], 1, NULL, NULL, &err);
		SW_BUG_ON(!folios[i]);
		swap_put_entries_direct(entries[i], 1);
	}
}

static void run_free(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		SW_BUG_ON(!folio_free_swap(folios[i]));
}

static void restore_last_slots(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		drop_folio(folios[i]);
}

/* ---- allocation off the fast path ---- */

static void prepare_folios(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		folios[i] = new_folio(0);
}

static void run_alloc_slow(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		forget_hint(0);
		must(folio_alloc_swap(folios[i], 0));
	}
}

static void restore_allocated(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free_and_drop(folios[i]);
}

static swp_entry_t pages[CLUSTERS * SWAPFILE_CLUSTER];

/* Clusters of single slots of which the last alone is free. */
static void prepare_last_free(unsigned n)
{
	forget_hint(0);
	for (unsigned i = 0; i < n * SWAPFILE_CLUSTER; i++)
		pages[i] = swapped_out(0);
	for (unsigned i = SWAPFILE_CLUSTER - 1; i < n * SWAPFILE_CLUSTER;
	     i += SWAPFILE_CLUSTER)
		swap_put_entries_direct(pages[i], 1);
	prepare_folios(n);
}

static void restore_last_free(unsigned n)
{
	restore_allocated(n);
	for (unsigned i = 0; i < n * SWAPFILE_CLUSTER; i++)
		if ((i + 1) % SWAPFILE_CLUSTER)
			swap_put_entries_direct(pages[i], 1);
}

#define STEAL_ORDER    4u
#define STEAL_CLUSTERS (CLUSTERS + 1)

static unsigned steal_device;
static swp_entry_t full_of[STEAL_CLUSTERS * (SWAPFILE_CLUSTER >> STEAL_ORDER)];
static unsigned nr_full_of;

/* A device of its own, before all others, filled by folios of one order; the
 * first of each cluster is gone again. */
static void prepare_steal(unsigned n)
{
	const unsigned nr = 1u << STEAL_ORDER;

	steal_device = bench_swapon(STEAL_CLUSTERS * SWAPFILE_CLUSTER, 1);
	forget_hint(STEAL_ORDER);
	forget_hint(0);
	for (nr_full_of = 0;
	     nr_full_of < CLUSTERS * (SWAPFILE_CLUSTER >> STEAL_ORDER);
	     nr_full_of++)
		full_of[nr_full_of] = swapped_out(STEAL_ORDER);
	for (unsigned i = 0; i < SWAPFILE_CLUSTER - 1; i++)
		must(swp_type(swapped_out(0)) != steal_device);
	for (unsigned i = 0; i < nr_full_of; i++)
		if (!(swp_offset(full_of[i]) % SWAPFILE_CLUSTER))
			swap_put_entries_direct(full_of[i], nr);
	prepare_folios(n);
}

static int unuse_steal(void *arg, unsigned type)
{
	for (unsigned i = 0; i < nr_full_of; i++)
		if (swp_offset(full_of[i]) % SWAPFILE_CLUSTER)
			swap_put_entries_direct(full_of[i], 1u << STEAL_ORDER);
	/* The cluster of the header: 511 single slots. */
	swap_put_entries_direct(swp_entry(type, 1), SWAPFILE_CLUSTER - 1);
	return 0;
}

static void restore_steal(unsigned n)
{
	restore_allocated(n);
	must(swapoff(steal_device, unuse_steal, NULL));
}

/* ---- entries without a folio, and the cache ---- */

static void prepare_entry(unsigned n)
{
	entries[0] = swapped_out(0);
}

static void restore_entry(unsigned n)
{
	swap_put_entries_direct(entries[0], 1);
}

static void run_has_folio(unsigned n)
{
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++)
		found += swap_cache_has_folio(entries[0]);
	SW_BUG_ON(found);
}

static void prepare_cached(unsigned n)
{
	folios[0] = cached_folio(0);
}

static void restore_cached(unsigned n)
{
	free_and_drop(folios[0]);
}

static void run_get_folio(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		folio_put(swap_cache_get_folio(folios[0]->swap));
}

static void run_dup_put(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		must(swap_dup_entry_direct(entries[0]));
		swap_put_entries_direct(entries[0], 1);
	}
}

static void run_swapin(unsigned n)
{
	int err;

	for (unsigned i = 0; i < n; i++) {
		struct folio *folio =
			swap_cache_alloc_folio(entries[0], 1, NULL, NULL, &err);

		swap_cache_del_folio(folio, 0);
		drop_folio(folio);
	}
}

/* ---- all of them ---- */

const struct swap_path swap_paths[] = {
	{ "one_slot", "alloc+dup+put+free, 1 slot, cluster in use", 20000, 1,
	  100, prepare_beside, run_cycles, restore_beside },
	{ "one_slot_alone", "alloc+dup+put+free, 1 slot, cluster falls empty",
	  20000, 1, 0, prepare_one, run_cycles, restore_one },
	{ "stream", "alloc+dup+put+free, stream of 20000 (with locks)", 20000,
	  1, 0, prepare_stream, run_stream, restore_stream },
	{ "huge", "alloc+dup+put+free of 512 slots", 400, HUGE_SLOTS, 3,
	  prepare_huge, run_cycles, restore_one },
	{ "put_512", "direct put of 512 adjacent uncached slots", CLUSTERS, 1,
	  1000, prepare_clusters, run_put_clusters, restore_nothing },
	{ "has_folio", "lookup: has_folio", 20000, 1, 5, prepare_entry,
	  run_has_folio, restore_entry },
	{ "get_folio", "lookup: get_folio + put", 20000, 1, 0, prepare_cached,
	  run_get_folio, restore_cached },
	{ "dup_put", "direct dup + put of one entry", 20000, 1, 0,
	  prepare_entry, run_dup_put, restore_entry },
	{ "swapin", "insert at swap-in + remove, with folio", 20000, 1, 0,
	  prepare_entry, run_swapin, restore_entry },
	{ "free_last", "free of one slot, cluster falls empty", CLUSTERS, 1, 0,
	  prepare_last_slots, run_free, restore_last_slots },
	{ "next_cluster", "alloc of one slot, in a new cluster", CLUSTERS, 1, 0,
	  prepare_folios, run_alloc_slow, restore_allocated },
	{ "last_free", "alloc of the last free slot of a cluster", CLUSTERS, 1,
	  0, prepare_last_free, run_alloc_slow, restore_last_free },
	{ "steal", "alloc of one slot, from a larger order", CLUSTERS, 1, 0,
	  prepare_steal, run_alloc_slow, restore_steal },
};
const unsigned nr_swap_paths = SW_ARRAY_SIZE(swap_paths);

void swap_path_run(const struct swap_path *path)
{
	path->run(path->batch);
}

void swap_paths_open(unsigned nr_cpus)
{
	must(folio_pool_init(1 << 20, NULL));
	must(swap_init());
	if (nr_cpus)
		swap_nr_cpus = sw_min(swap_nr_cpus, nr_cpus);
	device = bench_swapon(SLOTS, 0);
	nr_header_pins = 0;
	while (swp_offset(header_pins[nr_header_pins] = swapped_out(0)) <
	       SWAPFILE_CLUSTER)
		nr_header_pins++;
	swap_put_entries_direct(header_pins[nr_header_pins], 1);
}

void swap_paths_close(void)
{
	while (nr_header_pins)
		swap_put_entries_direct(header_pins[--nr_header_pins], 1);
	must(swapoff(device, NULL, NULL));
	swap_exit();
	folio_pool_release();
}
