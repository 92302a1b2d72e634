/*
 * zswap_entry.c - the pages of the pool, each with a descriptor that knows its
 * slot, and their order by age. Above: zswap.c and zswap_writeback.c, which
 * hold the slot whose entry they change. Below: store/packed.c.
 *
 * An entry is packed first and published last. Being listed makes it findable
 * for writeback, which is why that learns nothing here but where to look: it
 * asks the swap cache for the slot and then sees whether the entry is still
 * the same (zswap_claim()).
 *
 * The lock guards lists and free entries, for a few instructions; packing and
 * freeing objects is done without it.
 */
#include <errno.h>

#include "base/log.h"
#include "store/work.h"
#include "zswap/zswap_internal.h"

#define SPARED_MAX 64 /* looked at for one that is cold, under one lock */

static void zswap_lock(struct sw_zswap *z) SW_ACQUIRES(&z->lock)
{
	sw_spin_lock(&z->lock, "zswap", SW_RANK_STORE);
}

static void zswap_unlock(struct sw_zswap *z) SW_RELEASES(&z->lock)
{
	sw_spin_unlock(&z->lock);
}

/* ---- the rings: groups that have pages, and the pages of each ---- */

static void group_link(struct sw_zswap *z, uint16_t id) SW_REQUIRES(&z->lock)
{
	struct zswap_group *g = &z->groups[id], *at;

	if (!z->any) {
		g->next = g->prev = z->turn = id;
		z->any = true;
		return;
	}
	at = &z->groups[z->turn];
	g->next = z->turn;
	g->prev = at->prev;
	z->groups[at->prev].next = id;
	at->prev = id;
}

static void group_unlink(struct sw_zswap *z, uint16_t id) SW_REQUIRES(&z->lock)
{
	struct zswap_group *g = &z->groups[id];

	if (g->next == id) {
		z->any = false;
		return;
	}
	z->groups[g->prev].next = g->next;
	z->groups[g->next].prev = g->prev;
	if (z->turn == id)
		z->turn = g->next;
}

/* As the youngest of its group. */
static void list_add(struct sw_zswap *z, uint32_t nr) SW_REQUIRES(&z->lock)
{
	struct zswap_entry *e = zswap_entry(z, nr), *head;
	struct zswap_group *g = &z->groups[e->group];

	if (!g->head) {
		e->next = e->prev = g->head = nr;
		group_link(z, e->group);
		return;
	}
	head = zswap_entry(z, g->head);
	e->next = g->head;
	e->prev = head->prev;
	zswap_entry(z, head->prev)->next = nr;
	head->prev = nr;
}

static void list_del(struct sw_zswap *z, uint32_t nr) SW_REQUIRES(&z->lock)
{
	struct zswap_entry *e = zswap_entry(z, nr);
	struct zswap_group *g = &z->groups[e->group];

	if (e->next == nr) {
		g->head = 0;
		group_unlink(z, e->group);
		return;
	}
	zswap_entry(z, e->prev)->next = e->next;
	zswap_entry(z, e->next)->prev = e->prev;
	if (g->head == nr)
		g->head = e->next;
}

/* ---- picking ---- */

/* Where it is; false: on a device that is not on yet. */
static bool pick_locked(struct sw_zswap *z, uint32_t nr,
			struct zswap_pick *pick) SW_REQUIRES(&z->lock)
{
	const struct zswap_entry *e = zswap_entry(z, nr);
	int type = __atomic_load_n(&z->device[e->dev]->type, __ATOMIC_RELAXED);

	sw_assert_spin_held(&z->lock);
	if (type < 0)
		return false;
	*pick = (struct zswap_pick){
		.entry = swp_entry(type, e->slot),
		.nr = nr,
		.stamp = e->stamp,
	};
	return true;
}

/* Looks at the next `*looks` pages, or a few of them. */
static bool take_some(struct sw_zswap *z, struct zswap_pick *pick,
		      uint64_t *looks)
{
	bool found = false;

	zswap_lock(z);
	if (!z->any)
		*looks = 0;
	for (unsigned i = 0; !found && *looks && i < SPARED_MAX; i++) {
		struct zswap_group *g = &z->groups[z->turn];
		uint32_t nr = g->head;

		--*looks;
		/* The oldest becomes the youngest: the ring turns. */
		g->head = zswap_entry(z, nr)->next;
		if (zswap_test(zswap_entry(z, nr), ZSWAP_REFERENCED)) {
			__atomic_fetch_and(&zswap_entry(z, nr)->flags,
					   (uint8_t)~ZSWAP_REFERENCED,
					   __ATOMIC_RELAXED);
			continue;
		}
		found = pick_locked(z, nr, pick);
		z->turn = g->next;
	}
	zswap_unlock(z);
	return found;
}

