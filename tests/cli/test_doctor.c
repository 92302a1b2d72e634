/*
 * test_doctor.c - each thing a machine may lack is found, told from what it
 * has, and comes with the line that gives it.
 */
#include "run/doctor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "run/cgroup.h"

static const struct sw_doctor_facts good = {
	.uffd = { .has_ptrace = true },
	.uffd_ways = SW_UFFD_BY_SYSCALL | SW_UFFD_USER_MODE,
	.has_move = true,
	.has_poison = true,
	.ram_bytes = 8ULL << 30,
	.limit_bytes = SW_CGROUP_NO_LIMIT,
	.memlock_bytes = 8ULL << 20,
	.nofile = 65536,
	.thp = "madvise",
	.nr_cpus = 4,
};

static struct sw_doctor_finding find(const struct sw_doctor_facts *facts,
				     const char *what)
{
	struct sw_doctor_finding all[SW_DOCTOR_MAX];
	unsigned nr = sw_doctor_diagnose(facts, all);

	for (unsigned i = 0; i < nr; i++)
		if (!strcmp(all[i].what, what))
			return all[i];
	fail_msg("nothing is said of %s", what);
	return all[0];
}

/* The one finding that is not ok, which has a remedy that names `remedy`. */
static void expect(const struct sw_doctor_facts *facts, const char *what,
		   enum sw_doctor_state state, const char *remedy)
{
	struct sw_doctor_finding all[SW_DOCTOR_MAX];
	unsigned nr = sw_doctor_diagnose(facts, all);

	for (unsigned i = 0; i < nr; i++) {
		if (strcmp(all[i].what, what)) {
			assert_int_equal(all[i].state, SW_DOCTOR_OK);
			assert_string_equal(all[i].remedy, "");
			continue;
		}
		assert_int_equal(all[i].state, state);
		assert_true(*all[i].without);
		assert_non_null(strstr(all[i].remedy, remedy));
	}
}

static void a_good_machine_lacks_nothing(void **state)
{
	expect(&good, "", SW_DOCTOR_OK, "");
}

static void userfaultfd_is_judged_as_by_run(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.uffd.api_errno = EINVAL;
	facts.uffd.missing = 1 << 16;
	strcpy(facts.uffd.release, "6.1.0");
	expect(&facts, "userfaultfd", SW_DOCTOR_NO,
	       "(6.1.0) lacks MOVE; Linux 6.8");
}

static void the_device_file_will_do(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.uffd.syscall_errno = EPERM;
	facts.uffd_ways = SW_UFFD_BY_DEVICE | SW_UFFD_USER_MODE;
	expect(&facts, "", SW_DOCTOR_OK, "");
	assert_string_equal(find(&facts, "userfaultfd").found,
			    "by /dev/userfaultfd, with all we need");
	facts.uffd_ways |= SW_UFFD_BY_SYSCALL;
	assert_string_equal(
		find(&facts, "userfaultfd").found,
		"by its system call and /dev/userfaultfd, with all we need");
}

static void what_is_not_enough_is_named(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.uffd.syscall_errno = facts.uffd.device_errno = EPERM;
	facts.uffd_ways = SW_UFFD_USER_MODE;
	expect(&facts, "userfaultfd", SW_DOCTOR_NO, "userfaultfd");
	assert_string_equal(
		find(&facts, "userfaultfd").found,
		"for faults in user mode only, which is not enough");
	facts.uffd_ways = 0;
	facts.has_move = facts.has_poison = false;
	expect(&facts, "userfaultfd", SW_DOCTOR_NO, "userfaultfd");
	assert_string_equal(find(&facts, "userfaultfd").found,
			    "none, which is not enough");
	assert_string_equal(find(&facts, "move").found, "not known");
	assert_string_equal(find(&facts, "poison").found, "not known");
}

static void without_move_no_session(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.has_move = false;
	expect(&facts, "move", SW_DOCTOR_NO, "Linux 6.8");
	assert_string_equal(find(&facts, "move").found, "no");
}

static void a_filter_that_refuses_a_call_is_one(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.seccomp = 2;
	strcpy(facts.refused, "process_vm_readv");
	expect(&facts, "seccomp", SW_DOCTOR_NO, "--security-opt seccomp=");
	assert_string_equal(find(&facts, "seccomp").found,
			    "a filter is in force, refused: process_vm_readv");
}

static void little_locked_memory_keeps_no_keys(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.memlock_bytes = 64 << 10;
	expect(&facts, "locked memory", SW_DOCTOR_LESS, "LimitMEMLOCK=");
	facts.locks_freely = true;
	expect(&facts, "", SW_DOCTOR_OK, "");
}

