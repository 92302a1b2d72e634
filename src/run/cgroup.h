/*
 * cgroup.h - how much memory the control groups around us leave us.
 */
#ifndef SW_RUN_CGROUP_H
#define SW_RUN_CGROUP_H

#include "base/base.h"

#define SW_CGROUP_NO_LIMIT UINT64_MAX

/*
 * The smallest memory limit, in bytes, of our own control group and all above
 * it that can be seen from here: memory.limit_in_bytes of version 1,
 * memory.max and memory.high of version 2. `root` goes before every path: ""
 * but for tests, which bring files of their own.
 */
uint64_t sw_cgroup_limit(const char *root);

#endif
