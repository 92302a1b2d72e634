/*
 * cluster_map.c - the request for a picture of a device's clusters:
 *
 *      map     "device", as off has it, "cells", how many at most:
 *              { "session", "device", "kind", "clusters", "cluster_pages",
 *                "clusters_per_cell", "cells", "used_bytes", "bad_bytes",
 *                "states": [ { "list", "order", "clusters", "used_bytes" } ] }
 *      and before that, in packets, from the device's beginning on,
 *              { "cells": [ [ state, clusters, used_bytes, bad_bytes ] ] }
 *
 * A cell stands for so many clusters next to each other, and its state, an index
 * into "states", is what most of them are in. A snapshot of each cluster at its
 * moment: a device in use changes meanwhile.
 *
 * Above: requests.c. Below: swap/swap_map.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define CELLS_MAX  16384
#define PER_PACKET 1024

/* Lists of clusters by order are so many states each. */
#define STATE_NONFULL 1
#define STATE_FRAG    (STATE_NONFULL + SWAP_CLUSTER_ORDERS)
#define STATE_FULL    (STATE_FRAG + SWAP_CLUSTER_ORDERS)
#define STATE_DISCARD (STATE_FULL + 1)
#define STATE_TAKEN   (STATE_DISCARD + 1)
#define NR_STATES     (STATE_TAKEN + 1)

static const char *const lists[] = { "free", "nonfull", "frag",
				     "full", "discard", "taken" };

struct cell {
	unsigned state;
	uint64_t clusters, used, bad;
};

struct map {
	uint64_t per_cell; /* clusters */
	struct cell *cell;
	unsigned nr, max;
	uint64_t in_state[NR_STATES]; /* clusters of the last cell */
	uint64_t clusters[NR_STATES], used[NR_STATES];
	uint64_t bad;
};

static unsigned state_of(const struct swap_cluster_state *st)
{
	switch (st->list) {
	case SWAP_CLUSTER_FREE:
		return 0;
	case SWAP_CLUSTER_NONFULL:
		return STATE_NONFULL + st->order;
	case SWAP_CLUSTER_FRAG:
		return STATE_FRAG + st->order;
	case SWAP_CLUSTER_FULL:
		return STATE_FULL;
	case SWAP_CLUSTER_DISCARD:
		return STATE_DISCARD;
	default:
		return STATE_TAKEN;
	}
}

/* ---- looking ---- */

static bool add_cluster(void *arg, const struct swap_cluster_state *st)
{
	struct map *m = arg;
	unsigned state = state_of(st);
	struct cell *c = m->nr ? &m->cell[m->nr - 1] : NULL;

	if (!c || c->clusters == m->per_cell) {
		if (m->nr == m->max) /* another, larger device has its place */
			return false;
		c = &m->cell[m->nr++];
		memset(m->in_state, 0, sizeof(m->in_state));
	}
	c->clusters++;
	c->used += st->used;
	c->bad += st->bad;
	m->in_state[state]++;
	/* What most are in; of equals the fuller one. */
	if (m->in_state[state] + (state > c->state) > m->in_state[c->state])
		c->state = state;
	m->clusters[state]++;
	m->used[state] += st->used;
	m->bad += st->bad;
	return true;
}

static bool look(struct map *m, const struct sw_device_line *dev, unsigned max)
{
	struct sw_swap_device_info info;
	uint64_t clusters;

	if (!swap_device_info(dev->type, &info))
		goto gone;
	clusters = (info.max + SWAPFILE_CLUSTER - 1) / SWAPFILE_CLUSTER;
	m->per_cell = (clusters + max - 1) / max;
	m->max = (clusters + m->per_cell - 1) / m->per_cell;
	m->cell = calloc(m->max, sizeof(*m->cell));
	if (!m->cell) {
		sw_error("the session is short of memory; try again");
		return false;
	}
	if (!swap_for_each_cluster(dev->type, add_cluster, m))
		return true;
gone:
	sw_error("%s: has just been turned off", dev->name);
	return false;
}

/* ---- what goes back ---- */

static bool send_cells(struct sw_call *call, const struct map *m)
{
	for (unsigned i = 0; i < m->nr;) {
		json_t *part = json_array();

		for (unsigned n = 0; n < PER_PACKET && i < m->nr; n++, i++) {
			const struct cell *c = &m->cell[i];

			json_array_append_new(part,
					      json_pack("[i, I, I, I]",
							c->state, c->clusters,
							c->used * SW_PAGE_SIZE,
							c->bad * SW_PAGE_SIZE));
		}
		if (!sw_call_piece(call, json_pack("{s:o}", "cells", part)))
			return false;
	}
	return true;
}

static json_t *states_json(const struct map *m)
{
	json_t *states = json_array();

	for (unsigned i = 0; i < NR_STATES; i++) {
		unsigned list = i < STATE_NONFULL ? SWAP_CLUSTER_FREE
				: i < STATE_FRAG  ? SWAP_CLUSTER_NONFULL
				: i < STATE_FULL
					? SWAP_CLUSTER_FRAG
					: SWAP_CLUSTER_FULL + i - STATE_FULL;
		unsigned order = list == SWAP_CLUSTER_NONFULL
					 ? i - STATE_NONFULL
				 : list == SWAP_CLUSTER_FRAG ? i - STATE_FRAG
							     : 0;

		json_array_append_new(states,
				      json_pack("{s:s, s:i, s:I, s:I}",     /**/
						"list", lists[list],        /**/
						"order", order,             /**/
						"clusters", m->clusters[i], /**/
						"used_bytes",
						m->used[i] * SW_PAGE_SIZE));
	}
	return states;
}

static json_t *map_json(struct session *s, const struct map *m,
			const struct sw_device_line *dev)
{
	uint64_t clusters = 0, used = 0;

	for (unsigned i = 0; i < NR_STATES; i++) {
		clusters += m->clusters[i];
		used += m->used[i];
	}
	return json_pack(
		"{s:s, s:o, s:s, s:I, s:i, s:I, s:i, s:I, s:I, s:o}", /**/
		"session", s->door.name,                              /**/
		"device", sw_name_json(dev->name),                    /**/
		"kind", dev->kind,                                    /**/
		"clusters", clusters,                                 /**/
		"cluster_pages", SWAPFILE_CLUSTER,                    /**/
		"clusters_per_cell", m->per_cell,                     /**/
		"cells", m->nr,                                       /**/
		"used_bytes", used * SW_PAGE_SIZE,                    /**/
		"bad_bytes", m->bad * SW_PAGE_SIZE,                   /**/
		"states", states_json(m));
}

json_t *sw_answer_map(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	const char *name = sw_request_text(request, "device");
	json_int_t cells =
		json_integer_value(json_object_get(request, "cells"));
	struct sw_device_line dev;
	struct map m = { 0 };
	json_t *answer = NULL;

	if (!name)
		return NULL;
	if (cells < 1 || cells > CELLS_MAX) {
		sw_error("\"cells\" is a number from 1 to %u", CELLS_MAX);
		return NULL;
	}
	if (sw_devices_find(&s->devices, name, &dev) && look(&m, &dev, cells) &&
	    send_cells(call, &m))
		answer = map_json(s, &m, &dev);
	free(m.cell);
	return answer;
}
