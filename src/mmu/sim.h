/*
 * sim.h - an mmu for tests: address spaces that are arrays of pages in
 * memory, with the kernel's manners as far as mmu/remote.c relies on them, and
 * a program to live in them.
 *
 * A *machine* holds the spaces of one program tree, which may share frames by
 * fork. A space is served either inline, each fault and event handled by the
 * thread that raised it (nothing is left to chance), or by a thread of its own
 * as in mmu/remote_events.c, with any number of program threads.
 *
 * The program's calls return 0 or what the program would meet: -EFAULT (a
 * segmentation fault), -EIO (SIGBUS: the page is poisoned), -ESRCH (it was
 * killed meanwhile), and of the tool itself -EDEADLK: nobody woke the fault.
 */
#ifndef SW_SIM_H
#define SW_SIM_H

#include "mmu/mmu.h"

struct sw_sim_machine;
struct sw_sim;

struct sw_sim_machine *sw_sim_machine_new(void);
void sw_sim_machine_free(struct sw_sim_machine *m); /* its spaces are gone */

/* A space of nr_pages pages from `base` on, nothing mapped, with an agent. */
struct sw_sim *sw_sim_new(struct sw_sim_machine *m, uint64_t base,
			  uint64_t nr_pages, const struct sw_mmu_client *client,
			  void *space);
/* The child behind the `fd` of a fork event gets its client. */
struct sw_sim *sw_sim_adopt(struct sw_sim_machine *m, int fd,
			    const struct sw_mmu_client *client, void *space);
struct sw_mmu *sw_sim_mmu(struct sw_sim *sim);
struct sw_sim *sw_sim_of(struct sw_mmu *mmu);

/* From inline to a thread that reads events, and its end. */
int sw_sim_start(struct sw_sim *sim);
void sw_sim_stop(struct sw_sim *sim);
void sw_sim_free(struct sw_sim *sim);

/* ---- the program; addresses of words are 8-aligned ---- */
/* From now on the caller is thread `tid` of the programs; 1 at first. */
void sw_sim_be(int tid);
int sw_sim_read(struct sw_sim *sim, uint64_t addr, uint64_t *value);
int sw_sim_write(struct sw_sim *sim, uint64_t addr, uint64_t value);
/* A new mapping under management; `stranger`: not registered. */
void sw_sim_map(struct sw_sim *sim, uint64_t start, uint64_t end,
		bool stranger);
void sw_sim_munmap(struct sw_sim *sim, uint64_t start, uint64_t end);
/* As by shmat() with SHM_REMAP: memory that is not registered takes the place of
 * what is there, without an event. */
void sw_sim_replace_unseen(struct sw_sim *sim, uint64_t start, uint64_t end);
/* To where nothing is mapped, or over what is there; ranges are disjoint. */
void sw_sim_mremap(struct sw_sim *sim, uint64_t from, uint64_t to,
		   uint64_t len);
/* What is mapped there reports to us from now on. */
void sw_sim_register(struct sw_sim *sim, uint64_t start, uint64_t end);
/* The same to the lowest free place that fits, as the kernel would choose it;
 * returns that place. What is mapped new is not registered. */
uint64_t sw_sim_map_free(struct sw_sim *sim, uint64_t len);
uint64_t sw_sim_mremap_free(struct sw_sim *sim, uint64_t from, uint64_t len);
void sw_sim_dontneed(struct sw_sim *sim, uint64_t start, uint64_t end);
/* As by madvise(): what comes while the last is not heard is lost. Inline, all is
 * done when this returns but what reclaim does. */
void sw_sim_advise(struct sw_sim *sim, uint64_t start, uint64_t end,
		   enum sw_advice advice);
/* As if rung by the program: the answer to it comes before this returns. */
void sw_sim_announce_fork(struct sw_sim *sim);
/* The child, not yet adopted when threads serve; NULL: killed or no memory. */
struct sw_sim *sw_sim_fork(struct sw_sim *sim);
void sw_sim_exit(struct sw_sim *sim);

/*
 * The same in two halves, for events that come in another order than the
 * calls were made: what the kernel does, and then the event (inline only).
 */
void sw_sim_munmap_quiet(struct sw_sim *sim, uint64_t start, uint64_t end);
void sw_sim_mremap_quiet(struct sw_sim *sim, uint64_t from, uint64_t to,
			 uint64_t len);
int sw_sim_fork_quiet(struct sw_sim *sim); /* the fd of its event */
struct sw_sim *sw_sim_say_fork(struct sw_sim *sim, int fd);
void sw_sim_say_unmap(struct sw_sim *sim, uint64_t start, uint64_t end);
void sw_sim_say_remap(struct sw_sim *sim, uint64_t from, uint64_t to,
		      uint64_t len);
/* The layout of a space is changing, by the calls of other threads, as long as
 * the sum of `by` is above 0. */
void sw_sim_change(struct sw_sim *sim, int by);

/* The SW_HUGE_PAGES pages at `addr`, a multiple of their size, are one huge page
 * from now on: all there, of one mapping, and the program's alone. False: they
 * are not. */
bool sw_sim_collapse(struct sw_sim *sim, uint64_t addr);

/* ---- looking without touching ---- */
bool sw_sim_is_huge(struct sw_sim *sim, uint64_t addr);
bool sw_sim_is_present(struct sw_sim *sim, uint64_t addr);
bool sw_sim_is_mapped(struct sw_sim *sim, uint64_t addr);
/* Pages of all spaces that show the same frame; 0: missing. */
unsigned sw_sim_sharers(struct sw_sim *sim, uint64_t addr);
uint64_t sw_sim_resident(struct sw_sim *sim); /* present, registered pages */

/* Which of 64 pages from `addr` on, of those asked for, were accessed since they
 * were mapped or this was last asked. */
uint64_t sw_sim_touched(struct sw_sim *sim, uint64_t addr, uint64_t asked);

/* ---- trouble ---- */
enum sw_sim_op {
	SW_SIM_COPY,
	SW_SIM_PROTECT,
	SW_SIM_POISON,
	SW_SIM_LOOKUP,
	SW_SIM_TAKE, /* as if the agent failed: nothing is moved */
	SW_SIM_READ_STAGED,
	SW_SIM_UNSHARE,
	SW_SIM_BRING,
	SW_SIM_NR_OPS,
};

/* The nth call (1: the next) of `op` on any space of the machine returns
 * `err` and does nothing. 0: none. */
void sw_sim_fail(struct sw_sim_machine *m, enum sw_sim_op op, unsigned nth,
		 int err);
/* Calls of `op` so far. */
uint64_t sw_sim_calls(struct sw_sim_machine *m, enum sw_sim_op op);

/* Pinned by I/O (BUSY), or not to be moved at all (REFUSED). */
void sw_sim_pin(struct sw_sim *sim, uint64_t addr, bool on);
void sw_sim_refuse(struct sw_sim *sim, uint64_t addr, bool on);
/* The agent dies after it moved `pages` more pages. */
void sw_sim_kill_agent(struct sw_sim *sim, unsigned pages);

#endif
