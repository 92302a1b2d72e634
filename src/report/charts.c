/*
 * charts.c - curves over time: memory, faults a second, and the working set.
 * Values are drawn as steps, a bin wide.
 *
 * Above: page.c. Below: svg.c, bins.c.
 */
#include "report/pictures.h"

/* The value in bin i; `upto` is of rate() alone. */
typedef double value_fn(const struct sw_bins *b, unsigned i, unsigned upto);

static double bytes(uint64_t pages)
{
	return (double)pages * SW_PAGE_SIZE;
}

static double budget(const struct sw_bins *b, unsigned i, unsigned upto)
{
	return bytes(b->bin[i].at.budget);
}

static double used(const struct sw_bins *b, unsigned i, unsigned upto)
{
	return bytes(b->bin[i].at.used);
}

static double total(const struct sw_bins *b, unsigned i, unsigned upto)
{
	return bytes(b->bin[i].at.used + b->bin[i].at.out);
}

static double estimate(const struct sw_bins *b, unsigned i, unsigned upto)
{
	return bytes(b->bin[i].estimate);
}

static double most(const struct sw_bins *b, value_fn *value, unsigned upto)
{
	double max = 0;

	for (unsigned i = 0; i < b->nr; i++)
		max = sw_max(max, value(b, i, upto));
	return max;
}

/* ---- lines and areas ---- */

static void put_steps(struct sw_plot *p, const struct sw_bins *b,
		      value_fn *value, unsigned upto)
{
	double last = -1;

	for (unsigned i = 0; i < b->nr; i++) {
		double v = value(b, i, upto), x = sw_plot_x(p, sw_bin_ns(b, i));

		if (v != last)
			fprintf(p->out, "%s%.1f%s%.1f", i ? "H" : "M", x,
				i ? "V" : " ", sw_plot_y(p, v));
		last = v;
	}
	fprintf(p->out, "H%.1f", p->left + p->width);
}

static void put_line(struct sw_plot *p, const struct sw_bins *b,
		     value_fn *value, const char *class)
{
	fprintf(p->out, "<path class=\"%s\" d=\"", class);
	put_steps(p, b, value, 0);
	fputs("\"/>\n", p->out);
}

/* Down to the axis: what is drawn later covers it. */
static void put_area(struct sw_plot *p, const struct sw_bins *b,
		     value_fn *value, unsigned upto, const char *class)
{
	fprintf(p->out, "<path class=\"%s\" d=\"", class);
	put_steps(p, b, value, upto);
	fprintf(p->out, "V%.1fH%.1fz\"/>\n", p->top + p->height, p->left);
}

static struct sw_plot plot(FILE *out, const struct sw_bins *b, const char *id,
			   double height)
{
	return (struct sw_plot){
		.out = out,
		.id = id,
		.left = SW_PLOT_LEFT,
		.top = SW_PLOT_TOP,
		.width = SW_PLOT_WIDTH,
		.height = height,
		.whole = SW_PLOT_TOP + height + 28,
		.x = sw_axis_seconds(b->survey->duration_ns, 8),
	};
}

/* ---- memory ---- */

static double memory_most(const struct sw_bins *b)
{
	return sw_max(most(b, total, 0), most(b, budget, 0));
}

void sw_picture_memory(FILE *out, const struct sw_bins *b)
{
	struct sw_plot p = plot(out, b, "memory", 230);
	const struct sw_trace_sample *m = &b->survey->most;
	char about[200], u[32], o[32];

	p.y = sw_axis_to_tick(sw_axis_bytes(memory_most(b), 5));
	snprintf(about, sizeof(about),
		 "Memory over time: in use at most %s, in swap at most %s.",
		 sw_text_bytes(bytes(sw_max(m->peak, m->used)), u),
		 sw_text_bytes(bytes(m->out), o));
	sw_plot_begin(&p, "Memory", about);
	put_area(&p, b, total, 0, "out");
	put_area(&p, b, used, 0, "used");
	sw_plot_x_axis(&p);
	sw_plot_y_axis(&p, "memory of the tree");
	put_line(&p, b, budget, "budget");
	sw_plot_key_line(&p, 0, "budget", "budget");
	sw_plot_key(&p, 1, "out", "in swap alone");
	sw_plot_key(&p, 2, "used", "in memory");
	sw_plot_end(&p, "What the tree has in memory, and on top of it what is "
			"out. The highest of each moment is drawn.");
}

/* ---- faults ---- */

/* Faults a second, of all kinds up to one. */
static double rate(const struct sw_bins *b, unsigned i, unsigned upto)
{
	double ns = sw_bin_ns(b, i + 1) - sw_bin_ns(b, i);
	uint64_t nr = 0;

	for (unsigned k = 1; k <= upto; k++)
		nr += b->bin[i].faults[k];
	return nr / sw_max(ns, 1.0) * 1e9;
}

void sw_picture_faults(FILE *out, const struct sw_bins *b)
{
	struct sw_plot p = plot(out, b, "faults", 150);
	char about[120], most_text[32];
	unsigned row = 0;
	double max = most(b, rate, SW_FAULTS);

	p.y = sw_axis_to_tick(sw_axis_count(max, 4));
	snprintf(about, sizeof(about),
		 "Faults per second over time, by kind: at most %s.",
		 sw_text_count(max, most_text));
	sw_plot_begin(&p, "Faults over time", about);
	for (unsigned k = SW_FAULTS; k; k--)
		if (b->latency[k].nr)
			put_area(&p, b, rate, k, sw_fault_kinds[k].class);
	sw_plot_x_axis(&p);
	sw_plot_y_axis(&p, "faults per second");
	for (unsigned k = SW_FAULTS; k; k--)
		if (b->latency[k].nr)
			sw_plot_key(&p, row++, sw_fault_kinds[k].class,
				    sw_fault_kinds[k].name);
	sw_plot_end(&p, "Kinds are on top of each other; the table of "
			"latencies says what they are.");
}

/* ---- the working set ---- */

uint64_t sw_largest_estimate(const struct sw_bins *b)
{
	return most(b, estimate, 0) / SW_PAGE_SIZE;
}

void sw_picture_workingset(FILE *out, const struct sw_bins *b)
{
	struct sw_plot p = plot(out, b, "workingset", 180);
	char about[120], text[32];

	p.y = sw_axis_to_tick(sw_axis_bytes(memory_most(b), 4));
	snprintf(about, sizeof(about),
		 "Estimate of the working set over time: at most %s.",
		 sw_text_bytes(most(b, estimate, 0), text));
	sw_plot_begin(&p, "Working set", about);
	sw_plot_x_axis(&p);
	sw_plot_y_axis(&p, "memory that would have been enough");
	put_line(&p, b, total, "total");
	put_line(&p, b, budget, "budget");
	put_line(&p, b, estimate, "estimate");
	sw_plot_key_line(&p, 0, "total", "all memory and swap");
	sw_plot_key_line(&p, 1, "estimate", "working set, estimated");
	sw_plot_key_line(&p, 2, "budget", "budget");
	sw_plot_end(
		&p,
		"How it is estimated: a page that came back after <i>D</i> "
		"other pages had gone out would have stayed if there had been "
		"room for <i>D</i> more. The line is the memory in use and "
		"the smallest <i>D</i> with which faults would have taken "
		"less than 1 % of that moment, and no more than there was in "
		"all. Where nothing came back it is the memory in use: the "
		"working set is then no larger, and perhaps smaller.");
}
