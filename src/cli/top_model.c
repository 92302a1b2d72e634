/*
 * top_model.c - see top.h: samples of a session and what changed from one to the
 * next, the order of processes, which one is selected, and what keys do to that.
 *
 * Above: cmd_top.c. Below: run/options.h for sizes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"
#include "run/options.h"

#define BUDGET_STEPS 10 /* of a budget, for + and - */
#define MIB          (1 << 20)

/* ---- reading ---- */

/* Names of devices may have anything in them, and go to a terminal. */
static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7f)
			*to = '?';
}

static bool read_process(json_t *json, struct top_process *p)
{
	const char *command;

	if (json_unpack(json, "{s:i, s:I, s:I, s:I, s:I, s:b, s:s}", /**/
			"pid", &p->pid,                              /**/
			"resident_bytes", &p->resident,              /**/
			"swapped_bytes", &p->swapped,                /**/
			"faults", &p->faults,                        /**/
			"stall_ns", &p->stall_ns,                    /**/
			"managed", &p->managed,                      /**/
			"command", &command))
		return false;
	copy_text(p->command, sizeof(p->command), command);
	return true;
}

static bool read_device(json_t *json, struct top_device *d)
{
	const char *name, *kind;

	if (json_unpack(json, "{s:s, s:s, s:I, s:I, s:I, s:I}", /**/
			"name", &name,                          /**/
			"kind", &kind,                          /**/
			"size_bytes", &d->size,                 /**/
			"used_bytes", &d->used,                 /**/
			"stored_bytes", &d->stored,             /**/
			"memory_bytes", &d->memory))
		return false;
	copy_text(d->name, sizeof(d->name), name);
	copy_text(d->kind, sizeof(d->kind), kind);
	return true;
}

static bool read_devices(struct top_sample *s, const json_t *devices)
{
	json_t *json;
	size_t i;

	json_array_foreach(devices, i, json)
	{
		if (s->nr_devices == TOP_DEVICES_MAX)
			break;
		if (!read_device(json, &s->device[s->nr_devices]))
			return false;
		s->swapped += s->device[s->nr_devices++].used;
	}
	return true;
}

static bool read_processes(struct top_sample *s, const json_t *processes)
{
	json_t *json;
	size_t i;

	s->process =
		calloc(json_array_size(processes) + 1, sizeof(*s->process));
	if (!s->process)
		return false;
	json_array_foreach(processes, i, json) if (
		!read_process(json,
			      &s->process[s->nr_processes++])) return false;
	return true;
}

bool top_read(struct top_sample *s, const json_t *answer,
	      const json_t *processes)
{
	const char *session;

	memset(s, 0, sizeof(*s));
	if (!json_unpack(
		    (json_t *)answer,
		    "{s:s, s:i, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}}", /**/
		    "session", &session,                                 /**/
		    "pid", &s->pid,                                      /**/
		    "time_ns", &s->time_ns,                              /**/
		    "budget_bytes", &s->budget,                          /**/
		    "used_bytes", &s->used,                              /**/
		    "counters", "pgfault", &s->pgfault, "pswpin", &s->pswpin,
		    "pswpout", &s->pswpout, "stall_us", &s->stall_us)) {
		copy_text(s->session, sizeof(s->session), session);
		if (read_devices(s, json_object_get(answer, "devices")) &&
		    read_processes(s, processes))
			return true;
	}
	top_release(s);
	return false;
}

void top_release(struct top_sample *s)
{
	free(s->process);
	s->process = NULL;
	s->nr_processes = 0;
}

/* ---- what changed ---- */

static int by_pid(const void *a, const void *b)
{
	const struct top_process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* How much it grew in so many seconds, each; what was set back has not. */
static double rate(json_int_t now, json_int_t before, double seconds)
{
	return seconds > 0 && now > before ? (now - before) / seconds : 0;
}

static void compare(struct top_sample *now, const struct top_sample *before)
{
	double seconds = (now->time_ns - before->time_ns) / 1e9;

	now->faults_rate = rate(now->pgfault, before->pgfault, seconds);
	now->in_rate =
		rate(now->pswpin, before->pswpin, seconds) * SW_PAGE_SIZE;
	now->out_rate =
		rate(now->pswpout, before->pswpout, seconds) * SW_PAGE_SIZE;
	now->stall_share = rate(now->stall_us, before->stall_us, seconds) / 1e6;
	for (size_t i = 0; i < now->nr_processes; i++) {
		struct top_process *p = &now->process[i];
		const struct top_process *was =
			bsearch(p, before->process, before->nr_processes,
				sizeof(*p), by_pid);

		if (!was)
			continue;
		p->faults_rate = rate(p->faults, was->faults, seconds);
		p->stall_share =
			rate(p->stall_ns, was->stall_ns, seconds) / 1e9;
	}
}

/* ---- the order ---- */

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

/* Above 0: `x` comes first. */
static int precedes(const struct top_process *x, const struct top_process *y,
		    enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_RESIDENT:
		return compare_numbers(x->resident, y->resident);
	case TOP_BY_SWAPPED:
		return compare_numbers(x->swapped, y->swapped);
	case TOP_BY_FAULTS:
		return compare_numbers(x->faults_rate, y->faults_rate);
	case TOP_BY_STALL:
		return compare_numbers(x->stall_share, y->stall_share);
	case TOP_BY_COMMAND:
		return strcmp(y->command, x->command);
	default:
		return 0;
	}
}