bool zswap_take_coldest(struct sw_zswap *z, struct zswap_pick *pick)
{
	/* Twice around: the second time all that was read has been spared. */
	uint64_t looks = 2 * zswap_read(&z->live) + 1;

	while (looks)
		if (take_some(z, pick, &looks))
			return true;
	return false;
}

bool zswap_entry_pick(struct sw_zswap *z, uint32_t nr, struct zswap_pick *pick)
{
	const struct zswap_entry *e = zswap_entry(z, nr);
	bool found = false;

	zswap_lock(z);
	/* One that is not published yet, or not any more, is taken for what it
	 * was: the claim finds out. */
	if (nr < z->fresh && z->device[e->dev] &&
	    __atomic_load_n(&e->handle, __ATOMIC_RELAXED))
		found = pick_locked(z, nr, pick);
	zswap_unlock(z);
	return found;
}

/* ---- packing ---- */

uint64_t zswap_entry_key(const struct zswap_entry *e)
{
	return (uint64_t)e->dev << 32 | e->slot;
}

/* A free entry for the slot, known to the caller alone; 0: all are in use. */
static uint32_t entry_get(struct sw_zswap_device *dev, uint64_t slot,
			  uint16_t group)
{
	struct sw_zswap *z = dev->zswap;
	struct zswap_entry *e;
	uint32_t nr = 0;

	zswap_lock(z);
	if (z->free_head) {
		nr = z->free_head;
		z->free_head = zswap_entry(z, nr)->next;
	} else if (z->fresh < z->max_entries) {
		nr = z->fresh;
		__atomic_store_n(&z->fresh, nr + 1, __ATOMIC_RELAXED);
	}
	if (nr) {
		/* Under the lock, for those who come by its old number. */
		e = zswap_entry(z, nr);
		e->slot = slot;
		e->dev = dev->nr;
		e->group = group;
		__atomic_store_n(&e->stamp, ++z->stamp, __ATOMIC_RELAXED);
		__atomic_store_n(&e->flags, 0, __ATOMIC_RELAXED);
	}
	zswap_unlock(z);
	if (nr)
		zswap_add(&z->live, 1);
	return nr;
}

static void entry_put(struct sw_zswap *z, uint32_t nr, bool listed)
{
	zswap_add(&z->live, -1);
	zswap_lock(z);
	if (listed)
		list_del(z, nr);
	zswap_entry(z, nr)->next = z->free_head;
	z->free_head = nr;
	zswap_unlock(z);
}

/* What an allocation that failed was up against. */
static int why_no_room(struct sw_zswap *z)
{
	const uint64_t span = 64 << 10;

	return sw_objpool_mem_bytes(z->pool) + span > zswap_objects_limit(z)
		       ? -ENOSPC
		       : -ENOMEM;
}

static int pack(struct sw_zswap *z, struct zswap_entry *e, const void *page,
		struct sw_packed *p)
{
	unsigned char out[SW_PAGE_SIZE];
	void *work;
	size_t size;

	if (sw_packed_same(zswap_entry_key(e), page, p))
		return 0;
	work = sw_work_codec(z->codec);
	if (!work)
		return -ENOMEM;
	size = z->codec->compress(work, page, out, SW_PACKED_RAW_FROM);
	if (!size)
		return -E2BIG;
	if (sw_packed_store(z->pool, zswap_entry_key(e), out, size, p))
		return why_no_room(z);
	return 0;
}

/* What a handle adds to the sums, or takes from them. */
static void account(struct sw_zswap *z, uint64_t h, int64_t sign)
{
	if (handle_kind(h) == HANDLE_SAME)
		zswap_add(&z->same, sign);
	else
		zswap_add(&z->bytes, sign * (int64_t)handle_to_size(h));
}

uint32_t zswap_entry_new(struct sw_zswap_device *dev, uint64_t slot,
			 uint16_t group, const void *page, int *err)
{
	struct sw_zswap *z = dev->zswap;
	uint32_t nr = entry_get(dev, slot, group);
	struct zswap_entry *e = zswap_entry(z, nr);
	struct sw_packed p;

	if (!nr) {
		*err = -ENOSPC;
		return 0;
	}
	/* Pages of one word take no object, and entries all the same. */
	*err = zswap_contents(z) > zswap_limit(z) ? -ENOSPC
						  : pack(z, e, page, &p);
	if (*err) {
		entry_put(z, nr, false);
		return 0;
	}
	e->sum = p.sum;
	account(z, p.handle, 1);
	/* Pairs with the acquires of those who look at handles. */
	__atomic_store_n(&e->handle, p.handle, __ATOMIC_RELEASE);
	return nr;
}

