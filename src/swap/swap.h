/*
 * swap.h - the swap layer as the rest of the project sees it: entries,
 * devices, the swap cache and the lifecycle of a slot. State only: nothing
 * here maps a page, moves a byte or decides what to evict.
 *
 * A slot is in use while its count (owners outside the cache: page-table
 * words, images) is above 0 or a folio sits on it. The count changes only
 * through folio_dup_swap / folio_put_swap (folio locked and in the cache)
 * and swap_dup_entries_direct / swap_put_entries_direct (owner's lock held).
 * Names and rules: the Linux swap-table series (phases I to IV).
 *
 * Bad input is refused: nothing changes, a counter says of which kind it was
 * (base/counters.h, swap_bad_*), and once a place a warning names the call and
 * its caller. What only a defect of the program can bring about, said to be a
 * *misuse* below, aborts in checked builds. Questions about entries answer
 * "no" to any entry whatever and count nothing, since a stale one is how races
 * end. That a folio is locked and pointers are valid is asserted (checked
 * builds) or taken for granted.
 */
#ifndef SW_SWAP_H
#define SW_SWAP_H

#include <stdio.h>

#include "base/base.h"
#include "swap/folio.h"

#ifndef SWAPFILE_CLUSTER
#define SWAPFILE_CLUSTER 512u /* slots a cluster; tests build with 8 */
#endif
#define MAX_SWAPFILES   24u
#define SWAP_TYPE_SHIFT 58

/*
 * The largest device, 16 TiB of pages of 4 KiB: the last page of an area's
 * header has 32 bits. What else keeps an offset or a number of slots has room
 * to spare: a usage word counts to 2^33, a word of a page table has 51 bits
 * for an offset, a swp_entry_t 58, an image's extents 64.
 */
#define SWAP_MAX_SLOTS (1ULL << 32)

static inline swp_entry_t swp_entry(unsigned type, uint64_t offset)
{
	return (swp_entry_t){ ((uint64_t)type << SWAP_TYPE_SHIFT) | offset };
}

static inline unsigned swp_type(swp_entry_t e)
{
	return e.val >> SWAP_TYPE_SHIFT;
}

static inline uint64_t swp_offset(swp_entry_t e)
{
	return e.val & ((1ULL << SWAP_TYPE_SHIFT) - 1);
}

/* Slots that follow each other, to be moved together with others. Those of a
 * batch are disjoint; the more of them are in order, the larger the requests
 * that they can be joined to. */
struct swap_io {
	swp_entry_t entry; /* first slot; a store looks at the offset only */
	unsigned nr;
	int err; /* out: 0 or -errno, of these slots alone */
	void *pages;
	unsigned tag; /* the caller's */
};

/*
 * What a store gives the swap layer and the memory manager. `offset` is in
 * slots; `nr` slots follow each other. read and write move whole pages, run
 * with no lock held but the folio's, and return 0 or -errno. slot_free is
 * called under the cluster lock when slots fall free: it must not sleep and
 * must not call back.
 *
 * Who waits for a device that does not answer gives up after a while:
 *      read    -EINPROGRESS: nothing is lost and `pages` is not touched any
 *              more; the same read, later, has the bytes when they have come
 *      write   -ETIMEDOUT: the bytes may reach the slots at any later time, so
 *              these are not to be used again
 */
struct swap_ops {
	int (*write)(void *store, uint64_t offset, unsigned nr,
		     const void *pages);
	int (*read)(void *store, uint64_t offset, unsigned nr, void *pages);
	void (*slot_free)(void *store, uint64_t offset, unsigned nr);
	int (*discard)(void *store, uint64_t offset, uint64_t nr); /* or NULL */
	/* All of `io`, side by side, each as write or read would do it. NULL:
	 * one after the other is as good. */
	void (*batch)(void *store, bool write, struct swap_io *io, unsigned nr);
	/* The store counts pswpin and pswpout itself, since not every page it
	 * reads or writes has been to a device. */
	bool counts;
	/* Its pages stay in memory: nobody waits for a device. */
	bool in_memory;
};

enum swap_device_flags {
	SWP_USED = 1u << 0,
	SWP_WRITEOK = 1u << 1,
	SWP_DISCARDABLE = 1u << 2,
	SWP_DISCARDING = 1u << 3,
	SWP_SOLIDSTATE = 1u << 4,
	SWP_BLKDEV = 1u << 6,
	SWP_ACTIVATED = 1u << 7,
	SWP_AREA_DISCARD = 1u << 9,
	SWP_PAGE_DISCARD = 1u << 10,
	SWP_STABLE_WRITES = 1u << 11,
	SWP_SYNCHRONOUS_IO = 1u << 12,
	SWP_HIBERNATION = 1u << 13,
	SWP_FAILED = 1u << 14,    /* gives no slot any more */
	SWP_CLUSTERED = 1u << 15, /* ours: a request of many slots is cheap */
};

