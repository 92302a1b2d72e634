/*
 * elf.c - see elf.h. Above: run/preflight.c, which follows a script to its
 * interpreter and turns the verdict into a message. The rule it rests on:
 * LD_PRELOAD is read by the dynamic loader, so a program the kernel starts
 * without one (no PT_INTERP) takes nothing along. The loader called as a
 * command of its own (`ld-linux-x86-64.so.2 ./prog`) has no PT_INTERP either
 * but does preload; its soname tells it from a static position-independent
 * program.
 */
#include "run/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#error "Spillway runs on 64-bit x86 and ARM"
#endif

#define SCRIPT_LINE_BYTES 256 /* what the kernel reads of a #! line */
#define MAX_PHDRS         512
#define MAX_DYNS          1024

const char *sw_elf_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "arm";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "mips";
	default:
		return NULL;
	}
}

/* Bytes read, fewer at the end of the file; -errno. */
static ssize_t read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t got = 0;

	if (offset > INT64_MAX)
		return 0;
	while (got < len) {
		ssize_t n = pread(fd, (char *)buf + got, len - got,
				  (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += n;
	}
	return (ssize_t)got;
}

static bool read_whole(int fd, void *buf, size_t len, uint64_t offset)
{
	return read_at(fd, buf, len, offset) == (ssize_t)len;
}

/* line[] holds the start of the file, `len` bytes, beginning with "#!". */
static void parse_script(const char *line, size_t len, struct sw_elf_info *info)
{
	const char *p = line + 2, *end = line + len;
	size_t n = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (p < end && *p != ' ' && *p != '\t' && *p != '\n' && *p)
		info->interp[n++] = *p++;
	info->interp[n] = '\0';
	/* A #! line that names nobody is refused by the kernel, and execvp
         * then hands the file to the shell. */
	info->kind = n ? SW_ELF_SCRIPT : SW_ELF_NONE;
}

/* Does the dynamic section ask for a library, or give us a soname? */
static bool has_libraries(int fd, const Elf64_Phdr *dynamic)
{
	uint64_t nr = dynamic->p_filesz / sizeof(Elf64_Dyn), i;
	Elf64_Dyn dyn;

	for (i = 0; i < nr && i < MAX_DYNS; i++) {
		if (!read_whole(fd, &dyn, sizeof(dyn),
				dynamic->p_offset + i * sizeof(dyn)))
			return false;
		if (dyn.d_tag == DT_NEEDED || dyn.d_tag == DT_SONAME)
			return true;
		if (dyn.d_tag == DT_NULL)
			return false;
	}
	return false;
}

static enum sw_elf_kind read_interp(int fd, const Elf64_Phdr *ph,
				    struct sw_elf_info *info)
{
	if (ph->p_filesz < 2 || ph->p_filesz > sizeof(info->interp) ||
	    !read_whole(fd, info->interp, ph->p_filesz, ph->p_offset) ||
	    info->interp[ph->p_filesz - 1])
		return SW_ELF_DAMAGED;
	return SW_ELF_DYNAMIC;
}

static enum sw_elf_kind walk_phdrs(int fd, const Elf64_Ehdr *eh,
				   struct sw_elf_info *info)
{
	bool libraries = false;
	Elf64_Phdr ph;
	unsigned i;

	for (i = 0; i < eh->e_phnum; i++) {
		if (!read_whole(fd, &ph, sizeof(ph),
				eh->e_phoff + i * sizeof(ph)))
			return SW_ELF_DAMAGED;
		if (ph.p_type == PT_INTERP)
			return read_interp(fd, &ph, info);
		if (ph.p_type == PT_DYNAMIC)
			libraries = has_libraries(fd, &ph);
	}
	return libraries ? SW_ELF_DYNAMIC : SW_ELF_STATIC;
}

static enum sw_elf_kind inspect_header(int fd, const Elf64_Ehdr *eh, size_t len,
				       struct sw_elf_info *info)
{
	bool class_differs = eh->e_ident[EI_CLASS] != ELFCLASS64;

	if (len < offsetof(Elf64_Ehdr, e_version))
		return SW_ELF_DAMAGED;
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return SW_ELF_OTHER_ARCH; /* e_machine is swapped: no name */
	info->machine = eh->e_machine;
	/* x32 programs are 32-bit ELF files of our own machine. */
	if (class_differs &&
	    (eh->e_machine == EM_386 || eh->e_machine == OUR_MACHINE))
		return SW_ELF_OTHER_CLASS;
	if (class_differs || eh->e_machine != OUR_MACHINE)
		return SW_ELF_OTHER_ARCH;
	if (len < sizeof(*eh) || eh->e_phentsize != sizeof(Elf64_Phdr) ||
	    !eh->e_phnum || eh->e_phnum > MAX_PHDRS ||
	    (eh->e_type != ET_EXEC && eh->e_type != ET_DYN))
		return SW_ELF_DAMAGED;
	return walk_phdrs(fd, eh, info);
}

int sw_elf_inspect(int fd, struct sw_elf_info *info)
{
	union {
		char line[SCRIPT_LINE_BYTES];
		Elf64_Ehdr eh;
	} head;

	ssize_t len;

	memset(&head, 0, sizeof(head));
	*info = (struct sw_elf_info){ .kind = SW_ELF_NONE };
	len = read_at(fd, &head, sizeof(head), 0);
	if (len < 0)
		return (int)len;
	if (len >= 2 && !memcmp(head.line, "#!", 2))
		parse_script(head.line, len, info);
	else if (len >= SELFMAG && !memcmp(head.line, ELFMAG, SELFMAG))
		info->kind = inspect_header(fd, &head.eh, len, info);
	return 0;
}
