/*
 * paging_out.c - the request to take a process out of memory, once:
 *
 *      pageout "pid"   { "bytes", "resident_bytes" }: what went, what stayed
 *
 * The process goes on, and has back what it touches.
 *
 * Above: requests.c. Below: mm/advise.c.
 */
#include "base/log.h"
#include "run/session_internal.h"

static bool goes_on(void *call)
{
	return sw_call_goes_on(call);
}

/* The space of a process, to be put; NULL after a line. */
static struct sw_space *get_space(struct session *s, json_int_t pid)
{
	struct sw_space *space = NULL;
	struct sw_proc *p;
	bool known = false;

	sw_mutex_lock(&s->procs_lock);
	sw_list_for_each(p, &s->procs, node) {
		if (p->at.pid != pid)
			continue;
		known = true;
		space = p->listed;
		if (space)
			sw_space_get(s->mm, space);
	}
	sw_mutex_unlock(&s->procs_lock);
	if (!known)
		sw_error(
			"no process %lld is in the session, or it cannot be managed; 'spillway ps' lists them",
			(long long)pid);
	else if (!space)
		sw_error(
			"process %lld is not managed yet: it is left alone until the session comes near its budget",
			(long long)pid);
	return space;
}

json_t *sw_answer_pageout(struct sw_call *call, const json_t *request,
			  void *arg)
{
	struct session *s = arg;
	const json_t *pid = json_object_get(request, "pid");
	struct sw_space_stats before, after;
	struct sw_freeze_info freeze;
	struct sw_space *space;
	uint64_t went;

	if (!json_is_integer(pid)) {
		sw_error("the request says no \"pid\"");
		return NULL;
	}
	sw_mm_freeze_info(s->mm, &freeze);
	if (freeze.frozen) {
		sw_error("the session is frozen, and all of it is out");
		return NULL;
	}
	space = get_space(s, json_integer_value(pid));
	if (!space)
		return NULL;
	sw_space_stats(space, &before);
	sw_space_page_out(space, goes_on, call);
	sw_space_stats(space, &after);
	sw_space_put(s->mm, space);
	went = before.resident_pages -
	       sw_min(before.resident_pages, after.resident_pages);
	return json_pack("{s:I, s:I}", "bytes", went * SW_PAGE_SIZE,
			 "resident_bytes", after.resident_pages * SW_PAGE_SIZE);
}
