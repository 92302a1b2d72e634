/* sim_internal.h - what the files of the simulated machine share. */
#ifndef SW_SIM_INTERNAL_H
#define SW_SIM_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "mmu/sim.h"

#define SIM_MAX_SPACES 1024

/* All under machine->lock, a leaf: no client is called with it held. */
struct sim_frame {
	unsigned refs; /* pages of all spaces that show it, or staging */
	uint64_t word[SW_PAGE_SIZE / 8];
};

struct sim_page {
	struct sim_frame *frame; /* NULL: missing */
	uint32_t vma;            /* number of its mapping, 0: none */
	bool registered;         /* its faults are ours */
	bool wp, poison;
	bool exclusive; /* no fork since it was last written */
	bool pinned, refused;
	bool accessed; /* since sw_sim_touched() last looked */
	bool huge;     /* of a huge page; so are all others of it */
};

enum sim_msg_kind {
	SIM_FAULT,
	SIM_FORK,
	SIM_REMAP,
	SIM_REMOVE,
	SIM_UNMAP,
};

/* A message, and the thread that waits for its end; on that one's stack. */
struct sim_msg {
	struct sw_list node;
	enum sim_msg_kind kind;
	uint64_t a, b, len; /* start, end; or from, to, len; or address */
	unsigned flags;
	int tid;
	int fd;
	bool read; /* a fault: handed out, not yet woken */
	bool done; /* woken, or an event that was read */
};

struct sw_sim_machine {
	pthread_mutex_t lock;
	pthread_cond_t cond;                  /* anything changed */
	struct sw_sim *child[SIM_MAX_SPACES]; /* by the fd of its fork event */
	int nr_children;
	uint32_t next_vma;
	uint64_t calls[SW_SIM_NR_OPS];
	unsigned fail_in[SW_SIM_NR_OPS];
	int fail_err[SW_SIM_NR_OPS];
};

struct sw_sim {
	struct sw_mmu mmu;
	struct sw_sim_machine *m; /* [const] */
	const struct sw_mmu_client *client;
	uint64_t base, nr_pages; /* [const] */
	struct sim_page *page;
	struct sw_list faults, events; /* struct sim_msg, oldest first */
	int changing;                  /* mmap_changing of the kernel */
	bool dead;
	uint64_t advice; /* a word as in the control page; 0: none */

	pthread_mutex_t gate; /* see struct sw_agent_ctl */
	uint64_t gate_epoch;  /* under the gate */

	struct sim_frame *staged[SW_MMU_BATCH];
	bool agent_dying;
	unsigned agent_pages; /* it moves before it dies */

	pthread_t thread;
	bool threaded, stop;
};

struct sim_page *sim_page_at(struct sw_sim *sim, uint64_t addr);
struct sw_sim *sim_alloc(struct sw_sim_machine *m, uint64_t base,
			 uint64_t nr_pages);
struct sim_frame *sim_frame_new(void);
void sim_frame_put(struct sim_frame *frame);
/* The page is missing from now on. */
void sim_page_clear(struct sim_page *p);
void sim_wake_range(struct sw_sim *sim, uint64_t start, uint64_t end);
/* Passes on what the program advised. */
void sim_hear_advice(struct sw_sim *sim);
/* A write by the program or its agent until it succeeds; lock held. */
int sim_access(struct sw_sim *sim, uint64_t addr, bool write);

/* ---- sim_program.c for sim_layout.c ---- */

/* Raises it and waits until it was read. The caller has raised `changing`, which
 * ends then. Lock held, given up meanwhile. */
void sim_event(struct sw_sim *sim, struct sim_msg *msg);

/* ---- sim.c for sim_huge.c ---- */

/* Takes the machine's lock and says whether the call is to fail; gives it back
 * and returns `ret`. */
int sim_op_begin(struct sw_sim *sim, enum sw_sim_op op);
int sim_op_end(struct sw_sim *sim, int ret);
/* How many pages of the range one call of the kernel would accept. For these
 * the lock is held. */
int sim_same_mapping(struct sw_sim *sim, uint64_t addr, unsigned nr);
int sim_copy_locked(struct sw_sim *sim, uint64_t addr, const void *pages,
		    unsigned nr, bool protect);
enum sw_agent_page sim_take_page(struct sw_sim *sim, uint64_t addr,
				 struct sim_frame **staged);
bool sim_agent_is_dead(struct sw_sim *sim);

/* ---- sim_huge.c ---- */

/* The huge page that the page is of, if any, is none any more. */
void sim_split(struct sw_sim *sim, uint64_t addr);
/* A huge page moves in one step, or not at all. Under the gate and the machine
 * lock. */
void sim_take_huge(struct sw_sim *sim, uint64_t addr, uint8_t *page);
/* Operations of struct sw_mmu_ops. */
bool sim_is_huge(struct sw_mmu *mmu, uint64_t addr);
int sim_bring(struct sw_mmu *mmu, uint64_t addr, const void *pages,
	      uint8_t page[SW_MMU_BATCH]);

#endif
