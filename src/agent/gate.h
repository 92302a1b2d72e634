/*
 * gate.h - the agent's side of the gate (mmu/protocol.h).
 */
#ifndef SW_AGENT_GATE_H
#define SW_AGENT_GATE_H

#include <linux/futex.h>
#include <sys/syscall.h>

#include "agent/sys.h"
#include "mmu/protocol.h"

static inline void gate_lock(struct sw_agent_ctl *ctl)
{
	uint32_t *g = &ctl->gate;
	unsigned spins = SW_GATE_SPINS_AGENT;

	while (__atomic_load_n(&ctl->wanted, __ATOMIC_RELAXED) && spins--)
		__builtin_ia32_pause();
	if (sw_gate_try(g, SW_GATE_SPINS_AGENT))
		return;
	while (__atomic_exchange_n(g, 2, __ATOMIC_ACQUIRE))
		sys4(SYS_futex, g, FUTEX_WAIT, 2, 0);
}

static inline void gate_unlock(struct sw_agent_ctl *ctl)
{
	uint32_t *g = &ctl->gate;

	if (__atomic_exchange_n(g, 0, __ATOMIC_RELEASE) == 2)
		sys3(SYS_futex, g, FUTEX_WAKE, 1);
}

#endif
