/*
 * swap_guest.h - the swap layer as a guest in a process that is not ours: it
 * forks as it likes, and its malloc() may wait for a page of ours.
 */
#ifndef SW_SWAP_GUEST_H
#define SW_SWAP_GUEST_H

/* After swap_init(): what would be allocated when it is first needed is there. */
void swap_guest_init(void);

/*
 * Around a fork, when nobody is in a call of the layer: its thread is not there
 * between the first and one of the others, and in the child everything is as it
 * was in the parent.
 */
void swap_before_fork(void);
void swap_after_fork_parent(void);
void swap_after_fork_child(void);

#endif
