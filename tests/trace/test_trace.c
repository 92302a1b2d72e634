/* test_trace.c - what is written to a trace is what is read from it, and what
 * was cut off or damaged is not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/encode.h"
#include "trace/reader.h"
#include "trace/recorder.h"

#define START 5000000ull

static uint64_t seed = 1;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- files ---- */

struct file {
	char path[64];
	int fd;
};

static struct file file_new(void)
{
	struct file f = { .path = "/tmp/test_trace.XXXXXX" };

	f.fd = mkstemp(f.path);
	assert_true(f.fd >= 0);
	return f;
}

static void file_free(struct file *f)
{
	close(f->fd);
	unlink(f->path);
}

/* ---- a model: the list of what was written ---- */

#define MODEL 40000

static struct sw_trace_item model[MODEL];
static unsigned nr_model;

/* Any number of bits. */
static uint64_t any(unsigned bits)
{
	return chance() >> (64 - bits) >> chance() % bits;
}

static void random_event(struct sw_trace_item *item, uint64_t ns)
{
	struct sw_trace_event *e = &item->event;

	e->kind = item->kind = 1 + chance() % (SW_NR_TRACE_KINDS - 1);
	e->time_ns = START + ns;
	if (!sw_trace_is_io(e->kind)) {
		/* Two that share a place in the table of contexts. */
		e->space =
			chance() % 3 ? 1 + chance() % 3 : 1 + SW_TRACE_CONTEXTS;
		e->page = e->kind == SW_TRACE_SPACE ? any(32) : any(52);
	}
	if (e->kind == SW_TRACE_SPACE) {
		snprintf(item->name, sizeof(item->name), "name %u",
			 (unsigned)any(20));
		return;
	}
	e->nr = chance() % 2 ? 1 : any(16);
	if (!sw_trace_is_out(e->kind))
		e->latency_ns = any(64);
}

static void write_random(struct sw_encoder *e, struct sw_trace_item *item)
{
	uint64_t *word = (uint64_t *)&item->sample;

	switch (chance() % 50) {
	case 0:
		item->kind = SW_TRACE_SAMPLE;
		for (unsigned i = 0; i < SW_TRACE_SAMPLE_WORDS; i++)
			word[i] = any(64);
		sw_encode_sample(e, START + item->time_ns, &item->sample);
		return;
	case 1:
		item->kind = SW_TRACE_DROPPED;
		item->dropped = any(64);
		sw_encode_dropped(e, START + item->time_ns, item->dropped);
		return;
	default:
		random_event(item, item->time_ns);
		sw_encode_event(e, &item->event, item->name);
	}
}

static char *const argv[] = { "a", "", "b c", NULL };

/* Writes `nr` random items, and the end. */
static void write_model(int fd, unsigned nr)
{
	struct sw_encoder *e = malloc(sizeof(*e));
	uint64_t ns = 0;

	assert_non_null(e);
	assert_int_equal(sw_encode_head(e, fd, START, argv, 1 << 20), 0);
	memset(model, 0, sizeof(model));
	for (nr_model = 0; nr_model < nr; nr_model++) {
		model[nr_model].time_ns = ns += any(36);
		write_random(e, &model[nr_model]);
		if (nr_model % 17 == 7)
			sw_encode_flush(e);
	}
	model[nr_model].kind = SW_TRACE_END;
	model[nr_model].time_ns = ns;
	model[nr_model].exit_status = 137;
	model[nr_model++].dropped = 99;
	sw_encode_end(e, START + ns, 137, 99);
	assert_int_equal(e->err, 0);
	free(e);
}

static void expect_item(const struct sw_trace_item *got,
			const struct sw_trace_item *want)
{
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->time_ns, want->time_ns);
	if (want->kind == SW_TRACE_SAMPLE) {
		assert_memory_equal(&got->sample, &want->sample,
				    sizeof(want->sample));
		return;
	}
	if (want->kind == SW_TRACE_DROPPED || want->kind == SW_TRACE_END) {
		assert_int_equal(got->dropped, want->dropped);
		return;
	}
	assert_int_equal(got->event.kind, want->event.kind);
	assert_int_equal(got->event.space, want->event.space);
	assert_int_equal(got->event.page, want->event.page);
	assert_int_equal(got->event.nr, want->event.nr);
	assert_int_equal(got->event.latency_ns, want->event.latency_ns);
	if (want->kind == SW_TRACE_SPACE)
		assert_string_equal(got->name, want->name);
}

/* Reads items, each of which is that of the model; returns how many. */
static unsigned read_model(struct sw_trace_reader *r)
{
	struct sw_trace_item item;
	unsigned n = 0;
	int got;

	while ((got = sw_trace_next(r, &item)) > 0) {
		assert_true(n < nr_model);
		expect_item(&item, &model[n++]);
	}
	assert_int_equal(got, 0);
	return n;
}

