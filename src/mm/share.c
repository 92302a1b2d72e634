/*
 * share.c - frames that fork left shared: for each one, how many words name
 * it. A shared word holds the number of its counter; the frame is one page of
 * memory however many words there are, and whoever leaves it (by a write, an
 * unmap, an exit) leaves the others with the frame they have. So the sum of
 * counts beyond the first is exactly what `resident` says too much.
 *
 * Above: fork.c shares, space.c lets go. Counters are reserved once, handed
 * out from the bottom, and linked through themselves when free.
 */
#include <errno.h>
#include <sys/mman.h>

#include "mm/mm_internal.h"

#define MAX_SHARED (1u << 28)

int sw_shares_init(struct sw_mm *mm)
{
	struct sw_shares *sh = &mm->shares;

	sw_mutex_init(&sh->lock, "shares", SW_RANK_POOL);
	sh->count = mmap(NULL, MAX_SHARED * sizeof(*sh->count),
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return sh->count == MAP_FAILED ? -errno : 0;
}

void sw_shares_release(struct sw_mm *mm)
{
	munmap(mm->shares.count, MAX_SHARED * sizeof(*mm->shares.count));
	sw_mutex_destroy(&mm->shares.lock);
}

/* A counter that says 1; 0: there is none left. */
static uint32_t counter_new(struct sw_shares *sh)
{
	uint32_t id;

	sw_mutex_lock(&sh->lock);
	id = sh->free;
	if (id)
		sh->free = sh->count[id];
	else if (sh->touched + 1 < MAX_SHARED)
		id = ++sh->touched;
	sw_mutex_unlock(&sh->lock);
	if (id)
		__atomic_store_n(&sh->count[id], 1, __ATOMIC_RELAXED);
	return id;
}

static uint32_t id_of(uint64_t word)
{
	return word >> SW_WORD_SHARE_SHIFT;
}

uint64_t sw_share(struct sw_mm *mm, uint64_t word)
{
	SW_ASSERT(sw_word_kind(word) == SW_WORD_PRESENT);
	SW_ASSERT(!(word & SW_WORD_CLEAN));
	if (!(word & SW_WORD_SHARED)) {
		uint64_t id = counter_new(&mm->shares);

		if (!id)
			return word; /* the next measurement will tell */
		word |= SW_WORD_SHARED | id << SW_WORD_SHARE_SHIFT;
	}
	__atomic_fetch_add(&mm->shares.count[id_of(word)], 1, __ATOMIC_RELAXED);
	sw_budget_add(&mm->budget.shared, 1);
	return word;
}

void sw_unshare(struct sw_mm *mm, uint64_t word)
{
	struct sw_shares *sh = &mm->shares;
	uint32_t id = id_of(word);
	uint32_t left = __atomic_sub_fetch(&sh->count[id], 1, __ATOMIC_ACQ_REL);

	SW_ASSERT(left + 1);
	if (left) {
		sw_budget_add(&mm->budget.shared, -1);
		return;
	}
	sw_mutex_lock(&sh->lock);
	sh->count[id] = sh->free;
	sh->free = id;
	sw_mutex_unlock(&sh->lock);
}

bool sw_is_shared(struct sw_mm *mm, uint64_t word)
{
	return word & SW_WORD_SHARED &&
	       __atomic_load_n(&mm->shares.count[id_of(word)],
			       __ATOMIC_RELAXED) > 1;
}