/* What swapon() is told. Copied; `store` stays the caller's. */
struct swapon_spec {
	const char *name; /* for messages and `spillway show`; NULL: "swap" */
	const struct swap_ops *ops;
	void *store;  /* first argument of every op */
	uint64_t max; /* slots, header slot 0 included; 2 to SWAP_MAX_SLOTS */
	int prio;     /* -1: default, or 0..32767 */
	/* Of enum swap_device_flags; what describes a state is refused. */
	unsigned flags;
	const uint64_t *bad; /* bad slots, ascending, or NULL */
	unsigned nr_bad;
};

struct swap_info_struct; /* [private to src/swap/] one device */

/* Once a process, before anything else, and at its end, when all devices are
 * off. In any other order they abort, in all builds. */
int swap_init(void);
void swap_exit(void);

/*
 * The type (>= 0) of the new device. -EINVAL: the spec lies (swap_bad_device
 * counts it, as the next two); -EBUSY: a device has this store already;
 * -EPERM: too many; -ENOMEM.
 */
int swapon(const struct swapon_spec *spec);

/*
 * swapoff takes the device out of allocation, calls `unuse` again and again
 * until no slot is used (it brings entries of `type` in; 0, or -errno to give
 * up: the device is then fully usable again), and tears it down. `unuse` may
 * be NULL when nothing can be in use; -EBUSY when something is, and while the
 * device holds an image. -EINVAL: no such device, or it is going off already
 * (counted as swap_bad_device).
 */
int swapoff(unsigned type, int (*unuse)(void *arg, unsigned type), void *arg);
/* The same up to the moment when no slot is used: the device stays on then, and
 * as it was. */
int swap_empty(unsigned type, int (*unuse)(void *arg, unsigned type),
	       void *arg);

/*
 * The device gives no slot any more, until it is switched off: what is on it
 * stays, can be read, and leaves as its owners do. False: there is no such
 * device, or it is going off, or has failed before.
 */
bool swap_device_fail(unsigned type);

/* A question: NULL for entry 0, a type that is off or a slot beyond the end.
 * What it gave is put once. */
struct swap_info_struct *get_swap_device(swp_entry_t entry);
void put_swap_device(struct swap_info_struct *si);
const struct swap_ops *swap_device_ops(const struct swap_info_struct *si,
				       void **store);
unsigned swap_device_flags(const struct swap_info_struct *si);

#define SWAP_NAME_MAX 256 /* its end included */

/* A copy: it stays as it is whatever becomes of the device. */
struct sw_swap_device_info {
	unsigned type;
	char name[SWAP_NAME_MAX]; /* a longer one is cut short */
	int prio;
	unsigned flags;
	uint64_t pages; /* usable slots */
	uint64_t max;   /* slots, the header's and bad ones among them */
	uint64_t used;
	uint64_t condemned; /* slots since it is on, bad by now or to be */
};

/* Fills `info` for device `type`; false when there is none. */
bool swap_device_info(unsigned type, struct sw_swap_device_info *info);

/* Where a cluster of slots is: see docs/swap-layer.md. */
enum swap_cluster_list {
	SWAP_CLUSTER_FREE,
	SWAP_CLUSTER_NONFULL, /* of its order */
	SWAP_CLUSTER_FRAG,    /* same: nothing of that size was found in it */
	SWAP_CLUSTER_FULL,
	SWAP_CLUSTER_DISCARD,
	SWAP_CLUSTER_TAKEN, /* on none: somebody is at work on it */
	SWAP_NR_CLUSTER_LISTS,
};

#define SWAP_CLUSTER_ORDERS 10 /* 0..9 */

struct swap_cluster_state {
	enum swap_cluster_list list;
	unsigned order;
	unsigned used; /* slots of pages */
	unsigned bad;  /* slots; neither the header's nor behind the end */
};

/*
 * Calls `fn` for each cluster of device `type`, in order, until it returns
 * false: a snapshot of each one, not of all at one moment. No lock held by `fn`,
 * but the device waits for it to go off. 0, or -ENODEV: no such device.
 */
SW_MUST_CHECK int swap_for_each_cluster(
	unsigned type,
	bool (*fn)(void *arg, const struct swap_cluster_state *st), void *arg);

struct sw_swap_totals {
	uint64_t total_pages; /* total_swap_pages */
	uint64_t free_pages;  /* nr_swap_pages */
	uint64_t cached;      /* nr_swapcached */
};

