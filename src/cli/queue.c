/* queue list, queue show: what is held, from the views, read-only. The acts are in queue_act.c. */
#include "cli/queue.h"

#include "os/os.h"

bool queue_begin(struct cli *c, struct queue_ask *q)
{
	struct msg_config config = {0};
	struct fault why = {0};
	bool is_complete;

	*q = (struct queue_ask){.c = c, .now_us = os_wall_us(os_real())};
	if (!cli_find_data(c, &q->data, &config, &is_complete))
		return false;
	if (views_open_read(q->data, &q->views, &why) == OK)
		return true;
	queue_failed(c, &why);
	return false;
}

int queue_failed(struct cli *c, const struct fault *why)
{
	const char *text = why->text[0] ? why->text : "the views cannot be read";

	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:o}", "ok", false, "text",
					 cli_json_span(span_str(text))));
	return cli_no(c, "%s", text);
}

bool queue_parse_match(struct cli *c, const char *text, struct queue_match *out)
{
	struct fault why = {0};

	*out = (struct queue_match){0};
	if (!text || queue_match_parse(span_str(text), out, &why) == OK)
		return true;
	(void)cli_usage(c, "--match: %s", why.text);
	return false;
}

/* ---- one row ---- */

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *row_json(const struct queue_ask *q, const struct views_row *r)
{
	json_t *o = json_object();

	set(o, "id", cli_json_span(r->id));
	set(o, "number", number(r->number));
	set(o, "received", cli_json_time(r->received_us));
	set(o, "age_s",
	    number(q->now_us > r->received_us ? (q->now_us - r->received_us) / 1000000 : 0));
	set(o, "size", number(r->body_bytes));
	set(o, "sender", cli_json_span(r->sender));
	set(o, "recipient", cli_json_span(r->rcpt));
	set(o, "site", cli_json_span(r->site));
	set(o, "subject", cli_json_span(r->subject));
	set(o, "state", json_string(queue_state_name(r->state)));
	set(o, "next", cli_json_time(r->next_us));
	set(o, "next_in_s",
	    r->next_us > q->now_us ? number((r->next_us - q->now_us) / 1000000) : number(0));
	set(o, "tries", number(r->tries));
	set(o, "unsure", number(r->unsure));
	set(o, "reason", cli_json_span(r->reason));
	set(o, "redirect", cli_json_span(r->redirect));
	return o;
}

static enum term_ink ink_of(enum queue_state state)
{
	return state == QUEUE_DECIDE ? INK_RED : state == QUEUE_DEFERRED ? INK_YELLOW : INK_PLAIN;
}

enum { W_ID = 8, W_AGE = 8, W_SIZE = 9, W_STATE = 9 };

static void put_row(const struct queue_ask *q, const struct views_row *r, struct buf *out)
{
	const struct term *t = &q->c->term;
	size_t rest = t->width > 60 ? t->width - (W_ID + W_AGE + W_SIZE + W_STATE + 4 + 2) : 30;
	enum term_ink ink = ink_of(r->state);
	struct term_text text;
	struct buf line = {0};

	term_cell(out, span_first(r->id, W_ID), W_ID, false);
	term_cell(out,
		  span_str(term_span_of_time(
			  &text, q->now_us > r->received_us ? q->now_us - r->received_us : 0)),
		  W_AGE + 1, true);
	term_cell(out, span_str(term_size(&text, r->body_bytes)), W_SIZE + 1, true);
	buf_printf(out, "  %s", term_on(t, ink));
	term_cell(out, span_str(queue_state_name(r->state)), W_STATE, false);
	buf_printf(out, "%s ", term_off(t, ink));
	term_put(out, r->rcpt, rest);
	buf_append_byte(out, '\n');
	if (r->reason.n || r->redirect.n) {
		if (r->redirect.n)
			buf_printf(&line, "to %.*s instead; ", SPAN_FMT(r->redirect));
		buf_append(&line, r->reason);
		buf_printf(out, "%s         ", term_on(t, INK_DIM));
		term_put(out, buf_span(&line), t->width > 40 ? t->width - 9 : 31);
		buf_printf(out, "%s\n", term_off(t, INK_DIM));
	}
	buf_fini(&line);
}

/* ---- list ---- */

