/*
 * test_listing.c - the list of a session's processes: in few packets however many
 * there are, each once, and nothing in it that a terminal would obey.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "asked.h"

#define MANY      200
#define NO_PID(i) (0x3fff0000 + (i)) /* above what the kernel gives */

static int setup(void **state)
{
	(void)state;
	return asked_open("zram:1M", NULL);
}

static json_t *processes_of(const json_t *parts)
{
	json_t *all = json_array(), *part;
	size_t i;

	json_array_foreach(parts, i, part)
		json_array_extend(all, json_object_get(part, "processes"));
	return all;
}

static json_int_t number(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static void many_come_in_few_packets(void **state)
{
	json_t *parts = json_array(), *answer, *all, *ok;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		f.session.known[i] = NO_PID(MANY - i);
	f.session.nr_known = MANY;
	answer = ask("{\"request\":\"procs\"}", parts);
	f.session.nr_known = 0;
	ok = json_object_get(answer, "ok");
	all = processes_of(parts);
	assert_int_equal(json_array_size(parts), 4);
	assert_int_equal(json_array_size(all), MANY);
	assert_int_equal(number(ok, "processes"), MANY);
	for (unsigned i = 0; i < MANY; i++) {
		const json_t *p = json_array_get(all, i);

		assert_int_equal(number(p, "pid"), NO_PID(i + 1));
		assert_int_equal(number(p, "resident_bytes"), 0);
		assert_true(json_is_false(json_object_get(p, "managed")));
		assert_string_equal(
			json_string_value(json_object_get(p, "command")),
			"[gone]");
	}
	json_decref(all);
	json_decref(parts);
	json_decref(answer);
}

static void the_session_is_described(void **state)
{
	json_t *parts = json_array();
	json_t *answer = ask("{\"request\":\"procs\"}", parts), *ok, *device;

	(void)state;
	ok = json_object_get(answer, "ok");
	assert_string_equal(json_string_value(json_object_get(ok, "session")),
			    "test");
	assert_int_equal(number(ok, "pid"), getpid());
	assert_int_equal(number(ok, "budget_bytes"), 64 << 20);
	device = json_array_get(json_object_get(ok, "devices"), 0);
	assert_string_equal(json_string_value(json_object_get(device, "name")),
			    "zram0");
	assert_int_equal(number(device, "size_bytes"), 1 << 20);
	assert_int_equal(json_array_size(parts), 0);
	json_decref(parts);
	json_decref(answer);
}

/* Seen without an agent at first, and then it said hello. */
static void who_is_known_twice_is_listed_once(void **state)
{
	struct sw_proc p = { .at = { .pid = getpid() } };
	json_t *parts = json_array(), *answer, *all;

	(void)state;
	p.listed = sw_space_new(f.session.mm);
	assert_non_null(p.listed);
	sw_space_attach(p.listed);
	sw_list_add_tail(&f.session.procs, &p.node);
	f.session.known[0] = getpid();
	f.session.nr_known = 1;
	answer = ask("{\"request\":\"procs\"}", parts);
	f.session.nr_known = 0;
	sw_list_del(&p.node);
	sw_space_free(p.listed);
	all = processes_of(parts);
	assert_int_equal(json_array_size(all), 1);
	assert_true(json_is_true(
		json_object_get(json_array_get(all, 0), "managed")));
	assert_true(number(json_array_get(all, 0), "resident_bytes") > 0);
	json_decref(all);
	json_decref(parts);
	json_decref(answer);
}

static void expect_error(const char *request, const char *want)
{
	json_t *parts = json_array(), *answer = ask(request, parts);
	const char *error = json_string_value(json_object_get(answer, "error"));

	assert_non_null(error);
	if (!strstr(error, want))
		fail_msg("'%s' is not in: %s", want, error);
	json_decref(parts);
	json_decref(answer);
}

static void what_cannot_be_paged_out_is_said(void **state)
{
	struct sw_proc p = { .at = { .pid = getpid() } };
	char request[80];

	(void)state;
	expect_error("{\"request\":\"pageout\"}", "says no \"pid\"");
	expect_error("{\"request\":\"pageout\",\"pid\":\"1\"}",
		     "says no \"pid\"");
	expect_error("{\"request\":\"pageout\",\"pid\":1}",
		     "no process 1 is in the session");
	sw_list_add_tail(&f.session.procs, &p.node);
	snprintf(request, sizeof(request),
		 "{\"request\":\"pageout\",\"pid\":%d}", getpid());
	expect_error(request, "is not managed yet");
	sw_list_del(&p.node);
}

static void what_cannot_be_drawn_is_said(void **state)
{
	(void)state;
	expect_error("{\"request\":\"map\"}", "says no \"device\"");
	expect_error("{\"request\":\"map\",\"device\":\"zram0\"}", "\"cells\"");
	expect_error("{\"request\":\"map\",\"device\":\"zram0\",\"cells\":0}",
		     "from 1 to 16384");
	expect_error(
		"{\"request\":\"map\",\"device\":\"zram0\",\"cells\":16385}",
		"from 1 to 16384");
	expect_error("{\"request\":\"map\",\"device\":\"zram7\",\"cells\":1}",
		     "zram7: no such device is on");
}

/* ---- what a process says of itself ---- */

static void expect_readable(const char *text, const char *want)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%s", text);
	sw_make_readable(buf);
	assert_string_equal(buf, want);
}

