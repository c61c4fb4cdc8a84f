/* queue list, queue show: what is held, from the views, read-only. The acts are in queue_act.c. */
#include "cli/queue.h"

#include "mail/text.h"
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
		cli_print_json(
			json_pack("{s:b, s:o}", "ok", false, "text", report_text(span_str(text))));
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

	if (l->shown++ == 0)
		put_header(l);
	l->number = r->number;
	l->rcpt_index = r->rcpt_index;
	put_row(l->q, r, &l->out);
	return true;
}

static void flush(struct listing *l)
{
	(void)fwrite(l->out.p, 1, l->out.n, stdout);
	buf_clear(&l->out);
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
		flush(l);
	} while (rc == OK && page > 0 && l->shown < limit);
	return rc;
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
	flush(l);
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

/* Prints root, or why there is none. */
static int print_or_fail(struct queue_ask *q, json_t *root, struct fault *why)
{
	if (!root)
		return queue_failed(q->c, why);
	cli_print_json(root);
	return CLI_FINE;
}

static int list_json(struct queue_ask *q, const struct queue_match *match, uint64_t limit)
{
	struct report_queue_ask ask = {
		.match = match, .now_us = q->now_us, .after_number = UINT64_MAX, .limit = limit};
	struct fault why = {0};

	return print_or_fail(q,
			     cli_flag(q->c, "unsure") ? report_unsure(q->views, q->now_us, &why)
						      : report_queue(q->views, &ask, &why),
			     &why);
}

static int list_text(struct queue_ask *q, const struct queue_match *match, uint64_t limit)
{
	struct listing l = {.q = q};
	uint64_t n = 0, bytes = 0;
	struct fault why = {0};
	enum rc rc;

	if (cli_flag(q->c, "unsure")) {
		rc = list_unsure(&l, &why);
		n = l.shown;
	} else {
		rc = views_queue_count(q->views, match, q->now_us, &n, &bytes, &why);
		if (rc == OK)
			rc = list_matching(&l, match, limit, &why);
	}
	buf_fini(&l.out);
	if (rc != OK)
		return queue_failed(q->c, &why);
	say_end(&l, n, bytes);
	return CLI_FINE;
}

int cmd_queue_list(struct cli *c)
{
	struct queue_match match;
	struct queue_ask q;
	uint64_t limit = c->is_json ? 1000 : 50;
	const char *text = cli_value(c, "match");
	int result;

	if (!queue_parse_match(c, text, &match) || !cli_number(c, "limit", 1, 100000000, &limit))
		return CLI_USAGE;
	if (text && cli_flag(c, "unsure"))
		return cli_usage(c, "--unsure and --match do not go together");
	if (!queue_begin(c, &q))
		return CLI_NO;
	result = c->is_json ? list_json(&q, text ? &match : NULL, limit)
			    : list_text(&q, text ? &match : NULL, limit);
	views_close(q.views);
	return result;
}

/* ---- show ---- */

struct showing {
	struct queue_ask *q;
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

/* As people read it: encoded-words decoded, nothing that turns the direction of writing. */
static void put_header_field(struct showing *s, const char *name, struct span raw)
{
	struct buf text = {.limit = 2000};

	(void)text_header(raw, &text);
	put_field(s, name, buf_span(&text));
	buf_fini(&text);
}

static void on_message(void *arg, const struct views_message *m)
{
	struct showing *s = arg;
	struct term_text size, time, age;
	char line[160];

	(void)snprintf(
		line, sizeof line, "%s, %s ago, %s", term_time(&time, m->received_us, s->q->now_us),
		term_span_of_time(
			&age, s->q->now_us > m->received_us ? s->q->now_us - m->received_us : 0),
		term_size(&size, m->body_bytes));
	put_field(s, "Message", m->id);
	put_field(s, "Received", span_str(line));
	put_field(s, "Sender", m->sender.n ? m->sender : SPAN_LIT("<> (none: a notification)"));
	put_header_field(s, "From", m->from);
	put_header_field(s, "Subject", m->subject);
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

static int show_text(struct queue_ask *q)
{
	struct showing s = {.q = q};
	struct views_show show = {on_message, on_rcpt, on_attempt, &s};
	struct fault why = {0};
	enum rc rc = views_queue_show(q->views, span_str(q->c->words[0]), &show, &why);

	if (rc == OK)
		print_shown(&s);
	else
		(void)queue_failed(q->c, &why);
	buf_fini(&s.message);
	buf_fini(&s.rcpt_lines);
	buf_fini(&s.attempt_lines);
	return rc == OK ? CLI_FINE : CLI_NO;
}

int cmd_queue_show(struct cli *c)
{
	struct queue_ask q;
	struct fault why = {0};
	int result;

	if (!queue_begin(c, &q))
		return CLI_NO;
	result = c->is_json ? print_or_fail(&q,
					    report_message(q.views, span_str(c->words[0]), q.now_us,
							   &why),
					    &why)
			    : show_text(&q);
	views_close(q.views);
	return result;
}
