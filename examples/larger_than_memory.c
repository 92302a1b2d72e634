/*
 * larger_than_memory.c - sorts more numbers than the budget has room for, with
 * the library's region as an ordinary array. Build and run it with
 *
 *      cc larger_than_memory.c $(pkg-config --cflags --libs spillway) -o sort
 *      ./sort 24M
 */
#include <spillway.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS (8u << 20) /* 64 MiB of them */

/* In place: qsort() of the C library would take as much plain memory again. */
static void sort(uint64_t *at, size_t nr)
{
	while (nr > 1) {
		uint64_t pivot = at[nr / 2], x;
		size_t i = 0, k = nr - 1;

		for (;; i++, k--) {
			while (at[i] < pivot)
				i++;
			while (at[k] > pivot)
				k--;
			if (i >= k)
				break;
			x = at[i];
			at[i] = at[k];
			at[k] = x;
		}
		sort(at, i);
		at += i;
		nr -= i;
	}
}

int main(int argc, char **argv)
{
	struct spillway_stats st = { .size = sizeof(st) };
	char options[100], why[200];
	spillway_t *sp;
	uint64_t *number, x = 88172645463325252ull;
	void *mem;
	int err;

	snprintf(options, sizeof(options), "budget=%s;zram:128M",
		 argc > 1 ? argv[1] : "24M");
	err = spillway_open_text(options, why, sizeof(why), &sp);
	if (err) {
		fprintf(stderr, "%s: %s\n", options, why);
		return 1;
	}
	err = spillway_alloc(sp, NUMBERS * sizeof(*number), NULL, &mem);
	if (err) {
		fprintf(stderr, "no region: %s\n", strerror(-err));
		return 1;
	}
	number = mem;
	for (unsigned i = 0; i < NUMBERS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		number[i] = x % 1000000;
	}
	sort(number, NUMBERS);
	for (unsigned i = 1; i < NUMBERS; i++)
		if (number[i - 1] > number[i])
			abort();
	spillway_stats(sp, &st);
	printf("sorted %u numbers; %llu of %llu MiB in memory, %llu pages went\n",
	       NUMBERS, (unsigned long long)st.used_bytes >> 20,
	       (unsigned long long)st.region_bytes >> 20,
	       (unsigned long long)st.pages_out);
	spillway_close(sp);
	return 0;
}
