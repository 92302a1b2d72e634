/*
 * unuse.c - a swap device goes while programs run: every word that names it
 * comes to name something else.
 *
 *   follow    the slot went elsewhere with another word: so does this one
 *   move      its bytes are read through the swap cache, written to a slot of
 *             another device, and the word names that slot from then on
 *   back      no other device has a slot: they are mapped into the program,
 *             as long as the budget has room
 *
 * Faults, forks, evictions and exits go on meanwhile. No window is taken: bytes
 * are read and written with nothing held, and under the space lock the word must
 * still name the slot. That is enough, since nothing is allocated on the device
 * any more: as long as a word names the slot the slot holds what it held.
 *
 * Pages of forked processes share a slot. Where that went is remembered, by the
 * slot, and the memory of it is an owner of the new one, so that it is there for
 * all words that follow; the owner goes when the old slot has none.
 *
 * Pages may be mapped here, beside the thread that reads the space's events,
 * only under the space lock: events are read under it. A layout event that the
 * kernel has raised makes the copy fail, one that it raises later finds the page
 * there. Only one that has been read and waits for a busy window gives the lock
 * up and is noticed by nobody else: nothing is mapped meanwhile.
 *
 *        program            event thread                  here
 *        fork
 *                           FORK is read: waits, and
 *                           gives the space lock up
 *                                                         maps a page: it is
 *                                                         the parent's alone
 *                           copies its word to the child,
 *                           which has no such page
 *
 * A device that failed is emptied likewise, without being asked: it stays on, and
 * what cannot be read stays on it, so that nothing is lost by that.
 *
 * What is found in one walk over all words is not all: words are copied by
 * forks behind its back, busy windows are left alone. So swapoff() calls again
 * until no slot is in use.
 *
 * Above: run/requests.c, run/drain.c. Beside: swapin.c, prepare.c, staging.c,
 * moved.c.
 */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "base/log.h"
#include "base/time.h"
#include "mm/mm_internal.h"
#include "mm/moved.h"

#define SCAN_LEAVES    16        /* under one hold of the space lock */
#define SAY_NS         100000000 /* from one word of how far it is to the next */
#define STUCK_NS       10000000000 /* without any progress: it is given up, */
#define NO_ROOM_NS     1000000000  /* and when there is no room for any */
#define NAP_NS         1000000
#define UNREADABLE_MAX 64 /* pages, and more than were read: hopeless */

/* Pages of one window on their way. */
struct job {
	uint64_t addr; /* of the window */
	struct sw_batch batch;
	swp_entry_t from[SW_WINDOW_PAGES];
	struct folio *to[SW_WINDOW_PAGES]; /* in a slot elsewhere */
	uint64_t shadow[SW_WINDOW_PAGES];  /* what the old slot remembered */
	unsigned nr_to;
	uint64_t written; /* bit k: the bytes of page k are in to[k] */
};

struct unuse {
	struct sw_mm *mm;
	const struct sw_off *off;
	unsigned type;
	bool begun;        /* all below is set */
	uint64_t total;    /* pages in use when it began */
	uint64_t least;    /* and at the best moment so far, */
	uint64_t least_ns; /* which was then */
	uint64_t said_ns;
	int why;     /* nothing moves, if it does not */
	bool drains; /* the device stays, and so does what cannot be read */
	bool ended;  /* nothing but that is left, or hope */
	struct sw_moved moved;
	char *buf; /* a window's pages */
	struct job job;
};

/* ---- how far it is ---- */

static uint64_t used_pages(const struct unuse *u)
{
	struct sw_swap_device_info info;

	return swap_device_info(u->type, &info) ? info.used : 0;
}

static bool goes_on(struct unuse *u)
{
	uint64_t now = sw_now_ns();

	/* Nothing may come back then. */
	if (u->drains && sw_freeze_is_on(u->mm))
		return false;
	if (now - u->said_ns < SAY_NS)
		return true;
	u->said_ns = now;
	return u->off->goes_on(u->off->arg, used_pages(u), u->total);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
}

/* Slots that are free on other devices. */
static uint64_t free_elsewhere(void)
{
	struct sw_swap_device_info info;
	uint64_t sum = 0;

	for (unsigned type = 0; type < MAX_SWAPFILES; type++)
		if (swap_device_info(type, &info) && info.flags & SWP_WRITEOK)
			sum += info.pages - sw_min(info.pages, info.used);
	return sum;
}

/* Pages that may come back without making reclaim take out others. */
static uint64_t room(struct sw_mm *mm)
{
	int64_t free = sw_budget_free(&mm->budget) - sw_budget_low(&mm->budget);

	return sw_max(free, (int64_t)0);
}

/* Is there room elsewhere for all of it? */
static bool fits(const struct unuse *u)
{
	return used_pages(u) <= free_elsewhere() + room(u->mm);
}

