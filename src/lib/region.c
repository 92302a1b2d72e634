/*
 * region.c - regions of an instance: places in its arena. They begin on a leaf
 * of the page table (2 MiB), so that no two share one, and between two there is
 * always a page of nothing. Places are given in ascending order until the arena
 * has no more, so that a stale pointer stays one for as long as may be.
 *
 * The list of regions is the mapper's: who looks for one, also to serve a fault,
 * is it at that moment.
 *
 * Above: the program. Below: mmu/local.h for the memory, mm/ for its words.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/mem.h"
#include "lib/image.h"
#include "lib/lib_internal.h"

#define MIN_ALIGN (2ull << 20)
#define MAX_ALIGN (1ull << 30)

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* ---- the list ---- */

int sw_lib_grow(void **list, unsigned nr, unsigned *max, size_t size)
{
	unsigned more = *max ? *max * 2 : 16;
	void *p;

	if (nr < *max)
		return 0;
	p = sw_mem_zalloc(more * size);
	if (!p)
		return -ENOMEM;
	if (nr)
		memcpy(p, *list, nr * size);
	sw_mem_free(*list);
	*list = p;
	*max = more;
	return 0;
}

/* The first region that ends after `addr`. */
static unsigned index_after(const struct sw_lib *lib, uint64_t addr)
{
	unsigned lo = 0, hi = lib->nr_regions;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct sw_lib_region *r = &lib->region[mid];

		if (r->start + r->bytes > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct sw_lib_region *sw_lib_region_at(struct sw_lib *lib, uint64_t addr)
{
	unsigned i = index_after(lib, addr);

	if (i == lib->nr_regions || lib->region[i].start > addr)
		return NULL;
	return &lib->region[i];
}

/* Asked once a fault. */
bool sw_lib_covers(void *arg, uint64_t addr)
{
	struct sw_lib *lib = arg;

	__atomic_fetch_add(&lib->faults, 1, __ATOMIC_RELAXED);
	return sw_lib_region_at(lib, addr);
}

enum sw_mm_pattern sw_lib_pattern(void *arg, uint64_t addr)
{
	struct sw_lib_region *r = sw_lib_region_at(arg, addr);

	return r ? r->pattern : SW_MM_UNKNOWN;
}

struct sw_lib_region *sw_lib_range(struct sw_lib *lib, const void *addr,
				   size_t bytes, uint64_t *start, uint64_t *end)
{
	struct sw_lib_region *r = sw_lib_region_at(lib, (uint64_t)addr);

	if (!r || bytes > r->bytes - ((uint64_t)addr - r->start))
		return NULL;
	*start = (uint64_t)addr & SW_PAGE_MASK;
	*end = ((uint64_t)addr + bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;
	return r;
}

static int region_insert(struct sw_lib *lib, const struct sw_lib_region *r)
{
	unsigned i = index_after(lib, r->start);
	int err = sw_lib_grow((void **)&lib->region, lib->nr_regions,
			      &lib->max_regions, sizeof(*r));

	if (err)
		return err;
	memmove(&lib->region[i + 1], &lib->region[i],
		(lib->nr_regions - i) * sizeof(*r));
	lib->region[i] = *r;
	lib->nr_regions++;
	return 0;
}

static void region_remove(struct sw_lib *lib, struct sw_lib_region *r)
{
	unsigned i = r - lib->region;

	lib->nr_regions--;
	memmove(r, r + 1, (lib->nr_regions - i) * sizeof(*r));
}

/* The region that begins at an address, as programs name it. */
static struct sw_lib_region *region_of(struct sw_lib *lib, const void *addr)
{
	struct sw_lib_region *r = sw_lib_region_at(lib, (uint64_t)addr);

	return r && r->start == (uint64_t)addr ? r : NULL;
}

/* ---- places ---- */

/* The first place at or after `from`, or 0. */
static uint64_t place_from(const struct sw_lib *lib, uint64_t from,
			   uint64_t bytes, uint64_t align)
{
	uint64_t base = sw_local_base(lib->local);
	uint64_t end = base + sw_local_bytes(lib->local);
	uint64_t at = (from + align - 1) & ~(align - 1);

	for (unsigned i = index_after(lib, at); i < lib->nr_regions; i++) {
		const struct sw_lib_region *r = &lib->region[i];

		if (at + bytes + SW_PAGE_SIZE <= r->start)
			break;
		at = (r->start + r->bytes + SW_PAGE_SIZE + align - 1) &
		     ~(align - 1);
	}
	return at + bytes <= end ? at : 0;
}

static uint64_t find_place(struct sw_lib *lib, uint64_t bytes, uint64_t align)
{
	uint64_t at;

	if (bytes > sw_local_bytes(lib->local))
		return 0;
	at = place_from(lib, lib->next, bytes, align);
	if (!at)
		at = place_from(lib, sw_local_base(lib->local), bytes, align);
	if (at)
		lib->next = at + bytes + SW_PAGE_SIZE;
	return at;
}

/* How far a region can grow where it is. */
static uint64_t room_for(const struct sw_lib *lib,
			 const struct sw_lib_region *r)
{
	unsigned i = r - lib->region;

	if (i + 1 < lib->nr_regions)
		return r[1].start - SW_PAGE_SIZE - r->start;
	return sw_local_base(lib->local) + sw_local_bytes(lib->local) -
	       r->start;
}

/* ---- making and unmaking ---- */

/* What is part of a region becomes memory of it. By the mapper. */
static int map_part(struct sw_lib *lib, const struct sw_lib_region *r,
		    uint64_t start, uint64_t bytes)
{
	int err = sw_local_map(lib->local, start, bytes);

	if (err)
		return err;
	err = sw_space_add_region(lib->space, sw_space_epoch(lib->space), start,
				  start + bytes);
	if (err)
		sw_local_unmap(lib->local, start, bytes);
	else if (r->name[0]) /* since Linux 5.17, with CONFIG_ANON_VMA_NAME */
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, bytes, r->name);
	return err;
}

/* What is no longer part of a region. Words first: as soon as they say nothing,
 * nobody moves a page. */
static void unmap_part(struct sw_lib *lib, uint64_t start, uint64_t bytes)
{
	sw_mm_client.lock(lib->space);
	sw_mm_client.unmap(lib->space, start, start + bytes);
	sw_mm_client.unlock(lib->space);
	sw_local_unmap(lib->local, start, bytes);
}

static int check_options(const struct sw_lib *lib,
			 const struct spillway_region_options *o)
{
	if (o->size != sizeof(*o) || o->flags & ~SPILLWAY_FORK_COPY ||
	    o->alignment & (o->alignment - 1) || o->alignment > MAX_ALIGN)
		return -EINVAL;
	if (o->flags & SPILLWAY_FORK_COPY && !sw_lib_can_fork(lib))
		return -EOPNOTSUPP;
	return 0;
}

int sw_lib_alloc(struct sw_lib *lib, size_t bytes,
		 const struct spillway_region_options *options, uint64_t *start)
{
	struct spillway_region_options o = { .size = sizeof(o) };
	struct sw_lib_region r = { 0 };
	int err;

	if (options)
		o = *options;
	err = check_options(lib, &o);
	if (err)
		return err;
	if (!bytes)
		return -EINVAL;
	if (bytes > sw_local_bytes(lib->local))
		return -ENOMEM;
	r.bytes = (bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK;
	r.flags = o.flags;
	if (o.name)
		snprintf(r.name, sizeof(r.name), "%s", o.name);
	sw_local_enter(lib->local);
	r.start = find_place(lib, r.bytes, sw_max(o.alignment, MIN_ALIGN));
	err = r.start ? region_insert(lib, &r) : -ENOMEM;
	if (!err) {
		err = map_part(lib, &r, r.start, r.bytes);
		if (err)
			region_remove(lib, sw_lib_region_at(lib, r.start));
	}
	sw_local_leave(lib->local);
	*start = r.start;
	return err;
}

int sw_lib_free(struct sw_lib *lib, const void *addr)
{
	struct sw_lib_region *r, copy;

	sw_local_enter(lib->local);
	r = region_of(lib, addr);
	if (!r || r->pinned) {
		sw_local_leave(lib->local);
		return r ? -EBUSY : -EINVAL;
	}
	copy = *r;
	region_remove(lib, r);
	unmap_part(lib, copy.start, copy.bytes);
	sw_local_leave(lib->local);
	if (copy.image)
		sw_lib_image_close(copy.image);
	return 0;
}

void sw_lib_free_regions(struct sw_lib *lib)
{
	while (lib->nr_regions) {
		lib->region[0].pinned = 0;
		(void)sw_lib_free(lib, (void *)lib->region[0].start);
	}
	sw_mem_free(lib->region);
	sw_mem_free(lib->pin);
}

/* ---- another size ---- */

static int grow_here(struct sw_lib *lib, struct sw_lib_region *r,
		     uint64_t bytes)
{
	int err = map_part(lib, r, r->start + r->bytes, bytes - r->bytes);

	if (err)
		return err;
	lib->next = sw_max(lib->next, r->start + bytes + SW_PAGE_SIZE);
	r->bytes = bytes;
	return 0;
}

/* To a new place, where the rest is mapped first: moving is what cannot be taken
 * back. */
static int move_away(struct sw_lib *lib, struct sw_lib_region *r,
		     uint64_t bytes)
{
	struct sw_lib_region moved = *r;
	int err;

	moved.start = find_place(lib, bytes, MIN_ALIGN);
	moved.bytes = bytes;
	if (!moved.start)
		return -ENOMEM;
	err = map_part(lib, r, moved.start + r->bytes, bytes - r->bytes);
	if (err)
		return err;
	sw_mm_client.lock(lib->space);
	err = sw_local_move(lib->local, r->start, moved.start, r->bytes);
	sw_mm_client.unlock(lib->space);
	if (err) {
		unmap_part(lib, moved.start + r->bytes, bytes - r->bytes);
		return err;
	}
	region_remove(lib, r);
	err = region_insert(lib, &moved);
	SW_BUG_ON(err); /* there was room for it a moment ago */
	return 0;
}

static int shrink(struct sw_lib *lib, struct sw_lib_region *r, uint64_t bytes)
{
	uint64_t end = r->start + r->bytes;

	if (sw_lib_is_pinned(lib, r->start + bytes, end))
		return -EBUSY;
	unmap_part(lib, r->start + bytes, r->bytes - bytes);
	r->bytes = bytes;
	return 0;
}

/* By the mapper; `*addr` is the old address, and then the new one. */
static int resize(struct sw_lib *lib, uint64_t *addr, uint64_t bytes,
		  unsigned flags)
{
	struct sw_lib_region *r = region_of(lib, (void *)*addr);
	int err;

	if (!r)
		return -EINVAL;
	if (bytes == r->bytes)
		return 0;
	if (bytes < r->bytes)
		return shrink(lib, r, bytes);
	if (bytes <= room_for(lib, r))
		return grow_here(lib, r, bytes);
	if (!(flags & SPILLWAY_MAY_MOVE))
		return -ENOMEM;
	if (r->pinned)
		return -EBUSY;
	err = move_away(lib, r, bytes);
	if (!err)
		*addr = lib->next - SW_PAGE_SIZE - bytes;
	return err;
}

/* ---- calls ---- */

int spillway_alloc(spillway_t *spillway, size_t bytes,
		   const struct spillway_region_options *options, void **addr)
{
	struct sw_call call;
	uint64_t start;
	int err = addr ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	err = sw_lib_alloc(call.lib, bytes, options, &start);
	if (!err)
		*addr = (void *)start;
	sw_lib_leave(spillway, &call);
	return err;
}

int spillway_free(spillway_t *spillway, void *addr)
{
	struct sw_call call;
	int err = sw_lib_enter(spillway, &call);

	if (err)
		return err;
	sw_lib_life_lock(); /* for what it was restored from */
	err = sw_lib_free(call.lib, addr);
	sw_lib_life_unlock();
	sw_lib_leave(spillway, &call);
	return err;
}

int spillway_resize(spillway_t *spillway, void *addr, size_t bytes,
		    unsigned flags, void **new_addr)
{
	uint64_t at = (uint64_t)addr;
	struct sw_call call;
	int err;

	if (!bytes || flags & ~SPILLWAY_MAY_MOVE ||
	    (flags & SPILLWAY_MAY_MOVE && !new_addr))
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	if (bytes > sw_local_bytes(call.lib->local)) {
		err = -ENOMEM;
	} else {
		sw_local_enter(call.lib->local);
		err = resize(call.lib, &at,
			     (bytes + SW_PAGE_SIZE - 1) & SW_PAGE_MASK, flags);
		sw_local_leave(call.lib->local);
	}
	if (!err && new_addr)
		*new_addr = (void *)at;
	sw_lib_leave(spillway, &call);
	return err;
}

int spillway_region_info(spillway_t *spillway, const void *addr,
			 struct spillway_region_info *info)
{
	struct sw_lib_region *r;
	struct sw_call call;
	int err;

	if (!info || info->size != sizeof(*info))
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	sw_local_enter(call.lib->local);
	r = sw_lib_region_at(call.lib, (uint64_t)addr);
	if (r) {
		info->addr = (void *)r->start;
		info->bytes = r->bytes;
		info->pinned_bytes = r->pinned;
		info->flags = r->flags;
		memcpy(info->name, r->name, sizeof(info->name));
	}
	sw_local_leave(call.lib->local);
	sw_lib_leave(spillway, &call);
	return r ? 0 : -EFAULT;
}
