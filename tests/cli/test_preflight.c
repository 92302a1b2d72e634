/*
 * test_preflight.c - which commands are found, and which are let through.
 * The refusals, with their lines, are in commands.sh and privileges.sh.
 */
#include "run/preflight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/elf.h"

static char folder[] = "/tmp/spillway-preflight.XXXXXX";
static char first_dir[64], second_dir[64];

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static const char *in(const char *dir, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int setup(void **state)
{
	if (!mkdtemp(folder) || chdir(folder))
		return -1;
	snprintf(first_dir, sizeof(first_dir), "%s/first", folder);
	snprintf(second_dir, sizeof(second_dir), "%s/second", folder);
	if (mkdir(first_dir, 0755) || mkdir(second_dir, 0755))
		return -1;
	write_file(in(first_dir, "locked"), "", 0644);
	write_file(in(first_dir, "both"), "", 0644);
	write_file(in(second_dir, "both"), "", 0755);
	mkdir(in(first_dir, "folder"), 0755);
	write_file(in(folder, "here"), "", 0755);
	return 0;
}

static int teardown(void **state)
{
	char command[128]; /* tests have been at PATH */

	snprintf(command, sizeof(command), "/bin/rm -rf '%s'", folder);
	return chdir("/") || system(command);
}

static void with_path(const char *format)
{
	char path[256];

	snprintf(path, sizeof(path), format, first_dir, second_dir);
	setenv("PATH", path, 1);
}

static void lookup_takes_the_first_that_may_be_executed(void **state)
{
	char path[PATH_MAX];

	with_path("%s:%s");
	assert_int_equal(sw_command_lookup("both", path), 0);
	assert_string_equal(path, in(second_dir, "both"));
	assert_int_equal(sw_command_lookup("locked", path), -EACCES);
	assert_int_equal(sw_command_lookup("folder", path), -EACCES);
	assert_int_equal(sw_command_lookup("none", path), -ENOENT);
	assert_int_equal(sw_command_lookup("", path), -ENOENT);
}

static void an_empty_element_is_the_current_folder(void **state)
{
	char path[PATH_MAX];

	with_path("%s:%s:");
	assert_int_equal(sw_command_lookup("here", path), 0);
	assert_string_equal(path, "./here");
	with_path(":%s:%s");
	assert_int_equal(sw_command_lookup("here", path), 0);
	with_path("%s:%s");
	assert_int_equal(sw_command_lookup("here", path), -ENOENT);
}

static void a_slash_means_no_search(void **state)
{
	char path[PATH_MAX];

	with_path("%s:%s");
	assert_int_equal(sw_command_lookup("./here", path), 0);
	assert_int_equal(sw_command_lookup("first/both", path), -EACCES);
	assert_int_equal(sw_command_lookup("here/", path), -ENOTDIR);
}

static void without_path_the_system_folders_are_searched(void **state)
{
	char path[PATH_MAX];

	unsetenv("PATH");
	assert_int_equal(sw_command_lookup("sh", path), 0);
	assert_string_equal(path, "/bin/sh");
}

static void names_of_any_length_are_safe(void **state)
{
	char path[PATH_MAX], *name = malloc(3 * PATH_MAX);

	memset(name, 'x', 3 * PATH_MAX - 1);
	name[3 * PATH_MAX - 1] = '\0';
	with_path("%s:%s");
	assert_int_equal(sw_command_lookup(name, path), -ENAMETOOLONG);
	name[PATH_MAX - 1] = '\0';
	assert_int_equal(sw_command_lookup(name, path), -ENOENT);
	free(name);
}

static void programs_and_scripts_are_let_through(void **state)
{
	write_file(in(folder, "script"), "#!/bin/sh\nexit 0\n", 0755);
	write_file(in(folder, "spaced"), "#!  \t/usr/bin/env sh\n", 0755);
	write_file(in(folder, "nested"), "#!./script\n", 0755);
	/* execvp gives these to the shell. */
	write_file(in(folder, "bare"), "exit 0\n", 0755);
	write_file(in(folder, "empty"), "", 0755);
	write_file(in(folder, "nobody"), "#!\n", 0755);

	assert_int_equal(sw_preflight_command("/bin/true"), 0);
	assert_int_equal(sw_preflight_command("./script"), 0);
	assert_int_equal(sw_preflight_command("./spaced"), 0);
	assert_int_equal(sw_preflight_command("./nested"), 0);
	assert_int_equal(sw_preflight_command("./bare"), 0);
	assert_int_equal(sw_preflight_command("./empty"), 0);
	assert_int_equal(sw_preflight_command("./nobody"), 0);
}

/* The loader has no loader, yet it preloads into what it starts. */
static void the_loader_as_a_command_is_let_through(void **state)
{
	struct sw_elf_info info = { 0 };
	FILE *f = fopen("/bin/sh", "r");

	assert_non_null(f);
	assert_int_equal(sw_elf_inspect(fileno(f), &info), 0);
	fclose(f);
	assert_int_equal(info.kind, SW_ELF_DYNAMIC);
	assert_int_equal(sw_preflight_command(info.interp), 0);
}

/* Its ids do not change, so the kernel does not mark it AT_SECURE. */
static void a_set_user_id_program_of_our_own_is_let_through(void **state)
{
	struct statvfs fs;

	if (statvfs(folder, &fs) || (fs.f_flag & ST_NOSUID))
		skip();
	assert_int_equal(system("cp /bin/true own && chmod 6755 own"), 0);
	assert_int_equal(sw_preflight_command("./own"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_and_scripts_are_let_through),
		cmocka_unit_test(the_loader_as_a_command_is_let_through),
		cmocka_unit_test(
			a_set_user_id_program_of_our_own_is_let_through),
		cmocka_unit_test(lookup_takes_the_first_that_may_be_executed),
		cmocka_unit_test(an_empty_element_is_the_current_folder),
		cmocka_unit_test(a_slash_means_no_search),
		cmocka_unit_test(without_path_the_system_folders_are_searched),
		cmocka_unit_test(names_of_any_length_are_safe),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
