/*
 * options_limits.c - the properties of systemd-run that a session takes beside
 * -m. Above: conf.c, options.c.
 *
 * The kernel has two limits: beyond MemoryHigh it reclaims, beyond MemoryMax it
 * kills. A session has one number, the budget, which it aims at from below and
 * which memory passes only when no device has room. MemoryHigh is that number;
 * MemoryMax bounds it, so the lower of both becomes the budget, and nobody is
 * killed for passing it.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "run/options.h"

/* 0 for "infinity". */
static int read_limit(const char *what, const char *text, uint64_t *bytes)
{
	*bytes = 0;
	if (!strcmp(text, "infinity"))
		return 0;
	return sw_run_options_read_size(what, text, bytes);
}

static int read_memory(const char *what, const char *text, uint64_t *to)
{
	uint64_t bytes;
	int err = read_limit(what, text, &bytes);

	if (err)
		return err;
	if (bytes < SW_BUDGET_MIN_BYTES && strcmp(text, "infinity")) {
		sw_error(
			"%s=%s: too small to run anything in; the minimum is 8M",
			what, text);
		return -EINVAL;
	}
	*to = bytes & SW_PAGE_MASK;
	return 0;
}

int sw_run_options_set_memory_high(struct sw_run_options *opt, const char *text)
{
	return read_memory("-p MemoryHigh", text, &opt->budget_bytes);
}

int sw_run_options_set_memory_max(struct sw_run_options *opt, const char *text)
{
	return read_memory("-p MemoryMax", text, &opt->memory_max_bytes);
}

int sw_run_options_set_swap_max(struct sw_run_options *opt, const char *text)
{
	uint64_t bytes;
	int err = read_limit("-p MemorySwapMax", text, &bytes);

	if (err)
		return err;
	if (bytes < SW_DEVICE_MIN_BYTES && strcmp(text, "infinity")) {
		sw_error(
			"-p MemorySwapMax=%s: a session has a swap device, of at least 1M",
			text);
		return -EINVAL;
	}
	opt->swap_max_bytes = bytes & SW_PAGE_MASK;
	return 0;
}

void sw_run_options_limit_budget(struct sw_run_options *opt)
{
	if (opt->memory_max_bytes &&
	    (!opt->budget_bytes || opt->budget_bytes > opt->memory_max_bytes))
		opt->budget_bytes = opt->memory_max_bytes;
}

/* 0, or -EINVAL after a line. */
static int take(struct sw_device_spec *dev, uint64_t *left)
{
	char size[24], room[24];

	if (!dev->size_bytes) {
		sw_error(
			"-p MemorySwapMax: how large %s is would be known too late; leave one of them out",
			dev->path);
		return -EINVAL;
	}
	if (dev->by_budget && *left >= SW_DEVICE_MIN_BYTES)
		dev->size_bytes = sw_min(dev->size_bytes, *left);
	if (dev->size_bytes > *left) {
		sw_error(
			"-p MemorySwapMax: a %s device of %s is more than what is left, %s; raise it, or make the device smaller",
			dev->kind, sw_size_format(dev->size_bytes, size),
			*left < SW_DEVICE_MIN_BYTES
				? "nothing"
				: sw_size_format(*left, room));
		return -EINVAL;
	}
	*left -= dev->size_bytes;
	return 0;
}

int sw_run_options_limit_swap(struct sw_run_options *opt)
{
	uint64_t left = opt->swap_max_bytes;
	int err = 0;

	for (unsigned i = 0; !err && opt->swap_max_bytes && i < opt->nr_devices;
	     i++)
		err = take(&opt->devices[i], &left);
	return err;
}
