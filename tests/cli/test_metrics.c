/*
 * test_metrics.c - the figures move by what was done, names are escaped, and the
 * server answers or hangs up on whatever it is sent. (tests/e2e/metrics.sh reads
 * the text of real sessions, and is strict about it.)
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/counters.h"
#include "mm/mm_internal.h"
#include "run/session_internal.h"

static struct sw_run_options options = { .budget_bytes = 64 << 20 };
static struct session session = { .opt = &options };
static char folder[] = "/tmp/spillway-metrics.XXXXXX";
static char address[64];

static int setup(void **state)
{
	static const struct sw_mm_host host;
	const struct sw_mm_config config = { .budget_pages = 1 << 14,
					     .host = &host };

	(void)state;
	if (!mkdtemp(folder) ||
	    sw_run_options_add_device(&options, "zram:1M") ||
	    sw_devices_on(&session.devices, &options))
		return -1;
	snprintf(address, sizeof(address), "unix:%s/m", folder);
	session.mm = sw_mm_new(&config);
	sw_session_stalls_init(&session);
	return session.mm ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sw_mm_free(session.mm);
	sw_devices_off(&session.devices);
	sw_run_options_release(&options);
	return rmdir(folder);
}

static char *text_now(void)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	sw_metrics_write(&session, out);
	fclose(out);
	return text;
}

/* The value of the line that begins with `sample`; -1: there is none. */
static int64_t value_of(const char *text, const char *sample)
{
	size_t len = strlen(sample);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!strncmp(text, sample, len) && text[len] == ' ')
			return strtoll(text + len, NULL, 10);
	}
	return -1;
}

/* ---- figures ---- */

/* Calls fn for each counter without labels. */
static unsigned for_each_counter(const char *text,
				 void (*fn)(const char *name, int64_t value,
					    void *arg),
				 void *arg)
{
	unsigned nr = 0;

	for (const char *p = text; (p = strstr(p, "# TYPE ")); nr++) {
		char name[80], type[16];

		assert_int_equal(sscanf(p, "# TYPE %79s %15s", name, type), 2);
		p += 7;
		nr -= strcmp(type, "counter") || value_of(text, name) < 0;
		if (!strcmp(type, "counter") && value_of(text, name) >= 0)
			fn(name, value_of(text, name), arg);
	}
	return nr;
}

struct moved {
	const char *before;
	bool seen[SW_NR_COUNTERS];
};

/* Counter i went up by i + 1. */
static void has_moved(const char *name, int64_t value, void *arg)
{
	struct moved *m = arg;
	int64_t by = value - value_of(m->before, name);

	if (by < 1 || by > SW_NR_COUNTERS || m->seen[by - 1])
		fail_msg("%s moved by %lld", name, (long long)by);
	m->seen[by - 1] = true;
}

static void each_counter_moves_by_what_was_counted(void **state)
{
	struct moved m = { 0 };
	char *after;

	(void)state;
	m.before = text_now();
	for (unsigned i = 0; i < SW_NR_COUNTERS; i++)
		sw_counters[i] += i + 1;
	after = text_now();
	assert_true(for_each_counter(after, has_moved, &m) >= 32);
	assert_true(m.seen[SW_CTR_pgfault]);
	assert_int_equal(
		value_of(after, "spillway_swapout_pages_total") -
			value_of(m.before, "spillway_swapout_pages_total"),
		SW_CTR_pswpout + 1);
	free((char *)m.before);
	free(after);
}

static double real_of(json_t *answer, const char *line, const char *name)
{
	return json_number_value(
		json_object_get(json_object_get(answer, line), name));
}

/* The same, for who asks by the control socket. */
static void the_request_tells_in_percent(void)
{
	json_t *answer = sw_answer_stall(NULL, NULL, &session);

	assert_int_equal(json_object_size(answer), 3);
	assert_true(real_of(answer, "some", "total_us") == 1500000);
	assert_true(real_of(answer, "full", "total_us") == 250000);
	assert_int_equal(real_of(answer, "some", "avg10") * 1000, 13595);
	assert_int_equal(real_of(answer, "some", "avg60") * 1000, 2458);
	assert_int_equal(real_of(answer, "full", "avg300") * 1000, 83);
	assert_int_equal(json_object_size(json_object_get(answer, "latency")),
			 SW_NR_TIERS);
	json_decref(answer);
}

