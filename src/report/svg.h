/*
 * svg.h - what the pictures have in common: a frame with axes, round ticks and
 * units, and text that is no markup. Colours are names of the page's style, so
 * that a dark page has others.
 */
#ifndef SW_REPORT_SVG_H
#define SW_REPORT_SVG_H

#include <stdio.h>

#include "base/base.h"

struct sw_axis {
	double max;  /* at the far end; the near one is 0 */
	double step; /* between two ticks */
	double unit; /* that the labels count in */
	const char *name;
	unsigned decimals;
};

struct sw_plot {
	FILE *out;
	const char *id;
	double left, top, width, height; /* of what is inside the axes */
	double whole;                    /* height of the picture */
	struct sw_axis x, y;
};

#define SW_PICTURE_WIDTH 900.0
#define SW_PLOT_LEFT     76.0
#define SW_PLOT_WIDTH    620.0 /* what is right of it is for the key */
#define SW_PLOT_TOP      30.0

/* Round ticks for values up to `max`, about `ticks` of them. */
struct sw_axis sw_axis_seconds(double max_ns, unsigned ticks);
struct sw_axis sw_axis_bytes(double max_bytes, unsigned ticks);
struct sw_axis sw_axis_count(double max, unsigned ticks);
/* The same, which ends at a tick. */
struct sw_axis sw_axis_to_tick(struct sw_axis axis);

double sw_plot_x(const struct sw_plot *p, double value);
double sw_plot_y(const struct sw_plot *p, double value);

/* <figure> and <svg>, with a title and a description for who does not see it. */
void sw_plot_begin(struct sw_plot *p, const char *title, const char *about);
void sw_plot_end(struct sw_plot *p, const char *caption);
void sw_plot_x_axis(struct sw_plot *p);
void sw_plot_y_axis(struct sw_plot *p, const char *label);
/* A line of the key to the right of the picture, the nth from above; of a
 * `class` that is an area, or a line. */
void sw_plot_key(struct sw_plot *p, unsigned n, const char *class,
		 const char *text);
void sw_plot_key_line(struct sw_plot *p, unsigned n, const char *class,
		      const char *text);

/* `len` bytes as text in XML; what is no UTF-8, or no character that XML has,
 * becomes U+FFFD. */
void sw_put_text(FILE *out, const char *text, size_t len);

/* "1.5 ms", "512 MiB", "12 345". */
const char *sw_text_ns(double ns, char buf[32]);
const char *sw_text_bytes(double bytes, char buf[32]);
const char *sw_text_count(uint64_t nr, char buf[32]);

#endif
