/*
 * options.c - sizes, device specs and the defaults of `spillway run`. Pure
 * text in, a filled struct out; nothing here opens, maps or starts anything.
 * Above: conf.c, which knows where a value may come from. Beside it:
 * options_zswap.c, options_limits.c. Below: run/session.c, which acts on the
 * result.
 *
 * The kinds of devices are rows of store/kind.c.
 */
#include "run/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "run/cgroup.h"
#include "run/door.h"

#define DEVICE_PER_BUDGET 3

/* ---- sizes ---- */

uint64_t sw_ram_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

/* Bytes in one of `suffix`, 0 when it is no unit. Percent is the caller's. */
static uint64_t unit_bytes(const char *suffix)
{
	static const char units[] = "KMGT";
	const char *unit;

	if (!suffix[0])
		return 1;
	unit = strchr(units, toupper((unsigned char)suffix[0]));
	if (!unit || suffix[1])
		return 0;
	return 1ULL << (10 * (unit - units + 1));
}

int sw_size_parse(const char *text, uint64_t ram_bytes, uint64_t *bytes)
{
	const char *p = text;
	uint64_t whole = 0, part = 0, scale = 1, unit;
	unsigned __int128 sum;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *p - '0', &whole))
			return -ERANGE;
	}
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		/* Nine digits are finer than a byte of 1G; more are noise. */
		for (; isdigit((unsigned char)*p); p++) {
			if (scale < 1000000000) {
				part = part * 10 + (*p - '0');
				scale *= 10;
			}
		}
		if (!*p)
			return -EINVAL; /* a fraction of a byte */
	}
	if (!strcmp(p, "%")) {
		sum = (unsigned __int128)whole * ram_bytes / 100 +
		      (unsigned __int128)part * ram_bytes / scale / 100;
	} else {
		unit = unit_bytes(p);
		if (!unit)
			return -EINVAL;
		sum = (unsigned __int128)whole * unit +
		      (unsigned __int128)part * unit / scale;
	}
	if (sum > UINT64_MAX)
		return -ERANGE;
	*bytes = (uint64_t)sum;
	return 0;
}

const char *sw_size_format(uint64_t bytes, char buf[24])
{
	static const char units[] = "KMGT";
	uint64_t unit = 1ULL << 40;
	int i = 3;

	while (i >= 0 && bytes < unit) {
		unit >>= 10;
		i--;
	}
	if (i < 0)
		snprintf(buf, 24, "%llu", (unsigned long long)bytes);
	else if (bytes % unit == 0)
		snprintf(buf, 24, "%llu%c", (unsigned long long)(bytes / unit),
			 units[i]);
	else
		snprintf(buf, 24, "%.2f%c", (double)bytes / unit, units[i]);
	return buf;
}

int sw_run_options_read_size(const char *what, const char *text,
			     uint64_t *bytes)
{
	int err = sw_size_parse(text, sw_ram_bytes(), bytes);

	if (err == -EINVAL)
		sw_error("%s: '%s' is no size; write a number with K, M, G, T "
			 "or %% of RAM, e.g. 512M or 50%%",
			 what, text);
	else if (err)
		sw_error("%s: '%s' is more than can be counted", what, text);
	return err ? -EINVAL : 0;
}

/* ---- device specs ---- */

static int device_check_size(const char *spec, uint64_t bytes)
{
	if (bytes < SW_DEVICE_MIN_BYTES) {
		sw_error("--swap %s: a device has at least 1M", spec);
		return -EINVAL;
	}
	if (bytes > SW_DEVICE_MAX_BYTES) {
		sw_error("--swap %s: a device has less than 4T; give several",
			 spec);
		return -EINVAL;
	}
	return 0;
}

static int device_parse_size(struct sw_device_spec *dev, const char *spec,
			     const char *text)
{
	char what[PATH_MAX];
	int err;

	snprintf(what, sizeof(what), "--swap %s", spec);
	err = sw_run_options_read_size(what, text, &dev->size_bytes);
	return err ? err : device_check_size(spec, dev->size_bytes);
}

static int memory_parse(struct sw_device_spec *dev, const char *spec,
			const char *args)
{
	if (!*args)
		return 0; /* sized when the budget is known */
	return device_parse_size(dev, spec, args);
}

