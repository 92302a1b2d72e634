/*
 * frag_zram.c - a day in the life of a store, in short: it fills, works
 * steadily, is half emptied, works on data of another kind, fills again. At
 * each hour the memory taken is compared with the bytes it is for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "pages.h"
#include "store/zram.h"

#define SLOTS 40000u

static struct sw_zram *zram;
static uint64_t rnd = 20;
static bool used[SLOTS];
static unsigned char page[SW_PAGE_SIZE];
static unsigned failures;
static uint64_t moved;

/*
 * Sizes as programs have them: a hump around a third of a page, a tail to
 * both sides, some noise. `lean` moves the hump.
 */
static void write_some(uint64_t slot, unsigned lean)
{
	size_t noise = 0;

	for (int i = 0; i < 4; i++)
		noise += rnd_below(&rnd, lean);
	if (rnd_below(&rnd, 20) == 0)
		noise = SW_PAGE_SIZE;
	memset(page, slot, SW_PAGE_SIZE);
	fill_noise(page, sw_min(noise + 8, SW_PAGE_SIZE), &rnd);
	CHECK(sw_zram_ops.write(zram, slot, 1, page) == 0);
	used[slot] = true;
}

static void free_one(uint64_t slot)
{
	sw_zram_ops.slot_free(zram, slot, 1);
	used[slot] = false;
}

/* `ops` random steps that drift to `fill` per cent of the slots in use. */
static void hour(const char *name, unsigned ops, unsigned fill, unsigned lean,
		 unsigned percent_allowed)
{
	struct sw_store_stats st;
	double over;

	for (unsigned i = 0; i < ops; i++) {
		uint64_t slot = rnd_below(&rnd, SLOTS);

		if (rnd_below(&rnd, 100) < fill)
			write_some(slot, lean);
		else if (used[slot])
			free_one(slot);
	}
	sw_zram_stats(zram, &st);
	over = 100.0 * st.mem_bytes / st.compr_bytes - 100;
	printf("%-26s %6lu pages %5.1f MiB in %5.1f MiB: %+5.1f %% (allowed %u), %lu moved\n",
	       name, st.pages, st.compr_bytes / 1048576.0,
	       st.mem_bytes / 1048576.0, over, percent_allowed,
	       st.moved_objects - moved);
	moved = st.moved_objects;
	if (over > percent_allowed)
		failures++;
}

int main(void)
{
	zram = sw_zram_open(SLOTS, "lz4");
	CHECK(zram);
	hour("morning: fills", 60000, 95, 600, 5);
	hour("steady work, 80 % full", 150000, 80, 600, 10);
	hour("another kind of data", 100000, 80, 900, 12);
	hour("drains to half", 60000, 40, 600, 15);
	hour("works at half", 100000, 50, 600, 15);
	hour("fills again, small pages", 100000, 90, 250, 15);
	hour("steady again", 100000, 80, 600, 12);
	/* Nine of ten pages go, at random, and nobody writes: one call to
	 * tidy up has to do. */
	for (uint64_t i = 0; i < SLOTS; i++)
		if (used[i] && rnd_below(&rnd, 10))
			free_one(i);
	CHECK(sw_zram_compact(zram) > 0);
	/* So little is left that one half-full span a class is felt. */
	hour("nine of ten exit, tidied", 0, 0, 600, 50);
	CHECK(sw_zram_check(zram) == 0);
	sw_zram_close(zram);
	return failures != 0;
}
