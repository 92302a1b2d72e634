/*
 * elf.h - what kind of program a file is, as far as it decides whether an
 * object can be preloaded into it. Reads headers only and trusts none of
 * their numbers.
 */
#ifndef SW_RUN_ELF_H
#define SW_RUN_ELF_H

#include <limits.h>

#include "base/base.h"

enum sw_elf_kind {
	SW_ELF_DYNAMIC,     /* the dynamic loader starts it: manageable */
	SW_ELF_STATIC,      /* neither PT_INTERP nor a dynamic library */
	SW_ELF_OTHER_CLASS, /* 32-bit here */
	SW_ELF_OTHER_ARCH,
	SW_ELF_DAMAGED, /* ELF magic, but no program behind it */
	SW_ELF_SCRIPT,  /* #! line */
	SW_ELF_NONE,    /* neither; execvp gives it to /bin/sh */
};

struct sw_elf_info {
	enum sw_elf_kind kind;
	uint16_t machine;      /* e_machine, for OTHER_ARCH */
	char interp[PATH_MAX]; /* PT_INTERP, or the script's interpreter */
};

/* 0 or -errno of reading. */
SW_MUST_CHECK int sw_elf_inspect(int fd, struct sw_elf_info *info);

/* "aarch64", or NULL for a machine we have no name for. */
const char *sw_elf_machine_name(uint16_t machine);

#endif
