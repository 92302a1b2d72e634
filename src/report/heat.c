/*
 * heat.c - where the faults were: time to the right, addresses upwards, with
 * what had no fault left out. The more faults, the stronger the colour, in steps
 * of equal ratio.
 *
 * Above: page.c. Below: svg.c, bins.c.
 */
#include <math.h>
#include <string.h>

#include "report/pictures.h"

#define LEVELS    6
#define HEIGHT    320.0
#define LABEL_GAP 14.0         /* between two lines of text */
#define GAP_BYTES (1ull << 30) /* addresses apart: a range of their own */

static double chunk_bytes(const struct sw_survey *s)
{
	return (double)(SW_PAGE_SIZE << s->shift);
}

static uint64_t most(const struct sw_bins *b)
{
	uint64_t max = 1;

	for (unsigned r = 0; r < b->rows; r++)
		for (unsigned c = 0; c < SW_HEAT_COLS; c++)
			max = sw_max(max, b->heat[r][c]);
	return max;
}

/* The least faults of a level, from 1 on. */
static uint64_t level_from(uint64_t max, unsigned level)
{
	return ceil(pow(max + 1.0, (level - 1.0) / LEVELS) - 1e-9);
}

static unsigned level_of(uint64_t max, uint64_t nr)
{
	unsigned level = LEVELS;

	while (level > 1 && nr < level_from(max, level))
		level--;
	return level;
}

/* All cells of one level are one path, neighbours in time one rectangle. */
static void put_level(struct sw_plot *p, const struct sw_bins *b, uint64_t max,
		      unsigned level)
{
	double w = p->width / SW_HEAT_COLS, h = p->height / b->rows;

	fprintf(p->out, "<path class=\"h%u\" d=\"", level);
	for (unsigned r = 0; r < b->rows; r++) {
		double y = p->top + p->height - (r + 1) * h;

		for (unsigned c = 0, n; c < SW_HEAT_COLS; c += sw_max(n, 1u)) {
			for (n = 0; c + n < SW_HEAT_COLS && b->heat[r][c + n] &&
				    level_of(max, b->heat[r][c + n]) == level;)
				n++;
			if (n)
				fprintf(p->out, "M%.2f %.2fh%.2fv%.2fh%.2fz",
					p->left + c * w, y, n * w, h, -(n * w));
		}
	}
	fputs("\"/>\n", p->out);
}

static void put_scale(struct sw_plot *p, uint64_t max)
{
	double x = p->left, y = p->top + p->height + 36;

	fprintf(p->out,
		"<text x=\"%.1f\" y=\"%.1f\">faults in a cell:</text>\n", x,
		y + 9);
	x += 108;
	for (unsigned level = 1; level <= LEVELS; level++) {
		uint64_t from = level_from(max, level);
		char text[32];

		if (level < LEVELS && level_from(max, level + 1) == from)
			continue;
		fprintf(p->out,
			"<path class=\"h%u\" d=\"M%.1f %.1fh14v10h-14z\"/>"
			"<text x=\"%.1f\" y=\"%.1f\">%s+</text>\n",
			level, x, y, x + 18, y + 9, sw_text_count(from, text));
		x += 80;
	}
}

/* Names of address spaces, and where ranges begin, beside the rows. */
static void put_ranges(struct sw_plot *p, const struct sw_survey *s)
{
	double last = p->whole + LABEL_GAP;
	double x = p->left + p->width;

	for (uint64_t i = 0; i < s->nr_chunks; i++) {
		const struct sw_chunk *c = &s->chunk[i], *before = c - 1;
		bool other = !i || before->space != c->space;
		double y = sw_plot_y(p, i * chunk_bytes(s));
		double at = (double)c->nr * chunk_bytes(s);
		char name[96];

		if (!other && (c->nr - before->nr) * chunk_bytes(s) < GAP_BYTES)
			continue;
		fprintf(p->out, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/>",
			other ? "axis" : "grid", other ? p->left : x, y, x + 8);
		if (last - y < (other ? 2 : 1) * LABEL_GAP)
			continue;
		fprintf(p->out,
			"<text x=\"%.1f\" y=\"%.1f\" class=\"range\">%#llx"
			"</text>",
			x + 12, y - 3, (unsigned long long)at);
		last = y - (other ? LABEL_GAP : 0);
		if (other) {
			fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\">", x + 12,
				y - 3 - LABEL_GAP);
			sw_survey_name(s, c->space, name);
			sw_put_text(p->out, name, strlen(name));
			fputs("</text>", p->out);
		}
		fputc('\n', p->out);
	}
}

void sw_picture_heat(FILE *out, const struct sw_bins *b)
{
	const struct sw_survey *s = b->survey;
	uint64_t max = most(b);
	char about[160], a[32], n[32];
	struct sw_plot p = {
		.out = out,
		.id = "heat",
		.left = SW_PLOT_LEFT,
		.top = SW_PLOT_TOP,
		.width = SW_PLOT_WIDTH,
		.height = HEIGHT,
		.whole = SW_PLOT_TOP + HEIGHT + 58,
		.x = sw_axis_seconds(s->duration_ns, 8),
		.y = sw_axis_bytes(s->nr_chunks * chunk_bytes(s), 5),
	};

	if (!s->nr_chunks) {
		fputs("<section><h2>Faults over time and address</h2>"
		      "<p>There were no faults.</p></section>\n",
		      out);
		return;
	}
	snprintf(about, sizeof(about),
		 "Faults by time and address: %s of memory, at most %s faults "
		 "in a cell.",
		 sw_text_bytes(s->nr_chunks * chunk_bytes(s), a),
		 sw_text_count(max, n));
	sw_plot_begin(&p, "Faults over time and address", about);
	for (unsigned level = 1; level <= LEVELS; level++)
		put_level(&p, b, max, level);
	sw_plot_x_axis(&p);
	sw_plot_y_axis(&p, "memory that had faults, by address");
	put_ranges(&p, s);
	put_scale(&p, max);
	sw_plot_end(&p,
		    "Address spaces are on top of each other in the order "
		    "in which they began; what had no fault is left out, "
		    "and a gap of more than 1 GiB has a tick on the right.");
}
