/*
 * model_swap.c - random operations on the swap layer against the most naive
 * model there is: a few arrays. Every return value is predicted or judged,
 * every word compared, every invariant walked after each step. The seed is
 * printed; give it back to see the same run again:
 *
 *      model_swap [seed [steps]]
 *
 * The model does not predict which slot an allocation takes, only that it was
 * free; nor which unowned cached folios the allocator takes back, only that
 * each had no owner.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "swap/cluster.h"
#include "swap/swap_mem.h"

#define CL       SWAPFILE_CLUSTER
#define DEVICES  3
#define CLUSTERS 6
#define SLOTS    (CLUSTERS * CL)
#define FOLIOS   96
#define GROUPS   4

static struct {
	bool exists, bad, zero;
	unsigned count;
	int folio; /* index or -1 */
	uint64_t shadow;
	unsigned group;
} slots[DEVICES][SLOTS];

static struct {
	struct folio *folio; /* NULL: unused */
	unsigned order;
	bool cached, mapped;
	swp_entry_t entry;
	unsigned group;
} folios[FOLIOS];

static uint64_t dev_max[DEVICES]; /* 0: off */
static uint64_t rng, seed, step;
static bool fail_tables;
static unsigned hooked;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

#define EXPECT(cond)                                                    \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr,                                 \
				"model: seed %" PRIu64 " step %" PRIu64 \
				": %s:%d: %s\n",                        \
				seed, step, __FILE__, __LINE__, #cond); \
			swap_dump(0), swap_dump(1), swap_dump(2);       \
			abort();                                        \
		}                                                       \
	} while (0)

#define S(e) slots[swp_type(e)][swp_offset(e)]

static swp_entry_t nth(swp_entry_t e, unsigned i)
{
	return (swp_entry_t){ e.val + i };
}

static bool may_alloc(void *arg, const char *what)
{
	return !fail_tables || strcmp(what, "extend table") != 0;
}

static void on_reclaim(struct folio *folio)
{
	EXPECT(folio_is_locked(folio));
	hooked++;
}

static void forget_slot(swp_entry_t e)
{
	S(e).count = 0;
	S(e).folio = -1;
	S(e).shadow = 0;
	S(e).zero = false;
	S(e).group = 0;
}

static unsigned model_owners(void *arg, swp_entry_t e)
{
	return S(e).count;
}

static bool unowned(int f)
{
	for (unsigned i = 0; i < 1u << folios[f].order; i++)
		if (S(nth(folios[f].entry, i)).count)
			return false;
	return true;
}

/* The folio left the cache: its slots keep their owners or fall free. */
static void model_uncache(int f, uint64_t shadow)
{
	for (unsigned i = 0; i < 1u << folios[f].order; i++) {
		swp_entry_t e = nth(folios[f].entry, i);

		S(e).folio = -1;
		S(e).shadow = shadow;
		if (!S(e).count)
			forget_slot(e);
	}
	folios[f].cached = false;
}

/* Folios the allocator took: only those without an owner. */
static void resync_reclaimed(void)
{
	for (int f = 0; f < FOLIOS; f++) {
		if (!folios[f].folio || !folios[f].cached ||
		    folio_test(folios[f].folio, SW_FOLIO_SWAPCACHE))
			continue;
		EXPECT(unowned(f));
		EXPECT(folio_test(folios[f].folio, SW_FOLIO_DIRTY));
		model_uncache(f, 0);
	}
}

