/*
 * report.c - see report.h. Above: run/session.c fills struct sw_report at
 * its end. Below: base/counters.h, read here directly, so that a new counter
 * shows up in the report without a line in this file.
 */
#include "run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/log.h"
#include "run/options.h"

/* ---- JSON ---- */

static json_t *counters_json(void)
{
	json_t *o = json_object();
	unsigned i;

	for (i = 0; i < SW_NR_COUNTERS; i++)
		json_object_set_new(o, sw_counter_names[i],
				    json_integer(sw_counter_read(i)));
	return o;
}

static json_t *faults_json(void)
{
	static const struct {
		const char *name;
		enum sw_counter counter;
	} faults[] = {
		{ "total", SW_CTR_pgfault },
		{ "first_touch", SW_CTR_pgfault_zero },
		{ "staged", SW_CTR_pgfault_staged },
		{ "from_store", SW_CTR_pgmajfault },
		{ "write_protect", SW_CTR_pgfault_wp },
		{ "retried", SW_CTR_pgfault_retry },
		{ "stalled", SW_CTR_allocstall },
	};

	json_t *o = json_object();
	unsigned i;

	for (i = 0; i < SW_ARRAY_SIZE(faults); i++)
		json_object_set_new(
			o, faults[i].name,
			json_integer(sw_counter_read(faults[i].counter)));
	return o;
}

/* 0: there is none. */
static double ratio_of(uint64_t pages, uint64_t bytes)
{
	return bytes ? (double)pages * SW_PAGE_SIZE / bytes : 0;
}

static double device_ratio(const struct sw_report_device *dev)
{
	return ratio_of(dev->pages_stored, dev->memory_bytes);
}

/* Neither a path nor a label needs to be UTF-8; JSON does. */
static json_t *text_json(const char *text)
{
	json_t *json = *text ? json_string(text) : NULL;

	return json ? json : json_null();
}

static json_t *device_json(const struct sw_report_device *dev)
{
	double ratio = device_ratio(dev);
	json_t *o = json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o}", /**/
		"name", text_json(dev->name),                              /**/
		"size_bytes", dev->size_bytes,                             /**/
		"used_pages", dev->used_pages,                             /**/
		"pages_stored", dev->pages_stored,                         /**/
		"compressed_bytes", dev->compressed_bytes,                 /**/
		"memory_bytes", dev->memory_bytes,                         /**/
		"memory_peak_bytes", dev->memory_peak_bytes,               /**/
		"ratio", ratio ? json_real(ratio) : json_null(),           /**/
		"read_errors", dev->read_errors,                           /**/
		"write_errors", dev->write_errors,                         /**/
		"label", text_json(dev->label));

	json_object_set_new(o, "bad_slots", json_integer(dev->bad_slots));
	json_object_set_new(o, "failed", json_boolean(dev->failed));
	if (!dev->on_disk) {
		json_object_set_new(o, "io", json_null());
		json_object_set_new(o, "direct", json_null());
		json_object_set_new(o, "encrypted", json_null());
		json_object_set_new(o, "discard", json_null());
		return o;
	}
	json_object_set_new(o, "io",
			    text_json(dev->uring ? "io_uring" : "pread"));
	json_object_set_new(o, "direct", json_boolean(dev->direct));
	json_object_set_new(o, "encrypted", json_boolean(dev->encrypted));
	json_object_set_new(o, "discard",
			    json_string(dev->discard ? dev->discard : "none"));
	return o;
}

static json_t *zswap_json(const struct sw_report_zswap *z)
{
	double ratio = ratio_of(z->pages_stored, z->memory_bytes);

	if (!z->size_bytes)
		return json_null();
	return json_pack(
		"{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", /**/
		"size_bytes", z->size_bytes,                          /**/
		"codec", z->codec,                                    /**/
		"pages_stored", z->pages_stored,                      /**/
		"same_filled_pages", z->same_filled_pages,            /**/
		"recompressed_pages", z->recompressed_pages,          /**/
		"compressed_bytes", z->compressed_bytes,              /**/
		"memory_bytes", z->memory_bytes,                      /**/
		"memory_peak_bytes", z->memory_peak_bytes,            /**/
		"ratio", ratio ? json_real(ratio) : json_null(),      /**/
		"written_back_pages", sw_counter_read(SW_CTR_zswpwb));
}

static json_t *tier_json(const struct sw_hist *h)
{
	static const struct {
		const char *name;
		unsigned per_mille;
	} quantiles[] = {
		{ "p50_us", 500 },  { "p90_us", 900 },  { "p99_us", 990 },
		{ "p999_us", 999 }, { "max_us", 1000 },
	};

	json_t *o = json_pack("{s:I, s:I}", "count", sw_hist_count(h), "sum_us",
			      h->sum / 1000);

	for (unsigned i = 0; i < SW_ARRAY_SIZE(quantiles); i++)
		json_object_set_new(
			o, quantiles[i].name,
			json_real(sw_hist_quantile(h, quantiles[i].per_mille) /
				  1e3));
	return o;
}

