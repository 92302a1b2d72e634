/*
 * disk.c - a file or a block device as a swap store. Above it: whoever writes
 * and reads folios. Beside it: disk_batch.c, which does many at once. Below it:
 * disk_area.c, which finds or makes the area, and disk_ring.c.
 *
 * Slot n is page n of the area. A slot has a sum of 32 bits in memory, over its
 * bytes; 0 says that nothing was written. So whatever the disk gives back in
 * place of a page (what was there before, the page of another slot, zeros of a
 * file that was cut off and grew again) is found out. In an encrypted area the
 * tags of disk_crypt.c do this, and there are no sums.
 *
 * There is no lock here. Two calls on one slot are not concurrent, by the
 * contract of store.h, and slots have nothing in common.
 */
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/counters.h"
#include "base/log.h"
#include "store/disk_crypt.h"
#include "store/disk_ring.h"
#include "store/disk_threads.h"
#include "store/sysmem.h"
#include "store/work.h"

#define MAX_TRANSFER (1UL << 30) /* a request's length has 32 bits */

int (*sw_disk_fault)(bool write, size_t *len);

/* Wraps around: -1 takes one away. */
static void add_relaxed(uint64_t *counter, uint64_t n)
{
	if (n)
		(void)__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static uint64_t read_relaxed(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static uint32_t page_sum(const void *page)
{
	uint64_t x = XXH3_64bits(page, SW_PAGE_SIZE);
	uint32_t sum = x ^ x >> 32;

	return sum ? sum : 1;
}

bool sw_disk_is_written(const struct sw_disk *d, uint64_t slot)
{
	return d->crypt ? sw_crypt_is_written(d->crypt, slot) : d->sums[slot];
}

bool sw_disk_in_range(const struct sw_disk *d, uint64_t offset, uint64_t nr)
{
	const uint64_t max = d->header.max;

	return offset && offset < max && nr <= max - offset;
}

static bool in_range(const struct sw_disk *d, uint64_t offset, uint64_t nr)
{
	if (sw_likely(sw_disk_in_range(d, offset, nr)))
		return true;
	sw_error("%s: slots %lu..+%lu are outside the device of %lu", d->name,
		 offset, nr, d->header.max);
	return false;
}

/* ---- what is remembered of slots ---- */

static bool was_said(const struct sw_disk *d, uint64_t slot)
{
	return read_relaxed(&d->said[slot / 64]) >> slot % 64 & 1;
}

/* A new page in the slot may be lost anew. */
static void forget_said(struct sw_disk *d, uint64_t slot)
{
	if (sw_unlikely(was_said(d, slot)))
		(void)__atomic_fetch_and(&d->said[slot / 64],
					 ~(1ull << slot % 64),
					 __ATOMIC_RELAXED);
}

static uint64_t forget_sums(uint32_t *sums, uint64_t offset, uint64_t nr)
{
	uint64_t gone = 0;

	for (uint64_t slot = offset; slot < offset + nr; slot++) {
		/* What was never written has no memory, and gets none here. */
		if (!sums[slot])
			continue;
		sums[slot] = 0;
		gone++;
	}
	return gone;
}

void sw_disk_forget(struct sw_disk *d, uint64_t offset, uint64_t nr)
{
	for (uint64_t slot = offset; slot < offset + nr; slot++)
		forget_said(d, slot);
	add_relaxed(&d->pages,
		    -(d->crypt ? sw_crypt_forget(d->crypt, offset, nr)
			       : forget_sums(d->sums, offset, nr)));
}

void sw_disk_note(struct sw_disk *d, uint64_t offset, unsigned nr,
		  const void *pages)
{
	const unsigned char *page = pages;

	for (unsigned i = 0; i < nr; i++)
		d->sums[offset + i] = page_sum(page + i * SW_PAGE_SIZE);
	add_relaxed(&d->pages, nr);
}

unsigned sw_disk_count_good(const struct sw_disk *d, uint64_t offset,
			    unsigned nr, void *pages)
{
	const unsigned char *page = pages;
	unsigned i = 0;

	if (d->crypt)
		return sw_crypt_unseal(d->crypt, offset, nr, pages);
	while (i < nr &&
	       page_sum(page + i * SW_PAGE_SIZE) == d->sums[offset + i])
		i++;
	return i;
}

/* ---- bytes ---- */

/* As much as goes at once: what pread() gives, or -errno. */
static ssize_t transfer_some(struct sw_disk *d, bool write, void *buf,
			     size_t len, uint64_t pos)
{
	int err = 0;
	ssize_t n;

	len = sw_min(len, MAX_TRANSFER);
	if (sw_unlikely(sw_disk_fault))
		err = sw_disk_fault(write, &len);
	if (err)
		return err;
	if (d->rings && sw_rings_move(d->rings, write, buf, len, pos, &n))
		return n;
	n = write ? pwrite(d->fd, buf, len, pos) : pread(d->fd, buf, len, pos);
	return n < 0 ? -errno : n;
}

/* Nothing more comes or goes: for a read, the file ends there. */
static int cut_short(bool write)
{
	return write ? -EIO : -ENODATA;
}

static int transfer(struct sw_disk *d, bool write, uint64_t slot, unsigned nr,
		    void *pages)
{
	uint64_t pos = slot * SW_PAGE_SIZE;
	size_t len = nr * SW_PAGE_SIZE;
	unsigned char *at = pages;

	while (len) {
		ssize_t n = transfer_some(d, write, at, len, pos);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		/* A file cut off within a page: what is left of it cannot be
		 * asked for past the page cache. */
		if (!n || (d->direct && n % 512))
			return cut_short(write);
		at += n;
		pos += n;
		len -= n;
	}
	return 0;
}

/* Past the page cache goes only what lies on a page's border; mm's buffers
 * do, and others take the way through scratch memory. */
static int transfer_aligned(struct sw_disk *d, bool write, uint64_t slot,
			    unsigned nr, unsigned char *pages)
{
	const unsigned room = SW_WORK_SCRATCH_BYTES / SW_PAGE_SIZE;
	void *scratch;
	int err = 0;

	if (!d->direct || (uintptr_t)pages % SW_PAGE_SIZE == 0)
		return transfer(d, write, slot, nr, pages);
	scratch = sw_work_scratch();
	if (!scratch)
		return -ENOMEM;
	while (nr && !err) {
		unsigned n = sw_min(nr, room);

		if (write)
			memcpy(scratch, pages, n * SW_PAGE_SIZE);
		err = transfer(d, write, slot, n, scratch);
		if (!write && !err)
			memcpy(pages, scratch, n * SW_PAGE_SIZE);
		pages += n * SW_PAGE_SIZE;
		slot += n;
		nr -= n;
	}
	return err;
}

/* ---- the operations ---- */

static int write_plain(struct sw_disk *d, uint64_t offset, unsigned nr,
		       const unsigned char *page)
{
	int err = transfer_aligned(d, true, offset, nr, (unsigned char *)page);

	if (err)
		return err;
	sw_disk_note(d, offset, nr, page);
	return 0;
}

/* By way of memory of our own: the page may be read where it is meanwhile. */
static int write_sealed(struct sw_disk *d, uint64_t offset, unsigned nr,
			const unsigned char *page)
{
	const unsigned room = SW_WORK_SEALED_BYTES / SW_PAGE_SIZE;
	void *sealed = sw_work_sealed();
	int err = sealed ? 0 : -ENOMEM;

	while (nr && !err) {
		unsigned n = sw_min(nr, room);

		sw_crypt_seal(d->crypt, offset, n, page, sealed);
		add_relaxed(&d->pages, n);
		err = transfer(d, true, offset, n, sealed);
		page += n * SW_PAGE_SIZE;
		offset += n;
		nr -= n;
	}
	return err;
}

static int disk_write(void *store, uint64_t offset, unsigned nr,
		      const void *pages)
{
	struct sw_disk *d = store;
	int err;

	if (!in_range(d, offset, nr))
		return -EINVAL;
	sw_disk_forget(d, offset, nr);
	err = d->crypt ? write_sealed(d, offset, nr, pages)
		       : write_plain(d, offset, nr, pages);
	if (err) {
		/* Nobody knows what the slots have. */
		sw_disk_forget(d, offset, nr);
		add_relaxed(&d->write_errors, 1);
		sw_warn_once("%s: slot %lu cannot be written: %s", d->name,
			     offset, strerror(-err));
	}
	return err;
}

/* Counted and said once, however often the slot is tried: ahead of its fault,
 * with its neighbours and alone. */
static int damaged(struct sw_disk *d, uint64_t slot, const char *what)
{
	if (was_said(d, slot))
		return -EIO;
	(void)__atomic_fetch_or(&d->said[slot / 64], 1ull << slot % 64,
				__ATOMIC_RELAXED);
	add_relaxed(&d->read_errors, 1);
	sw_error("%s: slot %lu cannot be read: %s", d->name, slot, what);
	return -EIO;
}

static int disk_read(void *store, uint64_t offset, unsigned nr, void *pages)
{
	struct sw_disk *d = store;
	unsigned good;
	int err;

	if (!in_range(d, offset, nr))
		return -EINVAL;
	for (uint64_t slot = offset; slot < offset + nr; slot++)
		if (!sw_disk_is_written(d, slot))
			return damaged(d, slot, "nothing was written to it");
	sw_disk_reads += nr;
	err = transfer_aligned(d, false, offset, nr, pages);
	if (err == -ENOMEM || err == -EINPROGRESS)
		return err;
	/* Which of them it is shows when they are read one by one. */
	if (err && nr > 1)
		return -EIO;
	if (err)
		return damaged(d, offset,
			       err == -ENODATA ? "the file was cut off"
					       : strerror(-err));
	good = sw_disk_count_good(d, offset, nr, pages);
	return good == nr ? 0
			  : damaged(d, offset + good,
				    "its checksum does not match");
}

static void disk_slot_free(void *store, uint64_t offset, unsigned nr)
{
	struct sw_disk *d = store;

	SW_BUG_ON(!in_range(d, offset, nr));
	sw_disk_forget(d, offset, nr);
}

static int disk_discard(void *store, uint64_t offset, uint64_t nr)
{
	struct sw_disk *d = store;

	if (!in_range(d, offset, nr))
		return -EINVAL;
	return sw_disk_area_discard(d->fd, d->is_block, offset * SW_PAGE_SIZE,
				    nr * SW_PAGE_SIZE);
}

const struct swap_ops sw_disk_ops = {
	.write = disk_write,
	.read = disk_read,
	.slot_free = disk_slot_free,
	.discard = disk_discard,
	.batch = sw_disk_batch,
};

/* ---- accounts ---- */

void sw_disk_info(const struct sw_disk *d, struct sw_disk_info *info)
{
	*info = (struct sw_disk_info){
		.name = d->name,
		.label = d->header.label,
		.uuid = d->header.uuid,
		.max = d->header.max,
		.bad = d->header.bad,
		.nr_bad = d->header.nr_bad,
		.uring = d->rings != NULL,
		.direct = d->direct,
		.encrypted = d->crypt != NULL,
		.discards = d->discards,
		.rotating = d->rotating,
	};
}

void sw_disk_stats(struct sw_disk *d, struct sw_store_stats *st)
{
	*st = (struct sw_store_stats){
		.pages = read_relaxed(&d->pages),
		.meta_bytes = d->crypt ? sw_crypt_meta_bytes(d->crypt)
				       : d->header.max * sizeof(*d->sums),
		.read_errors = read_relaxed(&d->read_errors),
		.write_errors = read_relaxed(&d->write_errors),
	};
}

/* ---- life ---- */

/* Pages cached by us and again by the kernel would be in memory twice. Some
 * file systems take the flag and refuse the request. */
static bool go_direct(int fd)
{
	_Alignas(SW_PAGE_SIZE) unsigned char page[SW_PAGE_SIZE];
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT))
		return false;
	if (pread(fd, page, sizeof(page), 0) == sizeof(page))
		return true;
	(void)fcntl(fd, F_SETFL, flags);
	return false;
}

