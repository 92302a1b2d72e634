/*
 * encode.c - see encode.h. A block can be read without the ones before it: it
 * says when it begins, and differences start anew in it.
 *
 * Above: recorder.c. Below: format.h.
 */
#include "trace/encode.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define ITEM_MAX 256 /* bytes that an item takes at most */

/* ---- bytes ---- */

static void put32(unsigned char *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

static void put64(unsigned char *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof(v));
}

static void put_byte(struct sw_encoder *e, unsigned char byte)
{
	e->buf[SW_TRACE_BLOCK_HEAD + e->len++] = byte;
}

/* Seven bits a byte, the lowest first; the last one is below 0x80. */
static void put_number(struct sw_encoder *e, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		put_byte(e, v | 0x80);
	put_byte(e, v);
}

/* 0, -1, 1, -2 ... are 0, 1, 2, 3 ... */
static void put_difference(struct sw_encoder *e, uint64_t from, uint64_t to)
{
	int64_t d = to - from;

	put_number(e, (uint64_t)d << 1 ^ (uint64_t)(d >> 63));
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= n;
	}
	return 0;
}

/* ---- the head ---- */

/* The arguments, as many as there is room for, with a 0 behind each. */
static size_t put_command(unsigned char *at, char *const *argv)
{
	size_t len = 0;

	for (; argv && *argv; argv++) {
		size_t n = strlen(*argv) + 1;

		if (len + n > SW_TRACE_COMMAND_MAX)
			break;
		memcpy(at + len, *argv, n);
		len += n;
	}
	return len;
}

int sw_encode_head(struct sw_encoder *e, int fd, uint64_t start_ns,
		   char *const *argv, uint64_t budget_bytes)
{
	unsigned char *b = e->buf;
	struct timespec t;
	size_t len;

	*e = (struct sw_encoder){ .fd = fd, .start_ns = start_ns };
	clock_gettime(CLOCK_REALTIME, &t);
	memcpy(b, SW_TRACE_MAGIC, 8);
	put32(b + 8, SW_TRACE_VERSION);
	put64(b + 16, (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec);
	put64(b + 24, budget_bytes);
	put32(b + 32, SW_PAGE_SIZE);
	len = put_command(b + SW_TRACE_HEAD_BYTES, argv);
	put32(b + 36, len);
	len += SW_TRACE_HEAD_BYTES;
	put32(b + 12, len + 4);
	put32(b + len, XXH32(b, len, 0));
	return e->err = write_all(fd, b, len + 4);
}

/* ---- blocks ---- */

void sw_encode_flush(struct sw_encoder *e)
{
	unsigned char *b = e->buf;

	if (!e->nr)
		return;
	put32(b, SW_TRACE_BLOCK);
	put32(b + 4, e->len);
	put32(b + 12, e->nr);
	/* 16: when it begins, since its first item */
	put32(b + 8, XXH32(b + 12, e->len + 12, 0));
	if (!e->err)
		e->err = write_all(e->fd, b, SW_TRACE_BLOCK_HEAD + e->len);
	if (e->err)
		e->dropped += e->events;
	e->nr = e->len = e->events = 0;
}

/* The first byte, and the time, of an item. */
static void begin(struct sw_encoder *e, unsigned char byte, uint64_t now_ns)
{
	uint64_t ns = now_ns - sw_min(now_ns, e->start_ns);

	if (e->len > SW_TRACE_PAYLOAD_MAX - ITEM_MAX)
		sw_encode_flush(e);
	ns = sw_max(ns, e->last_ns);
	if (!e->nr++) {
		memset(e->context, 0, sizeof(e->context));
		e->space = 0;
		e->last_ns = ns;
		put64(e->buf + 16, ns);
	}
	put_byte(e, byte);
	put_number(e, ns - e->last_ns);
	e->last_ns = ns;
}

static void put_space(struct sw_encoder *e, const struct sw_trace_event *event,
		      const char *name)
{
	size_t len = strnlen(name, SW_TRACE_NAME_MAX);

	put_number(e, event->space);
	put_number(e, event->page);
	put_number(e, len);
	for (size_t i = 0; i < len; i++)
		put_byte(e, name[i]);
}

static void put_address(struct sw_encoder *e, const struct sw_trace_event *ev)
{
	uint64_t *last = sw_trace_last(e->context, ev->space, ev->kind);

	put_difference(e, *last, ev->page);
	*last = ev->page;
}

void sw_encode_event(struct sw_encoder *e, const struct sw_trace_event *event,
		     const char *name)
{
	const unsigned kind = event->kind;
	bool io = sw_trace_is_io(kind), one = event->nr == 1, same;

	if (e->len > SW_TRACE_PAYLOAD_MAX - ITEM_MAX)
		sw_encode_flush(e);
	same = e->nr && event->space == e->space;
	if (kind == SW_TRACE_SPACE) {
		begin(e, kind, event->time_ns);
		put_space(e, event, name);
		e->events++;
		return;
	}
	begin(e,
	      kind | (same && !io ? SW_TRACE_SAME : 0) |
		      (one ? SW_TRACE_ONE : 0),
	      event->time_ns);
	if (!io && !same)
		put_number(e, e->space = event->space);
	if (!one)
		put_number(e, event->nr);
	if (!io)
		put_address(e, event);
	if (!sw_trace_is_out(kind))
		put_number(e, event->latency_ns);
	e->events++;
}

void sw_encode_sample(struct sw_encoder *e, uint64_t now_ns,
		      const struct sw_trace_sample *sample)
{
	const uint64_t *word = (const uint64_t *)sample;

	_Static_assert(sizeof(*sample) == SW_TRACE_SAMPLE_WORDS * 8,
		       "a sample is its words");
	begin(e, SW_TRACE_SAMPLE, now_ns);
	put_number(e, SW_TRACE_SAMPLE_WORDS);
	for (unsigned i = 0; i < SW_TRACE_SAMPLE_WORDS; i++)
		put_number(e, word[i]);
}

void sw_encode_dropped(struct sw_encoder *e, uint64_t now_ns, uint64_t nr)
{
	begin(e, SW_TRACE_DROPPED, now_ns);
	put_number(e, nr);
}

void sw_encode_end(struct sw_encoder *e, uint64_t now_ns, int exit_status,
		   uint64_t dropped)
{
	begin(e, SW_TRACE_END, now_ns);
	put_number(e, exit_status);
	put_number(e, dropped);
	sw_encode_flush(e);
}
