/*
 * test_control.c - who asks is answered, whatever was sent; nobody waits for
 * who stalls, another user is turned away, and the end waits for nobody.
 */
#include "run/control.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/time.h"

#define NOBODY 65534

/* ---- what can be asked here ---- */

static json_t *echo(struct sw_call *call, const json_t *request, void *arg)
{
	(void)call;
	(void)arg;
	return json_pack("{s:O}", "said", json_object_get(request, "say"));
}

static json_t *refuse(struct sw_call *call, const json_t *request, void *arg)
{
	(void)call;
	(void)request;
	(void)arg;
	sw_error("%s", "there is none left");
	sw_error("%s", "and this came later");
	return NULL;
}

static json_t *no_text(struct sw_call *call, const json_t *request, void *arg)
{
	(void)call;
	(void)request;
	(void)arg;
	sw_error("%s", "no file \xff");
	return NULL;
}

static unsigned waiting; /* [atomic] calls of wait_for_end() */
static unsigned told;    /* [atomic] how often they said how far they are */

static json_t *wait_for_end(struct sw_call *call, const json_t *request,
			    void *arg)
{
	(void)request;
	(void)arg;
	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELEASE);
	while (sw_call_goes_on(call)) {
		sw_call_progress(call, json_pack("{s:i}", "left", 7));
		__atomic_fetch_add(&told, 1, __ATOMIC_RELEASE);
		poll(NULL, 0, 1);
	}
	poll(NULL, 0, 20); /* it takes a while to come to an end */
	__atomic_fetch_sub(&waiting, 1, __ATOMIC_RELEASE);
	sw_error("called off");
	return NULL;
}

static json_t *huge(struct sw_call *call, const json_t *request, void *arg)
{
	static char text[SW_REPLY_MAX];

	(void)call;
	(void)request;
	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	return json_string(text);
}

/* An answer in 100 pieces, of which none may be missing. */
static json_t *pieces(struct sw_call *call, const json_t *request, void *arg)
{
	static char text[60000];

	(void)request;
	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 100; i++)
		if (!sw_call_piece(call, json_pack("[i, s]", i, text)))
			return NULL;
	return json_string("all");
}

static const struct sw_request_kind kinds[] = {
	{ "echo", echo },
	{ "fail", refuse },
	{ "wait", wait_for_end },
	{ "huge", huge },
	{ "pieces", pieces },
	{ "no_text", no_text },
	{ 0 },
};

/* ---- asking it ---- */

static struct sw_control control = { .kinds = kinds };

static int setup(void **state)
{
	(void)state;
	sw_control_init(&control);
	return 0;
}

static void await(unsigned nr)
{
	for (unsigned ms = 0; ms < 20000; ms++) {
		if (__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) == nr)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("%u wait, not %u", waiting, nr);
}

static unsigned times_told(void)
{
	return __atomic_load_n(&told, __ATOMIC_ACQUIRE);
}

static char reply[SW_REPLY_MAX + 1];

/* What one packet is answered with, in this thread. */
static const char *say_bytes(const void *bytes, size_t len)
{
	ssize_t n;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	assert_int_equal(send(fd[0], bytes, len, 0), len);
	sw_control_serve(&control, fd[1]);
	n = recv(fd[0], reply, sizeof(reply) - 1, 0);
	assert_true(n >= 0);
	reply[n] = 0;
	close(fd[0]);
	return reply;
}

static const char *say(const char *text)
{
	return say_bytes(text, strlen(text));
}

static void a_request_is_answered(void **state)
{
	(void)state;
	assert_string_equal(say("{\"request\":\"echo\",\"say\":[1,2]}"),
			    "{\"ok\":{\"said\":[1,2]}}");
}

static void the_first_reason_of_a_failure_comes_back(void **state)
{
	(void)state;
	assert_string_equal(say("{\"request\":\"fail\"}"),
			    "{\"error\":\"there is none left\"}");
	assert_string_equal(
		say("{\"request\":\"no_text\"}"),
		"{\"error\":\"it failed, and the reason is not UTF-8\"}");
}

