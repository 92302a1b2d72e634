/*
 * page.c - the page around the pictures: one HTML document that needs nothing
 * else, which is well-formed XML too. Colours are those of Okabe and Ito, which
 * people tell apart who do not see all of them; what is a line differs by its
 * dashes as well.
 *
 * Above: report.c. Below: charts.c, heat.c, latency.c.
 */
#include <string.h>
#include <time.h>

#include "report/pictures.h"

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;"
	"--line:#d8dee4;--used:#0072b2;--out:#9ecae8;--budget:#b04a00;"
	"--est:#00795a;--all:#57606a;"
	"--k1:#56b4e9;--k2:#009e73;--k3:#d9c400;--k4:#e69f00;--k5:#c44500;"
	"--k6:#cc79a7;--k7:#8c959f;"
	"--h1:#d5e4f2;--h2:#a3c6e3;--h3:#6ba3d0;--h4:#3a7db8;--h5:#17559a;"
	"--h6:#08285c}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6edf3;"
	"--dim:#9aa4af;--line:#343c45;--used:#4aa3dd;--out:#24506f;"
	"--budget:#ff9d5c;--est:#3ddbb0;--all:#9aa4af;--k2:#1fbf92;"
	"--k3:#f0e442;--k5:#f0672a;--k6:#d991b9;"
	"--h1:#1d2f45;--h2:#22507c;--h3:#2c78b3;--h4:#52a4dc;--h5:#9accf0;"
	"--h6:#f0f8ff}}\n"
	"body{margin:0 auto;padding:1.5rem;max-width:60rem;background:var(--bg);"
	"color:var(--fg);font:15px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.5rem;margin:0 0 1rem;overflow-wrap:anywhere}"
	"h2{font-size:1.1rem;margin:2rem 0 .5rem}"
	"figure{margin:0}figcaption,caption,.note{color:var(--dim);"
	"font-size:.87rem}figcaption{max-width:46rem}\n"
	"table{border-collapse:collapse}caption{text-align:left;padding:.3rem 0}"
	"th,td{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top;"
	"border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}"
	"tbody th{font-weight:500}.summary th{color:var(--dim);"
	"white-space:nowrap}.summary td{overflow-wrap:anywhere}"
	".wide{margin-top:1rem;font-size:.87rem;width:100%}"
	".wide td,.wide thead th{text-align:right}"
	".wide th,.wide td{white-space:nowrap}"
	".wide thead th:first-child,.wide .text{text-align:left}"
	".wide .text{white-space:normal}\n"
	".warn{border-left:4px solid var(--budget);padding:.1rem .8rem}\n"
	"svg{display:block;width:100%;height:auto;font-size:12px;"
	"font-variant-numeric:tabular-nums}"
	"svg text{fill:var(--fg)}svg .mid{text-anchor:middle}"
	"svg .end{text-anchor:end}svg .name,svg .range{fill:var(--dim)}"
	"svg .range{font-family:ui-monospace,monospace;font-size:11px}"
	"svg .grid,svg .axis{fill:none;stroke:var(--line)}"
	"svg .axis{stroke:var(--dim)}"
	"svg .median{fill:none;stroke:var(--fg);stroke-width:1.5}"
	"svg .used{fill:var(--used)}svg .out{fill:var(--out)}"
	"svg .budget,svg .total,svg .estimate{fill:none;stroke-width:2}"
	"svg .budget{stroke:var(--budget);stroke-dasharray:7 4}"
	"svg .total{stroke:var(--all);stroke-dasharray:1.5 2.5}"
	"svg .estimate{stroke:var(--est)}"
	"svg .k1{fill:var(--k1)}svg .k2{fill:var(--k2)}svg .k3{fill:var(--k3)}"
	"svg .k4{fill:var(--k4)}svg .k5{fill:var(--k5)}svg .k6{fill:var(--k6)}"
	"svg .k7{fill:var(--k7)}"
	"svg .h1{fill:var(--h1)}svg .h2{fill:var(--h2)}svg .h3{fill:var(--h3)}"
	"svg .h4{fill:var(--h4)}svg .h5{fill:var(--h5)}svg .h6{fill:var(--h6)}";

/* ---- the summary ---- */

/* The command as it was given; arguments with blanks in quotes. */
static void put_command(FILE *out, const struct sw_trace_head *head)
{
	const char *at = head->command, *end = at + head->command_bytes;

	if (at == end)
		fputs("an unknown command", out);
	while (at < end) {
		size_t len = strlen(at);
		bool quote = !len || strpbrk(at, " \t\n");

		fputs(quote ? "'" : "", out);
		sw_put_text(out, at, len);
		fputs(quote ? "'" : "", out);
		at += len + 1;
		fputs(at < end ? " " : "", out);
	}
}

/* The program alone, for a heading. */
static void put_program(FILE *out, const struct sw_trace_head *head)
{
	const char *name = head->command_bytes ? head->command : "a command";
	const char *slash = strrchr(name, '/');

	name = slash && slash[1] ? slash + 1 : name;
	sw_put_text(out, name, strlen(name));
}

static void row(FILE *out, const char *name, const char *value)
{
	fprintf(out, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", name,
		value);
}

static void put_start(FILE *out, const struct sw_trace_head *head)
{
	time_t seconds = head->start_ns / 1000000000;
	char text[64] = "unknown";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	row(out, "began", text);
}

