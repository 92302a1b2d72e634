/*
 * map_svg.c - the clusters of a device as a picture for a browser or a page:
 * squares, each filled from below as far as it is in use, in the colour of its
 * state. One file that needs no other. The colours can be told apart with any
 * kind of eyes, and what is under the pointer says in words what it is.
 *
 * Above: cmd_map.c. Below: map.c.
 */
#include <string.h>

#include "cli/map.h"
#include "run/options.h"

#define PER_LINE 64
#define STEP     14 /* from one square to the next */
#define SQUARE   12
#define LEFT     84 /* of the squares: before them is where they begin */
#define TOP      84
#define WIDTH    (LEFT + PER_LINE * STEP + 24)
#define LEGEND   22 /* from one line to the next */

#define EMPTY     "#e8ebee" /* what is not in use */
#define BAD       "#d7191c"
#define TEXT      "#1f2933"
#define TEXT_SOFT "#616e7c"

/* Orders of clusters in part use, from light to dark: by size of the folios. */
static const char *const order_colours[] = {
	"#86bcdc", "#74b0d5", "#62a4ce", "#5297c6", "#428abe",
	"#347cb5", "#266eaa", "#195f9e", "#0c4f8f", "#08366f",
};

static const char *colour_of(const struct map_state *st)
{
	switch (st->list) {
	case MAP_FREE:
		return EMPTY;
	case MAP_NONFULL:
		return order_colours[st->order];
	case MAP_FRAG:
		return "#f0a030";
	case MAP_FULL:
		return "#3f4b59";
	case MAP_DISCARD:
		return "#9b7fc4";
	default:
		return "#b8a58f";
	}
}

static void print_escaped(const char *text, FILE *out)
{
	for (; *text; text++) {
		const char *entity = *text == '&'   ? "&amp;"
				     : *text == '<' ? "&lt;"
				     : *text == '>' ? "&gt;"
				     : *text == '"' ? "&quot;"
						    : NULL;

		if (entity)
			fputs(entity, out);
		else
			fputc(*text, out);
	}
}

static unsigned nr_lines(const struct cluster_map *m)
{
	return (m->nr_cells + PER_LINE - 1) / PER_LINE;
}

static unsigned nr_legend(const struct cluster_map *m)
{
	unsigned nr = m->bad_bytes != 0;

	for (unsigned i = 0; i < m->nr_states; i++)
		nr += m->state[i].clusters != 0;
	return nr;
}

static void print_head(const struct cluster_map *m, FILE *out)
{
	unsigned height =
		TOP + nr_lines(m) * STEP + 28 + nr_legend(m) * LEGEND + 12;
	char a[24], b[24], c[24];

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"13\" fill=\"" TEXT
		"\">\n"
		"<title>Clusters of ",
		WIDTH, height, WIDTH, height);
	print_escaped(m->device, out);
	fputs("</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
	      "<text x=\"24\" y=\"34\" font-size=\"19\" font-weight=\"600\">",
	      out);
	print_escaped(m->device, out);
	fprintf(out,
		"</text>\n<text x=\"24\" y=\"58\" fill=\"" TEXT_SOFT
		"\">%s of %s used, %lld clusters of %s",
		sw_size_format(m->used_bytes, a),
		sw_size_format(m->clusters * m->cluster_bytes, b), m->clusters,
		sw_size_format(m->cluster_bytes, c));
	if (m->per_cell > 1)
		fprintf(out, "; a square is %lld of them", m->per_cell);
	fputs("</text>\n", out);
}

static void print_cell_text(const struct cluster_map *m,
			    const struct map_cell *c, FILE *out)
{
	char text[80], bad[24];

	fprintf(out, "<title>cluster %lld", c->first);
	if (c->clusters > 1)
		fprintf(out, " to %lld", c->first + c->clusters - 1);
	fprintf(out, ": %s, %.0f%% used", map_state_text(m, c->state, text),
		100 * map_fill(m, c));
	if (c->bad_bytes)
		fprintf(out, ", %s bad", sw_size_format(c->bad_bytes, bad));
	fputs("</title>", out);
}

