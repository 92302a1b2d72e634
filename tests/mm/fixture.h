/*
 * fixture.h - what the tests of the memory manager share: a session without
 * its threads. One swap device on a store that can fail, one machine of
 * simulated spaces, one program, and an end that checks all invariants.
 *
 * Nothing is evicted unless a test says so: the budget is far away by default
 * and reclaim runs in steps, in the thread of the test.
 */
#ifndef SW_MM_FIXTURE_H
#define SW_MM_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mm/mm_internal.h"
#include "mmu/sim.h"
#include "sim_heat.h"

#define PG       SW_PAGE_SIZE
#define FX_BASE  (0x40000000ull - 128 * PG) /* leaves have a border inside */
#define FX_PAGES 4096u
#define FX_SLOTS 4096u

/* ---- a store of plain pages that may fail ---- */

struct fx_store {
	uint64_t (*page)[SW_PAGE_SIZE / 8];
	bool *used;
	uint64_t slots;
	unsigned fail_read, fail_write; /* the nth from now, 0: none */
	bool fail_reads, fail_writes;   /* all of them */
	bool stays;                     /* after the nth, too */
	int read_err, write_err;        /* how; 0: -EIO */
	uint64_t bad_slot;              /* cannot be written; 0: none */
	uint64_t lost_slot;             /* cannot be read; 0: none */
	uint64_t reads, writes;         /* pages */
	uint64_t read_calls, write_calls;
	/* Called before each, with nothing held, or NULL. What is to happen
	 * once takes itself out. */
	void (*before_read)(struct fx_store *st, uint64_t offset);
	void (*before_write)(struct fx_store *st, uint64_t offset);
	uint64_t write_runs;    /* of slots that follow each other */
	uint64_t write_end;     /* of the last one */
	uint64_t batches;       /* calls for many at once, */
	unsigned longest_batch; /* in pieces: the longest, */
	bool disorder;          /* and one was not in the order of slots */
	unsigned late_batches;  /* so many have no answer to a read */
	void (*in_batch)(void *arg, bool write); /* by each batch, or NULL */
	void *arg;
	pthread_mutex_t lock;
};

static inline bool fx_is_nth(unsigned *n)
{
	return *n && !--*n;
}

static inline int fx_store_write(void *arg, uint64_t offset, unsigned nr,
				 const void *pages)
{
	struct fx_store *st = arg;
	int err = 0;

	if (st->before_write)
		st->before_write(st, offset);
	pthread_mutex_lock(&st->lock);
	SW_BUG_ON(offset + nr > st->slots);
	st->write_calls++;
	st->write_runs += offset != st->write_end;
	st->write_end = offset + nr;
	if (fx_is_nth(&st->fail_write)) {
		err = st->write_err ? st->write_err : -EIO;
		st->fail_writes = st->stays;
	}
	if (st->fail_writes ||
	    (st->bad_slot >= offset && st->bad_slot < offset + nr))
		err = st->write_err ? st->write_err : -EIO;
	for (unsigned i = 0; !err && i < nr; i++) {
		memcpy(st->page[offset + i], (const char *)pages + i * PG, PG);
		st->used[offset + i] = true;
		st->writes++;
	}
	pthread_mutex_unlock(&st->lock);
	return err;
}

static inline int fx_store_read(void *arg, uint64_t offset, unsigned nr,
				void *pages)
{
	struct fx_store *st = arg;
	int err = 0;

	if (st->before_read)
		st->before_read(st, offset);
	pthread_mutex_lock(&st->lock);
	SW_BUG_ON(offset + nr > st->slots);
	st->read_calls++;
	if (fx_is_nth(&st->fail_read) || st->fail_reads ||
	    (st->lost_slot >= offset && st->lost_slot < offset + nr))
		err = st->read_err ? st->read_err : -EIO;
	for (unsigned i = 0; !err && i < nr; i++) {
		if (!st->used[offset + i])
			err = -EIO;
		memcpy((char *)pages + i * PG, st->page[offset + i], PG);
		st->reads++;
	}
	pthread_mutex_unlock(&st->lock);
	return err;
}

/* What was freed must not be read again: it is overwritten. */
static inline void fx_store_free(void *arg, uint64_t offset, unsigned nr)
{
	struct fx_store *st = arg;

	pthread_mutex_lock(&st->lock);
	for (unsigned i = 0; i < nr; i++) {
		st->used[offset + i] = false;
		st->page[offset + i][0] = 0xdeadull << 48;
	}
	pthread_mutex_unlock(&st->lock);
}

