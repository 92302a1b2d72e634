/*
 * metrics_text.c - what a session tells Prometheus, in its text format 0.0.4:
 * man/spillway-metrics.7 says what each line means. A new counter is a row in the
 * table.
 *
 * Above: metrics.c, in its thread. Below: base/counters.h, mm/stall.c, devices.c;
 * each with its own locks.
 */
#include <jansson.h>
#include <string.h>

#include "base/counters.h"
#include "run/metrics.h"
#include "run/session_internal.h"
#include "swap/swap.h"

/* Of the buckets that are kept, those a power of two long are told. */
#define LE_FIRST 10 /* 2^10 ns is a microsecond */
#define LE_LAST  34 /* 17 s */

static const struct {
	const char *name; /* without prefix and suffix */
	const char *help;
	enum sw_counter counter;
} counters[] = {
	{ "faults", "Page faults of the programs that came to the session.",
	  SW_CTR_pgfault },
	{ "first_touch_faults", "Faults that were answered with zeros.",
	  SW_CTR_pgfault_zero },
	{ "staged_faults", "Faults whose page still was in a buffer.",
	  SW_CTR_pgfault_staged },
	{ "major_faults", "Faults whose page had to be read from a device.",
	  SW_CTR_pgmajfault },
	{ "write_faults", "First writes to protected pages.",
	  SW_CTR_pgfault_wp },
	{ "retried_faults", "Faults that met a page being worked on.",
	  SW_CTR_pgfault_retry },
	{ "held_faults", "Faults that waited for a frozen session.",
	  SW_CTR_pgfault_held },
	{ "late_faults", "Faults left waiting by a device that did not answer.",
	  SW_CTR_swap_read_late },
	{ "alloc_stalls", "Faults that found no free page.",
	  SW_CTR_allocstall },
	{ "over_budget_faults", "Faults that were served above the budget.",
	  SW_CTR_oom_unmanaged },
	{ "swapin_pages", "Pages read from devices.", SW_CTR_pswpin },
	{ "swapout_pages", "Pages written to devices.", SW_CTR_pswpout },
	{ "swapin_zero_pages", "Pages of zeros given back without reading.",
	  SW_CTR_swpin_zero },
	{ "swapout_zero_pages", "Pages of zeros taken out without writing.",
	  SW_CTR_swpout_zero },
	{ "readahead_pages", "Pages brought in beside the one that was wanted.",
	  SW_CTR_swap_ra },
	{ "readahead_hit_pages", "Such pages whose stream went on behind them.",
	  SW_CTR_swap_ra_hit },
	{ "scanned_pages", "Pages that reclaim looked at.", SW_CTR_pgscan },
	{ "reclaimed_pages", "Pages taken out of programs.", SW_CTR_pgsteal },
	{ "refaults", "Single pages that came back from a device.",
	  SW_CTR_workingset_refault_anon },
	{ "early_refaults", "Such pages that came back soon after they went.",
	  SW_CTR_workingset_activate_anon },
	{ "huge_swapouts", "Huge pages written in one piece.",
	  SW_CTR_thp_swpout },
	{ "huge_swapins", "Huge pages that came back as such.",
	  SW_CTR_thp_restored },
	{ "zswap_in_pages", "Pages read from zswap.", SW_CTR_zswpin },
	{ "zswap_out_pages", "Pages stored in zswap.", SW_CTR_zswpout },
	{ "zswap_writeback_pages", "Pages that went from zswap to a disk.",
	  SW_CTR_zswpwb },
	{ "zswap_full", "Stores that zswap refused because it was full.",
	  SW_CTR_zswap_pool_limit_hit },
	{ "zswap_incompressible_pages", "Pages that do not shrink.",
	  SW_CTR_zswap_reject_compress_poor },
	{ "swap_full", "Times that no free slot was found.", SW_CTR_swap_full },
	{ "read_errors", "Slots that could not be read back.",
	  SW_CTR_swap_read_error },
	{ "write_errors", "Writes that a device refused.",
	  SW_CTR_swap_write_error },
	{ "failed_devices", "Devices that were given up.",
	  SW_CTR_swap_device_failed },
	{ "lost_pages", "Pages lost; their reader gets SIGBUS.",
	  SW_CTR_poisoned },
	{ "forks", "Address spaces born by fork.", SW_CTR_fork_spaces },
};

/* ---- the format ---- */

static void head(FILE *out, const char *name, const char *help,
		 const char *type)
{
	fprintf(out, "# HELP spillway_%s %s\n# TYPE spillway_%s %s\n", name,
		help, name, type);
}

/* Whatever locale somebody has set. */
static void put_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%llu.%09llu", (unsigned long long)ns / 1000000000,
		(unsigned long long)ns % 1000000000);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, help, "gauge");
	fprintf(out, "spillway_%s %llu\n", name, (unsigned long long)value);
}

/* A path may have any bytes; the text has to be UTF-8. */
static void put_label(FILE *out, const char *text)
{
	json_t *valid = json_string(text);

	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else
			fputc(valid || *text > 0 ? *text : '?', out);
	}
	json_decref(valid);
}

