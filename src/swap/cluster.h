/*
 * cluster.h - [private to src/swap/] devices, clusters and their lists.
 *
 * A cluster is SWAPFILE_CLUSTER consecutive slots with one lock, one count of
 * slots in use and, while that count is above 0, one swap table. It sits on
 * one of its device's lists, and `flags` says on which; taken off for
 * exclusive work it has CLUSTER_FLAG_NONE (a cluster being discarded keeps
 * CLUSTER_FLAG_DISCARD, so that whoever still remembers it leaves it alone).
 *
 * Lock order: ci->lock > si->lock > swap_avail_lock. Two cluster locks are
 * never held at once. Isolation goes the other way, from a list to a cluster,
 * and therefore only try-locks.
 */
#ifndef SW_CLUSTER_H
#define SW_CLUSTER_H

#include <sys/rseq.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/spin.h"
#include "swap/swap.h"
#include "swap/swap_rcu.h"
#include "swap/swap_refuse.h"
#include "swap/swap_table.h"
#include "swap/swap_work.h"

#define SWAP_MAX_ORDER                \
	(SWAPFILE_CLUSTER >= 512 ? 9u \
				 : (unsigned)__builtin_ctz(SWAPFILE_CLUSTER))
#define SWAP_NR_ORDERS 10u /* 0..9, whatever the cluster size */
#define SWAP_NO_SLOT   0ULL

_Static_assert((SWAPFILE_CLUSTER & (SWAPFILE_CLUSTER - 1)) == 0 &&
		       SWAPFILE_CLUSTER >= 8 && SWAPFILE_CLUSTER <= 512,
	       "clusters hold a power of two of slots");

enum swap_cluster_flags {
	CLUSTER_FLAG_NONE = 0, /* on no list */
	CLUSTER_FLAG_FREE,
	CLUSTER_FLAG_NONFULL,
	CLUSTER_FLAG_FRAG,
	CLUSTER_FLAG_USABLE = CLUSTER_FLAG_FRAG, /* up to here */
	CLUSTER_FLAG_FULL,
	CLUSTER_FLAG_DISCARD,
};

/*
 * One word and one group id a slot. The id is read and written under the
 * cluster lock; the words are read without it, also for a while after the
 * table was given up, and then read NULL or the words of its next user.
 */
struct swap_table {
	uint64_t words[SWAPFILE_CLUSTER]; /* [atomic] swap_table.h */

	union {
		uint16_t ids[SWAPFILE_CLUSTER];
		struct rcu_head rcu;     /* while waiting to be freed */
		struct swap_table *next; /* while in the pool */
	};
#ifdef SW_SWAP_WORD_NARROW
	uint64_t zero_bitmap[(SWAPFILE_CLUSTER + 63) / 64]; /* [atomic] */
#endif
};

struct swap_cluster_info {
	struct sw_spinlock lock;  /* SW_RANK_CLUSTER */
	uint8_t flags;            /* list membership SW_GUARDED_BY(&lock) */
	uint8_t order;            /* what it serves SW_GUARDED_BY(&lock) */
	uint16_t count;           /* non-NULL slots SW_GUARDED_BY(&lock) */
	struct swap_table *table; /* [atomic] NULL while all slots are free */
	uint32_t *extend_table;   /* counts >= MAX SW_GUARDED_BY(&lock) */
	struct sw_list list;      /* SW_GUARDED_BY(&si->lock) */
};

_Static_assert(sizeof(struct swap_cluster_info) <= 48, "idle cost");

/*
 * A CPU's share of a device's counts; only sums over all CPUs mean anything.
 * Every allocation and every free changes them, so they must not share a
 * cache line with what another CPU changes.
 */
struct swap_shard {
	_Alignas(64) int64_t users; /* [atomic] who uses it without a slot */
	uint64_t usage; /* [atomic] slots in use + SWAP_USAGE_CACHED a cached */
};

struct swap_info_struct {
	_Alignas(64) uint32_t flags; /* [atomic] enum swap_device_flags */
	int prio;                    /* [const] while USED, as all to `name` */
	unsigned type;
	uint64_t max;   /* slots, header included */
	uint64_t pages; /* [atomic] usable slots; with swap_avail_lock, but
			 * before the device is live and after */
	struct swap_cluster_info *cluster_info;
	uint64_t nr_clusters;
	const struct swap_ops *ops;
	void *store;
	char *name;
	struct swap_shard *shards; /* one a CPU */
	uint32_t users_live;       /* [atomic] new users are let in */
	uint64_t condemned;        /* [atomic] slots, since it is on */