static inline void fx_store_batch(void *arg, bool write, struct swap_io *io,
				  unsigned nr)
{
	struct fx_store *st = arg;

	pthread_mutex_lock(&st->lock);
	st->batches++;
	st->longest_batch = sw_max(st->longest_batch, nr);
	for (unsigned i = 1; i < nr; i++)
		st->disorder |=
			io[i - 1].entry.val + io[i - 1].nr > io[i].entry.val;
	pthread_mutex_unlock(&st->lock);
	if (st->in_batch)
		st->in_batch(st->arg, write);
	if (!write && st->late_batches) {
		st->late_batches--;
		for (unsigned i = 0; i < nr; i++)
			io[i].err = -EINPROGRESS;
		return;
	}
	for (unsigned i = 0; i < nr; i++) {
		uint64_t offset = swp_offset(io[i].entry);

		io[i].err = write ? fx_store_write(st, offset, io[i].nr,
						   io[i].pages)
				  : fx_store_read(st, offset, io[i].nr,
						  io[i].pages);
	}
}

static const struct swap_ops fx_store_ops = {
	.write = fx_store_write,
	.read = fx_store_read,
	.slot_free = fx_store_free,
};

static const struct swap_ops fx_batch_ops = {
	.write = fx_store_write,
	.read = fx_store_read,
	.slot_free = fx_store_free,
	.batch = fx_store_batch,
};

/* As compressed memory is. */
static const struct swap_ops fx_memory_ops = {
	.write = fx_store_write,
	.read = fx_store_read,
	.slot_free = fx_store_free,
	.in_memory = true,
};

/* What is turned on from now on takes many slots at once, as a disk does. */
static bool fx_batches;
static bool fx_in_memory;
static unsigned fx_device_flags = SWP_SOLIDSTATE;

static inline int fx_swapon(const struct swap_ops *ops, void *store,
			    uint64_t slots, int prio)
{
	struct swapon_spec spec = {
		.name = "test",
		.ops = ops,
		.store = store,
		.max = slots + 1,
		.prio = prio,
		.flags = fx_device_flags | (ops->batch ? SWP_CLUSTERED : 0),
	};
	int type = swapon(&spec);

	SW_BUG_ON(type < 0);
	return type;
}

/* Turns a device on, with what the store got when it was first on. */
static inline int fx_store_on(struct fx_store *st, uint64_t slots, int prio)
{
	if (!st->page) {
		st->page = calloc(slots + 1, PG);
		st->used = calloc(slots + 1, 1);
		st->slots = slots + 1;
		pthread_mutex_init(&st->lock, NULL);
	}
	return fx_swapon(fx_batches     ? &fx_batch_ops
			 : fx_in_memory ? &fx_memory_ops
					: &fx_store_ops,
			 st, slots, prio);
}

static inline void fx_store_release(struct fx_store *st)
{
	if (!st->page)
		return;
	pthread_mutex_destroy(&st->lock);
	free(st->page);
	free(st->used);
}

/* ---- the session ---- */

struct fx {
	struct fx_store store;
	struct sw_sim_machine *machine;
	struct sw_mm_host host;
	struct sw_mm *mm;
	struct sw_sim *sim;     /* of the first program */
	struct sw_space *space; /* the same, as mm sees it */
	int type;               /* of the device, -1: it is off */
	uint64_t slots;
	struct fx_store other; /* of a second one, which is off at first */
	int other_type;
	bool threaded;
	unsigned born; /* [atomic] children whose events are read */
};

static inline struct sw_mmu *fx_forked(void *arg, struct sw_space *parent,
				       struct sw_space *child, int fd)
{
	struct fx *f = arg;

	(void)parent;
	return sw_sim_mmu(sw_sim_adopt(f->machine, fd, &sw_mm_client, child));
}

static inline void fx_forked_ready(void *arg, struct sw_space *child)
{
	struct fx *f = arg;

	if (f->threaded)
		SW_BUG_ON(sw_sim_start(sw_sim_of(sw_space_mmu(child))));
	__atomic_fetch_add(&f->born, 1, __ATOMIC_RELEASE);
}

static inline uint64_t fx_delta(struct fx *f, enum sw_counter c)
{
	static uint64_t seen[SW_NR_COUNTERS];
	uint64_t now = sw_counter_read(c), delta = now - seen[c];

	(void)f;
	seen[c] = now;
	return delta;
}

/* How often it was counted since this was last asked. */
#define fx_counted(f, name) fx_delta(f, SW_CTR_##name)

/* The space has room for so many pages. On the store of the fixture, or, unless
 * `ops` is NULL, on another one. */
