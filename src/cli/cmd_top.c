/*
 * cmd_top.c - `spillway top`: a running session on the terminal, and keys to
 * steer it. What is shown and what keys do is top_model.c's and top_draw.c's;
 * here are the terminal, the clock, and the questions to the session.
 *
 * Above: main.c. Below: run/ask.c, ncurses.
 */
#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/top.h"
#include "run/ask.h"
#include "run/options.h"
#include "run/session.h"

#define DELAY_MIN 0.1
#define DELAY_MAX 3600.0

static const char help[] =
	"Usage: spillway top [OPTION]...\n"
	"\n"
	"Shows a running session on the terminal, anew every second: its budget, its\n"
	"processes, its swap devices. Keys change the budget, page a process out, sort;\n"
	"h lists them, q quits.\n"
	"\n"
	"  -s, --session NAME  the session: what run --name gave it, or its pid;\n"
	"                      not needed where only one is running\n"
	"  -d, --delay SEC     the time from one look to the next, such as 0.5\n"
	"  -h, --help          show this\n";

static double delay = 1;

static const struct option options[] = {
	{ "delay", required_argument, NULL, 'd' },
	CMD_SESSION_OPTIONS,
	{ 0 },
};

static int own_option(void *arg, int c, const char *value)
{
	char *end;

	(void)arg;
	(void)c; /* there is one */
	delay = strtod(value, &end);
	if (end != value && !*end && delay >= DELAY_MIN && delay <= DELAY_MAX)
		return 0;
	fprintf(stderr,
		"spillway: top: --delay %s: a number of seconds from 0.1 to 3600 is needed\n",
		value);
	return SW_EXIT_FAILURE;
}

/* ---- signals ---- */

static volatile sig_atomic_t ended_by; /* the signal */

static void on_signal(int sig)
{
	ended_by = sig;
	sw_ask_call_off();
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };

	for (unsigned i = 0; i < SW_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

/* ---- the session ---- */

struct link {
	const char *target; /* NULL: the only one */
	char name[65];      /* what it turned out to be called */
	char line[SW_ASK_LINE_MAX];
	bool refused; /* it said that line itself */
};

static void hear(void *arg, const json_t *part)
{
	json_array_extend(arg, json_object_get(part, "processes"));
}

/* False: there is no sample, and a line why. */
static bool look(struct link *l, struct top *t)
{
	json_t *processes = json_array(), *answer;
	struct top_sample s;
	bool ok;

	answer = sw_ask_quietly(l->target,
				json_pack("{s:s}", "request", "procs"), hear,
				processes, l->line, &l->refused);
	ok = answer && top_read(&s, answer, processes);
	if (answer && !ok)
		snprintf(
			l->line, sizeof(l->line),
			"the session's answer makes no sense; is it older than the command?");
	if (ok && t->now.pid && s.pid != t->now.pid) {
		/* Another one has its name. */
		top_release(&s);
		ok = false;
	}
	if (ok) {
		top_take(t, &s);
		snprintf(l->name, sizeof(l->name), "%s", t->now.session);
		l->target = l->name;
	}
	json_decref(processes);
	json_decref(answer);
	return ok;
}

static json_t *ask(struct link *l, struct top *t, json_t *request)
{
	json_t *answer = sw_ask_quietly(l->target, request, NULL, NULL, l->line,
					&l->refused);

	if (!answer)
		snprintf(t->message, sizeof(t->message), "%s", l->line);
	return answer;
}

static void set_budget(struct link *l, struct top *t)
{
	char size[24];
	json_t *answer;

	snprintf(size, sizeof(size), "%" PRIu64, (uint64_t)t->new_budget);
	answer = ask(l, t,
		     json_pack("{s:s, s:s}", "request", "set", "budget", size));
	if (answer)
		snprintf(t->message, sizeof(t->message), "the budget is %s now",
			 sw_size_format(t->new_budget, size));
	json_decref(answer);
}

static void page_out(struct link *l, struct top *t)
{
	json_t *answer = ask(l, t,
			     json_pack("{s:s, s:i}", "request", "pageout",
				       "pid", t->selected));
	char size[24];

	if (answer)
		snprintf(t->message, sizeof(t->message),
			 "%s of process %d went out",
			 sw_size_format(json_integer_value(json_object_get(
						answer, "bytes")),
					size),
			 t->selected);
	json_decref(answer);
}

/* ---- the terminal ---- */

static void show_looks(void)
{
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && *no_color) || !has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(TOP_HEADING, COLOR_BLACK, COLOR_GREEN);
	init_pair(TOP_SELECTED, COLOR_BLACK, COLOR_CYAN);
}

static SCREEN *open_screen(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		return NULL;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	show_looks();
	return screen;
}

static void close_screen(SCREEN *screen)
{
	endwin();
	delscreen(screen);
}

