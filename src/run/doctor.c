/*
 * doctor.c - see doctor.h. Above: cli/cmd_doctor.c. Below: uffd.c, whose
 * judgement of userfaultfd is the one a session starts by; cgroup.c.
 *
 * A finding is one function of the facts. What would give what is missing is
 * one line that can be typed or put into a unit or a container's
 * configuration.
 */
#include "run/doctor.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run/cgroup.h"
#include "run/options.h"

#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

#define FDS_A_PROCESS 8    /* that a session holds, with some to spare */
#define FDS_ENOUGH    4096 /* for 500 processes */
#define LOCKED_ENOUGH (128u << 10) /* a page for each device, and some */

/* ---- the facts ---- */

/* The first line of a small file, without its end; false: not readable. */
static bool read_line(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, len, f);

	if (f)
		fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

/* Those that a session makes and nobody else here; "" when all are let through. */
static void probe_refused(char *names, size_t len)
{
	char byte = 0, copy;
	struct iovec local = { &copy, 1 }, remote = { &byte, 1 };
	int fd = pidfd_open(getpid(), 0);

	snprintf(names, len, "%s%s", fd < 0 ? "pidfd_open " : "",
		 process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1
			 ? ""
			 : "process_vm_readv ");
	names[strlen(names) - (*names != '\0')] = '\0';
	if (fd >= 0)
		close(fd);
}

