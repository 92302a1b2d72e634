/*
 * work.c - see work.h. One area a thread, which grows when a larger one is
 * asked for (another codec). A key with a destructor gives it back when the
 * thread ends; the thread-local variable beside it makes the usual call two
 * loads.
 */
#include "store/work.h"

#include <pthread.h>

#include "store/sysmem.h"

struct work {
	void *mem;
	size_t bytes;
};

static __thread struct work mine; /* [thread own] */
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool have_key; /* [const] after key_once */

static void work_release(void *arg)
{
	struct work *w = arg;

	sw_sysmem_release(w->mem, w->bytes);
	w->mem = NULL;
	w->bytes = 0;
}

static void make_key(void)
{
	have_key = pthread_key_create(&key, work_release) == 0;
}

void *sw_work_get(size_t bytes)
{
	void *mem;

	if (sw_likely(mine.bytes >= bytes))
		return mine.mem;
	pthread_once(&key_once, make_key);
	/* Without the destructor the area would outlive the thread. */
	if (!have_key || pthread_setspecific(key, &mine))
		return NULL;
	bytes = (bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;
	mem = sw_sysmem_reserve(bytes);
	if (!mem)
		return NULL;
	if (sw_sysmem_populate(mem, bytes)) {
		sw_sysmem_release(mem, bytes);
		return NULL;
	}
	sw_sysmem_release(mine.mem, mine.bytes);
	mine.mem = mem;
	mine.bytes = bytes;
	return mem;
}
