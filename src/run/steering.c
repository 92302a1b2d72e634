/*
 * steering.c - the requests that change how much memory a running session uses:
 *
 *      set      "budget", as -m has it: { "budget_bytes", "was_bytes",
 *               "used_bytes" }, and on the way { "used_bytes",
 *               "budget_bytes" }. The budget is another one at once; the answer
 *               comes when the session is within it, or when nothing has gone
 *               for seconds.
 *      reclaim  "bytes": { "wanted_bytes", "reclaimed_bytes", "why" }, and on
 *               the way { "reclaimed_bytes", "wanted_bytes" }. "why" is a line
 *               where it is less than wanted, else null.
 *
 * Above: requests.c. Below: mm/inside.c, mm/steer.c, devices.c.
 */
#include <errno.h>

#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define LOOK_MS     20   /* at how far it is */
#define PATIENCE_MS 3000 /* for something to go */
#define LOOKS       2    /* of the loop until all processes are managed */
#define LOOKS_MS    5000 /* it has that long to take them */
#define MOST_BYTES  (1ll << 56)

/* ---- the budget ---- */

/* Pages that are in the programs, and have no slot yet. */
static uint64_t pages_without_slot(const struct sw_mm_usage *u)
{
	uint64_t rest = u->staged_pages + u->held_pages;

	return u->used_pages - sw_min(u->used_pages, rest);
}

/* 0, or -ENOSPC after a line: swap has no room for what would have to go. */
static int check_room(struct session *s, uint64_t bytes)
{
	char wanted[24], needed[24], room[24];
	struct sw_mm_usage u;
	struct sw_swap_totals t;
	uint64_t in, pages = bytes / SW_PAGE_SIZE;

	sw_mm_usage(s->mm, &u);
	si_swapinfo(&t);
	in = pages_without_slot(&u);
	if (pages >= u.budget_pages || in <= pages + t.free_pages)
		return 0;
	sw_error(
		"a budget of %s is too small: %s more would have to go to swap, which has %s free; turn another device on first",
		sw_size_format(bytes, wanted),
		sw_size_format((in - pages) * SW_PAGE_SIZE, needed),
		sw_size_format(t.free_pages * SW_PAGE_SIZE, room));
	return -ENOSPC;
}

/* 0, or -errno after a line. */
static int set_budget(struct session *s, uint64_t bytes, uint64_t *was)
{
	int err;

	sw_mutex_lock(&s->steering);
	*was = sw_session_budget(s);
	err = check_room(s, bytes);
	if (!err) {
		__atomic_store_n(&s->budget_bytes, bytes, __ATOMIC_RELAXED);
		sw_mm_set_budget(s->mm, bytes / SW_PAGE_SIZE);
		sw_devices_set_budget(&s->devices, bytes);
	}
	sw_mutex_unlock(&s->steering);
	return err;
}

static json_t *usage_json(const struct sw_mm_usage *u)
{
	return json_pack("{s:I, s:I}", /**/
			 "budget_bytes", u->budget_pages * SW_PAGE_SIZE,
			 "used_bytes", u->used_pages * SW_PAGE_SIZE);
}

/* Until the session is within its budget, as far as it can be. */
static void wait_until_within(struct session *s, struct sw_call *call,
			      struct sw_mm_usage *u)
{
	uint64_t least = UINT64_MAX;
	unsigned idle_ms = 0;

	for (;;) {
		sw_mm_usage(s->mm, u);
		if (u->used_pages <= u->budget_pages || idle_ms >= PATIENCE_MS)
			return;
		idle_ms = u->used_pages < least ? 0 : idle_ms + LOOK_MS;
		least = sw_min(least, u->used_pages);
		sw_call_progress(call, usage_json(u));
		if (!sw_call_wait(call, LOOK_MS))
			return;
	}
}

