/*
 * fork.c - what becomes of instances when the program forks. The memory of the
 * library is copied as all memory is, stores of compressed pages among it: so a
 * child has the slots of its parent, shared until either side writes to the
 * memory behind them. What it has not is threads, and events of its own memory.
 *
 *      before      nobody is in the library, none of its threads is at work, and
 *                  a child gets what it is to have
 *      parent      everybody goes on
 *      child       an instance with regions that are inherited gets threads and
 *                  a userfaultfd of its own; its other regions are gone, and
 *                  instances without such are their parent's
 *
 * A child that is born past all this (a bare system call) has no region: what is
 * out would be zeros there.
 *
 * A file or a block device cannot be shared so: both sides would take the same
 * free slots.
 *
 * Above: instance.c. Below: swap/swap_guest.h, mmu/local.h.
 */
#include "lib/fork.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/lib_internal.h"
#include "swap/swap_guest.h"

static struct sw_mutex life = SW_MUTEX_INIT("instances", SW_RANK_INSTANCES);
static struct sw_list instances = SW_LIST_INIT(instances); /* life */
static bool hooked;                                        /* life */
static sigset_t mask_before; /* life: of who forks */

void sw_lib_life_lock(void) SW_NO_TSA
{
	sw_mutex_lock(&life);
}

void sw_lib_life_unlock(void) SW_NO_TSA
{
	sw_mutex_unlock(&life);
}

bool sw_lib_can_fork(const struct sw_lib *lib)
{
	return sw_local_facts(lib->local)->uffd && lib->stores.all_in_memory;
}

/* ---- before ---- */

/* Innermost, and several of one rank: so they are only tried for. Whoever has one
 * waits for nothing. */
static void hold_workers(void) SW_NO_TSA
{
	struct sw_lib *lib;

	sw_list_for_each(lib, &instances, node)
		while (!sw_mutex_trylock(&lib->worker.lock))
			sched_yield();
}

static void let_workers_go(void) SW_NO_TSA
{
	struct sw_lib *lib;

	sw_list_for_each(lib, &instances, node)
		sw_mutex_unlock(&lib->worker.lock);
}

/* Regions that a child has a copy of, for the moment of its birth. By the mapper. */
static void inherit(struct sw_lib *lib, bool on)
{
	for (unsigned i = 0; i < lib->nr_regions; i++) {
		const struct sw_lib_region *r = &lib->region[i];

		if (r->flags & SPILLWAY_FORK_COPY)
			sw_local_inherit(r->start, r->bytes, on);
	}
}

static void before(void) SW_NO_TSA
{
	struct sw_lib *lib;
	sigset_t mask;

	sw_lib_block_signals(&mask);
	sw_mutex_lock(&life);
	mask_before = mask;
	if (sw_list_empty(&instances))
		return;
	/* First: reclaim may wait for a fault, which waits for the mapper. */
	sw_list_for_each(lib, &instances, node)
		sw_mm_stop(lib->mm);
	sw_list_for_each(lib, &instances, node) {
		sw_local_enter(lib->local);
		inherit(lib, true);
	}
	swap_before_fork();
	hold_workers();
}

static void after(void) SW_NO_TSA
{
	sigset_t mask = mask_before;

	sw_mutex_unlock(&life);
	sw_lib_restore_signals(&mask);
}

/* ---- in the parent ---- */

static void after_in_parent(void) SW_NO_TSA
{
	struct sw_lib *lib;

	if (!sw_list_empty(&instances)) {
		let_workers_go();
		swap_after_fork_parent();
	}
	sw_list_for_each(lib, &instances, node) {
		inherit(lib, false);
		sw_local_leave(lib->local);
		/* Without it nothing goes any more, as if there was no room. */
		if (sw_mm_start(lib->mm))
			sw_lib_happened(lib, SW_MM_DEVICES_FULL);
	}
	after();
}

/* ---- in the child ---- */

static bool is_inherited(const struct sw_lib *lib)
{
	for (unsigned i = 0; i < lib->nr_regions; i++)
		if (lib->region[i].flags & SPILLWAY_FORK_COPY)
			return true;
	return false;
}

/* A region that was not copied is no region here. */
static void drop_region(struct sw_lib *lib, unsigned i)
{
	struct sw_lib_region r = lib->region[i];

	sw_mm_client.lock(lib->space);
	sw_mm_client.unmap(lib->space, r.start, r.start + r.bytes);
	sw_mm_client.unlock(lib->space);
	sw_local_unmap(lib->local, r.start, r.bytes);
	lib->nr_regions--;
	for (; i < lib->nr_regions; i++)
		lib->region[i] = lib->region[i + 1];
}

/* Pins were of devices and threads that the child has not. */
static void drop_pins(struct sw_lib *lib)
{
	lib->nr_pins = 0;
	lib->pinned_pages = 0;
	for (unsigned i = 0; i < lib->nr_regions; i++) {
		struct sw_lib_region *r = &lib->region[i];

		r->pinned = 0;
		sw_space_unpin(lib->space, r->start, r->start + r->bytes);
	}
}

/* Everything of it is as in the parent, but for threads and descriptors. */
static int revive(struct sw_lib *lib) SW_NO_TSA
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	close(lib->worker.fd);
	lib->worker.fd = fd;
	lib->worker.running = false;
	/* It counts a thread that waits, and is not here. */
	pthread_cond_init(&lib->worker.more, NULL);
	sw_list_init(&lib->worker.jobs);
	err = sw_local_renew(lib->local);
	for (unsigned i = lib->nr_regions; !err && i-- > 0;) {
		struct sw_lib_region *r = &lib->region[i];

		if (r->flags & SPILLWAY_FORK_COPY)
			err = sw_local_register(lib->local, r->start, r->bytes);
		else
			drop_region(lib, i);
	}
	if (err)
		return err;
	inherit(lib, false);
	drop_pins(lib);
	/* Protection was the userfaultfd's of the parent. */
	sw_space_unprotected(lib->space);
	sw_lib_handle_renew(lib->handle);
	lib->pid = getpid();
	return 0;
}

/* A page that is out would read as zeros from now on. */
static void give_up(struct sw_lib *lib)
{
	for (unsigned i = 0; i < lib->nr_regions; i++)
		sw_local_unmap(lib->local, lib->region[i].start,
			       lib->region[i].bytes);
}

static void after_in_child(void) SW_NO_TSA
{
	struct sw_lib *lib, *tmp;

	if (!sw_list_empty(&instances)) {
		let_workers_go();
		swap_after_fork_child();
	}
	sw_local_forget_all();
	sw_list_for_each_safe(lib, tmp, &instances, node) {
		bool alive = is_inherited(lib);

		if (alive && revive(lib)) {
			give_up(lib);
			alive = false;
		}
		sw_local_leave(lib->local);
		if (!alive || sw_lib_start(lib))
			sw_list_del(&lib->node);
	}
	after();
}

/* ---- who is there ---- */

int sw_lib_join(struct sw_lib *lib)
{
	int err = 0;

	if (!hooked)
		err = -pthread_atfork(before, after_in_parent, after_in_child);
	hooked |= !err;
	if (!err)
		sw_list_add_tail(&instances, &lib->node);
	return err;
}

void sw_lib_part(struct sw_lib *lib)
{
	sw_list_del(&lib->node);
}