json_t *sw_latency_json(const struct sw_stall_sums *sums)
{
	json_t *o = json_object();

	for (unsigned t = 0; t < SW_NR_TIERS; t++)
		json_object_set_new(o, sw_tier_names[t],
				    tier_json(&sums->tier[t]));
	return o;
}

static json_t *stall_json(const struct sw_report *report)
{
	return json_pack("{s:I, s:I}", /**/
			 "some_us", report->stalled_ns[SW_PRESSURE_SOME] / 1000,
			 "full_us",
			 report->stalled_ns[SW_PRESSURE_FULL] / 1000);
}

static json_t *command_json(const struct sw_report *report)
{
	json_t *list = json_array();
	char *const *arg;

	for (arg = report->argv; arg && *arg; arg++) {
		json_t *text = json_string(*arg);

		/* An argument may be no UTF-8; JSON cannot hold it then. */
		json_array_append_new(list, text ? text : json_null());
	}
	return list;
}

static json_t *report_json(const struct sw_report *report)
{
	json_t *devices = json_array(), *json;
	unsigned i;

	for (i = 0; i < report->nr_devices; i++)
		json_array_append_new(devices,
				      device_json(&report->devices[i]));
	json = json_pack(
		"{s:i, s:o, s:i, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:{s:f,s:f,s:f}}",
		"version", 1, "command", command_json(report), "exit_status",
		report->exit_status, "budget_bytes", report->budget_bytes,
		"peak_bytes", report->peak_bytes, "own_peak_bytes",
		report->own_peak_bytes, "shared_peak_bytes",
		report->shared_peak_bytes, "wall_seconds", report->wall_seconds,
		"counters", counters_json(), "faults", faults_json(), "devices",
		devices, "zswap", zswap_json(&report->zswap), "cpu",
		"supervisor_seconds", report->supervisor_seconds,
		"agent_seconds", report->agent_seconds, "command_seconds",
		report->command_seconds);
	json_object_set_new(json, "swapped_peak_bytes",
			    json_integer(report->swapped_peak_bytes));
	json_object_set_new(json, "enough_bytes",
			    json_integer(report->enough_bytes));
	json_object_set_new(json, "stall", stall_json(report));
	json_object_set_new(json, "latency", sw_latency_json(report->latency));
	return json;
}

/* ---- files ---- */

/* Is there something at `path` that must be written in place? */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static int say(const char *path, int err)
{
	sw_error("--report %s: cannot be written: %s", path, strerror(-err));
	return err;
}

int sw_report_check(const char *path)
{
	char copy[PATH_MAX], *dir;
	struct stat st;

	if (!*path || strlen(path) >= sizeof(copy))
		return say(path, *path ? -ENAMETOOLONG : -ENOENT);
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return say(path, -EISDIR);
	if (is_special(path))
		return access(path, W_OK) ? say(path, -errno) : 0;
	strcpy(copy, path);
	dir = dirname(copy);
	if (stat(dir, &st) || access(dir, W_OK))
		return say(path, -errno);
	return S_ISDIR(st.st_mode) ? 0 : say(path, -ENOTDIR);
}

/* Dumps to `fd` and closes it. 0 or -errno. */
static int dump_and_close(json_t *json, int fd)
{
	FILE *f = fdopen(fd, "w");
	int err = 0;

	if (!f) {
		err = -errno;
		close(fd);
		return err;
	}
	if (json_dumpf(json, f, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) ||
	    fputc('\n', f) == EOF)
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	return err;
}

static int write_special(json_t *json, const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : dump_and_close(json, fd);
}