json_t *sw_answer_set(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	const char *text = sw_request_text(request, "budget");
	struct sw_run_options opt;
	struct sw_mm_usage u;
	json_t *answer;
	uint64_t was;
	char size[24];

	sw_run_options_init(&opt);
	if (!text || sw_run_options_set_budget(&opt, text))
		return NULL;
	if (opt.budget_bytes > MOST_BYTES) {
		sw_error("-m %s: is more than any machine has", text);
		return NULL;
	}
	if (s->opt->memory_max_bytes &&
	    opt.budget_bytes > s->opt->memory_max_bytes) {
		sw_error(
			"-m %s: is more than -p MemoryMax=%s, with which the session was started",
			text, sw_size_format(s->opt->memory_max_bytes, size));
		return NULL;
	}
	if (set_budget(s, opt.budget_bytes, &was))
		return NULL;
	sw_info("the budget is %s", sw_size_format(opt.budget_bytes, size));
	wait_until_within(s, call, &u);
	answer = usage_json(&u);
	json_object_set_new(answer, "was_bytes", json_integer(was));
	return answer;
}

/* ---- reclaim ---- */

struct reclaiming {
	struct sw_call *call;
	uint64_t bytes;
};

static bool goes_on(void *arg, uint64_t done)
{
	struct reclaiming *r = arg;

	sw_call_progress(r->call, json_pack("{s:I, s:I}", "reclaimed_bytes",
					    done * SW_PAGE_SIZE, "wanted_bytes",
					    r->bytes));
	return sw_call_goes_on(r->call);
}

/* A tree far from its budget runs unmanaged: it is time to change that. */
static void have_all_managed(struct session *s, struct sw_call *call)
{
	uint64_t first = __atomic_load_n(&s->looks, __ATOMIC_ACQUIRE);
	unsigned ms = 0;

	while (__atomic_load_n(&s->looks, __ATOMIC_ACQUIRE) < first + LOOKS &&
	       ms++ < LOOKS_MS && sw_call_wait(call, 1))
		;
}

static const char *why_less(struct session *s)
{
	struct sw_mm_usage u;

	sw_mm_usage(s->mm, &u);
	return u.full ? "swap is full"
		      : "the rest is in use, locked, pinned or shared";
}

static json_t *reclaimed(struct session *s, int err, uint64_t wanted,
			 uint64_t pages)
{
	char size[24];

	if (err == -EINTR)
		sw_error("called off; %s reclaimed until then",
			 sw_size_format(pages * SW_PAGE_SIZE, size));
	else if (err == -EBUSY)
		sw_error("somebody else is reclaiming; one at a time");
	if (err && err != -EAGAIN)
		return NULL;
	return json_pack("{s:I, s:I, s:o}", "wanted_bytes", wanted,
			 "reclaimed_bytes", pages * SW_PAGE_SIZE, "why",
			 err ? json_string(why_less(s)) : json_null());
}

json_t *sw_answer_reclaim(struct sw_call *call, const json_t *request,
			  void *arg)
{
	const json_t *bytes = json_object_get(request, "bytes");
	struct session *s = arg;
	struct reclaiming r = { call, json_integer_value(bytes) };
	const struct sw_goes_on ask = { goes_on, &r };
	struct sw_freeze_info freeze;
	uint64_t pages = 0;
	int err;

	if (!json_is_integer(bytes) || json_integer_value(bytes) <= 0 ||
	    json_integer_value(bytes) > MOST_BYTES) {
		sw_error("the request says no \"bytes\" above 0");
		return NULL;
	}
	sw_mm_freeze_info(s->mm, &freeze);
	if (freeze.frozen) {
		sw_error("the session is frozen; thaw it first");
		return NULL;
	}
	__atomic_fetch_add(&s->eager, 1, __ATOMIC_RELAXED);
	have_all_managed(s, call);
	err = sw_mm_reclaim(s->mm, (r.bytes + SW_PAGE_SIZE - 1) / SW_PAGE_SIZE,
			    &ask, &pages);
	__atomic_fetch_sub(&s->eager, 1, __ATOMIC_RELAXED);
	return reclaimed(s, err, r.bytes, pages);
}
