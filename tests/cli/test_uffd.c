/*
 * test_uffd.c - what a user is told when userfaultfd cannot be used: each
 * way it can fail, with the line as a whole.
 */
#include "run/uffd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FEATURE_THREAD_ID (1ULL << 8)
#define FEATURE_MOVE      (1ULL << 16)

static void expect(struct sw_uffd_facts facts, const char *want)
{
	char line[320] = "";

	strcpy(facts.release, "6.1.0-test");
	assert_int_equal(sw_uffd_usable(&facts, line, sizeof(line)), !want);
	assert_string_equal(line, want ? want : "");
}

static void either_way_to_open_is_enough(void **state)
{
	expect((struct sw_uffd_facts){ .has_ptrace = true }, NULL);
	expect((struct sw_uffd_facts){ .syscall_errno = EPERM,
				       .has_ptrace = true },
	       NULL);
}

static void without_rights_the_capability_is_named(void **state)
{
	expect((struct sw_uffd_facts){ .syscall_errno = EPERM,
				       .device_errno = EACCES },
	       "userfaultfd is not permitted; run as root or with "
	       "CAP_SYS_PTRACE (sysctl vm.unprivileged_userfaultfd=1 or "
	       "access to /dev/userfaultfd is not enough: following forks "
	       "needs the capability)");
}

static void a_filter_is_told_from_missing_rights(void **state)
{
	expect((struct sw_uffd_facts){ .syscall_errno = EPERM,
				       .device_errno = ENOENT,
				       .has_ptrace = true },
	       "userfaultfd is refused in spite of CAP_SYS_PTRACE, by a "
	       "seccomp filter or a user namespace; let the container's "
	       "profile allow userfaultfd(2), or give it /dev/userfaultfd");
}

static void a_kernel_without_it_is_named(void **state)
{
	expect((struct sw_uffd_facts){ .syscall_errno = ENOSYS,
				       .device_errno = ENOENT,
				       .has_ptrace = true },
	       "this kernel has no userfaultfd, or a seccomp filter hides "
	       "it; Linux 6.8 or newer with CONFIG_USERFAULTFD is needed");
}

static void other_failures_to_open_are_passed_on(void **state)
{
	expect((struct sw_uffd_facts){ .syscall_errno = EMFILE,
				       .device_errno = EMFILE },
	       "cannot open a userfaultfd: Too many open files");
}

static void an_old_kernel_is_told_what_it_lacks(void **state)
{
	expect((struct sw_uffd_facts){ .api_errno = EINVAL,
				       .missing = FEATURE_MOVE },
	       "userfaultfd of this kernel (6.1.0-test) lacks MOVE; Linux "
	       "6.8 or newer is needed");
	expect((struct sw_uffd_facts){ .api_errno = EINVAL,
				       .missing = FEATURE_MOVE |
						  FEATURE_THREAD_ID },
	       "userfaultfd of this kernel (6.1.0-test) lacks THREAD_ID, "
	       "MOVE; Linux 6.8 or newer is needed");
}

static void following_forks_needs_the_capability(void **state)
{
	expect((struct sw_uffd_facts){ .api_errno = EPERM },
	       "userfaultfd may not follow forks without CAP_SYS_PTRACE; "
	       "run as root or add the capability");
	expect((struct sw_uffd_facts){ .api_errno = EPERM, .has_ptrace = true },
	       "userfaultfd does not follow forks in a user namespace; run "
	       "as root outside of it");
}

static void other_refusals_of_features_are_passed_on(void **state)
{
	expect((struct sw_uffd_facts){ .api_errno = EFAULT },
	       "userfaultfd refuses its features: Bad address");
}

static void the_probe_leaves_no_descriptor(void **state)
{
	struct sw_uffd_facts facts;
	int before = dup(0), after;

	close(before);
	sw_uffd_probe(&facts);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_true(facts.release[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_way_to_open_is_enough),
		cmocka_unit_test(without_rights_the_capability_is_named),
		cmocka_unit_test(a_filter_is_told_from_missing_rights),
		cmocka_unit_test(a_kernel_without_it_is_named),
		cmocka_unit_test(other_failures_to_open_are_passed_on),
		cmocka_unit_test(an_old_kernel_is_told_what_it_lacks),
		cmocka_unit_test(following_forks_needs_the_capability),
		cmocka_unit_test(other_refusals_of_features_are_passed_on),
		cmocka_unit_test(the_probe_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
