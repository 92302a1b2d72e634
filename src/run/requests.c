/*
 * requests.c - what a running session can be asked (control.h): the rows of
 * sw_requests, and what each answers.
 *
 *      show    { "devices": [ { "name", "kind", "size_bytes", "used_bytes",
 *                               "prio" } ] }
 *
 * Above: control.c, in a thread for each call. Below: devices.c.
 */
#include "run/session_internal.h"

/* ---- show ---- */

/* A path may be no UTF-8, which JSON has to be. */
static json_t *name_json(const char *name)
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
			json_pack("{s:o, s:s, s:I, s:I, s:i}",      /**/
				  "name", name_json(line[i].name),  /**/
				  "kind", line[i].kind,             /**/
				  "size_bytes", line[i].size_bytes, /**/
				  "used_bytes", line[i].used_bytes, /**/
				  "prio", line[i].prio));
	return json_pack("{s:o}", "devices", devices);
}

const struct sw_request_kind sw_requests[] = {
	{ "show", show },
	{ 0 },
};