static void stalls_are_told_in_seconds(void **state)
{
	const uint64_t stalled[] = { 1500000000, 250000001 };
	char *text;

	(void)state;
	sw_pressure_add(&session.stalls.pressure, 2000000000, stalled);
	text = text_now();
	assert_non_null(strstr(
		text,
		"\nspillway_stall_seconds_total{kind=\"some\"} 1.500000000\n"
		"spillway_stall_seconds_total{kind=\"full\"} 0.250000001\n"));
	/* 0.75 * (1 - e^(-2/10)) */
	assert_non_null(strstr(
		text,
		"\nspillway_stall_ratio{kind=\"some\",window=\"10s\"} 0.1359519"));
	free(text);
	the_request_tells_in_percent();
}

static void a_fault_is_in_the_buckets_that_hold_it(void **state)
{
	static const char *const holds[] = { "0.000002048", "0.000004096",
					     "17.179869184", "+Inf" };
	struct sw_hist *h = &session.mm->stalls.gone.tier[SW_TIER_DISK];
	char *text, sample[80];

	(void)state;
	sw_hist_add(h, 1024); /* its bound is in it */
	sw_hist_add(h, 1025);
	sw_hist_add(h, 1ull << 40);
	text = text_now();
	assert_int_equal(
		value_of(
			text,
			"spillway_fault_seconds_bucket{tier=\"disk\",le=\"0.000001024\"}"),
		1);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(
			sample, sizeof(sample),
			"spillway_fault_seconds_bucket{tier=\"disk\",le=\"%s\"}",
			holds[i]);
		assert_int_equal(value_of(text, sample), i < 3 ? 2 : 3);
	}
	assert_int_equal(
		value_of(text, "spillway_fault_seconds_count{tier=\"disk\"}"),
		3);
	assert_non_null(strstr(
		text,
		"\nspillway_fault_seconds_sum{tier=\"disk\"} 1099.511629825\n"));
	free(text);
}

static void device_names_are_escaped(void **state)
{
	char *name = session.devices.report[0].name, old[256], *text;

	(void)state;
	strcpy(old, name);
	strcpy(name, "file:/a\"b\\c\nd\xc3\xa9");
	text = text_now();
	assert_non_null(strstr(text,
			       "{device=\"file:/a\\\"b\\\\c\\nd\xc3\xa9\","
			       "kind=\"zram\",type=\"0\"} "));
	free(text);
	strcpy(name, "file:/\xc3\xa9\xff"); /* no UTF-8 */
	text = text_now();
	assert_non_null(strstr(text, "{device=\"file:/???\","));
	free(text);
	strcpy(name, old);
}

/* ---- the server ---- */

static void open_server(struct sw_metrics *m)
{
	*m = (struct sw_metrics){ .listen = -1,
				  .write = sw_metrics_write,
				  .arg = &session };
	assert_int_equal(sw_metrics_open(m, address), 0);
	assert_int_equal(sw_metrics_start(m), 0);
}

static int come(const struct sw_metrics *m)
{
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, &m->at.any, m->at.len), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* Sends it all and reads until the server hangs up. Returns what came first. */
static ssize_t ask(const struct sw_metrics *m, const void *data, size_t len,
		   char *answer, size_t max)
{
	int fd = come(m);
	ssize_t got = 0, n;
	char junk[4096];

	(void)!send(fd, data, len, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, junk, sizeof(junk), 0)) > 0) {
		size_t part = sw_min((size_t)n, max - 1 - got);

		memcpy(answer + got, junk, part);
		got += part;
	}
	assert_true(!n || errno != EAGAIN); /* it does not leave us waiting */
	answer[got] = '\0';
	close(fd);
	return got;
}

static void the_socket_goes_with_the_server(void **state)
{
	struct sw_metrics m, late = { .listen = -1 };
	char answer[16];

	(void)state;
	open_server(&m);
	assert_int_equal(sw_metrics_open(&late, address), -EADDRINUSE);
	sw_metrics_close(&late);
	assert_true(ask(&m, "GET /metrics HTTP/1.1\r\n\r\n", 25, answer,
			sizeof(answer)) > 0);
	assert_string_equal(answer, "HTTP/1.1 200 OK");
	sw_metrics_close(&m);
	assert_int_equal(access(m.at.un.sun_path, F_OK), -1);
}

