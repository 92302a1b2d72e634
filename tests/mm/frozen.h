/*
 * frozen.h - a session that is put aside in a test: its pages go to memory
 * first, and there is a disk for its image.
 */
#ifndef SW_MM_FROZEN_H
#define SW_MM_FROZEN_H

#include "base/log.h"
#include "fixture.h"

#define MEM_SLOTS 1024u

struct frozen {
	struct fx f; /* its device is the disk */
	struct fx_store mem;
	int mem_type;
};

static inline void open_frozen(struct frozen *z)
{
	fx_open(&z->f);
	z->mem = (struct fx_store){ .write_err = -ENOMEM };
	fx_device_flags |= SWP_SYNCHRONOUS_IO;
	z->mem_type = fx_store_on(&z->mem, MEM_SLOTS, 5);
	fx_device_flags &= ~SWP_SYNCHRONOUS_IO;
}

static inline void close_frozen(struct frozen *z)
{
	fx_end(z->f.sim);
	z->f.sim = NULL;
	sw_mm_stop(z->f.mm);
	assert_int_equal(swap_check(NULL, NULL), 0);
	assert_int_equal(swapoff(z->mem_type, NULL, NULL), 0);
	fx_close(&z->f);
	fx_store_release(&z->mem);
}

static inline unsigned nr_used(const struct fx_store *st)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < st->slots; i++)
		nr += st->used[i];
	return nr;
}

static inline int freeze(struct frozen *z, bool image, bool thaw_on_fault)
{
	const struct sw_freeze_spec spec = {
		.image_type = image ? z->f.type : -1,
		.thaw_on_fault = thaw_on_fault,
	};

	return sw_mm_freeze(z->f.mm, &spec);
}

static inline struct sw_freeze_info info_of(struct frozen *z)
{
	struct sw_freeze_info info;

	sw_mm_freeze_info(z->f.mm, &info);
	return info;
}

/* Nobody answers: the inline machine calls that a deadlock. */
static inline void expect_held(struct frozen *z, unsigned n)
{
	uint64_t value;

	assert_int_equal(sw_sim_read(z->f.sim, fx_at(n), &value), -EDEADLK);
	assert_false(sw_sim_is_present(z->f.sim, fx_at(n)));
}

static inline int loud(void **state)
{
	sw_log_set_level(SW_LOG_WARN);
	return 0;
}

#define freeze_test(name) cmocka_unit_test_teardown(name, loud)

#endif
