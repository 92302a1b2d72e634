/*
 * model_disk.c - threads with random operations on a swap file, each on slots
 * of its own, beside the most naive model there is: an array that remembers
 * which page each slot has, one operation a call and in batches. The disk fails and gives half of what it was asked
 * for, now and then. There are more threads than rings. Once with io_uring,
 * once encrypted, once without io_uring. Prints the seed; SW_SEED repeats a run (as far as threads
 * go), SW_ROUNDS makes it longer.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "disk_file.h"
#include "pages.h"
#include "quiet.h"

#define THREADS   7u
#define SLOTS     64u /* of a thread */
#define MAX_BATCH 16u
#define EMPTY     UINT64_MAX

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			printf("%s:%d: %s (seed %" PRIu64 ")\n", __FILE__, \
			       __LINE__, #cond, seed);                     \
			fflush(stdout);                                    \
			abort();                                           \
		}                                                          \
	} while (0)

struct owner {
	uint64_t first; /* slot */
	uint64_t rnd;
	uint64_t model[SLOTS]; /* the page's number, or EMPTY */
	unsigned char *pages;
};

static uint64_t seed;
static unsigned rounds = 400;
static struct sw_disk *disk;
static const struct swap_ops *const ops = &sw_disk_ops;
static uint64_t fault_rnd;               /* [atomic] */
static __thread bool failed, unreadable; /* the disk; this operation */

/* One transfer in 16 fails, one in 16 is short. */
static int fault(bool write, size_t *len)
{
	uint64_t state = __atomic_fetch_add(&fault_rnd, 1, __ATOMIC_RELAXED);
	unsigned what = rnd_below(&state, 16);
	size_t some = 1024 * (1 + rnd_below(&state, 40));

	if (what == 1)
		*len = sw_min(*len, some);
	failed |= what == 0;
	return what ? 0 : write ? -ENOSPC : -EIO;
}

static void do_write(struct owner *o, unsigned at, unsigned nr)
{
	uint64_t numbers[MAX_BATCH];
	int err;

	for (unsigned i = 0; i < nr; i++) {
		numbers[i] = rnd_next(&o->rnd) >> 8;
		page_make(numbers[i], o->pages + i * SW_PAGE_SIZE);
	}
	failed = false;
	err = ops->write(disk, o->first + at, nr, o->pages);
	CHECK(err == (failed ? -ENOSPC : 0));
	for (unsigned i = 0; i < nr; i++)
		o->model[at + i] = err ? EMPTY : numbers[i];
}

static void do_read(struct owner *o, unsigned at, unsigned nr)
{
	unsigned char want[SW_PAGE_SIZE];
	int err;

	unreadable = failed = false;
	for (unsigned i = 0; i < nr; i++)
		unreadable |= o->model[at + i] == EMPTY;
	err = ops->read(disk, o->first + at, nr, o->pages);
	CHECK(err == (failed || unreadable ? -EIO : 0));
	for (unsigned i = 0; i < nr && !err; i++) {
		page_make(o->model[at + i], want);
		CHECK(!memcmp(o->pages + i * SW_PAGE_SIZE, want, SW_PAGE_SIZE));
	}
}

/* Disjoint pieces in any order, some of which are neighbours. The disk is asked
 * again for what it refused to a whole request, so a refusal may have no
 * consequence; but there is none without one. */
static unsigned make_batch(struct owner *o, struct swap_io *io, bool write)
{
	unsigned nr = 0, at = rnd_below(&o->rnd, 8);

	for (unsigned n; at < SLOTS; at += n + (rnd_below(&o->rnd, 3) == 0)) {
		struct swap_io *other = &io[rnd_below(&o->rnd, nr + 1)];
		bool empty = false;

		n = 1 + rnd_below(&o->rnd, 4);
		n = sw_min(n, SLOTS - at);
		for (unsigned i = at; i < at + n; i++)
			empty |= o->model[i] == EMPTY;
		if (empty && !write)
			continue;
		io[nr] = *other;
		*other = (struct swap_io){
			.entry = swp_entry(0, o->first + at),
			.nr = n,
			.pages = o->pages + at * SW_PAGE_SIZE,
			.tag = at,
		};
		nr++;
	}
	return nr;
}

