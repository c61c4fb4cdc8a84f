/*
 * "Where is the mail from X to Y?" Noted by watch before it is looked for (O2), then looked for in slices, so that nobody else
 * waits for a long search.
 */
#include "role/console/internal.h"

#include "os/os.h"

enum { SLICE = 20000, MOST = 100 };

static void add(struct buf *out, const char *key, struct span value)
{
	if (value.n)
		buf_printf(out, "%s%s=%.*s", out->n ? "," : "", key, SPAN_FMT(value));
}

static json_t *found_of(struct work *w)
{
	if (!w->found)
		w->found = json_pack("{s:b, s:[], s:n}", "ok", 1, "messages", "next");
	return w->found;
}

/* True: on to the next slice. */
static bool take_slice(struct work *w, json_t *slice)
{
	json_t *all = json_object_get(found_of(w), "messages"),
	       *next = json_object_get(slice, "next");

	(void)json_array_extend(all, json_object_get(slice, "messages"));
	(void)json_object_set(w->found, "next", next);
	if (json_is_null(next) || json_array_size(all) >= w->most)
		return false;
	w->trace.before = (uint64_t)json_integer_value(next);
	w->trace.most = w->most - (uint32_t)json_array_size(all);
	return true;
}

static void look(struct http_exchange *x)
{
	struct console *c = console_of(x);
	struct work *w = work_of(x);
	struct fault why = {""};
	struct views *v = console_views(c, &why);
	json_t *slice = v ? report_trace(v, &w->trace, os_wall_us(c->os), &why) : NULL;
	bool more;

	if (!slice) {
		console_views_leave(c);
		answer_fault(x, LATER, &why);
		return;
	}
	more = take_slice(w, slice);
	json_decref(slice);
	if (more)
		exchange_turn(x);
	else
		answer_object(x, 200, json_incref(w->found));
}

static void on_noted(struct http_exchange *x, unsigned type, struct span body)
{
	struct msg_control_answer m;

	if (type == 0)
		answer_away(x, body);
	else if (type != MSG_CONTROL_ANSWER ||
		 !msg_control_answer_decode(exchange_arena(x), body, &m))
		answer_away(x, SPAN_LIT("An answer came that makes no sense."));
	else if (!m.ok)
		answer_away(x, m.text);
	else
		look(x);
}

static void note(struct http_exchange *x, const struct views_trace_ask *t)
{
	struct msg_audit_note m = {.verb = SPAN_LIT("trace"), .reason = param(x, "reason")};
	struct buf what = {0}, b = {0};

	add(&what, "from", t->sender);
	add(&what, "to", t->rcpt);
	add(&what, "subject", t->subject);
	add(&what, "message-id", t->message_id);
	m.object = buf_span(&what);
	msg_audit_note_encode(&b, &m);
	watch_ask(x, MSG_AUDIT_NOTE, buf_span(&b), on_noted);
	buf_fini(&what);
	buf_fini(&b);
}

static void get_trace(struct http_exchange *x, const struct http_ask *ask)
{
	struct work *w = work_of(x);
	struct views_trace_ask *t = &w->trace;

	(void)ask;
	*t = (struct views_trace_ask){
		.sender = param(x, "from"),
		.rcpt = param(x, "to"),
		.subject = param(x, "subject"),
		.message_id = param(x, "message_id"),
		.from_us = param_number(x, "after_us", INT64_MAX, 0),
		.to_us = param_number(x, "before_us", INT64_MAX, 0),
		.before = param_number(x, "before", INT64_MAX, UINT64_MAX),
		.look_at = SLICE,
		.most = (uint32_t)param_number(x, "limit", MOST, 20),
	};
	w->most = t->most ? t->most : 1;
	t->most = w->most;
	if (t->sender.n || t->rcpt.n || t->subject.n || t->message_id.n || t->from_us || t->to_us)
		note(x, t);
	else
		answer_bad(x,
			   "Say something of it: sender, recipient, subject, Message-ID or time.");
}

const struct http_route console_traces[] = {
	{.method = "GET",
	 .path = "/api/trace",
	 .access = HTTP_SESSION,
	 .on_request = get_trace,
	 .on_turn = look,
	 .on_over = work_over},
	{0},
};