static void put_budget(FILE *out, const struct sw_trace_head *head,
		       const struct sw_survey *s)
{
	char text[96], a[32], b[32];

	snprintf(text, sizeof(text), "%s%s%s",
		 sw_text_bytes(head->budget_bytes, a),
		 s->budget_changed ? ", at the end " : "",
		 s->budget_changed
			 ? sw_text_bytes((double)s->last.budget * SW_PAGE_SIZE,
					 b)
			 : "");
	row(out, "budget", text);
}

static uint64_t sum(const uint64_t *of, unsigned from, unsigned to)
{
	uint64_t n = 0;

	for (unsigned k = from; k <= to; k++)
		n += of[k];
	return n;
}

static void put_memory(FILE *out, const struct sw_survey *s,
		       const struct sw_bins *b)
{
	const struct sw_trace_sample *m = &s->most;
	char text[160], t[2][32];

	row(out, "most memory",
	    sw_text_bytes((double)sw_max(m->peak, m->used) * SW_PAGE_SIZE,
			  t[0]));
	snprintf(text, sizeof(text), "%s, for which devices took %s of memory",
		 sw_text_bytes((double)m->out * SW_PAGE_SIZE, t[0]),
		 sw_text_bytes(m->store_bytes, t[1]));
	row(out, "most in swap", text);
	snprintf(text, sizeof(text), "%s at most, by estimate",
		 sw_text_bytes((double)sw_largest_estimate(b) * SW_PAGE_SIZE,
			       t[0]));
	row(out, "working set", text);
}

static void put_counts(FILE *out, const struct sw_survey *s)
{
	const uint64_t *pages = s->pages;
	char text[240], t[4][32];

	snprintf(text, sizeof(text), "%s, which took %s together",
		 sw_text_count(s->last.pgfault, t[0]),
		 sw_text_ns(s->fault_ns, t[1]));
	row(out, "faults", text);
	snprintf(text, sizeof(text), "%s taken out, %s written, %s read",
		 sw_text_count(s->last.pgsteal, t[0]),
		 sw_text_count(s->last.pswpout, t[1]),
		 sw_text_count(s->last.pswpin, t[2]));
	row(out, "pages", text);
	if (sum(pages, SW_TRACE_READ_ZSWAP, SW_TRACE_READ_ZSWAP) ||
	    sum(pages, SW_TRACE_WRITE_ZSWAP, SW_TRACE_WRITE_ZSWAP)) {
		snprintf(text, sizeof(text), "%s pages stored, %s read",
			 sw_text_count(pages[SW_TRACE_WRITE_ZSWAP], t[0]),
			 sw_text_count(pages[SW_TRACE_READ_ZSWAP], t[1]));
		row(out, "zswap", text);
	}
	snprintf(text, sizeof(text), "%s, and %s dropped",
		 sw_text_count(s->all_events, t[0]),
		 sw_text_count(s->dropped, t[1]));
	row(out, "events recorded", text);
}

static void put_summary(FILE *out, const struct sw_trace_head *head,
			const struct sw_bins *b)
{
	const struct sw_survey *s = b->survey;
	char text[32];

	fputs("<table class=\"summary\">\n<tbody>\n"
	      "<tr><th scope=\"row\">command</th><td><code>",
	      out);
	put_command(out, head);
	fputs("</code></td></tr>\n", out);
	put_start(out, head);
	row(out, "duration", sw_text_ns(s->duration_ns, text));
	if (s->ended) {
		snprintf(text, sizeof(text), "%d", s->exit_status);
		row(out, "exit status", text);
	}
	put_budget(out, head, s);
	put_memory(out, s, b);
	put_counts(out, s);
	fputs("</tbody>\n</table>\n", out);
}

/* ---- what is to be known first ---- */

static void put_warnings(FILE *out, const struct sw_survey *s,
			 enum sw_trace_ending ending, uint64_t bytes)
{
	char n[32], all[32];

	if (ending == SW_TRACE_CUT)
		fputs("<p class=\"note warn\">The trace has no end: the "
		      "session was killed, or goes on. This is what was "
		      "recorded until then.</p>\n",
		      out);
	if (ending == SW_TRACE_DAMAGED)
		fprintf(out,
			"<p class=\"note warn\">The trace is damaged behind "
			"byte %lu; this is what comes before.</p>\n",
			(unsigned long)bytes);
	if (s->dropped)
		fprintf(out,
			"<p class=\"note warn\">%s of %s events are missing: "
			"the disk was too slow for them. The pictures of "
			"faults and the working set have too few; memory and "
			"the counts of faults and pages are right.</p>\n",
			sw_text_count(s->dropped, n),
			sw_text_count(s->dropped + s->all_events, all));
}

void sw_put_page(FILE *out, const struct sw_trace_head *head,
		 const struct sw_bins *b, enum sw_trace_ending ending,
		 uint64_t bytes)
{
	fputs("<!DOCTYPE html>\n"
	      "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width\"/>\n"
	      "<title>",
	      out);
	put_program(out, head);
	fprintf(out,
		" - spillway</title>\n<style>\n%s\n</style>\n</head>\n"
		"<body>\n<main>\n<h1>",
		style);
	put_program(out, head);
	fputs("</h1>\n", out);
	put_warnings(out, b->survey, ending, bytes);
	put_summary(out, head, b);
	sw_picture_memory(out, b);
	sw_picture_faults(out, b);
	sw_picture_heat(out, b);
	sw_picture_latency(out, b);
	sw_picture_workingset(out, b);
	fputs("</main>\n</body>\n</html>\n", out);
}