/* ---- what is told ---- */

static void put_memory(struct session *s, FILE *out)
{
	struct sw_freeze_info freeze;
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	sw_mm_freeze_info(s->mm, &freeze);
	gauge(out, "budget_bytes", "Memory that the programs may have.",
	      u.budget_pages * SW_PAGE_SIZE);
	gauge(out, "memory_bytes", "Memory that counts in the budget.",
	      u.used_pages * SW_PAGE_SIZE);
	gauge(out, "memory_peak_bytes", "The most of it so far.",
	      u.peak_pages * SW_PAGE_SIZE);
	gauge(out, "managed_bytes", "The part of it that could be taken out.",
	      u.managed_pages * SW_PAGE_SIZE);
	gauge(out, "staged_bytes", "The part of it in buffers on its way out.",
	      u.staged_pages * SW_PAGE_SIZE);
	gauge(out, "frozen", "1 while the session is frozen.", freeze.frozen);
}

static void put_counters(FILE *out)
{
	char name[64];

	for (unsigned i = 0; i < SW_ARRAY_SIZE(counters); i++) {
		snprintf(name, sizeof(name), "%s_total", counters[i].name);
		head(out, name, counters[i].help, "counter");
		fprintf(out, "spillway_%s %llu\n", name,
			(unsigned long long)sw_counter_read(
				counters[i].counter));
	}
}

static void put_stalls(struct session *s, FILE *out)
{
	struct sw_pressure p;

	sw_session_pressure(s, &p);
	head(out, "stall_seconds_total",
	     "Time in which threads waited in faults: some, or full (and none ran).",
	     "counter");
	for (unsigned k = 0; k < SW_NR_PRESSURE; k++) {
		fprintf(out, "spillway_stall_seconds_total{kind=\"%s\"} ",
			sw_pressure_names[k]);
		put_seconds(out, p.line[k].total_ns);
		fputc('\n', out);
	}
	head(out, "stall_ratio", "Share of the last seconds that was so lost.",
	     "gauge");
	for (unsigned k = 0; k < SW_NR_PRESSURE; k++)
		for (unsigned i = 0; i < SW_NR_AVERAGES; i++) {
			fprintf(out,
				"spillway_stall_ratio{kind=\"%s\",window=\"%us\"} ",
				sw_pressure_names[k], sw_average_seconds[i]);
			put_seconds(out, p.line[k].average[i] * 1e9);
			fputc('\n', out);
		}
}

static void put_histogram(const char *tier, const struct sw_hist *h, FILE *out)
{
	unsigned long long count = sw_hist_count(h);

	for (unsigned bits = LE_FIRST; bits <= LE_LAST; bits++) {
		fprintf(out, "spillway_fault_seconds_bucket{tier=\"%s\",le=\"",
			tier);
		put_seconds(out, 1ull << bits);
		fprintf(out, "\"} %llu\n",
			(unsigned long long)sw_hist_count_to(h, 1ull << bits));
	}
	fprintf(out,
		"spillway_fault_seconds_bucket{tier=\"%s\",le=\"+Inf\"} %llu\n"
		"spillway_fault_seconds_sum{tier=\"%s\"} ",
		tier, count, tier);
	put_seconds(out, h->sum);
	fprintf(out, "\nspillway_fault_seconds_count{tier=\"%s\"} %llu\n", tier,
		count);
}

static void put_latency(struct session *s, FILE *out)
{
	struct sw_stall_sums sums;

	sw_mm_stall_sums(s->mm, &sums);
	head(out, "fault_seconds",
	     "Time from a fault's being read to its answer, by what it waited for.",
	     "histogram");
	for (unsigned t = 0; t < SW_NR_TIERS; t++)
		put_histogram(sw_tier_names[t], &sums.tier[t], out);
}

/* Names may be alike once they are cut, or UTF-8; the type never is. */
static void put_device(const char *name, const struct sw_device_line *line,
		       uint64_t value, FILE *out)
{
	fprintf(out, "spillway_device_%s{device=\"", name);
	put_label(out, line->name);
	fprintf(out, "\",kind=\"%s\",type=\"%u\"} %llu\n", line->kind,
		line->type, (unsigned long long)value);
}

static void put_devices(struct session *s, FILE *out)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(&s->devices, line);

	head(out, "device_size_bytes", "Pages that the device has room for.",
	     "gauge");
	for (unsigned i = 0; i < nr; i++)
		put_device("size_bytes", &line[i], line[i].size_bytes, out);
	head(out, "device_used_bytes", "Pages that are on the device.",
	     "gauge");
	for (unsigned i = 0; i < nr; i++)
		put_device("used_bytes", &line[i], line[i].used_bytes, out);
}

void sw_metrics_write(void *session, FILE *out)
{
	struct session *s = session;

	put_memory(s, out);
	put_counters(out);
	put_stalls(s, out);
	put_latency(s, out);
	put_devices(s, out);
}
