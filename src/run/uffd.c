/*
 * uffd.c - see uffd.h. Above: run/preflight.c. A managed program opens its
 * own userfaultfd with the rights it inherits from us, so what we may do now
 * is what it may do later.
 *
 * Who grants what (Linux 6.8 and later):
 *      userfaultfd(2)          CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd
 *      /dev/userfaultfd        the permissions of the file
 *      UFFD_FEATURE_EVENT_FORK CAP_SYS_PTRACE, whichever way it was opened
 * All three want the capability in the initial user namespace. The sysctl
 * and the file therefore open the door only half: a session that cannot
 * follow a fork would hand zeros to the child, so it does not start.
 */
#include "run/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/base.h"

/* Debian 12 has the headers of 6.1. */
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

static const struct {
	uint64_t bit;
	const char *name;
} needed[] = {
	{ UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP" },
	{ UFFD_FEATURE_EVENT_FORK, "EVENT_FORK" },
	{ UFFD_FEATURE_EVENT_REMAP, "EVENT_REMAP" },
	{ UFFD_FEATURE_EVENT_REMOVE, "EVENT_REMOVE" },
	{ UFFD_FEATURE_EVENT_UNMAP, "EVENT_UNMAP" },
	{ UFFD_FEATURE_THREAD_ID, "THREAD_ID" },
	{ UFFD_FEATURE_MOVE, "MOVE" },
};

static uint64_t needed_features(void)
{
	uint64_t all = 0;
	unsigned i;

	for (i = 0; i < SW_ARRAY_SIZE(needed); i++)
		all |= needed[i].bit;
	return all;
}

bool sw_has_capability(int cap)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return false;
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

/* A userfaultfd from the device file, or -errno. */
static int open_by_device(void)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (dev < 0)
		return -errno;
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(dev);
	return fd;
}

static void ask_features(int fd, struct sw_uffd_facts *facts)
{
	struct uffdio_api api = { .api = UFFD_API };

	api.features = needed_features();
	if (!ioctl(fd, UFFDIO_API, &api))
		return;
	facts->api_errno = errno;
	/* A refused call leaves the descriptor as new: ask what there is. */
	api = (struct uffdio_api){ .api = UFFD_API };
	if (!ioctl(fd, UFFDIO_API, &api))
		facts->missing = needed_features() & ~api.features;
}

void sw_uffd_probe(struct sw_uffd_facts *facts)
{
	struct utsname name;
	int fd;

	*facts = (struct sw_uffd_facts){ 0 };
	facts->has_ptrace = sw_has_capability(CAP_SYS_PTRACE);
	if (!uname(&name))
		snprintf(facts->release, sizeof(facts->release), "%s",
			 name.release);

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0) {
		facts->syscall_errno = errno;
		fd = open_by_device();
		if (fd < 0) {
			facts->device_errno = -fd;
			return;
		}
	}
	ask_features(fd, facts);
	close(fd);
}

/* Uses up the descriptor. */
static uint64_t known_features(int fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	int err = ioctl(fd, UFFDIO_API, &api);

	close(fd);
	return err ? 0 : api.features;
}

unsigned sw_uffd_probe_ways(uint64_t *features)
{
	const int fd[] = {
		syscall(SYS_userfaultfd, O_CLOEXEC),
		open_by_device(),
		syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY),
	};
	unsigned ways = 0;

	*features = 0;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(fd); i++) {
		if (fd[i] < 0)
			continue;
		ways |= 1u << i; /* enum sw_uffd_ways, in this order */
		*features |= known_features(fd[i]);
	}
	return ways;
}

/* "MOVE, THREAD_ID" of a set of features. */
static void name_features(uint64_t set, char *buf, size_t len)
{
	size_t n = 0;
	unsigned i;

	buf[0] = '\0';
	for (i = 0; i < SW_ARRAY_SIZE(needed) && n < len; i++) {
		if (set & needed[i].bit)
			n += snprintf(buf + n, len - n, "%s%s", n ? ", " : "",
				      needed[i].name);
	}
}

static void explain_open(const struct sw_uffd_facts *facts, char *line,
			 size_t len)
{
	if (facts->syscall_errno == ENOSYS)
		snprintf(line, len,
			 "this kernel has no userfaultfd, or a seccomp filter "
			 "hides it; Linux 6.8 or newer with "
			 "CONFIG_USERFAULTFD is needed");
	else if (facts->syscall_errno != EPERM)
		snprintf(line, len, "cannot open a userfaultfd: %s",
			 strerror(facts->syscall_errno));
	else if (facts->has_ptrace)
		snprintf(line, len,
			 "userfaultfd is refused in spite of CAP_SYS_PTRACE, "
			 "by a seccomp filter or a user namespace; let the "
			 "container's profile allow userfaultfd(2), or give "
			 "it /dev/userfaultfd");
	else
		snprintf(line, len,
			 "userfaultfd is not permitted; run as root or with "
			 "CAP_SYS_PTRACE (sysctl vm.unprivileged_userfaultfd=1 "
			 "or access to /dev/userfaultfd is not enough: "
			 "following forks needs the capability)");
}

static void explain_api(const struct sw_uffd_facts *facts, char *line,
			size_t len)
{
	char names[160];

	name_features(facts->missing, names, sizeof(names));
	if (facts->missing)
		snprintf(line, len,
			 "userfaultfd of this kernel (%s) lacks %s; Linux 6.8 "
			 "or newer is needed",
			 facts->release, names);
	else if (facts->api_errno != EPERM)
		snprintf(line, len, "userfaultfd refuses its features: %s",
			 strerror(facts->api_errno));
	else if (facts->has_ptrace)
		snprintf(line, len,
			 "userfaultfd does not follow forks in a user "
			 "namespace; run as root outside of it");
	else
		snprintf(line, len,
			 "userfaultfd may not follow forks without "
			 "CAP_SYS_PTRACE; run as root or add the capability");
}

bool sw_uffd_usable(const struct sw_uffd_facts *facts, char *line,
		    size_t len_bytes)
{
	if (facts->syscall_errno && facts->device_errno)
		explain_open(facts, line, len_bytes);
	else if (facts->api_errno)
		explain_api(facts, line, len_bytes);
	else
		return true;
	return false;
}
