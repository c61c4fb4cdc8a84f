/*
 * What administrators order: hold, continuity, acts on the queue, people. Each names its reason where mail or people feel it. watch
 * and auth record it before it holds (O1); an act on the queue is answered when the clerk has judged it.
 */
#include "role/console/internal.h"

#include "loop/loop.h"
#include "os/os.h"

#define JUDGED_US (10 * CONSOLE_SECOND_US)
#define LOOK_US	  30000

static bool is_one_of(struct span word, const char *const *words)
{
	for (; *words; words++) {
		if (span_eq(word, span_str(*words)))
			return true;
	}
	return false;
}

static bool has_reason(struct http_exchange *x, const json_t *o)
{
	if (span_trim(body_text(o, "reason")).n)
		return true;
	exchange_problem(x, 400, "reason", "Say why: it is kept with the order.");
	return false;
}

/* Of what was refused also as problems are told (RFC 9457). */
static json_t *outcome(bool ok, struct span text, uint64_t count)
{
	json_t *o = json_pack("{s:b, s:o, s:I}", "ok", (int)ok, "text", report_text(text), "count",
			      (json_int_t)count);

	if (!ok) {
		(void)json_object_set_new(o, "type", json_string("refused"));
		(void)json_object_set_new(o, "title", report_text(text));
	}
	return o;
}

/* What watch answered; NULL: answered here. */
static bool control_answer(struct http_exchange *x, unsigned type, struct span body,
			   struct msg_control_answer *out)
{
	if (type == 0) {
		answer_away(x, body);
		return false;
	}
	if (type == MSG_CONTROL_ANSWER && msg_control_answer_decode(exchange_arena(x), body, out))
		return true;
	answer_away(x, SPAN_LIT("An answer came that makes no sense."));
	return false;
}

/* ---- hold, continuity ---- */

static void on_switched(struct http_exchange *x, unsigned type, struct span body)
{
	struct msg_control_answer m;

	if (control_answer(x, type, body, &m))
		answer_object(x, m.ok ? 200 : 409, outcome(m.ok, m.text, 0));
}

static void encode_switch(struct buf *out, unsigned type, const json_t *o)
{
	struct msg_hold_set hold = {body_text(o, "target"), body_text(o, "mode"),
				    body_number(o, "for_ms"), body_text(o, "reason")};
	struct msg_continuity_set continuity = {hold.target, hold.mode, hold.for_ms, hold.reason};

	if (type == MSG_HOLD_SET)
		msg_hold_set_encode(out, &hold);
	else
		msg_continuity_set_encode(out, &continuity);
}

static void switch_it(struct http_exchange *x, unsigned type)
{
	static const char *const modes[] = {"on", "off", "auto", NULL};
	json_t *o = body_of(x);
	struct buf b = {0};

	if (!o)
		return;
	if (!body_text(o, "target").n || !is_one_of(body_text(o, "mode"), modes)) {
		answer_bad(x, "Say the target, a site or a domain, and the mode: on, off or auto.");
	} else if (span_eq(body_text(o, "mode"), SPAN_LIT("auto")) || has_reason(x, o)) {
		encode_switch(&b, type, o);
		watch_ask(x, type, buf_span(&b), on_switched);
	}
	buf_fini(&b);
	json_decref(o);
}

static void post_hold(struct http_exchange *x, const struct http_ask *ask)
{
	(void)ask;
	switch_it(x, MSG_HOLD_SET);
}

static void post_continuity(struct http_exchange *x, const struct http_ask *ask)
{
	(void)ask;
	switch_it(x, MSG_CONTINUITY_SET);
}

/* ---- the queue ---- */

static bool on_judged(void *arg, const struct views_act *a)
{
	answer_object(arg, a->ok ? 200 : 409, outcome(a->ok, a->result, a->count));
	return true;
}

static void look_for_verdict(void *arg)
{
	struct work *w = arg;
	struct http_exchange *x = w->x;
	struct fault why = {""};
	struct views *v = console_views(w->console, &why);
	enum rc rc = v ? views_act_result(v, w->act, on_judged, x, &why) : MORE;

	if (rc == OK)
		return;
	if (rc != MORE)
		console_views_leave(w->console);
	if (loop_now_us(w->console->loop) < w->until_us)
		loop_timer_set(w->timer, LOOK_US);
	else
		answer_object(x, 202,
			      outcome(true,
				      SPAN_LIT("Recorded; the clerk has not applied it yet. The "
					       "history will show it."),
				      0));
}

static void on_ordered(struct http_exchange *x, unsigned type, struct span body)
{
	struct msg_control_answer m;
	struct work *w = work_of(x);

	if (!control_answer(x, type, body, &m))
		return;
	if (!m.ok) {
		answer_object(x, 409, outcome(false, m.text, 0));
		return;
	}
	w->act = arena_span(exchange_arena(x), m.act_id);
	w->until_us = loop_now_us(w->console->loop) + JUDGED_US;
	w->timer = loop_timer_new(w->console->loop, look_for_verdict, w);
	loop_timer_set(w->timer, LOOK_US);
}