static void what_is_written_is_read_twice(void **state)
{
	struct file f = file_new();
	struct sw_trace_reader *r;
	struct stat st;
	uint64_t bytes;

	write_model(f.fd, MODEL - 1);
	assert_int_equal(sw_trace_open(f.path, &r), 0);
	assert_int_equal(sw_trace_head(r)->budget_bytes, 1 << 20);
	assert_int_equal(sw_trace_head(r)->command_bytes, 7);
	assert_memory_equal(sw_trace_head(r)->command, "a\0\0b c", 7);
	assert_int_equal(read_model(r), nr_model);
	assert_int_equal(sw_trace_ending(r, &bytes), SW_TRACE_COMPLETE);
	assert_int_equal(sw_trace_rewind(r), 0);
	assert_int_equal(read_model(r), nr_model);
	assert_int_equal(sw_trace_ending(r, &bytes), SW_TRACE_COMPLETE);
	sw_trace_close(r);
	fstat(f.fd, &st);
	assert_true(st.st_size > 4 * SW_TRACE_PAYLOAD_MAX);
	file_free(&f);
}

/* ---- what is not whole ---- */

#define SMALL 60

/* Where blocks begin, and how many items are before them. */
struct blocks {
	unsigned char *file;
	size_t len;
	size_t at[SMALL];
	unsigned before[SMALL], nr;
};

static uint32_t le32(const unsigned char *b)
{
	return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

static struct blocks read_blocks(int fd)
{
	struct blocks b = { .file = malloc(1 << 20) };
	unsigned items = 0;
	size_t at;

	b.len = pread(fd, b.file, 1 << 20, 0);
	for (at = le32(b.file + 12); at < b.len;
	     at += SW_TRACE_BLOCK_HEAD + le32(b.file + at + 4)) {
		b.at[b.nr] = at;
		b.before[b.nr++] = items;
		items += le32(b.file + at + 12);
	}
	assert_int_equal(at, b.len);
	b.at[b.nr] = at;
	b.before[b.nr] = items;
	assert_true(b.nr > 2);
	return b;
}

/* The block that byte `at` is in; b->nr: it is the end. */
static unsigned block_of(const struct blocks *b, size_t at)
{
	unsigned i = 0;

	while (i < b->nr && b->at[i + 1] <= at)
		i++;
	return i;
}

static void cut_file_is_read_up_to_its_end(void **state)
{
	struct file f = file_new();
	struct sw_trace_reader *r;
	struct blocks b;
	uint64_t bytes;

	write_model(f.fd, SMALL);
	b = read_blocks(f.fd);
	for (size_t len = b.len; len--;) {
		unsigned i = block_of(&b, len);

		assert_int_equal(ftruncate(f.fd, len), 0);
		if (len < b.at[0]) {
			assert_int_equal(sw_trace_open(f.path, &r), -EINVAL);
			continue;
		}
		assert_int_equal(sw_trace_open(f.path, &r), 0);
		for (unsigned turn = 0; turn < 2; turn++) {
			assert_int_equal(read_model(r), b.before[i]);
			assert_int_equal(sw_trace_ending(r, &bytes),
					 SW_TRACE_CUT);
			assert_int_equal(bytes, b.at[i]);
			assert_int_equal(sw_trace_rewind(r), 0);
		}
		sw_trace_close(r);
	}
	free(b.file);
	file_free(&f);
}

static void flipped_bit_is_noticed(void **state)
{
	struct file f = file_new();
	struct blocks b;

	write_model(f.fd, SMALL);
	b = read_blocks(f.fd);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		unsigned char byte = b.file[bit / 8] ^ 1 << bit % 8;
		struct sw_trace_reader *r;
		uint64_t bytes;
		int err;

		assert_int_equal(pwrite(f.fd, &byte, 1, bit / 8), 1);
		err = sw_trace_open(f.path, &r);
		if (bit / 8 < b.at[0]) {
			assert_true(err == -EINVAL || err == -ENOTSUP);
		} else {
			unsigned i = block_of(&b, bit / 8);

			assert_int_equal(err, 0);
			assert_int_equal(read_model(r), b.before[i]);
			/* A longer block may look as if it were cut. */
			assert_int_not_equal(sw_trace_ending(r, &bytes),
					     SW_TRACE_COMPLETE);
			assert_int_equal(bytes, b.at[i]);
			sw_trace_close(r);
		}
		assert_int_equal(pwrite(f.fd, &b.file[bit / 8], 1, bit / 8), 1);
	}
	free(b.file);
	file_free(&f);
}

static void what_is_no_trace_is_refused(void **state)
{
	struct sw_trace_reader *r;
	unsigned char two = 2;
	struct file f = file_new();

	assert_int_equal(sw_trace_open("/no/such/file", &r), -ENOENT);
	assert_int_equal(sw_trace_open("/dev/null", &r), -EINVAL);
	assert_int_equal(sw_trace_open("/proc/self/exe", &r), -EINVAL);
	assert_int_equal(sw_trace_open("/tmp", &r), -EISDIR);
	write_model(f.fd, SMALL);
	assert_int_equal(pwrite(f.fd, &two, 1, 8), 1);
	assert_int_equal(sw_trace_open(f.path, &r), -ENOTSUP);
	file_free(&f);
}

/* ---- the recorder ---- */

#define TELLERS 4
#define EVENTS  60000u

static unsigned samples; /* [atomic] */

