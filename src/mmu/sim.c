/*
 * sim.c - calls down into a simulated space: what the kernel and the agent
 * would do, page by page, under one lock of the whole machine. The program's
 * side and the way up are in sim_program.c and sim_layout.c.
 *
 * Errors come in the order and form in which remote.c hands on the kernel's:
 * a copy stops at the border of a mapping and at a page that exists, a page
 * that fork left shared cannot be taken, and while an event waits to be read
 * copy, protect, poison and take are refused with EAGAIN.
 */
#include "mmu/sim.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "mmu/sim_internal.h"

/* ---- pages and frames ---- */

struct sim_page *sim_page_at(struct sw_sim *sim, uint64_t addr)
{
	uint64_t i = (addr - sim->base) / SW_PAGE_SIZE;

	return addr >= sim->base && i < sim->nr_pages ? &sim->page[i] : NULL;
}

struct sim_frame *sim_frame_new(void)
{
	struct sim_frame *frame = calloc(1, sizeof(*frame));

	SW_BUG_ON(!frame);
	frame->refs = 1;
	return frame;
}

void sim_frame_put(struct sim_frame *frame)
{
	SW_BUG_ON(!frame->refs);
	if (!--frame->refs)
		free(frame);
}

void sim_page_clear(struct sim_page *p)
{
	if (p->frame)
		sim_frame_put(p->frame);
	p->frame = NULL;
	p->wp = p->poison = p->exclusive = p->huge = false;
}

void sim_wake_range(struct sw_sim *sim, uint64_t start, uint64_t end)
{
	struct sim_msg *w;

	sw_list_for_each(w, &sim->faults, node)
		if (w->a >= start && w->a < end)
			w->done = true;
	pthread_cond_broadcast(&sim->m->cond);
}

/* Takes the machine's lock and says whether the call is to fail. */
int sim_op_begin(struct sw_sim *sim, enum sw_sim_op op)
{
	struct sw_sim_machine *m = sim->m;

	pthread_mutex_lock(&m->lock);
	m->calls[op]++;
	if (m->fail_in[op] && !--m->fail_in[op])
		return m->fail_err[op];
	return sim->dead ? -ESRCH : 0;
}

int sim_op_end(struct sw_sim *sim, int ret)
{
	pthread_mutex_unlock(&sim->m->lock);
	return ret;
}

/* ---- mapping ---- */

/* How many pages of the range one call of the kernel would accept. */
int sim_same_mapping(struct sw_sim *sim, uint64_t addr, unsigned nr)
{
	struct sim_page *first = sim_page_at(sim, addr);

	if (!first || !first->registered)
		return 0;
	for (unsigned k = 1; k < nr; k++) {
		struct sim_page *p = sim_page_at(sim, addr + k * SW_PAGE_SIZE);

		if (!p || p->vma != first->vma)
			return 1; /* refused as a whole, then page by page */
	}
	return nr;
}

int sim_copy_locked(struct sw_sim *sim, uint64_t addr, const void *pages,
		    unsigned nr, bool protect)
{
	unsigned done;

	if (sim->changing)
		return -EAGAIN;
	nr = sim_same_mapping(sim, addr, nr);
	if (!nr)
		return -ENOENT;
	for (done = 0; done < nr; done++) {
		struct sim_page *p =
			sim_page_at(sim, addr + done * SW_PAGE_SIZE);

		if (p->frame || p->poison)
			break;
		p->frame = sim_frame_new();
		memcpy(p->frame->word,
		       (const char *)pages + done * SW_PAGE_SIZE, SW_PAGE_SIZE);
		p->wp = protect;
		p->exclusive = true;
		p->accessed = true; /* as on x86, whoever asked for it */
	}
	if (!done)
		return -EEXIST;
	sim_wake_range(sim, addr, addr + done * SW_PAGE_SIZE);
	return done;
}

static int sim_copy(struct sw_mmu *mmu, uint64_t addr, const void *pages,
		    unsigned nr, bool protect)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_begin(sim, SW_SIM_COPY);

	if (!err)
		err = sim_copy_locked(sim, addr, pages, nr, protect);
	return sim_op_end(sim, err);
}

static int sim_protect(struct sw_mmu *mmu, uint64_t addr, uint64_t nr, bool on)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_begin(sim, SW_SIM_PROTECT);
	bool any = false;

	if (err || sim->changing)
		return sim_op_end(sim, err ? err : -EAGAIN);
	for (uint64_t k = 0; k < nr; k++) {
		struct sim_page *p = sim_page_at(sim, addr + k * SW_PAGE_SIZE);

		if (!p || !p->vma)
			continue;
		if (!p->registered)
			return sim_op_end(sim, -ENOENT);
		any = true;
		if (nr < SW_HUGE_PAGES)
			sim_split(sim, addr + k * SW_PAGE_SIZE);
		if (p->frame)
			p->wp = on;
	}
	if (any && !on)
		sim_wake_range(sim, addr, addr + nr * SW_PAGE_SIZE);
	return sim_op_end(sim, any ? 0 : -ENOENT);
}

