/*
 * map.c - see map.h: what the session said is read and looked at here, so that
 * who draws need not. Above: cmd_map.c. Below: jansson.
 */
#include "cli/map.h"

#include <stdlib.h>
#include <string.h>

#include "run/options.h"

const char *const map_list_names[MAP_NR_LISTS] = {
	"free", "nonfull", "frag", "full", "discard", "taken",
};

/* ---- reading ---- */

/* A path may have anything in it, and goes to a terminal or into XML. */
static void copy_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7f)
			*to = '?';
}

static bool read_head(struct cluster_map *m, const json_t *answer)
{
	const char *session, *device, *kind;
	json_int_t pages;

	if (json_unpack((json_t *)answer,
			"{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", /**/
			"session", &session,                        /**/
			"device", &device,                          /**/
			"kind", &kind,                              /**/
			"clusters", &m->clusters,                   /**/
			"cluster_pages", &pages,                    /**/
			"clusters_per_cell", &m->per_cell,          /**/
			"used_bytes", &m->used_bytes,               /**/
			"bad_bytes", &m->bad_bytes))
		return false;
	m->cluster_bytes = pages * SW_PAGE_SIZE;
	copy_name(m->session, sizeof(m->session), session);
	copy_name(m->device, sizeof(m->device), device);
	copy_name(m->kind, sizeof(m->kind), kind);
	return m->cluster_bytes > 0;
}

static bool read_state(json_t *json, struct map_state *st)
{
	const char *list;
	unsigned i = 0;

	if (json_unpack(json, "{s:s, s:i, s:I, s:I}", "list", &list, /**/
			"order", &st->order,                         /**/
			"clusters", &st->clusters,                   /**/
			"used_bytes", &st->used_bytes))
		return false;
	while (i < MAP_NR_LISTS && strcmp(list, map_list_names[i]))
		i++;
	st->list = i;
	return i < MAP_NR_LISTS && st->order >= 0 && st->order <= 9;
}

static bool read_states(struct cluster_map *m, const json_t *states)
{
	json_t *json;
	size_t i;

	if (json_array_size(states) > MAP_STATES_MAX)
		return false;
	json_array_foreach(states, i, json)
	{
		if (!read_state(json, &m->state[i]))
			return false;
		m->nr_states++;
	}
	return true;
}

static bool read_cells(struct cluster_map *m, const json_t *cells)
{
	json_int_t first = 0;
	json_t *json;
	size_t i;

	m->cell = calloc(json_array_size(cells) + 1, sizeof(*m->cell));
	if (!m->cell)
		return false;
	json_array_foreach(cells, i, json)
	{
		struct map_cell *c = &m->cell[i];
		unsigned state;

		if (json_unpack(json, "[i, I, I, I]", &state, &c->clusters,
				&c->used_bytes, &c->bad_bytes) ||
		    state >= m->nr_states || c->clusters < 1)
			return false;
		c->state = &m->state[state];
		c->first = first;
		first += c->clusters;
		m->bad_cells += c->bad_bytes != 0;
		m->nr_cells++;
	}
	return first == m->clusters;
}

bool map_read(struct cluster_map *m, const json_t *answer, const json_t *cells)
{
	memset(m, 0, sizeof(*m));
	return read_head(m, answer) &&
	       read_states(m, json_object_get(answer, "states")) &&
	       read_cells(m, cells);
}

void map_release(struct cluster_map *m)
{
	free(m->cell);
}

/* ---- for those who draw ---- */

double map_fill(const struct cluster_map *m, const struct map_cell *c)
{
	double fill = (double)c->used_bytes /
		      ((double)c->clusters * m->cluster_bytes);

	return fill < 0 ? 0 : fill > 1 ? 1 : fill;
}

const char *map_state_text(const struct cluster_map *m,
			   const struct map_state *st, char buf[80])
{
	const char *how = st->list == MAP_FRAG ? "fragmented" : "partly used";
	char size[24];

	(void)m;
	sw_size_format(SW_PAGE_SIZE << st->order, size);
	switch (st->list) {
	case MAP_FREE:
		return "free";
	case MAP_FULL:
		return "full";
	case MAP_DISCARD:
		return "to be discarded";
	case MAP_TAKEN:
		return "being worked on";
	default:
		if (st->order)
			snprintf(buf, 80, "%s, order %d (folios of %s)", how,
				 st->order, size);
		else
			snprintf(buf, 80, "%s, order 0 (single pages)", how);
		return buf;
	}
}

/* ---- JSON ---- */

static json_t *states_json(const struct cluster_map *m)
{
	json_t *states = json_array();

	for (unsigned i = 0; i < m->nr_states; i++) {
		const struct map_state *st = &m->state[i];

		json_array_append_new(
			states, json_pack("{s:s, s:i, s:I, s:I}", "state",
					  map_list_names[st->list], "order",
					  st->order, "clusters", st->clusters,
					  "used_bytes", st->used_bytes));
	}
	return states;
}

static json_t *cells_json(const struct cluster_map *m)
{
	json_t *cells = json_array();

	for (size_t i = 0; i < m->nr_cells; i++) {
		const struct map_cell *c = &m->cell[i];

		json_array_append_new(
			cells,
			json_pack("{s:I, s:I, s:s, s:i, s:I, s:I}",        /**/
				  "first", c->first,                       /**/
				  "clusters", c->clusters,                 /**/
				  "state", map_list_names[c->state->list], /**/
				  "order", c->state->order,                /**/
				  "used_bytes", c->used_bytes,             /**/
				  "bad_bytes", c->bad_bytes));
	}
	return cells;
}

int map_print_json(const struct cluster_map *m, FILE *out)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", /**/
		"session", m->session,                                /**/
		"device", m->device,                                  /**/
		"type", m->kind,                                      /**/
		"clusters", m->clusters,                              /**/
		"cluster_bytes", m->cluster_bytes,                    /**/
		"clusters_per_cell", m->per_cell,                     /**/
		"used_bytes", m->used_bytes,                          /**/
		"bad_bytes", m->bad_bytes,                            /**/
		"counts", states_json(m), "cells", cells_json(m));
	int err = json ? json_dumpf(json, out, JSON_INDENT(2)) : -1;

	json_decref(json);
	fputc('\n', out);
	return err;
}
