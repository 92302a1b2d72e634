/*
 * requests.c - what a running session can be asked (control.h): the rows of
 * sw_requests, and what each answers.
 *
 *      show    { "devices": [ { "name", "kind", "size_bytes", "used_bytes",
 *                               "prio", "uuid", "label" } ] }; the last two
 *              are "" where there is none
 *      on      "spec", as --swap has it: { "name" }
 *      off     "device", by the name that show has for it, or without the kind:
 *              { "name", "bytes" }, and on the way { "left_bytes",
 *              "total_bytes" }
 *
 *      freeze, thaw    freezing.c
 *      set, reclaim    steering.c
 *      stat            counting.c
 *      check, dump     debugging.c
 *      procs           listing.c
 *      pageout         paging_out.c
 *      map             cluster_map.c
 *      stall           stalls.c
 *
 * Above: control.c, in a thread for each call. Below: devices.c, mm/unuse.c,
 * and the files named here.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "run/session_internal.h"

const char *sw_request_text(const json_t *request, const char *key)
{
	const char *text = json_string_value(json_object_get(request, key));

	if (!text)
		sw_error("the request says no \"%s\"", key);
	return text;
}

/* ---- show ---- */

json_t *sw_name_json(const char *name)
{
	json_t *json = json_string(name);

	return json ? json : json_string("?");
}

static json_t *show(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(&s->devices, line);
	json_t *devices = json_array();

	(void)call;
	(void)request;
	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(
			devices,
			json_pack("{s:o, s:s, s:I, s:I, s:i, s:s, s:o}", /**/
				  "name", sw_name_json(line[i].name),    /**/
				  "kind", line[i].kind,                  /**/
				  "size_bytes", line[i].size_bytes,      /**/
				  "used_bytes", line[i].used_bytes,      /**/
				  "prio", line[i].prio,                  /**/
				  "uuid", line[i].uuid,                  /**/
				  "label", sw_name_json(line[i].label)));
	return json_pack("{s:o}", "devices", devices);
}

/* ---- on ---- */

/* What -p MemorySwapMax leaves beside the devices that are on: 0 where there is
 * no limit, and too little for a device where it is reached. */
static uint64_t swap_left(struct session *s)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(&s->devices, line);
	uint64_t left = s->opt->swap_max_bytes;

	for (unsigned i = 0; i < nr && left; i++)
		left -= sw_min(left - 1, line[i].size_bytes);
	return left;
}

/* What the spec says, with what a session's own budget makes of it. 0, or
 * -errno after a line. */
static int read_spec(struct session *s, struct sw_run_options *opt,
		     const char *spec)
{
	int err;

	sw_run_options_init(opt);
	opt->budget_bytes = sw_session_budget(s);
	opt->swap_max_bytes = swap_left(s);
	err = sw_run_options_add_device(opt, spec);
	return err ? err : sw_run_options_finish(opt);
}

static json_t *on(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	const char *spec = sw_request_text(request, "spec");
	char name[SW_DEVICE_NAME_MAX];
	struct sw_run_options opt;
	int err;

	(void)call;
	if (!spec)
		return NULL;
	err = read_spec(s, &opt, spec);
	if (!err)
		err = sw_devices_add(&s->devices, &opt.devices[0], name);
	sw_run_options_release(&opt);
	if (err)
		return NULL;
	sw_info("%s: turned on", name);
	return json_pack("{s:o}", "name", sw_name_json(name));
}

/* ---- off ---- */

struct going {
	struct session *s;
	struct sw_call *call;
	const char *name;
	uint64_t total; /* pages */
};

static bool goes_on(void *arg, uint64_t left, uint64_t total)
{
	struct going *g = arg;

	g->total = total;
	sw_call_progress(g->call, json_pack("{s:I, s:I}", "left_bytes",
					    left * SW_PAGE_SIZE, "total_bytes",
					    total * SW_PAGE_SIZE));
	return sw_call_goes_on(g->call);
}

/* What is free on the devices but the one that shall go. */
static uint64_t free_elsewhere(struct session *s, const char *name)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(&s->devices, line);
	uint64_t bytes = 0;

	for (unsigned i = 0; i < nr; i++)
		if (!sw_device_is_called(line[i].name, name))
			bytes += line[i].size_bytes - line[i].used_bytes;
	return bytes;
}

static void say_no_room(struct going *g)
{
	struct sw_mm_usage u;
	char a[24], b[24];

	sw_mm_usage(g->s->mm, &u);
	sw_error(
		"%s: cannot go off: what is on it fits neither into other devices (%s free) nor into the budget (%s free); turn another one on first; it is in use as before",
		g->name, sw_size_format(free_elsewhere(g->s, g->name), a),
		sw_size_format((u.budget_pages -
				sw_min(u.budget_pages, u.used_pages)) *
				       SW_PAGE_SIZE,
			       b));
}

static int turn_off(void *arg, unsigned type)
{
	struct going *g = arg;
	struct sw_off off = { goes_on, g };
	int err;

	if (__atomic_exchange_n(&g->s->going, true, __ATOMIC_ACQUIRE)) {
		sw_error("%s: another device is going off; one at a time",
			 g->name);
		return -EBUSY;
	}
	err = sw_mm_swapoff(g->s->mm, type, &off);
	__atomic_store_n(&g->s->going, false, __ATOMIC_RELEASE);
	if (err == -ENOSPC)
		say_no_room(g);
	else if (err == -EINTR)
		sw_error("%s: called off; it is in use as before", g->name);
	else if (err)
		sw_error(
			"%s: cannot go off: pages of it cannot be moved: %s; it is in use as before",
			g->name, strerror(-err));
	return err;
}

static json_t *off(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	struct going g = { .s = s, .call = call };
	struct sw_freeze_info freeze;
	int err;

	g.name = sw_request_text(request, "device");
	if (!g.name)
		return NULL;
	/* Pages without a place elsewhere would go back to the program. */
	sw_mm_freeze_info(s->mm, &freeze);
	if (freeze.frozen) {
		sw_error("the session is frozen; thaw it first");
		return NULL;
	}
	sw_drain_hold(&s->drain);
	err = sw_devices_remove(&s->devices, g.name, turn_off, &g);
	sw_drain_let_go(&s->drain);
	if (err)
		return NULL;
	sw_info("%s: turned off", g.name);
	return json_pack("{s:s, s:I}", "name", g.name, "bytes",
			 g.total * SW_PAGE_SIZE);
}

const struct sw_request_kind sw_requests[] = {
	{ "show", show },
	{ "on", on },
	{ "off", off },
	{ "freeze", sw_answer_freeze },
	{ "thaw", sw_answer_thaw },
	{ "stat", sw_answer_stat },
	{ "set", sw_answer_set },
	{ "reclaim", sw_answer_reclaim },
	{ "check", sw_answer_check },
	{ "dump", sw_answer_dump },
	{ "procs", sw_answer_procs },
	{ "pageout", sw_answer_pageout },
	{ "map", sw_answer_map },
	{ "stall", sw_answer_stall },
	{ 0 },
};
