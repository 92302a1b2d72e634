/*
 * drive.c - see drive.h. Each page of the program begins with its number,
 * and each access of the trace compares it.
 *
 * Above: replay.c, test_replay.c. Below: mm/, mmu/sim.h, swap/.
 */
#include "drive.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../mm/sim_heat.h"

#define BASE 0x40000000ull

/* ---- a store of one word a page ---- */

struct word_store {
	uint64_t *word;
};

static int store_write(void *arg, uint64_t offset, unsigned nr,
		       const void *pages)
{
	struct word_store *st = arg;

	for (unsigned i = 0; i < nr; i++)
		memcpy(&st->word[offset + i],
		       (const char *)pages + i * SW_PAGE_SIZE,
		       sizeof(uint64_t));
	return 0;
}

static int store_read(void *arg, uint64_t offset, unsigned nr, void *pages)
{
	struct word_store *st = arg;

	memset(pages, 0, nr * SW_PAGE_SIZE);
	for (unsigned i = 0; i < nr; i++)
		memcpy((char *)pages + i * SW_PAGE_SIZE, &st->word[offset + i],
		       sizeof(uint64_t));
	return 0;
}

static void store_free(void *arg, uint64_t offset, unsigned nr)
{
	struct word_store *st = arg;

	memset(&st->word[offset], 0, nr * sizeof(uint64_t));
}

static const struct swap_ops store_ops = {
	.write = store_write,
	.read = store_read,
	.slot_free = store_free,
};

/* ---- a session ---- */

struct session {
	struct word_store store;
	int type; /* of the device */
	struct sw_sim_machine *machine;
	struct sw_mm *mm;
	struct sw_space *space;
	struct sw_sim *sim;
};

static void open_swap(struct session *s, uint64_t slots)
{
	struct swapon_spec spec = {
		.name = "replay",
		.ops = &store_ops,
		.store = &s->store,
		.max = slots + 1,
		.prio = -1,
		.flags = SWP_SOLIDSTATE,
	};

	s->store.word = calloc(slots + 1, sizeof(uint64_t));
	SW_BUG_ON(!s->store.word || swap_init());
	s->type = swapon(&spec);
	SW_BUG_ON(s->type < 0);
}

static void open_space(struct session *s, uint32_t nr_pages)
{
	uint64_t end = BASE + nr_pages * SW_PAGE_SIZE;

	s->space = sw_space_new(s->mm);
	SW_BUG_ON(!s->space);
	s->sim =
		sw_sim_new(s->machine, BASE, nr_pages, &sw_mm_client, s->space);
	sw_space_set_mmu(s->space, sw_sim_mmu(s->sim));
	sw_space_attach(s->space);
	sw_sim_map(s->sim, BASE, end, false);
	SW_BUG_ON(sw_space_add_region(s->space, sw_space_epoch(s->space), BASE,
				      end));
}

static void open_session(struct session *s, const struct drive_config *config,
			 uint32_t nr_pages)
{
	static const struct sw_mm_host host; /* nothing forks */
	struct sw_mm_config mm = { .budget_pages = config->budget,
				   .host = &host,
				   .heat = config->heat ? &sim_heat : NULL };

	*s = (struct session){ 0 };
	/* As much swap as the command line gives without being asked. */
	open_swap(s, sw_max(3ull * config->budget, 2ull * nr_pages));
	s->machine = sw_sim_machine_new();
	s->mm = sw_mm_new(&mm);
	SW_BUG_ON(!s->machine || !s->mm);
	open_space(s, nr_pages);
}

static void close_session(struct session *s)
{
	sw_sim_exit(s->sim);
	sw_space_free(s->space);
	sw_sim_free(s->sim);
	sw_evict_unprepare(&s->mm->ev);
	SW_BUG_ON(swapoff(s->type, NULL, NULL));
	sw_mm_free(s->mm);
	swap_exit();
	sw_sim_machine_free(s->machine);
	free(s->store.word);
}

/* ---- driving ---- */

static uint64_t proof_of(uint32_t page)
{
	return page + 1ull; /* a page of zeros is another matter */
}

static void touch(struct session *s, uint32_t page, bool write, bool written)
{
	uint64_t addr = BASE + page * SW_PAGE_SIZE, got;

	if (write) {
		SW_BUG_ON(sw_sim_write(s->sim, addr, proof_of(page)));
		return;
	}
	SW_BUG_ON(sw_sim_read(s->sim, addr, &got));
	SW_BUG_ON(got != (written ? proof_of(page) : 0));
}

/* What the counters say now, as a result. */
static struct drive_result counters(void)
{
	uint64_t stored = sw_counter_read(SW_CTR_pswpin) +
			  sw_counter_read(SW_CTR_swpin_zero);

	return (struct drive_result){
		.faults = sw_counter_read(SW_CTR_pgfault),
		.wp_faults = sw_counter_read(SW_CTR_pgfault_wp),
		.kept = sw_counter_read(SW_CTR_swpin_clean),
		.lost = sw_counter_read(SW_CTR_clean_lost),
		.paid = sw_counter_read(SW_CTR_pgsteal_clean),
		.stored = stored,
		/* Of a fault, and those that came along. */
		.staged = sw_counter_read(SW_CTR_pgfault_staged) +
			  sw_counter_read(SW_CTR_pgmajfault) +
			  sw_counter_read(SW_CTR_swap_ra) - stored,
		.written = sw_counter_read(SW_CTR_pswpout),
		.taken = sw_counter_read(SW_CTR_pgsteal),
	};
}

static void subtract(struct drive_result *r, const struct drive_result *from)
{
	r->faults -= from->faults;
	r->wp_faults -= from->wp_faults;
	r->staged -= from->staged;
	r->kept -= from->kept;
	r->lost -= from->lost;
	r->paid -= from->paid;
	r->stored -= from->stored;
	r->written -= from->written;
	r->taken -= from->taken;
}

void drive(const struct trace *t, const struct drive_config *config,
	   struct drive_result *result)
{
	bool *written = calloc(t->nr_pages + 1, sizeof(bool));
	uint64_t room = 0;
	struct drive_result before = { 0 };
	struct session s;

	SW_BUG_ON(!written);
	open_session(&s, config, t->nr_pages);
	for (uint64_t i = 0; i < t->nr; i++) {
		uint32_t page = trace_page(t, i);
		bool write = trace_is_write(t, i);

		if (i == t->start)
			before = counters();
		if (i >= t->start)
			room += sw_space_resident(s.space);
		touch(&s, page, write, written[page]);
		written[page] |= write;
		sw_reclaim_balance(s.mm);
	}
	*result = counters();
	subtract(result, &before);
	result->room = room / sw_max(t->nr - t->start, 1ull);
	close_session(&s);
	free(written);
}
