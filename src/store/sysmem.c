/* sysmem.c - see sysmem.h. The only file of the store that maps memory. */
#include "store/sysmem.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

bool (*sw_sysmem_fail)(void);

static bool told_to_fail(void)
{
	return sw_unlikely(sw_sysmem_fail) && sw_sysmem_fail();
}

void *sw_sysmem_reserve(size_t bytes)
{
	void *p;

	if (told_to_fail())
		return NULL;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* A huge page under a sparse range would be memory nobody counted.
	 * Refused where the kernel knows no huge pages: nothing to forbid. */
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

void sw_sysmem_release(void *addr, size_t bytes)
{
	if (addr)
		munmap(addr, bytes);
}

int sw_sysmem_populate(void *addr, size_t bytes)
{
	if (told_to_fail())
		return -ENOMEM;
	while (madvise(addr, bytes, MADV_POPULATE_WRITE)) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		/* A kernel without it: the first touch will do. */
		if (errno == EINVAL)
			return 0;
		return -ENOMEM;
	}
	return 0;
}

void sw_sysmem_drop(void *addr, size_t bytes)
{
	/* It fails on locked memory only; the pages then stay, counted as
	 * given back, and are zeroed by nobody: no reader depends on it. */
	(void)madvise(addr, bytes, MADV_DONTNEED);
}
