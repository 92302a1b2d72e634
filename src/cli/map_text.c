/*
 * map_text.c - the clusters of a device as characters, one for each cell, and
 * what they mean below. It says the same with and without colours, so it has
 * none. Above: cmd_map.c. Below: map.c.
 */
#include "cli/map.h"
#include "run/options.h"

#define LABEL 10 /* columns before each line */

static char mark_of_state(const struct map_state *st)
{
	switch (st->list) {
	case MAP_FREE:
		return '.';
	case MAP_NONFULL:
		return '0' + st->order;
	case MAP_FRAG:
		return '~';
	case MAP_FULL:
		return '#';
	case MAP_DISCARD:
		return 'd';
	default:
		return '*';
	}
}

static char mark_of(const struct map_cell *c)
{
	return c->bad_bytes ? 'x' : mark_of_state(c->state);
}

unsigned map_text_per_line(unsigned columns)
{
	unsigned nr = 16;

	while (nr * 2 + LABEL <= columns && nr < 256)
		nr *= 2;
	return nr;
}

static void print_head(const struct cluster_map *m, FILE *out)
{
	json_int_t in_use = m->clusters;
	char a[24], b[24];

	for (unsigned i = 0; i < m->nr_states; i++)
		if (!m->state[i].used_bytes)
			in_use -= m->state[i].clusters;
	fprintf(out, "%s: %lld cluster%s of %s, %s used in %lld of them",
		m->device, m->clusters, m->clusters == 1 ? "" : "s",
		sw_size_format(m->cluster_bytes, a),
		sw_size_format(m->used_bytes, b), in_use);
	if (m->per_cell > 1)
		fprintf(out, "; a character is %lld clusters", m->per_cell);
	fputs("\n\n", out);
}

static void print_cells(const struct cluster_map *m, unsigned per_line,
			FILE *out)
{
	for (size_t i = 0; i < m->nr_cells; i++) {
		if (i % per_line == 0)
			fprintf(out, "%s%8lld  ", i ? "\n" : "",
				m->cell[i].first);
		fputc(mark_of(&m->cell[i]), out);
	}
	fputs("\n\n", out);
}

static void print_legend(const struct cluster_map *m, FILE *out)
{
	char text[80], used[24];

	for (unsigned i = 0; i < m->nr_states; i++) {
		const struct map_state *st = &m->state[i];

		if (!st->clusters)
			continue;
		fprintf(out, "  %c %8lld  %s", mark_of_state(st), st->clusters,
			map_state_text(m, st, text));
		if (st->used_bytes)
			fprintf(out, ", %s used",
				sw_size_format(st->used_bytes, used));
		fputc('\n', out);
	}
	if (m->bad_bytes)
		fprintf(out,
			"  x           with bad slots, %s in all, in %zu place%s\n",
			sw_size_format(m->bad_bytes, used), m->bad_cells,
			m->bad_cells == 1 ? "" : "s");
}

void map_print_text(const struct cluster_map *m, unsigned columns, FILE *out)
{
	print_head(m, out);
	print_cells(m, map_text_per_line(columns), out);
	print_legend(m, out);
}
