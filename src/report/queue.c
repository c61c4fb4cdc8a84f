/* The queue: rows, one message, what may be there twice. */
#include "report/report.h"

#include "base/arena.h"

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *report_row(const struct views_row *r, uint64_t now_us)
{
	json_t *o = json_object();

	set(o, "id", report_text(r->id));
	set(o, "number", number(r->number));
	set(o, "recipient_index", number(r->rcpt_index));
	report_set_time(o, "received", r->received_us);
	set(o, "age_s", number(now_us > r->received_us ? (now_us - r->received_us) / 1000000 : 0));
	set(o, "size", number(r->body_bytes));
	set(o, "sender", report_text(r->sender));
	set(o, "recipient", report_text(r->rcpt));
	set(o, "site", report_text(r->site));
	set(o, "subject", report_text(r->subject));
	set(o, "subject_text", report_header(r->subject));
	set(o, "state", json_string(queue_state_name(r->state)));
	report_set_time(o, "next", r->next_us);
	set(o, "next_in_s",
	    r->next_us > now_us ? number((r->next_us - now_us) / 1000000) : number(0));
	set(o, "tries", number(r->tries));
	set(o, "unsure", number(r->unsure));
	set(o, "reason", report_text(r->reason));
	set(o, "redirect", report_text(r->redirect));
	return o;
}

/* ---- list ---- */

struct listing {
	json_t *rows;
	uint64_t now_us, number;
	uint32_t rcpt_index;
};

static bool on_row(void *arg, const struct views_row *r)
{
	struct listing *l = arg;

	l->number = r->number;
	l->rcpt_index = r->rcpt_index;
	(void)json_array_append_new(l->rows, report_row(r, l->now_us));
	return true;
}

/* Pages of the views, until the limit or the end. */
static enum rc list(struct listing *l, struct views *v, const struct report_queue_ask *ask,
		    bool *out_is_end, struct fault *why)
{
	enum rc rc = OK;
	uint32_t page = 1;

	while (rc == OK && page > 0 && json_array_size(l->rows) < ask->limit) {
		uint64_t left = ask->limit - json_array_size(l->rows);

		rc = views_queue_list(v, ask->match, ask->now_us, l->number, l->rcpt_index,
				      left < 1000 ? (uint32_t)left : 1000, on_row, l, &page, why);
	}
	*out_is_end = page == 0;
	return rc;
}

json_t *report_queue(struct views *v, const struct report_queue_ask *ask, struct fault *why)
{
	struct listing l = {.rows = json_array(),
			    .now_us = ask->now_us,
			    .number = ask->after_number,
			    .rcpt_index = ask->after_rcpt};
	uint64_t n = 0, bytes = 0;
	bool is_end = true;
	json_t *next;
	enum rc rc = views_queue_count(v, ask->match, ask->now_us, &n, &bytes, why);

	if (rc == OK)
		rc = list(&l, v, ask, &is_end, why);
	if (rc != OK) {
		json_decref(l.rows);
		return NULL;
	}
	next = is_end ? json_null()
		      : json_pack("{s:I, s:I}", "number", (json_int_t)l.number, "recipient",
				  (json_int_t)l.rcpt_index);
	return json_pack("{s:b, s:I, s:I, s:o, s:o}", "ok", 1, "total", (json_int_t)n,
			 "total_bytes", (json_int_t)bytes, "messages", l.rows, "next", next);
}

/* ---- one message ---- */

struct showing {
	json_t *root, *rcpts, *attempts;
	uint64_t now_us;
};

