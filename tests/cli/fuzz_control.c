/*
 * fuzz_control.c - any bytes to a session: each packet is answered with one
 * JSON object, and the session is as well as before. Several callers at a time
 * send noise and requests that were damaged, or were not; devices come and go by
 * that, budgets change, swap is checked, while the session samples them for its
 * report as its loop does.
 *
 *      SW_SEED=N SW_ROUNDS=N fuzz_control
 *
 * With clang and -fsanitize=fuzzer, LLVMFuzzerTestOneInput is all that is needed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "run/session_internal.h"

#define CALLERS 3
#define KEPT    4 /* devices that stay on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- a session without programs ---- */

static struct sw_run_options options = { .budget_bytes = 64 << 20 };
static struct session session = { .opt = &options, .budget_bytes = 64 << 20 };
static struct sw_control control = { .kinds = sw_requests, .arg = &session };

static void open_session(void)
{
	static const struct sw_mm_host host;
	const struct sw_mm_config config = { .budget_pages = 1 << 14,
					     .host = &host };

	if (session.mm)
		return;
	sw_list_init(&session.procs);
	sw_mutex_init(&session.procs_lock, "procs", SW_RANK_SESSION);
	SW_BUG_ON(sw_run_options_add_device(&options, "zram:1M"));
	SW_BUG_ON(sw_devices_on(&session.devices, &options));
	session.mm = sw_mm_new(&config);
	SW_BUG_ON(!session.mm || sw_mm_start(session.mm));
	sw_mutex_init(&session.steering, "steering", SW_RANK_STEERING);
	sw_session_stalls_init(&session);
	sw_control_init(&control);
}

static void close_session(void)
{
	sw_mm_stop(session.mm);
	sw_mm_free(session.mm);
	sw_devices_off(&session.devices);
	sw_run_options_release(&options);
}

/* ---- asking it ---- */

static unsigned asked, done; /* [atomic] */

static json_t *ask(const void *data, size_t len)
{
	static __thread char buf[SW_REPLY_MAX];
	int fd[2], bytes = 1 << 20;
	json_t *answer;
	ssize_t n;

	SW_BUG_ON(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	SW_BUG_ON(send(fd[0], data, len, 0) != (ssize_t)len);
	shutdown(fd[0], SHUT_WR);
	sw_control_serve(&control, fd[1]);
	do {
		n = recv(fd[0], buf, sizeof(buf), 0);
		SW_BUG_ON(n <= 0);
		answer = json_loadb(buf, n, 0, NULL);
		SW_BUG_ON(!answer || json_object_size(answer) != 1);
		if (json_object_get(answer, "progress")) {
			json_decref(answer);
			answer = NULL;
		}
	} while (!answer);
	SW_BUG_ON(!json_object_get(answer, "ok") &&
		  !json_string_value(json_object_get(answer, "error")));
	close(fd[0]);
	__atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
	if (json_object_get(answer, "ok"))
		__atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	open_session();
	if (len && len <= 2 * SW_REQUEST_MAX)
		json_decref(ask(data, len));
	return 0;
}

#ifndef SW_LIBFUZZER
static bool ends; /* [atomic] */
static long rounds;

struct caller {
	pthread_t thread;
	uint64_t rng;
};

static uint64_t rnd(struct caller *c, uint64_t below)
{
	c->rng ^= c->rng << 13;
	c->rng ^= c->rng >> 7;
	c->rng ^= c->rng << 17;
	return (c->rng >> 11) % below;
}

static const char *const seeds[] = {
	"{\"request\":\"stall\"}",
	"{\"request\":\"show\"}",
	"{\"request\":\"on\",\"spec\":\"zram:1M\"}",
	"{\"request\":\"on\",\"spec\":\"zram:1M,prio=7\"}",
	"{\"request\":\"off\",\"device\":\"zram1\"}",
	"{\"request\":\"off\",\"device\":\"zram2\"}",
	"{\"request\":\"off\",\"device\":\"zram3\"}",
	"{\"request\":\"set\",\"budget\":\"64M\"}",
	"{\"request\":\"set\",\"budget\":\"9%\"}",
	"{\"request\":\"set\",\"budget\":\"auto\"}",
	"{\"request\":\"reclaim\",\"bytes\":4096}",
	"{\"request\":\"reclaim\",\"bytes\":-1}",
	"{\"request\":\"stat\"}",
	"{\"request\":\"stat\",\"interval_ms\":100}",
	"{\"request\":\"check\"}",
	"{\"request\":\"dump\"}",
	"{\"request\":\"freeze\",\"thaw_on_fault\":true}",
	"{\"request\":\"thaw\"}",
	"{\"request\":\"procs\"}",
	"{\"request\":\"pageout\",\"pid\":4711}",
	"{\"request\":\"map\",\"device\":\"zram0\",\"cells\":77}",
	"{\"request\":\"map\",\"device\":\"zram4\",\"cells\":1}",
};

/* One of: a byte is another one, is gone, or is there twice; the end is. */
static void damage(struct caller *c, char *text, size_t *len)
{
	size_t at = rnd(c, *len);

	switch (rnd(c, 5)) {
	case 0:
		text[at] = rnd(c, 256);
		break;
	case 1:
		text[at] = "{}[]\",:\\0e-u\n"[rnd(c, 13)];
		break;
	case 2:
		memmove(text + at, text + at + 1, *len - at - 1);
		--*len;
		break;
	case 3:
		memmove(text + at + 1, text + at, *len - at);
		++*len;
		break;
	default:
		*len = at;
	}
}

static size_t make_request(struct caller *c, char *text, size_t max)
{
	size_t len;

	if (!rnd(c, 8)) { /* noise, sometimes of more than fits */
		len = 1 + rnd(c, rnd(c, 16) ? 200 : max);
		for (size_t i = 0; i < len; i++)
			text[i] = rnd(c, 256);
		return len;
	}
	strcpy(text, seeds[rnd(c, SW_ARRAY_SIZE(seeds))]);
	len = strlen(text);
	for (uint64_t n = rnd(c, 4); n-- && len;)
		damage(c, text, &len);
	return len ? len : 1;
}

/* What came to be called otherwise by damage does not go by seeds. */
static void drop_devices(void)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	char text[512];
	unsigned nr = sw_devices_list(&session.devices, line);

	for (unsigned i = KEPT; i < nr; i++) {
		int n = snprintf(text, sizeof(text),
				 "{\"request\":\"off\",\"device\":\"%s\"}",
				 line[i].name);

		json_decref(ask(text, n));
	}
}

