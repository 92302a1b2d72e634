/*
 * folio.h - the descriptor of 1..512 pages while they are out of a program
 * (or back in it with a good copy left in their slots). The swap table names
 * a folio by its index in one array where the kernel has a page frame number.
 *
 * Life: folio_alloc() gives one reference; the swap cache holds folio_nr()
 * more while the folio is in it; the last folio_put() frees the descriptor
 * and its data buffer through the pool's `release` hook. A reference count of
 * 0 means free or frozen: folio_try_get() fails, and a lockless reader looks
 * at the table again. Descriptors are type-stable: never unmapped.
 *
 * Locks: `swap`, `order`, `data`, `mapping`, `index` and every flag but
 * SW_FOLIO_LOCKED change only under the folio lock (or while nobody else can
 * see the folio). The folio lock sleeps; while holding one, take a second
 * only with folio_trylock().
 */
#ifndef SW_FOLIO_H
#define SW_FOLIO_H

#include "base/base.h"
#include "base/list.h"
#include "base/sched.h"

/* (type, offset) of a slot in one word; a struct, so that the compiler tells
 * it from an offset. val == 0 means "no entry". */
typedef struct {
	uint64_t val;
} swp_entry_t;

enum sw_folio_flags {
	SW_FOLIO_LOCKED = 1u << 0,
	SW_FOLIO_WAITERS = 1u << 1,    /* somebody sleeps on the lock */
	SW_FOLIO_SWAPCACHE = 1u << 2,  /* its slots are PFN words naming it */
	SW_FOLIO_UPTODATE = 1u << 3,   /* data (or the mapped page) is valid */
	SW_FOLIO_DIRTY = 1u << 4,      /* the store has no good copy */
	SW_FOLIO_WRITEBACK = 1u << 5,  /* a store is reading data */
	SW_FOLIO_MAPPED = 1u << 6,     /* a program has the page, clean */
	SW_FOLIO_WORKINGSET = 1u << 7, /* was active when evicted */
	SW_FOLIO_READAHEAD = 1u << 8,  /* came in ahead of its fault */
	SW_FOLIO_CONDEMNED = 1u << 9,  /* its slot is to become bad */
	SW_FOLIO_KEPT = 1u << 10,      /* staged, and not to be written */
};

struct folio {
	uint32_t flags;     /* [atomic] enum sw_folio_flags */
	uint32_t refcount;  /* [atomic] 0: free or frozen */
	swp_entry_t swap;   /* first entry; valid while in the swap cache */
	void *data;         /* folio_nr() pages of ours, or NULL */
	void *mapping;      /* owner of the mapped page (an address space) */
	uint64_t index;     /* address in that owner, bytes */
	struct sw_list lru; /* [owner of the list] staging lists */
	uint8_t order;
};

/*
 * Reserves the descriptor array for at most `max_folios` (address space only)
 * and sets the hook that frees `data` when a descriptor dies (may be NULL).
 */
int folio_pool_init(uint32_t max_folios, void (*release)(struct folio *));
void folio_pool_release(void);
uint32_t folio_pool_in_use(void);

/* A new folio, unlocked, one reference, data NULL; NULL when none is left. */
struct folio *folio_alloc(unsigned order);
void folio_get(struct folio *folio);     /* caller holds a reference */
bool folio_try_get(struct folio *folio); /* false: free or frozen */
void folio_put(struct folio *folio);
void folio_put_refs(struct folio *folio, unsigned nr);
bool folio_ref_freeze(struct folio *folio, unsigned expected);
void folio_ref_unfreeze(struct folio *folio, unsigned refs);

void folio_lock(struct folio *folio);
bool folio_trylock(struct folio *folio);
void folio_unlock(struct folio *folio);
bool folio_is_locked(const struct folio *folio);

/* A hint: references come and go. */
static inline uint32_t folio_ref_count(const struct folio *folio)
{
	return __atomic_load_n(&folio->refcount, __ATOMIC_RELAXED);
}

uint64_t folio_to_pfn(const struct folio *folio);
struct folio *pfn_to_folio(uint64_t pfn);

static inline unsigned folio_nr(const struct folio *folio)
{
	return 1u << folio->order;
}

static inline bool folio_test(const struct folio *folio, uint32_t flag)
{
	sw_sched_point("folio flags");
	return __atomic_load_n(&folio->flags, __ATOMIC_ACQUIRE) & flag;
}

static inline void folio_set(struct folio *folio, uint32_t flag)
{
	sw_sched_point("folio flags");
	__atomic_fetch_or(&folio->flags, flag, __ATOMIC_RELEASE);
}

static inline void folio_clear(struct folio *folio, uint32_t flag)
{
	sw_sched_point("folio flags");
	__atomic_fetch_and(&folio->flags, ~flag, __ATOMIC_RELEASE);
}

#endif
