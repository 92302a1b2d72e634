/*
 * spillway.h - regions of memory larger than memory.
 *
 * A program opens an instance with a budget and swap devices, asks it for
 * regions, and uses plain pointers. Of all pages of its regions an instance
 * keeps at most a budget in memory; the others are in its devices and come back
 * when they are touched.
 *
 * Units      Sizes are bytes, unless a name says otherwise. Ranges may begin and
 *            end anywhere; what is done is done to whole pages of 4096.
 * Ownership  An instance belongs to who opened it, a region to the instance. A
 *            struct or string that is passed in is copied.
 * Threads    Every call may be made by any thread at any time, on the same
 *            instance too, except where it says otherwise. No call may be made
 *            by a signal handler. Signals are held back during a call.
 * Errors     0 or more is success, below 0 is -errno. What is common to all
 *            calls: -EBADF, the instance is closed or never was; -ECHILD, it is
 *            that of the process this one was forked from; -EINVAL, a pointer is
 *            NULL, a size is 0, a flag is unknown; -EFAULT, the range is not
 *            wholly within one region; -ENOMEM. Nothing has changed after an
 *            error unless it says otherwise.
 * fork()     A child has none of the instance: calls say -ECHILD, and a touch of
 *            a region is a SIGSEGV, unless the region was allocated with
 *            SPILLWAY_FORK_COPY. exec() leaves nothing.
 * Memory     Regions hold data. Stacks of threads, and what a signal handler
 *            needs with SPILLWAY_BY_SIGNAL, do not belong there. munmap(),
 *            mremap(), mprotect() and madvise() on a region are not for the
 *            program to call: these calls do that. mlock() is spillway_pin().
 */
#ifndef SPILLWAY_H
#define SPILLWAY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPILLWAY_API __attribute__((visibility("default")))
#else
#define SPILLWAY_API
#endif

/* An instance. Its address is never given to another one. */
typedef struct spillway spillway_t;

/* "0.1.0" */
SPILLWAY_API const char *spillway_version(void);

/* ---- an instance ---- */

enum spillway_delivery {
	/* A thread of the library serves faults, system calls' among them. */
	SPILLWAY_BY_THREAD = 0,
	/*
	 * The thread that faults serves itself, in a handler of SIGBUS (SIGSEGV
	 * where there is no userfaultfd): the fastest way. System calls fail
	 * with EFAULT on memory that is out; spillway_pin() and spillway_read()
	 * and its like are there for that. Signals for other addresses go to
	 * the handler that was installed before; who installs one later has to
	 * pass on what is not its own. An alternate signal stack has 64 KiB or
	 * more.
	 */
	SPILLWAY_BY_SIGNAL = 1,
};

/* What an instance can do here; see spillway_stats(). */
enum spillway_can {
	SPILLWAY_CAN_FAULT = 1u << 0,    /* has a userfaultfd, */
	SPILLWAY_CAN_SYSCALLS = 1u << 1, /* that serves system calls too, */
	SPILLWAY_CAN_MOVE = 1u << 2,     /* and recycles page frames */
};

#define SPILLWAY_BUDGET_MIN (8u << 20)

struct spillway_options {
	size_t size;           /* of this struct, as the caller knows it */
	uint64_t budget_bytes; /* SPILLWAY_BUDGET_MIN or more */
	/*
	 * Separated by ';', those of higher prio first:
	 *      zram:[SIZE][,prio=N]          compressed memory, beside the budget
	 *      file:PATH,size=SIZE[,prio=N]  a file made there, without a name
	 *      file:PATH[,prio=N]            a file with a swap area of mkswap
	 *      block:DEVICE[,prio=N]         a block device with one
	 * SIZE is a number with K, M, G, T. NULL: a zram: of three budgets. All
	 * instances of a process have 24 devices at most.
	 */
	const char *devices;
	uint64_t reserve_bytes; /* addresses for regions; 0: 1 TiB */
	enum spillway_delivery delivery;
	unsigned require; /* enum spillway_can: open fails without */
	unsigned avoid;   /* enum spillway_can: as if it were not there */
	/* Where spillway_open() says in one line what is wrong, or after success
	 * what would give more; or NULL. */
	char *why;
	size_t why_len;
};

/* Sets the defaults; `size` is sizeof(*options). */
SPILLWAY_API void spillway_options_init(struct spillway_options *options,
					size_t size);

/*
 * Opens an instance. -EINVAL: the options make no sense; -EPERM, -ENOSYS: what
 * is required is not to be had here; and what a device says. options->why has
 * the words. Starts two threads, three by SPILLWAY_BY_THREAD.
 */
SPILLWAY_API int spillway_open(const struct spillway_options *options,
			       spillway_t **spillway);

