/*
 * stress_mm.c - everything at once: one program of several threads served by
 * its event thread, children with threads of their own, and reclaim under a
 * budget of half of what they use. Each thread knows what its own pages hold;
 * they move through the space, so that one thread's pages come to where
 * another's just were. With some seeds devices come and go, or all of it is
 * frozen and thawed, again and again. The store is memory, or takes many slots at
 * once as a disk does.
 *
 * With `large` there are large folios, and each area has a huge page now and
 * then. With `disk` what goes out goes to a file in /var/tmp, by io_uring where
 * there is one and SEED is even, else by threads.
 *
 *        stress_mm [large] [disk] [SEED [SECONDS]]
 */
#include <semaphore.h>

#include "stress.h"

#include "../store/disk_file.h"

#include "base/time.h"

#define THREADS    4
#define AREA_SMALL 256u
#define CHILDREN   3 /* at a time */

static struct fx f;
static uint64_t end_ns;
static bool large;
static bool on_disk;
static unsigned area_pages = AREA_SMALL;
static sem_t child_slots;
static unsigned switched[2]; /* devices that stayed, or went off */
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

static void sweep(struct worker *w)
{
	unsigned i = rnd(w, area_pages), nr = rnd(w, area_pages - i + 1);
	bool write = rnd(w, 2), down = rnd(w, 2);

	if (large && rnd(w, 2)) {
		i = 0;
		nr = area_pages;
	}
	for (unsigned k = 0; k < nr; k++) {
		unsigned at = down ? i + nr - 1 - k : i + k;

		if (write)
			write_page(w, at);
		else
			read_page(w, at);
	}
}

/* If reclaim does not come between, the first part of the area that may be a huge
 * page is one. */
static void make_huge(struct worker *w)
{
	uint64_t bytes = SW_HUGE_PAGES * PG;
	uint64_t at = (w->at + bytes - 1) & ~(bytes - 1);
	unsigned first = (at - w->at) / PG;

	for (unsigned tries = 0; tries < 4; tries++) {
		for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
			write_page(w, first + i);
		if (!sw_sim_collapse(w->sim, at))
			continue;
		if (rnd(w, 2))
			sw_sim_advise(w->sim, w->at, w->at + area_pages * PG,
				      SW_ADVICE_PAGEOUT);
		return;
	}
}

static void advise(struct worker *w)
{
	unsigned i = rnd(w, area_pages), nr = 1 + rnd(w, area_pages - i);

	sw_sim_advise(w->sim, w->at + i * PG, w->at + (i + nr) * PG,
		      1 + rnd(w, SW_NR_ADVICE - 1));
}

/* As a look would that was led here by an old list of mappings. */
static void forget(struct worker *w)
{
	uint64_t start = FX_BASE + rnd(w, FX_PAGES) * PG;
	uint64_t end = start + (1 + rnd(w, area_pages)) * PG;

	(void)sw_space_forget(sw_sim_mmu(w->sim)->space, start, end);
}

static void dontneed(struct worker *w)
{
	unsigned i = rnd(w, area_pages), nr = 1 + rnd(w, area_pages - i);

	sw_sim_dontneed(w->sim, w->at + i * PG, w->at + (i + nr) * PG);
	memset(&w->value[i], 0, nr * sizeof(w->value[0]));
	for (unsigned k = i; k < i + nr; k++)
		did(w, k, "given away");
}

/* One try of what run/maps.c does about a new mapping. */
static int add_range(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	struct sw_space *space = sw_sim_mmu(sim)->space;
	bool known = sw_space_has_region(space, start, end);
	uint64_t epoch = sw_space_epoch(space);
	int err = known ? 0 : sw_space_forget(space, start, end);

	if (err)
		return err;
	sw_sim_register(sim, start, end);
	return known ? 0 : sw_space_add_region(space, epoch, start, end);
}

static void new_area(struct worker *w)
{
	int err;

	if (w->at)
		sw_sim_munmap(w->sim, w->at, w->at + area_pages * PG);
	w->at = sw_sim_map_free(w->sim, area_pages * PG);
	do { /* other threads change the layout meanwhile */
		err = add_range(w->sim, w->at, w->at + area_pages * PG);
	} while (err == -EAGAIN);
	SW_BUG_ON(err);
	memset(w->value, 0, sizeof(w->value));
	for (unsigned i = 0; i < area_pages; i++)
		did(w, i, "new");
}

