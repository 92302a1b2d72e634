/*
 * mem.c - see mem.h. Without malloc(): blocks of a few sizes, four to each
 * doubling, cut from chunks that are never given back; what is larger is mapped
 * by itself. A block is preceded by a line that says how large it is.
 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/spin.h"

#define LINE        64u
#define CHUNK_BYTES (256u << 10)
#define MAX_BYTES   (32u << 10)
#define NR_CLASSES  40u

struct block {
	size_t bytes; /* this line included */
	struct block *next;
};

_Static_assert(sizeof(struct block) <= LINE, "it is one line");

static bool own; /* [atomic] */
static struct sw_spinlock lock;
static struct block *idle[NR_CLASSES]; /* lock */
static char *chunk;                    /* lock: what is left of it */
static size_t chunk_left;              /* lock */

void sw_mem_avoid_malloc(void)
{
	__atomic_store_n(&own, true, __ATOMIC_RELEASE);
}

static bool is_own(void)
{
	return __atomic_load_n(&own, __ATOMIC_ACQUIRE);
}

/* The class of a size, which is rounded up to what the class has. */
static unsigned class_of(size_t *bytes)
{
	size_t lines = (*bytes + LINE - 1) / LINE;
	unsigned order = lines < 8 ? 0 : 61 - __builtin_clzll(lines);
	size_t unit = (size_t)1 << order, units = (lines + unit - 1) / unit;

	*bytes = units * unit * LINE;
	return order * 4 + units;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Lock held. */
static struct block *cut(size_t bytes)
{
	struct block *b;

	if (chunk_left < bytes) {
		chunk = map(CHUNK_BYTES);
		chunk_left = chunk ? CHUNK_BYTES : 0;
	}
	if (!chunk_left)
		return NULL;
	b = (struct block *)chunk;
	chunk += bytes;
	chunk_left -= bytes;
	b->bytes = bytes;
	return b;
}

static struct block *take(size_t bytes)
{
	unsigned class = class_of(&bytes);
	struct block *b;
	bool used;

	SW_ASSERT(class < NR_CLASSES);
	sw_spin_lock(&lock, "memory", SW_RANK_LEAF);
	b = idle[class];
	used = b;
	if (b)
		idle[class] = b->next;
	else
		b = cut(bytes);
	sw_spin_unlock(&lock);
	if (used)
		memset((char *)b + LINE, 0, bytes - LINE);
	return b;
}

static void *own_zalloc(size_t bytes)
{
	struct block *b;

	bytes += LINE;
	if (bytes <= MAX_BYTES) {
		b = take(bytes);
	} else {
		b = map(bytes);
		if (b)
			b->bytes = bytes;
	}
	return b ? (char *)b + LINE : NULL;
}

void sw_mem_before_fork(void) SW_NO_TSA
{
	sw_spin_lock(&lock, "memory", SW_RANK_LEAF);
}

void sw_mem_after_fork(void) SW_NO_TSA
{
	sw_spin_unlock(&lock);
}

void *sw_mem_zalloc(size_t bytes)
{
	return is_own() ? own_zalloc(bytes) : calloc(1, bytes);
}

void *sw_mem_zalloc_aligned(size_t bytes)
{
	void *p;

	if (is_own())
		return own_zalloc(bytes);
	p = aligned_alloc(LINE, (bytes + LINE - 1) & ~(size_t)(LINE - 1));
	return p ? memset(p, 0, bytes) : NULL;
}

void sw_mem_free(void *p)
{
	struct block *b;
	unsigned class;

	if (!p)
		return;
	if (!is_own()) {
		free(p);
		return;
	}
	b = (struct block *)((char *)p - LINE);
	if (b->bytes > MAX_BYTES) {
		munmap(b, b->bytes);
		return;
	}
	class = class_of(&b->bytes);
	sw_spin_lock(&lock, "memory", SW_RANK_LEAF);
	b->next = idle[class];
	idle[class] = b;
	sw_spin_unlock(&lock);
}
