/*
 * image_file.h - how a snapshot lies in a file:
 *
 *      page 0    the head
 *      then      a block: an index page, and up to 255 pages that it names;
 *                all blocks but the last are full
 *
 * Only pages that are not all zeros are there, in ascending order. Numbers are
 * those of this machine; the magic tells another kind.
 */
#ifndef SW_LIB_IMAGE_FILE_H
#define SW_LIB_IMAGE_FILE_H

#include "base/base.h"

#define SW_IMAGE_BLOCK 255u /* pages of a block */

struct sw_image_entry {
	uint64_t page; /* of the region */
	uint64_t sum;  /* XXH3 of its bytes */
};

struct sw_image_index {
	uint64_t nr;
	uint64_t sum; /* of entry[0..nr) and their number */
	struct sw_image_entry entry[SW_IMAGE_BLOCK];
};

struct sw_image_head {
	char magic[16];
	uint64_t page_bytes;
	uint64_t region_bytes;
	uint64_t nr_pages; /* that are there */
	char name[64];
	uint64_t sum; /* of all before */
};

/* Where page `k` of those that are there lies, and its block's index page. */
static inline uint64_t sw_image_index_at(uint64_t k)
{
	return (1 + k / SW_IMAGE_BLOCK * (SW_IMAGE_BLOCK + 1)) * SW_PAGE_SIZE;
}

static inline uint64_t sw_image_page_at(uint64_t k)
{
	return sw_image_index_at(k) + (1 + k % SW_IMAGE_BLOCK) * SW_PAGE_SIZE;
}

/* ---- writing ---- */

struct sw_image_writer {
	int fd;
	uint64_t nr; /* pages so far */
	struct sw_image_index index;
};

/* 0 or -errno: page `page` of the region, which is not all zeros. */
SW_MUST_CHECK int sw_image_add(struct sw_image_writer *w, uint64_t page,
			       const void *bytes);
/* The rest, and last the head, once all else is on the disk. */
SW_MUST_CHECK int sw_image_finish(struct sw_image_writer *w,
				  uint64_t region_bytes, const char *name);

/* ---- reading: 0, -EBADMSG: it is no snapshot or was damaged, or -errno ---- */

SW_MUST_CHECK int sw_image_read_head(int fd, struct sw_image_head *head);
/* The index of the block that page `k` lies in; the pages named are within the
 * region and ascend from `*last`, which follows. */
SW_MUST_CHECK int sw_image_read_index(int fd, const struct sw_image_head *head,
				      uint64_t k, int64_t *last,
				      struct sw_image_index *index);
/* -EIO: not what was written. */
SW_MUST_CHECK int sw_image_read_page(int fd, uint64_t k, uint64_t sum,
				     void *bytes);

#endif