static int probe_uring(void)
{
	struct io_uring_params p = { 0 };
	int fd = syscall(SYS_io_uring_setup, 1, &p);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static unsigned probe_seccomp(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned mode = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %u", &mode) == 1)
			break;
	if (f)
		fclose(f);
	return mode;
}

/* The initial one maps all ids to themselves. */
static bool probe_user_namespace(void)
{
	unsigned long inside, outside, nr;
	char line[128];

	if (!read_line("/proc/self/uid_map", line, sizeof(line)) ||
	    sscanf(line, "%lu %lu %lu", &inside, &outside, &nr) != 3)
		return false;
	return inside || outside || nr != UINT32_MAX;
}

static bool probe_container(void)
{
	return !access("/.dockerenv", F_OK) ||
	       !access("/run/.containerenv", F_OK) ||
	       getenv("KUBERNETES_SERVICE_HOST") || getenv("container");
}

/* "always [madvise] never": the word in brackets. */
static void probe_thp(char *thp, size_t len)
{
	char line[128], *word;

	*thp = '\0';
	if (!read_line("/sys/kernel/mm/transparent_hugepage/enabled", line,
		       sizeof(line)))
		return;
	word = strchr(line, '[');
	if (!word)
		return;
	word[strcspn(word, "]")] = '\0';
	snprintf(thp, len, "%s", word + 1);
}

static uint64_t probe_rlimit(int which, bool hard)
{
	struct rlimit r;

	if (getrlimit(which, &r))
		return 0;
	return hard ? r.rlim_max : r.rlim_cur; /* RLIM_INFINITY: UINT64_MAX */
}

void sw_doctor_probe(struct sw_doctor_facts *facts)
{
	uint64_t features;
	unsigned ways = sw_uffd_probe_ways(&features);
	char line[32];
	cpu_set_t cpus;

	*facts = (struct sw_doctor_facts){
		.uffd_ways = ways,
		.has_move = features & UFFD_FEATURE_MOVE,
		.has_poison = features & UFFD_FEATURE_POISON,
		.uring_errno = probe_uring(),
		.seccomp = probe_seccomp(),
		.in_user_namespace = probe_user_namespace(),
		.in_container = probe_container(),
		.ram_bytes = sw_ram_bytes(),
		.limit_bytes = sw_cgroup_limit(""),
		.memlock_bytes = probe_rlimit(RLIMIT_MEMLOCK, false),
		.locks_freely = sw_has_capability(CAP_IPC_LOCK),
		.nofile = probe_rlimit(RLIMIT_NOFILE, true),
		.overcommit = -1,
		.nr_cpus = 1,
		.loader_ignores_us = getauxval(AT_SECURE),
	};
	sw_uffd_probe(&facts->uffd);
	probe_refused(facts->refused, sizeof(facts->refused));
	probe_thp(facts->thp, sizeof(facts->thp));
	if (read_line("/proc/sys/vm/overcommit_memory", line, sizeof(line)))
		facts->overcommit = atoi(line);
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		facts->nr_cpus = CPU_COUNT(&cpus);
}

/* ---- the findings ---- */

static const char *name_ways(unsigned ways)
{
	if ((ways & SW_UFFD_BY_SYSCALL) && (ways & SW_UFFD_BY_DEVICE))
		return "by its system call and /dev/userfaultfd";
	if (ways & SW_UFFD_BY_SYSCALL)
		return "by its system call";
	if (ways & SW_UFFD_BY_DEVICE)
		return "by /dev/userfaultfd";
	return ways ? "for faults in user mode only" : "none";
}

static void find_uffd(const struct sw_doctor_facts *facts,
		      struct sw_doctor_finding *f)
{
	bool usable =
		sw_uffd_usable(&facts->uffd, f->remedy, sizeof(f->remedy));

	snprintf(f->found, sizeof(f->found), "%s, %s",
		 name_ways(facts->uffd_ways),
		 usable ? "with all we need" : "which is not enough");
	if (usable)
		return;
	f->state = SW_DOCTOR_NO;
	snprintf(f->without, sizeof(f->without),
		 "no command can be run; programs with libspillway run, with "
		 "what there is");
}

/* True when nobody can ask what userfaultfd has, which find_uffd() tells. */
static bool is_unknown(const struct sw_doctor_facts *facts,
		       struct sw_doctor_finding *f, bool has)
{
	snprintf(f->found, sizeof(f->found), "%s",
		 has                 ? "yes"
		 : !facts->uffd_ways ? "not known"
				     : "no");
	return has || !facts->uffd_ways;
}

static void find_move(const struct sw_doctor_facts *facts,
		      struct sw_doctor_finding *f)
{
	if (is_unknown(facts, f, facts->has_move))
		return;
	f->state = SW_DOCTOR_NO;
	snprintf(f->without, sizeof(f->without),
		 "no command can be run; libspillway copies pages, where it "
		 "would move them");
	snprintf(f->remedy, sizeof(f->remedy), "Linux 6.8 or newer");
}

static void find_poison(const struct sw_doctor_facts *facts,
			struct sw_doctor_finding *f)
{
	if (is_unknown(facts, f, facts->has_poison))
		return;
	f->state = SW_DOCTOR_LESS;
	snprintf(f->without, sizeof(f->without),
		 "a program whose page cannot be read back is killed, where "
		 "it would get SIGBUS");
	snprintf(f->remedy, sizeof(f->remedy), "Linux 6.6 or newer");
}

static void find_uring(const struct sw_doctor_facts *facts,
		       struct sw_doctor_finding *f)
{
	if (!facts->uring_errno) {
		snprintf(f->found, sizeof(f->found), "yes");
		return;
	}
	f->state = SW_DOCTOR_LESS;
	snprintf(f->found, sizeof(f->found), "refused: %s",
		 strerror(facts->uring_errno));
	snprintf(f->without, sizeof(f->without),
		 "files and block devices are read and written by pread and "
		 "pwrite, slower");
	if (facts->uring_errno == EPERM)
		snprintf(f->remedy, sizeof(f->remedy),
			 "sysctl kernel.io_uring_disabled=0, or a seccomp "
			 "profile that lets io_uring_setup(2) through");
	else if (facts->uring_errno == ENOSYS)
		snprintf(f->remedy, sizeof(f->remedy),
			 "a kernel with CONFIG_IO_URING, or a seccomp profile "
			 "that lets io_uring_setup(2) through");
	else
		snprintf(f->remedy, sizeof(f->remedy),
			 "more memory or descriptors: see ulimit -l -n");
}

static void find_capability(const struct sw_doctor_facts *facts,
			    struct sw_doctor_finding *f)
{
	if (facts->uffd.has_ptrace) {
		snprintf(f->found, sizeof(f->found), "CAP_SYS_PTRACE%s",
			 facts->in_user_namespace
				 ? ", of this user namespace only"
				 : "");
		return;
	}
	f->state = SW_DOCTOR_NO;
	snprintf(f->found, sizeof(f->found), "no CAP_SYS_PTRACE");
	snprintf(f->without, sizeof(f->without),
		 "no command can be run: its forks could not be followed");
	snprintf(
		f->remedy, sizeof(f->remedy), "%s",
		facts->in_container
			? "docker run --cap-add SYS_PTRACE, or securityContext."
			  "capabilities.add: [SYS_PTRACE]"
			: "sudo spillway ..., or AmbientCapabilities=CAP_SYS_PTRACE in "
			  "the unit");
}

/* A filter is no fault as long as it lets our calls through. */
static void find_seccomp(const struct sw_doctor_facts *facts,
			 struct sw_doctor_finding *f)
{
	static const char *const modes[] = { "no filter", "strict",
					     "a filter is in force" };

	snprintf(f->found, sizeof(f->found), "%s%s%s",
		 modes[sw_min(facts->seccomp, 2u)],
		 *facts->refused ? ", refused: " : "", facts->refused);
	if (!*facts->refused)
		return;
	f->state = SW_DOCTOR_NO;
	snprintf(f->without, sizeof(f->without),
		 "no command can be run: its pages could not be read");
	snprintf(f->remedy, sizeof(f->remedy),
		 "docker run --security-opt seccomp=FILE, or "
		 "SystemCallFilter= in the unit, that lets them through");
}

static void find_container(const struct sw_doctor_facts *facts,
			   struct sw_doctor_finding *f)
{
	snprintf(f->found, sizeof(f->found), "%s%s",
		 facts->in_container ? "in a container" : "none noticed",
		 facts->in_user_namespace ? ", in a user namespace" : "");
}

static void find_limit(const struct sw_doctor_facts *facts,
		       struct sw_doctor_finding *f)
{
	char limit[24], ram[24];

	sw_size_format(facts->limit_bytes, limit);
	sw_size_format(facts->ram_bytes, ram);
	if (facts->limit_bytes == SW_CGROUP_NO_LIMIT)
		snprintf(f->found, sizeof(f->found), "none; RAM is %s", ram);
	else
		snprintf(f->found, sizeof(f->found),
			 "%s of %s: budget and compressed memory count in it",
			 limit, ram);
}

static void find_memlock(const struct sw_doctor_facts *facts,
			 struct sw_doctor_finding *f)
{
	char size[24];

	snprintf(f->found, sizeof(f->found), "%s",
		 facts->memlock_bytes == UINT64_MAX
			 ? "no limit"
			 : sw_size_format(facts->memlock_bytes, size));
	if (facts->locks_freely || facts->memlock_bytes >= LOCKED_ENOUGH)
		return;
	f->state = SW_DOCTOR_LESS;
	snprintf(f->without, sizeof(f->without),
		 "devices with ,encrypt may be refused: their keys are locked "
		 "into memory");
	snprintf(f->remedy, sizeof(f->remedy),
		 "ulimit -l 1024, or LimitMEMLOCK=1M in the unit");
}

static void find_nofile(const struct sw_doctor_facts *facts,
			struct sw_doctor_finding *f)
{
	if (facts->nofile == UINT64_MAX) {
		snprintf(f->found, sizeof(f->found), "no limit");
		return;
	}
	snprintf(f->found, sizeof(f->found), "%lu: some %lu processes at once",
		 facts->nofile, facts->nofile / FDS_A_PROCESS);
	if (facts->nofile >= FDS_ENOUGH)
		return;
	f->state = SW_DOCTOR_LESS;
	snprintf(f->without, sizeof(f->without),
		 "processes beyond that are not managed");
	snprintf(f->remedy, sizeof(f->remedy),
		 "ulimit -Hn 65536, or LimitNOFILE=65536 in the unit");
}

static void find_overcommit(const struct sw_doctor_facts *facts,
			    struct sw_doctor_finding *f)
{
	if (facts->overcommit != 2) {
		snprintf(f->found, sizeof(f->found), "%s",
			 facts->overcommit < 0 ? "not known" : "permitted");
		return;
	}
	f->state = SW_DOCTOR_LESS;
	snprintf(f->found, sizeof(f->found), "vm.overcommit_memory=2");
	snprintf(f->without, sizeof(f->without),
		 "the kernel counts what a program reserves, not what it "
		 "uses: it may refuse memory that would have been swapped");
	snprintf(f->remedy, sizeof(f->remedy), "sysctl vm.overcommit_memory=0");
}

static void find_thp(const struct sw_doctor_facts *facts,
		     struct sw_doctor_finding *f)
{
	snprintf(f->found, sizeof(f->found), "%s",
		 *facts->thp ? facts->thp : "none in this kernel");
	if (*facts->thp && strcmp(facts->thp, "never"))
		return;
	f->state = SW_DOCTOR_LESS;
	snprintf(f->without, sizeof(f->without),
		 "all memory goes and comes by pages of 4 KiB");
	snprintf(f->remedy, sizeof(f->remedy), "%s",
		 *facts->thp ? "echo madvise "
			       ">/sys/kernel/mm/transparent_hugepage/enabled"
			     : "a kernel with CONFIG_TRANSPARENT_HUGEPAGE");
}

static void find_cpus(const struct sw_doctor_facts *facts,
		      struct sw_doctor_finding *f)
{
	snprintf(f->found, sizeof(f->found), "%u", facts->nr_cpus);
	if (facts->nr_cpus > 1)
		return;
	f->state = SW_DOCTOR_LESS;
	snprintf(f->without, sizeof(f->without),
		 "pages leave in the time of the program, not beside it");
	snprintf(f->remedy, sizeof(f->remedy), "two CPUs, see taskset -p $$");
}

static void find_preload(const struct sw_doctor_facts *facts,
			 struct sw_doctor_finding *f)
{
	if (!facts->loader_ignores_us) {
		snprintf(f->found, sizeof(f->found), "yes");
		return;
	}
	f->state = SW_DOCTOR_NO;
	snprintf(f->found, sizeof(f->found),
		 "ignored: this spillway gains privileges as it starts");
	snprintf(f->without, sizeof(f->without),
		 "no agent comes into a program");
	snprintf(f->remedy, sizeof(f->remedy),
		 "remove its set-user-ID bit and file capabilities, and start "
		 "it by sudo");
}

static const struct {
	const char *what;
	void (*find)(const struct sw_doctor_facts *facts,
		     struct sw_doctor_finding *f);
} findings[] = {
	{ "userfaultfd", find_uffd },   { "capability", find_capability },
	{ "preload", find_preload },    { "move", find_move },
	{ "poison", find_poison },      { "io_uring", find_uring },
	{ "seccomp", find_seccomp },    { "container", find_container },
	{ "memory limit", find_limit }, { "overcommit", find_overcommit },
	{ "huge pages", find_thp },     { "locked memory", find_memlock },
	{ "descriptors", find_nofile }, { "cpus", find_cpus },
};

unsigned sw_doctor_diagnose(const struct sw_doctor_facts *facts,
			    struct sw_doctor_finding finding[SW_DOCTOR_MAX])
{
	_Static_assert(SW_ARRAY_SIZE(findings) <= SW_DOCTOR_MAX, "room");

	for (unsigned i = 0; i < SW_ARRAY_SIZE(findings); i++) {
		finding[i] = (struct sw_doctor_finding){
			.what = findings[i].what,
		};
		findings[i].find(facts, &finding[i]);
	}
	return SW_ARRAY_SIZE(findings);
}