/* To read what cannot be read takes long, and each is said: it has to be worth
 * it. */
static bool is_hopeless(const struct unuse *u, uint64_t used)
{
	return u->moved.nr_stay > UNREADABLE_MAX &&
	       u->moved.nr_stay > u->total - sw_min(u->total, used);
}

/* 0, or why this cannot end. */
static int look(struct unuse *u)
{
	uint64_t used = used_pages(u), now = sw_now_ns();
	uint64_t left = used - sw_min(used, u->moved.nr_stay);

	if (!u->begun && !fits(u))
		return -ENOSPC;
	u->ended = u->moved.nr_stay && (!left || is_hopeless(u, used));
	if (u->ended)
		return left ? -EIO : -ENODATA;
	if (!u->begun || left < u->least) {
		u->least = left;
		u->least_ns = now;
	}
	u->begun = true;
	if (now - u->least_ns < (u->why == -ENOSPC ? NO_ROOM_NS : STUCK_NS))
		return 0;
	return u->why;
}

/* ---- words; the space lock is held ---- */

static bool names(uint64_t word, swp_entry_t entry)
{
	return sw_word_kind(word) == SW_WORD_SWAP &&
	       sw_word_entry(word).val == entry.val;
}

/* The word names another slot, whose owner it is already. */
static void rename_word(struct sw_space *space, struct sw_leaf *leaf,
			unsigned i, swp_entry_t to)
{
	swp_entry_t from = sw_word_entry(leaf->word[i]);

	sw_word_set(space, leaf, i,
		    sw_word_swap(to) | (leaf->word[i] & SW_WORD_PIN));
	swap_put_entries_direct(from, 1);
}

/* False: no memory to count one owner more. */
static bool follow(struct sw_space *space, struct sw_leaf *leaf, unsigned i,
		   swp_entry_t to)
{
	if (swap_dup_entry_direct(to))
		return false;
	rename_word(space, leaf, i, to);
	return true;
}

/* What names the device in one window: follows, or is the job. False: nothing
 * does. */
static bool collect(struct unuse *u, struct sw_space *space,
		    struct sw_leaf *leaf, unsigned w)
{
	struct sw_batch *b = &u->job.batch;
	unsigned first = w * SW_WINDOW_PAGES;
	bool found = false;

	b->nr = 0;
	if (leaf->win[w].busy)
		return false;
	for (unsigned i = first; i < first + SW_WINDOW_PAGES; i++) {
		swp_entry_t from = sw_word_entry(leaf->word[i]), to;

		if (sw_word_kind(leaf->word[i]) != SW_WORD_SWAP ||
		    swp_type(from) != u->type ||
		    sw_moved_stays(&u->moved, from))
			continue;
		found = true;
		to = sw_moved_to(&u->moved, from);
		if (to.val && follow(space, leaf, i, to))
			continue;
		u->job.from[b->nr] = from;
		b->page[b->nr++] = i;
	}
	return found;
}

/* The next window from `at` on that names the device; gives up after some
 * leaves, and returns where to go on. 0: at the end. Space lock held. */
static uint64_t find_job(struct unuse *u, struct sw_space *space, uint64_t at)
{
	struct job *job = &u->job;

	job->batch.nr = 0;
	for (unsigned n = 0; n < SCAN_LEAVES; n++) {
		struct sw_leaf *leaf = sw_pt_next(&space->pt, at);

		if (!leaf)
			return 0;
		at = sw_max(at, leaf->base);
		for (unsigned w = sw_leaf_index(at) / SW_WINDOW_PAGES;
		     w < SW_LEAF_WINDOWS; w++) {
			job->addr = leaf->base + w * SW_WINDOW_BYTES;
			if (collect(u, space, leaf, w))
				return job->addr + SW_WINDOW_BYTES;
		}
		at = leaf->base + SW_LEAF_BYTES;
	}
	return at;
}

/* The leaf of the job, if page k of it is as it was and nobody is at work on
 * it. */
static struct sw_leaf *job_leaf(const struct job *job, struct sw_space *space,
				unsigned k)
{
	struct sw_leaf *leaf = sw_pt_lookup(&space->pt, job->addr);
	unsigned i = job->batch.page[k];

	if (!leaf || sw_window_of(leaf, i)->busy ||
	    !names(leaf->word[i], job->from[k]))
		return NULL;
	return leaf;
}

/* ---- to another device ---- */

/* Slots elsewhere for as many pages as can be had. They carry
 * SW_FOLIO_WRITEBACK, so that nobody takes them away. */
static void take_slots(struct unuse *u)
{
	struct job *job = &u->job;

	job->nr_to = 0;
	while (job->nr_to < job->batch.nr &&
	       (job->to[job->nr_to] = sw_folio_prepare(u->mm, 0, NULL)))
		job->shadow[job->nr_to++] = 0;
}

