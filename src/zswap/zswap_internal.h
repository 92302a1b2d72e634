/*
 * zswap_internal.h - the structs and the calls between the files of this room:
 * zswap.c (the ops of a wrapped device), zswap_entry.c (descriptors, and their
 * order by age), zswap_writeback.c (cold pages out), zswap_pool.c (order in
 * the pool, memory, the thread).
 *
 * Who may change what a slot has holds the slot: its folio is in the swap
 * cache and theirs, by its lock or by being under writeback, or the slot is
 * falling free under the lock of its cluster. So there is no lock for that
 * here. Objects are moved behind everybody's back; packed.h says how.
 */
#ifndef SW_ZSWAP_INTERNAL_H
#define SW_ZSWAP_INTERNAL_H

#include <pthread.h>

#include "base/counters.h"
#include "base/spin.h"
#include "store/compact.h"
#include "store/packed.h"
#include "zswap/zswap.h"

#define SW_ZSWAP_AROUND \
	16u                /* pages written back with the one that was picked */
#define SW_ZSWAP_BATCH 32u /* and at once */

enum zswap_flags {
	ZSWAP_REFERENCED = 1u << 0, /* read since it was last looked at */
	ZSWAP_STRONG = 1u << 1,     /* by the stronger codec */
	ZSWAP_TRIED = 1u << 2,      /* which makes it no smaller */
};

/* A page in the pool. Never unmapped: who comes by a stale number finds
 * another page or none, which its stamp tells. */
struct zswap_entry {
	uint64_t handle;     /* [atomic] packed.h; 0: not in use */
	uint32_t sum;        /* who holds the slot */
	uint32_t slot;       /* [const] while in use, as the next three */
	uint32_t stamp;      /* [atomic] changes with each use */
	uint16_t group;      /* whom the slot is charged to */
	uint8_t dev;         /* index in zswap->device[] */
	uint8_t flags;       /* [atomic] enum zswap_flags */
	uint32_t next, prev; /* lock: in the list of its group, or free */
};

_Static_assert(sizeof(struct zswap_entry) == 32, "what a page costs beside it");

/* Oldest first, in a ring; a group without pages is in no list. */
struct zswap_group {
	uint32_t head;       /* lock: entry, 0: none */
	uint16_t next, prev; /* lock: groups that have pages, in a ring */
};

struct sw_zswap_device {
	struct sw_zswap *zswap;     /* [const], all to `nr` */
	const struct swap_ops *ops; /* the device's own */
	void *store;
	uint64_t max;
	uint8_t nr;
	uint32_t *index; /* [atomic] entry of each slot, 0: none; who holds
			  * the slot writes */
	int type;        /* [atomic] -1: not on yet */
	uint64_t pages;  /* [atomic] in the pool */
};

struct sw_zswap {
	const struct sw_codec *codec;  /* [const], all to `groups` */
	const struct sw_codec *strong; /* or NULL */
	uint64_t limit_bytes;          /* [atomic] */
	struct sw_objpool *pool;
	uint64_t max_entries;
	struct zswap_entry *entries; /* 0 is never used */
	struct zswap_group *groups;  /* by number */

	struct sw_spinlock lock; /* SW_RANK_STORE */
	uint32_t fresh; /* [atomic] from here on untouched; lock to write */
	uint32_t free_head SW_GUARDED_BY(&lock); /* chain of free entries */
	uint32_t stamp SW_GUARDED_BY(&lock);
	uint16_t turn SW_GUARDED_BY(&lock); /* group to take from next */
	bool any SW_GUARDED_BY(&lock);      /* a group has pages */
	struct sw_zswap_device *device[MAX_SWAPFILES] SW_GUARDED_BY(&lock);

	uint64_t live;      /* [atomic] entries in use */
	uint64_t bytes;     /* [atomic] sum of object sizes */
	uint64_t same;      /* [atomic] pages without an object */
	uint64_t nr_strong; /* [atomic] */
	uint64_t stores;    /* [atomic] writes so far, for who waits for idle */
	uint64_t wanted;    /* [atomic] pages that the shrinker asked for */
	bool full;          /* [atomic] stores are refused */
	uint64_t full_goal; /* [atomic] until contents are down to it */
	bool writing_back;  /* [atomic] somebody is */
	struct sw_compact compact;
	uint64_t cold;       /* [thread that recompresses] its cursor */
	unsigned char *page; /* [thread that set writing_back] */
	bool failed;         /* [same] what it wrote last */

