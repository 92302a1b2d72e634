/*
 * hurry.h - threads that the program waits for are scheduled ahead of it, as
 * agents are (protocol.h says how).
 */
#ifndef SW_HURRY_H
#define SW_HURRY_H

/* For the calling thread and those it makes from now on; as far as allowed. */
void sw_hurry(void);
/* Back to `nice` and the slice that everybody has. */
void sw_hurry_no_more(int nice);

#endif
