/*
 * image.c - a region that outlives its process: written to a file, and in a later
 * process read back page by page, as it is touched. There the file is a swap
 * device in whose slots the pages of the new region begin their life; nothing is
 * ever allocated on it, since it is none of the instance's, and slots that fall
 * free are nobody's.
 *
 * Above: the program. Beside: region.c, advise.c. Below: image_file.c for the
 * file, swap/ for the slots.
 */
#include "lib/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/codec.h"
#include "lib/image_file.h"
#include "lib/lib_internal.h"

#define NAP_NS 1000000

/* ---- writing ---- */

/* Where there is no region any more nothing was touched either, and that is no
 * page of zeros. */
static int look_at(struct sw_lib *lib, const char *at, bool *untouched)
{
	uint64_t start, end;
	int err = -EFAULT;

	sw_local_enter(lib->local);
	if (sw_lib_range(lib, at, SW_PAGE_SIZE, &start, &end)) {
		*untouched = sw_space_is_untouched(lib->space, start);
		err = 0;
	}
	sw_local_leave(lib->local);
	return err;
}

/* A page, unless it is all zeros. Pinned, it can neither go nor be lost while it
 * is read, and the region cannot be freed. */
static int add_page(struct sw_lib *lib, struct sw_image_writer *w,
		    const char *start, uint64_t page)
{
	const char *at = start + page * SW_PAGE_SIZE;
	bool untouched;
	uint64_t word;
	int err = look_at(lib, at, &untouched);

	if (err || untouched)
		return err;
	err = sw_lib_pin(lib, at, SW_PAGE_SIZE, false);
	if (err)
		return err;
	if (!sw_page_same_filled(at, &word) || word)
		err = sw_image_add(w, page, at);
	(void)sw_lib_unpin(lib, at, SW_PAGE_SIZE);
	return err;
}

static int write_image(struct sw_lib *lib, int fd,
		       const struct sw_lib_region *r)
{
	struct sw_image_writer *w = sw_mem_zalloc(sizeof(*w));
	int err = 0;

	if (!w)
		return -ENOMEM;
	w->fd = fd;
	for (uint64_t p = 0; p < r->bytes / SW_PAGE_SIZE && !err; p++)
		err = add_page(lib, w, (char *)r->start, p);
	if (!err)
		err = sw_image_finish(w, r->bytes, r->name);
	sw_mem_free(w);
	return err;
}

/* Under another name until it is complete. */
static int write_file(struct sw_lib *lib, const char *path,
		      const struct sw_lib_region *r)
{
	char name[4096];
	int n = snprintf(name, sizeof(name), "%s.XXXXXX", path), fd, err;

	if (n >= (int)sizeof(name))
		return -ENAMETOOLONG;
	fd = mkostemp(name, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	err = write_image(lib, fd, r);
	if (!err && rename(name, path))
		err = -errno;
	if (err)
		unlink(name);
	close(fd);
	return err;
}

/* What was there is no snapshot any more from the first byte on. */
static int write_block(struct sw_lib *lib, const char *path,
		       const struct sw_lib_region *r)
{
	static const char zeros[SW_PAGE_SIZE];
	int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (pwrite(fd, zeros, sizeof(zeros), 0) != sizeof(zeros) || fsync(fd))
		err = -EIO;
	if (!err)
		err = write_image(lib, fd, r);
	close(fd);
	return err;
}

int spillway_snapshot(spillway_t *spillway, const void *addr, const char *path)
{
	struct sw_lib_region *r, copy;
	struct sw_call call;
	struct stat st;
	int err = path ? sw_lib_enter(spillway, &call) : -EINVAL;

	if (err)
		return err;
	sw_local_enter(call.lib->local);
	r = sw_lib_region_at(call.lib, (uint64_t)addr);
	if (r)
		copy = *r;
	sw_local_leave(call.lib->local);
	if (!r)
		err = -EFAULT;
	else if (!stat(path, &st) && S_ISBLK(st.st_mode))
		err = write_block(call.lib, path, &copy);
	else
		err = write_file(call.lib, path, &copy);
	sw_lib_leave(spillway, &call);
	return err;
}

/* ---- the file as a device ---- */

/* What is in a slot. */
struct slot {
	uint64_t k, sum;
};

struct sw_lib_image {
	int fd;
	unsigned type;
	uint64_t max;
	struct slot *slot;
};

static int image_read(void *store, uint64_t offset, unsigned nr, void *pages)
{
	struct sw_lib_image *image = store;
	int err = 0;

	for (unsigned i = 0; i < nr && !err; i++) {
		const struct slot *s = &image->slot[offset + i];

		err = sw_image_read_page(image->fd, s->k, s->sum,
					 (char *)pages + i * SW_PAGE_SIZE);
	}
	return err;
}

static int image_write(void *store, uint64_t offset, unsigned nr,
		       const void *pages)
{
	(void)store, (void)offset, (void)nr, (void)pages;
	return -EROFS;
}

static void image_slot_free(void *store, uint64_t offset, unsigned nr)
{
	(void)store, (void)offset, (void)nr;
}

static const struct swap_ops image_ops = {
	.read = image_read,
	.write = image_write,
	.slot_free = image_slot_free,
};

static void image_free(struct sw_lib_image *image)
{
	close(image->fd);
	sw_mem_free(image->slot);
	sw_mem_free(image);
}

void sw_lib_image_close(struct sw_lib_image *image)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	/* Somebody may still look at the last folio. */
	while (swapoff(image->type, NULL, NULL) == -EBUSY)
		nanosleep(&nap, NULL);
	image_free(image);
}

