/*
 * test_door.c - sessions are found by name, by pid or as the only one, in a
 * folder that is their user's alone; the dead leave nothing that lasts.
 */
#include "run/door.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define NOBODY 65534

static char folder[] = "/tmp/spillway-door.XXXXXX";
static char said[1024];

static void hear(void *arg, const char *text)
{
	(void)arg;
	snprintf(said, sizeof(said), "%s", text);
}

/* Every door of this test is in a folder of its own, which takes not being
 * root, whose folder is everybody's. */
static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || setenv("XDG_RUNTIME_DIR", folder, 1))
		return -1;
	if (!geteuid() &&
	    (chown(folder, NOBODY, NOBODY) || setgid(NOBODY) || setuid(NOBODY)))
		return -1;
	sw_log_divert(SW_LOG_ERROR, hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) < 0;
}

static const char *path_of(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/spillway/%s", folder, name);
	return path;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_mode & 07777;
}

static void finds(const char *target)
{
	int fd = sw_door_knock(target);

	if (fd < 0)
		print_error("%s\n", said);
	assert_true(fd >= 0);
	close(fd);
}

static void finds_not(const char *target, int err, const char *why)
{
	*said = 0;
	assert_int_equal(sw_door_knock(target), err);
	if (!strstr(said, why))
		print_error("'%s' is not in: %s\n", why, said);
	assert_non_null(strstr(said, why));
}

static void a_name_is_no_number_and_no_path(void **state)
{
	static const char *const good[] = { "a", "redis-1", "7.2", "A_b",
					    "0x" };
	static const char *const bad[] = {
		"",   "1",  "4711", "a/b", ".",
		"..", ".a", "a b",  "a\n", "\xc3\xa4"
	};

	(void)state;
	for (unsigned i = 0; i < SW_ARRAY_SIZE(good); i++)
		assert_true(sw_door_is_name(good[i]));
	for (unsigned i = 0; i < SW_ARRAY_SIZE(bad); i++)
		assert_false(sw_door_is_name(bad[i]));
}

static void nobody_is_found_where_nobody_is(void **state)
{
	(void)state;
	finds_not(NULL, -ENOENT, "no session of yours is running");
	finds_not("redis", -ENOENT, "no session 'redis' of yours");
}

static void a_session_is_found_by_name_by_pid_and_alone(void **state)
{
	struct sw_door door;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_int_equal(sw_door_open(&door, "redis"), 0);
	finds("redis");
	finds(pid);
	finds(NULL);
	finds_not("redi", -ENOENT, "no session 'redi'");
	sw_door_close(&door);
	finds_not("redis", -ENOENT, "no session 'redis'");

	assert_int_equal(sw_door_open(&door, NULL), 0);
	assert_string_equal(door.name, pid);
	finds(pid);
	sw_door_close(&door);
}

static void the_socket_is_private(void **state)
{
	struct sw_door door;

	(void)state;
	assert_int_equal(sw_door_open(&door, "redis"), 0);
	assert_int_equal(mode_of("redis"), 0600);
	assert_int_equal(mode_of(""), 0700);
	sw_door_close(&door);
	assert_int_equal(access(path_of("redis"), F_OK), -1);
}

static void a_folder_open_to_others_is_not_used(void **state)
{
	struct sw_door door;

	(void)state;
	assert_int_equal(chmod(path_of(""), 0750), 0);
	assert_int_equal(sw_door_open(&door, "redis"), -EPERM);
	assert_int_equal(door.dir, -EPERM);
	finds_not(NULL, -EPERM, "not private");
	assert_int_equal(chmod(path_of(""), 0700), 0);
}

/* Nor one that is elsewhere, or nobody knows where. */
static void a_folder_is_in_its_place(void **state)
{
	char real[100], link[100];
	struct sw_door door;

	(void)state;
	snprintf(link, sizeof(link), "%s/spillway", folder);
	snprintf(real, sizeof(real), "%s/elsewhere", folder);
	assert_int_equal(rename(link, real), 0);
	assert_int_equal(symlink(real, link), 0);
	assert_true(sw_door_open(&door, "redis") < 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rename(real, link), 0);

	assert_int_equal(chdir("/tmp"), 0);
	setenv("XDG_RUNTIME_DIR", folder + strlen("/tmp/"), 1);
	assert_int_equal(sw_door_open(&door, "redis"), -ENOENT);
	setenv("XDG_RUNTIME_DIR", folder, 1);
}

static void of_several_one_has_to_be_chosen(void **state)
{
	struct sw_door a, b;
	int fd;

	(void)state;
	assert_int_equal(sw_door_open(&a, "a"), 0);
	assert_int_equal(sw_door_open(&b, "b"), 0);
	finds("a");
	while ((fd = accept(a.listen, NULL, NULL)) >= 0)
		close(fd);
	finds("b"); /* without a knock at the other's door */
	assert_int_equal(accept(a.listen, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	finds_not(NULL, -ENOTUNIQ, "choose one");
	assert_true(strstr(said, "a, b") || strstr(said, "b, a"));
	sw_door_close(&a);
	finds(NULL);
	sw_door_close(&b);
}

static void two_sessions_do_not_share_a_name(void **state)
{
	struct sw_door a, b;

	(void)state;
	assert_int_equal(sw_door_open(&a, "a"), 0);
	assert_int_equal(sw_door_open(&b, "a"), -EADDRINUSE);
	finds("a");
	sw_door_close(&a);
}

/* What a session leaves that was killed: a socket, and nobody at it. */
static void leave_dead(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path_of(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	assert_int_equal(access(path_of(name), F_OK), 0);
}

static void add_name(void *arg, const char *name)
{
	char *names = arg;

	strcat(names, name);
	strcat(names, " ");
}

static void all_that_live_are_called_out(void **state)
{
	char names[256] = "";
	struct sw_door a, b;

	(void)state;
	assert_int_equal(sw_door_for_each(add_name, names), 0);
	assert_int_equal(sw_door_open(&a, "a"), 0);
	assert_int_equal(sw_door_open(&b, "b"), 0);
	leave_dead("dead");
	assert_int_equal(sw_door_for_each(add_name, names), 2);
	assert_true(!strcmp(names, "a b ") || !strcmp(names, "b a "));
	sw_door_close(&a);
	sw_door_close(&b);
	unlink(path_of("dead"));
	assert_int_equal(sw_door_for_each(add_name, names), 0);
}

static void the_dead_are_not_found_and_swept_away(void **state)
{
	struct sw_door door;

	(void)state;
	leave_dead("dead");
	leave_dead("redis");
	finds_not(NULL, -ENOENT, "no session");
	finds_not("dead", -ENOENT, "no session 'dead'");
	assert_int_equal(sw_door_open(&door, "redis"), 0);
	assert_int_equal(access(path_of("dead"), F_OK), -1);
	finds(NULL);
	sw_door_close(&door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_no_number_and_no_path),
		cmocka_unit_test(nobody_is_found_where_nobody_is),
		cmocka_unit_test(a_session_is_found_by_name_by_pid_and_alone),
		cmocka_unit_test(the_socket_is_private),
		cmocka_unit_test(a_folder_open_to_others_is_not_used),
		cmocka_unit_test(a_folder_is_in_its_place),
		cmocka_unit_test(of_several_one_has_to_be_chosen),
		cmocka_unit_test(two_sessions_do_not_share_a_name),
		cmocka_unit_test(all_that_live_are_called_out),
		cmocka_unit_test(the_dead_are_not_found_and_swept_away),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