static void do_batch_write(struct owner *o)
{
	uint64_t numbers[SLOTS];
	struct swap_io io[SLOTS];
	unsigned nr = make_batch(o, io, true);

	for (unsigned i = 0; i < SLOTS; i++) {
		numbers[i] = rnd_next(&o->rnd) >> 8;
		page_make(numbers[i], o->pages + i * SW_PAGE_SIZE);
	}
	failed = false;
	ops->batch(disk, true, io, nr);
	for (unsigned i = 0; i < nr; i++) {
		CHECK(!io[i].err || (failed && io[i].err == -ENOSPC));
		for (unsigned k = io[i].tag; k < io[i].tag + io[i].nr; k++)
			o->model[k] = io[i].err ? EMPTY : numbers[k];
	}
}

static void do_batch_read(struct owner *o)
{
	unsigned char want[SW_PAGE_SIZE];
	struct swap_io io[SLOTS];
	unsigned nr = make_batch(o, io, false);

	failed = false;
	ops->batch(disk, false, io, nr);
	for (unsigned i = 0; i < nr; i++) {
		CHECK(!io[i].err || (failed && io[i].err == -EIO));
		for (unsigned k = 0; k < io[i].nr && !io[i].err; k++) {
			page_make(o->model[io[i].tag + k], want);
			CHECK(!memcmp((char *)io[i].pages + k * SW_PAGE_SIZE,
				      want, SW_PAGE_SIZE));
		}
	}
}

static void do_free(struct owner *o, unsigned at, unsigned nr)
{
	ops->slot_free(disk, o->first + at, nr);
	for (unsigned i = 0; i < nr; i++)
		o->model[at + i] = EMPTY;
}

static void *own(void *arg)
{
	struct owner *o = arg;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned nr = rnd_below(&o->rnd, 3)
				      ? 1
				      : 1 + rnd_below(&o->rnd, MAX_BATCH);
		unsigned at = rnd_below(&o->rnd, SLOTS - nr + 1);
		unsigned what = rnd_below(&o->rnd, 10);

		if (what < 4)
			do_write(o, at, nr);
		else if (what < 7)
			do_read(o, at, nr);
		else if (what < 8)
			do_batch_write(o);
		else if (what < 9)
			do_batch_read(o);
		else
			do_free(o, at, nr);
	}
	return NULL;
}

static void owner_init(struct owner *o, unsigned nr)
{
	o->first = 1 + nr * SLOTS;
	o->rnd = seed + nr;
	for (unsigned i = 0; i < SLOTS; i++)
		o->model[i] = EMPTY;
	/* One has no page's border under its buffer. */
	o->pages = aligned_alloc(SW_PAGE_SIZE, (SLOTS + 1) * SW_PAGE_SIZE);
	CHECK(o->pages);
	o->pages += nr == 0 ? 64 : 0;
}

static void check_accounts(struct owner *owners)
{
	struct sw_store_stats st;
	uint64_t held = 0;

	for (unsigned i = 0; i < THREADS * SLOTS; i++)
		held += owners[i / SLOTS].model[i % SLOTS] != EMPTY;
	sw_disk_stats(disk, &st);
	CHECK(st.pages == held);
	CHECK(st.read_errors && st.write_errors);
}

static void run(bool uring)
{
	static struct owner owners[THREADS];
	pthread_t threads[THREADS];
	struct sw_disk_info info;
	struct quiet q = quiet_begin();

	disk = disk_new(1 + THREADS * SLOTS);
	CHECK(disk);
	sw_disk_info(disk, &info);
	CHECK(uring || !info.uring);
	sw_disk_fault = fault;
	for (unsigned i = 0; i < THREADS; i++) {
		owner_init(&owners[i], i);
		CHECK(!pthread_create(&threads[i], NULL, own, &owners[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check_accounts(owners);
	sw_disk_fault = NULL;
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned k = 0; k < SLOTS; k++)
			do_read(&owners[i], k, 1);
		do_free(&owners[i], 0, SLOTS);
		free(owners[i].pages - (i == 0 ? 64 : 0));
	}
	sw_disk_close(disk);
	quiet_end(&q);
}

int main(void)
{
	const char *env = getenv("SW_SEED"), *more = getenv("SW_ROUNDS");

	if (!disk_folder_make()) {
		disk_folder_remove();
		puts("needs /var/tmp on a disk");
		return 77;
	}
	seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	rounds = more ? (unsigned)atoi(more) : rounds;
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	run(true);
	disk_encrypts = true;
	run(true);
	disk_encrypts = false;
	forbid_io_uring();
	run(false);
	disk_folder_remove();
	return 0;
}
