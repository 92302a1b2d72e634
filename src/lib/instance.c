/*
 * instance.c - one instance from open to close: made in order, unmade in
 * reverse. An instance is one memory manager with one space, in which all its
 * regions lie, over one local mmu.
 *
 * Above: the program. Below: options.c, devices.c, worker.c; mm/, mmu/local.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "lib/fork.h"
#include "lib/lib_internal.h"

const char *spillway_version(void)
{
	return SPILLWAY_VERSION;
}

/* ---- what the kernel lets us ---- */

static unsigned can(const struct sw_lib *lib)
{
	const struct sw_local_facts *facts = sw_local_facts(lib->local);

	return (facts->uffd ? SPILLWAY_CAN_FAULT : 0) |
	       (facts->kernel_faults ? SPILLWAY_CAN_SYSCALLS : 0) |
	       (facts->move ? SPILLWAY_CAN_MOVE : 0);
}

static unsigned avoid_of(unsigned without)
{
	return (without & SPILLWAY_CAN_FAULT ? SW_LOCAL_AVOID_UFFD : 0) |
	       (without & SPILLWAY_CAN_SYSCALLS ? SW_LOCAL_AVOID_KERNEL_FAULTS
						: 0) |
	       (without & SPILLWAY_CAN_MOVE ? SW_LOCAL_AVOID_MOVE : 0);
}

/* Who serves a fault may compress pages to make room. */
static void mapper_turns(void *arg, bool begins)
{
	struct sw_lib *lib = arg;

	sw_work_lend(begins ? &lib->work : NULL);
}

static int open_local(struct sw_lib *lib, const struct sw_lib_plan *plan)
{
	const struct sw_local_config config = {
		.arena_bytes = plan->reserve_bytes,
		.by_signal = plan->delivery == SPILLWAY_BY_SIGNAL,
		.avoid = avoid_of(plan->avoid),
		.client = &sw_mm_client,
		.covers = sw_lib_covers,
		.turn = mapper_turns,
		.arg = lib,
	};
	int err = sw_local_new(&config, &lib->local);

	if (err) {
		sw_error("no memory can be managed here: %s", strerror(-err));
		return err;
	}
	lib->next = sw_local_base(lib->local);
	if (!(plan->require & ~can(lib)))
		return 0;
	sw_error(
		"what is required is not there: %s",
		plan->delivery == SPILLWAY_BY_SIGNAL &&
				plan->require & SPILLWAY_CAN_SYSCALLS
			? "with delivery by signal system calls are never served"
			: sw_local_facts(lib->local)->lacks);
	return -EPERM;
}

/* ---- open ---- */

static int open_mm(struct sw_lib *lib, const struct sw_lib_plan *plan)
{
	struct sw_mm_config config = {
		.budget_pages = plan->budget_bytes / SW_PAGE_SIZE,
		.host = &lib->host,
		.devices = lib->stores.devices,
	};

	lib->host = (struct sw_mm_host){
		.happened = sw_lib_happened,
		.pattern = sw_lib_pattern,
		.arg = lib,
	};
	lib->mm = sw_mm_new(&config);
	if (lib->mm)
		lib->space = sw_space_new(lib->mm);
	if (!lib->space) {
		sw_error("not enough memory");
		return -ENOMEM;
	}
	sw_space_set_mmu(lib->space, sw_local_mmu(lib->local));
	sw_local_set_space(lib->local, lib->space);
	sw_space_attach(lib->space);
	/* Frames that wait to be used again are memory too. */
	if (sw_local_facts(lib->local)->move)
		sw_mm_set_unmanaged(lib->mm, SW_STAGE_PAGES);
	return 0;
}

int sw_lib_start(struct sw_lib *lib)
{
	int err = sw_local_start(lib->local);

	if (!err)
		err = sw_mm_start(lib->mm);
	if (!err)
		err = sw_lib_worker_start(lib);
	if (err)
		sw_error("cannot start: %s", strerror(-err));
	return err;
}