struct listing {
	struct queue_ask *q;
	json_t *rows; /* with --json */
	struct buf out;
	uint64_t shown;
	uint64_t number; /* of the last row, for the next page */
	uint32_t rcpt_index;
};

static void put_header(struct listing *l)
{
	const struct term *t = &l->q->c->term;
	struct buf *out = &l->out;

	buf_printf(out, "%s", term_on(t, INK_DIM));
	term_cell(out, SPAN_LIT("ID"), W_ID, false);
	term_cell(out, SPAN_LIT("AGE"), W_AGE + 1, true);
	term_cell(out, SPAN_LIT("SIZE"), W_SIZE + 1, true);
	buf_printf(out, "  ");
	term_cell(out, SPAN_LIT("STATE"), W_STATE, false);
	buf_printf(out, " RECIPIENT%s\n", term_off(t, INK_DIM));
}

static bool on_row(void *arg, const struct views_row *r)
{
	struct listing *l = arg;

	if (l->shown++ == 0 && !l->rows)
		put_header(l);
	l->number = r->number;
	l->rcpt_index = r->rcpt_index;
	if (l->rows)
		(void)json_array_append_new(l->rows, row_json(l->q, r));
	else
		put_row(l->q, r, &l->out);
	return true;
}

/* Pages of the views, until the limit or the end. */
static enum rc list_matching(struct listing *l, const struct queue_match *match, uint64_t limit,
			     struct fault *why)
{
	uint32_t page;
	enum rc rc;

	l->number = UINT64_MAX;
	do {
		uint32_t want = limit - l->shown < 1000 ? (uint32_t)(limit - l->shown) : 1000;

		rc = views_queue_list(l->q->views, match, l->q->now_us, l->number, l->rcpt_index,
				      want, on_row, l, &page, why);
		if (!l->rows) {
			(void)fwrite(l->out.p, 1, l->out.n, stdout);
			buf_clear(&l->out);
		}
	} while (rc == OK && page > 0 && l->shown < limit);
	return rc;
}

struct message_id {
	char text[1000];
};

