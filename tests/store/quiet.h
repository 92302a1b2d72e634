/*
 * quiet.h - catches what is written to stderr while errors are provoked on
 * purpose, and counts its lines.
 */
#ifndef SW_TEST_QUIET_H
#define SW_TEST_QUIET_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct quiet {
	FILE *file;
	int saved;
};

static inline struct quiet quiet_begin(void)
{
	struct quiet q = { .file = tmpfile(), .saved = dup(STDERR_FILENO) };

	if (!q.file || q.saved < 0)
		abort();
	dup2(fileno(q.file), STDERR_FILENO);
	return q;
}

/* How many lines were written. */
static inline unsigned quiet_end(struct quiet *q)
{
	unsigned lines = 0;
	int c;

	dup2(q->saved, STDERR_FILENO);
	close(q->saved);
	rewind(q->file);
	while ((c = getc(q->file)) != EOF)
		lines += c == '\n';
	fclose(q->file);
	return lines;
}

#endif