	_Alignas(64) struct sw_spinlock lock; /* SW_RANK_DEVICE */
	struct sw_list free_clusters;         /* SW_GUARDED_BY(&lock), all */
	struct sw_list full_clusters;
	struct sw_list discard_clusters;
	struct sw_list nonfull_clusters[SWAP_NR_ORDERS];
	struct sw_list frag_clusters[SWAP_NR_ORDERS];

	/* Rotating media only: one cursor for all CPUs keeps writes in order. */
	struct sw_mutex global_cluster_lock;  /* SW_RANK_GLOBAL_CLUSTER */
	uint64_t global_next[SWAP_NR_ORDERS]; /* SW_GUARDED_BY(above) */

	struct swap_work discard_work;
	struct swap_work reclaim_work;

	struct sw_list avail_list;  /* SW_GUARDED_BY(&swap_avail_lock) */
	struct sw_list active_list; /* SW_GUARDED_BY(&swap_lock) */
};

#define SWP_OFFLIST (1u << 30) /* in si->flags: not on the avail list */

/*
 * Two counts in a usage word, both signed in the sum, since adding up while
 * they change may meet the end of a slot before its beginning. Cached slots
 * have the rest, up to 2^29: as many pages are in memory at once, 2 TiB. A
 * device with more would show a wrong number and not be searched for cached
 * slots as a last resort; the slots in use are still counted right.
 */
#define SWAP_USAGE_SHIFT  34
#define SWAP_USAGE_CACHED (1ULL << SWAP_USAGE_SHIFT)

_Static_assert(SWAP_MAX_SLOTS < 1ULL << (SWAP_USAGE_SHIFT - 1),
	       "every slot of a device can be counted");

/*
 * Where a CPU goes on allocating: an entry a order, or 0. Only a hint: it is
 * followed inside an RCU section, which keeps the device until its end, and
 * stored under the lock of the cluster it points into while the device says
 * SWP_WRITEOK; so swapoff, having passed through every cluster lock, can
 * forget those that are left.
 */
struct percpu_swap_cluster {
	_Alignas(64) uint64_t hint[SWAP_NR_ORDERS]; /* [atomic] */
};

extern struct swap_info_struct swap_info[MAX_SWAPFILES];
extern struct sw_mutex swap_lock; /* SW_RANK_SWAP: devices coming and going */
extern unsigned nr_swapfiles;     /* [atomic] types ever used */
extern uint64_t total_swap_pages; /* [atomic] */
extern struct sw_spinlock swap_avail_lock;
extern struct sw_list swap_avail_head; /* highest priority first */
extern struct percpu_swap_cluster *percpu_swap_cluster;
extern unsigned swap_nr_cpus;

/* The CPU whose shard to use; only a hint, the thread may move on. */
unsigned swap_this_cpu_slow(void);
#ifdef SW_CHECKS
#define swap_this_cpu swap_this_cpu_slow
#else
static inline unsigned swap_this_cpu(void)
{
	/* What sched_getcpu() reads, without its call. */
	const struct rseq *rs =
		(const struct rseq *)((char *)__builtin_thread_pointer() +
				      __rseq_offset);
	unsigned cpu = *(const volatile uint32_t *)&rs->cpu_id;

	return sw_likely(cpu < swap_nr_cpus) ? cpu : swap_this_cpu_slow();
}
#endif
/* Tests play several CPUs in one thread; -1: the real one again. */
void swap_pretend_cpu(int cpu);

static inline unsigned swap_cluster_offset(uint64_t offset)
{
	return offset % SWAPFILE_CLUSTER;
}

static inline struct swap_cluster_info *__swap_offset_to_cluster(
	const struct swap_info_struct *si, uint64_t offset)
{
	SW_ASSERT(offset / SWAPFILE_CLUSTER < si->nr_clusters);
	return &si->cluster_info[offset / SWAPFILE_CLUSTER];
}

