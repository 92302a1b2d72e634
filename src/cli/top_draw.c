/*
 * top_draw.c - see top.h: what `spillway top` knows as lines of text, for a
 * screen of any size. Nothing is said by a look alone: the selected process has a
 * mark, and so has the column that is sorted by.
 *
 *      3 lines of sums, an empty one
 *      processes, below their heading, as many as fit
 *      an empty line, devices below their heading: a third of the screen at most
 *      keys, or what was said last
 *
 * On a low screen devices go first, then the empty lines.
 *
 * Above: cmd_top.c. Below: nothing.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli/top.h"
#include "run/options.h"

#define HEAD_ROWS  3
#define ROWS_ROOMY 14 /* from here on there are devices and empty lines */
#define BAR_MAX    60

/* ---- text ---- */

/* Copies characters of at most `columns` columns; returns how many columns. */
static unsigned fit(char *to, size_t size, const char *from, unsigned columns)
{
	mbstate_t state = { 0 };
	unsigned used = 0;
	size_t len = 0;

	while (*from) {
		wchar_t wc;
		size_t n = mbrtowc(&wc, from, MB_LEN_MAX, &state);
		bool known = n && n <= MB_LEN_MAX && wcwidth(wc) >= 0;
		unsigned width = known ? wcwidth(wc) : 1;

		if (!known) { /* of another encoding than the terminal's */
			memset(&state, 0, sizeof(state));
			n = 1;
		}
		if (used + width > columns || len + n >= size)
			break;
		memcpy(to + len, known ? from : "?", n);
		len += n;
		from += n;
		used += width;
	}
	to[len] = 0;
	return used;
}

/* The same in exactly so many columns. */
static void pad(char *to, size_t size, const char *from, unsigned columns)
{
	unsigned used = fit(to, size, from, columns);
	size_t len = strlen(to);

	while (used++ < columns && len + 1 < size)
		to[len++] = ' ';
	to[len] = 0;
}

/* Lines are filled in order; what does not fit below is left out. */
struct pen {
	struct top_line *line;
	unsigned rows, columns, at;
};

static void put(struct pen *pen, enum top_look look, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put(struct pen *pen, enum top_look look, const char *format, ...)
{
	struct top_line *line = &pen->line[pen->at];
	char text[TOP_LINE_MAX];
	va_list args;

	if (pen->at == pen->rows)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line->look = look;
	if (look == TOP_HEADING || look == TOP_SELECTED)
		pad(line->text, sizeof(line->text), text, pen->columns);
	else
		fit(line->text, sizeof(line->text), text, pen->columns);
	pen->at++;
}

static const char *size_text(double bytes, char buf[24])
{
	return sw_size_format(bytes > 0 ? bytes : 0, buf);
}

/* "[|||||     ]", of so many columns. */
static const char *bar(char *buf, unsigned columns, double part)
{
	unsigned inside = columns > 2 ? columns - 2 : 0;
	unsigned full = sw_min(sw_max(part, 0.0), 1.0) * inside + 0.5;

	*buf = '[';
	memset(buf + 1, '|', full);
	memset(buf + 1 + full, ' ', inside - full);
	memcpy(buf + 1 + inside, "]", 2);
	return buf;
}

static double part_of(json_int_t some, json_int_t all)
{
	return all > 0 ? (double)some / all : 0;
}

/* ---- sums ---- */

static unsigned bar_columns(unsigned columns)
{
	return columns > 40 ? sw_min(columns - 36, (unsigned)BAR_MAX) : 6;
}

static void draw_head(struct pen *pen, const struct top *t)
{
	const struct top_sample *s = &t->now;
	char a[24], b[24], c[24], line[BAR_MAX + 3];
	double part = part_of(s->used, s->budget);

	put(pen, TOP_BOLD, "spillway top: session %s, %zu process%s",
	    s->session, s->nr_processes, s->nr_processes == 1 ? "" : "es");
	put(pen, TOP_PLAIN, "Budget   %s %4.0f%%  %s of %s",
	    bar(line, bar_columns(pen->columns), part), 100 * part,
	    size_text(s->used, a), size_text(s->budget, b));
	put(pen, TOP_PLAIN,
	    "Swapped  %s   faults %.0f/s   in %s/s   out %s/s   stalled %.1f%%",
	    size_text(s->swapped, a), s->faults_rate, size_text(s->in_rate, b),
	    size_text(s->out_rate, c), 100 * s->stall_share);
}

/* ---- processes ---- */

static const struct {
	const char *name;
	int width; /* below 0: to the left */
} columns_of[TOP_NR_SORTS] = {
	[TOP_BY_PID] = { "PID", 8 },
	[TOP_BY_RESIDENT] = { "RESIDENT", 10 },
	[TOP_BY_SWAPPED] = { "SWAPPED", 9 },
	[TOP_BY_FAULTS] = { "FAULTS/S", 10 },
	[TOP_BY_STALL] = { "STALL", 8 },
	[TOP_BY_COMMAND] = { "COMMAND", -1 },
};

static void draw_heading(struct pen *pen, const struct top *t)
{
	char text[160];
	size_t len = 0;

	for (unsigned i = 0; i < TOP_NR_SORTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%s%s", i == t->sort ? "*" : "",
			 columns_of[i].name);
		len += snprintf(text + len, sizeof(text) - len, "%s%*s",
				columns_of[i].width < 0 ? "  " : "",
				columns_of[i].width, name);
	}
	put(pen, TOP_HEADING, "%s", text);
}

