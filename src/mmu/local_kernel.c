/*
 * local_kernel.c - what this kernel lets a process do with its own memory.
 *
 *      userfaultfd(2)            CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd
 *      /dev/userfaultfd          the permissions of the file
 *      the same, user mode only  everybody; faults of system calls stay out
 *
 * Forks are not followed by events, so no capability is needed for that.
 *
 * Above: local.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/local_internal.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int open_by_device(void)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd;

	if (dev < 0)
		return -1;
	fd = ioctl(dev, SW_USERFAULTFD_IOC_NEW, O_CLOEXEC);
	close(dev);
	return fd;
}

/* One that hears of faults inside system calls, if there is such a one. */
static int open_any(unsigned avoid, bool *kernel_faults)
{
	int fd = -1;

	*kernel_faults = !(avoid & SW_LOCAL_AVOID_KERNEL_FAULTS);
	if (*kernel_faults) {
		fd = syscall(SYS_userfaultfd, O_CLOEXEC);
		if (fd < 0)
			fd = open_by_device();
		if (fd >= 0)
			return fd;
	}
	*kernel_faults = false;
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

/* What the kernel knows can be asked only of a descriptor that is used up by
 * the question. */
static uint64_t known_features(int fd)
{
	struct uffdio_api api = { .api = UFFD_API };

	return ioctl(fd, UFFDIO_API, &api) ? 0 : api.features;
}

static uint64_t choose(uint64_t known, const struct sw_local_config *config,
		       struct sw_local_facts *facts)
{
	uint64_t want = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID;

	facts->move = known & SW_UFFD_FEATURE_MOVE &&
		      !(config->avoid & SW_LOCAL_AVOID_MOVE);
	facts->poison = known & SW_UFFD_FEATURE_POISON;
	if (config->by_signal)
		want |= UFFD_FEATURE_SIGBUS;
	if (facts->move)
		want |= SW_UFFD_FEATURE_MOVE;
	if (facts->poison)
		want |= SW_UFFD_FEATURE_POISON;
	return want;
}

static const char *lacks(const struct sw_local_facts *facts, bool by_signal)
{
	if (!facts->uffd)
		return "userfaultfd is not available (Linux 5.11 with CONFIG_USERFAULTFD, and a seccomp profile that allows it, give faster regions)";
	if (!facts->kernel_faults && !by_signal)
		return "system calls on paged-out memory fail with EFAULT: CAP_SYS_PTRACE, access to /dev/userfaultfd or sysctl vm.unprivileged_userfaultfd=1 would let them work";
	if (!facts->move)
		return "UFFDIO_MOVE is not available: Linux 6.8 recycles page frames";
	return "";
}

int sw_local_open_uffd(const struct sw_local_config *config,
		       struct sw_local_facts *facts)
{
	struct uffdio_api api = { .api = UFFD_API };
	bool kernel_faults;
	int fd = -1;

	*facts = (struct sw_local_facts){ .by_signal = true };
	if (!(config->avoid & SW_LOCAL_AVOID_UFFD))
		fd = open_any(config->avoid, &kernel_faults);
	if (fd >= 0) {
		uint64_t known = known_features(fd);

		close(fd);
		api.features = choose(known, config, facts);
		fd = open_any(config->avoid, &kernel_faults);
	}
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	facts->uffd = fd >= 0;
	if (facts->uffd) {
		facts->by_signal = config->by_signal;
		facts->kernel_faults = kernel_faults && !config->by_signal;
	} else {
		facts->move = facts->poison = false;
	}
	facts->lacks = lacks(facts, config->by_signal);
	return fd;
}