static void compare(void)
{
	for (unsigned d = 0; d < DEVICES; d++) {
		uint64_t used = 0;

		for (uint64_t o = 0; o < dev_max[d]; o++) {
			swp_entry_t e = swp_entry(d, o);
			struct swap_cluster_info *ci =
				__swap_offset_to_cluster(&swap_info[d], o);
			uint64_t w = swap_table_get(ci, o % CL);

			if (S(e).bad) {
				EXPECT(swp_tb_is_bad(w));
				continue;
			}
			if (S(e).folio >= 0) {
				EXPECT(swp_tb_is_folio(w));
				EXPECT(swp_tb_to_folio(w) ==
				       folios[S(e).folio].folio);
			} else if (S(e).count) {
				EXPECT(swp_tb_is_shadow(w));
				EXPECT(swp_tb_to_shadow(w) == S(e).shadow);
			} else {
				EXPECT(w == 0);
			}
			used += w != 0;
			EXPECT(swp_tb_get_count(w) ==
			       (int)sw_min(S(e).count, SWP_TB_COUNT_MAX));
			if (w) {
				EXPECT(__swap_cluster_zero_test(ci, o % CL) ==
				       S(e).zero);
				EXPECT(ci->table->ids[o % CL] == S(e).group);
			}
		}
		EXPECT(!dev_max[d] ||
		       used == swap_usage_in_pages(&swap_info[d]));
	}
	EXPECT(swap_check(model_owners, NULL) == 0);
}

/* ---- operations ---- */

static int pick_folio(bool cached)
{
	unsigned start = rnd(FOLIOS);

	for (unsigned i = 0; i < FOLIOS; i++) {
		int f = (start + i) % FOLIOS;

		if (folios[f].folio && folios[f].cached == cached)
			return f;
	}
	return -1;
}

static int unused_folio(void)
{
	for (int f = 0; f < FOLIOS; f++)
		if (!folios[f].folio)
			return f;
	return -1;
}

static void op_alloc(void)
{
	int f = unused_folio();
	struct folio *folio;
	unsigned order;
	int err;

	if (f < 0)
		return;
	order = rnd(3) ? 0 : rnd(SWAP_MAX_ORDER + 1);
	folio = folio_alloc(order);
	EXPECT(folio);
	folio_lock(folio);
	folio_set(folio, SW_FOLIO_UPTODATE);
	folios[f].folio = folio;
	folios[f].order = order;
	folios[f].cached = false;
	folios[f].mapped = false;
	folios[f].group = rnd(GROUPS);
	err = folio_alloc_swap(folio, folios[f].group);
	resync_reclaimed();
	if (err) {
		EXPECT(err == -ENOMEM);
		for (unsigned d = 0; d < DEVICES && !order; d++)
			for (uint64_t o = 0; o < dev_max[d]; o++)
				EXPECT(slots[d][o].bad || slots[d][o].count ||
				       (slots[d][o].folio >= 0 &&
					!unowned(slots[d][o].folio)));
	} else {
		EXPECT(folio_test(folio, SW_FOLIO_SWAPCACHE));
		EXPECT(!(folio->swap.val & ((1u << order) - 1)));
		folios[f].cached = true;
		folios[f].entry = folio->swap;
		for (unsigned i = 0; i < 1u << order; i++) {
			swp_entry_t e = nth(folio->swap, i);

			EXPECT(swp_offset(e) < dev_max[swp_type(e)]);
			EXPECT(!S(e).bad && !S(e).count && S(e).folio < 0);
			S(e).folio = f;
			S(e).group = folios[f].group;
		}
	}
	folio_unlock(folio);
}

static void op_dup_folio(void)
{
	int f = pick_folio(true), page, err;
	unsigned first, n;
	bool overflow = false;

	if (f < 0)
		return;
	page = rnd(2) ? -1 : (int)rnd(1u << folios[f].order);
	first = page < 0 ? 0 : page;
	n = page < 0 ? 1u << folios[f].order : 1;
	for (unsigned i = first; i < first + n; i++)
		if (S(nth(folios[f].entry, i)).count + 1 >= SWP_TB_COUNT_MAX)
			overflow = true;
	folio_lock(folios[f].folio);
	err = folio_dup_swap(folios[f].folio, page);
	folio_unlock(folios[f].folio);
	EXPECT(!err || (err == -ENOMEM && fail_tables && overflow));
	for (unsigned i = first; !err && i < first + n; i++)
		S(nth(folios[f].entry, i)).count++;
}