static void note_message_id(void *arg, const struct views_message *m)
{
	struct message_id *id = arg;

	(void)snprintf(id->text, sizeof id->text, "%.*s", SPAN_FMT(span_first(m->message_id, 900)));
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

/* The deliveries a receipt names: also finished ones, with the Message-ID, by which people find them. */
static void add_message_ids(struct listing *l)
{
	json_t *row;
	size_t i;

	json_array_foreach(l->rows, i, row)
	{
		struct message_id id = {""};
		struct views_show show = {note_message_id, ignore_row, ignore_attempt, &id};
		struct fault why;

		if (views_queue_show(l->q->views,
				     span_str(json_string_value(json_object_get(row, "id"))), &show,
				     &why) == OK)
			set(row, "message_id", cli_json_span(span_str(id.text)));
	}
}

struct site_names {
	struct listing *l;
	struct span names[64];
	size_t n;
};

static bool on_site(void *arg, const struct views_site *s)
{
	struct site_names *all = arg;

	if (all->n < sizeof all->names / sizeof *all->names)
		all->names[all->n++] = arena_span(&all->l->q->c->arena, s->name);
	return true;
}

static enum rc list_unsure(struct listing *l, struct fault *why)
{
	struct site_names sites = {.l = l};
	enum rc rc = views_each_site(l->q->views, on_site, &sites, why);

	for (size_t i = 0; i < sites.n && rc == OK; i++)
		rc = views_each_unsure(l->q->views, sites.names[i], on_row, l, why);
	if (rc == OK && l->rows)
		add_message_ids(l);
	(void)fwrite(l->out.p, 1, l->out.n, stdout);
	return rc;
}

static void say_end(const struct listing *l, uint64_t n, uint64_t bytes)
{
	struct term_text a, b, size;

	if (n == 0)
		(void)puts("Nothing is held that matches.");
	else if (l->shown < n)
		(void)printf("%s of %s deliveries shown (%s in all); --limit shows more, --match "
			     "fewer.\n",
			     term_count(&a, l->shown), term_count(&b, n), term_size(&size, bytes));
	else
		(void)printf("%s deliver%s, %s.\n", term_count(&a, n), n == 1 ? "y" : "ies",
			     term_size(&size, bytes));
}

static int finish_list(struct listing *l, enum rc rc, uint64_t n, uint64_t bytes, struct fault *why)
{
	if (rc != OK) {
		json_decref(l->rows);
		return queue_failed(l->q->c, why);
	}
	if (l->rows)
		cli_print_json(json_pack("{s:b, s:I, s:I, s:o}", "ok", true, "total", (json_int_t)n,
					 "total_bytes", (json_int_t)bytes, "messages", l->rows));
	else
		say_end(l, n, bytes);
	return CLI_FINE;
}

int cmd_queue_list(struct cli *c)
{
	struct queue_match match;
	struct queue_ask q;
	struct fault why = {0};
	uint64_t limit = c->is_json ? 1000 : 50, n = 0, bytes = 0;
	const char *text = cli_value(c, "match");
	enum rc rc;

	if (!queue_parse_match(c, text, &match) || !cli_number(c, "limit", 1, 100000000, &limit))
		return CLI_USAGE;
	if (text && cli_flag(c, "unsure"))
		return cli_usage(c, "--unsure and --match do not go together");
	if (!queue_begin(c, &q))
		return CLI_NO;
	struct listing l = {.q = &q, .rows = c->is_json ? json_array() : NULL};

	if (cli_flag(c, "unsure")) {
		rc = list_unsure(&l, &why);
		n = l.shown;
	} else {
		rc = views_queue_count(q.views, text ? &match : NULL, q.now_us, &n, &bytes, &why);
		if (rc == OK)
			rc = list_matching(&l, text ? &match : NULL, limit, &why);
	}
	int result = finish_list(&l, rc, n, bytes, &why);

	buf_fini(&l.out);
	views_close(q.views);
	return result;
}

/* ---- show ---- */

struct showing {
	struct queue_ask *q;
	json_t *root, *rcpts, *attempts;
	struct buf message, rcpt_lines, attempt_lines;
};

static void put_field(struct showing *s, const char *name, struct span value)
{
	if (!value.n)
		return;
	buf_printf(&s->message, "%-12s", name);
	term_put(&s->message, value, s->q->c->term.width > 40 ? s->q->c->term.width - 12 : 28);
	buf_append_byte(&s->message, '\n');
}

static void message_json(json_t *o, const struct views_message *m)
{
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
		set(o, texts[i].key, cli_json_span(texts[i].value));
	set(o, "number", number(m->number));
	set(o, "received", cli_json_time(m->received_us));
	set(o, "size", number(m->body_bytes));
	set(o, "sender_verified", json_boolean(m->sender_verified));
	set(o, "smtputf8", json_boolean(m->smtputf8));
	set(o, "is_dsn", json_boolean(m->is_dsn));
}

static void on_message(void *arg, const struct views_message *m)
{
	struct showing *s = arg;
	struct term_text size, time, age;
	char line[160];

	message_json(s->root, m);
	(void)snprintf(
		line, sizeof line, "%s, %s ago, %s", term_time(&time, m->received_us, s->q->now_us),
		term_span_of_time(
			&age, s->q->now_us > m->received_us ? s->q->now_us - m->received_us : 0),
		term_size(&size, m->body_bytes));
	put_field(s, "Message", m->id);
	put_field(s, "Received", span_str(line));
	put_field(s, "Sender", m->sender.n ? m->sender : SPAN_LIT("<> (none: a notification)"));
	put_field(s, "From", m->from);
	put_field(s, "Subject", m->subject);
	put_field(s, "Message-ID", m->message_id);
	(void)snprintf(line, sizeof line, "%.*s (%.*s) by %.*s %.*s",
		       SPAN_FMT(span_first(m->peer, 45)), SPAN_FMT(span_first(m->helo, 40)),
		       SPAN_FMT(span_first(m->protocol, 16)), SPAN_FMT(span_first(m->tls, 40)));
	put_field(s, "Client", span_str(line));
	(void)snprintf(line, sizeof line, "%.*s%s", SPAN_FMT(span_first(m->spf, 20)),
		       m->sender_verified ? ", sender verified" : "");
	put_field(s, "SPF", m->spf.n ? span_str(line) : SPAN_NONE);
	put_field(s, "Lists", m->list_verdicts);
}

static void on_rcpt(void *arg, const struct views_row *r)
{
	struct showing *s = arg;
	struct term_text wait;
	struct buf line = {0};

	(void)json_array_append_new(s->rcpts, row_json(s->q, r));
	buf_printf(&s->rcpt_lines, "%s", term_on(&s->q->c->term, ink_of(r->state)));
	term_cell(&s->rcpt_lines, span_str(queue_state_name(r->state)), 10, false);
	buf_printf(&s->rcpt_lines, "%s", term_off(&s->q->c->term, ink_of(r->state)));
	buf_printf(&line, " %.*s (site %.*s)", SPAN_FMT(r->rcpt), SPAN_FMT(r->site));
	if (r->redirect.n)
		buf_printf(&line, ", to %.*s instead", SPAN_FMT(r->redirect));
	if (r->next_us > s->q->now_us)
		buf_printf(&line, ", next try in %s",
			   term_span_of_time(&wait, r->next_us - s->q->now_us));
	buf_append_byte(&s->rcpt_lines, ' ');
	term_put(&s->rcpt_lines, span_from(buf_span(&line), 1), 200);
	buf_append_byte(&s->rcpt_lines, '\n');
	if (r->reason.n)
		term_wrap(&s->q->c->term, &s->rcpt_lines, r->reason, 11);
	buf_fini(&line);
}

static void on_attempt(void *arg, const struct views_attempt *a)
{
	struct showing *s = arg;
	struct term_text time;
	struct buf line = {0};

	(void)json_array_append_new(
		s->attempts,
		json_pack("{s:i, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "recipient",
			  (int)a->rcpt_index, "at", cli_json_time(a->at_us), "what",
			  cli_json_span(a->what), "then", cli_json_span(a->then), "code",
			  (int)a->code, "enhanced", cli_json_span(a->enhanced), "text",
			  cli_json_span(a->text), "queue_id", cli_json_span(a->queue_id), "host",
			  cli_json_span(a->host), "stage", cli_json_span(a->stage), "courier",
			  cli_json_span(a->courier)));
	buf_printf(&line, "%s  recipient %u: %.*s by %.*s",
		   term_time(&time, a->at_us, s->q->now_us), a->rcpt_index + 1, SPAN_FMT(a->what),
		   SPAN_FMT(a->host));
	if (a->stage.n)
		buf_printf(&line, " at %.*s", SPAN_FMT(a->stage));
	if (a->code)
		buf_printf(&line, ", %u %.*s", a->code, SPAN_FMT(a->enhanced));
	if (a->text.n)
		buf_printf(&line, " %.*s", SPAN_FMT(a->text));
	if (a->then.n)
		buf_printf(&line, "; then %.*s", SPAN_FMT(a->then));
	term_wrap(&s->q->c->term, &s->attempt_lines, buf_span(&line), 0);
	buf_fini(&line);
}

static void print_shown(struct showing *s)
{
	(void)fwrite(s->message.p, 1, s->message.n, stdout);
	(void)fputc('\n', stdout);
	(void)fwrite(s->rcpt_lines.p, 1, s->rcpt_lines.n, stdout);
	if (s->attempt_lines.n)
		(void)fputs("\nTries, oldest first\n", stdout);
	(void)fwrite(s->attempt_lines.p, 1, s->attempt_lines.n, stdout);
}

int cmd_queue_show(struct cli *c)
{
	struct queue_ask q;
	struct fault why = {0};
	enum rc rc;

	if (!queue_begin(c, &q))
		return CLI_NO;
	struct showing s = {
		.q = &q, .root = json_object(), .rcpts = json_array(), .attempts = json_array()};
	struct views_show show = {on_message, on_rcpt, on_attempt, &s};

	rc = views_queue_show(q.views, span_str(c->words[0]), &show, &why);
	set(s.root, "ok", json_boolean(rc == OK));
	set(s.root, "recipients", s.rcpts);
	set(s.root, "attempts", s.attempts);
	if (rc != OK)
		(void)queue_failed(c, &why);
	else if (c->is_json)
		cli_print_json(json_incref(s.root));
	else
		print_shown(&s);
	json_decref(s.root);
	buf_fini(&s.message);
	buf_fini(&s.rcpt_lines);
	buf_fini(&s.attempt_lines);
	views_close(q.views);
	return rc == OK ? CLI_FINE : CLI_NO;
}
