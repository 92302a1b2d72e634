/*
 * swap_header.c - see swap_header.h. Above: whoever opens an area; below
 * nothing but bytes, which are copied before they are looked at, so that a
 * buffer of any alignment will do and nobody changes it meanwhile.
 */
#include "store/swap_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1u

struct first_page {
	uint8_t boot[1024];
	uint32_t version;
	uint32_t last_page;
	uint32_t nr_bad;
	uint8_t uuid[16];
	char label[SW_SWAP_HEADER_LABEL];
	uint8_t unused[468];
	uint32_t bad[SW_SWAP_HEADER_MAX_BAD];
	uint8_t rest[2];
	char signature[10];
};

_Static_assert(offsetof(struct first_page, bad) == 1536 &&
		       sizeof(struct first_page) == SW_PAGE_SIZE,
	       "as on disk");

static const char signature[] = "SWAPSPACE2";

/* Who else signs in that place. */
static const struct {
	const char *signature;
	const char *why;
} others[] = {
	{ "SWAP-SPACE",
	  "signature SWAP-SPACE: made by an old mkswap (version 0); run mkswap again" },
	{ "S1SUSPEND",
	  "signature S1SUSPEND: holds the image of a hibernated system; resume that system first, or run mkswap to give the image up" },
	{ "S2SUSPEND",
	  "signature S2SUSPEND: holds the image of a hibernated system; resume that system first, or run mkswap to give the image up" },
};

/* The same for signatures at the end of a larger page. */
static const struct {
	size_t page_bytes;
	const char *why;
} other_pages[] = {
	{ 8192, "made for pages of 8 KiB, ours have 4; run mkswap -p 4096" },
	{ 16384, "made for pages of 16 KiB, ours have 4; run mkswap -p 4096" },
	{ 32768, "made for pages of 32 KiB, ours have 4; run mkswap -p 4096" },
	{ 65536, "made for pages of 64 KiB, ours have 4; run mkswap -p 4096" },
};

static const char *why_not_signed(const struct first_page *p,
				  const uint8_t *start, size_t len)
{
	for (unsigned i = 0; i < SW_ARRAY_SIZE(others); i++)
		if (!strncmp(p->signature, others[i].signature,
			     sizeof(p->signature)))
			return others[i].why;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(other_pages); i++) {
		size_t end = other_pages[i].page_bytes;

		if (end <= len && !memcmp(start + end - sizeof(p->signature),
					  signature, sizeof(p->signature)))
			return other_pages[i].why;
	}
	return "no SWAPSPACE2 signature at byte 4086: not a swap area; make it one with mkswap";
}

static int compare_slots(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* `bad` is in ascending order. */
static const char *why_not_these(uint64_t max, const uint64_t *bad, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!bad[i])
			return "page 0, the header's, is in the list of bad pages at byte 1536; run mkswap again";
		if (bad[i] >= max)
			return "a bad page at byte 1536 or behind is beyond the last page; run mkswap again";
		if (i && bad[i] == bad[i - 1])
			return "a page is in the list of bad pages at byte 1536 twice; run mkswap again";
	}
	if (nr + 1 >= max)
		return "no page is left for use: all are bad (list at byte 1536); use another device";
	return NULL;
}

int sw_swap_header_make(void *page, const struct sw_swap_header *h)
{
	struct first_page p = { .version = VERSION, .nr_bad = h->nr_bad };

	if (h->max < 2 || h->max - 1 > UINT32_MAX ||
	    h->nr_bad > SW_SWAP_HEADER_MAX_BAD ||
	    memchr(h->label, 0, sizeof(h->label)) == NULL)
		return -EINVAL;
	for (unsigned i = 1; i < h->nr_bad; i++)
		if (h->bad[i] <= h->bad[i - 1])
			return -EINVAL;
	if (why_not_these(h->max, h->bad, h->nr_bad))
		return -EINVAL;

	p.last_page = h->max - 1;
	memcpy(p.uuid, h->uuid, sizeof(p.uuid));
	memcpy(p.label, h->label, strlen(h->label));
	for (unsigned i = 0; i < h->nr_bad; i++)
		p.bad[i] = h->bad[i];
	memcpy(p.signature, signature, sizeof(p.signature));
	memcpy(page, &p, sizeof(p));
	return 0;
}

static void swap_bytes(struct first_page *p)
{
	p->version = __builtin_bswap32(p->version);
	p->last_page = __builtin_bswap32(p->last_page);
	p->nr_bad = __builtin_bswap32(p->nr_bad);
	for (unsigned i = 0; i < SW_SWAP_HEADER_MAX_BAD; i++)
		p->bad[i] = __builtin_bswap32(p->bad[i]);
}

int sw_swap_header_read(const void *start, size_t len, uint64_t area_bytes,
			struct sw_swap_header *h, const char **why)
{
	struct sw_swap_header found = { 0 };
	struct first_page p;

	*why = "shorter than a page: no room for a header; make it larger and run mkswap";
	if (len < sizeof(p) || area_bytes < sizeof(p))
		return -EINVAL;
	memcpy(&p, start, sizeof(p));
	if (memcmp(p.signature, signature, sizeof(p.signature))) {
		*why = why_not_signed(&p, start, len);
		return -EINVAL;
	}
	if (p.version == __builtin_bswap32(VERSION)) {
		swap_bytes(&p);
		found.other_endian = true;
	}
	*why = "version at byte 1024 is not 1, the only one there is; run mkswap again";
	if (p.version != VERSION)
		return -EINVAL;
	*why = "last page at byte 1028 is 0: an area of nothing but its header; run mkswap again";
	if (!p.last_page)
		return -EINVAL;
	*why = "shorter than its header says (last page, byte 1028): cut off; make it as long as it was or run mkswap again";
	if (p.last_page >= area_bytes / SW_PAGE_SIZE)
		return -EINVAL;
	*why = "more bad pages (byte 1032) than a header has room for, 637; run mkswap again, or use another device";
	if (p.nr_bad > SW_SWAP_HEADER_MAX_BAD)
		return -EINVAL;

	found.max = (uint64_t)p.last_page + 1;
	found.nr_bad = p.nr_bad;
	for (unsigned i = 0; i < p.nr_bad; i++)
		found.bad[i] = p.bad[i];
	qsort(found.bad, found.nr_bad, sizeof(*found.bad), compare_slots);
	*why = why_not_these(found.max, found.bad, found.nr_bad);
	if (*why)
		return -EINVAL;

	memcpy(found.uuid, p.uuid, sizeof(p.uuid));
	memcpy(found.label, p.label, sizeof(p.label));
	*h = found;
	return 0;
}
