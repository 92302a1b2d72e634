/*
 * preflight.c - see preflight.h. Above: cli/cmd_run.c calls it between the
 * options and run/session.c. Beside it: elf.c (what a file is), uffd.c (what
 * the kernel permits), report.c (where the report goes).
 *
 * The question about a command is whether the dynamic loader will preload
 * our agent into it. It will not when there is no dynamic loader, when the
 * program is of another kind than the agent, and when the kernel marks the
 * program AT_SECURE: then the loader ignores LD_PRELOAD. The mark is set
 * when the program's effective ids will differ from our real ones, so
 * root may run a root-owned set-user-ID program but not a set-group-ID one
 * of another group; and when anybody but root gains file capabilities.
 */
#include "run/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/log.h"
#include "run/elf.h"
#include "run/report.h"
#include "run/session.h"
#include "run/uffd.h"

#define MAX_INTERPRETERS 5 /* the kernel's own limit of #! in #! */

/* ---- where the command is ---- */

static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES; /* what execve says of directories */
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		return -errno;
	return 0;
}

int sw_command_lookup(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int err = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strlen(name) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (strchr(name, '/')) {
		strcpy(path, name);
		return check_executable(path);
	}
	if (!dirs)
		dirs = "/bin:/usr/bin"; /* glibc's choice */
	while (dirs) {
		const char *end = strchrnul(dirs, ':');
		int len = (int)(end - dirs), n, found;

		/* An empty element is the current directory. */
		n = snprintf(path, PATH_MAX, "%.*s%s%s", len, dirs,
			     len ? "/" : "./", name);
		found = n < PATH_MAX ? check_executable(path) : -ENOENT;
		if (!found)
			return 0;
		if (found == -EACCES)
			err = -EACCES; /* said only if nothing better comes */
		dirs = *end ? end + 1 : NULL;
	}
	return err;
}

/* ---- whether an agent can be preloaded into it ---- */

/* Why the loader would ignore LD_PRELOAD for `path`, or NULL; *remedy says
 * what can be done. */
static const char *secure_reason(const char *path, const char **remedy)
{
	const mode_t setgid = S_ISGID | S_IXGRP;
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) || statvfs(path, &fs) || (fs.f_flag & ST_NOSUID))
		return NULL;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
		if ((st.st_mode & S_ISUID) && st.st_uid != getuid()) {
			*remedy = "run spillway as the file's owner";
			return "is set-user-ID";
		}
		if ((st.st_mode & setgid) == setgid && st.st_gid != getgid()) {
			*remedy = "run spillway in the file's group, see sg(1)";
			return "is set-group-ID";
		}
	}
	if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0) {
		*remedy = "run spillway as root";
		return "has file capabilities";
	}
	return NULL;
}

/* "./job: its interpreter /bin/x" or just the command, for messages. */
static const char *subject(const char *name, const char *path, bool is_interp,
			   char *buf, size_t len)
{
	if (!is_interp)
		return name;
	snprintf(buf, len, "%s: its interpreter %s", name, path);
	return buf;
}

/* Prints why an ELF file (or what is none) cannot be managed. 0, 126, 127. */
static int judge_program(const char *who, const struct sw_elf_info *info)
{
	const char *arch;

	switch (info->kind) {
	case SW_ELF_DYNAMIC:
		if (info->interp[0] && access(info->interp, F_OK)) {
			sw_error("%s: its loader %s does not exist; install "
				 "the C library it was built for",
				 who, info->interp);
			return SW_EXIT_NOT_FOUND;
		}
		return 0;
	case SW_ELF_STATIC:
		sw_error("%s is statically linked: nothing can be preloaded "
			 "into it, so its memory cannot be managed; use a "
			 "dynamically linked build",
			 who);
		return SW_EXIT_CANNOT_RUN;
	case SW_ELF_OTHER_CLASS:
		sw_error("%s is a 32-bit program, whose memory cannot be "
			 "managed; use a 64-bit build",
			 who);
		return SW_EXIT_CANNOT_RUN;
	case SW_ELF_OTHER_ARCH:
		arch = sw_elf_machine_name(info->machine);
		sw_error("%s is built for another processor (%s); use a "
			 "build for this machine",
			 who, arch ? arch : "unknown");
		return SW_EXIT_CANNOT_RUN;
	case SW_ELF_DAMAGED:
		sw_error("%s starts like a program but is none: its ELF "
			 "headers are damaged or of another kind",
			 who);
		return SW_EXIT_CANNOT_RUN;
	case SW_ELF_SCRIPT:
	case SW_ELF_NONE:
		break;
	}
	return 0;
}