static void step(struct worker *w)
{
	w->steps++;
	if (large && !rnd(w, 12)) {
		make_huge(w);
		return;
	}
	switch (rnd(w, 42)) {
	case 0:
		dontneed(w);
		break;
	case 1:
		new_area(w);
		break;
	case 2 ... 3:
		w->at = sw_sim_mremap_free(w->sim, w->at, area_pages * PG);
		w->moved = w->steps;
		break;
	case 4 ... 6:
		advise(w);
		break;
	case 7 ... 14:
		sweep(w);
		break;
	case 40 ... 41:
		forget(w);
		break;
	case 15 ... 25:
		read_page(w, rnd(w, area_pages));
		break;
	default:
		write_page(w, rnd(w, area_pages));
	}
}

static void check_all(struct worker *w)
{
	for (unsigned i = 0; i < area_pages; i++)
		read_page(w, i);
}

static void *child_main(void *arg)
{
	struct worker *w = arg;

	check_all(w); /* as the parent does */
	for (unsigned i = 0; i < 200 && sw_now_ns() < end_ns; i++)
		step(w);
	check_all(w);
	fx_end(w->sim);
	free(w);
	sem_post(&child_slots);
	return NULL;
}

/* A child with a copy of the forking thread's area lives by itself. */
static void start_child(struct worker *w)
{
	struct worker *c;
	unsigned born;
	pthread_t t;

	if (sem_trywait(&child_slots))
		return;
	c = malloc(sizeof(*c));
	SW_BUG_ON(!c);
	pthread_mutex_lock(&fork_lock);
	born = __atomic_load_n(&f.born, __ATOMIC_ACQUIRE);
	*c = *w;
	c->is_child = true;
	c->forked = w->forked = w->steps;
	if (rnd(w, 2))
		sw_sim_announce_fork(w->sim);
	c->sim = sw_sim_fork(w->sim);
	while (__atomic_load_n(&f.born, __ATOMIC_ACQUIRE) == born)
		sched_yield();
	pthread_mutex_unlock(&fork_lock);
	SW_BUG_ON(pthread_create(&t, NULL, child_main, c));
	pthread_detach(t);
	check_all(w);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	new_area(w);
	while (sw_now_ns() < end_ns) {
		step(w);
		if (!rnd(w, 60))
			start_child(w);
	}
	check_all(w);
	return NULL;
}

/* Faults of parent and child meet on a slot when a read takes its time. */
static void take_turns(struct fx_store *st, uint64_t offset)
{
	sched_yield();
	(void)st;
	(void)offset;
}

/* ---- put aside, again and again ---- */

static struct fx_store disk;

static int disk_on(void)
{
	const struct swapon_spec spec = {
		.name = "disk",
		.ops = &fx_store_ops,
		.store = &disk,
		.max = FX_SLOTS + 1,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
	};

	disk.slots = FX_SLOTS + 1;
	disk.page = calloc(FX_SLOTS + 1, PG);
	disk.used = calloc(FX_SLOTS + 1, 1);
	pthread_mutex_init(&disk.lock, NULL);
	return swapon(&spec);
}

/* After the programs. */
static void disk_off(unsigned type)
{
	fx_end(f.sim);
	f.sim = NULL;
	sw_mm_stop(f.mm);
	sw_evict_unprepare(&f.mm->ev);
	SW_BUG_ON(swapoff(type, NULL, NULL));
	pthread_mutex_destroy(&disk.lock);
	free(disk.page);
	free(disk.used);
}

/* Until the programs have met some more faults. */
static void let_them_run(void)
{
	uint64_t from = sw_counter_read(SW_CTR_pgfault);

	while (sw_counter_read(SW_CTR_pgfault) - from < 300 &&
	       sw_now_ns() < end_ns)
		sched_yield();
}

static bool is_frozen(void)
{
	struct sw_freeze_info info;

	sw_mm_freeze_info(f.mm, &info);
	return info.frozen;
}

static void *freezer_main(void *arg)
{
	struct sw_freeze_spec spec = { .image_type = *(int *)arg };

	while (sw_now_ns() < end_ns) {
		let_them_run();
		SW_BUG_ON(sw_mm_freeze(f.mm, &spec));
		/* Who runs faults sooner or later; in the end nobody does. */
		while (spec.thaw_on_fault && is_frozen() &&
		       sw_now_ns() < end_ns)
			sched_yield();
		if (is_frozen() && sw_mm_thaw(f.mm))
			SW_BUG_ON(!spec.thaw_on_fault);
		/* Reclaim may be about it. */
		while (sw_freeze_is_on(f.mm))
			sched_yield();
		spec.thaw_on_fault = !spec.thaw_on_fault;
	}
	return NULL;
}

/* ---- devices ---- */

