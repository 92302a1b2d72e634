/*
 * counters.h - what happened, counted under the kernel's names (vmstat) where
 * the kernel has one. Monotonic, relaxed atomics, never reset: readers take
 * differences. A new way to fail gets a counter here.
 */
#ifndef SW_COUNTERS_H
#define SW_COUNTERS_H

#include "base/base.h"

/* Under the names of the files in /sys/kernel/mm/transparent_hugepage/. Folios
 * of single pages are counted in no such way. */
#define SW_ORDER_COUNTERS(X, name) \
	X(name##_16kB)             \
	X(name##_32kB)             \
	X(name##_64kB)             \
	X(name##_128kB)            \
	X(name##_256kB) X(name##_512kB) X(name##_1024kB) X(name##_2048kB)

/* Under the names that they have in the kernel's zswap, where it has them. */
#define SW_ZSWAP_COUNTERS(X)                                                   \
	X(zswpin)                     /* pages read from the pool */           \
	X(zswpout)                    /* pages stored in it */                 \
	X(zswpwb)                     /* cold ones of these, gone to a disk */ \
	X(zswap_pool_limit_hit)       /* stores refused: the pool is full */   \
	X(zswap_reject_compress_poor) /* pages refused: they do not shrink */  \
	X(zswap_reject_alloc_fail)    /* stores refused: no memory */          \
	X(zswap_reject_reclaim_fail)  /* writes of cold pages that failed */   \
	X(zswap_decompress_fail)      /* pages that could not be given back */ \
	X(zswap_recompressed)         /* cold pages made smaller when idle */  \
	X(zswap_dropped_clean)        /* cold ones a program has as well */

#define SW_COUNTERS(X)                                                         \
	X(pgfault)        /* faults handed to us by any address space */       \
	X(pgmajfault)     /* of these: had to be read from a store */          \
	X(pgfault_staged) /* of these: found in the swap cache, no I/O */      \
	X(pgfault_zero)   /* of these: first touch, filled with zeros */       \
	X(pgfault_wp)     /* of these: first write to a protected page */      \
	X(pgfault_retry)  /* of these: met a busy window, faulted again */     \
	X(pgfault_held)   /* of these: waited until the session thawed */      \
	X(pswpin)         /* pages read from a store */                        \
	X(pswpout)        /* pages written to a store */                       \
	X(swpin_zero)     /* zero pages given back without I/O */              \
	X(swpin_clean)    /* pages that kept their slot as a clean copy */     \
	X(clean_lost)     /* of these: written to, or beside one that was */   \
	X(swpin_shared)   /* pages another space's fault had just read */      \
	X(swpout_zero)    /* zero pages dropped without I/O */                 \
	X(pgscan)         /* pages looked at by reclaim */                     \
	X(pgsteal)        /* pages taken out of programs */                    \
	X(pgsteal_clean)  /* of these: the slot still held a good copy */      \
	X(swap_ra)        /* pages swapped in beside the one that faulted */   \
	X(swap_ra_hit)    /* of these: their stream went on behind them */     \
	X(advice)         /* ranges a program gave advice for */               \
	X(advice_out)     /* pages taken out for it, cold ones among them */   \
	X(advice_in)      /* pages brought in for it */                        \
	X(workingset_refault_anon)                                             \
	X(workingset_activate_anon)                                            \
	X(swpin_fallback)  /* large swap-in fell back to a smaller order */    \
	X(swpout_fallback) /* large folio split before swap-out */             \
	SW_ORDER_COUNTERS(X, swpout)          /* folios, by size: written */   \
	SW_ORDER_COUNTERS(X, swpout_fallback) /* no slots or buffers for it */ \
	SW_ORDER_COUNTERS(X, swpin)           /* read */                       \
	SW_ORDER_COUNTERS(X, swpin_fallback)  /* read as smaller ones */       \
	X(thp_swpout)          /* huge pages written as one folio */           \
	X(thp_swpout_fallback) /* that went out as smaller ones */             \
	X(thp_restored)        /* that came back as huge pages */              \
	X(swap_full)           /* allocations that found no slot */            \
	X(swap_group_max)      /* allocations refused by a group's limit */    \
	X(swap_group_fail)     /* allocations a group did not get */           \
	X(swap_bad_entry)  /* entries refused: no such slot or not in use */   \
	X(swap_bad_folio)  /* folios refused: not in the cache, or in it */    \
	X(swap_bad_device) /* devices refused: none such, or a spec of lies */ \
	X(swap_bad_order)  /* orders refused: none, or larger than any */      \
	X(swap_bad_group)  /* limits refused: nobody's group has none */       \
	X(swap_bad_call)   /* calls refused: the end of what never began */    \
	X(swap_read_error) /* slots that could not be read back */             \
	X(swap_write_error)   /* writes that a store refused */                \
	X(swap_condemned)     /* slots that turn bad by that */                \
	X(swap_device_failed) /* devices that take no more pages by that */    \
	X(swap_read_late) /* faults left waiting: no answer from a device */   \
	SW_ZSWAP_COUNTERS(X)                                                   \
	X(fork_spaces)    /* address spaces born by fork */                    \
	X(fork_announced) /* a program said it would fork */                   \
	X(unshared)       /* fork-shared pages copied to be evicted */         \
	X(poisoned)       /* pages lost; their reader gets SIGBUS */           \
	X(move_busy)      /* pages the kernel would not move (pinned) */       \
	X(move_refused)   /* windows the kernel would not move */              \
	X(pswpout_direct) /* pages that faults wrote, for want of room */      \
	X(allocstall)     /* faults that found no room */                      \
	X(oom_unmanaged)  /* faults served above the budget */

enum sw_counter {
#define X(name) SW_CTR_##name,
	SW_COUNTERS(X)
#undef X
	SW_NR_COUNTERS,
};

extern uint64_t sw_counters[SW_NR_COUNTERS]; /* [atomic] */
extern const char *const sw_counter_names[SW_NR_COUNTERS];

#define sw_count(name, n)                                                     \
	((void)__atomic_fetch_add(&sw_counters[SW_CTR_##name], (uint64_t)(n), \
				  __ATOMIC_RELAXED))

/* One folio of 2^order pages, from 2 up to 9. */
#define sw_count_order(name, order)                                   \
	((void)__atomic_fetch_add(                                    \
		&sw_counters[SW_CTR_##name##_16kB + (order)-2], 1ull, \
		__ATOMIC_RELAXED))

/* Pages that the calling thread has read from disks, ever: so it can tell whether
 * one had to be waited for. */
extern __thread uint64_t sw_disk_reads;

static inline uint64_t sw_counter_read(enum sw_counter c)
{
	return __atomic_load_n(&sw_counters[c], __ATOMIC_RELAXED);
}

#endif