/*
 * Looks at one file of the chain. Leaves the next one (an interpreter) in
 * `path` and returns -EAGAIN, or returns 0, 126 or 127.
 */
static int check_link(const char *name, char path[PATH_MAX], bool is_interp)
{
	static const char shell[] = "/bin/sh";
	struct sw_elf_info info;
	const char *who, *reason, *remedy;
	char buf[PATH_MAX + 256];
	int fd, err;

	who = subject(name, path, is_interp, buf, sizeof(buf));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	err = fd < 0 ? -errno : sw_elf_inspect(fd, &info);
	if (fd >= 0)
		close(fd);
	/* Executable but not readable is legal: there is nothing to see,
         * and the agent's absence will be noticed at the start. */
	if (err)
		info = (struct sw_elf_info){ .kind = SW_ELF_DYNAMIC };

	if (info.kind == SW_ELF_SCRIPT) {
		strcpy(path, info.interp);
		return -EAGAIN;
	}
	if (info.kind == SW_ELF_NONE && strcmp(path, shell)) {
		strcpy(path, shell);
		return -EAGAIN;
	}
	err = judge_program(who, &info);
	if (err)
		return err;
	reason = secure_reason(path, &remedy);
	if (reason) {
		sw_error("%s %s: nothing can be preloaded into a program that "
			 "gains privileges, so its memory cannot be managed; "
			 "%s",
			 who, reason, remedy);
		return SW_EXIT_CANNOT_RUN;
	}
	return 0;
}

static int say_lookup_error(const char *name, int err)
{
	if (!*name)
		name = "''";
	if (err == -ENOENT || err == -ENOTDIR) {
		sw_error("%s: command not found; check its name%s", name,
			 strchr(name, '/') ? "" : " and PATH");
		return SW_EXIT_NOT_FOUND;
	}
	if (err == -EACCES)
		sw_error("%s: not an executable file, or no permission to run "
			 "it; see its mode with ls -l",
			 name);
	else
		sw_error("%s: cannot be run: %s", name, strerror(-err));
	return SW_EXIT_CANNOT_RUN;
}

int sw_preflight_command(const char *name)
{
	char path[PATH_MAX];
	unsigned depth;
	int err;

	err = sw_command_lookup(name, path);
	if (err)
		return say_lookup_error(name, err);
	for (depth = 0; depth <= MAX_INTERPRETERS; depth++) {
		err = check_link(name, path, depth > 0);
		if (err != -EAGAIN)
			return err;
		err = check_executable(path);
		if (err) {
			sw_error("%s: its interpreter %s cannot be run: %s",
				 name, path, strerror(-err));
			return err == -ENOENT ? SW_EXIT_NOT_FOUND
					      : SW_EXIT_CANNOT_RUN;
		}
	}
	sw_error("%s: more than %d interpreters behind each other", name,
		 MAX_INTERPRETERS);
	return SW_EXIT_CANNOT_RUN;
}

/* ---- all of it ---- */

int sw_preflight(const struct sw_run_options *opt)
{
	struct sw_uffd_facts facts;
	char line[320];
	int err;

	if (opt->report_path && sw_report_check(opt->report_path))
		return SW_EXIT_FAILURE;
	err = sw_preflight_command(opt->argv[0]);
	if (err)
		return err;
	sw_uffd_probe(&facts);
	if (!sw_uffd_usable(&facts, line, sizeof(line))) {
		sw_error("%s", line);
		return SW_EXIT_FAILURE;
	}
	return 0;
}