static inline uint64_t cluster_index(const struct swap_info_struct *si,
				     const struct swap_cluster_info *ci)
{
	return ci - si->cluster_info;
}

static inline uint64_t cluster_offset(const struct swap_info_struct *si,
				      const struct swap_cluster_info *ci)
{
	return cluster_index(si, ci) * SWAPFILE_CLUSTER;
}

static inline void swap_cluster_lock(struct swap_cluster_info *ci)
	SW_ACQUIRES(&ci->lock)
{
	sw_spin_lock(&ci->lock, "cluster", SW_RANK_CLUSTER);
}

static inline void swap_cluster_unlock(struct swap_cluster_info *ci)
	SW_RELEASES(&ci->lock)
{
	sw_spin_unlock(&ci->lock);
}

static inline void swap_device_lock(struct swap_info_struct *si)
	SW_ACQUIRES(&si->lock)
{
	sw_spin_lock(&si->lock, "swap device", SW_RANK_DEVICE);
}

static inline void swap_device_unlock(struct swap_info_struct *si)
	SW_RELEASES(&si->lock)
{
	sw_spin_unlock(&si->lock);
}

/* ---- the words of a cluster ---- */

/* Cluster locked, table present. */
static inline uint64_t __swap_table_get(const struct swap_cluster_info *ci,
					unsigned off)
{
	SW_ASSERT(off < SWAPFILE_CLUSTER);
	return __atomic_load_n(&ci->table->words[off], __ATOMIC_RELAXED);
}

/* For loops over many slots, a word or two of work each. */
#if defined(__clang__)
#define SW_UNROLL _Pragma("unroll 8")
#else
#define SW_UNROLL _Pragma("GCC unroll 8")
#endif

static inline uint64_t *__swap_table_words(struct swap_cluster_info *ci,
					   unsigned off, unsigned nr)
{
	sw_assert_spin_held(&ci->lock);
	SW_ASSERT(off + nr <= SWAPFILE_CLUSTER);
	return &ci->table->words[off];
}

static inline uint64_t word_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void word_set(uint64_t *word, uint64_t swp_tb)
{
	sw_sched_point("word");
	__atomic_store_n(word, swp_tb, __ATOMIC_RELEASE);
}

/* Cluster locked. Release: a reader that finds a folio here finds it whole. */
static inline void __swap_table_set(struct swap_cluster_info *ci, unsigned off,
				    uint64_t swp_tb)
{
	sw_assert_spin_held(&ci->lock);
	SW_ASSERT(off < SWAPFILE_CLUSTER);
	word_set(&ci->table->words[off], swp_tb);
}

/* Any word, without a lock: NULL when there is no table. */
static inline uint64_t swap_table_get(const struct swap_cluster_info *ci,
				      unsigned off)
{
	const struct swap_table *table;
	uint64_t swp_tb = null_to_swp_tb();

	swap_rcu_read_lock();
	sw_sched_point("table");
	/* Pairs with the release in cluster_set_table(). */
	table = __atomic_load_n(&ci->table, __ATOMIC_ACQUIRE);
	if (table) {
		sw_sched_point("word");
		swp_tb = __atomic_load_n(&table->words[off], __ATOMIC_ACQUIRE);
	}
	swap_rcu_read_unlock();
	return swp_tb;
}

static inline void cluster_set_table(struct swap_cluster_info *ci,
				     struct swap_table *table)
{
	sw_sched_point("table");
	__atomic_store_n(&ci->table, table, __ATOMIC_RELEASE);
}

/* ---- cluster.c: lists and usage ---- */

bool cluster_is_usable(const struct swap_cluster_info *ci, unsigned order);
void move_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci,
		  struct sw_list *list, enum swap_cluster_flags flags);
/* Puts a cluster where its count says it belongs, after an allocation. `keep`
 * leaves a cluster with free slots on the list it is on. */
void relocate_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci,
		      bool keep);
/* The same after slots fell free. */
void free_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci);
void partial_free_cluster(struct swap_info_struct *si,
			  struct swap_cluster_info *ci);
/* First cluster of `list` whose lock was free, off the list and locked; with
 * `skip_order` >= 0 none that a CPU works in for that order. */
struct swap_cluster_info *isolate_lock_cluster(struct swap_info_struct *si,
					       struct sw_list *list,
					       int skip_order, bool *was_free);
