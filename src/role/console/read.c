/* What is asked and changes nothing: status, timeline, queue, history, people. */
#include "role/console/internal.h"

#include "os/os.h"

enum { ARENA_BYTES = 64 << 20, PAGE_MOST = 1000 };

/* JSON of another role, as it is. */
static void answer_raw(struct http_exchange *x, struct span json)
{
	if (json.n)
		exchange_json(x, 200, json);
	else
		answer_away(x, SPAN_LIT("An answer came that makes no sense."));
}

/* ---- status: watch, then auth, then the views ---- */

static void finish_status(struct http_exchange *x, const json_t *people, const char *people_why)
{
	struct console *c = console_of(x);
	struct work *w = work_of(x);
	struct fault why = {""};
	struct arena arena;
	struct report_sources from = {.os = c->os,
				      .arena = &arena,
				      .now_us = os_wall_us(c->os),
				      .data = role_data(c->role),
				      .config = c->config,
				      .live = w->live,
				      .live_why = w->live_why ? w->live_why : "watch gave no sense",
				      .people = people,
				      .people_why = people_why};
	struct report_status status;

	arena_init(&arena, ARENA_BYTES);
	from.views = console_views(c, &why);
	from.views_why = why.text;
	report_status_gather(&from, &status);
	if (!status.has_views)
		console_views_leave(c);
	answer_object(x, 200, report_status_json(&status));
	arena_fini(&arena);
}

static void on_enrolment(struct http_exchange *x, const struct http_order_result *r)
{
	json_t *people = json_loadb((const char *)r->json.p, r->json.n, 0, NULL);

	finish_status(x, people,
		      r->ok ? "auth gave an answer that makes no sense" : "auth is away");
	json_decref(people);
}

static void on_live(struct http_exchange *x, unsigned type, struct span body)
{
	struct msg_enrolment_ask ask = {0};
	struct msg_status_answer m;
	struct buf b = {0};

	if (type == 0)
		work_of(x)->live_why = arena_str(exchange_arena(x), body);
	if (type == MSG_STATUS_ANSWER && msg_status_answer_decode(exchange_arena(x), body, &m))
		work_of(x)->live = json_loadb((const char *)m.json.p, m.json.n, 0, NULL);
	msg_enrolment_ask_encode(&b, &ask);
	http_order_admin(x, MSG_ENROLMENT_ASK, buf_span(&b), on_enrolment);
	buf_fini(&b);
}

static void get_status(struct http_exchange *x, const struct http_ask *ask)
{
	struct msg_status_ask m = {0};
	struct buf b = {0};

	(void)ask;
	msg_status_ask_encode(&b, &m);
	watch_ask(x, MSG_STATUS_ASK, buf_span(&b), on_live);
	buf_fini(&b);
}

/* ---- timeline ---- */

static void on_timeline(struct http_exchange *x, unsigned type, struct span body)
{
	struct msg_timeline_answer m;

	if (type == 0)
		answer_away(x, body);
	else if (type == MSG_TIMELINE_ANSWER &&
		 msg_timeline_answer_decode(exchange_arena(x), body, &m))
		answer_raw(x, m.json);
	else
		answer_raw(x, SPAN_NONE);
}

static void get_timeline(struct http_exchange *x, const struct http_ask *ask)
{
	struct msg_timeline_ask m = {.site = param(x, "site"),
				     .from_us = param_number(x, "after_us", INT64_MAX, 0)};
	struct buf b = {0};

	(void)ask;
	msg_timeline_ask_encode(&b, &m);
	watch_ask(x, MSG_TIMELINE_ASK, buf_span(&b), on_timeline);
	buf_fini(&b);
}

/* ---- the views ---- */

/* Answers with what was made, or why not. */
static void answer_made(struct http_exchange *x, json_t *made, const struct fault *why)
{
	if (made) {
		answer_object(x, 200, made);
		return;
	}
	console_views_leave(console_of(x));
	answer_fault(x, LATER, why);
}

