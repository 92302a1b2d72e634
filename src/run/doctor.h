/*
 * doctor.h - what this machine gives a session, and what would give more. As
 * in uffd.h the probe collects facts and the diagnosis is a pure function of
 * them, so that every finding can be tested on any machine.
 */
#ifndef SW_RUN_DOCTOR_H
#define SW_RUN_DOCTOR_H

#include "base/base.h"
#include "run/uffd.h"

#define SW_DOCTOR_MAX 16 /* findings at most */

struct sw_doctor_facts {
	struct sw_uffd_facts uffd;
	unsigned uffd_ways; /* enum sw_uffd_ways */
	bool has_move;      /* UFFD_FEATURE_MOVE; not known without ways */
	bool has_poison;    /* UFFD_FEATURE_POISON; likewise */
	int uring_errno;    /* of io_uring_setup(2); 0: it worked */
	unsigned seccomp;   /* mode, of /proc/self/status */
	char refused[64];   /* system calls that a session cannot do without */
	bool in_user_namespace; /* another than the initial one */
	bool in_container;
	uint64_t ram_bytes;
	uint64_t limit_bytes;   /* of the cgroup around us; UINT64_MAX: none */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: none */
	bool locks_freely;      /* CAP_IPC_LOCK: that limit is not ours */
	uint64_t nofile;        /* RLIMIT_NOFILE, the hard one */
	int overcommit;         /* vm.overcommit_memory, -1: not known */
	char thp[16];           /* "always", "madvise", "never", "": absent */
	unsigned nr_cpus;       /* that we may run on */
	bool loader_ignores_us; /* AT_SECURE: we gained rights ourselves */
};

enum sw_doctor_state {
	SW_DOCTOR_OK,
	SW_DOCTOR_LESS, /* a session runs; something is slower or absent */
	SW_DOCTOR_NO,   /* no session runs */
};

struct sw_doctor_finding {
	const char *what; /* of the table in doctor.c, stable: for scripts */
	enum sw_doctor_state state;
	char found[96];
	char without[160]; /* what works all the same, and what does not */
	char remedy[320];  /* the line that gives it; both "" when OK */
};

void sw_doctor_probe(struct sw_doctor_facts *facts);

/* Returns how many findings there are. */
unsigned sw_doctor_diagnose(const struct sw_doctor_facts *facts,
			    struct sw_doctor_finding finding[SW_DOCTOR_MAX]);

#endif