/* How many pages from the kth on are side by side here and there, and not zero. */
static unsigned write_run(const struct unuse *u, unsigned k)
{
	const struct job *job = &u->job;
	unsigned n = 0;

	while (k + n < job->batch.nr &&
	       job->to[k + n]->swap.val == job->to[k]->swap.val + n &&
	       job->batch.page[k + n] == job->batch.page[k] + n &&
	       !sw_page_is_zero(u->buf + sw_batch_offset(&job->batch, k + n)))
		n++;
	return n;
}

static uint64_t bits(unsigned k, unsigned n)
{
	return (n < 64 ? (1ull << n) - 1 : ~0ull) << k;
}

/* The bytes of the job go to the slots it was given. */
static void write_job(struct unuse *u)
{
	struct job *job = &u->job;
	unsigned n;
	int err;

	job->written = 0;
	for (unsigned k = 0; k < job->batch.nr; k += n) {
		const char *page = u->buf + sw_batch_offset(&job->batch, k);

		n = write_run(u, k);
		if (n) {
			err = sw_slots_write(job->to[k]->swap, n, page);
			if (err)
				u->why = err;
			else
				job->written |= bits(k, n);
			continue;
		}
		n = 1;
		folio_lock(job->to[k]);
		swap_zeromap_folio_set(job->to[k]);
		folio_unlock(job->to[k]);
		sw_count(swpout_zero, 1);
		job->written |= bits(k, 1);
	}
}

/* Gives word k the slot that its bytes were written to. */
static void move_word(struct unuse *u, struct sw_space *space, unsigned k)
{
	struct sw_leaf *leaf = job_leaf(&u->job, space, k);
	swp_entry_t from = u->job.from[k];
	struct folio *to = u->job.to[k];

	if (!leaf || !(u->job.written >> k & 1))
		return;
	/* Nobody who has this lock waits for our space: no word names it. */
	while (!folio_trylock(to))
		sched_yield();
	/* Until leave_slots() it is as if staged: to be read from here. */
	to->data = u->buf + sw_batch_offset(&u->job.batch, k);
	if (!folio_dup_swap(to, -1)) {
		if (swp_swapcount(from) > 1)
			sw_moved_remember(&u->moved, from, to);
		rename_word(space, leaf, u->job.batch.page[k], to->swap);
	}
	folio_unlock(to);
}

/* The slots that were taken: those without an owner are given back. */
static void leave_slots(struct unuse *u)
{
	for (unsigned k = 0; k < u->job.nr_to; k++) {
		struct folio *to = u->job.to[k];

		folio_lock(to);
		to->data = NULL;
		folio_clear(to, SW_FOLIO_WRITEBACK | SW_FOLIO_DIRTY);
		if (!folio_free_swap(to))
			swap_cache_del_folio(to, u->job.shadow[k]);
		folio_unlock(to);
		folio_put(to);
	}
}

/* ---- back into the program ---- */

/* The program has the page although its word says it is out, as in
 * fault.c: what it has is newer. */
static void is_there(struct sw_space *space, struct sw_leaf *leaf, unsigned i)
{
	sw_words_zap(space, leaf, i, 1);
	sw_word_set(space, leaf, i, SW_WORD_PRESENT);
	space->mmu->ops->protect(space->mmu, sw_leaf_addr(leaf, i), 1, false);
}

static void bring_word(struct unuse *u, struct sw_space *space, unsigned k)
{
	struct sw_leaf *leaf = job_leaf(&u->job, space, k);
	unsigned i = u->job.batch.page[k];
	uint64_t pin;
	int n;

	if (!leaf || space->event_waits)
		return;
	n = space->mmu->ops->copy(space->mmu, sw_leaf_addr(leaf, i),
				  u->buf + sw_batch_offset(&u->job.batch, k), 1,
				  false);
	if (n == -EEXIST)
		is_there(space, leaf, i);
	if (n != 1)
		return;
	pin = leaf->word[i] & SW_WORD_PIN;
	sw_words_zap(space, leaf, i, 1);
	sw_word_set(space, leaf, i, SW_WORD_PRESENT | pin);
}

/* ---- one window ---- */

/* As a fault would have it: whoever wants the page shall know. */
static void word_is_lost(struct unuse *u, struct sw_space *space, unsigned k)
{
	struct sw_leaf *leaf = job_leaf(&u->job, space, k);
	unsigned i = u->job.batch.page[k];

	if (!leaf)
		return;
	sw_warn("page at %#llx of the program is lost: its reader gets SIGBUS",
		(unsigned long long)sw_leaf_addr(leaf, i));
	sw_word_lost(space, leaf, i);
}

/* Reads the job's pages, or as many as can be had; returns why there are not
 * more. Whoever faults on one meanwhile waits no longer than for that. */
