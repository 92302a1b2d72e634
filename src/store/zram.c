/*
 * zram.c - compressed memory as a swap store. Above it: whoever writes and
 * reads folios; below it: codec/ and objpool.c.
 *
 * A slot is a handle of 8 bytes and a sum of 4 (packed.h has their layout), in
 * two arrays of address space, so that a slot never used costs nothing.
 *
 * There is no lock here. Two calls on one slot are not concurrent, by the
 * contract of store.h; slots meet in the object pool only, which has its own.
 * A write stores the new copies of all its pages first and touches the
 * handles after the last has succeeded: failure leaves what was there. Behind
 * the back of everyone, zram_compact.c moves objects; so a reader counts
 * itself into the handle while it looks, and a handle is taken out of its
 * slot by an exchange, which tells for sure what was in it.
 */
#include "store/zram.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "codec/codec.h"
#include "store/sysmem.h"
#include "store/work.h"

#define BATCH      SWAPFILE_CLUSTER /* pages a write stores before it commits */
#define STEP_PAGES 64 /* written by a thread between two looks at the order */

/* Scratch memory of one write. */
struct scratch {
	struct sw_packed copies[BATCH];
	unsigned char out[SW_PAGE_SIZE];
	void *codec_work;
};

_Static_assert(sizeof(struct scratch) <= SW_WORK_SCRATCH_BYTES,
	       "a batch fits into a thread's scratch memory");

