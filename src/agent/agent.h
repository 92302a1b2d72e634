/*
 * agent.h - what agent.c tells the rest of the preloaded object. For threads of
 * the program.
 */
#ifndef SW_AGENT_H
#define SW_AGENT_H

#include <stdbool.h>

#include "mmu/protocol.h"

/*
 * The control page, or NULL: nobody wants to hear of this process, or it is a
 * child made in a way that no handler was told of, which has what its parent
 * had here but not that page.
 */
struct sw_agent_ctl *agent_ctl(void);

/* Does the descriptor stand for this process? To be in doubt is false. */
bool agent_is_self(int pidfd);

/* The number of the process that a descriptor stands for, which is no other's;
 * 0: that cannot be told. */
uint64_t agent_pidfd_ino(int fd);

#endif