static void op_put_folio(void)
{
	int f = pick_folio(true), page;
	swp_entry_t e;

	if (f < 0)
		return;
	page = rnd(1u << folios[f].order);
	e = nth(folios[f].entry, page);
	if (!S(e).count)
		return;
	folio_lock(folios[f].folio);
	folio_put_swap(folios[f].folio, page);
	folio_unlock(folios[f].folio);
	S(e).count--;
}

static void op_free_swap(void)
{
	int f = pick_folio(true);
	bool freed;

	if (f < 0)
		return;
	folio_lock(folios[f].folio);
	freed = folio_free_swap(folios[f].folio);
	folio_unlock(folios[f].folio);
	EXPECT(freed == unowned(f));
	if (freed)
		model_uncache(f, 0);
}

static void op_uncache(void)
{
	int f = pick_folio(true);
	uint64_t shadow = rnd(1000);

	if (f < 0)
		return;
	folio_lock(folios[f].folio);
	swap_cache_del_folio(folios[f].folio, shadow);
	folio_unlock(folios[f].folio);
	model_uncache(f, shadow);
}

static void op_drop(void)
{
	int f = pick_folio(false);

	if (f < 0)
		return;
	folio_put(folios[f].folio);
	folios[f].folio = NULL;
}

static void op_map(void)
{
	int f = pick_folio(rnd(2));

	if (f < 0)
		return;
	folio_lock(folios[f].folio);
	folios[f].mapped = !folios[f].mapped;
	if (folios[f].mapped)
		folio_set(folios[f].folio, SW_FOLIO_MAPPED);
	else
		folio_clear(folios[f].folio, SW_FOLIO_MAPPED);
	folio_unlock(folios[f].folio);
}

static swp_entry_t random_owned(void)
{
	for (unsigned tries = 0; tries < 200; tries++) {
		unsigned d = rnd(DEVICES);
		swp_entry_t e;

		if (!dev_max[d])
			continue;
		e = swp_entry(d, rnd(dev_max[d]));
		if (S(e).count)
			return e;
	}
	return (swp_entry_t){ 0 };
}

static void op_dup_direct(void)
{
	swp_entry_t e = random_owned();
	unsigned times = rnd(4) ? 1 : rnd(2 * SWP_TB_COUNT_MAX);

	while (e.val && times--) {
		int err = swap_dup_entry_direct(e);

		if (err) {
			EXPECT(err == -ENOMEM && fail_tables &&
			       S(e).count + 1 >= SWP_TB_COUNT_MAX);
			EXPECT(swap_retry_table_alloc(e) == -ENOMEM);
			return;
		}
		S(e).count++;
	}
}

static void op_put_direct(void)
{
	swp_entry_t e = random_owned();
	unsigned nr = 0, want = 1 + rnd(2 * CL);

	if (!e.val)
		return;
	while (nr < want && swp_offset(nth(e, nr)) < dev_max[swp_type(e)] &&
	       S(nth(e, nr)).count)
		nr++;
	swap_put_entries_direct(e, nr);
	for (unsigned i = 0; i < nr; i++) {
		swp_entry_t x = nth(e, i);

		if (!--S(x).count && S(x).folio < 0)
			forget_slot(x);
	}
	/* Cached slots that lost their last owner go with their folio, unless
	 * a program has the page or another slot of it is owned. */
	for (unsigned i = 0; i < nr; i++) {
		int f = S(nth(e, i)).folio;

		if (f < 0 || S(nth(e, i)).count || !unowned(f))
			continue;
		EXPECT(folio_test(folios[f].folio, SW_FOLIO_SWAPCACHE) ==
		       folios[f].mapped);
		if (!folios[f].mapped)
			model_uncache(f, 0);
	}
}