static bool goes_on(void *arg, uint64_t left, uint64_t total)
{
	struct worker *w = arg;

	SW_BUG_ON(left > total);
	return rnd(w, 4);
}

/* One of two devices goes off, perhaps, and comes back. */
static void switch_device(struct worker *w, struct fx_store *st, int *type)
{
	struct sw_off off = { goes_on, w };
	int err = sw_mm_swapoff(f.mm, *type, &off);

	if (!err)
		*type = fx_store_on(st, st->slots - 1, (int)rnd(w, 3) - 1);
	else if (err != -EINTR && err != -ENOSPC)
		stop_with("a device does not go: %s", strerror(-err));
	else
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	__atomic_fetch_add(&switched[!err], 1, __ATOMIC_RELAXED);
}

static void *switcher_main(void *arg)
{
	struct worker *w = arg;

	while (sw_now_ns() < end_ns) {
		if (rnd(w, 2))
			switch_device(w, &f.store, &f.type);
		else
			switch_device(w, &f.other, &f.other_type);
	}
	return NULL;
}

/* ---- steered, and looked at ---- */

static unsigned looked; /* times */

/* Right at once, or when what was under way is over. */
static void look(void *arg)
{
	uint64_t late = sw_now_ns() + 20000000000ul;

	while (swap_check_to(arg)) {
		SW_BUG_ON(sw_now_ns() > late);
		rewind(arg);
		sched_yield();
	}
	looked++;
}

static bool asked_to_stop(void *arg, uint64_t done)
{
	(void)done;
	return rnd(arg, 8);
}

static void *steerer_main(void *arg)
{
	struct worker *w = arg;
	const struct sw_goes_on goes_on = { asked_to_stop, w };
	uint64_t budget = f.mm->budget.limit, freed;
	char text[1 << 16];
	FILE *out = fmemopen(text, sizeof(text), "w");

	while (sw_now_ns() < end_ns) {
		let_them_run();
		if (!large)
			sw_mm_set_budget(f.mm, budget - rnd(w, budget / 4));
		(void)!sw_mm_reclaim(f.mm, 1 + rnd(w, 400), &goes_on, &freed);
		SW_BUG_ON(sw_mm_quiet(f.mm, look, out));
		sw_mm_dump(f.mm, out);
		swap_dump(out, f.type, 8);
		rewind(out);
	}
	fclose(out);
	return NULL;
}

/* ---- how long faults take ---- */

static uint64_t nr_answered(void)
{
	static struct sw_stall_sums sums;
	uint64_t nr = 0;

	sw_mm_stall_sums(f.mm, &sums);
	for (unsigned t = 0; t < SW_NR_TIERS; t++)
		nr += sw_hist_count(&sums.tier[t]);
	return nr;
}

