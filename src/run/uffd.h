/*
 * uffd.h - may this process, and so the programs it starts, use userfaultfd
 * as a session needs it? The probe collects facts; the explanation is a pure
 * function of them, so that every refusal can be tested on any machine.
 */
#ifndef SW_RUN_UFFD_H
#define SW_RUN_UFFD_H

#include "base/base.h"

struct sw_uffd_facts {
	int syscall_errno; /* of userfaultfd(2); 0: it worked */
	int device_errno;  /* of /dev/userfaultfd; 0: it worked or was
                               not needed */
	int api_errno;     /* of UFFDIO_API with all we need; 0: granted */
	uint64_t missing;  /* features the kernel does not know */
	bool has_ptrace;   /* CAP_SYS_PTRACE in the effective set */
	char release[65];  /* of the kernel, for messages */
};

void sw_uffd_probe(struct sw_uffd_facts *facts);

/* Ways to open a userfaultfd that work for us. */
enum sw_uffd_ways {
	SW_UFFD_BY_SYSCALL = 1u << 0,
	SW_UFFD_BY_DEVICE = 1u << 1,
	SW_UFFD_USER_MODE = 1u << 2, /* without faults of system calls */
};

/* All ways of them, and in *features (UFFD_FEATURE_*) what the kernel knows,
 * which is asked by one of them: 0 without any. */
unsigned sw_uffd_probe_ways(uint64_t *features);

/* In the effective set? */
bool sw_has_capability(int cap);

/* False, with one line for the user in `line`, when a session cannot run. */
SW_MUST_CHECK bool sw_uffd_usable(const struct sw_uffd_facts *facts, char *line,
				  size_t len_bytes);

#endif
