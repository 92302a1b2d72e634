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

#endif