static void sample(void *arg, struct sw_trace_sample *s)
{
	s->budget = __atomic_add_fetch(&samples, 1, __ATOMIC_RELAXED);
}

static void *teller(void *arg)
{
	struct sw_trace_event e = { .kind = SW_TRACE_DISK,
				    .nr = 1,
				    .space = 1 + (uintptr_t)arg };

	for (unsigned i = 0; i < EVENTS; i++) {
		e.page = i;
		sw_trace_end(1, &e); /* its latency tells when it was */
	}
	return NULL;
}

/* All events told, or counted as dropped; in the order of time, but for those
 * whose thread lost its CPU on the way to the ring. */
static uint64_t check_recorded(const char *path)
{
	uint64_t next[TELLERS + 1] = { 0 }, last_ns = 0, dropped = 0, nr = 0;
	uint64_t last = 0, late = 0;
	struct sw_trace_reader *r;
	struct sw_trace_item item;
	unsigned seen = 0;

	assert_int_equal(sw_trace_open(path, &r), 0);
	while (sw_trace_next(r, &item) > 0) {
		assert_true(item.time_ns >= last_ns);
		last_ns = item.time_ns;
		if (item.kind == SW_TRACE_DISK) {
			assert_in_range(item.event.space, 1, TELLERS);
			assert_true(item.event.page >= next[item.event.space]);
			next[item.event.space] = item.event.page + 1;
			late += item.event.latency_ns < last;
			last = sw_max(last, item.event.latency_ns);
			nr++;
		} else if (item.kind == SW_TRACE_SAMPLE) {
			assert_int_equal(item.sample.budget, ++seen);
		} else if (item.kind == SW_TRACE_DROPPED) {
			dropped += item.dropped;
		} else {
			assert_int_equal(item.kind, SW_TRACE_END);
			assert_int_equal(item.exit_status, 3);
			assert_int_equal(item.dropped, dropped);
		}
	}
	assert_true(late * 100 <= nr);
	assert_int_equal(seen, samples);
	assert_int_equal(nr + dropped, (uint64_t)TELLERS * EVENTS);
	sw_trace_close(r);
	return dropped;
}

static struct sw_recorder *start(const char *path)
{
	const struct sw_recorder_config config = { .path = path,
						   .argv = argv,
						   .sample = sample };
	struct sw_recorder *r;

	samples = 0;
	assert_int_equal(sw_recorder_start(&r, &config), 0);
	return r;
}

static void tell_all(void)
{
	pthread_t thread[TELLERS];

	for (uintptr_t i = 0; i < TELLERS; i++)
		pthread_create(&thread[i], NULL, teller, (void *)i);
	for (unsigned i = 0; i < TELLERS; i++)
		pthread_join(thread[i], NULL);
}

static void what_threads_tell_is_recorded_in_order(void **state)
{
	struct file f = file_new();

	for (unsigned turn = 0; turn < 3; turn++) {
		struct sw_recorder *r = start(f.path);

		assert_true(sw_trace_is_on());
		tell_all();
		assert_int_equal(sw_recorder_stop(r, 3), 0);
		assert_false(sw_trace_is_on());
		assert_int_equal(sw_trace_begin(), 0);
		check_recorded(f.path);
	}
	file_free(&f);
}

struct drain {
	int from, to;
};

static void *drain(void *arg)
{
	struct drain *d = arg;
	char buf[65536];
	ssize_t n;

	while ((n = read(d->from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(d->to, buf, n), n);
	return NULL;
}

/* A pipe that nobody empties is a disk that takes for ever. */
static void slow_disk_drops_events_and_stalls_nobody(void **state)
{
	struct file f = file_new();
	struct sw_recorder *r;
	char fifo[80];
	struct drain d = { .to = f.fd };
	pthread_t thread;

	snprintf(fifo, sizeof(fifo), "%s.fifo", f.path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	d.from = open(fifo, O_RDONLY | O_NONBLOCK);
	assert_true(d.from >= 0);
	r = start(fifo);
	tell_all(); /* comes back although nothing goes on */
	fcntl(d.from, F_SETFL, 0);
	pthread_create(&thread, NULL, drain, &d);
	assert_int_equal(sw_recorder_stop(r, 3), 0);
	pthread_join(thread, NULL);
	assert_true(check_recorded(f.path) > 0);
	close(d.from);
	unlink(fifo);
	file_free(&f);
}

static void full_disk_is_an_error(void **state)
{
	const struct sw_recorder_config config = { .path = "/dev/full",
						   .argv = argv,
						   .sample = sample };
	struct sw_recorder *r;

	assert_int_equal(sw_recorder_start(&r, &config), -ENOSPC);
	assert_false(sw_trace_is_on());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_twice),
		cmocka_unit_test(cut_file_is_read_up_to_its_end),
		cmocka_unit_test(flipped_bit_is_noticed),
		cmocka_unit_test(what_is_no_trace_is_refused),
		cmocka_unit_test(what_threads_tell_is_recorded_in_order),
		cmocka_unit_test(slow_disk_drops_events_and_stalls_nobody),
		cmocka_unit_test(full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
