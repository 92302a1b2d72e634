/*
 * packed.h - one page in as little memory as it takes: the word that stands
 * for it, and the bytes in an object pool that this leads to. For whoever
 * keeps pages compressed; who may touch a word when is the keeper's business.
 *
 *             63      53 52            14 13       2 1    0
 *   EMPTY     0
 *   OBJECT    readers    pool location    size - 1  1
 *   SAME      upper half of the word (63..32), check (31..2)  2
 *
 * Beside it each page has a sum of 32 bits. An object's sum is taken over its
 * bytes and a key, which says whose it is: a handle that leads to a good
 * object of another page is found out as well. A same-filled page keeps the
 * lower half of its word there. An object of a whole page is the page itself
 * (raw).
 *
 * `readers` counts those who look at the object's bytes just now. Only the
 * move of an object to another location asks for it: it replaces a handle
 * that has none, in one compare-and-exchange. To replace or free a page that
 * is being read is forbidden to the keeper.
 */
#ifndef SW_STORE_PACKED_H
#define SW_STORE_PACKED_H

#include "codec/codec.h"
#include "store/objpool.h"

enum handle_kind {
	HANDLE_EMPTY = 0,
	HANDLE_OBJECT = 1,
	HANDLE_SAME = 2,
};

#define HANDLE_KIND_BITS    2
#define HANDLE_SIZE_BITS    SW_PAGE_SHIFT
#define HANDLE_LOC_SHIFT    (HANDLE_KIND_BITS + HANDLE_SIZE_BITS)
#define HANDLE_READER_SHIFT (HANDLE_LOC_SHIFT + SW_OBJPOOL_LOC_BITS)
#define HANDLE_READER       (1ULL << HANDLE_READER_SHIFT)
#define HANDLE_CHECK_BITS   30
#define HANDLE_WORD_SHIFT   32

_Static_assert(HANDLE_READER_SHIFT <= 56, "256 readers of one page at least");
_Static_assert(HANDLE_KIND_BITS + HANDLE_CHECK_BITS == HANDLE_WORD_SHIFT,
	       "check and word meet");

/* A page that saves less than a sixteenth is not worth its decompression. */
#define SW_PACKED_RAW_FROM (SW_PAGE_SIZE - SW_PAGE_SIZE / 16)

static inline enum handle_kind handle_kind(uint64_t h)
{
	return h & ((1u << HANDLE_KIND_BITS) - 1);
}

static inline uint64_t handle_make_object(uint64_t loc, size_t size)
{
	return HANDLE_OBJECT | (size - 1) << HANDLE_KIND_BITS |
	       loc << HANDLE_LOC_SHIFT;
}

static inline size_t handle_to_size(uint64_t h)
{
	return (h >> HANDLE_KIND_BITS & (SW_PAGE_SIZE - 1)) + 1;
}

static inline uint64_t handle_to_loc(uint64_t h)
{
	return (h & (HANDLE_READER - 1)) >> HANDLE_LOC_SHIFT;
}

static inline bool handle_is_raw(uint64_t h)
{
	return handle_kind(h) == HANDLE_OBJECT &&
	       handle_to_size(h) == SW_PAGE_SIZE;
}

/* Being read just now? */
static inline bool handle_is_busy(uint64_t h)
{
	return handle_kind(h) == HANDLE_OBJECT && h >= HANDLE_READER;
}

/* One page, packed where nobody sees it yet. */
struct sw_packed {
	uint64_t handle;
	uint32_t sum;
};

/* True, and packed, when the page repeats one word. */
bool sw_packed_same(uint64_t key, const void *page, struct sw_packed *p);
/* Packs `size` bytes: what a codec made of the page, or all of it. 0, or what
 * sw_objpool_alloc() says. */
SW_MUST_CHECK int sw_packed_store(struct sw_objpool *pool, uint64_t key,
				  const void *bytes, size_t size,
				  struct sw_packed *p);
/* The page behind *handle, which may move meanwhile. NULL, or what is wrong
 * with it. `work` as the codec wants it for decompression. */
const char *sw_packed_read(struct sw_objpool *pool,
			   const struct sw_codec *codec, void *work,
			   uint64_t key, uint64_t *handle, uint32_t sum,
			   void *page);
/* Puts a handle (0: none) in the place of another, which is the caller's from
 * then on, */
uint64_t sw_packed_exchange(uint64_t *handle, uint64_t h);
/* to be freed with what it stands for. */
void sw_packed_drop(struct sw_objpool *pool, uint64_t h);
/* Moves what *handle stands for if it lies in a sparse span and nobody looks
 * at it. Safe beside all others. */
bool sw_packed_move(struct sw_objpool *pool, uint64_t *handle);

#endif