/* What swap_cache_alloc_folio() must answer at one order. */
static int predict_insert(swp_entry_t e, unsigned order)
{
	swp_entry_t first = { e.val & ~((1ULL << order) - 1) };

	if (S(e).folio >= 0)
		return -EEXIST;
	if (S(e).bad || !S(e).count)
		return -ENOENT;
	for (unsigned i = 0; order && i < 1u << order; i++) {
		swp_entry_t x = nth(first, i);

		if (swp_offset(x) >= dev_max[swp_type(x)] || S(x).bad ||
		    S(x).folio >= 0 || !S(x).count || S(x).zero != S(e).zero ||
		    S(x).group != S(e).group)
			return -EBUSY;
	}
	return 0;
}

static void op_swapin(void)
{
	unsigned d = rnd(DEVICES), order = 0;
	uint32_t orders = rnd(1u << (SWAP_MAX_ORDER + 1));
	int f = unused_folio(), err = 0, want = -EINVAL;
	struct folio *folio;
	uint64_t shadow = 0;
	bool zero = false;
	swp_entry_t e;

	if (f < 0 || !dev_max[d])
		return;
	e = swp_entry(d, rnd(dev_max[d]));
	if (rnd(4)) {
		e = random_owned();
		if (!e.val)
			return;
	}
	if (!orders)
		orders = 1;
	for (int o = SWAP_MAX_ORDER; o >= 0; o--) {
		if (!(orders & 1u << o))
			continue;
		want = predict_insert(e, o);
		order = o;
		if (want != -EBUSY)
			break;
	}
	folio = e.val ? swap_cache_alloc_folio(e, orders, &shadow, &zero, &err)
		      : NULL;
	if (!e.val)
		return;
	EXPECT(!folio == !!want);
	if (!folio) {
		EXPECT(err == want);
		return;
	}
	EXPECT(folio->order == order);
	EXPECT(shadow == S(e).shadow && zero == S(e).zero);
	EXPECT(folio_is_locked(folio) && folio_matches_swap_entry(folio, e));
	folio_set(folio, SW_FOLIO_UPTODATE);
	folios[f].folio = folio;
	folios[f].order = order;
	folios[f].cached = true;
	folios[f].mapped = false;
	folios[f].group = S(e).group;
	folios[f].entry.val = e.val & ~((1ULL << order) - 1);
	for (unsigned i = 0; i < 1u << order; i++) {
		S(nth(folios[f].entry, i)).folio = f;
		S(nth(folios[f].entry, i)).shadow = 0;
	}
	folio_unlock(folio);
}

static void op_zero(void)
{
	int f = pick_folio(true);
	bool zero = rnd(2);

	if (f < 0)
		return;
	folio_lock(folios[f].folio);
	if (zero)
		swap_zeromap_folio_set(folios[f].folio);
	else
		swap_zeromap_folio_clear(folios[f].folio);
	folio_unlock(folios[f].folio);
	for (unsigned i = 0; i < 1u << folios[f].order; i++)
		S(nth(folios[f].entry, i)).zero = zero;
}

static void op_lookup(void)
{
	unsigned d = rnd(DEVICES);
	swp_entry_t e = swp_entry(d, rnd(SLOTS + 10));
	bool there = swp_offset(e) < dev_max[d] && e.val;
	struct folio *folio = swap_cache_get_folio(e);

	EXPECT(!folio == !(there && S(e).folio >= 0));
	EXPECT(swap_cache_has_folio(e) == !!folio);
	if (folio) {
		EXPECT(folio == folios[S(e).folio].folio);
		folio_put(folio);
	}
	EXPECT(swp_swapcount(e) == (there ? S(e).count : 0));
	EXPECT(swap_zeromap_test(e) == (there && S(e).zero));
	if (there && S(e).folio < 0)
		EXPECT(swap_cache_get_shadow(e) == S(e).shadow);
}

/* ---- devices ---- */

static const struct swap_ops no_ops;