static void nothing_steers_a_terminal(void **state)
{
	(void)state;
	expect_readable("plain -x 1", "plain -x 1");
	expect_readable("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98",
			"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x98");
	expect_readable("\033[2J\007\n\t\177x", "?[2J????x");
	expect_readable("\xc2\x9b"
			"31m",
			"??31m");                    /* a control of 8 bits */
	expect_readable("\xc0\xaf\xff", "???");      /* no UTF-8 */
	expect_readable("\xed\xa0\x80", "???");      /* half of a pair */
	expect_readable("\xf4\x90\x80\x80", "????"); /* beyond the last one */
	expect_readable("\xe2\x82", "??");           /* cut off */
	expect_readable("", "");
}

/* A process of the given words, until it is killed. */
static pid_t start(char *const argv[])
{
	int pipe_fd[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		execv("/bin/sleep", argv);
		_exit(1);
	}
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], &byte, 1), 0); /* it is sleep now */
	close(pipe_fd[0]);
	return pid;
}

static void expect_command(char *const argv[], const char *want)
{
	char text[SW_COMMAND_MAX];
	pid_t pid = start(argv);

	sw_command_of(pid, text);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_string_equal(text, want);
}

static void a_command_is_its_words(void **state)
{
	char want[SW_COMMAND_MAX], *last = want + SW_COMMAND_MAX - 1;
	char name[SW_COMMAND_MAX * 2];
	char *evil[] = { (char *)"a\033b", (char *)"1000", NULL };
	char *longer[] = { name, (char *)"1000", NULL };

	(void)state;
	expect_command(evil, "a?b 1000");
	/* Cut where a character of two bytes would be cut in two. */
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	memcpy(name + SW_COMMAND_MAX - 2, "\xc3\xbc", 2);
	memset(want, 'n', sizeof(want));
	last[-1] = 0;
	expect_command(longer, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_come_in_few_packets),
		cmocka_unit_test(the_session_is_described),
		cmocka_unit_test(who_is_known_twice_is_listed_once),
		cmocka_unit_test(what_cannot_be_paged_out_is_said),
		cmocka_unit_test(what_cannot_be_drawn_is_said),
		cmocka_unit_test(nothing_steers_a_terminal),
		cmocka_unit_test(a_command_is_its_words),
	};

	return cmocka_run_group_tests(tests, setup, asked_close);
}
