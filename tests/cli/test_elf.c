/*
 * test_elf.c - the inspection of a program trusts nothing in the file: cut
 * off anywhere, or with any byte changed, it gives a verdict and reads no
 * byte that is not there. The sanitizer builds make the second half count.
 */
#include "run/elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD_BYTES 1024 /* covers the header and the program headers */

static int program_fd; /* a copy of /bin/true in memory */
static off_t program_bytes;

static int setup(void **state)
{
	char block[4096];
	FILE *f = fopen("/bin/true", "r");
	size_t n;

	program_fd = memfd_create("program", MFD_CLOEXEC);
	if (!f || program_fd < 0)
		return -1;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		program_bytes += write(program_fd, block, n);
	return fclose(f);
}

static enum sw_elf_kind inspect(int fd)
{
	struct sw_elf_info info;

	memset(&info, 0xa5, sizeof(info));
	assert_int_equal(sw_elf_inspect(fd, &info), 0);
	assert_in_range(info.kind, SW_ELF_DYNAMIC, SW_ELF_NONE);
	assert_non_null(memchr(info.interp, '\0', sizeof(info.interp)));
	return info.kind;
}

static void a_program_is_dynamic(void **state)
{
	assert_int_equal(inspect(program_fd), SW_ELF_DYNAMIC);
}

static void a_program_cut_off_anywhere_gets_a_verdict(void **state)
{
	char head[HEAD_BYTES];
	int fd = memfd_create("cut", MFD_CLOEXEC);
	size_t len;

	assert_int_equal(pread(program_fd, head, sizeof(head), 0),
			 sizeof(head));
	for (len = 0; len < sizeof(head); len++) {
		enum sw_elf_kind kind = inspect(fd);

		assert_int_equal(kind, len < 4 ? SW_ELF_NONE : kind);
		assert_true(len < 4 || len > 64 || kind == SW_ELF_DAMAGED);
		assert_int_equal(pwrite(fd, head + len, 1, (off_t)len), 1);
	}
	close(fd);
}

static void a_program_with_any_bytes_changed_gets_a_verdict(void **state)
{
	unsigned short rng[3] = { 1, 2, 3 };
	unsigned round, i;

	for (round = 0; round < 20000; round++) {
		unsigned char was[4], now;
		off_t at[4];

		for (i = 0; i < 4; i++) {
			at[i] = nrand48(rng) % HEAD_BYTES;
			now = (unsigned char)nrand48(rng);
			assert_int_equal(pread(program_fd, &was[i], 1, at[i]),
					 1);
			assert_int_equal(pwrite(program_fd, &now, 1, at[i]), 1);
		}
		inspect(program_fd);
		while (i-- > 0)
			assert_int_equal(pwrite(program_fd, &was[i], 1, at[i]),
					 1);
	}
	assert_int_equal(inspect(program_fd), SW_ELF_DYNAMIC);
}

static void a_script_line_of_any_length_is_read(void **state)
{
	char line[600];
	size_t len;

	memset(line, 'x', sizeof(line));
	memcpy(line, "#!", 2);
	for (len = 2; len < sizeof(line); len++) {
		int fd = memfd_create("script", MFD_CLOEXEC);

		assert_int_equal(write(fd, line, len), len);
		assert_int_equal(inspect(fd),
				 len > 2 ? SW_ELF_SCRIPT : SW_ELF_NONE);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_dynamic),
		cmocka_unit_test(a_program_cut_off_anywhere_gets_a_verdict),
		cmocka_unit_test(
			a_program_with_any_bytes_changed_gets_a_verdict),
		cmocka_unit_test(a_script_line_of_any_length_is_read),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
