/*
 * options.c - what is asked for, as a struct or as text, becomes a plan. Every
 * refusal is one line that says what is wrong. Nothing is opened here.
 *
 * Above: instance.c. Below: devices.c acts on the result.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "lib/lib_internal.h"

#define DEFAULT_RESERVE   (1ull << 40)
#define MAX_RESERVE       (1ull << 46)
#define MIN_DEVICE        (1ull << 20)
#define MAX_DEVICE        ((1ull << 42) - SW_PAGE_SIZE) /* 2^30 slots */
#define DEVICE_PER_BUDGET 3
#define PRIO_MAX          32767

#define ALL_CAN (SPILLWAY_CAN_FAULT | SPILLWAY_CAN_SYSCALLS | SPILLWAY_CAN_MOVE)

/* ---- pieces of text ---- */

/* "512M": digits, and perhaps K, M, G, T. */
static int parse_size(const char *what, const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit)
		shift = 10 * (unit - units + 1);
	if (!isdigit((unsigned char)*text) || errno ||
	    (*end && (!unit || end[1])) || *bytes << shift >> shift != *bytes) {
		sw_error(
			"%s: '%s' is no size; write a number with K, M, G, T, e.g. 512M",
			what, text);
		return -EINVAL;
	}
	*bytes <<= shift;
	return 0;
}

static int parse_prio(const char *text, int *prio)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || n > PRIO_MAX) {
		sw_error("prio '%s' is not a number from 0 to %d", text,
			 PRIO_MAX);
		return -EINVAL;
	}
	*prio = n;
	return 0;
}

/* ---- a device ---- */

/* The kind that `text` begins with, before a colon, or NULL. */
static const struct sw_store_kind *device_kind(const char *text,
					       const char **rest)
{
	size_t len = strcspn(text, ":");

	if (!text[len])
		return NULL;
	*rest = text + len + 1;
	return sw_store_kind_lookup(text, len);
}

static int check_device_size(uint64_t bytes)
{
	if (bytes >= MIN_DEVICE && bytes <= MAX_DEVICE)
		return 0;
	sw_error("a device has from 1M to 4T");
	return -EINVAL;
}

static int parse_setting(struct sw_lib_device *dev, char *key)
{
	char *value = strchr(key, '=');
	int err;

	if (value)
		*value++ = 0;
	if (value && !strcmp(key, "prio"))
		return parse_prio(value, &dev->prio);
	if (value && !strcmp(key, "size") && dev->kind->has_size) {
		err = parse_size("size", value, &dev->size_bytes);
		return err ? err : check_device_size(dev->size_bytes);
	}
	sw_error("'%s' is no setting of such a device", key);
	return -EINVAL;
}

/* `text` is cut up. */
static int parse_device(struct sw_lib_device *dev, char *text)
{
	char *main = strsep(&text, ","), *key;
	int err = 0;

	if (dev->kind->is_memory) {
		if (*main)
			err = parse_size(dev->kind->name, main,
					 &dev->size_bytes);
		if (*main && !err)
			err = check_device_size(dev->size_bytes);
	} else if (*main) {
		dev->path = strdup(main);
		err = dev->path ? 0 : -ENOMEM;
	} else {
		sw_error("a device on a disk has a path");
		err = -EINVAL;
	}
	while (!err && (key = strsep(&text, ",")))
		err = parse_setting(dev, key);
	return err;
}

static int add_device(struct sw_lib_plan *plan, const char *text)
{
	struct sw_lib_device dev = { .prio = -1 };
	char *copy, known[256];
	const char *rest;
	int err;

	dev.kind = device_kind(text, &rest);
	if (!dev.kind) {
		sw_error("'%s' is no device; known: %s", text,
			 sw_store_kinds_known(known));
		return -EINVAL;
	}
	if (plan->nr_devices == SW_LIB_MAX_DEVICES) {
		sw_error("at most %u devices can be used", SW_LIB_MAX_DEVICES);
		return -EINVAL;
	}
	copy = strdup(rest);
	if (!copy)
		return -ENOMEM;
	err = parse_device(&dev, copy);
	free(copy);
	plan->device[plan->nr_devices++] = dev;
	return err;
}

/* ---- all of it ---- */

