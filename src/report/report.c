/*
 * report.c - see report.h. Above: cli/cmd_report.c. Below: survey.c, bins.c,
 * page.c, and trace/reader.c.
 */
#include "report/report.h"

#include <errno.h>

#include "report/pictures.h"

static int read_survey(struct sw_trace_reader *r, struct sw_survey *s)
{
	struct sw_trace_item item;
	int got;

	while ((got = sw_trace_next(r, &item)) > 0)
		sw_survey_add(s, &item);
	sw_survey_end(s);
	return got;
}

static int read_bins(struct sw_trace_reader *r, struct sw_bins *b)
{
	struct sw_trace_item item;
	int got;

	while ((got = sw_trace_next(r, &item)) > 0)
		sw_bins_add(b, &item);
	sw_bins_end(b);
	return got;
}

/* The second reading, and the page. */
static int make_page(struct sw_trace_reader *r, const struct sw_survey *s,
		     const struct sw_report_ending *ending, FILE *out)
{
	struct sw_bins *b = sw_bins_new(s);
	int err = b ? 0 : -ENOMEM;

	if (!err)
		err = sw_trace_rewind(r);
	if (!err)
		err = read_bins(r, b);
	if (!err) {
		sw_put_page(out, sw_trace_head(r), b, ending->how,
			    ending->bytes);
		err = fflush(out) || ferror(out) ? -EIO : 0;
	}
	if (b)
		sw_bins_free(b);
	return err;
}

int sw_report_page(const char *path, FILE *out, struct sw_report_ending *ending)
{
	struct sw_trace_reader *r;
	struct sw_survey s;
	int err = sw_trace_open(path, &r);

	if (err)
		return err;
	err = sw_survey_init(&s);
	if (!err) {
		err = read_survey(r, &s);
		ending->how = sw_trace_ending(r, &ending->bytes);
		if (!err)
			err = make_page(r, &s, ending, out);
		sw_survey_release(&s);
	}
	sw_trace_close(r);
	return err;
}