static void sim_wake(struct sw_mmu *mmu, uint64_t addr, unsigned nr)
{
	struct sw_sim *sim = sw_sim_of(mmu);

	pthread_mutex_lock(&sim->m->lock);
	sim_wake_range(sim, addr, addr + nr * SW_PAGE_SIZE);
	pthread_mutex_unlock(&sim->m->lock);
}

static int sim_poison(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	struct sim_page *p = sim_page_at(sim, addr);
	int err = sim_op_begin(sim, SW_SIM_POISON);

	if (!err && sim->changing)
		err = -EAGAIN;
	if (!err && (!p || !p->registered))
		err = -ENOENT;
	if (!err && (p->frame || p->poison))
		err = -EEXIST;
	if (!err) {
		p->poison = true;
		sim_wake_range(sim, addr, addr + SW_PAGE_SIZE);
	}
	return sim_op_end(sim, err);
}

/* The kernel, too, looks for an event before it takes the lock under which it
 * looks for the mapping. */
static int sim_lookup(struct sw_mmu *mmu, uint64_t addr)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	struct sim_page *p = sim_page_at(sim, addr);
	int err = sim_op_begin(sim, SW_SIM_LOOKUP);

	if (!err && sim->changing)
		err = -EAGAIN;
	sim_op_end(sim, 0);
	sched_yield();
	pthread_mutex_lock(&sim->m->lock);
	if (!err && (!p || !p->registered))
		err = -ENOENT;
	return sim_op_end(sim, err);
}

/* ---- the agent ---- */

/* Machine lock held; dead: true, and nobody may ask it any more. */
bool sim_agent_is_dead(struct sw_sim *sim)
{
	return !__atomic_load_n(&sim->mmu.can_take, __ATOMIC_ACQUIRE);
}

enum sw_agent_page sim_take_page(struct sw_sim *sim, uint64_t addr,
				 struct sim_frame **staged)
{
	struct sim_page *p = sim_page_at(sim, addr);

	sim_split(sim, addr);
	if (!p || !p->registered || p->poison || p->refused)
		return SW_PAGE_REFUSED;
	if (!p->frame)
		return SW_PAGE_HOLE;
	if (!p->exclusive || p->pinned)
		return SW_PAGE_BUSY;
	SW_BUG_ON(*staged);
	*staged = p->frame;
	p->frame = NULL;
	p->wp = false;
	return SW_PAGE_TAKEN;
}

/* One run, under the gate. False: the agent died over it. */
static bool take_run(struct sw_sim *sim, const struct sw_agent_run *run,
		     uint64_t epoch, uint8_t *page)
{
	bool alive = true, stale;

	pthread_mutex_lock(&sim->gate);
	pthread_mutex_lock(&sim->m->lock);
	stale = sim->gate_epoch != epoch || sim->changing || sim->dead;
	if (run->nr == SW_HUGE_PAGES) {
		memset(page, SW_PAGE_STALE, SW_HUGE_PAGES);
		alive = !sim->agent_dying || sim->agent_pages;
		if (alive && !stale)
			sim_take_huge(sim, run->addr, page);
	}
	for (unsigned k = 0; k < run->nr && run->nr < SW_HUGE_PAGES; k++) {
		unsigned at = run->at + k;

		page[at] = SW_PAGE_STALE;
		if (alive && sim->agent_dying && !sim->agent_pages--)
			alive = false;
		if (alive && !stale)
			page[at] =
				sim_take_page(sim, run->addr + k * SW_PAGE_SIZE,
					      &sim->staged[at]);
	}
	pthread_mutex_unlock(&sim->m->lock);
	pthread_mutex_unlock(&sim->gate);
	return alive;
}

/* What is in staging is all that is known of a batch whose agent died. */
static void agent_died(struct sw_sim *sim, uint8_t *page)
{
	__atomic_store_n(&sim->mmu.can_take, false, __ATOMIC_RELEASE);
	pthread_mutex_lock(&sim->m->lock);
	for (unsigned i = 0; i < SW_MMU_BATCH; i++)
		page[i] = sim->staged[i] ? SW_PAGE_TAKEN : SW_PAGE_STALE;
	pthread_mutex_unlock(&sim->m->lock);
}

