/*
 * listing.c - the request for who is in a session and how it fares:
 *
 *      procs   { "session", "pid", "time_ns", "processes",
 *                "budget_bytes", "used_bytes", "staged_bytes",
 *                "counters": { "pgfault", "pswpin", "pswpout",
 *                              "stall_us" },
 *                "devices": [ { "name", "kind", "size_bytes", "used_bytes",
 *                               "stored_bytes", "memory_bytes" } ] }
 *      and before that, in packets of a few dozen, by their pids,
 *              { "processes": [ { "pid", "resident_bytes", "swapped_bytes",
 *                                 "faults", "stall_ns", "managed",
 *                                 "command" } ] }
 *
 * "pid" is the session's own, "time_ns" of a clock that begins anywhere: whoever
 * asks twice can tell rates. Of a process that is not managed, which it need not
 * be before memory gets short, only what /proc says is known.
 *
 * Above: requests.c. Below: procs.c and watch.c, whose books are read under
 * procs_lock, for as long as it takes to copy some numbers.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"

#define PER_PACKET 64 /* with the longest of commands, all of it escaped */

struct entry {
	pid_t pid;
	bool managed;
	struct sw_space_stats stats;
};

struct listing {
	struct entry *entry;
	size_t nr, max;
};

/* ---- from the session's books ---- */

static int by_pid(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return y->managed - x->managed;
}

/* Room for everybody there is. procs_lock held. */
static bool make_room(struct session *s, struct listing *l)
{
	struct sw_proc *p;
	size_t max = s->nr_known;

	sw_list_for_each(p, &s->procs, node)
		max++;
	l->nr = 0;
	l->max = max;
	l->entry = calloc(max ? max : 1, sizeof(*l->entry));
	return l->entry;
}

static void copy_books(struct session *s, struct listing *l)
{
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node) {
		struct entry *e = &l->entry[l->nr++];

		e->pid = p->at.pid;
		e->managed = p->listed;
		if (p->listed)
			sw_space_stats(p->listed, &e->stats);
	}
	for (unsigned i = 0; i < s->nr_known; i++)
		l->entry[l->nr++].pid = s->known[i];
}

/* Who said hello after he was seen without is there twice. */
static void sort_and_unite(struct listing *l)
{
	size_t nr = 0;

	qsort(l->entry, l->nr, sizeof(*l->entry), by_pid);
	for (size_t i = 0; i < l->nr; i++)
		if (!nr || l->entry[nr - 1].pid != l->entry[i].pid)
			l->entry[nr++] = l->entry[i];
	l->nr = nr;
}

static bool list_processes(struct session *s, struct listing *l)
{
	bool ok;

	sw_mutex_lock(&s->procs_lock);
	ok = make_room(s, l);
	if (ok)
		copy_books(s, l);
	sw_mutex_unlock(&s->procs_lock);
	if (ok)
		sort_and_unite(l);
	else
		sw_error("the session is short of memory; try again");
	return ok;
}

/* ---- what goes back ---- */

static json_t *process_json(const struct entry *e)
{
	char command[SW_COMMAND_MAX];

	sw_command_of(e->pid, command);
	return json_pack(
		"{s:i, s:I, s:I, s:I, s:I, s:b, s:s}",                   /**/
		"pid", e->pid,                                           /**/
		"resident_bytes", sw_measure_rss(e->pid) * SW_PAGE_SIZE, /**/
		"swapped_bytes", e->stats.swapped_pages * SW_PAGE_SIZE,  /**/
		"faults", e->stats.faults,                               /**/
		"stall_ns", e->stats.stall_ns,                           /**/
		"managed", e->managed,                                   /**/
		"command", command);
}

static bool send_processes(struct sw_call *call, const struct listing *l)
{
	for (size_t i = 0; i < l->nr;) {
		json_t *part = json_array();

		for (unsigned n = 0; n < PER_PACKET && i < l->nr; n++)
			json_array_append_new(part,
					      process_json(&l->entry[i++]));
		if (!sw_call_piece(call, json_pack("{s:o}", "processes", part)))
			return false;
	}
	return true;
}

static json_t *devices_json(struct session *s)
{
	struct sw_device_line line[SW_MAX_DEVICES];
	unsigned nr = sw_devices_list(&s->devices, line);
	json_t *devices = json_array();

	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(
			devices,
			json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}",     /**/
				  "name", sw_name_json(line[i].name),   /**/
				  "kind", line[i].kind,                 /**/
				  "size_bytes", line[i].size_bytes,     /**/
				  "used_bytes", line[i].used_bytes,     /**/
				  "stored_bytes", line[i].stored_bytes, /**/
				  "memory_bytes", line[i].memory_bytes));
	return devices;
}

static json_t *counters_json(struct session *s)
{
	struct sw_pressure p;

	sw_session_pressure(s, &p);
	return json_pack("{s:I, s:I, s:I, s:I}",                     /**/
			 "pgfault", sw_counter_read(SW_CTR_pgfault), /**/
			 "pswpin", sw_counter_read(SW_CTR_pswpin),   /**/
			 "pswpout", sw_counter_read(SW_CTR_pswpout), /**/
			 "stall_us", p.line[SW_PRESSURE_SOME].total_ns / 1000);
}

json_t *sw_answer_procs(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	struct listing l;
	struct sw_mm_usage u;
	bool sent;

	(void)request;
	if (!list_processes(s, &l))
		return NULL;
	sent = send_processes(call, &l);
	free(l.entry);
	if (!sent)
		return NULL;
	sw_mm_usage(s->mm, &u);
	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", /**/
			 "session", s->door.name,                         /**/
			 "pid", getpid(),                                 /**/
			 "time_ns", (json_int_t)sw_now_ns(),              /**/
			 "processes", (json_int_t)l.nr,                   /**/
			 "budget_bytes", u.budget_pages * SW_PAGE_SIZE,   /**/
			 "used_bytes", u.used_pages * SW_PAGE_SIZE,       /**/
			 "staged_bytes", u.staged_pages * SW_PAGE_SIZE,   /**/
			 "counters", counters_json(s), "devices",
			 devices_json(s));
}
