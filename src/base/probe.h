/*
 * probe.h - places where a tracer may look in (USDT): perf, bpftrace, gdb.
 *
 * Each is one nop and a note in the file that names it and says where its
 * arguments are; so an argument is something the code has at hand anyway, as a
 * number of 4 or 8 bytes. spillway-probes(7) lists all of them with types, and
 * a test compares it with the notes. A tracer takes microseconds at each: none
 * is under the lock of a cluster.
 *
 * Without <sys/sdt.h> (-Dusdt) there are none.
 */
#ifndef SW_PROBE_H
#define SW_PROBE_H

#include "base/base.h"

#ifdef SW_USDT
#include <sys/sdt.h>

#define SW_PROBE3(name, a, b, c)    DTRACE_PROBE3(spillway, name, a, b, c)
#define SW_PROBE4(name, a, b, c, d) DTRACE_PROBE4(spillway, name, a, b, c, d)
#define SW_PROBE5(name, a, b, c, d, e) \
	DTRACE_PROBE5(spillway, name, a, b, c, d, e)
#else
#define SW_PROBE3(name, a, b, c) \
	((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#define SW_PROBE4(name, a, b, c, d) (SW_PROBE3(name, a, b, c), (void)sizeof(d))
#define SW_PROBE5(name, a, b, c, d, e) \
	(SW_PROBE4(name, a, b, c, d), (void)sizeof(e))
#endif

#endif