static void a_file_of_somebody_else_is_left(void **state)
{
	struct sw_metrics m, other;

	(void)state;
	open_server(&m);
	assert_int_equal(unlink(m.at.un.sun_path), 0);
	open_server(&other);
	sw_metrics_close(&m);
	assert_int_equal(access(other.at.un.sun_path, F_OK), 0);
	sw_metrics_close(&other);
	assert_int_equal(access(other.at.un.sun_path, F_OK), -1);
}

static void a_file_that_is_no_socket_is_left(void **state)
{
	static const char *const suffixes[] = { "", ".new" };
	char path[80];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sw_metrics m = { .listen = -1 };

		snprintf(path, sizeof(path), "%s/m%s", folder, suffixes[i]);
		fclose(fopen(path, "w"));
		assert_int_equal(sw_metrics_open(&m, address), -EEXIST);
		sw_metrics_close(&m);
		assert_int_equal(unlink(path), 0);
	}
}

static void closing_hangs_up_on_who_is_there(void **state)
{
	struct sw_metrics m;
	int fd[20];
	char byte;

	(void)state;
	open_server(&m);
	for (unsigned i = 0; i < 20; i++)
		fd[i] = come(&m);
	(void)!send(fd[19], "GET", 3, MSG_NOSIGNAL);
	sw_metrics_close(&m);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(recv(fd[i], &byte, 1, 0) <= 0 && errno != EAGAIN);
		close(fd[i]);
	}
}

static uint64_t rng;

static uint64_t rnd(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % below;
}

/* A request, damaged. */
static size_t make_request(char *buf, size_t max)
{
	static const char *const seeds[] = {
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /metrics HTTP/1.0\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
		"GET /metrics?a=b HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
		"\r\n\r\n",
		"  HTTP/1.1\r\n\r\n",
	};
	size_t len = snprintf(buf, max, "%s", seeds[rnd(6)]);

	for (unsigned n = rnd(5); n; n--)
		buf[rnd(len)] = rnd(4) ? rnd(256) : (uint64_t) " \r\n/"[rnd(4)];
	if (!rnd(8)) {
		memset(buf + rnd(len), 'a' + rnd(26), max - len);
		len = rnd(max) + 1;
	}
	return len;
}

static void any_bytes_are_answered_or_hung_up_on(void **state)
{
	const char *seed = getenv("SW_SEED");
	char buf[6000], answer[64];
	struct sw_metrics m;

	(void)state;
	rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;
	printf("seed %" PRIu64 "\n", rng);
	open_server(&m);
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = make_request(buf, sizeof(buf));
		ssize_t n = ask(&m, buf, len, answer, sizeof(answer));

		if (n && strncmp(answer, "HTTP/1.1 ", 9))
			fail_msg("answered '%s'", answer);
	}
	sw_metrics_close(&m);
}

static void any_address_is_read_or_refused(void **state)
{
	static const char *const seeds[] = { "unix:/run/x",
					     "tcp:127.0.0.1:9400",
					     "tcp:[::1]:9400", "tcp:[]:1" };
	struct sw_metrics_address at;
	int quiet = dup(STDERR_FILENO);

	(void)state;
	(void)!freopen("/dev/null", "w", stderr);
	for (unsigned i = 0; i < 20000; i++) {
		char text[64];
		size_t len = snprintf(text, sizeof(text), "%s", seeds[rnd(4)]);

		for (unsigned n = rnd(4); n; n--)
			text[rnd(len)] = rnd(2) ? (uint64_t) "[]:.0127"[rnd(8)]
						: rnd(256);
		if (!sw_metrics_parse(text, &at))
			assert_true(at.len && at.len <= sizeof(at.space));
	}
	fflush(stderr);
	dup2(quiet, STDERR_FILENO);
	close(quiet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counter_moves_by_what_was_counted),
		cmocka_unit_test(stalls_are_told_in_seconds),
		cmocka_unit_test(a_fault_is_in_the_buckets_that_hold_it),
		cmocka_unit_test(device_names_are_escaped),
		cmocka_unit_test(the_socket_goes_with_the_server),
		cmocka_unit_test(a_file_of_somebody_else_is_left),
		cmocka_unit_test(a_file_that_is_no_socket_is_left),
		cmocka_unit_test(closing_hangs_up_on_who_is_there),
		cmocka_unit_test(any_bytes_are_answered_or_hung_up_on),
		cmocka_unit_test(any_address_is_read_or_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