static void device_on(unsigned d)
{
	uint64_t bad[8];
	struct swapon_spec spec = {
		.name = "model",
		.ops = &no_ops,
		.max = 2 + rnd(SLOTS - 1),
		.prio = (int)rnd(2),
		.flags = rnd(4) ? SWP_SOLIDSTATE : 0,
		.bad = bad,
	};

	memset(slots[d], 0, sizeof(slots[d]));
	for (uint64_t o = 0; o < SLOTS; o++)
		slots[d][o].folio = -1;
	slots[d][0].bad = true;
	for (uint64_t o = 1;
	     o < spec.max && spec.nr_bad < 8 && spec.nr_bad + 2 < spec.max;
	     o += 1 + rnd(CL))
		if (rnd(2)) {
			bad[spec.nr_bad++] = o;
			slots[d][o].bad = true;
		}
	EXPECT(swapon(&spec) == (int)d);
	dev_max[d] = spec.max;
}

/* Brings every slot of the device in and drops it. */
static int model_unuse(void *arg, unsigned d)
{
	for (uint64_t o = 1; o < dev_max[d]; o++) {
		swp_entry_t e = swp_entry(d, o);

		if (!S(e).count)
			continue;
		swap_put_entries_direct(e, 1);
		if (!--S(e).count && S(e).folio < 0)
			forget_slot(e);
	}
	return 0;
}

static int refuse_unuse(void *arg, unsigned d)
{
	return -EINTR;
}

static void op_device(void)
{
	unsigned d = rnd(DEVICES);

	if (rnd(50))
		return;
	if (!dev_max[d]) {
		device_on(0);
		for (unsigned i = 1; i < DEVICES; i++)
			if (!dev_max[i])
				device_on(i);
		return;
	}
	if (rnd(2)) {
		int err = swapoff(d, refuse_unuse, NULL);

		resync_reclaimed();
		EXPECT(err == 0 || err == -EINTR);
		if (!err)
			dev_max[d] = 0;
	} else {
		EXPECT(swapoff(d, model_unuse, NULL) == 0);
		resync_reclaimed();
		dev_max[d] = 0;
	}
	if (!dev_max[d])
		device_on(d);
}

static void (*const ops[])(void) = {
	op_alloc,      op_alloc,      op_alloc,      op_alloc,     op_dup_folio,
	op_dup_folio,  op_dup_folio,  op_put_folio,  op_free_swap, op_uncache,
	op_uncache,    op_drop,       op_drop,       op_drop,      op_map,
	op_dup_direct, op_put_direct, op_put_direct, op_swapin,    op_swapin,
	op_zero,       op_lookup,     op_device,
};

int main(int argc, char **argv)
{
	uint64_t steps = argc > 2 ? strtoull(argv[2], NULL, 0)
				  : (CL < 512 ? 200000 : 20000);

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : sw_now_ns();
	rng = seed * 0x9e3779b97f4a7c15ULL | 1;
	printf("model: seed %" PRIu64 ", %" PRIu64 " steps, clusters of %u\n",
	       seed, steps, CL);
	fflush(stdout);
	EXPECT(folio_pool_init(4096, NULL) == 0);
	EXPECT(swap_init() == 0);
	swap_work_set_manual(true);
	swap_set_alloc_hook(may_alloc, NULL);
	swap_set_reclaim_hook(on_reclaim);
	for (unsigned d = 0; d < DEVICES; d++)
		device_on(d);
	for (step = 0; step < steps; step++) {
		if (!rnd(20))
			fail_tables = !rnd(3);
		swap_pretend_cpu(rnd(swap_nr_cpus));
		ops[rnd(SW_ARRAY_SIZE(ops))]();
		if (CL < 512 || step % 32 == 0)
			compare();
	}
	compare();
	for (unsigned d = 0; d < DEVICES; d++) {
		EXPECT(swapoff(d, model_unuse, NULL) == 0);
		dev_max[d] = 0;
	}
	resync_reclaimed();
	for (int f = 0; f < FOLIOS; f++)
		if (folios[f].folio)
			folio_put(folios[f].folio);
	EXPECT(folio_pool_in_use() == 0);
	swap_exit();
	printf("model: %u folios were taken back from programs\n", hooked);
	return 0;
}