void zswap_entry_publish(struct sw_zswap_device *dev, uint32_t nr)
{
	struct sw_zswap *z = dev->zswap;
	struct zswap_entry *e = zswap_entry(z, nr);

	SW_ASSERT(!dev->index[e->slot]);
	sw_sched_point("zswap index");
	__atomic_store_n(&dev->index[e->slot], nr, __ATOMIC_RELEASE);
	zswap_add(&dev->pages, 1);
	zswap_lock(z);
	list_add(z, nr);
	zswap_unlock(z);
}

/* The object first: an entry on the chain of free ones has none. */
static void entry_end(struct sw_zswap *z, uint32_t nr, bool listed)
{
	struct zswap_entry *e = zswap_entry(z, nr);
	uint64_t h = sw_packed_exchange(&e->handle, HANDLE_EMPTY);

	account(z, h, -1);
	if (zswap_test(e, ZSWAP_STRONG))
		zswap_add(&z->nr_strong, -1);
	sw_packed_drop(z->pool, h);
	entry_put(z, nr, listed);
}

void zswap_entry_free(struct sw_zswap *z, uint32_t nr)
{
	entry_end(z, nr, false);
}

void zswap_entry_forget(struct sw_zswap_device *dev, uint64_t slot)
{
	uint32_t nr = zswap_lookup(dev, slot);

	if (!nr)
		return;
	sw_sched_point("zswap index");
	__atomic_store_n(&dev->index[slot], 0, __ATOMIC_RELAXED);
	zswap_add(&dev->pages, -1);
	entry_end(dev->zswap, nr, true);
}

const char *zswap_entry_load(struct sw_zswap *z, uint32_t nr, void *page,
			     int *err)
{
	struct zswap_entry *e = zswap_entry(z, nr);
	const struct sw_codec *codec =
		zswap_test(e, ZSWAP_STRONG) ? z->strong : z->codec;
	void *work = NULL;
	const char *why;

	*err = 0;
	if (codec->decompress_wants_work) {
		work = sw_work_codec(codec);
		if (!work) {
			*err = -ENOMEM;
			return NULL;
		}
	}
	why = sw_packed_read(z->pool, codec, work, zswap_entry_key(e),
			     &e->handle, e->sum, page);
	*err = why ? -EIO : 0;
	return why;
}

/* ---- checking ---- */

static unsigned complain(bool broken, uint32_t nr, const char *what)
{
	if (broken)
		sw_error("zswap: entry %u: %s", nr, what);
	return broken;
}

/* The pages of one group; returns how many, adding up what is wrong. */
static uint64_t group_check(struct sw_zswap *z, uint16_t id, unsigned *bad)
	SW_REQUIRES(&z->lock)
{
	uint32_t nr = z->groups[id].head;
	uint64_t pages = 0;

	do {
		struct zswap_entry *e = zswap_entry(z, nr);
		const struct sw_zswap_device *dev = z->device[e->dev];

		*bad += complain(e->group != id, nr, "in another's list");
		*bad += complain(!e->handle, nr, "without a page");
		*bad += complain(handle_is_busy(e->handle), nr,
				 "counts readers that are gone");
		*bad += complain(!dev || dev->index[e->slot] != nr, nr,
				 "its slot has another one");
		*bad += complain(zswap_entry(z, e->next)->prev != nr, nr,
				 "its neighbour does not know it");
		pages++;
		nr = e->next;
	} while (nr != z->groups[id].head && pages <= z->fresh);
	return pages;
}

unsigned zswap_entries_check(struct sw_zswap *z)
{
	uint64_t listed = 0, indexed = 0, freed = 0, bytes = 0;
	unsigned bad = 0;
	uint16_t id;

	zswap_lock(z);
	id = z->turn;
	do {
		if (z->any)
			listed += group_check(z, id, &bad);
		id = z->groups[id].next;
	} while (z->any && id != z->turn);
	for (uint32_t nr = z->free_head; nr; nr = zswap_entry(z, nr)->next)
		freed++;
	for (uint32_t nr = 1; nr < z->fresh; nr++)
		if (handle_kind(zswap_entry(z, nr)->handle) == HANDLE_OBJECT)
			bytes += handle_to_size(zswap_entry(z, nr)->handle);
	for (unsigned d = 0; d < MAX_SWAPFILES; d++)
		for (uint64_t i = 0; z->device[d] && i < z->device[d]->max; i++)
			indexed += z->device[d]->index[i] != 0;
	if (listed != z->live || indexed != z->live ||
	    freed + z->live + 1 != z->fresh || bytes != z->bytes) {
		sw_error(
			"zswap: %lu entries in use, %lu in lists, %lu of slots, %lu free, of %u; %lu bytes (%lu)",
			z->live, listed, indexed, freed, z->fresh, bytes,
			z->bytes);
		bad++;
	}
	zswap_unlock(z);
	return bad;
}