/*
 * The same from one string: devices as above and budget=SIZE, reserve=SIZE,
 * delivery=thread, delivery=signal, in any order, separated by ';'.
 *      "budget=512M;zram:1G;file:/var/tmp,size=8G"
 */
SPILLWAY_API int spillway_open_text(const char *text, char *why, size_t why_len,
				    spillway_t **spillway);

/*
 * Frees all regions and closes the instance. Waits for calls of other threads to
 * end. Who touches a region afterwards gets SIGSEGV, or what was mapped there
 * since. -EDEADLK: called by a callback of the instance.
 */
SPILLWAY_API int spillway_close(spillway_t *spillway);

/* From now on this is the budget. What is too much goes at once, without
 * waiting for it. -EINVAL: less than SPILLWAY_BUDGET_MIN, or less than what is
 * pinned. */
SPILLWAY_API int spillway_set_budget(spillway_t *spillway,
				     uint64_t budget_bytes);

/* ---- regions ---- */

enum spillway_region_flags {
	/* A child born by fork() has a copy of its own; without, or born by a
	 * bare system call, it has nothing. What is out is copied with its
	 * slots, not brought in.
	 * -EOPNOTSUPP: the instance has a device that is not zram, or no
	 * userfaultfd. */
	SPILLWAY_FORK_COPY = 1u << 0,
};

struct spillway_region_options {
	size_t size;        /* of this struct */
	uint64_t alignment; /* of its address, a power of two; 0: 2 MiB, the
			     * least, a huge page; at most 1 GiB */
	const char *name;   /* for /proc/PID/maps and messages, or NULL */
	unsigned flags;     /* enum spillway_region_flags */
};

/*
 * A region of `bytes`, which reads as zeros. It takes no memory until it is
 * touched. `options` may be NULL. -ENOMEM: no addresses are left, or no memory.
 */
SPILLWAY_API int spillway_alloc(spillway_t *spillway, size_t bytes,
				const struct spillway_region_options *options,
				void **addr);

/* `addr` is the address of a region, -EINVAL otherwise (freed twice, foreign).
 * Its addresses are not given to another region for as long as there are
 * others: a late touch is SIGSEGV. -EBUSY: a part is pinned. */
SPILLWAY_API int spillway_free(spillway_t *spillway, void *addr);

/* Lets a region grow to another address. */
#define SPILLWAY_MAY_MOVE 1u

/*
 * Another size. `*new_addr` gets the address, which is the old one unless
 * `flags` has SPILLWAY_MAY_MOVE. Nobody else may use the region meanwhile. What
 * is cut off is forgotten, what is added reads as zeros. -ENOMEM: no room there;
 * -EBUSY: a part that would go or move is pinned; -EOPNOTSUPP: regions cannot
 * move (no userfaultfd). new_addr may be NULL without that flag.
 */
SPILLWAY_API int spillway_resize(spillway_t *spillway, void *addr, size_t bytes,
				 unsigned flags, void **new_addr);

struct spillway_region_info {
	size_t size; /* of this struct; set by the caller */
	void *addr;
	uint64_t bytes;
	uint64_t pinned_bytes;
	unsigned flags;
	char name[64];
};

/* The region that `addr` lies in. -EFAULT: there is none. */
SPILLWAY_API int spillway_region_info(spillway_t *spillway, const void *addr,
				      struct spillway_region_info *info);

/* ---- what is needed, and what is not ---- */

enum spillway_advice {
	SPILLWAY_NORMAL = 0, /* the whole region: found out by watching */
	SPILLWAY_SEQUENTIAL, /* the whole region: much is read ahead */
	SPILLWAY_RANDOM,     /* the whole region: nothing is */
	SPILLWAY_WILLNEED,   /* shall come in soon */
	SPILLWAY_COLD,       /* may go before others */
	SPILLWAY_PAGEOUT,    /* shall go now, be there room or not */
	SPILLWAY_DONTNEED,   /* its whole pages may be forgotten: zeros */
};

/* Nothing waits for what the advice leads to, but for SPILLWAY_DONTNEED, which
 * is done on return. That one: -EBUSY, a part is pinned. */
SPILLWAY_API int spillway_advise(spillway_t *spillway, void *addr, size_t bytes,
				 enum spillway_advice advice);

/*
 * Brings a range in and keeps it there, writable, until it is unpinned as often
 * as it was pinned, each time by the same addr and bytes: for devices, RDMA,
 * GPUs and system calls. -ENOMEM: more than seven eighths of the budget would be
 * pinned; -EIO: a page of it is lost. spillway_unpin(): -EINVAL, no such pin.
 */
