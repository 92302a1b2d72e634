/*
 * no_malloc.c - in checked builds, every call of malloc() and its like out of the
 * library comes through here, by the linker's --wrap, and aborts if it is made on
 * the path of a fault: by the mapper, who serves one or holds up who would. The
 * program's malloc() may be what waits for the page.
 *
 * Above: whoever allocates. Below: the program's malloc().
 */
#include <stdlib.h>

#include "mmu/local.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *p);

void *__wrap_malloc(size_t bytes)
{
	SW_BUG_ON(sw_local_is_mapper());
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	SW_BUG_ON(sw_local_is_mapper());
	return __real_calloc(nr, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	SW_BUG_ON(sw_local_is_mapper());
	return __real_realloc(p, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	SW_BUG_ON(sw_local_is_mapper());
	return __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *p)
{
	SW_BUG_ON(sw_local_is_mapper());
	__real_free(p);
}
