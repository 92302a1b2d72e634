/*
 * latency.c - how long faults took: a row a kind, over one logarithmic axis, and
 * the same as a table.
 *
 * Above: page.c. Below: svg.c, bins.c.
 */
#include <math.h>
#include <string.h>

#include "report/pictures.h"
#include "report/steps.h"

#define ROW   46.0
#define BAR   38.0 /* of the highest one */
#define A_BAR 4u   /* steps that one bar has */

const struct sw_fault_kind sw_fault_kinds[SW_FAULTS + 1] = {
	[SW_TRACE_ZERO] = { "first touch", "k1",
			    "filled with zeros: the program had nothing there" },
	[SW_TRACE_STAGED] = { "staged", "k2",
			      "taken out a moment before, and still in memory" },
	[SW_TRACE_MARKED] = { "zeros", "k3",
			      "out as a page of zeros, which is only a mark" },
	[SW_TRACE_COMPRESSED] = { "compressed", "k4",
				  "read from compressed memory" },
	[SW_TRACE_DISK] = { "disk", "k5", "read from a file or block device" },
	[SW_TRACE_WRITE] = { "first write", "k6",
			     "the page was there, and protected" },
	[SW_TRACE_OTHER] = { "came again", "k7",
			     "met a page on its way or already there, or was "
			     "held" },
};

/* Decades that hold all of it. */
struct range {
	int from, to; /* powers of ten of nanoseconds */
};

static struct range range_of(const struct sw_bins *b)
{
	uint64_t min = UINT64_MAX, max = 1;
	struct range r;

	for (unsigned k = 1; k <= SW_FAULTS; k++) {
		const struct sw_latencies *l = &b->latency[k];

		for (unsigned i = 0; l->nr && i < SW_LATENCY_STEPS; i++) {
			if (!l->step[i])
				continue;
			min = sw_min(min, sw_step_begin(i, SW_LATENCY_BITS));
			max = sw_max(max, sw_latency_step_end(i));
		}
	}
	r.from = floor(log10(sw_max(sw_min(min, max), (uint64_t)1)));
	r.to = ceil(log10(max) - 1e-9);
	r.to = sw_max(r.to, r.from + 1);
	return r;
}

static double x_of(const struct sw_plot *p, struct range r, double ns)
{
	double at = log10(sw_max(ns, 1.0)) - r.from;

	return p->left + sw_max(0.0, at) / (r.to - r.from) * p->width;
}

static uint64_t bar_of(const struct sw_latencies *l, unsigned i)
{
	uint64_t nr = 0;

	for (unsigned k = 0; k < A_BAR; k++)
		nr += l->step[i + k];
	return nr;
}

static void put_bars(struct sw_plot *p, struct range r,
		     const struct sw_latencies *l, double base,
		     const char *class)
{
	uint64_t max = 1;

	for (unsigned i = 0; i < SW_LATENCY_STEPS; i += A_BAR)
		max = sw_max(max, bar_of(l, i));
	fprintf(p->out, "<path class=\"%s\" d=\"", class);
	for (unsigned i = 0; i < SW_LATENCY_STEPS; i += A_BAR) {
		double from, to, h = BAR * bar_of(l, i) / max;

		if (!bar_of(l, i))
			continue;
		from = x_of(p, r, sw_step_begin(i, SW_LATENCY_BITS));
		to = x_of(p, r, sw_latency_step_end(i + A_BAR - 1));
		/* A single one can be seen. */
		fprintf(p->out, "M%.2f %.2fV%.2fH%.2fV%.2fz", from, base,
			base - sw_max(h, 1.0), sw_max(to - 0.5, from + 0.5),
			base);
	}
	fputs("\"/>\n", p->out);
}

