/*
 * advise.c - what is needed and what is not: advice, prefetch, pins. Whoever
 * brings pages in is the mapper, as the thread that serves faults is, and gives
 * that up after every few, so that faults have their turn.
 *
 * Above: the program, worker.c, io.c. Below: mm/advise.c, mm/inside.c.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "lib/lib_internal.h"

#define BUSY_NS 20000 /* a window is worked on about that long */
#define SOON    8     /* faults that a page may take */

/* ---- advice ---- */

static void advise(struct sw_lib *lib, uint64_t start, uint64_t end,
		   enum sw_advice advice)
{
	uint64_t again_ns;

	sw_local_enter(lib->local);
	sw_mm_client.advise(lib->space, start, end, advice);
	sw_local_leave(lib->local);
	do {
		sw_local_enter(lib->local);
		again_ns = sw_mm_client.settle(lib->space);
		sw_local_leave(lib->local);
		/* Later is what waits for a device, and not for us. */
	} while (again_ns && again_ns <= SW_SETTLE_SOON_NS);
}

void sw_lib_bring(struct sw_lib *lib, uint64_t start, uint64_t end)
{
	advise(lib, start, end, SW_ADVICE_WILLNEED);
}

/* The whole pages of a range. By the mapper. */
static int forget(struct sw_lib *lib, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	if (sw_lib_is_pinned(lib, start, end))
		return -EBUSY;
	sw_mm_client.lock(lib->space);
	sw_mm_client.remove(lib->space, start, end);
	sw_mm_client.unlock(lib->space);
	sw_local_zap(lib->local, start, end - start);
	return 0;
}

/* What is done at once, by the mapper. True: there is more to do without. */
static bool advise_now(struct sw_lib *lib, const void *addr, size_t bytes,
		       enum spillway_advice advice, uint64_t *start,
		       uint64_t *end, int *err)
{
	struct sw_lib_region *r = sw_lib_range(lib, addr, bytes, start, end);

	*err = r ? 0 : -EFAULT;
	if (!r)
		return false;
	switch (advice) {
	case SPILLWAY_NORMAL:
		r->pattern = SW_MM_UNKNOWN;
		return false;
	case SPILLWAY_SEQUENTIAL:
		r->pattern = SW_MM_SEQUENTIAL;
		return false;
	case SPILLWAY_RANDOM:
		r->pattern = SW_MM_RANDOM;
		return false;
	case SPILLWAY_DONTNEED:
		*start = ((uint64_t)addr + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;
		*end = ((uint64_t)addr + bytes) & SW_PAGE_MASK;
		*err = forget(lib, *start, *end);
		return false;
	default:
		return true;
	}
}

int spillway_advise(spillway_t *spillway, void *addr, size_t bytes,
		    enum spillway_advice advice)
{
	struct sw_call call;
	uint64_t start, end;
	bool more;
	int err;

	if (!bytes || (unsigned)advice > SPILLWAY_DONTNEED)
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	sw_local_enter(call.lib->local);
	more = advise_now(call.lib, addr, bytes, advice, &start, &end, &err);
	sw_local_leave(call.lib->local);
	if (more && advice == SPILLWAY_WILLNEED)
		err = sw_lib_queue(call.lib, start, end, NULL, NULL);
	else if (more)
		advise(call.lib, start, end,
		       advice == SPILLWAY_COLD ? SW_ADVICE_COLD
					       : SW_ADVICE_PAGEOUT);
	sw_lib_leave(spillway, &call);
	return err;
}

int spillway_prefetch(spillway_t *spillway, void *addr, size_t bytes,
		      spillway_done_fn done, void *arg)
{
	struct sw_call call;
	uint64_t start, end;
	int err = bytes ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	sw_local_enter(call.lib->local);
	if (!sw_lib_range(call.lib, addr, bytes, &start, &end))
		err = -EFAULT;
	sw_local_leave(call.lib->local);
	if (!err && done)
		err = sw_lib_queue(call.lib, start, end, done, arg);
	else if (!err)
		sw_lib_bring(call.lib, start, end);
	sw_lib_leave(spillway, &call);
	return err;
}

/* ---- pins ---- */

bool sw_lib_is_pinned(struct sw_lib *lib, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < lib->nr_pins; i++)
		if (lib->pin[i].start < end && lib->pin[i].end > start)
			return true;
	return false;
}

