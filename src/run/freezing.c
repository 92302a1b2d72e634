/*
 * freezing.c - the requests to put a session aside, and to go on with it:
 *
 *      freeze  { "thaw_on_fault" }    { "resident_bytes", "image_bytes" }
 *      thaw                           { }
 *
 * What went to compressed memory is written to the disk that has the most room,
 * if there is one among the devices.
 *
 * Above: requests.c. Below: mm/freeze.c.
 */
#include "mm/mm.h"
#include "run/session_internal.h"
#include "swap/swap.h"

static bool goes_on(void *call)
{
	return sw_call_goes_on(call);
}

/* The roomiest device that works and whose slots are not in memory; -1: there
 * is none, or nothing that would have to go there. */
static int choose_image_device(void)
{
	struct sw_swap_device_info info;
	uint64_t most = 0;
	bool memory = false;
	int found = -1;

	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		if (!swap_device_info(type, &info))
			continue;
		if (info.flags & SWP_SYNCHRONOUS_IO) {
			memory = true;
		} else if (!(info.flags & SWP_FAILED) &&
			   info.pages - info.used > most) {
			most = info.pages - info.used;
			found = type;
		}
	}
	return memory ? found : -1;
}

json_t *sw_answer_freeze(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	const json_t *on_fault = json_object_get(request, "thaw_on_fault");
	const struct sw_freeze_spec spec = {
		.image_type = choose_image_device(),
		.thaw_on_fault = json_is_true(on_fault),
		.goes_on = goes_on,
		.arg = call,
	};
	struct sw_freeze_info info;

	if (sw_mm_freeze(s->mm, &spec))
		return NULL;
	sw_mm_freeze_info(s->mm, &info);
	return json_pack("{s:I, s:I}", /**/
			 "resident_bytes",
			 info.resident_pages * SW_PAGE_SIZE, /**/
			 "image_bytes", info.image_pages * SW_PAGE_SIZE);
}

json_t *sw_answer_thaw(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;

	(void)call;
	(void)request;
	return sw_mm_thaw(s->mm) ? NULL : json_object();
}
