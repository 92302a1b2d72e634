/*
 * top.h - `spillway top` in three parts: what it knows and what keys do
 * (top_model.c), what that looks like as lines of text (top_draw.c), and the
 * terminal (cmd_top.c). The first two know no terminal, so that tests need none.
 */
#ifndef SW_CLI_TOP_H
#define SW_CLI_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TOP_DEVICES_MAX 32
#define TOP_LINE_MAX    1024 /* bytes of a line, its end among them */
#define TOP_INPUT_MAX   16

struct top_process {
	int pid, managed;
	json_int_t resident, swapped; /* bytes */
	json_int_t faults, stall_ns;  /* so far */
	double faults_rate;           /* a second, since the last sample */
	double stall_share; /* of the time since then: 1 is all of it */
	char command[260];
};

struct top_device {
	char name[256], kind[16];
	json_int_t size, used, stored, memory; /* bytes */
};

struct top_sample {
	char session[65];
	int pid;
	json_int_t time_ns, budget, used;      /* bytes */
	json_int_t pgfault, pswpin, pswpout;   /* so far */
	double faults_rate, in_rate, out_rate; /* a second; the latter: bytes */
	json_int_t stall_us;         /* so far, in which some thread waited */
	double stall_share;          /* of the time since the last sample */
	json_int_t swapped;          /* bytes on all devices */
	struct top_process *process; /* by pid */
	size_t nr_processes;
	struct top_device device[TOP_DEVICES_MAX];
	unsigned nr_devices;
};

enum top_sort {
	TOP_BY_PID,
	TOP_BY_RESIDENT,
	TOP_BY_SWAPPED,
	TOP_BY_FAULTS,
	TOP_BY_STALL,
	TOP_BY_COMMAND,
	TOP_NR_SORTS,
};

enum top_mode {
	TOP_LIST,
	TOP_HELP,
	TOP_BUDGET, /* one is being typed */
};

struct top {
	struct top_sample now;
	struct top_process **order; /* of now.process, as it is sorted */
	enum top_sort sort;
	int selected; /* its pid */
	size_t first; /* the first process that is on the screen */
	enum top_mode mode;
	char input[TOP_INPUT_MAX]; /* a budget so far */
	json_int_t new_budget;     /* of TOP_SET_BUDGET, bytes */
	char message[512];         /* until the next key */
};

/* Keys that are no characters. */
enum top_key {
	TOP_KEY_UP = 0x100,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_BACKSPACE,
};

/* What a key asks for that is not done by showing something else. */
enum top_action {
	TOP_NOTHING,
	TOP_QUIT,
	TOP_SET_BUDGET, /* to new_budget */
	TOP_PAGE_OUT,   /* the selected process */
};

/* ---- top_model.c ---- */

/* From what the session answered, and the pieces before that. False: it says
 * something else, and nothing is to be released. */
bool top_read(struct top_sample *s, const json_t *answer,
	      const json_t *processes);
void top_release(struct top_sample *s);

/* A newer sample, which is given away, takes the place of the old one. */
void top_take(struct top *t, struct top_sample *s);
/* `rows`: how many processes fit on the screen. */
enum top_action top_press(struct top *t, int key, size_t rows);
void top_close(struct top *t);

/* ---- top_draw.c ---- */

enum top_look {
	TOP_PLAIN,
	TOP_BOLD,
	TOP_HEADING,
	TOP_SELECTED,
};

struct top_line {
	char text[TOP_LINE_MAX]; /* at most so many columns as there are */
	enum top_look look;
};

/* Fills `rows` lines. */
void top_draw(struct top *t, struct top_line *line, unsigned rows,
	      unsigned columns);
/* How many processes fit between all the rest. */
size_t top_rows(const struct top *t, unsigned rows);

#endif