/* The worker first: what it calls back may still touch regions. */
void sw_lib_stop(struct sw_lib *lib)
{
	sw_lib_worker_stop(lib);
	if (lib->mm)
		sw_mm_stop(lib->mm);
	sw_local_stop(lib->local);
}

static void release(struct sw_lib *lib)
{
	sw_lib_part(lib);
	if (lib->local) {
		sw_lib_free_regions(lib);
		sw_lib_stop(lib);
	}
	if (lib->space)
		sw_space_free(lib->space);
	if (lib->mm)
		sw_mm_free(lib->mm);
	sw_lib_stores_off(&lib->stores);
	if (lib->local)
		sw_local_free(lib->local);
	sw_work_release(&lib->work);
	if (lib->worker.fd >= 0)
		close(lib->worker.fd);
	sw_mutex_destroy(&lib->worker.lock);
	pthread_cond_destroy(&lib->worker.more);
	sw_mem_free(lib);
}

static int fill(struct sw_lib *lib, const struct sw_lib_plan *plan)
{
	int err;

	lib->worker.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lib->worker.fd < 0)
		return -errno;
	err = open_local(lib, plan);
	if (!err)
		err = sw_lib_stores_on(&lib->stores, plan);
	if (!err)
		err = open_mm(lib, plan);
	return err ? err : sw_lib_start(lib);
}

static int open_plan(const struct sw_lib_plan *plan, spillway_t **spillway)
{
	struct sw_lib *lib;
	int err = sw_lib_process_get();

	if (err)
		return err;
	err = -ENOMEM;
	lib = sw_mem_zalloc(sizeof(*lib));
	if (!lib)
		goto err_put;
	lib->pid = getpid();
	sw_mutex_init(&lib->worker.lock, "worker", SW_RANK_LEAF);
	pthread_cond_init(&lib->worker.more, NULL);
	sw_list_init(&lib->worker.jobs);
	lib->worker.fd = -1;
	sw_list_init(&lib->node);
	err = fill(lib, plan);
	if (!err)
		err = sw_lib_join(lib);
	if (!err) {
		*spillway = sw_lib_handle_new(lib);
		lib->handle = *spillway;
		err = lib->handle ? 0 : -ENFILE;
	}
	if (!err)
		return 0;
	release(lib);
err_put:
	sw_lib_process_put();
	return err;
}

/* ---- what is said meanwhile ---- */

/* A library has no terminal of its own: its caller is told, here. */
struct why {
	char *text;
	size_t len; /* 0: it does not want to know */
};

/* The first reason is the one that counts; what follows is its consequence. */
static void keep_first(void *arg, const char *line)
{
	struct why *why = arg;

	if (why->len && !why->text[0])
		snprintf(why->text, why->len, "%s", line);
}

static void begin_quietly(struct why *why)
{
	if (why->len)
		why->text[0] = 0;
	sw_log_divert(SW_LOG_DEBUG, keep_first, why);
}

/* After success: what would give more. */
static void say_lacks(spillway_t *spillway, const struct why *why)
{
	struct sw_call call;

	if (!why->len || sw_lib_enter(spillway, &call))
		return;
	snprintf(why->text, why->len, "%s",
		 sw_local_facts(call.lib->local)->lacks);
	sw_lib_leave(spillway, &call);
}

/* Releases the plan, of which `err` has come so far. Signals are held back. */
static int open_quietly(struct sw_lib_plan *plan, int err,
			const struct why *why, spillway_t **spillway)
{
	sigset_t mask;

	sw_lib_block_signals(&mask);
	sw_lib_life_lock();
	if (!err)
		err = open_plan(plan, spillway);
	sw_lib_life_unlock();
	sw_lib_restore_signals(&mask);
	sw_lib_plan_release(plan);
	sw_log_divert(SW_LOG_DEBUG, NULL, NULL);
	if (!err)
		say_lacks(*spillway, why);
	else if (why->len && !why->text[0])
		snprintf(why->text, why->len, "%s", strerror(-err));
	return err;
}

