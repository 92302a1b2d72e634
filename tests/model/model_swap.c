/*
 * model_swap.c - random operations on the swap layer beside a model of it:
 *
 *      model_swap [SEED [STEPS]]       rounds of up to 10000 steps, each with
 *                                      its own seed: SEED, SEED + 1 ...
 *      model_swap SEED steps=3,17,240  these steps of one round, and say them
 *      model_swap prove                breaks the layer on purpose: found?
 *
 * A step draws its numbers from the seed and its own number alone, so it does
 * much the same when other steps are left out. A round runs in a child. When
 * it fails, ever more steps are left out as long as it still fails, and what
 * remains is played once more aloud.
 */
#include "model_swap.h"

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "swap/swap_mem.h"

#define ROUND      10000u
#define SHRINK_NS  (30ULL * 1000000000)
#define STUCK_SECS 60 /* for steps that take a microsecond each */
#define MAX_OPS    64

/* A round has one thread only: the thread sanitizer, the slowest, may just
 * see that it is one. */
#if defined(SW_TSAN)
#define SLOWER 40
#elif defined(__SANITIZE_ADDRESS__)
#define SLOWER 4
#else
#define SLOWER 1
#endif
#define DEFAULT_STEPS ((CL < 16 ? 2000000u : 1000000u) / SLOWER)

/* Some steps of a round, ascending. */
struct sequence {
	uint64_t seed;
	uint32_t *steps; /* NULL: the first `nr` */
	uint32_t nr;
	bool aloud;    /* each step with its arguments, on stderr */
	bool quiet;    /* not even what failed */
	bool sabotage; /* with faults of the layer among the operations */
};

/* What a child leaves behind, however it ends. */
static struct report {
	uint32_t step; /* the one under way */
} * report;

/* ---- one step ---- */

static struct {
	uint64_t seed, rng;
	uint32_t step;
	uint8_t deny; /* bit n: the nth allocation fails, 7: all from there */
	bool aloud;
} now;

struct m_mood mood;
unsigned allocs_asked, allocs_denied;
bool allocs_ours;

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

uint64_t rnd(uint64_t n)
{
	now.rng = mix(now.rng);
	return (now.rng >> 3) % n;
}