/* A square at (x, y), `fill` of it in `colour`. */
static void print_square(double x, double y, double fill, const char *colour,
			 bool bad, FILE *out)
{
	double h = SQUARE * fill;

	fprintf(out,
		"<rect x=\"%g\" y=\"%g\" width=\"%d\" height=\"%d\" rx=\"2\" fill=\"" EMPTY
		"\"/>",
		x, y, SQUARE, SQUARE);
	if (fill > 0)
		fprintf(out,
			"<rect x=\"%g\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" rx=\"2\" fill=\"%s\"/>",
			x, y + SQUARE - h, SQUARE, h, colour);
	if (bad)
		fprintf(out,
			"<path d=\"M%g %gl%d %dm0 -%dl-%d %d\" stroke=\"" BAD
			"\" stroke-width=\"2.5\"/>",
			x + 2, y + 2, SQUARE - 4, SQUARE - 4, SQUARE - 4,
			SQUARE - 4, SQUARE - 4);
}

/* What is in use may be so little that nobody would see it. */
static double visible_fill(const struct cluster_map *m,
			   const struct map_cell *c)
{
	double fill = map_fill(m, c);

	if (c->state->list == MAP_FREE && !fill)
		return 0;
	return fill < 0.25 ? 0.25 : fill;
}

static void print_cells(const struct cluster_map *m, FILE *out)
{
	char at[24];

	for (size_t i = 0; i < m->nr_cells; i++) {
		const struct map_cell *c = &m->cell[i];
		double y = TOP + i / PER_LINE * STEP;

		if (i % (8 * PER_LINE) == 0)
			fprintf(out,
				"<text x=\"%d\" y=\"%g\" text-anchor=\"end\" font-size=\"11\" fill=\"" TEXT_SOFT
				"\">%s</text>\n",
				LEFT - 10, y + SQUARE - 2,
				sw_size_format(c->first * m->cluster_bytes,
					       at));
		fputs("<g>", out);
		print_cell_text(m, c, out);
		print_square(LEFT + i % PER_LINE * STEP, y, visible_fill(m, c),
			     colour_of(c->state), c->bad_bytes, out);
		fputs("</g>\n", out);
	}
}

static void print_legend_line(double y, json_int_t nr, const char *text,
			      json_int_t bytes, const char *what, FILE *out)
{
	char size[24];

	if (nr)
		fprintf(out,
			"<text x=\"%d\" y=\"%g\" text-anchor=\"end\">%lld</text>",
			LEFT + 84, y + SQUARE - 1, nr);
	fprintf(out, "<text x=\"%d\" y=\"%g\">%s", LEFT + 98, y + SQUARE - 1,
		text);
	if (bytes)
		fprintf(out,
			"<tspan dx=\"10\" fill=\"" TEXT_SOFT "\">%s %s</tspan>",
			sw_size_format(bytes, size), what);
	fputs("</text>\n", out);
}

static void print_legend(const struct cluster_map *m, FILE *out)
{
	double y = TOP + nr_lines(m) * STEP + 28;
	char text[80];

	for (unsigned i = 0; i < m->nr_states; i++) {
		const struct map_state *st = &m->state[i];

		if (!st->clusters)
			continue;
		print_square(LEFT, y, st->list != MAP_FREE, colour_of(st),
			     false, out);
		print_legend_line(y, st->clusters, map_state_text(m, st, text),
				  st->used_bytes, "used", out);
		y += LEGEND;
	}
	if (m->bad_bytes) {
		print_square(LEFT, y, 0, EMPTY, true, out);
		print_legend_line(y, 0, "with bad slots", m->bad_bytes, "bad",
				  out);
	}
}

void map_print_svg(const struct cluster_map *m, FILE *out)
{
	print_head(m, out);
	print_cells(m, out);
	print_legend(m, out);
	fputs("</svg>\n", out);
}