static int read_job(struct unuse *u)
{
	struct sw_swapin in[SW_WINDOW_PAGES];
	struct job *job = &u->job;
	unsigned got;
	int err;

	got = sw_swapin_get(&job->batch, job->from, true, u->buf, in, &err);
	for (unsigned k = 0; k < got; k++) {
		job->shadow[k] =
			in[k].shadow ? in[k].shadow : sw_make_shadow(u->mm);
		sw_swapin_undo(&in[k]);
	}
	job->batch.nr = got;
	return err;
}

static void run_job(struct unuse *u, struct sw_space *space)
{
	struct job *job = &u->job;
	unsigned want;
	int err;

	take_slots(u);
	want = job->nr_to ? job->nr_to
			  : sw_min((uint64_t)job->batch.nr, room(u->mm));
	job->batch.nr = want;
	job->batch.step = 1;
	if (!want) {
		u->why = -ENOSPC;
		return;
	}
	err = read_job(u);
	if (job->nr_to)
		write_job(u);
	sw_space_lock(space);
	for (unsigned k = 0; k < job->batch.nr; k++)
		if (job->nr_to)
			move_word(u, space, k);
		else
			bring_word(u, space, k);
	if (err == -EIO && u->drains)
		sw_moved_stay(&u->moved, job->from[job->batch.nr]);
	else if (err == -EIO)
		word_is_lost(u, space, job->batch.nr);
	sw_space_unlock(space);
	leave_slots(u);
}

/* ---- all of them ---- */

/* Its end waits for us alone, and gives back all that it has. */
static bool is_ending(struct sw_space *space)
{
	bool is;

	sw_mutex_lock(&space->mm->spaces_lock);
	is = sw_list_empty(&space->node);
	sw_mutex_unlock(&space->mm->spaces_lock);
	return is;
}

static int walk_space(struct unuse *u, struct sw_space *space)
{
	uint64_t at = 0;

	do {
		sw_space_lock(space);
		at = find_job(u, space, at);
		sw_space_unlock(space);
		if (u->job.batch.nr)
			run_job(u, space);
		if (!goes_on(u))
			return -EINTR;
	} while (at && !is_ending(space));
	return 0;
}

static int walk(struct unuse *u)
{
	struct sw_space *space = NULL;
	int err = 0;

	u->why = -EBUSY;
	while (!err && (space = sw_spaces_next(u->mm, space)))
		err = walk_space(u, space);
	if (space)
		sw_space_put(u->mm, space);
	return err;
}

/* Reclaim holds slots for pages that it has not taken out yet. */
static int drop_prepared(struct unuse *u)
{
	sw_reclaim_unprepare(u->mm);
	while (!sw_reclaim_is_unprepared(u->mm)) {
		if (!goes_on(u))
			return -EINTR;
		sw_reclaim_wake(u->mm);
		nap();
	}
	return 0;
}

/* What swapoff() calls until no slot is in use. */
static int unuse(void *arg, unsigned type)
{
	struct unuse *u = arg;
	int err = 0;

	(void)type;
	if (!u->begun) {
		u->total = used_pages(u);
		err = drop_prepared(u);
	}
	sw_moved_sweep(&u->moved);
	if (!err)
		err = look(u);
	return err ? err : walk(u);
}

static int run(struct unuse *u)
{
	struct sw_swap_device_info info;
	int err;

	if (!swap_device_info(u->type, &info))
		return -EINVAL;
	err = sw_moved_init(&u->moved, u->type, info.max);
	if (err)
		return err;
	u->buf = mmap(NULL, SW_WINDOW_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	err = -ENOMEM;
	if (u->buf != MAP_FAILED) {
		err = u->drains ? swap_empty(u->type, unuse, u)
				: swapoff(u->type, unuse, u);
		munmap(u->buf, SW_WINDOW_BYTES);
	}
	sw_moved_release(&u->moved);
	return err;
}

int sw_mm_swapoff(struct sw_mm *mm, unsigned type, const struct sw_off *off)
{
	struct unuse u = { .mm = mm, .off = off, .type = type, .why = -EBUSY };
	int err = run(&u);

	if (!err)
		sw_device_drained(mm, type);
	return err;
}

int sw_mm_drain(struct sw_mm *mm, unsigned type, const struct sw_off *off)
{
	struct unuse u = {
		.mm = mm,
		.off = off,
		.type = type,
		.why = -EBUSY,
		.drains = true,
	};
	int err;

	if (sw_freeze_is_on(mm))
		return -EINTR;
	/* Reclaim is not disturbed for nothing, however often this is tried. */
	if (!fits(&u))
		return -ENOSPC;
	err = run(&u);
	if (!err || u.ended)
		sw_device_drained(mm, type);
	return err;
}