static int image_on(struct sw_lib_image *image)
{
	const struct swapon_spec on = {
		.name = "snapshot",
		.ops = &image_ops,
		.store = image,
		.max = image->max,
		.flags = SWP_SOLIDSTATE,
	};
	int type = swapon(&on);

	if (type < 0)
		return type == -EPERM ? -EMFILE : type;
	image->type = type;
	return 0;
}

static int image_open(const char *path, struct sw_image_head *head,
		      struct sw_lib_image **result)
{
	struct sw_lib_image *image = sw_mem_zalloc(sizeof(*image));
	int err;

	if (!image)
		return -ENOMEM;
	image->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (image->fd < 0) {
		err = -errno;
		sw_mem_free(image);
		return err;
	}
	err = sw_image_read_head(image->fd, head);
	if (!err) {
		image->max = sw_max(head->nr_pages + 1, (uint64_t)2);
		image->slot = sw_mem_zalloc(image->max * sizeof(struct slot));
		err = image->slot ? image_on(image) : -ENOMEM;
	}
	if (err)
		image_free(image);
	else
		*result = image;
	return err;
}

/* ---- reading ---- */

static int adopt_page(struct sw_lib *lib, struct sw_lib_image *image,
		      uint64_t addr, uint64_t k, uint64_t sum)
{
	swp_entry_t entry = swap_alloc_hibernation_slot(image->type);
	int err;

	if (!entry.val)
		return -ENOMEM;
	image->slot[swp_offset(entry)] = (struct slot){ k, sum };
	err = sw_space_adopt(lib->space, addr, entry.val);
	if (err)
		swap_put_entries_direct(entry, 1);
	return err;
}

static int adopt_all(struct sw_lib *lib, struct sw_lib_image *image,
		     const struct sw_image_head *head, uint64_t start)
{
	struct sw_image_index *index = sw_mem_zalloc(sizeof(*index));
	int64_t last = -1;
	int err = index ? 0 : -ENOMEM;

	for (uint64_t k = 0; k < head->nr_pages && !err; k += SW_IMAGE_BLOCK) {
		err = sw_image_read_index(image->fd, head, k, &last, index);
		for (uint64_t i = 0; !err && i < index->nr; i++)
			err = adopt_page(lib, image,
					 start + index->entry[i].page *
							 SW_PAGE_SIZE,
					 k + i, index->entry[i].sum);
	}
	sw_mem_free(index);
	return err;
}

static int restore(struct sw_lib *lib, const char *path,
		   const struct spillway_region_options *options,
		   uint64_t *start, uint64_t *bytes)
{
	struct spillway_region_options o = { .size = sizeof(o) };
	struct sw_lib_image *image = NULL;
	struct sw_image_head head;
	int err = image_open(path, &head, &image);

	if (err)
		return err;
	if (options)
		o = *options;
	else if (head.name[0])
		o.name = head.name;
	err = sw_lib_alloc(lib, head.region_bytes, &o, start);
	if (err) {
		sw_lib_image_close(image);
		return err;
	}
	sw_local_enter(lib->local);
	sw_lib_region_at(lib, *start)->image = image;
	sw_local_leave(lib->local);
	/* Nobody knows the region yet. */
	err = adopt_all(lib, image, &head, *start);
	if (err)
		(void)sw_lib_free(lib, (void *)*start);
	*bytes = head.region_bytes;
	return err;
}

int spillway_restore(spillway_t *spillway, const char *path,
		     const struct spillway_region_options *options, void **addr,
		     size_t *bytes)
{
	struct sw_call call;
	uint64_t start, len;
	int err;

	if (!path || !addr)
		return -EINVAL;
	err = sw_lib_enter(spillway, &call);
	if (err)
		return err;
	sw_lib_life_lock();
	err = restore(call.lib, path, options, &start, &len);
	sw_lib_life_unlock();
	if (!err) {
		*addr = (void *)start;
		if (bytes)
			*bytes = len;
	}
	sw_lib_leave(spillway, &call);
	return err;
}
