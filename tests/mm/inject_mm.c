/*
 * inject_mm.c - the program of model.h with one call failing: the first, the
 * second ... of each operation of the mmu, with each errno it may give, and of
 * reads and writes of the store. Whatever fails, the program reads what it
 * wrote; where bytes were really lost it gets SIGBUS, and never anything else.
 *
 *        inject_mm [huge] [SEED]
 */
#include "model.h"

#include "base/log.h"

#define STEPS      250
#define STEPS_HUGE 80 /* larger ones */

/* What may fail besides the mmu's operations. */
enum {
	STORE_READ = SW_SIM_NR_OPS,
	STORE_WRITE,
	STORE_WRITES, /* and all after it */
};

static const struct failure {
	const char *name;
	unsigned op;
	int err;
	bool loses; /* bytes are gone by it: SIGBUS is right */
} failures[] = {
	{ "copy EAGAIN", SW_SIM_COPY, -EAGAIN, false },
	{ "copy ENOMEM", SW_SIM_COPY, -ENOMEM, false },
	{ "copy ENOENT", SW_SIM_COPY, -ENOENT, false },
	{ "protect EAGAIN", SW_SIM_PROTECT, -EAGAIN, false },
	{ "protect ENOENT", SW_SIM_PROTECT, -ENOENT, false },
	{ "poison EAGAIN", SW_SIM_POISON, -EAGAIN, true },
	{ "take ESRCH", SW_SIM_TAKE, -ESRCH, false },
	{ "read_staged EIO", SW_SIM_READ_STAGED, -EIO, true },
	{ "unshare ESRCH", SW_SIM_UNSHARE, -ESRCH, false },
	{ "bring EBUSY", SW_SIM_BRING, -EBUSY, false },
	{ "store read EIO", STORE_READ, -EIO, true },
	{ "store read ENODATA", STORE_READ, -ENODATA, true },
	{ "store read ENOMEM", STORE_READ, -ENOMEM, false },
	{ "store read EINPROGRESS", STORE_READ, -EINPROGRESS, false },
	{ "store write EIO", STORE_WRITE, -EIO, false },
	{ "store write ENOSPC", STORE_WRITE, -ENOSPC, false },
	{ "store write ENOMEM", STORE_WRITE, -ENOMEM, false },
	{ "store write ETIMEDOUT", STORE_WRITE, -ETIMEDOUT, false },
	{ "store writes EIO", STORE_WRITES, -EIO, false },
	{ "store writes ENOMEM", STORE_WRITES, -ENOMEM, false },
	{ "store writes ETIMEDOUT", STORE_WRITES, -ETIMEDOUT, false },
};

static void arm(struct model *m, const struct failure *f, unsigned nth)
{
	m->f.store.read_err = m->f.store.write_err = 0;
	m->f.store.stays = f->op == STORE_WRITES;
	if (f->op >= SW_SIM_NR_OPS)
		m->f.store.read_err = m->f.store.write_err = f->err;
	if (f->op == STORE_READ)
		m->f.store.fail_read = nth;
	else if (f->op >= STORE_WRITE)
		m->f.store.fail_write = nth;
	else
		sw_sim_fail(m->f.machine, f->op, nth, f->err);
	/* Nothing is poisoned unless something was lost first. */
	if (f->op == SW_SIM_POISON)
		m->f.store.fail_read = nth;
}

/* False: so many calls were not made, the failure never came. */
static bool run(uint64_t seed, const struct failure *f, unsigned nth, bool huge)
{
	struct model m;
	bool came;

	md_open(&m, seed, huge ? 4096 : 2048, huge);
	m.allow_loss = f->loses;
	m.allow_late = f->err == -EINPROGRESS;
	m.devices = nth % 4 == 1;
	arm(&m, f, nth);
	while (m.steps < (huge ? STEPS_HUGE : STEPS)) {
		md_step(&m);
		md_check(&m, m.steps % 64 == 0);
	}
	arm(&m, f, 0);
	came = sw_sim_calls(m.f.machine, SW_SIM_COPY) >= nth;
	if (f->op < SW_SIM_NR_OPS)
		came = sw_sim_calls(m.f.machine, f->op) >= nth;
	md_check(&m, true);
	md_close(&m);
	return came;
}

int main(int argc, char **argv)
{
	bool huge = argc > 1 && !strcmp(argv[1], "huge");
	unsigned runs = 0;
	uint64_t seed;

	argc -= huge;
	argv += huge;
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	sw_log_set_level(SW_LOG_ERROR);
	for (unsigned k = 0; k < 2 * SW_ARRAY_SIZE(failures); k++) {
		const struct failure *f = &failures[k / 2];
		unsigned nth = 1;

		fx_batches = k % 2;
		if (fx_batches && f->op < SW_SIM_NR_OPS)
			continue;
		fprintf(stderr, "%s%s\n", f->name,
			fx_batches ? ", many slots at once" : "");
		/* Each of the first calls, then wider steps. */
		for (; nth < 400 && run(seed, f, nth, huge); runs++)
			nth += 1 + nth / (huge ? 2 : 8);
	}
	printf("%u runs\n", runs);
	return 0;
}