int spillway_open(const struct spillway_options *options, spillway_t **spillway)
{
	struct why why = { 0 };
	struct sw_lib_plan plan;
	int err;

	if (!options || !spillway)
		return -EINVAL;
	if (options->size >= sizeof(*options) && options->why)
		why = (struct why){ options->why, options->why_len };
	begin_quietly(&why);
	err = sw_lib_plan_options(&plan, options);
	return open_quietly(&plan, err, &why, spillway);
}

int spillway_open_text(const char *text, char *why, size_t why_len,
		       spillway_t **spillway)
{
	struct why to = { why, why ? why_len : 0 };
	struct sw_lib_plan plan;
	int err;

	if (!text || !spillway)
		return -EINVAL;
	begin_quietly(&to);
	err = sw_lib_plan_text(&plan, text);
	return open_quietly(&plan, err, &to, spillway);
}

int spillway_close(spillway_t *spillway)
{
	struct sw_lib *lib;
	sigset_t mask;
	int err = 0;

	lib = sw_lib_handle_close(spillway, &err);
	if (!lib)
		return err;
	sw_lib_block_signals(&mask);
	sw_lib_life_lock();
	release(lib);
	sw_lib_process_put();
	sw_lib_life_unlock();
	sw_lib_restore_signals(&mask);
	return 0;
}

/* ---- while it runs ---- */

int spillway_set_budget(spillway_t *spillway, uint64_t budget_bytes)
{
	uint64_t pages = budget_bytes / SW_PAGE_SIZE;
	struct sw_call call;
	int err;

	if (budget_bytes < SPILLWAY_BUDGET_MIN)
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	sw_local_enter(call.lib->local);
	if (call.lib->pinned_pages > pages / 8 * 7)
		err = -EINVAL;
	else
		sw_mm_set_budget(call.lib->mm, pages);
	sw_local_leave(call.lib->local);
	sw_lib_leave(spillway, &call);
	return err;
}

static void fill_stats(struct sw_lib *lib, struct spillway_stats *st)
{
	struct sw_mm_usage u;

	sw_mm_usage(lib->mm, &u);
	st->budget_bytes = u.budget_pages * SW_PAGE_SIZE;
	st->used_bytes = u.used_pages * SW_PAGE_SIZE;
	st->resident_bytes = u.managed_pages * SW_PAGE_SIZE;
	st->staged_bytes = u.staged_pages * SW_PAGE_SIZE;
	st->own_bytes = sw_local_frames(lib->local) * SW_PAGE_SIZE;
	st->pages_out = u.taken_pages;
	st->devices_full = u.full;
	st->can = can(lib);
	st->faults = __atomic_load_n(&lib->faults, __ATOMIC_RELAXED);
	sw_local_enter(lib->local);
	st->pinned_bytes = lib->pinned_pages * SW_PAGE_SIZE;
	st->regions = lib->nr_regions;
	for (unsigned i = 0; i < lib->nr_regions; i++)
		st->region_bytes += lib->region[i].bytes;
	sw_lib_stores_stats(&lib->stores, st);
	sw_local_leave(lib->local);
}

int spillway_stats(spillway_t *spillway, struct spillway_stats *stats)
{
	struct spillway_stats st = { 0 };
	struct sw_call call;
	int err;

	if (!stats || stats->size < sizeof(stats->size))
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	fill_stats(call.lib, &st);
	sw_lib_leave(spillway, &call);
	st.size = stats->size;
	/* Older callers get the beginning, younger ones zeros at the end. */
	memset(stats, 0, st.size);
	memcpy(stats, &st, sw_min(st.size, sizeof(st)));
	return 0;
}