/* The empty cluster itself, past any discard. */
void __free_cluster(struct swap_info_struct *si, struct swap_cluster_info *ci);
void swap_cluster_assert_empty(const struct swap_cluster_info *ci);

/* Exact when nothing is under way, else as of some moment during the call. */
uint64_t swap_usage_in_pages(const struct swap_info_struct *si);
uint64_t swap_usage_cached(const struct swap_info_struct *si);
void add_to_avail_list(struct swap_info_struct *si, bool swapon);
/* True when the device left the list: it is full, or on its way out. */
bool del_from_avail_list(struct swap_info_struct *si, bool swapoff);
void avail_requeue(struct swap_info_struct *si);
/* A slot of it has turned bad. */
void swap_device_shrink(struct swap_info_struct *si);

/* ---- swap_device.c, swapfile.c: devices ---- */

static inline uint32_t swap_flags(const struct swap_info_struct *si)
{
	sw_sched_point("device flags");
	return __atomic_load_n(&si->flags, __ATOMIC_RELAXED);
}

static inline void swap_flags_set(struct swap_info_struct *si, uint32_t flags)
{
	sw_sched_point("device flags");
	__atomic_fetch_or(&si->flags, flags, __ATOMIC_SEQ_CST);
}

static inline void swap_flags_clear(struct swap_info_struct *si, uint32_t flags)
{
	sw_sched_point("device flags");
	__atomic_fetch_and(&si->flags, ~flags, __ATOMIC_SEQ_CST);
}

/* `used` more slots, `cached` of them cached. */
static inline void swap_usage_add(struct swap_info_struct *si, unsigned used,
				  unsigned cached)
{
	sw_sched_point("usage");
	__atomic_fetch_add(&si->shards[swap_this_cpu()].usage,
			   used + cached * SWAP_USAGE_CACHED, __ATOMIC_SEQ_CST);
}

/*
 * Against del_from_avail_list():
 *      usage -= n                              OFFLIST on
 *      OFFLIST?                                sum of usage == pages?
 * in one total order, so a device with room does not stay off the list. Also
 * a release: what freed the slots is over before swapoff sees the sum drop.
 */
static inline void swap_usage_sub(struct swap_info_struct *si, unsigned used,
				  unsigned cached)
{
	sw_sched_point("usage");
	__atomic_fetch_sub(&si->shards[swap_this_cpu()].usage,
			   used + cached * SWAP_USAGE_CACHED, __ATOMIC_SEQ_CST);
	sw_sched_point("device flags");
	if (sw_unlikely(used && (__atomic_load_n(&si->flags, __ATOMIC_SEQ_CST) &
				 SWP_OFFLIST)))
		add_to_avail_list(si, false);
}

/* The device of an entry whose device the caller keeps alive, or NULL when
 * the entry names no device or a slot beyond its end. */
static inline struct swap_info_struct *__swap_entry_to_info(swp_entry_t entry)
{
	struct swap_info_struct *si;

	if (sw_unlikely(!entry.val || swp_type(entry) >= MAX_SWAPFILES))
		return NULL;
	si = &swap_info[swp_type(entry)];
	sw_sched_point("device max");
	/* Pairs with the release in swapon(). */
	if (sw_unlikely(swp_offset(entry) >=
			__atomic_load_n(&si->max, __ATOMIC_ACQUIRE)))
		return NULL;
	return si;
}

bool get_swap_device_info(struct swap_info_struct *si);
int64_t swap_device_users(const struct swap_info_struct *si);
uint64_t swap_nr_free_pages(void); /* nr_swap_pages */

/* ---- swap_slots.c: counts ---- */

int __swap_cluster_dup_entry(struct swap_cluster_info *ci, unsigned off);
void __swap_cluster_put_entry(struct swap_cluster_info *ci, unsigned off);
unsigned __swap_cluster_get_count(const struct swap_cluster_info *ci,
				  unsigned off);
/* `nr` Shadow slots with count <= 1 become free. */
void __swap_cluster_free_entries(struct swap_info_struct *si,
				 struct swap_cluster_info *ci, unsigned off,
				 unsigned nr);
/* The same for slots the caller looked at; `cached` of them leave the cache's
 * statistics in the same step. */