static void put_row(struct sw_plot *p, struct range r, const struct sw_bins *b,
		    unsigned kind, double base)
{
	const struct sw_latencies *l = &b->latency[kind];
	double x = p->left + p->width + 14;
	char a[32], c[32];

	put_bars(p, r, l, base, sw_fault_kinds[kind].class);
	fprintf(p->out,
		"<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>"
		"<path class=\"median\" d=\"M%.1f %.1fv%.1f\"/>"
		"<text x=\"%.1f\" y=\"%.1f\" class=\"end\">%s</text>"
		"<text x=\"%.1f\" y=\"%.1f\">median %s</text>"
		"<text x=\"%.1f\" y=\"%.1f\">99 %% below %s</text>\n",
		p->left, base, p->left + p->width,
		x_of(p, r, sw_latency_at(l, 50)), base, -BAR - 3, p->left - 8,
		base - 4, sw_fault_kinds[kind].name, x, base - 20,
		sw_text_ns(sw_latency_at(l, 50), a), x, base - 4,
		sw_text_ns(sw_latency_at(l, 99), c));
}

static void put_decades(struct sw_plot *p, struct range r)
{
	static const char *const names[] = {
		"1 ns",         "10 ns",         "100 ns", "1 \xc2\xb5s",
		"10 \xc2\xb5s", "100 \xc2\xb5s", "1 ms",   "10 ms",
		"100 ms",       "1 s",           "10 s",   "100 s",
		"1000 s"
	};

	for (int d = r.from; d <= r.to; d++) {
		double x = x_of(p, r, pow(10, d));

		fprintf(p->out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>",
			x, p->top, p->top + p->height + 4);
		if (d < (int)SW_ARRAY_SIZE(names))
			fprintf(p->out,
				"<text x=\"%.1f\" y=\"%.1f\" class=\"mid\">%s"
				"</text>\n",
				x, p->top + p->height + 18, names[d]);
	}
}

static void put_table(FILE *out, const struct sw_bins *b)
{
	fputs("<table class=\"wide\">\n<caption>Faults by kind</caption>\n"
	      "<thead><tr><th scope=\"col\">kind</th>"
	      "<th scope=\"col\">faults</th><th scope=\"col\">mean</th>"
	      "<th scope=\"col\">median</th><th scope=\"col\">90 %</th>"
	      "<th scope=\"col\">99 %</th><th scope=\"col\">longest</th>"
	      "<th scope=\"col\">in all</th>"
	      "<th scope=\"col\" class=\"text\">what it is</th></tr></thead>\n"
	      "<tbody>\n",
	      out);
	for (unsigned k = 1; k <= SW_FAULTS; k++) {
		const struct sw_latencies *l = &b->latency[k];
		char t[7][32];

		if (!l->nr)
			continue;
		fprintf(out,
			"<tr id=\"kind-%u\"><th scope=\"row\">%s</th><td>%s</td>"
			"<td>%s</td><td>%s</td><td>%s</td><td>%s</td>"
			"<td>%s</td><td>%s</td><td class=\"text\">%s</td></tr>"
			"\n",
			k, sw_fault_kinds[k].name, sw_text_count(l->nr, t[0]),
			sw_text_ns((double)l->sum_ns / l->nr, t[1]),
			sw_text_ns(sw_latency_at(l, 50), t[2]),
			sw_text_ns(sw_latency_at(l, 90), t[3]),
			sw_text_ns(sw_latency_at(l, 99), t[4]),
			sw_text_ns(l->max_ns, t[5]),
			sw_text_ns(l->sum_ns, t[6]), sw_fault_kinds[k].about);
	}
	fputs("</tbody></table>\n", out);
}

void sw_picture_latency(FILE *out, const struct sw_bins *b)
{
	struct range r = range_of(b);
	struct sw_plot p = { .out = out,
			     .id = "latency",
			     .left = SW_PLOT_LEFT + 10,
			     .top = 8,
			     .width = SW_PLOT_WIDTH - 10 };
	double base = p.top;

	for (unsigned k = 1; k <= SW_FAULTS; k++)
		p.height += b->latency[k].nr ? ROW : 0;
	if (!p.height)
		return;
	p.whole = p.top + p.height + 28;
	sw_plot_begin(&p, "Latency of faults",
		      "How long faults took, by kind, on a logarithmic axis; "
		      "the table below has the figures.");
	put_decades(&p, r);
	for (unsigned k = 1; k <= SW_FAULTS; k++)
		if (b->latency[k].nr)
			put_row(&p, r, b, k, base += ROW);
	sw_plot_end(&p, "From the moment the fault was read to the moment it "
			"was answered. Each row has a scale of its own; the "
			"upright line is the median. Percentiles are right to "
			"a sixteenth.");
	put_table(out, b);
}