static inline void fx_open_on(struct fx *f, uint64_t budget, uint64_t slots,
			      unsigned pages, const struct swap_ops *ops,
			      void *store)
{
	struct sw_mm_config config = { .budget_pages = budget,
				       .host = &f->host };

	*f = (struct fx){ .host = { fx_forked, NULL, fx_forked_ready, f },
			  .slots = slots,
			  .other_type = -1 };
	SW_BUG_ON(swap_init());
	f->type = ops ? fx_swapon(ops, store, slots, -1)
		      : fx_store_on(&f->store, slots, -1);
	f->machine = sw_sim_machine_new();
	f->mm = sw_mm_new(&config);
	SW_BUG_ON(!f->mm || !f->machine);
	f->space = sw_space_new(f->mm);
	f->sim =
		sw_sim_new(f->machine, FX_BASE, pages, &sw_mm_client, f->space);
	sw_space_set_mmu(f->space, sw_sim_mmu(f->sim));
	sw_space_attach(f->space);
	for (enum sw_counter c = 0; c < SW_NR_COUNTERS; c++)
		fx_delta(f, c);
}

static inline void fx_open_space(struct fx *f, uint64_t budget, uint64_t slots,
				 unsigned pages)
{
	fx_open_on(f, budget, slots, pages, NULL, NULL);
}

static inline void fx_open_sized(struct fx *f, uint64_t budget, uint64_t slots)
{
	fx_open_space(f, budget, slots, FX_PAGES);
}

static inline void fx_open(struct fx *f)
{
	fx_open_sized(f, 1 << 20, FX_SLOTS);
}

/* No folio is large from now on, as in a small budget. */
static inline void fx_keep_small(struct fx *f)
{
	f->mm->staging.target = 0;
}

static inline uint64_t fx_slots_used(struct fx *f)
{
	struct sw_swap_device_info info;
	uint64_t used = 0;

	if (f->type >= 0 && swap_device_info(f->type, &info))
		used += info.used;
	if (f->other_type >= 0 && swap_device_info(f->other_type, &info))
		used += info.used;
	return used;
}

/* The end of a program. */
static inline void fx_end(struct sw_sim *sim)
{
	struct sw_space *space = sim ? sw_sim_mmu(sim)->space : NULL;

	if (!sim)
		return;
	sw_sim_exit(sim);
	sw_sim_stop(sim);
	sw_space_free(space);
	sw_sim_free(sim);
}

/* Every slot is back, every invariant holds, nothing leaked. */
static inline unsigned fx_finish(struct fx *f)
{
	unsigned bad = 0;

	fx_end(f->sim);
	sw_mm_stop(f->mm);
	sw_evict_unprepare(&f->mm->ev);
	bad += swap_check(NULL, NULL);
	bad += fx_slots_used(f) != 0;
	bad += folio_pool_in_use() != 0;
	bad += f->mm->budget.resident != 0;
	bad += f->mm->budget.staged != 0;
	if (bad)
		fprintf(stderr,
			"at the end: %llu slots, %u folios, %lld resident, %lld staged\n",
			(unsigned long long)fx_slots_used(f),
			folio_pool_in_use(), (long long)f->mm->budget.resident,
			(long long)f->mm->budget.staged);
	SW_BUG_ON(f->type >= 0 && swapoff(f->type, NULL, NULL));
	SW_BUG_ON(f->other_type >= 0 && swapoff(f->other_type, NULL, NULL));
	sw_mm_free(f->mm);
	swap_exit();
	sw_sim_machine_free(f->machine);
	fx_store_release(&f->store);
	fx_store_release(&f->other);
	return bad;
}

static inline void fx_print_counters(void)
{
	for (enum sw_counter c = 0; c < SW_NR_COUNTERS; c++)
		if (sw_counter_read(c))
			printf("%s %llu\n", sw_counter_names[c],
			       (unsigned long long)sw_counter_read(c));
}

#define fx_close(f) assert_int_equal(fx_finish(f), 0)

/* ---- what a test does and sees ---- */

/* Page `n` of the program. */
static inline uint64_t fx_at(unsigned n)
{
	return FX_BASE + n * PG;
}

static inline void fx_map(struct sw_sim *sim, unsigned first, unsigned nr)
{
	uint64_t start = fx_at(first), end = fx_at(first + nr);

	sw_sim_map(sim, start, end, false);
	SW_BUG_ON(sw_space_add_region(sw_sim_mmu(sim)->space,
				      sw_sim_mmu(sim)->epoch, start, end));
}

static inline void fx_write(struct sw_sim *sim, unsigned n, uint64_t value)
{
	assert_int_equal(sw_sim_write(sim, fx_at(n), value), 0);
}

#define fx_expect(sim, n, want)                                         \
	do {                                                            \
		uint64_t got_ = ~0ull;                                  \
		assert_int_equal(sw_sim_read(sim, fx_at(n), &got_), 0); \
		assert_int_equal(got_, want);                           \
	} while (0)