void si_swapinfo(struct sw_swap_totals *t);
/* The same of a set of devices (bit n: type n), without `cached`. */
#define SWAP_ALL_DEVICES ((1u << MAX_SWAPFILES) - 1)
void swap_devices_room(uint32_t devices, struct sw_swap_totals *t);
/* Is less than a half of them free? */
bool swap_devices_full(uint32_t devices);

static inline bool vm_swap_full(void)
{
	return swap_devices_full(SWAP_ALL_DEVICES);
}

/* Takes the folio that sits on the slot out of the cache, mapped or not, if
 * nobody owns its slots and its lock is free; true: they fell free. The caller
 * keeps the device alive. */
bool swap_reclaim_entry(swp_entry_t entry);

/* ---- the folio workflow: the folio is locked ---- */

/*
 * Gives an uptodate folio that is not in the cache slots of its size and puts
 * it there with count 0. 0, -ENOMEM (no slot), -EAGAIN (split it first),
 * -EINVAL (larger than a cluster, swap_bad_order; or, a misuse, in the cache
 * already, swap_bad_folio). `group` is the id charged (0: none); every number
 * of its type is one. folio_alloc_swap_on() takes slots only on a set of
 * devices: managers that share a process have devices of their own.
 */
SW_MUST_CHECK int folio_alloc_swap_on(struct folio *folio, uint16_t group,
				      uint32_t devices);

SW_MUST_CHECK static inline int folio_alloc_swap(struct folio *folio,
						 uint16_t group)
{
	return folio_alloc_swap_on(folio, group, SWAP_ALL_DEVICES);
}

/*
 * `page` is an index below folio_nr(), or -1 for every page of the folio.
 * 0; -ENOMEM: no extend table, nothing was raised. Misuse: another page, a
 * folio that is not in the cache (swap_bad_folio; dup says -EINVAL); putting a
 * slot that has no owner (swap_bad_entry): it is left out.
 */
SW_MUST_CHECK int folio_dup_swap(struct folio *folio, int page);
void folio_put_swap(struct folio *folio, int page);

/* Takes the folio out of the cache when no slot of it has an owner; it is
 * dirty then. False: not cached, under writeback, or somebody owns a slot. */
bool folio_free_swap(struct folio *folio);

/*
 * The store cannot keep what belongs into the slot of this locked cached folio
 * of one page. Nobody is given the slot again: when it would fall free it is
 * bad instead, and the device smaller by one. Until then its owners notice
 * nothing: the folio is dirty, so it stays as long as there are any. Returns
 * how many slots of the device were condemned since it is on. Misuse
 * (swap_bad_folio), and 0: another folio.
 */
uint64_t folio_condemn_slot(struct folio *folio);

/*
 * ---- entries without a folio: the owner's lock is held ----
 * Misuse (swap_bad_entry): entries that are absent, bad or free. dup raises
 * all or, with -ENOMEM or (misuse) -EINVAL, none; put does the others of the range, or none of it if it begins or
 * ends outside the device. retry has nothing to do then and says 0.
 */
SW_MUST_CHECK int swap_dup_entries_direct(swp_entry_t entry, unsigned nr);
void swap_put_entries_direct(swp_entry_t entry, unsigned nr);
SW_MUST_CHECK int swap_retry_table_alloc(swp_entry_t entry);

SW_MUST_CHECK static inline int swap_dup_entry_direct(swp_entry_t entry)
{
	return swap_dup_entries_direct(entry, 1);
}

/* ---- the swap cache ---- */

/* +1 reference, unlocked; lock it, then check folio_matches_swap_entry(). */
struct folio *swap_cache_get_folio(swp_entry_t entry);
bool swap_cache_has_folio(swp_entry_t entry);
/* Shadow payload or 0. */
uint64_t swap_cache_get_shadow(swp_entry_t entry);
bool folio_matches_swap_entry(const struct folio *folio, swp_entry_t entry);

/*
 * A new locked folio, not uptodate, in the cache over `target`; `orders` is a
 * bit set of allowed orders. On failure NULL with *err: -EEXIST (look it up),
 * -ENOENT (the slot is free, bad or absent: the caller's word is stale),
 * -EBUSY, -ENOMEM, -EINVAL (no order, or one larger than a cluster:
 * swap_bad_order). `*shadow` gets the target slot's shadow payload, or 0; `*zero` is
 * true when the slot is marked zero.
 */
struct folio *swap_cache_alloc_folio(swp_entry_t target, uint32_t orders,
				     uint64_t *shadow, bool *zero, int *err);

