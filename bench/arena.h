/*
 * arena.h - where a program's data lies: in plain memory, or, compiled with
 * -DREGION and -lspillway, in a region of the library. The program is the same
 * text both times, so its accesses are, too.
 *
 * The options of the instance are what SPILLWAY_REGION in the environment says,
 * as spillway_open_text() takes them.
 */
#ifndef BENCH_ARENA_H
#define BENCH_ARENA_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static inline void *arena_failed(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

#ifdef REGION
#include <spillway.h>

static spillway_t *arena;

static inline void arena_open(void)
{
	const char *text = getenv("SPILLWAY_REGION");
	char why[256] = "";

	if (!text)
		arena_failed("SPILLWAY_REGION", "not set");
	if (spillway_open_text(text, why, sizeof(why), &arena))
		arena_failed(text, why);
}

/* Memory that reads as zeros; exits if there is none. */
static inline void *arena_alloc(size_t bytes)
{
	void *p;
	int err;

	if (!arena)
		arena_open();
	err = spillway_alloc(arena, bytes, NULL, &p);
	return err ? arena_failed("no region", strerror(-err)) : p;
}

/* What lies here is wanted in no order. */
static inline void arena_is_random(void *p, size_t bytes)
{
	int err = spillway_advise(arena, p, bytes, SPILLWAY_RANDOM);

	if (err)
		arena_failed("advise", strerror(-err));
}

#else

static inline void *arena_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? arena_failed("mmap", strerror(errno)) : p;
}

static inline void arena_is_random(void *p, size_t bytes)
{
	(void)p;
	(void)bytes;
}

#endif
#endif
