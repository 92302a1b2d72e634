/*
 * conf.c - see conf.h. Above: cli/cmd_run.c. Below: options.c and its like,
 * which read the values.
 *
 * There is one file, SW_CONF_PATH, or what SPILLWAY_CONF names, or none when
 * that is empty. None in a home directory: a session needs privileges, and who
 * has them by sudo would get another home than he thinks.
 *
 * A setting is a row of settings[]; it is an option's long name, a key of the
 * file, and with SPILLWAY_ before it and in capitals a variable. Those with the
 * same bit say the same thing in different words.
 */
#include "run/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SHOWN 40 /* of what is no setting, in a message */

enum {
	BUDGET = 1,
	DEVICES = 2,
	ZSWAP = 4,
	REPORT = 8,
	VERBOSE = 16,
	MEMORY_MAX = 32,
	SWAP_MAX = 64,
};

struct setting {
	const char *key;
	int (*set)(struct sw_run_options *opt, const char *value);
	unsigned what;
	bool repeats;
};

/* `property` has rows of its own. */
static const struct setting settings[] = {
	{ "memory", sw_run_options_set_budget, BUDGET, false },
	{ "swap", sw_run_options_add_device, DEVICES, true },
	{ "zswap", sw_run_options_set_zswap, ZSWAP, false },
	{ "report", sw_run_options_set_report, REPORT, false },
	{ "verbose", sw_run_options_set_verbose, VERBOSE, false },
	{ "property", NULL, 0, true },
};

static const struct setting properties[] = {
	{ "MemoryHigh", sw_run_options_set_memory_high, BUDGET, false },
	{ "MemoryMax", sw_run_options_set_memory_max, MEMORY_MAX, false },
	{ "MemorySwapMax", sw_run_options_set_swap_max, SWAP_MAX, false },
};

static const struct setting *lookup(const struct setting *rows, unsigned nr,
				    const char *key, size_t len)
{
	for (unsigned i = 0; i < nr; i++)
		if (strlen(rows[i].key) == len &&
		    !memcmp(rows[i].key, key, len))
			return &rows[i];
	return NULL;
}

/* "a, b, c" */
static const char *list(const struct setting *rows, unsigned nr, char buf[128])
{
	size_t used = 0;

	for (unsigned i = 0; i < nr; i++)
		used += snprintf(buf + used, 128 - used, "%s%s", i ? ", " : "",
				 rows[i].key);
	return buf;
}