void say(const char *fmt, ...)
{
	va_list ap;

	if (!now.aloud)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

void model_fail(const char *file, int line, const char *fmt, ...)
{
	const char *name = strrchr(file, '/');
	va_list ap;

	fprintf(stderr, "%smodel: seed %" PRIu64 " step %u: %s:%d: ",
		now.aloud ? "\n" : "", now.seed, now.step,
		name ? name + 1 : file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

bool alloc_denied(unsigned nth)
{
	return now.deny >> sw_min(nth, 7u) & 1;
}

static bool may_alloc(void *arg, const char *what)
{
	if (allocs_ours || !alloc_denied(allocs_asked++))
		return true;
	say(" [no memory: %s]", what);
	allocs_denied++;
	return false;
}

/* ---- a round ---- */

static struct {
	const struct m_op *op;
	unsigned up_to; /* sum of the weights so far */
} menu[MAX_OPS];

static unsigned nr_ops;

static void add_op(const struct m_op *op, unsigned weight)
{
	SW_BUG_ON(nr_ops == MAX_OPS);
	menu[nr_ops].op = op;
	menu[nr_ops].up_to = (nr_ops ? menu[nr_ops - 1].up_to : 0) + weight;
	nr_ops++;
}

/* Each round has preferences of its own, and does without some operations:
 * that leads to states that an even mixture never reaches. */
static void set_mood(const struct sequence *s)
{
	static const struct m_op fault = { "sabotage", op_sabotage, 20 };
	const struct m_op *lists[] = { folio_ops, entry_ops, device_ops };

	now.rng = mix(s->seed);
	mood.devices = 1 + rnd(DEVICES);
	mood.large = 1 + rnd(4);
	mood.denied = 2 << rnd(4);
	nr_ops = 0;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(lists); i++)
		for (const struct m_op *op = lists[i]; op->name; op++)
			if (rnd(10))
				add_op(op, op->weight << rnd(5));
	if (s->sabotage)
		add_op(&fault, fault.weight);
}

static const struct m_op *pick_op(void)
{
	static const struct m_op first = { "swapon", op_swapon, 0 };
	unsigned n = rnd(menu[nr_ops - 1].up_to), i = 0;

	/* Without a device there is little to see. */
	if (now.step == 0)
		return &first;
	while (menu[i].up_to <= n)
		i++;
	return menu[i].op;
}

static void play_step(uint32_t step, bool whole)
{
	const struct m_op *op;
	unsigned cpu;

	report->step = now.step = step;
	now.rng = mix(now.seed) ^ mix(~(uint64_t)step);
	allocs_asked = allocs_denied = 0;
	now.deny = rnd(mood.denied) ? 0 : 1 + rnd(255);
	cpu = rnd(swap_nr_cpus);
	swap_pretend_cpu(cpu);
	op = pick_op();
	say("%8u  cpu %u  %-14s", step, cpu, op->name);
	op->fn();
	now.deny = 0;
	say("\n");
	model_compare(whole);
}

/* Without checks the layer asks for the real CPU: one, as the model has it. */
static void stay_here(void)
{
#ifndef SW_CHECKS
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	SW_BUG_ON(sched_setaffinity(0, sizeof(here), &here));
#endif
}

/* In a child, which does not come back from a failure. */
static void play(const struct sequence *s)
{
	/* All at each step where that is cheap, and where there are so few
	 * that the very step matters. */
	unsigned whole = CL < 16 || s->nr < 100 ? 1 : CL < 512 ? 8 : 64;

	sw_log_set_level(SW_LOG_ERROR); /* warnings are what we provoke */
	now.seed = s->seed;
	now.aloud = s->aloud;
	stay_here();
	set_mood(s);
	model_open();
	swap_set_alloc_hook(may_alloc, NULL);
	for (uint32_t i = 0; i < s->nr; i++) {
		if (i % 1024 == 0)
			alarm(STUCK_SECS);
		play_step(s->steps ? s->steps[i] : i, i % whole == 0);
	}
	say("          switched off\n");
	model_close();
	alarm(0);
}

/* True when all went well. */
static bool run(const struct sequence *s)
{
	const struct rlimit no_core = { 0 };
	int status;
	pid_t pid;

	fflush(stdout);
	report->step = 0;
	pid = fork();
	SW_BUG_ON(pid < 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		if (s->quiet && !freopen("/dev/null", "w", stderr))
			_exit(2);
		play(s);
		exit(0);
	}
	SW_BUG_ON(waitpid(pid, &status, 0) != pid);
	if (WIFSIGNALED(status) && !s->quiet)
		fprintf(stderr, "model: seed %" PRIu64 " step %u: %s\n",
			s->seed, report->step, strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- shrinking ---- */

/* Without what lies behind the step that failed. */
static void cut_tail(struct sequence *s)
{
	while (s->nr > 1 && s->steps[s->nr - 1] > report->step)
		s->nr--;
}

struct shrinking {
	struct sequence s;
	uint32_t *less; /* as many steps as there were at first */
	uint64_t until_ns;
	unsigned tries;
};

/* Leaves out the steps [i, i + n) and step j, if it fails all the same. */
static bool leave_out(struct shrinking *sh, uint32_t i, uint32_t n, uint32_t j)
{
	struct sequence less = sh->s;

	less.steps = sh->less;
	less.nr = 0;
	for (uint32_t k = 0; k < sh->s.nr; k++)
		if ((k < i || k >= i + n) && k != j)
			less.steps[less.nr++] = sh->s.steps[k];
	sh->tries++;
	if (run(&less))
		return false;
	cut_tail(&less);
	sh->less = sh->s.steps;
	sh->s = less;
	return true;
}

static bool time_left(const struct shrinking *sh)
{
	return sw_now_ns() < sh->until_ns;
}

/* Halves, quarters ... single steps, until none can go. From the end: what
 * led there comes last. */
static void leave_out_runs(struct shrinking *sh)
{
	bool some = true;

	for (uint32_t n = sh->s.nr / 2; n; n = n > 1 ? n / 2 : some) {
		uint32_t to = sh->s.nr;

		some = false;
		while (to >= n && sh->s.nr > n && time_left(sh)) {
			some |= leave_out(sh, to - n, n, to - n);
			to = sw_min(to - n, sh->s.nr);
		}
	}
}

/* Then two that only together can go, such as a slot taken and given back.
 * True if there were such. */
static bool leave_out_pairs(struct shrinking *sh)
{
	bool some = false;

	for (uint32_t j = sh->s.nr; j-- > 1;)
		for (uint32_t i = j; i-- > 0 && sh->s.nr > 2;) {
			if (!time_left(sh))
				return false;
			if (!leave_out(sh, i, 1, j))
				continue;
			some = true;
			j = sw_min(j, sh->s.nr);
			break;
		}
	return some;
}

static void shrink(struct sequence *s)
{
	const uint64_t start = sw_now_ns();
	struct shrinking sh = { .s = *s, .until_ns = start + SHRINK_NS };

	sh.less = malloc(s->nr * sizeof(*sh.less));
	SW_BUG_ON(!sh.less);
	sh.s.quiet = true;
	do {
		leave_out_runs(&sh);
	} while (leave_out_pairs(&sh));
	free(sh.less);
	fprintf(stderr, "model: %u of %u steps are enough (%u tries, %.1f s)\n",
		sh.s.nr, s->nr, sh.tries, (sw_now_ns() - start) / 1e9);
	*s = sh.s;
	s->quiet = false;
}

/* What failed becomes as short as can be, is said, and how to see it again.
 * The number of steps left. */
static uint32_t explain(const char *program, const struct sequence *failed)
{
	struct sequence s = *failed;
	uint32_t nr;

	s.nr = sw_min(report->step + 1, failed->nr);
	s.steps = malloc(s.nr * sizeof(*s.steps));
	SW_BUG_ON(!s.steps);
	for (uint32_t i = 0; i < s.nr; i++)
		s.steps[i] = i;
	shrink(&s);
	s.aloud = true;
	if (run(&s))
		fprintf(stderr, "model: and now it does not fail\n");
	if (program) {
		fprintf(stderr, "model: again: %s %" PRIu64 " steps=", program,
			s.seed);
		for (uint32_t i = 0; i < s.nr; i++)
			fprintf(stderr, "%s%u", i ? "," : "", s.steps[i]);
		fputc('\n', stderr);
	}
	nr = s.nr;
	free(s.steps);
	return nr;
}

/* ---- the command line ---- */

static int rounds(const char *program, uint64_t seed, uint64_t steps)
{
	uint64_t before = sw_now_ns();

	printf("model: seed %" PRIu64 ", %" PRIu64 " steps, clusters of %u\n",
	       seed, steps, CL);
	for (uint64_t done = 0; done < steps; done += ROUND, seed++) {
		struct sequence s = {
			.seed = seed,
			.nr = sw_min(steps - done, (uint64_t)ROUND),
		};

		if (!run(&s)) {
			explain(program, &s);
			return 1;
		}
	}
	printf("model: all as predicted, %.0f steps a second\n",
	       steps * 1e9 / (sw_now_ns() - before));
	return 0;
}

static int some_steps(uint64_t seed, char *list)
{
	struct sequence s = { .seed = seed, .aloud = true };

	s.steps = malloc(strlen(list) * sizeof(*s.steps));
	SW_BUG_ON(!s.steps);
	for (char *p = strtok(list, ","); p; p = strtok(NULL, ","))
		s.steps[s.nr++] = strtoul(p, NULL, 0);
	return !run(&s);
}

/* A word changed behind the model's back is found, in hardly more steps than
 * a device, a slot and the fault itself need. */
static int prove(void)
{
	struct sequence s = { .seed = 3, .nr = ROUND, .sabotage = true };
	uint32_t nr;

	if (run(&s)) {
		fprintf(stderr, "model: the fault was not found\n");
		return 1;
	}
	nr = explain(NULL, &s);
	if (nr > 6) {
		fprintf(stderr, "model: %u steps are too many\n", nr);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0)
				 : sw_now_ns() / 1000 % 1000000000;

	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	SW_BUG_ON(report == MAP_FAILED);
	if (argc > 1 && !strcmp(argv[1], "prove"))
		return prove();
	if (argc > 2 && !strncmp(argv[2], "steps=", 6))
		return some_steps(seed, argv[2] + 6);
	return rounds(argv[0], seed,
		      argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_STEPS);
}