static void draw_process(struct pen *pen, const struct top *t,
			 const struct top_process *p)
{
	bool selected = p->pid == t->selected;
	char resident[24], swapped[24] = "-", faults[24] = "-", stall[24] = "-";

	size_text(p->resident, resident);
	if (p->managed) {
		size_text(p->swapped, swapped);
		snprintf(faults, sizeof(faults), "%.0f", p->faults_rate);
		snprintf(stall, sizeof(stall), "%.1f%%", 100 * p->stall_share);
	}
	put(pen, selected ? TOP_SELECTED : TOP_PLAIN, "%c%7d%10s%9s%10s%8s  %s",
	    selected ? '>' : ' ', p->pid, resident, swapped, faults, stall,
	    p->command);
}

/* The selected one is among those that are shown. */
static void scroll(struct top *t, size_t rows)
{
	size_t nr = t->now.nr_processes, row = 0;

	while (row < nr && t->order[row]->pid != t->selected)
		row++;
	if (row < t->first)
		t->first = row;
	if (row >= t->first + rows)
		t->first = row + 1 - rows;
	if (nr <= rows)
		t->first = 0;
	else
		t->first = sw_min(t->first, nr - rows);
}

static void draw_processes(struct pen *pen, struct top *t, size_t rows)
{
	draw_heading(pen, t);
	scroll(t, sw_max(rows, (size_t)1));
	for (size_t i = t->first; i < t->first + rows; i++) {
		if (i < t->now.nr_processes)
			draw_process(pen, t, t->order[i]);
		else
			put(pen, TOP_PLAIN, "%s", "");
	}
}

/* ---- devices ---- */

static void draw_device(struct pen *pen, const struct top_device *d,
			unsigned name_columns)
{
	double part = part_of(d->used, d->size);
	char name[300], size[24], used[24], ratio[24] = "-", line[16];

	pad(name, sizeof(name), d->name, name_columns);
	if (d->memory > 0)
		snprintf(ratio, sizeof(ratio), "%.2f",
			 (double)d->stored / d->memory);
	put(pen, TOP_PLAIN, " %s %-6s%8s%8s %s%4.0f%%%7s", name, d->kind,
	    size_text(d->size, size), size_text(d->used, used),
	    bar(line, 12, part), 100 * part, ratio);
}

static void draw_devices(struct pen *pen, const struct top *t, unsigned rows)
{
	unsigned name_columns =
		pen->columns > 70 ? sw_min(pen->columns - 50, 40u) : 20;
	unsigned nr = sw_min(rows, t->now.nr_devices);

	put(pen, TOP_HEADING, " %-*s %-6s%8s%8s %12s%5s%7s", (int)name_columns,
	    "DEVICE", "TYPE", "SIZE", "USED", "", "FULL", "RATIO");
	for (unsigned i = 0; i < nr; i++)
		draw_device(pen, &t->now.device[i], name_columns);
}

/* ---- the screen ---- */

/* Rows for devices, without their heading; 0: they are not shown. */
static unsigned device_rows(const struct top *t, unsigned rows)
{
	if (rows < ROWS_ROOMY)
		return 0;
	return sw_min(t->now.nr_devices, rows / 3);
}

size_t top_rows(const struct top *t, unsigned rows)
{
	unsigned devices = device_rows(t, rows);
	unsigned others = HEAD_ROWS + 2; /* the heading and the keys */

	if (rows >= ROWS_ROOMY)
		others += 2; /* empty lines */
	if (devices)
		others += devices + 1;
	return rows > others ? rows - others : 0;
}

static const char *const help[] = {
	"",
	"  up, down, page up, page down, home, end   select a process",
	"  s, >    sort by the next column           <   by the one before",
	"  p       page the selected process out, once: it has back what it touches",
	"  + -     give the session a tenth more or less memory",
	"  m       type a budget",
	"  q       quit",
	"",
	"  RESIDENT  memory of the process       SWAPPED  what of it is out",
	"  FAULTS/S  its faults that Spillway served",
	"  STALL     part of the time in which it waited for them; the sum above",
	"            is of all processes, and may be more than 100%",
	"  RATIO     pages on a device to the memory that they take there",
	"  -         the process is not managed: it need not be before memory is short",
	"",
	"  any key goes back",
};

static void draw_keys(struct pen *pen, const struct top *t)
{
	if (t->mode == TOP_BUDGET)
		put(pen, TOP_BOLD,
		    "New budget: %s_   (Enter sets it, Esc does not)",
		    t->input);
	else if (*t->message)
		put(pen, TOP_BOLD, "%s", t->message);
	else
		put(pen, TOP_PLAIN, "%s",
		    "h help  q quit  s sort  p page out  + - m budget");
}

void top_draw(struct top *t, struct top_line *line, unsigned rows,
	      unsigned columns)
{
	struct pen pen = { line, rows, columns, 0 };
	unsigned devices = device_rows(t, rows);

	for (unsigned i = 0; i < rows; i++)
		line[i] = (struct top_line){ 0 };
	draw_head(&pen, t);
	if (t->mode == TOP_HELP) {
		for (unsigned i = 0; i < SW_ARRAY_SIZE(help); i++)
			put(&pen, TOP_PLAIN, "%s", help[i]);
		return;
	}
	if (rows >= ROWS_ROOMY)
		put(&pen, TOP_PLAIN, "%s", "");
	draw_processes(&pen, t, top_rows(t, rows));
	if (rows >= ROWS_ROOMY)
		put(&pen, TOP_PLAIN, "%s", "");
	if (devices)
		draw_devices(&pen, t, devices);
	draw_keys(&pen, t);
}