static void get_history(struct http_exchange *x, const struct http_ask *ask)
{
	struct fault why = {""};
	struct views *v = console_views(console_of(x), &why);

	(void)ask;
	answer_made(x,
		    v ? report_history(v, (uint32_t)param_number(x, "last", PAGE_MOST, 20), &why)
		      : NULL,
		    &why);
}

static void get_audit(struct http_exchange *x, const struct http_ask *ask)
{
	struct fault why = {""};
	struct views *v = console_views(console_of(x), &why);
	struct views_audit_ask m = {
		.text = param(x, "text"),
		.is_people = param_number(x, "orders", 1, 0) == 1,
		.before = param_number(x, "before", INT64_MAX, UINT64_MAX),
		.from_us = param_number(x, "after_us", INT64_MAX, 0),
		.to_us = param_number(x, "before_us", INT64_MAX, 0),
		.most = (uint32_t)param_number(x, "limit", PAGE_MOST, 100),
	};

	(void)ask;
	answer_made(x, v ? report_audit(v, &m, &why) : NULL, &why);
}

static void get_queue(struct http_exchange *x, const struct http_ask *ask)
{
	struct console *c = console_of(x);
	struct span text = param(x, "match");
	struct queue_match match = {0};
	struct fault why = {""};
	struct views *v;
	struct report_queue_ask m = {
		.match = text.n ? &match : NULL,
		.now_us = os_wall_us(c->os),
		.after_number = param_number(x, "after", INT64_MAX, UINT64_MAX),
		.after_rcpt = (uint32_t)param_number(x, "after_recipient", UINT32_MAX, 0),
		.limit = param_number(x, "limit", PAGE_MOST, 50),
	};

	(void)ask;
	if (text.n && queue_match_parse(text, &match, &why) != OK) {
		answer_bad(x, why.text);
		return;
	}
	v = console_views(c, &why);
	if (v && param_number(x, "unsure", 1, 0) == 1)
		answer_made(x, report_unsure(v, m.now_us, &why), &why);
	else
		answer_made(x, v ? report_queue(v, &m, &why) : NULL, &why);
}

static void get_message(struct http_exchange *x, const struct http_ask *ask)
{
	struct console *c = console_of(x);
	struct fault why = {""};
	struct views *v = console_views(c, &why);
	json_t *made = v ? report_message(v, ask->rest, os_wall_us(c->os), &why) : NULL;

	if (made || !v)
		answer_made(x, made, &why);
	else
		answer_fault(x, REFUSED, &why);
}

static void get_home(struct http_exchange *x, const struct http_ask *ask)
{
	struct console *c = console_of(x);
	struct fault why = {""};
	struct views *v = console_views(c, &why);

	(void)ask;
	answer_made(x, v ? report_home(v, os_wall_us(c->os), &why) : NULL, &why);
}

/* ---- people ---- */

static void on_people(struct http_exchange *x, const struct http_order_result *r)
{
	if (r->ok)
		answer_raw(x, r->json);
	else
		answer_away(x, r->text);
}

static void get_people(struct http_exchange *x, const struct http_ask *ask)
{
	struct msg_user_list m = {.match = param(x, "match"), .after = param(x, "after")};
	struct buf b = {0};

	(void)ask;
	msg_user_list_encode(&b, &m);
	http_order_admin(x, MSG_USER_LIST, buf_span(&b), on_people);
	buf_fini(&b);
}

#define READ(where, what)                                                                          \
	{                                                                                          \
		.method = "GET", .path = where, .access = HTTP_SESSION, .on_request = what,        \
		.on_over = work_over                                                               \
	}

const struct http_route console_reads[] = {
	READ("/api/status", get_status),
	READ("/api/timeline", get_timeline),
	READ("/api/history", get_history),
	READ("/api/audit", get_audit),
	READ("/api/queue", get_queue),
	READ("/api/queue/", get_message),
	READ("/api/home", get_home),
	READ("/api/people", get_people),
	{0},
};