static void what_is_no_request_is_an_error(void **state)
{
	static const char *const bad[] = {
		"x",
		"{",
		"[]",
		"{}",
		"\"echo\"",
		"{\"request\":7}",
		"{\"request\":null}",
		"{\"request\":\"nothing\"}",
		"{\"request\":\"e\",\"say\":1}",
		"{\"request\":\"echoes\",\"say\":1}",
		"{\"request\":\"fail\",\"request\":\"echo\",\"say\":1}",
		"{\"request\":\"\\u0000\"}",
		"{\"request\":\"\xff\"}",
		"{\"request\":\"echo\"} {}",
		"{\"request\":\"echo\"}", /* nothing to say */
	};

	(void)state;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(bad); i++) {
		if (strncmp(say(bad[i]), "{\"error\":\"", 10) ||
		    strstr(reply, "none left"))
			fail_msg("%s is answered with %s", bad[i], reply);
	}
}

static void what_is_too_large_is_an_error(void **state)
{
	static char request[SW_REQUEST_MAX + 1];

	(void)state;
	memset(request, ' ', sizeof(request));
	memcpy(request, "{\"request\":\"echo\",\"say\":1}", 26);
	assert_string_equal(say_bytes(request, SW_REQUEST_MAX),
			    "{\"ok\":{\"said\":1}}");
	say_bytes(request, SW_REQUEST_MAX + 1);
	assert_string_equal(
		reply, "{\"error\":\"a request has at most 16384 bytes\"}");
}

static void an_answer_that_cannot_be_sent_ends_the_call(void **state)
{
	(void)state;
	assert_string_equal(say("{\"request\":\"huge\"}"), "");
}

/* ---- several at a time ---- */

static int listening(struct sockaddr_un *un, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*len = sizeof(sa_family_t); /* the kernel thinks of a name */
	assert_int_equal(bind(fd, (struct sockaddr *)un, *len), 0);
	*len = sizeof(*un);
	assert_int_equal(getsockname(fd, (struct sockaddr *)un, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int come(const struct sockaddr_un *un, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)un, len), 0);
	return fd;
}

