/*
 * reader.c - see reader.h. A block is read as a whole and believed when its
 * checksum is right; its items are checked all the same.
 *
 * Above: report/. Below: format.h.
 */
#include "trace/reader.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct sw_trace_reader {
	FILE *file;
	struct sw_trace_head head;
	unsigned char
		raw[SW_TRACE_HEAD_BYTES + SW_TRACE_COMMAND_MAX + 4]; /* head */
	uint32_t head_bytes;

	uint64_t good;  /* bytes before the block that is read */
	uint64_t limit; /* bytes that count, after a rewind, */
	enum sw_trace_ending limit_ending; /* and how they end */
	bool ended;
	enum sw_trace_ending ending;

	/* The block. */
	unsigned char block[SW_TRACE_BLOCK_HEAD + SW_TRACE_PAYLOAD_MAX];
	uint32_t len, at, left; /* of the payload; items in it */
	uint64_t now_ns;
	uint32_t space;
	struct sw_trace_context context[SW_TRACE_CONTEXTS];
};

static uint32_t get32(const unsigned char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const unsigned char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

/* ---- the head ---- */

/* The arguments end where they say that they do. */
static bool read_command(struct sw_trace_reader *r)
{
	uint32_t len = get32(r->raw + 36);

	if (len != r->head_bytes - 4 - SW_TRACE_HEAD_BYTES)
		return false;
	r->head.command = (char *)r->raw + SW_TRACE_HEAD_BYTES;
	r->head.command_bytes = len;
	return !len || !r->head.command[len - 1];
}

static int read_head(struct sw_trace_reader *r)
{
	unsigned char *b = r->raw;
	uint32_t len;

	if (fread(b, SW_TRACE_HEAD_BYTES, 1, r->file) != 1)
		return ferror(r->file) ? -errno : -EINVAL;
	if (memcmp(b, SW_TRACE_MAGIC, 8))
		return -EINVAL;
	if (get32(b + 8) != SW_TRACE_VERSION)
		return -ENOTSUP;
	r->head_bytes = len = get32(b + 12);
	if (len < SW_TRACE_HEAD_BYTES + 4 || len > sizeof(r->raw))
		return -EINVAL;
	if (fread(b + SW_TRACE_HEAD_BYTES, len - SW_TRACE_HEAD_BYTES, 1,
		  r->file) != 1)
		return ferror(r->file) ? -errno : -EINVAL;
	if (get32(b + len - 4) != XXH32(b, len - 4, 0) || !read_command(r))
		return -EINVAL;
	if (get32(b + 32) != SW_PAGE_SIZE)
		return -ENOTSUP;
	r->head.start_ns = get64(b + 16);
	r->head.budget_bytes = get64(b + 24);
	r->good = len;
	return 0;
}

int sw_trace_open(const char *path, struct sw_trace_reader **reader)
{
	struct sw_trace_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->limit = UINT64_MAX;
	r->file = fopen(path, "re");
	err = r->file ? read_head(r) : -errno;
	if (err)
		sw_trace_close(r);
	else
		*reader = r;
	return err;
}

const struct sw_trace_head *sw_trace_head(const struct sw_trace_reader *r)
{
	return &r->head;
}

void sw_trace_close(struct sw_trace_reader *r)
{
	if (r->file)
		fclose(r->file);
	free(r);
}

/* ---- blocks ---- */

/* 1: there is one; 0: the end, which is noted; or -errno. */
static int read_block(struct sw_trace_reader *r)
{
	unsigned char *b = r->block;
	size_t n;

	r->good += r->len ? SW_TRACE_BLOCK_HEAD + r->len : 0;
	r->len = 0;
	if (r->good >= r->limit) {
		r->ending = r->limit_ending;
		return 0;
	}
	n = fread(b, 1, SW_TRACE_BLOCK_HEAD, r->file);
	r->ending = SW_TRACE_CUT;
	if (n < SW_TRACE_BLOCK_HEAD)
		return ferror(r->file) ? -EIO : 0;
	r->ending = SW_TRACE_DAMAGED;
	if (get32(b) != SW_TRACE_BLOCK || !get32(b + 4) ||
	    get32(b + 4) > SW_TRACE_PAYLOAD_MAX)
		return 0;
	n = fread(b + SW_TRACE_BLOCK_HEAD, 1, get32(b + 4), r->file);
	if (n < get32(b + 4)) {
		r->ending = SW_TRACE_CUT;
		return ferror(r->file) ? -EIO : 0;
	}
	if (get32(b + 8) != XXH32(b + 12, get32(b + 4) + 12, 0) ||
	    get64(b + 16) < r->now_ns)
		return 0;
	r->len = get32(b + 4);
	r->left = get32(b + 12);
	r->at = 0;
	r->space = 0;
	r->now_ns = get64(b + 16);
	memset(r->context, 0, sizeof(r->context));
	return 1;
}

/* ---- items ---- */

/* False: it is none, or does not end in the block. */
static bool get_number(struct sw_trace_reader *r, uint64_t *v)
{
	unsigned shift = 0;

	*v = 0;
	while (r->at < r->len && shift < 64) {
		unsigned char byte = r->block[SW_TRACE_BLOCK_HEAD + r->at++];

		*v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte < 0x80)
			return shift <= 63 || byte <= 1;
	}
	return false;
}