static int sim_take(struct sw_mmu *mmu, const struct sw_agent_run *run,
		    unsigned nr_runs, uint64_t epoch,
		    uint8_t page[SW_MMU_BATCH])
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_end(sim, sim_op_begin(sim, SW_SIM_TAKE));

	if (err || sim_agent_is_dead(sim))
		return err ? err : -ESRCH;
	memset(page, SW_PAGE_HOLE, SW_MMU_BATCH);
	for (unsigned i = 0; i < nr_runs; i++) {
		SW_BUG_ON(run[i].at + run[i].nr > SW_STAGE_PAGES &&
			  (nr_runs > 1 || run[i].nr != SW_HUGE_PAGES));
		if (!take_run(sim, &run[i], epoch, page)) {
			agent_died(sim, page);
			break;
		}
	}
	return 0;
}

static int sim_read_staged(struct sw_mmu *mmu, const uint16_t *at,
			   void *const *buf, unsigned nr)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_begin(sim, SW_SIM_READ_STAGED);

	if (err)
		return sim_op_end(sim, -EIO);
	for (unsigned i = 0; i < nr; i++) {
		SW_BUG_ON(!sim->staged[at[i]]);
		memcpy(buf[i], sim->staged[at[i]]->word, SW_PAGE_SIZE);
	}
	return sim_op_end(sim, 0);
}

static void drop_locked(struct sw_sim *sim)
{
	for (unsigned i = 0; i < SW_MMU_BATCH; i++) {
		if (sim->staged[i])
			sim_frame_put(sim->staged[i]);
		sim->staged[i] = NULL;
	}
}

static void sim_drop_staged(struct sw_mmu *mmu)
{
	struct sw_sim *sim = sw_sim_of(mmu);

	if (sim_agent_is_dead(sim))
		return;
	pthread_mutex_lock(&sim->m->lock);
	drop_locked(sim);
	pthread_mutex_unlock(&sim->m->lock);
}

/* The agent's touches fault like the program's; like MADV_POPULATE_WRITE it
 * stops at what cannot be touched. */
static int sim_unshare(struct sw_mmu *mmu, const struct sw_agent_run *run,
		       unsigned nr_runs)
{
	struct sw_sim *sim = sw_sim_of(mmu);
	int err = sim_op_begin(sim, SW_SIM_UNSHARE);

	if (!err && sim_agent_is_dead(sim))
		err = -ESRCH;
	for (unsigned r = 0; !err && r < nr_runs; r++)
		for (unsigned k = 0; k < run[r].nr; k++)
			if (sim_access(sim, run[r].addr + k * SW_PAGE_SIZE,
				       true))
				break;
	return sim_op_end(sim, err);
}

static const struct sw_mmu_ops sim_ops = {
	.copy = sim_copy,
	.protect = sim_protect,
	.wake = sim_wake,
	.poison = sim_poison,
	.lookup = sim_lookup,
	.take = sim_take,
	.read_staged = sim_read_staged,
	.drop_staged = sim_drop_staged,
	.unshare = sim_unshare,
	.is_huge = sim_is_huge,
	.bring = sim_bring,
};

/* ---- advice ---- */

void sim_hear_advice(struct sw_sim *sim)
{
	uint64_t word, start;

	pthread_mutex_lock(&sim->m->lock);
	word = sim->advice;
	sim->advice = 0;
	pthread_mutex_unlock(&sim->m->lock);
	start = sw_advice_start(word);
	if (word)
		sim->client->advise(sim->mmu.space, start,
				    start + sw_advice_pages(word) *
						    SW_PAGE_SIZE,
				    sw_advice_of(word));
}

void sw_sim_advise(struct sw_sim *sim, uint64_t start, uint64_t end,
		   enum sw_advice advice)
{
	uint64_t word =
		sw_advice_word(start, (end - start) / SW_PAGE_SIZE, advice);

	pthread_mutex_lock(&sim->m->lock);
	if (!sim->advice)
		sim->advice = word;
	pthread_cond_broadcast(&sim->m->cond);
	pthread_mutex_unlock(&sim->m->lock);
	if (sim->threaded)
		return;
	sim_hear_advice(sim);
	while (sim->client->settle(sim->mmu.space) == SW_SETTLE_SOON_NS)
		;
}

/* ---- trouble ---- */

void sw_sim_fail(struct sw_sim_machine *m, enum sw_sim_op op, unsigned nth,
		 int err)
{
	pthread_mutex_lock(&m->lock);
	m->fail_in[op] = nth;
	m->fail_err[op] = err;
	pthread_mutex_unlock(&m->lock);
}

uint64_t sw_sim_calls(struct sw_sim_machine *m, enum sw_sim_op op)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	n = m->calls[op];
	pthread_mutex_unlock(&m->lock);
	return n;
}