static void order_queue(struct http_exchange *x, const json_t *o)
{
	struct msg_queue_act m = {body_text(o, "verb"), body_text(o, "match"),
				  body_text(o, "argument"), body_text(o, "reason")};
	struct buf b = {0};

	msg_queue_act_encode(&b, &m);
	watch_ask(x, MSG_QUEUE_ACT, buf_span(&b), on_ordered);
	buf_fini(&b);
}

static void post_queue(struct http_exchange *x, const struct http_ask *ask)
{
	static const char *const verbs[] = {"retry", "release", "discard", "redirect", NULL};
	static const char *const hard[] = {"discard", "redirect", NULL};
	json_t *o = body_of(x);

	(void)ask;
	if (!o)
		return;
	if (!is_one_of(body_text(o, "verb"), verbs) || !body_text(o, "match").n)
		answer_bad(x, "Say the verb (retry, release, discard, redirect) and what matches.");
	else if (!is_one_of(body_text(o, "verb"), hard) || has_reason(x, o))
		order_queue(x, o);
	json_decref(o);
}

/* ---- people ---- */

static void on_people(struct http_exchange *x, const struct http_order_result *r)
{
	json_t *more = json_loadb((const char *)r->json.p, r->json.n, 0, NULL), *o;

	if (r->is_later) {
		answer_away(x, r->text);
		json_decref(more);
		return;
	}
	o = outcome(r->ok, r->text, 0);
	if (json_is_object(more))
		(void)json_object_update_missing(o, more);
	json_decref(more);
	answer_object(x, r->ok ? 200 : 409, o);
}

static unsigned encode_people(struct buf *out, const json_t *o)
{
	struct span verb = body_text(o, "verb"), account = body_text(o, "account");
	struct msg_user_invite invite = {account, body_number(o, "for_ms")};
	struct msg_user_set set = {account, verb, body_text(o, "argument")};
	struct msg_second_factor factor = {account, SPAN_LIT("remove"), SPAN_NONE};

	if (span_eq(verb, SPAN_LIT("invite"))) {
		msg_user_invite_encode(out, &invite);
		return MSG_USER_INVITE;
	}
	if (span_eq(verb, SPAN_LIT("factor-remove"))) {
		msg_second_factor_encode(out, &factor);
		return MSG_SECOND_FACTOR;
	}
	msg_user_set_encode(out, &set);
	return MSG_USER_SET;
}

/* watch has the reason on disk: now auth does it, and records that. */
static void on_noted(struct http_exchange *x, unsigned type, struct span body)
{
	struct work *w = work_of(x);
	struct msg_control_answer m;
	struct buf b = {0};

	if (!control_answer(x, type, body, &m))
		return;
	if (!m.ok) {
		answer_object(x, 409, outcome(false, m.text, 0));
		return;
	}
	type = encode_people(&b, w->found);
	http_order_admin(x, type, buf_span(&b), on_people);
	buf_fini(&b);
}

static void note_people(struct http_exchange *x, const json_t *o)
{
	char verb[64];
	struct msg_audit_note m = {.object = body_text(o, "account"),
				   .argument = body_text(o, "argument"),
				   .reason = body_text(o, "reason")};
	struct buf b = {0};

	(void)snprintf(verb, sizeof verb, "people.%.*s",
		       SPAN_FMT(span_first(body_text(o, "verb"), 20)));
	m.verb = span_str(verb);
	msg_audit_note_encode(&b, &m);
	watch_ask(x, MSG_AUDIT_NOTE, buf_span(&b), on_noted);
	buf_fini(&b);
}

static void post_people(struct http_exchange *x, const struct http_ask *ask)
{
	static const char *const verbs[] = {"invite", "enable", "disable", "factor-remove", NULL};
	json_t *o = body_of(x);
	struct span verb = o ? body_text(o, "verb") : SPAN_NONE;

	(void)ask;
	if (!o)
		return;
	if (!is_one_of(verb, verbs) || !body_text(o, "account").n) {
		answer_bad(
			x,
			"Say the verb (invite, enable, disable, factor-remove) and the account.");
	} else if (span_eq(verb, SPAN_LIT("invite")) || has_reason(x, o)) {
		work_of(x)->found = json_incref(o);
		note_people(x, o);
	}
	json_decref(o);
}

#define ORDER(where, what)                                                                         \
	{                                                                                          \
		.method = "POST", .path = where, .access = HTTP_SESSION,                           \
		.flags = HTTP_ROUTE_WHOLE, .body_bytes = CONSOLE_BODY_BYTES, .on_request = what,   \
		.on_over = work_over                                                               \
	}

const struct http_route console_orders[] = {
	ORDER("/api/hold", post_hold),
	ORDER("/api/continuity", post_continuity),
	ORDER("/api/queue", post_queue),
	ORDER("/api/people", post_people),
	{0},
};
