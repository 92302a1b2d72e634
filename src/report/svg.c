/* svg.c - see svg.h. Above: charts.c, heat.c, latency.c, page.c. */
#include "report/svg.h"

#include <math.h>
#include <string.h>

/* ---- axes ---- */

/* The smallest of 1, 2, 5, 10, 20 ... (or of powers of two) that is at least
 * that much. */
static double round_step(double least)
{
	double ten = pow(10, floor(log10(least)));

	if (least <= ten)
		return ten;
	if (least <= 2 * ten)
		return 2 * ten;
	return least <= 5 * ten ? 5 * ten : 10 * ten;
}

static unsigned decimals_of(double step)
{
	unsigned n = 0;

	for (; n < 3 && fabs(step - round(step)) > 1e-6; n++)
		step *= 10;
	return n;
}

struct sw_axis sw_axis_seconds(double max_ns, unsigned ticks)
{
	static const struct {
		double unit;
		const char *name;
		double steps[6]; /* 0: then by tens */
	} units[] = {
		{ 86400e9, "d", { 0 } },
		{ 3600e9, "h", { 1, 2, 3, 6, 12, 24 } },
		{ 60e9, "min", { 1, 2, 5, 10, 20, 30 } },
		{ 1e9, "s", { 1, 2, 5, 10, 20, 30 } },
		{ 1e6, "ms", { 0 } },
	};
	struct sw_axis a = { .max = sw_max(max_ns, 1.0) };
	double least;
	unsigned u = 0;

	while (u < SW_ARRAY_SIZE(units) - 1 && max_ns < 2 * units[u].unit)
		u++;
	a.unit = units[u].unit;
	a.name = units[u].name;
	least = a.max / a.unit / ticks;
	a.step = round_step(least);
	for (unsigned i = 0; least >= 0.5 && i < 6; i++) {
		if (units[u].steps[i] >= least) {
			a.step = units[u].steps[i];
			break;
		}
	}
	a.decimals = decimals_of(a.step);
	a.step *= a.unit;
	return a;
}

struct sw_axis sw_axis_bytes(double max_bytes, unsigned ticks)
{
	static const char *const names[] = { "B",   "KiB", "MiB",
					     "GiB", "TiB", "PiB" };
	struct sw_axis a = { .max = sw_max(max_bytes, 1.0), .unit = 1 };
	unsigned u = 0;

	while (u < SW_ARRAY_SIZE(names) - 1 && a.max >= 2 * 1024 * a.unit) {
		a.unit *= 1024;
		u++;
	}
	a.name = names[u];
	a.step = exp2(ceil(log2(a.max / ticks)));
	a.decimals = decimals_of(a.step / a.unit);
	return a;
}

struct sw_axis sw_axis_count(double max, unsigned ticks)
{
	struct sw_axis a = { .max = sw_max(max, 1.0), .unit = 1, .name = "" };

	if (max >= 2e9) {
		a.unit = 1e9;
		a.name = "G";
	} else if (max >= 2e6) {
		a.unit = 1e6;
		a.name = "M";
	} else if (max >= 2e3) {
		a.unit = 1e3;
		a.name = "k";
	}
	a.step = round_step(a.max / ticks);
	a.decimals = decimals_of(a.step / a.unit);
	return a;
}

struct sw_axis sw_axis_to_tick(struct sw_axis axis)
{
	axis.max = ceil(axis.max / axis.step - 1e-9) * axis.step;
	return axis;
}

/* ---- places ---- */

double sw_plot_x(const struct sw_plot *p, double value)
{
	return p->left + value / p->x.max * p->width;
}

double sw_plot_y(const struct sw_plot *p, double value)
{
	return p->top + p->height - value / p->y.max * p->height;
}

/* ---- frames ---- */

void sw_plot_begin(struct sw_plot *p, const char *title, const char *about)
{
	fprintf(p->out,
		"<section aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">%s</h2>\n"
		"<figure>\n"
		"<svg id=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
		"aria-labelledby=\"%s-t %s-d\">\n"
		"<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">",
		p->id, p->id, title, p->id, SW_PICTURE_WIDTH, p->whole, p->id,
		p->id, p->id, title, p->id);
	sw_put_text(p->out, about, strlen(about));
	fputs("</desc>\n", p->out);
}

void sw_plot_end(struct sw_plot *p, const char *caption)
{
	fprintf(p->out, "</svg>\n<figcaption>%s</figcaption>\n</figure>\n",
		caption);
	fputs("</section>\n", p->out);
}

static void put_label(struct sw_plot *p, const struct sw_axis *a, double value)
{
	fprintf(p->out, "%.*f", a->decimals, value / a->unit);
	if (*a->name)
		fprintf(p->out, " %s", a->name);
}