void sw_sim_pin(struct sw_sim *sim, uint64_t addr, bool on)
{
	pthread_mutex_lock(&sim->m->lock);
	sim_page_at(sim, addr)->pinned = on;
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_refuse(struct sw_sim *sim, uint64_t addr, bool on)
{
	pthread_mutex_lock(&sim->m->lock);
	sim_page_at(sim, addr)->refused = on;
	pthread_mutex_unlock(&sim->m->lock);
}

void sw_sim_kill_agent(struct sw_sim *sim, unsigned pages)
{
	pthread_mutex_lock(&sim->m->lock);
	sim->agent_dying = true;
	sim->agent_pages = pages;
	pthread_mutex_unlock(&sim->m->lock);
}

/* ---- life ---- */

struct sw_sim_machine *sw_sim_machine_new(void)
{
	struct sw_sim_machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->cond, NULL);
	m->next_vma = 1;
	return m;
}

void sw_sim_machine_free(struct sw_sim_machine *m)
{
	pthread_cond_destroy(&m->cond);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct sw_sim *sim_alloc(struct sw_sim_machine *m, uint64_t base,
			 uint64_t nr_pages)
{
	struct sw_sim *sim = calloc(1, sizeof(*sim));

	SW_BUG_ON(!sim);
	sim->page = calloc(nr_pages, sizeof(sim->page[0]));
	SW_BUG_ON(!sim->page);
	sim->mmu.ops = &sim_ops;
	sim->m = m;
	sim->base = base;
	sim->nr_pages = nr_pages;
	sw_list_init(&sim->faults);
	sw_list_init(&sim->events);
	pthread_mutex_init(&sim->gate, NULL);
	sim->mmu.can_take = true;
	return sim;
}

struct sw_sim *sw_sim_new(struct sw_sim_machine *m, uint64_t base,
			  uint64_t nr_pages, const struct sw_mmu_client *client,
			  void *space)
{
	struct sw_sim *sim = sim_alloc(m, base, nr_pages);

	sim->client = client;
	sim->mmu.space = space;
	return sim;
}

struct sw_mmu *sw_sim_mmu(struct sw_sim *sim)
{
	return &sim->mmu;
}

struct sw_sim *sw_sim_of(struct sw_mmu *mmu)
{
	return sw_container_of(mmu, struct sw_sim, mmu);
}

void sw_sim_free(struct sw_sim *sim)
{
	SW_BUG_ON(sim->threaded || !sw_list_empty(&sim->faults));
	pthread_mutex_lock(&sim->m->lock);
	for (uint64_t i = 0; i < sim->nr_pages; i++)
		sim_page_clear(&sim->page[i]);
	drop_locked(sim);
	pthread_mutex_unlock(&sim->m->lock);
	pthread_mutex_destroy(&sim->gate);
	free(sim->page);
	free(sim);
}

/* ---- looking ---- */

uint64_t sw_sim_touched(struct sw_sim *sim, uint64_t addr, uint64_t asked)
{
	uint64_t touched = 0;

	pthread_mutex_lock(&sim->m->lock);
	for (unsigned i = 0; i < 64; i++) {
		struct sim_page *p = sim_page_at(sim, addr + i * SW_PAGE_SIZE);

		if (!(asked >> i & 1) || !p || !p->frame || !p->accessed)
			continue;
		p->accessed = false;
		touched |= 1ull << i;
	}
	pthread_mutex_unlock(&sim->m->lock);
	return touched;
}

bool sw_sim_is_present(struct sw_sim *sim, uint64_t addr)
{
	bool is;

	pthread_mutex_lock(&sim->m->lock);
	is = sim_page_at(sim, addr)->frame;
	pthread_mutex_unlock(&sim->m->lock);
	return is;
}

unsigned sw_sim_sharers(struct sw_sim *sim, uint64_t addr)
{
	struct sim_page *p;
	unsigned n;

	pthread_mutex_lock(&sim->m->lock);
	p = sim_page_at(sim, addr);
	n = p->frame ? p->frame->refs : 0;
	pthread_mutex_unlock(&sim->m->lock);
	return n;
}

bool sw_sim_is_mapped(struct sw_sim *sim, uint64_t addr)
{
	bool is;

	pthread_mutex_lock(&sim->m->lock);
	is = sim_page_at(sim, addr)->vma;
	pthread_mutex_unlock(&sim->m->lock);
	return is;
}

uint64_t sw_sim_resident(struct sw_sim *sim)
{
	uint64_t n = 0;

	pthread_mutex_lock(&sim->m->lock);
	for (uint64_t i = 0; i < sim->nr_pages; i++)
		n += sim->page[i].frame && sim->page[i].registered;
	pthread_mutex_unlock(&sim->m->lock);
	return n;
}
