/*
 * swap_header.h - the first page of a swap area, in the format of mkswap, so
 * that mkswap, blkid, swaplabel and file know our areas and we know theirs:
 *
 *      byte 0      1024 bytes that are not ours (a boot block); we write zeros
 *      byte 1024   version (1), last page, number of bad pages: 32 bits each
 *      byte 1036   UUID, 16 bytes; then the label, 16 bytes, zero-padded
 *      byte 1068   468 bytes unused
 *      byte 1536   bad pages, 32 bits each, as many as fit
 *      page - 10   "SWAPSPACE2"
 *
 * Everything read here comes from outside and is believed only after it was
 * compared with the size of the area; what is accepted can be given to
 * swapon() as it is. Opening and reading the area is the caller's.
 */
#ifndef SW_SWAP_HEADER_H
#define SW_SWAP_HEADER_H

#include "swap/swap.h"

#define SW_SWAP_HEADER_MAX_BAD ((SW_PAGE_SIZE - 1536 - 10) / 4)
#define SW_SWAP_HEADER_LABEL   16

/* What to read from the start of an area, if it has that much: a header made
 * for larger pages has its signature further behind. */
#define SW_SWAP_HEADER_PROBE 65536u

struct sw_swap_header {
	uint64_t max;      /* slots, the header's included: swapon_spec.max */
	uint32_t nr_bad;   /* of these, bad ones; none is slot 0 */
	bool other_endian; /* read only: written by a machine of that kind */
	uint8_t uuid[16];
	char label[SW_SWAP_HEADER_LABEL + 1]; /* any bytes, up to a zero */
	uint64_t bad[SW_SWAP_HEADER_MAX_BAD]; /* ascending, each once */
};

/*
 * Writes a page (SW_PAGE_SIZE bytes) for an area of h->max slots. -EINVAL,
 * with the page untouched, for what sw_swap_header_read() would refuse; the
 * bad slots must be ascending here.
 */
SW_MUST_CHECK int sw_swap_header_make(void *page,
				      const struct sw_swap_header *h);

/*
 * Reads the header of an area of `area_bytes` from its first `len` bytes
 * (SW_SWAP_HEADER_PROBE, or all it has). 0, or -EINVAL with `h` untouched and
 * `*why` a line without the area's name: what is wrong, where, what to do.
 *
 * Accepted, as by the kernel: the other byte order, bad pages in any order
 * (they are sorted), an area larger than its header says (the rest is not
 * used). Refused: everything that names a page which is not there, as an area
 * cut short does.
 */
SW_MUST_CHECK int sw_swap_header_read(const void *start, size_t len,
				      uint64_t area_bytes,
				      struct sw_swap_header *h,
				      const char **why);

#endif
