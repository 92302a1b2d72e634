/*
 * locality_mm.c - does what was evicted together lie together, also after long
 * use? A program of 4096 pages in a budget of half of that is used in one way
 * for a long time. It is counted how many pages there are to a request, if
 * neighbouring slots make one:
 *
 *   write   while it goes on to be used like that
 *   read    when windows are read back then, all of which went out
 *   fresh   the same after the program has written all of its memory in order:
 *           holes that are left must not spoil new runs
 *
 * on devices that the pages fill by a third, to 60 and to 90 %.
 *
 *        locality_mm [ROUNDS]           of as many accesses as there are pages
 */
#include "fixture.h"

#include "base/log.h"

#define PAGES  4096u
#define BUDGET (PAGES / 2)

static struct fx f;
static uint64_t rng = 88172645463325252ull, serial;

static uint64_t rnd(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % below;
}

static void touch(unsigned n, bool write)
{
	uint64_t v;

	SW_BUG_ON(write ? sw_sim_write(f.sim, fx_at(n), ++serial)
			: sw_sim_read(f.sim, fx_at(n), &v));
	sw_reclaim_balance(f.mm);
}

/* ---- ways to use memory: each makes about PAGES accesses ---- */

static void in_order(void)
{
	for (unsigned n = 0; n < PAGES; n++)
		touch(n, true);
}

static void at_random(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		touch(rnd(PAGES), rnd(2));
}

/* Four of five accesses to a fifth of the pages, here and there. */
static void hot_and_cold(void)
{
	for (unsigned i = 0; i < PAGES; i++) {
		unsigned n = rnd(PAGES);

		touch(rnd(5) ? n / 20 * 20 + n % 4 : n, rnd(2));
	}
}

/* Objects of 16 pages, written whole. */
static void objects(void)
{
	for (unsigned i = 0; i < PAGES / 16; i++) {
		unsigned first = rnd(PAGES / 16) * 16;

		for (unsigned n = first; n < first + 16; n++)
			touch(n, true);
	}
}

/* ---- what is measured ---- */

static int by_slot(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How many requests it takes to read a window. */
static unsigned requests_of(unsigned first)
{
	uint64_t slot[SW_WINDOW_PAGES];
	unsigned nr = 1;

	for (unsigned i = 0; i < SW_WINDOW_PAGES; i++) {
		SW_BUG_ON(fx_kind(f.sim, first + i) != SW_WORD_SWAP);
		slot[i] = swp_offset(sw_word_entry(fx_word(f.sim, first + i)));
	}
	qsort(slot, SW_WINDOW_PAGES, sizeof(*slot), by_slot);
	for (unsigned i = 1; i < SW_WINDOW_PAGES; i++)
		nr += slot[i] != slot[i - 1] + 1;
	return nr;
}

/* All of it is out, and read back. */
static double pages_a_read(void)
{
	unsigned requests = 0;

	/* What came back alone is spared for some sweeps. */
	for (unsigned i = 0; i < 100 && sw_space_resident(f.space); i++)
		fx_swap_out(&f);
	for (unsigned n = 0; n < PAGES; n += SW_WINDOW_PAGES)
		requests += requests_of(n);
	return (double)PAGES / requests;
}

static const struct use {
	const char *name;
	void (*use)(void);
	double least[3]; /* of what is printed for a device a third full */
} uses[] = {
	{ "in order", in_order, { 100, 20, 30 } },
	{ "objects of 16 pages", objects, { 40, 7, 25 } },
	{ "hot and cold", hot_and_cold, { 3, 1.2, 15 } },
	{ "at random", at_random, { 8, 1.4, 20 } },
};

/* Of what was written while the memory is used a little longer. */
static double pages_a_write(const struct use *u)
{
	f.store.writes = f.store.write_runs = 0;
	for (unsigned i = 0; i < 10; i++)
		u->use();
	return (double)f.store.writes / f.store.write_runs;
}

static const unsigned fills[] = { 33, 60, 90 };

/* `fill`: percent of the device that all pages take. */
static unsigned run(const struct use *u, unsigned rounds, unsigned fill)
{
	double found[3];
	bool bad = false;

	fx_batches = true;
	fx_open_sized(&f, BUDGET, PAGES * 100 / fill);
	/* FX_BASE lies in the middle of a window. */
	fx_map(f.sim, 0, PAGES);
	in_order();
	while (rounds--)
		u->use();
	found[0] = pages_a_write(u);
	found[1] = pages_a_read();
	in_order();
	found[2] = pages_a_read();
	printf("%-20s %2u %%", u->name, fill);
	for (unsigned i = 0; i < 3; i++) {
		printf("  %5.1f", found[i]);
		bad |= fill == fills[0] && found[i] < u->least[i];
	}
	puts("");
	SW_BUG_ON(fx_finish(&f));
	return bad;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 30, bad = 0;

	sw_log_set_level(SW_LOG_ERROR);
	printf("pages a request:          write   read  fresh\n");
	for (unsigned u = 0; u < SW_ARRAY_SIZE(uses); u++)
		for (unsigned i = 0; i < SW_ARRAY_SIZE(fills); i++)
			bad += run(&uses[u], rounds, fills[i]);
	return bad != 0;
}