static attr_t attributes_of(enum top_look look)
{
	bool coloured = look >= TOP_HEADING && has_colors() &&
			COLOR_PAIRS > TOP_SELECTED && look <= TOP_SELECTED;
	short foreground = 0, background = 0;

	if (coloured)
		pair_content(look, &foreground, &background);
	if (background > 0)
		return COLOR_PAIR(look);
	return look == TOP_PLAIN  ? A_NORMAL
	       : look == TOP_BOLD ? A_BOLD
				  : A_REVERSE;
}

static void draw(struct top *t)
{
	unsigned rows = LINES, columns = COLS;
	struct top_line *line = calloc(rows, sizeof(*line));

	if (!line)
		return;
	top_draw(t, line, rows, columns);
	erase();
	for (unsigned y = 0; y < rows; y++) {
		attrset(attributes_of(line[y].look));
		mvaddstr(y, 0, line[y].text);
	}
	attrset(A_NORMAL);
	refresh();
	free(line);
}

static int key_of(int c)
{
	switch (c) {
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return TOP_KEY_ENTER;
	case 27:
		return TOP_KEY_ESCAPE;
	case KEY_BACKSPACE:
	case 0x7f:
	case '\b':
		return TOP_KEY_BACKSPACE;
	default:
		return c < 0x80 ? c : 0; /* none of ours */
	}
}

/* ---- the loop ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Does what the key asks for; false: it asks for the end. */
static bool handle(struct link *l, struct top *t, int c)
{
	if (c == KEY_RESIZE)
		return true;
	if (c == 'L' - '@') {
		clearok(curscr, TRUE);
		return true;
	}
	switch (top_press(t, key_of(c), top_rows(t, LINES))) {
	case TOP_QUIT:
		return false;
	case TOP_SET_BUDGET:
		set_budget(l, t);
		look(l, t);
		return true;
	case TOP_PAGE_OUT:
		snprintf(t->message, sizeof(t->message),
			 "paging process %d out ...", t->selected);
		draw(t);
		*t->message = 0;
		page_out(l, t);
		look(l, t);
		return true;
	default:
		return true;
	}
}

/* Sleeps until a key comes, or so long; false: there is no terminal any more. */
static bool wait_for_key(double left)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	int n = poll(&p, 1, left > 0 ? left * 1000 + 1 : 0);

	return n <= 0 || p.revents & POLLIN;
}

/* False: the session has ended. */
static bool run(struct link *l, struct top *t)
{
	double next = seconds() + delay;

	while (!ended_by) {
		int c;

		draw(t);
		if (!wait_for_key(next - seconds()))
			return true;
		while ((c = getch()) != ERR)
			if (!handle(l, t, c))
				return true;
		if (ended_by || seconds() < next)
			continue;
		next = seconds() + delay;
		if (look(l, t))
			continue;
		if (!l->refused)
			return ended_by;
		snprintf(t->message, sizeof(t->message), "%s", l->line);
	}
	return true;
}

static int check_terminal(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("spillway: top: this is no terminal; 'spillway ps' lists processes anywhere\n",
		      stderr);
		return SW_EXIT_FAILURE;
	}
	if (term && *term && strcmp(term, "dumb"))
		return 0;
	fprintf(stderr,
		"spillway: top: the terminal '%s' cannot draw a screen; 'spillway ps' lists processes anywhere\n",
		term ? term : "");
	return SW_EXIT_FAILURE;
}

static int watch(struct link *l, struct top *t)
{
	SCREEN *screen;
	bool there;

	if (!look(l, t)) {
		fprintf(stderr, "spillway: %s\n", l->line);
		return CMD_EXIT_REFUSED;
	}
	screen = open_screen();
	if (!screen) {
		fprintf(stderr,
			"spillway: top: nothing is known of the terminal '%s'; is its terminfo installed?\n",
			getenv("TERM"));
		return SW_EXIT_FAILURE;
	}
	catch_signals();
	there = run(l, t);
	close_screen(screen);
	if (!there)
		printf("spillway: the session %s has ended\n", l->name);
	return fflush(stdout) ? SW_EXIT_FAILURE : 0;
}

int cmd_top(int argc, char **argv)
{
	static const struct cmd_syntax syntax = {
		.help = help,
		.options = options,
		.letters = ":s:d:h",
		.own = own_option,
	};
	struct link link = { 0 };
	struct top top = { .sort = TOP_BY_RESIDENT };
	int status = cmd_parse(&syntax, argc, argv, &link.target);

	if (!status)
		status = check_terminal();
	if (status)
		return cmd_status(status);
	setlocale(LC_CTYPE, "");
	status = watch(&link, &top);
	top_close(&top);
	if (ended_by) { /* as whoever sent it expects */
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return status;
}
