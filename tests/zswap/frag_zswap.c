/*
 * frag_zswap.c - a day in the life of a pool, in short: it fills, works
 * steadily, is half emptied, works on data of another kind, has its cold pages
 * written back, fills again. After each hour, tidied as the thread does it when
 * idle, the memory taken may be a tenth more than the bytes it is for.
 */
#include "fixture.h"

#define SLOTS   40000u
#define ALLOWED 10 /* per cent */

static struct sw_zswap *pool;
static struct device dev;
static uint64_t rnd = 20;
static bool used[SLOTS];
static unsigned failures;

/*
 * Sizes as programs have them: a hump around a third of a page, a tail to
 * both sides, some noise. `lean` moves the hump.
 */
static void write_some(uint64_t slot, unsigned lean)
{
	unsigned char page[PG];
	size_t noise = 0;

	for (int i = 0; i < 4; i++)
		noise += rnd_below(&rnd, lean);
	memset(page, slot, PG);
	fill_noise(page, sw_min(noise + 8, PG), &rnd);
	CHECK(sw_zswap_ops.write(dev.zdev, slot, 1, page) == 0);
	used[slot] = true;
}

static void free_one(uint64_t slot)
{
	sw_zswap_ops.slot_free(dev.zdev, slot, 1);
	used[slot] = false;
}

/* Bytes of memory for each that was asked for; the entries' are neither. */
static double over_percent(struct sw_zswap_stats *st)
{
	sw_zswap_stats(pool, st);
	return 100.0 *
		       (st->mem_bytes -
			st->pages * sizeof(struct zswap_entry)) /
		       st->compr_bytes -
	       100;
}

/* `ops` random steps that drift to `fill` per cent of the slots in use. */
static void hour(const char *name, unsigned ops, unsigned fill, unsigned lean)
{
	struct sw_zswap_stats st;
	double before, over;

	for (unsigned i = 0; i < ops; i++) {
		uint64_t slot = 1 + rnd_below(&rnd, SLOTS - 1);

		if (rnd_below(&rnd, 100) < fill)
			write_some(slot, lean);
		else if (used[slot])
			free_one(slot);
	}
	before = over_percent(&st);
	sw_zswap_compact(pool);
	over = over_percent(&st);
	printf("%-26s %6lu pages %5.1f MiB: %+5.1f %%, tidied %+5.1f %% (allowed %u), %lu moved\n",
	       name, st.pages, st.compr_bytes / 1048576.0, before, over,
	       ALLOWED, st.moved_objects);
	if (over > ALLOWED)
		failures++;
}

int main(void)
{
	layer_open();
	pool = pool_open(256 << 20);
	device_on(&dev, pool, SLOTS);
	hour("morning: fills", 60000, 95, 600);
	hour("steady work, 80 % full", 150000, 80, 600);
	hour("another kind of data", 100000, 80, 900);
	hour("drains to half", 60000, 40, 600);
	hour("works at half", 100000, 50, 600);
	hour("fills again, small pages", 100000, 90, 250);
	hour("steady again", 100000, 80, 600);
	hour("evening: a quarter stays", 100000, 25, 600);
	CHECK(sw_zswap_check(pool) == 0);
	for (uint64_t slot = 1; slot < SLOTS; slot++)
		if (used[slot])
			free_one(slot);
	CHECK(sw_zswap_pages(pool) == 0);
	device_off(&dev, NULL, NULL);
	sw_zswap_close(pool);
	layer_close();
	return failures != 0;
}
