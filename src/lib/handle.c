/*
 * handle.c - who may call. What a program has of an instance is a handle, which
 * outlives it: handles lie in a reserved range, are a few bytes each, and are
 * never given twice, so that a call on a closed instance, or on any address at
 * all, is an error and nothing else.
 *
 *      a call                          close
 *      users++                         lib = NULL
 *      lib?                            users == 0? wait
 *
 * in one total order: either the call sees that it is closed, or close waits.
 */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/lib_internal.h"

#define MAX_HANDLES (1u << 20)
#define NAP_NS      100000

struct spillway {
	struct sw_lib *lib; /* [atomic] NULL: closed */
	uint32_t users;     /* [atomic] calls under way */
};

static struct sw_mutex lock = SW_MUTEX_INIT("handles", SW_RANK_LEAF);
static struct spillway *handles; /* [atomic] set once */
static uint32_t nr_handles;      /* [atomic] grows under the lock */

static struct spillway *reserve(void)
{
	void *p = mmap(NULL, MAX_HANDLES * sizeof(struct spillway),
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

spillway_t *sw_lib_handle_new(struct sw_lib *lib)
{
	struct spillway *h = NULL;

	sw_mutex_lock(&lock);
	if (!handles)
		__atomic_store_n(&handles, reserve(), __ATOMIC_RELEASE);
	if (handles && nr_handles < MAX_HANDLES) {
		h = &handles[nr_handles];
		__atomic_store_n(&h->lib, lib, __ATOMIC_RELEASE);
		__atomic_store_n(&nr_handles, nr_handles + 1, __ATOMIC_RELEASE);
	}
	sw_mutex_unlock(&lock);
	return h;
}

void sw_lib_handle_renew(spillway_t *handle)
{
	__atomic_store_n(&handle->users, 0, __ATOMIC_SEQ_CST);
}

static bool is_handle(const struct spillway *h)
{
	const struct spillway *all =
		__atomic_load_n(&handles, __ATOMIC_ACQUIRE);
	uint64_t offset = (uint64_t)h - (uint64_t)all;

	return all && h >= all && !(offset % sizeof(*h)) &&
	       offset / sizeof(*h) <
		       __atomic_load_n(&nr_handles, __ATOMIC_ACQUIRE);
}

/* Counts the caller among the users of an open instance. */
static struct sw_lib *use(struct spillway *h, int *err)
{
	struct sw_lib *lib = NULL;

	*err = -EBADF;
	if (!is_handle(h))
		return NULL;
	__atomic_fetch_add(&h->users, 1, __ATOMIC_SEQ_CST);
	lib = __atomic_load_n(&h->lib, __ATOMIC_SEQ_CST);
	if (lib && lib->pid != getpid()) {
		*err = -ECHILD;
		lib = NULL;
	}
	if (!lib)
		__atomic_fetch_sub(&h->users, 1, __ATOMIC_RELEASE);
	return lib;
}

static void unuse(struct spillway *h)
{
	__atomic_fetch_sub(&h->users, 1, __ATOMIC_RELEASE);
}

/* Signals stay away: a handler of the program that touched a page of ours would
 * wait for what this thread holds. */
void sw_lib_block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	/* What a fault raises cannot wait. */
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

void sw_lib_restore_signals(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int sw_lib_enter(spillway_t *handle, struct sw_call *call)
{
	int err;

	call->lib = use(handle, &err);
	if (!call->lib)
		return err;
	sw_lib_block_signals(&call->old_mask);
	return 0;
}

void sw_lib_leave(spillway_t *handle, struct sw_call *call)
{
	sw_lib_restore_signals(&call->old_mask);
	unuse(handle);
}

struct sw_lib *sw_lib_handle_close(spillway_t *handle, int *err)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct sw_lib *lib = use(handle, err);

	if (!lib)
		return NULL;
	*err = -EDEADLK;
	if (sw_lib_is_worker(lib)) {
		unuse(handle);
		return NULL;
	}
	*err = -EBADF;
	lib = __atomic_exchange_n(&handle->lib, NULL, __ATOMIC_SEQ_CST);
	unuse(handle);
	while (lib && __atomic_load_n(&handle->users, __ATOMIC_SEQ_CST))
		nanosleep(&nap, NULL);
	return lib;
}