void sw_plot_x_axis(struct sw_plot *p)
{
	double bottom = p->top + p->height;

	for (double v = 0; v <= p->x.max * (1 + 1e-9); v += p->x.step) {
		double x = sw_plot_x(p, v);

		fprintf(p->out,
			"<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" class=\"mid\">",
			x, p->top, bottom + 4, x, bottom + 18);
		put_label(p, &p->x, v);
		fputs("</text>\n", p->out);
	}
	fprintf(p->out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n",
		p->left, bottom, p->left + p->width);
}

void sw_plot_y_axis(struct sw_plot *p, const char *label)
{
	for (double v = 0; v <= p->y.max * (1 + 1e-9); v += p->y.step) {
		double y = sw_plot_y(p, v);

		fprintf(p->out,
			"<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" class=\"end\">",
			p->left - 4, y, p->left + p->width, p->left - 8, y + 4);
		put_label(p, &p->y, v);
		fputs("</text>\n", p->out);
	}
	fprintf(p->out, "<text x=\"4\" y=\"%.1f\" class=\"name\">%s</text>\n",
		p->top - 12, label);
}

static void put_key(struct sw_plot *p, unsigned n, const char *class,
		    const char *shape, const char *text)
{
	double x = p->left + p->width + 14, y = p->top + 8 + 19 * n;

	fprintf(p->out,
		"<path class=\"%s\" d=\"M%.1f %.1f%s\"/>"
		"<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
		class, x, y, shape, x + 25, y + 4, text);
}

void sw_plot_key(struct sw_plot *p, unsigned n, const char *class,
		 const char *text)
{
	put_key(p, n, class, "v-5h18v10h-18z", text);
}

void sw_plot_key_line(struct sw_plot *p, unsigned n, const char *class,
		      const char *text)
{
	put_key(p, n, class, "h18", text);
}

/* ---- text ---- */

/* Bytes of the character at `s`, of `len`; 0: it is none. */
static size_t character(const unsigned char *s, size_t len)
{
	size_t n = *s < 0x80   ? 1
		   : *s < 0xc2 ? 0
		   : *s < 0xe0 ? 2
		   : *s < 0xf0 ? 3
		   : *s < 0xf5 ? 4
			       : 0;

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 1)
		return (*s >= 0x20 && *s != 0x7f) ? 1 : 0;
	/* Longer than it need be, halves of pairs, beyond the last one; and the
	 * controls and non-characters that XML does not have. */
	if ((*s == 0xc2 && s[1] < 0xa0) || (*s == 0xe0 && s[1] < 0xa0) ||
	    (*s == 0xed && s[1] >= 0xa0) || (*s == 0xf0 && s[1] < 0x90) ||
	    (*s == 0xf4 && s[1] >= 0x90) ||
	    (*s == 0xef && s[1] == 0xbf && s[2] >= 0xbe))
		return 0;
	return n;
}

void sw_put_text(FILE *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	while (len) {
		size_t n = character(s, len);

		if (!n)
			fputs("\xef\xbf\xbd", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '>')
			fputs("&gt;", out);
		else if (*s == '"')
			fputs("&quot;", out);
		else
			fwrite(s, n, 1, out);
		s += sw_max(n, (size_t)1);
		len -= sw_max(n, (size_t)1);
	}
}

/* Three digits, more or less. */
static const char *put_number(double v, const char *unit, char buf[32])
{
	snprintf(buf, 32, "%.*f %s", v < 10 ? 2 : v < 100 ? 1 : 0, v, unit);
	return buf;
}

const char *sw_text_ns(double ns, char buf[32])
{
	if (ns < 1e3)
		return put_number(ns, "ns", buf);
	if (ns < 1e6)
		return put_number(ns / 1e3, "\xc2\xb5s", buf);
	if (ns < 1e9)
		return put_number(ns / 1e6, "ms", buf);
	if (ns < 600e9)
		return put_number(ns / 1e9, "s", buf);
	return put_number(ns / 60e9, "min", buf);
}

const char *sw_text_bytes(double bytes, char buf[32])
{
	static const char *const names[] = { "B",   "KiB", "MiB",
					     "GiB", "TiB", "PiB" };
	unsigned u = 0;

	for (; bytes >= 1024 && u < SW_ARRAY_SIZE(names) - 1; u++)
		bytes /= 1024;
	return put_number(bytes, names[u], buf);
}

const char *sw_text_count(uint64_t nr, char buf[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lu", (unsigned long)nr);
	char *to = buf;

	for (int i = 0; i < len; i++) {
		if (i && !((len - i) % 3))
			to = stpcpy(to, "\xe2\x80\xaf"); /* narrow space */
		*to++ = digits[i];
	}
	*to = 0;
	return buf;
}
