/*
 * trace.c - the kinds of access that the policy is judged by, and the form
 * of recorded ones. All of them write every page once before they are counted:
 * a page that was never written costs nothing to take out.
 *
 * Above: replay.c, test_replay.c.
 */
#include "trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAGES (1u << 28) /* of a file: more is a mistake in it */

/* ---- accesses ---- */

static void add(struct trace *t, uint32_t page, bool write)
{
	if (t->nr == t->max) {
		t->max = t->max ? t->max * 2 : 4096;
		t->access = realloc(t->access, t->max * sizeof(t->access[0]));
		if (!t->access)
			abort();
	}
	t->access[t->nr++] = page << 1 | write;
	if (page >= t->nr_pages)
		t->nr_pages = page + 1;
}

static void fill(struct trace *t, uint32_t nr_pages)
{
	for (uint32_t page = 0; page < nr_pages; page++)
		add(t, page, true);
	t->start = t->nr;
}

/* ---- chance ---- */

struct chance {
	uint64_t state;
};

static struct chance chance_of(const struct trace_shape *shape)
{
	return (struct chance){ shape->seed * 0x9e3779b97f4a7c15ull | 1 };
}

static uint64_t below(struct chance *c, uint64_t end)
{
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return (c->state >> 11) % end;
}

/* In [0, 1). */
static double fraction(struct chance *c)
{
	return below(c, 1ull << 52) / (double)(1ull << 52);
}

/* 0 .. nr - 1 in an order of its own. */
static uint32_t *shuffled(struct chance *c, uint32_t nr)
{
	uint32_t *order = malloc(nr * sizeof(*order));

	if (!order)
		abort();
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t k = below(c, i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	return order;
}

/* ---- kinds ---- */

static void uniform(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);

	fill(t, shape->nr_pages);
	for (uint64_t i = 0; i < shape->nr; i++) {
		uint32_t page = below(&c, shape->nr_pages);

		add(t, page, !below(&c, 4));
	}
}

/* Any page is read and, a hundred accesses later, written: of what comes back by
 * a read next to nothing stays as it was. */
static void update(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);
	uint32_t late[50] = { 0 };

	fill(t, shape->nr_pages);
	for (uint64_t i = 0; i < shape->nr / 2; i++) {
		uint32_t *slot = &late[i % 50];

		add(t, *slot, true);
		*slot = below(&c, shape->nr_pages);
		add(t, *slot, false);
	}
}

/* Page of rank r is touched in proportion to 1 / r^0.99; ranks are scattered
 * over the pages. `writes` of 100 are writes. */
static void zipf(struct trace *t, const struct trace_shape *shape,
		 unsigned writes)
{
	struct chance c = chance_of(shape);
	uint32_t nr = shape->nr_pages;
	uint32_t *at = shuffled(&c, nr);
	double *sum = malloc((nr + 1) * sizeof(*sum));

	if (!sum)
		abort();
	sum[0] = 0;
	for (uint32_t r = 0; r < nr; r++)
		sum[r + 1] = sum[r] + 1 / pow(r + 1, 0.99);
	fill(t, nr);
	for (uint64_t i = 0; i < shape->nr; i++) {
		double want = fraction(&c) * sum[nr];
		uint32_t lo = 0, hi = nr - 1;

		while (lo < hi) {
			uint32_t mid = (lo + hi) / 2;

			if (sum[mid + 1] > want)
				hi = mid;
			else
				lo = mid + 1;
		}
		add(t, at[lo], below(&c, 100) < writes);
	}
	free(sum);
	free(at);
}

static void zipf_read(struct trace *t, const struct trace_shape *shape)
{
	zipf(t, shape, 5);
}

static void zipf_write(struct trace *t, const struct trace_shape *shape)
{
	zipf(t, shape, 100);
}

/* Nine of ten accesses go to the hot pages of an area, scattered over it; the
 * tenth reads on in the rest, page after page, round and round. */
static void hot_and_scan(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);
	uint32_t hot = shape->budget * 6 / 10, scan = 0;
	uint32_t *at = shuffled(&c, shape->nr_pages);
	bool *is_hot = calloc(shape->nr_pages, 1);

	if (!is_hot)
		abort();
	for (uint32_t i = 0; i < hot; i++)
		is_hot[at[i]] = true;
	fill(t, shape->nr_pages);
	for (uint64_t i = 0; i < shape->nr; i++) {
		if (i % 10) {
			uint32_t page = at[below(&c, hot)];

			add(t, page, !below(&c, 4));
			continue;
		}
		do {
			scan = (scan + 1) % shape->nr_pages;
		} while (is_hot[scan]);
		add(t, scan, false);
	}
	free(is_hot);
	free(at);
}

/* Round and round through a quarter more than the budget, in address order. */
static void loop(struct trace *t, const struct trace_shape *shape)
{
	uint32_t nr = shape->budget * 5 / 4;

	fill(t, nr);
	for (uint64_t i = 0; i < shape->nr; i++)
		add(t, i % nr, i / nr % 4 == 3);
}

/* The same in an order that no reading ahead can follow. */
static void cycle(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);
	uint32_t nr = shape->budget * 5 / 4;
	uint32_t *at = shuffled(&c, nr);

	fill(t, nr);
	for (uint64_t i = 0; i < shape->nr; i++)
		add(t, at[i % nr], i / nr % 4 == 3);
	free(at);
}

/* Four hot sets of six tenths of the budget, one after the other, and one
 * access in ten anywhere. */