/* Asks all the time, while spaces come and go: what is told never falls. */
static void *asker_main(void *arg)
{
	uint64_t last_ns = sw_now_ns(), answered = 0;

	sw_mm_stall_step(f.mm, last_ns);
	while (sw_now_ns() < end_ns) {
		uint64_t now = sw_now_ns(), nr = nr_answered();

		SW_BUG_ON(sw_mm_stall_step(f.mm, now) > now - last_ns);
		SW_BUG_ON(nr < answered);
		answered = nr;
		last_ns = now;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return NULL;
}

static uint64_t nr_known(void)
{
	return nr_answered() + sw_counter_read(SW_CTR_pgfault_retry) +
	       sw_counter_read(SW_CTR_pgfault_held) +
	       sw_counter_read(SW_CTR_swap_read_late);
}

/* Every fault was answered in some tier, or left to come again; what is known of
 * the last ones may follow after their answer. */
static void check_stalls(void)
{
	uint64_t deadline_ns = sw_now_ns() + 10000000000ull;

	while (nr_known() != sw_counter_read(SW_CTR_pgfault) &&
	       sw_now_ns() < deadline_ns)
		sched_yield();
	if (nr_known() != sw_counter_read(SW_CTR_pgfault))
		fprintf(stderr, "seed %llu: %llu faults, but %llu are known\n",
			(unsigned long long)seed,
			(unsigned long long)sw_counter_read(SW_CTR_pgfault),
			(unsigned long long)nr_known());
	SW_BUG_ON(nr_known() != sw_counter_read(SW_CTR_pgfault));
	SW_BUG_ON(f.space->stall.nr_held);
}

/* ---- where it goes ---- */

static struct sw_disk *swap_file;

static void open_swap_file(uint64_t slots)
{
	if (!disk_folder_make()) {
		disk_folder_remove();
		puts("needs /var/tmp on a disk");
		exit(77);
	}
	if (seed % 2)
		forbid_io_uring();
	swap_file = disk_new(slots + 1);
	SW_BUG_ON(!swap_file);
	disk_folder_remove(); /* the file has no name any more */
}

/* Every other time slots are scarce, so that clean copies lose theirs. */
static void open_with(uint64_t budget, uint64_t many, uint64_t scarce,
		      unsigned pages)
{
	bool are_scarce = on_disk ? seed / 4 % 2 : seed % 2 == 0;
	uint64_t slots = are_scarce ? scarce : many;

	if (on_disk)
		open_swap_file(slots);
	fx_open_on(&f, budget, slots, pages, on_disk ? &sw_disk_ops : NULL,
		   swap_file);
}

/* ---- small and large ---- */

static void open_small(void)
{
	open_with(THREADS * AREA_SMALL * 7 / 8, FX_SLOTS,
		  THREADS * AREA_SMALL + CHILDREN * AREA_SMALL / 2 +
			  SW_PREPARED,
		  FX_PAGES);
}

/* The marks of a larger budget, so that huge pages are worth it. */
static void open_large(void)
{
	area_pages = AREA_LARGE;
	open_with(THREADS * AREA_LARGE * 5 / 4, 4 * FX_SLOTS,
		  THREADS * AREA_LARGE + CHILDREN * AREA_LARGE / 2 + SW_READY,
		  4 * FX_PAGES);
	f.mm->staging.target = SW_MIN_PIECES * SW_HUGE_PAGES;
	f.mm->budget.low = 600;
	f.mm->budget.high = 900;
}

int main(int argc, char **argv)
{
	struct worker w[THREADS] = { 0 };
	struct worker switcher = { 0 };
	pthread_t t[THREADS], switching, freezer, steerer, asker;
	bool devices, freezes, steers;
	int disk_type = -1;
	double seconds;

	large = argc > 1 && !strcmp(argv[1], "large");
	argc -= large;
	argv += large;
	on_disk = argc > 1 && !strcmp(argv[1], "disk");
	argc -= on_disk;
	argv += on_disk;
	seconds = argc > 2 ? atof(argv[2]) : 3;
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : sw_now_ns();
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	devices = !on_disk && seed / 4 % 2;
	end_ns = sw_now_ns() + seconds * 1e9;
	freezes = !on_disk && !devices && seed / 8 % 2;
	steers = !devices && !freezes;
	if (freezes)
		fx_device_flags |= SWP_SYNCHRONOUS_IO;
	sem_init(&child_slots, 0, CHILDREN);
	fx_batches = seed / 16 % 2;
	fx_in_memory = !fx_batches;
	if (large)
		open_large();
	else
		open_small();
	f.threaded = true;
	f.store.before_read = take_turns;
	f.mm->heat = seed / 2 % 2 ? &sim_heat : NULL;
	if (devices)
		f.other_type = fx_store_on(&f.other, FX_SLOTS, -1);
	SW_BUG_ON(sw_sim_start(f.sim));
	SW_BUG_ON(sw_mm_start(f.mm));
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].sim = f.sim;
		w[i].rng = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
		w[i].next = (i + 1) * 1000000ull;
		SW_BUG_ON(pthread_create(&t[i], NULL, worker_main, &w[i]));
	}
	if (freezes) {
		disk_type = disk_on();
		SW_BUG_ON(disk_type < 0);
		SW_BUG_ON(pthread_create(&freezer, NULL, freezer_main,
					 &disk_type));
	}
	switcher.rng = seed * 0x9e3779b97f4a7c15ull | 1;
	if (devices)
		SW_BUG_ON(pthread_create(&switching, NULL, switcher_main,
					 &switcher));
	if (steers)
		SW_BUG_ON(pthread_create(&steerer, NULL, steerer_main,
					 &switcher));
	SW_BUG_ON(pthread_create(&asker, NULL, asker_main, NULL));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_join(asker, NULL);
	if (devices)
		pthread_join(switching, NULL);
	if (steers)
		pthread_join(steerer, NULL);
	for (unsigned i = 0; i < CHILDREN; i++)
		sem_wait(&child_slots);
	if (freezes)
		pthread_join(freezer, NULL);
	check_stalls();
	fx_print_counters();
	printf("devices off %u, stayed %u; looked at %u times\n", switched[1],
	       switched[0], looked);
	if (freezes)
		disk_off(disk_type);
	if (fx_finish(&f)) {
		fprintf(stderr, "seed %llu: something is left at the end\n",
			(unsigned long long)seed);
		return 1;
	}
	sw_disk_close(swap_file);
	return 0;
}
