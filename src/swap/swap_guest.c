/* swap_guest.c - see swap_guest.h. Above: lib/fork.c, lib/devices.c. */
#include "swap/swap_guest.h"

#include "base/mem.h"
#include "swap/swap_rcu.h"
#include "swap/swap_work.h"

void swap_guest_init(void)
{
	/* The thread that waits for grace periods. */
	(void)urcu_bp_get_default_call_rcu_data();
}

void swap_before_fork(void)
{
	swap_work_pause();
	urcu_bp_call_rcu_before_fork();
	urcu_bp_before_fork();
	sw_mem_before_fork();
}

void swap_after_fork_parent(void)
{
	sw_mem_after_fork();
	urcu_bp_after_fork_parent();
	urcu_bp_call_rcu_after_fork_parent();
	swap_work_resume();
}

void swap_after_fork_child(void)
{
	sw_mem_after_fork();
	urcu_bp_after_fork_child();
	urcu_bp_call_rcu_after_fork_child();
	swap_work_resume();
}