/* Maps pages [first, first + nr) and writes 100 + n to each. */
static inline void fx_fill(struct sw_sim *sim, unsigned first, unsigned nr)
{
	fx_map(sim, first, nr);
	for (unsigned n = first; n < first + nr; n++)
		fx_write(sim, n, 100 + n);
}

/* They read as that has written them. */
static inline void fx_expect_filled(struct sw_sim *sim, unsigned first,
				    unsigned nr)
{
	for (unsigned n = first; n < first + nr; n++)
		fx_expect(sim, n, 100 + n);
}

static inline uint64_t fx_word(struct sw_sim *sim, unsigned n)
{
	struct sw_space *space = sw_sim_mmu(sim)->space;
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, fx_at(n));

	return leaf ? leaf->word[sw_leaf_index(fx_at(n))] : 0;
}

/* Of a page that is out. */
static inline uint64_t fx_slot(struct sw_sim *sim, unsigned n)
{
	return swp_offset(sw_word_entry(fx_word(sim, n)));
}

/* The one in the swap cache, or NULL. */
static inline struct folio *fx_folio(struct fx *f, unsigned n)
{
	struct folio *folio =
		swap_cache_get_folio(sw_word_entry(fx_word(f->sim, n)));

	if (folio)
		folio_put(folio);
	return folio;
}

/* Reads pages [0, nr), which were filled; returns how many cannot be read. */
static inline unsigned fx_read_lost(struct sw_sim *sim, unsigned nr)
{
	unsigned lost = 0;
	uint64_t v;

	for (unsigned n = 0; n < nr; n++) {
		if (sw_sim_read(sim, fx_at(n), &v))
			lost++;
		else
			assert_int_equal(v, 100 + n);
	}
	return lost;
}

/* Takes out all that can be taken, after `sweeps` sweeps. */
static inline unsigned fx_evict(struct fx *f)
{
	unsigned quiet = 0, batches = 0;

	while (quiet < 16) {
		bool took = sw_reclaim_evict(f->mm);

		batches += took;
		quiet = took ? 0 : quiet + 1;
	}
	sw_evict_unprepare(&f->mm->ev);
	return batches;
}

/* The same, and through the store: nothing stays staged. */
static inline void fx_swap_out(struct fx *f)
{
	fx_evict(f);
	sw_staging_write(f->mm, 1 << 20);
}

/* A session whose program has pages [0, nr) in the store, as fx_fill() has
 * written them. */
static inline void fx_open_out(struct fx *f, unsigned nr)
{
	fx_open(f);
	fx_fill(f->sim, 0, nr);
	fx_swap_out(f);
}

/* A session with one page, which came back and has its slot still. */
static inline void fx_open_clean(struct fx *f)
{
	fx_open_out(f, 1);
	fx_expect(f->sim, 0, 100);
	assert_true(fx_word(f->sim, 0) & SW_WORD_CLEAN);
}

/* As if the time was over for which windows that did not move are left alone. */
static inline void fx_end_rests(struct fx *f)
{
	struct sw_pagetable *pt = &f->space->pt;
	struct sw_leaf *leaf = sw_pt_next(pt, 0);

	for (; leaf; leaf = sw_pt_next(pt, leaf->base + SW_LEAF_BYTES))
		for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++)
			leaf->win[w].rest_ms = 0;
}

static inline enum sw_word_kind fx_kind(struct sw_sim *sim, unsigned n)
{
	return sw_word_kind(fx_word(sim, n));
}

static inline unsigned fx_count_of(struct sw_sim *sim, unsigned n)
{
	uint64_t word = fx_word(sim, n);

	return sw_word_kind(word) == SW_WORD_SWAP
		       ? swp_swapcount(sw_word_entry(word))
		       : 0;
}

/* The books agree with the words. */
static inline unsigned fx_check_space(struct sw_space *space)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, 0);
	unsigned bad = 0;
	uint64_t sum = 0, out = 0;

	for (; leaf; leaf = sw_pt_next(&space->pt, leaf->base + SW_LEAF_BYTES))
		for (unsigned w = 0; w < SW_LEAF_WINDOWS; w++) {
			uint64_t *word = &leaf->word[w * SW_WINDOW_PAGES];
			unsigned n = 0;

			for (unsigned i = 0; i < SW_WINDOW_PAGES; i++) {
				n += sw_word_kind(word[i]) == SW_WORD_PRESENT;
				out += sw_word_kind(word[i]) == SW_WORD_SWAP;
			}
			bad += leaf->win[w].present != n || leaf->win[w].busy;
			sum += n;
		}
	return bad + (space->resident != sum) + (space->swapped != out);
}

#define fx_test(name) cmocka_unit_test(name)

#endif
