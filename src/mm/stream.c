/*
 * stream.c - the sequential detector: how many pages to bring for one fault.
 *
 * A fault that continues a known stream multiplies its window by four, up to
 * one page-table window; any other fault starts a stream of one page. A fixed
 * larger window ruins random access, a missing one makes sequential access
 * pay the hand-over for each page. Streams are found by the page they expect
 * next, so that several interleaved ones (threads, two arrays) are kept apart.
 *
 * Above: fault.c. One instance per space, used by its event thread only.
 */
#include "mm/mm_internal.h"

#define GROWTH 4

unsigned sw_stream_window(struct sw_streams *st, uint64_t vpn, unsigned *slot)
{
	unsigned oldest = 0;

	st->clock++;
	for (unsigned i = 0; i < SW_STREAMS; i++) {
		struct sw_stream *s = &st->s[i];

		if (s->window && s->next == vpn) {
			s->window = sw_min(s->window * GROWTH, SW_WINDOW_PAGES);
			s->used = st->clock;
			*slot = i;
			return s->window;
		}
		if (s->used < st->s[oldest].used)
			oldest = i;
	}
	st->s[oldest].window = 1;
	st->s[oldest].used = st->clock;
	*slot = oldest;
	return 1;
}

void sw_stream_continue(struct sw_streams *st, unsigned slot, uint64_t vpn)
{
	st->s[slot].next = vpn;
}
