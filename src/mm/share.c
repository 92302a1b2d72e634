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

static uint32_t id_of(uint64_t word)
{
	return word >> SW_WORD_SHARE_SHIFT;
}

/* A counter that says 1; 0: there is none left. */
static uint32_t counter_new(struct sw_shares *sh)
{
	uint32_t id = sh->free;

	sw_assert_held(&sh->lock);
	if (id)
		sh->free = sh->count[id];
	else if (sh->touched + 1 < MAX_SHARED)
		id = ++sh->touched;
	if (id)
		__atomic_store_n(&sh->count[id], 1, __ATOMIC_RELAXED);
	return id;
}

static bool wants_counter(uint64_t word)
{
	return sw_word_kind(word) == SW_WORD_PRESENT &&
	       !(word & SW_WORD_SHARED);
}

/* Words that get none stay as they are: the next measurement will tell. */
static void give_counters(struct sw_shares *sh, uint64_t *word, unsigned nr)
{
	unsigned i = 0;

	while (i < nr && !wants_counter(word[i]))
		i++;
	if (i == nr)
		return;
	sw_mutex_lock(&sh->lock);
	for (; i < nr; i++) {
		uint64_t id = wants_counter(word[i]) ? counter_new(sh) : 0;

		SW_ASSERT(!id || !(word[i] & SW_WORD_CLEAN));
		if (id)
			word[i] |= SW_WORD_SHARED | id << SW_WORD_SHARE_SHIFT;
	}
	sw_mutex_unlock(&sh->lock);
}

void sw_share(struct sw_mm *mm, uint64_t *word, unsigned nr)
{
	uint32_t *count = mm->shares.count;
	int64_t more = 0;

	give_counters(&mm->shares, word, nr);
	for (unsigned i = 0; i < nr; i++) {
		if (!(word[i] & SW_WORD_SHARED))
			continue;
		__atomic_fetch_add(&count[id_of(word[i])], 1, __ATOMIC_RELAXED);
		more++;
	}
	if (more)
		sw_budget_add(&mm->budget.shared, more);
}

void sw_unshare(struct sw_mm *mm, const uint64_t *word, unsigned nr)
{
	struct sw_shares *sh = &mm->shares;
	uint32_t first = 0, last = 0;
	int64_t less = 0;

	for (unsigned i = 0; i < nr; i++) {
		uint32_t id = id_of(word[i]), left;

		if (!(word[i] & SW_WORD_SHARED))
			continue;
		left = __atomic_sub_fetch(&sh->count[id], 1, __ATOMIC_ACQ_REL);
		SW_ASSERT(left + 1);
		if (left) {
			less++;
			continue;
		}
		/* Ours alone from here on. */
		sh->count[id] = first;
		first = id;
		last = last ? last : id;
	}
	if (less)
		sw_budget_add(&mm->budget.shared, -less);
	if (!first)
		return;
	sw_mutex_lock(&sh->lock);
	sh->count[last] = sh->free;
	sh->free = first;
	sw_mutex_unlock(&sh->lock);
}

bool sw_is_shared(struct sw_mm *mm, uint64_t word)
{
	return word & SW_WORD_SHARED &&
	       __atomic_load_n(&mm->shares.count[id_of(word)],
			       __ATOMIC_RELAXED) > 1;
}
