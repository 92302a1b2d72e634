/*
 * uffd.h - what is asked of a userfaultfd in more than one place. Ranges are of
 * whole pages, in bytes. 0, or -errno.
 */
#ifndef SW_MMU_UFFD_H
#define SW_MMU_UFFD_H

#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "base/base.h"
#include "mmu/protocol.h"

/* `modes`: UFFDIO_REGISTER_MODE_... */
static inline int sw_uffd_register(int uffd, uint64_t start, uint64_t bytes,
				   uint64_t modes)
{
	struct uffdio_register reg = {
		.range = { start, bytes },
		.mode = modes,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/* Wakes who waits there. */
static inline int sw_uffd_unregister(int uffd, uint64_t start, uint64_t bytes)
{
	struct uffdio_range range = { start, bytes };

	return ioctl(uffd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
}

/* Off: wakes as well. */
static inline int sw_uffd_protect(int uffd, uint64_t start, uint64_t bytes,
				  bool on)
{
	struct uffdio_writeprotect w = {
		.range = { start, bytes },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &w) ? -errno : 0;
}

static inline int sw_uffd_zero(int uffd, uint64_t start, uint64_t bytes)
{
	struct uffdio_zeropage z = { .range = { start, bytes } };

	return ioctl(uffd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;
}

static inline int sw_uffd_wake(int uffd, uint64_t start, uint64_t bytes)
{
	struct uffdio_range range = { start, bytes };

	return ioctl(uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}

/* One page, which nobody can read from then on. */
static inline int sw_uffd_poison(int uffd, uint64_t addr)
{
	struct sw_uffdio_poison p = { .start = addr, .len = SW_PAGE_SIZE };

	return ioctl(uffd, SW_UFFDIO_POISON, &p) ? -errno : 0;
}

#endif
