/*
 * explore_swap.c - small races of the swap layer under many schedules, and
 * under one again. Each scenario runs
 *
 *   - under every schedule that departs from the plainest ones, of which one
 *     begins with each thread, at no more than two places (as far as a limit
 *     of runs goes: first all with one, then those with two);
 *   - under random priorities, which change at up to three random places:
 *     the way to find a bug that needs few changes at places far apart, with
 *     a probability that can be told (Burckhardt and others, ASPLOS 2010);
 *   - under a coin tossed at each place, for bugs that need many changes.
 *
 *      explore_swap                            all scenarios
 *      explore_swap SCENARIO                   one
 *      explore_swap SCENARIO SCHEDULE          one schedule again
 *
 * A failure prints its schedule: what was decided at each place where more
 * than one thread could go on. A number means that so many times the thread
 * that ran went on, a letter names the one that ran instead.
 */
#include "explore.h"

#include <stdio.h>

#ifndef SW_CHECKS
int main(void)
{
	printf("no switching points in unchecked builds\n");
	return 77;
}
#else
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ThreadSanitizer sees one thread, and takes its time. */
#if defined(__SANITIZE_THREAD__)
#define SHARE 20
#else
#define SHARE 1
#endif
#define SYSTEMATIC_RUNS (10000 / SHARE) /* whoever begins */
#define PRIORITY_RUNS   (4000 / SHARE)
#define COIN_RUNS       (1000 / SHARE)
#define MAX_CHANGES     3

/* explore_zswap is this with a set of its own. */
#ifndef EXPLORE_SETS
#define EXPLORE_SETS \
	explore_cache, explore_counts, explore_alloc, explore_device
#endif
static const struct scenario *const sets[] = { EXPLORE_SETS };

static const struct scenario *scenario;
static uint64_t rng;