SPILLWAY_API int spillway_pin(spillway_t *spillway, void *addr, size_t bytes);
SPILLWAY_API int spillway_unpin(spillway_t *spillway, void *addr, size_t bytes);

typedef void (*spillway_done_fn)(void *arg, int err);

/*
 * Brings a range in, as far as the budget has room. With `done`, returns at once
 * and calls it from a thread of the library: with 0, or -ECANCELED when the
 * instance was closed before. Without (NULL), returns when all is there.
 */
SPILLWAY_API int spillway_prefetch(spillway_t *spillway, void *addr,
				   size_t bytes, spillway_done_fn done,
				   void *arg);

/* ---- system calls ---- */

/*
 * As read(2), write(2), pread(2) and pwrite(2), with buffers that may lie in a
 * region or elsewhere: what lies in a region is brought in first, piece by
 * piece, and cannot go before the system call is over. Returns the bytes, or
 * -errno (not errno). A call that ends early for lack of data returns what there
 * was.
 */
SPILLWAY_API ssize_t spillway_read(spillway_t *spillway, int fd, void *buf,
				   size_t bytes);
SPILLWAY_API ssize_t spillway_write(spillway_t *spillway, int fd,
				    const void *buf, size_t bytes);
SPILLWAY_API ssize_t spillway_pread(spillway_t *spillway, int fd, void *buf,
				    size_t bytes, off_t offset);
SPILLWAY_API ssize_t spillway_pwrite(spillway_t *spillway, int fd,
				     const void *buf, size_t bytes,
				     off_t offset);

/* ---- what happens ---- */

enum spillway_event_kind {
	SPILLWAY_BUDGET_REACHED = 1, /* pages have to go; once a budget */
	SPILLWAY_DEVICES_FULL,  /* nothing goes, memory exceeds the budget */
	SPILLWAY_DEVICE_FAILED, /* pages that cannot be written stay */
	SPILLWAY_PAGE_LOST,     /* touching it is SIGBUS, or SIGSEGV where
				 * there is no userfaultfd */
};

struct spillway_event {
	enum spillway_event_kind kind;
	uint32_t times; /* it happened since the last event of its kind */
};

typedef void (*spillway_event_fn)(void *arg,
				  const struct spillway_event *event);

/* Calls `fn` for each event, from a thread of the library, one at a time; NULL:
 * no more. It may make any call but spillway_close(). */
SPILLWAY_API int spillway_set_callback(spillway_t *spillway,
				       spillway_event_fn fn, void *arg);

/* A descriptor (eventfd) that is readable while there are events; the
 * instance's, not to be closed. Events are either called back or fetched. */
SPILLWAY_API int spillway_event_fd(spillway_t *spillway);
/* -EAGAIN: there is none. */
SPILLWAY_API int spillway_next_event(spillway_t *spillway,
				     struct spillway_event *event);

struct spillway_stats {
	size_t size; /* of this struct; set by the caller. What the library
		      * does not know yet is set to 0. */
	uint64_t budget_bytes;
	uint64_t used_bytes;     /* of it, */
	uint64_t resident_bytes; /* by pages of regions, */
	uint64_t staged_bytes;   /* by pages on their way out, */
	uint64_t own_bytes;      /* and by frames kept to be used again */
	uint64_t pinned_bytes;
	uint64_t region_bytes; /* the size of all regions */
	uint64_t regions;
	uint64_t device_bytes;      /* room of all devices, */
	uint64_t device_used_bytes; /* and what is taken of it */
	uint64_t
		memory_bytes; /* what devices hold in memory beside the budget */
	uint64_t faults;
	uint64_t pages_out;   /* taken out of regions, ever */
	uint64_t read_errors; /* of devices */
	uint64_t write_errors;
	unsigned can;          /* enum spillway_can */
	unsigned devices_full; /* 1: see SPILLWAY_DEVICES_FULL */
};

SPILLWAY_API int spillway_stats(spillway_t *spillway,
				struct spillway_stats *stats);

/* ---- a region that outlives its process ---- */

/*
 * Writes a region to a file, or into an unmounted block device. Nobody may write
 * to the region meanwhile. A file is there as a whole or not at all, mode 0600;
 * one that is there already is replaced.
 */
SPILLWAY_API int spillway_snapshot(spillway_t *spillway, const void *addr,
				   const char *path);

/*
 * A new region with what was written, which comes page by page as it is touched:
 * the file must stay until the region is freed, and takes a device of the
 * process's 24. What was damaged since is noticed, and SIGBUS. -EBADMSG: it is
 * no snapshot, or its head is damaged. `options` and `bytes` may be NULL.
 */
SPILLWAY_API int spillway_restore(spillway_t *spillway, const char *path,
				  const struct spillway_region_options *options,
				  void **addr, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