/* The beginning of a text from anywhere, fit for a terminal. */
static const char *shown(const char *text, char buf[SHOWN + 4])
{
	size_t i;

	for (i = 0; text[i] && i < SHOWN; i++)
		buf[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	strcpy(buf + i, text[i] ? "..." : "");
	return buf;
}

/* ---- one setting ---- */

static int apply(struct sw_conf *conf, const struct setting *setting,
		 const char *value)
{
	if (conf->above & setting->what)
		return 0;
	conf->here |= setting->what;
	return setting->set(conf->opt, value);
}

/* NAME=VALUE */
static int apply_property(struct sw_conf *conf, const char *text)
{
	const char *end = strchrnul(text, '=');
	const struct setting *property =
		lookup(properties, SW_ARRAY_SIZE(properties), text, end - text);
	char known[128], buf[SHOWN + 4];

	if (property && *end)
		return apply(conf, property, end + 1);
	list(properties, SW_ARRAY_SIZE(properties), known);
	if (property)
		sw_error("-p %s: no value; write %s=SIZE", property->key,
			 property->key);
	else
		sw_error("-p %s: no such property; known: %s", shown(text, buf),
			 known);
	return -EINVAL;
}

static int set(struct sw_conf *conf, const struct setting *setting,
	       const char *value)
{
	return setting->set ? apply(conf, setting, value)
			    : apply_property(conf, value);
}

int sw_conf_set(struct sw_conf *conf, const char *key, const char *value)
{
	const struct setting *setting =
		lookup(settings, SW_ARRAY_SIZE(settings), key, strlen(key));

	SW_BUG_ON(!setting);
	return set(conf, setting, value);
}

struct line {
	char text[768];
};

/* The first is the reason, what follows its consequence. */
static void keep(void *arg, const char *text)
{
	struct line *line = arg;

	if (!*line->text)
		snprintf(line->text, sizeof(line->text), "%s", text);
}

/* The same, with where it was found before the line that says what is wrong. */
static int set_from(struct sw_conf *conf, const struct setting *setting,
		    const char *value, const char *where)
{
	struct line line = { "" };
	int err;

	sw_log_divert(SW_LOG_ERROR, keep, &line);
	err = set(conf, setting, value);
	sw_log_divert(SW_LOG_ERROR, NULL, NULL);
	if (err)
		sw_error("%s: %s", where,
			 *line.text ? line.text : strerror(-err));
	return err;
}

static void next_source(struct sw_conf *conf)
{
	conf->above |= conf->here;
	conf->here = 0;
}

/* ---- the environment ---- */

static int read_variable(struct sw_conf *conf, const struct setting *setting)
{
	char name[64] = "SPILLWAY_", *text, *rest, *value;
	size_t len = strlen(name);
	int err = 0;

	for (const char *p = setting->key; *p; p++)
		name[len++] = toupper((unsigned char)*p);
	value = getenv(name);
	if (!value || !*value)
		return 0;
	text = rest = strdup(value);
	if (!text)
		return -ENOMEM;
	while (!err && rest) {
		value = setting->repeats ? strsep(&rest, ";") : rest;
		if (!setting->repeats)
			rest = NULL;
		if (*value)
			err = set_from(conf, setting, value, name);
	}
	free(text);
	return err;
}

/* ---- the file ---- */

static char *trim(char *text, char *end)
{
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int say_line(const char *where, const char *text, const char *what)
{
	char buf[SHOWN + 4];

	sw_error("%s: '%s' %s", where, shown(text, buf), what);
	return -EINVAL;
}

static int read_line(struct sw_conf *conf, char *line, size_t len,
		     const char *where)
{
	const struct setting *setting;
	char *key, *value, known[128], what[160];

	if (strlen(line) != len)
		return say_line(where, line, "is followed by a zero byte");
	key = trim(line, line + len);
	if (!*key || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (!value)
		return say_line(where, key, "is no setting; write KEY = VALUE");
	key = trim(key, value);
	value = trim(value + 1, value + 1 + strlen(value + 1));
	setting = lookup(settings, SW_ARRAY_SIZE(settings), key, strlen(key));
	if (!setting) {
		snprintf(what, sizeof(what), "is no setting; known: %s",
			 list(settings, SW_ARRAY_SIZE(settings), known));
		return say_line(where, key, what);
	}
	if (!*value)
		return say_line(where, key, "has no value");
	return set_from(conf, setting, value, where);
}

int sw_conf_read(struct sw_conf *conf, FILE *file, const char *name)
{
	char *line = NULL, where[512];
	size_t size = 0;
	unsigned nr = 0;
	ssize_t len;
	int err = 0;

	while (!err && (len = getline(&line, &size, file)) >= 0) {
		snprintf(where, sizeof(where), "%.480s:%u", name, ++nr);
		err = read_line(conf, line, len, where);
	}
	free(line);
	if (!err && ferror(file)) {
		err = -EIO;
		sw_error("%s: cannot be read to its end", name);
	}
	return err;
}

static int read_file(struct sw_conf *conf)
{
	const char *named = getenv("SPILLWAY_CONF");
	const char *path = named ? named : SW_CONF_PATH;
	FILE *file = *path ? fopen(path, "re") : NULL;
	int err;

	if (!*path || (!file && !named && errno == ENOENT))
		return 0;
	if (!file) {
		err = -errno;
		sw_error("%s%s: cannot be read: %s",
			 named ? "SPILLWAY_CONF: " : "", path, strerror(-err));
		return err;
	}
	err = sw_conf_read(conf, file, path);
	fclose(file);
	return err;
}

int sw_conf_read_rest(struct sw_conf *conf)
{
	int err = 0;

	next_source(conf);
	for (unsigned i = 0; !err && i < SW_ARRAY_SIZE(settings); i++)
		err = read_variable(conf, &settings[i]);
	next_source(conf);
	return err ? err : read_file(conf);
}
