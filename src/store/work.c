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

_Static_assert(SW_ARRAY_SIZE(((struct sw_work *)0)->area) == NR_AREAS,
	       "an area for each purpose");

static __thread struct sw_work own;   /* [thread own] */
static __thread struct sw_work *lent; /* [thread own] */
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool have_key; /* [const] after key_once */

void sw_work_release(struct sw_work *work)
{
	for (unsigned i = 0; i < NR_AREAS; i++) {
		struct sw_work_area *a = &work->area[i];

		sw_sysmem_release(a->mem, a->bytes);
		*a = (struct sw_work_area){ NULL, 0 };
	}
}

static void own_release(void *arg)
{
	sw_work_release(arg);
}

static void make_key(void)
{
	have_key = pthread_key_create(&key, own_release) == 0;
}

/* Is somebody going to give the thread's areas back? */
static bool is_owned(void)
{
	if (lent)
		return true;
	pthread_once(&key_once, make_key);
	return have_key && !pthread_setspecific(key, &own);
}

static void *take(struct sw_work_area *a, size_t bytes,
		  const struct sw_codec *init_for)
{
	void *mem;

	if (!is_owned())
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
	*a = (struct sw_work_area){ mem, bytes };
	return mem;
}

static struct sw_work_area *area(unsigned i)
{
	return &(lent ? lent : &own)->area[i];
}

void sw_work_lend(struct sw_work *work)
{
	lent = work;
}

void *sw_work_scratch(void)
{
	struct sw_work_area *a = area(SCRATCH);

	return sw_likely(a->mem) ? a->mem
				 : take(a, SW_WORK_SCRATCH_BYTES, NULL);
}

void *sw_work_sealed(void)
{
	struct sw_work_area *a = area(SEALED);

	return sw_likely(a->mem) ? a->mem : take(a, SW_WORK_SEALED_BYTES, NULL);
}

void *sw_work_codec(const struct sw_codec *codec)
{
	struct sw_work_area *a = area(codec->id);

	return sw_likely(a->mem) ? a->mem : take(a, codec->work_bytes, codec);
}
