/*
 * hash.c - a hash table under load: look-ups and changes of entries that are
 * chosen by Zipf's law, as a cache or an index in memory sees them.
 *
 *   hash ENTRIES OPERATIONS
 *
 * Entries are 128 bytes, in the order in which they came; a table of chains
 * leads to them. One operation in ten changes its entry. Both lie in plain
 * memory or in regions (arena.h). Prints lines "NAME VALUE": microseconds to
 * insert (mean), and an operation's mean and percentiles; "check" depends on the
 * arguments alone.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"

struct entry {
	uint64_t key;
	uint32_t next; /* in the chain, 0: the last */
	uint32_t changes;
	uint64_t value[14];
};

static struct entry *entries; /* the first is not used */
static uint32_t *heads, nr_heads;
static size_t nr_entries;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ (x >> 33);
}

static void insert(size_t at)
{
	struct entry *e = &entries[at];
	uint32_t *head;

	e->key = scramble(at);
	head = &heads[scramble(e->key) % nr_heads];
	e->next = *head;
	for (unsigned i = 0; i < 14; i++)
		e->value[i] = i % 4 ? i : e->key + i;
	*head = at;
}

static struct entry *find(uint64_t key)
{
	uint32_t at = heads[scramble(key) % nr_heads];

	while (at && entries[at].key != key)
		at = entries[at].next;
	return at ? &entries[at] : NULL;
}

/*
 * Zipf's law with exponent 0.99 by a formula that is exact for the first two
 * ranks and close for the others (Gray and others, "Quickly generating
 * billion-record synthetic databases", 1994): a table of sums as large as
 * ours would have to be would be half of what is measured.
 */
#define THETA 0.99

static double zeta_n, zeta_2, eta;

static void zipf_init(size_t n)
{
	for (size_t i = 1; i <= n; i++)
		zeta_n += pow(i, -THETA);
	zeta_2 = 1 + pow(2, -THETA);
	eta = (1 - pow(2.0 / n, 1 - THETA)) / (1 - zeta_2 / zeta_n);
}

static size_t zipf_rank(double u, size_t n)
{
	double x = u * zeta_n;

	if (x < 1)
		return 0;
	if (x < zeta_2)
		return 1;
	return (size_t)(n * pow(eta * u - eta + 1, 1 / (1 - THETA))) % n;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void print_percentiles(float *us, size_t n)
{
	qsort(us, n, sizeof(*us), by_value);
	printf("op.p50 %.3f\n", us[n / 2]);
	printf("op.p90 %.3f\n", us[n - 1 - n / 10]);
	printf("op.p99 %.3f\n", us[n - 1 - n / 100]);
	printf("op.p999 %.3f\n", us[n - 1 - n / 1000]);
	printf("op.max %.3f\n", us[n - 1]);
}

/* One operation; what is added to the checksum. 0 is never right. */
static uint64_t operate(uint64_t key, bool change)
{
	struct entry *e = find(key);

	if (!e)
		return 0;
	if (change)
		e->value[4] += ++e->changes;
	return e->value[0] ^ e->value[4];
}

static int run(size_t operations)
{
	float *us = malloc(operations * sizeof(*us));
	uint64_t check = 0, total = 0;

	for (size_t k = 0; k < operations; k++) {
		double u = (scramble(k * 2 + 1) >> 11) * 0x1p-53;
		/* A prime above every size: ranks spread, one to one. */
		size_t at =
			zipf_rank(u, nr_entries) * 2654435761ul % nr_entries +
			1;
		uint64_t start = now_ns(), got, took;

		got = operate(scramble(at), k % 10 == 9);
		took = now_ns() - start;
		if (!got) {
			fprintf(stderr, "hash: entry %zu is gone\n", at);
			return 1;
		}
		check = check * 31 + got;
		total += took;
		us[k] = took / 1e3f;
	}
	printf("op %.3f\n", total / 1e3 / operations);
	print_percentiles(us, operations);
	printf("check %llu\n", (unsigned long long)check);
	free(us);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t start;
	size_t operations;

	if (argc != 3 || (nr_entries = strtoul(argv[1], NULL, 10)) < 3 ||
	    (operations = strtoul(argv[2], NULL, 10)) < 1000) {
		fprintf(stderr, "usage: hash ENTRIES OPERATIONS\n");
		return 2;
	}
	nr_heads = nr_entries;
	entries = arena_alloc((nr_entries + 1) * sizeof(*entries));
	heads = arena_alloc(nr_heads * sizeof(*heads));
	start = now_ns();
	for (size_t at = 1; at <= nr_entries; at++)
		insert(at);
	printf("insert %.3f\n", (now_ns() - start) / 1e3 / nr_entries);
	arena_is_random(entries, (nr_entries + 1) * sizeof(*entries));
	arena_is_random(heads, nr_heads * sizeof(*heads));
	zipf_init(nr_entries);
	return run(operations);
}
