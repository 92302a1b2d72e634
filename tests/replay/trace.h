/*
 * trace.h - accesses of one program to its pages, made up or recorded.
 *
 * A trace begins with what fills the memory; only what comes after `start` is
 * counted. The same shape and seed make the same trace everywhere.
 *
 * The recorded form is text, a line an access, in the order of time:
 *
 *        # a comment
 *        w 17 4      pages 17, 18, 19 and 20 are written
 *        r 3         page 3 is read
 *        start       what follows is counted
 *
 * Pages are numbered from 0 without large gaps: whoever records a program
 * leaves out what lies between its mappings.
 */
#ifndef SW_REPLAY_TRACE_H
#define SW_REPLAY_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct trace {
	uint32_t *access; /* page * 2, + 1 for a write */
	uint64_t nr, max;
	uint64_t start;    /* the first that is counted */
	uint32_t nr_pages; /* all are below */
};

struct trace_shape {
	uint32_t budget;   /* pages; what "hot" and "larger" refer to */
	uint32_t nr_pages; /* pages in all, where the kind leaves that open */
	uint64_t nr;       /* accesses that are counted */
	uint64_t seed;
};

struct trace_kind {
	const char *name;
	const char *what;
	void (*make)(struct trace *t, const struct trace_shape *shape);
};

extern const struct trace_kind trace_kinds[];
extern const unsigned nr_trace_kinds;

static inline uint32_t trace_page(const struct trace *t, uint64_t i)
{
	return t->access[i] >> 1;
}

static inline bool trace_is_write(const struct trace *t, uint64_t i)
{
	return t->access[i] & 1;
}

/* -ENOENT: no such kind. */
int trace_make(struct trace *t, const char *kind,
	       const struct trace_shape *shape);
/* Says on stderr which line it does not understand: -EINVAL. */
int trace_load(struct trace *t, FILE *file);
int trace_save(const struct trace *t, FILE *file);
void trace_free(struct trace *t);

#endif
