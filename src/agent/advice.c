/*
 * advice.c - the program's own madvise(), posix_madvise() and process_madvise().
 * Each is the kernel's, whose answer it returns; what it says about memory that
 * we may manage is then left in the control page (mmu/protocol.h). The kernel
 * would tell nobody: MADV_COLD, MADV_PAGEOUT and MADV_WILLNEED are no events.
 *
 * Any thread may be in here at any time, a signal handler too, before the
 * program's main() and after a fork that nobody announced: there is no lock, no
 * memory of our own and no library but for the place of errno.
 *
 * Beside: agent.c. Read by mmu/remote_events.c.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "agent/agent.h"
#include "agent/sys.h"
#include "mmu/protocol.h"

#define EXPORT __attribute__((visibility("default")))
#define PAGE   4096ul

/* Libc's; a program that has none does not look there. */
extern int *__errno_location(void) __attribute__((weak));

#define PIDFS_MAGIC 0x50494446

/* Descriptors of processes are files of their own since Linux 6.9. */
uint64_t agent_pidfd_ino(int fd)
{
	struct statfs fs;
	struct stat st;

	if (sys2(SYS_fstatfs, fd, &fs) || fs.f_type != PIDFS_MAGIC ||
	    sys2(SYS_fstat, fd, &st))
		return 0;
	return st.st_ino;
}

static long result(long ret)
{
	if (ret >= 0)
		return ret;
	if (__errno_location)
		*__errno_location() = -ret;
	return -1;
}

static enum sw_advice meaning(int advice)
{
	switch (advice) {
	case MADV_COLD:
		return SW_ADVICE_COLD;
	case MADV_PAGEOUT:
		return SW_ADVICE_PAGEOUT;
	case MADV_WILLNEED:
		return SW_ADVICE_WILLNEED;
	}
	return 0;
}

static void leave(struct sw_agent_ctl *ctl, uint64_t word)
{
	uint32_t n = __atomic_fetch_add(&ctl->next_advice, 1, __ATOMIC_RELAXED);
	uint64_t empty = 0;

	__atomic_compare_exchange_n(&ctl->advice[n % SW_ADVICE_SLOTS], &empty,
				    word, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	/* Pairs with the acquire in hear_advice(). */
	__atomic_fetch_add(&ctl->advised, 1, __ATOMIC_RELEASE);
}

/* The kernel has accepted it, so the address is aligned and nothing wraps. */
static void tell(const void *addr, size_t len, int advice)
{
	uint64_t start = (uint64_t)addr, nr = (len + PAGE - 1) / PAGE;
	enum sw_advice what = meaning(advice);
	struct sw_agent_ctl *ctl;

	if (!what || !nr || start >= SW_ADVICE_MAX_ADDR)
		return;
	ctl = agent_ctl();
	if (!ctl)
		return;
	if (nr > SW_ADVICE_MAX_PAGES)
		nr = SW_ADVICE_MAX_PAGES;
	leave(ctl, sw_advice_word(start, nr, what));
}

static long advise(void *addr, size_t len, int advice)
{
	long ret = sys3(SYS_madvise, addr, len, advice);

	/* Where a part of the range is not mapped the rest was advised. */
	if (!ret || ret == -ENOMEM)
		tell(addr, len, advice);
	return ret;
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	return result(advise(addr, len, advice));
}

/* It must not lose anything, and the kernel's MADV_DONTNEED does. */
EXPORT int posix_madvise(void *addr, size_t len, int advice)
{
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return -advise(addr, len, advice);
}

/* A number below 0 that the kernel takes for a process is a name for its
 * caller. */
EXPORT ssize_t process_madvise(int pidfd, const struct iovec *iov, size_t nr,
			       int advice, unsigned flags)
{
	long ret = sys6(SYS_process_madvise, pidfd, (long)iov, nr, advice,
			flags, 0);
	size_t left = ret > 0 ? ret : 0;

	if (!left || !meaning(advice) || !agent_ctl() ||
	    (pidfd >= 0 && !agent_is_self(pidfd)))
		return result(ret);
	for (size_t i = 0; i < nr && left; i++) {
		size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;

		tell(iov[i].iov_base, len, advice);
		left -= len;
	}
	return ret;
}
