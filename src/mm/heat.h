/*
 * heat.h - who knows which pages a program touched. The kernel keeps an
 * accessed bit a page and has no cheap way to hand it to another process, so
 * this may be nobody: the clock (clock.c) goes by what comes back then.
 *
 * A source is asked by the reclaim thread alone, for the windows of one space
 * that the hand meets next, each of them once a sweep. No lock is held, so it
 * may do system calls. Pages may come and go meanwhile: an answer that is late
 * or wrong costs a fault and nothing else. The space and its mmu stay until it
 * returns.
 */
#ifndef SW_HEAT_H
#define SW_HEAT_H

#include <stdint.h>

struct sw_space;

#define SW_HEAT_WINDOWS 16 /* asked for at once, at most */

/* 64 pages from `addr` on, a multiple of their size; bit i is the ith page. */
struct sw_heat_window {
	uint64_t addr;
	uint64_t asked;   /* present pages that may go; no others matter */
	uint64_t touched; /* 0 when asked; the answer, within `asked` */
};

struct sw_heat {
	/*
         * Which of the pages asked for were touched since they were last asked
         * for, or else since they were mapped? To have been mapped may count
         * as a touch. Giving the answer forgets it. The windows descend.
         * 0, or -errno: unknown, for all of them; it is asked again.
         */
	int (*touched)(void *arg, struct sw_space *space,
		       struct sw_heat_window *win, unsigned nr);
	void *arg;
};

#endif