static void huge_pages_may_be_off_or_absent(void **state)
{
	struct sw_doctor_facts facts = good;

	strcpy(facts.thp, "never");
	expect(&facts, "huge pages", SW_DOCTOR_LESS, "echo madvise >/sys/");
	facts.thp[0] = '\0';
	expect(&facts, "huge pages", SW_DOCTOR_LESS,
	       "CONFIG_TRANSPARENT_HUGEPAGE");
	assert_string_equal(find(&facts, "huge pages").found,
			    "none in this kernel");
}

static void the_remedy_fits_the_place(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.uffd.has_ptrace = false;
	expect(&facts, "capability", SW_DOCTOR_NO, "AmbientCapabilities=");
	facts.in_container = true;
	expect(&facts, "capability", SW_DOCTOR_NO, "--cap-add SYS_PTRACE");
}

static void a_capability_may_be_of_a_namespace(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.in_user_namespace = true;
	assert_string_equal(find(&facts, "capability").found,
			    "CAP_SYS_PTRACE, of this user namespace only");
	assert_string_equal(find(&facts, "container").found,
			    "none noticed, in a user namespace");
}

static void a_program_that_gains_rights_cannot_preload(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.loader_ignores_us = true;
	expect(&facts, "preload", SW_DOCTOR_NO, "set-user-ID");
}

static void an_older_kernel_kills_where_it_would_signal(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.has_poison = false;
	expect(&facts, "poison", SW_DOCTOR_LESS, "Linux 6.6");
}

static void io_uring_forbidden_and_absent_are_two_things(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.uring_errno = EPERM;
	expect(&facts, "io_uring", SW_DOCTOR_LESS,
	       "sysctl kernel.io_uring_disabled=0");
	facts.uring_errno = ENOSYS;
	expect(&facts, "io_uring", SW_DOCTOR_LESS, "CONFIG_IO_URING");
	facts.uring_errno = ENOMEM;
	expect(&facts, "io_uring", SW_DOCTOR_LESS, "ulimit -l");
}

static void a_filter_alone_is_no_fault(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.seccomp = 2;
	expect(&facts, "", SW_DOCTOR_OK, "");
	assert_string_equal(find(&facts, "seccomp").found,
			    "a filter is in force");
}

static void a_limit_around_us_is_told(void **state)
{
	struct sw_doctor_facts facts = good;

	assert_string_equal(find(&facts, "memory limit").found,
			    "none; RAM is 8G");
	facts.limit_bytes = 512ULL << 20;
	assert_string_equal(
		find(&facts, "memory limit").found,
		"512M of 8G: budget and compressed memory count in it");
}

static void few_descriptors_are_few_processes(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.nofile = 1024;
	expect(&facts, "descriptors", SW_DOCTOR_LESS, "LimitNOFILE=");
	assert_string_equal(find(&facts, "descriptors").found,
			    "1024: some 128 processes at once");
}

static void strict_overcommit_is_told(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.overcommit = 2;
	expect(&facts, "overcommit", SW_DOCTOR_LESS,
	       "sysctl vm.overcommit_memory=0");
}

static void one_cpu_is_less(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.nr_cpus = 1;
	expect(&facts, "cpus", SW_DOCTOR_LESS, "taskset");
}

static void what_has_no_limit_says_so(void **state)
{
	struct sw_doctor_facts facts = good;

	facts.memlock_bytes = UINT64_MAX;
	facts.nofile = UINT64_MAX;
	expect(&facts, "", SW_DOCTOR_OK, "");
	assert_string_equal(find(&facts, "locked memory").found, "no limit");
	assert_string_equal(find(&facts, "descriptors").found, "no limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_machine_lacks_nothing),
		cmocka_unit_test(userfaultfd_is_judged_as_by_run),
		cmocka_unit_test(the_device_file_will_do),
		cmocka_unit_test(what_is_not_enough_is_named),
		cmocka_unit_test(without_move_no_session),
		cmocka_unit_test(a_filter_that_refuses_a_call_is_one),
		cmocka_unit_test(little_locked_memory_keeps_no_keys),
		cmocka_unit_test(huge_pages_may_be_off_or_absent),
		cmocka_unit_test(the_remedy_fits_the_place),
		cmocka_unit_test(a_capability_may_be_of_a_namespace),
		cmocka_unit_test(a_program_that_gains_rights_cannot_preload),
		cmocka_unit_test(an_older_kernel_kills_where_it_would_signal),
		cmocka_unit_test(io_uring_forbidden_and_absent_are_two_things),
		cmocka_unit_test(a_filter_alone_is_no_fault),
		cmocka_unit_test(a_limit_around_us_is_told),
		cmocka_unit_test(few_descriptors_are_few_processes),
		cmocka_unit_test(strict_overcommit_is_told),
		cmocka_unit_test(one_cpu_is_less),
		cmocka_unit_test(what_has_no_limit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
