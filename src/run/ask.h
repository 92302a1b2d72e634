/*
 * ask.h - to ask a running session for something (control.h has the other
 * side): what the commands that talk to one have in common.
 */
#ifndef SW_RUN_ASK_H
#define SW_RUN_ASK_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Asks the session called `target`, or the only one for NULL, and waits for its
 * answer, which the caller gets; gives `request` away. `progress` hears how far
 * it is, and may be NULL. NULL after a line: what the session said, or that
 * there is none.
 */
json_t *sw_ask(const char *target, json_t *request,
	       void (*progress)(void *arg, const json_t *how_far), void *arg);

#define SW_ASK_LINE_MAX 512

/*
 * The same, and says nothing itself: the line that would be said is in `line`.
 * *refused: the session is there and said it.
 */
json_t *sw_ask_quietly(const char *target, json_t *request,
		       void (*progress)(void *arg, const json_t *how_far),
		       void *arg, char line[SW_ASK_LINE_MAX], bool *refused);

/* For handlers of signals: calls off what is being asked. The session will say
 * that it was. */
void sw_ask_call_off(void);

#endif