static bool is_rotating(int fd)
{
	struct stat st;

	return !fstat(fd, &st) &&
	       sw_disk_is_rotating("/sys/dev/block", S_ISBLK(st.st_mode)
							     ? st.st_rdev
							     : st.st_dev);
}

/* A label may have any bytes: it is for the report, where they do no harm. */
static void say_how(const struct sw_disk *d, const char *why_no_rings)
{
	sw_info("%s: %lu pages, %s%s%s", d->name,
		d->header.max - 1 - d->header.nr_bad,
		d->crypt ? "encrypted, " : "",
		d->direct ? "past the page cache"
			  : "through the page cache: no direct I/O there",
		d->rotating ? ", on what says that it rotates" : "");
	if (!d->rings)
		sw_info("%s: by threads with pread and pwrite, without io_uring: %s",
			d->name, why_no_rings);
}

static size_t said_bytes(const struct sw_disk *d)
{
	return (d->header.max / 64 + 1) * sizeof(*d->said);
}

void sw_disk_close(struct sw_disk *d)
{
	if (!d)
		return;
	sw_rings_close(d->rings);
	sw_disk_threads_close(d->threads);
	sw_crypt_close(d->crypt);
	sw_sysmem_release(d->sums, d->header.max * sizeof(*d->sums));
	sw_sysmem_release(d->said, said_bytes(d));
	if (d->fd >= 0)
		close(d->fd);
	free(d->name);
	sw_sysmem_release(d, sizeof(*d));
}