/* Lets go of what no other pin covers. By the mapper. */
static void unpin_uncovered(struct sw_lib *lib, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < lib->nr_pins; i++) {
		struct sw_lib_pin p = lib->pin[i];

		if (p.start >= end || p.end <= start)
			continue;
		if (start < p.start)
			unpin_uncovered(lib, start, p.start);
		if (p.end < end)
			unpin_uncovered(lib, p.end, end);
		return;
	}
	sw_space_unpin(lib->space, start, end);
}

/* The pin is noted first: from then on the range stays a part of its region. */
static int note_pin(struct sw_lib *lib, const void *addr, size_t bytes,
		    struct sw_lib_pin *pin)
{
	struct sw_lib_region *r =
		sw_lib_range(lib, addr, bytes, &pin->start, &pin->end);
	struct sw_mm_usage u;
	uint64_t pages;
	int err;

	if (!r)
		return -EFAULT;
	pages = (pin->end - pin->start) / SW_PAGE_SIZE;
	sw_mm_usage(lib->mm, &u);
	if (lib->pinned_pages + pages > u.budget_pages / 8 * 7)
		return -ENOMEM;
	err = sw_lib_grow((void **)&lib->pin, lib->nr_pins, &lib->max_pins,
			  sizeof(*pin));
	if (err)
		return err;
	lib->pin[lib->nr_pins++] = *pin;
	lib->pinned_pages += pages;
	r->pinned += pages * SW_PAGE_SIZE;
	return 0;
}

static int forget_pin(struct sw_lib *lib, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < lib->nr_pins; i++) {
		struct sw_lib_pin *p = &lib->pin[i];

		if (p->start != start || p->end != end)
			continue;
		*p = lib->pin[--lib->nr_pins];
		lib->pinned_pages -= (end - start) / SW_PAGE_SIZE;
		sw_lib_region_at(lib, start)->pinned -= end - start;
		unpin_uncovered(lib, start, end);
		return 0;
	}
	return -EINVAL;
}

static int pin_page(struct sw_lib *lib, uint64_t addr, bool write)
{
	const struct timespec nap = { .tv_nsec = BUSY_NS };
	unsigned tries = 0;
	enum sw_pin pin;

	for (;;) {
		sw_local_enter(lib->local);
		pin = sw_space_pin(lib->space, addr, write);
		if (pin == SW_PIN_MISSING)
			sw_local_fault(lib->local, addr,
				       write ? SW_FAULT_WRITE : 0);
		else if (pin == SW_PIN_PROTECTED)
			sw_local_fault(lib->local, addr,
				       SW_FAULT_WRITE | SW_FAULT_WP);
		sw_local_leave(lib->local);
		if (pin == SW_PIN_DONE)
			return 0;
		if (pin == SW_PIN_LOST)
			return -EIO;
		/* Busy, or its device does not answer. */
		if (pin == SW_PIN_BUSY || ++tries > SOON)
			nanosleep(&nap, NULL);
	}
}

int sw_lib_pin(struct sw_lib *lib, const void *addr, size_t bytes, bool write)
{
	struct sw_lib_pin pin;
	int err;

	sw_local_enter(lib->local);
	err = note_pin(lib, addr, bytes, &pin);
	sw_local_leave(lib->local);
	if (err)
		return err;
	for (uint64_t a = pin.start; a < pin.end && !err; a += SW_PAGE_SIZE)
		err = pin_page(lib, a, write);
	if (err) {
		sw_local_enter(lib->local);
		(void)forget_pin(lib, pin.start, pin.end);
		sw_local_leave(lib->local);
	}
	return err;
}

int sw_lib_unpin(struct sw_lib *lib, const void *addr, size_t bytes)
{
	uint64_t start, end;
	int err = -EFAULT;

	sw_local_enter(lib->local);
	if (sw_lib_range(lib, addr, bytes, &start, &end))
		err = forget_pin(lib, start, end);
	sw_local_leave(lib->local);
	return err;
}

int spillway_pin(spillway_t *spillway, void *addr, size_t bytes)
{
	struct sw_call call;
	int err = bytes ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	err = sw_lib_pin(call.lib, addr, bytes, true);
	sw_lib_leave(spillway, &call);
	return err;
}

int spillway_unpin(spillway_t *spillway, void *addr, size_t bytes)
{
	struct sw_call call;
	int err = bytes ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	err = sw_lib_unpin(call.lib, addr, bytes);
	sw_lib_leave(spillway, &call);
	return err;
}