/* Removes a locked folio that is clean or unowned, leaving `shadow` (payload,
 * 0: none) in the slots that have owners and freeing the others. Misuse
 * (swap_bad_folio): not in the cache, or under writeback. A payload that does
 * not fit a word aborts, in all builds. */
void swap_cache_del_folio(struct folio *folio, uint64_t shadow);

/*
 * Puts `parts`, locked folios that are not in the cache and together cover
 * the slots of `old` in order, in its place; counts and zero marks stay. `old`
 * is out of the cache then; flags and data are the caller's to move first.
 * Misuse (swap_bad_folio): `old` not in the cache or under writeback, parts
 * that are in it, unaligned, or do not cover it exactly.
 */
void swap_cache_split_folio(struct folio *old, struct folio *const *parts,
			    unsigned nr_parts);
void swap_cache_replace_folio(struct folio *old, struct folio *new_folio);

/* The zero mark of a locked cached folio's slots; another folio is misuse
 * (swap_bad_folio). */
void swap_zeromap_folio_set(struct folio *folio);
void swap_zeromap_folio_clear(struct folio *folio);
bool swap_zeromap_test(swp_entry_t entry);

/* While an image is being written no cached folio may lose its slot: it may
 * be in the image as clean already. Nests; to resume what is not suspended is
 * misuse (swap_bad_call). */
void swap_suspend_storage(void);
void swap_resume_storage(void);

/* Called without a cluster lock: any slot of a locked cached folio owned? Only
 * false positives are possible. Another folio is asserted against only. */
bool folio_maybe_swapped(struct folio *folio);

/* Exact count (extend table included); 0 for bad, free or gone. */
unsigned swp_swapcount(swp_entry_t entry);

/*
 * ---- slots for an image (of a region, of a frozen process) ----
 * One slot of device `type` with one owner, no folio and no group; 0: none, or
 * no such device (swap_bad_device). Freed one by one; a folio that readahead
 * put on it keeps it until it goes. To free what has not exactly one owner is
 * misuse (swap_bad_entry).
 */
swp_entry_t swap_alloc_hibernation_slot(unsigned type);
void swap_free_hibernation_slot(swp_entry_t entry);

/* While an image is on `type` swapoff says -EBUSY. 0; -EBUSY: there is one;
 * -EINVAL: no such device (swap_bad_device). To unpin what is not pinned is
 * misuse (swap_bad_call). */
SW_MUST_CHECK int swap_pin_hibernation(unsigned type);
void swap_unpin_hibernation(unsigned type);

/* The slots of one image. Set `type`, zero the rest. */
struct swsusp_extents {
	struct swsusp_extent {
		uint64_t start, end; /* inclusive */
	} * v;                       /* ascending */

	size_t nr, cap;
	unsigned type;
};

swp_entry_t alloc_swapdev_block(struct swsusp_extents *x); /* 0: none */
void free_all_swap_pages(struct swsusp_extents *x);
/* 0; -EINVAL: it is in there already; -ENOMEM. */
SW_MUST_CHECK int swsusp_extents_insert(struct swsusp_extents *x,
					uint64_t offset);

/* ---- budget groups: a number from 1 up, charged with the slots it owns ---- */
struct sw_swap_group_info {
	uint64_t usage;   /* slots */
	uint64_t max;     /* UINT64_MAX: no limit */
	uint64_t nr_max;  /* allocations refused by the limit */
	uint64_t nr_fail; /* allocations it did not get for any reason */
};

/* UINT64_MAX: no limit. Misuse (swap_bad_group): group 0, which is never
 * charged. */
void swap_group_set_max(uint16_t group, uint64_t max);
void swap_group_info(uint16_t group, struct sw_swap_group_info *info);
/* A question: whom the slot is charged to; 0 as well when it is not in use. */
uint16_t swap_entry_group(swp_entry_t entry);

/*
 * Called by the allocator, under no lock but the folio's, before it takes a
 * cached unowned folio away: the owner of the mapped page must not believe in
 * the slot afterwards. NULL: none. */
void swap_set_reclaim_hook(void (*hook)(struct folio *folio));

/* Walks every invariant at a quiescent moment; returns how many are broken
 * and prints each. `owners` (or NULL) tells how many owner cells name a slot. */
unsigned swap_check(unsigned (*owners)(void *arg, swp_entry_t entry),
		    void *arg);
/* The same without owners, and prints to `out`. */
unsigned swap_check_to(FILE *out);

/* What device `type` and its clusters are like, at any time: sums by list and
 * order, and a line for each of the first `max_clusters` in use; nothing when
 * there is none. */
void swap_dump(FILE *out, unsigned type, unsigned max_clusters);

#endif