static void ask(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* The next packet that is no progress. */
static const char *answer(int fd)
{
	ssize_t n;

	do {
		n = recv(fd, reply, sizeof(reply) - 1, 0);
		reply[n > 0 ? n : 0] = 0;
	} while (!strncmp(reply, "{\"progress\"", 11));
	return reply;
}

/* More than the socket holds: who answers waits for who reads. */
static void no_piece_of_an_answer_is_lost(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int listen = listening(&un, &len), fd;
	char want[40];

	(void)state;
	sw_control_init(&control);
	assert_int_equal(sw_control_start(&control, listen), 0);
	fd = come(&un, len);
	ask(fd, "{\"request\":\"pieces\"}");
	for (int i = 0; i < 100; i++) {
		assert_true(recv(fd, reply, sizeof(reply) - 1, 0) > 60000);
		snprintf(want, sizeof(want), "{\"progress\":[%d,\"xxx", i);
		assert_memory_equal(reply, want, strlen(want));
	}
	assert_string_equal(answer(fd), "{\"ok\":\"all\"}");
	close(fd);
	sw_control_stop(&control);
	close(listen);
}

static void nobody_waits_for_who_stalls(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int listen = listening(&un, &len), silent, slow, deaf, quick;
	uint64_t start_ns;

	(void)state;
	sw_control_init(&control);
	assert_int_equal(sw_control_start(&control, listen), 0);
	silent = come(&un, len); /* never asks */
	slow = come(&un, len);
	ask(slow, "{\"request\":\"wait\"}");
	deaf = come(&un, len); /* never reads its progress */
	ask(deaf, "{\"request\":\"wait\"}");
	await(2);
	quick = come(&un, len);
	ask(quick, "{\"request\":\"echo\",\"say\":1}");
	assert_string_equal(answer(quick), "{\"ok\":{\"said\":1}}");

	/* To hang up is to call off; a shut side still hears the answer. */
	close(deaf);
	await(1);
	shutdown(slow, SHUT_WR);
	assert_string_equal(answer(slow), "{\"error\":\"called off\"}");

	slow = come(&un, len);
	ask(slow, "{\"request\":\"wait\"}");
	await(1);
	/* The end waits for all, and for nobody who could keep it waiting: 5 s is
	 * how long who came has to ask. */
	start_ns = sw_now_ns();
	sw_control_stop(&control);
	assert_true(sw_now_ns() - start_ns < 4000000000ull);
	assert_int_equal(waiting, 0);
	assert_string_equal(answer(slow), "{\"error\":\"called off\"}");
	close(silent);
	close(slow);
	close(quick);
	close(listen);
}

/* Far more than its socket holds: what it does not read is left out. */
static void nothing_stands_still_for_who_is_deaf(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int listen = listening(&un, &len), deaf;
	unsigned from = times_told();

	(void)state;
	sw_control_init(&control);
	assert_int_equal(sw_control_start(&control, listen), 0);
	deaf = come(&un, len);
	ask(deaf, "{\"request\":\"wait\"}");
	for (unsigned ms = 0; ms < 20000 && times_told() - from < 1500; ms++)
		poll(NULL, 0, 1);
	assert_true(times_told() - from >= 1500);
	close(deaf);
	await(0);
	sw_control_stop(&control);
	close(listen);
}

static void too_many_are_turned_away(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int listen = listening(&un, &len), fd[20];

	(void)state;
	sw_control_init(&control);
	assert_int_equal(sw_control_start(&control, listen), 0);
	for (unsigned i = 0; i < 16; i++) {
		fd[i] = come(&un, len);
		ask(fd[i], "{\"request\":\"wait\"}");
	}
	await(16);
	fd[16] = come(&un, len);
	assert_non_null(strstr(answer(fd[16]), "busy"));
	for (unsigned i = 0; i <= 16; i++)
		close(fd[i]);
	await(0);
	fd[0] = come(&un, len);
	ask(fd[0], "{\"request\":\"echo\",\"say\":1}");
	/* The last of them may still be on its way out. */
	answer(fd[0]);
	assert_true(strstr(reply, "said") || strstr(reply, "busy"));
	close(fd[0]);
	sw_control_stop(&control);
	close(listen);
}

/* ---- who asks ---- */

static void ask_as(uid_t uid, const struct sockaddr_un *un, socklen_t len)
{
	int fd;

	if (setgid(uid) || setuid(uid))
		_exit(1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (connect(fd, (struct sockaddr *)un, len))
		_exit(2);
	(void)!send(fd, "{\"request\":\"echo\",\"say\":1}", 26, MSG_NOSIGNAL);
	raise(SIGSTOP); /* until it was answered, and hung up on */
	_exit(recv(fd, reply, sizeof(reply) - 1,
		   0) > 0 && !strncmp(reply,
				      "{\"error\":\"the session is another", 32)
		      ? 0
		      : 3);
}

static void another_user_is_turned_away(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int listen = listening(&un, &len), status, fd;
	struct pollfd p = { .fd = listen, .events = POLLIN };
	pid_t child;

	(void)state;
	if (geteuid()) {
		close(listen);
		skip();
	}
	sw_control_init(&control);
	child = fork();
	if (!child)
		ask_as(NOBODY, &un, len);
	assert_int_equal(poll(&p, 1, 20000), 1);
	fd = accept(listen, NULL, NULL);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	sw_control_serve(&control, fd);
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(listen);
}

static void root_may_ask_anybodys_session(void **state)
{
	int fd[2], status;
	pid_t child;
	ssize_t n;

	(void)state;
	if (geteuid())
		skip();
	/* Who is at the other end is who made the pair. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	sw_control_init(&control);
	child = fork();
	if (!child) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		sw_control_serve(&control, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	ask(fd[0], "{\"request\":\"echo\",\"say\":1}");
	n = recv(fd[0], reply, sizeof(reply) - 1, 0);
	reply[n > 0 ? n : 0] = 0;
	assert_string_equal(reply, "{\"ok\":{\"said\":1}}");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered),
		cmocka_unit_test(the_first_reason_of_a_failure_comes_back),
		cmocka_unit_test(what_is_no_request_is_an_error),
		cmocka_unit_test(what_is_too_large_is_an_error),
		cmocka_unit_test(an_answer_that_cannot_be_sent_ends_the_call),
		cmocka_unit_test(no_piece_of_an_answer_is_lost),
		cmocka_unit_test(nobody_waits_for_who_stalls),
		cmocka_unit_test(nothing_stands_still_for_who_is_deaf),
		cmocka_unit_test(too_many_are_turned_away),
		cmocka_unit_test(another_user_is_turned_away),
		cmocka_unit_test(root_may_ask_anybodys_session),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
