/* hurry.c - see hurry.h. */
#include "mmu/hurry.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/protocol.h"

static void set(int nice, uint64_t slice_ns)
{
	struct sw_sched_attr a = { .size = sizeof(a),
				   .nice = nice,
				   .runtime = slice_ns };

	syscall(SYS_sched_setattr, 0, &a, 0);
}

void sw_hurry(void)
{
	/* The nice value may be refused, with all that comes along. */
	set(getpriority(PRIO_PROCESS, 0), SW_HURRY_SLICE_NS);
	set(SW_HURRY_NICE, SW_HURRY_SLICE_NS);
}

void sw_hurry_no_more(int nice)
{
	set(nice, 0);
}