static int by_sort(const void *a, const void *b, void *arg)
{
	const struct top_process *x = *(struct top_process *const *)a;
	const struct top_process *y = *(struct top_process *const *)b;
	int first = precedes(x, y, *(enum top_sort *)arg);

	return first ? -first : by_pid(x, y);
}

static void sort(struct top *t)
{
	qsort_r(t->order, t->now.nr_processes, sizeof(*t->order), by_sort,
		&t->sort);
}

static size_t selected_row(const struct top *t)
{
	for (size_t i = 0; i < t->now.nr_processes; i++)
		if (t->order[i]->pid == t->selected)
			return i;
	return 0;
}

void top_take(struct top *t, struct top_sample *s)
{
	size_t row = t->order ? selected_row(t) : 0;
	struct top_process **order =
		calloc(s->nr_processes + 1, sizeof(*order));

	if (!order) {
		top_release(s);
		return;
	}
	compare(s, t->order ? &t->now : s);
	qsort(s->process, s->nr_processes, sizeof(*s->process), by_pid);
	for (size_t i = 0; i < s->nr_processes; i++)
		order[i] = &s->process[i];
	top_release(&t->now);
	free(t->order);
	t->now = *s;
	t->order = order;
	sort(t);
	/* Where the selected one has ended, whoever is there now. */
	row = sw_min(row, s->nr_processes ? s->nr_processes - 1 : 0);
	if (s->nr_processes && order[selected_row(t)]->pid != t->selected)
		t->selected = order[row]->pid;
}

void top_close(struct top *t)
{
	top_release(&t->now);
	free(t->order);
}

/* ---- keys ---- */

static void select_row(struct top *t, size_t row)
{
	size_t nr = t->now.nr_processes;

	if (nr)
		t->selected = t->order[sw_min(row, nr - 1)]->pid;
}

/* By `by` sorts on, round and round. */
static void sort_next(struct top *t, unsigned by)
{
	t->sort = (t->sort + by) % TOP_NR_SORTS;
	sort(t);
}

static enum top_action set_budget(struct top *t, json_int_t bytes)
{
	t->new_budget = sw_max(bytes / MIB * MIB, (json_int_t)MIB);
	return TOP_SET_BUDGET;
}

/* By a tenth, but by 1 MiB at least. */
static json_int_t budget_step(const struct top *t)
{
	return sw_max(t->now.budget / BUDGET_STEPS, (json_int_t)MIB);
}

static bool press_to_move(struct top *t, int key, size_t rows)
{
	size_t row = selected_row(t);

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		select_row(t, row ? row - 1 : 0);
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		select_row(t, row + 1);
		return true;
	case TOP_KEY_PAGE_UP:
		select_row(t, row - sw_min(row, rows));
		return true;
	case TOP_KEY_PAGE_DOWN:
		select_row(t, row + rows);
		return true;
	case TOP_KEY_HOME:
		select_row(t, 0);
		return true;
	case TOP_KEY_END:
		select_row(t, t->now.nr_processes);
		return true;
	default:
		return false;
	}
}

static enum top_action press_in_list(struct top *t, int key, size_t rows)
{
	if (press_to_move(t, key, rows))
		return TOP_NOTHING;
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case 'h':
	case '?':
		t->mode = TOP_HELP;
		return TOP_NOTHING;
	case 's':
	case '>':
		sort_next(t, 1);
		return TOP_NOTHING;
	case '<':
		sort_next(t, TOP_NR_SORTS - 1);
		return TOP_NOTHING;
	case '+':
		return set_budget(t, t->now.budget + budget_step(t));
	case '-':
		return set_budget(t, t->now.budget - budget_step(t));
	case 'm':
		t->mode = TOP_BUDGET;
		*t->input = 0;
		return TOP_NOTHING;
	case 'p':
		return t->now.nr_processes ? TOP_PAGE_OUT : TOP_NOTHING;
	default:
		return TOP_NOTHING;
	}
}

static enum top_action enter_budget(struct top *t)
{
	uint64_t bytes;

	t->mode = TOP_LIST;
	if (!*t->input)
		return TOP_NOTHING;
	if (sw_size_parse(t->input, 0, &bytes) || bytes > INT64_MAX) {
		snprintf(t->message, sizeof(t->message),
			 "'%s' is no size; write 512M, or 1.5G", t->input);
		return TOP_NOTHING;
	}
	t->new_budget = bytes;
	return TOP_SET_BUDGET;
}

static enum top_action press_in_budget(struct top *t, int key)
{
	size_t len = strlen(t->input);

	switch (key) {
	case TOP_KEY_ENTER:
		return enter_budget(t);
	case TOP_KEY_ESCAPE:
		t->mode = TOP_LIST;
		return TOP_NOTHING;
	case TOP_KEY_BACKSPACE:
		t->input[len ? len - 1 : 0] = 0;
		return TOP_NOTHING;
	default:
		if (key > ' ' && key < 0x7f && len + 1 < sizeof(t->input)) {
			t->input[len] = key;
			t->input[len + 1] = 0;
		}
		return TOP_NOTHING;
	}
}

enum top_action top_press(struct top *t, int key, size_t rows)
{
	*t->message = 0;
	switch (t->mode) {
	case TOP_HELP:
		t->mode = TOP_LIST;
		return key == 'q' ? TOP_QUIT : TOP_NOTHING;
	case TOP_BUDGET:
		return press_in_budget(t, key);
	default:
		return press_in_list(t, key, rows);
	}
}
