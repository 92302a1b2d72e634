/*
 * map.h - the clusters of a swap device as `spillway map` has them from a
 * session, and the forms in which it shows them: map_text.c, map_svg.c.
 */
#ifndef SW_CLI_MAP_H
#define SW_CLI_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define MAP_STATES_MAX 32

/* What a cluster can be; those of NONFULL and FRAG are many, by order. */
enum map_list {
	MAP_FREE,
	MAP_NONFULL,
	MAP_FRAG,
	MAP_FULL,
	MAP_DISCARD,
	MAP_TAKEN,
	MAP_NR_LISTS,
};

extern const char *const map_list_names[MAP_NR_LISTS];

struct map_state {
	enum map_list list;
	int order;
	json_int_t clusters, used_bytes;
};

/* Clusters next to each other, drawn as one. */
struct map_cell {
	const struct map_state *state; /* that of most of them */
	json_int_t first, clusters, used_bytes, bad_bytes;
};

struct cluster_map {
	char session[65], device[256], kind[16];
	json_int_t clusters, per_cell, cluster_bytes, used_bytes, bad_bytes;
	struct map_state state[MAP_STATES_MAX];
	unsigned nr_states;
	struct map_cell *cell;
	size_t nr_cells, bad_cells;
};

/* From what the session answered, and the pieces before that. False: it says
 * something else. To be released in any case. */
bool map_read(struct cluster_map *m, const json_t *answer, const json_t *cells);
void map_release(struct cluster_map *m);

/* "free", or "partly used, by folios of 64K": for people. */
const char *map_state_text(const struct cluster_map *m,
			   const struct map_state *st, char buf[80]);
/* How much of a cell is in use, 0 to 1. */
double map_fill(const struct cluster_map *m, const struct map_cell *c);

/* So many cells a line, a power of two that fits into `columns`. */
unsigned map_text_per_line(unsigned columns);
void map_print_text(const struct cluster_map *m, unsigned columns, FILE *out);
void map_print_svg(const struct cluster_map *m, FILE *out);
/* 0, or -1: no memory, or `out` failed. */
int map_print_json(const struct cluster_map *m, FILE *out);

#endif
