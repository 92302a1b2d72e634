/*
 * test_cgroup.c - the limit around us, from files as the kernel writes them
 * in both versions of control groups.
 */
#include "run/cgroup.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

static char root[] = "/tmp/test_cgroup.XXXXXX";

/* Writes a file below the root, with the folders it needs. */
static void put(const char *path, const char *text)
{
	char cmd[2 * PATH_MAX];

	snprintf(cmd, sizeof(cmd),
		 "mkdir -p \"$(dirname '%s%s')\" && "
		 "printf '%s\\n' >'%s%s'",
		 root, path, text, root, path);
	assert_int_equal(system(cmd), 0);
}

static int make_root(void **state)
{
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char cmd[PATH_MAX];

	snprintf(cmd, sizeof(cmd), "rm -r '%s'", root);
	return system(cmd);
}

static void nothing_known_is_no_limit(void **state)
{
	assert_int_equal(sw_cgroup_limit(root), SW_CGROUP_NO_LIMIT);
}

static void version_1_is_read(void **state)
{
	put("/proc/self/cgroup", "5:cpu,cpuacct:/a\\n4:memory:/a/b");
	put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "104857600");
	put("/sys/fs/cgroup/cpu/a/memory.limit_in_bytes", "1");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
}

static void no_limit_of_version_1_is_none(void **state)
{
	put("/proc/self/cgroup", "4:memory:/a");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
	    "9223372036854771712");
	assert_int_equal(sw_cgroup_limit(root), SW_CGROUP_NO_LIMIT);
}

static void version_2_is_read(void **state)
{
	put("/proc/self/cgroup", "0::/a.slice/b.scope");
	put("/sys/fs/cgroup/a.slice/b.scope/memory.max", "209715200");
	put("/sys/fs/cgroup/a.slice/b.scope/memory.high", "max");
	assert_int_equal(sw_cgroup_limit(root), 200 * MIB);
}

static void what_slows_down_is_a_limit(void **state)
{
	put("/proc/self/cgroup", "0::/a");
	put("/sys/fs/cgroup/a/memory.max", "max");
	put("/sys/fs/cgroup/a/memory.high", "52428800");
	assert_int_equal(sw_cgroup_limit(root), 50 * MIB);
}

static void the_smallest_above_counts(void **state)
{
	put("/proc/self/cgroup", "0::/a/b");
	put("/sys/fs/cgroup/a/b/memory.max", "209715200");
	put("/sys/fs/cgroup/a/memory.max", "104857600");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
}

static void in_a_container_the_mount_is_our_group(void **state)
{
	put("/proc/self/cgroup", "4:memory:/docker/0123");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
}

static void in_a_namespace_the_root_is_our_group(void **state)
{
	put("/proc/self/cgroup", "0::/");
	put("/sys/fs/cgroup/memory.max", "104857600");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
}

static void both_versions_at_once(void **state)
{
	put("/proc/self/cgroup", "4:memory:/a\\n0::/a");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "104857600");
	put("/sys/fs/cgroup/unified/a/memory.max", "max");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
	put("/sys/fs/cgroup/unified/a/memory.max", "52428800");
	assert_int_equal(sw_cgroup_limit(root), 50 * MIB);
}

static void the_controller_may_be_one_of_several(void **state)
{
	put("/proc/self/cgroup", "4:cpu,memory,pids:/a");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "104857600");
	assert_int_equal(sw_cgroup_limit(root), 100 * MIB);
}

static void groups_of_other_controllers_are_not_ours(void **state)
{
	put("/proc/self/cgroup",
	    "5:memory_more:/a\n4:cpu:/b\n1:name=systemd:/b");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "104857600");
	put("/sys/fs/cgroup/b/memory.max", "104857600");
	assert_int_equal(sw_cgroup_limit(root), SW_CGROUP_NO_LIMIT);
}

static void lines_of_another_form_say_nothing(void **state)
{
	put("/proc/self/cgroup", "memory\\n4:memory\\n\\n:memory:");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "soon");
	assert_int_equal(sw_cgroup_limit(root), SW_CGROUP_NO_LIMIT);
}

#define in_root(test) \
	cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_root(nothing_known_is_no_limit),
		in_root(version_1_is_read),
		in_root(no_limit_of_version_1_is_none),
		in_root(version_2_is_read),
		in_root(what_slows_down_is_a_limit),
		in_root(the_smallest_above_counts),
		in_root(in_a_container_the_mount_is_our_group),
		in_root(in_a_namespace_the_root_is_our_group),
		in_root(both_versions_at_once),
		in_root(the_controller_may_be_one_of_several),
		in_root(groups_of_other_controllers_are_not_ours),
		in_root(lines_of_another_form_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
