/*
 * debugging.c - the requests of who looks for a defect of ours:
 *
 *      check   { "broken", "text", "held_seconds" }: how many rules of the swap
 *              layer and of zswap are broken, with a line for each of the first
 *              of them
 *      dump    { }, and before it pieces of text, { "text" }
 *
 * For a check all of swap stands still: devices neither come nor go, zswap's
 * thread stops, reclaim rests, faults and events wait (mm/quiet.c). What was
 * under way in another thread may still be at its end at the first look, and
 * nothing begins; so what is not right is looked at again, until it is right or
 * has stayed wrong for longer than anything takes.
 *
 * Above: requests.c. Below: mm/quiet.c, mm/dump.c, swap/swap_check.c,
 * swap/swap_dump.c, zswap/.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"
#include "swap/swap.h"

#define LOOK_NS      2000000      /* from one look to the next */
#define WRONG_NS     2000000000ul /* for so long: it is broken */
#define PIECE_BYTES  (16u << 10)  /* of text */
#define MAX_CLUSTERS 256u         /* lines of each device */
#define MAX_WRONG    50           /* lines of what is wrong in zswap */

/* ---- text ---- */

struct text {
	char *text;
	size_t len;
	FILE *out; /* NULL: no memory */
};

/* The stream knows where `t` is. */
static void text_open(struct text *t)
{
	t->text = NULL;
	t->out = open_memstream(&t->text, &t->len);
}

/* Names may have any bytes. */
static json_t *text_json(const char *text, size_t len)
{
	json_t *json = json_stringn(text, len);
	char *copy;

	if (json)
		return json;
	copy = strndup(text, len);
	for (char *c = copy; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	json = json_string(copy ? copy : "");
	free(copy);
	return json;
}

/* ---- check ---- */

struct check {
	struct text said;
	struct sw_zswap *zswap; /* or NULL */
	unsigned lines;         /* of what is wrong there */
	unsigned broken;
	uint64_t held_ns;
};

static void note_wrong(void *arg, const char *text)
{
	struct check *c = arg;

	if (c->lines++ < MAX_WRONG)
		fprintf(c->said.out, "%s\n", text);
}

static unsigned check_zswap(struct check *c)
{
	struct sw_log_sink was;
	unsigned broken;

	if (!c->zswap)
		return 0;
	c->lines = 0;
	was = sw_log_divert(SW_LOG_ERROR, note_wrong, c);
	broken = sw_zswap_check(c->zswap);
	(void)sw_log_divert(was.level, was.say, was.arg);
	return broken;
}

static void look(void *arg)
{
	static const struct timespec nap = { .tv_nsec = LOOK_NS };
	struct check *c = arg;
	uint64_t start = sw_now_ns();

	do {
		if (c->broken)
			nanosleep(&nap, NULL);
		rewind(c->said.out);
		c->broken = swap_check_to(c->said.out) + check_zswap(c);
	} while (c->broken && sw_now_ns() - start < WRONG_NS);
	c->held_ns = sw_now_ns() - start;
}

static int check_quietly(struct session *s, struct check *c)
{
	int err;

	sw_devices_stop(&s->devices);
	err = sw_mm_quiet(s->mm, look, c);
	if (sw_devices_start(&s->devices))
		sw_warn("zswap goes on without writing cold pages back");
	if (err)
		sw_error(
			"the session is about to freeze or to thaw; try again");
	return err;
}

static json_t *check_json(struct check *c)
{
	fclose(c->said.out);
	return json_pack("{s:i, s:o, s:f}", "broken", c->broken, "text",
			 text_json(c->said.text, c->said.len), "held_seconds",
			 c->held_ns / 1e9);
}

json_t *sw_answer_check(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	struct check c = { .zswap = s->devices.zswap };
	json_t *answer = NULL;

	(void)call;
	(void)request;
	text_open(&c.said);
	if (!c.said.out) {
		sw_error("not enough memory to check anything");
		return NULL;
	}
	if (!sw_devices_hold(&s->devices)) {
		sw_error(
			"a device is coming or going, or somebody else is checking; try again");
		fclose(c.said.out);
	} else {
		if (check_quietly(s, &c))
			fclose(c.said.out);
		else
			answer = check_json(&c);
		sw_devices_let_go(&s->devices);
	}
	free(c.said.text);
	return answer;
}

/* ---- dump ---- */

static void dump_session(struct session *s, FILE *out)
{
	char size[24];

	fprintf(out, "session %s, pid %d, command %d: %.1f s, budget %s\n",
		s->door.name, getpid(), s->command,
		(sw_now_ns() - s->start_ns) / 1e9,
		sw_size_format(sw_session_budget(s), size));
}

static void dump_groups(FILE *out)
{
	for (unsigned group = 1; group <= UINT16_MAX; group++) {
		struct sw_swap_group_info g;

		swap_group_info(group, &g);
		if (!g.usage && g.max == UINT64_MAX && !g.nr_fail)
			continue;
		fprintf(out,
			"group %u: %" PRIu64 " slots of %" PRIu64
			" at most, refused %" PRIu64 " by that, %" PRIu64
			" in all\n",
			group, g.usage, g.max, g.nr_max, g.nr_fail);
	}
}

static void dump_zswap(struct sw_devices *d, FILE *out)
{
	struct sw_zswap_stats st;

	if (!d->zswap)
		return;
	sw_zswap_stats(d->zswap, &st);
	fprintf(out,
		"zswap: %" PRIu64 " pages, %" PRIu64 " same-filled, %" PRIu64
		" compressed anew, %" PRIu64 " bytes in %" PRIu64
		" of memory, %" PRIu64 " objects moved\n",
		st.pages, st.same_pages, st.strong_pages, st.compr_bytes,
		st.mem_bytes, st.moved_objects);
}

/* How much of the text fits a piece: whole lines, if there are any. */
static size_t piece_of(const char *text, size_t len)
{
	const char *end;

	if (len <= PIECE_BYTES)
		return len;
	end = memrchr(text, '\n', PIECE_BYTES);
	return end ? (size_t)(end + 1 - text) : PIECE_BYTES;
}

static void send_text(struct sw_call *call, const char *text, size_t len)
{
	while (len) {
		size_t nr = piece_of(text, len);

		if (!sw_call_piece(call, json_pack("{s:o}", "text",
						   text_json(text, nr))))
			return;
		text += nr;
		len -= nr;
	}
}

json_t *sw_answer_dump(struct sw_call *call, const json_t *request, void *arg)
{
	struct session *s = arg;
	struct text t;

	(void)request;
	text_open(&t);
	if (!t.out) {
		sw_error("not enough memory to write it down");
		return NULL;
	}
	dump_session(s, t.out);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++)
		swap_dump(t.out, type, MAX_CLUSTERS);
	dump_zswap(&s->devices, t.out);
	dump_groups(t.out);
	sw_mm_dump(s->mm, t.out);
	fclose(t.out);
	send_text(call, t.text, t.len);
	free(t.text);
	return json_object();
}