static int parse_delivery(struct sw_lib_plan *plan, const char *value)
{
	if (!strcmp(value, "thread"))
		plan->delivery = SPILLWAY_BY_THREAD;
	else if (!strcmp(value, "signal"))
		plan->delivery = SPILLWAY_BY_SIGNAL;
	else
		goto err;
	return 0;
err:
	sw_error("delivery '%s' is neither thread nor signal", value);
	return -EINVAL;
}

static int parse_item(struct sw_lib_plan *plan, char *item)
{
	char *value = strchr(item, '=');

	if (!strncmp(item, "budget=", 7))
		return parse_size("budget", value + 1, &plan->budget_bytes);
	if (!strncmp(item, "reserve=", 8))
		return parse_size("reserve", value + 1, &plan->reserve_bytes);
	if (!strncmp(item, "delivery=", 9))
		return parse_delivery(plan, value + 1);
	return add_device(plan, item);
}

/* Calls `fn` with what stands between semicolons. */
static int for_each_item(struct sw_lib_plan *plan, const char *text,
			 int (*fn)(struct sw_lib_plan *plan, char *item))
{
	char *copy = strdup(text), *rest = copy, *item;
	int err = copy ? 0 : -ENOMEM;

	while (!err && (item = strsep(&rest, ";")))
		if (*item)
			err = fn(plan, item);
	free(copy);
	return err;
}

static int add_device_item(struct sw_lib_plan *plan, char *item)
{
	return add_device(plan, item);
}

static int finish(struct sw_lib_plan *plan)
{
	uint64_t by_budget;
	int err = 0;

	if (plan->budget_bytes < SPILLWAY_BUDGET_MIN) {
		sw_error("a budget has at least 8M");
		return -EINVAL;
	}
	if (!plan->reserve_bytes)
		plan->reserve_bytes = DEFAULT_RESERVE;
	if (plan->reserve_bytes > MAX_RESERVE) {
		sw_error("at most 64T of addresses can be reserved");
		return -EINVAL;
	}
	if (!plan->nr_devices)
		err = add_device(plan, "zram:");
	by_budget = sw_min(plan->budget_bytes, MAX_DEVICE / DEVICE_PER_BUDGET) *
		    DEVICE_PER_BUDGET;
	for (unsigned i = 0; i < plan->nr_devices; i++)
		if (plan->device[i].kind->is_memory &&
		    !plan->device[i].size_bytes)
			plan->device[i].size_bytes = by_budget & SW_PAGE_MASK;
	return err;
}

int sw_lib_plan_options(struct sw_lib_plan *plan,
			const struct spillway_options *options)
{
	struct spillway_options o;
	int err = 0;

	*plan = (struct sw_lib_plan){ 0 };
	spillway_options_init(&o, sizeof(o));
	/* A caller that is younger than we are may know more. */
	if (options->size < offsetof(struct spillway_options, devices) ||
	    options->size > sizeof(o)) {
		sw_error(
			"options of %zu bytes, where %zu are known; use spillway_options_init()",
			options->size, sizeof(o));
		return -EINVAL;
	}
	memcpy(&o, options, options->size);
	if ((o.delivery != SPILLWAY_BY_THREAD &&
	     o.delivery != SPILLWAY_BY_SIGNAL) ||
	    (o.require | o.avoid) & ~ALL_CAN) {
		sw_error("a delivery or a capability that there is not");
		return -EINVAL;
	}
	plan->budget_bytes = o.budget_bytes;
	plan->reserve_bytes = o.reserve_bytes;
	plan->delivery = o.delivery;
	plan->require = o.require;
	plan->avoid = o.avoid;
	if (o.devices)
		err = for_each_item(plan, o.devices, add_device_item);
	return err ? err : finish(plan);
}

int sw_lib_plan_text(struct sw_lib_plan *plan, const char *text)
{
	int err;

	*plan = (struct sw_lib_plan){ 0 };
	err = for_each_item(plan, text, parse_item);
	return err ? err : finish(plan);
}

void sw_lib_plan_release(struct sw_lib_plan *plan)
{
	for (unsigned i = 0; i < plan->nr_devices; i++)
		free(plan->device[i].path);
	plan->nr_devices = 0;
}

void spillway_options_init(struct spillway_options *options, size_t size)
{
	if (!options || size > sizeof(*options))
		return;
	memset(options, 0, size);
	options->size = size;
}
