/* test_folio.c - descriptors: pool, references, the sleeping lock. */
#include <pthread.h>
#include <unistd.h>

#include "fixture.h"

static void pool_gives_every_descriptor_and_no_more(void **state)
{
	static struct folio *all[1 << 16];

	for (unsigned i = 0; i < 1 << 16; i++) {
		swap_pretend_cpu(i / 1000 % swap_nr_cpus);
		all[i] = folio_alloc(0);
		assert_non_null(all[i]);
	}
	assert_null(folio_alloc(0));
	assert_int_equal(folio_pool_in_use(), 1 << 16);
	folio_put(all[7]);
	swap_pretend_cpu(1 % swap_nr_cpus); /* the other CPU's is found too */
	all[7] = folio_alloc(0);
	assert_non_null(all[7]);
	for (unsigned i = 0; i < 1 << 16; i++)
		folio_put(all[i]);
	assert_int_equal(folio_pool_in_use(), 0);
}

static void free_or_frozen_folio_is_not_got(void **state)
{
	struct folio *folio = folio_alloc(3);

	assert_int_equal(folio_nr(folio), 8);
	assert_true(folio_try_get(folio));
	assert_false(folio_ref_freeze(folio, 1));
	assert_true(folio_ref_freeze(folio, 2));
	assert_false(folio_try_get(folio));
	folio_ref_unfreeze(folio, 2);
	folio_put_refs(folio, 2);
	assert_false(folio_try_get(folio));
}

static void numbers_and_folios_name_each_other(void **state)
{
	struct folio *a = folio_alloc(0), *b = folio_alloc(0);

	assert_ptr_equal(pfn_to_folio(folio_to_pfn(a)), a);
	assert_ptr_equal(pfn_to_folio(folio_to_pfn(b)), b);
	assert_int_not_equal(folio_to_pfn(a), folio_to_pfn(b));
	folio_put(a);
	folio_put(b);
}

static unsigned counter; /* guarded by the folio lock */

static void *add_many(void *arg)
{
	for (unsigned i = 0; i < 20000; i++) {
		folio_lock(arg);
		counter++;
		folio_set(arg, SW_FOLIO_DIRTY);
		folio_clear(arg, SW_FOLIO_DIRTY);
		folio_unlock(arg);
	}
	return NULL;
}

static void lock_excludes_and_wakes(void **state)
{
	struct folio *folio = folio_alloc(0);
	pthread_t th[4];

	counter = 0;
	folio_lock(folio);
	assert_false(folio_trylock(folio));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&th[i], NULL, add_many, folio),
				 0);
	usleep(20000);
	assert_int_equal(counter, 0);
	folio_unlock(folio);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(counter, 80000);
	assert_false(folio_is_locked(folio));
	folio_put(folio);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FX_TEST(pool_gives_every_descriptor_and_no_more),
		FX_TEST(free_or_frozen_folio_is_not_got),
		FX_TEST(numbers_and_folios_name_each_other),
		FX_TEST(lock_excludes_and_wakes),
	};

	return FX_RUN(tests);
}