static unsigned rnd(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

/* ---- a schedule that is given ---- */

static int8_t plan[EXPLORE_MAX_POINTS]; /* -1: the default */
static unsigned plan_len;

static int choose_planned(enum explore_kind kind, int me, unsigned runnable)
{
	unsigned i = explore_trace_len;

	return i < plan_len && plan[i] >= 0
		       ? plan[i]
		       : explore_default(kind, me, runnable);
}

/* False: not a schedule. */
static bool plan_parse(const char *s)
{
	for (plan_len = 0; *s;) {
		unsigned long same = 0;

		if (isdigit((unsigned char)*s))
			same = strtoul(s, (char **)&s, 10);
		if (same >= EXPLORE_MAX_POINTS - plan_len)
			return false;
		while (same--)
			plan[plan_len++] = -1;
		if (!*s)
			break;
		if (*s < 'a' || *s >= 'a' + (int)EXPLORE_MAX_VT)
			return false;
		plan[plan_len++] = *s++ - 'a';
	}
	return true;
}

/* ---- every schedule, up to a number of departures ---- */

static uint64_t runs_left;

/*
 * Those that do as `plan` up to `from`, then depart up to `left` times. The
 * places are taken in an order that jumps, so that a limit does not cut off
 * the end of the run.
 */
static void systematic(unsigned from, unsigned left, unsigned depth)
{
	static struct explore_step seen[3][EXPLORE_MAX_POINTS];
	struct explore_step *mine = seen[depth];
	unsigned n;

	if (!runs_left)
		return;
	explore_run(scenario, choose_planned);
	runs_left--;
	n = explore_trace_len;
	if (!left || from >= n)
		return;
	memcpy(mine, explore_trace, n * sizeof(*mine));
	for (unsigned k = 0; k < n - from; k++) {
		unsigned i = from + (uint64_t)k * 7919 % (n - from);

		for (int t = 0; t < (int)EXPLORE_MAX_VT; t++) {
			if (t == mine[i].chosen ||
			    !(mine[i].runnable & 1u << t))
				continue;
			for (unsigned j = 0; j < i; j++)
				plan[j] = mine[j].chosen;
			plan[i] = t;
			plan_len = i + 1;
			systematic(i + 1, left - 1, depth + 1);
		}
	}
}

/* Returns how many; `*complete` is the greatest number of departures of
 * which all were seen, whoever begins. */
static uint64_t all_schedules(unsigned *complete)
{
	uint64_t runs = 0;

	for (unsigned left = 1; left <= 2; left++) {
		bool all = true;

		for (unsigned t = 0; t < EXPLORE_MAX_VT && scenario->body[t];
		     t++) {
			runs_left = SYSTEMATIC_RUNS;
			plan[0] = t;
			plan_len = 1;
			systematic(1, left, 0);
			runs += SYSTEMATIC_RUNS - runs_left;
			all &= runs_left > 0;
		}
		if (!all)
			break;
		*complete = left;
	}
	return runs;
}

/* ---- random priorities ---- */

static int prio[EXPLORE_MAX_VT], lowest;
static unsigned change_at[MAX_CHANGES];

static void priorities_init(unsigned length)
{
	for (unsigned i = 0; i < EXPLORE_MAX_VT; i++) {
		unsigned j = rnd(i + 1);

		prio[i] = prio[j];
		prio[j] = i;
	}
	lowest = 0;
	/* From none to all of them. */
	for (unsigned i = 0, n = rnd(MAX_CHANGES + 1); i < MAX_CHANGES; i++)
		change_at[i] = i < n ? rnd(length) : ~0u;
}

static int choose_by_priority(enum explore_kind kind, int me, unsigned runnable)
{
	int best = -1;

	/* Who waits lets everybody go first, or it would wait for ever. */
	if (kind == EXPLORE_WAIT)
		prio[me] = --lowest;
	for (unsigned i = 0; me >= 0 && i < MAX_CHANGES; i++)
		if (change_at[i] == explore_trace_len)
			prio[me] = --lowest;
	for (unsigned t = 0; t < EXPLORE_MAX_VT; t++)
		if (runnable & 1u << t && (best < 0 || prio[t] > prio[best]))
			best = t;
	return best;
}

/* ---- a coin ---- */

static int choose_by_coin(enum explore_kind kind, int me, unsigned runnable)
{
	int t;

	if (kind == EXPLORE_POINT && rnd(4))
		return me;
	do
		t = rnd(EXPLORE_MAX_VT);
	while (!(runnable & 1u << t));
	return t;
}

/* ---- all of it ---- */

static void explore(void)
{
	unsigned complete = 0, longest = 1;
	uint64_t runs;

	rng = 0x9e3779b97f4a7c15ULL;
	runs = all_schedules(&complete);
	for (unsigned i = 0; i < PRIORITY_RUNS; i++) {
		priorities_init(longest);
		explore_run(scenario, choose_by_priority);
		longest = sw_max(longest, explore_trace_len);
	}
	for (unsigned i = 0; i < COIN_RUNS; i++)
		explore_run(scenario, choose_by_coin);
	printf("explore: %-28s %4u places, %5llu schedules (all with %u departures at most), %u by priority, %u by coin\n",
	       scenario->name, longest, (unsigned long long)runs, complete,
	       PRIORITY_RUNS, COIN_RUNS);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned done = 0;

	explore_init(argv[0]);
	for (unsigned set = 0; set < SW_ARRAY_SIZE(sets); set++) {
		for (scenario = sets[set]; scenario->name; scenario++) {
			if (argc > 1 && strcmp(argv[1], scenario->name))
				continue;
			done++;
			if (argc < 3) {
				explore();
				continue;
			}
			if (!plan_parse(argv[2])) {
				fprintf(stderr, "explore: %s: no schedule\n",
					argv[2]);
				return 2;
			}
			explore_run(scenario, choose_planned);
			printf("explore: %s: passed\n", scenario->name);
		}
	}
	if (!done)
		fprintf(stderr, "explore: %s: no such scenario\n", argv[1]);
	return done ? 0 : 2;
}
#endif