/* What a plain create would have given the file. */
static mode_t plain_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int write_renamed(json_t *json, const char *path)
{
	char target[PATH_MAX], temp[PATH_MAX + 8];
	int fd, err;

	/* A link stays a link; the file behind it is replaced. */
	if (!realpath(path, target))
		snprintf(target, sizeof(target), "%s", path);
	snprintf(temp, sizeof(temp), "%s.XXXXXX", target);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fchmod(fd, plain_mode());
	err = dump_and_close(json, fd);
	if (!err && rename(temp, target))
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

int sw_report_write(const struct sw_report *report, const char *path)
{
	json_t *json = report_json(report);
	int err;

	if (!json)
		return say(path, -ENOMEM);
	err = is_special(path) ? write_special(json, path)
			       : write_renamed(json, path);
	json_decref(json);
	return err ? say(path, err) : 0;
}

/* ---- people ---- */

static unsigned long long count_of(enum sw_counter c)
{
	return sw_counter_read(c);
}

static void device_print(const struct sw_report_device *dev, FILE *out)
{
	char a[24], b[24], c[24];

	fprintf(out, "spillway: %s of %s: %s of pages ", dev->name,
		sw_size_format(dev->size_bytes, a),
		sw_size_format(dev->pages_stored * SW_PAGE_SIZE, b));
	if (dev->on_disk)
		fprintf(out, "on disk (%s, %s%s)\n",
			dev->uring ? "io_uring" : "pread",
			dev->direct ? "direct" : "through the page cache",
			dev->encrypted ? ", encrypted" : "");
	else
		fprintf(out, "in %s of memory (%.1f to 1)\n",
			sw_size_format(dev->memory_bytes, c),
			device_ratio(dev));
	if (dev->read_errors || dev->bad_slots)
		fprintf(out,
			"spillway: %s has lost %llu pages, %llu slots of it "
			"could not be written%s\n",
			dev->name, (unsigned long long)dev->read_errors,
			(unsigned long long)dev->bad_slots,
			dev->failed ? ", and it was given up" : "");
}

static void zswap_print(const struct sw_report_zswap *z, FILE *out)
{
	char a[24], b[24], c[24];

	fprintf(out,
		"spillway: zswap of %s, inside the budget: %s of pages in %s "
		"of memory (%.1f to 1)\n",
		sw_size_format(z->size_bytes, a),
		sw_size_format(z->pages_stored * SW_PAGE_SIZE, b),
		sw_size_format(z->memory_bytes, c),
		ratio_of(z->pages_stored, z->memory_bytes));
	fprintf(out,
		"spillway: zswap: pages stored %llu, read %llu, written back "
		"%llu, rejected (incompressible) %llu, stores rejected "
		"(pool full) %llu\n",
		count_of(SW_CTR_zswpout), count_of(SW_CTR_zswpin),
		count_of(SW_CTR_zswpwb),
		count_of(SW_CTR_zswap_reject_compress_poor),
		count_of(SW_CTR_zswap_pool_limit_hit));
}

static double seconds(uint64_t ns)
{
	return ns / 1e9;
}

/* A budget is given in whole megabytes. */
static uint64_t round_up(uint64_t bytes)
{
	return (bytes + (1 << 20) - 1) & ~((1ull << 20) - 1);
}

static void stall_print(const struct sw_report *report, FILE *out)
{
	double some = seconds(report->stalled_ns[SW_PRESSURE_SOME]);
	double wall = report->wall_seconds;
	char a[24];

	fprintf(out,
		"spillway: swapped %s at most; lost to faults %.2f s (%.0f %%), "
		"%.2f s of it with nobody running\n",
		sw_size_format(report->swapped_peak_bytes, a), some,
		wall > 0 ? sw_min(100.0, some * 100 / wall) : 0.0,
		seconds(report->stalled_ns[SW_PRESSURE_FULL]));
	if (report->reclaimed)
		fprintf(out,
			"spillway: a budget of %s would have been enough, by "
			"estimate\n",
			sw_size_format(round_up(report->enough_bytes), a));
}

void sw_report_print(const struct sw_report *report, FILE *out)
{
	char a[24], b[24];
	unsigned i;

	fprintf(out, "spillway: budget %s, peak %s, %.1f s\n",
		sw_size_format(report->budget_bytes, a),
		sw_size_format(report->peak_bytes, b), report->wall_seconds);
	fprintf(out,
		"spillway: pages out %llu (zero %llu), in %llu (zero %llu), "
		"still staged %llu\n",
		count_of(SW_CTR_pswpout) + count_of(SW_CTR_swpout_zero),
		count_of(SW_CTR_swpout_zero),
		count_of(SW_CTR_pswpin) + count_of(SW_CTR_swpin_zero),
		count_of(SW_CTR_swpin_zero), count_of(SW_CTR_pgfault_staged));
	fprintf(out,
		"spillway: faults %llu (first touch %llu, from a device %llu, "
		"first write %llu)\n",
		count_of(SW_CTR_pgfault), count_of(SW_CTR_pgfault_zero),
		count_of(SW_CTR_pgmajfault), count_of(SW_CTR_pgfault_wp));
	stall_print(report, out);
	if (report->shared_peak_bytes)
		fprintf(out,
			"spillway: shared memory outside of the budget: %s at "
			"most (no page of it can be taken from all who use it "
			"at once)\n",
			sw_size_format(report->shared_peak_bytes, a));
	if (report->zswap.size_bytes)
		zswap_print(&report->zswap, out);
	for (i = 0; i < report->nr_devices; i++)
		device_print(&report->devices[i], out);
	fprintf(out, "spillway: memory of our own: %s at most\n",
		sw_size_format(report->own_peak_bytes, a));
	fprintf(out,
		"spillway: CPU: command %.2f s, supervisor %.2f s, agents "
		"%.2f s\n",
		report->command_seconds, report->supervisor_seconds,
		report->agent_seconds);
}