void __swap_cluster_free_range(struct swap_info_struct *si,
			       struct swap_cluster_info *ci, unsigned off,
			       unsigned nr, unsigned cached);
bool swap_entry_swapped(struct swap_info_struct *si, swp_entry_t entry);

/* ---- swap_bad.c ---- */

/* The slot of a condemned folio, which leaves the cache, turns bad. */
void __swap_cluster_retire_slot(struct swap_info_struct *si,
				struct swap_cluster_info *ci,
				struct folio *folio, unsigned off);

/* ---- swap_cache.c ---- */

/* Over slots that are free (`fresh`) or in use without a folio. */
void __swap_cache_add_folio(struct swap_cluster_info *ci, struct folio *folio,
			    swp_entry_t entry, bool fresh);
/* Takes the cache's references along; the caller has one of its own. */
void __swap_cache_del_folio(struct swap_info_struct *si,
			    struct swap_cluster_info *ci, struct folio *folio,
			    uint64_t shadow);
void __swap_cluster_zero_set(struct swap_cluster_info *ci, unsigned off,
			     bool zero);
bool __swap_cluster_zero_test(const struct swap_cluster_info *ci, unsigned off);

/*
 * Entering and leaving the cache changes a flag and the references, which lie
 * side by side: one atomic operation for both. The folio is locked, so its
 * flags other than the lock's own are known and an addition carries nowhere.
 */
typedef uint64_t __attribute__((may_alias)) folio_head_t;

_Static_assert(offsetof(struct folio, flags) % 8 == 0 &&
		       offsetof(struct folio, refcount) ==
			       offsetof(struct folio, flags) + 4,
	       "flags and refcount make one aligned word");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FOLIO_HEAD_FLAGS(f) ((uint64_t)(f))
#define FOLIO_HEAD_REFS(n)  ((uint64_t)(n) << 32)
#else
#define FOLIO_HEAD_FLAGS(f) ((uint64_t)(f) << 32)
#define FOLIO_HEAD_REFS(n)  ((uint64_t)(n))
#endif

static inline void folio_enter_cache(struct folio *folio, unsigned nr)
{
	sw_sched_point("folio flags");
	__atomic_fetch_add((folio_head_t *)&folio->flags,
			   FOLIO_HEAD_FLAGS(SW_FOLIO_SWAPCACHE) +
				   FOLIO_HEAD_REFS(nr),
			   __ATOMIC_RELEASE);
}

/* The caller keeps a reference of its own. */
static inline void folio_leave_cache(struct folio *folio, unsigned nr,
				     bool dirty)
{
	uint64_t add = 0;

	sw_sched_point("folio flags");
	SW_ASSERT(__atomic_load_n(&folio->refcount, __ATOMIC_RELAXED) > nr);
	if (dirty && !folio_test(folio, SW_FOLIO_DIRTY))
		add = FOLIO_HEAD_FLAGS(SW_FOLIO_DIRTY);
	__atomic_fetch_add((folio_head_t *)&folio->flags,
			   add - FOLIO_HEAD_FLAGS(SW_FOLIO_SWAPCACHE) -
				   FOLIO_HEAD_REFS(nr),
			   __ATOMIC_RELEASE);
}

/* ---- swap_reclaim.c ---- */

enum {
	TTRS_ANYWAY = 1, /* also when a program has the page: calls the hook */
	TTRS_UNMAPPED = 2, /* only when no program has it */
	TTRS_WAIT = 4,     /* sleep on the folio lock */
};

int __try_to_reclaim_swap(struct swap_info_struct *si, uint64_t offset,
			  unsigned flags);
uint64_t swap_reclaim_full_clusters(struct swap_info_struct *si,
				    uint64_t budget);
bool folio_swapcache_freeable(const struct folio *folio);

void swap_reclaim_work(struct swap_work *work);

/* ---- swap_discard.c ---- */

bool swap_do_scheduled_discard(struct swap_info_struct *si);
void swap_discard_work(struct swap_work *work);
void discard_swap(struct swap_info_struct *si);

/* ---- swap_group.c ---- */

int swap_group_charge(uint16_t group, unsigned nr); /* not group 0 */
void swap_group_uncharge(uint16_t group, unsigned nr);
void swap_group_fail(uint16_t group);

#endif
