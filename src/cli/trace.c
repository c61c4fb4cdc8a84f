/* holdfast trace: "where is the mail from X to Y?" The JSON of report/report.h, and the same as a story for people. */
#include "cli/control.h"
#include "cli/queue.h"

#include <time.h>

#include "os/os.h"

enum { LOOK_AT = 100000 }; /* numbers of one read */

/* ---- what is asked ---- */

/* "2026-11-21", "2026-11-21 14:05[:09]" local, with T and Z UTC; or a span of time before now: "2h". */
static bool parse_time(const char *text, uint64_t now_us, uint64_t *out_us)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S",
					    "%Y-%m-%dT%H:%M:%S",  "%Y-%m-%d %H:%M",
					    "%Y-%m-%dT%H:%M",	  "%Y-%m-%d"};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || *end)
			continue;
		if (i == 0)
			tm.tm_isdst = 0;
		t = i == 0 ? timegm(&tm) : mktime(&tm);
		if (t < 0)
			return false;
		*out_us = (uint64_t)t * 1000000;
		return true;
	}
	(void)now_us;
	return false;
}

bool cli_moment(const struct cli *c, const char *option, uint64_t now_us, uint64_t *out_us)
{
	const char *given = cli_value(c, option);
	uint64_t ms;

	if (!given || parse_time(given, now_us, out_us))
		return true;
	if (given[0] >= '0' && given[0] <= '9' && !strchr(given, '-') &&
	    cli_duration(c, option, &ms)) {
		*out_us = now_us > ms * 1000 ? now_us - ms * 1000 : 1;
		return true;
	}
	if (strchr(given, '-') || given[0] < '0' || given[0] > '9')
		(void)cli_usage(
			c,
			"--%s is a time such as 2026-11-21, \"2026-11-21 14:05\" or 2h (ago), "
			"not `%s`",
			option, given);
	return false;
}

static struct span given(const struct cli *c, const char *option)
{
	return span_str(cli_value(c, option));
}

static bool take_ask(struct cli *c, uint64_t now_us, struct views_trace_ask *out)
{
	uint64_t most = 10;

	*out = (struct views_trace_ask){.sender = given(c, "from"),
					.rcpt = given(c, "to"),
					.subject = given(c, "subject"),
					.message_id = given(c, "message-id"),
					.before = UINT64_MAX,
					.look_at = LOOK_AT};
	if (!cli_moment(c, "after", now_us, &out->from_us) ||
	    !cli_moment(c, "before", now_us, &out->to_us) ||
	    !cli_number(c, "limit", 1, 10000, &most))
		return false;
	out->most = (uint32_t)most;
	if (out->sender.n || out->rcpt.n || out->subject.n || out->message_id.n || out->from_us ||
	    out->to_us)
		return true;
	(void)cli_usage(c, "say something of it: --from, --to, --subject, --message-id, --after");
	return false;
}

/* ---- that it was asked is recorded; not knowing it stops nobody who may read the disk ---- */

static void note(struct cli *c, const char *data)
{
	struct msg_audit_note m = {.verb = SPAN_LIT("trace")};
	struct fault why = {0};
	struct buf what = {0}, body = {0};
	struct span answer;
	static const char *const options[] = {"from", "to", "subject", "message-id"};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		if (cli_value(c, options[i]))
			buf_printf(&what, "%s%s=%s", what.n ? "," : "", options[i],
				   cli_value(c, options[i]));
	}
	m.object = buf_span(&what);
	m.reason = span_str(cli_value(c, "reason"));
	msg_audit_note_encode(&body, &m);
	if (control_ask(c, data, MSG_AUDIT_NOTE, buf_span(&body), MSG_CONTROL_ANSWER, 3000, &answer,
			&why) != OK)
		(void)cli_no(c, "nobody wrote down that you looked: %s", why.text);
	buf_fini(&what);
	buf_fini(&body);
}