static bool get_below(struct sw_trace_reader *r, uint64_t end, uint64_t *v)
{
	return get_number(r, v) && *v < end;
}

static bool get_space(struct sw_trace_reader *r, struct sw_trace_item *item)
{
	uint64_t space, pid, len;

	if (!get_below(r, 1ull << 32, &space) ||
	    !get_below(r, 1ull << 32, &pid) ||
	    !get_below(r, SW_TRACE_NAME_MAX + 1, &len) || len > r->len - r->at)
		return false;
	item->event.space = space;
	item->event.page = pid;
	memcpy(item->name, r->block + SW_TRACE_BLOCK_HEAD + r->at, len);
	item->name[len] = 0;
	r->at += len;
	return true;
}

static bool get_address(struct sw_trace_reader *r, struct sw_trace_event *event)
{
	uint64_t *last = sw_trace_last(r->context, event->space, event->kind);
	uint64_t d;

	if (!get_number(r, &d))
		return false;
	*last += d >> 1 ^ -(d & 1);
	event->page = *last;
	return *last < SW_TRACE_PAGE_END;
}

static bool get_event(struct sw_trace_reader *r, unsigned char flags,
		      struct sw_trace_item *item)
{
	struct sw_trace_event *event = &item->event;
	bool io = sw_trace_is_io(item->kind);
	uint64_t v;

	*event = (struct sw_trace_event){ .kind = item->kind };
	if (item->kind == SW_TRACE_SPACE)
		return !flags && get_space(r, item);
	if (io && flags & SW_TRACE_SAME)
		return false;
	if (!io && !(flags & SW_TRACE_SAME)) {
		if (!get_below(r, 1ull << 32, &v))
			return false;
		r->space = v;
	}
	event->space = io ? 0 : r->space;
	v = 1;
	if (!(flags & SW_TRACE_ONE) &&
	    !get_below(r, SW_TRACE_NR_MAX + 1ull, &v))
		return false;
	event->nr = v;
	if (!io && !get_address(r, event))
		return false;
	return sw_trace_is_out(item->kind) || get_number(r, &event->latency_ns);
}

/* A later writer may have more to say. */
static bool get_sample(struct sw_trace_reader *r,
		       struct sw_trace_sample *sample)
{
	uint64_t *word = (uint64_t *)sample, nr, ignored;

	*sample = (struct sw_trace_sample){ 0 };
	if (!get_below(r, 256, &nr))
		return false;
	for (uint64_t i = 0; i < nr; i++)
		if (!get_number(r, i < SW_TRACE_SAMPLE_WORDS ? &word[i]
							     : &ignored))
			return false;
	return true;
}

static bool get_rest(struct sw_trace_reader *r, unsigned char flags,
		     struct sw_trace_item *item)
{
	uint64_t v;

	if (item->kind && item->kind < SW_NR_TRACE_KINDS)
		return get_event(r, flags, item);
	if (flags)
		return false;
	switch (item->kind) {
	case SW_TRACE_SAMPLE:
		return get_sample(r, &item->sample);
	case SW_TRACE_DROPPED:
		return get_number(r, &item->dropped);
	case SW_TRACE_END:
		if (!get_below(r, 256, &v))
			return false;
		item->exit_status = v;
		return get_number(r, &item->dropped);
	}
	return false;
}

static bool get_item(struct sw_trace_reader *r, struct sw_trace_item *item)
{
	unsigned char byte;
	uint64_t ns;

	if (r->at >= r->len)
		return false;
	byte = r->block[SW_TRACE_BLOCK_HEAD + r->at++];
	if (!get_number(r, &ns) || ns > UINT64_MAX - r->now_ns)
		return false;
	r->now_ns += ns;
	item->kind = byte & SW_TRACE_KIND;
	item->time_ns = r->now_ns;
	return get_rest(r, byte & ~SW_TRACE_KIND, item);
}

int sw_trace_next(struct sw_trace_reader *r, struct sw_trace_item *item)
{
	if (r->ended)
		return 0;
	/* What is behind the last item of a block is nobody's. */
	if (!r->left && r->at == r->len) {
		int got = read_block(r);

		r->ended = got <= 0;
		if (got <= 0)
			return got;
	}
	if (!r->left || !get_item(r, item)) {
		r->ending = SW_TRACE_DAMAGED;
		r->ended = true;
		return 0;
	}
	r->left--;
	if (item->kind == SW_TRACE_END) {
		r->ending = SW_TRACE_COMPLETE;
		r->ended = true;
	}
	return 1;
}

enum sw_trace_ending sw_trace_ending(const struct sw_trace_reader *r,
				     uint64_t *bytes)
{
	*bytes = r->good;
	return r->ending;
}

int sw_trace_rewind(struct sw_trace_reader *r)
{
	if (fseeko(r->file, r->head_bytes, SEEK_SET))
		return -errno;
	r->limit = r->good + (r->len ? SW_TRACE_BLOCK_HEAD + r->len : 0);
	r->limit_ending = r->ending;
	r->good = r->head_bytes;
	r->len = r->at = r->left = 0;
	r->now_ns = 0;
	r->ended = false;
	return 0;
}
