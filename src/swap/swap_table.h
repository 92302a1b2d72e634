/*
 * swap_table.h - the word that says everything about one slot, and the three
 * families of accessors over it: make (x_to_swp_tb), is (swp_tb_is_x) and to
 * (swp_tb_to_x); then reading and writing words of a cluster's table.
 *
 *   NULL    0000...0000                                   free
 *   Shadow  [count:4][Z:1][shadow payload ........][1]    in use, not cached
 *   PFN     [count:4][Z:1][0..][pfn ..............][10]   a folio caches it
 *   Pointer [..................................][100]     reserved, unused
 *   Bad     1111...1000                                   never usable
 *
 * count: owners of the slot outside the cache, saturating at
 * SWP_TB_COUNT_MAX: from there on the true count is in the extend table.
 * Z: the slot's data is all zero. The narrow layout has two count bits and no
 * Z (a bitmap beside the table has it): what a machine word of 32 bits leaves
 * room for, and the way to reach overflow with three owners.
 *
 * Going between PFN and Shadow keeps the flag field (count and Z); only
 * freeing, back to NULL, clears it. Words change under the cluster lock only;
 * readers without it look inside an RCU section.
 */
#ifndef SW_SWAP_TABLE_H
#define SW_SWAP_TABLE_H

#include <errno.h>

#include "base/base.h"
#include "swap/folio.h"

#define SWP_TB_WORD_BITS 64
#ifdef SW_SWAP_WORD_NARROW
#define SWP_TB_FLAGS_BITS 2
#define SWP_TB_COUNT_BITS 2
#define SWP_TB_ZERO       0ULL
#else
#define SWP_TB_FLAGS_BITS 5
#define SWP_TB_COUNT_BITS 4
#define SWP_TB_ZERO       (1ULL << 59)
#endif

#define SWP_TB_COUNT_SHIFT (SWP_TB_WORD_BITS - SWP_TB_COUNT_BITS)
#define SWP_TB_COUNT_MAX   ((1u << SWP_TB_COUNT_BITS) - 1)
#define SWP_TB_COUNT_MASK  (~0ULL << SWP_TB_COUNT_SHIFT)
#define SWP_TB_FLAGS_SHIFT (SWP_TB_WORD_BITS - SWP_TB_FLAGS_BITS)
#define SWP_TB_FLAGS_MASK  (~0ULL << SWP_TB_FLAGS_SHIFT)

#define SWP_TB_SHADOW_MARK 1ULL
#define SWP_TB_PFN_MARK    2ULL
#define SWP_TB_PFN_SHIFT   2
#define SWP_TB_BAD         (~0ULL << 3)

/* Free, used and overflown must be told apart. */
_Static_assert(SWP_TB_COUNT_BITS >= 2, "two count bits are the least");
/* A folio is named by 32 bits at most. */
_Static_assert(SWP_TB_FLAGS_SHIFT - SWP_TB_PFN_SHIFT >= 32, "pfn fits");

/* The array behind folio_to_pfn(), for loops that cannot afford the call. */
extern struct folio *folio_pool_base; /* [const] while there are folios */

/* ---- is ---- */

static inline bool swp_tb_is_null(uint64_t swp_tb)
{
	return swp_tb == 0;
}

static inline bool swp_tb_is_shadow(uint64_t swp_tb)
{
	return swp_tb & SWP_TB_SHADOW_MARK;
}

static inline bool swp_tb_is_folio(uint64_t swp_tb)
{
	return (swp_tb & 3) == SWP_TB_PFN_MARK;
}

static inline bool swp_tb_is_bad(uint64_t swp_tb)
{
	return swp_tb == SWP_TB_BAD;
}

static inline bool swp_tb_is_countable(uint64_t swp_tb)
{
	return swp_tb_is_null(swp_tb) || swp_tb_is_shadow(swp_tb) ||
	       swp_tb_is_folio(swp_tb);
}

/* ---- make ---- */

static inline uint64_t null_to_swp_tb(void)
{
	return 0;
}

static inline uint64_t bad_to_swp_tb(void)
{
	return SWP_TB_BAD;
}

/* `flags` is what swp_tb_get_flags() gave: count and Z in their places. */
static inline uint64_t folio_to_swp_tb(const struct folio *folio,
				       uint64_t flags)
{
	SW_ASSERT(!(flags & ~SWP_TB_FLAGS_MASK));
	return flags | (uint64_t)(folio - folio_pool_base) << SWP_TB_PFN_SHIFT |
	       SWP_TB_PFN_MARK;
}

/* Payload 0 still makes a word that differs from NULL: in use, no news. */
static inline uint64_t shadow_to_swp_tb(uint64_t payload, uint64_t flags)
{
	SW_ASSERT(!(flags & ~SWP_TB_FLAGS_MASK));
	SW_BUG_ON(payload >> (SWP_TB_FLAGS_SHIFT - 1));
	return flags | payload << 1 | SWP_TB_SHADOW_MARK;
}

static inline uint64_t __count_to_flags(unsigned count)
{
	SW_ASSERT(count <= SWP_TB_COUNT_MAX);
	return (uint64_t)count << SWP_TB_COUNT_SHIFT;
}

/* ---- to ---- */

static inline struct folio *swp_tb_to_folio(uint64_t swp_tb)
{
	SW_ASSERT(swp_tb_is_folio(swp_tb));
	return folio_pool_base +
	       ((swp_tb & ~SWP_TB_FLAGS_MASK) >> SWP_TB_PFN_SHIFT);
}

static inline uint64_t swp_tb_to_shadow(uint64_t swp_tb)
{
	SW_ASSERT(swp_tb_is_shadow(swp_tb));
	return (swp_tb & ~SWP_TB_FLAGS_MASK) >> 1;
}

static inline uint64_t swp_tb_get_flags(uint64_t swp_tb)
{
	SW_ASSERT(swp_tb_is_countable(swp_tb));
	return swp_tb & SWP_TB_FLAGS_MASK;
}

/* Of a countable word. */
static inline unsigned __swp_tb_get_count(uint64_t swp_tb)
{
	SW_ASSERT(swp_tb_is_countable(swp_tb));
	return swp_tb >> SWP_TB_COUNT_SHIFT;
}

/* The in-word count, saturated; -EINVAL for a bad slot, which no reader of
 * counts may take for one with MAX owners. */
static inline int swp_tb_get_count(uint64_t swp_tb)
{
	if (!swp_tb_is_countable(swp_tb))
		return -EINVAL;
	return swp_tb >> SWP_TB_COUNT_SHIFT;
}

static inline uint64_t __swp_tb_mk_count(uint64_t swp_tb, unsigned count)
{
	return (swp_tb & ~SWP_TB_COUNT_MASK) | __count_to_flags(count);
}

#endif
