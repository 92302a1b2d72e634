/*
 * sched.h - where another thread could come in between. Checked builds call a
 * hook at each such place: every lock, atomic word and allocation of the swap
 * layer. Tests hang a function there that runs something at just this moment,
 * or that lets another thread go on; it must not take what the caller holds.
 */
#ifndef SW_SCHED_H
#define SW_SCHED_H

#include "base/base.h"

/*
 * `what` names the place, which is about to be entered. SW_SCHED_WAIT is not
 * a place but a thread that cannot go on by itself: it comes back to look
 * again once the others had their turn.
 */
#define SW_SCHED_WAIT "wait"

#ifdef SW_CHECKS
extern void (*sw_sched_hook)(const char *what);
#define sw_sched_point(what)                    \
	do {                                    \
		if (sw_unlikely(sw_sched_hook)) \
			sw_sched_hook(what);    \
	} while (0)
/* True when the hook decides about who runs: nobody sleeps then. */
#define sw_sched_wait()                                                    \
	(sw_unlikely(sw_sched_hook) ? (sw_sched_hook(SW_SCHED_WAIT), true) \
				    : false)
#else
#define sw_sched_point(what) ((void)0)
#define sw_sched_wait()      false
#endif

#endif