	struct sw_mutex wake_lock; /* SW_RANK_LEAF */
	pthread_cond_t wake;
	bool asked; /* [atomic] there is work */
	bool stop;  /* [atomic] */
	bool started;
	pthread_t thread;
};

static inline void zswap_add(uint64_t *counter, uint64_t n)
{
	/* Wraps around: -1 takes one away. */
	(void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline uint64_t zswap_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline bool zswap_read_flag(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static inline struct zswap_entry *zswap_entry(struct sw_zswap *z, uint32_t nr)
{
	return &z->entries[nr];
}

static inline bool zswap_test(const struct zswap_entry *e, uint8_t flags)
{
	return __atomic_load_n(&e->flags, __ATOMIC_RELAXED) & flags;
}

static inline void zswap_set(struct zswap_entry *e, uint8_t flags)
{
	__atomic_fetch_or(&e->flags, flags, __ATOMIC_RELAXED);
}

/* What pages and their entries take, without the holes between them. */
static inline uint64_t zswap_contents(const struct sw_zswap *z)
{
	return zswap_read(&z->bytes) +
	       zswap_read(&z->live) * sizeof(struct zswap_entry);
}

static inline uint64_t zswap_limit(const struct sw_zswap *z)
{
	return zswap_read(&z->limit_bytes);
}

/* The rest is for entries, which take about as much at usual sizes. */
static inline uint64_t zswap_objects_limit(const struct sw_zswap *z)
{
	return zswap_limit(z) - zswap_limit(z) / 32;
}

/* The entry of a slot, 0: none. A guess, unless the caller holds the slot. */
static inline uint32_t zswap_lookup(const struct sw_zswap_device *dev,
				    uint64_t slot)
{
	sw_sched_point("zswap index");
	return __atomic_load_n(&dev->index[slot], __ATOMIC_RELAXED);
}

/* ---- zswap_entry.c ---- */

/* Packs a page that nobody finds yet; the number of its entry. 0: *err says
 * why. -E2BIG: it does not shrink; -ENOSPC: the pool is full; -ENOMEM. */
uint32_t zswap_entry_new(struct sw_zswap_device *dev, uint64_t slot,
			 uint16_t group, const void *page, int *err);
/* Makes it the slot's, which had none, and the youngest of its group. */
void zswap_entry_publish(struct sw_zswap_device *dev, uint32_t nr);
/* The end of one that was never published, */
void zswap_entry_free(struct sw_zswap *z, uint32_t nr);
/* and of the slot's, if it has one. */
void zswap_entry_forget(struct sw_zswap_device *dev, uint64_t slot);
/* NULL, or what is wrong with it; -ENOMEM in *err: try again. */
const char *zswap_entry_load(struct sw_zswap *z, uint32_t nr, void *page,
			     int *err);
uint64_t zswap_entry_key(const struct zswap_entry *e);

/* A page that may be cold, as it was when somebody looked. */
struct zswap_pick {
	swp_entry_t entry;
	uint32_t nr, stamp;
};

/* The oldest of the group whose turn it is, which becomes the youngest: when
 * nothing comes of it, others have their turn first. What was read since it
 * was looked at last is spared once. False: there is none. */
bool zswap_take_coldest(struct sw_zswap *z, struct zswap_pick *pick);
/* Where entry `nr` is, if it is in use. */
bool zswap_entry_pick(struct sw_zswap *z, uint32_t nr, struct zswap_pick *pick);
unsigned zswap_entries_check(struct sw_zswap *z);

/* ---- zswap_writeback.c ---- */

/*
 * Puts a folio on the slot of a page that was picked, and others around it in
 * `orders`, if it is still that page. Everybody else who wants one of them
 * waits for this folio, until it is released. NULL: *err says why, as
 * swap_cache_alloc_folio() does; -ESTALE: another page.
 */
struct zswap_claim {
	struct swap_info_struct *si;
	struct sw_zswap_device *dev;
	struct folio *folio;
	uint64_t shadow;
	bool zero;
};

bool zswap_claim(struct sw_zswap *z, const struct zswap_pick *pick, bool around,
		 struct zswap_claim *claim, int *err);
void zswap_release(struct zswap_claim *claim);

/* ---- zswap_pool.c ---- */

/* A little order, if it pays; for writers, with no lock held. */
void zswap_compact_step(struct sw_zswap *z);
/* There was no room for a page: stores are refused from now on. */
void zswap_is_full(struct sw_zswap *z);
/* The thread has something to do. */
void zswap_wake(struct sw_zswap *z);

#endif
