/*
 * work.c - see work.h. One area a thread and purpose, since a codec may keep
 * what was costly to build in its own. A key with a destructor gives them
 * back when the thread ends; the thread-local array beside it makes the usual
 * call two loads.
 */
#include "store/work.h"

#include <pthread.h>

#include "store/sysmem.h"

/* Indices behind the codecs' areas. */
enum {
	SCRATCH = SW_NR_CODECS,
	SEALED,
	NR_AREAS,
};

struct area {
	void *mem;
	size_t bytes;
};

static __thread struct area areas[NR_AREAS]; /* [thread own] */
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool have_key; /* [const] after key_once */

static void areas_release(void *arg)
{
	struct area *a = arg;

	for (unsigned i = 0; i < SW_ARRAY_SIZE(areas); i++) {
		sw_sysmem_release(a[i].mem, a[i].bytes);
		a[i] = (struct area){ NULL, 0 };
	}
}

static void make_key(void)
{
	have_key = pthread_key_create(&key, areas_release) == 0;
}

static void *take(struct area *a, size_t bytes, const struct sw_codec *init_for)
{
	void *mem;

	pthread_once(&key_once, make_key);
	/* Without the destructor the area would outlive the thread. */
	if (!have_key || pthread_setspecific(key, areas))
		return NULL;
	bytes = (bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;
	mem = sw_sysmem_reserve(bytes);
	if (!mem)
		return NULL;
	if (sw_sysmem_populate(mem, bytes) ||
	    (init_for && init_for->work_init && init_for->work_init(mem))) {
		sw_sysmem_release(mem, bytes);
		return NULL;
	}
	*a = (struct area){ mem, bytes };
	return mem;
}

void *sw_work_scratch(void)
{
	struct area *a = &areas[SCRATCH];

	return sw_likely(a->mem) ? a->mem
				 : take(a, SW_WORK_SCRATCH_BYTES, NULL);
}

void *sw_work_sealed(void)
{
	struct area *a = &areas[SEALED];

	return sw_likely(a->mem) ? a->mem : take(a, SW_WORK_SEALED_BYTES, NULL);
}

void *sw_work_codec(const struct sw_codec *codec)
{
	struct area *a = &areas[codec->id];

	return sw_likely(a->mem) ? a->mem : take(a, codec->work_bytes, codec);
}