static void on_message(void *arg, const struct views_message *m)
{
	json_t *o = ((struct showing *)arg)->root;
	const struct {
		const char *key;
		struct span value;
	} texts[] = {
		{"id", m->id},		 {"sender", m->sender}, {"envid", m->envid},
		{"subject", m->subject}, {"from", m->from},	{"message_id", m->message_id},
		{"peer", m->peer},	 {"helo", m->helo},	{"protocol", m->protocol},
		{"tls", m->tls},	 {"spf", m->spf},	{"list_verdicts", m->list_verdicts},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		set(o, texts[i].key, report_text(texts[i].value));
	set(o, "subject_text", report_header(m->subject));
	set(o, "from_text", report_header(m->from));
	set(o, "number", number(m->number));
	report_set_time(o, "received", m->received_us);
	set(o, "size", number(m->body_bytes));
	set(o, "sender_verified", json_boolean(m->sender_verified));
	set(o, "smtputf8", json_boolean(m->smtputf8));
	set(o, "is_dsn", json_boolean(m->is_dsn));
}

static void on_rcpt(void *arg, const struct views_row *r)
{
	struct showing *s = arg;

	(void)json_array_append_new(s->rcpts, report_row(r, s->now_us));
}

static json_t *attempt_json(const struct views_attempt *a)
{
	json_t *o = json_object();
	const struct {
		const char *key;
		struct span value;
	} texts[] = {
		{"what", a->what},	 {"then", a->then},   {"enhanced", a->enhanced},
		{"text", a->text},	 {"host", a->host},   {"queue_id", a->queue_id},
		{"courier", a->courier}, {"stage", a->stage},
	};

	set(o, "recipient", number(a->rcpt_index));
	report_set_time(o, "at", a->at_us);
	set(o, "code", number(a->code));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		set(o, texts[i].key, report_text(texts[i].value));
	return o;
}

static void on_attempt(void *arg, const struct views_attempt *a)
{
	struct showing *s = arg;

	(void)json_array_append_new(s->attempts, attempt_json(a));
}

json_t *report_message(struct views *v, struct span id, uint64_t now_us, struct fault *why)
{
	struct showing s = {json_object(), json_array(), json_array(), now_us};
	struct views_show show = {on_message, on_rcpt, on_attempt, &s};
	enum rc rc = views_queue_show(v, id, &show, why);

	set(s.root, "ok", json_true());
	set(s.root, "recipients", s.rcpts);
	set(s.root, "attempts", s.attempts);
	if (rc == OK)
		return s.root;
	json_decref(s.root);
	return NULL;
}

/* ---- what may be there twice ---- */

struct id_of {
	json_t *row;
};

static void note_message_id(void *arg, const struct views_message *m)
{
	struct id_of *id = arg;

	set(id->row, "message_id", report_text(m->message_id));
}

static void ignore_row(void *arg, const struct views_row *row)
{
	(void)arg;
	(void)row;
}

static void ignore_attempt(void *arg, const struct views_attempt *a)
{
	(void)arg;
	(void)a;
}

static void add_message_ids(struct views *v, json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		struct id_of id = {row};
		struct views_show show = {note_message_id, ignore_row, ignore_attempt, &id};
		struct fault why;

		(void)!views_queue_show(v, span_str(json_string_value(json_object_get(row, "id"))),
					&show, &why);
	}
}

enum { SITES_MAX = 64 };
struct site_names {
	struct arena arena;
	struct span names[SITES_MAX];
	size_t n;
};

static bool on_site(void *arg, const struct views_site *s)
{
	struct site_names *all = arg;

	if (all->n < SITES_MAX)
		all->names[all->n++] = arena_span(&all->arena, s->name);
	return true;
}

json_t *report_unsure(struct views *v, uint64_t now_us, struct fault *why)
{
	struct listing l = {.rows = json_array(), .now_us = now_us};
	struct site_names sites = {.n = 0};
	enum rc rc;

	arena_init(&sites.arena, 0);
	rc = views_each_site(v, on_site, &sites, why);
	for (size_t i = 0; i < sites.n && rc == OK; i++)
		rc = views_each_unsure(v, sites.names[i], on_row, &l, why);
	arena_fini(&sites.arena);
	if (rc != OK) {
		json_decref(l.rows);
		return NULL;
	}
	add_message_ids(v, l.rows);
	return json_pack("{s:b, s:I, s:i, s:o}", "ok", 1, "total",
			 (json_int_t)json_array_size(l.rows), "total_bytes", 0, "messages", l.rows);
}