static void *caller_main(void *arg)
{
	static __thread char text[2 * SW_REQUEST_MAX + 8];
	struct caller *c = arg;

	for (long i = 0; i < rounds; i++) {
		size_t len = make_request(c, text, 2 * SW_REQUEST_MAX);

		LLVMFuzzerTestOneInput((uint8_t *)text, len);
		if (i % 64 == 0)
			drop_devices();
	}
	return NULL;
}

/* What the session's loop does meanwhile. */
static void *sampler_main(void *arg)
{
	while (!__atomic_load_n(&ends, __ATOMIC_RELAXED)) {
		sw_devices_sample(&session.devices);
		(void)sw_devices_memory(&session.devices);
		__atomic_fetch_add(&session.looks, 1, __ATOMIC_RELEASE);
		sched_yield();
	}
	return arg;
}

static void expect_nothing_broken(void)
{
	static const char check[] = "{\"request\":\"check\"}";
	json_t *answer = ask(check, strlen(check));
	int broken = -1;

	json_unpack(answer, "{s:{s:i}}", "ok", "broken", &broken);
	SW_BUG_ON(broken);
	json_decref(answer);
}

int main(void)
{
	const char *env = getenv("SW_SEED"), *nr = getenv("SW_ROUNDS");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	struct caller caller[CALLERS];
	pthread_t sampler;
	json_t *answer;

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	rounds = nr ? atol(nr) : 4000;
	open_session();
	SW_BUG_ON(pthread_create(&sampler, NULL, sampler_main, NULL));
	for (unsigned i = 0; i < CALLERS; i++) {
		caller[i].rng = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
		SW_BUG_ON(pthread_create(&caller[i].thread, NULL, caller_main,
					 &caller[i]));
	}
	for (unsigned i = 0; i < CALLERS; i++)
		pthread_join(caller[i].thread, NULL);
	__atomic_store_n(&ends, true, __ATOMIC_RELAXED);
	pthread_join(sampler, NULL);
	answer = ask(seeds[0], strlen(seeds[0]));
	SW_BUG_ON(!json_object_get(answer, "ok"));
	json_decref(answer);
	expect_nothing_broken();
	close_session();
	printf("%u asked, %u done\n", asked, done);
	return done < asked / 8; /* else it was noise only */
}
#endif