/* At the last slot, before it has a page: not every disk can, and there is no
 * other way to ask all of them. As with swapon, it is no reason to refuse. */
static bool try_discard(const struct sw_disk *d)
{
	int err = sw_disk_area_discard(d->fd, d->is_block,
				       (d->header.max - 1) * SW_PAGE_SIZE,
				       SW_PAGE_SIZE);

	if (err)
		sw_warn("%s: cannot discard, and is used without: %s", d->name,
			strerror(-err));
	return !err;
}

/* What is remembered of each slot. */
static int open_records(struct sw_disk *d, bool encrypt)
{
	d->said = sw_sysmem_reserve(said_bytes(d));
	if (d->said && encrypt) {
		d->crypt = sw_crypt_open(d->header.max, d->name);
		return d->crypt ? 0 : -errno;
	}
	d->sums = sw_sysmem_reserve(d->header.max * sizeof(*d->sums));
	if (d->said && d->sums)
		return 0;
	sw_error("%s: no address space for its checksums (see ulimit -v)",
		 d->name);
	return -ENOMEM;
}

struct sw_disk *sw_disk_open(const struct sw_disk_spec *spec)
{
	struct sw_disk *d = sw_sysmem_reserve(sizeof(*d));
	int err;

	if (!d)
		goto err_nomem;
	d->fd = -1;
	d->is_block = spec->is_block;
	if (asprintf(&d->name, "%s:%s", spec->is_block ? "block" : "file",
		     spec->path) < 0) {
		d->name = NULL;
		goto err_nomem;
	}
	err = sw_disk_area_open(spec, d->name, &d->fd, &d->header);
	if (!err)
		err = open_records(d, spec->encrypt);
	if (err) {
		sw_disk_close(d);
		errno = -err;
		return NULL;
	}
	d->discards = spec->discard && try_discard(d);
	d->direct = go_direct(d->fd);
	d->rotating = is_rotating(d->fd);
	d->rings = sw_rings_open(d->fd, d->name);
	say_how(d, strerror(errno));
	d->threads = sw_disk_threads_open(d->fd, !d->rings);
	if (!d->threads)
		goto err_nomem;
	return d;

err_nomem:
	sw_error("%s: not enough memory", spec->path);
	sw_disk_close(d);
	errno = ENOMEM;
	return NULL;
}
