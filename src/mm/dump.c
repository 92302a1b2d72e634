/*
 * dump.c - the manager as text, for people who look for a defect. Each part is
 * looked at under its own lock, and all of it while everybody is at work.
 *
 * Above: run/debugging.c. Below: mm_internal.h.
 */
#include <inttypes.h>

#include "mm/mm_internal.h"

#define BIT(is, name) ((is) ? " " name : "")

static void dump_budget(struct sw_mm *mm, FILE *out)
{
	struct sw_budget *b = &mm->budget;
	struct sw_mm_usage u;

	sw_mm_usage(mm, &u);
	fprintf(out,
		"budget %" PRIu64 " pages, used %" PRIu64 ", peak %" PRIu64
		", wakes below %" PRId64 " free, stops at %" PRId64 "\n",
		u.budget_pages, u.used_pages, u.peak_pages, sw_budget_low(b),
		sw_budget_high(b));
	fprintf(out,
		"  resident %" PRId64 ", shared %" PRId64 ", staged %" PRIu64
		", held %" PRIu64 ", unmanaged %" PRId64 "\n",
		__atomic_load_n(&b->resident, __ATOMIC_RELAXED),
		__atomic_load_n(&b->shared, __ATOMIC_RELAXED), u.staged_pages,
		u.held_pages, __atomic_load_n(&b->unmanaged, __ATOMIC_RELAXED));
}

static void dump_reclaim(struct sw_mm *mm, FILE *out)
{
	static const char *const states[] = { "thawed", "freezing", "frozen",
					      "thawing", "quiet" };

	fprintf(out,
		"reclaim: %" PRIu64 " pages out so far, %u faults wait%s%s%s\n",
		__atomic_load_n(&mm->evictions, __ATOMIC_RELAXED),
		__atomic_load_n(&mm->nr_waiting, __ATOMIC_RELAXED),
		BIT(__atomic_load_n(&mm->stuck, __ATOMIC_RELAXED), "stuck"),
		BIT(__atomic_load_n(&mm->full, __ATOMIC_RELAXED), "full"),
		BIT(sw_freeze_parks(mm), "rests"));
	fprintf(out, "state: %s\n",
		states[__atomic_load_n(&mm->freeze.state, __ATOMIC_RELAXED)]);
}

static void dump_bufs(const struct sw_bufs *b, FILE *out)
{
	fprintf(out,
		"  buffers of %u pages: %" PRIu64 " of %" PRIu64
		" ever used, free %" PRIu64 " warm, %" PRIu64 " cold\n",
		b->pages, b->used, b->nr, b->nr_warm, b->nr_cold);
}

static void dump_staging(struct sw_mm *mm, FILE *out)
{
	struct sw_staging *st = &mm->staging;
	struct sw_bufs single, block, huge;
	uint64_t nr, kept;

	sw_mutex_lock(&st->lock);
	nr = st->nr;
	kept = st->nr_kept;
	single = st->single;
	block = st->block;
	huge = st->huge;
	sw_mutex_unlock(&st->lock);
	fprintf(out,
		"staging: %" PRIu64 " pages wait, %" PRIu64
		" worth it, %" PRIu64 " cannot be written\n",
		nr, sw_staging_target(mm), kept);
	dump_bufs(&single, out);
	dump_bufs(&block, out);
	dump_bufs(&huge, out);
}

static void dump_debts(const char *what, const struct sw_region *region,
		       unsigned nr, FILE *out)
{
	for (unsigned i = 0; i < nr; i++)
		fprintf(out, "  %s %" PRIx64 "-%" PRIx64 "\n", what,
			region[i].start, region[i].end);
}

/* Space lock held. */
static void dump_space(struct sw_space *space, FILE *out)
{
	const struct sw_owed *o = &space->owed;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < space->nr_regions; i++)
		bytes += space->region[i].end - space->region[i].start;
	fprintf(out,
		"space %" PRIu64 ": %" PRIu64
		" pages resident, %u regions of %" PRIu64
		" pages, hand %" PRIx64 ", epoch %" PRIu64 "%s\n",
		space->born, sw_space_resident(space), space->nr_regions,
		bytes / SW_PAGE_SIZE, sw_hand(space),
		space->mmu ? space->mmu->epoch : 0,
		BIT(space->event_waits, "event waits"));
	fprintf(out,
		"  owed %u unmaps, %u moved away, %u in doubt; advice for %u ranges\n",
		o->nr_due, o->nr_left, o->nr_doubt, space->advice.out.nr);
	dump_debts("due", o->due, o->nr_due, out);
	dump_debts("left", o->left, o->nr_left, out);
	dump_debts("doubt", o->doubt, o->nr_doubt, out);
}

void sw_mm_dump(struct sw_mm *mm, FILE *out)
{
	struct sw_space *space = NULL;

	dump_budget(mm, out);
	dump_reclaim(mm, out);
	dump_staging(mm, out);
	while ((space = sw_spaces_next(mm, space))) {
		sw_space_lock(space);
		dump_space(space, out);
		sw_space_unlock(space);
	}
}
