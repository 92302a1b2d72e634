/*
 * packed.c - see packed.h. Above it: zram.c, zswap/. Below it: objpool.c and
 * the codecs.
 *
 * A move is one compare-and-exchange of the handle, under the class lock of
 * the object. Three may come in between, and each changes the handle, so that
 * the exchange fails and the copy is thrown away: a reader counts itself in,
 * a writer puts another handle there, a free puts 0. Whoever takes a handle
 * out of its place owns the object; it is freed once.
 */
#include "store/packed.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint32_t object_sum(uint64_t key, const void *bytes, size_t size)
{
	uint64_t x = XXH3_64bits(bytes, size);

	return (uint32_t)(x ^ x >> 32) ^ (uint32_t)key * 0x9e3779b1u;
}

static uint64_t word_check(uint64_t key, uint64_t word)
{
	const uint64_t both[2] = { key, word };

	return XXH3_64bits(both, sizeof(both)) >> (64 - HANDLE_CHECK_BITS);
}

static struct sw_packed same_make(uint64_t key, uint64_t word)
{
	return (struct sw_packed){
		.handle = HANDLE_SAME |
			  word_check(key, word) << HANDLE_KIND_BITS |
			  word >> 32 << HANDLE_WORD_SHIFT,
		.sum = (uint32_t)word,
	};
}

bool sw_packed_same(uint64_t key, const void *page, struct sw_packed *p)
{
	uint64_t word;

	if (!sw_page_same_filled(page, &word))
		return false;
	*p = same_make(key, word);
	return true;
}

int sw_packed_store(struct sw_objpool *pool, uint64_t key, const void *bytes,
		    size_t size, struct sw_packed *p)
{
	uint64_t loc;
	void *at;
	int err;

	err = sw_objpool_alloc(pool, size, &loc);
	if (err)
		return err;
	at = sw_objpool_at(pool, loc, size);
	memcpy(at, bytes, size);
	p->handle = handle_make_object(loc, size);
	/* Over what was stored: should somebody change the page meanwhile, one
	 * of its states is kept, and it can be read. */
	p->sum = object_sum(key, at, size);
	return 0;
}

/* ---- reading ---- */

static const char *read_same(uint64_t key, uint64_t h, uint32_t sum, void *page)
{
	const uint64_t word = h >> HANDLE_WORD_SHIFT << 32 | sum;

	if (same_make(key, word).handle != h)
		return "its word does not match its check";
	if (word == 0) {
		memset(page, 0, SW_PAGE_SIZE);
		return NULL;
	}
	for (size_t at = 0; at < SW_PAGE_SIZE; at += sizeof(word))
		memcpy((unsigned char *)page + at, &word, sizeof(word));
	return NULL;
}

/* The caller is counted in the handle: the object stays where it is. */
static const char *read_object(struct sw_objpool *pool,
			       const struct sw_codec *codec, void *work,
			       uint64_t key, uint64_t h, uint32_t sum,
			       void *page)
{
	const size_t size = handle_to_size(h);
	const void *bytes = sw_objpool_at(pool, handle_to_loc(h), size);

	if (!bytes)
		return "its handle leads nowhere";
	if (object_sum(key, bytes, size) != sum)
		return "its checksum does not match";
	if (handle_is_raw(h))
		memcpy(page, bytes, SW_PAGE_SIZE);
	else if (codec->decompress(work, bytes, size, page))
		return "its data does not decompress";
	return NULL;
}

const char *sw_packed_read(struct sw_objpool *pool,
			   const struct sw_codec *codec, void *work,
			   uint64_t key, uint64_t *handle, uint32_t sum,
			   void *page)
{
	/* Pairs with the releases that put a handle there: who sees one sees
	 * the object behind it. */
	uint64_t h = __atomic_load_n(handle, __ATOMIC_ACQUIRE);
	const char *why;

	switch (handle_kind(h)) {
	case HANDLE_EMPTY:
		return "nothing was written to it";
	case HANDLE_SAME:
		return read_same(key, h, sum, page);
	case HANDLE_OBJECT:
		/* It may have moved since the load; it is an object still. */
		h = __atomic_fetch_add(handle, HANDLE_READER, __ATOMIC_ACQUIRE);
		why = read_object(pool, codec, work, key, h, sum, page);
		/* Release: a move that sees us gone comes after our look. */
		(void)__atomic_fetch_sub(handle, HANDLE_READER,
					 __ATOMIC_RELEASE);
		return why;
	}
	return "its handle is of no known kind";
}

/* ---- replacing and freeing ---- */

uint64_t sw_packed_exchange(uint64_t *handle, uint64_t h)
{
	uint64_t old = __atomic_exchange_n(handle, h, __ATOMIC_ACQ_REL);

	/* Its reader would look at another page's bytes from now on. */
	SW_BUG_ON(handle_is_busy(old));
	return old;
}

void sw_packed_drop(struct sw_objpool *pool, uint64_t h)
{
	if (handle_kind(h) == HANDLE_OBJECT)
		sw_objpool_free(pool, handle_to_loc(h), handle_to_size(h));
}

/* ---- moving ---- */

struct move {
	struct sw_objpool *pool;
	uint64_t *at;
	uint64_t handle; /* as found: an object, no reader */
};

static bool is_there(void *arg)
{
	const struct move *m = arg;

	return __atomic_load_n(m->at, __ATOMIC_ACQUIRE) == m->handle;
}

static bool relocate(void *arg, uint64_t new_loc)
{
	const struct move *m = arg;
	const size_t size = handle_to_size(m->handle);
	uint64_t expected = m->handle;

	memcpy(sw_objpool_at(m->pool, new_loc, size),
	       sw_objpool_at(m->pool, handle_to_loc(m->handle), size), size);
	/* Release: who reads the new handle sees the copy. Acquire: a reader
	 * that came and went since is_there() is done with the old bytes. */
	return __atomic_compare_exchange_n(
		m->at, &expected, handle_make_object(new_loc, size), false,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool sw_packed_move(struct sw_objpool *pool, uint64_t *handle)
{
	struct move m = { pool, handle,
			  __atomic_load_n(handle, __ATOMIC_ACQUIRE) };
	const struct sw_objpool_mover mover = { is_there, relocate, &m };
	const uint64_t loc = handle_to_loc(m.handle);
	const size_t size = handle_to_size(m.handle);

	if (handle_kind(m.handle) != HANDLE_OBJECT || handle_is_busy(m.handle))
		return false;
	/* A damaged handle is for the reader to report. */
	if (!sw_objpool_at(pool, loc, size))
		return false;
	return sw_objpool_wants_move(pool, loc) &&
	       sw_objpool_move(pool, loc, size, &mover);
}
