/*
 * image_file.c - see image_file.h. Every byte that comes from the file is
 * compared with a sum, and every number with what is possible, before it is
 * believed.
 *
 * Above: image.c. Below: the file.
 */
#include "lib/image_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[16] = "SPILLWAY-IMAGE1";

_Static_assert(sizeof(struct sw_image_index) == SW_PAGE_SIZE, "it is one page");

/* ---- bytes ---- */

static int write_all(int fd, const void *buf, size_t len, uint64_t at)
{
	const char *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		p += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* -ENODATA: the file ends before. */
static int read_all(int fd, void *buf, size_t len, uint64_t at)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		p += n;
		at += n;
		len -= n;
	}
	return 0;
}

static uint64_t index_sum(const struct sw_image_index *index)
{
	return XXH3_64bits_withSeed(
		index->entry, index->nr * sizeof(index->entry[0]), index->nr);
}

static uint64_t head_sum(const struct sw_image_head *head)
{
	return XXH3_64bits(head, offsetof(struct sw_image_head, sum));
}

/* ---- writing ---- */

static int write_index(struct sw_image_writer *w)
{
	struct sw_image_index *index = &w->index;
	int err;

	if (!index->nr)
		return 0;
	memset(&index->entry[index->nr], 0,
	       (SW_IMAGE_BLOCK - index->nr) * sizeof(index->entry[0]));
	index->sum = index_sum(index);
	err = write_all(w->fd, index, sizeof(*index),
			sw_image_index_at(w->nr - 1));
	index->nr = 0;
	return err;
}

int sw_image_add(struct sw_image_writer *w, uint64_t page, const void *bytes)
{
	int err =
		write_all(w->fd, bytes, SW_PAGE_SIZE, sw_image_page_at(w->nr));

	if (err)
		return err;
	w->index.entry[w->index.nr++] = (struct sw_image_entry){
		.page = page,
		.sum = XXH3_64bits(bytes, SW_PAGE_SIZE),
	};
	w->nr++;
	return w->index.nr == SW_IMAGE_BLOCK ? write_index(w) : 0;
}

int sw_image_finish(struct sw_image_writer *w, uint64_t region_bytes,
		    const char *name)
{
	union {
		struct sw_image_head head;
		char page[SW_PAGE_SIZE];
	} u = { .page = { 0 } };

	int err = write_index(w);

	if (!err && fsync(w->fd))
		err = -errno;
	if (err)
		return err;
	memcpy(u.head.magic, magic, sizeof(magic));
	u.head.page_bytes = SW_PAGE_SIZE;
	u.head.region_bytes = region_bytes;
	u.head.nr_pages = w->nr;
	strncpy(u.head.name, name, sizeof(u.head.name) - 1);
	u.head.sum = head_sum(&u.head);
	err = write_all(w->fd, &u, sizeof(u), 0);
	if (!err && fsync(w->fd))
		err = -errno;
	return err;
}

/* ---- reading ---- */

int sw_image_read_head(int fd, struct sw_image_head *head)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int err = read_all(fd, head, sizeof(*head), 0);
	uint64_t pages;

	if (err)
		return err == -ENODATA ? -EBADMSG : err;
	pages = head->region_bytes / SW_PAGE_SIZE;
	if (memcmp(head->magic, magic, sizeof(magic)) ||
	    head->sum != head_sum(head) || head->page_bytes != SW_PAGE_SIZE ||
	    !pages || head->region_bytes % SW_PAGE_SIZE ||
	    head->nr_pages > pages || head->nr_pages > 1ull << 32)
		return -EBADMSG;
	if (head->nr_pages &&
	    (end < 0 || (uint64_t)end < sw_image_page_at(head->nr_pages - 1) +
						SW_PAGE_SIZE))
		return -EBADMSG;
	head->name[sizeof(head->name) - 1] = 0;
	return 0;
}

int sw_image_read_index(int fd, const struct sw_image_head *head, uint64_t k,
			int64_t *last, struct sw_image_index *index)
{
	uint64_t want = sw_min(head->nr_pages - k, (uint64_t)SW_IMAGE_BLOCK);
	int err = read_all(fd, index, sizeof(*index), sw_image_index_at(k));

	if (err)
		return err == -ENODATA ? -EBADMSG : err;
	if (index->nr != want || index->sum != index_sum(index))
		return -EBADMSG;
	for (uint64_t i = 0; i < want; i++) {
		uint64_t page = index->entry[i].page;

		if (page >= head->region_bytes / SW_PAGE_SIZE ||
		    (int64_t)page <= *last)
			return -EBADMSG;
		*last = page;
	}
	return 0;
}

int sw_image_read_page(int fd, uint64_t k, uint64_t sum, void *bytes)
{
	int err = read_all(fd, bytes, SW_PAGE_SIZE, sw_image_page_at(k));

	if (!err && XXH3_64bits(bytes, SW_PAGE_SIZE) != sum)
		err = -EIO;
	return err ? -EIO : 0;
}