/* Both wrap around: -1 takes one away. */
static void add_relaxed(uint64_t *counter, uint64_t n)
{
	if (n)
		(void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static uint64_t read_relaxed(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- handles ---- */

/* Frees what a handle stands for; *same and *raw lose what it was. */
static void handle_drop(struct sw_zram *z, uint64_t h, uint64_t *same,
			uint64_t *raw)
{
	*same -= handle_kind(h) == HANDLE_SAME;
	*raw -= handle_is_raw(h);
	sw_packed_drop(z->pool, h);
}

/* ---- write ---- */

/* Stores one page's bytes where nobody sees them yet. */
static int copy_make(struct sw_zram *z, struct scratch *s, uint64_t slot,
		     const void *page, struct sw_packed *copy)
{
	size_t size;

	if (sw_packed_same(slot, page, copy))
		return 0;
	size = z->codec->compress(s->codec_work, page, s->out,
				  SW_PACKED_RAW_FROM);
	if (!size)
		return sw_packed_store(z->pool, slot, page, SW_PAGE_SIZE, copy);
	return sw_packed_store(z->pool, slot, s->out, size, copy);
}

/* The handles of a cluster take memory from its first write on. */
static void touch(struct sw_zram *z, uint64_t slot)
{
	uint8_t *t = &z->touched[slot / SWAPFILE_CLUSTER];

	if (sw_unlikely(!__atomic_load_n(t, __ATOMIC_RELAXED)) &&
	    !__atomic_exchange_n(t, 1, __ATOMIC_RELAXED))
		add_relaxed(&z->touched_clusters, 1);
}

static int write_batch(struct sw_zram *z, struct scratch *s, uint64_t slot,
		       unsigned nr, const unsigned char *pages)
{
	uint64_t same = 0, raw = 0;
	unsigned i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = copy_make(z, s, slot + i, pages + i * SW_PAGE_SIZE,
				&s->copies[i]);
	if (err) {
		for (i--; i-- > 0;)
			handle_drop(z, s->copies[i].handle, &same, &raw);
		return err;
	}
	for (i = 0; i < nr; i++) {
		const struct sw_packed *c = &s->copies[i];

		same += handle_kind(c->handle) == HANDLE_SAME;
		raw += handle_is_raw(c->handle);
		touch(z, slot + i);
		z->sums[slot + i] = c->sum;
		handle_drop(
			z, sw_packed_exchange(&z->handles[slot + i], c->handle),
			&same, &raw);
	}
	add_relaxed(&z->same_pages, same);
	add_relaxed(&z->raw_pages, raw);
	return 0;
}

static bool in_range(const struct sw_zram *z, uint64_t offset, uint64_t nr)
{
	if (sw_likely(offset < z->nr_slots && nr <= z->nr_slots - offset))
		return true;
	sw_error("zram: slots %lu..+%lu are outside the device of %lu", offset,
		 nr, z->nr_slots);
	return false;
}

static int zram_write(void *store, uint64_t offset, unsigned nr,
		      const void *pages)
{
	struct sw_zram *z = store;
	const unsigned char *page = pages;
	static __thread unsigned since_step; /* [thread own] */
	struct scratch *s;
	int err = 0;

	if (!in_range(z, offset, nr))
		return -EINVAL;
	s = sw_work_scratch();
	if (s)
		s->codec_work = sw_work_codec(z->codec);
	if (!s || !s->codec_work)
		err = -ENOMEM;
	since_step += nr;
	while (nr && !err) {
		unsigned n = sw_min(nr, BATCH);

		err = write_batch(z, s, offset, n, page);
		/* Refuse a page only when order does not make room either. */
		if (err && sw_zram_compact(z))
			err = write_batch(z, s, offset, n, page);
		offset += n;
		page += n * SW_PAGE_SIZE;
		nr -= n;
	}
	if (since_step >= STEP_PAGES) {
		since_step = 0;
		sw_zram_compact_step(z);
	}
	if (err) {
		add_relaxed(&z->write_nomem, 1);
		sw_warn_once(
			"zram: no memory for a page to swap out; it stays where it is (raise the limit, or add another device)");
	}
	return err;
}

/* ---- read ---- */

static int read_page(struct sw_zram *z, void *work, uint64_t slot, void *page)
{
	const char *why =
		sw_packed_read(z->pool, z->codec, work, slot, &z->handles[slot],
			       z->sums[slot], page);

	if (!why)
		return 0;
	add_relaxed(&z->read_errors, 1);
	sw_error("zram: slot %lu cannot be read: %s", slot, why);
	return -EIO;
}

static int zram_read(void *store, uint64_t offset, unsigned nr, void *pages)
{
	struct sw_zram *z = store;
	unsigned char *page = pages;
	void *work = NULL;
	int err = 0;

	if (!in_range(z, offset, nr))
		return -EINVAL;
	if (z->codec->decompress_wants_work) {
		work = sw_work_codec(z->codec);
		if (!work)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < nr && !err; i++)
		err = read_page(z, work, offset + i, page + i * SW_PAGE_SIZE);
	return err;
}

/* ---- free ---- */

static void free_range(struct sw_zram *z, uint64_t offset, uint64_t nr)
{
	uint64_t same = 0, raw = 0;

	for (uint64_t slot = offset; slot < offset + nr; slot++) {
		if (handle_load(z, slot) == HANDLE_EMPTY)
			continue;
		handle_drop(z,
			    sw_packed_exchange(&z->handles[slot], HANDLE_EMPTY),
			    &same, &raw);
	}
	add_relaxed(&z->same_pages, same);
	add_relaxed(&z->raw_pages, raw);
}

/* Runs under the cluster lock: short locks of the pool, and now and then
 * memory given back to the system. */
static void zram_slot_free(void *store, uint64_t offset, unsigned nr)
{
	struct sw_zram *z = store;

	SW_BUG_ON(!in_range(z, offset, nr));
	free_range(z, offset, nr);
}

static int zram_discard(void *store, uint64_t offset, uint64_t nr)
{
	const uint64_t size = SWAPFILE_CLUSTER;
	struct sw_zram *z = store;
	uint64_t c;

	if (!in_range(z, offset, nr))
		return -EINVAL;
	/* Untouched clusters are skipped: walking them would back them. */
	for (c = offset / size; c * size < offset + nr; c++) {
		uint64_t from = sw_max(offset, c * size);
		uint64_t to = sw_min(offset + nr, (c + 1) * size);

		if (!__atomic_load_n(&z->touched[c], __ATOMIC_RELAXED))
			continue;
		free_range(z, from, to - from);
		if (to - from < size ||
		    size * sizeof(*z->handles) % SW_PAGE_SIZE)
			continue;
		sw_sysmem_drop(&z->handles[from], size * sizeof(*z->handles));
		__atomic_store_n(&z->touched[c], 0, __ATOMIC_RELAXED);
		add_relaxed(&z->touched_clusters, -1);
	}
	return 0;
}

const struct swap_ops sw_zram_ops = {
	.write = zram_write,
	.read = zram_read,
	.slot_free = zram_slot_free,
	.discard = zram_discard,
	.in_memory = true,
};

/* ---- accounts ---- */

void sw_zram_set_limit(struct sw_zram *z, uint64_t mem_bytes)
{
	sw_objpool_set_limit(z->pool, mem_bytes);
}

void sw_zram_stats(struct sw_zram *z, struct sw_store_stats *st)
{
	struct sw_objpool_stats pool;

	sw_objpool_stats(z->pool, &pool);
	*st = (struct sw_store_stats){
		.same_pages = read_relaxed(&z->same_pages),
		.raw_pages = read_relaxed(&z->raw_pages),
		.compr_bytes = pool.bytes,
		.mem_bytes = pool.mem_bytes,
		.mem_bytes_peak = pool.peak_bytes,
		.meta_bytes = pool.meta_bytes +
			      read_relaxed(&z->touched_clusters) *
				      SWAPFILE_CLUSTER *
				      (sizeof(*z->handles) + sizeof(*z->sums)),
		.read_errors = read_relaxed(&z->read_errors),
		.write_nomem = read_relaxed(&z->write_nomem),
		.moved_objects = read_relaxed(&z->compact.moved),
	};
	st->pages = pool.objs + st->same_pages;
}

unsigned char *sw_zram_object(struct sw_zram *z, uint64_t slot, size_t *len)
{
	const uint64_t h = handle_load(z, slot);

	if (handle_kind(h) != HANDLE_OBJECT)
		return NULL;
	*len = handle_to_size(h);
	return sw_objpool_at(z->pool, handle_to_loc(h), *len);
}

unsigned sw_zram_check(struct sw_zram *z)
{
	uint64_t objs = 0, same = 0, raw = 0, bytes = 0, busy = 0;
	struct sw_store_stats st;
	unsigned bad = sw_objpool_check(z->pool);

	for (uint64_t slot = 0; slot < z->nr_slots; slot++) {
		uint64_t h = handle_load(z, slot);

		same += handle_kind(h) == HANDLE_SAME;
		if (handle_kind(h) != HANDLE_OBJECT)
			continue;
		objs++;
		raw += handle_is_raw(h);
		bytes += handle_to_size(h);
		busy += handle_is_busy(h);
	}
	sw_zram_stats(z, &st);
	if (objs + same != st.pages || same != st.same_pages ||
	    raw != st.raw_pages || bytes != st.compr_bytes) {
		sw_error(
			"zram: handles say %lu pages, %lu same, %lu raw, %lu bytes; accounts say %lu, %lu, %lu, %lu",
			objs + same, same, raw, bytes, st.pages, st.same_pages,
			st.raw_pages, st.compr_bytes);
		bad++;
	}
	if (busy) {
		sw_error("zram: %lu handles count readers that are gone", busy);
		bad++;
	}
	return bad;
}

/* ---- life ---- */

static uint64_t nr_clusters(uint64_t nr_slots)
{
	return (nr_slots + SWAPFILE_CLUSTER - 1) / SWAPFILE_CLUSTER;
}

void sw_zram_close(struct sw_zram *z)
{
	if (!z)
		return;
	sw_objpool_destroy(z->pool);
	sw_sysmem_release(z->touched, nr_clusters(z->nr_slots));
	sw_sysmem_release(z->sums, z->nr_slots * sizeof(*z->sums));
	sw_sysmem_release(z->handles, z->nr_slots * sizeof(*z->handles));
	sw_sysmem_release(z, sizeof(*z));
}

struct sw_zram *sw_zram_open(uint64_t nr_slots, const char *codec)
{
	const struct sw_codec *c = sw_codec_lookup(codec);
	struct sw_zram *z;

	if (!c || nr_slots == 0 || nr_slots >= 1ULL << 30) {
		sw_error(
			"zram: cannot make a device of %lu pages with codec %s: %s",
			nr_slots, codec,
			c ? "1 to 2^30 - 1 pages are possible"
			  : "unknown codec");
		errno = EINVAL;
		return NULL;
	}
	z = sw_sysmem_reserve(sizeof(*z));
	if (!z)
		goto err_nomem;
	z->codec = c;
	z->nr_slots = nr_slots;
	z->handles = sw_sysmem_reserve(nr_slots * sizeof(*z->handles));
	z->sums = sw_sysmem_reserve(nr_slots * sizeof(*z->sums));
	z->touched = sw_sysmem_reserve(nr_clusters(nr_slots));
	z->pool = sw_objpool_new(nr_slots);
	if (z->handles && z->sums && z->touched && z->pool)
		return z;
	sw_zram_close(z);
err_nomem:
	sw_error(
		"zram: no address space for a device of %lu pages (see ulimit -v)",
		nr_slots);
	errno = ENOMEM;
	return NULL;
}
