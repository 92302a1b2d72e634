/*
 * swap_refuse.h - [private to src/swap/] what a public call does with input
 * that cannot be right: changes nothing, raises a counter, and says once a
 * place what it was given and by whom.
 *
 * swap_refuse() is for what people may get wrong, and may try again: devices,
 * orders. swap_misuse() is for what only a defect of the program brings about:
 * an entry nobody can own, a folio that is not in the cache; checked builds
 * abort there. Both are used in the public function itself, or in what is
 * always inlined into it, since the caller they name is its return address;
 * they cost nothing where nothing is wrong.
 *
 * Questions (swp_swapcount(), swap_cache_get_folio() ...) do not refuse: a
 * stale entry is how races end, and the answer to it is "no".
 */
#ifndef SW_SWAP_REFUSE_H
#define SW_SWAP_REFUSE_H

#include "base/base.h"
#include "base/counters.h"
#include "swap/swap.h"

/* Tests set it to false and see that a misuse changes nothing. */
extern bool swap_bad_entry_aborts;

/* A place that refuses. */
struct swap_refusal {
	const char *call; /* the public function */
	enum sw_counter counter;
	bool misuse; /* abort in checked builds */
	bool said;   /* [atomic] it was heard already */
};

void swap_refused(struct swap_refusal *at, const void *caller, const char *fmt,
		  ...) SW_PRINTF(3, 4) __attribute__((cold));

void swap_entry_refused(struct swap_refusal *at, const void *caller,
			swp_entry_t entry) __attribute__((cold));

#define __swap_refuse(counter, misuse, call, ...)                            \
	do {                                                                 \
		static struct swap_refusal at = { call, SW_CTR_##counter,    \
						  misuse, false };           \
                                                                             \
		swap_refused(&at, __builtin_return_address(0), __VA_ARGS__); \
	} while (0)

#define swap_refuse(counter, ...) \
	__swap_refuse(counter, false, __func__, __VA_ARGS__)
#define swap_misuse(counter, ...) \
	__swap_refuse(counter, true, __func__, __VA_ARGS__)

/* An entry no owner can have: its word was corrupted, or it was put twice. */
#define swap_misuse_entry(call, entry)                                         \
	do {                                                                   \
		static struct swap_refusal at = { call, SW_CTR_swap_bad_entry, \
						  true, false };               \
                                                                               \
		swap_entry_refused(&at, __builtin_return_address(0), entry);   \
	} while (0)

/* True, and said, for a folio that has no slots to do anything with. */
#define swap_misuse_uncached(folio)                                 \
	(sw_unlikely(!folio_test(folio, SW_FOLIO_SWAPCACHE)) && ({  \
		 swap_misuse(swap_bad_folio,                        \
			     "the folio is not in the swap cache"); \
		 true;                                              \
	 }))

#endif