/* Whether there is such a thing is asked when it is opened. */
static int path_parse(struct sw_device_spec *dev, const char *spec,
		      const char *args)
{
	if (!*args) {
		sw_error("--swap %s: no path is given", spec);
		return -EINVAL;
	}
	dev->path = strdup(args);
	return dev->path ? 0 : -ENOMEM;
}

static int say_device_kinds(const char *spec)
{
	char known[256];

	sw_error("--swap %s: no such kind of device; known: %s", spec,
		 sw_store_kinds_known(known));
	return -EINVAL;
}

static int device_parse_prio(struct sw_device_spec *dev, const char *spec,
			     const char *value)
{
	char *end;
	long prio;

	errno = 0;
	prio = strtol(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno ||
	    prio > SW_PRIO_MAX) {
		sw_error("--swap %s: prio is a number from 0 to %d, higher "
			 "is used first",
			 spec, SW_PRIO_MAX);
		return -EINVAL;
	}
	dev->prio = (int)prio;
	return 0;
}

/* As --discard of swapon. */
static int device_parse_discard(struct sw_device_spec *dev, const char *spec,
				const char *value)
{
	if (!value)
		dev->discard = SW_DISCARD_ONCE | SW_DISCARD_PAGES;
	else if (!strcmp(value, "once"))
		dev->discard = SW_DISCARD_ONCE;
	else if (!strcmp(value, "pages"))
		dev->discard = SW_DISCARD_PAGES;
	else
		goto err_say;
	return 0;

err_say:
	sw_error("--swap %s: discard is 'discard=once' (when turned on), "
		 "'discard=pages' (as they fall free), or 'discard' (both)",
		 spec);
	return -EINVAL;
}

static int say_no_setting(const struct sw_store_kind *kind, const char *spec,
			  const char *key)
{
	if (kind->is_memory && !strcmp(key, "encrypt"))
		sw_error("--swap %s: %s keeps its pages in memory, where they "
			 "are not encrypted; encrypt is for file: and block:",
			 spec, kind->name);
	else
		sw_error("--swap %s: '%s' is no setting of a %s "
			 "device; known: %s%sprio=N",
			 spec, key, kind->name,
			 kind->has_size ? "size=SIZE, " : "",
			 kind->is_memory ? ""
					 : "encrypt, discard[=once|pages], ");
	return -EINVAL;
}

/* What follows the first comma: key[=value][,key[=value]]... */
static int device_parse_keys(struct sw_device_spec *dev,
			     const struct sw_store_kind *kind, const char *spec,
			     char *keys)
{
	char *key;
	int err = 0;

	while (!err && (key = strsep(&keys, ","))) {
		char *value = strchr(key, '=');

		if (value)
			*value++ = '\0';
		if (value && !strcmp(key, "prio")) {
			err = device_parse_prio(dev, spec, value);
		} else if (value && !strcmp(key, "size") && kind->has_size) {
			err = device_parse_size(dev, spec, value);
		} else if (!value && !strcmp(key, "encrypt") &&
			   !kind->is_memory) {
			dev->encrypt = true;
		} else if (!strcmp(key, "discard") && !kind->is_memory) {
			err = device_parse_discard(dev, spec, value);
		} else {
			err = say_no_setting(kind, spec, key);
		}
	}
	return err;
}

/* `text` is a copy of `spec` to be cut up. */
static int device_parse(struct sw_device_spec *dev, const char *spec,
			char *text)
{
	const struct sw_store_kind *kind;
	char *keys = text;
	char *args;
	int err;

	*dev = (struct sw_device_spec){ .prio = SW_PRIO_DEFAULT };
	strsep(&keys, ",");
	args = strchr(text, ':');
	if (args)
		*args++ = '\0';
	kind = sw_store_kind_lookup(text, strlen(text));
	if (!kind)
		return say_device_kinds(spec);
	if (!args) {
		sw_error("--swap %s: a device is KIND:ARGS; write %s", spec,
			 kind->form);
		return -EINVAL;
	}
	snprintf(dev->kind, sizeof(dev->kind), "%s", kind->name);
	err = kind->is_memory ? memory_parse(dev, spec, args)
			      : path_parse(dev, spec, args);
	return err ? err : device_parse_keys(dev, kind, spec, keys);
}