/* ---- as people read it ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static uint64_t us_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

struct story {
	struct cli *c;
	uint64_t now_us;
	struct buf out, line;
};

static void put_line(struct story *s, unsigned indent)
{
	term_wrap(&s->c->term, &s->out, buf_span(&s->line), indent);
	buf_clear(&s->line);
}

static void put_head(struct story *s, const json_t *m)
{
	struct term_text time, size;

	buf_printf(&s->out, "%s%.8s%s  ", term_on(&s->c->term, INK_BOLD), text_of(m, "id"),
		   term_off(&s->c->term, INK_BOLD));
	buf_printf(&s->line, "%s %s, %s, from %s", text_of(m, "origin"),
		   term_time(&time, us_of(m, "received_us"), s->now_us),
		   term_size(&size, us_of(m, "size")),
		   *text_of(m, "sender") ? text_of(m, "sender") : "<>");
	if (*text_of(m, "peer"))
		buf_printf(&s->line, " by %s (%s)", text_of(m, "peer"), text_of(m, "helo"));
	term_put(&s->out, buf_span(&s->line), s->c->term.width > 40 ? s->c->term.width - 10 : 30);
	buf_append_byte(&s->out, '\n');
	buf_clear(&s->line);
	if (*text_of(m, "from_text")) {
		buf_printf(&s->line, "From: %s", text_of(m, "from_text"));
		put_line(s, 10);
	}
	buf_printf(&s->line, "Subject: %s", text_of(m, "subject_text"));
	put_line(s, 10);
	if (*text_of(m, "message_id")) {
		buf_printf(&s->line, "Message-ID: %s", text_of(m, "message_id"));
		put_line(s, 10);
	}
}

static void put_step(struct story *s, const json_t *step)
{
	struct term_text time;

	buf_printf(&s->line, "%s  %s", term_time(&time, us_of(step, "at_us"), s->now_us),
		   text_of(step, "what"));
	if (*text_of(step, "host"))
		buf_printf(&s->line, " by %s", text_of(step, "host"));
	if (*text_of(step, "queue_id"))
		buf_printf(&s->line, " as %s", text_of(step, "queue_id"));
	else if (*text_of(step, "text"))
		buf_printf(&s->line, ": %s", text_of(step, "text"));
	put_line(s, 4);
}

static void put_rcpt(struct story *s, const json_t *r)
{
	const char *state = text_of(r, "state");
	bool is_held = us_of(r, "held_since_us") != 0;
	enum term_ink ink = !strcmp(state, "decide") ? INK_RED : is_held ? INK_YELLOW : INK_GREEN;
	struct term_text age, wait;
	const json_t *step;
	size_t i;

	buf_append(&s->out, SPAN_LIT("  to "));
	term_put(&s->out, span_str(text_of(r, "recipient")), 80);
	buf_printf(&s->out, ": %s%s%s", term_on(&s->c->term, ink), state,
		   term_off(&s->c->term, ink));
	if (is_held)
		buf_printf(&s->out, ", held for %s",
			   term_span_of_time(&age, us_of(r, "age_s") * 1000000));
	if (us_of(r, "next_in_s"))
		buf_printf(&s->out, ", next try in %s",
			   term_span_of_time(&wait, us_of(r, "next_in_s") * 1000000));
	buf_append_byte(&s->out, '\n');
	json_array_foreach(json_object_get(r, "way"), i, step) put_step(s, step);
	if (*text_of(r, "reason") && is_held) {
		buf_printf(&s->line, "%s", text_of(r, "reason"));
		put_line(s, 4);
	}
}

static void put_places(struct story *s, const json_t *m)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(m, "mailboxes"), i, o)
	{
		buf_printf(&s->line, "%s %s's mailbox here: %s",
			   json_is_true(json_object_get(o, "there")) ? "in" : "was in",
			   text_of(o, "account"),
			   *text_of(o, "mailbox") ? text_of(o, "mailbox") : "one that is deleted");
		put_line(s, 2);
	}
	json_array_foreach(json_object_get(m, "home"), i, o)
	{
		struct term_text time;

		if (!strcmp(text_of(o, "state"), "nothing"))
			continue;
		buf_printf(&s->line, "changes of %s going home: %s", text_of(o, "account"),
			   text_of(o, "state"));
		if (us_of(o, "at_us"))
			buf_printf(&s->line, " %s", term_time(&time, us_of(o, "at_us"), s->now_us));
		if (*text_of(o, "reason"))
			buf_printf(&s->line, ", %s", text_of(o, "reason"));
		put_line(s, 2);
	}
}

static void put_messages(struct story *s, const json_t *list)
{
	const json_t *m, *r;
	size_t i, k;

	json_array_foreach(list, i, m)
	{
		if (i)
			buf_append_byte(&s->out, '\n');
		put_head(s, m);
		json_array_foreach(json_object_get(m, "recipients"), k, r) put_rcpt(s, r);
		put_places(s, m);
	}
}

/* ---- */

/* Looks on until it has enough or all was looked at. NULL: why. */
static json_t *search(struct queue_ask *q, struct views_trace_ask *ask, struct fault *why)
{
	json_t *all = NULL;
	uint32_t most = ask->most;

	for (;;) {
		json_t *part = report_trace(q->views, ask, q->now_us, why), *list;
		json_t *next = part ? json_object_get(part, "next") : NULL;

		if (!part) {
			json_decref(all);
			return NULL;
		}
		if (!all) {
			all = part;
		} else {
			(void)json_array_extend(json_object_get(all, "messages"),
						json_object_get(part, "messages"));
			(void)json_object_set(all, "next", next);
		}
		ask->before = us_of(all, "next");
		list = json_object_get(all, "messages");
		if (all != part)
			json_decref(part);
		if (!ask->before || json_array_size(list) >= most)
			return all;
		ask->most = most - (uint32_t)json_array_size(list);
	}
}

static int tell(struct queue_ask *q, json_t *root)
{
	struct story s = {.c = q->c, .now_us = q->now_us};
	const json_t *list = json_object_get(root, "messages");
	size_t n = json_array_size(list);

	if (q->c->is_json) {
		cli_print_json(root);
		return n ? CLI_FINE : CLI_NO;
	}
	put_messages(&s, list);
	(void)fwrite(s.out.p, 1, s.out.n, stdout);
	if (!n)
		(void)puts("No mail that fits was taken in here, or it has left the window: it "
			   "never came, "
			   "or was refused while it came.");
	else if (us_of(root, "next"))
		(void)puts("\nThere may be more; --limit shows more.");
	buf_fini(&s.out);
	buf_fini(&s.line);
	json_decref(root);
	return n ? CLI_FINE : CLI_NO;
}

int cmd_trace(struct cli *c)
{
	struct views_trace_ask ask;
	struct fault why = {0};
	struct queue_ask q;
	json_t *root;
	int result;

	if (!take_ask(c, os_wall_us(os_real()), &ask))
		return CLI_USAGE;
	if (!queue_begin(c, &q))
		return CLI_NO;
	note(c, q.data);
	root = search(&q, &ask, &why);
	result = root ? tell(&q, root) : queue_failed(c, &why);
	views_close(q.views);
	return result;
}