static void phases(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);
	uint32_t *at = shuffled(&c, shape->nr_pages);
	uint32_t hot = shape->budget * 6 / 10;

	fill(t, shape->nr_pages);
	for (uint64_t i = 0; i < shape->nr; i++) {
		uint32_t phase = i * 4 / shape->nr;
		uint32_t first = phase * (shape->nr_pages - hot) / 3;
		uint32_t page = at[first + below(&c, hot)];

		if (!below(&c, 10))
			page = below(&c, shape->nr_pages);
		add(t, page, !below(&c, 4));
	}
	free(at);
}

/*
 * The search tree of xz -9: one node of 8 bytes for each position of the
 * dictionary, in the order of positions. A new position replaces the oldest
 * and becomes the root; on the way down, nodes are rewritten that are more
 * often near than far, but may be anywhere.
 */
static void tree(struct trace *t, const struct trace_shape *shape)
{
	struct chance c = chance_of(shape);
	uint32_t nr = shape->nr_pages;
	const unsigned nodes = 512, depth = 8; /* in a page, on the way */

	fill(t, nr);
	for (uint64_t i = 0; t->nr - t->start < shape->nr; i++) {
		uint32_t now = i / nodes % nr;

		add(t, now, true);
		for (unsigned d = 0; d < depth; d++) {
			double f = fraction(&c);
			uint32_t back = nr * f * f * f;

			add(t, (now + nr - back) % nr, true);
		}
	}
}

/*
 * GETs and SETs of keys that redis-benchmark chooses evenly: a bucket of the
 * table, an entry, the key, the object, and the value, each in pages of its
 * own kind as the allocator's size classes have it; objects were made in the
 * order in which keys first came. With values of 1000 bytes the first four
 * are a twelfth of the memory and take four of five accesses.
 */
static void redis(struct trace *t, const struct trace_shape *shape)
{
	static const unsigned bytes[] = { 8, 32, 32, 16, 1024 };
	struct chance c = chance_of(shape);
	uint64_t keys = shape->nr_pages * 4096ull / (8 + 32 + 32 + 16 + 1024);
	uint32_t *bucket = shuffled(&c, keys);

	fill(t, shape->nr_pages);
	for (uint64_t i = 0; t->nr - t->start < shape->nr; i++) {
		uint32_t key = below(&c, keys);
		bool set = !below(&c, 10);
		uint64_t area = 0;

		for (unsigned k = 0; k < 5; k++) {
			uint64_t n = k ? key : bucket[key];

			add(t, (area + n * bytes[k]) / 4096, set && k == 4);
			area += keys * bytes[k];
		}
	}
	free(bucket);
}

const struct trace_kind trace_kinds[] = {
	{ "zipf", "scattered pages by rank, 5 % writes", zipf_read },
	{ "zipf-write", "the same, all writes", zipf_write },
	{ "hot-scan", "0.6 of the budget hot, a scan of the rest beside it",
	  hot_and_scan },
	{ "loop", "1.25 times the budget round and round, in order", loop },
	{ "cycle", "the same in a shuffled order", cycle },
	{ "uniform", "any page, 25 % writes", uniform },
	{ "update", "any page, read and soon after written", update },
	{ "phases", "hot sets of 0.6 of the budget, one after the other",
	  phases },
	{ "tree", "the search tree of xz -9, all writes", tree },
	{ "redis", "keys chosen evenly, with table, entries and values",
	  redis },
};

const unsigned nr_trace_kinds = sizeof(trace_kinds) / sizeof(trace_kinds[0]);

int trace_make(struct trace *t, const char *kind,
	       const struct trace_shape *shape)
{
	*t = (struct trace){ 0 };
	for (unsigned k = 0; k < nr_trace_kinds; k++) {
		if (strcmp(trace_kinds[k].name, kind))
			continue;
		trace_kinds[k].make(t, shape);
		return 0;
	}
	return -ENOENT;
}

/* ---- recorded ---- */

/* One line of a file; false: not understood. */
static bool parse(struct trace *t, char *line)
{
	unsigned long long page, nr = 1;
	char what, rest;
	int n;

	line[strcspn(line, "#\n")] = 0;
	if (!line[strspn(line, " \t\r")])
		return true;
	if (!strncmp(line, "start", 5)) {
		t->start = t->nr;
		return true;
	}
	n = sscanf(line, " %c %llu %llu %c", &what, &page, &nr, &rest);
	if (n < 2 || n > 3 || (what != 'r' && what != 'w') ||
	    page >= MAX_PAGES || nr > MAX_PAGES - page)
		return false;
	for (unsigned long long k = 0; k < nr; k++)
		add(t, page + k, what == 'w');
	return true;
}

int trace_load(struct trace *t, FILE *file)
{
	char line[128];

	*t = (struct trace){ 0 };
	for (unsigned n = 1; fgets(line, sizeof(line), file); n++) {
		if (parse(t, line))
			continue;
		fprintf(stderr,
			"line %u of the trace is neither \"r PAGE [NR]\" nor \"w PAGE [NR]\" nor \"start\"\n",
			n);
		trace_free(t);
		return -EINVAL;
	}
	return ferror(file) ? -EIO : 0;
}

int trace_save(const struct trace *t, FILE *file)
{
	for (uint64_t i = 0; i < t->nr; i++) {
		if (i == t->start)
			fputs("start\n", file);
		fprintf(file, "%c %u\n", trace_is_write(t, i) ? 'w' : 'r',
			trace_page(t, i));
	}
	return ferror(file) ? -EIO : 0;
}

void trace_free(struct trace *t)
{
	free(t->access);
	*t = (struct trace){ 0 };
}