/* ---- the options ---- */

void sw_run_options_init(struct sw_run_options *opt)
{
	*opt = (struct sw_run_options){ 0 };
}

void sw_run_options_release(struct sw_run_options *opt)
{
	for (unsigned i = 0; i < opt->nr_devices; i++)
		free(opt->devices[i].path);
	free(opt->devices);
	free(opt->report_path);
	sw_run_options_init(opt);
}

uint64_t sw_budget_auto(uint64_t limit_bytes, uint64_t ram_bytes)
{
	uint64_t bytes = sw_min(limit_bytes, ram_bytes);

	return bytes / 100 * 90 + bytes % 100 * 90 / 100;
}

int sw_run_options_set_budget(struct sw_run_options *opt, const char *text)
{
	uint64_t bytes;
	int err = 0;

	if (strcmp(text, "auto"))
		err = sw_run_options_read_size("-m", text, &bytes);
	else
		bytes = sw_budget_auto(sw_cgroup_limit(""), sw_ram_bytes());
	if (err)
		return err;
	if (bytes < SW_BUDGET_MIN_BYTES) {
		sw_error("-m %s: too small to run anything in; "
			 "the minimum is 8M",
			 text);
		return -EINVAL;
	}
	opt->budget_bytes = bytes & SW_PAGE_MASK;
	return 0;
}

int sw_run_options_add_device(struct sw_run_options *opt, const char *spec)
{
	struct sw_device_spec dev, *devices;
	char *text;
	int err;

	if (opt->nr_devices == SW_MAX_DEVICES) {
		sw_error("--swap %s: at most %u devices can be used", spec,
			 SW_MAX_DEVICES);
		return -EINVAL;
	}
	text = strdup(spec);
	if (!text)
		return -ENOMEM;
	err = device_parse(&dev, spec, text);
	free(text);
	if (err)
		goto err_free_path;

	err = -ENOMEM;
	devices =
		realloc(opt->devices, (opt->nr_devices + 1) * sizeof(*devices));
	if (!devices)
		goto err_free_path;
	devices[opt->nr_devices++] = dev;
	opt->devices = devices;
	return 0;

err_free_path:
	free(dev.path);
	return err;
}

int sw_run_options_set_report(struct sw_run_options *opt, const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	free(opt->report_path);
	opt->report_path = copy;
	return 0;
}

int sw_run_options_set_verbose(struct sw_run_options *opt, const char *text)
{
	if (*text < '0' || *text > '2' || text[1]) {
		sw_error("-v: '%s' is not how much to tell: 0, 1 or 2", text);
		return -EINVAL;
	}
	opt->verbose = *text - '0';
	return 0;
}

int sw_run_options_set_name(struct sw_run_options *opt, const char *name)
{
	if (!sw_door_is_name(name)) {
		sw_error(
			"--name %s: a name has 1 to %u letters, digits and _ . -, and is no number",
			name, SW_DOOR_NAME_MAX);
		return -EINVAL;
	}
	opt->name = name;
	return 0;
}

int sw_run_options_finish(struct sw_run_options *opt)
{
	uint64_t by_budget;
	unsigned i;
	int err;

	sw_run_options_limit_budget(opt);
	if (!opt->budget_bytes) {
		sw_error("run: no budget given; add -m SIZE, e.g. -m 512M");
		return -EINVAL;
	}
	if (!opt->nr_devices) {
		err = sw_run_options_add_device(opt, "zram:");
		if (err)
			return err;
	}
	err = sw_run_options_check_zswap(opt);
	if (err)
		return err;
	by_budget = sw_min(opt->budget_bytes,
			   SW_DEVICE_MAX_BYTES / DEVICE_PER_BUDGET) *
		    DEVICE_PER_BUDGET;
	for (i = 0; i < opt->nr_devices; i++) {
		if (opt->devices[i].size_bytes || opt->devices[i].path)
			continue;
		opt->devices[i].size_bytes = by_budget & SW_PAGE_MASK;
		opt->devices[i].by_budget = true;
	}
	return sw_run_options_limit_swap(opt);
}
